/* cases_attention.c - attention: heads, masks, a diagonal, dropout; positions; rows of a table. */
#include "check/families.h"

#include <kiln/attention.h>
#include <kiln/indexing.h>

/* Batches, heads, heads of keys, queries, keys, depth, width. */
static const struct check_shape shapes[] = {
    {"1x1x1x1x2x1x1", "one query, two keys"},
    {"2x2x2x5x7x4x6", "smaller than a tile"},
    {"1x2x2x64x32x16x64", "whole tiles"},
    {"1x1x1x65x33x17x65", "one past a tile"},
    {"2x6x2x19x23x8x8", "heads that share keys"},
    {"1x1x1x131x67x33x13", "primes"},
    {"2x4x2x40x40x8x8", "of itself"},
    {"1x4x1x1x97x32x32", "one query"},
    {"1x1x1x3x1031x8x8", "many keys"},
    {"1x1x1x40x50x8x132", "wide values"},
    {"1x2x1x67x67x64x64", "heads as they are usual"},
    {"1x1x1x35x70x128x96", "wide heads"},
    {"2x2x2x0x5x3x3", "no queries"},
    {"2x2x2x5x0x3x3", "no keys"},
    {0},
};

enum {
    INSIDE = 1,
    CAUSAL = 2,
    LAST = 4,
    BIASED = 8,
    MASKED = 16,
    LENGTHS = 32,
    CAPPED = 64,
    DROPPED = 128,
    OFFSET = 256,
    PAIRED = 512,
    PACKED = 1024
};

static const struct check_attributes attributes[] = {
    {"plain", {0}},
    {"inside", {INSIDE}},
    {"paired", {INSIDE | PAIRED}},
    {"packed", {INSIDE | PACKED}},
    {"causal", {CAUSAL}},
    {"causal,last", {CAUSAL | LAST}},
    {"causal,offset", {CAUSAL | OFFSET}},
    {"bias", {BIASED}},
    {"mask", {MASKED}},
    {"lengths", {LENGTHS}},
    {"softcap", {CAPPED}},
    {"dropout", {DROPPED}},
    {"inside,causal,offset,bias,lengths,softcap,dropout",
     {INSIDE | CAUSAL | OFFSET | BIASED | LENGTHS | CAPPED | DROPPED}},
    {0},
};

/* Several operands in one are of one depth, and all in one of one length. */
static bool fits(const struct check_case *one)
{
    const int64_t *n = one->n, how = one->a[0];
    return !(how & (PAIRED | PACKED)) || (n[5] == n[6] && (how & PAIRED || n[3] == n[4]));
}

static void attention(struct check_graph *c)
{
    const int64_t *n = c->n, how = c->a[0];
    const bool inside = how & INSIDE;
    const int64_t all = how & PACKED ? n[1] + 2 * n[2] : n[1], both = how & PAIRED ? 2 * n[2] : n[2];
    const kiln_tensor q =
        check_operand(c, inside ? KILN_SHAPE(n[0], n[3], all * n[5]) : KILN_SHAPE(n[0], n[1], n[3], n[5]));
    kiln_tensor k = KILN_NONE, v = KILN_NONE;
    if (!(how & PACKED))
        k = check_operand(c,
                          inside ? KILN_SHAPE(n[0], n[4], both * n[5]) : KILN_SHAPE(n[0], n[2], n[4], n[5]));
    if (!(how & (PAIRED | PACKED)))
        v = check_operand(c,
                          inside ? KILN_SHAPE(n[0], n[4], n[2] * n[6]) : KILN_SHAPE(n[0], n[2], n[4], n[6]));
    kiln_attention_params p = {
        .heads = (int)n[1], .kv_heads = (int)n[2], .causal = how & CAUSAL, .last = how & LAST};
    if (how & BIASED)
        p.mask = check_real(c, KILN_SHAPE(n[1], n[3], n[4]));
    if (how & MASKED)
        p.mask = check_truth(c, KILN_SHAPE(n[0], 1, n[3], n[4]));
    if (how & LENGTHS) /* of a lone key's gradient nothing is left but roundings */
        p.lengths = check_whole(c, KILN_SHAPE(n[0]), n[4] < 2 ? 0 : 2, (double)n[4] + 1);
    if (how & OFFSET)
        p.offset = check_whole(c, KILN_SHAPE(n[0]), -2, 9);
    p.softcap = how & CAPPED ? 2 : 0;
    p.dropout = how & DROPPED ? 0.25 : 0;
    check_result(c, kiln_attention(c->g, q, k, v, &p));
}

/* Rotary embedding: batches, heads, positions, depth. */
static const struct check_shape turned[] = {
    {"1x1x1x2", "one pair"},
    {"2x3x5x8", "a few"},
    {"2x3x7x14", "primes"},
    {"1x1x1031x4", "many positions"},
    {"5x1x3x66", "one past the lanes"},
    {"33x2x4x64", "many batches"},
    {"1x65x2x6", "many heads"},
    {"0x2x3x8", "no batches"},
    {0},
};

/* a: inside, interleaved, elements that turn, a table a batch */
static const struct check_attributes turns[] = {
    {"halves", {0, 0, 0, 0}},      {"interleaved", {0, 1, 0, 0}},        {"size=2", {0, 0, 2, 0}},
    {"inside,each", {1, 0, 0, 1}}, {"inside,interleaved", {1, 1, 0, 0}}, {0},
};

static void rotary(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_rotary_params p = {.heads = (int)n[1], .size = (int)c->a[2], .interleaved = c->a[1]};
    const kiln_tensor x = check_operand(c, c->a[0] ? KILN_SHAPE(n[0], n[2], n[1] * n[3]) : check_shape_of(c));
    const kiln_tensor at = check_whole(c, c->a[3] ? KILN_SHAPE(n[0], n[2]) : KILN_SHAPE(n[2]), 0, 100);
    kiln_tensor sine;
    const kiln_tensor cosine = kiln_rotary_table(c->g, at, p.size ? p.size : (int)n[3], 0, &sine);
    check_result(c, kiln_rotary(c->g, x, cosine, sine, &p));
}

/* Positions, width. */
static const struct check_shape waves[] = {
    {"1x2", "one pair"},          {"7x14", "primes"},  {"0x8", "no position"},
    {"1031x4", "many positions"}, {"3x512", "wide"},   {"65x66", "one past a tile"},
    {"64x64", "whole tiles"},     {"2x1000", "wider"}, {0},
};
static const struct check_attributes bases[] = {{"base=10000", {0}}, {"base=50", {50}}, {0}};

/* Of whole positions, and of parts. */
static void sinusoidal(struct check_graph *c)
{
    const kiln_tensor at = check_operand_in(c, KILN_SHAPE(c->n[0]), 0, 100);
    check_result(c, kiln_sinusoidal(c->g, at, (int)c->n[1], (double)c->a[0]));
}

/* Rows, their width, indices. */
static const struct check_shape tables[] = {
    {"1x1x1", "one number"},
    {"7x5x19", "rows taken several times"},
    {"1000x3x50", "few rows of many"},
    {"5x1x300", "each taken often"},
    {"13x65x7", "one past the lanes"},
    {"64x64x64", "whole vectors"},
    {"30000x2x33", "a large table"},
    {"9x4x0", "no index"},
    {0},
};

static const struct check_attributes padding[] = {{"plain", {0}}, {"padding", {1}}, {0}};

static void embedding(struct check_graph *c)
{
    const kiln_tensor table = check_operand(c, KILN_SHAPE(c->n[0], c->n[1]));
    const kiln_tensor index = check_whole(c, KILN_SHAPE(c->n[2]), 0, (double)c->n[0]);
    const kiln_tensor y =
        kiln_embedding(c->g, table, index, &(kiln_embedding_params){.has_padding = c->a[0]});
    if (c->a[0]) /* differences know nothing of a row that is left as it is */
        check_add(c, y);
    else
        check_result(c, y);
}

const struct check_op check_attention[] = {
    {.name = "attention",
     .types = CHECK_REALS,
     .shapes = shapes,
     .attributes = attributes,
     .fits = fits,
     .build = attention,
     .low = -2,
     .high = 2},
    {.name = "rotary", .types = CHECK_REALS, .shapes = turned, .attributes = turns, .build = rotary},
    {.name = "sinusoidal",
     .types = CHECK_F32 | CHECK_I32 | CHECK_I64,
     .shapes = waves,
     .attributes = bases,
     .build = sinusoidal},
    {.name = "embedding", .types = CHECK_REALS, .shapes = tables, .attributes = padding, .build = embedding},
    {0},
};
