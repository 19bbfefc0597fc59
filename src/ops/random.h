/* random.h - draws that only the library's own operators need. */
#ifndef KILN_OPS_RANDOM_H
#define KILN_OPS_RANDOM_H

#include <kiln/random.h>

/** Noise of Gumbel's distribution, F32, of x's shape: the largest of scores plus these is at i with probability softmax(scores)[i]. */
kiln_tensor kiln_random_gumbel_like(kiln_graph *g, kiln_tensor x, const kiln_random_params *params);

#endif
