/* weights_file.c - weights saved and loaded: all or nothing. */
#include <kiln/import.h>

#include "base/own_files.h"

TestSuite(weights_file, .init = enter_folder, .fini = leave_folder);

static const char *path(void)
{
    return in_folder("weights.safetensors");
}

/* Two parameters and a count of steps. */
static kiln_weights *make(uint64_t seed, int64_t units, const char *second)
{
    const kiln_init normal = {.kind = KILN_INIT_NORMAL, .scale = 1};
    kiln_graph *g;
    kiln_weights *w;

    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_parameter(g, "fc.weight", KILN_SHAPE(units, 3), &normal);
    kiln_parameter(g, second, KILN_SHAPE(units), &normal);
    kiln_state(g, "steps", KILN_I32, KILN_SCALAR, KILN_STORE_WEIGHTS);
    cr_assert_eq(kiln_weights_create(&w, g, &(kiln_weights_params){.seed = seed}), KILN_OK, "%s",
                 lines.newest);
    kiln_graph_destroy(&g);
    return w;
}

static float first_value(kiln_weights *w, const char *name)
{
    float values[64];
    kiln_array a = {.data = values, .bytes = sizeof values};
    cr_assert_eq(kiln_weights_read(w, name, &a), KILN_OK, "%s", lines.newest);
    return values[0];
}

static void expect_same(kiln_weights *a, kiln_weights *b)
{
    cr_expect_eq(first_value(a, "fc.weight"), first_value(b, "fc.weight"));
    cr_expect_eq(first_value(a, "fc.bias"), first_value(b, "fc.bias"));
}

Test(weights_file, what_is_saved_comes_back)
{
    kiln_weights *a = make(1, 4, "fc.bias"), *b = make(2, 4, "fc.bias");
    int32_t steps = 7;
    kiln_array count = {.data = &steps, .bytes = sizeof steps, .type = KILN_I32, .shape = KILN_SCALAR};

    cr_assert_neq(first_value(a, "fc.weight"), first_value(b, "fc.weight"));
    cr_assert_eq(kiln_weights_write(a, "steps", &count), KILN_OK);
    cr_assert_eq(kiln_weights_save(a, path()), KILN_OK, "%s", lines.newest);
    cr_assert_eq(kiln_weights_load(b, path(), NULL), KILN_OK, "%s", lines.newest);
    expect_same(a, b);
    steps = 0;
    cr_assert_eq(kiln_weights_read(b, "steps", &count), KILN_OK);
    cr_expect_eq(steps, 7);
    kiln_weights_destroy(&a);
    kiln_weights_destroy(&b);
}

Test(weights_file, notes_go_with_the_weights)
{
    kiln_weights *w = make(1, 4, "fc.bias");
    kiln_safetensors *file;

    cr_assert_eq(kiln_weights_save_noted(w, path(), &(kiln_note){"fit.step", "12"}, 1), KILN_OK);
    cr_assert_eq(kiln_safetensors_open(&file, path()), KILN_OK);
    cr_expect_str_eq(kiln_safetensors_note(file, "fit.step"), "12");
    cr_expect_eq(kiln_weights_load_from(w, file, NULL), KILN_OK);
    kiln_safetensors_close(&file);
    kiln_weights_destroy(&w);
}

/* An optimizer's moments come before the optimizer does. */
Test(weights_file, a_file_brings_arenas_of_known_parameters)
{
    static const float moment[4] = {0.5f, 1, 2, 3};
    const kiln_safetensors_entry known = {"optimizer.m/fc.bias", KILN_F32, KILN_SHAPE(4), moment, NULL, NULL};
    const kiln_safetensors_entry unknown = {
        "optimizer.m/fc.gain", KILN_F32, KILN_SHAPE(4), moment, NULL, NULL};
    const kiln_load_params partial = {.partial = true};
    kiln_weights *w = make(1, 4, "fc.bias");
    kiln_shape shape;
    kiln_type type;

    cr_assert_eq(kiln_safetensors_save(path(), &known, 1, NULL, 0), KILN_OK);
    cr_assert_eq(kiln_weights_load(w, path(), &partial), KILN_OK, "%s", lines.newest);
    cr_expect(kiln_weights_find(w, "optimizer.m/fc.bias", &type, &shape) && type == KILN_F32);
    cr_expect_eq(first_value(w, "optimizer.m/fc.bias"), 0.5f);
    cr_assert_eq(kiln_safetensors_save(path(), &unknown, 1, NULL, 0), KILN_OK);
    cr_expect_eq(kiln_weights_load(w, path(), &partial), KILN_OK, "passed over");
    lines.count = 0;
    cr_expect_eq(kiln_weights_load(w, path(), NULL), KILN_ERROR_ARGUMENT);
    expect_line("lacks \"fc.weight\"", "an incomplete file");
    kiln_weights_destroy(&w);
}

/* The first tensor fits and the last does not: the first must stay as it is. */
static void expect_untouched(kiln_weights *w, kiln_status status, const char *line,
                             const kiln_load_params *params)
{
    const float weight = first_value(w, "fc.weight");

    lines.count = 0;
    cr_expect_eq(kiln_weights_load(w, path(), params), status, "%s", line);
    expect_line(line, line);
    cr_expect_eq(first_value(w, "fc.weight"), weight, "%s: nothing changes", line);
}

Test(weights_file, nothing_changes_if_one_does_not_fit)
{
    static const float values[12] = {9, 9, 9};
    static const int32_t steps = 3;
    kiln_safetensors_entry entries[] = {
        {"fc.weight", KILN_F32, KILN_SHAPE(4, 3), values, NULL, NULL},
        {"fc.bias", KILN_F32, KILN_SHAPE(5), values, NULL, NULL},
        {"steps", KILN_I32, KILN_SCALAR, &steps, NULL, NULL},
    };
    const kiln_load_params partial = {.partial = true};
    kiln_weights *w = make(1, 4, "fc.bias");

    cr_assert_eq(kiln_safetensors_save(path(), entries, 3, NULL, 0), KILN_OK);
    expect_untouched(w, KILN_ERROR_SHAPE, "\"fc.bias\" is [5], the weights want [4]", NULL);
    expect_untouched(w, KILN_ERROR_SHAPE, "\"fc.bias\" is [5], the weights want [4]", &partial);
    entries[1] = (kiln_safetensors_entry){"fc.bias", KILN_I32, KILN_SHAPE(4), values, NULL, NULL};
    cr_assert_eq(kiln_safetensors_save(path(), entries, 3, NULL, 0), KILN_OK);
    expect_untouched(w, KILN_ERROR_TYPE, "\"fc.bias\" is i32, the weights want f32", NULL);
    entries[1] = (kiln_safetensors_entry){"fc.gain", KILN_F32, KILN_SHAPE(4), values, NULL, NULL};
    cr_assert_eq(kiln_safetensors_save(path(), entries, 3, NULL, 0), KILN_OK);
    expect_untouched(w, KILN_ERROR_ARGUMENT, "lacks \"fc.bias\"", NULL);
    put_file(path(), "no tensors", 10);
    expect_untouched(w, KILN_ERROR_FILE, "no safetensors file", NULL);
    kiln_weights_destroy(&w);
}

Test(weights_file, real_types_convert)
{
    static const double doubles[12] = {0.25};
    const kiln_safetensors_entry entry = {"fc.weight", KILN_F64, KILN_SHAPE(4, 3), doubles, NULL, NULL};
    kiln_weights *w = make(1, 4, "fc.bias");

    cr_assert_eq(kiln_safetensors_save(path(), &entry, 1, NULL, 0), KILN_OK);
    cr_assert_eq(kiln_weights_load(w, path(), &(kiln_load_params){.partial = true}), KILN_OK, "%s",
                 lines.newest);
    cr_expect_eq(first_value(w, "fc.weight"), 0.25f);
    kiln_weights_destroy(&w);
}
