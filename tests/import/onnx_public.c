/*
 * onnx_public.c - ONNX's own backend cases, those that kiln_test_external has at hand.
 *
 * tests/golden/onnx_cases.txt lists the cases that pass: the test fails where one of them does not, and where a case passes
 * that is not listed, so that the list neither shrinks unseen nor lags behind.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/text.h"
#include "onnx_case.h"
#include "support/external.h"
#include "support/support.h"

struct tally {
    struct kiln_map listed;
    kiln_device *dev;
    char copy[64]; /* not empty: save the model there, and run what is loaded again */
    int cases, passed;
};

static void read_list(struct kiln_map *listed)
{
    char path[512], line[256];
    snprintf(path, sizeof path, "%s/golden/onnx_cases.txt", getenv("KILN_TEST_ROOT"));
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL, "%s is missing", path);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] && line[0] != '#')
            kiln_map_put(listed, line, 0);
    }
    fclose(f);
}

/* Read and not written: sampling by elements. */
static bool is_read_only(const char *name)
{
    return kiln_text_match("test_*deform_conv*", name);
}

static void run_case(struct tally *t, const char *dir, const char *name)
{
    char path[1024], why[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    const bool listed = kiln_map_find(&t->listed, name) >= 0;
    if (t->copy[0] && (!listed || is_read_only(name)))
        return;
    const bool passed =
        kiln_onnx_case_run(t->dev, path, t->copy[0] ? t->copy : NULL, why, sizeof why) == KILN_OK;
    cr_expect(passed || !listed, "%s: %s", name, why);
    cr_expect(listed || !passed, "%s passes: add it to golden/onnx_cases.txt", name);
    t->cases++;
    t->passed += passed;
}

static void run_folder(struct tally *t, const char *archive, const char *folder)
{
    char path[512];
    const char *dir = kiln_test_external(archive);
    if (!dir)
        cr_skip("%s is not at hand", archive);
    snprintf(path, sizeof path, "%s/%s/%s", dir, archive, folder);
    DIR *list = opendir(path);
    cr_assert(list != NULL, "%s is missing", path);
    for (struct dirent *e; (e = readdir(list));)
        if (e->d_name[0] != '.')
            run_case(t, path, e->d_name);
    closedir(list);
}

static void run_all(const char *archive, const char *const *folders, bool around, int least)
{
    struct tally t = {.dev = kiln_test_open("cpu")};
    read_list(&t.listed);
    if (around)
        snprintf(t.copy, sizeof t.copy, "/tmp/kiln_case_%ld.onnx", (long)getpid());
    for (int i = 0; folders[i]; i++)
        run_folder(&t, archive, folders[i]);
    fprintf(stderr, "%s: %d of %d cases pass\n", archive, t.passed, t.cases);
    cr_expect(t.passed >= least, "%d cases pass, wanted %d", t.passed, least);
    if (around)
        unlink(t.copy);
    kiln_map_finish(&t.listed);
    kiln_test_close(&t.dev);
}

static const char *const node[] = {"node", NULL};
static const char *const pytorch[] = {"pytorch-converted", "pytorch-operator", "simple", NULL};

Test(onnx_public, single_operators)
{
    run_all("onnx_node_public", node, false, 823);
}

Test(onnx_public, networks_from_pytorch)
{
    run_all("onnx_pytorch_public", pytorch, false, 89);
}

Test(onnx_public, single_operators_saved_and_loaded_again)
{
    run_all("onnx_node_public", node, true, 773);
}

Test(onnx_public, networks_from_pytorch_saved_and_loaded_again)
{
    run_all("onnx_pytorch_public", pytorch, true, 87);
}
