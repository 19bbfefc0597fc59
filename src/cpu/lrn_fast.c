/* lrn_fast.c - local response normalization by vectors: a block of positions, whose channels are gone through together. */
#include "cpu/functions.h"
#include "device/variants.h"
#include "lrn/lrn.h"

enum { BLOCK = 256 };

typedef struct kiln_params_lrn params;

/* Adding what comes and taking off what goes would leave roundings behind: each sum is made anew. */
KILN_INLINE void forward_body(const params *p, const float *x, size_t width, float *y, float *base)
{
    const float bias = p->bias, share = p->share, power = p->power;
    for (size_t c = 0; c < p->channels; c++) {
        const size_t from = c < p->before ? 0 : c - p->before;
        const size_t to = p->channels - c > p->after ? c + p->after + 1 : p->channels;
        float sum[BLOCK] = {0};
        for (size_t d = from; d < to; d++)
            for (size_t i = 0; i < width; i++)
                sum[i] += x[d * p->inner + i] * x[d * p->inner + i];
        for (size_t i = 0; i < width; i++)
            sum[i] = bias + share * sum[i];
        const float *values = x + c * p->inner;
        float *restrict result = y + c * p->inner, *restrict bases = base + c * p->inner;
        for (size_t i = 0; i < width; i++) {
            bases[i] = sum[i];
            result[i] = values[i] * fast_exp(-power * fast_log(sum[i]));
        }
    }
}

KILN_INLINE void backward_body(const params *p, const float *x, const float *dy, const float *y,
                               const float *base, size_t width, float *dx)
{
    const float power = p->power, pull = 2 * p->power * p->share;
    for (size_t c = 0; c < p->channels; c++) {
        const size_t from = c < p->after ? 0 : c - p->after;
        const size_t to = p->channels - c > p->before ? c + p->before + 1 : p->channels;
        float sum[BLOCK] = {0};
        for (size_t d = from * p->inner; d < to * p->inner; d += p->inner)
            for (size_t i = 0; i < width; i++)
                sum[i] += dy[d + i] * y[d + i] / base[d + i];
        const size_t at = c * p->inner;
        float *restrict result = dx + at;
        for (size_t i = 0; i < width; i++)
            result[i] = dy[at + i] * fast_exp(-power * fast_log(base[at + i])) - pull * x[at + i] * sum[i];
    }
}

static void forward(const params *p, const float *x, size_t width, float *y, float *base);
static void backward(const params *p, const float *x, const float *dy, const float *y, const float *base,
                     size_t width, float *dx);
KILN_CLONES(forward, (const params *p, const float *x, size_t width, float *y, float *base),
            (p, x, width, y, base))
KILN_CLONES(backward,
            (const params *p, const float *x, const float *dy, const float *y, const float *base,
             size_t width, float *dx),
            (p, x, dy, y, base, width, dx))

static const params *block_of(const kiln_dispatch *d)
{
    return (const void *)d->block.words;
}

static size_t blocks_of(const params *p)
{
    return (p->inner + BLOCK - 1) / BLOCK;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->outer * blocks_of(block_of(d));
}

/* A unit's first element, and its positions. */
static size_t start_of(const params *p, size_t unit, size_t *width)
{
    const size_t blocks = blocks_of(p), i = unit % blocks * BLOCK, left = p->inner - i;
    *width = left < BLOCK ? left : BLOCK;
    return unit / blocks * p->channels * p->inner + i;
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++) {
        size_t width;
        const size_t at = start_of(block_of(d), unit, &width);
        forward(block_of(d), (const float *)m->at[0] + at, width, (float *)m->at[1] + at,
                (float *)m->at[2] + at);
    }
}

static void run_grad(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++) {
        size_t width;
        const size_t at = start_of(block_of(d), unit, &width);
        backward(block_of(d), (const float *)m->at[0] + at, (const float *)m->at[1] + at,
                 (const float *)m->at[2] + at, (const float *)m->at[3] + at, width, (float *)m->at[4] + at);
    }
}

const kiln_variant kiln_cpu_lrn_blocks = {.name = "blocks", .groups = groups, .run = run};
const kiln_variant kiln_cpu_lrn_grad_blocks = {.name = "blocks", .groups = groups, .run = run_grad};
