/*
 * onnx_plans.c - one program at many sizes: ResNet-50, of ONNX's light cases, is planned for another batch with the pipelines that it
 * has, where no dispatch is better run by a variant that no batch before took. How long that takes, a row of `kiln bench` says.
 */
#include <stdio.h>

#include "config.h"
#include "program/program.h"
#include "support/external.h"
#include "support/support.h"
#if KILN_HAVE_VULKAN
#include "vulkan/vk.h"
#endif

/* Batches from this one on are computed by the same kernels: a single picture has some of its own. */
enum { FIRST = 2, LAST = 6 };

static int pipelines_of(const kiln_device *dev)
{
#if KILN_HAVE_VULKAN
    if (kiln_device_get_info(dev)->backend == KILN_BACKEND_VULKAN)
        return ((const struct vk_device *)dev)->pipelines.built;
#endif
    (void)dev;
    return 0;
}

static const struct kiln_plan *plan(kiln_program *p, int64_t batch)
{
    struct kiln_ready *ready = NULL;
    cr_assert_eq(kiln_program_ready(p, &batch, &ready), KILN_OK);
    return ready->plan;
}

static bool takes(const struct kiln_plan *plan, const kiln_variant *variant)
{
    for (int i = 0; i < plan->step.count; i++)
        if (plan->step.data[i].kind == KILN_COMMAND_DISPATCH &&
            plan->step.data[i].dispatch->variant == variant)
            return true;
    return false;
}

/* Dispatches by variants that the first batch's plan does not take. */
static int by_others(const struct kiln_plan *first, const struct kiln_plan *plan)
{
    int count = 0;
    for (int i = 0; i < plan->step.count; i++)
        count += plan->step.data[i].kind == KILN_COMMAND_DISPATCH &&
                 !takes(first, plan->step.data[i].dispatch->variant);
    return count;
}

static void expect_same_pipelines(const char *device, const char *path)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    cr_assert_eq(kiln_onnx_load(&g, &w, path, &(kiln_onnx_params){.free_batch = true}), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
    const struct kiln_plan *first = plan(p, FIRST);
    const int built = pipelines_of(dev);
    int others = 0;
    for (int64_t batch = FIRST + 1; batch <= LAST; batch++)
        others += by_others(first, plan(p, batch));
    cr_expect_leq(pipelines_of(dev), built + others,
                  "%s: %d more pipelines for %d dispatches by other variants", device,
                  pipelines_of(dev) - built, others);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

Test(onnx_plans, another_batch_of_resnet_50_is_planned_without_a_pipeline)
{
    char path[1200];
    const char *dir = kiln_test_external("onnx_light_public");
    if (!dir)
        cr_skip("onnx_light_public is not at hand");
    snprintf(path, sizeof path, "%s/onnx_light_public/light_resnet50.onnx", dir);
    for (int d = 0; kiln_test_device(d); d++)
        expect_same_pipelines(kiln_test_device(d), path);
}
