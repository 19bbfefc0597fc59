/*
 * bits.c - bits of one type as those of another of its size: the words of F32 by a kernel, halves composed of these.
 *
 * Kernels: shaders/bits/, src/cpu/bits.c.   Tests: tests/ops/bits.c.
 */
#include "bits/bits.h"

#include <kiln/elementwise.h>
#include <kiln/ops.h>

#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

/* The operator: F32 to U32, and back --------------------------------------------------------------------- */

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    out->type = out->type == KILN_F32 ? KILN_U32 : KILN_F32;
    return KILN_OK;
}

static void no_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec y = kiln_plan_spec(plan, n->out[0]);
    const int64_t count = kiln_shape_count(&y.shape);
    kiln_dispatch d = {.kernel = &kiln_kernel_bits,
                       .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
                       .constants = {y.type == KILN_F32},
                       .constant_count = 1,
                       .block_size = sizeof(struct kiln_params_bits)};
    ((struct kiln_params_bits *)d.block.words)->count = (uint32_t)count;
    return count ? kiln_plan_dispatch(plan, &d) : KILN_OK;
}

const kiln_op kiln_op_bits = {
    .name = "bits",
    .inputs = 1,
    .outputs = 1,
    .infer = infer,
    .grad = no_grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "words", .lower = lower}},
    .lowering_count = 1,
};

/* Halves ------------------------------------------------------------------------------------------------- */

static kiln_tensor word(kiln_graph *g, double value)
{
    return kiln_scalar(g, KILN_U32, value);
}

static kiln_tensor masked(kiln_graph *g, kiln_tensor x, double mask)
{
    return kiln_bit_and(g, x, word(g, mask));
}

static kiln_tensor bits_of(kiln_graph *g, kiln_tensor x)
{
    return kiln_append(g, &kiln_op_bits, &x, 1, NULL, 0);
}

/* F32 words as halves' and back: 112 is the difference of the exponents' biases, 2^24 makes a subnormal half whole. */
static kiln_tensor half_of(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor all = bits_of(g, x), size = masked(g, all, 0x7fffffff);
    const kiln_tensor sign = masked(g, kiln_shift_right(g, all, word(g, 16)), 0x8000);
    const kiln_tensor normal = kiln_shift_right(g, kiln_sub(g, size, word(g, 112 << 23)), word(g, 13));
    const kiln_tensor small = kiln_cast(g, kiln_scale(g, kiln_abs(g, x), 0x1p24), KILN_U32);
    const kiln_tensor beyond_all =
        kiln_bit_or(g, word(g, 0x7c00), masked(g, kiln_shift_right(g, size, word(g, 13)), 0x3ff));
    const kiln_tensor finite = kiln_where(g, kiln_less(g, size, word(g, 0x38800000)), small, normal);
    return kiln_bit_or(g, sign, kiln_where(g, kiln_less(g, size, word(g, 0x7f800000)), finite, beyond_all));
}

static kiln_tensor real_of_half(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor size = masked(g, x, 0x7fff), wide = kiln_shift_left(g, size, word(g, 13));
    const kiln_tensor sign = kiln_shift_left(g, masked(g, x, 0x8000), word(g, 16));
    const kiln_tensor normal = kiln_add(g, wide, word(g, 112 << 23));
    const kiln_tensor beyond_all = kiln_bit_or(g, wide, word(g, 0x7f800000));
    const kiln_tensor small = bits_of(g, kiln_scale(g, kiln_cast(g, size, KILN_F32), 0x1p-24));
    const kiln_tensor finite = kiln_where(g, kiln_less(g, size, word(g, 0x400)), small, normal);
    return bits_of(g, kiln_bit_or(g, sign,
                                  kiln_where(g, kiln_less(g, size, word(g, 0x7c00)), finite, beyond_all)));
}

/* Reals of 4 or 2 bytes as U32, and U32 as these. */
static kiln_tensor words_of(kiln_graph *g, kiln_tensor x)
{
    const kiln_type type = kiln_tensor_type(g, x);
    const kiln_tensor real = kiln_cast(g, x, KILN_F32);
    return type == KILN_F16    ? half_of(g, real)
           : type == KILN_BF16 ? kiln_shift_right(g, bits_of(g, real), word(g, 16))
                               : bits_of(g, real);
}

static kiln_tensor reals_of(kiln_graph *g, kiln_tensor x, kiln_type type)
{
    const kiln_tensor real = type == KILN_F16    ? real_of_half(g, x)
                             : type == KILN_BF16 ? bits_of(g, kiln_shift_left(g, x, word(g, 16)))
                                                 : bits_of(g, x);
    return kiln_cast(g, real, type);
}

kiln_tensor kiln_bitcast(kiln_graph *g, kiln_tensor x, kiln_type type)
{
    const kiln_type from = kiln_tensor_type(g, x);
    const bool was = kiln_type_is_real(from), is = kiln_type_is_real(type);
    if (!x.id || from == type)
        return x;
    if (kiln_type_size(from) != kiln_type_size(type) || ((was || is) && kiln_type_size(type) == 8)) {
        kiln_graph_fail(g, KILN_ERROR_TYPE, "bitcast: from %s to %s, wanted types of one size, no F64",
                        kiln_type_name(from), kiln_type_name(type));
        return KILN_NONE;
    }
    if (was)
        x = words_of(g, x);
    return is ? reals_of(g, kiln_cast(g, x, KILN_U32), type) : kiln_cast(g, x, type);
}

/* The kernel --------------------------------------------------------------------------------------------- */

enum { LANES = 64 };

static uint64_t units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_bits *)d->block.words)->count;
}

static uint64_t unit(const kiln_dispatch *d)
{
    (void)d;
    return LANES;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    ((struct kiln_params_bits *)d->block.words)->count = (uint32_t)count;
    kiln_narrow(d, first, count, (const uint64_t[]){d->element[0], d->element[1]});
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + LANES - 1) / LANES;
}

static const kiln_cut cut = {units, take, unit};
static const kiln_variant flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_bits, .lanes = LANES};

const kiln_kernel kiln_kernel_bits = {
    .name = "bits",
    .block_size = sizeof(struct kiln_params_bits),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = units,
    .reference = kiln_reference_bits_f32,
    .reference_f64 = kiln_reference_bits_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cuts = &cut,
    .cut_count = 1,
};
