/*
 * conv_winograd.c - the meaning of conv_winograd_filters, conv_winograd, the two halves of it, and conv_grad_winograd. Units: blocks of
 * transformed filters; channels of the result; channels of x; channels of the result; filters of all splits.
 */
#include "conv/conv_winograd.h"

#include <stdbool.h>

#include "conv/conv_grad_winograd.h"
#include "conv/conv_winograd_filters.h"
#include "conv/conv_winograd_in.h"
#include "conv/conv_winograd_out.h"
#include "cpu/epilogue.h"
#include "cpu/reference.h"

enum { IN = 6, OUT = 4, TAPS = 3, PLACES = IN * IN }; /* IN, OUT, PLACES: of the larger tile */

/* A matrix of rows x columns, row by row; turned, its transpose's elements are at `at`. */
struct matrix {
    int rows, columns;
    const double *at;
    bool turned;
};

/* A^T, B^T and G of a tile, in both directions, and its sizes: results of a side, what they meet of x, places. */
struct tiling {
    int out, in, places;
    struct matrix g, gt, bt, at, a;
};

static const double g4[IN][TAPS] = {
    {1 / 4.0, 0, 0},
    {-1 / 6.0, -1 / 6.0, -1 / 6.0},
    {-1 / 6.0, 1 / 6.0, -1 / 6.0},
    {1 / 24.0, 1 / 12.0, 1 / 6.0},
    {1 / 24.0, -1 / 12.0, 1 / 6.0},
    {0, 0, 1},
};
static const double bt4[IN][IN] = {
    {4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
    {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1},
};
static const double at4[OUT][IN] = {
    {1, 1, 1, 1, 1, 0},
    {0, 1, -1, 2, -2, 0},
    {0, 1, 1, 4, 4, 0},
    {0, 1, -1, 8, -8, 1},
};
static const double g2[4][TAPS] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
static const double bt2[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};
static const double at2[2][4] = {{1, 1, 1, 0}, {0, 1, -1, 1}};

#define TILING(out, g, bt, at)                                                               \
    {                                                                                        \
        out, (out) + 2, KILN_WINOGRAD_PLACES(out), {(out) + 2, TAPS, &(g)[0][0], false},     \
            {TAPS, (out) + 2, &(g)[0][0], true}, {(out) + 2, (out) + 2, &(bt)[0][0], false}, \
            {out, (out) + 2, &(at)[0][0], false}, {(out) + 2, out, &(at)[0][0], true},       \
    }

static const struct tiling by_four = TILING(4, g4, bt4, at4), by_two = TILING(2, g2, bt2, at2);

static const struct tiling *tiling_of(uint32_t tile)
{
    return tile == 2 ? &by_two : &by_four;
}

static double element(const struct matrix *m, int i, int j)
{
    return m->turned ? m->at[j * m->rows + i] : m->at[i * m->columns + j];
}

/* to = m from m^T */
static void transform(double *to, const struct matrix *m, const double *from)
{
    double half[PLACES];
    for (int i = 0; i < m->rows; i++)
        for (int j = 0; j < m->columns; j++) {
            half[i * m->columns + j] = 0;
            for (int k = 0; k < m->columns; k++)
                half[i * m->columns + j] += element(m, i, k) * from[k * m->columns + j];
        }
    for (int i = 0; i < m->rows; i++)
        for (int j = 0; j < m->rows; j++) {
            to[i * m->rows + j] = 0;
            for (int k = 0; k < m->columns; k++)
                to[i * m->rows + j] += half[i * m->columns + k] * element(m, j, k);
        }
}

void KILN_REFERENCE(conv_winograd_filters)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                           size_t first, size_t count)
{
    const struct kiln_params_conv_winograd_filters *p = block;
    const struct tiling *t = tiling_of(p->tile);
    const size_t row = KILN_WINOGRAD_BLOCK, blocks = (p->filters + row - 1) / row;
    (void)constants;
    for (size_t b = first; b < first + count; b++)
        for (size_t c = 0; c < p->channels; c++)
            for (size_t o = b * row; o < (b + 1) * row; o++) {
                const real *w = (const real *)m->at[0] + o * p->filter_step + c * p->channel_step;
                double taps[TAPS * TAPS] = {0}, u[PLACES];
                for (size_t i = 0; i < TAPS * TAPS && o < p->filters; i++)
                    taps[i] = (double)w[p->turned ? TAPS * TAPS - 1 - i : i];
                transform(u, &t->g, taps);
                for (size_t k = 0; k < (size_t)t->places; k++)
                    ((real *)m->at[1])[((k * blocks + b) * p->channels + c) * row + o % row] = (real)u[k];
            }
}

/* The size x size elements of a picture from (row, column) on, zeros outside. */
static void read_tile(const real *x, ptrdiff_t height, ptrdiff_t width, ptrdiff_t row, ptrdiff_t column,
                      ptrdiff_t size, double *d)
{
    for (ptrdiff_t i = row; i < row + size; i++)
        for (ptrdiff_t j = column; j < column + size; j++)
            *d++ = i >= 0 && i < height && j >= 0 && j < width ? (double)x[i * width + j] : 0;
}

/* The transformed filter o of channel c. */
static void read_filter(const struct kiln_params_conv_winograd *p, const kiln_memory *m, size_t o, size_t c,
                        double u[PLACES])
{
    const struct tiling *t = tiling_of(p->tile);
    const size_t row = KILN_WINOGRAD_BLOCK, blocks = (p->filters + row - 1) / row, block = o / row;
    const real *from = (const real *)m->at[1] + o % row;
    double taps[TAPS * TAPS];
    for (size_t k = 0; k < (size_t)t->places && !p->taps; k++)
        u[k] = (double)from[((k * blocks + block) * p->channels + c) * row];
    for (size_t i = 0; i < TAPS * TAPS && p->taps; i++)
        taps[i] = (double)from[((block * p->channels + c) * TAPS * TAPS + i) * row];
    if (p->taps)
        transform(u, &t->g, taps);
}

/* The results of filter o at tile (i, j) of image n. */
static void make_tile(const struct kiln_params_conv_winograd *p, const kiln_memory *m, size_t n, size_t o,
                      size_t i, size_t j, double *y)
{
    const struct tiling *t = tiling_of(p->tile);
    const size_t area = (size_t)p->h * p->w;
    double sum[PLACES] = {0};
    for (size_t c = 0; c < p->channels; c++) {
        double d[PLACES], v[PLACES], u[PLACES];
        read_tile((const real *)m->at[0] + (n * p->channels + c) * area, p->h, p->w,
                  (ptrdiff_t)(p->tile * i) - p->pad_i, (ptrdiff_t)(p->tile * j) - p->pad_j, t->in, d);
        transform(v, &t->bt, d);
        read_filter(p, m, o, c, u);
        for (size_t k = 0; k < (size_t)t->places; k++)
            sum[k] += v[k] * u[k];
    }
    transform(y, &t->at, sum);
}

/* Store the results of a tile of that unit. */
static void store_tile(const struct kiln_params_conv_winograd *p, const struct epilogue *e, real *to,
                       size_t unit, size_t i, size_t j, const double *y)
{
    for (size_t k = 0; k < (size_t)p->tile * p->tile; k++) {
        const size_t row = i * p->tile + k / p->tile, column = j * p->tile + k % p->tile;
        const size_t flat = (unit * p->oh + row) * p->ow + column;
        if (row < p->oh && column < p->ow)
            to[flat] = epilogue_apply(e, (real)y[k], flat, 0, unit % p->filters);
    }
}

void KILN_REFERENCE(conv_winograd)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    const struct kiln_params_conv_winograd *p = block;
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 3);
    for (size_t unit = first; unit < first + count; unit++)
        for (size_t i = 0; i * p->tile < p->oh; i++)
            for (size_t j = 0; j * p->tile < p->ow; j++) {
                double y[OUT * OUT];
                make_tile(p, m, unit / p->filters, unit % p->filters, i, j, y);
                store_tile(p, &e, m->at[2], unit, i, j, y);
            }
}

void KILN_REFERENCE(conv_winograd_in)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                      size_t first, size_t count)
{
    const struct kiln_params_conv_winograd_in *p = block;
    const struct tiling *t = tiling_of(p->tile);
    const size_t tiles = (size_t)p->down * p->across, area = (size_t)p->h * p->w;
    (void)constants;
    for (size_t c = first; c < first + count; c++)
        for (size_t column = 0; column < p->columns; column++) {
            const size_t n = column / tiles, i = column % tiles / p->across, j = column % p->across;
            double d[PLACES] = {0}, v[PLACES];
            if (n < p->images)
                read_tile((const real *)m->at[0] + (n * p->channels + c) * area, p->h, p->w,
                          (ptrdiff_t)(p->tile * i) - p->pad_i, (ptrdiff_t)(p->tile * j) - p->pad_j, t->in, d);
            transform(v, &t->bt, d);
            for (size_t k = 0; k < (size_t)t->places; k++)
                ((real *)m->at[1])[(k * p->channels + c) * p->columns + column] = (real)v[k];
        }
}

void KILN_REFERENCE(conv_winograd_out)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                       size_t first, size_t count)
{
    const struct kiln_params_conv_winograd_out *p = block;
    const struct tiling *t = tiling_of(p->tile);
    const struct kiln_params_conv_winograd whole = {
        .tile = p->tile, .filters = p->filters, .oh = p->oh, .ow = p->ow};
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 2);
    const size_t tiles = (size_t)p->down * p->across;
    for (size_t unit = first; unit < first + count; unit++)
        for (size_t i = 0; i < tiles; i++) {
            const size_t column = unit / p->filters * tiles + i;
            double sum[PLACES], y[OUT * OUT];
            for (size_t k = 0; k < (size_t)t->places; k++)
                sum[k] =
                    (double)((const real *)m->at[0])[(k * p->rows + unit % p->filters) * p->columns + column];
            transform(y, &t->at, sum);
            store_tile(&whole, &e, m->at[1], unit, i / p->across, i % p->across, y);
        }
}

/* Add what image n gives to the sums of filter o and channel c. */
static void add_image(const struct kiln_params_conv_grad_winograd *p, const kiln_memory *m, size_t n,
                      size_t o, size_t c, double sum[PLACES])
{
    const real *y = (const real *)m->at[0] + (n * p->filters + o) * p->oh * p->ow;
    const real *x = (const real *)m->at[1] + (n * p->channels + c) * p->h * p->w;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)p->oh; i += OUT)
        for (ptrdiff_t j = 0; j < (ptrdiff_t)p->ow; j += OUT) {
            double d[PLACES], of_y[PLACES], of_x[PLACES];
            read_tile(y, p->oh, p->ow, i, j, OUT, d);
            transform(of_y, &by_four.a, d);
            read_tile(x, p->h, p->w, i - p->pad_i, j - p->pad_j, IN, d);
            transform(of_x, &by_four.bt, d);
            for (size_t k = 0; k < PLACES; k++)
                sum[k] += of_y[k] * of_x[k];
        }
}

void KILN_REFERENCE(conv_grad_winograd)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                        size_t first, size_t count)
{
    const struct kiln_params_conv_grad_winograd *p = block;
    (void)constants;
    for (size_t unit = first; unit < first + count; unit++)
        for (size_t c = 0; c < p->channels; c++) {
            const size_t split = unit / p->filters, o = unit % p->filters, begin = split * p->per_split;
            double sum[PLACES] = {0}, w[TAPS * TAPS];
            for (size_t n = begin; n < begin + p->per_split && n < p->images; n++)
                add_image(p, m, n, o, c, sum);
            transform(w, &by_four.gt, sum);
            for (size_t i = 0; i < TAPS * TAPS; i++)
                ((real *)m->at[2])[split * p->part + (o * p->channels + c) * TAPS * TAPS + i] = (real)w[i];
        }
}
