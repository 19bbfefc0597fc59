/*
 * cumulative_fast.c - cumulations of floats: along a row in double, as no lane can run ahead; rows that lie side by side in
 * blocks, all at once.
 */
#include "cumulative/cumulate.h"

#include "cpu/simd.h"
#include "device/variants.h"

enum { BLOCK = 128 };

static const struct kiln_params_cumulate *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_cumulate *)d->block.words;
}

/* Whole rows of sums, products or a recurrence; what is rarer is the reference's. */
static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const uint32_t code = d->constants[0];
    const bool known = code == KILN_CUMULATE_SUM_F || code == KILN_CUMULATE_PROD_F ||
                       code == KILN_CUMULATE_LINEAR_F || code == KILN_CUMULATE_SUM_I;
    return known && block_of(d)->parts == 1 && !block_of(d)->started &&
           !(block_of(d)->how & (KILN_CUMULATE_TOTALS | KILN_CUMULATE_STATES));
}

/* A unit is a block of the `step` rows that lie side by side. */
static size_t blocks_of(const struct kiln_params_cumulate *p)
{
    return (p->step + BLOCK - 1) / BLOCK;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->rows / block_of(d)->step * blocks_of(block_of(d));
}

/* `width` rows, walked together: element t of the first is x[t * step], from its end if step is negative. */
struct walk {
    const float *x, *a;
    float *y;
    ptrdiff_t step, lag; /* lag: how far back the factor lies */
    size_t cols, width;
    bool exclusive;
};

/* Element [t, i] of the walk is x[t * step + i]: `next` of it and of the state before, for a width that may be a constant. */
#define WALK(name, type, state, beginning, next)                                             \
    KILN_INLINE void name##_body(const struct walk *w, size_t width)                         \
    {                                                                                        \
        state before[BLOCK];                                                                 \
        for (size_t i = 0; i < width; i++)                                                   \
            before[i] = beginning;                                                           \
        for (size_t t = 0; t < w->cols; t++) {                                               \
            const type *x = (const type *)w->x + (ptrdiff_t)t * w->step;                     \
            const float *a = w->a ? w->a + (t ? (ptrdiff_t)t - w->lag : 0) * w->step : NULL; \
            type *y = (type *)w->y + (ptrdiff_t)t * w->step;                                 \
            (void)a;                                                                         \
            for (size_t i = 0; i < width; i++) {                                             \
                const state after = next;                                                    \
                y[i] = (type)(w->exclusive ? before[i] : after);                             \
                before[i] = after;                                                           \
            }                                                                                \
        }                                                                                    \
    }                                                                                        \
    static void name(const struct walk *w)                                                   \
    {                                                                                        \
        if (w->width == 1)                                                                   \
            name##_body(w, 1);                                                               \
        else                                                                                 \
            name##_body(w, w->width);                                                        \
    }

WALK(sum, float, double, 0, before[i] + (double)x[i])
WALK(product, float, double, 1, before[i] * (double)x[i])
WALK(recur, float, double, 0, (t ? (double)a[i] * before[i] : 0) + (double)x[i])
WALK(sum_integers, uint32_t, uint32_t, 0, before[i] + x[i])
#undef WALK

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    static void (*const walks[])(const struct walk *) = {
        [KILN_CUMULATE_SUM_F] = sum,
        [KILN_CUMULATE_PROD_F] = product,
        [KILN_CUMULATE_LINEAR_F] = recur,
        [KILN_CUMULATE_SUM_I] = sum_integers,
    };
    const struct kiln_params_cumulate *p = block_of(d);
    const uint32_t how = p->how;
    const bool back = how & KILN_CUMULATE_REVERSE;
    const size_t blocks = blocks_of(p);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t i = unit % blocks * BLOCK, last = back ? (size_t)(p->cols - 1) * p->step : 0;
        const size_t start = unit / blocks * p->cols * p->step + i + last;
        walks[d->constants[0]](&(struct walk){
            .x = (const float *)m->at[0] + start,
            .a = m->at[1] ? (const float *)m->at[1] + start : NULL,
            .y = (float *)m->at[4] + start,
            .step = back ? -(ptrdiff_t)p->step : (ptrdiff_t)p->step,
            .lag = how & KILN_CUMULATE_LAGGED ? 1 : 0,
            .cols = p->cols,
            .width = p->step - i < BLOCK ? p->step - i : BLOCK,
            .exclusive = how & KILN_CUMULATE_EXCLUSIVE,
        });
    }
}

const kiln_variant kiln_cpu_cumulate_rows = {
    .name = "rows", .accepts = accepts, .groups = groups, .run = run};
