#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * attention, direct - attention or, with GRAD, one of its gradients without shared memory: for drivers that run on the CPU.
 *
 * bindings   see attention.h
 * dispatch   an invocation 4 rows and CHUNK columns of the result; of SCORES 4 rows
 */
#include "attention.glsl"

#define SIDE    4u                      /* rows of an invocation, and others that it takes at a time */
#define CHUNK   16u                     /* more would be faster, but what drivers compile grows with it */
#define VECTORS (CHUNK / 4u)

uint own[SIDE], other[SIDE];            /* beyond the end the last again */
uint own_first, own_to;                 /* [own_first, own_to): those there are */
vec4 total[SIDE * VECTORS];

void multiply(bool second, uint terms, out vec4 sum[SIDE])
{
    [[unroll]] for (uint r = 0; r < SIDE; r++)
        sum[r] = vec4(0.0);
    for (uint t = 0; t < terms; t++) {
        const vec4 b = vec4(other_term(second, other[0], t), other_term(second, other[1], t),
                            other_term(second, other[2], t), other_term(second, other[3], t));
        [[unroll]] for (uint r = 0; r < SIDE; r++)
            sum[r] += own_term(second, own[r], t) * b;
    }
}

/* total[r] += weight[c][r] * x[other[c]], for the columns from `column` on. */
void add_weighted(vec4 weight[SIDE], uint column, uint columns)
{
    for (uint c = 0; c < SIDE; c++)
        [[unroll]] for (uint i = 0; i < VECTORS; i++) {
            vec4 x;
            [[unroll]] for (uint e = 0; e < 4u; e++)
                x[e] = x_term(other[c], min(column + 4u * i + e, columns - 1u));
            [[unroll]] for (uint r = 0; r < SIDE; r++)
                total[r * VECTORS + i] += weight[c][r] * x;
        }
}

void clear()
{
    [[unroll]] for (uint i = 0; i < SIDE * VECTORS; i++)
        total[i] = vec4(0.0);
}

void store_total(uint column, uint columns, vec4 factor)
{
    const span to = result_span();
    [[unroll]] for (uint r = 0; r < SIDE; r++)
        [[unroll]] for (uint i = 0; i < VECTORS; i++)
            [[unroll]] for (uint e = 0; e < 4u; e++)
                if (own_first + r < own_to && column + 4u * i + e < columns)
                    result[to.first + own[r] * to.step + column + 4u * i + e] = T(total[r * VECTORS + i][e] * factor[r]);
}

void set_others(uint first, uint count)
{
    [[unroll]] for (uint c = 0; c < SIDE; c++)
        other[c] = min(first + c, count - 1u);
}

#ifdef GRAD

/* Weights by other and row. Lines are of neighbouring keys, which share a draw. */
void weigh(uint first, uint end, out vec4 weight[SIDE])
{
    vec4 product[SIDE], pull[SIDE];
    multiply(false, p.depth, product);
    if (HAS_SECOND)
        multiply(true, p.width, pull);
    else
        pull = product;
    for (uint line = 0; line < SIDE; line++) {
        const uint query = OWN_IS_KEY ? other[line] : own[line];
        const bvec4 keeps = keeps_of(query, OWN_IS_KEY ? own_first : first);
        const float lse = rows[row_of(query)], delta = rows[p.delta_at + row_of(query)];
        for (uint e = 0; e < SIDE; e++) {
            const uint r = OWN_IS_KEY ? e : line, c = OWN_IS_KEY ? line : e;
            float w = probability_of(product[r][c], query, OWN_IS_KEY ? own[e] : other[e], keeps[e], lse);
            if (HAS_SECOND)
                w = weight_of(w, pull[r][c], delta);
            weight[c][r] = first + c < end ? w : 0.0;
        }
    }
}

void store_scores(uint first, uint end, vec4 weight[SIDE])
{
    const span to = result_span();
    for (uint c = 0; c < SIDE; c++)
        for (uint r = 0; r < SIDE; r++)
            if (own_first + r < own_to && first + c < end)
                result[to.first + own[r] * to.step + first + c] = T(weight[c][r]);
}

void go_along(uint column)
{
    const uint begin = OWN_IS_KEY ? queries_begin(own_first) / SIDE * SIDE : 0u;
    const uint end = others_end(own_first, own_to);
    for (uint first = begin; first < end; first += SIDE) {
        vec4 weight[SIDE];
        set_others(first, end);
        weigh(first, end, weight);
        if (OF(SCORES))
            store_scores(first, end, weight);
        else
            add_weighted(weight, column, COLUMNS_OF_X);
    }
}

void work(uint pair, uint column)
{
    clear();
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
        store_total(column, COLUMNS_OF_X, vec4(FACTOR));
}

#else

/* Products to weights, by key and row, below the largest score so far; where that rises, the sums are rescaled. */
void weigh(uint first, uint end, inout vec4 peak, inout vec4 sum, out vec4 weight[SIDE])
{
    vec4 score[SIDE], ratio;
    multiply(false, p.depth, score);
    for (uint r = 0; r < SIDE; r++) {
        float largest = peak[r], part = 0.0;
        for (uint c = 0; c < SIDE; c++) {
            score[r][c] = first + c < end ? masked(capped(score[r][c]), own[r], other[c]) : KILN_MINUS_INFINITY;
            largest = kiln_max(largest, score[r][c]);
        }
        const bool none = is_left_out(largest);
        const bvec4 keeps = keeps_of(own[r], first);
        for (uint c = 0; c < SIDE; c++) {
            const float w = none ? 0.0 : kiln_exp(score[r][c] - largest);
            part += w;
            weight[c][r] = !IS(DROPPED) ? w : keeps[c] ? w * growth() : 0.0;
        }
        ratio[r] = none ? 1.0 : kiln_exp(peak[r] - largest);
        sum[r] = sum[r] * ratio[r] + part;
        peak[r] = largest;
    }
    if (ratio != vec4(1.0))
        [[unroll]] for (uint r = 0; r < SIDE; r++)
            [[unroll]] for (uint i = 0; i < VECTORS; i++)
                total[r * VECTORS + i] *= ratio[r];
}

void work(uint pair, uint column)
{
    vec4 peak = vec4(KILN_MINUS_INFINITY), sum = vec4(0.0), factor;
    go_to(pair / p.group, pair % p.group);
    clear();
    const uint end = others_end(own_first, own_to);
    for (uint first = 0; first < end; first += SIDE) {
        vec4 weight[SIDE];
        set_others(first, end);
        weigh(first, end, peak, sum, weight);
        add_weighted(weight, column, COLUMNS_OF_X);
    }
    [[unroll]] for (uint r = 0; r < SIDE; r++) {
        factor[r] = sum[r] == 0.0 ? 0.0 : 1.0 / sum[r];
        if (column == 0u && own_first + r < own_to)
            lse[row_of(own[r])] = sum[r] == 0.0 ? KILN_MINUS_INFINITY : peak[r] + kiln_log(sum[r]);
    }
    store_total(column, COLUMNS_OF_X, factor);
}

#endif

void main()
{
    KILN_GROUP(group);
    const uint count = OWN_IS_KEY ? p.keys : p.queries, columns = OF(SCORES) ? 1u : COLUMNS_OF_X;
    const uint blocks = (count + SIDE - 1u) / SIDE, chunks = (columns + CHUNK - 1u) / CHUNK;
    const uint unit = group * LANES + LANE, chunk = unit / blocks % chunks, pair = unit / blocks / chunks;
    if (pair >= (OWN_IS_KEY ? p.count : p.count * p.group))
        return;
    own_first = unit % blocks * SIDE;
    own_to = min(own_first + SIDE, count);
    [[unroll]] for (uint r = 0; r < SIDE; r++)
        own[r] = min(own_first + r, own_to - 1u);
    work(pair, chunk * CHUNK);
}
