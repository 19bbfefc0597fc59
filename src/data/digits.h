/* digits.h - the lines of generated digits. */
#ifndef KILN_DATA_DIGITS_H
#define KILN_DATA_DIGITS_H

#include <math.h>
#include <stdint.h>

struct kiln_point {
    float x, y; /* y down */
};

struct kiln_line {
    struct kiln_point from, to;
};

enum { KILN_MOST_LINES = 192 };

struct kiln_lines {
    int count;
    struct kiln_line line[KILN_MOST_LINES];
};

/** The lines of a digit in the unit square, in one of its forms. */
void kiln_digit_lines(struct kiln_lines *lines, uint32_t digit, uint32_t form);

/** How far a point lies from a line. */
static inline float kiln_line_distance(const struct kiln_line *line, struct kiln_point p)
{
    const struct kiln_point a = line->from, b = line->to;
    const float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    const float t = length > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length : 0;
    const float along = t < 0 ? 0 : t > 1 ? 1 : t;
    const float x = p.x - a.x - along * dx, y = p.y - a.y - along * dy;
    return sqrtf(x * x + y * y);
}

#endif
