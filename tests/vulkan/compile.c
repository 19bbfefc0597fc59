/* compile.c - the device that has a GPU's driver compile, and runs nothing. */
#include <kiln/kiln.h>

#include "vulkan/probes.h"

/* Open the compiling device of that index; false where there is none. */
static bool open_compiling(kiln_device **dev, int index)
{
    kiln_device_info info[8];
    char name[32];
    catch_lines();
    if (index >= kiln_vulkan_list(info, 8))
        return false;
    snprintf(name, sizeof name, "compile:%d", index);
    cr_assert_eq(kiln_device_open(dev, &(kiln_device_params){.name = name, .cache = ""}), KILN_OK, "%s",
                 lines.newest);
    cr_expect_str_eq(kiln_device_get_info(*dev)->name, name);
    cr_expect_str_eq(kiln_device_get_info(*dev)->title, info[index].title);
    return true;
}

Test(vulkan_compile, a_dispatch_is_compiled_once_and_not_run)
{
    kiln_device *dev;
    const struct kiln_compiled *compiled, *again;
    const kiln_dispatch d = scale_dispatch(&scale_probe, COUNT, 2);
    for (int at = 0; open_compiling(&dev, at); kiln_device_close(&dev), at++) {
        cr_assert_eq(kiln_device_compile(dev, &d, &compiled), KILN_OK, "%s", lines.newest);
        cr_assert_not_null(compiled);
        cr_expect_gt(compiled->seconds, 0);
        for (int i = 0; i < compiled->count; i++)
            cr_expect_neq(compiled->statistic[i].name[0], 0);
        cr_assert_eq(kiln_device_compile(dev, &d, &again), KILN_OK);
        cr_expect_eq(again, compiled, "it was compiled twice");
    }
    cr_expect_eq(kiln_vulkan_messages(), 0, "%s", lines.newest);
}

/* y = x + x: what a program of a device that runs would give. */
static kiln_graph *twice(kiln_tensor *x, kiln_tensor *y)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
    *y = kiln_add(g, *x, *x);
    cr_assert_eq(kiln_graph_status(g), KILN_OK);
    return g;
}

Test(vulkan_compile, a_program_is_planned_and_compiled)
{
    float values[6] = {1, 2, 3, 4, 5, 6};
    kiln_device *dev;
    for (int at = 0; open_compiling(&dev, at); at++) {
        kiln_tensor x, y;
        kiln_graph *g = twice(&x, &y);
        kiln_weights *weights = NULL;
        kiln_program *p = NULL;
        cr_assert_eq(kiln_weights_create(&weights, g, NULL), KILN_OK);
        cr_assert_eq(kiln_program_create(&p, dev, g, weights, &(kiln_program_params){.run = KILN_RUN(y)}),
                     KILN_OK, "%s", lines.newest);
        const kiln_array in = {
            .type = KILN_F32, .shape = KILN_SHAPE(2, 3), .data = values, .bytes = sizeof values};
        cr_assert_eq(kiln_program_write(p, x, &in), KILN_OK, "%s", lines.newest);
        cr_expect_eq(kiln_program_run(p), KILN_OK, "%s", lines.newest);
        kiln_array out = {
            .type = KILN_F32, .shape = KILN_SHAPE(2, 3), .data = values, .bytes = sizeof values};
        cr_assert_eq(kiln_program_read(p, y, &out), KILN_OK, "%s", lines.newest);
        for (int i = 0; i < 6; i++)
            cr_expect_eq(values[i], 0, "nothing has run, and memory was zero");
        kiln_program_destroy(&p);
        kiln_weights_destroy(&weights);
        kiln_graph_destroy(&g);
        values[0] = 1;
        kiln_device_close(&dev);
    }
    cr_expect_eq(kiln_vulkan_messages(), 0, "%s", lines.newest);
}

Test(vulkan_compile, what_a_tuner_finds_of_the_gpu_is_not_its_own)
{
    kiln_device *dev;
    catch_lines();
    if (!kiln_vulkan_list(NULL, 0))
        cr_skip_test("no Vulkan device in sight");
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = "compile:0"}), KILN_OK, "%s",
                 lines.newest);
    cr_expect_null(dev->choices_path, "times of what never ran would be kept as the GPU's");
    kiln_device_close(&dev);
}

Test(vulkan_compile, what_a_driver_refuses_is_named)
{
    static const kiln_variant without_code = {.name = "none"};
    kiln_device *dev;
    const struct kiln_compiled *compiled;
    const kiln_dispatch d = scale_dispatch(&without_code, COUNT, 2);
    for (int at = 0; open_compiling(&dev, at); kiln_device_close(&dev), at++) {
        cr_expect_eq(kiln_device_compile(dev, &d, &compiled), KILN_ERROR_UNSUPPORTED);
        cr_expect_null(compiled);
        cr_expect(strstr(lines.newest, "/none"), "%s", lines.newest);
    }
}
