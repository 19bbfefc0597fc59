/*
 * decode.h - sequences a token at a time: one step of a beam search, between a model's scores and the states that go on.
 */
#ifndef KILN_DECODE_H
#define KILN_DECODE_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a step of a beam search chose: for each of N sequences the W best continuations, the best first. */
typedef struct kiln_beam {
    kiln_tensor token; /* [N W] I32: what comes next */
    kiln_tensor
        parent; /* [N W] I32: the row whose continuation it is: states go on as kiln_gather(g, state, parent, 0) */
    kiln_tensor score; /* [N, W]: sums of log-probabilities */
} kiln_beam;

typedef struct kiln_beam_params {
    /* [N W] I32, the tokens that the scores follow: a sequence whose last one is `end` has ended, and goes on with `end` at no
     * cost. KILN_NONE: none ends */
    kiln_tensor last;
    int end;
} kiln_beam_params;

/**
 * Continue W sequences for each of N by one token: of all W * V continuations keep the W whose sum of log-probabilities is
 * largest, the earlier beam and the smaller token of equals.
 *
 * Shape:   scores [N W, V], a model's raw ones, V a number; score [N, W], the sums so far: W is its last size. In the first step,
 *          where the W rows of a sequence are alike, all but its first should be -infinity.
 * Gradient: by scores and score, of what was chosen.
 */
KILN_API kiln_beam kiln_beam_step(kiln_graph *g, kiln_tensor scores, kiln_tensor score,
                                  const kiln_beam_params *params);

#ifdef __cplusplus
}
#endif
#endif
