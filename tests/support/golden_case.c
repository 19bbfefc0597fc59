/* golden_case.c - see golden_case.h. */
#include "support/golden_case.h"

#include <stdio.h>
#include <stdlib.h>

kiln_array kiln_golden_part(const kiln_golden_case *c, const char *name)
{
    return kiln_golden_find(c->file, c->name, name);
}

kiln_tensor kiln_golden_leaf(kiln_golden_case *c, const char *name)
{
    const kiln_array values = kiln_golden_part(c, name);
    const kiln_init init = {.kind = KILN_INIT_VALUES, .values = &values};
    cr_assert_lt(c->leaves, KILN_GOLDEN_VALUES);
    c->leaf_name[c->leaves] = name;
    return c->leaf[c->leaves++] = kiln_parameter(c->g, name, values.shape, &init);
}

kiln_tensor kiln_golden_fixed(kiln_golden_case *c, const char *name)
{
    const kiln_array values = kiln_golden_part(c, name);
    const kiln_tensor t = kiln_constant(c->g, &values);
    return values.type == KILN_F64 ? kiln_cast(c->g, t, KILN_F32) : t;
}

kiln_tensor kiln_golden_state(kiln_golden_case *c, const char *name)
{
    const kiln_array values = kiln_golden_part(c, name);
    const kiln_init init = {.kind = KILN_INIT_VALUES, .values = &values};
    cr_assert_lt(c->states, KILN_GOLDEN_VALUES);
    c->state_name[c->states++] = name;
    return kiln_state_init(c->g, name, KILN_F32, values.shape, KILN_STORE_WEIGHTS, &init);
}

void kiln_golden_result(kiln_golden_case *c, const char *name, kiln_tensor t)
{
    cr_assert_lt(c->results, KILN_GOLDEN_VALUES);
    c->result_name[c->results] = name;
    c->result[c->results++] = t;
}

/* Comparing ---------------------------------------------------------------------------------------------- */

/* Where a case runs, and how near it must come. */
struct stage {
    kiln_device *dev;
    const char *device;
    bool f64;
    double bound;
};

static void expect_same(const kiln_golden_case *c, const struct stage *s, const char *name,
                        const kiln_array *got)
{
    const kiln_array want = kiln_golden_part(c, name);
    double *recorded = kiln_test_doubles(&want);
    cr_assert(kiln_shape_equal(&got->shape, &want.shape), "%s/%s has another shape", c->name, name);
    const double apart = kiln_test_distance(got->data, recorded, NULL, (size_t)kiln_shape_count(&want.shape));
    cr_expect(apart <= s->bound, "%s/%s on %s: off by %.3g, allowed %.3g", c->name, name, s->device, apart,
              s->bound);
    free(recorded);
}

/* Room for a result as doubles: as much as its record takes. */
static kiln_array room_for(const kiln_golden_case *c, const char *name)
{
    const kiln_array want = kiln_golden_part(c, name);
    const size_t bytes = ((size_t)kiln_shape_count(&want.shape) + 1) * sizeof(double);
    kiln_array to = {.data = malloc(bytes), .bytes = bytes, .type = KILN_F64};
    cr_assert_not_null(to.data);
    return to;
}

static void expect_value(const kiln_golden_case *c, const struct stage *s, const char *name, kiln_program *p,
                         kiln_tensor t)
{
    kiln_array to = room_for(c, name);
    cr_assert_eq(kiln_program_read(p, t, &to), KILN_OK);
    expect_same(c, s, name, &to);
    free(to.data);
}

static void expect_state(const kiln_golden_case *c, const struct stage *s, const char *state, kiln_weights *w)
{
    char name[64];
    snprintf(name, sizeof name, "%s_after", state);
    kiln_array to = room_for(c, name);
    cr_assert_eq(kiln_weights_read(w, state, &to), KILN_OK);
    expect_same(c, s, name, &to);
    free(to.data);
}

static kiln_tensor build(kiln_golden_case *c, const kiln_golden_row *row)
{
    if (row->build)
        return row->build(c);
    const kiln_tensor x = kiln_golden_leaf(c, "x");
    return row->unary ? row->unary(c->g, x) : row->binary(c->g, x, kiln_golden_leaf(c, "w"));
}

static void expect_row(const kiln_safetensors *file, const kiln_golden_row *row, const struct stage *s)
{
    kiln_golden_case c = {.file = file, .name = row->name};
    kiln_tensor dx[KILN_GOLDEN_VALUES], run[2 * KILN_GOLDEN_VALUES + 2];
    const char *name[2 * KILN_GOLDEN_VALUES + 2];
    char gradient[KILN_GOLDEN_VALUES][64];
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    int count = 0;
    cr_assert_eq(kiln_graph_create(&c.g, NULL), KILN_OK);
    run[count] = build(&c, row);
    if (c.leaves)
        kiln_gradient(c.g, run[count], kiln_golden_fixed(&c, "dy"), c.leaf, c.leaves, dx);
    name[count++] = "y";
    for (int i = 0; i < c.leaves; i++) {
        snprintf(gradient[i], sizeof gradient[i], "d%s", c.leaf_name[i]);
        run[count] = dx[i];
        name[count++] = gradient[i];
    }
    for (int i = 0; i < c.results; i++) {
        run[count] = c.result[i];
        name[count++] = c.result_name[i];
    }
    run[count] = KILN_NONE;

    cr_assert_eq(kiln_weights_create(&w, c.g, NULL), KILN_OK, "%s: %s", row->name, kiln_graph_error(c.g));
    const kiln_program_params params = {.run = run, .train = !row->infer, .precision = s->f64};
    cr_assert_eq(kiln_program_create(&p, s->dev, c.g, w, &params), KILN_OK, "%s", row->name);
    cr_assert_eq(kiln_program_run(p), KILN_OK, "%s", row->name);
    for (int i = 0; i < count; i++)
        expect_value(&c, s, name[i], p, run[i]);
    for (int i = 0; i < c.states && !row->infer; i++)
        expect_state(&c, s, c.state_name[i], w);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&c.g);
}

void kiln_expect_golden(const char *file, const kiln_golden_row *rows, size_t count, const char *device,
                        bool f64, double bound)
{
    kiln_safetensors *records = kiln_golden_open(file);
    struct stage s = {.dev = kiln_test_open(device), .device = device, .f64 = f64, .bound = bound};
    if (s.bound == 0)
        s.bound = f64 ? 1e-9 : 1e-5;
    for (size_t i = 0; i < count; i++)
        expect_row(records, &rows[i], &s);
    kiln_test_close(&s.dev);
    kiln_safetensors_close(&records);
}
