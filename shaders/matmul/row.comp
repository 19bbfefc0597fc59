#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * matmul, one row - as vector.comp, for drivers on the CPU: an invocation takes four columns by itself, and shares nothing.
 *
 * bindings   0: a in    1: b in    2: c out    3, 4: operands of the epilogue
 * dispatch   an invocation four columns of a batch
 */
#include "kiln.glsl"
#include "matmul.h"
#include "epilogue.glsl"

#ifdef HALF
KILN_IN(0, f16vec4, a);
KILN_IN(1, f16vec4, b);
#else
KILN_IN(0, vec4, a);
KILN_IN(1, vec4, b);
#endif
KILN_OUT_ANY(2, c);

#define COLUMNS 4u

void main()
{
    KILN_GROUP(group);
    const uint across = (p.n + COLUMNS - 1u) / COLUMNS, item = group * LANES + LANE;
    const uint batch = item / across, first = item % across * COLUMNS;
    if (batch >= p.batch)
        return;

    const uint a_at = (p.a_first + KILN_MATRIX_AT(p, a, batch)) / 4u, b_first = p.b_first + KILN_MATRIX_AT(p, b, batch);
    uint b_at[COLUMNS];                 /* beyond the edge the last column again */
    vec4 sum[COLUMNS];
    [[unroll]] for (uint i = 0; i < COLUMNS; i++) {
        b_at[i] = (b_first + min(first + i, p.n - 1u) * p.b_n) / 4u;
        sum[i] = vec4(0.0);
    }
    for (uint four = 0; four < p.k / 4u; four++) {
        const vec4 of_a = vec4(a[a_at + four]);
        [[unroll]] for (uint i = 0; i < COLUMNS; i++)
            sum[i] += of_a * vec4(b[b_at[i] + four]);
    }
    [[unroll]] for (uint i = 0; i < COLUMNS; i++) {
        const uint at = p.c_first + batch * p.c_batch + first + i;
        if (first + i < p.n)
            KILN_SAVE(2, c, at, kiln_epilogue((sum[i].x + sum[i].y) + (sum[i].z + sum[i].w), at, 0u, first + i));
    }
}
