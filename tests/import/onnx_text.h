/*
 * onnx_text.h - ONNX models as text, so that a test reads like the standard:
 *
 *   y, mask = Dropout <seed=3> (x, ratio)
 *   z = Gemm <alpha=0.5, transB=1> (y, w)
 *   v = ai.onnx.preview.training.Momentum <mode="nesterov"> (r, , g)
 *
 * A node a line: outputs, operator (a domain before it ends with a dot), attributes, inputs; what is left out is empty. A number
 * with a dot or an exponent is a real, one without an integer; lists stand in [].
 */
#ifndef KILN_TESTS_IMPORT_ONNX_TEXT_H
#define KILN_TESTS_IMPORT_ONNX_TEXT_H

#include <kiln/kiln.h>

struct kiln_test_onnx {
    int opset;
    const char *inputs;  /* names, separated by spaces */
    const char *outputs; /* likewise */
    const char *nodes;
    const char *initializers;      /* names, separated by spaces, of: */
    const kiln_array *initializer; /* F32 or I64 */
};

/** As kiln_onnx_load, of a model whose inputs have these types and shapes: equal negative sizes are one symbol. */
kiln_status kiln_test_onnx_load(kiln_graph **g, kiln_weights **w, const struct kiln_test_onnx *model,
                                const kiln_spec *inputs, const kiln_onnx_params *params);

/** Whether the model is refused as unsupported, without a word in the test's log. */
bool kiln_test_onnx_refused(const struct kiln_test_onnx *model, const kiln_spec *inputs);

/** Inline the model in g: in[i] is its i-th input, KILN_NONE behind the last; its outputs go to out. Fails the test where it
 * cannot be loaded. */
void kiln_test_onnx_call(kiln_graph *g, const struct kiln_test_onnx *model, const kiln_tensor *in,
                         kiln_tensor *out);

/** Element i of operand k: values that look random, in [-1, 1); and the operand itself, as kiln_test_values. */
float kiln_test_onnx_value(int k, int64_t i);
kiln_tensor kiln_test_onnx_operand(kiln_graph *g, int k, kiln_shape shape);

#endif
