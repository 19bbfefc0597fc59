/* rows_basic.c - matrix products, and operators that memory holds up. */
#include "row.h"

static kiln_status build_product(struct bench_work *w, const struct bench_row *row)
{
    const int64_t n = row->size;
    return bench_keep(w, kiln_matmul(w->graph, bench_matrix(w, "a", n, n), bench_matrix(w, "b", n, n), NULL));
}

#define PRODUCT(n, count)                                                                                    \
    {                                                                                                        \
        "matmul " #n, build_product, n, count, BENCH_OPERATOR, 2.0 * (double)(n) * (double)(n) * (double)(n) \
    }

static const struct bench_row products[] = {PRODUCT(256, 64), PRODUCT(512, 8), PRODUCT(1024, 1),
                                            PRODUCT(2048, 1), PRODUCT(4096, 1)};

const struct bench_rows bench_products = {products, sizeof products / sizeof *products};

static kiln_tensor wide(struct bench_work *w, const char *name, const struct bench_row *row)
{
    return bench_matrix(w, name, 1024, row->size);
}

static kiln_status build_add(struct bench_work *w, const struct bench_row *row)
{
    return bench_keep(w, kiln_add(w->graph, wide(w, "a", row), wide(w, "b", row)));
}

static kiln_status build_tanh(struct bench_work *w, const struct bench_row *row)
{
    return bench_keep(w, kiln_tanh(w->graph, wide(w, "a", row)));
}

static kiln_status build_sum(struct bench_work *w, const struct bench_row *row)
{
    const kiln_reduce_params rows = {.axes = KILN_AXES(1)};
    return bench_keep(w, kiln_sum(w->graph, wide(w, "a", row), &rows));
}

static kiln_status build_softmax(struct bench_work *w, const struct bench_row *row)
{
    return bench_keep(w, kiln_softmax(w->graph, wide(w, "a", row), 1));
}

static kiln_status build_transpose(struct bench_work *w, const struct bench_row *row)
{
    return bench_keep(w, kiln_transpose(w->graph, wide(w, "a", row), (const int[]){1, 0}));
}

/* Eight pictures of 48 x 64 with `size` channels, resized; with `train` the gradient by them. */
static kiln_status build_resize(struct bench_work *w, const struct bench_row *row)
{
    kiln_graph *g = w->graph;
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(8, row->size, 48, 64));
    const kiln_tensor y = kiln_resize(g, x, &row->as.resize.to);
    kiln_tensor dx;

    if (!row->as.resize.train)
        return bench_keep(w, y);
    kiln_gradient(g, y, kiln_input(g, "dy", KILN_F32, kiln_tensor_shape(g, y)), &x, 1, &dx);
    return bench_keep(w, dx);
}

#define SMALL (6 * BENCH_MIB)                   /* the pictures */
#define ODD   (SMALL + 4.0 * 8 * 64 * 75 * 111) /* and those of another size */
#define LARGE (5 * SMALL)                       /* and those of twice the size */

static const struct bench_row moves[] = {
    {"add 1024x4096", build_add, 4096, 4, 0, 0, 3 * 16 * BENCH_MIB},
    {"tanh 1024x4096", build_tanh, 4096, 4, 0, 0, 2 * 16 * BENCH_MIB},
    {"sum rows 1024x4096", build_sum, 4096, 4, 0, 0, 16 * BENCH_MIB},
    {"softmax 1024x4096", build_softmax, 4096, 4, 0, 0, 2 * 16 * BENCH_MIB},
    {"transpose 1024x4096", build_transpose, 4096, 4, 0, 0, 2 * 16 * BENCH_MIB},
    {"resize nearest x2 8x64x48x64", build_resize, 64, 4, 0, 0, LARGE,
     .as.resize = {.to = {.scale = {2, 2}}}},
    {"resize bilinear x2 8x64x48x64", build_resize, 64, 4, 0, 0, LARGE,
     .as.resize = {.to = {.scale = {2, 2}, .mode = KILN_RESIZE_LINEAR}}},
    {"train resize bilinear x2 8x64x48x64", build_resize, 64, 4, 0, 0, LARGE,
     .as.resize = {.to = {.scale = {2, 2}, .mode = KILN_RESIZE_LINEAR}, .train = true}},
    {"resize bilinear 75x111 8x64x48x64", build_resize, 64, 4, 0, 0, ODD,
     .as.resize = {.to = {.size = {75, 111}, .mode = KILN_RESIZE_LINEAR}}},
    {"resize bicubic 75x111 8x64x48x64", build_resize, 64, 4, 0, 0, ODD,
     .as.resize = {.to = {.size = {75, 111}, .mode = KILN_RESIZE_CUBIC}}},
};

const struct bench_rows bench_moves = {moves, sizeof moves / sizeof *moves};
