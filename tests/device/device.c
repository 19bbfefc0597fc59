/* device.c - which device opens, how long it lives, and what it counts. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/lines.h"
#include "device/device.h"
#include "support/lists.h"

/* Without what a test setup may have set. */
static void plain(void)
{
    unsetenv("KILN_DEVICE");
    unsetenv("KILN_LIMITS");
    unsetenv("KILN_SHUFFLE");
    catch_lines();
}

static kiln_device *open_named(const char *name)
{
    kiln_device *dev = NULL;
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = name, .threads = 1}), KILN_OK, "%s",
                 lines.newest);
    return dev;
}

TestSuite(device, .init = plain);

Test(device, cpu_and_null_open_by_name)
{
    static const char *const names[] = {"cpu", "null"};

    for (int i = 0; i < 2; i++) {
        kiln_device *dev = open_named(names[i]);
        cr_expect_str_eq(kiln_device_get_info(dev)->name, names[i]);
        cr_expect_neq(kiln_device_get_info(dev)->title[0], 0);
        cr_expect_gt(kiln_device_get_info(dev)->max_binding, 1 << 20);
        kiln_device_close(&dev);
        cr_expect_null(dev);
        kiln_device_close(&dev);
    }
}

Test(device, the_environment_chooses_where_no_name_is_given)
{
    setenv("KILN_DEVICE", "null", 1);
    kiln_device *dev = open_named(NULL);
    cr_expect_eq(kiln_device_get_info(dev)->backend, KILN_BACKEND_NULL);
    kiln_device_close(&dev);

    dev = open_named("cpu");
    cr_expect_eq(kiln_device_get_info(dev)->backend, KILN_BACKEND_CPU);
    kiln_device_close(&dev);
}

Test(device, no_software_driver_is_chosen_unasked)
{
    kiln_device *dev = open_named(NULL);
    cr_expect_not(kiln_device_get_info(dev)->software);
    kiln_device_close(&dev);
}

Test(device, an_unknown_name_is_refused_with_the_names_there_are)
{
    static const char *const names[] = {
        "cuda",       "cpu:0",   "", "vulkan:99", "vulkan:", "vulkan0", "vulkan:no such card",
        "compile:99", "compiler"};
    kiln_device *dev;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_expect_eq(kiln_device_open(&dev, &(kiln_device_params){.name = names[i]}), KILN_ERROR_ARGUMENT,
                     "%s", names[i]);
        cr_expect_null(dev);
        cr_expect(strstr(lines.newest, names[i]) && strstr(lines.newest, "there are") &&
                      strstr(lines.newest, "cpu"),
                  "%s", lines.newest);
    }
}

Test(device, a_bad_environment_is_named_as_such)
{
    kiln_device *dev;

    setenv("KILN_DEVICE", "abacus", 1);
    cr_expect_eq(kiln_device_open(&dev, NULL), KILN_ERROR_ARGUMENT);
    cr_expect(strstr(lines.newest, "KILN_DEVICE \"abacus\""), "%s", lines.newest);

    setenv("KILN_DEVICE", "null", 1);
    setenv("KILN_LIMITS", "small", 1);
    cr_expect_eq(kiln_device_open(&dev, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_null(dev);
    cr_expect(strstr(lines.newest, "KILN_LIMITS"), "%s", lines.newest);
}

Test(device, the_list_holds_the_cpu_and_says_how_many_there_are)
{
    kiln_device_info info[17];
    const int count = kiln_device_list(info, 17);
    int cpus = 0;

    cr_assert_geq(count, 1);
    for (int i = 0; i < count; i++) {
        cpus += info[i].backend == KILN_BACKEND_CPU;
        cr_expect(i == 0 || !info[i - 1].software || info[i].software, "real devices come first");
    }
    cr_expect_eq(cpus, 1);
    cr_expect_eq(kiln_device_list(NULL, 0), count);
    cr_expect_eq(kiln_device_list(info, 1), count);
}

Test(device, limits_show_in_its_description)
{
    setenv("KILN_LIMITS", "floor,max_shared=8K", 1);
    kiln_device *dev = open_named("null");
    cr_expect_eq(kiln_device_get_info(dev)->max_binding, 128 << 20);
    cr_expect_eq(kiln_device_get_info(dev)->max_shared, 8192);
    cr_expect_not(kiln_device_get_info(dev)->half);
    kiln_device_close(&dev);
}

Test(device, the_last_reference_closes_it)
{
    kiln_device *dev = open_named("null"), *other = kiln_device_retain(dev);

    kiln_device_close(&dev);
    cr_expect_eq(kiln_device_get_info(other)->backend, KILN_BACKEND_NULL);
    kiln_device_close(&other);
}

Test(device, live_buffers_are_counted)
{
    kiln_device *dev = open_named("cpu");
    struct kiln_buffer *a, *b;

    cr_assert_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = 1000}, &a), KILN_OK);
    cr_assert_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = 24}, &b), KILN_OK);
    cr_expect_eq(kiln_device_memory_used(dev), 1024);
    kiln_buffer_destroy(dev, &a);
    cr_expect_null(a);
    cr_expect_eq(kiln_device_memory_used(dev), 24);
    kiln_buffer_destroy(dev, &b);
    kiln_buffer_destroy(dev, &b);
    cr_expect_eq(kiln_device_memory_used(dev), 0);
    kiln_device_close(&dev);
}

Test(device, memory_beyond_the_budget_is_refused_with_both_numbers)
{
    struct kiln_buffer *a, *b;

    setenv("KILN_LIMITS", "memory=4096", 1);
    kiln_device *dev = open_named("cpu");
    cr_assert_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = 3000, .name = "a"}, &a),
                 KILN_OK);
    cr_expect_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = 2000, .name = "b"}, &b),
                 KILN_ERROR_MEMORY);
    cr_expect_null(b);
    cr_expect(strstr(lines.newest, "\"b\" needs 2000") && strstr(lines.newest, "3000") &&
                  strstr(lines.newest, "4096"),
              "%s", lines.newest);
    kiln_buffer_destroy(dev, &a);
    cr_expect_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = 2000, .name = "b"}, &b),
                 KILN_OK);
    kiln_buffer_destroy(dev, &b);
    kiln_device_close(&dev);
}

Test(device, an_empty_buffer_is_refused)
{
    kiln_device *dev = open_named("cpu");
    struct kiln_buffer *b;

    cr_expect_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.name = "none"}, &b),
                 KILN_ERROR_ARGUMENT);
    kiln_device_close(&dev);
}

/* kiln_choose -------------------------------------------------------------------------------------------- */

static bool wants_much(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->block.words[0] >= 100;
}

static void nothing(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)d, (void)m, (void)first, (void)count, (void)worker;
}

Test(device, the_first_variant_that_accepts_is_chosen)
{
    static const kiln_variant big = {.name = "big", .accepts = wants_much, .run = nothing};
    static const kiln_variant *const cpu_list[] = {&big, NULL};
    kiln_kernel kernel = scale_kernel;
    kiln_device *cpu = open_named("cpu"), *null = open_named("null");
    kiln_dispatch d = scale_dispatch(NULL, 100, 1);

    kernel.cpu = cpu_list;
    d.kernel = &kernel;
    cr_expect_eq(kiln_choose(cpu, &d), &big);
    cr_expect_eq(kiln_choose(null, &d), &scale_gpu);
    d.block.words[0] = 99;
    cr_expect_eq(kiln_choose(cpu, &d), &kiln_cpu_reference, "no fast variant accepts");
    d.block.words[0] = 100;
    d.f64 = true;
    cr_expect_eq(kiln_choose(cpu, &d), &kiln_cpu_reference, "doubles are the reference's");
    cr_expect_null(kiln_choose(null, &d), "no GPU has the double build");
    kernel.gpu = NULL;
    kernel.reference_f64 = NULL;
    cr_expect_null(kiln_choose(cpu, &d));
    d.f64 = false;
    cr_expect_null(kiln_choose(null, &d));
    kiln_device_close(&cpu);
    kiln_device_close(&null);
}
