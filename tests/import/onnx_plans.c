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
enum { FIRST = 2, LAST = 6, MOST = 2048 };

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

/* What the dispatches of a plan are run by: kept, as the next plan may take the place of this one. */
struct variants {
    const kiln_variant *at[MOST];
    int count;
};

static void take(struct variants *v, const struct kiln_plan *plan)
{
    for (int i = 0; i < plan->step.count; i++)
        if (plan->step.data[i].kind == KILN_COMMAND_DISPATCH) {
            cr_assert_lt(v->count, MOST);
            v->at[v->count++] = plan->step.data[i].dispatch->variant;
        }
}

/* Dispatches of the second by variants that the first has not. */
static int by_others(const struct variants *first, const struct variants *second)
{
    int count = 0;
    for (int i = 0; i < second->count; i++) {
        bool known = false;
        for (int k = 0; k < first->count && !known; k++)
            known = first->at[k] == second->at[i];
        count += !known;
    }
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
    struct variants first = {{0}};
    take(&first, plan(p, FIRST));
    const int built = pipelines_of(dev);
    int others = 0;
    for (int64_t batch = FIRST + 1; batch <= LAST; batch++) {
        struct variants next = {{0}};
        take(&next, plan(p, batch));
        others += by_others(&first, &next);
    }
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
