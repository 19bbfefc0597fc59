/* mean.c - the running mean weighted by rows. */
#include <kiln/metrics.h>

#include <criterion/criterion.h>

Test(mean, a_ragged_last_batch_counts_by_its_rows)
{
    kiln_running_mean m = {0};

    cr_expect_eq(kiln_running_mean_value(&m), 0);
    kiln_running_mean_add(&m, 0.5, 128);
    kiln_running_mean_add(&m, 1.0, 64);
    kiln_running_mean_add(&m, 7.0, 0);
    cr_expect_eq(kiln_running_mean_value(&m), (0.5 * 128 + 64) / 192);
}

Test(mean, many_small_values_beside_a_large_one_are_not_lost)
{
    kiln_running_mean m = {0};

    kiln_running_mean_add(&m, 1e16, 1);
    for (int i = 0; i < 100000; i++)
        kiln_running_mean_add(&m, 0.25, 1);
    kiln_running_mean_add(&m, -1e16, 1);
    cr_expect_eq(kiln_running_mean_value(&m), 25000.0 / 100002);
}
