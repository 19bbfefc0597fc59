/*
 * random.h - numbers that are drawn while a program runs: on the device, the same on every one of them.
 *
 * A draw is a function of {seed, step}, of the stream that a node gets when it is built, and of the element's place: Philox 4x32-10
 * (Salmon et al. 2011). So whole numbers and uniform ones are the same bits on every device, and so is what is made of them by
 * comparing or sorting; normal ones agree to a few units in the last place.
 *
 * Seed and step are a source. Unless another is given it is the weights' own, of their seed, whose step counts training steps:
 * programs that do not train draw the same in every run, and training continues from a checkpoint with the same draws. For draws
 * in other programs there are sources of a session.
 */
#ifndef KILN_RANDOM_H
#define KILN_RANDOM_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sources ------------------------------------------------------------------------------------------------- */

/**
 * A source of a session, by name: a state {seed, step}, I32 [2], {0, 0} at first. The host chooses a seed by writing it
 * (kiln_session_write). Any other I32 [2] is a source, too: an input, or what a loop carries.
 */
KILN_API kiln_tensor kiln_random_source(kiln_graph *g, const char *name);

/** An effect: the next run draws on from such a source. It belongs into the run list of what draws. */
KILN_API kiln_tensor kiln_random_advance(kiln_graph *g, kiln_tensor source);

typedef struct kiln_random_params {
    kiln_tensor source; /* KILN_NONE: the weights' own */
    /* nodes of one name draw alike; NULL: each draws for itself, by its scope and number */
    const char *stream;
    kiln_type type; /* of reals; 0 is F32 */
} kiln_random_params;

/* Draws: params NULL means {0}. None has a gradient ------------------------------------------------------- */

/** low + (high - low) u, u in [0, 1) in steps of 2^-24. */
KILN_API kiln_tensor kiln_random_uniform(kiln_graph *g, kiln_shape shape, double low, double high,
                                         const kiln_random_params *params);
/** Normal (Box and Muller 1958). */
KILN_API kiln_tensor kiln_random_normal(kiln_graph *g, kiln_shape shape, double mean, double deviation,
                                        const kiln_random_params *params);
/** Of the shape of x, whose values do not matter, and whose type is what they get where it is real, whatever params say. */
KILN_API kiln_tensor kiln_random_uniform_like(kiln_graph *g, kiln_tensor x, double low, double high,
                                              const kiln_random_params *params);
KILN_API kiln_tensor kiln_random_normal_like(kiln_graph *g, kiln_tensor x, double mean, double deviation,
                                             const kiln_random_params *params);

/** Whole numbers from low to high - 1, I32 [shape], all alike but for 2^-32 of them. Errors: high is not above low. */
KILN_API kiln_tensor kiln_random_whole(kiln_graph *g, kiln_shape shape, int64_t low, int64_t high,
                                       const kiln_random_params *params);

/** 1 with probability p, else 0, element by element: of p's shape and type. */
KILN_API kiln_tensor kiln_bernoulli(kiln_graph *g, kiln_tensor p, const kiln_random_params *params);

/** The numbers 0 .. count - 1 in random order, I32 [count]; count may be a symbol. */
KILN_API kiln_tensor kiln_random_permutation(kiln_graph *g, int64_t count, const kiln_random_params *params);
/** The slices of x along an axis in random order. Gradient: to where they were. */
KILN_API kiln_tensor kiln_shuffle(kiln_graph *g, kiln_tensor x, int axis, const kiln_random_params *params);

/* Choices ------------------------------------------------------------------------------------------------- */

typedef struct kiln_choice_params {
    double temperature;           /* scores are divided by it; 0 means 1; KILN_ZERO: always the largest */
    kiln_tensor temperature_from; /* a scalar, or one a row [N, 1]: instead, and above 0 */
    int64_t top_k;                /* only among the k largest; 0: all */
    /* only among the largest whose probabilities together reach it, the first at least (Holtzman 2020); 0 means 1 */
    double top_p;
    bool distinct; /* of several choices none twice */
    kiln_random_params random;
} kiln_choice_params;

/**
 * Choose classes by their scores: class c with probability softmax(scores / temperature)[c] among those that are kept. top_k
 * applies first, then top_p to what that leaves.
 *
 * Shape:   scores [N, V], raw or logarithms of probabilities; y [N, count], I32. With top_k or top_p, V is a number.
 * Errors:  a temperature below 0, a top_k that is negative, a top_p outside 0..1; with `distinct`, count is above what is kept.
 *
 * The choice is the largest of score / temperature + noise of Gumbel's distribution (Gumbel-max): all on the device, with no sums
 * that decide, so that devices differ only where two of these are within a rounding of each other.
 */
KILN_API kiln_tensor kiln_multinomial(kiln_graph *g, kiln_tensor scores, int64_t count,
                                      const kiln_choice_params *params);

#ifdef __cplusplus
}
#endif
#endif
