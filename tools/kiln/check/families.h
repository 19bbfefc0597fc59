/* families.h - each family's rows, ended by {0}. */
#ifndef KILN_TOOLS_CHECK_FAMILIES_H
#define KILN_TOOLS_CHECK_FAMILIES_H

#include "check/case.h"

#define X(name) extern const struct check_op check_##name[];
#include "check/families.def"
#undef X

#endif
