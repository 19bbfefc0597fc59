/* truth.c - see truth.h. A row says what is tried, where the caps claim it, and which types need it. */
#include "recorder/truth.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/log.h"
#include "chain/chain.h"
#include "chain/codes.h"
#include "matmul/matmul.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "quantize/matmul_bytes.h"
#include "recorder/single.h"

enum { TRIES = 3 };

/* Halves --------------------------------------------------------------------------------------------------- */

enum { HALVES = 4097, BEHIND = 3, RESULT = KILN_CHAIN_OPERANDS - 1, UNTOUCHED = 0xaaaa };

/* y = x + x for an odd number of halves. */
static kiln_dispatch twice(void)
{
    kiln_dispatch d = {.kernel = &kiln_kernel_chain,
                       .constant_count = 12,
                       .block_size = sizeof(struct kiln_params_chain),
                       .halves = 1 | 1 << RESULT};
    struct kiln_params_chain *block = (struct kiln_params_chain *)d.block.words;
    block->elements = HALVES;
    KILN_DIVISOR_SET(block, row, 1);
    d.constants[0] = 1 | 1 << 8 | KILN_REGISTER_STEP << 16;
    d.constants[1] = KILN_STEP(KILN_STEP_ADD_F, 0, 0, 0);
    d.constants[10] = 1 | 1 << RESULT;
    return d;
}

/* A normal number whose double is one too, of either sign. */
static uint16_t sample(int i)
{
    const uint32_t exponent = 1 + (uint32_t)i % 29, fraction = (uint32_t)i * 37 & 0x3ff;
    return (uint16_t)((uint32_t)(i & 1) << 15 | exponent << 10 | fraction);
}

/* Halves are read and written exactly, and a word's other half is left alone. */
static bool holds_halves(kiln_device *dev)
{
    const kiln_dispatch d = twice();
    uint16_t x[HALVES], y[HALVES + BEHIND];
    const struct kiln_single arrays = {.data = {[0] = x, [RESULT] = y},
                                       .bytes = {[0] = sizeof x, [RESULT] = sizeof y}};
    for (int i = 0; i < HALVES; i++)
        x[i] = sample(i);
    for (int i = 0; i < HALVES + BEHIND; i++)
        y[i] = UNTOUCHED;
    bool holds = kiln_single_run(dev, &d, &arrays, 0, NULL) == KILN_OK;
    for (int i = 0; i < HALVES + BEHIND; i++)
        holds &= y[i] == (i < HALVES ? x[i] + 0x400 : UNTOUCHED);
    return holds;
}

/* Dot products --------------------------------------------------------------------------------------------- */

enum { ROWS = 67, COLUMNS = 5, QUADS = 35 };

/* Products of packed bytes of all values, the least with the least among them, agree with the reference. */
static bool holds_dot(kiln_device *dev)
{
    uint32_t a[ROWS * QUADS], b[COLUMNS * QUADS], state = 1;
    int32_t got[ROWS * COLUMNS], want[ROWS * COLUMNS];
    const kiln_memory memory = {.at = {a, b, NULL, NULL, want}};
    const struct kiln_single arrays = {.data = {a, b, NULL, NULL, got},
                                       .bytes = {sizeof a, sizeof b, 0, 0, sizeof got}};
    kiln_dispatch d = {.kernel = &kiln_kernel_matmul_bytes,
                       .constant_count = 1,
                       .block_size = sizeof(struct kiln_params_matmul_bytes)};
    *(struct kiln_params_matmul_bytes *)d.block.words = (struct kiln_params_matmul_bytes){.m = ROWS,
                                                                                          .n = COLUMNS,
                                                                                          .quads = QUADS,
                                                                                          .depth = 4 * QUADS,
                                                                                          .batch = 1,
                                                                                          .batch1 = 1,
                                                                                          .batch2 = 1,
                                                                                          .c_m = COLUMNS};
    for (int i = 0; i < ROWS * QUADS; i++)
        a[i] = i % QUADS == 0 ? 0x80808080 : (state = state * 1664525u + 1013904223u);
    for (int i = 0; i < COLUMNS * QUADS; i++)
        b[i] = i % QUADS == 0 ? 0x80808080 : (state = state * 1664525u + 1013904223u);
    kiln_reference_matmul_bytes_f32(d.block.words, d.constants, &memory, 0, ROWS);
    return kiln_single_run(dev, &d, &arrays, 0, NULL) == KILN_OK && !memcmp(got, want, sizeof got);
}

/* Cooperative matrices --------------------------------------------------------------------------------------- */

/* Past a tile of 128 in both directions, and past a slab of terms. */
enum { PRODUCT_ROWS = 132, PRODUCT_COLUMNS = 136, TERMS = 72, LAYOUTS = 4 };

/* A product of halves into floats; bit 0 of `turned`: a lies by columns, bit 1: b does. */
static kiln_dispatch product(unsigned turned)
{
    kiln_dispatch d = {.kernel = &kiln_kernel_matmul,
                       .constant_count = KILN_EPILOGUE_CONSTANTS,
                       .block_size = sizeof(struct kiln_params_matmul),
                       .halves = 1 << 0 | 1 << 1};
    const bool a = turned & 1, b = turned >> 1 & 1;
    *(struct kiln_params_matmul *)d.block.words = (struct kiln_params_matmul){.m = PRODUCT_ROWS,
                                                                              .n = PRODUCT_COLUMNS,
                                                                              .k = TERMS,
                                                                              .batch = 1,
                                                                              .batch1 = 1,
                                                                              .batch2 = 1,
                                                                              .a_m = a ? 1 : TERMS,
                                                                              .a_k = a ? PRODUCT_ROWS : 1,
                                                                              .b_k = b ? 1 : PRODUCT_COLUMNS,
                                                                              .b_n = b ? TERMS : 1,
                                                                              .c_m = PRODUCT_COLUMNS};
    return d;
}

/* Integers whose sums of products are exact in any order. */
static int factor(int i, int k)
{
    return (i * 7 + k * 13) % 17 - 8;
}

static void fill_factors(uint16_t *to, int count, bool turned)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < TERMS; k++)
            to[turned ? k * count + i : i * TERMS + k] = kiln_half_from((float)factor(i, k));
}

static bool is_product(const float *c)
{
    for (int i = 0; i < PRODUCT_ROWS; i++)
        for (int j = 0; j < PRODUCT_COLUMNS; j++) {
            int sum = 0;
            for (int k = 0; k < TERMS; k++)
                sum += factor(i, k) * factor(j, k);
            if (c[i * PRODUCT_COLUMNS + j] != (float)sum)
                return false;
        }
    return true;
}

/* With operands that lie so, by the variant of a tile for them. */
static bool multiplies_so(kiln_device *dev, const char *tile, unsigned turned, float *c)
{
    static const char *const layout[LAYOUTS] = {"terms_columns", "rows_columns", "terms_terms", "rows_terms"};
    uint16_t a[PRODUCT_ROWS * TERMS], b[PRODUCT_COLUMNS * TERMS];
    const size_t bytes = PRODUCT_ROWS * PRODUCT_COLUMNS * sizeof *c;
    const struct kiln_single arrays = {.data = {a, b, c}, .bytes = {sizeof a, sizeof b, bytes}};
    kiln_dispatch d = product(turned);
    char variant[64];
    (void)snprintf(variant, sizeof variant, "%s_%s", tile, layout[turned]);
    d.variant = kiln_variant_named(dev, &d, variant);
    if (!d.variant)
        return true;
    fill_factors(a, PRODUCT_ROWS, turned & 1);
    fill_factors(b, PRODUCT_COLUMNS, !(turned >> 1 & 1));
    memset(c, 0xff, bytes);
    return kiln_single_run(dev, &d, &arrays, 0, NULL) == KILN_OK && is_product(c);
}

bool kiln_truth_multiplies(kiln_device *dev, const char *tile)
{
    float *c = malloc(PRODUCT_ROWS * PRODUCT_COLUMNS * sizeof *c);
    bool holds = c != NULL;
    for (unsigned turned = 0; turned < LAYOUTS && holds; turned++)
        holds = multiplies_so(dev, tile, turned, c);
    free(c);
    return holds;
}

static bool holds_coop(kiln_device *dev)
{
    return kiln_truth_multiplies(dev, "coop_128") && kiln_truth_multiplies(dev, "coop_64");
}

/* Trying --------------------------------------------------------------------------------------------------- */

const struct kiln_truth kiln_truths[] = {
    {"16-bit storage", "storage16", offsetof(struct kiln_caps, storage16), 1 << KILN_F16, holds_halves},
    {"cooperative matrices", "coop", offsetof(struct kiln_caps, coop), 1 << KILN_F16, holds_coop},
    {"integer dot products", "dot", offsetof(struct kiln_caps, dot), 1 << KILN_I8 | 1 << KILN_U8, holds_dot},
    {0},
};

static pthread_mutex_t trying = PTHREAD_MUTEX_INITIALIZER;

static void try_one(kiln_device *dev, const struct kiln_truth *t)
{
    bool holds = true;
    for (int i = 0; i < TRIES && holds; i++)
        holds = t->holds(dev);
    if (holds)
        return;
    (void)kiln_caps_mask(&dev->caps, "a test", t->mask);
    kiln_log_line(KILN_LOG_WARNING, "\"%s\" claims %s and fails its test: kiln goes without", dev->info.title,
                  t->what);
}

void kiln_truth_try(kiln_device *dev, uint32_t types)
{
    if (dev->caps.idle)
        return;
    pthread_mutex_lock(&trying);
    for (uint32_t i = 0; kiln_truths[i].what; i++) {
        const struct kiln_truth *t = &kiln_truths[i];
        const bool claimed = *(const bool *)((const char *)&dev->caps + t->at);
        if (!claimed || !(t->types & types) || dev->tried >> i & 1)
            continue;
        dev->tried |= 1u << i;
        try_one(dev, t);
    }
    pthread_mutex_unlock(&trying);
}
