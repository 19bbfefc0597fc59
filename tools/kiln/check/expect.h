/* expect.h - a case's first result against what its row expects by a formula of its own. */
#ifndef KILN_TOOLS_CHECK_EXPECT_H
#define KILN_TOOLS_CHECK_EXPECT_H

#include "check/case.h"

/**
 * Compare what the program computed in its last run with op->expect; what[0] is 0 where they agree. Errors: of reading the values.
 */
kiln_status check_expectation(kiln_program *program, const struct check_graph *c, uint64_t seed, char *what,
                              size_t bytes);

#endif
