#version 450
/*
 * normalize_sums - by_scale[s, k] and by_shift[s, k]: dy times the normalized x, and dy, summed over part s
 *
 * bindings   0: x    1: dy    2: mean    3: inverse    4: by_scale    5: by_shift
 * dispatch   a workgroup a result; with COLUMNS, for channels that lie side by side, a lane a result
 */
#include "kiln.glsl"
#include "lanes.glsl"
#include "sums.h"

KILN_CONSTANT(0, CENTER);

KILN_IN(0, T, x);
KILN_IN(1, T, dy);
KILN_IN(2, float, mean);
KILN_IN(3, float, inverse);
KILN_OUT(4, float, by_scale);
KILN_OUT(5, float, by_shift);

void main()
{
    KILN_RESULT(result, p.parts * p.channels);
    const uint part = result / p.channels, k = result - part * p.channels;
    const uint from = part * p.part_length, to = min(from + p.part_length, p.count);
    float product = 0.0, sum = 0.0;
    for (uint n = from; n < to; n++) {
        const uint row = p.first_row + n * p.groups + k / p.group, start = (n * p.channels + k) * p.inner;
        const float middle = CENTER != 0u ? mean[row] : 0.0, rate = inverse[row];
        for (uint i = FIRST; i < p.inner; i += STEP) {
            const float g = float(dy[start + i]);
            sum += g;
            product += g * ((float(x[start + i]) - middle) * rate);
        }
    }
    product = SUM(product);
    sum = SUM(sum);
    if (FIRST == 0u) {
        by_scale[p.first_part * p.channels + result] = product;
        by_shift[p.first_part * p.channels + result] = sum;
    }
}
