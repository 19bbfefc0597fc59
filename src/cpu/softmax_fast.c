/*
 * softmax_fast.c - softmax by vectors: along a row where its values lie behind one another, across rows where they lie side by
 * side.
 */
#include "cpu/rows.h"
#include "device/variants.h"
#include "softmax/softmax.h"

KILN_INLINE void along_body(const float *x, float *restrict y, size_t cols, bool logarithm)
{
    const float peak = row_peak(x, cols);
    if (logarithm) {
        const float shift = peak + fast_log(row_total(x, cols, peak));
        for (size_t c = 0; c < cols; c++)
            y[c] = x[c] - shift;
        return;
    }
    double total = 0;
    for (size_t first = 0; first < cols; first += ROW_PART) {
        const size_t end = cols - first < ROW_PART ? cols : first + ROW_PART;
        for (size_t c = first; c < end; c++)
            y[c] = fast_exp_below(x[c] - peak);
        total += run_sum(y + first, end - first);
    }
    const float scale = (float)(1 / total);
    for (size_t c = 0; c < cols; c++)
        y[c] *= scale;
}

KILN_INLINE void across_body(const float *x, float *y, size_t cols, size_t step, size_t width, bool logarithm)
{
    float peak[ROW_BLOCK], total[ROW_BLOCK];
    block_totals(x, cols, step, width, peak, total);
    for (size_t i = 0; i < width; i++)
        total[i] = logarithm ? peak[i] + fast_log(total[i]) : 1 / total[i];
    for (size_t c = 0; c < cols; c++) {
        const float *from = x + c * step;
        float *restrict to = y + c * step;
        if (logarithm)
            for (size_t i = 0; i < width; i++)
                to[i] = from[i] - total[i];
        else
            for (size_t i = 0; i < width; i++)
                to[i] = fast_exp_below(from[i] - peak[i]) * total[i];
    }
}

static void along(const float *x, float *y, size_t cols, bool logarithm);
static void across(const float *x, float *y, size_t cols, size_t step, size_t width, bool logarithm);
KILN_WIDE_CLONES(along, (const float *x, float *y, size_t cols, bool logarithm), (x, y, cols, logarithm))
KILN_WIDE_CLONES(across, (const float *x, float *y, size_t cols, size_t step, size_t width, bool logarithm),
                 (x, y, cols, step, width, logarithm))

static const struct kiln_params_softmax *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

/* A unit is a block of rows out of the `step` that lie side by side. */
static size_t blocks_of(const struct kiln_params_softmax *p)
{
    return (p->step + ROW_BLOCK - 1) / ROW_BLOCK;
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_softmax *p = block_of(d);
    const size_t blocks = blocks_of(p);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t i = unit % blocks * ROW_BLOCK, start = unit / blocks * p->cols * p->step + i;
        const size_t width = p->step - i < ROW_BLOCK ? p->step - i : ROW_BLOCK;
        const float *x = (const float *)m->at[0] + start;
        float *y = (float *)m->at[1] + start;
        if (p->step == 1)
            along(x, y, p->cols, d->constants[0]);
        else
            across(x, y, p->cols, p->step, width, d->constants[0]);
    }
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_softmax *p = block_of(d);
    return p->rows / p->step * blocks_of(p);
}

const kiln_variant kiln_cpu_softmax_rows = {.name = "rows", .groups = groups, .run = run, .grain = 8};
