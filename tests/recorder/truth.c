/* truth.c - features are tried once, when they are needed, and a device whose claim fails goes without. */
#include "recorder/truth.h"

#include <stdio.h>
#include <string.h>

#include "support/support.h"

static char warning[256];
static int warnings;

static void hear(void *user, kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_WARNING) {
        warnings++;
        snprintf(warning, sizeof warning, "%s", line);
    }
}

Test(truth, a_device_that_stores_halves_passes)
{
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        const bool claimed = dev->caps.storage16;
        kiln_truth_try(dev, 1 << KILN_F16);
        cr_expect_eq(dev->caps.storage16, claimed, "%s", kiln_test_device(i));
        kiln_test_close(&dev);
    }
}

/* The CPU has no code for halves: its claim is a lie. */
Test(truth, a_lie_is_found_once_and_only_where_it_matters)
{
    kiln_device *dev = kiln_test_open("cpu");
    kiln_log_to(hear, NULL, KILN_LOG_WARNING);
    dev->caps.storage16 = true;
    kiln_truth_try(dev, 1 << KILN_F32 | 1 << KILN_I64);
    cr_expect(dev->caps.storage16, "nothing asked for it");
    kiln_truth_try(dev, 1 << KILN_F16);
    cr_expect_not(dev->caps.storage16);
    cr_expect_eq(warnings, 1);
    cr_expect(strstr(warning, "16-bit storage") != NULL, "%s", warning);
    dev->caps.storage16 = true;
    kiln_truth_try(dev, 1 << KILN_F16);
    cr_expect(dev->caps.storage16, "it was tried before");
    kiln_test_close(&dev);
}

/* Drivers on the CPU play matrix units of any size; a size that does not divide a tile makes wrong ones, which the test finds. */
Test(truth, products_of_halves_are_told_right_from_wrong)
{
    static const struct {
        uint32_t size[3];
        bool right;
    } cases[] = {{{16, 16, 16}, true}, {{8, 16, 16}, true},  {{16, 8, 16}, true},
                 {{8, 8, 8}, true},    {{16, 16, 32}, true}, {{24, 16, 16}, false}};
    for (int i = 0; kiln_test_device(i); i++)
        for (size_t k = 0; k < KILN_COUNT(cases); k++) {
            kiln_device *dev = kiln_test_open(kiln_test_device(i));
            if (dev->caps.coop_emulated && dev->caps.storage16) {
                memcpy(dev->caps.coop_size, cases[k].size, sizeof cases[k].size);
                cr_expect_eq(kiln_truth_multiplies(dev, "coop_64_emulated"), cases[k].right, "%s, case %zu",
                             kiln_test_device(i), k);
            }
            kiln_test_close(&dev);
        }
}
