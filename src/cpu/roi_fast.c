/*
 * roi_fast.c - regions of interest by rows of their maps. A mean of samples is a product with a matrix on each side,
 *
 *   y = down x across' / samples,   dx = down' dy across / samples,
 *
 * down [high, h] and across [wide, w] of how much of a cell the samples of a bin hold; each bin's row is 0 outside a short span.
 * Rows of the map meet a bin row by vectors, and only then are columns told apart. Of CELLS a bin's are looked through.
 *
 * Units are boxes forward and maps backward, by BLOCK channels: a map's elements get what the boxes hand to them in their order.
 */
#include <math.h>
#include <string.h>

#include "cpu/simd.h"
#include "device/caps.h"
#include "device/variants.h"
#include "roi/roi.h"

enum { BLOCK = 16, MOST = 1 << 20 };

typedef struct kiln_params_roi params;

/* Cells [first, end). */
struct span {
    int first, end;
};

/* What the samples of a box's bins hold along an axis: weight[bin * cells + cell], 0 outside of the bin's span. */
struct side {
    int bins, cells;
    float *weight;
    struct span *span, all;
    int64_t grid;
};

/* A worker's room, carved from the scratch. */
struct room {
    struct side down, across;
    float *row; /* [w] */
};

static size_t room_floats(const params *p)
{
    return (size_t)p->high * p->h + (size_t)p->wide * p->w + p->w + 2 * ((size_t)p->high + p->wide);
}

static float *lay_side(struct side *s, float *at, uint32_t bins, uint32_t cells)
{
    *s = (struct side){
        .bins = (int)bins, .cells = (int)cells, .weight = at, .span = (void *)(at + bins * cells)};
    return at + bins * cells + 2 * bins;
}

static struct room room_of(const params *p, const kiln_memory *m)
{
    struct room r;
    float *at = m->scratch;
    at = lay_side(&r.down, at, p->high, p->h);
    r.row = lay_side(&r.across, at, p->wide, p->w);
    return r;
}

/* Boxes -------------------------------------------------------------------------------------------------- */

struct edge {
    double low, step;
};

/* The cells of one sample, put into its bin's row. */
KILN_INLINE void put_sample(struct side *s, double place, float *row, struct span *span)
{
    if (!(place >= -1 && place <= s->cells))
        return;
    const double inside = place > 0 ? place : 0;
    const int low = inside < s->cells - 1 ? (int)inside : s->cells - 1;
    const float share = low < s->cells - 1 ? (float)(inside - low) : 0;
    row[low] += 1 - share;
    if (low < s->cells - 1)
        row[low + 1] += share;
    span->first = low < span->first ? low : span->first;
    span->end = low + 2 > span->end ? low + 2 : span->end;
}

static int64_t clamp(double x, int64_t low, int64_t high)
{
    return x < (double)low ? low : x > (double)high ? high : (int64_t)x;
}

static void put_samples(struct side *s, const struct edge *e)
{
    const int64_t total = s->bins * s->grid;
    const bool forward = e->step > 0;
    const int64_t from = forward ? clamp((-1 - e->low) / e->step - 1, 0, total) : 0,
                  to = forward ? clamp((s->cells - e->low) / e->step + 2, 0, total) : total;
    memset(s->weight, 0, (size_t)s->bins * (size_t)s->cells * sizeof *s->weight);
    s->all = (struct span){s->cells, 0};
    for (int b = 0; b < s->bins; b++) {
        const int64_t first = b * s->grid, end = first + s->grid;
        struct span *span = &s->span[b];
        *span = (struct span){s->cells, 0};
        for (int64_t i = first > from ? first : from; i < (end < to ? end : to); i++)
            put_sample(s, e->low + ((double)i + 0.5) * e->step, s->weight + (ptrdiff_t)b * s->cells, span);
        span->end = span->end < s->cells ? span->end : s->cells;
        s->all.first = span->first < s->all.first ? span->first : s->all.first;
        s->all.end = span->end > s->all.end ? span->end : s->all.end;
    }
}

/* Fill a side; false where the box is not finite. */
static bool take_side(const params *p, uint32_t flags, float from, float to, struct side *s)
{
    const bool half = flags & KILN_ROI_HALF_PIXEL;
    const float off = half ? 0.5f : 0, low = from * p->scale - off, high = to * p->scale - off;
    float size = high - low;
    if (!isfinite(low) || !isfinite(size))
        return false;
    size = half || size > 1 ? size : 1;
    s->grid = p->samples ? p->samples : clamp(ceil((double)size / s->bins), 0, KILN_ROI_MOST);
    const double begin = (double)from * p->scale - off, exact = (double)to * p->scale - off - begin;
    put_samples(s, &(struct edge){begin, (half || exact > 1 ? exact : 1) /
                                             (double)(s->bins * (s->grid ? s->grid : 1))});
    return true;
}

/* An element of a binding whose first one is NAME_first. */
static ptrdiff_t at(uint32_t first, size_t element)
{
    return (ptrdiff_t)(int32_t)(first + (uint32_t)element);
}

/* The map of a box, -1 for none; by bits alone whether it is finite is left to take_region. */
static int64_t map_of(const params *p, const kiln_memory *m, size_t roi)
{
    const int32_t image = ((const int32_t *)m->at[2])[at(p->image_first, roi)];
    return image >= 0 && (uint32_t)image < p->all_images ? image : -1;
}

static bool take_region(const params *p, uint32_t flags, const kiln_memory *m, size_t roi, struct room *r)
{
    const float *box = (const float *)m->at[1] + at(p->box_first, 4 * roi);
    return take_side(p, flags, box[1], box[3], &r->down) && take_side(p, flags, box[0], box[2], &r->across);
}

static int cell_of(float corner)
{
    const float most = KILN_ROI_FARTHEST, cell = roundf(corner);
    return (int)(cell > most ? most : cell < -most ? -most : cell);
}

/* Of CELLS: the cells of each bin. */
static bool take_cells(const params *p, float from, float to, struct side *s)
{
    const float low = from * p->scale, high = to * p->scale;
    if (!isfinite(low) || !isfinite(high - low))
        return false;
    const int first = cell_of(low), last = cell_of(high), size = last > first ? last - first + 1 : 1;
    for (int b = 0; b < s->bins; b++) {
        const int begin = first + b * size / s->bins, end = first + ((b + 1) * size + s->bins - 1) / s->bins;
        s->span[b] = (struct span){begin > 0 ? begin : 0, end < s->cells ? end : s->cells};
    }
    return true;
}

static bool take_cell_region(const params *p, const kiln_memory *m, size_t roi, struct room *r)
{
    const float *box = (const float *)m->at[1] + at(p->box_first, 4 * roi);
    return take_cells(p, box[1], box[3], &r->down) && take_cells(p, box[0], box[2], &r->across);
}

static float samples_in(const struct room *r)
{
    const double all = (double)r->down.grid * (double)r->across.grid;
    return all > 1 ? (float)all : 1;
}

/* Rows --------------------------------------------------------------------------------------------------- */

/* y += a x over a span. */
KILN_INLINE void add_row(struct span s, float a, const float *x, float *restrict y)
{
    for (int j = s.first; j < s.end; j++)
        y[j] += a * x[j];
}

KILN_INLINE float dot(struct span s, const float *a, const float *b)
{
    float sum = 0;
    for (int j = s.first; j < s.end; j++)
        sum += a[j] * b[j];
    return sum;
}

KILN_INLINE void clear(struct span s, float *row)
{
    for (int j = s.first; j < s.end; j++)
        row[j] = 0;
}

/* All bins of one channel. */
KILN_INLINE void average_body(const struct room *r, float samples, const float *plane, float *y)
{
    const struct side *down = &r->down, *across = &r->across;
    for (int u = 0; u < down->bins; u++) {
        const float *weight = down->weight + (ptrdiff_t)u * down->cells;
        clear(across->all, r->row);
        for (int i = down->span[u].first; i < down->span[u].end; i++)
            add_row(across->all, weight[i], plane + (ptrdiff_t)i * across->cells, r->row);
        for (int v = 0; v < across->bins; v++)
            *y++ = dot(across->span[v], across->weight + (ptrdiff_t)v * across->cells, r->row) / samples;
    }
}

/* The way back, of rows [rows.first, rows.end) of the map; plane begins with the first of these. */
KILN_INLINE void spread_body(const struct room *r, float samples, const float *dy, struct span rows,
                             float *plane)
{
    const struct side *down = &r->down, *across = &r->across;
    for (int u = 0; u < down->bins; u++, dy += across->bins) {
        const float *weight = down->weight + (ptrdiff_t)u * down->cells;
        const int first = down->span[u].first > rows.first ? down->span[u].first : rows.first,
                  end = down->span[u].end < rows.end ? down->span[u].end : rows.end;
        if (first >= end)
            continue;
        clear(across->all, r->row);
        for (int v = 0; v < across->bins; v++)
            add_row(across->span[v], dy[v] / samples, across->weight + (ptrdiff_t)v * across->cells, r->row);
        for (int i = first; i < end; i++)
            add_row(across->all, weight[i], r->row, plane + (ptrdiff_t)(i - rows.first) * across->cells);
    }
}

static void average(const struct room *r, float samples, const float *plane, float *y);
static void spread(const struct room *r, float samples, const float *dy, struct span rows, float *plane);
KILN_CLONES(average, (const struct room *r, float samples, const float *plane, float *y),
            (r, samples, plane, y))
KILN_CLONES(spread, (const struct room *r, float samples, const float *dy, struct span rows, float *plane),
            (r, samples, dy, rows, plane))

/* The largest cell of one bin, the first of equals, and where it stands. */
static float largest(const struct span *rows, const struct span *columns, const float *plane, int wide,
                     int32_t *place)
{
    float peak = 0;
    *place = INT32_MIN;
    for (int i = rows->first; i < rows->end; i++)
        for (int j = columns->first; j < columns->end; j++) {
            const float value = plane[(ptrdiff_t)i * wide + j];
            if (*place < 0 || value > peak || (isnan(value) && !isnan(peak))) {
                peak = value;
                *place = i * wide + j;
            }
        }
    return peak;
}

/* All bins of one channel; place may be NULL. */
static void largest_cells(const struct room *r, const float *plane, float *y, int32_t *place)
{
    int32_t unused;
    for (int b = 0, u = 0; u < r->down.bins; u++)
        for (int v = 0; v < r->across.bins; v++, b++)
            y[b] = largest(&r->down.span[u], &r->across.span[v], plane, r->across.cells,
                           place ? &place[b] : &unused);
}

/* Variants ----------------------------------------------------------------------------------------------- */

static uint64_t blocks_of(const params *p)
{
    return (p->channels + BLOCK - 1) / BLOCK;
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return room_floats((const params *)d->block.words) * sizeof(float);
}

/* Channels [first, end) of the dispatch that a unit does. */
static struct span channels_of(const params *p, size_t unit)
{
    const uint32_t first = (uint32_t)(unit % blocks_of(p)) * BLOCK, left = p->channels - first;
    return (struct span){(int)first, (int)(first + (left < BLOCK ? left : BLOCK))};
}

static bool fits(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return room_floats((const params *)d->block.words) <= MOST;
}

static bool by_boxes(const kiln_caps *caps, const kiln_dispatch *d)
{
    return d->constants[0] != KILN_ROI_LARGEST && fits(caps, d);
}

static uint64_t box_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((const params *)d->block.words)->rois * blocks_of((const params *)d->block.words);
}

/* What becomes of one channel of a box that is of no map. */
static void clear_bins(const params *p, const kiln_memory *m, ptrdiff_t bins)
{
    memset((float *)m->at[3] + bins, 0, p->bins * sizeof(float));
    for (size_t b = 0; m->at[4] && b < p->bins; b++)
        ((int32_t *)m->at[4])[bins + (ptrdiff_t)b] = INT32_MIN;
}

static void run_box(const kiln_dispatch *d, const kiln_memory *m, size_t roi, struct span channels,
                    struct room *r)
{
    const params *p = (const params *)d->block.words;
    const bool cells = d->constants[0] == KILN_ROI_CELLS;
    int64_t map = map_of(p, m, roi);
    if (map >= 0 && !(cells ? take_cell_region(p, m, roi, r) : take_region(p, d->constants[1], m, roi, r)))
        map = -1;
    const int64_t owner = map < 0 ? 0 : map;
    if (owner < p->first_image || (map >= 0 && owner >= (int64_t)p->first_image + p->images))
        return;
    for (int c = channels.first; c < channels.end; c++) {
        const size_t channel = p->first_channel + (size_t)c;
        const ptrdiff_t bins = at(p->y_first, (roi * p->all_channels + channel) * p->bins);
        const size_t plane = ((size_t)owner * p->all_channels + channel) * p->h * p->w;
        const float *x = (const float *)m->at[0] + at(p->x_first, plane);
        if (map < 0)
            clear_bins(p, m, bins);
        else if (cells)
            largest_cells(r, x, (float *)m->at[3] + bins, m->at[4] ? (int32_t *)m->at[4] + bins : NULL);
        else
            average(r, samples_in(r), x, (float *)m->at[3] + bins);
    }
}

static void run_boxes(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = (const params *)d->block.words;
    struct room r = room_of(p, m);
    for (size_t unit = first; unit < first + count; unit++)
        run_box(d, m, p->first_roi + unit / blocks_of(p), channels_of(p, unit), &r);
}

static uint64_t plane_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((const params *)d->block.words)->images * blocks_of((const params *)d->block.words);
}

/* What each bin has to the one cell that it was of. */
static void return_to_places(const params *p, const kiln_memory *m, ptrdiff_t bins, struct span rows,
                             float *plane)
{
    const float *dy = (const float *)m->at[3] + bins, *weight = m->at[5];
    const int32_t *place = (const int32_t *)m->at[4] + bins;
    const int64_t first = (int64_t)rows.first * p->w, end = (int64_t)rows.end * p->w;
    for (size_t b = 0; b < p->bins; b++)
        if (place[b] >= first && place[b] < end)
            plane[place[b] - first] += weight ? dy[b] * weight[bins + (ptrdiff_t)b] : dy[b];
}

/* The rows of a map's channel that the dispatch does. */
static float *rows_of(const params *p, const kiln_memory *m, size_t map, int channel)
{
    const size_t plane = map * p->all_channels + p->first_channel + (size_t)channel;
    return (float *)m->at[0] + at(p->x_first, (plane * p->h + p->first_row) * p->w);
}

static void run_map(const kiln_dispatch *d, const kiln_memory *m, size_t map, struct span channels,
                    struct room *r)
{
    const params *p = (const params *)d->block.words;
    const struct span rows = {(int)p->first_row, (int)(p->first_row + p->rows)};
    for (int c = channels.first; c < channels.end && !(d->constants[1] & KILN_ROI_ONTO); c++)
        memset(rows_of(p, m, map, c), 0, (size_t)p->rows * p->w * sizeof(float));
    for (size_t roi = p->first_roi; roi < p->first_roi + p->rois; roi++) {
        if (map_of(p, m, roi) != (int64_t)map)
            continue;
        const bool averaged = d->constants[0] == KILN_ROI_AVERAGE;
        if (averaged && !take_region(p, d->constants[1], m, roi, r))
            continue;
        for (int c = channels.first; c < channels.end; c++) {
            const size_t channel = p->first_channel + (size_t)c;
            const ptrdiff_t bins = at(p->y_first, (roi * p->all_channels + channel) * p->bins);
            if (averaged)
                spread(r, samples_in(r), (const float *)m->at[3] + bins, rows, rows_of(p, m, map, c));
            else
                return_to_places(p, m, bins, rows, rows_of(p, m, map, c));
        }
    }
}

static void run_maps(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = (const params *)d->block.words;
    struct room r = room_of(p, m);
    for (size_t unit = first; unit < first + count; unit++)
        run_map(d, m, p->first_image + unit / blocks_of(p), channels_of(p, unit), &r);
}

const kiln_variant kiln_cpu_roi_boxes = {
    .name = "boxes", .accepts = by_boxes, .groups = box_groups, .scratch = scratch, .run = run_boxes};
const kiln_variant kiln_cpu_roi_grad_planes = {
    .name = "planes", .accepts = fits, .groups = plane_groups, .scratch = scratch, .run = run_maps};
