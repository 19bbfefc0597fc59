/* grid.glsl - where a coordinate lies along an axis, and which elements of x have a part there (grid.h). */
KILN_CONSTANT(0, MODE);
KILN_CONSTANT(1, PADDING);
KILN_CONSTANT(2, FLAGS);
#define ALIGN ((FLAGS & KILN_GRID_ALIGN) != 0u)
#define ELEMENTS ((FLAGS & KILN_GRID_ELEMENTS) != 0u)
#define VOLUME ((FLAGS & KILN_GRID_VOLUME) != 0u)
#define AXES (VOLUME ? 3u : 2u)
#define TAPS (MODE == KILN_GRID_MODE_NEAREST ? 1u : MODE == KILN_GRID_MODE_LINEAR ? 2u : 4u)

/* The taps of an axis: their elements, -1 for none, weights, and how these change with the coordinate. */
struct kiln_taps {
    ivec4 at;
    vec4 weight, slope;
};

/* u mirrored into x, and 1 or -1, as it runs there. */
vec2 mirrored(float u, float n)
{
    const float low = ALIGN ? 0.0 : -0.5, span = ALIGN ? n - 1.0 : n;
    if (span == 0.0)
        return vec2(0.0);
    const float far = abs(u - low), turns = floor(far / span), over = far - turns * span;
    const bool back = turns - 2.0 * floor(0.5 * turns) != 0.0;
    return vec2(low + (back ? span - over : over), back == (u < low) ? 1.0 : -1.0);
}

/* u brought into x, and how that changes with u. */
vec2 inside(float u, float n)
{
    const vec2 m = PADDING == KILN_GRID_PAD_REFLECTION ? mirrored(u, n) : vec2(u, 1.0);
    return m.x <= 0.0 ? vec2(0.0) : m.x >= n - 1.0 ? vec2(n - 1.0, 0.0) : m;
}

/* Keys's curve at t from 0 to 1, and at 1 + t; and their slopes. As products, so that nothing cancels. */
const float KEYS = -0.75;
float near(float t) { return (1.0 - t) * (1.0 + t - (KEYS + 2.0) * t * t); }
float far(float t) { return KEYS * t * (1.0 - t) * (1.0 - t); }
float near_slope(float t) { return (3.0 * (KEYS + 2.0) * t - 2.0 * (KEYS + 3.0)) * t; }
float far_slope(float t) { return KEYS * (3.0 * t - 1.0) * (t - 1.0); }

int element(float u, uint size)
{
    if (MODE == KILN_GRID_MODE_CUBIC && PADDING != KILN_GRID_PAD_ZEROS)
        u = floor(inside(u, float(size)).x + 0.5);
    return u >= 0.0 && u < float(size) ? int(u) : -1;
}

kiln_taps taps_of(float v, uint size)
{
    const float n = float(size), scale = ELEMENTS ? 1.0 : 0.5 * (ALIGN ? n - 1.0 : n);
    const float plain = ELEMENTS ? v : (v + 1.0) * scale - (ALIGN ? 0.0 : 0.5);
    vec2 u = vec2(kiln_is_nan(plain) ? -100.0 : clamp(plain, -1e9, 1e9), 1.0);
    if (MODE != KILN_GRID_MODE_CUBIC && PADDING != KILN_GRID_PAD_ZEROS)
        u = inside(u.x, n);
    const float slope = scale * u.y;
    if (MODE == KILN_GRID_MODE_NEAREST)
        return kiln_taps(ivec4(element(roundEven(u.x), size), -1, -1, -1), vec4(1.0, 0.0, 0.0, 0.0), vec4(0.0));

    const float base = floor(u.x), t = u.x - base, s = 1.0 - t;
    const int first = element(base, size), second = element(base + 1.0, size);
    if (MODE == KILN_GRID_MODE_LINEAR)
        return kiln_taps(ivec4(first, second, -1, -1), vec4(s, t, 0.0, 0.0), vec4(-slope, slope, 0.0, 0.0));
    return kiln_taps(ivec4(element(base - 1.0, size), first, second, element(base + 2.0, size)),
                     vec4(far(t), near(t), near(s), far(s)),
                     slope * vec4(far_slope(t), near_slope(t), -near_slope(s), -far_slope(s)));
}
