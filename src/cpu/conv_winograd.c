/*
 * conv_winograd.c - the meaning of conv_winograd_filters, conv_winograd and conv_grad_winograd. Units: blocks of transformed filters;
 * channels of the result; filters of all splits.
 */
#include "conv/conv_winograd.h"

#include <string.h>

#include "conv/conv_grad_winograd.h"
#include "conv/conv_winograd_filters.h"
#include "cpu/epilogue.h"
#include "cpu/reference.h"

enum { IN = 6, OUT = 4, TAPS = 3 };

static const double g_matrix[IN][TAPS] = {
    {1 / 4.0, 0, 0},
    {-1 / 6.0, -1 / 6.0, -1 / 6.0},
    {-1 / 6.0, 1 / 6.0, -1 / 6.0},
    {1 / 24.0, 1 / 12.0, 1 / 6.0},
    {1 / 24.0, -1 / 12.0, 1 / 6.0},
    {0, 0, 1},
};
static const double b_matrix[IN][IN] = {
    {4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
    {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1},
};
static const double a_matrix[OUT][IN] = {
    {1, 1, 1, 1, 1, 0},
    {0, 1, -1, 2, -2, 0},
    {0, 1, 1, 4, 4, 0},
    {0, 1, -1, 8, -8, 1},
};

static const double a_turned[IN][OUT] = {
    {1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 1},
};
static const double g_turned[TAPS][IN] = {
    {1 / 4.0, -1 / 6.0, -1 / 6.0, 1 / 24.0, 1 / 24.0, 0},
    {0, -1 / 6.0, 1 / 6.0, 1 / 12.0, -1 / 12.0, 0},
    {0, -1 / 6.0, -1 / 6.0, 1 / 6.0, 1 / 6.0, 1},
};

/* to = m from m^T, for a matrix m of rows x columns. */
static void transform(double *to, const double *m, int rows, int columns, const double *from)
{
    double half[IN * IN];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            half[i * columns + j] = 0;
            for (int k = 0; k < columns; k++)
                half[i * columns + j] += m[i * columns + k] * from[k * columns + j];
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            to[i * rows + j] = 0;
            for (int k = 0; k < columns; k++)
                to[i * rows + j] += half[i * columns + k] * m[j * columns + k];
        }
}

void KILN_REFERENCE(conv_winograd_filters)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                           size_t first, size_t count)
{
    const struct kiln_params_conv_winograd_filters *p = block;
    const size_t row = KILN_WINOGRAD_BLOCK, blocks = (p->filters + row - 1) / row;
    (void)constants;
    for (size_t b = first; b < first + count; b++)
        for (size_t c = 0; c < p->channels; c++)
            for (size_t o = b * row; o < (b + 1) * row; o++) {
                const real *w = (const real *)m->at[0] + o * p->filter_step + c * p->channel_step;
                double taps[TAPS * TAPS] = {0}, u[IN * IN];
                for (size_t i = 0; i < TAPS * TAPS && o < p->filters; i++)
                    taps[i] = (double)w[p->turned ? TAPS * TAPS - 1 - i : i];
                transform(u, &g_matrix[0][0], IN, TAPS, taps);
                for (size_t k = 0; k < KILN_WINOGRAD_PLACES; k++)
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

/* The 4 x 4 results of filter o at tile (i, j) of image n. */
static void make_tile(const struct kiln_params_conv_winograd *p, const kiln_memory *m, size_t n, size_t o,
                      size_t i, size_t j, double *y)
{
    const size_t row = KILN_WINOGRAD_BLOCK, blocks = (p->filters + row - 1) / row, area = (size_t)p->h * p->w;
    double sum[IN * IN] = {0};
    for (size_t c = 0; c < p->channels; c++) {
        double d[IN * IN], v[IN * IN];
        read_tile((const real *)m->at[0] + (n * p->channels + c) * area, p->h, p->w,
                  (ptrdiff_t)(OUT * i) - p->pad_i, (ptrdiff_t)(OUT * j) - p->pad_j, IN, d);
        transform(v, &b_matrix[0][0], IN, IN, d);
        for (size_t k = 0; k < KILN_WINOGRAD_PLACES; k++)
            sum[k] +=
                v[k] *
                (double)((const real *)m->at[1])[((k * blocks + o / row) * p->channels + c) * row + o % row];
    }
    transform(y, &a_matrix[0][0], OUT, IN, sum);
}

/* Store the results of a tile of that unit. */
static void store_tile(const struct kiln_params_conv_winograd *p, const struct epilogue *e, real *to,
                       size_t unit, size_t i, size_t j, const double *y)
{
    for (size_t k = 0; k < OUT * OUT; k++) {
        const size_t row = i * OUT + k / OUT, column = j * OUT + k % OUT;
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
        for (size_t i = 0; i < p->oh; i += OUT)
            for (size_t j = 0; j < p->ow; j += OUT) {
                double y[OUT * OUT];
                make_tile(p, m, unit / p->filters, unit % p->filters, i / OUT, j / OUT, y);
                store_tile(p, &e, m->at[2], unit, i / OUT, j / OUT, y);
            }
}

/* Add what image n gives to the sums of filter o and channel c. */
static void add_image(const struct kiln_params_conv_grad_winograd *p, const kiln_memory *m, size_t n,
                      size_t o, size_t c, double sum[IN * IN])
{
    const real *y = (const real *)m->at[0] + (n * p->filters + o) * p->oh * p->ow;
    const real *x = (const real *)m->at[1] + (n * p->channels + c) * p->h * p->w;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)p->oh; i += OUT)
        for (ptrdiff_t j = 0; j < (ptrdiff_t)p->ow; j += OUT) {
            double d[IN * IN], a[IN * IN], b[IN * IN];
            read_tile(y, p->oh, p->ow, i, j, OUT, d);
            transform(a, &a_turned[0][0], IN, OUT, d);
            read_tile(x, p->h, p->w, i - p->pad_i, j - p->pad_j, IN, d);
            transform(b, &b_matrix[0][0], IN, IN, d);
            for (size_t k = 0; k < KILN_WINOGRAD_PLACES; k++)
                sum[k] += a[k] * b[k];
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
            double sum[IN * IN] = {0}, w[TAPS * TAPS];
            for (size_t n = begin; n < begin + p->per_split && n < p->images; n++)
                add_image(p, m, n, o, c, sum);
            transform(w, &g_turned[0][0], TAPS, IN, sum);
            for (size_t i = 0; i < TAPS * TAPS; i++)
                ((real *)m->at[2])[split * p->part + (o * p->channels + c) * TAPS * TAPS + i] = (real)w[i];
        }
}
