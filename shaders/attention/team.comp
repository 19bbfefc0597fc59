#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require
/*
 * attention, team - attention by workgroups that are one subgroup, a team, whose lanes load for each other (matmul/team.comp) and
 * keep 32 queries, DOWN times ROWS: for drivers that run on the CPU. Of a block of 32 keys each lane has two fours to weigh, of the
 * result's columns QUADS fours. What others weighed it takes from them by shuffles.
 *
 * bindings   see attention.h; q, k and v in fours
 * dispatch   a team for 32 rows and 64 columns of the result
 */
#define TEXELS
#include "attention.glsl"
#include "four.glsl"
#include "math_four.glsl"
#include "team.glsl"

KILN_OUT_FOURS(5, result);

const uint DOWN = 2u, ACROSS = TEAM / DOWN;
const uint ROWS = 16u, QUADS = 4u;      /* of a lane's part of the result */
const uint HALVES = 2u;                 /* of a block of keys: a lane has a four of each */
const uint HALF_BLOCK = 4u * ACROSS, BLOCK = HALVES * HALF_BLOCK;
const uint CHUNK = 4u * ACROSS * QUADS;
const uint Q_HELD = ROWS / ACROSS, K_HELD = 4u * HALVES / DOWN, V_HELD = 4u * QUADS / DOWN;

uint lane_across, lane_down;
uint own_first, own_to;                 /* of the lane's rows: [own_first, own_to), those there are */
vec4 weight[ROWS][HALVES];              /* of a block, first its products */
vec4 total[ROWS][QUADS];
float peak[ROWS], part[ROWS];           /* the row's largest score so far, the sum of what the lane made of it */

uint row_at(uint i) { return min(own_first + i, p.queries - 1u); }

uint lane_at(uint down, uint across) { return down * ACROSS + across; }

vec4 add_products(vec4 sum, vec4 terms, vec4 columns[4])
{
    [[unroll]] for (uint t = 0; t < 4; t++)
        sum = fma(vec4(terms[t]), columns[t], sum);
    return sum;
}

/* Key j of those that a lane has: fours of neighbours. */
uint key_of(uint first, uint across, uint j) { return first + j / 4u * HALF_BLOCK + across * 4u + j % 4u; }

void multiply(uint first, uint end)
{
    uint q_at[Q_HELD], k_at[K_HELD];
    [[unroll]] for (uint g = 0; g < Q_HELD; g++)
        q_at[g] = (q_span.first + row_at(g * ACROSS + lane_across) * q_span.step) / 4u;
    [[unroll]] for (uint g = 0; g < K_HELD; g++)
        k_at[g] = (k_span.first + min(key_of(first, lane_across, g * DOWN + lane_down), end - 1u) * k_span.step) / 4u;
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint h = 0; h < HALVES; h++)
            weight[i][h] = vec4(0.0);

    for (uint t = 0; t < p.depth / 4u; t++) {
        vec4 held_q[Q_HELD], held_k[K_HELD], columns[HALVES][4];
        [[unroll]] for (uint g = 0; g < Q_HELD; g++)
            held_q[g] = texelFetch(q, int(q_at[g] + t));
        [[unroll]] for (uint g = 0; g < K_HELD; g++)
            held_k[g] = texelFetch(k, int(k_at[g] + t));
        [[unroll]] for (uint j = 0; j < 4u * HALVES; j++) {
            const vec4 four = kiln_shuffle(held_k[j / DOWN], lane_at(j % DOWN, lane_across));
            [[unroll]] for (uint e = 0; e < 4; e++)
                columns[j / 4u][e][j % 4u] = four[e];
        }
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            const vec4 terms = kiln_shuffle(held_q[i / ACROSS], lane_at(lane_down, i % ACROSS));
            [[unroll]] for (uint h = 0; h < HALVES; h++)
                weight[i][h] = add_products(weight[i][h], terms, columns[h]);
        }
    }
}

/* Products to weights below the largest score so far; where that rises, the sums are rescaled. */
void weigh(uint first, uint end)
{
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        float largest = KILN_MINUS_INFINITY;
        [[unroll]] for (uint j = 0; j < 4u * HALVES; j++) {
            const uint key = key_of(first, lane_across, j);
            const float score = key < end ? masked(capped(weight[i][j / 4u][j % 4u]), row_at(i), key) : KILN_MINUS_INFINITY;
            weight[i][j / 4u][j % 4u] = score;
            largest = max(largest, score);
        }
        largest = max(peak[i], kiln_four_max(largest));
        const bool none = is_left_out(largest);
        const float ratio = none ? 1.0 : kiln_exp_below_four(vec4(peak[i] - largest)).x;
        part[i] *= ratio;
        [[unroll]] for (uint h = 0; h < HALVES; h++) {
            weight[i][h] = none ? vec4(0.0) : kiln_exp_below_four(weight[i][h] - largest);
            part[i] += weight[i][h].x + weight[i][h].y + (weight[i][h].z + weight[i][h].w);
        }
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            total[i][q] *= ratio;
        peak[i] = largest;
    }
}

/* total += weight v, for the columns from `column` on, by the four keys that lanes `across` have in the first half. */
void add_four(uint across, uint key, uint end, uint column)
{
    vec4 held[V_HELD], columns[QUADS][4];
    [[unroll]] for (uint g = 0; g < V_HELD; g++) {
        const uint f = g * DOWN + lane_down, at = min(key + f / QUADS, end - 1u) * v_span.step;
        held[g] = texelFetch(v, int((v_span.first + at + min(column + f % QUADS * 4u, p.width - 4u)) / 4u));
    }
    [[unroll]] for (uint f = 0; f < 4u * QUADS; f++)
        columns[f % QUADS][f / QUADS] = kiln_shuffle(held[f / DOWN], lane_at(f % DOWN, lane_across));
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        const vec4 terms = kiln_shuffle(weight[i][0], lane_at(lane_down, across));
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            total[i][q] = add_products(total[i][q], terms, columns[q]);
    }
}

void add_weighted(uint first, uint end, uint column)
{
    for (uint h = 0; h < HALVES; h++) {
        for (uint across = 0; across < ACROSS && first + 4u * across < end; across++)
            add_four(across, first + 4u * across, end, column);
        first += HALF_BLOCK;
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            [[unroll]] for (uint next = 1; next < HALVES; next++)
                weight[i][next - 1u] = weight[i][next];
    }
}

void store(uint column, bool first_chunk)
{
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        const float sum = kiln_four_sum(part[i]), factor = sum == 0.0 ? 0.0 : 1.0 / sum;
        const uint row = own_first + i, at = (y_span.first + row * y_span.step + column) / 4u;
        if (row >= own_to)
            continue;
        if (first_chunk && lane_across == 0u)
            lse[row_of(row)] = sum == 0.0 ? KILN_MINUS_INFINITY : peak[i] + kiln_log(sum);
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            if (column + 4u * q < p.width)
                KILN_SAVE_FOUR(5, result, at + q, floatBitsToUint(total[i][q] * factor));
    }
}

void main()
{
    KILN_GROUP(group);
    const uint blocks = (p.queries + DOWN * ROWS - 1u) / (DOWN * ROWS), chunks = (p.width + CHUNK - 1u) / CHUNK;
    const uint chunk = group / blocks % chunks, pair = group / blocks / chunks, top = group % blocks * DOWN * ROWS;
    const uint team_to = min(top + DOWN * ROWS, p.queries);
    lane_across = LANE % ACROSS;
    lane_down = LANE / ACROSS;
    own_first = top + lane_down * ROWS;
    own_to = min(own_first + ROWS, p.queries);
    go_to(pair / p.group, pair % p.group);
    const uint column = chunk * CHUNK + lane_across * 4u * QUADS, end = keys_end(team_to);

    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        peak[i] = KILN_MINUS_INFINITY;
        part[i] = 0.0;
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            total[i][q] = vec4(0.0);
    }
    for (uint first = 0; first < end; first += BLOCK) {
        multiply(first, end);
        weigh(first, end);
        add_weighted(first, end, column);
    }
    store(column, chunk == 0u);
}
