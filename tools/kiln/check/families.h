/* families.h - each family's rows, ended by {0}. */
#ifndef KILN_TOOLS_CHECK_FAMILIES_H
#define KILN_TOOLS_CHECK_FAMILIES_H

#include "check/case.h"

extern const struct check_op check_attention[];
extern const struct check_op check_conv[];
extern const struct check_op check_elementwise[];
extern const struct check_op check_gather[];
extern const struct check_op check_layout[];
extern const struct check_op check_loss[];
extern const struct check_op check_matmul[];
extern const struct check_op check_norm[];
extern const struct check_op check_normalize[];
extern const struct check_op check_pool[];
extern const struct check_op check_quantize[];
extern const struct check_op check_random[];
extern const struct check_op check_reduce[];
extern const struct check_op check_softmax[];
extern const struct check_op check_update[];

#endif
