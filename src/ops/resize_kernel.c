/*
 * resize_kernel.c - resizing's nodes become dispatches, and their contract: units, windows, variants.
 *
 * Neighbouring axes that stay as they are become one. Up to three axes from the first resized one to the last go through one
 * dispatch, unless its sums are long: then axis follows axis, those first that become smaller. A picture that is larger than the
 * device binds is cut into bands, each with the part of x that its tables name.
 */
#include "ops/resize.h"

#include <stdlib.h>

#include "base/log.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/lower.h"
#include "ops/window.h"
#include "shaders.h"

enum { AXES = 3, LONG = 16 /* of a sum */ };

/* Axes of x and y that go together, and what makes y's of x's; no rows where they stay as they are. */
struct part {
    int64_t x, y;
    struct kiln_bands bands;
};

/* A node's work. */
struct work {
    kiln_plan *plan;
    kiln_tensor x, y;
    double outside;
    struct part part[KILN_MAX_RANK];
    int parts;
};

static bool is_resized(const struct part *part)
{
    return part->bands.first != NULL;
}

/* Tables ------------------------------------------------------------------------------------------------- */

static int64_t words_of(const struct kiln_bands *b)
{
    return b->rows * (b->taps + KILN_RESIZE_HEAD);
}

/* The rows' words at `to`, the weights' rests `rest` words behind. */
static void pack(const struct kiln_bands *b, uint32_t *to, int64_t rest)
{
    union {
        float real;
        uint32_t word;
    } bits;
    for (int64_t q = 0; q < b->rows; q++, to += b->taps + KILN_RESIZE_HEAD) {
        to[0] = (uint32_t)b->first[q];
        to[1] = (uint32_t)b->count[q];
        for (int64_t k = 0; k < b->taps; k++) {
            const double weight = b->weight[q * b->taps + k];
            bits.real = (float)weight;
            to[KILN_RESIZE_HEAD + k] = bits.word;
            bits.real = (float)(weight - (double)bits.real);
            to[rest + KILN_RESIZE_HEAD + k] = bits.word;
        }
    }
}

/* Where the rows of three axes begin goes to `at`. */
static kiln_status table_of(kiln_plan *plan, const struct kiln_bands *const *b, uint32_t *at,
                            kiln_tensor *table)
{
    int64_t words = 0;
    for (int i = 0; i < AXES; i++) {
        at[i] = (uint32_t)words;
        words += words_of(b[i]);
    }
    uint32_t *all = words < UINT32_MAX / 2 ? calloc((size_t)words * 2, sizeof *all) : NULL;
    if (!all)
        return kiln_fail(KILN_ERROR_MEMORY, "resize: no memory for %lld weights", (long long)words);
    for (int i = 0; i < AXES; i++)
        pack(b[i], all + at[i], words);
    *table = kiln_plan_table(plan, all, words * 2);
    free(all);
    return KILN_OK;
}

/* Dispatches --------------------------------------------------------------------------------------------- */

/* y [outer, three parts, inner] of x, which is a dispatch, or one a band. */
struct pass {
    kiln_tensor x, y;
    int64_t outer, inner;
    const struct part *part[AXES];
};

static int64_t volume_of(const struct pass *s, bool y)
{
    int64_t volume = s->inner;
    for (int i = 0; i < AXES; i++)
        volume *= y ? s->part[i]->y : s->part[i]->x;
    return volume;
}

static kiln_status dispatch_of(const struct work *w, const struct pass *s, kiln_dispatch *d)
{
    const struct kiln_bands *b[AXES] = {&s->part[0]->bands, &s->part[1]->bands, &s->part[2]->bands};
    uint32_t at[AXES];
    *d = (kiln_dispatch){.kernel = &kiln_kernel_resize,
                         .bind = {{.value = s->x}, {.value = s->y}},
                         .constant_count = 2,
                         .block_size = sizeof(struct kiln_params_resize)};
    const kiln_status status = table_of(w->plan, b, at, &d->bind[2].value);
    struct kiln_params_resize *p = (struct kiln_params_resize *)d->block.words;
    p->results = (uint32_t)(s->outer * volume_of(s, true));
    KILN_DIVISOR_SET(p, inner, (uint32_t)s->inner);
    KILN_DIVISOR_SET(p, oa, (uint32_t)s->part[0]->y);
    KILN_DIVISOR_SET(p, oi, (uint32_t)s->part[1]->y);
    KILN_DIVISOR_SET(p, oj, (uint32_t)s->part[2]->y);
    p->a = (uint32_t)s->part[0]->x, p->i = (uint32_t)s->part[1]->x, p->j = (uint32_t)s->part[2]->x;
    p->rows_a = at[0], p->rows_i = at[1], p->rows_j = at[2];
    p->taps_a = (uint32_t)b[0]->taps, p->taps_i = (uint32_t)b[1]->taps, p->taps_j = (uint32_t)b[2]->taps;
    p->rest = at[2] + (uint32_t)words_of(b[2]);
    KILN_REAL_SET(p, outside, w->outside);
    d->constants[0] =
        (s->part[0]->y > 1 || s->part[0]->x > 1 ? KILN_RESIZE_VOLUME : 0) |
        (kiln_bands_copy(b[0]) && kiln_bands_copy(b[1]) && kiln_bands_copy(b[2]) ? KILN_RESIZE_COPY : 0);
    d->constants[1] = kiln_bands_pattern(b[2], &p->begin, &p->end);
    return status;
}

/* Elements of x that rows [q, end) need: [*from, *to), one at least. */
static void needs(const struct kiln_bands *b, int64_t q, int64_t end, int64_t *from, int64_t *to)
{
    *from = INT64_MAX, *to = 0;
    for (; q < end; q++) {
        *from = b->count[q] && b->first[q] < *from ? b->first[q] : *from;
        *to = b->count[q] && b->first[q] + b->count[q] > *to ? b->first[q] + b->count[q] : *to;
    }
    if (*to == 0)
        *from = 0, *to = 1;
}

/* Rows [q, end) of an axis, as an axis. */
static struct part rows_of(const struct part *part, int64_t q, int64_t end)
{
    struct part rows = {.x = part->x, .y = end - q, .bands = part->bands};
    rows.bands.rows = end - q;
    rows.bands.first += q;
    rows.bands.count += q;
    rows.bands.weight += q * part->bands.taps;
    return rows;
}

/* Rows from q on that a dispatch may have: that many, and what they need of x and of the table, is within the limit. */
static int64_t end_of_band(const struct part *part, int64_t q, int64_t x_row, int64_t y_row, int64_t limit,
                           int64_t *x0, int64_t *x1)
{
    int64_t end = q + 1;
    needs(&part->bands, q, end, x0, x1);
    for (; end < part->y; end++) {
        int64_t from, to;
        needs(&part->bands, end, end + 1, &from, &to);
        from = from < *x0 ? from : *x0, to = to > *x1 ? to : *x1;
        if ((to - from) * x_row > limit || (end + 1 - q) * y_row > limit ||
            (end + 1 - q) * (part->bands.taps + KILN_RESIZE_HEAD) > limit)
            break;
        *x0 = from, *x1 = to;
    }
    return end;
}

/* One image, which is more than the device binds, along its first axis of more than one element. */
static kiln_status bands_of(const struct work *w, const struct pass *s, int64_t image, int64_t limit)
{
    int axis = 0;
    while (axis < AXES - 1 && s->part[axis]->x == 1 && s->part[axis]->y == 1)
        axis++;
    const struct part *part = s->part[axis];
    const int64_t x = image * volume_of(s, false), x_row = volume_of(s, false) / part->x,
                  y = image * volume_of(s, true), y_row = volume_of(s, true) / part->y;
    kiln_status status = KILN_OK;
    for (int64_t q = 0, end, x0, x1; q < part->y && !status; q = end) {
        end = end_of_band(part, q, x_row, y_row, limit, &x0, &x1);
        const struct part rows = rows_of(part, q, end);
        struct pass band = *s;
        kiln_dispatch d;
        band.outer = 1;
        band.part[axis] = &rows;
        if ((status = dispatch_of(w, &band, &d)))
            return status;
        for (int i = 0; i < 2; i++) {
            d.element[i] = (uint8_t)kiln_plan_element(w->plan, d.bind[i].value);
            d.halves |= (uint32_t)(d.element[i] == 2) << i;
        }
        struct kiln_params_resize *p = (struct kiln_params_resize *)d.block.words;
        kiln_bind_elements(&d, 0, &p->x_first, (uint64_t)(x + x0 * x_row), (uint64_t)(x + x1 * x_row));
        p->x_first += (uint32_t)x;
        p->y_first = kiln_bind_window(&d, 1, (uint64_t)(y + q * y_row), (uint64_t)((end - q) * y_row));
        status = kiln_plan_dispatch(w->plan, &d);
    }
    return status;
}

static kiln_status run_pass(const struct work *w, const struct pass *s)
{
    const int64_t limit = (int64_t)(kiln_plan_caps(w->plan)->max_binding / sizeof(double)) - 128;
    int64_t words = 0;
    for (int i = 0; i < AXES; i++)
        words += words_of(&s->part[i]->bands);
    kiln_status status = KILN_OK;
    if (volume_of(s, false) <= limit && volume_of(s, true) <= limit && words <= limit) {
        kiln_dispatch d;
        status = dispatch_of(w, s, &d);
        return status ? status : kiln_plan_dispatch(w->plan, &d);
    }
    for (int64_t n = 0; n < s->outer && !status; n++)
        status = bands_of(w, s, n, limit);
    return status;
}

/* Passes ------------------------------------------------------------------------------------------------- */

/* Elements of y along parts [from, to). */
static int64_t between(const struct work *w, int from, int to)
{
    int64_t count = 1;
    for (int i = from; i < to; i++)
        count *= w->part[i].y;
    return count;
}

/* y of x along parts [first, last], at most three; the other parts have the sizes that x has. The last axis of the kernel is one
 * that lies densely: not resized, of one element, where something lies behind the parts. */
static kiln_status resize_parts(const struct work *w, int first, int last, kiln_tensor x, kiln_tensor y)
{
    struct part one = {.x = 1, .y = 1};
    struct kiln_bands same[KILN_MAX_RANK] = {{0}};
    kiln_status status = kiln_bands_identity(&one.bands, 1);
    struct pass s = {.x = x,
                     .y = y,
                     .outer = between(w, 0, first),
                     .inner = between(w, last + 1, w->parts),
                     .part = {&one, &one, &one}};
    struct part kept[AXES];
    const int count = last - first + 1, behind = s.inner > 1 && count < AXES;
    for (int i = 0; i < count && !status; i++) {
        kept[i] = w->part[first + i];
        if (!is_resized(&kept[i]) && !(status = kiln_bands_identity(&same[i], kept[i].y)))
            kept[i].bands = same[i];
        s.part[AXES - behind - count + i] = &kept[i];
    }
    if (!status)
        status = run_pass(w, &s);
    for (int i = 0; i < KILN_MAX_RANK; i++)
        kiln_bands_free(&same[i]);
    kiln_bands_free(&one.bands);
    return status;
}

/* Whether one dispatch does it all: what it sums for an element is few; on the CPU, where a row is blended before it is spread,
 * but for the last axis. */
static bool at_once(const struct work *w, int first, int last)
{
    const bool cpu = kiln_plan_caps(w->plan)->backend == KILN_BACKEND_CPU;
    int64_t sum = 1;
    for (int i = first; i <= last; i++)
        if (is_resized(&w->part[i]) && !(cpu && i == last && last == w->parts - 1))
            sum *= w->part[i].bands.taps;
    return last - first < AXES && (sum <= LONG || first == last);
}

/* The part that is left whose y is smallest against x. */
static int next_of(const struct work *w, const bool *done)
{
    int best = -1;
    for (int i = 0; i < w->parts; i++)
        if (is_resized(&w->part[i]) && !done[i] &&
            (best < 0 || w->part[i].y * w->part[best].x < w->part[best].y * w->part[i].x))
            best = i;
    return best;
}

/* A part after the other, through temporaries. */
static kiln_status one_by_one(struct work *w)
{
    bool done[KILN_MAX_RANK] = {false};
    int64_t y[KILN_MAX_RANK];
    kiln_tensor from = w->x;
    kiln_status status = KILN_OK;
    for (int i = 0; i < w->parts; i++)
        y[i] = w->part[i].y;
    for (int i = next_of(w, done), next; i >= 0 && !status; i = next) {
        done[i] = true;
        next = next_of(w, done);
        int64_t count = 1;
        for (int k = 0; k < w->parts; k++)
            count *= done[k] ? y[k] : w->part[k].x;
        const kiln_tensor to = next < 0 ? w->y : kiln_plan_temporary(w->plan, KILN_F32, count);
        struct work now = *w;
        for (int k = 0; k < w->parts; k++)
            if (k != i)
                now.part[k].x = now.part[k].y = done[k] ? y[k] : w->part[k].x;
        status = resize_parts(&now, i, i, from, to);
        from = to;
    }
    return status;
}

static kiln_status run(struct work *w)
{
    int first = 0, last = w->parts - 1;
    while (first < w->parts && !is_resized(&w->part[first]))
        first++;
    while (last > first && !is_resized(&w->part[last]))
        last--;
    if (first == w->parts)
        return kiln_lower_copy(w->plan, (kiln_binding){.value = w->x}, (kiln_binding){.value = w->y},
                               (uint64_t)between(w, 0, w->parts));
    return at_once(w, first, last) ? resize_parts(w, first, last, w->x, w->y) : one_by_one(w);
}

/* Lowering ----------------------------------------------------------------------------------------------- */

/* An axis that stays as it is goes with its neighbour of the same kind. */
static kiln_status keep_axis(struct work *w, int64_t n)
{
    if (w->parts && !is_resized(&w->part[w->parts - 1])) {
        w->part[w->parts - 1].x *= n;
        w->part[w->parts - 1].y *= n;
    } else {
        w->part[w->parts++] = (struct part){.x = n, .y = n};
    }
    return KILN_OK;
}

/* Axis `axis` of the node, of whose n elements m become, forward. */
static kiln_status add_axis(struct work *w, const struct kiln_resize *p, int axis, int64_t n, int64_t m,
                            bool backward)
{
    struct kiln_bands forward = {0};
    if (!(p->axes >> axis & 1))
        return keep_axis(w, n);
    if (n == 0)
        return kiln_fail(KILN_ERROR_SHAPE, "resize: axis %d of x is empty, wanted %lld elements of y", axis,
                         (long long)m);
    kiln_status status = kiln_bands_create(&forward, p, axis, n, m);
    if (!status && kiln_bands_keep(&forward, n)) {
        kiln_bands_free(&forward);
        return keep_axis(w, n);
    }
    struct part *part = &w->part[w->parts++];
    *part = (struct part){.x = backward ? m : n, .y = backward ? n : m, .bands = forward};
    if (status || !backward)
        return status;
    status = kiln_bands_transpose(&part->bands, &forward, n);
    kiln_bands_free(&forward);
    return status;
}

static kiln_status lower_node(kiln_plan *plan, const kiln_node *n, bool backward)
{
    const struct kiln_resize *p = n->params;
    const kiln_shape in = kiln_plan_spec(plan, n->in[0]).shape, out = kiln_plan_spec(plan, n->out[0]).shape;
    const kiln_shape *small = backward ? &out : &in, *large = backward ? &in : &out;
    struct work w = {.plan = plan, .x = n->in[0], .y = n->out[0], .outside = backward ? 0 : p->outside};
    kiln_status status = KILN_OK;
    if (kiln_shape_count(&out) == 0)
        return KILN_OK;
    if (backward && kiln_shape_count(&in) == 0)
        return kiln_lower_constant(plan, n->out[0], 0);
    status = kiln_plan_affords(plan, backward ? n->in[0] : n->out[0]);
    for (int i = 0; i < out.rank && !status; i++)
        status = add_axis(&w, p, i, small->size[i], large->size[i], backward);
    if (!status)
        status = run(&w);
    for (int i = 0; i < w.parts; i++)
        kiln_bands_free(&w.part[i].bands);
    return status;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    return lower_node(plan, n, false);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    return lower_node(plan, n, true);
}

const kiln_lowering kiln_resize_lowering = {.name = "bands", .lower = lower};
const kiln_lowering kiln_resize_grad_lowering = {.name = "bands", .lower = grad_lower};

/* The contract ------------------------------------------------------------------------------------------- */

static const struct kiln_params_resize *block(const kiln_dispatch *d)
{
    return (const struct kiln_params_resize *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block(d)->results;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

static uint64_t y_volume(const struct kiln_params_resize *p)
{
    return (uint64_t)p->oa * p->oi * p->oj * p->inner;
}

static uint64_t images_extent(const kiln_dispatch *d)
{
    return block(d)->results / y_volume(block(d));
}

static void take_images(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_resize *p = (struct kiln_params_resize *)d->block.words;
    const uint64_t x = (uint64_t)p->a * p->i * p->j * p->inner, y = y_volume(p);
    p->results = (uint32_t)(count * y);
    p->x_first = kiln_bind_window(d, 0, p->x_first + first * x, count * x);
    p->y_first = kiln_bind_window(d, 1, p->y_first + first * y, count * y);
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_resize *p = block(d);
    return 2.0 * p->results * p->taps_a * p->taps_i * p->taps_j;
}

static const kiln_variant flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_resize, .half = &kiln_spirv_resize_half};

const kiln_kernel kiln_kernel_resize = {
    .name = "resize",
    .block_size = sizeof(struct kiln_params_resize),
    .bindings = 3,
    .access = {KILN_READ, KILN_WRITE, KILN_READ},
    .mixed = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_resize_f32,
    .reference_f64 = kiln_reference_resize_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_resize_rows, NULL},
    .cuts = (const kiln_cut[]){{images_extent, take_images, kiln_cut_anywhere}},
    .cut_count = 1,
    .flops = flops,
};
