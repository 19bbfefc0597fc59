/* conv_terms.c - see conv_terms.h. */
#include "cpu/conv_terms.h"

#include "base/number.h"

/* Whether all of x along an axis is met, or nearly, so that picking out phases leaves nothing behind. */
static bool is_dense(const struct axis *x)
{
    return x->dilation == 1 && x->taps >= x->stride;
}

/* The step between positions in planes; the rest of the stride is one of phases. */
static size_t take_step(struct axis *x, bool steps)
{
    const size_t step = steps && is_dense(x) ? x->stride : 1;
    x->stride /= step;
    return step;
}

struct kiln_terms kiln_terms_of(size_t channels, const struct axis *i, const struct axis *j, bool steps)
{
    struct kiln_terms t = {
        .channels = channels,
        .i = *i,
        .j = *j,
        .in_place = i->taps * j->taps == 1 && i->stride == 1 && j->stride == 1 && i->pad == 0 &&
                    j->pad == 0 && i->size == i->out && j->size == j->out,
        .depth = channels * i->taps * j->taps,
    };
    t.step_i = take_step(&t.i, true);
    t.step_j = take_step(&t.j, steps && j->stride <= KILN_TILE_STEP);
    t.pitch = (j->out - 1) * t.step_j + 1 + axis_reach(&t.j);
    return t;
}

/* Rows of planes that so many of results meet. */
static size_t rows_of(const struct kiln_terms *t, size_t rows)
{
    return (rows - 1) * t->step_i + 1 + axis_reach(&t->i);
}

static size_t phases_of(const struct kiln_terms *t)
{
    return axis_phases(&t->i) * axis_phases(&t->j);
}

void kiln_terms_band(struct kiln_terms *t, size_t rows)
{
    t->rows = rows_of(t, rows);
    t->plane = t->rows * t->pitch;
}

size_t kiln_terms_floats(const struct kiln_terms *t, size_t rows)
{
    return t->channels * phases_of(t) * rows_of(t, rows) * t->pitch;
}

size_t kiln_terms_room(const struct kiln_terms *t)
{
    return t->in_place ? 0 : kiln_round_up(t->channels * phases_of(t) * t->plane, 16);
}

/* Where terms lie from a position on. */
static void find(const struct kiln_terms *t, int32_t *at)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j), taps = t->i.taps * t->j.taps;
    const size_t channel = t->in_place ? t->i.size * t->j.size : down * across * t->plane;
    for (size_t k = 0; k < taps; k++) {
        const size_t u = k / t->j.taps, v = k % t->j.taps;
        at[k] = (int32_t)((u % down * across + v % across) * t->plane + axis_shift(&t->i, u) * t->pitch +
                          axis_shift(&t->j, v));
    }
    for (size_t c = 1; c < t->channels; c++)
        for (size_t k = 0; k < taps; k++)
            at[c * taps + k] = at[k] + (int32_t)(c * channel);
}

/* The planes of all channels from row `first` of results on. */
KILN_INLINE void copy_planes_body(const struct kiln_terms *t, size_t first, float *to, const float *x)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j);
    const size_t row = first * t->step_i * t->i.stride, picture = t->i.size * t->j.size;
    for (size_t c = 0; c < t->channels; c++, x += picture)
        for (size_t a = 0; a < down; a++)
            for (size_t b = 0; b < across; b++, to += t->plane) {
                const struct window window = {
                    .first_row = (ptrdiff_t)(row + a * t->i.dilation % t->i.stride) - t->i.pad,
                    .first_column = (ptrdiff_t)(b * t->j.dilation % t->j.stride) - t->j.pad,
                    .row_step = (ptrdiff_t)t->i.stride,
                    .column_step = (ptrdiff_t)t->j.stride,
                    .rows = t->rows,
                    .pitch = t->pitch,
                };
                plane_copy(to, x, t->i.size, t->j.size, &window);
            }
}

static void copy_planes(const struct kiln_terms *t, size_t first, float *to, const float *x);
KILN_CLONES(copy_planes, (const struct kiln_terms *t, size_t first, float *to, const float *x),
            (t, first, to, x))

void kiln_terms_take(const struct kiln_terms *t, int32_t *at, float *planes, const float *x, size_t first,
                     const kiln_memory *m, size_t band)
{
    static _Thread_local struct {
        uint64_t run;
        size_t band;
    } held;
    const bool same = held.run == m->run;
    if (!same)
        find(t, at);
    if (!t->in_place && !(same && held.band == band))
        copy_planes(t, first, planes, x);
    held.run = m->run, held.band = band;
}
