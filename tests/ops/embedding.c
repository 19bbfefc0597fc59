/* embedding.c - rows of a table: PyTorch's values, padding, repeats, every device alike. */
#include <kiln/indexing.h>

#include "support/golden_case.h"

static const struct embedding_case {
    int rows, width;
    kiln_shape index;
    bool padding;
    const char *why;
} cases[] = {
    {1, 1, {1, {1}}, false, "one number"},
    {7, 5, {2, {3, 4}}, true, "rows with repeats, one of padding"},
    {500, 33, {1, {200}}, false, "more indices than lanes"},
    {3, 70, {2, {40, 9}}, true, "few rows, each taken often"},
    {9, 4, {.rank = 0}, true, "one row"},
    {9, 4, {1, {0}}, true, "no index"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct embedding_case *c = one_case;
    const kiln_embedding_params p = {.has_padding = c->padding, .padding = 1};
    return kiln_embedding(g, kiln_test_input(g, KILN_SHAPE(c->rows, c->width)),
                          kiln_test_index(g, c->index, c->rows), &p);
}

Test(embedding, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
}

static kiln_tensor recorded(kiln_golden_case *c)
{
    const kiln_embedding_params p = {.has_padding = true, .padding = 2};
    return kiln_embedding(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "index"), &p);
}

static const kiln_golden_row rows[] = {{"embedding", recorded}};

Test(embedding, is_that_of_pytorch)
{
    kiln_expect_golden("attention.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("attention.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}
