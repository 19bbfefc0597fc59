/* program.c - inputs, sizes, plans and their memory; what is refused, and how that is said. */
#include "program/program.h"

#include <kiln/arrange.h>

#include "program/rig.h"

/* y = sum of x over its rows, and z = x + s. */
struct net {
    kiln_graph *g;
    kiln_weights *w;
    kiln_tensor x, s, y, z;
};

static struct net make(void)
{
    struct net n = {.g = new_graph()};
    n.x = kiln_input(n.g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4));
    n.s = kiln_input(n.g, "s", KILN_F32, KILN_SHAPE(KILN_BATCH, 1));
    n.y = kiln_sum(n.g, n.x, NULL);
    n.z = kiln_sum(n.g, kiln_add(n.g, n.x, n.s), NULL);
    n.w = new_weights(n.g, 1);
    return n;
}

static void finish(struct net *n)
{
    kiln_weights_destroy(&n->w);
    kiln_graph_destroy(&n->g);
}

static float many[64 * 4];

Test(program, an_input_keeps_what_was_last_written)
{
    struct net n = make();
    const float x[] = {1, 2, 3, 4}, s[] = {1}, t[] = {10};
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *p = new_program(dev, n.g, n.w, KILN_RUN(n.z), false);
        TRY(kiln_program_write(p, n.x, FLOATS(x, 1, 4)));
        TRY(kiln_program_write(p, n.s, FLOATS(s, 1, 1)));
        for (int i = 0; i < 3; i++) {
            TRY(kiln_program_run(p));
            cr_expect_eq(result(p, n.z), 14);
        }
        TRY(kiln_program_write(p, n.s, FLOATS(t, 1, 1)));
        TRY(kiln_program_run(p));
        cr_expect_eq(result(p, n.z), 50);
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
    }
    finish(&n);
}

/* Nothing reads `like`, but the sum is over as many copies of s as it has rows; `other` is not asked for. */
Test(program, an_input_whose_size_alone_is_wanted_gives_it)
{
    kiln_graph *g = new_graph();
    const int64_t rows = kiln_dim(g, "rows");
    const kiln_tensor s = kiln_input(g, "s", KILN_F32, KILN_SHAPE(1));
    const kiln_tensor like = kiln_input(g, "like", KILN_F32, KILN_SHAPE(rows, 2));
    kiln_input(g, "other", KILN_F32, KILN_SHAPE(kiln_dim(g, "more")));
    const kiln_tensor y = kiln_sum(g, kiln_expand(g, s, KILN_SHAPE(rows)), NULL);
    const float three[] = {3}, many_rows[10] = {0};
    kiln_weights *w = new_weights(g, 1);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
        cr_expect_eq(kiln_program_input_count(p), 2);
        TRY(kiln_program_write(p, s, FLOATS(three, 1)));
        for (int count = 5; count > 0; count -= 3) {
            TRY(kiln_program_write(p, like, FLOATS(many_rows, count, 2)));
            TRY(kiln_program_run(p));
            cr_expect_eq(result(p, y), 3 * count);
        }
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(program, the_next_batch_can_be_written_while_one_runs)
{
    struct net n = make();
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *p = new_program(dev, n.g, n.w, KILN_RUN(n.y), false);
        for (int i = 0; i < 20; i++) {
            const float x[] = {(float)i, 1, 1, 1}, next[] = {-1, -1, -1, -1};
            TRY(kiln_program_write(p, n.x, FLOATS(x, 1, 4)));
            TRY(kiln_program_run(p));
            TRY(kiln_program_write(p, n.x, FLOATS(next, 1, 4)));
            cr_expect_eq(result(p, n.y), i + 3, "a write does not reach the run before it");
        }
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
    }
    finish(&n);
}

Test(program, inputs_that_do_not_fit_are_named)
{
    struct net n = make();
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = new_program(dev, n.g, n.w, KILN_RUN(n.z), false),
                 *y = new_program(dev, n.g, n.w, KILN_RUN(n.y), false);
    float got[1];
    keep_lines();
    EXPECT_REFUSED(kiln_program_run(p), KILN_ERROR_ARGUMENT, "\"x\"", "never written");
    EXPECT_REFUSED(kiln_program_read(p, n.z, INTO(got)), KILN_ERROR_ARGUMENT, "nothing was run", "");
    EXPECT_REFUSED(kiln_program_write(p, n.x, FLOATS(many, 2, 5)), KILN_ERROR_SHAPE, "[batch, 4]", "[2, 5]");
    EXPECT_REFUSED(
        kiln_program_write(p, n.x, &(kiln_array){.data = many, .type = KILN_I32, .shape = KILN_SHAPE(2, 4)}),
        KILN_ERROR_SHAPE, "f32", "i32");
    EXPECT_REFUSED(kiln_program_write(p, n.x,
                                      &(kiln_array){.data = many, .bytes = 31, .shape = KILN_SHAPE(2, 4)}),
                   KILN_ERROR_ARGUMENT, "32", "31");
    EXPECT_REFUSED(kiln_program_write(p, n.y, FLOATS(many, 1)), KILN_ERROR_ARGUMENT, "no input", "");
    EXPECT_REFUSED(kiln_program_write(y, n.s, FLOATS(many, 2, 1)), KILN_ERROR_ARGUMENT, "no input", "");
    TRY(kiln_program_write(p, n.x, FLOATS(many, 2, 4)));
    TRY(kiln_program_write(p, n.s, FLOATS(many, 3, 1)));
    EXPECT_REFUSED(kiln_program_run(p), KILN_ERROR_SHAPE, "2 in input \"x\"", "3 in input \"s\"");
    TRY(kiln_program_write(p, n.s, FLOATS(many, 2, 1)));
    TRY(kiln_program_run(p));
    EXPECT_REFUSED(kiln_program_read(p, n.y, INTO(got)), KILN_ERROR_ARGUMENT, "not in its run list", "");
    EXPECT_REFUSED(kiln_program_read(p, n.z, &(kiln_array){.data = got, .bytes = 2}), KILN_ERROR_SHAPE, "4",
                   "2");
    kiln_program_destroy(&p);
    kiln_program_destroy(&y);
    kiln_device_close(&dev);
    finish(&n);
}

Test(program, run_lists_and_weights_that_do_not_fit_are_refused)
{
    struct net n = make();
    kiln_graph *other = new_graph();
    kiln_tensor foreign = kiln_parameter(other, "q", KILN_SHAPE(3), NULL), y = kiln_exp(other, foreign);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p;
    keep_lines();
    EXPECT_REFUSED(kiln_program_create(&p, dev, n.g, n.w, NULL), KILN_ERROR_ARGUMENT, "run list is empty",
                   "");
    EXPECT_REFUSED(kiln_program_create(&p, dev, n.g, n.w, &(kiln_program_params){.run = KILN_RUN(foreign)}),
                   KILN_ERROR_ARGUMENT, "another graph", "");
    EXPECT_REFUSED(kiln_program_create(&p, dev, other, n.w, &(kiln_program_params){.run = KILN_RUN(y)}),
                   KILN_ERROR_ARGUMENT, "no parameter \"q\"", "");
    kiln_add(n.g, n.x, kiln_input(n.g, "bad", KILN_F32, KILN_SHAPE(7)));
    EXPECT_REFUSED(kiln_program_create(&p, dev, n.g, n.w, &(kiln_program_params){.run = KILN_RUN(n.y)}),
                   KILN_ERROR_SHAPE, "failed", "[7]");
    cr_expect_null(p);
    kiln_graph_destroy(&other);
    kiln_device_close(&dev);
    finish(&n);
}

Test(program, sixteen_sets_of_sizes_are_kept_and_the_least_recently_used_goes)
{
    struct net n = make();
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = new_program(dev, n.g, n.w, KILN_RUN(n.y), false);
    for (int i = 0; i < 64 * 4; i++)
        many[i] = 1;
    for (int rows = 20; rows >= 1; rows--) {
        TRY(kiln_program_write(p, n.x, FLOATS(many, rows, 4)));
        TRY(kiln_program_run(p));
        cr_expect_eq(result(p, n.y), 4 * rows);
        TRY(kiln_program_write(p, n.x, FLOATS(many, 20, 4)));
        TRY(kiln_program_run(p));
        cr_expect_leq(p->ready.count, 16);
    }
    bool kept[21] = {false};
    for (int i = 0; i < p->ready.count; i++)
        kept[p->ready.data[i]->size[0]] = true;
    cr_expect(kept[20] && kept[1] && kept[15] && !kept[16] && !kept[19]);
    kiln_program_destroy(&p);
    kiln_device_close(&dev);
    finish(&n);
}

Test(program, scratch_grows_and_is_shared)
{
    kiln_graph *g = new_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)),
                y = kiln_mean(g, kiln_square(g, x), NULL);
    kiln_weights *w = new_weights(g, 1);
    for (int i = 0; i < 64 * 4; i++)
        many[i] = 2;
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
        const int rows[] = {8, 4, 64, 8, 0, 64};
        for (size_t i = 0; i < KILN_COUNT(rows); i++) {
            TRY(kiln_program_write(p, x, FLOATS(many, rows[i], 4)));
            TRY(kiln_program_run(p));
            cr_expect(rows[i] ? result(p, y) == 4 : isnan(result(p, y)), "%d rows: %g", rows[i],
                      result(p, y));
            for (int k = 0; k < p->ready.count; k++)
                cr_expect(p->ready.data[k]->scratch == p->scratch || p->ready.data[k]->scratch == NULL);
        }
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(program, integers_beyond_32_bits_are_refused)
{
    kiln_graph *g = new_graph();
    kiln_tensor i = kiln_input(g, "index", KILN_I64, KILN_SHAPE(2)), y = kiln_add(g, i, i);
    kiln_weights *w = new_weights(g, 1);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = new_program(dev, g, w, KILN_RUN(y), false);
    int64_t good[] = {-5, 1000000000}, bad[] = {1, (int64_t)1 << 31}, got[2];
    TRY(kiln_program_write(p, i, &(kiln_array){.data = good, .type = KILN_I64, .shape = KILN_SHAPE(2)}));
    TRY(kiln_program_run(p));
    kiln_array to = {.data = got, .bytes = sizeof got};
    TRY(kiln_program_read(p, y, &to));
    cr_expect(to.type == KILN_I64 && got[0] == -10 && got[1] == 2000000000);
    keep_lines();
    EXPECT_REFUSED(kiln_program_write(p, i,
                                      &(kiln_array){.data = bad, .type = KILN_I64, .shape = KILN_SHAPE(2)}),
                   KILN_ERROR_ARGUMENT, "\"index\"", "2147483648");
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

/* The weights of a resize are as many as its results are long: half a million million would be computed first. */
Test(program, a_budget_is_refused_before_tables_are_made)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    TRY(kiln_graph_create(&g, NULL));
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3));
    kiln_output(g, "y",
                kiln_resize(g, x,
                            &(kiln_resize_params){.axes = {.axis = {0}, .count = 1},
                                                  .size = {INT64_C(1) << 39}}));
    TRY(kiln_graph_status(g));
    TRY(kiln_weights_create(&w, g, NULL));
    keep_lines();
    EXPECT_REFUSED(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.budget = 1 << 20}),
                   KILN_ERROR_MEMORY, "needs 2199023255552 bytes for resize", "1048576");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

/* 6 TB in pieces that a binding may cover are some hundred thousand dispatches, which were put in order first. */
Test(program, a_budget_is_refused_before_pieces_are_made)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("null");
    TRY(kiln_graph_create(&g, NULL));
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, 4));
    kiln_output(g, "y", kiln_tile(g, x, (const int64_t[]){2, INT64_C(1) << 37}));
    TRY(kiln_graph_status(g));
    TRY(kiln_weights_create(&w, g, NULL));
    keep_lines();
    EXPECT_REFUSED(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.budget = 1 << 20}),
                   KILN_ERROR_MEMORY, "needs 6597069766656 bytes for expand", "1048576");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

Test(program, more_elements_than_can_be_counted_are_refused)
{
    const int64_t large = INT64_C(1) << 31;
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    TRY(kiln_graph_create(&g, NULL));
    const kiln_tensor x = kiln_input(g, "x", KILN_U8, KILN_SHAPE(large, 2, large, 4));
    kiln_output(g, "y", kiln_argmin_last(g, x, 0, true));
    TRY(kiln_graph_status(g));
    TRY(kiln_weights_create(&w, g, NULL));
    keep_lines();
    EXPECT_REFUSED(kiln_program_create(&p, dev, g, w, NULL), KILN_ERROR_MEMORY,
                   "more elements than can be counted", "[2147483648, 2, 2147483648, 4]");
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

Test(program, a_budget_is_refused_beforehand_and_the_need_is_stated)
{
    struct net n = make();
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    const kiln_size sizes[] = {{KILN_BATCH, 1000}};
    kiln_program_params params = {.run = KILN_RUN(n.z), .sizes = sizes, .size_count = 1, .budget = 10000};
    keep_lines();
    EXPECT_REFUSED(kiln_program_create(&p, dev, n.g, n.w, &params), KILN_ERROR_MEMORY, "needs", "10000");
    cr_expect_null(p);
    params.budget = 1000000;
    TRY(kiln_program_create(&p, dev, n.g, n.w, &params));
    kiln_program_memory used;
    TRY(kiln_program_memory_used(p, &used));
    cr_expect(used.scratch >= used.lower_bound &&
              used.scratch + used.staging + used.weights + used.constants <= 1000000);
    kiln_program_destroy(&p);
    kiln_device_close(&dev);
    finish(&n);
}

Test(program, a_device_without_memory_says_so_and_stays_usable)
{
    setenv("KILN_LIMITS", "memory=1M", 1);
    struct net n = make();
    static float large[1000 * 1000];
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *p = new_program(dev, n.g, n.w, KILN_RUN(n.y), false);
        keep_lines();
        kiln_status status = kiln_program_write(p, n.x, FLOATS(large, 250000, 4));
        status = status ? status : kiln_program_run(p);
        cr_expect_eq(status, KILN_ERROR_MEMORY, "%s", kiln_status_text(status));
        kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
        for (int i = 0; i < 4; i++)
            many[i] = 3;
        TRY(kiln_program_write(p, n.x, FLOATS(many, 1, 4)));
        TRY(kiln_program_run(p));
        cr_expect_eq(result(p, n.y), 12);
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
    }
    finish(&n);
}

static kiln_status refuse_to_submit(kiln_device *dev, struct kiln_baked *const *work, int count,
                                    kiln_ticket *ticket)
{
    (void)dev, (void)work, (void)count, (void)ticket;
    return KILN_ERROR_DEVICE;
}

Test(program, the_run_before_one_that_was_not_submitted_is_still_waited_for)
{
    struct net n = make();
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        const struct kiln_device_ops *whole = dev->ops;
        struct kiln_device_ops broken = *whole;
        broken.submit = refuse_to_submit;
        kiln_program *p = new_program(dev, n.g, n.w, KILN_RUN(n.y), false);
        for (int i = 0; i < 4; i++)
            many[i] = 3;
        TRY(kiln_program_write(p, n.x, FLOATS(many, 1, 4)));
        TRY(kiln_program_run(p));
        const kiln_ticket running = p->ticket;
        dev->ops = &broken;
        cr_expect_eq(kiln_program_run(p), KILN_ERROR_DEVICE);
        dev->ops = whole;
        cr_expect(p->ticket == running && running, "%s", kiln_test_device(d));
        cr_expect_eq(result(p, n.y), 12);
        kiln_program_destroy(&p);
        kiln_test_close(&dev);
    }
    finish(&n);
}

/* y = x exp(w): the exponentials are the plan's own, and w itself is read no more. */
Test(program, weights_that_are_given_up_serve_the_plan_that_has_them_in_its_own_form_alone)
{
    enum { ROWS = 256, COLUMNS = 64 };
    static float values[ROWS * COLUMNS], x[2 * ROWS];
    for (int i = 0; i < ROWS * COLUMNS; i++)
        values[i] = -1;
    for (int i = 0; i < 2 * ROWS; i++)
        x[i] = 1;
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_graph *g = new_graph();
        const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, ROWS));
        const kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(ROWS, COLUMNS), NULL);
        const kiln_tensor y = kiln_sum(g, kiln_matmul(g, in, kiln_exp(g, w), NULL), NULL);
        kiln_weights *weights = new_weights(g, 1);
        kiln_program *p = NULL, *other = new_program(dev, g, weights, KILN_RUN(y), false);
        TRY(kiln_weights_write(weights, "w", FLOATS(values, ROWS, COLUMNS)));
        keep_lines();
        EXPECT_REFUSED(kiln_program_create(&p, dev, g, weights,
                                           &(kiln_program_params){.train = true, .give_up = true}),
                       KILN_ERROR_ARGUMENT, "trains", "give up");
        TRY(kiln_program_create(&p, dev, g, weights,
                                &(kiln_program_params){.run = KILN_RUN(y), .give_up = true}));
        TRY(kiln_program_write(p, in, FLOATS(x, 1, ROWS)));
        for (int i = 0; i < 3; i++) {
            TRY(kiln_program_run(p));
            cr_expect_float_eq(result(p, y), ROWS * COLUMNS * exp(-1),
                               1e-5 * ROWS * COLUMNS); /* float32 sums */
        }
        EXPECT_REFUSED(kiln_weights_read(weights, "w", INTO(values)), KILN_ERROR_ARGUMENT, "weights",
                       "give them up");
        EXPECT_REFUSED(kiln_weights_write(weights, "w", FLOATS(values, ROWS, COLUMNS)), KILN_ERROR_ARGUMENT,
                       "weights", "give them up");
        TRY(kiln_weights_add(weights, g));
        kiln_graph *more = new_graph();
        (void)kiln_parameter(more, "new", KILN_SHAPE(1), NULL);
        EXPECT_REFUSED(kiln_weights_add(weights, more), KILN_ERROR_ARGUMENT, "weights", "give them up");
        kiln_graph_destroy(&more);
        TRY(kiln_program_write(p, in, FLOATS(x, 2, ROWS)));
        EXPECT_REFUSED(kiln_program_run(p), KILN_ERROR_ARGUMENT, "given up", "the first run's sizes");
        TRY(kiln_program_write(p, in, FLOATS(x, 1, ROWS)));
        TRY(kiln_program_run(p));
        TRY(kiln_program_write(other, in, FLOATS(x, 1, ROWS)));
        EXPECT_REFUSED(kiln_program_run(other), KILN_ERROR_ARGUMENT, "given up", "another program");
        kiln_program_destroy(&p);
        EXPECT_REFUSED(kiln_program_run(other), KILN_ERROR_ARGUMENT, "given up", "another program");
        kiln_program_destroy(&other);
        kiln_weights_destroy(&weights);
        kiln_graph_destroy(&g);
        kiln_test_close(&dev);
    }
}
