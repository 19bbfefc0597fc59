/* sizes.c - one program at many sizes: plans are kept, few of them, and pipelines serve them all. */
#include "base/rng.h"
#include "program/program.h"
#include "program/rig.h"

enum { LONGEST = 24, MOST = 4, WIDTH = 16, PLANS = 16 };

/* A layer of a Transformer over `sequences` of `length` tokens each. */
static kiln_tensor build(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, kiln_dim(g, "length"), WIDTH));
    return kiln_nn_encoder_layer(
        g, *x,
        &(kiln_nn_transformer_params){.attention = {.heads = 2}, .hidden = 2 * WIDTH, .name = "layer"});
}

static void run(kiln_program *p, kiln_tensor x, int sequences, int length)
{
    static float tokens[MOST * LONGEST * WIDTH];
    TRY(kiln_program_write(p, x, FLOATS(tokens, sequences, length, WIDTH)));
    TRY(kiln_program_run(p));
    TRY(kiln_program_wait(p));
}

/* Memory of the device that a program at its largest size takes, the weights' with it. */
static uint64_t memory_of_one(kiln_device *dev, const kiln_graph *g, kiln_weights *w, kiln_tensor x,
                              kiln_tensor y)
{
    kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
    run(p, x, MOST, LONGEST);
    const uint64_t used = kiln_device_memory_used(dev);
    kiln_program_destroy(&p);
    return used;
}

Test(sizes, a_thousand_of_them_run_in_bounded_memory)
{
    kiln_graph *g = new_graph();
    kiln_tensor x, y = build(g, &x);
    kiln_weights *w = new_weights(g, 1);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        const uint64_t one = memory_of_one(dev, g, w, x, y);
        const int count = strcmp(kiln_test_device(d), "cpu") ? 100 : 1000; /* a plan takes drivers a while */
        kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
        struct kiln_rng rng;
        kiln_rng_init(&rng, 7, 0);
        for (int i = 0; i < count; i++) {
            run(p, x, 1 + (int)kiln_rng_below(&rng, MOST), 1 + (int)kiln_rng_below(&rng, LONGEST));
            cr_assert_leq(p->ready.count, PLANS, "%s: %d plans", kiln_test_device(d), p->ready.count);
            cr_assert_leq(kiln_device_memory_used(dev), (PLANS + 1) * one, "%s, after %d sizes",
                          kiln_test_device(d), i);
        }
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(sizes, a_size_that_was_seen_keeps_its_plan)
{
    kiln_graph *g = new_graph();
    kiln_tensor x, y = build(g, &x);
    kiln_weights *w = new_weights(g, 1);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
    run(p, x, MOST,
        LONGEST); /* the largest: one that needed more scratch memory would take it from those before */
    const struct kiln_ready *first = p->last;
    for (int i = 0; i < PLANS - 1; i++)
        run(p, x, 1, 1 + i);
    run(p, x, MOST, LONGEST);
    cr_expect_eq(p->last, first, "still there among %d", PLANS);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

/* Whether elements fill a shape of other symbols is told where a program is planned for numbers. */
Test(sizes, at_which_elements_do_not_fill_a_shape_are_refused)
{
    static const struct {
        int rows, columns, wanted; /* of x [rows, columns], and what it is to fill */
        bool fits;
    } cases[] = {{4, 6, 24, true}, {2, 3, 6, true}, {4, 6, 18, false}, {2, 3, 12, false}, {6, 4, 24, true}};
    float values[24] = {0}, got[24];
    kiln_device *dev = kiln_test_open("cpu");
    kiln_graph *g = new_graph();
    const int64_t rows = kiln_dim(g, "rows"), columns = kiln_dim(g, "columns"),
                  wanted = kiln_dim(g, "wanted");
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(rows, columns)),
                      like = kiln_input(g, "like", KILN_F32, KILN_SHAPE(wanted)),
                      y = kiln_add(g, kiln_reshape(g, kiln_tanh(g, x), KILN_SHAPE(wanted)), like);
    kiln_weights *w = new_weights(g, 1);
    kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        TRY(kiln_program_write(p, x, FLOATS(values, cases[i].rows, cases[i].columns)));
        TRY(kiln_program_write(p, like, FLOATS(values, cases[i].wanted)));
        kiln_log_to(NULL, NULL, cases[i].fits ? KILN_LOG_WARNING : KILN_LOG_SILENT);
        const kiln_status status = kiln_program_run(p);
        cr_expect(status == (cases[i].fits ? KILN_OK : KILN_ERROR_SHAPE), "%zu: %s", i,
                  kiln_status_text(status));
        if (!status)
            TRY(kiln_program_read(p, y, &(kiln_array){.data = got, .bytes = sizeof got}));
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}
