/* sizes.c - another size of a network's input builds no pipeline: sizes are parameters, not constants of a shader. */
#include <kiln/kiln.h>

#include "vulkan/probes.h"

static kiln_tensor build(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, kiln_dim(g, "height"), kiln_dim(g, "width")));
    kiln_tensor y = kiln_nn_conv(g, *x, &(kiln_nn_conv_params){.filters = 8, .size = {3, 3}});
    y = kiln_max_pool(g, kiln_relu(g, y), &(kiln_pool_params){.size = {2, 2}});
    y = kiln_mean(g, y, &(kiln_reduce_params){.axes = KILN_AXES(2, 3)});
    return kiln_softmax(g, kiln_nn_dense(g, y, &(kiln_nn_dense_params){.units = 10}), 1);
}

static void run(kiln_program *p, kiln_tensor x, int64_t batch, int64_t height, int64_t width)
{
    static float pixels[8 * 3 * 40 * 40];
    const kiln_array picture = {.data = pixels, .shape = KILN_SHAPE(batch, 3, height, width)};
    cr_assert_eq(kiln_program_write(p, x, &picture), KILN_OK, "%s", lines.newest);
    cr_assert_eq(kiln_program_run(p), KILN_OK, "%s", lines.newest);
    cr_assert_eq(kiln_program_wait(p), KILN_OK, "%s", lines.newest);
}

Test(vulkan_sizes, a_second_size_builds_no_pipeline)
{
    struct rig r;
    for (int index = 0; rig_open(&r, index); index++) {
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        kiln_program *p = NULL;
        kiln_tensor x, y;
        const struct vk_pipelines *pipelines = &((struct vk_device *)r.dev)->pipelines;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        y = build(g, &x);
        cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
        cr_assert_eq(kiln_program_create(&p, r.dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}),
                     KILN_OK, "%s", lines.newest);
        run(p, x, 2, 20, 24);
        const int built = pipelines->built;
        cr_expect_gt(built, 0);
        run(p, x, 3, 21, 40);
        run(p, x, 8, 40, 17);
        cr_expect_eq(pipelines->built, built, "%d more", pipelines->built - built);
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
        rig_close(&r);
    }
    cr_expect_eq(kiln_vulkan_messages(), 0);
}
