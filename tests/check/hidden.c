/*
 * hidden.c - sums that an activation cuts off. A tile of results is transformed as one, so where its other results are large, one whose
 * own operands are all zeros is off by their roundings; and where these are cut off, nothing around it shows how large they were.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include <kiln/kiln.h>

#include "check/replay.h"

enum { CHANNELS = 64, ROWS = 8, COLUMNS = 48, LIT = 6 /* rows that are not zero: to the middle of a tile */ };

static float picture[CHANNELS * ROWS * COLUMNS], filters[CHANNELS * CHANNELS * 9];

static void fill(void)
{
    uint32_t state = 1;

    for (int i = 0; i < CHANNELS * ROWS * COLUMNS; i++) {
        state = state * 1664525 + 1013904223;
        picture[i] = i / COLUMNS % ROWS < LIT ? (float)(state >> 8) * 0x1p-24f : 0;
    }
    for (int i = 0; i < CHANNELS * CHANNELS * 9; i++) {
        state = state * 1664525 + 1013904223;
        filters[i] = -(float)(state >> 8) * 0x1p-24f;
    }
}

struct seen {
    int transformed;
    double share;
};

static void note(void *user, const struct check_outcome *o)
{
    struct seen *seen = user;

    if (strcmp(o->kernel->name, "conv_winograd") != 0 || o->variant == &kiln_cpu_reference)
        return;
    seen->transformed++;
    seen->share = fmax(seen->share, o->distance.share);
}

Test(hidden, roundings_of_a_tile_that_is_cut_off_are_no_fault)
{
    kiln_graph *g = NULL;
    kiln_weights *weights = NULL;
    kiln_device *dev = NULL;
    kiln_program *program = NULL;
    struct seen seen = {0};
    const kiln_array picture_array = {.data = picture, .shape = KILN_SHAPE(1, CHANNELS, ROWS, COLUMNS)};
    const kiln_array filter_array = {.data = filters, .shape = KILN_SHAPE(CHANNELS, CHANNELS, 3, 3)};
    struct check_params params = {.report = note, .user = &seen};

    fill();
    cr_assert(!kiln_device_open(&dev, &(kiln_device_params){.name = "cpu"}));
    cr_assert(!kiln_graph_create(&g, NULL));
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, CHANNELS, ROWS, COLUMNS));
    const kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(CHANNELS, CHANNELS, 3, 3), NULL);
    kiln_output(g, "y",
                kiln_relu(g, kiln_conv(g, x, w, KILN_NONE, &(kiln_conv_params){.pad = {{1, 1}, {1, 1}}})));
    cr_assert(!kiln_weights_create(&weights, g, NULL));
    cr_assert(!kiln_weights_write(weights, "w", &filter_array));
    cr_assert(!kiln_program_create(&program, dev, g, weights, NULL));
    cr_assert(!kiln_program_write(program, x, &picture_array));
    cr_assert(!kiln_program_run(program) && !kiln_program_wait(program));
    cr_assert(!check_replay_program(program, &params));
    cr_expect(seen.transformed > 0, "no convolution by transformed tiles");
    cr_expect(seen.share <= 1, "%g of the bound", seen.share);
    kiln_program_destroy(&program);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}
