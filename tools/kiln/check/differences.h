/*
 * differences.h - a case's gradients against central differences, in float64 on the CPU.
 *
 *   (S(x + h v) - S(x - h v)) / 2 h  against  sum of dx v,   S the sum of y dy over the case's results
 *
 * for some random directions v, of +1 and -1, through all operands together; of tiny cases also for each element alone. A
 * wrong element of any dx shows with its whole size in every direction.
 */
#ifndef KILN_TOOLS_CHECK_DIFFERENCES_H
#define KILN_TOOLS_CHECK_DIFFERENCES_H

#include "check/case.h"

struct check_slopes {
    int checks;     /* directions; 0: the case has no gradient */
    double worst;   /* difference over the norm of dx */
    char what[200]; /* the first direction that is off; "" */
};

/** Errors: of what could not be built or run; what is off is in *out and no error. */
kiln_status check_differences(kiln_device *cpu, const struct check_case *one, uint64_t seed,
                              struct check_slopes *out);

#endif
