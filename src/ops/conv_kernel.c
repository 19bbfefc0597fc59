/*
 * conv_kernel.c - the contracts of convolution: units, windows and variants.
 *
 * On a GPU both kernels are implicit products of matrices in tiles (ops/tiles.h); on drivers that run on the CPU, and for few
 * rows, each invocation keeps 8 x 8 results in registers, as for matmul. Groups of one channel have no matrix to share and
 * kernels of their own.
 *
 *                        rows            columns                               summed
 *   conv                 filters         positions of all images               channels * taps
 *   conv, transposed     channels        elements of a phase, of all images    filters * taps of that phase
 *   conv_grad_filter     filters         channels * taps                       positions of a split's images
 */
#include "conv/conv.h"

#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/lines.h"
#include "ops/rounds.h"
#include "ops/tiles.h"
#include "ops/window.h"
#include "shaders.h"

static const struct kiln_params_conv *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv *)d->block.words;
}

static bool is_transposed(const kiln_dispatch *d)
{
    return d->kernel == &kiln_kernel_conv && d->constants[KILN_CONV_MODE] & KILN_CONV_TRANSPOSED;
}

static uint64_t splits_of(const struct kiln_params_conv *p)
{
    return p->per_split ? ((uint64_t)p->images + p->per_split - 1) / p->per_split * p->pieces : 1;
}

static uint64_t taps_of(const struct kiln_params_conv *p)
{
    return (uint64_t)p->t * p->u * p->v;
}

static uint64_t x_volume(const struct kiln_params_conv *p)
{
    return (uint64_t)p->d * p->h * p->w;
}

static uint64_t y_volume(const struct kiln_params_conv *p)
{
    return (uint64_t)p->od * p->oh * p->ow;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return 2.0 * p->images * p->groups * p->filters * p->channels * (double)(y_volume(p) * taps_of(p));
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* Which binding is what. */
struct roles {
    int x, y, w;
};

static struct roles roles_of(const kiln_dispatch *d)
{
    if (d->kernel == &kiln_kernel_conv_grad_filter)
        return (struct roles){.y = 0, .x = 1, .w = 2};
    return is_transposed(d) ? (struct roles){.y = 0, .w = 1, .x = 2} : (struct roles){.x = 0, .w = 1, .y = 2};
}

/* Elements from an operand's first to its last, both counted. */
static uint64_t x_span(const struct kiln_params_conv *p)
{
    return (uint64_t)(p->images - 1) * p->x_image + p->groups * p->channels * x_volume(p);
}

static uint64_t y_span(const struct kiln_params_conv *p)
{
    return (uint64_t)(p->images - 1) * p->y_image + p->groups * p->filters * y_volume(p);
}

static uint64_t w_span(const struct kiln_params_conv *p)
{
    return (splits_of(p) - 1) * p->part + (uint64_t)(p->groups * p->filters - 1) * p->w_filter +
           p->channels * taps_of(p);
}

/* What lies before a window, in elements of each operand and in channels of the result. */
struct skip {
    uint64_t x, y, w, columns;
};

/* Bind what the block, narrowed already, needs of each operand. */
static void rebind(kiln_dispatch *d, struct skip skip)
{
    struct kiln_params_conv *p = (struct kiln_params_conv *)d->block.words;
    const struct roles r = roles_of(d);
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS && d->kernel == &kiln_kernel_conv; i++) {
        if ((d->constants[0] >> (16 + 4 * i) & 15) != KILN_WALK_FLAT)
            continue;
        if (r.x == 2)
            kiln_bind_window(d, 3 + i, p->x_first + skip.x, x_span(p));
        else
            kiln_bind_window(d, 3 + i, p->y_first + skip.y, y_span(p));
    }
    p->x_first = kiln_bind_window(d, r.x, p->x_first + skip.x, x_span(p));
    p->y_first = kiln_bind_window(d, r.y, p->y_first + skip.y, y_span(p));
    p->w_first = kiln_bind_window(d, r.w, p->w_first + skip.w, w_span(p));
    p->column_first += (uint32_t)skip.columns;
}

/* Images; of the gradient by the filters, whole splits of them. */
static uint64_t images_extent(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return d->kernel == &kiln_kernel_conv || splits_of(p) > 1 ? p->images : 1;
}

static uint64_t images_unit(const kiln_dispatch *d)
{
    return d->kernel == &kiln_kernel_conv ? 1 : block_of(d)->per_split;
}

static void take_images(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv *p = (struct kiln_params_conv *)d->block.words;
    p->images = (uint32_t)count;
    rebind(d, (struct skip){.x = first * p->x_image,
                            .y = first * p->y_image,
                            .w = d->kernel == &kiln_kernel_conv ? 0 : first / p->per_split * p->part});
}

static uint64_t groups_extent(const kiln_dispatch *d)
{
    return block_of(d)->groups;
}

static void take_groups(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv *p = (struct kiln_params_conv *)d->block.words;
    p->groups = (uint32_t)count;
    rebind(d, (struct skip){.x = first * p->channels * x_volume(p),
                            .y = first * p->filters * y_volume(p),
                            .w = first * p->filters * p->w_filter,
                            .columns = first * (is_transposed(d) ? p->channels : p->filters)});
}

/* Filters of the only group, where they are not summed over. */
static uint64_t filters_extent(const kiln_dispatch *d)
{
    return block_of(d)->groups == 1 && !is_transposed(d) ? block_of(d)->filters : 1;
}

static void take_filters(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv *p = (struct kiln_params_conv *)d->block.words;
    p->filters = (uint32_t)count;
    rebind(d, (struct skip){.y = first * y_volume(p), .w = first * p->w_filter, .columns = first});
}

/* Channels, likewise. */
static uint64_t channels_extent(const kiln_dispatch *d)
{
    const bool summed = d->kernel == &kiln_kernel_conv && !is_transposed(d);
    return block_of(d)->groups == 1 && !summed ? block_of(d)->channels : 1;
}

static void take_channels(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv *p = (struct kiln_params_conv *)d->block.words;
    p->channels = (uint32_t)count;
    rebind(d, (struct skip){.x = first * x_volume(p), .w = first * taps_of(p), .columns = first});
}

static const kiln_cut cuts[] = {
    {images_extent, take_images, images_unit},
    {groups_extent, take_groups, kiln_cut_anywhere},
    {filters_extent, take_filters, kiln_cut_anywhere},
    {channels_extent, take_channels, kiln_cut_anywhere},
};

/* Units and workgroups ----------------------------------------------------------------------------------- */

static uint64_t rows_of(const kiln_dispatch *d)
{
    return is_transposed(d) ? block_of(d)->channels : block_of(d)->filters;
}

/* Volumes of the result. */
static uint64_t conv_units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->pieces * block_of(d)->images * block_of(d)->groups * rows_of(d);
}

/* Filters of all splits. */
static uint64_t grad_filter_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return splits_of(p) * p->groups * p->filters;
}

/* The images count as one row of columns; groups, phases and splits apart. */
static struct kiln_products conv_products(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    if (!is_transposed(d))
        return (struct kiln_products){(uint64_t)p->pieces * p->groups, rows_of(d), p->images * y_volume(p)};
    const uint64_t phase =
        kiln_parts(p->d, p->stride_a) * kiln_parts(p->h, p->stride_i) * kiln_parts(p->w, p->stride_j);
    return (struct kiln_products){(uint64_t)p->pieces * p->groups * p->stride_a * p->stride_i * p->stride_j,
                                  rows_of(d), p->images * phase};
}

static struct kiln_products grad_filter_products(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return (struct kiln_products){splits_of(p) * p->groups, p->filters, p->channels * taps_of(p)};
}

/* At the most: of a transposed one's phases some sum over fewer. */
static uint64_t conv_terms(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return (is_transposed(d) ? p->filters : p->channels) / p->pieces * taps_of(p);
}

static uint64_t grad_filter_terms(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return (p->per_split < p->images ? p->per_split : p->images) * y_volume(p) / p->pieces;
}

static uint64_t conv_rounds(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return (is_transposed(d) ? p->filters : p->channels) / p->pieces * kiln_rounds(p->t, p->u, p->v);
}

static uint64_t grad_filter_rounds(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return (p->per_split < p->images ? p->per_split : p->images) * kiln_rounds(p->od, p->oh, p->ow) /
           p->pieces;
}

/* Tiles of 8 x 8 results. */
static uint64_t small_tiles(struct kiln_products x)
{
    return x.count * kiln_parts(x.rows, 8) * kiln_parts(x.columns, 8);
}

#define GROUPS(kernel)                                                                    \
    static uint64_t kernel##_direct_groups(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                                     \
        (void)caps;                                                                       \
        return kiln_parts(small_tiles(kernel##_products(d)), 64);                         \
    }
GROUPS(conv)
GROUPS(grad_filter)
#undef GROUPS

static uint64_t conv_depthwise_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    (void)caps;
    return kiln_parts(conv_units(d) * (is_transposed(d) ? x_volume(p) : y_volume(p)), 64);
}

enum { DEPTHWISE_PLACES = 9 }; /* SOME of conv_grad_filter_depthwise.comp */

static uint64_t grad_filter_depthwise_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return grad_filter_units(d) * kiln_parts(taps_of(block_of(d)), DEPTHWISE_PLACES);
}

/* Variants ----------------------------------------------------------------------------------------------- */

static bool is_depthwise(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    (void)caps;
    return p->groups > 1 && p->channels == 1 && p->filters <= 8 && p->pieces == 1;
}

static bool is_whole(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->pieces == 1;
}

/* Few rows would leave most of a large tile empty; but there must be work for many invocations. */
static bool software_or_few_rows(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->software || (rows_of(d) <= 8 && small_tiles(conv_products(d)) >= 32768);
}

static bool texels(const kiln_caps *caps, uint64_t a, uint64_t b)
{
    return a <= caps->max_texels && b <= caps->max_texels;
}

static bool conv_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    const uint64_t in = is_transposed(d) ? p->y_first + y_span(p) : p->x_first + x_span(p);
    return p->pieces == 1 && texels(caps, in, p->w_first + w_span(p));
}

static bool grad_filter_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return p->images > 0 && p->pieces == 1 && texels(caps, p->y_first + y_span(p), p->x_first + x_span(p));
}

/* Lines of the result, four places each. */
static uint64_t depthwise_texels_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    (void)caps;
    return kiln_parts(conv_units(d) * p->od * p->oh * kiln_parts(p->ow, 4), 64);
}

static bool depthwise_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    return is_depthwise(caps, d) && !is_transposed(d) && conv_texels(caps, d);
}

/* Tiles of 4 x 4 results. */
static uint64_t depthwise_lines_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    (void)caps;
    return kiln_parts(conv_units(d) * kiln_parts(p->oh, 4) * kiln_parts(p->ow, 4), LINES_LANES);
}

/* Planes by filters of 3 x 3 with that stride. A last four of x that is not whole must be there to be read. */
static bool depthwise_lines(const kiln_caps *caps, const kiln_dispatch *d, uint32_t stride)
{
    const struct kiln_params_conv *p = block_of(d);
    return depthwise_texels(caps, d) && !(d->constants[KILN_CONV_MODE] & KILN_CONV_VOLUME) && p->u == 3 &&
           p->v == 3 && p->stride_i == stride && p->stride_j == stride && p->dilation_i == 1 &&
           p->dilation_j == 1 && (d->bind[0].bytes == 0 || (p->x_first + x_span(p)) % 4 == 0);
}

/* Whether all lines begin three elements behind a four, and results are whole fours. */
static bool even_lines(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    return ((p->x_first | p->x_image | p->y_first | p->y_image | p->w | p->ow) & 3) == 0 && p->pad_j == 1;
}

#define DEPTHWISE_LINES(stride)                                                                              \
    static bool depthwise_lines_##stride##_accepts(const kiln_caps *caps, const kiln_dispatch *d)            \
    {                                                                                                        \
        return depthwise_lines(caps, d, stride);                                                             \
    }                                                                                                        \
    static bool depthwise_even_##stride##_accepts(const kiln_caps *caps, const kiln_dispatch *d)             \
    {                                                                                                        \
        return depthwise_lines(caps, d, stride) && even_lines(d);                                            \
    }                                                                                                        \
    LINES_VARIANT(depthwise_even_##stride, kiln_spirv_conv_depthwise_lines_##stride,                         \
                  &kiln_spirv_conv_depthwise_lines_##stride##_half, depthwise_lines_groups, 1 << 0 | 1 << 1, \
                  3, 0);                                                                                     \
    LINES_VARIANT(depthwise_lines_##stride, kiln_spirv_conv_depthwise_lines_##stride,                        \
                  &kiln_spirv_conv_depthwise_lines_##stride##_half, depthwise_lines_groups, 1 << 0 | 1 << 1, \
                  4, 1)
DEPTHWISE_LINES(1);
DEPTHWISE_LINES(2);

static const kiln_variant conv_depthwise_texels = {
    .name = "depthwise_texels",
    .accepts = depthwise_texels,
    .pays = kiln_on_software,
    .groups = depthwise_texels_groups,
    .rounds = conv_rounds,
    .spirv = &kiln_spirv_conv_depthwise_texels,
    .half = &kiln_spirv_conv_depthwise_texels_half,
    .texels = 1 << 0 | 1 << 1,
};
static const kiln_variant conv_depthwise = {
    .name = "depthwise",
    .accepts = is_depthwise,
    .groups = conv_depthwise_groups,
    .rounds = conv_rounds,
    .spirv = &kiln_spirv_conv_depthwise,
    .half = &kiln_spirv_conv_depthwise_half,
};
static const kiln_variant conv_direct_texels = {
    .name = "direct_texels",
    .accepts = conv_texels,
    .pays = kiln_on_software,
    .groups = conv_direct_groups,
    .rounds = conv_rounds,
    .spirv = &kiln_spirv_conv_direct_texels,
    .half = &kiln_spirv_conv_direct_texels_half,
    .texels = 1 << 0 | 1 << 1,
};
static const kiln_variant conv_direct = {
    .name = "direct",
    .accepts = is_whole,
    .pays = software_or_few_rows,
    .groups = conv_direct_groups,
    .rounds = conv_rounds,
    .spirv = &kiln_spirv_conv_direct,
    .half = &kiln_spirv_conv_direct_half,
};
static const kiln_variant grad_filter_depthwise = {
    .name = "depthwise",
    .accepts = is_depthwise,
    .groups = grad_filter_depthwise_groups,
    .rounds = grad_filter_rounds,
    .spirv = &kiln_spirv_conv_grad_filter_depthwise,
    .half = &kiln_spirv_conv_grad_filter_depthwise_half,
};
static const kiln_variant grad_filter_direct_texels = {
    .name = "direct_texels",
    .accepts = grad_filter_texels,
    .pays = kiln_on_software,
    .groups = grad_filter_direct_groups,
    .rounds = grad_filter_rounds,
    .spirv = &kiln_spirv_conv_grad_filter_direct_texels,
    .half = &kiln_spirv_conv_grad_filter_direct_texels_half,
    .texels = 1 << 0 | 1 << 1,
};
static const kiln_variant grad_filter_direct = {
    .name = "direct",
    .accepts = is_whole,
    .pays = kiln_on_software,
    .groups = grad_filter_direct_groups,
    .rounds = grad_filter_rounds,
    .spirv = &kiln_spirv_conv_grad_filter_direct,
    .half = &kiln_spirv_conv_grad_filter_direct_half,
};
KILN_TILED_VARIANTS(conv, conv_tiled);
KILN_TILED_VARIANTS(grad_filter, conv_grad_filter_tiled);

/* How matrix units read both operands: a in fours along terms, which begin at fours, and four neighbours of b that lie in a row, apart or
 * side by side (terms.glsl). */
enum { TERMS, ROWS, BESIDE };

static bool conv_lies(const kiln_dispatch *d, bool a_fours, uint32_t b)
{
    const struct kiln_params_conv *p = block_of(d);
    const uint64_t row = is_transposed(d) ? kiln_parts(p->w, p->stride_j) : p->ow;
    const bool beside = is_transposed(d) || p->stride_j == 1;
    return (!is_transposed(d) && (p->w_filter | p->w_first | conv_terms(d)) % 4 == 0) == a_fours &&
           (row % 4  ? TERMS
            : beside ? BESIDE
                     : ROWS) == b;
}

/* Where terms lie in rows of fours, y begins at fours, too, or it does not count. */
static bool grad_filter_lies(const kiln_dispatch *d, bool a_fours, uint32_t b)
{
    const struct kiln_params_conv *p = block_of(d);
    const bool fours = (p->y_first | p->y_image | y_volume(p) | y_volume(p) / p->pieces) % 4 == 0;
    return fours == a_fours && (!fours || p->ow % 4 ? TERMS : p->stride_j == 1 ? BESIDE : ROWS) == b;
}

static const uint32_t fours_beside[] = {true, BESIDE}, fours_rows[] = {true, ROWS},
                      fours_terms[] = {true, TERMS}, ones_beside[] = {false, BESIDE},
                      ones_rows[] = {false, ROWS}, ones_terms[] = {false, TERMS};
#define LAID(kernel, shader, layout) \
    KILN_COOP_VARIANTS(kernel, layout, shader, kernel##_lies(d, layout[0], layout[1]))
LAID(conv, conv_coop, fours_beside);
LAID(conv, conv_coop, fours_rows);
LAID(conv, conv_coop, fours_terms);
LAID(conv, conv_coop, ones_beside);
LAID(conv, conv_coop, ones_rows);
LAID(conv, conv_coop, ones_terms);
LAID(grad_filter, conv_grad_filter_coop, fours_beside);
LAID(grad_filter, conv_grad_filter_coop, fours_rows);
LAID(grad_filter, conv_grad_filter_coop, fours_terms);
LAID(grad_filter, conv_grad_filter_coop, ones_terms);

/* Contracts ---------------------------------------------------------------------------------------------- */

const kiln_kernel kiln_kernel_conv = {
    .name = "conv",
    .block_size = sizeof(struct kiln_params_conv),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .halves = 1 << 0 | 1 << 1,
    .mixed = 1 << 2 | 1 << 3 | 1 << 4,
    .units = conv_units,
    .reference = kiln_reference_conv_f32,
    .reference_f64 = kiln_reference_conv_f64,
    .gpu = (const kiln_variant *const[]){&depthwise_even_1, &depthwise_lines_1, &depthwise_even_2,
                                         &depthwise_lines_2, &conv_depthwise_texels, &conv_depthwise,
                                         &conv_direct_texels, &conv_direct,
                                         KILN_COOP_LIST(conv, fours_beside), KILN_COOP_LIST(conv, fours_rows),
                                         KILN_COOP_LIST(conv, fours_terms), KILN_COOP_LIST(conv, ones_beside),
                                         KILN_COOP_LIST(conv, ones_rows), KILN_COOP_LIST(conv, ones_terms),
                                         &conv_tiled_large, &conv_tiled_flat, &conv_tiled_usual, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_depthwise_rows, &kiln_cpu_conv_depthwise_planes,
                                         &kiln_cpu_conv_taps, NULL},
    .cuts = cuts,
    .cut_count = 4,
    .flops = flops,
};

const kiln_kernel kiln_kernel_conv_grad_filter = {
    .name = "conv_grad_filter",
    .block_size = sizeof(struct kiln_params_conv),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .mixed = 1 << 2,
    .units = grad_filter_units,
    .reference = kiln_reference_conv_grad_filter_f32,
    .reference_f64 = kiln_reference_conv_grad_filter_f64,
    .gpu = (const kiln_variant *const[]){&grad_filter_depthwise, &grad_filter_direct_texels,
                                         &grad_filter_direct, KILN_COOP_LIST(grad_filter, fours_beside),
                                         KILN_COOP_LIST(grad_filter, fours_rows),
                                         KILN_COOP_LIST(grad_filter, fours_terms),
                                         KILN_COOP_LIST(grad_filter, ones_terms), &grad_filter_tiled_large,
                                         &grad_filter_tiled_flat, &grad_filter_tiled_usual, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_grad_filter_lanes, &kiln_cpu_conv_grad_filter_dots,
                                         NULL},
    .cuts = cuts,
    .cut_count = 4,
    .flops = flops,
};
