/* profile.c - what a profiled program's commands took. */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static int longest_first(const void *a, const void *b)
{
    const double x = ((const kiln_command_time *)a)->seconds, y = ((const kiln_command_time *)b)->seconds;
    return (x < y) - (x > y);
}

static void print_command(const kiln_command_time *t, double all)
{
    printf("  %9.1f us %5.1f %%  %-24s %-16s %-20s", 1e6 * t->seconds, 100 * t->seconds / all, t->kernel,
           t->variant, t->op ? t->op : "");
    if (t->seconds > 0 && t->flops > 0)
        printf(" %9.1f GFLOP/s", 1e-9 * t->flops / t->seconds);
    if (t->seconds > 0)
        printf(" %8.1f GB/s", 1e-9 * (double)t->bytes / t->seconds);
    putchar('\n');
}

kiln_command_time *profile_read(const kiln_program *p, int *count)
{
    const int commands = kiln_program_profile(p, NULL, 0);
    *count = commands > 0 ? commands : 0;
    kiln_command_time *all = calloc((size_t)*count + 1, sizeof *all);
    if (all)
        kiln_program_profile(p, all, *count);
    else
        kiln_fail(KILN_ERROR_MEMORY, "no memory for the times of %d commands", *count);
    return all;
}

kiln_status profile_print(const kiln_program *p)
{
    int count;
    double sum = 0;
    kiln_command_time *all = profile_read(p, &count);
    if (!all)
        return KILN_ERROR_MEMORY;

    for (int i = 0; i < count; i++)
        sum += all[i].seconds;
    qsort(all, (size_t)count, sizeof *all, longest_first);
    printf("  %d commands took %.1f us\n", count, 1e6 * sum);
    for (int i = 0; i < count; i++)
        print_command(&all[i], sum);
    free(all);
    return KILN_OK;
}
