/*
 * conv_bands.c - convolutions of which one image, or one channel of it, is longer than a device may bind, or its positions more
 * than a driver lets the loops of the gradient by the filters go around.
 *
 * The channels that a result is summed over lie a whole volume apart, so no window of memory holds a part of all of them.
 * Such an image is done in bands along its longest axis: what a band needs is copied together, and what it gives is copied
 * to its place. Of the gradient by the filters each band is a split, and the splits are added up in order.
 */
#include "ops/conv.h"

#include <string.h>

#include "base/number.h"
#include "device/caps.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/copy.h"
#include "ops/rounds.h"
#include "ops/splits.h"

/* A dispatch to be done in bands. */
struct banded {
    kiln_plan *plan;
    const kiln_dispatch *d;
    struct kiln_params_conv block;
    bool transposed, by_filters;
    int axis;
    uint64_t limit; /* elements that may be bound */
};

/* Elements [y0, y1) of y along the axis, and those of x that they meet. */
struct band {
    int64_t x0, x1, y0, y1;
};

static int64_t clamp(int64_t i, int64_t low, int64_t high)
{
    return i < low ? low : i > high ? high : i;
}

/* The block's words of one axis. */
struct words {
    uint32_t *x, *y;
    int32_t *pad;
    uint32_t taps, stride, dilation;
};

static struct words words_of(struct kiln_params_conv *p, int axis)
{
    const struct words words[] = {
        {&p->d, &p->od, &p->pad_a, p->t, p->stride_a, p->dilation_a},
        {&p->h, &p->oh, &p->pad_i, p->u, p->stride_i, p->dilation_i},
        {&p->w, &p->ow, &p->pad_j, p->v, p->stride_j, p->dilation_j},
    };
    return words[axis];
}

/* Elements that the smallest windows of x and y have (conv_kernel.c). */
static uint64_t least_window(const struct banded *b, const struct kiln_params_conv *p)
{
    const uint64_t x = (uint64_t)p->d * p->h * p->w, y = (uint64_t)p->od * p->oh * p->ow;
    const uint64_t xs = b->transposed || b->by_filters ? x : p->channels * x;
    const uint64_t ys = b->transposed ? p->filters * y : y;
    return xs > ys ? xs : ys;
}

/* Whether its operands can be bound, and the positions of an image are no more than a driver goes through in one loop. */
static bool suits(const struct banded *b, const struct kiln_params_conv *p)
{
    return least_window(b, p) <= b->limit &&
           (!b->by_filters || kiln_rounds(p->od, p->oh, p->ow) <= kiln_plan_caps(b->plan)->max_rounds);
}

/* Band `index` of so many: of the results, and from them what is read. */
static struct band band_of(struct banded *b, int64_t index, int64_t bands)
{
    const struct words w = words_of(&b->block, b->axis);
    const int64_t x = *w.x, y = *w.y, s = w.stride, pad = *w.pad,
                  reach = (int64_t)(w.taps - 1) * w.dilation + 1;
    struct band r;
    if (b->transposed) {
        r.x0 = x * index / bands;
        r.x1 = x * (index + 1) / bands;
        const int64_t first = r.x0 + pad - (reach - 1), last = r.x1 - 1 + pad;
        r.y0 = clamp(first > 0 ? (first + s - 1) / s : 0, 0, y - 1);
        r.y1 = clamp(last >= 0 ? last / s + 1 : 0, r.y0 + 1, y);
        return r;
    }
    r.y0 = y * index / bands;
    r.y1 = y * (index + 1) / bands;
    r.x0 = clamp(r.y0 * s - pad, 0, x - 1);
    r.x1 = clamp((r.y1 - 1) * s - pad + reach, r.x0 + 1, x);
    return r;
}

/* The block of one image's band, whose operands lie together. */
static struct kiln_params_conv narrowed(const struct banded *b, const struct band *r)
{
    struct kiln_params_conv p = b->block;
    const struct words w = words_of(&p, b->axis);
    *w.pad += (int32_t)(r->x0 - r->y0 * w.stride);
    *w.x = (uint32_t)(r->x1 - r->x0);
    *w.y = (uint32_t)(r->y1 - r->y0);
    p.images = p.per_split = 1;
    p.x_image = p.groups * p.channels * p.d * p.h * p.w;
    p.y_image = p.groups * p.filters * p.od * p.oh * p.ow;
    return p;
}

/* So many bands that each fits; 0: not even single places do. */
static int64_t bands_of(struct banded *b)
{
    const struct words w = words_of(&b->block, b->axis);
    const int64_t most = b->transposed ? *w.x : *w.y;
    for (int64_t bands = 2; bands <= most; bands *= 2) {
        bool fits = true;
        for (int64_t i = 0; i < bands && fits; i++) {
            const struct band r = band_of(b, i, bands);
            const struct kiln_params_conv p = narrowed(b, &r);
            fits = suits(b, &p);
        }
        if (fits)
            return bands;
    }
    return 0;
}

/* Copy a band of image n of x (or y) to where it lies together, or back. */
static kiln_status copy_band(const struct banded *b, bool of_x, const struct band *r, int64_t n,
                             kiln_tensor whole, kiln_tensor part, bool back)
{
    const struct kiln_params_conv *p = &b->block;
    const int64_t first = of_x ? r->x0 : r->y0, count = (of_x ? r->x1 : r->y1) - first;
    const kiln_shape from = of_x ? KILN_SHAPE(p->groups * p->channels, p->d, p->h, p->w)
                                 : KILN_SHAPE(p->groups * p->filters, p->od, p->oh, p->ow);
    kiln_shape to = from;
    struct kiln_walk walk = {.rank = 4};
    to.size[1 + b->axis] = count;
    memcpy(walk.size, to.size, 4 * sizeof *walk.size);
    kiln_dense_steps(&from, back ? walk.y_step : walk.x_step);
    kiln_dense_steps(&to, back ? walk.x_step : walk.y_step);
    const int64_t start =
        n * kiln_shape_count(&from) + first * (back ? walk.y_step : walk.x_step)[1 + b->axis];
    *(back ? &walk.y_start : &walk.x_start) = start;
    return kiln_plan_walk(b->plan, back ? part : whole, back ? whole : part, &walk);
}

/* Let binding i be a band of what it is. */
static kiln_status take_band(const struct banded *b, kiln_dispatch *d, int i, bool of_x, const struct band *r,
                             int64_t n)
{
    const struct kiln_params_conv p = narrowed(b, r);
    const kiln_type type = kiln_plan_spec(b->plan, d->bind[i].value).type;
    const kiln_tensor part = kiln_plan_temporary(b->plan, type, of_x ? p.x_image : p.y_image);
    const kiln_status status =
        d->kernel->access[i] == KILN_READ ? copy_band(b, of_x, r, n, d->bind[i].value, part, false) : KILN_OK;
    d->bind[i] = (kiln_binding){.value = part};
    return status;
}

static kiln_status one_band(const struct banded *b, const struct band *r, int64_t n)
{
    const struct kiln_params_conv p = narrowed(b, r);
    const bool writes_x = b->transposed;
    kiln_dispatch d = *b->d;
    memcpy(d.block.bytes, &p, sizeof p);
    kiln_status status = take_band(b, &d, 0, !writes_x, r, n);
    if (!status)
        status = take_band(b, &d, 2, writes_x, r, n);
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS && !status; i++)
        if (d.bind[3 + i].value.id && (d.constants[0] >> (16 + 4 * i) & 15) == KILN_WALK_FLAT)
            status = take_band(b, &d, 3 + i, writes_x, r, n);
    if (!status)
        status = kiln_plan_dispatch(b->plan, &d);
    return status ? status : copy_band(b, writes_x, r, n, b->d->bind[2].value, d.bind[2].value, true);
}

/* The gradient by the filters of one band, to split `index` of parts. */
static kiln_status one_split(const struct banded *b, const struct band *r, int64_t n, kiln_tensor parts,
                             uint64_t index)
{
    const struct kiln_params_conv p = narrowed(b, r);
    const uint64_t bytes = (uint64_t)p.part * kiln_plan_element(b->plan, parts);
    kiln_dispatch d = *b->d;
    memcpy(d.block.bytes, &p, sizeof p);
    d.bind[2] = (kiln_binding){.value = parts, .offset = index * bytes, .bytes = bytes};
    kiln_status status = take_band(b, &d, 0, false, r, n);
    if (!status)
        status = take_band(b, &d, 1, true, r, n);
    return status ? status : kiln_plan_dispatch(b->plan, &d);
}

static kiln_status all_bands(struct banded *b, int64_t bands)
{
    const uint32_t count = b->block.groups * b->block.filters * b->block.w_filter, images = b->block.images;
    kiln_tensor parts = KILN_NONE;
    kiln_status status = KILN_OK;
    if (b->by_filters) {
        b->block.part = (uint32_t)kiln_round_up(count, 64);
        parts = kiln_plan_temporary(b->plan, KILN_F32, images * bands * b->block.part);
    }
    for (int64_t n = 0; n < images; n++)
        for (int64_t i = 0; i < bands && !status; i++) {
            const struct band r = band_of(b, i, bands);
            status =
                b->by_filters ? one_split(b, &r, n, parts, (uint64_t)(n * bands + i)) : one_band(b, &r, n);
        }
    if (status || !b->by_filters)
        return status;
    return kiln_plan_split_sum(b->plan, parts, b->d->bind[2].value,
                               &(struct kiln_params_split_sum){.count = count,
                                                               .splits = (uint32_t)(images * bands),
                                                               .part = b->block.part});
}

/* The axis along which there are the most results. */
static int longest_axis(struct banded *b)
{
    int longest = 0;
    uint32_t most = 0;
    for (int i = 0; i < KILN_CONV_AXES; i++) {
        const struct words w = words_of(&b->block, i);
        const uint32_t count = b->transposed ? *w.x : *w.y;
        longest = count > most ? i : longest;
        most = count > most ? count : most;
    }
    return longest;
}

/* A window may begin before its operand. */
uint64_t kiln_conv_bound(const kiln_plan *plan, kiln_tensor t)
{
    const uint64_t element = kiln_plan_element(plan, t);
    return kiln_plan_caps(plan)->max_binding / (element > 4 ? element : 4) - 128;
}

static struct banded banded_of(kiln_plan *plan, const kiln_dispatch *d)
{
    struct banded b = {
        .plan = plan,
        .d = d,
        .transposed = d->constants[KILN_CONV_MODE] & KILN_CONV_TRANSPOSED,
        .by_filters = d->kernel == &kiln_kernel_conv_grad_filter,
        .limit = kiln_conv_bound(plan, d->bind[0].value),
    };
    memcpy(&b.block, d->block.bytes, sizeof b.block);
    b.axis = longest_axis(&b);
    return b;
}

bool kiln_conv_needs_bands(kiln_plan *plan, const kiln_dispatch *d)
{
    const struct banded b = banded_of(plan, d);
    return !suits(&b, &b.block);
}

kiln_status kiln_conv_bands(kiln_plan *plan, const kiln_dispatch *d)
{
    struct banded b = banded_of(plan, d);
    const int64_t bands = bands_of(&b);
    return bands ? all_bands(&b, bands) : kiln_plan_dispatch(plan, d); /* which says that it cannot be cut */
}
