/* tune.c - a tuner takes the fastest way that is right, in its time, and leaves weights and results as they were. */
#include "program/tune.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/own_folder.h"
#include "compiler/choose.h"
#include "program/rig.h"
#include "support/nets.h"

/* A clock on which one way is fast. */
struct fast {
    const char *of, *way;
    int asked;
};

static double clock_of(void *user, const char *of, const char *way)
{
    struct fast *f = user;
    f->asked++;
    return !strcmp(of, f->of) && !strcmp(way, f->way) ? 0.5 : 1;
}

struct rig {
    kiln_graph *g;
    kiln_weights *w;
    kiln_tensor x, y;
    float in[4 * 16 * 64];
};

/* A product over all channels, two convolutions by 3 x 3 of which the first is wide enough for transformed tiles, and a layer. */
static void rig_open(struct rig *r)
{
    r->g = new_graph();
    r->x = kiln_input(r->g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 16, 8, 8));
    kiln_tensor y =
        kiln_relu(r->g, kiln_nn_conv(r->g, r->x, &(kiln_nn_conv_params){.filters = 24, .size = {1, 1}}));
    y = kiln_nn_conv(r->g, y, &(kiln_nn_conv_params){.filters = 24, .size = {3, 3}, .same = true});
    y = kiln_relu(r->g, kiln_nn_batch_norm(r->g, y, NULL));
    y = kiln_nn_conv(r->g, y, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}});
    r->y = kiln_nn_dense(r->g, kiln_flatten(r->g, y, 1), &(kiln_nn_dense_params){.units = 10});
    r->w = new_weights(r->g, 4);
    for (int i = 0; i < 4 * 16 * 64; i++)
        r->in[i] = (float)(i * 37 % 101) / 50 - 1;
}

static void rig_close(struct rig *r)
{
    kiln_weights_destroy(&r->w);
    kiln_graph_destroy(&r->g);
}

static kiln_program *rig_program(struct rig *r, kiln_device *dev)
{
    kiln_program *p = new_program(dev, r->g, r->w, KILN_RUN(r->y), false);
    TRY(kiln_program_write(p, r->x, FLOATS(r->in, 4, 16, 8, 8)));
    return p;
}

static int count_kernel(const kiln_program *p, const char *kernel, const char *variant)
{
    const struct kiln_plan *plan = p->ready.data[0]->plan;
    int count = 0;
    for (int i = 0; i < plan->step.count; i++) {
        const kiln_dispatch *d = plan->step.data[i].dispatch;
        count += plan->step.data[i].kind == KILN_COMMAND_DISPATCH && !strcmp(d->kernel->name, kernel) &&
                 (!variant || !strcmp(d->variant->name, variant));
    }
    return count;
}

Test(tune, the_way_that_a_clock_says_is_fast_is_taken)
{
    static const kiln_tune_params params = {.again = true, .forget = true};
    struct rig r;
    kiln_device *dev = kiln_test_open("null");
    kiln_tune_report report;
    rig_open(&r);
    kiln_program *p = rig_program(&r, dev);
    TRY(kiln_program_tune_by(p, &params, &report, clock_of, &(struct fast){"matmul", "direct"}));
    TRY(kiln_program_run(p));
    cr_expect_eq(count_kernel(p, "matmul", "direct"), 2);
    cr_expect(report.tried >= 5 && report.left == 0 && report.wrong == 0, "%d", report.tried);
    cr_expect(report.changed == 2 && fabs(report.saved - 1) < 1e-9, "%d, %g", report.changed, report.saved);

    TRY(kiln_program_tune_by(p, &params, &report, clock_of, &(struct fast){"conv", "implicit"}));
    TRY(kiln_program_run(p));
    cr_expect_eq(count_kernel(p, "conv", NULL), 3, "no longer a product");
    cr_expect_eq(count_kernel(p, "matmul", "direct"), 0);
    kiln_program_destroy(&p);
    rig_close(&r);
    kiln_test_close(&dev);
}

/* A product that is kept as a state: it is tried, too, and the state stays what the last run left. */
Test(tune, what_outlives_a_run_is_tried_and_stays)
{
    float x[8 * 16], before[8 * 24], behind[8 * 24];
    kiln_graph *g = new_graph();
    const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(8, 16));
    const kiln_tensor kept = kiln_state(g, "kept", KILN_F32, KILN_SHAPE(8, 24), KILN_STORE_WEIGHTS);
    const kiln_tensor y = kiln_nn_dense(g, in, &(kiln_nn_dense_params){.units = 24, .no_bias = true});
    const kiln_tensor keep = kiln_assign(g, kept, y);
    kiln_weights *w = new_weights(g, 4);
    for (int i = 0; i < 8 * 16; i++)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_tune_report report;
    kiln_program *p = new_program(dev, g, w, KILN_RUN(keep), false);
    TRY(kiln_program_write(p, in, FLOATS(x, 8, 16)));
    TRY(kiln_program_run(p));
    TRY(kiln_weights_read(w, "kept", INTO(before)));
    TRY(kiln_program_tune(p, &(kiln_tune_params){.again = true, .forget = true}, &report));
    TRY(kiln_weights_read(w, "kept", INTO(behind)));
    cr_expect(report.tried > 0 && report.wrong == 0, "%d tried, %d wrong", report.tried, report.wrong);
    cr_expect_arr_eq(behind, before, sizeof before);
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(tune, what_is_known_is_not_tried_again)
{
    struct rig r;
    kiln_device *dev = kiln_test_open("null");
    kiln_tune_report first, second;
    struct fast fast = {"matmul", "tiled_64", 0};
    rig_open(&r);
    kiln_program *p = rig_program(&r, dev);
    TRY(kiln_program_tune_by(p, NULL, &first, clock_of, &fast));
    const int asked = fast.asked;
    TRY(kiln_program_tune_by(p, NULL, &second, clock_of, &fast));
    cr_expect(second.known == first.tried && second.tried == 0, "%d of %d", second.known, first.tried);
    cr_expect_eq(fast.asked, asked);
    kiln_program_destroy(&p);
    rig_close(&r);
    kiln_test_close(&dev);
}

Test(tune, results_agree)
{
    for (int d = 0; kiln_test_device(d); d++) {
        struct rig r;
        float before[40], after[40];
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_tune_report report;
        rig_open(&r);
        kiln_program *p = rig_program(&r, dev);
        TRY(kiln_program_run(p));
        TRY(kiln_program_read(p, r.y, INTO(before)));
        TRY(kiln_program_tune(p, &(kiln_tune_params){.budget = 20, .again = true, .forget = true}, &report));
        cr_expect(report.tried > 0 && report.wrong == 0, "%s: %d tried, %d wrong", kiln_test_device(d),
                  report.tried, report.wrong);
        TRY(kiln_program_run(p));
        TRY(kiln_program_read(p, r.y, INTO(after)));
        for (int i = 0; i < 40; i++)
            cr_expect(fabsf(before[i] - after[i]) <= 1e-4f, "%s: %g, then %g", kiln_test_device(d), before[i],
                      after[i]);
        kiln_program_destroy(&p);
        rig_close(&r);
        kiln_test_close(&dev);
    }
}

Test(tune, a_short_time_leaves_classes_open)
{
    struct rig r;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_tune_report report;
    float y[40];
    rig_open(&r);
    kiln_program *p = rig_program(&r, dev);
    TRY(kiln_program_tune(p, &(kiln_tune_params){.budget = 1e-9, .again = true, .forget = true}, &report));
    cr_expect(report.tried == 0 && report.left > 0, "%d tried, %d left", report.tried, report.left);
    TRY(kiln_program_run(p));
    TRY(kiln_program_read(p, r.y, INTO(y)));
    kiln_program_destroy(&p);
    rig_close(&r);
    kiln_test_close(&dev);
}

static uint64_t hash_of(kiln_weights *w)
{
    static unsigned char bytes[1 << 20];
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < kiln_weights_count(w); i++) {
        kiln_array a = {.data = bytes, .bytes = sizeof bytes};
        TRY(kiln_weights_read(w, kiln_weights_name(w, i), &a));
        const size_t count = (size_t)kiln_shape_count(&a.shape) * kiln_type_size(a.type);
        for (size_t k = 0; k < count; k++)
            hash = (hash ^ bytes[k]) * 1099511628211u;
    }
    return hash;
}

/* Filters of 3 x 3 in too few channels for transformed tiles to be the usual way. */
static kiln_tensor few_channels(kiln_graph *g, kiln_tensor x)
{
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 8, .size = {3, 3}, .stride = {2, 2}});
    x = kiln_relu(g, kiln_nn_batch_norm(g, x, NULL));
    x = kiln_relu(g, kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 12, .size = {3, 3}}));
    x = kiln_dropout(g, x, 0.25);
    return kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 10});
}

/* Tune a training step, which must not step, then train; the ways by a clock, so that each call chooses alike. */
static uint64_t train_tuned(const char *device, int threads, const char *of, const char *way)
{
    enum { BATCH = 16, STEPS = 4 };
    struct kiln_test_learner l = kiln_test_learner(few_channels, &(kiln_minimize_params){.by = KILN_ADAM});
    double loss[STEPS];
    kiln_device *dev = NULL;
    kiln_tune_report report;
    TRY(kiln_device_open(&dev, &(kiln_device_params){.name = device, .threads = threads, .cache = ""}));
    kiln_program *p = new_program(dev, l.g, l.weights, KILN_RUN(l.step, l.loss), true);
    kiln_test_train(&l, p, BATCH, 1, loss);
    const uint64_t before = hash_of(l.weights);
    TRY(kiln_program_tune_by(p, NULL, &report, clock_of, &(struct fast){of, way}));
    cr_expect(report.changed > 0, "%s %s", of, way);
    cr_expect_eq(hash_of(l.weights), before, "tuning moved the weights");
    kiln_test_train(&l, p, BATCH, STEPS, loss);
    const uint64_t after = hash_of(l.weights);
    cr_expect_neq(after, before);
    kiln_program_destroy(&p);
    kiln_test_learner_finish(&l);
    kiln_test_close(&dev);
    return after;
}

Test(tune, training_keeps_its_bits_with_any_number_of_threads)
{
    const uint64_t one = train_tuned("cpu", 1, "conv", "winograd");
    for (int threads = 2; threads <= 3; threads++)
        cr_expect_eq(train_tuned("cpu", threads, "conv", "winograd"), one, "%d threads", threads);
}

Test(tune, choices_are_kept_for_the_next_device_and_refused_where_there_is_no_room)
{
    struct rig r;
    kiln_device *dev = NULL, *later = NULL;
    kiln_tune_report report;
    open_folder();
    rig_open(&r);
    TRY(kiln_device_open(&dev, &(kiln_device_params){.name = "cpu", .cache = folder}));
    kiln_program *p = rig_program(&r, dev);
    TRY(kiln_program_tune_by(p, NULL, &report, clock_of, &(struct fast){"conv", "implicit"}));
    TRY(kiln_program_run(p));
    const int tuned = count_kernel(p, "conv", NULL);
    kiln_program_destroy(&p);
    TRY(kiln_device_open(&later, &(kiln_device_params){.name = "cpu", .cache = folder, .threads = 2}));
    p = rig_program(&r, later);
    TRY(kiln_program_run(p));
    cr_expect(tuned == 3 && count_kernel(p, "conv", NULL) == tuned, "%d, then %d", tuned,
              count_kernel(p, "conv", NULL));
    kiln_program_destroy(&p);
    rig_close(&r);
    kiln_test_close(&dev);
    kiln_test_close(&later);
    leave_folder();
}

Test(tune, choices_travel_as_text)
{
    struct rig r;
    kiln_device *dev = kiln_test_open("null"), *other = kiln_test_open("null");
    rig_open(&r);
    kiln_program *p = rig_program(&r, dev), *again = rig_program(&r, other);
    char *none = kiln_program_choices(p);
    cr_expect_str_eq(none, "");
    TRY(kiln_program_tune_by(p, NULL, NULL, clock_of, &(struct fast){"matmul", "direct"}));
    char *text = kiln_program_choices(p);
    TRY(kiln_program_choose(again, text));
    TRY(kiln_program_run(again));
    cr_expect_eq(count_kernel(again, "matmul", "direct"), 2);
    char *same = kiln_program_choices(again);
    cr_expect_str_eq(same, text);
    keep_lines();
    EXPECT_REFUSED(kiln_program_choose(again, "variant matmul direct"), KILN_ERROR_ARGUMENT, "variant matmul",
                   "choices");
    TRY(kiln_program_choose(again, "variant none 0123456789abcdef direct\n"));
    TRY(kiln_program_run(again));
    cr_expect_eq(count_kernel(again, "matmul", "direct"), 0);
    free(none);
    free(text);
    free(same);
    kiln_program_destroy(&p);
    kiln_program_destroy(&again);
    rig_close(&r);
    kiln_test_close(&dev);
    kiln_test_close(&other);
}

Test(tune, what_has_nothing_to_choose_is_refused)
{
    struct rig r;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    rig_open(&r);
    TRY(kiln_program_create(&p, dev, r.g, r.w,
                            &(kiln_program_params){.run = KILN_RUN(r.y), .precision = KILN_PRECISION_F64}));
    keep_lines();
    EXPECT_REFUSED(kiln_program_tune(p, NULL, NULL), KILN_ERROR_ARGUMENT, "float64", "tune");
    kiln_program_destroy(&p);
    TRY(kiln_program_create(&p, dev, r.g, r.w, &(kiln_program_params){.run = KILN_RUN(r.y)}));
    EXPECT_REFUSED(kiln_program_tune(p, NULL, NULL), KILN_ERROR_ARGUMENT, "\"x\"", "never written");
    kiln_program_destroy(&p);
    rig_close(&r);
    kiln_test_close(&dev);
}

/* An operator of this test's own, y = 2 x, whose usual way alone wants scratch. */
enum { ROOM = 256 };

static uint64_t twice_units(const kiln_dispatch *d)
{
    return d->block.words[0];
}

static uint64_t twice_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps, (void)d;
    return ROOM * sizeof(float);
}

static void twice_plain(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)d, (void)worker;
    for (size_t i = first; i < first + count; i++)
        ((float *)m->at[1])[i] = 2 * ((const float *)m->at[0])[i];
}

static void twice_roomy(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    for (int i = 0; i < ROOM; i++)
        ((float *)m->scratch)[i] = NAN;
    twice_plain(d, m, first, count, worker);
}

static const kiln_variant roomy = {.name = "roomy",
                                   .scratch = twice_scratch,
                                   .run = twice_roomy,
                                   .grain = 1 << 20},
                          plain = {.name = "plain", .run = twice_plain};
static const kiln_kernel twice_kernel = {.name = "twice",
                                         .block_size = sizeof(uint32_t),
                                         .bindings = 2,
                                         .access = {KILN_READ, KILN_WRITE},
                                         .units = twice_units,
                                         .cpu = (const kiln_variant *const[]){&roomy, &plain, NULL}};

static kiln_status twice_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static kiln_status twice_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec y = kiln_plan_spec(plan, n->out[0]);
    return kiln_plan_dispatch(plan, &(kiln_dispatch){.kernel = &twice_kernel,
                                                     .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
                                                     .block_size = sizeof(uint32_t),
                                                     .block.words = {(uint32_t)kiln_shape_count(&y.shape)}});
}

static const kiln_op twice = {.name = "twice",
                              .inputs = 1,
                              .outputs = 1,
                              .infer = twice_infer,
                              .lowerings = (const kiln_lowering[]){{.name = "twice", .lower = twice_lower}},
                              .lowering_count = 1};

Test(tune, the_usual_way_has_its_scratch_where_another_is_remembered)
{
    static const kiln_tune_params again = {.again = true, .forget = true};
    const float in[4] = {1, 2, 3, 4};
    float out[4];
    kiln_graph *g = new_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(4));
    const kiln_tensor y = kiln_append(g, &twice, &x, 1, NULL, 0);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_weights *w = new_weights(g, 1);
    kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
    kiln_tune_report report;
    TRY(kiln_program_write(p, x, FLOATS(in, 4)));
    for (int i = 0; i < 4; i++) {
        const char *way = i % 2 ? "roomy" : "plain";
        TRY(kiln_program_tune_by(p, &again, &report, clock_of, &(struct fast){"twice", way}));
        cr_expect(report.tried == 1 && report.wrong == 0, "%d tried, %d wrong", report.tried, report.wrong);
        TRY(kiln_program_run(p));
        cr_expect_eq(count_kernel(p, "twice", way), 1, "%s", way);
        TRY(kiln_program_read(p, y, INTO(out)));
        cr_expect(out[0] == 2 && out[3] == 8, "%g %g", out[0], out[3]);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}
