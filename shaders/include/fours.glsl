/*
 * fours.glsl - a product of matrices whose operands come four elements at a time: each invocation keeps 8 x 8 results in registers,
 * and adds the products of four terms at once. For drivers that run on the CPU.
 */

/* Eight rows (columns) at four terms: rows 0 to 3 and 4 to 7 of each term. */
struct kiln_slab {
    vec4 low[4], high[4];
};

/* From eight rows with their four terms side by side. */
void kiln_turn(vec4 rows[8], out kiln_slab slab)
{
    [[unroll]] for (uint t = 0; t < 4; t++) {
        slab.low[t] = vec4(rows[0][t], rows[1][t], rows[2][t], rows[3][t]);
        slab.high[t] = vec4(rows[4][t], rows[5][t], rows[6][t], rows[7][t]);
    }
}

/* Row i of the tile: columns 0 to 3 and 4 to 7. */
vec4 sum_low[8], sum_high[8];

void kiln_clear()
{
    [[unroll]] for (uint i = 0; i < 8; i++) {
        sum_low[i] = vec4(0);
        sum_high[i] = vec4(0);
    }
}

void kiln_accumulate(kiln_slab rows, kiln_slab columns)
{
    [[unroll]] for (uint t = 0; t < 4; t++)
        [[unroll]] for (uint i = 0; i < 8; i++) {
            const vec4 row = vec4(i < 4u ? rows.low[t][i & 3u] : rows.high[t][i & 3u]);
            sum_low[i] = fma(row, columns.low[t], sum_low[i]);
            sum_high[i] = fma(row, columns.high[t], sum_high[i]);
        }
}

/* Call store(row, quad, four) for all results; as KILN_STORE_ALL, in a loop that is compiled once. */
#define KILN_STORE_FOURS                                                                                             \
    {                                                                                                                \
        vec4 kiln_result[16];                                                                                        \
        [[unroll]] for (uint i = 0; i < 8; i++) {                                                                    \
            kiln_result[2u * i] = sum_low[i];                                                                        \
            kiln_result[2u * i + 1u] = sum_high[i];                                                                  \
        }                                                                                                            \
        [[dont_unroll]] for (uint at = 0; at < 16; at++)                                                             \
            store(at / 2u, at % 2u, kiln_result[at]);                                                                \
    }
