/* grid.c - x at the places of a grid, and what that changes with: a place at a time, tap by tap. */
#include "grid/grid.h"
#include "cpu/reference.h"

#include <math.h>

/* One axis of x as a coordinate has it: up to four elements, -1 for none, their parts, and how these change. */
struct taps {
    int64_t at[4];
    double weight[4], slope[4];
};

struct grid {
    const struct kiln_params_grid *p;
    uint32_t mode, padding;
    int axes, taps; /* taps of an axis */
    bool align, elements;
};

static struct grid grid_of(const void *block, const uint32_t *constants)
{
    static const int taps[] = {
        [KILN_GRID_MODE_LINEAR] = 2, [KILN_GRID_MODE_NEAREST] = 1, [KILN_GRID_MODE_CUBIC] = 4};
    return (struct grid){.p = block,
                         .mode = constants[0],
                         .padding = constants[1],
                         .axes = constants[2] & KILN_GRID_VOLUME ? 3 : 2,
                         .taps = taps[constants[0]],
                         .align = constants[2] & KILN_GRID_ALIGN,
                         .elements = constants[2] & KILN_GRID_ELEMENTS};
}

/* u brought into x by its padding; *sign becomes 0 where it was clamped, and changes where it runs back. */
static double bring_inside(const struct grid *g, double u, double n, double *sign)
{
    if (g->padding == KILN_GRID_PAD_REFLECTION) {
        const double low = g->align ? 0 : -0.5, span = g->align ? n - 1 : n;
        const double way = fabs(u - low), turns = span > 0 ? floor(way / span) : 0;
        const bool back = fmod(turns, 2) == 1;
        *sign *= u < low ? -1 : 1;
        *sign *= back ? -1 : 1;
        u = span > 0 ? low + (back ? (turns + 1) * span - way : way - turns * span) : 0;
    }
    *sign *= u > 0 && u < n - 1;
    return u <= 0 ? 0 : u >= n - 1 ? n - 1 : u;
}

static int64_t element(const struct grid *g, double u, double n)
{
    double unused = 1;
    if (g->mode == KILN_GRID_MODE_CUBIC && g->padding != KILN_GRID_PAD_ZEROS)
        u = nearbyint(bring_inside(g, u, n, &unused));
    return u >= 0 && u < n ? (int64_t)u : -1;
}

/* Keys's curve and its slope, at a distance of 0 to 2. */
static double curve(double t)
{
    const double a = -0.75;
    return t <= 1 ? ((a + 2) * t - (a + 3)) * t * t + 1 : a * (((t - 5) * t + 8) * t - 4);
}

static double curve_slope(double t)
{
    const double a = -0.75;
    return t <= 1 ? (3 * (a + 2) * t - 2 * (a + 3)) * t : a * ((3 * t - 10) * t + 8);
}

static struct taps taps_of(const struct grid *g, double v, uint32_t size)
{
    struct taps k = {.weight = {1}};
    const double n = size;
    double scale = g->elements ? 1 : (g->align ? n - 1 : n) / 2;
    double u = g->elements ? v : (v + 1) * scale - (g->align ? 0 : 0.5);
    u = isnan(u) ? -100 : fmin(fmax(u, -1e9), 1e9);
    if (g->mode != KILN_GRID_MODE_CUBIC && g->padding != KILN_GRID_PAD_ZEROS)
        u = bring_inside(g, u, n, &scale);
    if (g->mode == KILN_GRID_MODE_NEAREST) {
        k.at[0] = element(g, nearbyint(u), n);
        return k;
    }
    const double first = floor(u) - (g->taps / 2 - 1);
    for (int i = 0; i < g->taps; i++) {
        const double way = first + i - u, t = fabs(way),
                     side = way < 0 || (way == 0 && i < g->taps / 2) ? 1 : -1;
        k.at[i] = element(g, first + i, n);
        k.weight[i] = g->taps == 2 ? 1 - t : curve(t);
        k.slope[i] = side * scale * (g->taps == 2 ? -1 : curve_slope(t));
    }
    return k;
}

/* The axes of a place, from the first to the last; of two, the first is one whole element. */
static void axes_of(const struct grid *g, const real *place, struct taps *axis)
{
    const uint32_t size[] = {g->p->d, g->p->h, g->p->w};
    axis[0] = (struct taps){.at = {0}, .weight = {1}};
    for (int i = 3 - g->axes; i < 3; i++)
        axis[i] = taps_of(g, place[2 - i], size[i]);
}

/* Tap k of all: its element of an image, -1 for none, and what each axis has at it. */
static int64_t tap_of(const struct grid *g, const struct taps *axis, int k, int *at)
{
    at[2] = k % g->taps;
    at[1] = k / g->taps % g->taps;
    at[0] = k / g->taps / g->taps;
    const int64_t a = axis[0].at[at[0]], i = axis[1].at[at[1]], j = axis[2].at[at[2]];
    return a < 0 || i < 0 || j < 0 ? -1 : (a * g->p->h + i) * g->p->w + j;
}

static int taps_in_all(const struct grid *g)
{
    return g->taps * g->taps * (g->axes == 3 ? g->taps : 1);
}

static double weight_of(const struct taps *axis, const int *at)
{
    return axis[0].weight[at[0]] * axis[1].weight[at[1]] * axis[2].weight[at[2]];
}

void KILN_REFERENCE(grid_sample)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    const struct grid g = grid_of(block, constants);
    const struct kiln_params_grid *p = block;
    const size_t volume = (size_t)p->d * p->h * p->w;
    for (size_t e = first; e < first + count; e++) {
        const size_t plane = e / p->places, place = plane / p->channels * p->places + e % p->places;
        const real *x = (const real *)m->at[0] + p->x_first + plane * volume;
        struct taps axis[3];
        double sum = 0;
        axes_of(&g, (const real *)m->at[1] + p->grid_first + place * (size_t)g.axes, axis);
        for (int k = 0; k < taps_in_all(&g); k++) {
            int at[3];
            const int64_t from = tap_of(&g, axis, k, at);
            if (from >= 0)
                sum += weight_of(axis, at) * x[from];
        }
        ((real *)m->at[2])[p->y_first + e] = (real)sum;
    }
}

/* The sum over the channels of dy times x's element `from`. */
static double product(const struct kiln_params_grid *p, const real *x, const real *dy, int64_t from)
{
    const size_t volume = (size_t)p->d * p->h * p->w;
    double sum = 0;
    for (size_t c = 0; c < p->channels; c++)
        sum += (double)dy[c * p->places] * x[c * volume + (size_t)from];
    return sum;
}

void KILN_REFERENCE(grid_sample_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                      size_t first, size_t count)
{
    const struct grid g = grid_of(block, constants);
    const struct kiln_params_grid *p = block;
    const size_t volume = (size_t)p->d * p->h * p->w;
    for (size_t e = first; e < first + count; e++) {
        const size_t n = e / p->places;
        const real *x = (const real *)m->at[0] + p->x_first + n * p->channels * volume;
        const real *dy = (const real *)m->at[3] + p->y_first + n * p->channels * p->places + e % p->places;
        struct taps axis[3];
        double sum[3] = {0};
        axes_of(&g, (const real *)m->at[1] + p->grid_first + e * (size_t)g.axes, axis);
        for (int k = 0; k < taps_in_all(&g); k++) {
            int at[3];
            const int64_t from = tap_of(&g, axis, k, at);
            const double value = from < 0 ? 0 : product(p, x, dy, from);
            for (int i = 0; i < g.axes; i++) {
                struct taps turned[3] = {axis[0], axis[1], axis[2]};
                turned[2 - i].weight[at[2 - i]] = axis[2 - i].slope[at[2 - i]];
                sum[i] += from < 0 ? 0 : weight_of(turned, at) * value;
            }
        }
        for (int i = 0; i < g.axes; i++)
            ((real *)m->at[2])[p->out_first + e * (size_t)g.axes + (size_t)i] = (real)sum[i];
    }
}

void KILN_REFERENCE(grid_taps)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct grid g = grid_of(block, constants);
    const struct kiln_params_grid *p = block;
    const size_t volume = (size_t)p->d * p->h * p->w, taps = (size_t)taps_in_all(&g);
    for (size_t e = first; e < first + count; e++) {
        struct taps axis[3];
        axes_of(&g, (const real *)m->at[0] + p->grid_first + e * (size_t)g.axes, axis);
        for (size_t k = 0; k < taps; k++) {
            int at[3];
            const int64_t from = tap_of(&g, axis, (int)k, at);
            const size_t image = (p->first + e / p->places) * volume;
            ((int32_t *)m->at[1])[p->out_first + e * taps + k] =
                from < 0 ? (int32_t)KILN_GRID_NOWHERE : (int32_t)(image + (size_t)from);
            ((real *)m->at[2])[p->y_first + e * taps + k] = from < 0 ? 0 : (real)weight_of(axis, at);
        }
    }
}
