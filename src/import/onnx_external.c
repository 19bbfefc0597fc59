/*
 * onnx_external.c - tensors whose elements lie in a file beside the model: mapped, and read where they are.
 *
 * A location is a path within the model's folder. One that leads out of it, by its name or by links, is refused, so that a model
 * from anywhere reads nothing but what came with it.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "import/onnx.h"

/* Where the bytes are. */
struct place {
    const char *location;
    size_t offset, length;
    bool has_length;
};

/* A number of digits alone that fits. */
static bool take_number(const char *text, size_t *out)
{
    *out = 0;
    for (const char *c = text; *c; c++)
        if (*c < '0' || *c > '9' || !kiln_size_mul(*out, 10, out) ||
            (*out += (size_t)(*c - '0')) < (size_t)(*c - '0'))
            return false;
    return text[0] != 0;
}

static kiln_status take_place(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                              struct place *p)
{
    *p = (struct place){0};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
        const bool length = key && !strcmp(key, "length");
        if (!key || !value)
            continue;
        if (!strcmp(key, "location"))
            p->location = value;
        if ((length || !strcmp(key, "offset")) && !take_number(value, length ? &p->length : &p->offset))
            return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: the %s of its data is \"%.40s\", wanted a number",
                                  what, key, value);
        p->has_length |= length;
    }
    return p->location && p->location[0]
               ? KILN_OK
               : kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its data lies in another file, which is not named",
                                what);
}

/* Files ------------------------------------------------------------------------------------------------------------ */

/* Whether `path` lies in `folder`: both without links and dots. */
static bool is_within(const char *folder, const char *path)
{
    const size_t length = strcmp(folder, "/") ? strlen(folder) : 0;
    return !strncmp(path, folder, length) && path[length] == '/';
}

/* The file's path without links; NULL, and said why, if there is none or it lies elsewhere. To be freed. */
static char *find_file(struct kiln_onnx *m, const char *what, const char *location)
{
    const char *slash = strrchr(m->path, '/');
    struct kiln_text folder = {0}, joined = {0};
    kiln_text_add(&folder, "%.*s", slash ? (int)(slash - m->path) + 1 : 2, slash ? m->path : "./");
    kiln_text_add(&joined, "%s%s", kiln_text_get(&folder), location);
    char *home = realpath(kiln_text_get(&folder), NULL), *path = realpath(kiln_text_get(&joined), NULL);
    const int reason = errno;
    const bool inside = home && path && location[0] != '/' && is_within(home, path);
    if (location[0] == '/' || (home && path && !inside))
        kiln_onnx_fail(m, KILN_ERROR_FILE,
                       "%s: its data lies in \"%.200s\", which is outside the model's folder", what,
                       location);
    else if (!inside)
        kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its data lies in \"%.200s\": %s", what, location,
                       strerror(reason));
    kiln_text_finish(&folder);
    kiln_text_finish(&joined);
    free(home);
    if (inside)
        return path;
    free(path);
    return NULL;
}

/* The file of a location, mapped once. */
static const struct kiln_file *open_file(struct kiln_onnx *m, const char *what, const char *location)
{
    struct kiln_onnx_shared *s = m->shared;
    const int known = kiln_map_find(&s->locations, location);
    if (known >= 0)
        return &s->file.data[known];
    char *path = find_file(m, what, location);
    struct kiln_file file = {0};
    if (!path)
        return NULL;
    m->status = kiln_file_map(&file, path);
    free(path);
    if (m->status)
        return NULL;
    if (!kiln_vec_push(&s->file, file)) {
        kiln_file_unmap(&file);
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
        return NULL;
    }
    if (!kiln_map_put(&s->locations, location, s->file.count - 1)) {
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
        return NULL;
    }
    return &s->file.data[s->file.count - 1];
}

kiln_status kiln_onnx_take_external(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                                    size_t bytes, kiln_array *out)
{
    struct place p;
    if (!m->shared)
        return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "%s: its data lies in another file", what);
    if (take_place(m, t, what, &p))
        return m->status;
    const struct kiln_file *file = open_file(m, what, p.location);
    if (!file)
        return m->status;
    if (p.has_length && p.length != bytes)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its shape needs %zu bytes, \"%.200s\" has %zu for it",
                              what, bytes, p.location, p.length);
    if (p.offset > file->size || bytes > file->size - p.offset)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: needs %zu bytes from %zu on, \"%.200s\" has %zu", what,
                              bytes, p.offset, p.location, file->size);
    const unsigned char *data = (const unsigned char *)file->data + p.offset;
    const bool aligned = (uintptr_t)data % kiln_type_size(out->type) == 0;
    out->data = aligned ? (void *)(uintptr_t)data : kiln_arena_copy(&m->arena, data, bytes);
    return out->data || !bytes ? KILN_OK : kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
}
