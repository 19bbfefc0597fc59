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
