/*
 * conv_depthwise.c - convolution whose groups have one channel: there is no matrix, and each plane of the result follows from one
 * plane of x.
 *
 * A unit of work is a plane of the result. It goes through bands of rows: a band's rows of x are copied among their zeros, their
 * columns in phases of the stride (conv_plane.h), so that each place of the filter meets a run of floats; then eight results at a time
 * are summed in a register. The zeros of one band that is the whole plane are those of all planes, and written once.
 */
#include <string.h>

#include "base/number.h"
#include "conv/conv.h"
#include "cpu/conv_plane.h"
#include "cpu/epilogue_fast.h"
#include "cpu/simd.h"
#include "device/caps.h"
#include "device/variants.h"

#define LANES 8
#define ROOM  16384 /* floats of a band, about */
#define TAPS  64    /* places of a filter, at most */

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in memory */

struct depthwise {
    const struct kiln_params_conv *p;
    struct axis i, j;
    size_t band;         /* rows of the result */
    size_t rows;         /* of x that a band meets */
    size_t phases;       /* of its columns, that filters meet */
    size_t pitch, plane; /* floats of a phase of a row, of all rows */
    size_t taps;
    size_t at[TAPS]; /* of the filter's places, from where their first one lies */
};

static struct depthwise depthwise_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = (const struct kiln_params_conv *)d->block.words;
    struct depthwise t = {
        .p = p,
        .i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
        .j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow},
        .taps = (size_t)p->u * p->v,
    };
    const size_t reach = (t.i.taps - 1) * t.i.dilation;
    t.pitch = kiln_round_up(p->ow, LANES) + kiln_round_up(axis_reach(&t.j), LANES) + LANES;
    t.phases = axis_phases(&t.j);
    const size_t rows = ROOM / (t.pitch * t.phases),
                 band = rows > reach ? (rows - reach - 1) / t.i.stride + 1 : 1;
    t.band = band < p->oh ? band : p->oh;
    t.rows = (t.band - 1) * t.i.stride + reach + 1;
    t.plane = t.rows * t.pitch;
    for (size_t k = 0; k < t.taps; k++) {
        const size_t u = k / p->v, v = k % p->v;
        t.at[k] = v % t.phases * t.plane + u * t.i.dilation * t.pitch + axis_shift(&t.j, v);
    }
    return t;
}

static size_t room_of(const struct depthwise *t)
{
    return kiln_round_up(t->plane * t->phases, 16);
}

/* `count` elements, every `step`th, in whole vectors where there are such: the last ones overlap. */
KILN_INLINE void copy_elements(float *to, const float *from, size_t step, size_t count)
{
    if (step > 1 || count < LANES) {
        copy_columns(to, from, step, count);
        return;
    }
    for (size_t i = 0; i + LANES < count; i += LANES)
        *(loose *)(to + i) = *(const loose *)(from + i);
    *(loose *)(to + count - LANES) = *(const loose *)(from + count - LANES);
}

/* The planes of x that a band of the result meets, from row `first` on, among zeros: one for each phase of the columns. */
KILN_INLINE void copy_band(const struct depthwise *t, float *room, const float *x, size_t first, size_t rows)
{
    const ptrdiff_t top = (ptrdiff_t)(first * t->i.stride) - t->i.pad, height = (ptrdiff_t)t->i.size;
    for (size_t b = 0; b < t->phases; b++, room += t->plane) {
        const struct window w = {.first_column = (ptrdiff_t)(b * t->j.dilation % t->j.stride) - t->j.pad,
                                 .column_step = (ptrdiff_t)t->j.stride,
                                 .pitch = t->pitch};
        size_t begin, end;
        window_columns(&w, t->j.size, &begin, &end);
        const float *from = x + w.first_column + (ptrdiff_t)begin * w.column_step;
        for (ptrdiff_t r = 0; r < (ptrdiff_t)rows && begin < end; r++)
            if (top + r >= 0 && top + r < height)
                copy_elements(room + (size_t)r * t->pitch + begin, from + (top + r) * (ptrdiff_t)t->j.size,
                              t->j.stride, end - begin);
    }
}

/* Eight results to y, or the `left` that there is room for. */
KILN_INLINE void store(float *y, const lanes *sum, size_t left)
{
    if (left >= LANES)
        *(loose *)y = *sum;
    else
        memcpy(y, sum, left * sizeof *y);
}

/*
 * Rows of the result, `left` floats before the plane ends: what is beyond a row is overwritten by the next one, and nothing is
 * written behind the last.
 */
KILN_INLINE void sum_rows(const struct depthwise *t, float *y, const float *x, const float *w, size_t rows,
                          size_t left)
{
    const size_t width = t->p->ow;
    for (size_t i = 0; i < rows; i++, y += width, left -= width, x += t->i.stride * t->pitch)
        for (size_t j = 0; j < width; j += LANES) {
            lanes sum = {0};
            for (size_t k = 0; k < t->taps; k++)
                sum += w[k] * *(const loose *)(x + j + t->at[k]);
            store(y + j, &sum, left - j);
        }
}

#define EACH_TAP(i) _Pragma("GCC unroll 3") for (size_t i = 0; i < 3; i++)

/* The same for filters of 3 x 3, which stay in registers; each of their rows has a sum of its own, so that none waits for another. */
KILN_INLINE void sum_rows_by_three(const struct depthwise *t, float *y, const float *x, const float *w,
                                   size_t rows, size_t left)
{
    const size_t width = t->p->ow, right[3] = {t->at[0], t->at[1], t->at[2]};
    lanes filter[3][3] = {0};
    EACH_TAP(u)
        EACH_TAP(v)
            filter[u][v] += w[3 * u + v];
    for (size_t i = 0; i < rows; i++, y += width, left -= width, x += t->i.stride * t->pitch) {
        const float *row[3] = {x + t->at[0], x + t->at[3], x + t->at[6]};
        for (size_t j = 0; j < width; j += LANES) {
            lanes sum[3] = {0};
            EACH_TAP(u)
                EACH_TAP(v)
                    sum[u] += filter[u][v] * *(const loose *)(row[u] + right[v] + j);
            const lanes all = sum[0] + sum[1] + sum[2];
            store(y + j, &all, left - j);
        }
    }
}

KILN_INLINE void depthwise_plane_body(const struct depthwise *t, float *room, float *y, const float *x,
                                      const float *w)
{
    for (size_t first = 0; first < t->p->oh; first += t->band) {
        const size_t rest = t->p->oh - first, rows = rest < t->band ? rest : t->band;
        float *to = y + first * t->p->ow;
        if (t->band < t->p->oh)
            memset(room, 0, t->plane * t->phases * sizeof *room);
        copy_band(t, room, x, first, t->rows - (t->band - rows) * t->i.stride);
        if (t->i.taps == 3 && t->j.taps == 3)
            sum_rows_by_three(t, to, room, w, rows, rest * t->p->ow);
        else
            sum_rows(t, to, room, w, rows, rest * t->p->ow);
    }
}

static void depthwise_plane(const struct depthwise *t, float *room, float *y, const float *x, const float *w);
KILN_CLONES(depthwise_plane,
            (const struct depthwise *t, float *room, float *y, const float *x, const float *w),
            (t, room, y, x, w))

/* The variant -------------------------------------------------------------------------------------------- */

static bool planes_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = (const struct kiln_params_conv *)d->block.words;
    (void)caps;
    return !(d->constants[KILN_CONV_MODE] & (KILN_CONV_TRANSPOSED | KILN_CONV_VOLUME)) && p->groups > 1 &&
           p->channels == 1 && p->pieces == 1 && p->u * p->v <= TAPS;
}

static uint64_t planes_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = (const struct kiln_params_conv *)d->block.words;
    (void)caps;
    return (uint64_t)p->images * p->groups * p->filters;
}

static uint64_t planes_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct depthwise t = depthwise_of(d);
    return room_of(&t) * sizeof(float);
}

static void planes_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct depthwise t = depthwise_of(d);
    const struct kiln_params_conv *p = t.p;
    const size_t planes = (size_t)p->groups * p->filters, area = (size_t)p->oh * p->ow;
    float *room = m->scratch;
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d->constants, p->immediate, m->at + 3, true);
    memset(room, 0, room_of(&t) * sizeof *room);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t image = unit / planes, plane = unit % planes;
        const size_t at = p->y_first + image * p->y_image + plane * area;
        float *y = (float *)m->at[2] + at;
        depthwise_plane(&t, room, y,
                        (const float *)m->at[0] + p->x_first + image * p->x_image +
                            plane / p->filters * ((size_t)p->h * p->w),
                        (const float *)m->at[1] + p->w_first + plane * p->w_filter);
        kiln_row_epilogue_run(&epilogue, y, at, 0, p->column_first + plane, area);
    }
}

const kiln_variant kiln_cpu_conv_depthwise_planes = {
    .name = "planes",
    .accepts = planes_accepts,
    .groups = planes_units,
    .scratch = planes_scratch,
    .run = planes_run,
};
