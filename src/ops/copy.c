/*
 * copy.c - moving elements between two walks over memory.
 *
 * Axes of size 1 are dropped and neighbours that both sides walk as one are merged; what is dense then is a
 * plain copy. Of the others the axis along which x is dense is put before the last, where tiled variants look
 * for it. More than KILN_COPY_RANK axes become one dispatch an index of the outer ones, and a walk that
 * reaches beyond what the device may bind is halved.
 *
 * The kernel: shaders/layout/, src/cpu/layout.c, src/cpu/layout_fast.c.   Tests: tests/cpu/layout.c.
 */
#include "ops/copy.h"

#include "device/caps.h"
#include "device/variants.h"
#include "layout/copy.h"
#include "ops/kernels.h"
#include "shaders.h"

void kiln_dense_steps(const kiln_shape *shape, int64_t *step)
{
    int64_t below = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        step[i] = below;
        below *= shape->size[i];
    }
}

/* Axes --------------------------------------------------------------------------------------------------- */

static void take_axis(struct kiln_walk *to, int at, const struct kiln_walk *from, int axis)
{
    to->size[at] = from->size[axis];
    to->x_step[at] = from->x_step[axis];
    to->y_step[at] = from->y_step[axis];
}

static bool continues(const struct kiln_walk *w, int outer, const struct kiln_walk *from, int axis)
{
    const int64_t size = from->size[axis];
    return w->x_step[outer] == size * from->x_step[axis] && w->y_step[outer] == size * from->y_step[axis];
}

static struct kiln_walk collapse(const struct kiln_walk *w)
{
    struct kiln_walk c = {.x_start = w->x_start, .y_start = w->y_start};
    for (int i = 0; i < w->rank; i++) {
        if (w->size[i] == 1)
            continue;
        const bool merge = c.rank && continues(&c, c.rank - 1, w, i);
        const int64_t outer = merge ? c.size[c.rank - 1] : 1;
        const int at = merge ? c.rank - 1 : c.rank++;
        take_axis(&c, at, w, i);
        c.size[at] *= outer;
    }
    return c;
}

/* Put the axis along which x is dense before the last one; the order of the others stays. */
static void pair_dense_axes(struct kiln_walk *w)
{
    int axis = w->rank - 2;
    while (axis >= 0 && w->x_step[axis] != 1)
        axis--;
    if (axis < 0 || w->x_step[w->rank - 1] == 1)
        return;
    const struct kiln_walk from = *w;
    for (int i = axis; i < w->rank - 2; i++)
        take_axis(w, i, &from, i + 1);
    take_axis(w, w->rank - 2, &from, axis);
}

/* At least two axes, so that no variant has a case of its own for one. */
static void widen(struct kiln_walk *w)
{
    if (w->rank > 1)
        return;
    if (w->rank == 1)
        take_axis(w, 1, w, 0);
    else
        w->size[1] = w->x_step[1] = w->y_step[1] = 1;
    w->size[0] = 1;
    w->x_step[0] = w->y_step[0] = 0;
    w->rank = 2;
}

/* Dispatches --------------------------------------------------------------------------------------------- */

static void set_block(struct kiln_params_copy *block, const struct kiln_walk *w)
{
    block->count = 1;
    block->x_start = (uint32_t)w->x_start;
    block->y_start = (uint32_t)w->y_start;
    for (int i = 0; i < w->rank; i++) {
        const uint32_t size = (uint32_t)w->size[i];
        block->count *= size;
        block->size[i] = size;
        block->x_step[i] = (uint32_t)w->x_step[i];
        block->y_step[i] = (uint32_t)w->y_step[i];
        block->multiplier[i] = kiln_divisor_multiplier(size);
        block->shifts |= kiln_divisor_shift(size) << (5 * i);
    }
}

/* The elements of one side that a walk touches: [low, high). */
struct span {
    int64_t low, high;
};

static struct span span_of(const struct kiln_walk *w, const int64_t *step, int64_t start)
{
    struct span s = {start, start + 1};
    for (int i = 0; i < w->rank; i++) {
        const int64_t reach = step[i] * (w->size[i] - 1);
        *(reach < 0 ? &s.low : &s.high) += reach;
    }
    return s;
}

/* Bind no more than the span, from a multiple of the device's alignment on; `start` is counted from there
 * then. */
static kiln_binding narrowed(const kiln_plan *plan, kiln_tensor value, struct span s, uint64_t element,
                             int64_t *start)
{
    const int64_t low = s.low - s.low % (int64_t)(kiln_plan_caps(plan)->alignment / element);
    *start -= low;
    return (kiln_binding){value, (uint64_t)low * element, (uint64_t)(s.high - low) * element};
}

static kiln_status dispatch(kiln_plan *plan, kiln_tensor x, kiln_tensor y, const struct kiln_walk *w)
{
    const uint64_t element = kiln_plan_element(plan, y);
    struct kiln_walk part = *w;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_copy,
        .bind = {narrowed(plan, x, span_of(w, w->x_step, w->x_start), element, &part.x_start),
                 narrowed(plan, y, span_of(w, w->y_step, w->y_start), element, &part.y_start)},
        .constants = {kiln_plan_words(plan, y), (uint32_t)w->rank},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_copy),
    };
    set_block((struct kiln_params_copy *)d.block.words, &part);
    return kiln_plan_dispatch(plan, &d);
}

/* The axis along which one side's walk reaches furthest. */
static int longest_axis(const struct kiln_walk *w, const int64_t *step)
{
    int longest = 0;
    int64_t most = 0;
    for (int i = 0; i < w->rank; i++) {
        const int64_t reach = (step[i] < 0 ? -step[i] : step[i]) * (w->size[i] - 1);
        if (reach > most) {
            most = reach;
            longest = i;
        }
    }
    return longest;
}

/* Windows: halve the walk until what each side touches may be bound. */
static kiln_status dispatch_windows(kiln_plan *plan, kiln_tensor x, kiln_tensor y, const struct kiln_walk *w)
{
    const struct kiln_caps *caps = kiln_plan_caps(plan);
    const uint64_t element = kiln_plan_element(plan, y),
                   limit = (caps->max_binding - caps->alignment) / element;
    const struct span sx = span_of(w, w->x_step, w->x_start), sy = span_of(w, w->y_step, w->y_start);
    if ((uint64_t)(sx.high - sx.low) <= limit && (uint64_t)(sy.high - sy.low) <= limit)
        return dispatch(plan, x, y, w);

    const int axis = longest_axis(w, sx.high - sx.low > sy.high - sy.low ? w->x_step : w->y_step);
    struct kiln_walk first = *w, second = *w;
    first.size[axis] = w->size[axis] / 2;
    second.size[axis] -= first.size[axis];
    second.x_start += first.size[axis] * w->x_step[axis];
    second.y_start += first.size[axis] * w->y_step[axis];
    const kiln_status status = dispatch_windows(plan, x, y, &first);
    return status ? status : dispatch_windows(plan, x, y, &second);
}

/* One dispatch an index of the first axis, until the rest fits a block. */
static kiln_status dispatch_outer(kiln_plan *plan, kiln_tensor x, kiln_tensor y, const struct kiln_walk *w)
{
    if (w->rank <= KILN_COPY_RANK)
        return dispatch_windows(plan, x, y, w);
    struct kiln_walk inner = {.rank = w->rank - 1};
    for (int i = 1; i < w->rank; i++)
        take_axis(&inner, i - 1, w, i);
    for (int64_t i = 0; i < w->size[0]; i++) {
        inner.x_start = w->x_start + i * w->x_step[0];
        inner.y_start = w->y_start + i * w->y_step[0];
        const kiln_status status = dispatch_outer(plan, x, y, &inner);
        if (status)
            return status;
    }
    return KILN_OK;
}

kiln_status kiln_plan_walk(kiln_plan *plan, kiln_tensor x, kiln_tensor y, const struct kiln_walk *walk)
{
    for (int i = 0; i < walk->rank; i++)
        if (!walk->size[i])
            return KILN_OK;

    struct kiln_walk w = collapse(walk);
    const size_t element = kiln_plan_element(plan, y);
    const bool dense = w.rank == 0 || (w.rank == 1 && w.x_step[0] == 1 && w.y_step[0] == 1);
    if (dense && !kiln_plan_gated(plan)) {
        const uint64_t bytes = (w.rank ? (uint64_t)w.size[0] : 1) * element;
        return kiln_plan_copy(plan, (kiln_binding){x, (uint64_t)w.x_start * element, bytes},
                              (kiln_binding){y, (uint64_t)w.y_start * element, bytes});
    }
    pair_dense_axes(&w);
    widen(&w);
    return dispatch_outer(plan, x, y, &w);
}

/* The contract ------------------------------------------------------------------------------------------- */

static const struct kiln_params_copy *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_copy *)d->block.words;
}

static uint64_t copy_units(const kiln_dispatch *d)
{
    return block_of(d)->count;
}

static uint64_t copy_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (block_of(d)->count + 63u) / 64;
}

/* Rows and columns that are dense on one side each; on a driver that runs on the CPU, tiles in shared memory
 * only cost. */
static bool transpose_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_copy *p = block_of(d);
    const uint32_t last = d->constants[1] - 1;
    return !caps->software && p->y_step[last] == 1 && p->x_step[last - 1] == 1 && p->size[last] >= 16 &&
           p->size[last - 1] >= 16;
}

static uint64_t transpose_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_copy *p = block_of(d);
    const uint32_t rows = p->size[d->constants[1] - 2], columns = p->size[d->constants[1] - 1];
    return (uint64_t)(p->count / rows / columns) * ((rows + 31) / 32) * ((columns + 31) / 32);
}

static const kiln_variant transposed = {
    .name = "transpose",
    .accepts = transpose_accepts,
    .groups = transpose_groups,
    .spirv = &kiln_spirv_transpose,
    .half = &kiln_spirv_transpose_half,
    .lanes = 128,
};
static const kiln_variant flat = {
    .name = "flat", .groups = copy_groups, .spirv = &kiln_spirv_copy, .half = &kiln_spirv_copy_half};

const kiln_kernel kiln_kernel_copy = {
    .name = "copy",
    .block_size = sizeof(struct kiln_params_copy),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = copy_units,
    .reference = kiln_reference_copy_f32,
    .reference_f64 = kiln_reference_copy_f64,
    .gpu = (const kiln_variant *const[]){&transposed, &flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_copy_tiles, NULL},
};
