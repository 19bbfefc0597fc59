/* onnx_loss.c - the losses of ONNX's training operators. */
#include <string.h>

#include <kiln/losses.h>

#include "import/onnx.h"

static kiln_loss_reduction reduction_of(kiln_onnx_node *n)
{
    const char *name = kiln_onnx_text(n, "reduction", "mean");
    if (!strcmp(name, "none"))
        return KILN_LOSS_EACH;
    if (!strcmp(name, "sum"))
        return KILN_LOSS_SUM;
    if (strcmp(name, "mean"))
        kiln_onnx_refuse(n, "reduction %s is none of none, sum, mean", name);
    return KILN_LOSS_MEAN;
}

static bool params_of(kiln_onnx_node *n, kiln_class_loss_params *out)
{
    *out = (kiln_class_loss_params){.ignores = kiln_onnx_has_attribute(n, "ignore_index"),
                                    .ignored = kiln_onnx_int(n, "ignore_index", 0),
                                    .reduction = reduction_of(n)};
    if (kiln_onnx_has(n, 2))
        out->weights = kiln_onnx_in(n, 2);
    const kiln_shape scores = kiln_onnx_spec(n, 0).shape;
    return !n->refused && kiln_onnx_lie_between(n, 1, 0, scores.rank > 1 ? scores.size[1] : -1,
                                                out->ignores ? &out->ignored : NULL);
}

void kiln_onnx_build_cross_entropy(kiln_onnx_node *n)
{
    kiln_class_loss_params p;
    if (!params_of(n, &p))
        return;
    const kiln_tensor scores = kiln_onnx_in(n, 0);
    kiln_onnx_out(n, 0, kiln_cross_entropy_with(n->g, scores, kiln_onnx_in(n, 1), &p));
    if (n->outputs > 1)
        kiln_onnx_out(n, 1, kiln_log_softmax(n->g, scores, 1));
}

void kiln_onnx_build_likelihood(kiln_onnx_node *n)
{
    kiln_class_loss_params p;
    if (params_of(n, &p))
        kiln_onnx_out(n, 0, kiln_negative_log_likelihood(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), &p));
}
