/*
 * quantize_conv_fast.c - convolution of packed bytes, fast: the words that a tile of positions meets are gathered into rows, as
 * im2col does, some at a time, and multiplied with the filters' by bytes.h.
 */
#include "cpu/bytes.h"
#include "device/variants.h"
#include "quantize/conv_bytes.h"

#define ROWS    KILN_BYTES_ROWS
#define COLUMNS KILN_BYTES_COLUMNS
#define WORDS   (KILN_BYTES_TERMS / 4)

static const struct kiln_params_conv_bytes *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_bytes *)d->block.words;
}

static size_t parts(size_t size, size_t of)
{
    return (size + of - 1) / of;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t volume_of(const struct kiln_params_conv_bytes *p)
{
    return (size_t)p->od * p->oh * p->ow;
}

static size_t filter_of(const struct kiln_params_conv_bytes *p)
{
    return (size_t)p->quads * p->t * p->u * p->v;
}

/* A unit: some filters of a group at some positions, which count through all images. */
static uint64_t units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_conv_bytes *p = block_of(d);
    return (uint64_t)p->groups * parts(p->filters, ROWS) * parts(p->images * volume_of(p), COLUMNS);
}

static int32_t zero_at(const kiln_memory *m, int binding, size_t i, uint32_t flip)
{
    return (m->at[binding] ? ((const int32_t *)m->at[binding])[i] : 0) - (int32_t)flip;
}

/* Where a position's filter begins: its image's first quad of the group, and places along the axes. */
struct corner {
    const uint32_t *x;
    int32_t a, i, j;
};

static struct corner corner_of(const struct kiln_params_conv_bytes *p, const uint32_t *x, size_t group,
                               size_t position)
{
    const size_t volume = volume_of(p), at = position % volume;
    const size_t plane = (size_t)p->d * p->h * p->w;
    return (struct corner){
        .x = x + position / volume * p->x_image + group * p->quads * plane,
        .a = (int32_t)(at / p->ow / p->oh * p->stride_a) - p->pad_a,
        .i = (int32_t)(at / p->ow % p->oh * p->stride_i) - p->pad_i,
        .j = (int32_t)(at % p->ow * p->stride_j) - p->pad_j,
    };
}

/* Four channels of the padding: the zero point where there is a channel. */
static uint32_t padding(const struct kiln_params_conv_bytes *p, size_t quad, int32_t zero)
{
    const size_t left = p->depth - 4 * quad;
    return ((uint32_t)zero & 0xff) * UINT32_C(0x01010101) &
           (left < 4 ? (UINT32_C(1) << 8 * left) - 1 : UINT32_MAX);
}

static uint32_t word_at(const struct kiln_params_conv_bytes *p, const struct corner *c, size_t quad,
                        size_t tap, int32_t zero)
{
    const uint32_t a = (uint32_t)(c->a + (int32_t)(tap / p->v / p->u * p->dilation_a));
    const uint32_t i = (uint32_t)(c->i + (int32_t)(tap / p->v % p->u * p->dilation_i));
    const uint32_t j = (uint32_t)(c->j + (int32_t)(tap % p->v * p->dilation_j));
    if (a >= p->d || i >= p->h || j >= p->w)
        return padding(p, quad, zero);
    return c->x[((quad * p->d + a) * p->h + i) * p->w + j];
}

/* Words [first, first + count) of what each position meets, in the order of a filter's. */
static void gather(const struct kiln_params_conv_bytes *p, const struct corner *corner, size_t columns,
                   size_t first, size_t count, int32_t zero, uint32_t words[COLUMNS][WORDS])
{
    const size_t taps = (size_t)p->t * p->u * p->v;
    for (size_t k = 0; k < count; k++) {
        const size_t quad = (first + k) / taps, tap = (first + k) % taps;
        for (size_t j = 0; j < columns; j++)
            words[j][k] = word_at(p, &corner[j], quad, tap, zero);
    }
}

static void store(const struct kiln_params_conv_bytes *p, const kiln_memory *m,
                  const struct kiln_bytes_tile *t, size_t filter, size_t rows, size_t position,
                  size_t columns)
{
    const size_t volume = volume_of(p), depth = p->depth * (size_t)p->t * p->u * p->v;
    const int32_t zx = zero_at(m, 2, 0, p->x_flip);
    for (size_t i = 0; i < rows; i++) {
        const int32_t zw = zero_at(m, 3, (filter + i) * p->w_step, p->w_flip);
        for (size_t j = 0; j < columns; j++) {
            const size_t image = (position + j) / volume, at = (position + j) % volume;
            ((int32_t *)m->at[4])[image * p->y_image + (filter + i) * volume + at] =
                kiln_bytes_result(t, i, j, zw, zx, depth);
        }
    }
}

static void run_unit(const struct kiln_params_conv_bytes *p, const kiln_memory *m, size_t unit)
{
    const size_t positions = p->images * volume_of(p), words = filter_of(p);
    const size_t across = parts(positions, COLUMNS), down = parts(p->filters, ROWS);
    const size_t position = unit % across * COLUMNS, row = unit / across % down * ROWS,
                 group = unit / across / down;
    const size_t columns = smaller(COLUMNS, positions - position), rows = smaller(ROWS, p->filters - row);
    const size_t filter = group * p->filters + row;
    const uint32_t *w = (const uint32_t *)m->at[1] + filter * words;
    struct kiln_bytes_tile t;
    struct corner corner[COLUMNS];
    uint32_t met[COLUMNS][WORDS];
    kiln_bytes_clear(&t, columns);
    for (size_t j = 0; j < columns; j++)
        corner[j] = corner_of(p, m->at[0], group, position + j);
    for (size_t k = 0; k < words; k += WORDS) {
        const size_t count = smaller(WORDS, words - k);
        gather(p, corner, columns, k, count, zero_at(m, 2, 0, p->x_flip), met);
        kiln_bytes_add(&t, (const int8_t *)(w + k), (const int8_t *)met, 4 * words, sizeof met[0], rows,
                       columns, 4 * count);
    }
    store(p, m, &t, filter, rows, position, columns);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++)
        run_unit(block_of(d), m, unit);
}

const kiln_variant kiln_cpu_conv_bytes_tiles = {.name = "tiles", .groups = units, .run = run};
