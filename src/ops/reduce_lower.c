/*
 * reduce_lower.c - how reductions become dispatches.
 *
 * Axes of size 1 are dropped and neighbours of one kind merged, until x is [outer, first, kept, second, inner] with first and
 * second reduced: what the kernel takes without transposition. More reduced groups than two take several dispatches, the last
 * group first. A long reduction to few results is split into parts, by sizes and the kind of device, and their results are reduced
 * again: the order of a sum never depends on the number of threads.
 */
#include "base/log.h"
#include "device/caps.h"
#include "ops/kernels.h"
#include "ops/lower.h"
#include "reduce/codes.h"
#include "reduce/reduce.h"

/* Axes --------------------------------------------------------------------------------------------------- */

/* Runs of neighbouring axes of one kind, longer than 1, outermost first. */
struct runs {
    int count, reduced; /* reduced: how many of them are */
    bool is_reduced[KILN_MAX_RANK];
    int64_t size[KILN_MAX_RANK];
};

static struct runs runs_of(const kiln_shape *shape, uint32_t axes)
{
    struct runs r = {0};
    for (int i = 0; i < shape->rank; i++) {
        const bool reduced = axes >> i & 1;
        if (shape->size[i] == 1)
            continue;
        if (r.count && r.is_reduced[r.count - 1] == reduced) {
            r.size[r.count - 1] *= shape->size[i];
            continue;
        }
        r.is_reduced[r.count] = reduced;
        r.size[r.count++] = shape->size[i];
        r.reduced += reduced;
    }
    return r;
}

/* For at most two reduced runs; a lone one is second. */
static struct kiln_view view_of(const struct runs *r)
{
    struct kiln_view v = {1, 1, 1, 1, 1};
    int64_t *const place[] = {&v.outer, &v.first, &v.kept, &v.second, &v.inner};
    int at = r->reduced == 2 ? 0 : r->reduced == 1 ? 2 : 4;
    for (int i = 0; i < r->count; i++) {
        while ((at & 1) != r->is_reduced[i])
            at++;
        *place[at++] = r->size[i];
    }
    return v;
}

bool kiln_view_of(const kiln_shape *shape, uint32_t axes, struct kiln_view *out)
{
    const struct runs r = runs_of(shape, axes);
    if (r.reduced <= 2)
        *out = view_of(&r);
    return r.reduced <= 2;
}

/* Lowering ----------------------------------------------------------------------------------------------- */

enum { PART = 4096, SHORT_PART = 64, MOST_PARTS = 512, MANY_RESULTS = 2048, MANY_COLUMNS = 32768 };

/* Where a lane adds up a column by itself, a GPU has lanes for many short parts. */
int64_t kiln_parts_of(const kiln_caps *caps, int64_t length, int64_t results, bool columns)
{
    const bool lanes = columns && caps->backend == KILN_BACKEND_VULKAN && !caps->software;
    const int64_t part = lanes ? SHORT_PART : PART, many = lanes ? MANY_COLUMNS : MANY_RESULTS;
    const int64_t parts = (length + part - 1) / part;
    return results >= many ? 1 : parts < MOST_PARTS ? parts : MOST_PARTS;
}

/* What is done with the results: parts are put together, then finished. */
struct ending {
    double scale;
    uint32_t finish;
};

static const struct ending none = {1, KILN_REDUCE_FINISH_NONE};

static kiln_status dispatch(kiln_plan *plan, uint32_t code, const struct kiln_view *v, int64_t parts,
                            kiln_tensor x, kiln_tensor y, struct ending end)
{
    const int64_t length = v->first * v->second, part = (length + parts - 1) / parts;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_reduce,
        .bind = {{.value = x}, {.value = y}},
        .constants = {code, end.finish},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_reduce),
    };
    struct kiln_params_reduce *block = (struct kiln_params_reduce *)d.block.words;
    block->outer = (uint32_t)v->outer;
    block->first = (uint32_t)v->first;
    block->kept = (uint32_t)v->kept;
    block->second = (uint32_t)v->second;
    block->inner = (uint32_t)v->inner;
    block->parts = (uint32_t)parts;
    block->part_length = (uint32_t)part;
    KILN_REAL_SET(block, scale, end.scale);
    return kiln_plan_dispatch(plan, &d);
}

/* What puts together the results of parts. */
static uint32_t again(uint32_t code)
{
    if (code == KILN_REDUCE_L1_F || code == KILN_REDUCE_SQUARES_F)
        return KILN_REDUCE_SUM_F;
    return code == KILN_REDUCE_L1_I || code == KILN_REDUCE_SQUARES_I ? KILN_REDUCE_SUM_I : code;
}

static kiln_status reduce_view(kiln_plan *plan, uint32_t code, const struct kiln_view *v, kiln_tensor x,
                               kiln_type type, kiln_tensor y, struct ending end);

/* One run after the other: what lies between them is then at most as long as a binding, or can be cut. */
static kiln_status reduce_twice(kiln_plan *plan, uint32_t code, const struct kiln_view *v, kiln_tensor x,
                                kiln_type type, kiln_tensor y, struct ending end)
{
    const struct kiln_view rows = {1, 1, v->outer * v->first * v->kept, v->second, v->inner};
    const struct kiln_view columns = {v->outer, 1, 1, v->first, v->kept * v->inner};
    const kiln_tensor less = kiln_plan_temporary(plan, type, rows.kept * rows.inner);
    const kiln_status status = reduce_view(plan, code, &rows, x, type, less, none);
    return status ? status : reduce_view(plan, again(code), &columns, less, type, y, end);
}

/* At most two reduced runs. */
static kiln_status reduce_view(kiln_plan *plan, uint32_t code, const struct kiln_view *v, kiln_tensor x,
                               kiln_type type, kiln_tensor y, struct ending end)
{
    const int64_t results = v->outer * v->kept * v->inner, length = v->first * v->second;
    const int64_t bound = (int64_t)(kiln_plan_caps(plan)->max_binding / kiln_plan_element(plan, x));
    const bool beyond = v->outer * length * v->kept * v->inner > bound, many_rows = v->outer * v->kept > 1;
    const bool place = KILN_REDUCE_IS_PLACE(code);
    if (beyond && v->first > 1 && !place)
        return reduce_twice(plan, code, v, x, type, y, end);
    int64_t parts = place || (beyond && many_rows)
                        ? 1
                        : kiln_parts_of(kiln_plan_caps(plan), length, results, v->inner > 1);
    if (parts == 1)
        return dispatch(plan, code, v, 1, x, y, end);
    const int64_t part = (length + parts - 1) / parts;
    parts = (length + part - 1) / part;
    const kiln_tensor partial = kiln_plan_temporary(plan, type, parts * results);
    const kiln_status status = dispatch(plan, code, v, parts, x, partial, none);
    const struct kiln_view sums = {1, 1, 1, parts, results};
    return status ? status : dispatch(plan, again(code), &sums, 1, partial, y, end);
}

static kiln_status reduce_runs(kiln_plan *plan, uint32_t code, struct runs r, kiln_tensor x, kiln_type type,
                               kiln_tensor y, struct ending end)
{
    while (r.reduced > 2) { /* the last reduced run goes, its neighbours become one */
        int last = r.count - 1;
        while (!r.is_reduced[last])
            last--;
        struct kiln_view v = {1, 1, 1, r.size[last], last + 1 < r.count ? r.size[last + 1] : 1};
        for (int i = 0; i < last; i++)
            v.kept *= r.size[i];
        const kiln_tensor less = kiln_plan_temporary(plan, type, v.kept * v.inner);
        const kiln_status status = reduce_view(plan, code, &v, x, type, less, none);
        if (status)
            return status;
        r.size[last - 1] *= v.inner;
        r.count = last;
        r.reduced--;
        x = less;
        code = again(code);
    }
    const struct kiln_view v = view_of(&r);
    return reduce_view(plan, code, &v, x, type, y, end);
}

kiln_status kiln_lower_reduce(kiln_plan *plan, uint32_t code, uint32_t finish, double scale, kiln_tensor x,
                              const kiln_shape *shape, uint32_t axes, kiln_tensor y)
{
    const struct runs r = runs_of(shape, axes);
    if (KILN_REDUCE_IS_PLACE(code) && r.reduced > 2)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "a place among %d groups of axes, at most 2", r.reduced);
    return reduce_runs(plan, code, r, x, kiln_sum_type(kiln_plan_spec(plan, x).type), y,
                       (struct ending){scale, finish});
}

kiln_status kiln_lower_sum(kiln_plan *plan, kiln_tensor x, const kiln_shape *shape, uint32_t axes,
                           kiln_tensor y)
{
    const kiln_type type = kiln_plan_spec(plan, x).type;
    const uint32_t code = kiln_type_is_real(type) ? KILN_REDUCE_SUM_F : KILN_REDUCE_SUM_I;
    return kiln_lower_reduce(plan, code, KILN_REDUCE_FINISH_NONE, 1, x, shape, axes, y);
}
