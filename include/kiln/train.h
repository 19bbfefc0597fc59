/*
 * train.h - learning: optimizers as effects of a graph, schedules, gradient checking; the ready-made loop.
 */
#ifndef KILN_TRAIN_H
#define KILN_TRAIN_H

#include <kiln/data.h>
#include <kiln/graph.h>
#include <kiln/ops.h>
#include <kiln/program.h>
#include <kiln/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Optimizers --------------------------------------------------------------------------------------------------- */

/** Parameters whose name matches take other settings; the first group that matches counts. */
typedef struct kiln_param_group {
    const char *match;      /* pattern with * and ? over full names */
    double rate;            /* factor of the rate; 0 means 1, KILN_ZERO means 0 */
    double decay;           /* instead of the common decay; 0 means the common one, KILN_ZERO means 0 */
    bool frozen;            /* leave them as they are */
} kiln_param_group;

typedef struct kiln_minimize_params {
    kiln_optimizer by;
    double rate;            /* 0 means 1e-3 for the adaptive ones, 1e-2 for the others */
    kiln_tensor rate_from;  /* a scalar F32 instead of rate: a schedule, or an input */
    double momentum;        /* 0 means 0.9 */
    bool averaged;          /* momentum as v = m v + (1 - m) g */
    double beta1, beta2;    /* 0 means 0.9 and 0.999; beta2 is RMSProp's, where 0 means 0.99 */
    double epsilon;         /* 0 means 1e-8 */
    double decay;           /* weight decay; 0 none */
    bool no_correction;     /* Adam without bias correction */
    bool corrected;         /* RMSProp with bias correction */
    const char *only;       /* pattern: train only parameters of these names, e.g. "generator.*"; NULL all */
    const kiln_param_group *groups;
    int group_count;
    double clip_norm;       /* scale the gradients of all parameters together to at most this norm; 0 off */
    double clip_value;      /* clip each element to +- this, before the norm; 0 off */
    double scale;           /* factor of the loss, 1/k where k batches accumulate; 0 means 1 */
    const char *name;       /* of the optimizer's state in the weights; NULL "optimizer". Two optimizers, two names */
} kiln_minimize_params;

/**
 * An effect: compute the gradient of a scalar loss by every trained parameter it depends on, and update them. The
 * gradient arena is not touched.
 * Errors: a loss that is no scalar; no parameter that it depends on.
 */
KILN_API kiln_tensor kiln_minimize(kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *params);

/** The first half, an effect: add the gradients to the gradient arena of the weights. Reads scale, only, groups' frozen. */
KILN_API kiln_tensor kiln_backward(kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *params);

/** The second half, an effect: update from the gradient arena (every parameter of the graph that `only` and `groups` leave
 *  in), then clear what was used. An all-reduce fits between the two (weights.h). */
KILN_API kiln_tensor kiln_update(kiln_graph *g, const kiln_minimize_params *params);

/* Schedules: scalars computed from the optimizer's step ------------------------------------------------------------ */

/** Updates done so far by the optimizer of that name (NULL "optimizer"), as an F32 scalar: 0 in the first. */
KILN_API kiln_tensor kiln_step(kiln_graph *g, const char *optimizer);

/** rate * factor^floor(step / every). */
KILN_API kiln_tensor kiln_schedule_step(kiln_graph *g, kiln_tensor step, double rate, double every, double factor);
/** rate / (1 + decay * step). */
KILN_API kiln_tensor kiln_schedule_inverse(kiln_graph *g, kiln_tensor step, double rate, double decay);
/** rate * factor^step. */
KILN_API kiln_tensor kiln_schedule_exponential(kiln_graph *g, kiln_tensor step, double rate, double factor);
/** last + (rate - last) (1 + cos(pi min(step, total) / total)) / 2 (Loshchilov and Hutter 2017). */
KILN_API kiln_tensor kiln_schedule_cosine(kiln_graph *g, kiln_tensor step, double rate, double last, double total);
/** rate_from * min(1, (step + 1) / warm): a linear warm-up of another schedule. */
KILN_API kiln_tensor kiln_schedule_warm_up(kiln_graph *g, kiln_tensor step, kiln_tensor rate_from, double warm);

#ifdef __cplusplus
}
#endif
#endif
