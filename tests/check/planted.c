/*
 * planted.c - faults planted into an operator of this test's own, y = 2 x: in its variants, its gradient, its reference. `kiln
 * check` must find each, name it, and say how to repeat it; and must leave alone what is right.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "check/report.h"

/* The kernel ------------------------------------------------------------------------------------------------ */

struct block {
    uint32_t count;
};

static uint64_t units(const kiln_dispatch *d)
{
    return ((const struct block *)d->block.words)->count;
}

static void reference_f32(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    (void)block, (void)constants;
    for (size_t i = first; i < first + count; i++)
        ((float *)m->at[1])[i] = 2 * ((const float *)m->at[0])[i];
}

static void reference_f64(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    (void)block, (void)constants;
    for (size_t i = first; i < first + count; i++)
        ((double *)m->at[1])[i] = 2 * ((const double *)m->at[0])[i];
}

static void run_right(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    reference_f32(d->block.bytes, d->constants, m, first, count);
}

/* The last element is lost: a bound off by one. */
static void run_short(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    reference_f32(d->block.bytes, d->constants, m, first, first + count == units(d) ? count - 1 : count);
}

/* A few roundings too many, of one element. */
static void run_rough(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    reference_f32(d->block.bytes, d->constants, m, first, count);
    ((float *)m->at[1])[first] *= 1 + 0x1p-19f;
}

/* One element too many. */
static void run_beyond(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    reference_f32(d->block.bytes, d->constants, m, first, count + (first + count == units(d)));
}

/* Right, within what rounding may do, and not the same twice. */
static void run_unsteady(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    static atomic_int runs;

    (void)worker;
    reference_f32(d->block.bytes, d->constants, m, first, count);
    if (atomic_fetch_add(&runs, 1) % 2)
        ((float *)m->at[1])[first] = nextafterf(((float *)m->at[1])[first], INFINITY);
}

static const kiln_variant right = {.name = "right", .run = run_right},
                          lossy = {.name = "short", .run = run_short, .grain = 1 << 20},
                          beyond = {.name = "beyond", .run = run_beyond, .grain = 1 << 20},
                          rough = {.name = "rough", .run = run_rough, .grain = 1 << 20},
                          unsteady = {.name = "unsteady", .run = run_unsteady, .grain = 1 << 20};

#define KERNEL(...)                                                                    \
    {                                                                                  \
        .name = "twice", .block_size = sizeof(struct block), .bindings = 2,            \
        .access = {KILN_READ, KILN_WRITE}, .units = units, .reference = reference_f32, \
        .reference_f64 = reference_f64, .cpu = (const kiln_variant *const[])           \
        {                                                                              \
            __VA_ARGS__, NULL                                                          \
        }                                                                              \
    }

static const kiln_kernel with_right = KERNEL(&right), with_beyond = KERNEL(&beyond),
                         with_short = KERNEL(&right, &lossy), with_rough = KERNEL(&rough),
                         with_unsteady = KERNEL(&unsteady), with_none = KERNEL(NULL);

/* The operators --------------------------------------------------------------------------------------------- */

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)n;
    dx[0] = kiln_scale(g, dy[0], 2);
}

/* Of a sum of elements 1 of 1000 would be off by so little. */
static void wrong_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)n;
    dx[0] = kiln_scale(g, dy[0], 2.00001);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]);
    kiln_dispatch d = {.kernel = n->op->extra,
                       .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
                       .block_size = sizeof(struct block)};

    d.block.words[0] = (uint32_t)kiln_shape_count(&x.shape);
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_lowering lowerings[] = {{.name = "twice", .lower = lower}};

#define OP(grad_, kernel_)                                                                                 \
    {                                                                                                      \
        .name = "twice", .inputs = 1, .outputs = 1, .infer = infer, .grad = grad_, .lowerings = lowerings, \
        .lowering_count = 1, .extra = &kernel_                                                             \
    }

static const kiln_op op_right = OP(grad, with_right), op_beyond = OP(grad, with_beyond),
                     op_short = OP(grad, with_short), op_rough = OP(grad, with_rough),
                     op_unsteady = OP(grad, with_unsteady), op_wrong_grad = OP(wrong_grad, with_right),
                     op_alone = OP(NULL, with_none);

static void add(struct check_graph *c, const kiln_op *op, bool gradient)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c)), y = kiln_append(c->g, op, &x, 1, NULL, 0);
    (gradient ? check_result : check_add)(c, y);
}

#define BUILD(name_)                                  \
    static void build_##name_(struct check_graph *c)  \
    {                                                 \
        add(c, &op_##name_, op_##name_.grad != NULL); \
    }
BUILD(right)
BUILD(short)
BUILD(beyond)
BUILD(rough)
BUILD(unsteady)
BUILD(wrong_grad)
BUILD(alone)

static void expect_twice(const struct check_case *one, const struct check_values *x, double *y)
{
    for (int64_t i = 0; i < one->n[0]; i++)
        y[i] = 2 * x->real[0][i];
}

static void expect_thrice(const struct check_case *one, const struct check_values *x, double *y)
{
    for (int64_t i = 0; i < one->n[0]; i++)
        y[i] = 3 * x->real[0][i];
}

static const struct check_shape shapes[] = {{"1", "one number"}, {"1000", "many"}, {0}};

#define ROW(name_) .name = #name_, .types = CHECK_F32, .shapes = shapes, .build = build_##name_
static const struct check_op rows[] = {
    {ROW(right)},
    {ROW(short)},
    {ROW(beyond)},
    {ROW(rough)},
    {ROW(unsteady)},
    {ROW(wrong_grad)},
    {ROW(alone)},
    {.name = "expected", .types = CHECK_F32, .shapes = shapes, .build = build_alone, .expect = expect_twice},
    {.name = "surprised",
     .types = CHECK_F32,
     .shapes = shapes,
     .build = build_alone,
     .expect = expect_thrice},
    {0},
};
static const struct check_op *const families[] = {rows, NULL};

/* What came of it ------------------------------------------------------------------------------------------- */

static void check(const char *op, struct check_report *report)
{
    const struct check_options options = {.device = "cpu", .filter = {.op = op, .families = families}};

    *report = (struct check_report){0};
    cr_assert(check_run(report, &options) == KILN_OK);
    cr_assert(report->entry.count == 2);
}

/* Every case of the operator has this status; the second says why. */
static void expect_status(const char *op, enum check_status status, const char *what)
{
    struct check_report report;
    char command[400];

    check(op, &report);
    for (int i = 0; i < report.entry.count; i++) {
        const struct check_entry *e = &report.entry.data[i];
        cr_expect(e->status == status, "%s has status %d, not %d: %s", e->one->name, e->status, status,
                  e->what);
        cr_expect(strstr(e->what, what), "\"%s\" does not say \"%s\"", e->what, what);
        check_repeat_command(&report, e, command, sizeof command);
        cr_expect(strstr(command, "kiln check --device cpu --case "), "%s", command);
        cr_expect(strstr(command, e->one->name), "%s does not name %s", command, e->one->name);
    }
    check_report_finish(&report);
}

Test(planted, what_is_right_passes)
{
    expect_status("right", CHECK_PASSED, "");
}

Test(planted, a_lost_element_is_found_in_the_variant_that_loses_it)
{
    expect_status("short", CHECK_FAILED, "kernel twice, variant short");
}

Test(planted, an_element_beyond_the_end_is_found)
{
    expect_status("beyond", CHECK_FAILED, "beyond the end of binding 1");
}

Test(planted, some_roundings_too_many_are_found)
{
    expect_status("rough", CHECK_FAILED, "kernel twice, variant rough");
}

Test(planted, what_differs_from_run_to_run_is_found)
{
    expect_status("unsteady", CHECK_FAILED, "differs from run to run");
}

Test(planted, a_gradient_that_is_slightly_off_is_found)
{
    expect_status("wrong_grad", CHECK_FAILED, "the gradient is wrong");
}

Test(planted, what_only_the_oracle_runs_is_not_counted)
{
    expect_status("alone", CHECK_UNCOUNTED, "");
    expect_status("expected", CHECK_PASSED, "");
}

Test(planted, a_reference_that_is_not_what_its_row_expects_is_found)
{
    expect_status("surprised", CHECK_FAILED, "expected");
}
