/*
 * grid_fast.c - x at the places of a grid, a block of places of an image at a time: where they lie is found once for all
 * channels, tap by tap, so that the sums are loops over places.
 */
#include <math.h>
#include <string.h>

#include "cpu/simd.h"
#include "device/variants.h"
#include "grid/grid.h"

enum { BLOCK = 64, MOST = 64 /* taps */ };

typedef struct kiln_params_grid params;

/* How an axis is looked at. */
struct axis {
    uint32_t mode, padding;
    bool align, elements;
    float size;
};

struct taps {
    int at[4]; /* -1: none */
    float weight[4];
};

static float brought_inside(const struct axis *a, float u)
{
    const float n = a->size, low = a->align ? 0 : -0.5f, span = a->align ? n - 1 : n;
    if (a->padding == KILN_GRID_PAD_REFLECTION && span > 0) {
        const float way = fabsf(u - low), turns = floorf(way / span), over = way - turns * span;
        u = low + (turns - 2 * floorf(turns / 2) != 0 ? span - over : over);
    }
    return span <= 0 || u <= 0 ? 0 : u >= n - 1 ? n - 1 : u;
}

static int element(const struct axis *a, float u)
{
    if (a->mode == KILN_GRID_MODE_CUBIC && a->padding != KILN_GRID_PAD_ZEROS)
        u = floorf(brought_inside(a, u) + 0.5f);
    return u >= 0 && u < a->size ? (int)u : -1;
}

/* Keys's curve at t from 0 to 1, and at 1 + t. */
static float near_curve(float t)
{
    return (1 - t) * (1 + t - 1.25f * t * t);
}

static float far_curve(float t)
{
    return -0.75f * t * (1 - t) * (1 - t);
}

static void find(const struct axis *a, float v, struct taps *k)
{
    const float scale = 0.5f * (a->align ? a->size - 1 : a->size);
    float u = a->elements ? v : (v + 1) * scale - (a->align ? 0 : 0.5f);
    u = isnan(u) ? -100 : fminf(fmaxf(u, -1e9f), 1e9f);
    if (a->mode != KILN_GRID_MODE_CUBIC && a->padding != KILN_GRID_PAD_ZEROS)
        u = brought_inside(a, u);
    const float base = a->mode == KILN_GRID_MODE_NEAREST ? nearbyintf(u) : floorf(u), t = u - base;
    if (a->mode == KILN_GRID_MODE_NEAREST) {
        *k = (struct taps){{element(a, base)}, {1}};
    } else if (a->mode == KILN_GRID_MODE_LINEAR) {
        *k = (struct taps){{element(a, base), element(a, base + 1)}, {1 - t, t}};
    } else {
        *k = (struct taps){{element(a, base - 1), element(a, base), element(a, base + 1),
                            element(a, base + 2)},
                           {far_curve(t), near_curve(t), near_curve(1 - t), far_curve(1 - t)}};
    }
}

/* The taps of a block of places, tap by tap. */
struct block {
    int count, taps;
    int at[MOST][BLOCK];
    float weight[MOST][BLOCK];
};

static void add_place(struct block *b, const params *p, const struct taps *axis, int taps, bool volume, int q)
{
    int k = 0;
    for (int s = 0; s < (volume ? taps : 1); s++)
        for (int t = 0; t < taps; t++)
            for (int u = 0; u < taps; u++, k++) {
                const int a = axis[0].at[s], i = axis[1].at[t], j = axis[2].at[u];
                const bool there = a >= 0 && i >= 0 && j >= 0;
                b->at[k][q] = there ? (a * (int)p->h + i) * (int)p->w + j : -1;
                b->weight[k][q] = there ? axis[0].weight[s] * axis[1].weight[t] * axis[2].weight[u] : 0;
            }
}

static void fill(struct block *b, const kiln_dispatch *d, const float *grid, int count)
{
    const params *p = (const params *)d->block.words;
    const bool volume = d->constants[2] & KILN_GRID_VOLUME, align = d->constants[2] & KILN_GRID_ALIGN,
               elements = d->constants[2] & KILN_GRID_ELEMENTS;
    const uint32_t mode = d->constants[0], sizes[] = {p->d, p->h, p->w};
    const int taps = mode == KILN_GRID_MODE_NEAREST  ? 1
                     : mode == KILN_GRID_MODE_LINEAR ? 2
                                                     : 4,
              axes = volume ? 3 : 2;
    b->count = count;
    b->taps = taps * taps * (volume ? taps : 1);
    for (int q = 0; q < count; q++) {
        struct taps axis[3] = {{{0}, {1}}};
        for (int i = 3 - axes; i < 3; i++) {
            const struct axis a = {mode, d->constants[1], align, elements, (float)sizes[i]};
            find(&a, grid[q * axes + 2 - i], &axis[i]);
        }
        add_place(b, p, axis, taps, volume, q);
    }
}

/* What is not there is not looked at: it may be NaN where its weight is 0. */
KILN_INLINE void sum_body(const struct block *b, const float *x, float *y)
{
    for (int q = 0; q < b->count; q++)
        y[q] = 0;
    for (int k = 0; k < b->taps; k++)
        for (int q = 0; q < b->count; q++) {
            const int at = b->at[k][q];
            y[q] += at < 0 ? 0 : b->weight[k][q] * x[at];
        }
}

static void sum(const struct block *b, const float *x, float *y);
KILN_CLONES(sum, (const struct block *b, const float *x, float *y), (b, x, y))

/* The variant -------------------------------------------------------------------------------------------- */

static uint32_t blocks_of(const params *p)
{
    return (p->places + BLOCK - 1) / BLOCK;
}

static uint64_t blocks(const kiln_caps *caps, const kiln_dispatch *d)
{
    const params *p = (const params *)d->block.words;
    (void)caps;
    return (uint64_t)blocks_of(p) * (p->results / p->places / p->channels);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const params *p = (const params *)d->block.words;
    const size_t axes = d->constants[2] & KILN_GRID_VOLUME ? 3 : 2, volume = (size_t)p->d * p->h * p->w;
    struct block b;
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / blocks_of(p), place = unit % blocks_of(p) * BLOCK, rest = p->places - place;
        fill(&b, d, (const float *)m->at[1] + p->grid_first + (n * p->places + place) * axes,
             rest < BLOCK ? (int)rest : BLOCK);
        for (size_t c = n * p->channels; c < (n + 1) * p->channels; c++)
            sum(&b, (const float *)m->at[0] + p->x_first + c * volume,
                (float *)m->at[2] + p->y_first + c * p->places + place);
    }
}

const kiln_variant kiln_cpu_grid_sample_blocks = {.name = "blocks", .groups = blocks, .run = run};
