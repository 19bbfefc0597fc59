#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * attention, tiled - attention or, with GRAD, one of its gradients through shared memory (FlashAttention, Dao et al. 2022, and
 * FlashAttention-2, Dao 2023): memory does not grow with the square of the length, no atomics.
 *
 * bindings   see attention.h
 * dispatch   a workgroup of 128 for OWN rows and CHUNK columns of the result
 *
 * A tile is OWN x OTHER weights. Its products are summed from slabs of both operands, ROWS x 4 of them an invocation, and become
 * weights in shared memory; with these the rows of x are summed, 8 x 4 columns an invocation. Attention itself keeps the
 * largest score and the sum of exponentials of each row as it goes along, and rescales what it has when the former rises.
 *
 *   OTHER 64   8 x 4 products an invocation     26 KiB of shared memory
 *   OTHER 32   4 x 4                            16
 *
 * Memory and shared memory are read in fours of neighbouring terms, or of x's columns; with FOURS these lie at multiples of four
 * elements.
 */
#include "attention.glsl"

KILN_TUNING(0, OTHER, 64);
KILN_TUNING(1, FOURS, 0);

#define OWN         64u
#define CHUNK       64u
#define SLAB        16u
#define TILE_LANES  128u
#define SIDE        4u
#define ACROSS      (OTHER / SIDE)                          /* invocations that share a row of the tile */
#define ROWS        (OWN * ACROSS / TILE_LANES)             /* of an invocation's part of the tile */
#define SUM_ROWS    8u                                      /* of an invocation's part of the result */
#define SUM_ACROSS  (CHUNK / SIDE)
#define X_SLAB      (OTHER / 2u)                            /* rows of x at once */

/* Lines of four terms of all rows, so ordered that invocations side by side read fours side by side, and some of nothing between them. */
#define SLAB_FOURS  (SLAB / 4u)
#define OWN_LINE    (OWN + 2u)
#define OTHER_LINE  (OTHER + 2u)
#define OTHER_SLAB  (SLAB_FOURS * OWN_LINE)                 /* where it begins */
#define WEIGHT_LINE (OTHER / 4u + 1u)

shared vec4 slab[OTHER_SLAB + SLAB_FOURS * OTHER_LINE];     /* of both operands; of x */
shared vec4 weight[OWN * WEIGHT_LINE];
shared float held[TILE_LANES];
shared float rescale[OWN];

uint own_count, other_count;                                /* rows that there are behind the tile's first */
uint own_first, other_first;

uint tile_row() { return LANE / ACROSS * ROWS; }
uint tile_column() { return LANE % ACROSS * SIDE; }

/* Memory in fours -------------------------------------------------------------------------------------------- */

#ifdef HALF
#define FOUR f16vec4
#else
#define FOUR vec4
#endif

/* Four elements from `at` on, of which there are `left` in the row; zeros behind them. */
#define READER(slot, name)                                                                                           \
    KILN_IN(slot, FOUR, name##_fours);                                                                               \
    vec4 name##_four(uint at, uint left)                                                                             \
    {                                                                                                                \
        vec4 x;                                                                                                      \
        if (FOURS == 1u)                                                                                             \
            return vec4(name##_fours[at / 4u]);                                                                      \
        [[unroll]] for (uint e = 0; e < 4u; e++)                                                                     \
            x[e] = float(name[at + min(e, left - 1u)]);                                                              \
        return mix(vec4(0.0), x, lessThan(uvec4(0u, 1u, 2u, 3u), uvec4(left)));                                      \
    }
READER(0, q)
READER(1, k)
READER(2, v)
#ifdef GRAD
READER(5, dy)
KILN_OUT(7, FOUR, result_fours);
#else
vec4 dy_four(uint at, uint left) { return vec4(0.0); }
KILN_OUT(5, FOUR, result_fours);
#endif
#define FOUR_OF(name, rows_at, row, term, terms) name##_four(rows_at.first + (row) * rows_at.step + (term), (terms) - (term))

/* As own_term and the others name them. */
vec4 own_four(bool second, uint own, uint term, uint terms)
{
    if (OWN_IS_KEY)
        return second ? FOUR_OF(v, v_span, own, term, terms) : FOUR_OF(k, k_span, own, term, terms);
    return second ? FOUR_OF(dy, y_span, own, term, terms) : FOUR_OF(q, q_span, own, term, terms);
}

vec4 other_four(bool second, uint other, uint term, uint terms)
{
    if (OWN_IS_KEY)
        return second ? FOUR_OF(dy, y_span, other, term, terms) : FOUR_OF(q, q_span, other, term, terms);
    return second ? FOUR_OF(v, v_span, other, term, terms) : FOUR_OF(k, k_span, other, term, terms);
}

vec4 x_four(uint other, uint column, uint columns)
{
    if (OWN_IS_KEY)
        return OF(VALUE) ? FOUR_OF(dy, y_span, other, column, columns) : FOUR_OF(q, q_span, other, column, columns);
#ifdef GRAD
    return FOUR_OF(k, k_span, other, column, columns);
#else
    return FOUR_OF(v, v_span, other, column, columns);
#endif
}

/* Products ------------------------------------------------------------------------------------------------- */

#define OWN_LOADS   (OWN * SLAB_FOURS / TILE_LANES)
#define OTHER_LOADS (OTHER * SLAB_FOURS / TILE_LANES)
#define X_LOADS     (X_SLAB * CHUNK / 4u / TILE_LANES)

/* Whether the next slab is on its way into registers while one is multiplied. Gradients would spill theirs where there are 128. */
#ifdef GRAD
#define AHEAD false
#else
#define AHEAD true
#endif

vec4 next[4];                                               /* loads of two slabs, or of x */
vec4 product[ROWS];

/* At the edge the last four is loaded again instead of what is beyond, and dropped. */
void fetch_slabs(bool second, uint first, uint terms)
{
    const uint term = first + LANE % SLAB_FOURS * 4u, at = min(term, (terms - 1u) / 4u * 4u);
    [[unroll]] for (uint i = 0; i < OWN_LOADS; i++) {
        const uint row = (i * TILE_LANES + LANE) / SLAB_FOURS;
        const vec4 x = own_four(second, own_first + min(row, own_count - 1u), at, terms);
        next[i] = row < own_count && term < terms ? x : vec4(0.0);
    }
    [[unroll]] for (uint i = 0; i < OTHER_LOADS; i++) {
        const uint row = (i * TILE_LANES + LANE) / SLAB_FOURS;
        const vec4 x = other_four(second, other_first + min(row, other_count - 1u), at, terms);
        next[OWN_LOADS + i] = row < other_count && term < terms ? x : vec4(0.0);
    }
}

void share_slabs()
{
    const uint line = LANE % SLAB_FOURS;
    [[unroll]] for (uint i = 0; i < OWN_LOADS; i++) {
        const uint row = (i * TILE_LANES + LANE) / SLAB_FOURS;
        slab[line * OWN_LINE + row % ROWS * (OWN / ROWS) + row / ROWS] = next[i];
    }
    [[unroll]] for (uint i = 0; i < OTHER_LOADS; i++) {
        const uint row = (i * TILE_LANES + LANE) / SLAB_FOURS;
        slab[OTHER_SLAB + line * OTHER_LINE + row % SIDE * ACROSS + row / SIDE] = next[OWN_LOADS + i];
    }
}

void multiply_slabs()
{
    for (uint line = 0; line < SLAB_FOURS; line++) {
        vec4 other[SIDE];
        [[unroll]] for (uint c = 0; c < SIDE; c++)
            other[c] = slab[OTHER_SLAB + line * OTHER_LINE + c * ACROSS + LANE % ACROSS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const vec4 own = slab[line * OWN_LINE + r * (OWN / ROWS) + LANE / ACROSS];
            [[unroll]] for (uint t = 0; t < 4u; t++)
                product[r] += own[t] * vec4(other[0][t], other[1][t], other[2][t], other[3][t]);
        }
    }
}

void multiply(bool second, uint terms)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        product[r] = vec4(0.0);
    if (AHEAD)
        fetch_slabs(second, 0u, terms);
    for (uint first = 0; first < terms; first += SLAB) {
        if (!AHEAD)
            fetch_slabs(second, first, terms);
        barrier();
        share_slabs();
        barrier();
        if (AHEAD && first + SLAB < terms)
            fetch_slabs(second, first + SLAB, terms);
        multiply_slabs();
    }
}

/* The products of an invocation to shared memory, where all that follows finds them. */
void share()
{
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        weight[(tile_row() + r) * WEIGHT_LINE + tile_column() / 4u] = product[r];
}

/* Sums ------------------------------------------------------------------------------------------------------- */

vec4 total[SUM_ROWS];

uint sum_row() { return LANE / SUM_ACROSS * SUM_ROWS; }
uint sum_column() { return LANE % SUM_ACROSS * SIDE; }

/* Rows of x from the first-th on, for the columns from `column` on. */
void fetch_x(uint first, uint column, uint columns)
{
    const uint own = column + sum_column(), at = min(own, (columns - 1u) / 4u * 4u);
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint row = first + (i * TILE_LANES + LANE) / SUM_ACROSS;
        const vec4 x = x_four(other_first + min(row, other_count - 1u), at, columns);
        next[i] = row < other_count && own < columns ? x : vec4(0.0);
    }
}

/* total += weight x, for the columns from `column` on; the first rows of x are on their way, and no one needs the slabs. */
void add_weighted(uint column, uint columns)
{
    for (uint first = 0; first < other_count; first += X_SLAB) {
        if (first > 0u)
            barrier();
        [[unroll]] for (uint i = 0; i < X_LOADS; i++)
            slab[i * TILE_LANES + LANE] = next[i];
        barrier();
        if (first + X_SLAB < other_count)
            fetch_x(first + X_SLAB, column, columns);
        for (uint line = 0; line < X_SLAB / 4u; line++) {
            vec4 x[4];
            [[unroll]] for (uint t = 0; t < 4u; t++)
                x[t] = slab[(line * 4u + t) * SUM_ACROSS + LANE % SUM_ACROSS];
            [[unroll]] for (uint r = 0; r < SUM_ROWS; r++) {
                const vec4 w = weight[(sum_row() + r) * WEIGHT_LINE + first / 4u + line];
                [[unroll]] for (uint t = 0; t < 4u; t++)
                    total[r] += w[t] * x[t];
            }
        }
    }
}

void store_total(uint column, uint columns, float factor)
{
    const span to = result_span();
    const uint own = column + sum_column();
    [[unroll]] for (uint r = 0; r < SUM_ROWS; r++) {
        const uint row = sum_row() + r, at = to.first + (own_first + row) * to.step + own;
        if (row >= own_count || own >= columns)
            continue;
        if (FOURS == 1u)
            result_fours[at / 4u] = FOUR(total[r] * factor);
        else
            [[unroll]] for (uint c = 0; c < SIDE; c++)
                if (own + c < columns)
                    result[at + c] = T(total[r][c] * factor);
    }
}

#ifdef GRAD

/* Gradients -------------------------------------------------------------------------------------------------- */

/* Four products of neighbouring keys, which share a draw, to probabilities, across the tile. */
void make_probabilities_across()
{
    for (uint r = 0; r < ROWS; r++) {
        const uint query = own_first + tile_row() + r, key = other_first + tile_column();
        const uint at = (tile_row() + r) * WEIGHT_LINE + tile_column() / 4u;
        const bvec4 keeps = keeps_of(query, key);
        const float lse = rows[row_of(min(query, p.queries - 1u))];
        const vec4 products = weight[at];
        vec4 x;
        [[unroll]] for (uint e = 0; e < 4u; e++)
            x[e] = probability_of(products[e], query, key + e, keeps[e], lse);
        weight[at] = x;
    }
}

/* Likewise down the tile. */
void make_probabilities_down()
{
    for (uint c = 0; c < SIDE; c++) {
        const uint query = other_first + tile_column() + c;
        const float lse = rows[row_of(min(query, p.queries - 1u))];
        for (uint r = 0; r < ROWS; r += 4u) {
            const uint key = own_first + tile_row() + r;
            const bvec4 keeps = keeps_of(query, key);
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                const uint at = (tile_row() + r + e) * WEIGHT_LINE + tile_column() / 4u;
                weight[at][c] = probability_of(weight[at][c], query, key + e, keeps[e], lse);
            }
        }
    }
}

float delta_of(uint query) { return rows[p.delta_at + row_of(min(query, p.queries - 1u))]; }

/* Probabilities to weights by the second products, which of SCORES go to the result. */
void make_weights()
{
    const span to = result_span();
    vec4 delta;
    if (OWN_IS_KEY)
        [[unroll]] for (uint c = 0; c < SIDE; c++)
            delta[c] = delta_of(other_first + tile_column() + c);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = tile_row() + r, at = row * WEIGHT_LINE + tile_column() / 4u;
        const vec4 probability = weight[at];
        vec4 w;
        if (!OWN_IS_KEY)
            delta = vec4(delta_of(own_first + row));
        [[unroll]] for (uint c = 0; c < SIDE; c++)
            w[c] = weight_of(probability[c], product[r][c], delta[c]);
        if (!OF(SCORES))
            weight[at] = w;
        else
            [[unroll]] for (uint c = 0; c < SIDE; c++)
                if (row < own_count && tile_column() + c < other_count)
                    result[to.first + (own_first + row) * to.step + other_first + tile_column() + c] = T(w[c]);
    }
}

void weigh()
{
    multiply(false, p.depth);
    share();
    if (OWN_IS_KEY)
        make_probabilities_down();
    else
        make_probabilities_across();
    if (HAS_SECOND) {
        multiply(true, p.width);
        make_weights();
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
        if (OF(SCORES))
            continue;
        fetch_x(0u, column, COLUMNS_OF_X);
        barrier();
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

/* Of every second four of the row that an invocation turns into weights: the row's largest score so far, and its own sum of exponentials. */
float peak, part;

/* The products of a tile to weights below the largest score, and by what the sums so far are to be rescaled. */
void weigh()
{
    multiply(false, p.depth);
    share();
    barrier();

    const uint row = LANE / 2u, query = own_first + row, line = row * WEIGHT_LINE;
    float largest = KILN_MINUS_INFINITY;
    for (uint four = LANE % 2u; four < OTHER / 4u; four += 2u) {
        vec4 score = weight[line + four];
        [[unroll]] for (uint e = 0; e < 4u; e++) {
            score[e] = masked(capped(score[e]), query, other_first + four * 4u + e);
            largest = kiln_max(largest, score[e]);
        }
        weight[line + four] = score;
    }
    held[LANE] = largest;
    barrier();
    largest = kiln_max(peak, kiln_max(largest, held[LANE ^ 1u]));

    const bool none = is_left_out(largest);
    const float ratio = none ? 1.0 : kiln_exp(peak - largest);
    peak = largest;
    part *= ratio;
    if (LANE % 2u == 0u)
        rescale[row] = ratio;
    for (uint four = LANE % 2u; four < OTHER / 4u; four += 2u) {
        const bvec4 keeps = keeps_of(query, other_first + four * 4u);
        vec4 w = weight[line + four];
        [[unroll]] for (uint e = 0; e < 4u; e++) {
            w[e] = none ? 0.0 : kiln_exp(w[e] - largest);
            part += w[e];
            w[e] = !IS(DROPPED) ? w[e] : keeps[e] ? w[e] * growth() : 0.0;
        }
        weight[line + four] = w;
    }
}

/* Divide by each row's sum of exponentials; of a row that sees nothing it is 0, and the result too. */
void finish(bool first_chunk)
{
    const uint row = LANE / 2u;
    barrier();
    held[LANE] = part;
    barrier();
    const float sum = part + held[LANE ^ 1u];
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
        fetch_x(0u, column, COLUMNS_OF_X);
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
