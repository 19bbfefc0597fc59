/*
 * losses.h - what is minimized: of classes, of numbers, of distributions, of pairs, of sequences.
 *
 * Each gives one number an element, a row or a sequence, and then what a kiln_loss_reduction makes of these: their mean, if
 * nothing else is said. Operands broadcast where they are compared element by element. Gradients by every real operand.
 */
#ifndef KILN_LOSSES_H
#define KILN_LOSSES_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kiln_loss_reduction {
    KILN_LOSS_MEAN,
    KILN_LOSS_SUM,
    KILN_LOSS_EACH,  /* as it is */
    KILN_LOSS_BATCH, /* the sum over the size of the first axis */
} kiln_loss_reduction;

/* Classes ------------------------------------------------------------------------------------------------ */

typedef struct kiln_class_loss_params {
    int axis; /* of the classes; 0 means 1, negative counts from the last */
    /* [C]: a factor of each class; the mean is then over the weights; KILN_NONE means 1 */
    kiln_tensor weights;
    bool ignores; /* rows whose target is `ignored` count for nothing */
    int64_t ignored;
    double smoothing; /* this share of each target goes to all classes alike (Szegedy 2016) */
    kiln_loss_reduction reduction;
} kiln_class_loss_params;

/**
 * Softmax cross-entropy from raw scores.
 * Shape: scores [N, C, ..]; target either class numbers [N, ..], an integer type, or probabilities [N, C, ..], reals. A number that
 *        is no class gives NaN. Of probabilities nothing is ignored.
 */
KILN_API kiln_tensor kiln_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target);
/** The same before the mean: [N, ..]. */
KILN_API kiln_tensor kiln_cross_entropy_each(kiln_graph *g, kiln_tensor scores, kiln_tensor target);
KILN_API kiln_tensor kiln_cross_entropy_with(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                             const kiln_class_loss_params *params);

/** - weight log p[target], from logarithms of probabilities. As above; a target is class numbers, and there is no smoothing. */
KILN_API kiln_tensor kiln_negative_log_likelihood(kiln_graph *g, kiln_tensor log_probabilities,
                                                  kiln_tensor target, const kiln_class_loss_params *params);

/**
 * Softmax cross-entropy of sequences of tokens, of which only some count.
 * Shape: scores [N, T, C], target [N, T]; counts either lengths [N], integers, or a mask [N, T], BOOL. Beyond them a target may be
 *        anything. params as above but for axis and ignored; the mean is over the tokens that count.
 */
KILN_API kiln_tensor kiln_sequence_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                                 kiln_tensor counts, const kiln_class_loss_params *params);

/* Sequences without an alignment -------------------------------------------------------------------------- */

typedef struct kiln_ctc_params {
    int blank;     /* the class that is no label */
    bool logits;   /* x are raw scores: their log-softmax is taken first */
    bool forgives; /* what cannot be spelled in its frames has loss 0 and no gradient, not an infinite loss */
    kiln_loss_reduction reduction; /* the mean is of each loss over its labels, at least 1 */
} kiln_ctc_params;

/**
 * Connectionist temporal classification (Graves 2006): - log of the probability that frames spell labels, over all alignments. A
 * frame says a label or blank; what it repeats is one label, unless a blank stands between.
 *
 * Shape:    x [T, N, C], logarithms of probabilities; target [N, S], class numbers, padded with anything; frames and labels [N],
 *           integers: how many of T and of S each sequence has. frames KILN_NONE: all of T. One loss a sequence: [N].
 * Gradient: by x: - the share of a class in a frame. Not of the gradient itself.
 * Of no labels the loss is that of blanks alone. Lengths that do not fit, and a label that is no class, give NaN.
 */
KILN_API kiln_tensor kiln_ctc_loss(kiln_graph *g, kiln_tensor x, kiln_tensor target, kiln_tensor frames,
                                   kiln_tensor labels, const kiln_ctc_params *params);

/* Two classes ---------------------------------------------------------------------------------------------- */

/** Mean of max(s, 0) - s t + log(1 + exp(-|s|)): binary cross-entropy from logits, target in 0..1. */
KILN_API kiln_tensor kiln_binary_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target);
/** The same with the positive part of each target times `positive`, which broadcasts; KILN_NONE means 1. */
KILN_API kiln_tensor kiln_binary_cross_entropy_with(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                                    kiln_tensor positive, kiln_loss_reduction reduction);

/**
 * Binary cross-entropy times (1 - p)^gamma, p being what the right side gets, so that easy examples fade (Lin 2017); alpha is the
 * factor of positives, 1 - alpha of negatives, and negative means neither. target is 0 or 1.
 */
KILN_API kiln_tensor kiln_sigmoid_focal_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                             double alpha, double gamma, kiln_loss_reduction reduction);
/** Cross-entropy over axis 1 times (1 - p[target])^gamma. target class numbers; weights [C] or KILN_NONE are factors. */
KILN_API kiln_tensor kiln_softmax_focal_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                             kiln_tensor weights, double gamma,
                                             kiln_loss_reduction reduction);

/**
 * 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth): how little two areas overlap (Milletari 2016).
 * Shape: probabilities and target [N, ..]; sums are over all axes but the first; each [N].
 */
KILN_API kiln_tensor kiln_dice_loss(kiln_graph *g, kiln_tensor probabilities, kiln_tensor target,
                                    double smooth, kiln_loss_reduction reduction);

/** max(0, 1 - t s), and its square; target is -1 or 1. */
KILN_API kiln_tensor kiln_hinge_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                     kiln_loss_reduction reduction);
KILN_API kiln_tensor kiln_squared_hinge_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                             kiln_loss_reduction reduction);

/* Numbers ------------------------------------------------------------------------------------------------ */

/** Mean of (a - b)^2. */
KILN_API kiln_tensor kiln_mean_squared_error(kiln_graph *g, kiln_tensor a, kiln_tensor b);
/** (a - b)^2, and |a - b|. */
KILN_API kiln_tensor kiln_squared_error(kiln_graph *g, kiln_tensor a, kiln_tensor b,
                                        kiln_loss_reduction reduction);
KILN_API kiln_tensor kiln_absolute_error(kiln_graph *g, kiln_tensor a, kiln_tensor b,
                                         kiln_loss_reduction reduction);
/** With d = |a - b|: d^2 / 2 up to delta, delta (d - delta / 2) beyond (Huber 1964). delta > 0. */
KILN_API kiln_tensor kiln_huber_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, double delta,
                                     kiln_loss_reduction reduction);
/** huber_loss / beta (Girshick 2015); beta 0 means |a - b|. */
KILN_API kiln_tensor kiln_smooth_l1_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, double beta,
                                         kiln_loss_reduction reduction);

/* Distributions ------------------------------------------------------------------------------------------ */

/**
 * Kullback-Leibler divergence, element by element: t (log t - q), q being logarithms of what is compared, t probabilities, of which
 * 0 counts for nothing, or with `logarithms` their logarithms as well: exp(t) (t - q).
 */
KILN_API kiln_tensor kiln_kl_divergence(kiln_graph *g, kiln_tensor q, kiln_tensor target, bool logarithms,
                                        kiln_loss_reduction reduction);

/* Pairs: vectors along the last axis ---------------------------------------------------------------------- */

/** max(0, |a - p| - |a - n| + margin), Euclidean (Schroff 2015); 1e-6 is added to differences, as PyTorch does. */
KILN_API kiln_tensor kiln_triplet_loss(kiln_graph *g, kiln_tensor anchor, kiln_tensor positive,
                                       kiln_tensor negative, double margin, kiln_loss_reduction reduction);
/** With d = |a - b|: d^2 / 2 for same = 1, max(0, margin - d)^2 / 2 for 0 (Hadsell 2006). same: [..], a's axes but the last. */
KILN_API kiln_tensor kiln_contrastive_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor same,
                                           double margin, kiln_loss_reduction reduction);
/** 1 - cos(a, b) for same = 1, max(0, cos(a, b) - margin) for -1. */
KILN_API kiln_tensor kiln_cosine_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor same,
                                      double margin, kiln_loss_reduction reduction);

#ifdef __cplusplus
}
#endif
#endif
