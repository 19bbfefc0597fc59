/*
 * decode.h - sequences a token at a time: one step, by beam or by chance, between a model's scores and the states
 * that go on.
 */
#ifndef KILN_DECODE_H
#define KILN_DECODE_H

#include <kiln/graph.h>
#include <kiln/random.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a step of a beam search chose: for each of N sequences the W best continuations, the best first. */
typedef struct kiln_beam {
    kiln_tensor token; /* [N W] I32: what comes next */
    /* [N W] I32: the row whose continuation it is: states go on as kiln_gather(g, state, parent, 0) */
    kiln_tensor parent;
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

/** What a step of sampling chose for each of N sequences. */
typedef struct kiln_sample {
    kiln_tensor token; /* [N] I32: what comes next */
    /* [N]: sums of log-probabilities, as the model says, whatever was kept and at which temperature */
    kiln_tensor score;
} kiln_sample;

typedef struct kiln_sample_params {
    /* temperature, top_k, top_p, and the source of draws: in a session, one of the session */
    kiln_choice_params choice;
    kiln_tensor last; /* as kiln_beam_params */
    int end;
} kiln_sample_params;

/**
 * Continue N sequences by one token each, drawn by kiln_multinomial on the device. A loop on the host, or a kiln_loop, feeds the
 * token back; kiln_random_advance in the run list, or a step that the loop counts, makes the next draws others.
 *
 * Shape:   scores [N, V], a model's raw ones; score [N], the sums so far, or KILN_NONE: 0.
 * Gradient: by scores and score, of what was chosen.
 */
KILN_API kiln_sample kiln_sample_step(kiln_graph *g, kiln_tensor scores, kiln_tensor score,
                                      const kiln_sample_params *params);

#ifdef __cplusplus
}
#endif
#endif
