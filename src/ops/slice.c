/*
 * slice.c - part of a value, a value within a larger one, and their gradients.
 *
 *   slice        y[i] = x[first + i * step]             slice_grad   dx = dy within zeros of x's shape
 *   pad          y = x within a constant                pad_grad     dx = the part of dy where x lies
 *
 * The gradients are each other's forward, but follow x's shape instead of reading it.
 *
 * Lowering: src/ops/copy.c.   Tests: tests/ops/layout.c.
 */
#include <math.h>
#include <string.h>

#include <kiln/ops.h>

#include "base/half.h"
#include "base/log.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/copy.h"
#include "ops/kernels.h"

struct slice {
    int64_t axis, first, end, step;
};

static int64_t clamp(int64_t i, int64_t low, int64_t high)
{
    return i < low ? low : i > high ? high : i;
}

/* Where a slice of a known size begins and how many elements it has; as in Python, with an explicit end. */
static int64_t resolve(const struct slice *p, int64_t size, int64_t *count)
{
    const bool back = p->step < 0;
    const int64_t low = back ? -1 : 0, high = back ? size - 1 : size;
    const int64_t first = clamp(p->first < 0 ? p->first + size : p->first, low, high);
    const int64_t given = p->end == KILN_END ? (back ? -1 : size) : p->end < 0 ? p->end + size : p->end;
    const int64_t end = clamp(given, low, high);
    const int64_t span = back ? first - end : end - first, stride = back ? -p->step : p->step;
    *count = span > 0 ? (span + stride - 1) / stride : 0;
    return first;
}

/* An index of an axis of symbolic size. */
static int64_t index_of(kiln_graph *g, int64_t index, int64_t size)
{
    return index < 0 ? kiln_dim_sub(g, size, -index) : index;
}

/* The count of a symbolic size; the indices are taken to lie inside, which lowering checks. */
static int64_t count_of(kiln_graph *g, const struct slice *p, int64_t size)
{
    const int64_t first = index_of(g, p->first, size);
    if (p->step > 0) {
        const int64_t end = p->end == KILN_END ? size : index_of(g, p->end, size);
        return kiln_dim_ceil_div(g, kiln_dim_sub(g, end, first), p->step);
    }
    const int64_t span =
        p->end == KILN_END ? kiln_dim_add(g, first, 1) : kiln_dim_sub(g, first, index_of(g, p->end, size));
    return kiln_dim_ceil_div(g, span, -p->step);
}

static kiln_status slice_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct slice *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    const int axis = kiln_axis_of((int)p->axis, out->shape.rank);
    if (axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no axis %d in rank %d", (int)p->axis,
                              out->shape.rank);
    if (!p->step || p->step == INT64_MIN || p->first == INT64_MIN || p->end == INT64_MIN)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "first %lld, end %lld, step %lld",
                              (long long)p->first, (long long)p->end, (long long)p->step);
    int64_t *size = &out->shape.size[axis];
    if (*size < 0)
        *size = count_of(g, p, *size);
    else
        resolve(p, *size, size);
    return KILN_OK;
}

static void slice_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_slice_grad, (const kiln_tensor[]){dy[0], n->in[0]}, 2, n->params,
                        n->params_size);
}

/* The elements of `whole` that a slice names, beside a dense `part`. */
static kiln_status slice_walk(const kiln_plan *plan, const kiln_node *n, kiln_tensor whole, kiln_tensor part,
                              struct kiln_walk *w, int64_t *start)
{
    const struct slice *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, whole).shape, y = kiln_plan_spec(plan, part).shape;
    const int axis = kiln_axis_of((int)p->axis, x.rank);
    int64_t count;
    const int64_t first = resolve(p, x.size[axis], &count);
    if (count != y.size[axis])
        return kiln_fail(KILN_ERROR_SHAPE, "slice: axis %d of size %lld has %lld of the %lld elements wanted",
                         axis, (long long)x.size[axis], (long long)count, (long long)y.size[axis]);
    w->rank = x.rank;
    kiln_dense_steps(&x, w->x_step);
    kiln_dense_steps(&y, w->y_step);
    memcpy(w->size, y.size, sizeof w->size);
    *start = first * w->x_step[axis];
    w->x_step[axis] *= p->step;
    return KILN_OK;
}

static kiln_status slice_lower(kiln_plan *plan, const kiln_node *n)
{
    struct kiln_walk w = {0};
    const kiln_status status = slice_walk(plan, n, n->in[0], n->out[0], &w, &w.x_start);
    return status ? status : kiln_plan_walk(plan, n->in[0], n->out[0], &w);
}

/* What is dense in x: neighbours along the outermost axis that is longer than 1. */
static bool slice_view(const kiln_plan *plan, const kiln_node *n, uint64_t *offset)
{
    const struct slice *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape;
    const int axis = kiln_axis_of((int)p->axis, x.rank);
    int64_t step[KILN_MAX_RANK], count;
    for (int i = 0; i < axis; i++)
        if (x.size[i] != 1)
            return false;
    kiln_dense_steps(&x, step);
    *offset = (uint64_t)(resolve(p, x.size[axis], &count) * step[axis]) * kiln_plan_element(plan, n->in[0]);
    return p->step == 1 && count == kiln_plan_spec(plan, n->out[0]).shape.size[axis];
}

kiln_status kiln_make_slice(kiln_graph *g, kiln_node *n, int axis, int64_t first, int64_t end)
{
    struct slice *p = kiln_arena_alloc(&g->arena, sizeof *p);
    if (!p)
        return kiln_fail(KILN_ERROR_MEMORY, "slice: out of memory");
    *p = (struct slice){axis, first, end, 1};
    n->op = &kiln_op_slice;
    n->inputs = 1;
    n->params = p;
    n->params_size = sizeof *p;
    return KILN_OK;
}

kiln_tensor kiln_slice_of_joined(const kiln_graph *g, const kiln_node *n, kiln_tensor x)
{
    const struct slice *p = n->params;
    const kiln_node *joined = kiln_graph_node(g, x);
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const int axis = kiln_axis_of((int)p->axis, shape.rank);
    if (joined->op != &kiln_op_concat || kiln_axis_of(*(const int *)joined->params, shape.rank) != axis ||
        p->step != 1)
        return KILN_NONE;
    int64_t count, begin = 0;
    const int64_t first = resolve(p, shape.size[axis], &count);
    for (int i = 0; i < joined->inputs && begin <= first; i++) {
        const int64_t size = kiln_tensor_shape(g, joined->in[i]).size[axis];
        if (begin == first && size == count)
            return joined->in[i];
        begin += size;
    }
    return KILN_NONE;
}

static struct kiln_walk turned(const struct kiln_walk *w)
{
    struct kiln_walk t = {.rank = w->rank, .x_start = w->y_start, .y_start = w->x_start};
    memcpy(t.size, w->size, sizeof t.size);
    memcpy(t.x_step, w->y_step, sizeof t.x_step);
    memcpy(t.y_step, w->x_step, sizeof t.y_step);
    return t;
}

static kiln_status slice_grad_lower(kiln_plan *plan, const kiln_node *n)
{
    struct kiln_walk w = {0};
    kiln_status status = slice_walk(plan, n, n->out[0], n->in[0], &w, &w.x_start);
    if (!status)
        status = kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);
    w = turned(&w);
    return status ? status : kiln_plan_walk(plan, n->in[0], n->out[0], &w);
}

/* Of the gradient operators: inputs {dy, x}, output of dy's type and x's shape. */
static kiln_status like_x_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = (kiln_spec){kiln_tensor_spec(g, n->in[0]).type, kiln_tensor_spec(g, n->in[1]).shape};
    return KILN_OK;
}

static void slice_grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_slice, dy, 1, n->params, n->params_size);
}

static kiln_tensor slice_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    struct slice p = *(const struct slice *)n->params;
    p.axis = kiln_axis_of((int)p.axis, c->out.shape.rank) + 1;
    return kiln_cases_append(g, n, c, c->in, &p);
}

static kiln_tensor slice_grad_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    struct slice p = *(const struct slice *)n->params;
    p.axis = kiln_axis_of((int)p.axis, c->out.shape.rank) + 1;
    return c->stacked[0] ? kiln_cases_append(g, n, c, (const kiln_tensor[]){c->in[0], KILN_NONE}, &p)
                         : KILN_NONE;
}

static const kiln_field slice_fields[] = {
    {"axis", KILN_FIELD_I64, offsetof(struct slice, axis), 1},
    {"first", KILN_FIELD_I64, offsetof(struct slice, first), 1},
    {"end", KILN_FIELD_I64, offsetof(struct slice, end), 1},
    {"step", KILN_FIELD_I64, offsetof(struct slice, step), 1},
    {0},
};

/* What counts from the end, or goes backwards, would begin with elements that are not there. */
static kiln_beyond slice_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const struct slice *p = n->params;
    const bool along = axis == kiln_axis_of((int)p->axis, kiln_tensor_shape(g, n->in[0]).rank);
    const bool forth = p->first >= 0 && p->end == KILN_END && p->step > 0;
    (void)input;
    return along && !forth ? KILN_REFUSED : KILN_IGNORED;
}

const kiln_op kiln_op_slice = {
    .name = "slice",
    .fields = slice_fields,
    .inputs = 1,
    .outputs = 1,
    .infer = slice_infer,
    .beyond = slice_beyond,
    .grad = slice_grad,
    .lowerings = (const kiln_lowering[]){{.name = "copy", .lower = slice_lower}},
    .lowering_count = 1,
    .view = slice_view,
    .cases = slice_cases,
};

const kiln_op kiln_op_slice_grad = {
    .name = "slice_grad",
    .fields = slice_fields,
    .inputs = 2,
    .outputs = 1,
    .shape_inputs = 1u << 1,
    .infer = like_x_infer,
    .beyond = slice_beyond,
    .grad = slice_grad_grad,
    .lowerings = (const kiln_lowering[]){{.name = "copy", .lower = slice_grad_lower}},
    .lowering_count = 1,
    .cases = slice_grad_cases,
};

kiln_tensor kiln_slice(kiln_graph *g, kiln_tensor x, int axis, int64_t first, int64_t end, int64_t step)
{
    const struct slice p = {axis, first, end, step};
    return kiln_append(g, &kiln_op_slice, &x, 1, &p, sizeof p);
}

/* Pad ---------------------------------------------------------------------------------------------------- */

struct pad {
    int64_t before[KILN_MAX_RANK], after[KILN_MAX_RANK];
    double value;
};

static kiln_status pad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct pad *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    for (int i = 0; i < out->shape.rank; i++) {
        if (p->before[i] < 0 || p->after[i] < 0)
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT,
                                  "axis %d: %lld before and %lld after, neither may be negative", i,
                                  (long long)p->before[i], (long long)p->after[i]);
        out->shape.size[i] = kiln_dim_add(g, out->shape.size[i], p->before[i]);
        out->shape.size[i] = kiln_dim_add(g, out->shape.size[i], p->after[i]);
    }
    return KILN_OK;
}

static void pad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_pad_grad, (const kiln_tensor[]){dy[0], n->in[0]}, 2, n->params,
                        n->params_size);
}

/* x inside of y: a walk from a dense `inner` to its place in `outer`. */
static struct kiln_walk pad_walk(const kiln_plan *plan, const struct pad *p, kiln_tensor inner,
                                 kiln_tensor outer)
{
    const kiln_shape x = kiln_plan_spec(plan, inner).shape, y = kiln_plan_spec(plan, outer).shape;
    struct kiln_walk w = {.rank = x.rank};
    kiln_dense_steps(&x, w.x_step);
    kiln_dense_steps(&y, w.y_step);
    for (int i = 0; i < x.rank; i++) {
        w.size[i] = x.size[i];
        w.y_start += p->before[i] * w.y_step[i];
    }
    return w;
}

/* The value as a device stores it: an element of one word, of two in float64 programs, two halves or four bytes in one. */
static size_t stored_words(const kiln_plan *plan, kiln_tensor t, double value, uint32_t words[2])
{
    const size_t element = kiln_plan_element(plan, t);
    const float single = (float)value;
    if (!kiln_type_is_real(kiln_plan_spec(plan, t).type)) {
        const int32_t whole = (int32_t)fmin(fmax(value, INT32_MIN), INT32_MAX);
        memcpy(words, &whole, sizeof whole);
        if (element == 1)
            words[0] = (words[0] & 255) * UINT32_C(0x01010101);
    } else if (element == sizeof value) {
        memcpy(words, &value, sizeof value);
    } else if (element == sizeof(uint16_t)) {
        words[0] = kiln_half_from(single) * UINT32_C(0x10001);
    } else {
        memcpy(words, &single, sizeof single);
    }
    return kiln_plan_words(plan, t);
}

/* Fill by a 4-byte word where that says it, else by repeating one element of a table. */
static kiln_status fill(kiln_plan *plan, kiln_tensor y, double value)
{
    uint32_t words[2] = {0};
    const size_t count = stored_words(plan, y, value, words);
    if (count == 1 || words[0] == words[1])
        return kiln_plan_fill(plan, (kiln_binding){.value = y}, words[0]);
    const kiln_shape shape = kiln_plan_spec(plan, y).shape;
    const kiln_tensor element = kiln_plan_table(plan, words, (int64_t)count);
    const struct kiln_walk all = {.rank = 1, .size = {kiln_shape_count(&shape)}, .y_step = {1}};
    return kiln_plan_walk(plan, element, y, &all);
}

static kiln_status pad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct pad *p = n->params;
    const struct kiln_walk w = pad_walk(plan, p, n->in[0], n->out[0]);
    const kiln_status status = fill(plan, n->out[0], p->value);
    return status ? status : kiln_plan_walk(plan, n->in[0], n->out[0], &w);
}

static kiln_status pad_grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_walk w = pad_walk(plan, n->params, n->out[0], n->in[0]), back = turned(&w);
    return kiln_plan_walk(plan, n->in[0], n->out[0], &back);
}

static void pad_grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    struct pad zeros = *(const struct pad *)n->params;
    zeros.value = 0;
    dx[0] = kiln_append(g, &kiln_op_pad, dy, 1, &zeros, sizeof zeros);
}

static const kiln_field pad_fields[] = {
    {"before", KILN_FIELD_I64, offsetof(struct pad, before), KILN_MAX_RANK},
    {"after", KILN_FIELD_I64, offsetof(struct pad, after), KILN_MAX_RANK},
    {"value", KILN_FIELD_REAL, offsetof(struct pad, value), 1},
    {0},
};

/* What is put behind would have to stand behind the last that is there. */
static kiln_beyond pad_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)input;
    return ((const struct pad *)n->params)->after[axis] ? KILN_REFUSED : KILN_IGNORED;
}

const kiln_op kiln_op_pad = {
    .name = "pad",
    .fields = pad_fields,
    .inputs = 1,
    .outputs = 1,
    .infer = pad_infer,
    .beyond = pad_beyond,
    .grad = pad_grad,
    .lowerings = (const kiln_lowering[]){{.name = "fill", .lower = pad_lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_pad_grad = {
    .name = "pad_grad",
    .fields = pad_fields,
    .inputs = 2,
    .outputs = 1,
    .shape_inputs = 1u << 1,
    .infer = like_x_infer,
    .beyond = pad_beyond,
    .grad = pad_grad_grad,
    .lowerings = (const kiln_lowering[]){{.name = "copy", .lower = pad_grad_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_pad(kiln_graph *g, kiln_tensor x, const int64_t *before, const int64_t *after, double value)
{
    struct pad p = {.value = value};
    for (int i = 0; i < kiln_tensor_spec(g, x).shape.rank; i++) {
        p.before[i] = before[i];
        p.after[i] = after[i];
    }
    return kiln_append(g, &kiln_op_pad, &x, 1, &p, sizeof p);
}
