/*
 * attention.h - attention: queries look keys up and take a mean of their values; and what tells positions apart.
 */
#ifndef KILN_ATTENTION_H
#define KILN_ATTENTION_H

#include <kiln/graph.h>
#include <kiln/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Attention ---------------------------------------------------------------------------------------------- */

typedef struct kiln_attention_params {
    int heads;           /* of operands of rank 3, where it must be given; of rank 4 the shapes say it */
    int kv_heads;        /* of k and v of rank 3; 0 means heads */
    double scale;        /* of the products; 0 means 1 / sqrt(D) */
    double softcap;      /* scores become softcap * tanh(score / softcap), before any mask; 0: they do not */
    bool causal;         /* query i sees the keys j <= i + offset */
    bool last;           /* the queries are the last L of the S positions: offset is S - L */
    kiln_tensor offset;  /* else, where it is given: an integer for all, [], or for each batch, [N]; else 0 */
    kiln_tensor lengths; /* [N], integers: keys from lengths[n] on are left out */
    /* [N, H, L, S] or what broadcasts to it: BOOL, true is seen; or real, added to the scores */
    kiln_tensor mask;
    /* in training, the share of probabilities that become 0 (the others grow by 1 / (1 - dropout)) */
    double dropout;
} kiln_attention_params;

/**
 * Scaled dot-product attention (Vaswani et al. 2017), for several heads at once:
 *
 *   y[i] = sum over j of p[i, j] v[j],   p[i, ..] the softmax of scale q[i] . k[j] + mask[i, j] over the keys that i sees
 *
 * A query that sees no key gets 0, and gives no gradient. Neighbouring query heads may share a key/value head (grouped queries,
 * Ainslie et al. 2023). Computed tile by tile, the probabilities never as a whole (FlashAttention, Dao et al. 2022), wherever
 * that is faster or they would be large: memory grows with the length, not with its square.
 *
 * Shape:   q [N, H, L, D], k [N, G, S, D], v [N, G, S, V], y [N, H, L, V], H a multiple of G;
 *          or q [N, L, heads D], k [N, S, kv_heads D], v [N, S, kv_heads V], y [N, L, heads V]. Of these, as one projection
 *          leaves them, k may hold v too, where v is KILN_NONE: [N, S, 2 kv_heads D], k's heads and then v's; and q both, where
 *          k is KILN_NONE too: [N, L, (heads + 2 kv_heads) D].
 *          Of one real type, which is y's. Sums are of float32.
 *          Node output 1 is the logarithm of each row's sum of exponentials, F32 [N, H, L], without gradient.
 * Gradient by q, k, v and a real mask. One of these gradients has no rule.
 * Errors:  shapes or types that do not fit; dropout outside of [0, 1); a negative softcap.
 */
KILN_API kiln_tensor kiln_attention(kiln_graph *g, kiln_tensor q, kiln_tensor k, kiln_tensor v,
                                    const kiln_attention_params *params);

/**
 * The probabilities p[i, j] of kiln_attention themselves, for pictures of what looks where; memory grows with the square of the
 * length. A query that sees no key has zeros. There is no dropout.
 *
 * Shape:   q and k as above, rank 4 or 3, q without keys in it; y [N, H, L, S].
 * Gradient by q, k and a real mask.
 */
KILN_API kiln_tensor kiln_attention_weights(kiln_graph *g, kiln_tensor q, kiln_tensor k,
                                            const kiln_attention_params *params);

/* Positions ---------------------------------------------------------------------------------------------- */

/**
 * Sinusoids that tell positions apart (Vaswani et al. 2017), to be added to what stands there:
 *
 *   y[.., 2 i] = sin(position * base^(-2 i / width)),   y[.., 2 i + 1] = cos of the same;   a base of 0 means 10000
 *
 * Shape:   positions integer or real, any shape, as kiln_positions gives for a length that may be a symbol; y [positions' shape,
 *          width], F32; width even.
 */
KILN_API kiln_tensor kiln_sinusoidal(kiln_graph *g, kiln_tensor positions, int width, double base);

/** The tables of kiln_rotary: cosines, and to *sine sines, of position * base^(-2 i / size): [positions' shape, size / 2], F32. */
KILN_API kiln_tensor kiln_rotary_table(kiln_graph *g, kiln_tensor positions, int size, double base,
                                       kiln_tensor *sine);

typedef struct kiln_rotary_params {
    int heads;        /* of x of rank 3, where it must be given */
    int size;         /* how many of a head's first elements turn, an even number; 0 means all */
    bool interleaved; /* pairs are neighbours; else one element of the first half with one of the second */
} kiln_rotary_params;

/**
 * Rotary embedding (Su et al. 2021): each pair of a head's elements is turned by an angle that grows with the position, so that
 * products of queries and keys depend on how far apart they stand.
 *
 *   y[a] = x[a] cosine - x[b] sine,   y[b] = x[b] cosine + x[a] sine
 *
 * Shape:   x [N, H, L, D] or [N, L, heads D]; cosine and sine [L, size / 2], or [N, L, size / 2], as kiln_rotary_table gives
 *          them, or gathered from a cache by position. y as x.
 * Gradient by x, of any order; angles have none.
 */
KILN_API kiln_tensor kiln_rotary(kiln_graph *g, kiln_tensor x, kiln_tensor cosine, kiln_tensor sine,
                                 const kiln_rotary_params *params);

#ifdef __cplusplus
}
#endif
#endif
