#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * attention, tiled - attention or, with GRAD, one of its gradients through shared memory (FlashAttention, Dao et al. 2022, and
 * FlashAttention-2, Dao 2023): memory does not grow with the square of the length, no atomics.
 *
 * bindings   see attention.h
 * dispatch   a workgroup of 128 for OWN rows and CHUNK columns of the result
 *
 * A tile is OWN x OTHER weights. Its products are summed from slabs of both operands, 4 x 4 of them an invocation, and turned
 * into weights in shared memory; with these the rows of x are summed, 8 x 4 columns an invocation. Attention itself keeps the
 * largest score and the sum of exponentials of each row as it goes along, and rescales what it has when the former rises.
 */
#include "attention.glsl"

#define OWN         64u
#define OTHER       32u
#define CHUNK       64u
#define SLAB        16u
#define TILE_LANES  128u
#define SIDE        4u                                      /* of an invocation's part of a tile */
#define ACROSS      (OTHER / SIDE)                          /* invocations that share a row of the tile */
#define SUM_ROWS    8u                                      /* of an invocation's part of the result */
#define SUM_ACROSS  (CHUNK / SIDE)

#define OWN_SLAB    (OWN + 1u)                              /* odd strides part the banks */
#define OTHER_SLAB  (OTHER + 1u)

shared float slab[SLAB * (OWN_SLAB + OTHER_SLAB)];          /* of both operands; of x; peaks; sums */
shared float weight[OWN * OTHER_SLAB];
shared float rescale[OWN];

uint own_count, other_count;                                /* rows that there are behind the tile's first */
uint own_first, other_first;

uint tile_row() { return LANE / ACROSS * SIDE; }
uint tile_column() { return LANE % ACROSS * SIDE; }

/* Products ------------------------------------------------------------------------------------------------- */

void load_slabs(bool second, uint first, uint terms)
{
    for (uint at = LANE; at < OWN * SLAB; at += TILE_LANES) {
        const uint term = at % SLAB, row = at / SLAB;
        slab[term * OWN_SLAB + row] =
            row < own_count && first + term < terms ? own_term(second, own_first + row, first + term) : 0.0;
    }
    for (uint at = LANE; at < OTHER * SLAB; at += TILE_LANES) {
        const uint term = at % SLAB, row = at / SLAB;
        slab[SLAB * OWN_SLAB + term * OTHER_SLAB + row] =
            row < other_count && first + term < terms ? other_term(second, other_first + row, first + term) : 0.0;
    }
}

void multiply(bool second, uint terms, out vec4 sum[SIDE])
{
    [[unroll]] for (uint r = 0; r < SIDE; r++)
        sum[r] = vec4(0.0);
    for (uint first = 0; first < terms; first += SLAB) {
        load_slabs(second, first, terms);
        barrier();
        for (uint fourth = 0; fourth < SLAB; fourth += 4u)
            [[unroll]] for (uint t = fourth; t < fourth + 4u; t++) {
                const uint at = SLAB * OWN_SLAB + t * OTHER_SLAB + tile_column();
                const vec4 other = vec4(slab[at], slab[at + 1], slab[at + 2], slab[at + 3]);
                [[unroll]] for (uint r = 0; r < SIDE; r++)
                    sum[r] += slab[t * OWN_SLAB + tile_row() + r] * other;
            }
        barrier();
    }
}

/* The products of an invocation to shared memory, where all that follows finds them. */
void share(vec4 sum[SIDE])
{
    [[unroll]] for (uint r = 0; r < SIDE; r++)
        [[unroll]] for (uint c = 0; c < SIDE; c++)
            weight[(tile_row() + r) * OTHER_SLAB + tile_column() + c] = sum[r][c];
}

/* Sums ------------------------------------------------------------------------------------------------------- */

vec4 total[SUM_ROWS];

uint sum_row() { return LANE / SUM_ACROSS * SUM_ROWS; }
uint sum_column() { return LANE % SUM_ACROSS * SIDE; }

/* total += weight x, for the columns from `column` on. Slabs are of x now, [other, column]. */
void add_weighted(uint column, uint columns)
{
    for (uint first = 0; first < OTHER; first += SLAB) {
        for (uint at = LANE; at < SLAB * CHUNK; at += TILE_LANES) {
            const uint c = at % CHUNK, row = first + at / CHUNK;
            slab[at] = row < other_count && column + c < columns ? x_term(other_first + row, column + c) : 0.0;
        }
        barrier();
        for (uint fourth = 0; fourth < SLAB; fourth += 4u)
            [[unroll]] for (uint t = fourth; t < fourth + 4u; t++) {
                const uint at = t * CHUNK + sum_column();
                const vec4 x = vec4(slab[at], slab[at + 1], slab[at + 2], slab[at + 3]);
                [[unroll]] for (uint r = 0; r < SUM_ROWS; r++)
                    total[r] += weight[(sum_row() + r) * OTHER_SLAB + first + t] * x;
            }
        barrier();
    }
}

void store_total(uint column, uint columns, float factor)
{
    const span to = result_span();
    [[unroll]] for (uint r = 0; r < SUM_ROWS; r++) {
        const uint row = sum_row() + r, at = to.first + (own_first + row) * to.step + column + sum_column();
        [[unroll]] for (uint c = 0; c < SIDE; c++)
            if (row < own_count && column + sum_column() + c < columns)
                result[at + c] = T(total[r][c] * factor);
    }
}

#ifdef GRAD

/* Gradients -------------------------------------------------------------------------------------------------- */

/* The invocation's 4 x 4 products to probabilities; a draw is of four neighbouring keys. */
void make_probabilities()
{
    for (uint line = 0; line < SIDE; line++) {              /* of neighbouring keys, down or across the tile */
        const uint row = OWN_IS_KEY ? tile_row() : tile_row() + line;
        const uint column = OWN_IS_KEY ? tile_column() + line : tile_column();
        const uint query = OWN_IS_KEY ? other_first + column : own_first + row;
        const uint key = OWN_IS_KEY ? own_first + row : other_first + column;
        const bvec4 keeps = keeps_of(query, key);
        const float lse = rows[row_of(min(query, p.queries - 1u))];
        for (uint e = 0; e < SIDE; e++) {
            const uint at = row * OTHER_SLAB + column + e * (OWN_IS_KEY ? OTHER_SLAB : 1u);
            weight[at] = probability_of(weight[at], query, key + e, keeps[e], lse);
        }
    }
}

/* Probabilities to weights, which of SCORES go to the result. */
void make_weights(vec4 pull[SIDE])
{
    const span to = result_span();
    [[unroll]] for (uint r = 0; r < SIDE; r++)
        [[unroll]] for (uint c = 0; c < SIDE; c++) {
            const uint row = tile_row() + r, column = tile_column() + c, at = row * OTHER_SLAB + column;
            const uint query = OWN_IS_KEY ? other_first + column : own_first + row;
            const float delta = rows[p.delta_at + row_of(min(query, p.queries - 1u))];
            const float w = weight_of(weight[at], pull[r][c], delta);
            if (!OF(SCORES))
                weight[at] = w;
            else if (row < own_count && column < other_count)
                result[to.first + (own_first + row) * to.step + other_first + column] = T(w);
        }
}

/* Both products by one piece of code. */
void weigh()
{
    for (uint second = 0; second < (HAS_SECOND ? 2u : 1u); second++) {
        vec4 product[SIDE];
        multiply(second != 0u, second != 0u ? p.width : p.depth, product);
        if (second == 0u) {
            share(product);
            make_probabilities();
        } else
            make_weights(product);
    }
}

/* The tiles of one head: own rows [own_first, own_first + own_count) and what they see. */
void go_along(uint column)
{
    const uint begin = OWN_IS_KEY ? queries_begin(own_first) / OTHER * OTHER : 0u;
    const uint end = others_end(own_first, own_first + own_count);
    for (other_first = begin; other_first < end; other_first += OTHER) {
        other_count = min(OTHER, end - other_first);
        weigh();
        barrier();
        if (!OF(SCORES))
            add_weighted(column, COLUMNS_OF_X);
    }
}

void work(uint pair, uint column)
{
    [[unroll]] for (uint r = 0; r < SUM_ROWS; r++)
        total[r] = vec4(0.0);
    if (OWN_IS_KEY)
        for (uint g = 0; g < p.group; g++) {
            go_to(pair, g);
            go_along(column);
        }
    else {
        go_to(pair / p.group, pair % p.group);
        go_along(column);
    }
    if (!OF(SCORES))
        store_total(column, COLUMNS_OF_X, FACTOR);
}

#else

/* Attention -------------------------------------------------------------------------------------------------- */

/* Of the half row that an invocation turns into weights: the row's largest score so far, and its own sum of exponentials. */
float peak, part;

#define HALF_ROW (OTHER / 2u)

/* The products of a tile to weights below the largest score, and by what the sums so far are to be rescaled. */
void weigh()
{
    vec4 product[SIDE];
    multiply(false, p.depth, product);
    share(product);
    barrier();

    const uint row = LANE / 2u, query = own_first + row, column = LANE % 2u * HALF_ROW, at = row * OTHER_SLAB + column;
    float largest = KILN_MINUS_INFINITY;
    for (uint c = 0; c < HALF_ROW; c++) {
        const float score = masked(capped(weight[at + c]), query, other_first + column + c);
        weight[at + c] = score;
        largest = kiln_max(largest, score);
    }
    slab[LANE] = largest;
    barrier();
    largest = kiln_max(peak, kiln_max(largest, slab[LANE ^ 1u]));

    const bool none = is_left_out(largest);
    const float ratio = none ? 1.0 : kiln_exp(peak - largest);
    bvec4 keeps = bvec4(true);
    peak = largest;
    part *= ratio;
    if (column == 0u)
        rescale[row] = ratio;
    for (uint c = 0; c < HALF_ROW; c++) {
        const float w = none ? 0.0 : kiln_exp(weight[at + c] - largest);
        if (c % 4u == 0u)
            keeps = keeps_of(query, other_first + column + c);
        part += w;
        weight[at + c] = !IS(DROPPED) ? w : keeps[c % 4u] ? w * growth() : 0.0;
    }
}

/* Divide by each row's sum of exponentials; of a row that sees nothing it is 0, and the result too. */
void finish(bool first_chunk)
{
    const uint row = LANE / 2u;
    slab[LANE] = part;
    barrier();
    const float sum = part + slab[LANE ^ 1u];
    if (LANE % 2u == 0u) {
        rescale[row] = sum == 0.0 ? 0.0 : 1.0 / sum;
        if (first_chunk && row < own_count)
            lse[row_of(own_first + row)] = sum == 0.0 ? KILN_MINUS_INFINITY : peak + kiln_log(sum);
    }
    barrier();
    [[unroll]] for (uint r = 0; r < SUM_ROWS; r++)
        total[r] *= rescale[sum_row() + r];
}

void work(uint pair, uint column)
{
    go_to(pair / p.group, pair % p.group);
    [[unroll]] for (uint r = 0; r < SUM_ROWS; r++)
        total[r] = vec4(0.0);
    peak = KILN_MINUS_INFINITY;
    part = 0.0;
    const uint end = keys_end(own_first + own_count);
    for (other_first = 0; other_first < end; other_first += OTHER) {
        other_count = min(OTHER, end - other_first);
        weigh();
        barrier();
        [[unroll]] for (uint r = 0; r < SUM_ROWS; r++)
            total[r] *= rescale[sum_row() + r];
        add_weighted(column, COLUMNS_OF_X);
    }
    finish(column == 0u);
    store_total(column, COLUMNS_OF_X, 1.0);
}

#endif

void main()
{
    KILN_GROUP(group);
    const uint own = OWN_IS_KEY ? p.keys : p.queries, columns = OF(SCORES) ? 1u : COLUMNS_OF_X;
    const uint blocks = (own + OWN - 1u) / OWN, chunks = (columns + CHUNK - 1u) / CHUNK;
    const uint chunk = group / blocks % chunks;
    own_first = group % blocks * OWN;
    own_count = min(OWN, own - own_first);
    work(group / blocks / chunks, chunk * CHUNK);
}
