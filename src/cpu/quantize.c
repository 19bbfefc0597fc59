/* quantize.c - the meaning of products of packed bytes. Integers are the same in both builds. */
#include <string.h>

#include "chain/codes.h"
#include "cpu/reference.h"
#include "quantize/conv_bytes.h"
#include "quantize/conv_each.h"
#include "quantize/conv_panels.h"
#include "quantize/finish.h"
#include "quantize/matmul_bytes.h"
#include "quantize/pack_bytes.h"
#include "quantize/pack_each.h"
#include "quantize/pack_panels.h"

/* Units are words of y. */
void KILN_REFERENCE(pack_bytes)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    const struct kiln_params_pack_bytes *p = block;
    const uint32_t *x = m->at[0];
    uint32_t *y = m->at[1];

    for (size_t e = first; e < first + count; e++) {
        const size_t batch = e / p->second / p->first, f = e / p->second % p->first, s = e % p->second;
        const size_t row = constants[0] ? f : s, quad = constants[0] ? s : f;
        y[e] = 0;
        for (size_t j = 0; j < 4 && 4 * quad + j < p->depth; j++) {
            const uint32_t word = x[batch * p->x_batch + row * p->x_row + (4 * quad + j) * p->x_depth];
            y[e] |= ((word ^ p->flip) & 0xff) << 8 * j;
        }
    }
}

/* Byte k of packed words. */
static int32_t byte_at(const uint32_t *words, size_t k)
{
    const int32_t low = (int32_t)(words[k / 4] >> 8 * (k % 4) & 0xff);
    return low < 128 ? low : low - 256;
}

/* A zero point less what bytes of its kind are flipped by. */
static int32_t zero_at(const kiln_memory *m, int binding, size_t i, uint32_t flip)
{
    return (m->at[binding] ? ((const int32_t *)m->at[binding])[i] : 0) - (int32_t)flip;
}

/* Element i of a binding as a register holds it. */
static kiln_register load(const kiln_memory *m, int binding, size_t i, bool is_real)
{
    kiln_register r = {0};
    if (is_real)
        r.f = ((const real *)m->at[binding])[i];
    else
        r.i = ((const int32_t *)m->at[binding])[i];
    return r;
}

static kiln_register immediate(uint32_t word, bool is_integer)
{
    kiln_register r = {0};
    float number;
    memcpy(&number, &word, sizeof number);
    if (is_integer)
        r.u = word;
    else
        r.f = number;
    return r;
}

/* Take a sum through the steps (finish.h) and store it: element `flat` of the result, in that column. */
static void finish(const uint32_t *constants, const kiln_memory *m, int64_t sum, size_t flat, size_t column)
{
    const uint32_t head = constants[KILN_FINISH_HEAD], kinds = constants[KILN_FINISH_KINDS];
    const int operands = (int)(head & 255), steps = (int)(head >> 8 & 255);
    const size_t at[] = {[KILN_WALK_FLAT] = flat, [KILN_WALK_SCALAR] = 0, [KILN_WALK_COLUMN] = column};
    kiln_register r[24] = {{.i = (int32_t)(uint32_t)sum}};
    for (int i = 1; i < operands; i++)
        r[i] = load(m, 4 + i, at[kinds >> 4 * (i - 1) & 15], kinds >> (8 + i) & 1);
    for (int i = 0; i < KILN_CHAIN_IMMEDIATES && steps; i++)
        r[KILN_REGISTER_IMMEDIATE + i] =
            immediate(constants[KILN_FINISH_IMMEDIATES + i], kinds >> (16 + i) & 1);
    for (int s = 0; s < steps; s++)
        r[KILN_REGISTER_STEP + s] = kiln_cpu_step(constants[KILN_FINISH_STEPS + s], r);
    const kiln_register y = r[steps ? head >> 16 & 255 : 0];
    if (steps && kinds >> 8 & 1)
        ((real *)m->at[4])[flat] = y.f;
    else
        ((int32_t *)m->at[4])[flat] = y.i;
}

/* Where matrix `batch` of an operand begins. */
static size_t matrix_at(const struct kiln_params_matmul_bytes *p, size_t batch, const uint32_t step[3])
{
    return batch / p->batch2 / p->batch1 * step[0] + batch / p->batch2 % p->batch1 * step[1] +
           batch % p->batch2 * step[2];
}

/* Units are rows of c. */
void KILN_REFERENCE(matmul_bytes)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                  size_t first, size_t count)
{
    const struct kiln_params_matmul_bytes *p = block;
    const uint32_t a_step[] = {p->a_batch0, p->a_batch1, p->a_batch2};
    const uint32_t b_step[] = {p->b_batch0, p->b_batch1, p->b_batch2};

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t batch = unit / p->m, row = unit % p->m;
        const uint32_t *a = (const uint32_t *)m->at[0] + matrix_at(p, batch, a_step) + row * p->quads;
        const uint32_t *b = (const uint32_t *)m->at[1] + matrix_at(p, batch, b_step);
        const size_t c = batch * p->c_batch + row * p->c_m;
        const int32_t za = zero_at(m, 2, row * p->a_step, p->a_flip);
        for (size_t n = 0; n < p->n; n++) {
            const int32_t zb = zero_at(m, 3, n * p->b_step, p->b_flip);
            int64_t sum = 0;
            for (size_t k = 0; k < p->depth; k++)
                sum += (int64_t)(byte_at(a, k) - za) * (byte_at(b + n * p->quads, k) - zb);
            finish(constants, m, sum, c + n, n);
        }
    }
}

/* Where place `tap` of the filter meets result q along an axis; -1 outside. */
static ptrdiff_t meet(ptrdiff_t q, ptrdiff_t tap, uint32_t size, uint32_t stride, int32_t pad,
                      uint32_t dilation)
{
    const ptrdiff_t at = q * (ptrdiff_t)stride - pad + tap * (ptrdiff_t)dilation;
    return at >= 0 && at < (ptrdiff_t)size ? at : -1;
}

/* One result: the filter at w, x from quad 0 of the group on. */
static int64_t convolve(const struct kiln_params_conv_bytes *p, const uint32_t *x, const uint32_t *w,
                        size_t at, int32_t zx, int32_t zw)
{
    const size_t q = at / p->ow / p->oh, i = at / p->ow % p->oh, j = at % p->ow,
                 taps = (size_t)p->t * p->u * p->v;
    int64_t sum = 0;
    for (size_t tap = 0; tap < taps; tap++) {
        const ptrdiff_t a =
            meet((ptrdiff_t)q, (ptrdiff_t)(tap / p->v / p->u), p->d, p->stride_a, p->pad_a, p->dilation_a);
        const ptrdiff_t b =
            meet((ptrdiff_t)i, (ptrdiff_t)(tap / p->v % p->u), p->h, p->stride_i, p->pad_i, p->dilation_i);
        const ptrdiff_t c =
            meet((ptrdiff_t)j, (ptrdiff_t)(tap % p->v), p->w, p->stride_j, p->pad_j, p->dilation_j);
        if (a < 0 || b < 0 || c < 0)
            continue;
        for (size_t k = 0; k < p->depth; k++) {
            const size_t pixel = ((k / 4 * p->d + (size_t)a) * p->h + (size_t)b) * p->w + (size_t)c;
            sum += (int64_t)(byte_at(x + pixel, k % 4) - zx) * (byte_at(w + k / 4 * taps + tap, k % 4) - zw);
        }
    }
    return sum;
}

/* Units are volumes of y: n, g, o. */
void KILN_REFERENCE(conv_bytes)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                size_t first, size_t count)
{
    const struct kiln_params_conv_bytes *p = block;
    const size_t volume = (size_t)p->od * p->oh * p->ow, words = (size_t)p->quads * p->t * p->u * p->v;

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / p->filters / p->groups, o = unit % ((size_t)p->filters * p->groups),
                     g = o / p->filters;
        const uint32_t *x = (const uint32_t *)m->at[0] + n * p->x_image + g * p->quads * p->d * p->h * p->w;
        const uint32_t *w = (const uint32_t *)m->at[1] + o * words;
        const size_t y = n * p->y_image + o * volume;
        const int32_t zx = zero_at(m, 2, 0, p->x_flip), zw = zero_at(m, 3, o * p->w_step, p->w_flip);
        for (size_t at = 0; at < volume; at++)
            finish(constants, m, convolve(p, x, w, at, zx, zw), y + at, o);
    }
}

/* Units are panels. */
void KILN_REFERENCE(pack_panels)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_pack_panels *p = block;
    const uint32_t *x = m->at[0];
    const size_t words = (size_t)(p->quads + 1) * KILN_PANEL;

    for (size_t panel = first; panel < first + count; panel++) {
        uint32_t *y = (uint32_t *)m->at[1] + panel * words, *sums = y + words - KILN_PANEL;
        memset(y, 0, words * sizeof *y);
        for (size_t c = 0; c < KILN_PANEL && panel * KILN_PANEL + c < p->columns; c++)
            for (size_t k = 0; k < p->depth; k++) {
                const size_t at = (panel * KILN_PANEL + c) * p->x_column + k / p->channels * p->x_tap +
                                  k % p->channels * p->x_channel;
                const uint32_t byte = (x[at] ^ p->flip) & 0xff;
                y[k / 4 * KILN_PANEL + c] |= byte << 8 * (k % 4);
                sums[c] += byte < 128 ? byte : byte - 256;
            }
    }
}

/* One result: the filter's words, which lie KILN_PANEL apart, x from the image on. */
static int64_t convolve_last(const struct kiln_params_conv_panels *p, const int32_t *x, const uint32_t *w,
                             size_t i, size_t j, int32_t zx, int32_t zw)
{
    int64_t sum = 0;
    for (size_t tap = 0; tap < (size_t)p->u * p->v; tap++) {
        const ptrdiff_t a =
            meet((ptrdiff_t)i, (ptrdiff_t)(tap / p->v), p->h, p->stride_i, p->pad_i, p->dilation_i);
        const ptrdiff_t b =
            meet((ptrdiff_t)j, (ptrdiff_t)(tap % p->v), p->w, p->stride_j, p->pad_j, p->dilation_j);
        for (size_t c = 0; c < p->channels && a >= 0 && b >= 0; c++) {
            const size_t k = tap * p->channels + c, at = ((size_t)a * p->w + (size_t)b) * p->channels + c;
            sum += (int64_t)(x[at] - zx) * (byte_at(w + k / 4 * KILN_PANEL, k % 4) - zw);
        }
    }
    return sum;
}

/* Units are positions of y: n, i, j. */
void KILN_REFERENCE(conv_panels)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                 size_t first, size_t count)
{
    const struct kiln_params_conv_panels *p = block;
    const int32_t zx = zero_at(m, 2, 0, 0);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / p->ow / p->oh, i = unit / p->ow % p->oh, j = unit % p->ow;
        const int32_t *x = (const int32_t *)m->at[0] + n * p->h * p->w * p->channels;
        for (size_t o = 0; o < p->filters; o++) {
            const uint32_t *w =
                (const uint32_t *)m->at[1] + o / KILN_PANEL * (p->quads + 1) * KILN_PANEL + o % KILN_PANEL;
            const int32_t zw = zero_at(m, 3, o * p->w_step, p->w_flip);
            finish(constants, m, convolve_last(p, x, w, i, j, zx, zw), unit * p->filters + o, o);
        }
    }
}

/* Units are channels. */
void KILN_REFERENCE(pack_each)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_pack_each *p = block;
    const int32_t *w = m->at[0];
    int32_t *y = m->at[2];

    for (size_t c = first; c < first + count; c++) {
        const int32_t zero = zero_at(m, 1, c * p->w_step, 0);
        int32_t sum = 0;
        for (size_t tap = 0; tap < p->taps; tap++) {
            const int32_t number = w[c * p->taps + tap] - zero;
            y[tap * p->channels + c] = number & 0xffff;
            sum += number;
        }
        y[(size_t)p->taps * p->channels + c] = sum;
    }
}

/* One result of channel c: x from the image on. */
static int64_t convolve_each(const struct kiln_params_conv_each *p, const int32_t *x, const uint32_t *w,
                             size_t i, size_t j, size_t c, int32_t zx)
{
    int64_t sum = 0;
    for (size_t tap = 0; tap < (size_t)p->u * p->v; tap++) {
        const ptrdiff_t a =
            meet((ptrdiff_t)i, (ptrdiff_t)(tap / p->v), p->h, p->stride_i, p->pad_i, p->dilation_i);
        const ptrdiff_t b =
            meet((ptrdiff_t)j, (ptrdiff_t)(tap % p->v), p->w, p->stride_j, p->pad_j, p->dilation_j);
        if (a >= 0 && b >= 0)
            sum += (int64_t)(x[((size_t)a * p->w + (size_t)b) * p->channels + c] - zx) *
                   (int16_t)w[tap * p->channels + c];
    }
    return sum;
}

/* Units are positions of y: n, i, j. */
void KILN_REFERENCE(conv_each)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct kiln_params_conv_each *p = block;
    const int32_t zx = zero_at(m, 2, 0, 0);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t n = unit / p->ow / p->oh, i = unit / p->ow % p->oh, j = unit % p->ow;
        const int32_t *x = (const int32_t *)m->at[0] + n * p->h * p->w * p->channels;
        for (size_t c = 0; c < p->channels; c++)
            finish(constants, m, convolve_each(p, x, m->at[1], i, j, c, zx), unit * p->channels + c, c);
    }
}
