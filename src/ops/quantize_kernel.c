/* quantize_kernel.c - the contracts of products of packed bytes: units, windows, variants. */
#include "chain/codes.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "quantize/conv_bytes.h"
#include "quantize/finish.h"
#include "quantize/matmul_bytes.h"
#include "quantize/pack_bytes.h"
#include "shaders.h"

/* Let binding i begin `skip` elements further on and hold `span` of them. */
static void narrow(kiln_dispatch *d, int i, uint64_t skip, uint64_t span)
{
    d->bind[i].offset += skip * d->element[i];
    d->bind[i].bytes = span * d->element[i];
}

/* What finishes the results (finish.h) lies as they do, or by columns. */
static uint32_t walk_of(const kiln_dispatch *d, int operand)
{
    return d->constants[KILN_FINISH_KINDS] >> 4 * operand & 15;
}

static void narrow_flat(kiln_dispatch *d, uint64_t skip, uint64_t span)
{
    narrow(d, 4, skip, span);
    for (int i = 0; i < KILN_FINISH_OPERANDS; i++)
        if (d->bind[5 + i].value.id && walk_of(d, i) == KILN_WALK_FLAT)
            narrow(d, 5 + i, skip, span);
}

static void narrow_columns(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    for (int i = 0; i < KILN_FINISH_OPERANDS; i++)
        if (d->bind[5 + i].value.id && walk_of(d, i) == KILN_WALK_COLUMN)
            narrow(d, 5 + i, first, count);
}

/* No shader has the steps. */
static bool has_none(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[KILN_FINISH_HEAD] == 0;
}

static bool has_dot(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->dot && has_none(caps, d);
}

/* pack_bytes ---------------------------------------------------------------------------------------------- */

static const struct kiln_params_pack_bytes *pack_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_pack_bytes *)d->block.words;
}

static uint64_t pack_units(const kiln_dispatch *d)
{
    return pack_of(d)->words;
}

static uint64_t pack_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (pack_units(d) + 63) / 64;
}

/* Along the batch, and along rows that lie one behind the other. */
static uint64_t pack_batch(const kiln_dispatch *d)
{
    const struct kiln_params_pack_bytes *p = pack_of(d);
    return p->words / ((uint64_t)p->first * p->second);
}

static uint64_t batch_unit(const kiln_dispatch *d)
{
    const struct kiln_params_pack_bytes *p = pack_of(d);
    const uint64_t matrix = (uint64_t)p->first * p->second;
    uint64_t unit = 1;
    while (unit * p->x_batch % 64 || unit * matrix % 64)
        unit++;
    return unit;
}

static void batch_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_pack_bytes *p = (struct kiln_params_pack_bytes *)d->block.words;
    const uint64_t matrix = (uint64_t)p->first * p->second;
    p->words = (uint32_t)(count * matrix);
    narrow(d, 0, first * p->x_batch, count * p->x_batch);
    narrow(d, 1, first * matrix, count * matrix);
}

static uint64_t pack_rows(const kiln_dispatch *d)
{
    return d->constants[0] && pack_of(d)->x_depth == 1 && pack_batch(d) == 1 ? pack_of(d)->first : 1;
}

static void rows_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_pack_bytes *p = (struct kiln_params_pack_bytes *)d->block.words;
    KILN_DIVISOR_SET(p, first, (uint32_t)count);
    p->words = (uint32_t)count * p->second;
    narrow(d, 0, first * p->x_row, count * p->x_row);
    narrow(d, 1, first * p->second, count * p->second);
}

static const kiln_variant pack_flat = {.name = "flat",
                                       .groups = pack_groups,
                                       .spirv = &kiln_spirv_pack_bytes};

const kiln_kernel kiln_kernel_pack_bytes = {
    .name = "pack_bytes",
    .block_size = sizeof(struct kiln_params_pack_bytes),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .bytes = 1 << 0,
    .units = pack_units,
    .reference = kiln_reference_pack_bytes_f32,
    .reference_f64 = kiln_reference_pack_bytes_f64,
    .gpu = (const kiln_variant *const[]){&pack_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pack_bytes_rows, NULL},
    .cuts = (const kiln_cut[]){{pack_batch, batch_take, batch_unit}, {pack_rows, rows_take}},
    .cut_count = 2,
};

/* matmul_bytes -------------------------------------------------------------------------------------------- */

static const struct kiln_params_matmul_bytes *matmul_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul_bytes *)d->block.words;
}

static uint64_t matmul_units(const kiln_dispatch *d)
{
    return (uint64_t)matmul_of(d)->batch * matmul_of(d)->m;
}

static double matmul_flops(const kiln_dispatch *d)
{
    return 2.0 * (double)matmul_units(d) * matmul_of(d)->n * matmul_of(d)->depth;
}

/* Along the rows and the columns of one matrix. */
static uint64_t m_extent(const kiln_dispatch *d)
{
    return matmul_of(d)->batch == 1 ? matmul_of(d)->m : 1;
}

static void m_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_matmul_bytes *p = (struct kiln_params_matmul_bytes *)d->block.words;
    p->m = (uint32_t)count;
    narrow(d, 0, first * p->quads, count * p->quads);
    if (p->a_step)
        narrow(d, 2, first, count);
    narrow_flat(d, first * p->c_m, (count - 1) * p->c_m + p->n);
}

static uint64_t n_extent(const kiln_dispatch *d)
{
    return matmul_of(d)->batch == 1 ? matmul_of(d)->n : 1;
}

static void n_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_matmul_bytes *p = (struct kiln_params_matmul_bytes *)d->block.words;
    p->n = (uint32_t)count;
    narrow(d, 1, first * p->quads, count * p->quads);
    if (p->b_step)
        narrow(d, 3, first, count);
    narrow_flat(d, first, (uint64_t)(p->m - 1) * p->c_m + count);
    narrow_columns(d, first, count);
}

/* Along the batch where it is one axis. */
static uint64_t matrices_extent(const kiln_dispatch *d)
{
    return matmul_of(d)->batch == matmul_of(d)->batch2 ? matmul_of(d)->batch : 1;
}

static uint64_t matrices_unit(const kiln_dispatch *d)
{
    const struct kiln_params_matmul_bytes *p = matmul_of(d);
    uint64_t unit = 1;
    while (unit * p->a_batch2 % 64 || unit * p->b_batch2 % 64 || unit * p->c_batch % 64)
        unit++;
    return unit;
}

static void matrices_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_matmul_bytes *p = (struct kiln_params_matmul_bytes *)d->block.words;
    p->batch = p->batch2 = (uint32_t)count;
    narrow(d, 0, first * p->a_batch2, (count - 1) * p->a_batch2 + (uint64_t)p->m * p->quads);
    narrow(d, 1, first * p->b_batch2, (count - 1) * p->b_batch2 + (uint64_t)p->n * p->quads);
    narrow_flat(d, first * p->c_batch, count * p->c_batch);
}

static uint64_t matmul_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_matmul_bytes *p = matmul_of(d);
    return (uint64_t)p->batch * ((p->m + 63) / 64) * ((p->n + 63) / 64);
}

static const kiln_variant matmul_dot = {.name = "dot",
                                        .accepts = has_dot,
                                        .groups = matmul_groups,
                                        .spirv = &kiln_spirv_matmul_bytes_dot,
                                        .lanes = 128};
static const kiln_variant matmul_tiled = {.name = "tiled_64",
                                          .accepts = has_none,
                                          .groups = matmul_groups,
                                          .spirv = &kiln_spirv_matmul_bytes,
                                          .lanes = 128};

const kiln_kernel kiln_kernel_matmul_bytes = {
    .name = "matmul_bytes",
    .block_size = sizeof(struct kiln_params_matmul_bytes),
    .bindings = 5 + KILN_FINISH_OPERANDS,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .bytes = 1 << 4,
    .units = matmul_units,
    .reference = kiln_reference_matmul_bytes_f32,
    .reference_f64 = kiln_reference_matmul_bytes_f64,
    .gpu = (const kiln_variant *const[]){&matmul_dot, &matmul_tiled, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_matmul_bytes_tiles, NULL},
    .cuts = (const kiln_cut[]){{matrices_extent, matrices_take, matrices_unit},
                               {m_extent, m_take},
                               {n_extent, n_take}},
    .cut_count = 3,
    .flops = matmul_flops,
};

/* conv_bytes ---------------------------------------------------------------------------------------------- */

static const struct kiln_params_conv_bytes *conv_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_bytes *)d->block.words;
}

static uint64_t volume_of(const struct kiln_params_conv_bytes *p)
{
    return (uint64_t)p->od * p->oh * p->ow;
}

static uint64_t filter_of(const struct kiln_params_conv_bytes *p)
{
    return (uint64_t)p->quads * p->t * p->u * p->v;
}

static uint64_t conv_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv_bytes *p = conv_of(d);
    return (uint64_t)p->images * p->groups * p->filters;
}

static double conv_flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv_bytes *p = conv_of(d);
    return 8.0 * (double)conv_units(d) * (double)volume_of(p) * (double)filter_of(p);
}

static uint64_t images_extent(const kiln_dispatch *d)
{
    return conv_of(d)->images;
}

static uint64_t images_unit(const kiln_dispatch *d)
{
    const struct kiln_params_conv_bytes *p = conv_of(d);
    uint64_t unit = 1;
    while (unit * p->x_image % 64 || unit * p->y_image % 64)
        unit++;
    return unit;
}

static void images_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv_bytes *p = (struct kiln_params_conv_bytes *)d->block.words;
    p->images = (uint32_t)count;
    narrow(d, 0, first * p->x_image, count * p->x_image);
    narrow_flat(d, first * p->y_image, count * p->y_image);
}

static uint64_t filters_extent(const kiln_dispatch *d)
{
    return conv_of(d)->groups == 1 ? conv_of(d)->filters : 1;
}

static void filters_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv_bytes *p = (struct kiln_params_conv_bytes *)d->block.words;
    p->filters = (uint32_t)count;
    narrow(d, 1, first * filter_of(p), count * filter_of(p));
    if (p->w_step)
        narrow(d, 3, first, count);
    narrow_flat(d, first * volume_of(p), (uint64_t)(p->images - 1) * p->y_image + count * volume_of(p));
    narrow_columns(d, first, count);
}

static uint64_t conv_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_conv_bytes *p = conv_of(d);
    return p->groups * (uint64_t)((p->filters + 63) / 64) * ((p->images * volume_of(p) + 63) / 64);
}

static const kiln_variant conv_dot = {.name = "dot",
                                      .accepts = has_dot,
                                      .groups = conv_groups,
                                      .spirv = &kiln_spirv_conv_bytes_dot,
                                      .lanes = 128};
static const kiln_variant conv_tiled = {.name = "tiled_64",
                                        .accepts = has_none,
                                        .groups = conv_groups,
                                        .spirv = &kiln_spirv_conv_bytes,
                                        .lanes = 128};

const kiln_kernel kiln_kernel_conv_bytes = {
    .name = "conv_bytes",
    .block_size = sizeof(struct kiln_params_conv_bytes),
    .bindings = 5 + KILN_FINISH_OPERANDS,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .bytes = 1 << 4,
    .units = conv_units,
    .reference = kiln_reference_conv_bytes_f32,
    .reference_f64 = kiln_reference_conv_bytes_f64,
    .gpu = (const kiln_variant *const[]){&conv_dot, &conv_tiled, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_bytes_tiles, NULL},
    .cuts = (const kiln_cut[]){{images_extent, images_take, images_unit}, {filters_extent, filters_take}},
    .cut_count = 2,
    .flops = conv_flops,
};
