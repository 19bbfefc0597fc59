#version 450
/*
 * roi_grad - what flows back to each element of the maps (roi.h), gathered over the boxes in their order.
 *
 * A group does a tile of 8 x 8 elements of CHANNELS channels. Its lanes look at 64 boxes at a time, one each, and note in two words
 * which of them come near the tile; then all go through these together.
 *
 * bindings   0: dx in and out    1: boxes    2: image    3: dy    4: place    5: weight
 * dispatch   a tile of a map and CHANNELS channels a workgroup; 64 lanes
 */
#include "kiln.glsl"
#include "roi.h"
#include "roi.glsl"

KILN_INOUT(0, T, dx);
KILN_IN(1, float, boxes);
KILN_IN(2, int, image);
KILN_IN(3, T, dy);
KILN_IN(4, uint, place);
KILN_IN(5, float, weight);

const uint TILE = 8u, BOXES = 64u;

shared kiln_side down_of[BOXES], across_of[BOXES];
shared uint near[BOXES / 32u];  /* a bit a box */

float total[CHANNELS];

/* How much of a sample's value the cell is. */
float held(float at, uint cell, uint cells)
{
    if (!(at >= -1.0 && at <= float(cells)))
        return 0.0;
    const float inside = max(at, 0.0);
    const uint low = min(uint(inside), cells - 1u);
    const float share = low + 1u == cells ? 0.0 : inside - float(low);
    return cell == low ? 1.0 - share : cell == low + 1u ? share : 0.0;
}

/* The bins that may hold a cell. */
kiln_range bins_over(kiln_side side, uint cell, uint bins)
{
    if (CELLS) {
        const int from = int(cell) - int(side.low);
        if (from < 0 || from >= int(side.grid))
            return kiln_range(0u, 0u);
        return kiln_range(uint(from) * bins / side.grid, ((uint(from) + 1u) * bins + side.grid - 1u) / side.grid);
    }
    const uint grid = max(side.grid, 1u);
    const kiln_range s = samples_between(side, float(cell) - 1.0, float(cell) + 1.0, bins * side.grid);
    return kiln_range(s.first / grid, (s.end + grid - 1u) / grid);
}

/* How much of a cell the samples of a bin hold along an axis. */
float held_by(kiln_side side, uint bin, uint bins, uint cell, uint cells)
{
    const kiln_range s = samples_between(side, float(cell) - 1.0, float(cell) + 1.0, bins * side.grid);
    float sum = 0.0;
    for (uint i = max(s.first, bin * side.grid); i < min(s.end, (bin + 1u) * side.grid); i++)
        sum += held(place_of(side, i), cell, cells);
    return sum;
}

/* Whether a box may hand anything to cells [first, first + TILE). */
bool comes_near(kiln_side side, uint bins, uint first)
{
    const float other = side.low + side.step * (CELLS ? float(side.grid) : float(bins * side.grid));
    return min(side.low, other) < float(first + TILE) + 1.0 && max(side.low, other) > float(first) - 2.0;
}

/* Note box `roi` for the tile at (row, column) of map n. */
void look_at(uint roi, uint n, uint row, uint column)
{
    kiln_side down, across;
    const uint box = p.box_first + 4u * roi;
    if (image[p.image_first + roi] != int(n))
        return;
    const bool fine = take_side(boxes[box + 1u], boxes[box + 3u], p.high, down);
    if (!take_side(boxes[box], boxes[box + 2u], p.wide, across) || !fine)
        return;
    if (!comes_near(down, p.high, row) || !comes_near(across, p.wide, column))
        return;
    down_of[LANE] = down;
    across_of[LANE] = across;
    atomicOr(near[LANE / 32u], 1u << (LANE % 32u));
}

/* What the bins from dy's element `bins` on, of channel k the k'th, hand to cell (i, j). */
void gather(kiln_side down, kiln_side across, uint i, uint j, uint bins, uint channels)
{
    const kiln_range rows = bins_over(down, i, p.high), columns = bins_over(across, j, p.wide);
    const float samples = max(float(down.grid) * float(across.grid), 1.0);
    for (uint u = rows.first; u < rows.end; u++) {
        const float part = MODE == KILN_ROI_AVERAGE ? held_by(down, u, p.high, i, p.h) / samples : 1.0;
        for (uint v = columns.first; v < columns.end && part != 0.0; v++) {
            const float share = MODE == KILN_ROI_AVERAGE ? part * held_by(across, v, p.wide, j, p.w) : 1.0;
            if (share == 0.0)
                continue;
            for (uint k = 0u; k < CHANNELS; k++) {
                const uint from = bins + min(k, channels - 1u) * p.bins + u * p.wide + v;
                const float pull = float(dy[from]);
                if (MODE == KILN_ROI_AVERAGE)
                    total[k] += share * pull;
                else if (place[from] == i * p.w + j)
                    total[k] += CELLS ? pull : pull * weight[from];
            }
        }
    }
}

void main()
{
    KILN_GROUP(group);
    const uint tiles_across = (p.w + TILE - 1u) / TILE, tiles_down = (p.rows + TILE - 1u) / TILE;
    const uint strip = group / tiles_across, block = strip / tiles_down, map = KILN_DIVIDE(block, blocks);
    const uint n = p.first_image + map, channel = (block - map * p.blocks) * CHANNELS, channels = p.channels - channel;
    const uint row = p.first_row + (strip - block * tiles_down) * TILE, column = (group - strip * tiles_across) * TILE;
    const uint i = row + LANE / TILE, j = column + LANE % TILE, first_channel = p.first_channel + channel;
    const bool inside = i < p.first_row + p.rows && j < p.w;
    const uint to = p.x_first + ((n * p.all_channels + first_channel) * p.h + i) * p.w + j;

    for (uint k = 0u; k < CHANNELS; k++)
        total[k] = ONTO && inside && k < channels ? float(dx[to + k * p.h * p.w]) : 0.0;
    for (uint from = 0u; from < p.rois; from += BOXES) {
        barrier();
        if (LANE < BOXES / 32u)
            near[LANE] = 0u;
        barrier();
        if (from + LANE < p.rois)
            look_at(p.first_roi + from + LANE, n, row, column);
        barrier();
        for (uint word = 0u; word < BOXES / 32u; word++)
            for (uint left = near[word]; left != 0u && inside; left &= left - 1u) {
                const uint at = word * 32u + uint(findLSB(left));
                const uint bins = ((p.first_roi + from + at) * p.all_channels + first_channel) * p.bins;
                gather(down_of[at], across_of[at], i, j, p.y_first + bins, channels);
            }
    }
    for (uint k = 0u; k < CHANNELS && k < channels && inside; k++)
        dx[to + k * p.h * p.w] = T(total[k]);
}
