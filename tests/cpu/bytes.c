/* bytes.c - kernels of bytes on the CPU: the fast variants against the references, and chains of bytes against their blocks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/rng.h"
#include "chain/chain.h"
#include "chain/codes.h"
#include "cpu/cpu.h"
#include "device/variants.h"
#include "layout/join_bytes.h"
#include "layout/turn_bytes.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "pool/pool_last.h"
#include "quantize/conv_each.h"
#include "quantize/conv_panels.h"
#include "quantize/pack_each.h"
#include "quantize/pack_panels.h"

enum { ROOM = 1 << 16, PACKED = 1 << 17 };

static uint8_t x[ROOM], w[ROOM], fast[ROOM];
static uint32_t x_words[ROOM], w_words[ROOM], y_words[ROOM], sums[ROOM], packed[PACKED], plain[PACKED];
static _Alignas(64) uint8_t scratch[1 << 20];

static uint32_t between(struct kiln_rng *rng, uint32_t low, uint32_t high)
{
    return low + kiln_rng_below(rng, high - low + 1);
}

/* Bytes, and the words that they are. */
static void draw(uint8_t *bytes, uint32_t *words, bool natural, struct kiln_rng *rng)
{
    for (int i = 0; i < ROOM; i++) {
        bytes[i] = (uint8_t)kiln_rng_below(rng, 256);
        words[i] = natural ? bytes[i] : (uint32_t)(int8_t)bytes[i];
    }
}

/* All units of a dispatch, in one call. */
static void run_fast(const kiln_variant *v, const kiln_dispatch *d, kiln_memory *m)
{
    cr_assert(!v->accepts || v->accepts(NULL, d));
    cr_assert(!v->scratch || v->scratch(NULL, d) <= sizeof scratch);
    m->scratch = scratch;
    v->run(d, m, 0, (size_t)v->groups(NULL, d), 0);
}

static void expect_bytes(size_t count, const char *what, int round)
{
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(fast[i], y_words[i] & 0xff, "%s, round %d: element %zu is %d, wanted %d", what, round, i,
                     fast[i], (int)(y_words[i] & 0xff));
}

/* Convolution by panels ------------------------------------------------------------------------------------ */

static struct kiln_params_conv_panels draw_window(struct kiln_rng *rng, bool points)
{
    struct kiln_params_conv_panels p = {
        .images = between(rng, 1, 3),
        .channels = points ? 4 * between(rng, 1, 9) : between(rng, 1, 40),
        .filters = between(rng, 1, 150),
        .u = points ? 1 : between(rng, 1, 3),
        .v = points ? 1 : between(rng, 1, 7),
        .stride_i = points ? 1 : between(rng, 1, 2),
        .stride_j = points ? 1 : between(rng, 1, 3),
        .dilation_i = between(rng, 1, 2),
        .dilation_j = between(rng, 1, 2),
    };
    const uint32_t high = (p.u - 1) * p.dilation_i + 1, wide = (p.v - 1) * p.dilation_j + 1;
    p.pad_i = points ? 0 : (int32_t)kiln_rng_below(rng, high);
    p.pad_j = points ? 0 : (int32_t)kiln_rng_below(rng, wide);
    p.h = between(rng, high, high + 6);
    p.w = between(rng, wide, wide + 11);
    p.oh = (p.h + 2 * (uint32_t)p.pad_i - high) / p.stride_i + 1;
    p.ow = (p.w + 2 * (uint32_t)p.pad_j - wide) / p.stride_j + 1;
    p.quads = (p.channels * p.u * p.v + 3) / 4;
    return p;
}

static void pack(const struct kiln_params_conv_panels *p, uint32_t flip, bool bytes)
{
    const uint32_t taps = p->u * p->v, panels = (p->filters + KILN_PANEL - 1) / KILN_PANEL;
    struct kiln_params_pack_panels block = {
        .columns = p->filters,
        .channels = p->channels,
        .depth = p->channels * taps,
        .quads = p->quads,
        .x_column = p->channels * taps,
        .x_tap = 1,
        .x_channel = taps,
        .flip = flip,
    };
    kiln_dispatch d = {.bytes = bytes};
    memcpy(d.block.bytes, &block, sizeof block);
    kiln_reference_pack_panels_f32(&block, NULL, &(kiln_memory){.at = {w_words, plain}}, 0, panels);
    kiln_cpu_pack_panels_plain.run(&d, &(kiln_memory){.at = {bytes ? (void *)w : w_words, packed}}, 0, panels,
                                   0);
    cr_assert_arr_eq(packed, plain, panels * (p->quads + 1) * KILN_PANEL * sizeof *packed);
}

Test(bytes, convolve_by_panels)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 3);
    if (!kiln_cpu_detect()->vnni)
        return;
    for (int round = 0; round < 300; round++) {
        const bool natural = round & 1, w_natural = round & 2, points = round & 4;
        struct kiln_params_conv_panels p = draw_window(&rng, points);
        const size_t results = (size_t)p.images * p.oh * p.ow * p.filters;
        int32_t x_zero = (int32_t)between(&rng, 0, 255) - (natural ? 0 : 128), w_zeros[256];
        for (int i = 0; i < 256; i++)
            w_zeros[i] = (int32_t)between(&rng, 0, 255) - (w_natural ? 0 : 128);
        if ((size_t)p.images * p.h * p.w * p.channels > ROOM || results > ROOM ||
            (size_t)p.filters * p.quads * 4 > ROOM)
            continue;
        draw(x, x_words, natural, &rng);
        draw(w, w_words, w_natural, &rng);
        p.w_step = round & 8 ? 1 : 0;
        p.w_flip = w_natural ? 128 : 0;
        pack(&p, p.w_flip, round & 16);
        void *zx = round & 32 ? &x_zero : NULL, *zw = round & 64 ? w_zeros : NULL;
        kiln_dispatch d = {.bytes = 1, .natural = natural};
        memcpy(d.block.bytes, &p, sizeof p);
        kiln_memory m = {.at = {x, packed, zx, zw, sums}};
        run_fast(&kiln_cpu_conv_panels_tiles, &d, &m);
        m.at[0] = x_words;
        m.at[4] = y_words;
        kiln_reference_conv_panels_f32(&p, d.constants, &m, 0, (size_t)p.images * p.oh * p.ow);
        for (size_t i = 0; i < results; i++)
            cr_assert_eq(sums[i], y_words[i], "round %d: element %zu is %d, wanted %d", round, i,
                         (int)sums[i], (int)y_words[i]);
    }
}

/* Convolution of each channel by itself -------------------------------------------------------------------- */

static void pack_each(const struct kiln_params_conv_panels *p, void *zeros)
{
    const struct kiln_params_pack_each block = {p->channels, p->u * p->v, p->w_step};
    kiln_reference_pack_each_f32(&block, NULL, &(kiln_memory){.at = {w_words, zeros, packed}}, 0,
                                 p->channels);
}

Test(bytes, convolve_each_channel)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 4);
    if (!kiln_cpu_detect()->vnni)
        return;
    for (int round = 0; round < 200; round++) {
        const bool natural = round & 1, w_natural = round & 2;
        struct kiln_params_conv_panels window = draw_window(&rng, false);
        window.channels = between(&rng, 1, 150);
        window.w_step = round & 4 ? 1 : 0;
        const struct kiln_params_conv_each p = {
            .images = window.images,
            .channels = window.channels,
            .h = window.h,
            .w = window.w,
            .oh = window.oh,
            .ow = window.ow,
            .u = window.u,
            .v = window.v,
            .stride_i = window.stride_i,
            .stride_j = window.stride_j,
            .pad_i = window.pad_i,
            .pad_j = window.pad_j,
            .dilation_i = window.dilation_i,
            .dilation_j = window.dilation_j,
        };
        const size_t results = (size_t)p.images * p.oh * p.ow * p.channels;
        int32_t x_zero = (int32_t)between(&rng, 0, 255) - (natural ? 0 : 128), w_zeros[150];
        for (int i = 0; i < 150; i++)
            w_zeros[i] = (int32_t)between(&rng, 0, 255) - (w_natural ? 0 : 128);
        if ((size_t)p.images * p.h * p.w * p.channels > ROOM || results > ROOM)
            continue;
        draw(x, x_words, natural, &rng);
        draw(w, w_words, w_natural, &rng);
        pack_each(&window, round & 8 ? w_zeros : NULL);
        kiln_dispatch d = {.bytes = 1, .natural = natural};
        memcpy(d.block.bytes, &p, sizeof p);
        kiln_memory m = {.at = {x, packed, round & 16 ? &x_zero : NULL, NULL, sums}};
        run_fast(&kiln_cpu_conv_each_rows, &d, &m);
        m.at[0] = x_words;
        m.at[4] = y_words;
        kiln_reference_conv_each_f32(&p, d.constants, &m, 0, (size_t)p.images * p.oh * p.ow);
        for (size_t i = 0; i < results; i++)
            cr_assert_eq(sums[i], y_words[i], "round %d: element %zu is %d, wanted %d", round, i,
                         (int)sums[i], (int)y_words[i]);
    }
}

/* Pooling and transposes ------------------------------------------------------------------------------------ */

Test(bytes, pool_with_channels_last)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 5);
    for (int round = 0; round < 200; round++) {
        const bool natural = round & 1;
        struct kiln_params_pool_last p = {
            .images = between(&rng, 1, 2),
            .channels = between(&rng, 1, 70),
            .size_i = between(&rng, 1, 3),
            .size_j = between(&rng, 1, 4),
            .stride_i = between(&rng, 1, 3),
            .stride_j = between(&rng, 1, 3),
            .dilation_i = 1,
            .dilation_j = 1,
        };
        p.pad_i = kiln_rng_below(&rng, p.size_i);
        p.pad_j = kiln_rng_below(&rng, p.size_j);
        p.h = between(&rng, p.size_i, 9);
        p.w = between(&rng, p.size_j, 12);
        p.oh = (p.h + 2 * p.pad_i - p.size_i) / p.stride_i + 1;
        p.ow = (p.w + 2 * p.pad_j - p.size_j) / p.stride_j + 1;
        draw(x, x_words, natural, &rng);
        kiln_dispatch d = {.bytes = 3, .natural = natural ? 3 : 0};
        memcpy(d.block.bytes, &p, sizeof p);
        cr_assert(kiln_cpu_pool_last_rows.accepts(NULL, &d));
        kiln_cpu_pool_last_rows.run(&d, &(kiln_memory){.at = {x, fast}}, 0, p.images * p.oh, 0);
        kiln_reference_pool_last_f32(&p, NULL, &(kiln_memory){.at = {x_words, y_words}}, 0, p.images * p.oh);
        expect_bytes((size_t)p.images * p.oh * p.ow * p.channels, "pooled", round);
    }
}

Test(bytes, turn_matrices)
{
    static const struct kiln_params_turn_bytes rows[] = {
        {1, 1, 1},    {2, 3, 50},   {2, 50, 3},   {3, 15, 40},  {3, 16, 16},  {2, 17, 31},
        {1, 130, 20}, {1, 20, 128}, {2, 20, 131}, {1, 64, 300}, {1, 300, 64}, {5, 7, 9},
    };
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 7);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        kiln_dispatch d = {.bytes = 3};
        memcpy(d.block.bytes, &rows[k], sizeof rows[k]);
        draw(x, x_words, false, &rng);
        kiln_memory m = {.at = {x, fast}};
        run_fast(&kiln_cpu_turn_bytes_squares, &d, &m);
        kiln_reference_turn_bytes_f32(&rows[k], NULL, &(kiln_memory){.at = {x_words, y_words}}, 0,
                                      rows[k].batch);
        expect_bytes((size_t)rows[k].batch * rows[k].rows * rows[k].columns, "turned", (int)k);
    }
}

Test(bytes, join_rows)
{
    static const struct kiln_params_join_bytes parts[] = {
        {5, 3, 10, 0}, {5, 7, 10, 3}, {1, 40, 90, 50}, {40, 64, 128, 64}};
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 8);
    memset(fast, 0, sizeof fast);
    memset(y_words, 0, sizeof y_words);
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        kiln_dispatch d = {.bytes = 3};
        memcpy(d.block.bytes, &parts[k], sizeof parts[k]);
        draw(x, x_words, false, &rng);
        cr_assert(kiln_cpu_join_bytes_rows.accepts(NULL, &d));
        kiln_cpu_join_bytes_rows.run(&d, &(kiln_memory){.at = {x, fast}}, 0, parts[k].rows, 0);
        kiln_reference_join_bytes_f32(&parts[k], NULL, &(kiln_memory){.at = {x_words, y_words}}, 0,
                                      parts[k].rows);
        expect_bytes((size_t)parts[k].rows * parts[k].y_row, "joined", (int)k);
    }
}

/* Chains ----------------------------------------------------------------------------------------------------- */

#define OPERAND(i) (i)
#define STEP(i)    (KILN_REGISTER_STEP + (i))
#define NUMBER(i)  (KILN_REGISTER_IMMEDIATE + (i))
#define S(op, ...) KILN_STEP(KILN_STEP_##op, __VA_ARGS__)

/* Immediates: 0, 1: zero points. 2, 3, 4: scales. 5: the zero point behind. 6, 7: bounds. */
static const struct chain {
    const char *what;
    bool fits;
    int operands, steps;
    uint32_t step[KILN_CHAIN_STEPS];
    bool reals; /* that is what operand 0 holds */
} chains[] = {
    {"a residual sum",
     true,
     2,
     8,
     {S(SCALED_I, OPERAND(0), NUMBER(0), NUMBER(2)), S(SCALED_I, OPERAND(1), NUMBER(1), NUMBER(3)),
      S(ADD_F, STEP(0), STEP(1), 0), S(RELU_F, STEP(2), 0, 0), S(ROUNDED_F, STEP(3), NUMBER(4), 0),
      S(ADD_F, STEP(4), NUMBER(5), 0), S(I_FROM_F, STEP(5), 0, 0), S(CLIP_I, STEP(6), NUMBER(6), NUMBER(7))}},
    {"without zero points",
     true,
     2,
     7,
     {S(F_FROM_I, OPERAND(1), 0, 0), S(MUL_F, NUMBER(2), STEP(0), 0),
      S(SCALED_I, OPERAND(0), NUMBER(1), NUMBER(3)), S(ADD_F, STEP(2), STEP(1), 0),
      S(ROUNDED_F, STEP(3), NUMBER(4), 0), S(I_FROM_F, STEP(4), 0, 0),
      S(CLIP_I, STEP(5), NUMBER(6), NUMBER(7))}},
    {"one value",
     true,
     1,
     5,
     {S(SCALED_I, OPERAND(0), NUMBER(0), NUMBER(2)), S(ROUNDED_F, STEP(0), NUMBER(4), 0),
      S(ADD_F, NUMBER(5), STEP(1), 0), S(I_FROM_F, STEP(2), 0, 0), S(CLIP_I, STEP(3), NUMBER(6), NUMBER(7))}},
    {"a value twice",
     true,
     1,
     6,
     {S(SCALED_I, OPERAND(0), NUMBER(0), NUMBER(2)), S(SCALED_I, OPERAND(0), NUMBER(1), NUMBER(3)),
      S(ADD_F, STEP(0), STEP(1), 0), S(ROUNDED_F, STEP(2), NUMBER(4), 0), S(I_FROM_F, STEP(3), 0, 0),
      S(CLIP_I, STEP(4), NUMBER(6), NUMBER(7))}},
    {"reals",
     true,
     1,
     5,
     {S(RELU_F, OPERAND(0), 0, 0), S(ROUNDED_F, STEP(0), NUMBER(4), 0), S(ADD_F, STEP(1), NUMBER(5), 0),
      S(I_FROM_F, STEP(2), 0, 0), S(CLIP_I, STEP(3), NUMBER(6), NUMBER(7))},
     true},
    {"reals, as they are",
     true,
     1,
     4,
     {S(ROUNDED_F, OPERAND(0), NUMBER(4), 0), S(ADD_F, STEP(0), NUMBER(5), 0), S(I_FROM_F, STEP(1), 0, 0),
      S(CLIP_I, STEP(2), NUMBER(6), NUMBER(7))},
     true},
    {"reals and bytes",
     false,
     2,
     6,
     {S(SCALED_I, OPERAND(1), NUMBER(0), NUMBER(2)), S(ADD_F, STEP(0), OPERAND(0), 0),
      S(ROUNDED_F, STEP(1), NUMBER(4), 0), S(ADD_F, STEP(2), NUMBER(5), 0), S(I_FROM_F, STEP(3), 0, 0),
      S(CLIP_I, STEP(4), NUMBER(6), NUMBER(7))},
     true},
    {"a term left over",
     false,
     2,
     5,
     {S(SCALED_I, OPERAND(0), NUMBER(0), NUMBER(2)), S(SCALED_I, OPERAND(1), NUMBER(1), NUMBER(3)),
      S(ROUNDED_F, STEP(1), NUMBER(4), 0), S(I_FROM_F, STEP(2), 0, 0),
      S(CLIP_I, STEP(3), NUMBER(6), NUMBER(7))}},
    {"a product of both",
     false,
     2,
     6,
     {S(SCALED_I, OPERAND(0), NUMBER(0), NUMBER(2)), S(SCALED_I, OPERAND(1), NUMBER(1), NUMBER(3)),
      S(MUL_F, STEP(0), STEP(1), 0), S(ROUNDED_F, STEP(2), NUMBER(4), 0), S(I_FROM_F, STEP(3), 0, 0),
      S(CLIP_I, STEP(4), NUMBER(6), NUMBER(7))}},
    {"no bounds",
     false,
     1,
     3,
     {S(SCALED_I, OPERAND(0), NUMBER(0), NUMBER(2)), S(ROUNDED_F, STEP(0), NUMBER(4), 0),
      S(I_FROM_F, STEP(1), 0, 0)}},
};

static uint32_t bits_of(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static kiln_dispatch chain_dispatch(const struct chain *c, uint32_t natural, uint32_t elements)
{
    const bool y_natural = natural >> (KILN_CHAIN_OPERANDS - 1) & 1;
    const uint32_t number[] = {3,
                               (uint32_t)-70,
                               bits_of(0.31f),
                               bits_of(-0.077f),
                               bits_of(0.21f),
                               bits_of(4),
                               y_natural ? 0 : (uint32_t)-128,
                               y_natural ? 255 : 127};
    kiln_dispatch d = {
        .constants = {(uint32_t)c->operands | (uint32_t)c->steps << 8 | STEP((uint32_t)c->steps - 1) << 16},
        .bytes = (((1u << c->operands) - 1) & ~(uint32_t)c->reals) | 1u << (KILN_CHAIN_OPERANDS - 1),
        .natural = natural,
        .kernel = &kiln_kernel_chain,
    };
    struct kiln_params_chain *p = (struct kiln_params_chain *)(void *)d.block.words;
    memcpy(d.constants + 1, c->step, sizeof c->step);
    d.constants[10] = c->reals;
    p->elements = elements;
    KILN_DIVISOR_SET(p, row, 1);
    for (int i = 0; i < 8; i++)
        p->immediate[2 * i] = number[i];
    return d;
}

Test(bytes, chains_of_them_are_what_their_steps_say)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 9);
    static uint8_t want[ROOM];
    static float reals[ROOM];
    if (!kiln_cpu_detect()->avx512)
        return;
    for (size_t k = 0; k < 4 * sizeof chains / sizeof *chains; k++) {
        const struct chain *c = &chains[k / 4];
        const uint32_t elements = between(&rng, 1, 9000);
        const kiln_dispatch d = chain_dispatch(c, (k & 1 ? 3 : 1) | (k & 2 ? 128 : 0), elements);
        draw(x, x_words, true, &rng);
        draw(w, w_words, true, &rng);
        cr_assert_eq(kiln_cpu_chain_bytes.accepts(NULL, &d), c->fits, "%s", c->what);
        if (!c->fits)
            continue;
        for (int i = 0; i < ROOM; i++)
            reals[i] = i % 100 == 99   ? NAN
                       : i % 100 == 98 ? -INFINITY
                                       : 0.013f * (float)((int)x[i] * 16 - 2000);
        kiln_memory m = {
            .at = {[0] = c->reals ? (void *)reals : x, [1] = w, [KILN_CHAIN_OPERANDS - 1] = fast}};
        run_fast(&kiln_cpu_chain_bytes, &d, &m);
        m.at[KILN_CHAIN_OPERANDS - 1] = want;
        run_fast(&kiln_cpu_chain_blocks, &d, &m);
        cr_assert_arr_eq(fast, want, elements, "%s", c->what);
    }
}
