/*
 * onnx_public.c - ONNX's own backend cases, those that kiln_test_external has at hand, run as `kiln check --onnx` does.
 *
 * tests/golden/onnx_cases.txt lists the cases that pass: the test fails where one of them does not, and where a case passes
 * that is not listed, so that the list neither shrinks unseen nor lags behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "check/onnx_case.h"
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

static void run_case(struct tally *t, const struct check_onnx_case *one)
{
    struct check_onnx_outcome outcome;
    const bool listed = kiln_map_find(&t->listed, one->name) >= 0;
    if (t->copy[0] && !listed)
        return;
    check_onnx_run(&outcome, t->dev, one, t->copy[0] ? t->copy : NULL);
    const bool passed = outcome.status == CHECK_PASSED;
    cr_expect(passed || !listed, "%s: %s", one->name, outcome.why);
    cr_expect(listed || !passed, "%s passes: add it to golden/onnx_cases.txt", one->name);
    cr_expect(outcome.status != CHECK_INAPPLICABLE, "%s does not apply: %s", one->name, outcome.why);
    t->cases++;
    t->passed += passed;
}

static void run_folder(const char *device, const char *dir, bool around, int least)
{
    struct check_onnx_cases cases = {0};
    struct tally t = {.dev = kiln_test_open(device)};
    cr_assert(check_onnx_find(&cases, dir) == KILN_OK);
    read_list(&t.listed);
    if (around)
        snprintf(t.copy, sizeof t.copy, "/tmp/kiln_case_%ld.onnx", (long)getpid());
    for (int i = 0; i < cases.item.count; i++)
        run_case(&t, &cases.item.data[i]);
    fprintf(stderr, "%s: %d of %d cases pass on %s\n", dir, t.passed, t.cases, device);
    cr_expect(t.passed >= least, "%d cases pass, wanted %d", t.passed, least);
    if (around)
        unlink(t.copy);
    kiln_map_finish(&t.listed);
    check_onnx_finish(&cases);
    kiln_test_close(&t.dev);
}

static void run_all(const char *archive, bool around, int least)
{
    const char *dir = kiln_test_external(archive);
    if (!dir)
        cr_skip("%s is not at hand", archive);
    run_folder("cpu", dir, around, least);
}

/* What tools/golden/onnx_cases.py writes. */
static const char *own(const char *name, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s/golden/%s", getenv("KILN_TEST_ROOT"), name);
    return path;
}

Test(onnx_public, forms_that_the_public_cases_lack)
{
    char path[512];
    for (int i = 0; kiln_test_device(i); i++)
        run_folder(kiln_test_device(i), own("onnx", path, sizeof path), false, 136);
}

Test(onnx_public, forms_that_the_public_cases_lack_saved_and_loaded_again)
{
    char path[512];
    run_folder("cpu", own("onnx", path, sizeof path), true, 136);
}

/* As it is: nobody says what sizes its symbols have. */
static void expect_loaded(const char *name)
{
    char path[600], folder[512];
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    snprintf(path, sizeof path, "%s/%s/model.onnx", own("onnx", folder, sizeof folder), name);
    cr_expect(kiln_onnx_load(&g, &w, path, NULL) == KILN_OK, "%s", name);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(onnx_public, sizes_that_only_a_run_knows_are_read)
{
    static const char *const names[] = {"branches_of_other_sizes", "fused_grouped_step",
                                        "fused_heads_of_named_sizes", "range_between_reals",
                                        "sizes_named_otherwise"};
    for (size_t i = 0; i < KILN_COUNT(names); i++)
        expect_loaded(names[i]);
}

Test(onnx_public, loops_that_count_make_as_many_rows_as_they_count)
{
    static const struct {
        const char *name;
        int64_t rows;
    } cases[] = {{"loop_that_counts", 5}, {"loop_that_counts_to_less", 3}, {"loop_that_counts_alone", 5}};
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        char path[600], folder[512];
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        snprintf(path, sizeof path, "%s/%s/model.onnx", own("onnx", folder, sizeof folder), cases[i].name);
        cr_assert(kiln_onnx_load(&g, &w, path, NULL) == KILN_OK);
        cr_expect(kiln_tensor_shape(g, kiln_graph_output(g, 0)).size[0] == cases[i].rows, "%s",
                  cases[i].name);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
}

Test(onnx_public, what_fused_operators_learn_with_is_learned)
{
    static const struct {
        const char *name;
        int parameters;
    } cases[] = {{"fused_attention", 2},          {"fused_bias_gelu", 1},
                 {"fused_conv_Relu", 2},          {"fused_embedding", 5},
                 {"fused_gemm_Elu", 2},           {"fused_heads_of_shown_keys", 1},
                 {"fused_grouped_with_sinks", 1}, {"fused_rotary", 0},
                 {"fused_skip_layer_norm", 3},    {"fused_simplified_layer_norm", 1}};
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        char path[600], folder[512];
        kiln_graph *g;
        kiln_weights *w;
        snprintf(path, sizeof path, "%s/%s/model.onnx", own("onnx", folder, sizeof folder), cases[i].name);
        cr_assert(kiln_onnx_load(&g, &w, path, NULL) == KILN_OK);
        cr_expect(kiln_graph_parameter_count(g) == cases[i].parameters, "%s: %d parameters", cases[i].name,
                  kiln_graph_parameter_count(g));
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
}

Test(onnx_public, what_a_function_learns_with_is_learned)
{
    char path[600], folder[512];
    kiln_graph *g;
    kiln_weights *w;
    snprintf(path, sizeof path, "%s/function_called_twice/model.onnx", own("onnx", folder, sizeof folder));
    cr_assert(kiln_onnx_load(&g, &w, path, NULL) == KILN_OK);
    cr_expect(kiln_graph_parameter_count(g) == 4, "%d parameters", kiln_graph_parameter_count(g));
    cr_expect(kiln_weights_is_parameter(w, "w1") && kiln_weights_is_parameter(w, "b2"));
    cr_expect(kiln_find(g, "first.p").id != 0 && kiln_find(g, "h").id != 0, "values of a call have its name");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(onnx_public, an_output_that_is_an_input_keeps_its_name_in_a_copy_too)
{
    static const char *const names[] = {"y", "u", "x"};
    char path[600], folder[512], copy[64];
    snprintf(path, sizeof path, "%s/output_that_is_an_input/model.onnx", own("onnx", folder, sizeof folder));
    snprintf(copy, sizeof copy, "/tmp/kiln_ends_%ld.onnx", (long)getpid());
    for (int turn = 0; turn < 2; turn++) {
        kiln_graph *g;
        kiln_weights *w;
        cr_assert(kiln_onnx_load(&g, &w, turn ? copy : path, NULL) == KILN_OK);
        cr_assert(kiln_graph_output_count(g) == (int)KILN_COUNT(names));
        for (int i = 0; i < (int)KILN_COUNT(names); i++)
            cr_expect_str_eq(kiln_tensor_name(g, kiln_graph_output(g, i)), names[i]);
        cr_assert(kiln_onnx_save(g, w, copy, NULL) == KILN_OK);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
    unlink(copy);
}

Test(onnx_public, a_case_fails_for_what_is_wrong_and_does_not_apply_for_what_is_left_out)
{
    static const struct {
        const char *name;
        enum check_status status;
        const char *why;
    } wanted[] = {{"dropout", CHECK_INAPPLICABLE, "Dropout \"y\": draws at random"},
                  {"random", CHECK_INAPPLICABLE, "RandomNormalLike \"y\": draws at random"},
                  {"texts", CHECK_INAPPLICABLE, "StringConcat \"y\": texts"},
                  {"unknown", CHECK_FAILED, "Conjure \"y\": operators of domain com.example"},
                  {"unknown_behind_a_function", CHECK_FAILED,
                   "Conjure \"y\": operators of domain com.example"},
                  {"wrong", CHECK_FAILED, "output 0, element 0 is"}};
    struct check_onnx_cases cases = {0};
    kiln_device *dev = kiln_test_open("cpu");
    char path[512];
    cr_assert(check_onnx_find(&cases, own("onnx_other", path, sizeof path)) == KILN_OK);
    cr_assert(cases.item.count == (int)KILN_COUNT(wanted));
    for (int i = 0; i < cases.item.count; i++) {
        struct check_onnx_outcome got;
        check_onnx_run(&got, dev, &cases.item.data[i], NULL);
        cr_expect(strcmp(cases.item.data[i].name, wanted[i].name) == 0);
        cr_expect(got.status == wanted[i].status && strstr(got.why, wanted[i].why), "%s: %d, %s",
                  wanted[i].name, got.status, got.why);
    }
    check_onnx_finish(&cases);
    kiln_test_close(&dev);
}

Test(onnx_public, single_operators)
{
    run_all("onnx_node_public", false, 992);
}

Test(onnx_public, networks_from_pytorch)
{
    run_all("onnx_pytorch_public", false, 90);
}

Test(onnx_public, single_operators_saved_and_loaded_again)
{
    run_all("onnx_node_public", true, 992);
}

Test(onnx_public, networks_from_pytorch_saved_and_loaded_again)
{
    run_all("onnx_pytorch_public", true, 90);
}
