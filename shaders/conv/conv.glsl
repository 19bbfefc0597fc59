/*
 * conv.glsl - what the shaders of conv share: how results, what is read for them and the filter's places lie to one another
 * along each axis, in both directions.
 *
 *   forward      result q meets place k of the filter at q * stride - pad + k * dilation
 *   transposed   pixels fall apart into `stride` phases. Those of one phase meet the same places, every step-th one:
 *                pixel first + q * stride meets place tap + k * step at q + base - k * step * dilation / stride
 *
 * so that a workgroup whose results are of one phase multiplies no zeros.
 */
KILN_CONSTANT(KILN_CONV_MODE, MODE);
const bool TRANSPOSED = (MODE & KILN_CONV_TRANSPOSED) != 0u;
const bool VOLUME = (MODE & KILN_CONV_VOLUME) != 0u;

struct kiln_axis {
    uint out_first, out_step;           /* result q is element out_first + q * out_step */
    uint tap_first, tap_step, taps;     /* place k is tap_first + k * tap_step of the filter */
    int in_first, in_stride, in_step;   /* they meet at in_first + q * in_stride + k * in_step */
};

kiln_axis kiln_forward_axis(uint taps, uint stride, int pad, uint dilation)
{
    return kiln_axis(0u, 1u, 0u, 1u, taps, -pad, int(stride), int(dilation));
}

kiln_axis kiln_transposed_axis(uint phase, uint taps, uint step, uint stride, int pad, uint dilation)
{
    const uint behind = pad < 0 ? stride - 1u - (uint(-pad) - 1u) % stride : uint(pad) % stride;
    const uint first = (phase + stride - behind) % stride, end = min(step, taps);
    uint tap = 0u;
    while (tap < end && tap * dilation % stride != phase)
        tap++;
    const uint count = tap < end ? (taps - tap + step - 1u) / step : 0u;
    const int base = (int(first) + pad - int(tap * dilation)) / int(stride);
    return kiln_axis(first, stride, tap, step, count, base, 1, -int(step * dilation / stride));
}

/* The sides that are read and written; a result's row is a filter (transposed: a channel) of a group, its sources the
 * channels (filters). */
uint kiln_sources() { return TRANSPOSED ? p.filters : p.channels; }
uint kiln_rows() { return TRANSPOSED ? p.channels : p.filters; }
uvec3 kiln_in_size() { return TRANSPOSED ? uvec3(p.od, p.oh, p.ow) : uvec3(p.d, p.h, p.w); }
uvec3 kiln_out_size() { return TRANSPOSED ? uvec3(p.d, p.h, p.w) : uvec3(p.od, p.oh, p.ow); }
uint kiln_in_image() { return TRANSPOSED ? p.y_image : p.x_image; }
uint kiln_out_image() { return TRANSPOSED ? p.x_image : p.y_image; }
uint kiln_in_first() { return TRANSPOSED ? p.y_first : p.x_first; }
uint kiln_out_first() { return TRANSPOSED ? p.x_first : p.y_first; }
uint kiln_volume(uvec3 size) { return VOLUME ? size.x * size.y * size.z : size.y * size.z; }

/* Results of a phase along each axis; beyond the last one there may be one more, which is not stored. */
uvec3 kiln_counts()
{
    const uvec3 stride = uvec3(p.stride_a, p.stride_i, p.stride_j);
    return TRANSPOSED ? (kiln_out_size() + stride - 1u) / stride : kiln_out_size();
}

uint kiln_phases() { return TRANSPOSED ? (VOLUME ? p.stride_a : 1u) * p.stride_i * p.stride_j : 1u; }

kiln_axis axis_a, axis_i, axis_j;

void kiln_set_axes(uint phase)
{
    if (!TRANSPOSED) {
        axis_a = kiln_forward_axis(p.t, p.stride_a, p.pad_a, p.dilation_a);
        axis_i = kiln_forward_axis(p.u, p.stride_i, p.pad_i, p.dilation_i);
        axis_j = kiln_forward_axis(p.v, p.stride_j, p.pad_j, p.dilation_j);
        return;
    }
    const uint rest = phase / p.stride_j;
    axis_a = kiln_transposed_axis(VOLUME ? rest / p.stride_i : 0u, p.t, p.step_a, p.stride_a, p.pad_a, p.dilation_a);
    axis_i = kiln_transposed_axis(rest % p.stride_i, p.u, p.step_i, p.stride_i, p.pad_i, p.dilation_i);
    axis_j = kiln_transposed_axis(phase % p.stride_j, p.v, p.step_j, p.stride_j, p.pad_j, p.dilation_j);
}

/* Element `index` of a block of that size, an axis each. */
uvec3 kiln_unravel(uint index, uvec3 size)
{
    const uint row = index / size.z;
    return uvec3(VOLUME ? row / size.y : 0u, VOLUME ? row % size.y : row, index - row * size.z);
}

uint kiln_ravel(uvec3 at, uvec3 size) { return ((VOLUME ? at.x * size.y : 0u) + at.y) * size.z + at.z; }

/* Where result q meets place 0, and how much further place k lies. */
ivec3 kiln_origin(uvec3 q)
{
    return ivec3(axis_a.in_first, axis_i.in_first, axis_j.in_first) +
           ivec3(q) * ivec3(axis_a.in_stride, axis_i.in_stride, axis_j.in_stride);
}

ivec3 kiln_further(uvec3 k) { return ivec3(k) * ivec3(axis_a.in_step, axis_i.in_step, axis_j.in_step); }

/* The element of a filter's channel that place k is. */
uint kiln_tap(uvec3 k)
{
    const uvec3 at = uvec3(axis_a.tap_first, axis_i.tap_first, axis_j.tap_first) +
                     k * uvec3(axis_a.tap_step, axis_i.tap_step, axis_j.tap_step);
    return kiln_ravel(at, uvec3(p.t, p.u, p.v));
}

bool kiln_inside(ivec3 at, uvec3 size)
{
    return uint(at.y) < size.y && uint(at.z) < size.z && (!VOLUME || uint(at.x) < size.x);
}

/* The element of the output that result q of a row is. */
uvec3 kiln_result(uvec3 q)
{
    return uvec3(axis_a.out_first, axis_i.out_first, axis_j.out_first) +
           q * uvec3(axis_a.out_step, axis_i.out_step, axis_j.out_step);
}
