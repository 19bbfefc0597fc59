/* ctc.c - connectionist temporal classification: known values, gradients, every device alike. PyTorch's are in loss_golden.c. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static kiln_tensor whole(kiln_graph *g, kiln_shape shape, const int32_t *values)
{
    return kiln_constant(g,
                         &(kiln_array){.data = (void *)(uintptr_t)values, .type = KILN_I32, .shape = shape});
}

/* Frames of `frames`, labels of `labels` that repeat with the period 3, three sequences: all of both, some, no labels. */
static const struct ctc_case {
    int64_t frames, classes, labels;
    bool logits;
    const char *why;
} cases[] = {
    {1, 2, 1, true, "one frame, one label"},
    {9, 5, 3, true, "few labels"},
    {9, 5, 3, false, "logarithms of probabilities"},
    {40, 3, 13, true, "primes"},
    {33, 7, 0, true, "no labels"},
    {131, 130, 64, true, "one past a block of states"},
};

static kiln_tensor spelled(kiln_graph *g, const void *one_case)
{
    const struct ctc_case *c = one_case;
    int32_t label[3 * 64],
        lengths[6] = {(int32_t)c->frames, (int32_t)(c->frames * 3 + 3) / 4, (int32_t)c->frames,
                      (int32_t)c->labels, (int32_t)c->labels / 2,           0};
    for (int i = 0; i < 3 * c->labels; i++)
        label[i] = (int32_t)(1 + i * 7 / 2 % (c->classes - 1)); /* some neighbours are alike */
    const kiln_tensor x = kiln_scale(g, kiln_test_input(g, KILN_SHAPE(c->frames, 3, c->classes)), 3);
    const kiln_tensor target = whole(g, KILN_SHAPE(3, c->labels), label);
    const kiln_ctc_params p = {.logits = c->logits, .reduction = KILN_LOSS_EACH};
    return kiln_ctc_loss(g, c->logits ? x : kiln_scale(g, kiln_shift(g, x, -4), 0.5), target,
                         whole(g, KILN_SHAPE(3), lengths), whole(g, KILN_SHAPE(3), lengths + 3), &p);
}

/* Exponents of up to a hundred, the rows' largest, round at 1e-5 of what their exponential is. */
Test(ctc, is_alike_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (cases[i].frames * cases[i].classes < 400)
            kiln_expect_gradient(spelled, &cases[i], cases[i].why);
        kiln_expect_devices_agree(spelled, &cases[i], true, 3e-5, cases[i].why);
    }
}

/* The sum over all alignments, frame by frame: what each says, -infinity beyond what is spelled. */
static double by_hand(const double *x, int frames, int classes, const int32_t *label, int labels)
{
    int path[8] = {0};
    double total = 0;
    for (;;) {
        int spelled[8], count = 0;
        double product = 1;
        for (int t = 0; t < frames; t++) {
            if (path[t] && (t == 0 || path[t] != path[t - 1]))
                spelled[count++] = path[t];
            product *= exp(x[t * classes + path[t]]);
        }
        bool same = count == labels;
        for (int i = 0; i < count && same; i++)
            same = spelled[i] == label[i];
        total += same ? product : 0;
        int t = 0;
        while (t < frames && ++path[t] == classes)
            path[t++] = 0;
        if (t == frames)
            return -log(total);
    }
}

enum { FRAMES = 5, CLASSES = 3, SEQUENCES = 5 };
static const int32_t labels[SEQUENCES][3] = {{1, 2, 1}, {1, 1, 0}, {2, 2, 2}, {0}, {2, 0, 0}};
static const int32_t sizes[2][SEQUENCES] = {{5, 4, 5, 3, 5}, {3, 2, 3, 0, 1}};

static kiln_tensor known(kiln_graph *g, const void *values)
{
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(FRAMES, SEQUENCES, CLASSES), values);
    return kiln_ctc_loss(g, x, whole(g, KILN_SHAPE(SEQUENCES, 3), labels[0]),
                         whole(g, KILN_SHAPE(SEQUENCES), sizes[0]), whole(g, KILN_SHAPE(SEQUENCES), sizes[1]),
                         &(kiln_ctc_params){.reduction = KILN_LOSS_EACH});
}

Test(ctc, is_the_sum_over_all_alignments)
{
    float x[FRAMES * SEQUENCES * CLASSES];
    double want[SEQUENCES], own[FRAMES * CLASSES];
    for (size_t i = 0; i < KILN_COUNT(x); i++)
        x[i] = -0.25f * (float)(i * 5 % 11);
    for (int n = 0; n < SEQUENCES; n++) {
        for (int t = 0; t < FRAMES; t++)
            for (int c = 0; c < CLASSES; c++)
                own[t * CLASSES + c] = x[(t * SEQUENCES + n) * CLASSES + c];
        want[n] = by_hand(own, sizes[0][n], CLASSES, labels[n], sizes[1][n]);
    }
    kiln_expect_values(known, x, want, SEQUENCES, 1e-12, "all alignments");
}

/* What cannot be spelled, no frames, lengths and labels that do not fit. */
static const int32_t odd_label[6][2] = {{1, 1}, {1, 2}, {0, 0}, {1, 1}, {1, 7}, {1, -1}};
static const int32_t odd_size[2][6] = {{2, 0, 0, 4, 3, 3}, {2, 1, 0, 1, 2, 2}};

static kiln_tensor odd(kiln_graph *g, const void *forgives)
{
    const kiln_tensor x = kiln_scale(g, kiln_test_input(g, KILN_SHAPE(3, 6, 3)), 0);
    const kiln_ctc_params p = {.forgives = *(const bool *)forgives, .reduction = KILN_LOSS_EACH};
    kiln_tensor dx;
    const kiln_tensor y =
        kiln_ctc_loss(g, x, whole(g, KILN_SHAPE(6, 2), odd_label[0]), whole(g, KILN_SHAPE(6), odd_size[0]),
                      whole(g, KILN_SHAPE(6), odd_size[1]), &p);
    kiln_gradient(g, kiln_sum(g, y, NULL), KILN_NONE, &x, 1, &dx);
    const kiln_tensor sums = kiln_sum(g, dx, &(kiln_reduce_params){.axes = {2, {0, 2}}});
    return kiln_concat(g, (const kiln_tensor[]){y, sums}, 2, 0);
}

Test(ctc, what_cannot_be_is_infinite_or_forgiven_and_what_does_not_fit_is_no_number)
{
    const double strict[] = {INFINITY, INFINITY, 0, NAN, NAN, NAN, NAN, 0, 0, NAN, NAN, NAN};
    const double mild[] = {0, 0, 0, NAN, NAN, NAN, 0, 0, 0, NAN, NAN, NAN};
    for (int forgives = 0; forgives < 2; forgives++) {
        const bool mode = forgives;
        const double *want = forgives ? mild : strict;
        kiln_expect_values(odd, &mode, want, 12, 1e-12, forgives ? "forgiven" : "strict");
        for (int d = 0; kiln_test_device(d); d++) {
            kiln_device *dev = kiln_test_open(kiln_test_device(d));
            double *got = kiln_test_eval(odd, &mode, dev, NULL);
            kiln_expect_close(got, want, 12, 1e-6, kiln_test_device(d));
            free(got);
            kiln_test_close(&dev);
        }
    }
}

/* More states than shared memory holds, so many frames that time is cut under KILN_LIMITS=tiny. */
static const struct ctc_case far[] = {{40, 9, 530, true, "a long row"}, {700, 401, 20, true, "many frames"}};

static kiln_tensor spelled_far(kiln_graph *g, const void *one_case)
{
    const struct ctc_case *c = one_case;
    int32_t *label = malloc((size_t)(2 * c->labels) * sizeof *label);
    const int32_t most = (int32_t)(c->labels < c->frames ? c->labels : c->frames / 2);
    const int32_t frames[] = {(int32_t)c->frames, (int32_t)c->frames - 3}, count[] = {most, most / 2};
    for (int i = 0; i < 2 * c->labels; i++)
        label[i] = (int32_t)(1 + i * 7 / 2 % (c->classes - 1));
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(c->frames, 2, c->classes));
    const kiln_ctc_params p = {.logits = true, .forgives = true, .reduction = KILN_LOSS_MEAN};
    const kiln_tensor y = kiln_ctc_loss(g, x, whole(g, KILN_SHAPE(2, c->labels), label),
                                        whole(g, KILN_SHAPE(2), frames), whole(g, KILN_SHAPE(2), count), &p);
    free(label);
    return y;
}

Test(ctc, long_rows_and_many_frames_go_piece_by_piece)
{
    for (size_t i = 0; i < KILN_COUNT(far); i++)
        kiln_expect_devices_agree(spelled_far, &far[i], true, 3e-5, far[i].why);
}

/* No lengths of frames: all, whatever the symbol T is. */
static kiln_tensor all_frames(kiln_graph *g, const void *given)
{
    const int32_t frames[] = {6, 6}, count[] = {2, 1};
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(6, 2, 4));
    return kiln_ctc_loss(g, x, whole(g, KILN_SHAPE(2, 2), (const int32_t[]){1, 3, 2, 2}),
                         *(const bool *)given ? whole(g, KILN_SHAPE(2), frames) : KILN_NONE,
                         whole(g, KILN_SHAPE(2), count), &(kiln_ctc_params){.logits = true});
}

Test(ctc, without_lengths_all_frames_count)
{
    kiln_shape shape;
    double *want = kiln_test_eval(all_frames, &(bool){true}, NULL, &shape);
    kiln_expect_values(all_frames, &(bool){false}, want, 1, 0, "all frames");
    free(want);
}

Test(ctc, misfits_are_named)
{
    static const struct {
        const char *says;
        kiln_shape target, labels;
        int blank;
    } misfits[] = {{"wanted [T, N, C] and [N, S]", {2, {3, 2}}, {1, {4}}, 0},
                   {"class 5 is blank", {2, {4, 2}}, {1, {4}}, 5},
                   {"wanted [N]", {2, {4, 2}}, {2, {4, 1}}, 0},
                   {"another N", {2, {4, 2}}, {1, {3}}, 0}};
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (size_t i = 0; i < KILN_COUNT(misfits); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(7, 4, 5)),
                          t = kiln_input(g, "t", KILN_I32, misfits[i].target),
                          n = kiln_input(g, "n", KILN_I32, misfits[i].labels);
        const kiln_tensor y =
            kiln_ctc_loss(g, x, t, KILN_NONE, n, &(kiln_ctc_params){.blank = misfits[i].blank});
        cr_expect(y.id == 0 && strstr(kiln_graph_error(g), misfits[i].says), "%s: %s", misfits[i].says,
                  kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
