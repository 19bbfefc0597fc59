/* pool_last_fast.c - the largest byte of windows, channels last: the channels at each tap are a row of bytes. */
#include <string.h>

#include "cpu/byte_rows.h"
#include "cpu/simd.h"
#include "device/variants.h"
#include "pool/pool_last.h"

typedef struct kiln_params_pool_last params;

KILN_INLINE void take_larger(uint8_t *restrict y, const uint8_t *restrict x, size_t count, bool natural)
{
    if (natural)
        for (size_t c = 0; c < count; c++)
            y[c] = x[c] > y[c] ? x[c] : y[c];
    else
        for (size_t c = 0; c < count; c++)
            y[c] = (int8_t)x[c] > (int8_t)y[c] ? x[c] : y[c];
}

/* One window: x from its image on. */
KILN_INLINE void pool_window(const params *p, const uint8_t *x, size_t i, size_t j, bool natural, uint8_t *y)
{
    bool any = false;
    for (uint32_t u = 0; u < p->size_i; u++)
        for (uint32_t v = 0; v < p->size_j; v++) {
            const size_t a = i * p->stride_i + u * p->dilation_i - p->pad_i,
                         b = j * p->stride_j + v * p->dilation_j - p->pad_j;
            if (a >= p->h || b >= p->w) /* before x, too: sizes wrap */
                continue;
            const uint8_t *from = x + (a * p->w + b) * p->channels;
            if (any)
                take_larger(y, from, p->channels, natural);
            else
                memcpy(y, from, p->channels);
            any = true;
        }
}

KILN_INLINE void pool_row_body(const params *p, const uint8_t *x, size_t i, bool natural, uint8_t *y)
{
    for (size_t j = 0; j < p->ow; j++, y += p->channels)
        pool_window(p, x, i, j, natural, y);
}

static void pool_row(const params *p, const uint8_t *x, size_t i, bool natural, uint8_t *y);
KILN_WIDE_CLONES(pool_row, (const params *p, const uint8_t *x, size_t i, bool natural, uint8_t *y),
                 (p, x, i, natural, y))

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = (const params *)d->block.words;
    const size_t image = (size_t)p->h * p->w * p->channels, row = (size_t)p->ow * p->channels;
    for (size_t unit = first; unit < first + count; unit++)
        pool_row(p, (const uint8_t *)m->at[0] + unit / p->oh * image, unit % p->oh, d->natural & 1,
                 (uint8_t *)m->at[1] + unit * row);
}

const kiln_variant kiln_cpu_pool_last_rows = {
    .name = "rows", .accepts = kiln_takes_bytes_alone, .run = run, .bytes = true};
