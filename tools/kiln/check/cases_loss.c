/* cases_loss.c - losses and the metrics that a program computes. */
#include <math.h>

#include "check/families.h"

/* Rows, classes. */
static const struct check_shape shapes[] = {
    {"1x2", "one row"},
    {"7x10", "ten classes"},
    {"65x257", "one past a block"},
    {"1000x3", "many rows"},
    {"2x1000", "long rows"},
    {"3x1", "one class"},
    {"64x64", "whole tiles"},
    {"13x129", "primes"},
    {"129x2", "two classes"},
    {"5x31", "few of each"},
    {"257x5", "one past a block of rows"},
    {0},
};

static kiln_tensor scores(struct check_graph *c)
{
    return check_operand_in(c, check_shape_of(c), -9, 9);
}

static kiln_tensor classes(struct check_graph *c)
{
    return check_whole(c, KILN_SHAPE(c->n[0]), 0, (double)c->n[1]);
}

static void cross_entropy_each(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_result(c, kiln_cross_entropy_each(c->g, s, classes(c)));
}

static const struct check_attributes targets[] = {{"classes", {0}}, {"probabilities", {1}}, {0}};

static void cross_entropy(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    const kiln_tensor target =
        c->a[0] ? kiln_softmax(c->g, check_operand(c, check_shape_of(c)), 1) : classes(c);
    check_result(c, kiln_cross_entropy(c->g, s, target));
}

/* a: weights, an ignored class, smoothing in hundredths, reduction */
static const struct check_attributes ways[] = {
    {"weights", {1, 0, 0, KILN_LOSS_MEAN}},    {"ignored", {0, 1, 0, KILN_LOSS_MEAN}},
    {"smoothing", {0, 0, 10, KILN_LOSS_EACH}}, {"weights,ignored,smoothing", {1, 1, 10, KILN_LOSS_SUM}},
    {"batch", {0, 0, 0, KILN_LOSS_BATCH}},     {0},
};

static kiln_class_loss_params way_of(struct check_graph *c, int classes_at)
{
    kiln_class_loss_params p = {.ignores = c->a[1],
                                .ignored = 1,
                                .smoothing = (double)c->a[2] / 100,
                                .reduction = (kiln_loss_reduction)c->a[3]};

    if (c->a[0]) {
        const kiln_tensor whole =
            kiln_cast(c->g, check_whole(c, KILN_SHAPE(c->n[classes_at]), 1, 5), c->type);
        p.weights = kiln_scale(c->g, whole, 0.5);
    }
    return p;
}

/* The mean of weights that are none is no number. */
static bool has_rows(const struct check_case *one)
{
    return one->n[0] > 1 && one->n[1] > 2;
}

static void cross_entropy_with(struct check_graph *c)
{
    const kiln_tensor s = scores(c), target = classes(c);
    const kiln_class_loss_params p = way_of(c, 1);
    check_result(c, kiln_cross_entropy_with(c->g, s, target, &p));
}

static void negative_log_likelihood(struct check_graph *c)
{
    const kiln_tensor s = kiln_log_softmax(c->g, scores(c), 1), target = classes(c);
    kiln_class_loss_params p = way_of(c, 1);
    p.smoothing = 0;
    check_result(c, kiln_negative_log_likelihood(c->g, s, target, &p));
}

static const struct check_shape tokens[] = {
    {"2x3x4", "few tokens"},
    {"5x7x11", "primes"},
    {"3x65x33", "one past a tile"},
    {"2x5x1000", "many classes"},
    {"1x300x3", "a long one"},
    {"300x2x3", "many of them"},
    {"4x16x64", "whole tiles"},
    {"2x1x257", "one past a block"},
    {0},
};

/* a: a mask, not lengths */
static const struct check_attributes counts[] = {{"lengths", {0}}, {"mask", {1}}, {0}};

/* There is at least the first token of each. */
static void sequence_cross_entropy(struct check_graph *c)
{
    const kiln_tensor s = check_operand_in(c, check_shape_of(c), -9, 9);
    const kiln_tensor target = check_whole(c, KILN_SHAPE(c->n[0], c->n[1]), 0, (double)c->n[2]);
    const kiln_tensor lengths = check_whole(c, KILN_SHAPE(c->n[0]), 1, (double)c->n[1] + 1);
    const kiln_tensor mask =
        kiln_less(c->g, kiln_positions(c->g, target, 1), kiln_unsqueeze(c->g, lengths, 1));
    check_result(c, kiln_sequence_cross_entropy(c->g, s, target, c->a[0] ? mask : lengths, NULL));
}

/* Two numbers or two sides, element by element ------------------------------------------------------------ */

static const struct check_attributes reductions[] = {
    {"mean", {KILN_LOSS_MEAN}}, {"sum", {KILN_LOSS_SUM}}, {"each", {KILN_LOSS_EACH}}, {0}};

static kiln_loss_reduction reduction_of(const struct check_graph *c)
{
    return (kiln_loss_reduction)c->a[0];
}

#define PAIR(name, call)                                                     \
    static void name(struct check_graph *c)                                  \
    {                                                                        \
        const kiln_tensor a = check_operand_in(c, check_shape_of(c), -2, 2); \
        const kiln_tensor b = check_operand_in(c, check_shape_of(c), -1, 1); \
        check_result(c, call);                                               \
    }

/* A side of 0 or 1, or of -1 or 1. */
static kiln_tensor side(struct check_graph *c, bool signs)
{
    const kiln_tensor t = kiln_cast(c->g, check_truth(c, check_shape_of(c)), c->type);
    return signs ? kiln_shift(c->g, kiln_scale(c->g, t, 2), -1) : t;
}

#define SIDE(name, signs, call)                                                                  \
    static void name(struct check_graph *c)                                                      \
    {                                                                                            \
        const kiln_tensor a = check_operand_in(c, check_shape_of(c), -3, 3), b = side(c, signs); \
        check_result(c, call);                                                                   \
    }

PAIR(squared_error, kiln_squared_error(c->g, a, b, reduction_of(c)))
PAIR(absolute_error, kiln_absolute_error(c->g, a, b, reduction_of(c)))
PAIR(huber_loss, kiln_huber_loss(c->g, a, b, 0.75, reduction_of(c)))
PAIR(smooth_l1_loss, kiln_smooth_l1_loss(c->g, a, b, 0.5, reduction_of(c)))
PAIR(kl_divergence,
     kiln_kl_divergence(c->g, kiln_log_softmax(c->g, a, 1), kiln_softmax(c->g, b, 1), false, reduction_of(c)))
SIDE(hinge_loss, true, kiln_hinge_loss(c->g, a, b, reduction_of(c)))
SIDE(squared_hinge_loss, true, kiln_squared_hinge_loss(c->g, a, b, reduction_of(c)))
SIDE(sigmoid_focal_loss, false, kiln_sigmoid_focal_loss(c->g, a, b, 0.25, 2, reduction_of(c)))
SIDE(binary_cross_entropy_with, false,
     kiln_binary_cross_entropy_with(c->g, a, b, kiln_scalar(c->g, c->type, 3), reduction_of(c)))
SIDE(dice_loss, false, kiln_dice_loss(c->g, kiln_sigmoid(c->g, a), b, 1, reduction_of(c)))

static void softmax_focal_loss(struct check_graph *c)
{
    const kiln_tensor s = check_operand_in(c, check_shape_of(c), -3, 3), target = classes(c);
    check_result(c, kiln_softmax_focal_loss(c->g, s, target, KILN_NONE, 2, reduction_of(c)));
}

static void triplet_loss(struct check_graph *c)
{
    const kiln_tensor a = check_operand(c, check_shape_of(c)), p = check_operand(c, check_shape_of(c));
    check_result(c, kiln_triplet_loss(c->g, a, p, check_operand(c, check_shape_of(c)), 1, reduction_of(c)));
}

/* Whether the vectors of each row are alike. */
static kiln_tensor alike(struct check_graph *c, bool signs)
{
    const kiln_tensor t = kiln_cast(c->g, check_truth(c, KILN_SHAPE(c->n[0])), c->type);
    return signs ? kiln_shift(c->g, kiln_scale(c->g, t, 2), -1) : t;
}

PAIR(contrastive_loss, kiln_contrastive_loss(c->g, a, b, alike(c, false), 2, reduction_of(c)))
PAIR(cosine_loss, kiln_cosine_loss(c->g, a, b, alike(c, true), -0.5, reduction_of(c)))

static void binary_cross_entropy(struct check_graph *c)
{
    const kiln_tensor s = scores(c), target = check_operand_in(c, check_shape_of(c), 0, 1);
    check_result(c, kiln_binary_cross_entropy(c->g, s, target));
}

static void mean_squared_error(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_result(c, kiln_mean_squared_error(c->g, s, check_operand(c, check_shape_of(c))));
}

static void accuracy(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_add(c, kiln_accuracy(c->g, s, classes(c)));
}

/* a: k */
static const struct check_attributes best[] = {{"k=1", {1}}, {"k=2", {2}}, {"k=5", {5}}, {0}};

static bool has_k(const struct check_case *one)
{
    return one->n[1] >= one->a[0];
}

static void top_k_accuracy(struct check_graph *c)
{
    const kiln_tensor s = scores(c);
    check_add(c, kiln_top_k_accuracy(c->g, s, classes(c), (int)c->a[0]));
}

/* Frames, sequences, classes, labels. */
static const struct check_shape spelled[] = {
    {"1x1x2x1", "ones"},
    {"7x3x5x2", "primes"},
    {"33x2x4x8", "one past two spans"},
    {"12x2x65x5", "one past a block of classes"},
    {"64x1x3x32", "one past a block of states"},
    {"9x70x3x2", "many sequences"},
    {"300x2x3x9", "many frames"},
    {"6x2x600x3", "many classes"},
    {"5x2x3x0", "no labels"},
    {"20x2x5x515", "more states than a group holds"},
    {0},
};

/* a: logits, the last class is blank, full lengths */
static const struct check_attributes readings[] = {
    {"logits", {1, 0, 0}}, {"logarithms,blank=last", {0, 1, 0}}, {"logits,full", {1, 1, 1}}, {0}};

/* Labels of which some repeat, often more than the frames can spell. */
static void ctc_loss(struct check_graph *c)
{
    const int64_t frames = c->n[0], sequences = c->n[1], classes = c->n[2], labels = c->n[3];
    const kiln_tensor x = check_operand_in(c, KILN_SHAPE(frames, sequences, classes), -3, 0);
    const double first = c->a[1] ? 0 : 1;
    const kiln_tensor target =
        check_whole(c, KILN_SHAPE(sequences, labels), first, first + (double)classes - 1);
    const kiln_tensor spoken = check_whole(c, KILN_SHAPE(sequences), (double)frames / 2, (double)frames + 1);
    const double most = (double)(labels < frames ? labels : frames);
    const kiln_tensor count = check_whole(c, KILN_SHAPE(sequences), floor(most / 2), most + 1);
    const kiln_ctc_params p = {.blank = c->a[1] ? (int)classes - 1 : 0,
                               .logits = c->a[0],
                               .forgives = true,
                               .reduction = c->a[2] ? KILN_LOSS_MEAN : KILN_LOSS_EACH};
    check_result(c, kiln_ctc_loss(c->g, x, target, c->a[2] ? KILN_NONE : spoken, count, &p));
}

#define LOSS(op) .name = #op, .types = CHECK_REALS, .shapes = shapes, .build = op

const struct check_op check_loss[] = {
    {LOSS(cross_entropy_each)},
    {LOSS(cross_entropy), .attributes = targets},
    {LOSS(binary_cross_entropy)},
    {LOSS(mean_squared_error)},
    {LOSS(cross_entropy_with), .attributes = ways, .fits = has_rows},
    {LOSS(negative_log_likelihood), .attributes = ways, .fits = has_rows},
    {.name = "sequence_cross_entropy",
     .types = CHECK_REALS,
     .shapes = tokens,
     .attributes = counts,
     .build = sequence_cross_entropy},
    {LOSS(squared_error), .attributes = reductions},
    {LOSS(absolute_error), .attributes = reductions},
    {LOSS(huber_loss), .attributes = reductions},
    {LOSS(smooth_l1_loss), .attributes = reductions},
    {LOSS(kl_divergence), .attributes = reductions},
    {LOSS(hinge_loss), .attributes = reductions},
    {LOSS(squared_hinge_loss), .attributes = reductions},
    {LOSS(sigmoid_focal_loss), .attributes = reductions},
    {LOSS(binary_cross_entropy_with), .attributes = reductions},
    {LOSS(dice_loss), .attributes = reductions},
    {LOSS(softmax_focal_loss), .attributes = reductions},
    {LOSS(triplet_loss), .attributes = reductions},
    {LOSS(contrastive_loss), .attributes = reductions},
    {LOSS(cosine_loss), .attributes = reductions},
    {.name = "ctc_loss", .types = CHECK_REALS, .shapes = spelled, .attributes = readings, .build = ctc_loss},
    {LOSS(accuracy)},
    {LOSS(top_k_accuracy), .attributes = best, .fits = has_k},
    {0},
};
