/*
 * boxes.c - formats, codes, anchors and proposals: ways there and back, gradients, sizes that data gives, every device alike.
 * torchvision's numbers: detection_golden.c.
 */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>

static const struct boxes_case {
    kiln_shape boxes, anchors;
    kiln_box_code code;
    const char *why;
} cases[] = {
    {{1, {4}}, {1, {4}}, {{0}}, "a lone box"},
    {{2, {7, 4}}, {2, {7, 4}}, {{10, 10, 5, 5}}, "weights"},
    {{3, {2, 65, 4}}, {2, {65, 4}}, {.boxes = KILN_BOX_CENTRES}, "pictures that share anchors"},
    {{4, {2, 3, 5, 4}},
     {3, {3, 1, 4}},
     {{2}, 0.1, KILN_BOX_SIDES, KILN_BOX_CENTRES},
     "an anchor for several"},
    {{2, {0, 4}}, {2, {0, 4}}, {{0}}, "none"},
    {{2, {1031, 4}}, {2, {1, 4}}, {.most = KILN_ZERO, .anchors = KILN_BOX_SIDES}, "many and one"},
};

/* Sides of 0.3 to 1. */
static kiln_tensor boxes(kiln_graph *g, kiln_shape shape, kiln_box_format format)
{
    shape.size[shape.rank - 1] = 2;
    const kiln_tensor both[] = {kiln_test_input(g, shape), kiln_test_input_in(g, shape, 0.3, 1)};
    return kiln_box_convert(g, kiln_concat(g, both, 2, -1), KILN_BOX_CENTRES, format);
}

static kiln_tensor encoded(kiln_graph *g, const void *one_case)
{
    const struct boxes_case *c = one_case;
    const kiln_tensor anchors = boxes(g, c->anchors, c->code.anchors);
    return kiln_box_encode(g, boxes(g, c->boxes, c->code.boxes), anchors, &c->code);
}

static kiln_tensor decoded(kiln_graph *g, const void *one_case)
{
    const struct boxes_case *c = one_case;
    const kiln_tensor anchors = boxes(g, c->anchors, c->code.anchors);
    return kiln_box_decode(g, kiln_test_input(g, c->boxes), anchors, &c->code);
}

/* What is left of a box that was encoded and decoded again. */
static kiln_tensor there_and_back(kiln_graph *g, const void *one_case)
{
    const struct boxes_case *c = one_case;
    kiln_box_code code = c->code;
    code.most = 9;
    const kiln_tensor anchors = boxes(g, c->anchors, code.anchors), box = boxes(g, c->boxes, code.boxes);
    return kiln_sub(g, kiln_box_decode(g, kiln_box_encode(g, box, anchors, &code), anchors, &code), box);
}

static kiln_tensor areas(kiln_graph *g, const void *one_case)
{
    const struct boxes_case *c = one_case;
    return kiln_box_area(g, kiln_test_input(g, c->boxes)); /* half of them empty */
}

static kiln_tensor clipped(kiln_graph *g, const void *one_case)
{
    const struct boxes_case *c = one_case;
    kiln_shape sizes = c->boxes;
    sizes.rank -= sizes.rank > 1;
    sizes.size[sizes.rank - 1] = 2;
    return kiln_box_clip_to(g, kiln_test_input(g, c->boxes), kiln_test_input_in(g, sizes, 0.3, 0.6));
}

Test(boxes, ways_there_and_back)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_shape shape;
        double *rest = kiln_test_eval(there_and_back, &cases[i], NULL, &shape);
        for (int64_t k = 0; k < kiln_shape_count(&shape); k++)
            cr_expect(lt(dbl, fabs(rest[k]), 1e-12), "%s", cases[i].why);
        free(rest);
    }
}

Test(boxes, gradients)
{
    for (size_t i = 0; i < 4; i++) {
        kiln_expect_gradient(encoded, &cases[i], cases[i].why);
        kiln_expect_gradient(decoded, &cases[i], cases[i].why);
        kiln_expect_gradient(areas, &cases[i], cases[i].why);
        kiln_expect_gradient(clipped, &cases[i], cases[i].why);
    }
}

Test(boxes, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_devices_agree(encoded, &cases[i], true, 0, cases[i].why);
        kiln_expect_devices_agree(decoded, &cases[i], true, 0, cases[i].why);
        kiln_expect_devices_agree(areas, &cases[i], true, 0, cases[i].why);
        kiln_expect_devices_agree(clipped, &cases[i], true, 0, cases[i].why);
    }
}

/* A limit of KILN_ZERO is that of sizes that do not grow. */
static kiln_tensor limited(kiln_graph *g, const void *one_case)
{
    const float deltas[] = {0, 0, 5, -1};
    const kiln_box_code code = {.most = KILN_ZERO, .boxes = KILN_BOX_CENTRES};
    (void)one_case;
    return kiln_box_decode(g, kiln_test_values(g, KILN_SHAPE(1, 4), deltas),
                           kiln_test_values(g, KILN_SHAPE(4), (const float[]){0, 0, 2, 4}), &code);
}

Test(boxes, known_values)
{
    kiln_expect_values(limited, NULL, (const double[]){1, 2, 2, 4 * exp(-1)}, 4, 1e-12, "limited");
}

/* Anchors ------------------------------------------------------------------------------------------------ */

static kiln_tensor of_cells(kiln_graph *g, int64_t rows, int64_t cols)
{
    kiln_anchor_params p = {.stride = {8}, .offset = 0.5};
    kiln_anchor_add(&p, 10, 4);
    kiln_anchor_add(&p, 2, 6);
    return kiln_anchors(g, rows, cols, &p);
}

static kiln_tensor known_anchors(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return of_cells(g, 2, 1);
}

Test(boxes, anchors)
{
    const double want[] = {-1, 2, 9, 6, 3, 1, 5, 7, -1, 10, 9, 14, 3, 9, 5, 15};
    kiln_expect_values(known_anchors, NULL, want, 16, 0, "two cells");
    kiln_expect_devices_agree(known_anchors, NULL, false, 0, "two cells");
}

/* Of a map whose sizes come with the run. */
Test(boxes, anchors_of_symbolic_sizes)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_graph *g;
        cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
        const int64_t rows = kiln_dim(g, "rows"), cols = kiln_dim(g, "cols");
        const kiln_tensor map = kiln_input(g, "map", KILN_F32, KILN_SHAPE(rows, cols));
        const kiln_tensor y = kiln_add(g, of_cells(g, rows, cols), kiln_sum(g, map, NULL));
        float zeros[6] = {0};
        double got[48];
        kiln_test_run(g, y, kiln_test_device(d), &(kiln_array){.data = zeros, .shape = KILN_SHAPE(2, 3)},
                      got);
        const double last[] = {15, 10, 25, 14, 19, 9, 21, 15};
        kiln_expect_close(&got[40], last, 8, 0, "the last cell");
        kiln_graph_destroy(&g);
    }
}

Test(boxes, refuses_what_does_not_fit)
{
    kiln_graph *g;
    cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
    kiln_anchors(g, 2, 2, &(kiln_anchor_params){0});
    cr_expect(ne(int, kiln_graph_status(g), KILN_OK));
    kiln_graph_destroy(&g);
    cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
    kiln_box_area(g, kiln_input(g, "boxes", KILN_F32, KILN_SHAPE(3, 5)));
    cr_expect(ne(int, kiln_graph_status(g), KILN_OK));
    kiln_graph_destroy(&g);
}

/* Proposals ---------------------------------------------------------------------------------------------- */

static const struct proposal_case {
    int64_t pictures, anchors;
    kiln_proposal_params p;
    const char *why;
} proposal_cases[] = {
    {1, 1, {.most = 3}, "a lone anchor"},
    {2, 37, {.least = 0.5, .overlap = 0.3}, "all may stay"},
    {3, 65, {.candidates = 20, .most = 9, .score = 0.2, .level_count = 3, .level = {30, 5, 30}}, "levels"},
};

/* Constants, by which there is no gradient: low, low + 1/512, .., below high. */
static kiln_tensor fixed(kiln_graph *g, kiln_shape shape, double low, double high)
{
    const kiln_tensor x = kiln_test_index(g, shape, (int)((high - low) * 512));
    return kiln_shift(g, kiln_scale(g, kiln_cast(g, x, KILN_F32), 1. / 512), low);
}

static kiln_tensor proposed(kiln_graph *g, const void *one_case)
{
    const struct proposal_case *c = one_case;
    const kiln_tensor scores = fixed(g, KILN_SHAPE(c->pictures, c->anchors), 0, 1);
    const kiln_tensor deltas = kiln_test_input(g, KILN_SHAPE(c->pictures, c->anchors, 4));
    const kiln_tensor parts[] = {fixed(g, KILN_SHAPE(c->anchors, 2), -1, 1),
                                 fixed(g, KILN_SHAPE(c->anchors, 2), 0.3, 1)};
    const kiln_tensor anchors =
        kiln_box_convert(g, kiln_concat(g, parts, 2, -1), KILN_BOX_CENTRES, KILN_BOX_CORNERS);
    kiln_proposal_params p = c->p;
    p.sizes = fixed(g, KILN_SHAPE(c->pictures, 2), 0.8, 1.2);
    return kiln_proposals(g, scores, deltas, anchors, &p, NULL, NULL);
}

/* Of a map [B, rows, cols, 2 anchors of a score and 4 deltas]. */
static kiln_tensor proposals_of_map(kiln_graph *g, int64_t rows, int64_t cols)
{
    const kiln_tensor map = kiln_input(g, "map", KILN_F32, KILN_SHAPE(2, rows, cols, 10));
    const kiln_tensor each = kiln_reshape(g, map, KILN_SHAPE(2, KILN_REST, 5));
    const kiln_tensor scores = kiln_squeeze(g, kiln_slice(g, each, 2, 0, 1, 1), 2);
    const kiln_proposal_params p = {.candidates = 12, .most = 7, .overlap = 0.4};

    return kiln_proposals(g, scores, kiln_slice(g, each, 2, 1, 5, 1), of_cells(g, rows, cols), &p, NULL,
                          NULL);
}

/* Of two maps, whose boxes do not compete. */
static kiln_tensor proposals_of_maps(kiln_graph *g, const int64_t (*size)[2])
{
    kiln_proposal_params p = {.candidates = 12, .most = 7, .overlap = 0.4, .level_count = 2};
    kiln_tensor each[2], anchors[2];
    for (int i = 0; i < 2; i++) {
        const kiln_tensor map =
            kiln_input(g, i ? "coarse" : "fine", KILN_F32, KILN_SHAPE(2, size[i][0], size[i][1], 10));
        each[i] = kiln_reshape(g, map, KILN_SHAPE(2, KILN_REST, 5));
        anchors[i] = of_cells(g, size[i][0], size[i][1]);
        p.level[i] = kiln_tensor_shape(g, each[i]).size[1];
    }
    const kiln_tensor all = kiln_concat(g, each, 2, 1);
    const kiln_tensor scores = kiln_squeeze(g, kiln_slice(g, all, 2, 0, 1, 1), 2);
    return kiln_proposals(g, scores, kiln_slice(g, all, 2, 1, 5, 1), kiln_concat(g, anchors, 2, 0), &p, NULL,
                          NULL);
}

Test(boxes, proposals_of_levels_of_symbolic_sizes)
{
    static const int64_t sizes[][2][2] = {{{1, 1}, {1, 1}}, {{5, 4}, {3, 2}}, {{2, 3}, {1, 2}}};
    static float fine[2 * 5 * 4 * 10], coarse[2 * 3 * 2 * 10];

    for (size_t i = 0; i < KILN_COUNT(fine); i++)
        fine[i] = (float)(i * 37 % 101) / 101 - 0.3f;
    for (size_t i = 0; i < KILN_COUNT(coarse); i++)
        coarse[i] = (float)(i * 41 % 103) / 103 - 0.3f;
    for (int d = 0; kiln_test_device(d); d++)
        for (size_t s = 0; s < KILN_COUNT(sizes); s++) {
            const kiln_array in[] = {
                {.data = fine, .shape = KILN_SHAPE(2, sizes[s][0][0], sizes[s][0][1], 10)},
                {.data = coarse, .shape = KILN_SHAPE(2, sizes[s][1][0], sizes[s][1][1], 10)}};
            double got[2][2 * 7 * 4] = {{0}};

            for (int symbolic = 0; symbolic < 2; symbolic++) {
                kiln_graph *g;
                cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
                const int64_t open[2][2] = {{kiln_dim(g, "rows"), kiln_dim(g, "cols")},
                                            {kiln_dim(g, "rows2"), kiln_dim(g, "cols2")}};
                kiln_test_run(g, proposals_of_maps(g, symbolic ? open : sizes[s]), kiln_test_device(d), in,
                              got[symbolic]);
                kiln_graph_destroy(&g);
            }
            kiln_expect_close(got[1], got[0], KILN_COUNT(got[0]), 0, "as of known sizes");
            cr_expect(ne(dbl, got[1][0], 0));
        }
}

/* 14 anchors of a level of symbolic size and one of 4, where the run gives more or fewer. */
Test(boxes, proposals_of_levels_that_are_not_all_anchors_are_refused)
{
    static float map[32 * 5];
    for (int d = 0; kiln_test_device(d); d++)
        for (int64_t anchors = 12; anchors <= 16; anchors += 2) {
            kiln_graph *g;
            kiln_weights *w;
            kiln_program *program;
            kiln_device *dev = kiln_test_open(kiln_test_device(d));
            cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
            const int64_t fine = kiln_dim(g, "fine"), all = kiln_dim(g, "all");
            const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, all, 5));
            const kiln_tensor size = kiln_input(g, "size", KILN_F32, KILN_SHAPE(fine));
            const kiln_proposal_params p = {.candidates = 3, .most = 2, .level_count = 2, .level = {fine, 4}};
            const kiln_tensor boxes = kiln_slice(g, x, 2, 1, 5, 1);
            kiln_tensor y = kiln_proposals(g, kiln_squeeze(g, kiln_slice(g, x, 2, 0, 1, 1), 2), boxes,
                                           kiln_squeeze(g, boxes, 0), &p, NULL, NULL);
            y = kiln_add(g, y, kiln_sum(g, size, NULL));
            cr_assert(eq(int, kiln_weights_create(&w, g, NULL), KILN_OK));
            const kiln_program_params run = {.run = (const kiln_tensor[]){y, KILN_NONE}};
            cr_assert(eq(int, kiln_program_create(&program, dev, g, w, &run), KILN_OK));
            kiln_program_write(program, x, &(kiln_array){.data = map, .shape = KILN_SHAPE(1, anchors, 5)});
            kiln_program_write(program, size, &(kiln_array){.data = map, .shape = KILN_SHAPE(10)});
            cr_expect(eq(int, kiln_program_run(program), anchors == 14 ? KILN_OK : KILN_ERROR_SHAPE),
                      "%d anchors", (int)anchors);
            kiln_program_destroy(&program);
            kiln_weights_destroy(&w);
            kiln_graph_destroy(&g);
            kiln_test_close(&dev);
        }
}

/* The run may give fewer anchors than there are candidates. */
Test(boxes, proposals_of_symbolic_sizes)
{
    static const int64_t sizes[][2] = {{1, 1}, {2, 3}, {5, 4}};
    static float map[2 * 5 * 4 * 10];

    for (size_t i = 0; i < KILN_COUNT(map); i++)
        map[i] = (float)(i * 37 % 101) / 101 - 0.3f;
    for (int d = 0; kiln_test_device(d); d++)
        for (size_t s = 0; s < KILN_COUNT(sizes); s++) {
            const int64_t rows = sizes[s][0], cols = sizes[s][1];
            const kiln_array in = {.data = map, .shape = KILN_SHAPE(2, rows, cols, 10)};
            double got[2][2 * 7 * 4] = {{0}};

            for (int symbolic = 0; symbolic < 2; symbolic++) {
                kiln_graph *g;
                cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
                kiln_test_run(g,
                              symbolic ? proposals_of_map(g, kiln_dim(g, "rows"), kiln_dim(g, "cols"))
                                       : proposals_of_map(g, rows, cols),
                              kiln_test_device(d), &in, got[symbolic]);
                kiln_graph_destroy(&g);
            }
            kiln_expect_close(got[1], got[0], KILN_COUNT(got[0]), 0, "as of known sizes");
            cr_expect(ne(dbl, got[1][0], 0));
        }
}

Test(boxes, proposals_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(proposal_cases); i++) {
        kiln_expect_devices_agree(proposed, &proposal_cases[i], true, 0, proposal_cases[i].why);
        kiln_expect_gradient(proposed, &proposal_cases[i], proposal_cases[i].why);
    }
}
