#version 450
#ifdef TEAM_A_RESULT
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
/*
 * normalize - y[r, t] = (x[r, t] - mean[r]) * inverse[r] * scale[k] + shift[k]; with GRAD dx of dy
 *
 * bindings   0: x    1: scale    2: shift    3: y    4: mean    5: inverse
 *            GRAD: 0: x    1: dy    2: scale    3: mean    4: inverse    5: dx
 * dispatch   a workgroup a row; with COLUMNS a lane a row: short rows, and rows that lie side by side
 * variants   -DFOURS -DTEAM_A_RESULT: rows of whole fours, whose elements have a scale and a shift each, four at a time: a driver on the CPU loads
 *            them in one instruction
 * numerics   squares are summed of differences from the mean, and corrected by the differences' sum, which is 0 in exact
 *            arithmetic
 */
#include "kiln.glsl"
#include "normalize.h"

KILN_CONSTANT(0, FLAGS);

#define IS(flag) ((FLAGS & KILN_NORMALIZE_##flag) != 0u)

#ifdef FOURS
#define ELEMENT vec4
#define READ(slot, name) KILN_TEXELS(slot, name)
#define READ_ANY(slot, name) KILN_TEXELS(slot, name)
#define WRITE(slot, name) KILN_OUT_FOURS(slot, name)
#define VALUE(name, i) texelFetch(name, int(i))
#define OPERAND(slot, name, t) texelFetch(name, int(t))
#define SAVE(slot, i, value) KILN_SAVE_FOUR(slot, result, i, floatBitsToUint(value))
#else
#define ELEMENT float
#define READ(slot, name) KILN_IN(slot, T, name)
#define READ_ANY(slot, name) KILN_IN_ANY(slot, name)
#define WRITE(slot, name) KILN_OUT(slot, T, name)
#define VALUE(name, i) float(name[i])
#define OPERAND(slot, name, t) uintBitsToFloat(KILN_LOAD(slot, name, channel_of(t)))
#define SAVE(slot, i, value) result[i] = T(value)
#endif

READ(0, x);
#ifdef GRAD
READ(1, dy);
READ_ANY(2, scale);
KILN_IN(3, float, mean);
KILN_IN(4, float, inverse);
WRITE(5, result);
#define SCALE_SLOT 2
#define RESULT_SLOT 5
#else
READ_ANY(1, scale);
READ_ANY(2, shift);
WRITE(3, result);
KILN_OUT(4, float, mean);
KILN_OUT(5, float, inverse);
#define SCALE_SLOT 1
#define RESULT_SLOT 3
#endif

#include "rows.glsl"

uint first_channel;                     /* of the row */

uint channel_of(uint t) { return first_channel + KILN_DIVIDE(t, inner); }

#ifdef FOURS
uint place_of(uint start, uint t) { return start / 4u + t; }
uint count_of_row() { return p.cols / 4u; }
float joined(vec4 a) { return a.x + a.y + (a.z + a.w); }
#else
uint place_of(uint start, uint t) { return start + t * p.step; }
uint count_of_row() { return p.cols; }
float joined(float a) { return a; }
#endif

ELEMENT scale_of(uint t) { return IS(SCALED) ? OPERAND(SCALE_SLOT, scale, t) : ELEMENT(1.0); }

#ifdef GRAD

void work(uint row, uint start)
{
    const float middle = IS(CENTER) ? mean[p.first + row] : 0.0, rate = inverse[p.first + row];
    ELEMENT sums = ELEMENT(0.0), products = ELEMENT(0.0);
    for (uint t = FIRST; t < count_of_row(); t += STEP) {
        const uint i = place_of(start, t);
        const ELEMENT g = VALUE(dy, i) * scale_of(t);
        sums += g;
        products += g * ((VALUE(x, i) - middle) * rate);
    }
    const float sum = SUM(joined(sums)), product = SUM(joined(products));
    const float center = IS(CENTER) ? sum / float(p.cols) : 0.0;
    const float pull = IS(LENGTH) && rate * p.epsilon >= KILN_NORMALIZE_CONSTANT ? 0.0 : product * p.share;
    for (uint t = FIRST; t < count_of_row(); t += STEP) {
        const uint i = place_of(start, t);
        const ELEMENT h = (VALUE(x, i) - middle) * rate;
        SAVE(RESULT_SLOT, i, rate * (VALUE(dy, i) * scale_of(t) - center - h * pull));
    }
}

#else

ELEMENT shift_of(uint t) { return IS(SHIFTED) ? OPERAND(2, shift, t) : ELEMENT(0.0); }

void work(uint row, uint start)
{
    float middle = 0.0;
    if (IS(CENTER)) {
        ELEMENT sums = ELEMENT(0.0);
        for (uint t = FIRST; t < count_of_row(); t += STEP)
            sums += VALUE(x, place_of(start, t));
        middle = SUM(joined(sums)) / float(p.cols);
    }

    ELEMENT parts = ELEMENT(0.0), rests = ELEMENT(0.0);
    for (uint t = FIRST; t < count_of_row(); t += STEP) {
        const ELEMENT d = VALUE(x, place_of(start, t)) - middle;
        parts += d * d;
        rests += d;
    }
    float squares = SUM(joined(parts));
    if (IS(CENTER)) {
        const float rest = SUM(joined(rests)) / float(p.cols);
        middle += rest;
        squares = max(squares - rest * rest * float(p.cols), 0.0);
    }
    const float rate = IS(LENGTH) ? 1.0 / kiln_max(sqrt(squares * p.share), p.epsilon)
                                  : 1.0 / sqrt(squares * p.share + p.epsilon);

    for (uint t = FIRST; t < count_of_row(); t += STEP) {
        const uint i = place_of(start, t);
        SAVE(RESULT_SLOT, i, (VALUE(x, i) - middle) * rate * scale_of(t) + shift_of(t));
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
