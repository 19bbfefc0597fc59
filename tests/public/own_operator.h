/* own_operator.h - the parameter block of an application's own kernel, for C and GLSL. */
#include "interface.h"

KILN_PARAMS(signed_square)
{
    uint count;
}
KILN_PARAMS_END;
