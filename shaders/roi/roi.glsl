/* roi.glsl - what roi and roi_grad share: boxes, and where samples and cells of their bins lie along an axis (roi.h). */
KILN_CONSTANT(0, MODE);
KILN_CONSTANT(1, FLAGS);
const bool HALF_PIXEL = (FLAGS & KILN_ROI_HALF_PIXEL) != 0u;
const bool PLACED = (FLAGS & KILN_ROI_PLACED) != 0u;
const bool ONTO = (FLAGS & KILN_ROI_ONTO) != 0u;
const bool CELLS = MODE == KILN_ROI_CELLS;
const uint CHANNELS = KILN_ROI_CHANNELS;

/* A box along an axis: sample s of all stands at low + (s + 1/2) step, a bin has `grid`. Of CELLS the first cell, as a number,
 * and how many. */
struct kiln_side {
    float low, step;
    uint grid;
};

/* [first, end) */
struct kiln_range {
    uint first, end;
};

bool is_finite(float x) { return (floatBitsToUint(x) & 0x7fffffffu) < KILN_INFINITY_BITS; }

/* Halves away from 0. */
float rounded(float x)
{
    const float y = floor(abs(x) + 0.5);
    return clamp(x < 0.0 ? -y : y, -float(KILN_ROI_FARTHEST), float(KILN_ROI_FARTHEST));
}

/* ceil(size / bins), exactly: a quotient may be rounded over an integer. */
uint grid_of(float size, uint bins)
{
    const float n = float(bins), most = float(KILN_ROI_MOST);
    float k = clamp(ceil(size / n), 0.0, most);
    if (k > 0.0 && (k - 1.0) * n >= size)
        k -= 1.0;
    else if (k * n < size)
        k = min(k + 1.0, most);
    return uint(k);
}

/* False where the box is not finite. */
bool take_side(float from, float to, uint bins, out kiln_side side)
{
    const float half_cell = HALF_PIXEL ? 0.5 : 0.0;
    precise float low = from * p.scale;
    precise float high = to * p.scale;
    if (CELLS) {
        side = kiln_side(rounded(low), 1.0, uint(max(rounded(high) - rounded(low) + 1.0, 1.0)));
        return is_finite(low) && is_finite(high - low);
    }
    low -= half_cell;
    high -= half_cell;
    precise float size = high - low;
    const bool fine = is_finite(low) && is_finite(size);
    if (!HALF_PIXEL)
        size = max(size, 1.0);
    const uint grid = p.samples != 0u ? p.samples : grid_of(size, bins);
    side = kiln_side(low, size / float(bins * max(grid, 1u)), grid);
    return fine;
}

/* The float x, which may be far out, as an index in 0 .. most. */
uint index_within(float x, uint most) { return uint(clamp(x, 0.0, float(most))); }

/* Samples of all that stand between `from` and `to`, and perhaps some beside. */
kiln_range samples_between(kiln_side side, float from, float to, uint count)
{
    if (!(side.step > 0.0))
        return kiln_range(0u, count);
    return kiln_range(index_within(floor((from - side.low) / side.step - 0.5), count),
                      index_within(floor((to - side.low) / side.step + 0.5) + 1.0, count));
}

float place_of(kiln_side side, uint s) { return side.low + (float(s) + 0.5) * side.step; }
