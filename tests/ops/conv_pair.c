/* conv_pair.c - a depthwise convolution behind another one, which the CPU computes at once. */
#include "support/support.h"

struct pair {
    kiln_shape x;
    int64_t filters;
    int stride, pad[2][2];
    const char *why;
    int size, first_stride, first_pad; /* of the first filter; 0: points */
};

static const struct pair pairs[] = {
    {{4, {1, 1, 3, 3}}, 8, 1, {{1, 1}, {1, 1}}, "one channel"},
    {{4, {2, 3, 7, 5}}, 31, 1, {{1, 1}, {1, 1}}, "primes"},
    {{4, {2, 16, 14, 14}}, 33, 1, {{1, 1}, {1, 1}}, "one past a block, rows of nearly a vector"},
    {{4, {1, 70, 7, 7}}, 64, 1, {{1, 1}, {1, 1}}, "sums of many terms"},
    {{4, {1, 9, 16, 16}}, 24, 2, {{0, 1}, {0, 1}}, "half, the zero after"},
    {{4, {1, 5, 17, 33}}, 40, 2, {{1, 1}, {1, 1}}, "half, one past two vectors"},
    {{4, {1, 2, 150, 120}}, 20, 1, {{1, 1}, {1, 1}}, "bands of rows"},
    {{4, {2, 3, 151, 117}}, 17, 2, {{1, 0}, {1, 0}}, "bands of rows, half"},
    {{4, {1, 4, 9, 20}}, 16, 1, {{2, 0}, {0, 0}}, "a row that meets one row of zeros and one of the picture"},
    {{4, {1, 4, 6, 8}}, 16, 1, {{0, 0}, {0, 0}}, "no padding"},
    {{4, {3, 4, 2, 3}}, 12, 1, {{1, 1}, {1, 1}}, "two rows"},
    {{4, {1, 6, 31, 19}},
     48,
     1,
     {{1, 1}, {1, 1}},
     "half a block, columns that are no multiple of those taken at once"},
    {{4, {1, 3, 61, 47}}, 32, 1, {{1, 1}, {1, 1}}, "behind a strided one", 3, 2, 1},
    {{4, {2, 3, 62, 48}},
     27,
     2,
     {{1, 1}, {1, 1}},
     "half of a half, rows that begin with the picture",
     3,
     2,
     0},
    {{4, {1, 3, 181, 163}}, 32, 1, {{1, 1}, {1, 1}}, "bands of rows that meet copies", 3, 2, 1},
    {{4, {2, 4, 41, 50}}, 25, 1, {{1, 1}, {1, 1}}, "a stride that no tile takes", 5, 3, 2},
    {{4, {1, 5, 20, 31}}, 30, 1, {{1, 1}, {1, 1}}, "every other point", 1, 2, 0},
};

static kiln_tensor first_of(kiln_graph *g, const struct pair *c)
{
    const int size = c->size ? c->size : 1, stride = c->size ? c->first_stride : 1, pad = c->first_pad;
    return kiln_conv(g, kiln_test_input(g, c->x),
                     kiln_test_input(g, KILN_SHAPE(c->filters, c->x.size[1], size, size)), KILN_NONE,
                     &(kiln_conv_params){.stride = {stride, stride}, .pad = {{pad, pad}, {pad, pad}}});
}

static kiln_tensor depthwise_of(kiln_graph *g, const struct pair *c, kiln_tensor z)
{
    const kiln_conv_params p = {.stride = {c->stride, c->stride},
                                .pad = {{c->pad[0][0], c->pad[0][1]}, {c->pad[1][0], c->pad[1][1]}},
                                .groups = (int)c->filters};
    return kiln_conv(g, z, kiln_test_input(g, KILN_SHAPE(c->filters, 1, 3, 3)), KILN_NONE, &p);
}

/* A number of each channel, twice. */
static kiln_tensor shifted(kiln_graph *g, kiln_tensor y)
{
    const kiln_shape channels = KILN_SHAPE(kiln_tensor_shape(g, y).size[1], 1, 1);
    return kiln_relu(g,
                     kiln_add(g, kiln_mul(g, y, kiln_test_input(g, channels)), kiln_test_input(g, channels)));
}

static kiln_tensor build_shifted(kiln_graph *g, const void *one_case)
{
    return shifted(g, depthwise_of(g, one_case, shifted(g, first_of(g, one_case))));
}

static kiln_tensor build_bare(kiln_graph *g, const void *one_case)
{
    return depthwise_of(g, one_case, first_of(g, one_case));
}

/* Steps that are none of the usual ones, and behind the second an operand for each result. */
static kiln_tensor build_bent(kiln_graph *g, const void *one_case)
{
    const kiln_tensor y = depthwise_of(g, one_case, kiln_tanh(g, first_of(g, one_case)));
    return kiln_tanh(g, kiln_add(g, y, kiln_test_input(g, kiln_tensor_shape(g, y))));
}

Test(conv_pair, agrees_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(pairs); i++) {
        kiln_expect_devices_agree(build_bare, &pairs[i], false, 0, pairs[i].why);
        kiln_expect_devices_agree(build_shifted, &pairs[i], false, 0, pairs[i].why);
        kiln_expect_devices_agree(build_bent, &pairs[i], false, 0, pairs[i].why);
    }
}
