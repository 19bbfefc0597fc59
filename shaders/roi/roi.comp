#version 450
/*
 * roi - what each bin of each box makes of its map (roi.h).
 *
 * bindings   0: x    1: boxes    2: image    3: y out    4: place out    5: weight out
 * dispatch   a bin of CHANNELS channels an invocation
 * numerics   means sum in float, sample by sample; places are rounded as positions are
 */
#include "kiln.glsl"
#include "roi.h"
#include "roi.glsl"

KILN_IN(0, T, x);
KILN_IN(1, float, boxes);
KILN_IN(2, int, image);
KILN_OUT(3, T, y);
KILN_OUT(4, uint, place);
KILN_OUT(5, float, weight);

/* The cells between which a sample stands along an axis, and how much of the second it is. */
struct kiln_tap {
    uint low, high;
    float share;
    bool inside;
};

float total[CHANNELS], peak[CHANNELS], peak_weight[CHANNELS];
uint peak_place[CHANNELS], plane[CHANNELS];
bool found;     /* whether a peak is one */

kiln_tap tap_of(float at, uint cells)
{
    if (!(at >= -1.0 && at <= float(cells)))
        return kiln_tap(0u, 0u, 0.0, false);
    const float inside = max(at, 0.0);
    const uint low = uint(inside);
    return low + 1u >= cells ? kiln_tap(cells - 1u, cells - 1u, 0.0, true)
                             : kiln_tap(low, low + 1u, inside - float(low), true);
}

void meet(uint k, float value, float of, uint at)
{
    if (found && !(value > peak[k]) && !(kiln_is_nan(value) && !kiln_is_nan(peak[k])))
        return;
    peak[k] = value;
    peak_weight[k] = of;
    peak_place[k] = at;
}

/* A cell of a sample, or of the box. */
void take(uint at, float of)
{
    for (uint k = 0u; k < CHANNELS; k++) {
        const float value = of * float(x[plane[k] + at]);
        total[k] += value;
        if (MODE != KILN_ROI_AVERAGE)
            meet(k, value, of, at);
    }
    found = true;
}

/* A sample outside of the map. */
void take_nothing()
{
    for (uint k = 0u; k < CHANNELS; k++)
        meet(k, 0.0, 0.0, KILN_ROI_NOWHERE);
    found = true;
}

void take_sample(kiln_tap i, kiln_tap j)
{
    if (!i.inside || !j.inside) {
        take_nothing();
        return;
    }
    take(i.low * p.w + j.low, (1.0 - i.share) * (1.0 - j.share));
    take(i.low * p.w + j.high, (1.0 - i.share) * j.share);
    take(i.high * p.w + j.low, i.share * (1.0 - j.share));
    take(i.high * p.w + j.high, i.share * j.share);
}

/* A bin's samples, without those that lie far outside. */
kiln_range samples_of(kiln_side side, uint bin, uint bins, uint cells)
{
    const kiln_range near = samples_between(side, -1.0, float(cells), bins * side.grid);
    const uint first = bin * side.grid, end = first + side.grid;
    return kiln_range(clamp(near.first, first, end), clamp(near.end, first, end));
}

void take_samples(kiln_side down, kiln_side across, uint i, uint j)
{
    const kiln_range rows = samples_of(down, i, p.high, p.h), columns = samples_of(across, j, p.wide, p.w);
    if (rows.end - rows.first < down.grid || columns.end - columns.first < across.grid)
        take_nothing();
    for (uint s = rows.first; s < rows.end; s++) {
        const kiln_tap row = tap_of(place_of(down, s), p.h);
        for (uint t = columns.first; t < columns.end; t++)
            take_sample(row, tap_of(place_of(across, t), p.w));
    }
    const float samples = max(float(down.grid) * float(across.grid), 1.0);
    for (uint k = 0u; k < CHANNELS; k++)
        total[k] /= samples;
}

kiln_range cells_of(kiln_side side, uint bin, uint bins, uint cells)
{
    const int first = int(side.low) + int(bin * side.grid / bins);
    const int end = int(side.low) + int(((bin + 1u) * side.grid + bins - 1u) / bins);
    return kiln_range(uint(clamp(first, 0, int(cells))), uint(clamp(end, 0, int(cells))));
}

void take_cells(kiln_side down, kiln_side across, uint i, uint j)
{
    const kiln_range rows = cells_of(down, i, p.high, p.h), columns = cells_of(across, j, p.wide, p.w);
    for (uint row = rows.first; row < rows.end; row++)
        for (uint column = columns.first; column < columns.end; column++)
            take(row * p.w + column, 1.0);
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.rois * p.blocks * p.bins)
        return;
    const uint block = KILN_DIVIDE(e, bins), bin = e - block * p.bins, row = KILN_DIVIDE(block, blocks);
    const uint roi = p.first_roi + row, channel = (block - row * p.blocks) * CHANNELS;
    const uint i = KILN_DIVIDE(bin, wide), j = bin - i * p.wide, box = p.box_first + 4u * roi;

    kiln_side down, across;
    const int map = image[p.image_first + roi];
    const bool fine_across = take_side(boxes[box], boxes[box + 2u], p.wide, across);
    const bool fine = take_side(boxes[box + 1u], boxes[box + 3u], p.high, down) && fine_across && map >= 0 &&
                      uint(map) < p.all_images;
    const uint n = fine ? uint(map) : 0u;
    if (n < p.first_image || (fine && n >= p.first_image + p.images))
        return;

    for (uint k = 0u; k < CHANNELS; k++) {
        const uint c = p.first_channel + min(channel + k, p.channels - 1u);
        plane[k] = p.x_first + (n * p.all_channels + c) * p.h * p.w;
        total[k] = peak[k] = peak_weight[k] = 0.0;
        peak_place[k] = KILN_ROI_NOWHERE;
    }
    found = false;
    if (fine && CELLS)
        take_cells(down, across, i, j);
    else if (fine)
        take_samples(down, across, i, j);
    for (uint k = 0u; k < CHANNELS && channel + k < p.channels; k++) {
        const uint to = p.y_first + (roi * p.all_channels + p.first_channel + channel + k) * p.bins + bin;
        y[to] = T(MODE == KILN_ROI_AVERAGE ? total[k] : peak[k]);
        if (PLACED) {
            place[to] = peak_place[k];
            if (!CELLS)
                weight[to] = peak_weight[k];
        }
    }
}
