/* loss_golden.c - losses of every kind: PyTorch's values and gradients, gradients by differences, every device alike. */
#include "support/golden_case.h"

#include <string.h>

/* What a case's name ends in. */
static kiln_loss_reduction reduction_of(const kiln_golden_case *c)
{
    const char *end = strrchr(c->name, '_');
    if (!end)
        return KILN_LOSS_MEAN;
    return !strcmp(end, "_none")    ? KILN_LOSS_EACH
           : !strcmp(end, "_sum")   ? KILN_LOSS_SUM
           : !strcmp(end, "_batch") ? KILN_LOSS_BATCH
                                    : KILN_LOSS_MEAN;
}

/* Classes: weights, what is ignored, smoothing, as the case's name begins --------------------------------- */

static kiln_class_loss_params params_of(kiln_golden_case *c)
{
    const bool all = !strncmp(c->name, "all", 3), plain = !strncmp(c->name, "weights", 7);
    const bool smoothed = all || !strncmp(c->name, "smoothed", 8), pixels = !strcmp(c->name, "pixels");
    kiln_class_loss_params p = {.ignores = !plain, .ignored = 4, .reduction = reduction_of(c)};
    p.smoothing = pixels ? 0.1 : smoothed ? 0.2 : 0;
    if (strncmp(c->name, "smoothed", 8) != 0)
        p.weights = kiln_golden_fixed(c, "weights");
    return p;
}

static kiln_tensor cross_entropy(kiln_golden_case *c)
{
    const kiln_class_loss_params p = params_of(c);
    return kiln_cross_entropy_with(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"), &p);
}

static kiln_tensor shares(kiln_golden_case *c)
{
    const kiln_class_loss_params p = {.weights = kiln_golden_fixed(c, "weights"), .smoothing = 0.2};
    return kiln_cross_entropy_with(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"), &p);
}

static kiln_tensor likelihood(kiln_golden_case *c)
{
    const kiln_class_loss_params p = params_of(c);
    const kiln_tensor logs = kiln_log_softmax(c->g, kiln_golden_leaf(c, "x"), 1);
    return kiln_negative_log_likelihood(c->g, logs, kiln_golden_fixed(c, "target"), &p);
}

static kiln_tensor sequences(kiln_golden_case *c)
{
    return kiln_sequence_cross_entropy(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"),
                                       kiln_golden_fixed(c, "lengths"), NULL);
}

/* Two classes ---------------------------------------------------------------------------------------------- */

static kiln_tensor binary_positive(kiln_golden_case *c)
{
    return kiln_binary_cross_entropy_with(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"),
                                          kiln_golden_fixed(c, "positive"), KILN_LOSS_MEAN);
}

static kiln_tensor focal(kiln_golden_case *c)
{
    return kiln_sigmoid_focal_loss(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"), 0.25, 2,
                                   KILN_LOSS_SUM);
}

static kiln_tensor softmax_focal(kiln_golden_case *c)
{
    return kiln_softmax_focal_loss(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"),
                                   kiln_golden_fixed(c, "weights"), 1.5, KILN_LOSS_MEAN);
}

static kiln_tensor dice(kiln_golden_case *c)
{
    return kiln_dice_loss(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"), 1, KILN_LOSS_MEAN);
}

static kiln_tensor hinge(kiln_golden_case *c)
{
    return kiln_hinge_loss(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"), KILN_LOSS_MEAN);
}

static kiln_tensor squared_hinge(kiln_golden_case *c)
{
    return kiln_squared_hinge_loss(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"),
                                   KILN_LOSS_SUM);
}

/* Numbers -------------------------------------------------------------------------------------------------- */

#define PAIR(name, call)                                                              \
    static kiln_tensor name(kiln_golden_case *c)                                      \
    {                                                                                 \
        const kiln_tensor a = kiln_golden_leaf(c, "x"), b = kiln_golden_leaf(c, "w"); \
        return call;                                                                  \
    }

PAIR(huber, kiln_huber_loss(c->g, a, b, 0.75, reduction_of(c)))
PAIR(smooth_l1, kiln_smooth_l1_loss(c->g, a, b, 0.5, reduction_of(c)))
PAIR(absolute, kiln_absolute_error(c->g, a, b, reduction_of(c)))
PAIR(squared, kiln_squared_error(c->g, a, b, reduction_of(c)))

/* Distributions and pairs ---------------------------------------------------------------------------------- */

static kiln_tensor divergence(kiln_golden_case *c)
{
    return kiln_kl_divergence(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"), false,
                              reduction_of(c));
}

PAIR(divergence_of_logarithms, kiln_kl_divergence(c->g, a, b, true, KILN_LOSS_SUM))

static kiln_tensor triplet(kiln_golden_case *c)
{
    const kiln_tensor anchor = kiln_golden_leaf(c, "x"), positive = kiln_golden_leaf(c, "w");
    return kiln_triplet_loss(c->g, anchor, positive, kiln_golden_leaf(c, "b"), 0.5, KILN_LOSS_MEAN);
}

PAIR(contrastive, kiln_contrastive_loss(c->g, a, b, kiln_golden_fixed(c, "same"), 4, KILN_LOSS_MEAN))
PAIR(cosine, kiln_cosine_loss(c->g, a, b, kiln_golden_fixed(c, "same"), -0.5, KILN_LOSS_MEAN))

#define THREE(name, build)                       \
    {name "_mean", build}, {name "_sum", build}, \
    {                                            \
        name "_none", build                      \
    }

static kiln_tensor ctc(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), target = kiln_golden_fixed(c, "target");
    const kiln_ctc_params p = {.blank = !strcmp(c->name, "ctc_last_none") ? 5 : 0,
                               .logits = true,
                               .forgives = !strncmp(c->name, "ctc_forgiven", 12),
                               .reduction = reduction_of(c)};
    return kiln_ctc_loss(c->g, x, target, kiln_golden_fixed(c, "frames"), kiln_golden_fixed(c, "labels"), &p);
}

static const kiln_golden_row rows[] = {
    THREE("weights", cross_entropy),
    THREE("ignored", cross_entropy),
    THREE("smoothed", cross_entropy),
    THREE("all", cross_entropy),
    THREE("likelihood", likelihood),
    {"pixels", cross_entropy},
    {"pixels_likelihood", likelihood},
    {"shares", shares},
    {"sequences", sequences},
    {"binary_positive", binary_positive},
    {"focal", focal},
    {"softmax_focal", softmax_focal},
    {"dice", dice},
    {"hinge", hinge},
    {"squared_hinge", squared_hinge},
    THREE("huber", huber),
    THREE("smooth_l1", smooth_l1),
    THREE("absolute", absolute),
    THREE("squared", squared),
    {"kl_batch", divergence},
    {"kl_mean", divergence},
    {"kl_logarithms", divergence_of_logarithms},
    {"triplet", triplet},
    {"contrastive", contrastive},
    {"cosine", cosine},
    THREE("ctc", ctc),
    THREE("ctc_forgiven", ctc),
    {"ctc_last_none", ctc},
    {"ctc_long_none", ctc},
};

Test(loss_golden, in_float64_they_are_those_of_pytorch)
{
    kiln_expect_golden("losses.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(loss_golden, on_every_device_they_are_close_to_those_of_pytorch)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("losses.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}
