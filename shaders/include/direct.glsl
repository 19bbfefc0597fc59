/*
 * direct.glsl - a product of matrices without shared memory: each invocation keeps 8 x 8 results in registers. For drivers
 * that run on the CPU.
 *
 * Operands are slots 0 and 1, read by KILN_A(i) and KILN_B(i): through texel buffers with -DTEXELS, else from storage
 * buffers.
 */
#ifdef TEXELS
KILN_TEXELS(0, a);
KILN_TEXELS(1, b);
#define KILN_A(i) texelFetch(a, int(i)).r
#define KILN_B(i) texelFetch(b, int(i)).r
#else
KILN_IN(0, T, a);
KILN_IN(1, T, b);
#define KILN_A(i) float(a[i])
#define KILN_B(i) float(b[i])
#endif

#define SIDE 8u     /* results of an invocation along each axis */

/* Row i of the tile: columns 0 to 3 and 4 to 7. */
vec4 sum_low[SIDE], sum_high[SIDE];

void kiln_clear()
{
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        sum_low[i] = vec4(0);
        sum_high[i] = vec4(0);
    }
}

void kiln_accumulate(float row[SIDE], float column[SIDE])
{
    const vec4 low = vec4(column[0], column[1], column[2], column[3]);
    const vec4 high = vec4(column[4], column[5], column[6], column[7]);
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        sum_low[i] += row[i] * low;
        sum_high[i] += row[i] * high;
    }
}

#define KILN_SUM(i, j) ((j) < 4u ? sum_low[i][(j) & 3u] : sum_high[i][(j) & 3u])
