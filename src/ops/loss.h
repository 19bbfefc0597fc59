/* loss.h - what the families of losses share. */
#ifndef KILN_OPS_LOSS_H
#define KILN_OPS_LOSS_H

#include <kiln/losses.h>

/** What a reduction makes of the single losses. */
kiln_tensor kiln_loss_reduce(kiln_graph *g, kiln_tensor each, kiln_loss_reduction reduction);

#endif
