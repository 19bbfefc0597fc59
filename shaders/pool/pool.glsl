/*
 * pool.glsl - what pool2d and pool2d_grad share: a window's position, and how many taps its mean divides by.
 */
KILN_CONSTANT(0, MODE);

/* Taps of a window that lie in [0, end), along one axis; `at` is the first tap's place. */
int taps_below(int at, uint size, uint dilation, int end)
{
    return clamp((end - at + int(dilation) - 1) / int(dilation), 0, int(size));
}

/* Taps inside of [0, inside): those below the end less those before the beginning. */
int taps_inside(int at, uint size, uint dilation, int inside)
{
    const int before = at < 0 ? min((-at + int(dilation) - 1) / int(dilation), int(size)) : 0;
    return max(taps_below(at, size, dilation, inside) - before, 0);
}

/* What a mean divides by, for the window whose first tap lies at (y, x). */
float window_count(int y, int x)
{
    if (MODE == KILN_POOL_MEAN_PADDED)
        return float(taps_below(y, p.size_h, p.dilation_h, int(p.padded_h) - int(p.pad_h)) *
                     taps_below(x, p.size_w, p.dilation_w, int(p.padded_w) - int(p.pad_w)));
    return float(taps_inside(y, p.size_h, p.dilation_h, int(p.height)) *
                 taps_inside(x, p.size_w, p.dilation_w, int(p.width)));
}

bool inside(int y, int x)
{
    return y >= 0 && y < int(p.height) && x >= 0 && x < int(p.width);
}
