/* onnx_nms.c - non-maximum suppression. */
#include <math.h>

#include <kiln/detection.h>

#include "import/onnx.h"

enum { ANY_NUMBER = 1 << 20 }; /* of boxes: files ask for the largest integer where they mean all */

/* A number that the file gives at input i; `otherwise` where it is left out. */
static double number_at(kiln_onnx_node *n, int i, const char *what, double otherwise)
{
    double value = otherwise;
    if (kiln_onnx_has(n, i) && !kiln_onnx_number(n, i, &value))
        kiln_onnx_refuse(n, "%s is not known while reading", what);
    return value;
}

static double zero_as_given(double value)
{
    return value == 0 ? KILN_ZERO : value;
}

/* Inputs: boxes, scores, how many of a class at the most, and thresholds. The first coordinate is y, which makes no difference. */
void kiln_onnx_build_nms(kiln_onnx_node *n)
{
    const double most = number_at(n, 2, "max_output_boxes_per_class", 0);
    const kiln_shape boxes = kiln_onnx_spec(n, 0).shape;
    const double all = boxes.rank == 3 && boxes.size[1] >= 0 ? (double)boxes.size[1] : ANY_NUMBER;
    kiln_nms_params p = {
        .most = most < all ? (int64_t)most : 0,
        .overlap = zero_as_given(number_at(n, 3, "iou_threshold", 0)),
        .score = zero_as_given(number_at(n, 4, "score_threshold", -INFINITY)),
        .centres = kiln_onnx_int(n, "center_point_box", 0) != 0,
    };
    if (n->refused)
        return;
    if (most <= 0) { /* none, as the standard has it */
        const kiln_array none = {.type = KILN_I64, .shape = KILN_SHAPE(0, 3)};
        kiln_onnx_out(n, 0, kiln_constant(n->g, &none));
        return;
    }
    const kiln_tensor kept = kiln_nms_by_class(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), &p, NULL);
    kiln_onnx_out(n, 0, kiln_cast(n->g, kept, KILN_I64));
}
