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

enum { IN = 6, OUT = 4, TAPS = 3 };

/* A matrix of rows x columns, row by row; turned, its transpose's elements are at `at`. */
struct matrix {
    int rows, columns;
    const double *at;
    bool turned;
};

static const double g_elements[IN][TAPS] = {
    {1 / 4.0, 0, 0},
    {-1 / 6.0, -1 / 6.0, -1 / 6.0},
    {-1 / 6.0, 1 / 6.0, -1 / 6.0},
    {1 / 24.0, 1 / 12.0, 1 / 6.0},
    {1 / 24.0, -1 / 12.0, 1 / 6.0},
    {0, 0, 1},
};
static const double bt_elements[IN][IN] = {
    {4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
    {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1},
};
static const double at_elements[OUT][IN] = {
    {1, 1, 1, 1, 1, 0},
    {0, 1, -1, 2, -2, 0},
    {0, 1, 1, 4, 4, 0},
    {0, 1, -1, 8, -8, 1},
};
static const struct matrix matrix_g = {IN, TAPS, &g_elements[0][0], false},
                           matrix_gt = {TAPS, IN, &g_elements[0][0], true},
                           matrix_bt = {IN, IN, &bt_elements[0][0], false},
                           matrix_at = {OUT, IN, &at_elements[0][0], false},
                           matrix_a = {IN, OUT, &at_elements[0][0], true};

static double element(const struct matrix *m, int i, int j)
{
    return m->turned ? m->at[j * m->rows + i] : m->at[i * m->columns + j];
}

/* to = m from m^T */
static void transform(double *to, const struct matrix *m, const double *from)
{
    double half[IN * IN];
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
    const size_t row = KILN_WINOGRAD_BLOCK, blocks = (p->filters + row - 1) / row;
    (void)constants;
    for (size_t b = first; b < first + count; b++)
        for (size_t c = 0; c < p->channels; c++)
            for (size_t o = b * row; o < (b + 1) * row; o++) {
                const real *w = (const real *)m->at[0] + o * p->filter_step + c * p->channel_step;
                double taps[TAPS * TAPS] = {0}, u[IN * IN];
                for (size_t i = 0; i < TAPS * TAPS && o < p->filters; i++)
                    taps[i] = (double)w[p->turned ? TAPS * TAPS - 1 - i : i];
                transform(u, &matrix_g, taps);
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

/* The transformed filter o of channel c. */
static void read_filter(const struct kiln_params_conv_winograd *p, const kiln_memory *m, size_t o, size_t c,
                        double u[IN * IN])
{
    const size_t row = KILN_WINOGRAD_BLOCK, blocks = (p->filters + row - 1) / row, block = o / row;
    const real *from = (const real *)m->at[1] + o % row;
    double taps[TAPS * TAPS];
    for (size_t k = 0; k < KILN_WINOGRAD_PLACES && !p->taps; k++)
        u[k] = (double)from[((k * blocks + block) * p->channels + c) * row];
    for (size_t i = 0; i < TAPS * TAPS && p->taps; i++)
        taps[i] = (double)from[((block * p->channels + c) * TAPS * TAPS + i) * row];
    if (p->taps)
        transform(u, &matrix_g, taps);
}

/* The 4 x 4 results of filter o at tile (i, j) of image n. */
static void make_tile(const struct kiln_params_conv_winograd *p, const kiln_memory *m, size_t n, size_t o,
                      size_t i, size_t j, double *y)
{
    const size_t area = (size_t)p->h * p->w;
    double sum[IN * IN] = {0};
    for (size_t c = 0; c < p->channels; c++) {
        double d[IN * IN], v[IN * IN], u[IN * IN];
        read_tile((const real *)m->at[0] + (n * p->channels + c) * area, p->h, p->w,
                  (ptrdiff_t)(OUT * i) - p->pad_i, (ptrdiff_t)(OUT * j) - p->pad_j, IN, d);
        transform(v, &matrix_bt, d);
        read_filter(p, m, o, c, u);
        for (size_t k = 0; k < KILN_WINOGRAD_PLACES; k++)
            sum[k] += v[k] * u[k];
    }
    transform(y, &matrix_at, sum);
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

void KILN_REFERENCE(conv_winograd_in)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                      size_t first, size_t count)
{
    const struct kiln_params_conv_winograd_in *p = block;
    const size_t tiles = (size_t)p->down * p->across, area = (size_t)p->h * p->w;
    (void)constants;
    for (size_t c = first; c < first + count; c++)
        for (size_t t = 0; t < p->columns; t++) {
            const size_t n = t / tiles, i = t % tiles / p->across, j = t % p->across;
            double d[IN * IN] = {0}, v[IN * IN];
            if (n < p->images)
                read_tile((const real *)m->at[0] + (n * p->channels + c) * area, p->h, p->w,
                          (ptrdiff_t)(OUT * i) - p->pad_i, (ptrdiff_t)(OUT * j) - p->pad_j, IN, d);
            transform(v, &matrix_bt, d);
            for (size_t k = 0; k < KILN_WINOGRAD_PLACES; k++)
                ((real *)m->at[1])[(k * p->channels + c) * p->columns + t] = (real)v[k];
        }
}

void KILN_REFERENCE(conv_winograd_out)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                       size_t first, size_t count)
{
    const struct kiln_params_conv_winograd_out *p = block;
    const struct kiln_params_conv_winograd whole = {.filters = p->filters, .oh = p->oh, .ow = p->ow};
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 2);
    const size_t tiles = (size_t)p->down * p->across;
    for (size_t unit = first; unit < first + count; unit++)
        for (size_t t = 0; t < tiles; t++) {
            const size_t column = unit / p->filters * tiles + t;
            double sum[IN * IN], y[OUT * OUT];
            for (size_t k = 0; k < KILN_WINOGRAD_PLACES; k++)
                sum[k] =
                    (double)((const real *)m->at[0])[(k * p->rows + unit % p->filters) * p->columns + column];
            transform(y, &matrix_at, sum);
            store_tile(&whole, &e, m->at[1], unit, t / p->across, t % p->across, y);
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
            double d[IN * IN], of_y[IN * IN], of_x[IN * IN];
            read_tile(y, p->oh, p->ow, i, j, OUT, d);
            transform(of_y, &matrix_a, d);
            read_tile(x, p->h, p->w, i - p->pad_i, j - p->pad_j, IN, d);
            transform(of_x, &matrix_bt, d);
            for (size_t k = 0; k < KILN_WINOGRAD_PLACES; k++)
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
            double sum[IN * IN] = {0}, w[TAPS * TAPS];
            for (size_t n = begin; n < begin + p->per_split && n < p->images; n++)
                add_image(p, m, n, o, c, sum);
            transform(w, &matrix_gt, sum);
            for (size_t i = 0; i < TAPS * TAPS; i++)
                ((real *)m->at[2])[split * p->part + (o * p->channels + c) * TAPS * TAPS + i] = (real)w[i];
        }
}
