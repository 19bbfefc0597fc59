/*
 * onnx_classical.c - what stands around networks of classical machine learning, and its linear models: of the domain ai.onnx.ml.
 *
 * Their numbers are attributes, which are constants here. Labels are whole numbers; those that are texts are refused, but for names of columns.
 */
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx.h"

/* An attribute's reals, of which there must be so many; 0: any. KILN_NONE, and refused, where they are not. */
static kiln_tensor reals(kiln_onnx_node *n, const char *name, int64_t wanted, kiln_shape shape)
{
    int count = 0;
    const float *values = kiln_onnx_reals(n, name, &count);
    if (!values || count < 1 || (wanted && count != wanted)) {
        kiln_onnx_refuse(n, "%s has %d numbers, wanted %lld", name, count, (long long)wanted);
        return KILN_NONE;
    }
    if (!wanted)
        shape = KILN_SHAPE(count);
    return kiln_constant(n->g,
                         &(kiln_array){.data = (void *)(uintptr_t)values, .type = KILN_F32, .shape = shape});
}

static kiln_tensor real_input(kiln_onnx_node *n)
{
    return kiln_cast(n->g, kiln_onnx_in(n, 0), KILN_F32);
}

/* (x - offset) scale, of each column or of all. */
void kiln_onnx_build_scaler(kiln_onnx_node *n)
{
    const kiln_tensor offset = reals(n, "offset", 0, KILN_SCALAR), scale = reals(n, "scale", 0, KILN_SCALAR);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_mul(n->g, kiln_sub(n->g, real_input(n), offset), scale));
}

/* Rows by their largest element, the sum of their elements' sizes, or their length; what that makes 0 is left alone. */
void kiln_onnx_build_normalizer(kiln_onnx_node *n)
{
    const char *norm = kiln_onnx_text(n, "norm", "MAX");
    const kiln_reduce_params rows = {.axes = KILN_AXES(-1), .keep = true};
    const kiln_tensor x = real_input(n), zero = kiln_scalar(n->g, KILN_F32, 0),
                      one = kiln_scalar(n->g, KILN_F32, 1);
    kiln_tensor by = KILN_NONE;
    if (!strcmp(norm, "MAX"))
        by = kiln_reduce_max(n->g, x, &rows);
    else if (!strcmp(norm, "L1"))
        by = kiln_reduce_l1(n->g, x, &rows);
    else if (!strcmp(norm, "L2"))
        by = kiln_reduce_l2(n->g, x, &rows);
    else
        kiln_onnx_refuse(n, "norm is \"%s\", wanted MAX, L1 or L2", norm);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_div(n->g, x, kiln_where(n->g, kiln_equal(n->g, by, zero), one, by)));
}

/* Elements of the last axis, named by all of the second input. */
void kiln_onnx_build_feature_extractor(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0),
                      at = kiln_reshape(n->g, kiln_onnx_in(n, 1), KILN_SHAPE(KILN_REST));
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    if (rank < 1) {
        kiln_onnx_refuse(n, "elements of a scalar");
        return;
    }
    if (!kiln_onnx_lie_on(n, 1, 0, rank - 1))
        return;
    const kiln_tensor y = kiln_gather(n->g, x, at, rank - 1);
    kiln_onnx_out(n, 0, rank == 1 ? kiln_unsqueeze(n->g, y, 0) : y);
}

/*
 * Rows as lists of maps from labels to probabilities, which kiln has not: the rows themselves, as they were before. Column i is that of
 * label i of the node, in its order.
 */
void kiln_onnx_build_zip_map(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const int64_t columns = x.shape.rank ? x.shape.size[x.shape.rank - 1] : 0;
    int numbers = 0, texts = 0;
    kiln_onnx_ints(n, "classlabels_int64s", &numbers);
    kiln_onnx_texts(n, "classlabels_strings", &texts);
    const int labels = numbers ? numbers : texts;
    if (x.shape.rank < 1 || x.shape.rank > 2 || !kiln_type_is_real(x.type))
        kiln_onnx_refuse(n, "its rows are no probabilities [N, C]");
    else if (!labels || (numbers && texts) || (columns >= 0 && labels != columns))
        kiln_onnx_refuse(n, "%d labels of %lld columns", labels, (long long)columns);
    else
        kiln_onnx_out(n, 0, kiln_onnx_in(n, 0));
}

/* x coefficients^T + intercepts, [N, rows], before what post_transform makes of it. */
static kiln_tensor linear(kiln_onnx_node *n, int64_t rows)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    const int64_t columns = x.rank ? x.size[x.rank - 1] : 0;
    if (x.rank < 1 || x.rank > 2 || columns < 1 || columns > INT32_MAX || rows < 1 || rows > INT16_MAX) {
        kiln_onnx_refuse(n, "%lld linear functions of rows of %lld", (long long)rows, (long long)columns);
        return KILN_NONE;
    }
    const bool shifted = kiln_onnx_has_attribute(n, "intercepts");
    const kiln_tensor w = reals(n, "coefficients", rows * columns, KILN_SHAPE(rows, columns)),
                      b = shifted ? reals(n, "intercepts", rows, KILN_SHAPE(rows)) : KILN_NONE;
    if (n->refused)
        return KILN_NONE;
    const kiln_tensor flat = kiln_reshape(n->g, real_input(n), KILN_SHAPE(KILN_REST, columns));
    const kiln_tensor y = kiln_matmul(n->g, flat, w, &(kiln_matmul_params){.transpose_b = true});
    return shifted ? kiln_add(n->g, y, b) : y;
}

static kiln_tensor transformed(kiln_onnx_node *n, kiln_tensor y)
{
    const char *kind = kiln_onnx_text(n, "post_transform", "NONE");
    if (!strcmp(kind, "SOFTMAX"))
        return kiln_softmax(n->g, y, -1);
    if (!strcmp(kind, "LOGISTIC"))
        return kiln_sigmoid(n->g, y);
    if (strcmp(kind, "NONE"))
        kiln_onnx_refuse(n, "post_transform is \"%s\", supported are NONE, LOGISTIC and SOFTMAX", kind);
    return y;
}

void kiln_onnx_build_linear_regressor(kiln_onnx_node *n)
{
    const kiln_tensor y = linear(n, kiln_onnx_int(n, "targets", 1));
    const kiln_tensor made = n->refused ? KILN_NONE : transformed(n, y);
    if (!n->refused)
        kiln_onnx_out(n, 0, made);
}

/* The label of the largest function, and all of them. */
void kiln_onnx_build_linear_classifier(kiln_onnx_node *n)
{
    int count = 0;
    const int64_t *labels = kiln_onnx_ints(n, "classlabels_ints", &count);
    if (!labels || count < 2) {
        kiln_onnx_refuse(n, "supported are two classes or more whose labels are whole numbers");
        return;
    }
    const kiln_tensor y = linear(n, count);
    const kiln_tensor made = n->refused ? KILN_NONE : transformed(n, y);
    if (n->refused)
        return;
    const kiln_tensor names = kiln_constant(
        n->g, &(kiln_array){.data = (void *)(uintptr_t)labels, .type = KILN_I64, .shape = KILN_SHAPE(count)});
    kiln_onnx_out(n, 0, kiln_gather(n->g, names, kiln_argmax(n->g, y, -1, false), 0));
    kiln_onnx_out(n, 1, made);
}
