/* cases_control.c - scans, loops and branches in each of their forms, and parts of a value at places that data gives. */
#include <kiln/control.h>

#include "check/families.h"

/* A body under construction; its failure is that of the operator that gets it. */
static kiln_graph *body_of(const char *name)
{
    kiln_graph *g = NULL;
    (void)kiln_graph_create(&g, &(kiln_graph_params){.name = name});
    return g;
}

/* Scan ---------------------------------------------------------------------------------------------------- */

/* Steps, rows, units. */
static const struct check_shape sequences[] = {
    {"1x1x1", "one step of one number"}, {"7x2x3", "primes"},      {"0x2x3", "no step"},
    {"5x65x17", "one past a tile"},      {"40x1x4", "many steps"}, {"3x100x2", "many rows"},
    {"4x16x16", "whole tiles"},          {"2x3x65", "wide rows"},  {0},
};

/* a: the form, the axis of the steps, from the last to the first */
static const struct check_attributes forms[] = {
    {"unrolled", {KILN_LOOP_UNROLLED}},
    {"repeated", {KILN_LOOP_REPEATED}},
    {"unrolled,axis=1,reverse", {KILN_LOOP_UNROLLED, 1, 1}},
    {"repeated,axis=1,reverse", {KILN_LOOP_REPEATED, 1, 1}},
    {0},
};

/* h = tanh(x m + h u), y = h x: a carry, a parameter of the body, and a value that all steps see. */
static kiln_graph *cell_of(const struct check_graph *c)
{
    const int64_t rows = c->n[1], units = c->n[2];
    kiln_graph *g = body_of("cell");
    const kiln_tensor x = kiln_input(g, "x", c->type, KILN_SHAPE(rows, units));
    const kiln_tensor h = kiln_input(g, "h", c->type, KILN_SHAPE(rows, units));
    const kiln_tensor m = kiln_input(g, "m", c->type, KILN_SHAPE(units));
    const kiln_tensor u = kiln_parameter(g, "u", KILN_SHAPE(units, units),
                                         &(kiln_init){.kind = KILN_INIT_UNIFORM, .scale = 0.5});
    const kiln_tensor from_h = kiln_matmul(g, h, kiln_cast(g, u, c->type), NULL);
    const kiln_tensor next = kiln_tanh(g, kiln_add(g, kiln_mul(g, x, m), from_h));

    kiln_output(g, "y", kiln_mul(g, next, x));
    kiln_output(g, "next", next);
    return g;
}

static void scan(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor x = check_operand(c, c->a[1] ? KILN_SHAPE(n[1], n[0], n[2]) : check_shape_of(c));
    const kiln_tensor h = check_operand(c, KILN_SHAPE(n[1], n[2])), m = check_operand(c, KILN_SHAPE(n[2]));
    kiln_graph *cell = cell_of(c);
    kiln_tensor out[2];

    kiln_scan(c->g, cell,
              &(kiln_scan_params){.each = {x},
                                  .carry = {h},
                                  .with = {m},
                                  .form = (kiln_loop_form)c->a[0],
                                  .axis = (int)c->a[1],
                                  .reverse = c->a[2]},
              out);
    check_result(c, out[0]);
    check_result(c, out[1]);
    kiln_graph_destroy(&cell);
}

/* Loop ---------------------------------------------------------------------------------------------------- */

/* Steps at the most, rows, columns. */
static const struct check_shape rounds[] = {
    {"1x1x1", "one number"},        {"5x7x13", "primes"},       {"4x0x3", "empty"},
    {"3x65x17", "one past a tile"}, {"20x3x2", "many steps"},   {"2x1000x3", "many rows"},
    {"2x3x1000", "long rows"},      {"3x64x64", "whole tiles"}, {0},
};

enum { CONSTANT, GIVEN, ASKED };

/* a: the form; how the number of steps is known */
static const struct check_attributes ends[] = {
    {"unrolled,trips", {KILN_LOOP_UNROLLED, CONSTANT}},
    {"repeated,trips", {KILN_LOOP_REPEATED, CONSTANT}},
    {"unrolled,trips=given", {KILN_LOOP_UNROLLED, GIVEN}},
    {"repeated,trips=given", {KILN_LOOP_REPEATED, GIVEN}},
    {"unrolled,until", {KILN_LOOP_UNROLLED, ASKED}},
    {"repeated,until", {KILN_LOOP_REPEATED, ASKED}},
    {0},
};

/* Go on below `last`; stack x; x becomes 2 - x m. */
static kiln_graph *round_of(const struct check_graph *c)
{
    kiln_graph *g = body_of("round");
    const kiln_tensor step = kiln_input(g, "step", KILN_I32, KILN_SCALAR);
    const kiln_tensor x = kiln_input(g, "x", c->type, KILN_SHAPE(c->n[1], c->n[2]));
    const kiln_tensor m = kiln_input(g, "m", c->type, KILN_SHAPE(c->n[2]));
    const kiln_tensor last = kiln_input(g, "last", KILN_I32, KILN_SCALAR);

    kiln_output(g, "more", c->a[1] == ASKED ? kiln_less(g, step, last) : kiln_scalar(g, KILN_BOOL, 1));
    kiln_output(g, "x", x);
    kiln_output(g, "next", kiln_sub(g, kiln_scalar(g, c->type, 2), kiln_mul(g, x, m)));
    return g;
}

/* Of a number of steps that data gives there is no gradient. */
static void loop(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor x = check_operand(c, KILN_SHAPE(n[1], n[2])), m = check_operand(c, KILN_SHAPE(n[2]));
    const kiln_tensor some = check_whole(c, KILN_SCALAR, 0, (double)n[0] + 2);
    const kiln_tensor all = kiln_scalar(c->g, KILN_I32, (double)n[0]);
    kiln_graph *round = round_of(c);
    kiln_tensor out[3];

    kiln_loop(c->g, round,
              &(kiln_loop_params){.trips = c->a[1] == CONSTANT ? all
                                           : c->a[1] == GIVEN  ? some
                                                               : KILN_NONE,
                                  .carry = {x},
                                  .with = {m, some},
                                  .bound = n[0],
                                  .form = (kiln_loop_form)c->a[0]},
              out);
    check_add(c, out[0]);
    for (int i = 1; i < 3; i++)
        (c->a[1] == CONSTANT ? check_result : check_add)(c, out[i]);
    kiln_graph_destroy(&round);
}

/* If ------------------------------------------------------------------------------------------------------ */

/* Rows, units. */
static const struct check_shape layers[] = {
    {"1x1", "one number"},
    {"7x13", "primes"},
    {"0x5", "empty"},
    {"65x17", "one past a tile"},
    {"1000x3", "many rows"},
    {"3x200", "long rows"},
    {"64x64", "whole tiles"},
    {"130x129", "enough to be skipped"},
    {0},
};

/* a: branches of a product, or of next to nothing */
static const struct check_attributes branches[] = {{"light", {0}}, {"heavy", {1}}, {0}};

static kiln_graph *branch_of(const struct check_graph *c, const char *name, double shift)
{
    kiln_graph *g = body_of(name);
    const kiln_tensor x = kiln_input(g, "x", c->type, check_shape_of(c));
    const kiln_tensor w = kiln_input(g, "w", c->type, KILN_SHAPE(c->n[1], c->n[1]));
    const kiln_tensor y =
        c->a[0] ? kiln_matmul(g, x, w, &(kiln_matmul_params){.transpose_b = shift < 0}) : kiln_mul(g, x, x);

    kiln_output(g, "y", kiln_add(g, y, kiln_scalar(g, c->type, shift)));
    return g;
}

static bool has_branches(const struct check_case *one)
{
    return !one->a[0] || kiln_type_is_real(one->type);
}

static void branch(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c)),
                      w = check_operand(c, KILN_SHAPE(c->n[1], c->n[1]));
    const kiln_tensor condition = check_truth(c, KILN_SCALAR);
    kiln_graph *then = branch_of(c, "then", 2), *otherwise = branch_of(c, "otherwise", -1);
    kiln_tensor y;

    kiln_if(c->g, condition, then, otherwise, (kiln_tensor[]){x, w, KILN_NONE}, &y);
    check_result(c, y);
    kiln_graph_destroy(&then);
    kiln_graph_destroy(&otherwise);
}

/* Windows ------------------------------------------------------------------------------------------------- */

/* Three axes, and how much of the second. */
static const struct check_shape windows[] = {
    {"1x1x1,1", "one number"},
    {"3x7x5,2", "primes"},
    {"2x65x17,33", "one past a tile"},
    {"1x1000x3,1", "one row of many"},
    {"200x4x1,3", "many parts"},
    {"2x3x1000,2", "long rows"},
    {"4x16x64,8", "whole vectors"},
    {"2x5x3,5", "all of it"},
    {"0x5x3,2", "empty"},
    {0},
};

static kiln_shape whole_shape(const struct check_graph *c)
{
    return KILN_SHAPE(c->n[0], c->n[1], c->n[2]);
}

static kiln_shape part_shape(const struct check_graph *c)
{
    return KILN_SHAPE(c->n[0], c->n[3], c->n[2]);
}

/* Also beyond the ends. */
static kiln_tensor position(struct check_graph *c)
{
    return check_whole(c, KILN_SCALAR, (double)-c->n[1], (double)c->n[1] + 1);
}

static void slice_at(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, whole_shape(c));
    check_result(c, kiln_slice_at(c->g, x, 1, position(c), c->n[3]));
}

static void put_at(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, whole_shape(c)), part = check_operand(c, part_shape(c));
    check_result(c, kiln_put_at(c->g, x, part, 1, position(c)));
}

/* Where the window begins, in rows. */
static int64_t begin_of(const struct check_case *one, double position)
{
    const int64_t rows = one->n[1], from = (int64_t)position + (position < 0 ? rows : 0);
    return from > rows - one->n[3] ? rows - one->n[3] : from;
}

static void expect_slice_at(const struct check_case *one, const struct check_values *v, double *y)
{
    const bool real = kiln_type_is_real(one->type);
    const double *x = real ? v->real[0] : v->whole[0];
    const int64_t *n = one->n, from = begin_of(one, v->whole[real ? 0 : 1][0]);

    for (int64_t i = 0; i < n[0]; i++)
        for (int64_t j = 0; j < n[3] * n[2]; j++)
            y[i * n[3] * n[2] + j] = x[(i * n[1] + from) * n[2] + j];
}

static void expect_put_at(const struct check_case *one, const struct check_values *v, double *y)
{
    const bool real = kiln_type_is_real(one->type);
    const double *const *x = real ? v->real : v->whole;
    const int64_t *n = one->n, from = begin_of(one, v->whole[real ? 0 : 2][0]);

    for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++)
        y[i] = x[0][i];
    for (int64_t i = 0; i < n[0]; i++)
        for (int64_t j = 0; j < n[3] * n[2]; j++)
            y[(i * n[1] + from) * n[2] + j] = x[1][i * n[3] * n[2] + j];
}

static void assign_slice(struct check_graph *c)
{
    const kiln_tensor state = kiln_state(c->g, "cache", c->type, whole_shape(c), KILN_STORE_WEIGHTS);
    const kiln_tensor part = check_operand(c, part_shape(c));

    check_add(c, kiln_assign_slice(c->g, state, part, 1, position(c)));
    check_add(c, kiln_neg(c->g, kiln_cast(c->g, state, KILN_F32)));
}

const struct check_op check_control[] = {
    {.name = "scan", .types = CHECK_REALS, .shapes = sequences, .attributes = forms, .build = scan},
    {.name = "loop", .types = CHECK_NUMERIC, .shapes = rounds, .attributes = ends, .build = loop},
    {.name = "if",
     .types = CHECK_NUMERIC,
     .shapes = layers,
     .attributes = branches,
     .fits = has_branches,
     .build = branch},
    {.name = "slice_at", .types = CHECK_ANY, .shapes = windows, .build = slice_at, .expect = expect_slice_at},
    {.name = "put_at", .types = CHECK_ANY, .shapes = windows, .build = put_at, .expect = expect_put_at},
    {.name = "assign_slice", .types = CHECK_ANY, .shapes = windows, .build = assign_slice},
    {0},
};
