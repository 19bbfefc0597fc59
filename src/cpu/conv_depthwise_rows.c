/*
 * conv_depthwise_rows.c - depthwise convolution by filters of 3 x 3 with a stride of 1 or 2, from x as it lies.
 *
 * A unit of work is a plane of the result. Some of its rows are summed side by side, a vector of columns after the other, so that
 * a row of x that several of them meet is read once, and the filter and the sums stay in registers until the epilogue is done.
 *
 * Vectors look beyond the rows of x: what they meet there is the next row, and masked where it would count. A row above or below
 * the picture is one of zeros. Only where a vector would look beyond x itself is its row copied first.
 */
#include <stdint.h>
#include <string.h>

#include "base/number.h"
#include "conv/conv.h"
#include "cpu/cpu.h"
#include "cpu/epilogue_fast.h"
#include "device/caps.h"
#include "device/variants.h"

#define LANES  16               /* of the widest vector of any machine */
#define MOST   7                /* rows that are summed side by side */
#define LINES  (2 * MOST + 1)   /* of x that they meet */
#define BEYOND (2 * LANES + 16) /* floats that vectors look beyond a row, at the most, and before */

/* What vectors of results have in common. */
struct rows {
    size_t width; /* of the result */
    const struct kiln_row_step *step;
    int steps;
    /* all bits of a lane of the first vector where the filter's first column is in x; of the last one by the last column */
    _Alignas(64) int32_t first[LANES], last[LANES];
};

/* Rows of results at y, of whose plane `left` floats are left; they meet the rows x, from their first padded column on. */
typedef void row_block(const struct rows *t, float *y, size_t left, const float *const *x, const float *w);

struct row_blocks {
    size_t lanes, most;
    row_block *narrow[2][MOST + 1], *wide[2][MOST + 1]; /* by stride - 1 and rows */
};

#define ROWS(name) name##_generic
#define ROWS_TARGET
#define ROWS_LANES   4
#define ROWS_MOST    2
#define ROWS_EACH(X) X(1) X(2)
#define ROWS_EVEN    0, 2, 4, 6
#define ROWS_ODD     1, 3, 5, 7
#define ROWS_NEXT    1, 2, 3, 4
#include "cpu/depthwise_body.h"

#if defined(__x86_64__)
#define ROWS(name)   name##_avx2
#define ROWS_TARGET  __attribute__((target("avx2,fma")))
#define ROWS_LANES   8
#define ROWS_MOST    4
#define ROWS_EACH(X) X(1) X(2) X(3) X(4)
#define ROWS_EVEN    0, 2, 4, 6, 8, 10, 12, 14
#define ROWS_ODD     1, 3, 5, 7, 9, 11, 13, 15
#define ROWS_NEXT    1, 2, 3, 4, 5, 6, 7, 8
#include "cpu/depthwise_body.h"

#define ROWS(name)   name##_avx512
#define ROWS_TARGET  __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))
#define ROWS_LANES   16
#define ROWS_MOST    7
#define ROWS_EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define ROWS_EVEN    0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ROWS_ODD     1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define ROWS_NEXT    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#include "cpu/depthwise_body.h"
#endif

/* For rows of that width: half of the widest vector's lanes in vain cost more than vectors of half that width. */
static const struct row_blocks *blocks_for(size_t width)
{
    (void)width;
#if defined(__x86_64__)
    const struct kiln_cpu_features *features = kiln_cpu_detect();
    if (features->avx512 && width > blocks_avx2.lanes)
        return &blocks_avx512;
    if (features->avx2)
        return &blocks_avx2;
#endif
    return &blocks_generic;
}

/* Planes ------------------------------------------------------------------------------------------------- */

/* Planes of one size. The steps of `rows`, what is done to a result before it is stored, are a plane's own. */
struct planes {
    const struct kiln_params_conv *p;
    row_block *const *block; /* by rows */
    size_t high;             /* the most rows at a time */
    const float *x, *x_end;  /* all that may be read */
    float *zeros, *copies;   /* scratch: a row of zeros, and rows that vectors would look beyond */
    size_t pitch;            /* of scratch */
    ptrdiff_t reach;         /* how far from a row's first column vectors look */
    struct rows rows;
};

static size_t pitch_of(const struct kiln_params_conv *p)
{
    return kiln_round_up(p->w, 16) + 2 * BEYOND;
}

static size_t scratch_size(const struct kiln_params_conv *p)
{
    return (LINES + 1) * pitch_of(p);
}

/* Of a vector that begins at `column`, and column v of the filter. */
static void find_mask(const struct kiln_params_conv *p, size_t column, size_t v, int32_t mask[LANES])
{
    for (size_t l = 0; l < LANES; l++) {
        const ptrdiff_t at = (ptrdiff_t)((column + l) * p->stride_j + v) - p->pad_j;
        mask[l] = -(at >= 0 && at < (ptrdiff_t)p->w);
    }
}

/* For planes of x that lie from x to x_end. It lends p and the scratch. */
static struct planes planes_of(const struct kiln_params_conv *p, const float *x, const float *x_end,
                               float *scratch)
{
    const struct row_blocks *blocks = blocks_for(p->ow);
    struct planes t = {
        .p = p,
        .block = (p->ow > blocks->lanes ? blocks->wide : blocks->narrow)[p->stride_j - 1],
        .high = blocks->most,
        .x = x,
        .x_end = x_end,
        .pitch = pitch_of(p),
        .rows.width = p->ow,
    };
    const size_t last = p->ow > blocks->lanes ? p->ow - blocks->lanes : 0;
    t.reach = (ptrdiff_t)(last * p->stride_j + 2 * blocks->lanes + 2) - p->pad_j;
    t.zeros = scratch + BEYOND;
    t.copies = t.zeros + t.pitch;
    memset(t.zeros - BEYOND, 0, t.pitch * sizeof *t.zeros);
    find_mask(p, 0, 0, t.rows.first);
    find_mask(p, last, 2, t.rows.last);
    return t;
}

/* Whether vectors on a row look beyond x. */
static bool looks_beyond(const struct planes *t, const float *row)
{
    return row - t->x < t->p->pad_j || t->x_end - row < t->reach;
}

/* Where row i of the plane x begins, padding included; `inner`: no row looks beyond all that may be read. */
static const float *line_of(const struct planes *t, const float *x, bool inner, size_t i, float *room)
{
    const size_t width = t->p->w;
    const float *row = t->zeros;
    if (i < t->p->h) /* one above has wrapped around */
        row = x + i * width;
    if (row != t->zeros && !inner && looks_beyond(t, row))
        row = memcpy(room, row, width * sizeof *room);
    return row - t->p->pad_j;
}

/* The plane x by the filter w to y; nothing is written beyond. */
static void sum_plane(const struct planes *t, float *y, const float *w, const float *x)
{
    const struct kiln_params_conv *p = t->p;
    const size_t high = kiln_parts(p->oh, kiln_parts(p->oh, t->high));
    const bool inner = !looks_beyond(t, x) && !looks_beyond(t, x + (size_t)(p->h - 1) * p->w);
    const float *line[LINES];
    for (size_t i = 0; i < p->oh; i += high) {
        const size_t rows = p->oh - i < high ? p->oh - i : high, lines = (rows - 1) * p->stride_i + 3;
        for (size_t r = 0; r < lines; r++)
            line[r] = line_of(t, x, inner, i * p->stride_i + r - (size_t)p->pad_i, t->copies + r * t->pitch);
        t->block[rows](&t->rows, y + i * p->ow, (p->oh - i) * p->ow, line, w);
    }
}

/* The variant -------------------------------------------------------------------------------------------- */

static const struct kiln_params_conv *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv *)d->block.words;
}

/* Beyond a row's end lies one padded column at the most that a result meets. */
static bool pads_little(const struct kiln_params_conv *p)
{
    return p->pad_j >= 0 && p->pad_j <= 1 &&
           (int64_t)(p->ow - 1) * p->stride_j + 2 - p->pad_j <= (int64_t)p->w;
}

static bool fits(const struct kiln_params_conv *p)
{
    return p->u == 3 && p->v == 3 && p->dilation_i == 1 && p->dilation_j == 1 && p->stride_i == p->stride_j &&
           p->stride_i <= 2 && pads_little(p);
}

static bool rows_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    return kiln_cpu_conv_depthwise_planes.accepts(caps, d) && fits(block_of(d));
}

static uint64_t rows_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    return kiln_cpu_conv_depthwise_planes.groups(caps, d);
}

static uint64_t rows_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return scratch_size(block_of(d)) * sizeof(float);
}

static void rows_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_conv *p = block_of(d);
    const size_t planes = (size_t)p->groups * p->filters, area = (size_t)p->oh * p->ow;
    const float *x = m->at[0];
    struct planes t = planes_of(p, x, x + m->bytes[0] / sizeof *x, m->scratch);
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d->constants, p->immediate, m->at + 3, true);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t image = unit / planes, plane = unit % planes, column = p->column_first + plane;
        const size_t at = p->y_first + image * p->y_image + plane * area;
        float *y = (float *)m->at[2] + at;
        t.rows.step = kiln_row_epilogue_numbers(&epilogue, column);
        t.rows.steps = t.rows.step ? epilogue.steps : 0;
        const size_t from = p->x_first + image * p->x_image + plane / p->filters * ((size_t)p->h * p->w);
        sum_plane(&t, y, (const float *)m->at[1] + p->w_first + plane * p->w_filter, x + from);
        if (!t.rows.step)
            kiln_row_epilogue_run(&epilogue, y, at, 0, column, area);
    }
}

const kiln_variant kiln_cpu_conv_depthwise_rows = {
    .name = "rows",
    .accepts = rows_accepts,
    .groups = rows_units,
    .scratch = rows_scratch,
    .run = rows_run,
};
