/* accumulate.h - the parameters of accumulate: arena[row's parameter + i] += gradient[row's gradient + i] (rows.h). */
#include "interface.h"
#include "rows.h"

KILN_PARAMS(accumulate) {
    uint rows;
} KILN_PARAMS_END;
