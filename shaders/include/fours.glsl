/*
 * fours.glsl - a product of matrices whose operands come four elements at a time: each invocation keeps ROWS rows of QUADS fours of
 * results, and adds the products of four terms at once. For drivers that run on the CPU.
 *
 * There a load is a call, around which nothing stays in registers. So a row's terms meet all columns before the next row is loaded, and
 * a result's four products follow each other: it is fetched and put back once for all of them.
 */
#ifndef QUADS
#define QUADS 2
#endif
#ifndef ROWS
#define ROWS 8
#endif

vec4 sum[ROWS][QUADS];

void kiln_clear()
{
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            sum[i][q] = vec4(0);
}

/* Add to row i the products of its four terms with the columns at each of them. */
void kiln_accumulate(uint i, vec4 terms, vec4 columns[4][QUADS])
{
    [[unroll]] for (uint q = 0; q < QUADS; q++) {
        vec4 four = sum[i][q];
        [[unroll]] for (uint t = 0; t < 4; t++)
            four = fma(vec4(terms[t]), columns[t][q], four);
        sum[i][q] = four;
    }
}

/* The four elements `shift` behind the first of `a`; `b` lies behind it. */
vec4 kiln_behind(vec4 a, vec4 b, uint shift)
{
    return shift == 0u ? a : shift == 1u ? vec4(a.yzw, b.x) : shift == 2u ? vec4(a.zw, b.xy) : vec4(a.w, b.xyz);
}
