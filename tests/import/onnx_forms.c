/*
 * onnx_forms.c - forms of operators that ONNX's public cases leave out: first opsets, whole numbers, odd attributes, and shapes
 * made of sizes that are known when data arrives. Values by hand.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "onnx_text.h"
#include "support/support.h"

enum { MOST = 24, INPUTS = 3 };

struct operand {
    kiln_type type;
    kiln_shape shape;
    double v[MOST];
};

static const struct form {
    int opset;
    const char *nodes, *inputs;
    struct operand in[INPUTS], initializer[2]; /* the latter are named c and d */
    double want[MOST];
    const char *why;
    int64_t most_size; /* that data gives */
} forms[] = {
    {13,
     "y = MatMul(a, b)",
     "a b",
     {{KILN_I64, {2, {1, 2}}, {40000, -3}}, {KILN_I64, {2, {2, 2}}, {50000, 1, 2, -1}}},
     .want = {1999999994, 40003},
     .why = "whole numbers beyond 24 bits"},
    {13,
     "y = Gemm <transB=1> (a, b, c)",
     "a b",
     {{KILN_I32, {2, {2, 2}}, {1, 2, 3, -4}}, {KILN_I32, {2, {1, 2}}, {5, 7}}},
     {{KILN_I32, {1, {1}}, {100}}},
     {119, 87},
     "a product of whole numbers and a sum"},
    {13,
     "s = SequenceConstruct(a, b)\n"
     "t = SequenceInsert(s, c, d)\n"
     "u = SequenceErase(t, d)\n"
     "v = SequenceInsert(u, c)\n"
     "y = ConcatFromSequence <axis=0> (v)",
     "a b",
     {{KILN_F32, {1, {2}}, {1, 2}}, {KILN_F32, {1, {1}}, {3}}},
     {{KILN_F32, {1, {1}}, {4}}, {KILN_I64, {0}, {-1}}},
     {1, 2, 4, 4},
     "what is inserted before the last and erased at the end"},
    {13,
     "s = SplitToSequence <axis=1, keepdims=0> (a)\n"
     "x = SequenceAt(s, c)\n"
     "n = SequenceLength(s)\n"
     "k = Cast <to=1> (n)\n"
     "y = Mul(x, k)",
     "a",
     {{KILN_F32, {2, {2, 3}}, {1, 2, 3, 4, 5, 6}}},
     {{KILN_I64, {0}, {-2}}},
     {6, 15},
     "columns without their axis"},
    {13,
     "s = SplitToSequence <axis=0> (a, c)\n"
     "x = SequenceAt(s, d)\n"
     "y = Identity(x)",
     "a",
     {{KILN_F32, {1, {5}}, {1, 2, 3, 4, 5}}},
     {{KILN_I64, {0}, {2}}, {KILN_I64, {0}, {2}}},
     {5},
     "the last part is less"},
    {13,
     "t = Tile(c, d)\ny = Add(a, t)",
     "a",
     {{KILN_F32, {1, {4}}, {1, 2, 3, 4}}},
     {{KILN_F32, {1, {2}}, {10, 20}}, {KILN_I64, {1, {1}}, {2}}},
     {11, 22, 13, 24},
     "a list twice"},
    {14, "y = Relu(a)", "a", {{KILN_I32, {1, {3}}, {-2, 0, 5}}}, .want = {0, 0, 5}, .why = "whole"},
    {9,
     "y = PRelu(a, b)",
     "a b",
     {{KILN_I32, {1, {3}}, {-2, 0, 5}}, {KILN_I32, {1, {1}}, {3}}},
     .want = {-6, 0, 5},
     .why = "whole"},
    {9,
     "y = Shrink <lambd=1.5, bias=1.0> (a)",
     "a",
     {{KILN_I32, {1, {4}}, {-2, 1, 2, -1}}},
     .want = {-1, 0, 1, 0},
     .why = "whole"},
    {13,
     "y = ReduceMean <axes=[1], keepdims=0> (a)",
     "a",
     {{KILN_I32, {2, {2, 2}}, {7, 8, -3, -4}}},
     .want = {7, -3},
     .why = "whole: towards zero"},
    {13,
     "y = ReduceL2 <axes=[1], keepdims=0> (a)",
     "a",
     {{KILN_I64, {2, {2, 2}}, {3, 4, -6, 8}}},
     .want = {5, 10},
     .why = "whole"},
    {18,
     "y = ai.onnx.ml.ZipMap <classlabels_int64s=[5, 3]> (a)",
     "a",
     {{KILN_F32, {2, {2, 2}}, {0.25, 0.75, 1, 0}}},
     .want = {0.25, 0.75, 1, 0},
     .why = "probabilities by columns, not by labels"},
    {18,
     "y = ReduceL1 <noop_with_empty_axes=1> (a)",
     "a",
     {{KILN_F32, {1, {2}}, {-3, 4}}},
     .want = {3, 4},
     .why = "over no axis"},
    {18,
     "y = ReduceSumSquare <noop_with_empty_axes=1> (a)",
     "a",
     {{KILN_F32, {1, {2}}, {-3, 4}}},
     .want = {9, 16},
     .why = "over no axis"},
    {18,
     "y = ReduceLogSum <noop_with_empty_axes=1> (a)",
     "a",
     {{KILN_F32, {1, {2}}, {1, M_E}}},
     .want = {0, 1},
     .why = "over no axis"},
    {18,
     "y = ReduceLogSumExp <noop_with_empty_axes=1> (a)",
     "a",
     {{KILN_F32, {1, {2}}, {-3, 4}}},
     .want = {-3, 4},
     .why = "over no axis"},
    {7,
     "y = BatchNormalization <spatial=0, epsilon=0.0> (a, b, v, b, v)",
     "a b v",
     {{KILN_F32, {3, {2, 1, 2}}, {1, 2, 3, 4}},
      {KILN_F32, {2, {1, 2}}, {1, 3}},
      {KILN_F32, {2, {1, 2}}, {4, 1}}},
     .want = {4, -2, 5, 4},
     .why = "one of each element"},
    {15,
     "y = BatchNormalization <epsilon=0.0> (a, b, b, v, v)",
     "a b v",
     {{KILN_F16, {2, {2, 1}}, {3, 8}}, {KILN_F32, {1, {1}}, {2}}, {KILN_F32, {1, {1}}, {4}}},
     .want = {1, 6},
     .why = "of halves by floats"},
    {18,
     "y = ScatterElements <axis=1> (a, c, b)",
     "a b",
     {{KILN_F32, {2, {2, 3}}, {1, 2, 3, 4, 5, 6}}, {KILN_F32, {2, {1, 2}}, {8, 9}}},
     {{KILN_I64, {2, {1, 2}}, {2, 0}}},
     {9, 2, 8, 4, 5, 6},
     "fewer rows than there are"},
    {13,
     "y = GatherElements <axis=1> (a, c)",
     "a",
     {{KILN_F32, {2, {2, 3}}, {1, 2, 3, 4, 5, 6}}},
     {{KILN_I64, {2, {1, 2}}, {-1, 0}}},
     {3, 1},
     "fewer rows than there are"},
    {1,
     "y = Cast <to=\"INT32\"> (a)",
     "a",
     {{KILN_F32, {1, {2}}, {1.5, -2.5}}},
     .want = {1, -2},
     .why = "by a name"},
    {1,
     "y = Upsample <height_scale=2.0, width_scale=3.0> (a)",
     "a",
     {{KILN_F32, {4, {1, 1, 1, 2}}, {1, 2}}},
     .want = {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2},
     .why = "factors of a picture"},
    {1,
     "x, y = Split(a, c)",
     "a",
     {{KILN_F32, {1, {4}}, {1, 2, 3, 4}}},
     {{KILN_F32, {1, {2}}, {1, 3}}},
     {2, 3, 4},
     "lengths that are reals"},
    {11,
     "y = Hardmax <axis=1> (a)",
     "a",
     {{KILN_F32, {3, {2, 2, 2}}, {1, 2, 5, 3, 4, 4, 4, 1}}},
     .want = {0, 0, 1, 0, 1, 0, 0, 0},
     .why = "over several axes as one"},
    {13,
     "y = Hardmax <axis=0> (a)",
     "a",
     {{KILN_F32, {2, {2, 2}}, {1, 7, 5, 3}}},
     .want = {0, 1, 1, 0},
     .why = "over one"},
    {22,
     "y = MaxUnpool <kernel_shape=[2], strides=[2]> (a, b, c)",
     "a b",
     {{KILN_F32, {3, {1, 1, 2}}, {5, 6}}, {KILN_I64, {3, {1, 1, 2}}, {1, 2}}},
     {{KILN_I64, {1, {3}}, {1, 1, 6}}},
     {0, 5, 6, 0, 0, 0},
     "a shape of its own"},
    {13,
     "y = SpaceToDepth <blocksize=2, mode=\"CRD\"> (a)",
     "a",
     {{KILN_F32, {4, {1, 2, 2, 2}}, {1, 2, 3, 4, 5, 6, 7, 8}}},
     .want = {1, 2, 3, 4, 5, 6, 7, 8},
     .why = "the channels before the blocks"},
    {22,
     "y = LpNormalization <axis=0> (a)",
     "a",
     {{KILN_F32, {2, {2, 2}}, {3, 0, 4, 0}}},
     .want = {0.6, 0, 0.8, 0},
     .why = "a column of zeros"},
    {18,
     "y = CenterCropPad <axes=[-1]> (a, c)",
     "a",
     {{KILN_F32, {2, {1, 4}}, {1, 2, 3, 4}}},
     {{KILN_I64, {1, {1}}, {1}}},
     {2},
     "the odd element goes at the end"},
    {26,
     "y = BitCast <to=1> (a)",
     "a",
     {{KILN_I32, {1, {2}}, {0x40400000, 0}}},
     .want = {3, 0},
     .why = "words as reals"},
    {12,
     "y = Einsum <equation=\"ij,kj\"> (a, b)",
     "a b",
     {{KILN_I32, {2, {2, 2}}, {1, 2, 3, 4}}, {KILN_I32, {2, {1, 2}}, {5, -1}}},
     .want = {3, 11},
     .why = "an implied result of whole numbers"},
    {6,
     "y = Tile(a, c)",
     "a",
     {{KILN_BOOL, {1, {2}}, {1, 0}}},
     {{KILN_I64, {1, {1}}, {2}}},
     {1, 0, 1, 0},
     "truths"},
    /* Sizes: -1 is known when data arrives. */
    {17,
     "s = Size(a)\nf = Cast <to=1> (s)\ny = Div(a, f)",
     "a",
     {{KILN_F32, {2, {-1, 2}}, {4, 8, 12, 16}}},
     .want = {1, 2, 3, 4},
     .why = "a size as a number"},
    {17,
     "s = Shape <start=1> (a)\nh = Div(s, c)\ny = Slice(a, h, s, d)",
     "a",
     {{KILN_F32, {2, {1, -1}}, {1, 2, 3, 4}}},
     {{KILN_I64, {1, {1}}, {2}}, {KILN_I64, {1, {1}}, {1}}},
     {3, 4},
     "the latter half"},
    {13,
     "p, q = Split <axis=1> (a)\ny = Sub(q, p)",
     "a",
     {{KILN_F32, {2, {1, -1}}, {1, 2, 5, 9}}},
     .want = {4, 7},
     .why = "halves of a size"},
    {17,
     "s = Shape(b)\ny = Expand(a, s)",
     "a b",
     {{KILN_F32, {2, {2, 1}}, {1, 2}}, {KILN_F32, {2, {2, -1}}, {0}}},
     .want = {1, 1, 2, 2},
     .why = "a shape that is all that is read of an input"},
    {27,
     "h, y = CausalConvWithState(a, b)",
     "a b",
     {{KILN_F32, {3, {1, 1, -1}}, {5, 7}}, {KILN_F32, {3, {1, 1, 4}}, {1, 2, 3, 4}}},
     .want = {0, 5, 7},
     .why = "the last places of a padded axis"},
    {27,
     "h, s = CausalConvWithState(a, b)\nn = Size(s)\nf = Cast <to=1> (n)\ny = Add(f, h)",
     "a b",
     {{KILN_F32, {3, {1, 1, -1}}, {5, 7}}, {KILN_F32, {3, {1, 1, 1}}, {2}}},
     .want = {10, 14},
     .why = "none of them"},
    {16,
     "y = Where(a, b, c)",
     "a b",
     {{KILN_BOOL, {1, {3}}, {1, 0, 1}}, {KILN_F64, {1, {3}}, {1, 2, 3}}},
     {{KILN_F64, {1, {3}}, {-1e300, -1e300, 1e300}}},
     {1, -FLT_MAX, 3},
     "numbers that no float reaches: the largest"},
    {16,
     "s = Add(a, c)\ny = Softmax <axis=0> (s)",
     "a",
     {{KILN_F64, {1, {2}}, {5, 5}}},
     {{KILN_F64, {1, {1}}, {-1.7e308}}},
     {.5, .5},
     "a mask of all, as one number"},
    {11,
     "p = Reciprocal(c)\nq = Cast <to=7> (p)\ny = Expand(a, q)",
     "a",
     {{KILN_F32, {1, {1}}, {3}}},
     {{KILN_F32, {1, {1}}, {.25}}},
     {3, 3, 3, 3},
     "a size that was divided by"},
    {11,
     "m = ReduceSum <axes=[0], keepdims=1> (b)\ny, i = TopK(a, m)",
     "a b",
     {{KILN_F32, {1, {5}}, {3, 7, 1, 9, 5}}, {KILN_I64, {1, {2}}, {1, 2}}},
     .want = {9, 7, 5},
     .why = "k of the largest, which data decides"},
    {13,
     "y = Slice(a, c, b, d)",
     "a b",
     {{KILN_F32, {2, {2, 3}}, {1, 2, 3, 4, 5, 6}}, {KILN_I64, {1, {1}}, {2}}},
     {{KILN_I64, {1, {1}}, {0}}, {KILN_I64, {1, {1}}, {-1}}},
     {1, 2, 4, 5},
     "an end that data decides"},
    {13,
     "y = Slice(a, c, b, d)",
     "a b",
     {{KILN_F32, {2, {2, 3}}, {1, 2, 3, 4, 5, 6}}, {KILN_I64, {1, {1}}, {-1}}},
     {{KILN_I64, {1, {1}}, {0}}, {KILN_I64, {1, {1}}, {-1}}},
     {1, 2, 4, 5},
     "from the end on"},
    {13,
     "y = Slice(a, c, b, d)",
     "a b",
     {{KILN_F32, {2, {2, 3}}, {1, 2, 3, 4, 5, 6}}, {KILN_I64, {1, {1}}, {INT32_MAX}}},
     {{KILN_I64, {1, {1}}, {0}}, {KILN_I64, {1, {1}}, {-1}}},
     {1, 2, 3, 4, 5, 6},
     "beyond all"},
    {13,
     "y = Slice(a, c, b, d)",
     "a b",
     {{KILN_F32, {2, {2, 3}}, {1, 2, 3, 4, 5, 6}}, {KILN_I64, {1, {1}}, {-4}}},
     {{KILN_I64, {1, {1}}, {0}}, {KILN_I64, {1, {1}}, {-1}}},
     {0},
     "before all"},
    {13,
     "y = Slice(a, c, b)",
     "a b",
     {{KILN_F32, {1, {-1}}, {1, 2}}, {KILN_I64, {1, {1}}, {-1}}},
     {{KILN_I64, {1, {1}}, {0}}},
     {1},
     "of an axis whose size is not known"},
    {26,
     "b = BitCast <to=7> (c)\ny = Add(a, b)",
     "a",
     {{KILN_I64, {1, {2}}, {1, 2}}},
     {{KILN_F64, {1, {2}}, {4.9406564584124654e-324, 0}}},
     {2, 2},
     "bits of 64, which are known"},
    {13,
     "s = ReduceSum <keepdims=0> (a)\nr = Range(c, s, d)\nf = Cast <to=1> (r)\ny = Mul(f, b)",
     "a b",
     {{KILN_I64, {1, {2}}, {4, 3}}, {KILN_F32, {0}, {2}}},
     {{KILN_I64, {0}, {0}}, {KILN_I64, {0}, {2}}},
     {0, 4, 8, 12},
     "a range to where data says",
     .most_size = 8},
    {13,
     "s, e = Split <axis=0> (a)\nf = Squeeze(s)\nt = Squeeze(e)\nr = Range(f, t, d)\n"
     "x = Cast <to=1> (r)\ny = Mul(x, b)",
     "a b",
     {{KILN_I64, {1, {2}}, {-2, 5}}, {KILN_F32, {0}, {2}}},
     {{KILN_I64, {0}, {0}}, {KILN_I64, {0}, {3}}},
     {-4, 2, 8},
     "a range between what data says",
     .most_size = 8},
    {13,
     "s, e = Split <axis=0> (a)\nf = Squeeze(s)\nt = Squeeze(e)\nr = Range(f, t, d)\n"
     "x = Cast <to=1> (r)\ny = Mul(x, b)",
     "a b",
     {{KILN_I64, {1, {2}}, {6, -1}}, {KILN_F32, {0}, {2}}},
     {{KILN_I64, {0}, {0}}, {KILN_I64, {0}, {-2}}},
     {12, 8, 4, 0},
     "a range downwards between what data says",
     .most_size = 8},
    {13,
     "s, e = Split <axis=0> (a)\nf = Squeeze(s)\nt = Squeeze(e)\nr = Range(f, t, d)\n"
     "x = Cast <to=1> (r)\nz = ReduceSum <keepdims=0> (x)\ny = Add(z, b)",
     "a b",
     {{KILN_I64, {1, {2}}, {5, 3}}, {KILN_F32, {0}, {2}}},
     {{KILN_I64, {0}, {0}}, {KILN_I64, {0}, {1}}},
     {2},
     "a range that ends before it begins",
     .most_size = 8},
    {13,
     "s = ReduceSum <keepdims=0> (a)\nr = Range(s, d, c)\nf = Cast <to=1> (r)\ny = Mul(f, b)",
     "a b",
     {{KILN_I64, {1, {2}}, {4, 1}}, {KILN_F32, {0}, {2}}},
     {{KILN_I64, {0}, {1}}, {KILN_I64, {0}, {8}}},
     {10, 12, 14},
     "a range from where data says",
     .most_size = 8},
    {13,
     "s = ReduceSum <keepdims=0> (a)\nt = Add(s, d)\nr = Range(s, t, c)\nf = Cast <to=1> (r)\ny = Mul(f, b)",
     "a b",
     {{KILN_I64, {1, {2}}, {40000, 1}}, {KILN_F32, {0}, {2}}},
     {{KILN_I64, {0}, {1}}, {KILN_I64, {0}, {3}}},
     {80002, 80004, 80006},
     "a range of three from where data says: nothing need bound it"},
    {13,
     "s = ReduceSum <keepdims=0> (a)\nr = Range(c, s, d)\nf = Cast <to=1> (r)\ny = Mul(f, b)",
     "a b",
     {{KILN_I64, {1, {2}}, {40, 3}}, {KILN_F32, {0}, {2}}},
     {{KILN_I64, {0}, {0}}, {KILN_I64, {0}, {2}}},
     {NAN, NAN, NAN, NAN},
     "a range to where there is no room for",
     .most_size = 8},
};

/* The elements of an operand in its own type; sizes that are symbols are what the case's number of values makes them. */
static kiln_array array_of(const struct operand *o, void *data)
{
    kiln_array a = {.data = data, .type = o->type, .shape = o->shape};
    for (int i = 0; i < a.shape.rank; i++)
        a.shape.size[i] =
            a.shape.size[i] < 0 ? (a.shape.rank == 2 && i && a.shape.size[0] == 1 ? 4 : 2) : a.shape.size[i];
    for (int64_t i = 0; i < kiln_shape_count(&a.shape); i++) {
        const float real = (float)o->v[i];
        const int64_t whole = kiln_type_is_real(o->type) ? 0 : (int64_t)o->v[i];
        const uint16_t half = kiln_half_from(real);
        const void *from = o->type == KILN_F32   ? (const void *)&real
                           : o->type == KILN_F64 ? (const void *)&o->v[i]
                           : o->type == KILN_F16 ? (const void *)&half
                                                 : (const void *)&whole; /* little-endian */
        memcpy((char *)data + (size_t)i * kiln_type_size(o->type), from, kiln_type_size(o->type));
    }
    return a;
}

static void expect_form(const struct form *f, const char *device)
{
    double data[INPUTS + 2][MOST], got[MOST] = {0};
    kiln_array in[INPUTS], given[2];
    kiln_spec spec[INPUTS];
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    for (int i = 0; i < INPUTS; i++) {
        in[i] = array_of(&f->in[i], data[i]);
        spec[i] = (kiln_spec){f->in[i].type, f->in[i].shape};
    }
    for (int i = 0; i < 2; i++)
        given[i] = array_of(&f->initializer[i], data[INPUTS + i]);
    const struct kiln_test_onnx model = {.opset = f->opset,
                                         .inputs = f->inputs,
                                         .outputs = "y",
                                         .nodes = f->nodes,
                                         .initializers = "c d",
                                         .initializer = given};
    cr_assert_eq(kiln_test_onnx_load(&g, &w, &model, spec, &(kiln_onnx_params){.most_size = f->most_size}),
                 KILN_OK, "%s: %s", f->nodes, f->why);
    const kiln_tensor y = kiln_graph_output(g, 0);
    union {
        int64_t whole[MOST];
        double real[MOST];
    } result = {{0}};
    kiln_test_run(g, y, device, in, &result);
    const bool real = kiln_type_is_real(kiln_tensor_type(g, y));
    for (int i = 0; i < MOST; i++)
        got[i] = real ? result.real[i] : (double)result.whole[i];
    kiln_expect_close(got, f->want, MOST, 1e-6, f->nodes); /* what is not there is 0 in both */
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(onnx_forms, have_their_values_on_every_device)
{
    for (int d = 0; kiln_test_device(d); d++)
        for (size_t i = 0; i < KILN_COUNT(forms); i++)
            expect_form(&forms[i], kiln_test_device(d));
}

/* Places that data gives, sequences of sequences, and sequences that leave the model. */
Test(onnx_forms, sequences_that_are_not_known_while_reading_are_refused)
{
    static const char *const nodes[] = {
        "s = SequenceConstruct(a, a)\ny = SequenceAt(s, b)",
        "s = SequenceConstruct(a, a)\nt = SequenceInsert(s, a, b)\ny = SequenceAt(t, b)",
        "s = SequenceConstruct(a, a)\nt = SequenceConstruct(s, a)\ny = ConcatFromSequence <axis=0> (t)",
        "y = SequenceConstruct(a, a)",
        "s = SequenceConstruct(a)\ny = Relu(s)",
        "s = SequenceEmpty()\ny = ConcatFromSequence <axis=0> (s)",
        "s = SequenceEmpty()\ny = SequenceErase(s)",
        "s = SplitToSequence(a, b)\ny = ConcatFromSequence <axis=0> (s)",
        "y = ConcatFromSequence <axis=0> (a)",
    };
    const kiln_spec specs[] = {{KILN_F32, KILN_SHAPE(4)}, {KILN_I64, KILN_SCALAR}};
    for (size_t i = 0; i < KILN_COUNT(nodes); i++) {
        const struct kiln_test_onnx model = {.opset = 17, .inputs = "a b", .outputs = "y", .nodes = nodes[i]};
        cr_expect(kiln_test_onnx_refused(&model, specs), "%s", nodes[i]);
    }
}

Test(onnx_forms, classical_models_that_ask_for_more_are_refused)
{
    static const char *const nodes[] = {
        "y = ai.onnx.ml.Scaler <offset=[1.0]> (x)",
        "y = ai.onnx.ml.Normalizer <norm=\"L3\"> (x)",
        "y = ai.onnx.ml.ArrayFeatureExtractor(s, i)",
        "y = ai.onnx.ml.LinearRegressor <coefficients=[1.0, 2.0]> (x)",
        "y = ai.onnx.ml.LinearRegressor <coefficients=[1.0, 2.0, 3.0], intercepts=[1.0, 2.0]> (x)",
        "y = ai.onnx.ml.LinearRegressor <coefficients=[1.0, 2.0, 3.0], post_transform=\"PROBIT\"> (x)",
        "y = ai.onnx.ml.LinearRegressor <coefficients=[1.0, 2.0, 3.0], targets=0> (x)",
        "y = ai.onnx.ml.LinearClassifier <coefficients=[1.0, 2.0, 3.0]> (x)",
        "y = ai.onnx.ml.LinearClassifier <coefficients=[1.0, 2.0, 3.0], classlabels_ints=[0, 1]> (x)",
        "y = ai.onnx.ml.LinearRegressor <coefficients=[1.0]> (s)",
        "y = ai.onnx.ml.TreeEnsembleRegressor(x)",
        "y = ai.onnx.ml.ZipMap (x)",
        "y = ai.onnx.ml.ZipMap <classlabels_int64s=[3, 5]> (x)",
        "y = ai.onnx.ml.ZipMap <classlabels_int64s=[3]> (s)",
        "y = ai.onnx.ml.ZipMap <classlabels_int64s=[3, 5]> (i)",
    };
    const kiln_spec specs[] = {{KILN_F32, KILN_SHAPE(2, 3)},
                               {KILN_F32, KILN_SCALAR},
                               {KILN_I64, KILN_SHAPE(2)}};
    for (size_t i = 0; i < KILN_COUNT(nodes); i++) {
        const struct kiln_test_onnx model = {
            .opset = 17, .inputs = "x s i", .outputs = "y", .nodes = nodes[i]};
        cr_expect(kiln_test_onnx_refused(&model, specs), "%s", nodes[i]);
    }
}

/* What ONNX Runtime's own operators ask for and kiln has not. */
Test(onnx_forms, fused_operators_that_ask_for_more_are_refused)
{
    static const char *const nodes[] = {
        "y = com.microsoft.FusedConv <activation=\"Mystify\"> (x, w)",
        "y = com.microsoft.FusedConv <activation=\"Relu\", activation_params=[0.5]> (x, w)",
        "y = com.microsoft.FusedGemm <activation=\"Mystify\"> (a, a)",
        "y = com.microsoft.FusedGemm <activation=\"Relu\"> (s, a)",
        "y = com.microsoft.Attention <num_heads=1, do_rotary=1> (s, a)",
        "y = com.microsoft.Attention <num_heads=1, past_present_share_buffer=1> (s, a)",
        "y = com.microsoft.Attention <num_heads=2> (s, a)",
        "y = com.microsoft.Attention <num_heads=1> (s, a, , lengths)",
        "y = com.microsoft.Attention <num_heads=1, qkv_hidden_sizes=[1, 2]> (s, a)",
        "y = com.microsoft.Attention <num_heads=1> (a, a)",
        "y = com.microsoft.MultiHeadAttention <num_heads=1> (s)",
        "y = com.microsoft.MultiHeadAttention <num_heads=2> (s, s, s)",
        "y = com.microsoft.MultiHeadAttention (s, s, s)",
        "y = com.microsoft.MultiHeadAttention <num_heads=1> (s, s, s, , , , x)",
        "y, newk, newv, p = com.microsoft.MultiHeadAttention <num_heads=1> (s, s, s)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1> (s, , , , , ends)",
        "y = com.microsoft.GroupQueryAttention <num_heads=2, kv_num_heads=3> (s, , , , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=2, kv_num_heads=1> (s, , , , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1> (s, s, , , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1> (s, s, s, x, , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1> (a, a, a, , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1, do_rotary=1> (s, s, s, , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1, do_rotary=1> (s, s, s, , , ends, total, v, v)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1, local_window_size=0> (s, s, s, , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1, softcap=-1.0> (s, s, s, , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1, sliding_window_cache=1> (s, s, s, , , ends, total)",
        "y = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1, k_quant_type=\"PER_TENSOR\"> (s, s, s, , , ends, total)",
        "y, k, v2, p = com.microsoft.GroupQueryAttention <num_heads=1, kv_num_heads=1> (s, s, s, , , ends, total)",
        "y = com.microsoft.GatherBlockQuantized <bits=8> (a, places, a)",
        "y = com.microsoft.GatherBlockQuantized <bits=2> (bytes, places, a)",
        "y = com.microsoft.GatherBlockQuantized <bits=8, block_size=2> (bytes, places, a)",
        "y = com.microsoft.GatherBlockQuantized <bits=8, block_size=1, gather_axis=1> (bytes, places, a)",
        "y = com.microsoft.GatherBlockQuantized <bits=8, block_size=1, quantize_axis=0> (bytes, places, a)",
        "y = com.microsoft.SkipLayerNormalization <tilt=1> (s, s, v)",
        "y, mean = com.microsoft.SkipLayerNormalization(s, s, v)",
        "y = com.microsoft.EmbedLayerNormalization(places, places, a, a, , v, v)",
        "y = com.microsoft.EmbedLayerNormalization(places, , a, a, , v)",
        "y = com.microsoft.RotaryEmbedding <scale=2.0> (s, places, a, a)",
        "y = com.microsoft.RotaryEmbedding <is_packed_batching=1> (s, places, a, a)",
    };
    const kiln_spec specs[] = {
        {KILN_F32, KILN_SHAPE(1, 3, 4, 4)}, {KILN_F32, KILN_SHAPE(2, 3, 1, 1)}, {KILN_F32, KILN_SHAPE(3, 3)},
        {KILN_F32, KILN_SHAPE(2, 4, 3)},    {KILN_F32, KILN_SHAPE(3)},          {KILN_I64, KILN_SHAPE(2, 4)},
        {KILN_I64, KILN_SHAPE(3)},          {KILN_I32, KILN_SHAPE(2)},          {KILN_I32, KILN_SCALAR},
        {KILN_U8, KILN_SHAPE(3, 3)}};
    for (size_t i = 0; i < KILN_COUNT(nodes); i++) {
        const struct kiln_test_onnx model = {.opset = 17,
                                             .inputs = "x w a s v places lengths ends total bytes",
                                             .outputs = "y",
                                             .nodes = nodes[i]};
        cr_expect(kiln_test_onnx_refused(&model, specs), "%s", nodes[i]);
    }
}
