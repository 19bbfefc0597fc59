#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * matmul, few rows - as tiled.comp, where both operands lie along terms and all rows fit one invocation: what is read of b, which is nearly
 * all that is read, is used at once, and no invocation waits for another's loads. A workgroup takes four columns; its invocations
 * share their terms, four by four, and add up in shared memory.
 *
 * bindings   0: a in    1: b in    2: c out    3, 4: operands of the epilogue
 * dispatch   a workgroup four columns of a batch
 */
#include "kiln.glsl"
#include "matmul.h"
#include "epilogue.glsl"

KILN_TUNING(0, ROWS, 1);

#ifdef HALF
KILN_IN(0, f16vec4, a);
KILN_IN(1, f16vec4, b);
#else
KILN_IN(0, vec4, a);
KILN_IN(1, vec4, b);
#endif
KILN_OUT_ANY(2, c);

#define COLUMNS 4u
#define RESULTS (ROWS * COLUMNS)
#define SHARES 8u       /* of a result's parts; that many invocations add up first */
shared float parts[RESULTS * LANES];
shared float sums[RESULTS * SHARES];

float sum_of_share(uint result, uint share)
{
    float sum = 0.0;
    for (uint i = share; i < LANES; i += SHARES)
        sum += parts[result * LANES + i];
    return sum;
}

void main()
{
    KILN_GROUP(group);
    const uint across = (p.n + COLUMNS - 1u) / COLUMNS, batch = group / across, first_column = group % across * COLUMNS;
    const uint a_first = p.a_first + KILN_MATRIX_AT(p, a, batch);
    const uint b_first = p.b_first + KILN_MATRIX_AT(p, b, batch);

    float sum[RESULTS];
    [[unroll]] for (uint i = 0; i < RESULTS; i++)
        sum[i] = 0.0;
    for (uint term = LANE * 4u; term < p.k; term += LANES * 4u) {
        vec4 of_a[ROWS];
        [[unroll]] for (uint row = 0; row < ROWS; row++)
            of_a[row] = vec4(a[(a_first + min(row, p.m - 1u) * p.a_m + term) / 4u]);
        [[unroll]] for (uint column = 0; column < COLUMNS; column++) {
            const vec4 of_b = vec4(b[(b_first + min(first_column + column, p.n - 1u) * p.b_n + term) / 4u]);
            [[unroll]] for (uint row = 0; row < ROWS; row++)
                sum[row * COLUMNS + column] += dot(of_a[row], of_b);
        }
    }
    [[unroll]] for (uint i = 0; i < RESULTS; i++)
        parts[i * LANES + LANE] = sum[i];
    barrier();
    if (LANE < RESULTS * SHARES)
        sums[LANE] = sum_of_share(LANE / SHARES, LANE % SHARES);
    barrier();
    const uint row = LANE / COLUMNS, column = first_column + LANE % COLUMNS;
    if (LANE >= RESULTS || row >= p.m || column >= p.n)
        return;
    float total = 0.0;
    for (uint i = 0; i < SHARES; i++)
        total += sums[LANE * SHARES + i];
    const uint at = p.c_first + batch * p.c_batch + row * p.c_m + column;
    KILN_SAVE(2, c, at, kiln_epilogue(total, at, row, column));
}
