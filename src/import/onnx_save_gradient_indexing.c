/*
 * onnx_save_gradient_indexing.c - gradients that go back to places: of what is gathered, of borders, extremes and losses of class numbers;
 * and those of what is composed, which are the composition's.
 */
#include <stdlib.h>

#include <kiln/indexing.h>

#include "import/onnx_save_row.h"

static const kiln_scatter_params added = {.kind = KILN_SCATTER_ADD};

static kiln_tensor zeros(kiln_graph *g, kiln_tensor like)
{
    return as_float(g, kiln_zeros_like(g, like));
}

/* Inputs of what was gathered: dy, the index, and x for its shape. */
static void compose_gather(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_scatter_params p = {.kind = KILN_SCATTER_ADD, .batch = (int)integer(n, "batch")};
    out[0] = kiln_scatter(g, zeros(g, in[2]), in[1], as_float(g, in[0]), (int)integer(n, "axis"), &p);
    out[0] = kiln_cast(g, out[0], kiln_tensor_type(g, in[0]));
}

static void compose_gather_elements(kiln_graph *g, const kiln_node *n, const kiln_tensor *in,
                                    kiln_tensor *out)
{
    out[0] =
        kiln_scatter_elements(g, zeros(g, in[2]), in[1], as_float(g, in[0]), (int)integer(n, "axis"), &added);
    out[0] = kiln_cast(g, out[0], kiln_tensor_type(g, in[0]));
}

/* Tuples [.., T] that name the batch's axes, too. */
static void compose_gather_nd(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const int batch = (int)integer(n, "batch"), last = kiln_tensor_shape(g, in[1]).rank - 1;
    kiln_tensor tuple[KILN_MAX_RANK + 1], index = kiln_cast(g, in[1], KILN_I32);
    const kiln_tensor one = kiln_slice(g, index, last, 0, 1, 1);
    for (int i = 0; i < batch; i++) {
        kiln_tensor at = kiln_positions(g, index, i);
        for (int k = i; k < last; k++)
            at = kiln_unsqueeze(g, at, -1);
        tuple[i] = kiln_expand_to(g, at, one);
    }
    tuple[batch] = index;
    if (batch)
        index = kiln_concat(g, tuple, batch + 1, last);
    out[0] = kiln_scatter_nd(g, zeros(g, in[2]), index, as_float(g, in[0]), &added);
    out[0] = kiln_cast(g, out[0], kiln_tensor_type(g, in[0]));
}

/* A border goes back to the elements that it repeats. */
static void compose_border(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const int axis = (int)integer(n, "axis");
    const int64_t size = kiln_tensor_shape(g, in[1]).size[axis], all = kiln_tensor_shape(g, in[0]).size[axis];
    int32_t *at = size < 1 || all < 0 ? NULL : malloc((size_t)all * sizeof *at + 1);
    for (int64_t i = 0; at && i < all; i++)
        at[i] = (int32_t)kiln_onnx_border_place(integer(n, "kind"), size, i - integer(n, "before"));
    const kiln_array places = {.data = at, .type = KILN_I32, .shape = KILN_SHAPE(all)};
    if (at)
        out[0] =
            kiln_scatter(g, zeros(g, in[1]), kiln_constant(g, &places), as_float(g, in[0]), axis, &added);
    else
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "a border of a symbolic size, or of nothing");
    out[0] = kiln_cast(g, out[0], kiln_tensor_type(g, in[0]));
    free(at);
}

/* dy where the places that were found, among all of the reduced axes, are; x gives the shape. */
static void compose_place(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const int64_t axes = integer(n, "axes");
    const int rank = kiln_tensor_shape(g, in[2]).rank;
    kiln_tensor dy = in[0], found = in[1], place = kiln_scalar(g, KILN_I32, 0);
    for (int i = 0; i < rank; i++) {
        if (!(axes >> i & 1))
            continue;
        const kiln_tensor size = kiln_cast(g, kiln_count_of(g, in[2], KILN_AXES(i)), KILN_I32);
        kiln_tensor along = kiln_positions(g, in[2], i);
        for (int k = i + 1; k < rank; k++)
            along = kiln_unsqueeze(g, along, -1);
        place = kiln_add(g, kiln_mul(g, place, size), along);
        dy = integer(n, "keep") ? dy : kiln_unsqueeze(g, dy, i);
        found = integer(n, "keep") ? found : kiln_unsqueeze(g, found, i);
    }
    const kiln_tensor here = kiln_equal(g, place, found);
    out[0] = kiln_where(g, here, dy, kiln_scalar(g, kiln_tensor_type(g, dy), 0));
}

/* A class, of scores [.., C, ..] and targets [.., ..]: (softmax - (1 - s) is target - s / C) dy. */
static void compose_cross_entropy(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const int axis = (int)integer(n, "axis"), rank = kiln_tensor_shape(g, in[0]).rank;
    const kiln_type type = kiln_tensor_type(g, in[0]);
    const double smoothing = number(n, "smoothing");
    kiln_tensor number_of = kiln_positions(g, in[0], axis);
    for (int i = axis + 1; i < rank; i++)
        number_of = kiln_unsqueeze(g, number_of, -1);
    const kiln_tensor target = kiln_unsqueeze(g, kiln_cast(g, in[1], KILN_I32), axis);
    const kiln_tensor own = kiln_cast(g, kiln_equal(g, number_of, target), type);
    kiln_tensor off = kiln_sub(g, kiln_softmax(g, in[0], axis), kiln_scale(g, own, 1 - smoothing));
    if (smoothing != 0) {
        const kiln_tensor classes = kiln_cast(g, kiln_count_of(g, in[0], KILN_AXES(axis)), type);
        off = kiln_sub(g, off, kiln_div(g, kiln_scalar(g, type, smoothing), classes));
    }
    out[0] = kiln_mul(g, off, kiln_unsqueeze(g, in[2], axis));
}

/* Of what is composed ------------------------------------------------------------------------------------ */

/* Of one of two lists of boxes, x with dy, and the other; of_b: the second is x. What x is broadcast to has a gradient of its own. */
static void compose_overlap(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const bool of_b = integer(n, "of_b");
    const kiln_shape dy = kiln_tensor_shape(g, in[0]), own = kiln_tensor_shape(g, in[1]);
    kiln_shape each = dy;
    each.size[dy.rank - 2] = own.size[own.rank - 2];
    each.size[dy.rank - 1] = 4;
    const kiln_tensor x = kiln_expand(g, kiln_cast(g, in[1], KILN_F32), each);
    kiln_tensor y;
    kiln_onnx_compose_overlap(g, n, of_b ? (const kiln_tensor[]){in[2], x} : (const kiln_tensor[]){x, in[2]},
                              &y);
    kiln_gradient(g, y, in[0], &x, 1, out);
}

static void compose_ctc(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    kiln_tensor y;
    kiln_onnx_compose_ctc(g, n, in, &y);
    kiln_gradient(g, y, in[4], in, 1, out);
}

const row kiln_onnx_writer_gradient_indexing[] = {
    {"border_grad", .compose = compose_border},
    {"cross_entropy_grad", .compose = compose_cross_entropy},
    {"ctc_grad", .compose = compose_ctc, .reads = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4},
    {"gather_elements_grad", .compose = compose_gather_elements},
    {"gather_grad", .compose = compose_gather},
    {"gather_nd_grad", .compose = compose_gather_nd},
    {"overlap_grad", .compose = compose_overlap},
    {"place", .compose = compose_place},
    {0},
};
