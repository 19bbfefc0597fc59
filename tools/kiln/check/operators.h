/*
 * operators.h - docs/OPERATORS.md: every operator that has cases, by type, and how devices did.
 *
 * The first columns are from the tables in the code: operator, whether it has a gradient, cases by type. The others are from
 * reports of whole runs: central differences and their worst error from the CPU's, cases passed from each device's.
 */
#ifndef KILN_TOOLS_CHECK_OPERATORS_H
#define KILN_TOOLS_CHECK_OPERATORS_H

#include <kiln/base.h>

/** Write the page from JSON reports. Errors: ERROR_FILE for what is no report; ERROR_MEMORY. */
kiln_status check_write_operators(const char *path, const char *const *reports, int count);

/** Whether the page's first columns are those of the tables; says on stderr where they are not. Errors: ERROR_FILE. */
kiln_status check_verify_operators(const char *path, bool *same);

#endif
