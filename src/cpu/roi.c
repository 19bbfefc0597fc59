/*
 * roi.c - the meaning of roi, whose units are elements of y, and of roi_grad, whose units are elements of dx.
 *
 * What decides how many samples there are is rounded to float, in doubles too; where they stand is not.
 */
#include "roi/roi.h"

#include <math.h>

#include "cpu/reference.h"

/* A box along an axis. */
struct side {
    double low, step;    /* sample s of all stands at low + (s + 0.5) step */
    int64_t grid;        /* samples of a bin */
    int64_t first, size; /* CELLS: first cell and how many */
    int64_t bins, cells; /* of the box and of the map */
};

struct region {
    int64_t image; /* -1: of none */
    struct side down, across;
};

struct call {
    const struct kiln_params_roi *p;
    uint32_t mode, flags;
    const real *boxes;
    const int32_t *image;
};

static struct call call_of(const void *block, const uint32_t *constants, const kiln_memory *m)
{
    return (struct call){block, constants[0], constants[1], m->at[1], m->at[2]};
}

/* An element of a binding whose first one is NAME_first. */
static ptrdiff_t at(uint32_t first, size_t element)
{
    return (ptrdiff_t)(int32_t)(first + (uint32_t)element);
}

static int64_t cell_of(double corner)
{
    const double most = KILN_ROI_FARTHEST;
    return (int64_t)fmax(fmin(round(corner), most), -most);
}

static int64_t grid_of(const struct kiln_params_roi *p, double size, int64_t bins)
{
    const double most = KILN_ROI_MOST;
    return p->samples ? (int64_t)p->samples : (int64_t)fmin(fmax(ceil(size / (double)bins), 0), most);
}

/* False where the box is not finite. */
static bool take_side(const struct call *c, double from, double to, struct side *s)
{
    const double scale = KILN_REAL_GET(c->p, scale), half = c->flags & KILN_ROI_HALF_PIXEL ? 0.5 : 0;
    const double least = c->flags & KILN_ROI_HALF_PIXEL ? -INFINITY : 1;
    const float low = (float)from * (float)scale - (float)half, high = (float)to * (float)scale - (float)half;
    const float size = high - low;
    if (!isfinite(low) || !isfinite(size))
        return false;
    s->low = from * scale - half;
    s->grid = grid_of(c->p, fmax((double)size, least), s->bins);
    s->step = fmax(to * scale - half - s->low, least) / (double)(s->bins * (s->grid ? s->grid : 1));
    s->first = cell_of((float)from * (float)scale);
    s->size = cell_of((float)to * (float)scale) - s->first + 1;
    s->size = s->size < 1 ? 1 : s->size;
    return true;
}

static struct region region_of(const struct call *c, size_t roi)
{
    const struct kiln_params_roi *p = c->p;
    const real *box = c->boxes + at(p->box_first, 4 * roi);
    const int32_t image = c->image[at(p->image_first, roi)];
    struct region r = {.image = image,
                       .down = {.bins = p->high, .cells = p->h},
                       .across = {.bins = p->wide, .cells = p->w}};
    if (image < 0 || (uint32_t)image >= p->all_images || !take_side(c, box[0], box[2], &r.across) ||
        !take_side(c, box[1], box[3], &r.down))
        r.image = -1;
    return r;
}

/* Samples [first, end) of a bin, of which those that are left out lie outside of the map. */
struct range {
    int64_t first, end;
};

static struct range samples_of(const struct side *s, int64_t bin)
{
    struct range all = {bin * s->grid, (bin + 1) * s->grid};
    if (s->step <= 0)
        return all;
    const double first = floor((-1 - s->low) / s->step) - 1,
                 end = ceil(((double)s->cells - s->low) / s->step) + 1;
    all.first = first > (double)all.first ? (int64_t)fmin(first, (double)all.end) : all.first;
    all.end = end < (double)all.end ? (int64_t)fmax(end, (double)all.first) : all.end;
    return all;
}

static struct range cells_of(const struct side *s, int64_t bin)
{
    struct range r = {s->first + bin * s->size / s->bins,
                      s->first + ((bin + 1) * s->size + s->bins - 1) / s->bins};
    r.first = r.first < 0 ? 0 : r.first;
    r.end = r.end > s->cells ? s->cells : r.end;
    return r;
}

/* The two cells between which a sample stands, and how much of each it is. */
struct tap {
    int64_t cell[2];
    double weight[2];
    bool inside;
};

static struct tap tap_of(const struct side *s, int64_t sample)
{
    const double place = s->low + ((double)sample + 0.5) * s->step, y = fmax(place, 0);
    if (!(place >= -1 && place <= (double)s->cells))
        return (struct tap){{0, 0}, {0, 0}, false};
    if (y >= (double)(s->cells - 1))
        return (struct tap){{s->cells - 1, s->cells - 1}, {1, 0}, true};
    const int64_t low = (int64_t)y;
    return (struct tap){{low, low + 1}, {1 - (y - (double)low), y - (double)low}, true};
}

static double samples_in(const struct region *r)
{
    const double all = (double)r->down.grid * (double)r->across.grid;
    return all > 1 ? all : 1;
}

/* Forward ------------------------------------------------------------------------------------------------ */

/* What a bin comes to; for a largest also where it stands and its weight. */
struct bin {
    double sum, peak, weight;
    int64_t place;
    bool any;
};

static void meet(struct bin *b, double value, double weight, int64_t place)
{
    if (b->any && !(value > b->peak) && !(isnan(value) && !isnan(b->peak)))
        return;
    *b = (struct bin){b->sum, value, weight, place, true};
}

static void sample(const real *plane, const struct tap *down, const struct tap *across, int64_t w,
                   struct bin *b)
{
    if (!down->inside || !across->inside) {
        meet(b, 0, 0, INT32_MIN);
        return;
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const double weight = down->weight[i] * across->weight[j];
            const int64_t place = down->cell[i] * w + across->cell[j];
            b->sum += weight * plane[place];
            meet(b, weight * plane[place], weight, place);
        }
}

static struct bin sampled(const struct region *r, const real *plane, int64_t i, int64_t j)
{
    const struct range down = samples_of(&r->down, i), across = samples_of(&r->across, j);
    struct bin b = {.place = INT32_MIN};
    if ((down.end - down.first) * (across.end - across.first) < r->down.grid * r->across.grid)
        meet(&b, 0, 0, INT32_MIN);
    for (int64_t y = down.first; y < down.end; y++) {
        const struct tap tap = tap_of(&r->down, y);
        for (int64_t x = across.first; x < across.end; x++) {
            const struct tap other = tap_of(&r->across, x);
            sample(plane, &tap, &other, r->across.cells, &b);
        }
    }
    b.sum /= samples_in(r);
    return b;
}

static struct bin largest_cell(const struct region *r, const real *plane, int64_t i, int64_t j)
{
    const struct range down = cells_of(&r->down, i), across = cells_of(&r->across, j);
    struct bin b = {.place = INT32_MIN};
    for (int64_t y = down.first; y < down.end; y++)
        for (int64_t x = across.first; x < across.end; x++)
            meet(&b, plane[y * r->across.cells + x], 1, y * r->across.cells + x);
    return b;
}

/* Whether this dispatch does boxes of that map. */
static bool is_mine(const struct kiln_params_roi *p, int64_t image)
{
    return image < 0 ? p->first_image == 0
                     : image >= p->first_image && image < (int64_t)p->first_image + p->images;
}

void KILN_REFERENCE(roi)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                         size_t count)
{
    const struct call c = call_of(block, constants, m);
    const struct kiln_params_roi *p = c.p;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t bin = unit % p->bins, channel = p->first_channel + unit / p->bins % p->channels,
                     roi = p->first_roi + unit / p->bins / p->channels;
        const struct region r = region_of(&c, roi);
        if (!is_mine(p, r.image))
            continue;
        struct bin b = {.place = INT32_MIN};
        if (r.image >= 0) {
            const size_t plane = (size_t)r.image * p->all_channels + channel;
            const real *x = (const real *)m->at[0] + at(p->x_first, plane * p->h * p->w);
            b = (c.mode == KILN_ROI_CELLS ? largest_cell : sampled)(&r, x, (int64_t)(bin / p->wide),
                                                                    (int64_t)(bin % p->wide));
        }
        const ptrdiff_t to = at(p->y_first, (roi * p->all_channels + channel) * p->bins + bin);
        ((real *)m->at[3])[to] = (real)(c.mode == KILN_ROI_AVERAGE ? b.sum : b.peak);
        if (c.flags & KILN_ROI_PLACED) {
            ((int32_t *)m->at[4])[to] = (int32_t)b.place;
            if (m->at[5])
                ((real *)m->at[5])[to] = (real)b.weight;
        }
    }
}

/* Backward ----------------------------------------------------------------------------------------------- */

/* How much of a cell a bin's samples hold along an axis. */
static double held(const struct side *s, int64_t bin, int64_t cell)
{
    const struct range samples = samples_of(s, bin);
    double sum = 0;
    for (int64_t i = samples.first; i < samples.end; i++) {
        const struct tap t = tap_of(s, i);
        sum += (t.cell[0] == cell ? t.weight[0] : 0) + (t.cell[1] == cell ? t.weight[1] : 0);
    }
    return sum;
}

/* Whether a box may reach a cell. */
static bool reaches(const struct side *s, uint32_t mode, int64_t cell)
{
    const double end = s->low + s->step * (double)(s->bins * s->grid), here = (double)cell;
    if (mode == KILN_ROI_CELLS)
        return cell >= s->first && cell < s->first + s->size;
    return here > fmin(s->low, end) - 2 && here < fmax(s->low, end) + 2;
}

/* What the bins of one box hand to cell (i, j). */
static double of_box(const struct call *c, const kiln_memory *m, const struct region *r, size_t bins,
                     int64_t i, int64_t j)
{
    double sum = 0;
    if (!reaches(&r->down, c->mode, i) || !reaches(&r->across, c->mode, j))
        return 0;
    for (int64_t u = 0; u < r->down.bins; u++) {
        const double down = c->mode == KILN_ROI_AVERAGE ? held(&r->down, u, i) : 1;
        for (int64_t v = 0; v < r->across.bins && down != 0; v++) {
            const ptrdiff_t from = at(c->p->y_first, bins + (size_t)(u * r->across.bins + v));
            const double pull = ((const real *)m->at[3])[from];
            if (c->mode == KILN_ROI_AVERAGE)
                sum += down * held(&r->across, v, j) * pull / samples_in(r);
            else if (((const int32_t *)m->at[4])[from] == i * r->across.cells + j)
                sum += pull * (m->at[5] ? ((const real *)m->at[5])[from] : 1);
        }
    }
    return sum;
}

void KILN_REFERENCE(roi_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    const struct call c = call_of(block, constants, m);
    const struct kiln_params_roi *p = c.p;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t j = unit % p->w, i = p->first_row + unit / p->w % p->rows,
                     channel = p->first_channel + unit / p->w / p->rows % p->channels,
                     image = p->first_image + unit / p->w / p->rows / p->channels;
        real *dx =
            (real *)m->at[0] + at(p->x_first, ((image * p->all_channels + channel) * p->h + i) * p->w + j);
        double sum = c.flags & KILN_ROI_ONTO ? *dx : 0;
        for (size_t roi = p->first_roi; roi < p->first_roi + p->rois; roi++) {
            if (c.image[at(p->image_first, roi)] != (int32_t)image)
                continue;
            const struct region r = region_of(&c, roi);
            if (r.image >= 0)
                sum += of_box(&c, m, &r, (roi * p->all_channels + channel) * p->bins, (int64_t)i, (int64_t)j);
        }
        *dx = (real)sum;
    }
}
