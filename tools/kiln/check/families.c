/* families.c - the families of families.def, in its order. */
#include "check/families.h"

#include <stddef.h>

const struct check_op *const check_families[] = {
#define X(name) check_##name,
#include "check/families.def"
#undef X
    NULL,
};
