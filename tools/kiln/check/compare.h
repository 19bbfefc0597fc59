/* compare.h - what a variant computed against what should come out. */
#ifndef KILN_TOOLS_CHECK_COMPARE_H
#define KILN_TOOLS_CHECK_COMPARE_H

#include "check/operands.h"

/** How far off the results of one run of a dispatch are. */
struct check_distance {
    double share;   /* of the bound, the largest; above 1: it fails */
    double error;   /* the largest difference over the largest magnitude of its result */
    double ulp;     /* the largest difference in units of the last place of what is wanted */
    char what[160]; /* the first element that is off; "" */
};

/** Compare o->device with o->exact: reals within `roundings` (bounds.h), words and both runs bit for bit. */
void check_compare(const struct check_operands *o, double roundings, struct check_distance *out);

#endif
