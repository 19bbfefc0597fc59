/*
 * lines.glsl - what four windows side by side meet of a line of x: LINE elements, read four at a time through a texel buffer from
 * wherever they begin. For drivers that run on the CPU, which load four elements of a lane as fast as one.
 *
 * Define TAPS and STRIDE, elements of a window and from one to the next, and declare KILN_TEXELS(0, x), of fours, before including it.
 * Tuning 0, SHIFT: how far behind a multiple of four all lines begin; 4 where they differ.
 */
#define LINE (3 * STRIDE + TAPS)
#define LINE_FOURS ((LINE + 6) / 4)

KILN_TUNING(0, SHIFT, 4);

float line[LINE];

/* The elements from `at` on; of those before the first and behind the four `last` something. */
void kiln_read_line(int at, int last)
{
    const uint shift = SHIFT < 4u ? SHIFT : uint(at) & 3u;
    float e[4 * LINE_FOURS];
    [[unroll]] for (int k = 0; k < LINE_FOURS; k++) {
        const vec4 four = texelFetch(x, clamp((at >> 2) + k, 0, last));
        [[unroll]] for (int j = 0; j < 4; j++)
            e[4 * k + j] = four[j];
    }
    [[unroll]] for (int j = 0; j <= LINE; j++)
        e[j] = (shift & 2u) != 0u ? e[j + 2] : e[j];
    [[unroll]] for (int j = 0; j < LINE; j++)
        line[j] = (shift & 1u) != 0u ? e[j + 1] : e[j];
}

/* Of the windows, the element that each meets at place v. */
vec4 kiln_line_at(int v) { return vec4(line[v], line[v + STRIDE], line[v + 2 * STRIDE], line[v + 3 * STRIDE]); }
