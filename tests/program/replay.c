/* replay.c - what running a plan again costs the thread that calls: little, however long the plan is. */
#include <stdlib.h>
#include <time.h>

#include "program/program.h"
#include "support/support.h"

enum { RUNS = 100, SAMPLES = 21, LONGEST = 2000 };

/* Seconds of this thread for a run of a chain of so many dispatches on the null device: the median of some samples. */
static double cost_of(int dispatches)
{
    kiln_device *dev = kiln_test_open("null");
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    float value[64] = {0};
    double cost[SAMPLES];

    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(8, 8));
    kiln_tensor y = x;
    for (int i = 0; i < dispatches; i++)
        y = kiln_softmax(g, y, 1);
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}), KILN_OK);
    for (int s = 0; s < SAMPLES; s++) {
        struct timespec from, to;
        cr_assert_eq(kiln_program_write(p, x, &(kiln_array){.data = value, .shape = KILN_SHAPE(8, 8)}),
                     KILN_OK);
        cr_assert_eq(kiln_program_run(p), KILN_OK); /* the first one plans; each uploads */
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        for (int i = 0; i < RUNS; i++)
            cr_assert_eq(kiln_program_run(p), KILN_OK);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        cost[s] = ((double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec)) / RUNS;
    }
    cr_assert_geq(p->ready.data[0]->body_list.count, dispatches, "nothing was fused or left out");
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
    for (int i = 1; i < SAMPLES; i++)
        for (int k = i; k > 0 && cost[k - 1] > cost[k]; k--) {
            const double swapped = cost[k];
            cost[k] = cost[k - 1];
            cost[k - 1] = swapped;
        }
    return cost[SAMPLES / 2];
}

/* Processor time, so that a busy machine does not count. Sanitizers make it some times as much. */
Test(replay, a_run_costs_its_thread_less_than_50_microseconds_whatever_the_number_of_dispatches)
{
    for (int dispatches = 1; dispatches <= LONGEST;
         dispatches = dispatches < LONGEST / 10 ? LONGEST / 10 : 10 * dispatches) {
        const double cost = cost_of(dispatches);
        cr_expect_lt(cost, 50e-6, "%d dispatches take %.1f us", dispatches, 1e6 * cost);
    }
}
