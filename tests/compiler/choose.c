/* choose.c - a tuner's choices are obeyed where they accept, by those programs that are to, and the usual ways are taken elsewhere. */
#include "compiler/choose.h"
#include "compiler/plans.h"

static const struct kiln_step *first_of(const struct kiln_plan *plan, const char *kernel)
{
    for (int i = 0; i < plan->step.count; i++)
        if (plan->step.data[i].kind == KILN_COMMAND_DISPATCH &&
            !strcmp(plan->step.data[i].dispatch->kernel->name, kernel))
            return &plan->step.data[i];
    cr_assert(false, "the plan has no %s", kernel);
    return NULL;
}

static const char *variant_of(const struct kiln_plan *plan, const char *kernel)
{
    return first_of(plan, kernel)->dispatch->variant->name;
}

static const kiln_node *node_of(const struct kiln_plan *plan, const char *op)
{
    for (int i = 0; i < plan->graph->node.count; i++)
        if (!strcmp(plan->graph->node.data[i]->op->name, op))
            return plan->graph->node.data[i];
    cr_assert(false, "the plan has no %s", op);
    return NULL;
}

static void choose(kiln_device *dev, enum kiln_choice_kind kind, const char *of, uint64_t class,
                   const char *name)
{
    cr_assert_eq(kiln_choices_put(dev->choices, &(struct kiln_choice){kind, of, class, name}), KILN_OK);
}

static kiln_graph *products(kiln_tensor *y)
{
    kiln_graph *g = plan_graph();
    *y = kiln_nn_dense(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 300)),
                       &(kiln_nn_dense_params){.units = 200});
    return g;
}

static struct planned plan_tuned(kiln_device *dev, const kiln_graph *g, const kiln_tensor *run, bool train,
                                 kiln_tuned tuned)
{
    struct planned d = {.dev = dev};
    const kiln_size sizes[] = {{KILN_BATCH, 8}};
    cr_assert_eq(kiln_weights_create(&d.w, g, NULL), KILN_OK);
    cr_assert_eq(
        kiln_program_create(&d.p, dev, g, d.w,
                            &(kiln_program_params){
                                .run = run, .train = train, .sizes = sizes, .size_count = 1, .tuned = tuned}),
        KILN_OK);
    d.plan = d.p->ready.data[0]->plan;
    return d;
}

static void close_plan(struct planned *d)
{
    kiln_program_destroy(&d->p);
    kiln_weights_destroy(&d->w);
}

Test(choose, a_variant_that_was_chosen_is_taken_where_it_accepts)
{
    kiln_tensor y;
    kiln_graph *g = products(&y);
    kiln_device *dev = kiln_test_open("null");
    struct planned d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    const uint64_t class = kiln_dispatch_class(first_of(d.plan, "matmul")->dispatch);
    const char *usual = variant_of(d.plan, "matmul");
    cr_expect_str_eq(usual, "tiled_32_terms_terms");
    close_plan(&d);
    static const char *const wanted[][2] = {{"tiled_128", "tiled_128"}, /* accepts, though it would not pay */
                                            {"tiled_64", "tiled_64"},
                                            {"tiled_32", "tiled_32"},
                                            {"direct", "direct"},
                                            {"packed", "tiled_32_terms_terms"}, /* of another device */
                                            {"tiled_256", "tiled_32_terms_terms"}};
    for (size_t i = 0; i < KILN_COUNT(wanted); i++) {
        choose(dev, KILN_CHOICE_VARIANT, "matmul", class, wanted[i][0]);
        d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
        cr_expect_str_eq(variant_of(d.plan, "matmul"), wanted[i][1], "%s", wanted[i][0]);
        close_plan(&d);
    }
    kiln_device_close(&dev);
    setenv("KILN_LIMITS", "floor", 1);
    dev = kiln_test_open("null");
    choose(dev, KILN_CHOICE_VARIANT, "matmul", class, "tiled_128");
    d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    cr_expect_str_eq(variant_of(d.plan, "matmul"), usual, "the floor has no room for the large tile");
    close_plan(&d);
    kiln_device_close(&dev);
    kiln_graph_destroy(&g);
}

Test(choose, another_kernel_or_class_changes_nothing)
{
    kiln_tensor y;
    kiln_graph *g = products(&y);
    kiln_device *dev = kiln_test_open("null");
    struct planned d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    const uint64_t class = kiln_dispatch_class(first_of(d.plan, "matmul")->dispatch);
    close_plan(&d);
    choose(dev, KILN_CHOICE_VARIANT, "matmul", class + 1, "tiled_128");
    choose(dev, KILN_CHOICE_VARIANT, "conv", class, "tiled_128");
    choose(dev, KILN_CHOICE_LOWERING, "matmul", class, "tiled_128");
    choose(dev, KILN_CHOICE_VARIANT, "no_kernel_of_ours", class, "tiled_128");
    d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    cr_expect_str_eq(variant_of(d.plan, "matmul"), "tiled_32_terms_terms");
    close_plan(&d);
    kiln_device_close(&dev);
    kiln_graph_destroy(&g);
}

Test(choose, programs_that_train_obey_when_they_are_told_to)
{
    static const struct {
        bool train;
        kiln_tuned tuned;
        const char *variant;
    } cases[] = {
        {false, KILN_TUNED_USUAL, "tiled_64"},
        {true, KILN_TUNED_USUAL, "tiled_32_terms_terms"},
        {false, KILN_TUNED_ALWAYS, "tiled_64"},
        {true, KILN_TUNED_ALWAYS, "tiled_64"},
        {false, KILN_TUNED_NEVER, "tiled_32_terms_terms"},
        {true, KILN_TUNED_NEVER, "tiled_32_terms_terms"},
    };
    kiln_tensor y;
    kiln_graph *g = products(&y);
    kiln_device *dev = kiln_test_open("null");
    struct planned d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    choose(dev, KILN_CHOICE_VARIANT, "matmul", kiln_dispatch_class(first_of(d.plan, "matmul")->dispatch),
           "tiled_64");
    close_plan(&d);
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        d = plan_tuned(dev, g, KILN_RUN(y), cases[i].train, cases[i].tuned);
        cr_expect_str_eq(variant_of(d.plan, "matmul"), cases[i].variant, "case %d", (int)i);
        close_plan(&d);
    }
    kiln_device_close(&dev);
    kiln_graph_destroy(&g);
}

Test(choose, a_lowering_that_was_chosen_is_taken_where_it_accepts)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 16, 8, 8));
    const kiln_tensor y =
        kiln_relu(g, kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 24, .size = {1, 1}}));
    kiln_device *dev = kiln_test_open("null");
    struct planned d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    const uint64_t class = kiln_node_class(d.plan, node_of(d.plan, "conv"));
    cr_expect(count_dispatches(d.plan, "matmul") == 1 && count_dispatches(d.plan, "conv") == 0);
    close_plan(&d);
    choose(dev, KILN_CHOICE_LOWERING, "conv", class, "implicit");
    d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    cr_expect(count_dispatches(d.plan, "matmul") == 0 && count_dispatches(d.plan, "conv") == 1);
    close_plan(&d);
    choose(dev, KILN_CHOICE_LOWERING, "conv", class, "winograd"); /* the CPU's, and of 3 x 3 */
    d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    cr_expect_eq(count_dispatches(d.plan, "matmul"), 1);
    close_plan(&d);
    kiln_device_close(&dev);
    kiln_graph_destroy(&g);
}

/* Products of those rows, on a GPU of that vendor: the tile that is taken without a tuner. */
static const char *tile_of(uint32_t vendor, int64_t rows)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(rows, 512));
    const kiln_tensor y = kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 2048});
    kiln_device *dev = kiln_test_open("null");
    dev->caps.vendor = vendor;
    struct planned d = plan_tuned(dev, g, KILN_RUN(y), false, KILN_TUNED_USUAL);
    const char *name = variant_of(d.plan, "matmul");
    close_plan(&d);
    kiln_device_close(&dev);
    kiln_graph_destroy(&g);
    return name;
}

Test(choose, the_tiles_of_each_vendor_without_a_tuner)
{
    const uint32_t amd = 0x1002, nvidia = 0x10de, intel = 0x8086, qualcomm = 0x5143, apple = 0x106b;
    const uint32_t large[] = {0, nvidia, intel}, usual[] = {amd, qualcomm, apple};
    for (size_t i = 0; i < KILN_COUNT(large); i++)
        cr_expect_str_eq(tile_of(large[i], 2048), "tiled_128_terms_terms", "%x", large[i]);
    for (size_t i = 0; i < KILN_COUNT(usual); i++)
        cr_expect_str_eq(tile_of(usual[i], 2048), "tiled_64_terms_terms", "%x", usual[i]);
    for (size_t i = 0; i < KILN_COUNT(usual); i++)
        cr_expect_str_eq(tile_of(usual[i], 20), "tiled_32_terms_terms", "%x", usual[i]);
}
