/* memory.c - scratch memory: what lives at one time never shares bytes, and little more is taken than must
 * be. */
#include "compiler/plans.h"
#include "support/nets.h"

static bool scratch(const struct kiln_object *o)
{
    return o->kind == KILN_OBJECT_SCRATCH && o->last >= 0;
}

static void expect_apart(const struct kiln_plan *plan)
{
    for (int i = 0; i < plan->object.count; i++)
        for (int j = 0; j < i && scratch(&plan->object.data[i]); j++) {
            const struct kiln_object *a = &plan->object.data[i], *b = &plan->object.data[j];
            if (!scratch(b) || a->first > b->last || b->first > a->last)
                continue;
            cr_expect(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset,
                      "objects %d and %d live in one wave and share bytes", i, j);
        }
    for (int i = 0; i < plan->object.count; i++)
        if (scratch(&plan->object.data[i])) {
            cr_expect_eq(plan->object.data[i].offset % 256, 0);
            cr_expect_leq(plan->object.data[i].offset + plan->object.data[i].bytes, plan->scratch_bytes);
        }
}

/* Plan a training step for a batch on the null device. */
static struct planned plan_step(const struct kiln_test_learner *l, int64_t batch)
{
    struct planned d = {.dev = kiln_test_open("null")};
    const kiln_size sizes[] = {{KILN_BATCH, batch}};
    const kiln_program_params params = {
        .run = KILN_RUN(l->step, l->loss), .train = true, .sizes = sizes, .size_count = 1};
    cr_assert_eq(kiln_program_create(&d.p, d.dev, l->g, l->weights, &params), KILN_OK);
    d.plan = d.p->ready.data[0]->plan;
    return d;
}

Test(memory, what_lives_at_one_time_never_shares_bytes)
{
    const kiln_minimize_params adam = {.by = KILN_ADAM};
    struct kiln_test_learner nets[] = {kiln_test_learner(kiln_test_lenet, &adam),
                                       kiln_test_learner(kiln_test_noisy, &adam)};
    for (size_t i = 0; i < KILN_COUNT(nets); i++)
        for (int64_t batch = 1; batch <= 128; batch += 127) {
            struct planned d = plan_step(&nets[i], batch);
            expect_apart(d.plan);
            planned_finish(&d);
        }
    for (size_t i = 0; i < KILN_COUNT(nets); i++)
        kiln_test_learner_finish(&nets[i]);
}

Test(memory, training_lenet_takes_at_most_fifteen_percent_more_than_it_must)
{
    struct kiln_test_learner l = kiln_test_learner(kiln_test_lenet, &(kiln_minimize_params){.by = KILN_ADAM});
    struct planned d = plan_step(&l, 128);
    kiln_program_memory used;
    cr_assert_eq(kiln_program_memory_used(d.p, &used), KILN_OK);
    cr_expect_leq((double)used.scratch, 1.15 * (double)used.lower_bound,
                  "%llu bytes, at least %llu are needed", (unsigned long long)used.scratch,
                  (unsigned long long)used.lower_bound);
    cr_expect_geq(used.scratch, used.lower_bound);
    planned_finish(&d);
    kiln_test_learner_finish(&l);
}

Test(memory, a_result_lives_to_the_end)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 64)), first = kiln_exp(g, x),
                y = first;
    for (int i = 0; i < 40; i++)
        y = kiln_tanh(g, y);
    struct planned d = plan_of(g, KILN_RUN(first, y), false);
    const struct kiln_object *o = &d.plan->object.data[d.plan->place.data[d.plan->result[0].id - 1].object];
    cr_expect(o->result && o->last >= d.plan->waves - 1);
    expect_apart(d.plan);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(memory, a_long_row_of_values_takes_the_room_of_two)
{
    kiln_graph *g = plan_graph();
    kiln_tensor y = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 64));
    for (int i = 0; i < 100; i++)
        y = kiln_tanh(g, y);
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_leq(d.plan->scratch_bytes, 2 * 8 * 64 * 4);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(memory, parts_of_a_concat_are_computed_in_their_place)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(64, 4)),
                parts[] = {kiln_exp(g, x), kiln_tanh(g, x)};
    struct planned d = plan_of(g, KILN_RUN(kiln_concat(g, parts, 2, 0)), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 2, "nothing is copied");
    cr_expect_eq(d.plan->scratch_bytes, 2 * 64 * 4 * 4);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(memory, what_a_state_becomes_is_computed_there_though_the_state_is_made_later)
{
    kiln_graph *g = plan_graph();
    kiln_tensor y = kiln_exp(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(64, 4))),
                s = kiln_state(g, "s", KILN_F32, KILN_SHAPE(64, 4), KILN_STORE_WEIGHTS);
    struct planned d = plan_of(g, KILN_RUN(kiln_assign(g, s, y)), false);
    cr_expect_eq(d.plan->step.count, 1, "nothing is copied");
    cr_expect_eq(d.plan->scratch_bytes, 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(memory, a_state_that_is_read_behind_what_it_becomes_is_copied)
{
    kiln_graph *g = plan_graph();
    kiln_tensor y = kiln_exp(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(64, 4))),
                s = kiln_state(g, "s", KILN_F32, KILN_SHAPE(64, 4), KILN_STORE_WEIGHTS),
                all = kiln_sum(g, y, NULL), old = kiln_mul(g, s, all);
    struct planned d = plan_of(g, KILN_RUN(kiln_assign(g, s, y), old), false);
    int copies = 0;
    for (int i = 0; i < d.plan->step.count; i++)
        copies += d.plan->step.data[i].kind == KILN_COMMAND_COPY;
    cr_expect_eq(copies, 1, "the product still reads the state as it was");
    planned_finish(&d);
    kiln_graph_destroy(&g);
}
