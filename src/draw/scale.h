/* scale.h - the scale of a chart's axis, and the round numbers on it. */
#ifndef KILN_DRAW_SCALE_H
#define KILN_DRAW_SCALE_H

#include <stdbool.h>

enum { KILN_SCALE_TICKS = 40, KILN_SCALE_TEXT = 24 };

struct kiln_scale {
    bool log;
    double low, high; /* logarithms to base 10 of the ends on a logarithmic axis */
    int count;
    double tick[KILN_SCALE_TICKS]; /* where, in the values' own measure */
    char text[KILN_SCALE_TICKS][KILN_SCALE_TEXT];
};

/** What an axis shows. */
struct kiln_scale_params {
    double low, high; /* of the values; low > high: there are none */
    bool log;         /* values above 0 only */
    bool whole;       /* only whole numbers are ticks */
    bool tight;       /* the axis ends with the values; otherwise at a tick */
    int wanted;       /* about how many ticks */
};

/** An axis for values of this range. */
struct kiln_scale kiln_scale_of(const struct kiln_scale_params *range);

/** Where a value lies, from 0 at the low end to 1 at the high end. */
double kiln_scale_place(const struct kiln_scale *axis, double value);

#endif
