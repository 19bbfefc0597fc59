#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require
/*
 * matmul, team - as fours.comp, by workgroups that are one subgroup, a team, whose lanes load for each other: of the fours that all of
 * them need each loads a share, and hands elements on by shuffles. On llvmpipe such a load is a call of 45 instructions, a shuffle is one.
 *
 * A team's tiles stand ACROSS side by side and DOWN one below another: those in a row share fours of a, those in a column fours of b. Of
 * S tiles that share nothing, four f of the s-th is the one that lane (f S + s) % TEAM loads as its (f S + s) / TEAM-th.
 *
 * bindings   as fours.comp's
 * dispatch   a workgroup a team's tiles, from top to bottom before the next ones to the right
 * tuning     0 to 3: fours_tile.glsl    4: ACROSS
 * variants   -DQUADS=4 -DROWS=16: tall tiles
 */
#include "kiln.glsl"
#include "matmul.h"
#include "fours_tile.glsl"
#include "team.glsl"

KILN_TUNING(4, ACROSS, 8);

const uint DOWN = TEAM / ACROSS;
const uint A_HELD = ROWS / ACROSS, B_HELD = 4u * QUADS / DOWN;

KILN_OUT(2, uint64_t, c_pairs);

uint lane_across, lane_down;            /* of this lane's tile in the team's */
uint a_at[ROWS], b_at[4 * QUADS];       /* what this lane loads for the team: the first A_HELD and B_HELD; beyond the edge the last ones again */
vec4 held_a[ROWS], held_b[4 * QUADS], held_next;
uvec2 held_rows[A_HELD];                /* operands of the epilogue that are walked by rows */

/* Four f of this lane's tile. */
vec4 of_a(uint f)
{
    return ACROSS == 1u ? held_a[f] : kiln_shuffle(held_a[f / ACROSS], f % ACROSS * DOWN + (DOWN == 1u ? 0u : lane_down));
}

vec4 of_b(uint f) { return DOWN == 1u ? held_b[f] : kiln_shuffle(held_b[f / DOWN], f % DOWN * ACROSS + lane_across); }

/* The four of b behind the last one of term t of this lane's tile: the first of the tile to the right, or one that was loaded for it. */
vec4 behind_b(uint t)
{
    const uint f = t * QUADS;
    const vec4 neighbour = kiln_shuffle(held_b[f / DOWN], f % DOWN * ACROSS + (lane_across + 1u) % ACROSS), last = kiln_shuffle(held_next, t);
    return lane_across + 1u == ACROSS ? last : neighbour;
}

/* Four f of a tile of a, whose rows begin at `first`: row f's, or for rows in fours f / 4's at its term f % 4. */
uint place_of_a(uint first, uint f)
{
    return A_ALONG_ROWS != 0u ? min(first + f / 4u * 4u, p.m - 4u) + f % 4u * p.a_k : min(first + f, p.m - 1u) * p.a_m;
}

/* Four f of a tile of b, whose columns begin at `first`: column f's, or for columns in fours f % QUADS' at term f / QUADS. */
uint place_of_b(uint first, uint f)
{
    return B_ALONG_TERMS != 0u ? min(first + f, p.n - 1u) * p.b_n : first + f % QUADS * 4u + f / QUADS * p.b_k;
}

void find_places(uint left, uint top)
{
    [[unroll]] for (uint g = 0; g < A_HELD; g++)
        a_at[g] = a_first + place_of_a(top + LANE % DOWN * ROWS, g * ACROSS + LANE / DOWN);
    [[unroll]] for (uint g = 0; g < B_HELD; g++)
        b_at[g] = b_first + place_of_b(left + LANE % ACROSS * COLUMNS, g * DOWN + LANE / ACROSS);
}

void load(uint k, uint left)
{
    [[unroll]] for (uint g = 0; g < A_HELD; g++)
        held_a[g] = a_four(a_at[g] + (A_ALONG_ROWS != 0u ? k * p.a_k : k));
    [[unroll]] for (uint g = 0; g < B_HELD; g++)
        held_b[g] = B_ALONG_TERMS != 0u ? texelFetch(b, int((b_at[g] + k) / 4u)) : b_four((b_at[g] + k * p.b_k) / 4u);
    if (SHIFT != 0u)
        held_next = b_four((b_first + (k + LANE % 4u) * p.b_k + left + ACROSS * COLUMNS) / 4u);
}

void read_row_operands()
{
    [[unroll]] for (uint g = 0; g < A_HELD; g++)
        held_rows[g] = kiln_epilogue_common(KILN_WALK_ROW, min(row + g * ACROSS + lane_across, p.m - 1u));
}

uvec2 row_operands(uint i)
{
    const uint lane = lane_down * ACROSS + i % ACROSS;
    return uvec2(subgroupShuffle(held_rows[i / ACROSS].x, lane), subgroupShuffle(held_rows[i / ACROSS].y, lane));
}

/* Columns of four terms: of fours of terms, .. */
void turn_terms(out vec4 columns[4][QUADS])
{
    [[unroll]] for (uint j = 0; j < COLUMNS; j++) {
        const vec4 four = of_b(j);
        [[unroll]] for (uint t = 0; t < 4; t++)
            columns[t][j / 4u][j % 4u] = four[t];
    }
}

/* .. and of fours of columns, which begin before them where rows have no whole fours. */
void shift_columns(out vec4 columns[4][QUADS])
{
    [[unroll]] for (uint t = 0; t < 4; t++) {
        const uint shift = (t * SHIFT) & 3u;
        vec4 next = of_b(t * QUADS);
        [[unroll]] for (uint q = 0; q < QUADS; q++) {
            const vec4 here = next;
            if (q + 1u < QUADS)
                next = of_b(t * QUADS + q + 1u);
            else if (shift != 0u)
                next = behind_b(t);
            columns[t][q] = kiln_behind(here, next, shift);
        }
    }
}

void multiply()
{
    vec4 columns[4][QUADS];
    if (B_ALONG_TERMS != 0u)
        turn_terms(columns);
    else
        shift_columns(columns);
    if (A_ALONG_ROWS == 0u) {
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            kiln_accumulate(i, of_a(i), columns);
        return;
    }
    [[unroll]] for (uint h = 0; h < ROWS; h += 4) {
        const vec4 rows[4] = {of_a(h), of_a(h + 1u), of_a(h + 2u), of_a(h + 3u)};
        [[unroll]] for (uint i = 0; i < 4; i++)
            kiln_accumulate(h + i, vec4(rows[0][i], rows[1][i], rows[2][i], rows[3][i]), columns);
    }
}

/* The four that lies `shift` before `here`, behind which `before` lies. */
uvec4 slide(uvec4 before, uvec4 here, uint shift)
{
    const uvec4 one = (shift & 1u) != 0u ? uvec4(before.w, here.xyz) : here;
    const uvec2 last = (shift & 1u) != 0u ? before.yz : before.zw;
    return (shift & 2u) != 0u ? uvec4(last, one.xy) : one;
}

void store_pair(uint at, uvec2 bits)
{
#ifdef HALF
    if (KILN_IS_HALF(2)) {
        c_half[at] = float16_t(uintBitsToFloat(bits.x));
        c_half[at + 1u] = float16_t(uintBitsToFloat(bits.y));
        return;
    }
#endif
    c_pairs[at / 2u] = packUint2x32(bits);
}

/* Elements [from, to) of the four at `at`: its beginning, its end, or none. */
void store_edge(uint at, uvec4 four, uint from, uint to)
{
    const uint pair = from == 0u ? 0u : 2u;
    if (from <= pair && pair + 2u <= to)
        store_pair(at + pair, pair == 0u ? four.xy : four.zw);
    if (from < to && ((to - from) & 1u) != 0u) {
        const uint one = from == 0u ? to - 1u : from;
        KILN_SAVE(2, c, at + one, one == 0u ? four.x : one == 1u ? four.y : one == 2u ? four.z : four.w);
    }
}

/*
 * In fours that begin at multiples of four: a tile's first one begins with what the tile to the left has last. Each lane has at most one
 * that is not whole, at the team's edge or the row's (matmul_kernel.c sees to it): what it has of that is its end or its beginning, which
 * goes as a pair, as one that a pair leaves, or as both.
 */
void store_loose(uint at, uvec4 bits[QUADS])
{
    const uint shift = at & 3u, place = at - shift;
    const int first = int(column) - int(shift), begin = lane_across == 0u ? int(column) : first;
    const int end = min(int(p.n), (lane_across + 1u == ACROSS ? int(column) : first) + int(COLUMNS));
    uvec4 before, edge;
    uint edge_place = place;
    int edge_first = end;
    [[unroll]] for (uint i = 0; i < 4; i++)
        before[i] = subgroupShuffle(bits[QUADS - 1][i], (LANE + TEAM - 1u) % TEAM);
    [[unroll]] for (uint q = 0; q <= QUADS; q++) {
        const uvec4 here = bits[min(q, QUADS - 1u)], four = slide(before, here, shift);
        const int from = first + int(4u * q), behind = from + 4;
        before = here;
        if (q < QUADS && from >= begin && behind <= end) {
            KILN_SAVE_FOUR(2, c, place / 4u + q, four);
        } else if (from < end && behind > begin) {
            edge = four;
            edge_place = place + 4u * q;
            edge_first = from;
        }
    }
    store_edge(edge_place, edge, uint(clamp(begin - edge_first, 0, 4)), uint(clamp(end - edge_first, 0, 4)));
}

void main()
{
    KILN_GROUP(group);
    const uint across = (p.n + ACROSS * COLUMNS - 1u) / (ACROSS * COLUMNS), down = (p.m + DOWN * ROWS - 1u) / (DOWN * ROWS);
    batch = group / (across * down);
    const uint team = group % (across * down), left = team / down * (ACROSS * COLUMNS), top = team % down * (DOWN * ROWS);
    find_matrices();
    find_places(left, top);
    lane_across = LANE % ACROSS;
    lane_down = LANE / ACROSS;
    column = left + lane_across * COLUMNS;
    row = top + lane_down * ROWS;

    kiln_clear();
    for (uint k = 0; k < p.k; k += 4u) {
        load(k, left);
        multiply();
    }
    read_row_operands();
    store_tile();
}
