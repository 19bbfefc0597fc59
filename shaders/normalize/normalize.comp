#version 450
/*
 * normalize - y[r, t] = (x[r, t] - mean[r]) * inverse[r] * scale[k] + shift[k]; with GRAD dx of dy
 *
 * bindings   0: x    1: scale    2: shift    3: y    4: mean    5: inverse
 *            GRAD: 0: x    1: dy    2: scale    3: mean    4: inverse    5: dx
 * dispatch   a workgroup a row; with COLUMNS a lane a row: short rows, and rows that lie side by side
 * numerics   squares are summed of differences from the mean, and corrected by the differences' sum, which is 0 in exact
 *            arithmetic
 */
#include "kiln.glsl"
#include "normalize.h"

KILN_CONSTANT(0, FLAGS);

#define IS(flag) ((FLAGS & KILN_NORMALIZE_##flag) != 0u)

KILN_IN(0, T, x);
#ifdef GRAD
KILN_IN(1, T, dy);
KILN_IN_ANY(2, scale);
KILN_IN(3, float, mean);
KILN_IN(4, float, inverse);
KILN_OUT(5, T, dx);
#define SCALE_SLOT 2
#else
KILN_IN_ANY(1, scale);
KILN_IN_ANY(2, shift);
KILN_OUT(3, T, y);
KILN_OUT(4, float, mean);
KILN_OUT(5, float, inverse);
#define SCALE_SLOT 1
#endif

#include "rows.glsl"

uint first_channel;                     /* of the row */

uint channel_of(uint t) { return first_channel + KILN_DIVIDE(t, inner); }
float scale_of(uint t)
{
    return IS(SCALED) ? uintBitsToFloat(KILN_LOAD(SCALE_SLOT, scale, channel_of(t))) : 1.0;
}

#ifdef GRAD

void work(uint row, uint start)
{
    const float middle = IS(CENTER) ? mean[p.first + row] : 0.0, rate = inverse[p.first + row];
    float sum = 0.0, product = 0.0;
    for (uint t = FIRST; t < p.cols; t += STEP) {
        const float g = float(dy[start + t * p.step]) * scale_of(t);
        sum += g;
        product += g * ((float(x[start + t * p.step]) - middle) * rate);
    }
    sum = SUM(sum);
    product = SUM(product);
    const float center = IS(CENTER) ? sum / float(p.cols) : 0.0;
    const float pull = IS(LENGTH) && rate * p.epsilon >= KILN_NORMALIZE_CONSTANT ? 0.0 : product * p.share;
    for (uint t = FIRST; t < p.cols; t += STEP) {
        const uint i = start + t * p.step;
        const float h = (float(x[i]) - middle) * rate;
        dx[i] = T(rate * (float(dy[i]) * scale_of(t) - center - h * pull));
    }
}

#else

float shift_of(uint t)
{
    return IS(SHIFTED) ? uintBitsToFloat(KILN_LOAD(2, shift, channel_of(t))) : 0.0;
}

void work(uint row, uint start)
{
    float middle = 0.0;
    if (IS(CENTER)) {
        float sum = 0.0;
        for (uint t = FIRST; t < p.cols; t += STEP)
            sum += float(x[start + t * p.step]);
        middle = SUM(sum) / float(p.cols);
    }

    float squares = 0.0, rest = 0.0;
    for (uint t = FIRST; t < p.cols; t += STEP) {
        const float d = float(x[start + t * p.step]) - middle;
        squares += d * d;
        rest += d;
    }
    squares = SUM(squares);
    if (IS(CENTER)) {
        rest = SUM(rest) / float(p.cols);
        middle += rest;
        squares = max(squares - rest * rest * float(p.cols), 0.0);
    }
    const float rate = IS(LENGTH) ? 1.0 / kiln_max(sqrt(squares * p.share), p.epsilon)
                                  : 1.0 / sqrt(squares * p.share + p.epsilon);

    for (uint t = FIRST; t < p.cols; t += STEP) {
        const uint i = start + t * p.step;
        y[i] = T((float(x[i]) - middle) * rate * scale_of(t) + shift_of(t));
    }
    if (FIRST == 0u) {
        if (IS(CENTER))
            mean[p.first + row] = middle;
        inverse[p.first + row] = rate;
    }
}

#endif

void main()
{
    KILN_ROW(row);
    first_channel = row % p.groups * p.channels;
    work(row, kiln_row_start(row));
}
