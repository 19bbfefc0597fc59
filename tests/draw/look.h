/* look.h - looking at pictures that were drawn. */
#ifndef KILN_TESTS_DRAW_LOOK_H
#define KILN_TESTS_DRAW_LOOK_H

#include <cairo.h>

#include "base/own_files.h"

static inline cairo_surface_t *open_png(const char *path)
{
    cairo_surface_t *s = cairo_image_surface_create_from_png(path);
    cr_assert_eq(cairo_surface_status(s), CAIRO_STATUS_SUCCESS, "%s", path);
    return s;
}

static inline unsigned pixel(cairo_surface_t *s, int x, int y)
{
    const unsigned char *row =
        cairo_image_surface_get_data(s) + (ptrdiff_t)y * cairo_image_surface_get_stride(s);
    uint32_t value;
    memcpy(&value, row + 4 * (ptrdiff_t)x, 4);
    return value & 0xffffff;
}

/* How many pixels have this very colour. */
static inline int count_ink(cairo_surface_t *s, unsigned colour)
{
    int count = 0;
    for (int y = 0; y < cairo_image_surface_get_height(s); y++)
        for (int x = 0; x < cairo_image_surface_get_width(s); x++)
            count += pixel(s, x, y) == colour;
    return count;
}

#endif
