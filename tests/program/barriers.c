/*
 * barriers.c - each barrier of a network's list is needed, and dropping any is found: by the hazard verifier in the list, and by
 * a shuffled CPU in the results.
 */
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "program/program.h"
#include "recorder/hazard.h"
#include "support/nets.h"

enum { BATCH = 4, PICTURE = 28 * 28, TRIES = 16 };

/* LeNet's scores and, by way of its loss, the gradient of its picture: nothing that a run changes for the next. */
struct net {
    kiln_graph *g;
    kiln_tensor image, scores, slope;
    kiln_weights *weights;
    kiln_device *dev;
    kiln_program *p;
};

static void write_picture(struct net *n)
{
    static float picture[BATCH * PICTURE];

    for (int i = 0; i < BATCH * PICTURE; i++)
        picture[i] = (float)(i * 7919 % 1000) / 1000;
    cr_assert_eq(kiln_program_write(n->p, n->image,
                                    &(kiln_array){.data = picture, .shape = KILN_SHAPE(BATCH, 1, 28, 28)}),
                 KILN_OK);
}

static struct net open_net(bool shuffled)
{
    struct net n = {0};

    cr_assert_eq(kiln_graph_create(&n.g, NULL), KILN_OK);
    n.image = kiln_input(n.g, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 28, 28));
    n.scores = kiln_test_lenet(n.g, n.image);
    kiln_gradient(n.g, kiln_mean(n.g, kiln_square(n.g, n.scores), NULL), KILN_NONE, &n.image, 1, &n.slope);
    cr_assert_eq(kiln_graph_status(n.g), KILN_OK, "%s", kiln_graph_error(n.g));
    cr_assert_eq(kiln_weights_create(&n.weights, n.g, &(kiln_weights_params){.seed = 1}), KILN_OK);
    if (shuffled)
        setenv("KILN_SHUFFLE", "1", 1);
    n.dev = kiln_test_open("cpu");
    unsetenv("KILN_SHUFFLE");
    const kiln_program_params how = {.run = (const kiln_tensor[]){n.scores, n.slope, KILN_NONE}};
    cr_assert_eq(kiln_program_create(&n.p, n.dev, n.g, n.weights, &how), KILN_OK);
    write_picture(&n);
    cr_assert_eq(kiln_program_run(n.p), KILN_OK);
    return n;
}

static void close_net(struct net *n)
{
    kiln_program_destroy(&n->p);
    kiln_test_close(&n->dev);
    kiln_weights_destroy(&n->weights);
    kiln_graph_destroy(&n->g);
}

static int count_barriers(const struct kiln_commands *list)
{
    int count = 0;

    for (int i = 0; i < list->count; i++)
        count += list->command[i].kind == KILN_COMMAND_BARRIER;
    return count;
}

/* The list without its barrier number `dropped`; commands go to `room`. */
static struct kiln_commands without(const struct kiln_commands *list, int dropped, struct kiln_command *room)
{
    struct kiln_commands shorter = *list;

    shorter.command = room;
    shorter.count = 0;
    for (int i = 0; i < list->count; i++)
        if (list->command[i].kind != KILN_COMMAND_BARRIER || dropped-- != 0)
            room[shorter.count++] = list->command[i];
    return shorter;
}

static struct kiln_command *room_for(const struct kiln_commands *list)
{
    struct kiln_command *room = calloc((size_t)list->count, sizeof *room);

    cr_assert_not_null(room);
    return room;
}

Test(barriers, each_that_is_dropped_is_found_by_the_verifier)
{
    struct net n = open_net(false);
    const struct kiln_commands *list = &n.p->last->body_list;
    struct kiln_command *room = room_for(list);
    const int barriers = count_barriers(list);

    cr_expect_gt(barriers, 10);
    catch_lines();
    cr_expect_eq(kiln_hazard_check(list), KILN_OK);
    for (int i = 0; i < barriers; i++) {
        const struct kiln_commands shorter = without(list, i, room);
        cr_expect_eq(kiln_hazard_check(&shorter), KILN_ERROR_DEVICE, "without barrier %d of %d", i, barriers);
    }
    free(room);
    close_net(&n);
}

/* What scratch held is gone, so that nothing is right because it was right before. */
static void run_list(struct net *n, struct kiln_baked *body, float *scores, float *slope)
{
    const struct kiln_ready *ready = n->p->last;
    struct kiln_baked *const work[] = {body, ready->out[n->p->last_slot]};
    kiln_ticket ticket;

    memset(ready->scratch->buffer->map, 0xff, (size_t)ready->scratch->buffer->bytes);
    cr_assert_eq(kiln_submit(n->dev, work, 2, &ticket), KILN_OK);
    cr_assert_eq(kiln_wait(n->dev, ticket), KILN_OK);
    cr_assert_eq(kiln_program_read(n->p, n->scores, &(kiln_array){.data = scores, .bytes = BATCH * 10 * 4}),
                 KILN_OK);
    cr_assert_eq(kiln_program_read(n->p, n->slope,
                                   &(kiln_array){.data = slope, .bytes = BATCH * PICTURE * 4}),
                 KILN_OK);
}

Test(barriers, each_that_is_dropped_shows_on_a_shuffled_cpu)
{
    static float scores[2][BATCH * 10], slope[2][BATCH * PICTURE];
    struct net n = open_net(true);
    const struct kiln_commands *list = &n.p->last->body_list;
    struct kiln_command *room = room_for(list);
    const int barriers = count_barriers(list);

    run_list(&n, n.p->last->body, scores[0], slope[0]);
    for (int i = 0; i < barriers; i++) {
        const struct kiln_commands shorter = without(list, i, room);
        struct kiln_baked *body = NULL;
        bool same = true;
        cr_assert_eq(kiln_bake(n.dev, &shorter, &body), KILN_OK);
        for (int try = 0; try < TRIES && same; try++) {
            run_list(&n, body, scores[1], slope[1]);
            same =
                !memcmp(scores[0], scores[1], sizeof *scores) && !memcmp(slope[0], slope[1], sizeof *slope);
        }
        cr_expect_not(same, "without barrier %d of %d", i, barriers);
        kiln_unbake(n.dev, &body);
    }
    run_list(&n, n.p->last->body, scores[1], slope[1]);
    cr_expect_arr_eq(scores[0], scores[1], sizeof *scores);
    free(room);
    close_net(&n);
}
