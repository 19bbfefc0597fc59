#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * attention, coop - attention of halves by matrix units (coop.glsl), in the order of FlashAttention-2 (Dao 2023).
 *
 * bindings   see attention.h; q, k, v and y 16 bytes at a time
 * dispatch   a workgroup for OWN queries and all columns of the result; depth and width are at most SIDE, multiples of 8
 *
 * A subgroup has a strip of 16 queries: q's fragments and the result's sums, both in registers from the first key to the last. Blocks of 32
 * keys and their values take turns on the way: while products are summed the values go from memory into registers, and from there into shared
 * memory; while weighted values are, the next keys do.
 *
 * Which of a fragment's sums an invocation holds is the driver's secret, so scores become weights in shared memory, each row by the same
 * invocations. A weight goes back as two halves, itself and what rounding takes off it: a half alone would tell in results that cancel, and
 * the second costs but its products. Sums are divided by what their row's weights shrink by, fragment by fragment, only where the peak of
 * some row of the strip rises by more than RISE: until then weights are above 1, which halves have room for, and the last division
 * takes it off again. That is seldom behind the first block, so that the sums need not leave their fragments for it.
 *
 * A strip is a subgroup's of 32. Where a driver makes fewer subgroups, they take turns, each of which goes along all keys.
 */
#define COOP_FOURS
#include "attention.glsl"

KILN_TUNING(0, SIDE, 64);
KILN_TUNING(1, STRIPS, 4);

#define STRIP           16u
#define OWN             (STRIPS * STRIP)
#define OTHER           32u
#define GAP             8u                                  /* between lines in shared memory, which parts the banks */
#define PITCH           (SIDE + GAP)
#define WEIGHT_PITCH    (OTHER + GAP)
#define SCORE_PITCH     (OTHER + 4u)
#define Q_SLAB          (OWN * PITCH)
#define BLOCK_SLAB      (OTHER * PITCH)                     /* of keys; of their values, which lie behind */
#define WEIGHT_SLAB     (OWN * WEIGHT_PITCH)

#ifdef HALF
#define WEIGHTS         2u                                  /* elements that make a weight */
#else
#define WEIGHTS         1u
#endif

/* Weights lie where q was: it is in fragments, unless these stay where they are read. */
#ifdef EMULATED
#define WEIGHTS_AT      Q_SLAB
#define OWN_SLAB        (Q_SLAB + WEIGHTS * WEIGHT_SLAB)
#else
#define WEIGHTS_AT      0u
#define OWN_SLAB        (Q_SLAB > WEIGHTS * WEIGHT_SLAB ? Q_SLAB : WEIGHTS * WEIGHT_SLAB)
#endif
COOP_SHARED(OWN_SLAB, 2u * BLOCK_SLAB, OWN * SCORE_PITCH);
shared float held[LANES];                                   /* an invocation's part of what its row's make together */
shared uint risen[STRIPS];                                  /* the last block that raised a strip's peaks */

uint own_first, other_first, other_end;
uint block;                                                 /* counted from 1 */

/* Elements that go to memory at once: STORED of them, in fours ------------------------------------------------ */

#define UNIT_FOURS (STORED / 4u)

#ifdef HALF
uvec2 halves_of(vec4 x) { return uvec2(packFloat2x16(f16vec2(x.xy)), packFloat2x16(f16vec2(x.zw))); }
vec4 floats_of(uvec2 x) { return vec4(unpackHalf2x16(x.x), unpackHalf2x16(x.y)); }
STORED_TYPE stored(vec4 x[UNIT_FOURS]) { return uvec4(halves_of(x[0]), halves_of(x[1])); }
STORED_TYPE rest(vec4 x[UNIT_FOURS], STORED_TYPE of)
{
    return uvec4(halves_of(x[0] - floats_of(of.xy)), halves_of(x[1] - floats_of(of.zw)));
}
#else
STORED_TYPE stored(vec4 x[UNIT_FOURS]) { return x[0]; }
#endif

/* Vulkan's own is off by 3 + 2 |x| ulp, |x| of which scores' roundings are too; drivers on the CPU are not that good. */
#ifdef EMULATED
vec4 exp_of(vec4 x) { return vec4(kiln_exp(x.x), kiln_exp(x.y), kiln_exp(x.z), kiln_exp(x.w)); }
#else
vec4 exp_of(vec4 x) { return exp(x); }
#endif

/* From memory ------------------------------------------------------------------------------------------------- */

#define LINE  (SIDE / STORED)                               /* loads of a row */
#define LOADS ((OTHER * LINE + LANES - 1u) / LANES)

STORED_TYPE next[LOADS];                                    /* of a block, on its way */

uint slab_place(uint load) { return (load / LINE * PITCH + load % LINE * STORED) / STORED; }

/* Load number `load` of `rows` rows of an operand, from row `first` on; zeros behind the rows' end and below them. */
#define ELEMENTS_AT(operand, rows_at, from, rows, size, load)                                                         \
    ((load) / LINE < (rows) && (load) % LINE * STORED < (size)                                                        \
         ? operand[(rows_at.first + ((from) + min((load) / LINE, (rows) - 1u)) * rows_at.step +                       \
                    min((load) % LINE * STORED, (size) - STORED)) / STORED]                                           \
         : STORED_TYPE(0))

void fetch_keys(uint first)
{
    const uint rows = min(OTHER, other_end - first);
    [[COOP_UNROLL]] for (uint i = 0; i < LOADS; i++)
        next[i] = ELEMENTS_AT(k, k_span, first, rows, p.depth, i * LANES + LANE);
}

void fetch_values(uint first)
{
    const uint rows = min(OTHER, other_end - first);
    [[COOP_UNROLL]] for (uint i = 0; i < LOADS; i++)
        next[i] = ELEMENTS_AT(v, v_span, first, rows, p.width, i * LANES + LANE);
}

void share_block(uint at)
{
    [[COOP_UNROLL]] for (uint i = 0; i < LOADS; i++)
        if (OTHER * LINE % LANES == 0u || i * LANES + LANE < OTHER * LINE)
            slab_b[at / STORED + slab_place(i * LANES + LANE)] = next[i];
}

void share_queries()
{
    const uint rows = min(OWN, p.queries - own_first);
    [[dont_unroll]] for (uint load = LANE; load < OWN * LINE; load += LANES)
        slab_a[slab_place(load)] = ELEMENTS_AT(q, q_span, own_first, rows, p.depth, load);
}

/* Scores and weights ------------------------------------------------------------------------------------------ */

/* Of a row of its strip an invocation has every `sharers`th STORED elements. */
#define UNITS (OTHER / STORED)
#define ROW (COOP_LANE % STRIP)
#define SHARER (COOP_LANE / STRIP)
#define SHARERS (COOP_LANES / STRIP)
#define EACH_UNIT(u) [[COOP_UNROLL]] for (uint u = 0; u < UNITS; u++) if (u * SHARERS < UNITS)
#define UNIT_AT(u) (((u) * SHARERS + SHARER) * STORED)

const float RISE = 8.0, MOST = 60.0;                        /* of exponents: 2981 is a half yet, and 10^26 a float */
const float LOWEST = -3.402823466e38;                       /* below all that is not left out */

float peak, part;                                           /* of its row; of what it has of it */

/* Where four elements of coop_out lie, from an element of an invocation's row on. */
uint out_four(uint strip, uint column) { return ((strip * STRIP + ROW) * SCORE_PITCH + column) / 4u; }

bool sees_all(uint strip)
{
    const int end = int(other_first + OTHER);
    return !IS(BIASED) && !IS(MASKED) && end <= length &&
           (!IS(CAUSAL) || end <= int(own_first + strip * STRIP) + offset + 1);
}

void load_scores(uint strip, uint query, out vec4 score[UNITS][UNIT_FOURS])
{
    EACH_UNIT(u)
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++) {
            const vec4 product = uintBitsToFloat(coop_out[out_four(strip, UNIT_AT(u) + f * 4u)]);
            score[u][f] = vec4(capped(product.x), capped(product.y), capped(product.z), capped(product.w));
        }
    if (sees_all(strip))
        return;
    EACH_UNIT(u)
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++)
            [[COOP_UNROLL]] for (uint e = 0; e < 4u; e++)
                score[u][f][e] = masked(score[u][f][e], query, other_first + UNIT_AT(u) + f * 4u + e);
}

/* The row's new peak, and what its weights shrink by, to coop_out as a fragment of equal columns. */
void raise(uint strip, float largest)
{
    [[COOP_UNROLL]] for (uint n = 0; n < SHARERS; n++)
        largest = max(largest, held[COOP_ID * COOP_LANES + n * STRIP + ROW]);
    const float higher = max(peak, largest);
    const vec4 shrinks = exp_of(vec4(min(higher - peak, MOST)));
    peak = higher;
    part /= shrinks.x;
    for (uint column = SHARER * 4u; column < COOP_N; column += SHARERS * 4u)
        coop_out[out_four(strip, column)] = floatBitsToUint(shrinks);
}

/* Scores of a block to weights; whether sums are to be divided before these are added. */
bool weigh(uint strip)
{
    const uint query = own_first + strip * STRIP + ROW;
    vec4 score[UNITS][UNIT_FOURS];
    float largest = peak;
    COOP_MEET;
    load_scores(strip, query, score);
    EACH_UNIT(u)
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++) {
            const vec4 s = score[u][f];
            largest = max(max(largest, max(s.x, s.y)), max(s.z, s.w));
        }
    held[COOP_ID * COOP_LANES + COOP_LANE] = largest;
    if (largest > peak + RISE)
        atomicMax(risen[strip], block);
    COOP_MEET;
    const bool rises = risen[strip] == block;
    if (rises)
        raise(strip, largest);
    EACH_UNIT(u) {
        vec4 w[UNIT_FOURS];
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++) {
            w[f] = exp_of(score[u][f] - peak);
            part += (w[f].x + w[f].y) + (w[f].z + w[f].w);
            if (IS(DROPPED))
                w[f] = mix(vec4(0.0), w[f], keeps_of(query, other_first + UNIT_AT(u) + f * 4u));
        }
        const uint at = (WEIGHTS_AT + (strip * STRIP + ROW) * WEIGHT_PITCH + UNIT_AT(u)) / STORED;
        slab_a[at] = stored(w);
#ifdef HALF
        slab_a[at + WEIGHT_SLAB / STORED] = rest(w, stored(w));
#endif
    }
    COOP_MEET;
    return rises;
}

/* The row's sum of exponentials; of one that sees nothing it is 0, and the result too. */
float finish(uint strip)
{
    const uint query = own_first + strip * STRIP + ROW;
    held[COOP_ID * COOP_LANES + COOP_LANE] = part;
    COOP_MEET;
    float sum = 0.0;
    [[COOP_UNROLL]] for (uint n = 0; n < SHARERS; n++)
        sum += held[COOP_ID * COOP_LANES + n * STRIP + ROW];
    if (SHARER == 0u && query < p.queries)
        lse[row_of(query)] = sum == 0.0 ? KILN_MINUS_INFINITY : peak + kiln_log(sum);
    return sum == 0.0 ? 0.0 : growth() / sum;
}

/* The OTHER columns of the result in coop_out to memory, from `column` on. */
void store_rows(uint strip, uint column, float factor)
{
    const uint query = own_first + strip * STRIP + ROW;
    EACH_UNIT(u) {
        vec4 y[UNIT_FOURS];
        [[COOP_UNROLL]] for (uint f = 0; f < UNIT_FOURS; f++)
            y[f] = uintBitsToFloat(coop_out[out_four(strip, UNIT_AT(u) + f * 4u)]) * factor;
        if (query < p.queries && column + UNIT_AT(u) < p.width)
            result[(y_span.first + query * y_span.step + column + UNIT_AT(u)) / STORED] = stored(y);
    }
}

/* Fragments, which stay where they are declared ----------------------------------------------------------------- */

#define DOWN (STRIP / COOP_M)
#define ROW_OF(i) (strip * STRIP + (i) * COOP_M)

#define LOAD_QUERIES                                                                                                  \
    [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                                   \
        [[COOP_UNROLL]] for (uint t = 0; t < SIDE / COOP_K; t++)                                                      \
            COOP_LOAD_A(queries[i][t], ROW_OF(i) * PITCH + t * COOP_K, PITCH, COOP_ROWS);

#define MULTIPLY                                                                                                      \
    [[COOP_UNROLL]] for (uint j = 0; j < OTHER / COOP_N; j++) {                                                       \
        COOP_SUM sum[DOWN];                                                                                           \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            COOP_CLEAR(sum[i]);                                                                                       \
        [[COOP_UNROLL]] for (uint t = 0; t < SIDE / COOP_K; t++) {                                                    \
            COOP_B keys;                                                                                              \
            COOP_LOAD_B(keys, j * COOP_N * PITCH + t * COOP_K, PITCH, COOP_COLUMNS);                                  \
            [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                           \
                COOP_MULTIPLY(queries[i][t], keys, sum[i]);                                                           \
        }                                                                                                             \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            COOP_STORE_ROWS(sum[i], ROW_OF(i) * SCORE_PITCH + j * COOP_N, SCORE_PITCH);                               \
    }

#define SHRINK                                                                                                        \
    [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++) {                                                                 \
        COOP_SUM by;                                                                                                  \
        COOP_LOAD_SUM(by, ROW_OF(i) * SCORE_PITCH, SCORE_PITCH);                                                      \
        [[COOP_UNROLL]] for (uint j = 0; j < SIDE / COOP_N; j++)                                                      \
            COOP_DIVIDE(total[i][j], by);                                                                             \
    }

#define ADD_WEIGHTED                                                                                                  \
    [[COOP_UNROLL]] for (uint t = 0; t < OTHER / COOP_K; t++) {                                                       \
        COOP_A weight[DOWN][WEIGHTS];                                                                                 \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            [[COOP_UNROLL]] for (uint e = 0; e < WEIGHTS; e++)                                                        \
                COOP_LOAD_A(weight[i][e], WEIGHTS_AT + e * WEIGHT_SLAB + ROW_OF(i) * WEIGHT_PITCH + t * COOP_K,       \
                            WEIGHT_PITCH, COOP_ROWS);                                                                 \
        [[COOP_UNROLL]] for (uint j = 0; j < SIDE / COOP_N; j++) {                                                    \
            COOP_B values;                                                                                            \
            COOP_LOAD_B(values, BLOCK_SLAB + t * COOP_K * PITCH + j * COOP_N, PITCH, COOP_ROWS);                      \
            [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                           \
                [[COOP_UNROLL]] for (uint e = 0; e < WEIGHTS; e++)                                                    \
                    COOP_MULTIPLY(weight[i][e], values, total[i][j]);                                                 \
        }                                                                                                             \
    }

/* OTHER columns at a time go through shared memory. */
#define STORE_TOTAL                                                                                                   \
    const float factor = finish(strip);                                                                               \
    [[COOP_UNROLL]] for (uint first = 0; first < SIDE; first += OTHER) {                                              \
        COOP_MEET;                                                                                                    \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
            [[COOP_UNROLL]] for (uint j = 0; j < OTHER / COOP_N; j++)                                                 \
                COOP_STORE_ROWS(total[i][first / COOP_N + j], ROW_OF(i) * SCORE_PITCH + j * COOP_N, SCORE_PITCH);     \
        COOP_MEET;                                                                                                    \
        store_rows(strip, first, factor);                                                                             \
    }

/* A strip a subgroup; the first of these has number `first_strip`. */
void go_along(uint first_strip)
{
    const uint strip = first_strip + COOP_ID;
    COOP_A queries[DOWN][SIDE / COOP_K];
    COOP_SUM total[DOWN][SIDE / COOP_N];
    peak = LOWEST;
    part = 0.0;
    [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)
        [[COOP_UNROLL]] for (uint j = 0; j < SIDE / COOP_N; j++)
            COOP_CLEAR(total[i][j]);

    share_queries();
    if (other_end > 0u) {
        fetch_keys(0u);
        share_block(0u);
    }
    barrier();
    if (strip < STRIPS)
        LOAD_QUERIES
    for (other_first = 0; other_first < other_end; other_first += OTHER) {
        bool rises = false;
        block++;
        barrier();
        fetch_values(other_first);
        if (strip < STRIPS)
            MULTIPLY
        share_block(BLOCK_SLAB);
        if (strip < STRIPS)
            rises = weigh(strip);
        barrier();
        const bool more = other_first + OTHER < other_end;
        if (more)
            fetch_keys(other_first + OTHER);
        if (rises)
            SHRINK
        if (strip < STRIPS)
            ADD_WEIGHTED
        if (more)
            share_block(0u);
    }
    if (strip < STRIPS) {
        STORE_TOTAL
    }
    barrier();
}

void main()
{
    KILN_GROUP(group);
    const uint blocks = (p.queries + OWN - 1u) / OWN, pair = group / blocks, at = group % blocks;
    own_first = (IS(CAUSAL) ? blocks - 1u - at : at) * OWN;   /* the longest first */
    go_to(pair / p.group, pair % p.group);
    other_end = keys_end(min(own_first + OWN, p.queries));
    block = 0u;
    if (LANE < STRIPS)
        risen[LANE] = 0u;
    for (uint first_strip = 0; first_strip < STRIPS; first_strip += COOP_COUNT)
        go_along(first_strip);
}
