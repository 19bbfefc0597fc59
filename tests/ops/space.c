/* space.c - channels as blocks of places and back: by hand, gradients, symbolic sizes. */
#include "support/support.h"

#include <string.h>

typedef kiln_tensor arrange(kiln_graph *g, kiln_tensor x, int size);

struct space_case {
    arrange *call;
    kiln_shape x;
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct space_case *c = one_case;
    return c->call(g, kiln_test_input(g, c->x), 2);
}

Test(space, gradients_and_devices)
{
    const struct space_case cases[] = {{kiln_pixel_shuffle, {4, {2, 8, 3, 1}}},
                                       {kiln_depth_to_space, {4, {1, 12, 2, 3}}},
                                       {kiln_pixel_unshuffle, {4, {2, 3, 4, 2}}},
                                       {kiln_space_to_depth, {4, {2, 2, 2, 6}}}};
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(build, &cases[i], "blocks of 2");
        kiln_expect_devices_agree(build, &cases[i], true, 0, "blocks of 2");
    }
}

/* Of 0 .. 15 by a formula from the header. */
static void expect_places(arrange *forth, arrange *back, bool behind)
{
    enum { C = 2, H = 1, W = 2, B = 2 };
    float x[C * B * B * H * W];
    double got[KILN_COUNT(x)];
    kiln_graph *g = NULL;
    for (int i = 0; i < (int)KILN_COUNT(x); i++)
        x[i] = (float)i;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, C * B * B, kiln_dim(g, "h"), kiln_dim(g, "w"));
    const kiln_tensor y = forth(g, kiln_input(g, "x", KILN_F32, shape), B), again = back(g, y, B);
    const kiln_array in[] = {{.data = x, .shape = KILN_SHAPE(1, C * B * B, H, W)}};
    kiln_test_run(g, y, "cpu", in, got);
    for (int c = 0; c < C; c++)
        for (int i = 0; i < H * B; i++)
            for (int j = 0; j < W * B; j++) {
                const int u = i % B, v = j % B, channel = behind ? (c * B + u) * B + v : (u * B + v) * C + c;
                cr_expect_eq(got[(c * H * B + i) * W * B + j], (channel * H + i / B) * W + j / B);
            }
    kiln_test_run(g, again, "cpu", in, got);
    for (int i = 0; i < (int)KILN_COUNT(x); i++)
        cr_expect_eq(got[i], i);
    kiln_graph_destroy(&g);
}

Test(space, blocks_lie_before_or_behind_the_channels)
{
    expect_places(kiln_pixel_shuffle, kiln_pixel_unshuffle, true);
    expect_places(kiln_depth_to_space, kiln_space_to_depth, false);
}

static void expect_refusal(arrange *call, kiln_shape shape, int size, const char *text)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(call(g, kiln_input(g, "x", KILN_F32, shape), size).id, 0);
    cr_expect(strstr(kiln_graph_error(g), text) != NULL, "wanted \"%s\", got \"%s\"", text,
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(space, says_what_does_not_fit)
{
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    expect_refusal(kiln_pixel_shuffle, KILN_SHAPE(1, 6, 2, 2), 2, "C in blocks of 2 x 2");
    expect_refusal(kiln_depth_to_space, KILN_SHAPE(1, 4, 2), 2, "wanted [N, C, H, W]");
    expect_refusal(kiln_depth_to_space, KILN_SHAPE(1, 4, 2, 2), 0, "in blocks of 0 x 0");
    expect_refusal(kiln_space_to_depth, KILN_SHAPE(1, 4, 3, 2), 2, "3 x 2 places");
}
