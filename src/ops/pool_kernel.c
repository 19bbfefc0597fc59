/*
 * pool_kernel.c - pooling's nodes become dispatches, and their contracts: units, windows, variants.
 *
 * Windows that divide an axis evenly are usual ones. Where a window is large, a GPU first finds where the largest values stand:
 * else every element of x would look through every window that covers it.
 */
#include "ops/pool.h"

#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/lines.h"
#include "ops/rounds.h"
#include "ops/window.h"
#include "shaders.h"

/* Lowering ----------------------------------------------------------------------------------------------- */

/* One axis of the block. */
struct axis {
    int64_t x, y, size, stride, pad, end, dilation;
};

/* Padding before an axis: as given, or what `same` means at these sizes. */
int64_t kiln_pool_pad(const struct kiln_pool *p, int i, int64_t x, int64_t y)
{
    const int64_t all = (y - 1) * p->stride[i] + kiln_pool_reach(p, i) - x;
    if (!p->same)
        return p->pad[i][0];
    return all < 0 ? 0 : p->same == KILN_SAME_UPPER ? all / 2 : all - all / 2;
}

static struct axis axis_of(const struct kiln_pool *p, int i, int64_t x, int64_t y, bool even)
{
    if (p->adaptive)
        return (struct axis){x, y, even ? x / y : 1, even ? x / y : 1, 0, x, 1};
    const int64_t pad = kiln_pool_pad(p, i, x, y), padded = (y - 1) * p->stride[i] + kiln_pool_reach(p, i);
    const int64_t after = !p->same ? p->pad[i][1] : padded > x + pad ? padded - x - pad : 0;
    return (struct axis){x, y, p->size[i], p->stride[i], pad, x + after, p->dilation[i]};
}

/* A dispatch over x and y, as whose constants and block it is returned; `backward`: its results are x's elements. */
static kiln_dispatch dispatch_of(const kiln_kernel *kernel, const struct kiln_pool *p, const kiln_shape *x,
                                 const kiln_shape *y, bool backward)
{
    const int axes = x->rank - 2;
    bool even = p->adaptive;
    for (int i = 0; i < axes; i++)
        even = even && y->size[2 + i] && x->size[2 + i] % y->size[2 + i] == 0;
    struct axis a[KILN_POOL_AXES];
    for (int i = 0; i < KILN_POOL_AXES; i++) {
        const int from = i - (KILN_POOL_AXES - axes);
        a[i] = from < 0 ? (struct axis){1, 1, 1, 1, 0, 1, 1}
                        : axis_of(p, from, x->size[2 + from], y->size[2 + from], even);
    }

    kiln_dispatch d = {.kernel = kernel, .constant_count = 2, .block_size = sizeof(struct kiln_params_pool)};
    struct kiln_params_pool *b = (struct kiln_params_pool *)d.block.words;
    b->results = (uint32_t)kiln_shape_count(backward ? x : y);
    KILN_DIVISOR_SET(b, d, (uint32_t)a[0].x);
    KILN_DIVISOR_SET(b, h, (uint32_t)a[1].x);
    KILN_DIVISOR_SET(b, w, (uint32_t)a[2].x);
    KILN_DIVISOR_SET(b, od, (uint32_t)a[0].y);
    KILN_DIVISOR_SET(b, oh, (uint32_t)a[1].y);
    KILN_DIVISOR_SET(b, ow, (uint32_t)a[2].y);
    b->size_a = (uint32_t)a[0].size, b->size_i = (uint32_t)a[1].size, b->size_j = (uint32_t)a[2].size;
    b->stride_a = (uint32_t)a[0].stride, b->stride_i = (uint32_t)a[1].stride,
    b->stride_j = (uint32_t)a[2].stride;
    b->pad_a = (uint32_t)a[0].pad, b->pad_i = (uint32_t)a[1].pad, b->pad_j = (uint32_t)a[2].pad;
    b->end_a = (uint32_t)a[0].end, b->end_i = (uint32_t)a[1].end, b->end_j = (uint32_t)a[2].end;
    b->dilation_a = (uint32_t)a[0].dilation, b->dilation_i = (uint32_t)a[1].dilation,
    b->dilation_j = (uint32_t)a[2].dilation;
    d.constants[0] = (uint32_t)p->mode;
    d.constants[1] = (axes == KILN_POOL_AXES ? KILN_POOL_VOLUME : 0) |
                     (p->adaptive && !even ? KILN_POOL_ADAPTIVE : 0) |
                     (p->column_major ? KILN_POOL_COLUMN_MAJOR : 0);
    return d;
}

static kiln_status pool_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, y = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;
    kiln_dispatch d = dispatch_of(&kiln_kernel_pool, n->params, &x, &y, false);
    d.bind[0].value = n->in[0];
    d.bind[1].value = n->out[0];
    if (n->op == &kiln_op_pool_index) {
        d.bind[2].value = n->out[1];
        d.constants[1] |= KILN_POOL_INDEXED;
    }
    return kiln_plan_dispatch(plan, &d);
}

/* dx from the places of the largest values. */
static kiln_status gather_by_index(kiln_plan *plan, const kiln_node *n, kiln_tensor dy, kiln_tensor index,
                                   const kiln_shape *y)
{
    const kiln_shape x = kiln_plan_spec(plan, n->out[0]).shape;
    kiln_dispatch d = dispatch_of(&kiln_kernel_pool_grad, n->params, &x, y, true);
    d.bind[1].value = dy;
    d.bind[2].value = n->out[0];
    d.bind[3].value = index;
    d.constants[1] |= KILN_POOL_INDEXED;
    return kiln_plan_dispatch(plan, &d);
}

enum { LARGE = 16 }; /* taps of a window */

static bool searching_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_pool *p = n->params;
    const kiln_caps *caps = kiln_plan_caps(plan);
    const kiln_shape x = kiln_plan_spec(plan, n->out[0]).shape, y = kiln_plan_spec(plan, n->in[1]).shape;
    int64_t taps = 1;
    for (int i = 2; i < x.rank; i++)
        taps *= p->adaptive ? (x.size[i] + y.size[i] - 1) / (y.size[i] ? y.size[i] : 1) : p->size[i - 2];
    return p->mode != KILN_POOL_MAX || caps->backend == KILN_BACKEND_CPU || taps <= LARGE;
}

static bool windows_overlap(const struct kiln_pool *p, int axes)
{
    for (int i = 0; i < axes && !p->adaptive; i++)
        if (p->size[i] > p->stride[i])
            return true;
    return false;
}

/* Drivers that run on the CPU take half the time where places were looked up before, and an NVIDIA H200 a quarter of it for ResNet's windows,
 * each of which would be searched for all of its pixels: kiln tune found both. */
static bool searching_pays(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_pool *p = n->params;
    const kiln_caps *caps = kiln_plan_caps(plan);
    return p->mode != KILN_POOL_MAX || caps->backend == KILN_BACKEND_CPU ||
           !(caps->software || windows_overlap(p, kiln_plan_spec(plan, n->out[0]).shape.rank - 2));
}

/* Only the largest looks at x. */
static kiln_status searching_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_pool *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->out[0]).shape, y = kiln_plan_spec(plan, n->in[1]).shape;
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;
    kiln_dispatch d = dispatch_of(&kiln_kernel_pool_grad, p, &x, &y, true);
    if (p->mode == KILN_POOL_MAX)
        d.bind[0].value = n->in[0];
    d.bind[1].value = n->in[1];
    d.bind[2].value = n->out[0];
    return kiln_plan_dispatch(plan, &d);
}

/* pool_grad: find the places first; pool_grad_index: they are given. */
static kiln_status indexed_lower(kiln_plan *plan, const kiln_node *n)
{
    const bool given = n->op == &kiln_op_pool_grad_index;
    const kiln_shape x = kiln_plan_spec(plan, n->out[0]).shape, y = kiln_plan_spec(plan, n->in[!given]).shape;
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;
    if (given)
        return gather_by_index(plan, n, n->in[0], n->in[1], &y);
    kiln_dispatch d = dispatch_of(&kiln_kernel_pool, n->params, &x, &y, false);
    d.bind[0].value = n->in[0];
    d.bind[2].value = kiln_plan_temporary(plan, KILN_I32, kiln_shape_count(&y));
    d.constants[1] |= KILN_POOL_INDEXED | KILN_POOL_INDEX_ALONE;
    const kiln_status status = kiln_plan_dispatch(plan, &d);
    return status ? status : gather_by_index(plan, n, n->in[1], d.bind[2].value, &y);
}

const kiln_lowering kiln_pool_lowerings[] = {{.name = "windows", .lower = pool_lower}};
const kiln_lowering kiln_pool_grad_lowerings[] = {
    {.name = "searching", .accepts = searching_accepts, .pays = searching_pays, .lower = searching_lower},
    {.name = "indexed", .lower = indexed_lower},
};

/* Windows of the contracts ------------------------------------------------------------------------------- */

static struct kiln_params_pool *block_of(kiln_dispatch *d)
{
    return (struct kiln_params_pool *)d->block.words;
}

static const struct kiln_params_pool *block(const kiln_dispatch *d)
{
    return (const struct kiln_params_pool *)d->block.words;
}

static bool is_backward(const kiln_dispatch *d)
{
    return d->kernel == &kiln_kernel_pool_grad;
}

static uint64_t x_volume(const struct kiln_params_pool *p)
{
    return (uint64_t)p->d * p->h * p->w;
}

static uint64_t y_volume(const struct kiln_params_pool *p)
{
    return (uint64_t)p->od * p->oh * p->ow;
}

/* What lies as y does: dy or y, and the index. */
static void bind_windows(kiln_dispatch *d, uint64_t from, uint64_t end)
{
    uint32_t first = block(d)->y_first;
    if (is_backward(d))
        kiln_bind_elements(d, 3, &first, from, end);
    else
        kiln_bind_elements(d, 2, &first, from, end);
    kiln_bind_elements(d, 1, &block_of(d)->y_first, from, end);
}

static uint64_t planes_extent(const kiln_dispatch *d)
{
    const uint64_t volume = is_backward(d) ? x_volume(block(d)) : y_volume(block(d));
    return block(d)->first == 0 && block(d)->results % volume == 0 ? block(d)->results / volume : 1;
}

static void take_planes(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_pool *p = block_of(d);
    const uint64_t x = x_volume(p), y = y_volume(p);
    p->results = (uint32_t)(count * (is_backward(d) ? x : y));
    p->x_first = kiln_bind_window(d, 0, p->x_first + first * x, count * x);
    if (is_backward(d)) {
        p->dx_first = kiln_bind_window(d, 2, p->dx_first + first * x, count * x);
        kiln_bind_window(d, 3, p->y_first + first * y, count * y);
    } else {
        kiln_bind_window(d, 2, p->y_first + first * y, count * y);
    }
    p->y_first = kiln_bind_window(d, 1, p->y_first + first * y, count * y);
}

/* The outermost axis of a lone plane: slices, or rows. */
static struct axis outermost(const kiln_dispatch *d, uint64_t *x_row, uint64_t *y_row)
{
    const struct kiln_params_pool *p = block(d);
    const bool volume = d->constants[1] & KILN_POOL_VOLUME;
    *x_row = volume ? (uint64_t)p->h * p->w : p->w;
    *y_row = volume ? (uint64_t)p->oh * p->ow : p->ow;
    return volume ? (struct axis){p->d, p->od, p->size_a, p->stride_a, p->pad_a, p->end_a, p->dilation_a}
                  : (struct axis){p->h, p->oh, p->size_i, p->stride_i, p->pad_i, p->end_i, p->dilation_i};
}

static int64_t clamp(int64_t i, int64_t low, int64_t high)
{
    return i < low ? low : i > high ? high : i;
}

/* The elements of x [*from, *end) under windows [first, last], and the windows over elements, at least one each. */
static void under(const kiln_dispatch *d, const struct axis *a, int64_t first, int64_t last, int64_t *from,
                  int64_t *end)
{
    const bool adaptive = d->constants[1] & KILN_POOL_ADAPTIVE;
    const int64_t begin = adaptive ? first * a->x / a->y : first * a->stride - a->pad;
    const int64_t reach = (a->size - 1) * a->dilation + 1;
    const int64_t past = adaptive ? ((last + 1) * a->x + a->y - 1) / a->y : last * a->stride - a->pad + reach;
    *from = clamp(begin, 0, a->x - 1);
    *end = clamp(past, *from + 1, a->x);
}

static void over(const kiln_dispatch *d, const struct axis *a, int64_t first, int64_t last, int64_t *from,
                 int64_t *end)
{
    const bool adaptive = d->constants[1] & KILN_POOL_ADAPTIVE;
    const int64_t reach = (a->size - 1) * a->dilation;
    const int64_t begin = adaptive ? first * a->y / a->x : (first + a->pad - reach) / a->stride;
    const int64_t past = adaptive ? ((last + 1) * a->y + a->x - 1) / a->x : (last + a->pad) / a->stride + 1;
    *from = clamp(begin, 0, a->y - 1);
    *end = clamp(past, *from + 1, a->y);
}

static uint64_t rows_extent(const kiln_dispatch *d)
{
    uint64_t x_row, y_row;
    outermost(d, &x_row, &y_row);
    const uint64_t row = is_backward(d) ? x_row : y_row,
                   volume = is_backward(d) ? x_volume(block(d)) : y_volume(block(d));
    return block(d)->results <= volume ? block(d)->results / row : 1;
}

static void take_rows(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_pool *p = block_of(d);
    uint64_t x_row, y_row;
    const struct axis a = outermost(d, &x_row, &y_row);
    const uint64_t row = is_backward(d) ? x_row : y_row;
    const int64_t begin = (int64_t)(p->first / row + first), end = begin + (int64_t)count;
    int64_t x0, x1, y0 = begin, y1 = end;
    p->first += (uint32_t)(first * row);
    p->results = (uint32_t)(count * row);
    if (is_backward(d)) {
        over(d, &a, begin, end - 1, &y0, &y1);
        kiln_bind_elements(d, 2, &p->dx_first, (uint64_t)begin * x_row, (uint64_t)end * x_row);
    }
    under(d, &a, y0, y1 - 1, &x0, &x1);
    if (is_backward(d)) { /* its own elements, which no window may cover */
        x0 = x0 < begin ? x0 : begin;
        x1 = x1 > end ? x1 : end;
    }
    bind_windows(d, (uint64_t)y0 * y_row, (uint64_t)y1 * y_row);
    kiln_bind_elements(d, 0, &p->x_first, (uint64_t)x0 * x_row, (uint64_t)x1 * x_row);
}

static const kiln_cut cuts[] = {
    {planes_extent, take_planes, kiln_cut_anywhere},
    {rows_extent, take_rows, kiln_cut_anywhere},
};

/* Contracts ---------------------------------------------------------------------------------------------- */

static uint64_t units(const kiln_dispatch *d)
{
    return block(d)->results;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

/* Elements along an axis that a window holds, about. */
static double taps_along(const kiln_dispatch *d, uint32_t x, uint32_t y, uint32_t size)
{
    return d->constants[1] & KILN_POOL_ADAPTIVE ? (double)x / y + 1 : size;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_pool *p = block(d);
    return 2.0 * p->results * taps_along(d, p->d, p->od, p->size_a) * taps_along(d, p->h, p->oh, p->size_i) *
           taps_along(d, p->w, p->ow, p->size_j);
}

/* The largest of windows of that size, two apart, over whole planes; a last four of x that is not whole must be there to be read. */
static bool lines_accept(const kiln_caps *caps, const kiln_dispatch *d, uint32_t taps)
{
    const struct kiln_params_pool *p = block(d);
    const uint64_t volume = y_volume(p), end = p->x_first + (volume ? p->results / volume : 0) * x_volume(p);
    return d->constants[0] == KILN_POOL_MAX && d->constants[1] == 0 && volume > 0 && p->first == 0 &&
           p->results % volume == 0 && p->size_i == taps && p->size_j == taps && p->stride_i == 2 &&
           p->stride_j == 2 && p->dilation_i == 1 && p->dilation_j == 1 && end <= caps->max_texels &&
           (d->bind[0].bytes == 0 || end % 4 == 0);
}

static bool pool_lines_2_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    return lines_accept(caps, d, 2);
}

static bool pool_lines_3_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    return lines_accept(caps, d, 3);
}

static uint64_t lines_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_pool *p = block(d);
    (void)caps;
    return kiln_parts(p->results / y_volume(p) * kiln_parts(p->oh, 4) * kiln_parts(p->ow, 4), LINES_LANES);
}

LINES_VARIANT(pool_lines_2, kiln_spirv_pool_lines_2, &kiln_spirv_pool_lines_2_half, lines_groups, 1 << 0, 4,
              1);
LINES_VARIANT(pool_lines_3, kiln_spirv_pool_lines_3, &kiln_spirv_pool_lines_3_half, lines_groups, 1 << 0, 4,
              1);

/* Elements of a window along an axis. */
static uint64_t window_of(const kiln_dispatch *d, uint32_t size, uint32_t from, uint32_t to)
{
    return d->constants[1] & KILN_POOL_ADAPTIVE ? from / (to ? to : 1) + 2 : size;
}

static uint64_t pool_rounds(const kiln_dispatch *d)
{
    const struct kiln_params_pool *p = block(d);
    return kiln_rounds(window_of(d, p->size_a, p->d, p->od), window_of(d, p->size_i, p->h, p->oh),
                       window_of(d, p->size_j, p->w, p->ow));
}

/* Windows that an element lies in along an axis, and as many as lie between them. */
static uint64_t covering_of(const kiln_dispatch *d, uint32_t size, uint32_t stride, uint32_t dilation,
                            uint32_t from, uint32_t to)
{
    return d->constants[1] & KILN_POOL_ADAPTIVE ? to / (from ? from : 1) + 2
                                                : (uint64_t)(size - 1) * dilation / stride + 2;
}

/* Where no index says which is the largest, each window is searched. */
static uint64_t grad_rounds(const kiln_dispatch *d)
{
    const struct kiln_params_pool *p = block(d);
    const bool searches = d->constants[0] == KILN_POOL_MAX && !(d->constants[1] & KILN_POOL_INDEXED);
    return kiln_rounds(covering_of(d, p->size_a, p->stride_a, p->dilation_a, p->d, p->od),
                       covering_of(d, p->size_i, p->stride_i, p->dilation_i, p->h, p->oh),
                       covering_of(d, p->size_j, p->stride_j, p->dilation_j, p->w, p->ow)) *
           (searches ? 1 + pool_rounds(d) : 1);
}

static const kiln_variant pool_flat = {.name = "flat",
                                       .groups = groups,
                                       .rounds = pool_rounds,
                                       .spirv = &kiln_spirv_pool,
                                       .half = &kiln_spirv_pool_half};
static const kiln_variant grad_flat = {.name = "flat",
                                       .groups = groups,
                                       .rounds = grad_rounds,
                                       .spirv = &kiln_spirv_pool_grad,
                                       .half = &kiln_spirv_pool_grad_half};

const kiln_kernel kiln_kernel_pool = {
    .name = "pool",
    .block_size = sizeof(struct kiln_params_pool),
    .bindings = 3,
    .access = {KILN_READ, KILN_WRITE, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_pool_f32,
    .reference_f64 = kiln_reference_pool_f64,
    .gpu = (const kiln_variant *const[]){&pool_lines_2, &pool_lines_3, &pool_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pool_planes, NULL},
    .cuts = cuts,
    .cut_count = 2,
    .flops = flops,
};

const kiln_kernel kiln_kernel_pool_grad = {
    .name = "pool_grad",
    .block_size = sizeof(struct kiln_params_pool),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ},
    .halves = 1 << 0 | 1 << 1 | 1 << 2,
    .units = units,
    .reference = kiln_reference_pool_grad_f32,
    .reference_f64 = kiln_reference_pool_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pool_grad_planes, NULL},
    .cuts = cuts,
    .cut_count = 2,
    .flops = flops,
};
