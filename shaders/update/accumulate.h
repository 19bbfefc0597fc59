/* accumulate.h - the parameters of accumulate: for each row of rows.h, arena[parameter + i] += packed[gradient + i]. */
#include "interface.h"
#include "rows.h"

KILN_PARAMS(accumulate) {
    uint rows;
} KILN_PARAMS_END;
