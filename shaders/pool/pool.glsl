/*
 * pool.glsl - what pool and pool_grad share: which elements of x a window covers along an axis, and how many a mean counts.
 */
KILN_CONSTANT(0, MODE);
KILN_CONSTANT(1, FLAGS);
const bool VOLUME = (FLAGS & KILN_POOL_VOLUME) != 0u;
const bool ADAPTIVE = (FLAGS & KILN_POOL_ADAPTIVE) != 0u;
const bool INDEXED = (FLAGS & KILN_POOL_INDEXED) != 0u;
const bool COLUMN_MAJOR = (FLAGS & KILN_POOL_COLUMN_MAJOR) != 0u;

/* Elements first, first + step, ..., `count` of them, all inside of x; a mean counts `counted`. */
struct kiln_span {
    uint first, step, count, counted;
};

const kiln_span KILN_POINT = kiln_span(0u, 1u, 1u, 1u);

/* Taps of a window that begins at `at` and lie before `end`. */
uint taps_before(int at, uint taps, uint dilation, int end)
{
    return uint(clamp((end - at + int(dilation) - 1) / int(dilation), 0, int(taps)));
}

/* Window q of `windows` along an axis of `size` elements. */
kiln_span window(uint q, uint windows, uint size, uint taps, uint stride, uint pad, uint end, uint dilation)
{
    if (ADAPTIVE) {
        const uint first = q * size / windows, last = ((q + 1u) * size + windows - 1u) / windows;
        return kiln_span(first, 1u, last - first, last - first);
    }
    const int at = int(q * stride) - int(pad);
    const uint before = at < 0 ? taps_before(at, taps, dilation, 0) : 0u;
    const uint inside = max(taps_before(at, taps, dilation, int(size)), before) - before;
    const uint counted = MODE == KILN_POOL_MEAN_PADDED ? taps_before(at, taps, dilation, int(end)) : inside;
    return kiln_span(uint(at + int(before * dilation)), dilation, inside, counted);
}

kiln_span window_a(uint q)
{
    return VOLUME ? window(q, p.od, p.d, p.size_a, p.stride_a, p.pad_a, p.end_a, p.dilation_a) : KILN_POINT;
}
kiln_span window_i(uint q) { return window(q, p.oh, p.h, p.size_i, p.stride_i, p.pad_i, p.end_i, p.dilation_i); }
kiln_span window_j(uint q) { return window(q, p.ow, p.w, p.size_j, p.stride_j, p.pad_j, p.end_j, p.dilation_j); }

/* The place of an element in its plane: in memory, and as an index has it. */
uint place_of(uint a, uint i, uint j) { return ((VOLUME ? a * p.h : 0u) + i) * p.w + j; }

uint index_of(uint a, uint i, uint j)
{
    return COLUMN_MAJOR ? (VOLUME ? (j * p.h + i) * p.d + a : j * p.h + i) : place_of(a, i, j);
}
