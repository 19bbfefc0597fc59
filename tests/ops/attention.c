/*
 * attention.c - attention: PyTorch's values, a composition of other operators, gradients, every device alike, memory.
 */
#include <kiln/attention.h>

#include <math.h>
#include <stdlib.h>

#include "attention/attention.h"
#include "device/device.h"
#include "ops/kernels.h"
#include "support/golden_case.h"

/* Cases -------------------------------------------------------------------------------------------------- */

enum mask_kind { NO_MASK, BIAS, BIAS_OF_KEYS, TRUTH };

static const struct attention_case {
    int n, h, g, l, s, d, v; /* sizes as attention.h names them */
    kiln_attention_params p;
    enum mask_kind mask;
    bool inside, lengths; /* heads within the last axis; with lengths of keys */
    int operands;         /* 0: three; two or one that hold the others too */
    const char *why;
} cases[] = {
    {1, 1, 1, 1, 1, 1, 1, .why = "one number"},
    {2, 3, 3, 5, 7, 4, 6, .why = "smaller than a tile, values wider than keys"},
    {1, 2, 2, 64, 32, 16, 64, .why = "whole tiles"},
    {1, 1, 1, 65, 33, 17, 65, .why = "one past a tile each way"},
    {2, 1, 1, 131, 67, 33, 13, .why = "primes, three tiles"},
    {1, 2, 2, 1, 97, 32, 32, .why = "one query"},
    {1, 2, 2, 37, 1, 8, 8, .why = "one key"},
    {2, 6, 2, 19, 23, 8, 8, .why = "three query heads share a key"},
    {1, 8, 1, 3, 40, 4, 4, .why = "all query heads share a key"},
    {2, 3, 3, 21, 34, 8, 8, .inside = true, .why = "heads within rows"},
    {3, 4, 2, 9, 11, 5, 7, .inside = true, .why = "heads within rows, shared"},
    {1, 1, 1, 40, 50, 8, 130, .why = "three chunks of columns"},
    {1, 2, 1, 70, 75, 12, 132, .why = "three chunks of columns in fours"},
    {1, 1, 1, 7, 9, 8, 8, .p = {.scale = 0.3}, .why = "a scale"},
    {2, 2, 2, 70, 70, 8, 8, .p = {.causal = true}, .why = "a diagonal"},
    {1, 2, 2, 70, 40, 8, 8, .p = {.causal = true}, .why = "a diagonal, more queries than keys"},
    {1, 2, 2, 40, 70, 8, 8, .p = {.causal = true, .last = true}, .why = "the last queries"},
    {1, 2, 2, 70, 40, 8, 8, .p = {.causal = true, .last = true}, .why = "queries before any key"},
    {3, 2, 2, 36, 40, 8, 8, .lengths = true, .why = "lengths"},
    {3, 4, 2, 40, 36, 8, 8, .p = {.causal = true}, .lengths = true, .inside = true,
     .why = "lengths and a diagonal"},
    {2, 2, 2, 35, 37, 8, 8, .mask = BIAS, .why = "a bias"},
    {2, 2, 1, 35, 37, 8, 8, .mask = BIAS_OF_KEYS, .why = "a bias of the keys alone"},
    {2, 2, 2, 35, 37, 8, 8, .mask = TRUTH, .why = "truth values"},
    {2, 2, 2, 35, 37, 8, 8, .p = {.softcap = 0.5}, .why = "a cap"},
    {1, 2, 2, 33, 30, 8, 8, .p = {.softcap = 2, .causal = true}, .mask = BIAS,
     .why = "a cap, a bias and a diagonal"},
    {2, 2, 2, 35, 38, 8, 8, .p = {.dropout = 0.3}, .why = "dropout"},
    {2, 4, 2, 66, 35, 8, 8, .p = {.dropout = 0.5, .causal = true, .softcap = 1}, .mask = BIAS,
     .lengths = true, .inside = true, .why = "all of it"},
    {2, 3, 3, 34, 37, 5, 5, .inside = true, .operands = 2, .why = "keys and values in one"},
    {2, 4, 2, 34, 37, 6, 6, .p = {.causal = true}, .inside = true, .operands = 2,
     .why = "keys and values in one, shared"},
    {2, 3, 3, 37, 37, 5, 5, .inside = true, .operands = 1, .why = "all in one"},
    {2, 6, 2, 35, 35, 4, 4, .p = {.causal = true}, .inside = true, .lengths = true, .operands = 1,
     .why = "all in one, shared"},
    {2, 2, 2, 0, 5, 3, 3, .why = "no queries"},
    {2, 2, 2, 5, 0, 3, 3, .why = "no keys"},
    {0, 2, 2, 5, 4, 3, 3, .why = "no batches"},
};

static kiln_tensor integers(kiln_graph *g, const int32_t *values, kiln_shape shape)
{
    return kiln_constant(g,
                         &(kiln_array){.data = (void *)(uintptr_t)values, .type = KILN_I32, .shape = shape});
}

/* q, k and v of a case, with a scale that makes the softmax matter. */
static void operands(kiln_graph *g, const struct attention_case *c, kiln_tensor out[3])
{
    const kiln_shape apart[] = {KILN_SHAPE(c->n, c->h, c->l, c->d), KILN_SHAPE(c->n, c->g, c->s, c->d),
                                KILN_SHAPE(c->n, c->g, c->s, c->v)};
    const kiln_shape inside[] = {KILN_SHAPE(c->n, c->l, c->h * c->d), KILN_SHAPE(c->n, c->s, c->g * c->d),
                                 KILN_SHAPE(c->n, c->s, c->g * c->v)};
    const int count = c->operands ? c->operands : 3;
    kiln_shape joined = inside[count - 1];
    if (count < 3)
        joined.size[2] = (count == 1 ? c->h + 2 * c->g : 2 * c->g) * c->d;
    for (int i = 0; i < 3; i++)
        out[i] = i >= count ? KILN_NONE
                 : i == count - 1 && count < 3
                     ? kiln_test_input_in(g, joined, -2, 2)
                     : kiln_test_input_in(g, c->inside ? inside[i] : apart[i], -2, 2);
}

static kiln_tensor mask_of(kiln_graph *g, const struct attention_case *c)
{
    switch (c->mask) {
    case BIAS:
        return kiln_test_input(g, KILN_SHAPE(1, c->h, c->l, c->s));
    case BIAS_OF_KEYS:
        return kiln_test_input(g, KILN_SHAPE(c->n, 1, 1, c->s));
    case TRUTH: /* the first query sees nothing */
        return kiln_greater(g, kiln_test_index(g, KILN_SHAPE(c->n, 1, c->l, c->s), 3),
                            kiln_cast(g,
                                      kiln_equal(g, kiln_reshape(g, kiln_range(g, c->l), KILN_SHAPE(c->l, 1)),
                                                 kiln_scalar(g, KILN_I32, 0)),
                                      KILN_I32));
    default:
        return KILN_NONE;
    }
}

static kiln_attention_params params_of(kiln_graph *g, const struct attention_case *c)
{
    static const int32_t lengths[] = {33, 0, 100};
    kiln_attention_params p = c->p;
    p.heads = c->inside ? c->h : 0;
    p.kv_heads = c->inside ? c->g : 0;
    p.mask = mask_of(g, c);
    p.lengths = c->lengths ? integers(g, lengths, KILN_SHAPE(c->n)) : KILN_NONE;
    return p;
}

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct attention_case *c = one_case;
    kiln_tensor x[3];
    operands(g, c, x);
    const kiln_attention_params p = params_of(g, c);
    return kiln_attention(g, x[0], x[1], x[2], &p);
}

Test(attention, gradients_are_those_of_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        if (cases[i].n && cases[i].l * cases[i].s < 2500 && cases[i].s)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
}

/*
 * A gradient is a difference of products near dy's and v's: five times the usual bound. Of a single key's nothing is left but
 * roundings. Dropout draws anew in each run of the same weights, see below.
 */
Test(attention, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        if (cases[i].p.dropout == 0)
            kiln_expect_devices_agree(build, &cases[i], cases[i].s != 1, 5e-5, cases[i].why);
}

/* The value and all gradients in one row. */
static kiln_tensor build_all(kiln_graph *g, const void *one_case)
{
    kiln_tensor x[4], all[5];
    const kiln_tensor y = build(g, one_case), dy = kiln_shift(g, kiln_stop_gradient(g, y), 0.5);
    const int count = kiln_graph_parameter_count(g);
    for (int i = 0; i < count; i++)
        x[i] = kiln_graph_parameter(g, i);
    kiln_gradient(g, y, dy, x, count, all);
    all[count] = y;
    for (int i = 0; i <= count; i++)
        all[i] = kiln_reshape(g, all[i], KILN_SHAPE(KILN_REST));
    return kiln_concat(g, all, count + 1, 0);
}

Test(attention, drops_the_same_probabilities_everywhere)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_shape shape;
        if (cases[i].p.dropout == 0)
            continue;
        double *want = kiln_test_eval(build_all, &cases[i], NULL, &shape);
        for (int d = 0; kiln_test_device(d); d++) {
            kiln_device *dev = kiln_test_open(kiln_test_device(d));
            double *got = kiln_test_eval(build_all, &cases[i], dev, NULL);
            kiln_expect_close(got, want, (size_t)kiln_shape_count(&shape), 1e-4, cases[i].why);
            free(got);
            kiln_test_close(&dev);
        }
        free(want);
    }
}

/* The value of a graph's only output, in inference. */
static double *infer(kiln_device *dev, double dropout, size_t *count)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_shape shape;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(1, 2, 9, 4));
    const kiln_tensor y = kiln_attention(g, x, x, x, &(kiln_attention_params){.dropout = dropout});
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_shape(p, y, &shape), KILN_OK);
    *count = (size_t)kiln_shape_count(&shape);
    kiln_array to = {.type = KILN_F64, .data = malloc(*count * sizeof(double))};
    cr_assert_eq(kiln_program_read(p, y, &to), KILN_OK);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return to.data;
}

Test(attention, drops_nothing_in_inference)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        size_t count;
        double *want = infer(dev, 0, &count), *got = infer(dev, 0.5, &count);
        kiln_expect_close(got, want, count, 0, kiln_test_device(d));
        free(want);
        free(got);
        kiln_test_close(&dev);
    }
}

/* What one operand holds for all is what three hold. */
static kiln_tensor apart(kiln_graph *g, const void *one_case)
{
    const struct attention_case *c = one_case;
    kiln_tensor x[3], part[3];
    operands(g, c, x);
    const kiln_attention_params p = params_of(g, c);
    const int64_t q = c->operands == 1 ? c->h * c->d : 0, kv = c->g * c->d;
    const kiln_tensor from = x[c->operands - 1];
    part[0] = c->operands == 1 ? kiln_slice(g, from, 2, 0, q, 1) : x[0];
    part[1] = kiln_slice(g, from, 2, q, q + kv, 1);
    part[2] = kiln_slice(g, from, 2, q + kv, q + 2 * kv, 1);
    return kiln_sub(g, kiln_attention(g, x[0], x[1], x[2], &p),
                    kiln_attention(g, part[0], part[1], part[2], &p));
}

Test(attention, of_operands_in_one_is_that_of_each)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_shape shape;
        if (!cases[i].operands)
            continue;
        double *y = kiln_test_eval(apart, &cases[i], NULL, &shape);
        for (int64_t k = 0; k < kiln_shape_count(&shape); k++)
            cr_assert(fabs(y[k]) < 1e-12, "%s: element %lld", cases[i].why, (long long)k);
        free(y);
    }
}

/* What PyTorch computes ---------------------------------------------------------------------------------- */

static kiln_tensor recorded(kiln_golden_case *c, const kiln_attention_params *p)
{
    const kiln_tensor q = kiln_golden_leaf(c, "q"), k = kiln_golden_leaf(c, "k");
    return kiln_attention(c->g, q, k, kiln_golden_leaf(c, "v"), p);
}

static kiln_tensor plain(kiln_golden_case *c)
{
    return recorded(c, NULL);
}

static kiln_tensor scaled(kiln_golden_case *c)
{
    return recorded(c, &(kiln_attention_params){.scale = 0.7});
}

static kiln_tensor capped(kiln_golden_case *c)
{
    return recorded(c, &(kiln_attention_params){.softcap = 0.5});
}

/* Inputs are declared in the order of the record: the mask last. */
static kiln_tensor biased_by(kiln_golden_case *c, double softcap)
{
    const kiln_tensor q = kiln_golden_leaf(c, "q"), k = kiln_golden_leaf(c, "k"),
                      v = kiln_golden_leaf(c, "v");
    return kiln_attention(c->g, q, k, v,
                          &(kiln_attention_params){.mask = kiln_golden_leaf(c, "mask"), .softcap = softcap});
}

static kiln_tensor biased(kiln_golden_case *c)
{
    return biased_by(c, 0);
}

static kiln_tensor biased_and_capped(kiln_golden_case *c)
{
    return biased_by(c, 2);
}

static kiln_tensor seen(kiln_golden_case *c)
{
    return recorded(c, &(kiln_attention_params){
                           .mask = kiln_cast(c->g, kiln_golden_fixed(c, "seen"), KILN_BOOL)});
}

static kiln_tensor causal(kiln_golden_case *c)
{
    return recorded(c, &(kiln_attention_params){.causal = true});
}

static kiln_tensor causal_last(kiln_golden_case *c)
{
    return recorded(c, &(kiln_attention_params){.causal = true, .last = true});
}

static kiln_tensor lengths(kiln_golden_case *c)
{
    return recorded(c, &(kiln_attention_params){.lengths = kiln_golden_fixed(c, "lengths")});
}

static const kiln_golden_row rows[] = {
    {"plain", plain},
    {"scaled", scaled},
    {"grouped", plain},
    {"capped", capped},
    {"self", plain},
    {"biased", biased},
    {"biased_by_key", biased},
    {"biased_and_capped", biased_and_capped},
    {"seen", seen},
    {"causal", causal},
    {"causal_wide", causal},
    {"causal_tall", causal},
    {"causal_last", causal_last},
    {"lengths", lengths},
};

Test(attention, in_float64_is_that_of_pytorch)
{
    kiln_expect_golden("attention.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(attention, on_every_device_is_close_to_that_of_pytorch)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("attention.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}

/* A cache: the same rows one at a time ------------------------------------------------------------------- */

enum { POSITIONS = 9, DEPTH = 4 };

/* The last row of causal attention, of a query that stands at an offset that is a tensor. */
static kiln_tensor at_offset(kiln_graph *g, const void *one_case)
{
    const int32_t *at = one_case;
    const kiln_shape shape = KILN_SHAPE(2, 1, POSITIONS, DEPTH);
    const kiln_tensor q = kiln_test_input(g, shape), k = kiln_test_input(g, shape),
                      v = kiln_test_input(g, shape);
    const kiln_tensor whole = kiln_attention(g, q, k, v, &(kiln_attention_params){.causal = true});
    const kiln_tensor offset = at[0] < 0 ? integers(g, (const int32_t[]){-at[0], -at[0]}, KILN_SHAPE(2))
                                         : integers(g, at, KILN_SCALAR);
    const int64_t row = at[0] < 0 ? -at[0] : at[0];
    const kiln_tensor one = kiln_slice(g, q, 2, row, row + 1, 1);
    const kiln_attention_params p = {.causal = true, .offset = offset};
    return kiln_sub(g, kiln_attention(g, one, k, v, &p), kiln_slice(g, whole, 2, row, row + 1, 1));
}

Test(attention, a_row_at_its_offset_is_that_of_the_whole)
{
    static const int32_t rows_at[] = {0, 3, 8, -5};
    for (size_t i = 0; i < KILN_COUNT(rows_at); i++) {
        const double zeros[2 * DEPTH] = {0};
        kiln_expect_values(at_offset, &rows_at[i], zeros, KILN_COUNT(zeros), 1e-12, "a row");
        kiln_expect_devices_agree(at_offset, &rows_at[i], false, 1e-3, "a row");
    }
}

/* Memory ------------------------------------------------------------------------------------------------- */

/* Bytes of scratch of forward and backward at a length. */
static uint64_t scratch_at(kiln_device *dev, int64_t length)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_program_memory memory;
    kiln_tensor x[3], dx[3];
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    for (int i = 0; i < 3; i++)
        x[i] = kiln_input(g, (const char *[]){"q", "k", "v"}[i], KILN_F32, KILN_SHAPE(1, 2, length, 64));
    const kiln_tensor y = kiln_attention(g, x[0], x[1], x[2], &(kiln_attention_params){.causal = true});
    kiln_gradient(g, y, y, x, 3, dx);
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    const kiln_program_params params = {.run = KILN_RUN(y, dx[0], dx[1], dx[2])};
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &params), KILN_OK);
    cr_assert_eq(kiln_program_memory_used(p, &memory), KILN_OK);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return memory.scratch;
}

Test(attention, takes_memory_that_grows_with_the_length_alone)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        const uint64_t once = scratch_at(dev, 2048), twice = scratch_at(dev, 4096);
        cr_expect(once > 0 && twice <= 2 * once, "%s: %llu bytes at 2048, %llu at 4096", kiln_test_device(d),
                  (unsigned long long)once, (unsigned long long)twice);
        kiln_test_close(&dev);
    }
}

/* Variants ------------------------------------------------------------------------------------------------ */

/* The first that a device takes for heads of halves so deep and wide. */
static const char *taken(const kiln_caps *caps, const kiln_kernel *kernel, uint32_t depth, uint32_t width,
                         uint32_t flags)
{
    kiln_dispatch d = {.kernel = kernel, .constants = {flags}, .constant_count = 2, .halves = kernel->halves};
    struct kiln_params_attention *p = (struct kiln_params_attention *)d.block.words;
    *p = (struct kiln_params_attention){.count = 8, .kv_heads = 8, .group = 1, .queries = 256, .keys = 256};
    p->depth = depth;
    p->width = width;
    for (const kiln_variant *const *v = kernel->gpu; *v; v++)
        if (kiln_variant_accepts(*v, caps, &d) && kiln_variant_pays(*v, caps, &d))
            return (*v)->name;
    return "none";
}

/* No driver of the CPU has matrix units, so what is taken where there are some is asked of what a GPU would say of itself. */
Test(attention, goes_by_matrix_units_where_they_fit)
{
    static const struct {
        uint32_t depth, width, flags, subgroup, rows, shared;
        const char *forward, *grad;
    } heads[] = {
        {64, 64, 0, 32, 16, 48 << 10, "coop_64", "coop_64"},
        {64, 64, 0, 64, 16, 48 << 10, "coop_64_wide", "coop_64_wide"},
        {16, 32, 0, 16, 8, 48 << 10, "coop_32", "coop_32"},
        {80, 40, 0, 32, 16, 48 << 10, "coop_96", "coop_96"},
        {128, 64, KILN_ATTENTION_DROPPED, 32, 16, 48 << 10, "coop_128", "tiled_fours"},
        {128, 128, 0, 32, 16, 32 << 10, "tiled_fours", "tiled_fours"},
        {136, 64, 0, 32, 16, 48 << 10, "tiled_fours", "tiled_fours"},
        {65, 64, 0, 32, 16, 48 << 10, "tiled", "tiled"},
        {8, 64, 0, 32, 16, 48 << 10, "tiled_fours", "tiled_fours"},
        {64, 64, 0, 32, 32, 48 << 10, "tiled_fours", "tiled_fours"},
        {64, 64, 0, 32, 16, 16 << 10, "tiled_small", "tiled_small"},
    };
    for (size_t i = 0; i < KILN_COUNT(heads); i++) {
        const kiln_caps gpu = {.backend = KILN_BACKEND_NULL,
                               .unrolls = true,
                               .half = true,
                               .coop = true,
                               .coop_size = {heads[i].rows, 16, 16},
                               .subgroup = heads[i].subgroup,
                               .max_shared = heads[i].shared,
                               .max_invocations = 1024,
                               .max_rounds = UINT64_MAX,
                               .max_texels = UINT64_MAX};
        cr_expect_str_eq(taken(&gpu, &kiln_kernel_attention, heads[i].depth, heads[i].width, heads[i].flags),
                         heads[i].forward, "case %zu", i);
        cr_expect_str_eq(taken(&gpu, &kiln_kernel_attention_grad, heads[i].depth, heads[i].width,
                               heads[i].flags),
                         heads[i].grad, "case %zu", i);
    }
}

/* Errors ------------------------------------------------------------------------------------------------- */

static kiln_tensor input(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape)
{
    return kiln_input(g, name, type, shape);
}

static kiln_tensor wrong(kiln_graph *g, int which)
{
    const kiln_tensor q = input(g, "q", KILN_F32, KILN_SHAPE(KILN_BATCH, 4, 5, 8)),
                      k = input(g, "k", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 7, 8)),
                      flat = input(g, "flat", KILN_F32, KILN_SHAPE(KILN_BATCH, 5, 32)),
                      whole = input(g, "whole", KILN_I32, KILN_SHAPE(KILN_BATCH, 2, 7, 8)),
                      three = input(g, "three", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 7, 8)),
                      mask = input(g, "mask", KILN_F32, KILN_SHAPE(5, 6));
    const kiln_attention_params params[] = {
        {.mask = mask},  {.lengths = mask}, {.lengths = input(g, "lengths", KILN_I32, KILN_SHAPE(3))},
        {.dropout = 1},  {.softcap = -1},   {.heads = 5},
        {.mask = whole},
    };
    if (which < 5)
        return kiln_attention(g, q, k, k, &params[which]);
    return which == 5   ? kiln_attention(g, flat, flat, flat, &params[5])
           : which == 6 ? kiln_attention(g, q, k, k, &params[6])
           : which == 7 ? kiln_attention(g, q, three, three, NULL)
           : which == 8 ? kiln_attention(g, q, k, whole, NULL)
                        : kiln_attention(g, flat, flat, flat, NULL);
}

Test(attention, says_what_does_not_fit)
{
    static const kiln_status want[] = {KILN_ERROR_SHAPE,    KILN_ERROR_TYPE,     KILN_ERROR_SHAPE,
                                       KILN_ERROR_ARGUMENT, KILN_ERROR_ARGUMENT, KILN_ERROR_SHAPE,
                                       KILN_ERROR_TYPE,     KILN_ERROR_SHAPE,    KILN_ERROR_TYPE,
                                       KILN_ERROR_SHAPE};
    for (int i = 0; i < (int)KILN_COUNT(want); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        cr_expect_eq(wrong(g, i).id, 0);
        cr_expect_eq(kiln_graph_status(g), want[i], "case %d: %s", i, kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
