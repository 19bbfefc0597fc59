/*
 * onnx_plans.c - one program at many sizes: ResNet-50, of ONNX's light cases, is planned for another batch in a moment, and with the
 * pipelines that it has.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "program/program.h"
#include "support/external.h"
#include "support/sanitized.h"
#include "support/support.h"
#if KILN_HAVE_VULKAN
#include "vulkan/vk.h"
#endif

#define LONGEST 20e-3 /* seconds of the processor */

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

/* Plan for a batch that was not seen; how long that takes. */
static double plan(kiln_program *p, int64_t batch)
{
    struct kiln_ready *ready = NULL;
    const clock_t start = clock();
    cr_assert_eq(kiln_program_ready(p, &batch, &ready), KILN_OK);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* SwiftShader clears all memory that it gives, for which it takes 80 ms of 100. */
static bool clears_memory(const kiln_device *dev)
{
    return strstr(kiln_device_get_info(dev)->title, "SwiftShader") != NULL;
}

static void expect_quick(const char *device, const char *path)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    double best = INFINITY;
    cr_assert_eq(kiln_onnx_load(&g, &w, path, &(kiln_onnx_params){.free_batch = true}), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
    plan(p, FIRST);
    const int built = pipelines_of(dev);
    for (int64_t batch = FIRST + 1; batch <= LAST; batch++)
        best = fmin(best, plan(p, batch));
    cr_expect(SANITIZED || clears_memory(dev) || best < LONGEST, "%s: %.1f ms", device, 1e3 * best);
    cr_expect_eq(pipelines_of(dev), built, "%s: %d more pipelines", device, pipelines_of(dev) - built);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

Test(onnx_plans, another_batch_of_resnet_50_is_planned_in_20_ms_without_a_pipeline)
{
    char path[1200];
    const char *dir = kiln_test_external("onnx_light_public");
    if (!dir)
        cr_skip("onnx_light_public is not at hand");
    snprintf(path, sizeof path, "%s/onnx_light_public/light_resnet50.onnx", dir);
    for (int d = 0; kiln_test_device(d); d++)
        expect_quick(kiln_test_device(d), path);
}
