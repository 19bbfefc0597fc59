/*
 * onnx_table.c - ONNX's operators, a row each: for which opsets, with which attributes and inputs, and who builds it.
 *
 * An attribute that a row does not list is refused. Those of the first opsets that meant nothing (consumed_inputs) are listed
 * and passed over. Where a meaning changed with an opset, either the operator has two rows or its builder looks at it.
 */
#include <string.h>

#include "import/onnx.h"

/* Rows of families of operators that differ in one function. */
#define UNARY(name_, function)                                                                       \
    {                                                                                                \
        .name = name_, .attributes = "consumed_inputs", .inputs = 1, .build = kiln_onnx_build_unary, \
        .unary = function                                                                            \
    }
#define FOLDED(name_, function, operation_)                                                          \
    {                                                                                                \
        .name = name_, .attributes = "consumed_inputs", .inputs = 1, .build = kiln_onnx_build_unary, \
        .unary = function, .fold = kiln_onnx_fold_unary, .operation = operation_                     \
    }
#define BINARY(name_, function, operation_)                                                 \
    {                                                                                       \
        .name = name_, .attributes = "axis broadcast consumed_inputs", .inputs = 2,         \
        .build = kiln_onnx_build_binary, .binary = function, .fold = kiln_onnx_fold_binary, \
        .operation = operation_                                                             \
    }
#define VARIADIC(name_, function, operation_)                                                 \
    {                                                                                         \
        .name = name_, .attributes = "consumed_inputs", .inputs = 1, .most = -1,              \
        .build = kiln_onnx_build_variadic, .binary = function, .fold = kiln_onnx_fold_binary, \
        .operation = operation_                                                               \
    }
#define REDUCE(name_, function, operation_)                                                        \
    {                                                                                              \
        .name = name_, .attributes = "axes keepdims noop_with_empty_axes", .inputs = 1, .most = 2, \
        .build = kiln_onnx_build_reduce, .reduce = function, .fold = kiln_onnx_fold_reduce,        \
        .operation = operation_                                                                    \
    }

#define WINDOW "auto_pad dilations kernel_shape pads strides "

static const struct kiln_onnx_row rows[] = {
    /* Elementwise */
    FOLDED("Abs", kiln_abs, KILN_ONNX_ABS),
    BINARY("Add", kiln_add, KILN_ONNX_ADD),
    BINARY("And", kiln_and, KILN_ONNX_AND),
    {.name = "Cast",
     .attributes = "saturate to",
     .inputs = 1,
     .build = kiln_onnx_build_cast,
     .fold = kiln_onnx_fold_cast},
    {.name = "CastLike", .attributes = "saturate", .inputs = 2, .build = kiln_onnx_build_cast_like},
    FOLDED("Ceil", kiln_onnx_ceil, KILN_ONNX_CEIL),
    {.name = "Clip",
     .attributes = "consumed_inputs max min",
     .inputs = 1,
     .most = 3,
     .build = kiln_onnx_build_clip},
    UNARY("Cos", kiln_cos),
    BINARY("Div", kiln_div, KILN_ONNX_DIV),
    {.name = "Dropout",
     .attributes = "consumed_inputs is_test ratio seed",
     .inputs = 1,
     .most = 3,
     .build = kiln_onnx_build_dropout},
    {.name = "Elu", .attributes = "alpha consumed_inputs", .inputs = 1, .build = kiln_onnx_build_elu},
    BINARY("Equal", kiln_equal, KILN_ONNX_EQUAL),
    UNARY("Exp", kiln_exp),
    FOLDED("Floor", kiln_floor, KILN_ONNX_FLOOR),
    BINARY("Greater", kiln_greater, KILN_ONNX_GREATER),
    BINARY("GreaterOrEqual", kiln_greater_equal, KILN_ONNX_GREATER_EQUAL),
    {.name = "HardSigmoid",
     .attributes = "alpha beta consumed_inputs",
     .inputs = 1,
     .build = kiln_onnx_build_hard_sigmoid},
    UNARY("HardSwish", kiln_onnx_hard_swish),
    {.name = "Identity",
     .inputs = 1,
     .build = kiln_onnx_build_identity,
     .fold = kiln_onnx_fold_unary,
     .operation = KILN_ONNX_SAME},
    {.name = "LeakyRelu",
     .attributes = "alpha consumed_inputs",
     .inputs = 1,
     .build = kiln_onnx_build_leaky_relu},
    BINARY("Less", kiln_less, KILN_ONNX_LESS),
    BINARY("LessOrEqual", kiln_less_equal, KILN_ONNX_LESS_EQUAL),
    UNARY("Log", kiln_log),
    VARIADIC("Max", kiln_max, KILN_ONNX_MAX),
    {.name = "Mean", .attributes = "consumed_inputs", .inputs = 1, .most = -1, .build = kiln_onnx_build_mean},
    VARIADIC("Min", kiln_min, KILN_ONNX_MIN),
    {.name = "Mod",
     .attributes = "fmod",
     .inputs = 2,
     .fold = kiln_onnx_fold_binary,
     .operation = KILN_ONNX_MOD},
    BINARY("Mul", kiln_mul, KILN_ONNX_MUL),
    FOLDED("Neg", kiln_neg, KILN_ONNX_NEG),
    FOLDED("Not", kiln_not, KILN_ONNX_NOT),
    BINARY("Or", kiln_or, KILN_ONNX_OR),
    {.name = "PRelu",
     .attributes = "consumed_inputs",
     .inputs = 2,
     .build = kiln_onnx_build_prelu,
     .parameters = 2},
    {.name = "Pow",
     .attributes = "axis broadcast",
     .inputs = 2,
     .build = kiln_onnx_build_pow,
     .fold = kiln_onnx_fold_binary,
     .operation = KILN_ONNX_POW},
    UNARY("Reciprocal", kiln_reciprocal),
    UNARY("Relu", kiln_relu),
    UNARY("Sigmoid", kiln_sigmoid),
    UNARY("Sign", kiln_sign),
    UNARY("Sin", kiln_sin),
    UNARY("Softplus", kiln_softplus),
    UNARY("Softsign", kiln_onnx_softsign),
    {.name = "Selu", .attributes = "alpha consumed_inputs gamma", .inputs = 1, .build = kiln_onnx_build_selu},
    FOLDED("Sqrt", kiln_sqrt, KILN_ONNX_SQRT),
    BINARY("Sub", kiln_sub, KILN_ONNX_SUB),
    VARIADIC("Sum", kiln_add, KILN_ONNX_ADD),
    UNARY("Tan", kiln_onnx_tan),
    UNARY("Tanh", kiln_tanh),
    {.name = "Where", .inputs = 3, .build = kiln_onnx_build_where, .fold = kiln_onnx_fold_where},
    {.name = "ThresholdedRelu",
     .attributes = "alpha",
     .inputs = 1,
     .build = kiln_onnx_build_thresholded_relu},
    BINARY("Xor", kiln_not_equal, KILN_ONNX_NOT_EQUAL),

    /* Matrices and images */
    {.name = "AveragePool",
     .attributes = WINDOW "ceil_mode count_include_pad",
     .inputs = 1,
     .build = kiln_onnx_build_average_pool},
    {.name = "Conv",
     .attributes = WINDOW "group",
     .inputs = 2,
     .most = 3,
     .build = kiln_onnx_build_conv,
     .parameters = 6},
    {.name = "ConvTranspose",
     .attributes = WINDOW "group output_padding output_shape",
     .inputs = 2,
     .most = 3,
     .build = kiln_onnx_build_conv_transpose,
     .parameters = 6},
    {.name = "Gemm",
     .attributes = "alpha beta broadcast transA transB",
     .inputs = 2,
     .most = 3,
     .build = kiln_onnx_build_gemm,
     .parameters = 6},
    {.name = "GlobalAveragePool", .inputs = 1, .build = kiln_onnx_build_global_pool, .reduce = kiln_mean},
    {.name = "GlobalMaxPool", .inputs = 1, .build = kiln_onnx_build_global_pool, .reduce = kiln_reduce_max},
    {.name = "MatMul", .inputs = 2, .build = kiln_onnx_build_matmul, .parameters = 3},
    {.name = "MaxPool",
     .attributes = WINDOW "ceil_mode storage_order",
     .inputs = 1,
     .build = kiln_onnx_build_max_pool},

    /* Normalization and probabilities */
    {.name = "BatchNormalization",
     .attributes = "consumed_inputs epsilon is_test momentum spatial training_mode",
     .inputs = 5,
     .build = kiln_onnx_build_batch_norm,
     .parameters = 6,
     .states = 24},
    {.name = "InstanceNormalization",
     .attributes = "consumed_inputs epsilon",
     .inputs = 3,
     .build = kiln_onnx_build_instance_norm,
     .parameters = 6},
    {.name = "LayerNormalization",
     .attributes = "axis epsilon stash_type",
     .inputs = 2,
     .most = 3,
     .build = kiln_onnx_build_layer_norm,
     .parameters = 6},
    {.name = "LogSoftmax",
     .last = 12,
     .attributes = "axis",
     .inputs = 1,
     .build = kiln_onnx_build_softmax_flat,
     .softmax = kiln_log_softmax},
    {.name = "LogSoftmax",
     .first = 13,
     .attributes = "axis",
     .inputs = 1,
     .build = kiln_onnx_build_softmax,
     .softmax = kiln_log_softmax},
    {.name = "Softmax",
     .last = 12,
     .attributes = "axis",
     .inputs = 1,
     .build = kiln_onnx_build_softmax_flat,
     .softmax = kiln_softmax},
    {.name = "Softmax",
     .first = 13,
     .attributes = "axis",
     .inputs = 1,
     .build = kiln_onnx_build_softmax,
     .softmax = kiln_softmax},

    /* Reductions */
    {.name = "ArgMax",
     .attributes = "axis keepdims select_last_index",
     .inputs = 1,
     .build = kiln_onnx_build_arg},
    {.name = "ArgMin",
     .attributes = "axis keepdims select_last_index",
     .inputs = 1,
     .build = kiln_onnx_build_arg,
     .unary = kiln_neg},
    REDUCE("ReduceL1", kiln_onnx_l1, 0),
    REDUCE("ReduceL2", kiln_onnx_l2, 0),
    REDUCE("ReduceLogSum", kiln_onnx_log_sum, 0),
    REDUCE("ReduceLogSumExp", kiln_onnx_log_sum_exp, 0),
    REDUCE("ReduceMax", kiln_reduce_max, KILN_ONNX_MAX),
    REDUCE("ReduceMean", kiln_mean, 0),
    REDUCE("ReduceMin", kiln_reduce_min, KILN_ONNX_MIN),
    REDUCE("ReduceProd", NULL, KILN_ONNX_MUL),
    REDUCE("ReduceSum", kiln_sum, KILN_ONNX_ADD),
    REDUCE("ReduceSumSquare", kiln_onnx_sum_square, 0),

    /* Shape */
    {.name = "Concat",
     .attributes = "axis",
     .inputs = 1,
     .most = -1,
     .build = kiln_onnx_build_concat,
     .fold = kiln_onnx_fold_concat},
    {.name = "Constant",
     .attributes = "value value_float value_floats value_int value_ints",
     .build = kiln_onnx_build_constant},
    {.name = "ConstantOfShape",
     .attributes = "value",
     .inputs = 1,
     .build = kiln_onnx_build_constant_of_shape},
    {.name = "DepthToSpace",
     .attributes = "blocksize mode",
     .inputs = 1,
     .build = kiln_onnx_build_depth_to_space},
    {.name = "Expand", .inputs = 2, .build = kiln_onnx_build_expand, .fold = kiln_onnx_fold_expand},
    {.name = "Flatten", .attributes = "axis", .inputs = 1, .build = kiln_onnx_build_flatten},
    {.name = "Gather",
     .attributes = "axis",
     .inputs = 2,
     .build = kiln_onnx_build_gather,
     .fold = kiln_onnx_fold_gather},
    {.name = "Pad",
     .attributes = "mode paddings pads value",
     .inputs = 1,
     .most = 4,
     .build = kiln_onnx_build_pad},
    {.name = "Range", .inputs = 3, .fold = kiln_onnx_fold_range},
    {.name = "Reshape",
     .attributes = "allowzero consumed_inputs shape",
     .inputs = 1,
     .most = 2,
     .build = kiln_onnx_build_reshape,
     .fold = kiln_onnx_fold_reshape},
    {.name = "Shape", .attributes = "end start", .inputs = 1, .build = kiln_onnx_build_shape},
    {.name = "Size", .inputs = 1, .build = kiln_onnx_build_size},
    {.name = "Slice",
     .attributes = "axes ends starts",
     .inputs = 1,
     .most = 5,
     .build = kiln_onnx_build_slice,
     .fold = kiln_onnx_fold_slice},
    {.name = "SpaceToDepth", .attributes = "blocksize", .inputs = 1, .build = kiln_onnx_build_space_to_depth},
    {.name = "Split",
     .attributes = "axis num_outputs split",
     .inputs = 1,
     .most = 2,
     .build = kiln_onnx_build_split},
    {.name = "Squeeze",
     .attributes = "axes",
     .inputs = 1,
     .most = 2,
     .build = kiln_onnx_build_squeeze,
     .fold = kiln_onnx_fold_squeeze},
    {.name = "Transpose", .attributes = "perm", .inputs = 1, .build = kiln_onnx_build_transpose},
    {.name = "Unsqueeze",
     .attributes = "axes",
     .inputs = 1,
     .most = 2,
     .build = kiln_onnx_build_unsqueeze,
     .fold = kiln_onnx_fold_unsqueeze},
};

const struct kiln_onnx_row *kiln_onnx_row_of(const char *name, int opset)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name) && opset >= rows[i].first && (!rows[i].last || opset <= rows[i].last))
            return &rows[i];
    return NULL;
}
