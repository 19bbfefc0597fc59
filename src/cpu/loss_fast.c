/* loss_fast.c - cross-entropy and its gradient by vectors: along rows whose scores lie behind one another, else across them. */
#include "cpu/rows.h"
#include "device/variants.h"
#include "loss/cross_entropy.h"

/* The mean of peak - x over the classes of row i. */
KILN_INLINE float below_peak(const float *x, size_t cols, size_t step, size_t i, float peak)
{
    double sum = 0;
    for (size_t c = 0; c < cols; c++)
        sum += peak - x[c * step + i];
    return (float)(sum / (double)cols);
}

/* loss of `width` rows side by side; for step 1 of a single row. */
KILN_INLINE void loss_body(const float *x, const int32_t *target, float spread, float *loss, size_t cols,
                           size_t step, size_t width)
{
    float peak[ROW_BLOCK], total[ROW_BLOCK];
    if (step == 1) {
        peak[0] = row_peak(x, cols);
        total[0] = row_total(x, cols, peak[0]);
    } else
        block_totals(x, cols, step, width, peak, total);
    for (size_t i = 0; i < width; i++) {
        const bool valid = (uint32_t)target[i] < cols;
        const float off = valid ? peak[i] - x[(size_t)target[i] * step + i] : NAN;
        const float below = spread > 0 ? below_peak(x, cols, step, i, peak[i]) : 0;
        loss[i] = fast_log(total[i]) + (1 - spread) * off + spread * below;
    }
}

/* dx = (exp(x - peak) / total - spread / cols) dy everywhere, less (1 - spread) dy at the target. */
KILN_INLINE void grad_body(const float *x, const int32_t *target, const float *dy, float spread, float *dx,
                           size_t cols, size_t step, size_t width)
{
    float peak[ROW_BLOCK], total[ROW_BLOCK];
    const float share = spread / (float)cols;
    if (step == 1) {
        peak[0] = row_peak(x, cols);
        total[0] = row_total(x, cols, peak[0]);
        const float scale = 1 / total[0], pull = (uint32_t)target[0] < cols ? dy[0] : NAN;
        for (size_t c = 0; c < cols; c++)
            dx[c] = (fast_exp(x[c] - peak[0]) * scale - share) * pull;
        if ((uint32_t)target[0] < cols)
            dx[target[0]] = (fast_exp(x[target[0]] - peak[0]) * scale - ((1 - spread) + share)) * pull;
        return;
    }
    block_totals(x, cols, step, width, peak, total);
    for (size_t i = 0; i < width; i++)
        total[i] = 1 / total[i];
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < width; i++) {
            const float pull = (uint32_t)target[i] < cols ? dy[i] : NAN,
                        wanted = ((uint32_t)target[i] == c ? 1 - spread : 0.0f) + share;
            dx[c * step + i] = (fast_exp(x[c * step + i] - peak[i]) * total[i] - wanted) * pull;
        }
}

#define LOSS_PARAMETERS \
    (const float *x, const int32_t *target, float spread, float *y, size_t cols, size_t step, size_t width)
#define GRAD_PARAMETERS                                                                            \
    (const float *x, const int32_t *target, const float *dy, float spread, float *dx, size_t cols, \
     size_t step, size_t width)
static void loss LOSS_PARAMETERS;
static void grad GRAD_PARAMETERS;
KILN_WIDE_CLONES(loss, LOSS_PARAMETERS, (x, target, spread, y, cols, step, width))
KILN_WIDE_CLONES(grad, GRAD_PARAMETERS, (x, target, dy, spread, dx, cols, step, width))

static const struct kiln_params_cross_entropy *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

/* A unit is a block of rows out of the `step` that lie side by side. */
static size_t blocks_of(const struct kiln_params_cross_entropy *p)
{
    return (p->step + ROW_BLOCK - 1) / ROW_BLOCK;
}

/* Where a unit begins, in scores and in rows, and how many rows it has. */
struct place {
    size_t score, row, width;
};

static struct place place_of(const struct kiln_params_cross_entropy *p, size_t unit)
{
    const size_t group = unit / blocks_of(p), i = unit % blocks_of(p) * ROW_BLOCK, left = p->step - i;
    return (struct place){group * p->cols * p->step + i, group * p->step + i,
                          left < ROW_BLOCK ? left : ROW_BLOCK};
}

static void run_loss(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_cross_entropy *p = block_of(d);
    for (size_t unit = first; unit < first + count; unit++) {
        const struct place at = place_of(p, unit);
        loss((const float *)m->at[0] + at.score, (const int32_t *)m->at[1] + at.row, p->spread,
             (float *)m->at[2] + at.row, p->cols, p->step, at.width);
    }
}

static void run_grad(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_cross_entropy *p = block_of(d);
    for (size_t unit = first; unit < first + count; unit++) {
        const struct place at = place_of(p, unit);
        grad((const float *)m->at[0] + at.score, (const int32_t *)m->at[1] + at.row,
             (const float *)m->at[2] + at.row, p->spread, (float *)m->at[3] + at.score, p->cols, p->step,
             at.width);
    }
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_cross_entropy *p = block_of(d);
    return p->rows / p->step * blocks_of(p);
}

const kiln_variant kiln_cpu_cross_entropy_rows = {
    .name = "rows", .groups = groups, .run = run_loss, .grain = 8};
const kiln_variant kiln_cpu_cross_entropy_grad_rows = {
    .name = "rows", .groups = groups, .run = run_grad, .grain = 8};
