/* onnx_find.c - ONNX's backend cases in a tree of folders. See onnx_case.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "check/onnx_case.h"

enum { DEEPEST = 16, PATH = 1024 };

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for the names of ONNX's cases");
}

static bool is_there(const char *folder, const char *name)
{
    char path[3 * PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

static kiln_status add(struct check_onnx_cases *cases, struct check_onnx_case one)
{
    const char *slash = strrchr(one.path, '/');
    one.path = kiln_arena_text(&cases->arena, one.path);
    one.name = one.path && slash ? one.path + strlen(one.path) - strlen(slash + 1) : one.path;
    return one.path && kiln_vec_push(&cases->item, one) ? KILN_OK : out_of_memory();
}

/* The number behind a key of a document that holds numbers and texts alone. */
static double number_at(const char *text, const char *key, double otherwise)
{
    const char *at = strstr(text, key), *colon = at ? strchr(at, ':') : NULL;
    return colon ? strtod(colon + 1, NULL) : otherwise;
}

static void take_tolerances(struct check_onnx_case *one, const char *stem)
{
    char path[PATH + 32], text[512];
    snprintf(path, sizeof path, "%s_data.json", stem);
    FILE *file = fopen(path, "r");
    const size_t read = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[read] = 0;
    one->rtol = number_at(text, "\"rtol\"", one->rtol);
    one->atol = number_at(text, "\"atol\"", one->atol);
}

static const struct check_onnx_case usual = {.rtol = 1e-3, .atol = 1e-7};

/* NAME.onnx, if NAME_output_0.pb is beside it. */
static kiln_status add_light(struct check_onnx_cases *cases, const char *folder, const char *file)
{
    char stem[PATH], output[PATH + 32];
    const size_t length = strlen(file);
    if (length < 6 || strcmp(file + length - 5, ".onnx"))
        return KILN_OK;
    snprintf(output, sizeof output, "%.*s_output_0.pb", (int)length - 5, file);
    if (!is_there(folder, output))
        return KILN_OK;
    snprintf(stem, sizeof stem, "%s/%.*s", folder, (int)length - 5, file);
    struct check_onnx_case one = usual;
    one.path = stem;
    one.light = true;
    take_tolerances(&one, stem);
    return add(cases, one);
}

static kiln_status find(struct check_onnx_cases *cases, const char *folder, int depth);

static kiln_status look_at(struct check_onnx_cases *cases, const char *folder, const struct dirent *entry,
                           int depth)
{
    char path[PATH];
    if (entry->d_name[0] == '.')
        return KILN_OK;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    DIR *sub = opendir(path);
    if (!sub)
        return add_light(cases, folder, entry->d_name);
    closedir(sub);
    return depth < DEEPEST ? find(cases, path, depth + 1) : KILN_OK;
}

static kiln_status find(struct check_onnx_cases *cases, const char *folder, int depth)
{
    kiln_status status = KILN_OK;
    if (is_there(folder, "model.onnx")) {
        struct check_onnx_case one = usual;
        one.path = folder;
        return add(cases, one);
    }
    DIR *list = opendir(folder);
    if (!list)
        return kiln_fail(KILN_ERROR_FILE, "%s: no folder to look into", folder);
    for (struct dirent *entry; !status && (entry = readdir(list));)
        status = look_at(cases, folder, entry, depth);
    closedir(list);
    return status;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct check_onnx_case *)a)->path, ((const struct check_onnx_case *)b)->path);
}

kiln_status check_onnx_find(struct check_onnx_cases *cases, const char *folder)
{
    char path[PATH];
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    snprintf(path, sizeof path, "%.*s", (int)length, folder);
    const kiln_status status = find(cases, path, 0);
    if (cases->item.count)
        qsort(cases->item.data, (size_t)cases->item.count, sizeof *cases->item.data, by_path);
    return status;
}

void check_onnx_finish(struct check_onnx_cases *cases)
{
    kiln_vec_finish(&cases->item);
    kiln_arena_finish(&cases->arena);
}
