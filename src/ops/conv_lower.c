/*
 * conv_lower.c - convolution's nodes become dispatches.
 *
 * A depthwise one may go together with the one before it (conv_pair.c). With filters of a single point that meet x as it lies, the
 * convolution is a matrix product for each image and group, if that pays; filters of 3 x 3 go through transformed tiles
 * (conv_winograd.c), and on drivers that run on the CPU others through columns (conv_columns.c); else one dispatch, or bands of it
 * (conv_bands.c).
 *
 * The gradient by the filters sums over far more terms than it has results: where those are few, the images are split, each
 * split summed by itself and the splits added up in order. How many depends on sizes, and on whether there is a GPU to fill.
 */
#include "ops/conv.h"

#include <string.h>

#include "base/number.h"
#include "device/caps.h"
#include "matmul/matmul.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/rounds.h"
#include "ops/splits.h"
#include "ops/tiles.h"

/* Sizes -------------------------------------------------------------------------------------------------- */

static const struct kiln_conv_axis point = {.x = 1, .y = 1, .taps = 1, .stride = 1, .dilation = 1};

/* Zeros before axis i: as given, or what `same` means at these sizes. */
static int64_t pad_of(const kiln_conv_params *p, int i, const struct kiln_conv_axis *a)
{
    if (!p->same)
        return p->pad[i][0];
    const int64_t all = (a->y - 1) * a->stride + (a->taps - 1) * a->dilation + 1 - a->x;
    return all < 0 ? 0 : p->same == KILN_SAME_UPPER ? all / 2 : all - all / 2;
}

static bool is_point(const struct kiln_conv_axis *a)
{
    return a->x == 1 && a->y == 1 && a->taps == 1 && a->pad == 0;
}

bool kiln_conv_is_of_nothing(const struct kiln_conv_sizes *s)
{
    bool nothing = s->images == 0;
    for (int i = 0; i < KILN_CONV_AXES; i++)
        nothing = nothing || s->axis[i].y == 0;
    return nothing;
}

bool kiln_conv_is_plain(const struct kiln_conv_axis *a)
{
    return a->taps == 1 && a->stride == 1 && a->pad == 0 && a->x == a->y;
}

struct kiln_conv_sizes kiln_conv_sizes_of(const kiln_conv_params *p, const kiln_shape *x, const kiln_shape *w,
                                          const kiln_shape *y)
{
    struct kiln_conv_sizes s = {.images = x->size[0],
                                .groups = p->groups,
                                .channels = w->size[1],
                                .filters = w->size[0] / p->groups,
                                .axis = {point, point, point}};
    const int axes = x->rank - 2;
    for (int i = 0; i < axes; i++) {
        struct kiln_conv_axis *a = &s.axis[KILN_CONV_AXES - axes + i];
        *a = (struct kiln_conv_axis){.x = x->size[2 + i],
                                     .y = y->size[2 + i],
                                     .taps = w->size[2 + i],
                                     .stride = p->stride[i],
                                     .dilation = p->dilation[i]};
        a->pad = pad_of(p, i, a);
        if (is_point(a))
            *a = point;
    }
    if (kiln_conv_is_plain(&s.axis[0]) && kiln_conv_is_plain(&s.axis[1])) { /* walked as one */
        s.axis[1].x = s.axis[1].y = s.axis[0].x * s.axis[1].x;
        s.axis[0] = point;
    }
    return s;
}

bool kiln_conv_is_plane(const kiln_plan *plan, const kiln_node *n, const struct kiln_conv_sizes *s)
{
    return kiln_plan_element(plan, n->in[0]) == sizeof(float) && s->groups == 1 && is_point(&s->axis[0]);
}

/* Every so-many-th place of the filter meets one element. */
static uint32_t step_of(const struct kiln_conv_axis *x)
{
    int64_t a = x->stride, b = x->dilation;
    while (b) {
        const int64_t rest = a % b;
        a = b, b = rest;
    }
    return (uint32_t)(x->stride / a);
}

struct kiln_params_conv kiln_conv_block(const struct kiln_conv_sizes *s)
{
    const struct kiln_conv_axis *a = &s->axis[0], *i = &s->axis[1], *j = &s->axis[2];
    return (struct kiln_params_conv){
        .images = (uint32_t)s->images,
        .groups = (uint32_t)s->groups,
        .channels = (uint32_t)s->channels,
        .filters = (uint32_t)s->filters,
        .d = (uint32_t)a->x,
        KILN_CONV_PLANE(s),
        .od = (uint32_t)a->y,
        .t = (uint32_t)a->taps,
        .stride_a = (uint32_t)a->stride,
        .pad_a = (int32_t)a->pad,
        .dilation_a = (uint32_t)a->dilation,
        .step_a = step_of(a),
        .step_i = step_of(i),
        .step_j = step_of(j),
        .x_image = (uint32_t)(s->groups * s->channels * a->x * i->x * j->x),
        .y_image = (uint32_t)(s->groups * s->filters * a->y * i->y * j->y),
        .w_filter = (uint32_t)(s->channels * a->taps * i->taps * j->taps),
        .per_split = (uint32_t)s->images,
        .pieces = 1,
    };
}

uint32_t kiln_conv_mode(const struct kiln_params_conv *p, bool transposed)
{
    const bool volume = p->d > 1 || p->od > 1 || p->t > 1 || p->pad_a;
    const uint64_t taps = (uint64_t)p->t * p->u * p->v,
                   positions = (uint64_t)p->images * p->od * p->oh * p->ow;
    const uint64_t sources = p->channels > p->filters ? p->channels : p->filters, small = 1 << 20;
    return (transposed ? KILN_CONV_TRANSPOSED : 0) | (volume ? KILN_CONV_VOLUME : 0) |
           (taps <= 31 ? KILN_CONV_FEW : 0) |
           (sources * taps < small && positions < small ? KILN_CONV_SMALL : 0);
}

struct kiln_conv_sizes kiln_conv_sizes_of_node(const kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape first = kiln_plan_spec(plan, n->in[0]).shape,
                     second = kiln_plan_spec(plan, n->in[1]).shape;
    const kiln_shape out = kiln_plan_spec(plan, n->out[0]).shape;
    return n->op == &kiln_op_conv             ? kiln_conv_sizes_of(n->params, &first, &second, &out)
           : n->op == &kiln_op_conv_transpose ? kiln_conv_sizes_of(n->params, &out, &second, &first)
                                              : kiln_conv_sizes_of(n->params, &second, &out, &first);
}

static bool is_empty(const kiln_plan *plan, kiln_tensor t)
{
    const kiln_shape shape = kiln_plan_spec(plan, t).shape;
    return kiln_shape_count(&shape) == 0;
}

/* Convolution and its transpose -------------------------------------------------------------------------- */

/* One dispatch; of few results and many sources, one that sums these in parts. */
static kiln_status in_parts(kiln_plan *plan, kiln_dispatch *d)
{
    struct kiln_params_conv *p = (struct kiln_params_conv *)d->block.words;
    const bool transposed = d->constants[KILN_CONV_MODE] & KILN_CONV_TRANSPOSED;
    const uint32_t plane = transposed ? p->d * p->h * p->w : p->od * p->oh * p->ow,
                   rows = transposed ? p->channels : p->filters;
    const struct kiln_products x = {p->groups, rows, (uint64_t)p->images * plane};
    const struct kiln_terms sources = {.count = transposed ? p->filters : p->channels,
                                       .weight = (uint64_t)p->t * p->u * p->v,
                                       .rounds = kiln_rounds(p->t, p->u, p->v)};
    const uint64_t splits = kiln_tile_splits(kiln_plan_caps(plan), x, sources);
    const uint64_t count = (uint64_t)p->images * p->groups * rows * plane;
    if (splits == 1 || !kiln_plan_binds_whole(plan, d, splits * count))
        return kiln_plan_dispatch(plan, d);

    p->pieces = (uint32_t)splits;
    p->part = (uint32_t)count;
    return kiln_plan_splits(plan, d, p->immediate,
                            &(struct kiln_params_split_sum){.count = (uint32_t)count,
                                                            .splits = (uint32_t)splits,
                                                            .part = (uint32_t)count,
                                                            .column_length = plane,
                                                            .columns = p->groups * rows});
}

static kiln_status implicit_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    if (is_empty(plan, n->out[0]))
        return KILN_OK;

    struct kiln_params_conv block = kiln_conv_block(&s);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof block,
    };
    const kiln_status status = kiln_epilogue_write(plan, n, &d, 0, 3, block.immediate);
    d.constants[KILN_CONV_MODE] = kiln_conv_mode(&block, n->op == &kiln_op_conv_transpose);
    d.constant_count = KILN_CONV_MODE + 1;
    memcpy(d.block.bytes, &block, sizeof block);
    if (status)
        return status;
    return kiln_conv_needs_bands(plan, &d) ? kiln_conv_bands(plan, &d) : in_parts(plan, &d);
}

/* As a product of matrices ------------------------------------------------------------------------------- */

/* Places of an image. */
static int64_t places_of(const struct kiln_conv_sizes *s)
{
    return s->axis[0].x * s->axis[1].x * s->axis[2].x;
}

static bool product_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const uint64_t limit = kiln_conv_bound(plan, n->out[0]);
    const uint64_t deepest = (uint64_t)(s.channels > s.filters ? s.channels : s.filters);
    return s.groups == 1 && kiln_conv_is_plain(&s.axis[0]) && kiln_conv_is_plain(&s.axis[1]) &&
           kiln_conv_is_plain(&s.axis[2]) && (uint64_t)(s.images * places_of(&s)) * deepest <= limit;
}

/* Matrix units read planes of a product in fours, which a convolution need not be. */
static bool has_odd_halves(const kiln_plan *plan, const kiln_node *n, int64_t places)
{
    const bool halves = kiln_plan_element(plan, n->in[0]) == 2 && kiln_plan_element(plan, n->in[1]) == 2;
    return kiln_plan_caps(plan)->coop && halves && places % 4 != 0;
}

/* Of short planes each would be a product of its own, too small to fill a tile. */
static bool product_pays(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const int64_t places = places_of(&s);
    return places == 1 || (places >= 32 && !has_odd_halves(plan, n, places));
}

/* For each image, y [M, places] = w [M, K] x [K, places]. */
static void set_planes(struct kiln_params_matmul *b, const struct kiln_conv_sizes *s, bool transposed)
{
    const uint32_t places = (uint32_t)places_of(s);
    b->m = (uint32_t)(transposed ? s->channels : s->filters);
    b->k = (uint32_t)(transposed ? s->filters : s->channels);
    b->n = b->b_k = b->c_m = places;
    b->b_n = 1;
    b->a_m = transposed ? 1 : b->k;
    b->a_k = transposed ? b->m : 1;
    b->batch = b->batch2 = (uint32_t)s->images;
    b->batch1 = 1;
    b->b_batch2 = b->k * places;
    b->c_batch = b->m * places;
}

/* Of pictures of one place all are one: y [N, M] = x [N, K] w^T [K, M]. */
static void set_points(struct kiln_params_matmul *b, const struct kiln_conv_sizes *s, bool transposed)
{
    b->m = (uint32_t)s->images;
    b->n = b->c_m = (uint32_t)(transposed ? s->channels : s->filters);
    b->k = b->a_m = (uint32_t)(transposed ? s->filters : s->channels);
    b->a_k = 1;
    b->b_k = transposed ? b->n : 1;
    b->b_n = transposed ? 1 : b->k;
    b->batch = b->batch1 = b->batch2 = 1;
    b->c_batch = b->m * b->n;
}

void kiln_conv_turn_walks(uint32_t *head)
{
    for (int at = 16; at < 16 + 4 * KILN_EPILOGUE_OPERANDS; at += 4)
        if ((*head >> at & 15) == KILN_WALK_COLUMN)
            *head ^= (KILN_WALK_COLUMN ^ KILN_WALK_ROW) << at;
}

static kiln_status product_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const bool transposed = n->op == &kiln_op_conv_transpose, points = places_of(&s) == 1;
    if (is_empty(plan, n->out[0]))
        return KILN_OK;

    kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul,
        .bind = {{.value = n->in[!points]}, {.value = n->in[points]}, {.value = n->out[0]}},
        .block_size = sizeof(struct kiln_params_matmul),
    };
    struct kiln_params_matmul *block = (struct kiln_params_matmul *)d.block.words;
    const kiln_status status = kiln_epilogue_write(plan, n, &d, 0, 3, block->immediate);
    if (points) {
        set_points(block, &s, transposed);
    } else {
        set_planes(block, &s, transposed);
        kiln_conv_turn_walks(&d.constants[0]);
    }
    return status ? status : kiln_plan_product(plan, &d);
}

const kiln_lowering kiln_conv_lowerings[] = {
    {.name = "pair",
     .joins = true,
     .accepts = kiln_conv_pair_accepts,
     .pays = kiln_conv_pair_pays,
     .lower = kiln_conv_pair_lower},
    {.name = "winograd",
     .accepts = kiln_conv_winograd_accepts,
     .pays = kiln_conv_winograd_pays,
     .lower = kiln_conv_winograd_lower,
     .form = kiln_conv_winograd_form},
    {.name = "winograd_small",
     .accepts = kiln_conv_winograd_small_accepts,
     .pays = kiln_conv_winograd_small_pays,
     .lower = kiln_conv_winograd_small_lower,
     .form = kiln_conv_winograd_small_form},
    {.name = "winograd_packed",
     .accepts = kiln_conv_winograd_packed_accepts,
     .pays = kiln_conv_winograd_packed_pays,
     .lower = kiln_conv_winograd_packed_lower,
     .form = kiln_conv_packed_form},
    {.name = "packed",
     .accepts = kiln_conv_packed_accepts,
     .pays = kiln_conv_packed_pays,
     .lower = kiln_conv_packed_lower,
     .form = kiln_conv_packed_form},
    {.name = "product", .accepts = product_accepts, .pays = product_pays, .lower = product_lower},
    {.name = "columns",
     .accepts = kiln_conv_columns_accepts,
     .pays = kiln_conv_columns_pays,
     .lower = kiln_conv_columns_lower},
    {.name = "implicit", .lower = implicit_lower},
};

/* The gradient by the filters ---------------------------------------------------------------------------- */

/*
 * Images of one split: so few that there are some 32768 results in all, but with 256 positions at the least; a power of two
 * up to 64 and no more than one window may bind, so that windows can be cut between splits, or all of them.
 */
static uint32_t images_of_split(const struct kiln_params_conv *p, uint64_t results, uint64_t limit)
{
    const uint64_t splits = 32768 / results + 1, positions = (uint64_t)p->od * p->oh * p->ow;
    const uint64_t image = p->x_image > p->y_image ? p->x_image : p->y_image;
    const bool windows = p->images * image > limit;
    uint64_t want = p->images / splits;
    want = want > 256 / positions ? want : 256 / positions;
    if (want >= p->images && !windows)
        return p->images;
    uint32_t images = 1;
    while (images < 64 && 2 * images <= want && (!windows || 2 * images * image <= limit))
        images *= 2;
    return images;
}

/* Cut the images, and if need be the positions of each, until there is work for all of a GPU; false where that is not wanted. */
static bool fill_device(kiln_plan *plan, kiln_dispatch *d)
{
    struct kiln_params_conv *p = (struct kiln_params_conv *)d->block.words;
    const kiln_caps *caps = kiln_plan_caps(plan);
    const uint64_t positions = (uint64_t)p->od * p->oh * p->ow;
    struct kiln_products x = {p->groups, p->filters, p->w_filter};
    const struct kiln_terms images = {p->images, positions, kiln_rounds(p->od, p->oh, p->ow)};
    const uint64_t splits = kiln_tile_splits(caps, x, images);
    x.count *= p->images;
    const uint64_t pieces =
        splits < p->images ? 1 : kiln_tile_splits(caps, x, (struct kiln_terms){positions, 1, 1});
    const uint64_t count = (uint64_t)p->groups * p->filters * p->w_filter;
    if (splits * pieces == 1 || !kiln_plan_binds_whole(plan, d, splits * pieces * (count + 64)))
        return false;
    p->per_split = p->images / (uint32_t)splits;
    p->pieces = (uint32_t)pieces;
    return true;
}

static kiln_status grad_filter_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape w = kiln_plan_spec(plan, n->out[0]).shape;
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const uint64_t limit = kiln_conv_bound(plan, n->out[0]);
    const uint32_t count = (uint32_t)kiln_shape_count(&w);
    if (kiln_conv_is_of_nothing(&s))
        return kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);

    const struct kiln_params_conv block = kiln_conv_block(&s);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_grad_filter,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof block,
        .constants = {[KILN_CONV_MODE] = kiln_conv_mode(&block, false)},
        .constant_count = KILN_CONV_MODE + 1,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    if (kiln_conv_needs_bands(plan, &d))
        return kiln_conv_bands(plan, &d);
    struct kiln_params_conv *cut = (struct kiln_params_conv *)d.block.words;
    if (!fill_device(plan, &d))
        cut->per_split = images_of_split(&block, count, limit);
    const uint32_t splits = (block.images + cut->per_split - 1) / cut->per_split * cut->pieces;
    if (splits == 1)
        return kiln_plan_dispatch(plan, &d);
    cut->part = (uint32_t)kiln_round_up(count, 64);
    return kiln_plan_splits(
        plan, &d, NULL, &(struct kiln_params_split_sum){.count = count, .splits = splits, .part = cut->part});
}

const kiln_lowering kiln_conv_grad_filter_lowerings[] = {
    {.name = "winograd",
     .accepts = kiln_conv_grad_winograd_accepts,
     .pays = kiln_conv_winograd_pays,
     .lower = kiln_conv_grad_winograd_lower},
    {.name = "implicit", .lower = grad_filter_lower},
};
