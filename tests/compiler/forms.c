/*
 * forms.c - what a plan keeps of weights in second forms, and what gives way where that is too much: with as much again as the
 * weights take, a process with ResNet-50 and the values between stays within 2.2 times its file.
 */
#include <kiln/kiln.h>

#include "compiler/plans.h"
#include "device/caps.h"

/* A stage of a network: convolutions of 3 x 3, as many channels as filters. */
struct stage {
    int layers;
    int64_t channels, size;
};

static kiln_graph *network(const struct stage *stage, int stages, kiln_tensor *y)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x =
        kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, stage[0].channels, stage[0].size, stage[0].size));
    for (int i = 0; i < stages; i++)
        for (int k = 0; k < stage[i].layers; k++) {
            const int64_t step = i && !k ? 2 : 1;
            const kiln_nn_conv_params params = {.filters = stage[i].channels,
                                                .size = {3, 3},
                                                .stride = {step, step},
                                                .pad = {{1, 1}, {1, 1}}};
            x = kiln_relu(g, kiln_nn_conv(g, x, &params));
        }
    *y = kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 10});
    return g;
}

static int count(const struct kiln_plan *plan, const char *kernel, bool prologue)
{
    int found = 0;
    for (int i = 0; i < plan->step.count; i++) {
        const struct kiln_step *s = &plan->step.data[i];
        found += s->kind == KILN_COMMAND_DISPATCH && s->prologue == prologue &&
                 !strcmp(s->dispatch->kernel->name, kernel);
    }
    return found;
}

static uint64_t parameters(const struct kiln_plan *plan)
{
    uint64_t bytes = 0;
    for (int i = 0; i < plan->graph->node.count; i++) {
        const kiln_node *n = plan->graph->node.data[i];
        const kiln_spec spec = kiln_tensor_spec(plan->graph, n->out[0]);
        if (!strcmp(n->op->name, "parameter"))
            bytes += kiln_storage_bytes(&spec, plan->storage);
    }
    return bytes;
}

Test(forms, a_small_network_keeps_what_is_fastest)
{
    const struct stage small[] = {{3, 64, 28}};
    kiln_tensor y;
    kiln_graph *g = network(small, KILN_COUNT(small), &y);
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    cr_expect_eq(count(d.plan, "conv_winograd_filters", true), 3);
    cr_expect_geq(d.plan->kept_bytes, 3 * 36 * 64 * 64 * sizeof(float));
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(forms, pictures_of_few_positions_meet_packed_filters)
{
    const struct stage last[] = {{3, 64, 2}};
    kiln_tensor y;
    kiln_graph *g = network(last, KILN_COUNT(last), &y);
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    cr_expect_eq(count(d.plan, "conv_packed", false), 3);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(forms, those_that_are_used_least_give_way_until_all_take_as_much_as_the_weights)
{
    const struct stage large[] = {{3, 64, 56}, {8, 256, 28}};
    kiln_tensor y;
    kiln_graph *g = network(large, KILN_COUNT(large), &y);
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    const uint64_t weights =
        parameters(d.plan); /* of which the last matrix, for a single row, is read as it lies */
    cr_assert_gt(weights, 16 << 20);
    cr_expect_eq(count(d.plan, "conv_winograd", false), 10, "all but the stride");
    cr_expect_eq(count(d.plan, "conv_winograd_filters", true), 3,
                 "the first stage's, used four times as often");
    cr_expect_leq(d.plan->kept_bytes, weights, "%.2f of the weights",
                  (double)d.plan->kept_bytes / (double)weights);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

/* The i-th device, where it is a Vulkan driver that runs on the CPU; NULL: it is none. */
static kiln_device *open_driver(int i)
{
    kiln_device *dev = kiln_test_open(kiln_test_device(i));
    if (dev->caps.backend == KILN_BACKEND_CPU || !dev->caps.software)
        kiln_test_close(&dev);
    return dev;
}

Test(forms, on_a_driver_too_they_give_way_where_they_take_too_much, .timeout = 60)
{
    const struct stage deep[] = {{5, 512, 7}};
    kiln_tensor y;
    kiln_graph *g = network(deep, KILN_COUNT(deep), &y);
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = open_driver(i);
        if (!dev)
            continue;
        struct planned d = plan_on(dev, g, KILN_RUN(y), false);
        cr_expect_eq(count(d.plan, "conv_winograd_filters", true), 3);
        cr_expect_eq(count(d.plan, "conv_columns", false), 2);
        cr_expect_leq(d.plan->kept_bytes, 112 << 20);
        planned_finish(&d);
    }
    kiln_graph_destroy(&g);
}

Test(forms, of_those_that_are_used_equally_the_one_that_frees_most_gives_way, .timeout = 60)
{
    const kiln_nn_conv_params params = {
        .filters = 512, .size = {3, 3}, .pad = {{1, 1}, {1, 1}}, .no_bias = true};
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 512, 7, 7));
    kiln_tensor y = x;
    for (int i = 0; i < 4; i++) { /* filters that are scaled ahead are kept so, too, where they give way */
        y = kiln_nn_batch_norm(g, kiln_nn_conv(g, y, &params), NULL);
        y = kiln_relu(g, i < 3 ? kiln_add(g, y, x) : y);
    }
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = open_driver(i);
        if (!dev)
            continue;
        struct planned d = plan_on(dev, g, KILN_RUN(y), false);
        cr_expect_eq(count(d.plan, "conv_winograd_filters", true), 3);
        cr_expect_leq(d.plan->kept_bytes, 112 << 20, "%.1f MB", (double)d.plan->kept_bytes / 1e6);
        planned_finish(&d);
    }
    kiln_graph_destroy(&g);
}

Test(forms, a_program_that_trains_is_left_alone)
{
    const struct stage large[] = {{8, 256, 28}};
    kiln_tensor y;
    kiln_graph *g = network(large, KILN_COUNT(large), &y);
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), true);
    cr_expect_eq(d.plan->instead_count, 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}
