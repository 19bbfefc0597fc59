/*
 * onnx_fused.c - what ONNX Runtime's optimizers make of a model's nodes: operators of its own domain, each several of the standard's.
 *
 *   FusedConv, FusedGemm        activation(convolution or product + z)
 *   FusedMatMul                 alpha a b, either turned first
 *   BiasGelu, FastGelu          gelu(x + bias), by erf and by tanh
 *   SkipLayerNormalization      normalized(x + skip + bias), and the sum
 *   EmbedLayerNormalization     normalized(word + position + segment)
 *
 * Attention among them is in onnx_fused_attention.c.
 */
#include <math.h>
#include <string.h>

#include <kiln/indexing.h>
#include <kiln/norm.h>

#include "import/onnx.h"

/* Activations ------------------------------------------------------------------------------------------- */

static kiln_tensor hard_sigmoid(kiln_graph *g, kiln_tensor x, const double *p)
{
    return kiln_hard_sigmoid(g, x, p[0], p[1]);
}

static kiln_tensor leaky_relu(kiln_graph *g, kiln_tensor x, const double *p)
{
    return kiln_leaky_relu(g, x, p[0]);
}

static kiln_tensor elu(kiln_graph *g, kiln_tensor x, const double *p)
{
    return kiln_elu(g, x, p[0]);
}

static kiln_tensor thresholded_relu(kiln_graph *g, kiln_tensor x, const double *p)
{
    return kiln_thresholded_relu(g, x, p[0]);
}

static kiln_tensor clip(kiln_graph *g, kiln_tensor x, const double *p)
{
    return kiln_clip(g, x, p[0], p[1]);
}

static const struct activation {
    const char *name;
    kiln_onnx_unary_fn *plain; /* of one without numbers */
    kiln_tensor (*build)(kiln_graph *g, kiln_tensor x, const double *p);
    int numbers;
    double otherwise[2]; /* numbers that are not given */
} activations[] = {{.name = "Relu", .plain = kiln_relu},
                   {.name = "Sigmoid", .plain = kiln_sigmoid},
                   {.name = "Tanh", .plain = kiln_tanh},
                   {.name = "Softplus", .plain = kiln_softplus},
                   {.name = "Softsign", .plain = kiln_softsign},
                   {"LeakyRelu", NULL, leaky_relu, 1, {0.01}},
                   {"Elu", NULL, elu, 1, {1}},
                   {"ThresholdedRelu", NULL, thresholded_relu, 1, {1}},
                   {"HardSigmoid", NULL, hard_sigmoid, 2, {0.2, 0.5}},
                   {"Clip", NULL, clip, 2, {-INFINITY, INFINITY}}};

/* The numbers of an activation: a list, or one by one. */
static void take_numbers(kiln_onnx_node *n, const struct activation *a, double *p)
{
    static const char *const names[] = {"activation_alpha", "activation_beta"};
    int count;
    const float *list = kiln_onnx_reals(n, "activation_params", &count);
    if (count > a->numbers)
        kiln_onnx_refuse(n, "activation %s has %d numbers, wanted %d", a->name, count, a->numbers);
    for (int i = 0; i < a->numbers; i++)
        p[i] = list && i < count ? (double)list[i] : kiln_onnx_real(n, names[i], a->otherwise[i]);
}

/* y by the function that attribute "activation" names; y itself where there is none. */
static kiln_tensor activated(kiln_onnx_node *n, kiln_tensor y)
{
    const char *name = kiln_onnx_text(n, "activation", "");
    double p[2] = {0};
    if (!name[0])
        return y;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        const struct activation *a = &activations[i];
        if (strcmp(a->name, name))
            continue;
        take_numbers(n, a, p);
        return a->plain ? a->plain(n->g, y) : a->build(n->g, y, p);
    }
    kiln_onnx_refuse(n, "activation %s is not supported", name);
    return KILN_NONE;
}

/* Convolution and products ------------------------------------------------------------------------------ */

enum { X, W, CONV_BIAS, Z };

/* activation(conv(x, w) + bias + z) */
static void build_conv(kiln_onnx_node *n, kiln_tensor x, kiln_tensor z, const int *back)
{
    kiln_conv_params p;
    if (!kiln_onnx_take_conv(n, W, &p))
        return;
    kiln_tensor y = kiln_conv(n->g, x, kiln_onnx_in(n, W), kiln_onnx_in(n, CONV_BIAS), &p);
    y = activated(n, z.id ? kiln_add(n->g, y, z) : y);
    if (!n->refused)
        kiln_onnx_out(n, 0, back ? kiln_transpose(n->g, y, back) : y);
}

void kiln_onnx_build_fused_conv(kiln_onnx_node *n)
{
    build_conv(n, kiln_onnx_in(n, X), kiln_onnx_in(n, Z), NULL);
}

/* Of x and z, and to y, with their channels last; the filters are as ever. */
void kiln_onnx_build_fused_conv_last(kiln_onnx_node *n)
{
    const int rank = kiln_onnx_spec(n, X).shape.rank;
    int first[KILN_MAX_RANK] = {0}, last[KILN_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++) {
        first[i] = i == 1 ? rank - 1 : i - 1;
        last[i] = i == rank - 1 ? 1 : i + 1;
    }
    if (kiln_onnx_has(n, Z) && kiln_onnx_spec(n, Z).shape.rank != rank)
        kiln_onnx_refuse(n, "z has rank %d, wanted %d", kiln_onnx_spec(n, Z).shape.rank, rank);
    if (n->refused)
        return;
    const kiln_tensor z = kiln_onnx_has(n, Z) ? kiln_transpose(n->g, kiln_onnx_in(n, Z), first) : KILN_NONE;
    build_conv(n, kiln_transpose(n->g, kiln_onnx_in(n, X), first), z, last);
}

void kiln_onnx_build_fused_gemm(kiln_onnx_node *n)
{
    if (kiln_onnx_real(n, "activation_gamma", 0) != 0)
        kiln_onnx_refuse(n, "activation_gamma is not supported");
    const kiln_tensor y = activated(n, kiln_onnx_gemm(n));
    if (!n->refused)
        kiln_onnx_out(n, 0, y);
}

/* Input i with its first axis in front of the last one: [M, B.., K] as [B.., M, K]. */
static kiln_tensor batch_in_front(kiln_onnx_node *n, int i, bool turn)
{
    const kiln_tensor x = kiln_onnx_in(n, i);
    const int rank = kiln_onnx_spec(n, i).shape.rank;
    int order[KILN_MAX_RANK];
    if (!turn || rank < 3)
        return x;
    for (int k = 0; k < rank - 2; k++)
        order[k] = k + 1;
    order[rank - 2] = 0;
    order[rank - 1] = rank - 1;
    return kiln_transpose(n->g, x, order);
}

void kiln_onnx_build_fused_matmul(kiln_onnx_node *n)
{
    const bool first = kiln_onnx_spec(n, 0).shape.rank > 1, second = kiln_onnx_spec(n, 1).shape.rank > 1;
    const kiln_matmul_params p = {.transpose_a = first && kiln_onnx_int(n, "transA", 0),
                                  .transpose_b = second && kiln_onnx_int(n, "transB", 0)};
    const kiln_tensor a = batch_in_front(n, 0, kiln_onnx_int(n, "transBatchA", 0) != 0),
                      b = batch_in_front(n, 1, kiln_onnx_int(n, "transBatchB", 0) != 0);
    const double alpha = kiln_onnx_real(n, "alpha", 1);
    const kiln_tensor y = kiln_matmul(n->g, a, b, &p);
    if (!n->refused)
        kiln_onnx_out(n, 0, alpha == 1 ? y : kiln_scale(n->g, y, alpha));
}

/* Gelu -------------------------------------------------------------------------------------------------- */

/* Of x, and of a bias that goes before it. */
void kiln_onnx_build_biased_unary(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    kiln_onnx_out(n, 0, n->row->unary(n->g, kiln_onnx_has(n, 1) ? kiln_add(n->g, x, kiln_onnx_in(n, 1)) : x));
}

void kiln_onnx_build_quick_gelu(kiln_onnx_node *n)
{
    const double published = 1.702f;
    kiln_onnx_out(n, 0, kiln_swish(n->g, kiln_onnx_in(n, 0), kiln_onnx_real(n, "alpha", published)));
}

/* Normalization ----------------------------------------------------------------------------------------- */

/* What the optimizers add where a variance may be 0. */
static double epsilon_of(kiln_onnx_node *n)
{
    const double epsilon = kiln_onnx_real(n, "epsilon", 1e-12f);
    return epsilon > 0 ? epsilon : KILN_ZERO;
}

/* The factor of each row, 1 / sqrt(mean of x^2 + epsilon), over the axes from `axis` on. */
static kiln_tensor root_factor(kiln_graph *g, kiln_tensor x, int axis, double epsilon)
{
    kiln_reduce_params rows = {.keep = true};
    for (int i = axis; i < kiln_tensor_shape(g, x).rank; i++)
        rows.axes.axis[rows.axes.count++] = i;
    return kiln_rsqrt(g, kiln_shift(g, kiln_mean(g, kiln_mul(g, x, x), &rows), epsilon));
}

/* sum's rows normalized with the scale at input `scale` and, but for root mean squares, the bias behind it. */
static void put_normalized(kiln_onnx_node *n, kiln_tensor sum, int scale, int bias, bool by_roots)
{
    const double epsilon = epsilon_of(n);
    const int last = kiln_tensor_shape(n->g, sum).rank - 1;
    if (n->refused || kiln_graph_status(n->g))
        return;
    const kiln_tensor gain = kiln_onnx_in(n, scale);
    const kiln_tensor y = by_roots ? kiln_rms_norm(n->g, sum, last, gain, epsilon)
                                   : kiln_layer_norm(n->g, sum, last, gain, kiln_onnx_in(n, bias), epsilon);
    kiln_onnx_out(n, 0, y);
}

/* x, the skip, and the bias at input `bias`, added up; the fourth output shows the sum. */
static kiln_tensor skipped(kiln_onnx_node *n, int bias)
{
    kiln_tensor sum = kiln_add(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1));
    if (kiln_onnx_has(n, bias))
        sum = kiln_add(n->g, sum, kiln_onnx_in(n, bias));
    kiln_onnx_out(n, 3, sum);
    return sum;
}

void kiln_onnx_build_skip_layer_norm(kiln_onnx_node *n)
{
    enum { SCALE = 2, SHIFT, BIAS };
    put_normalized(n, skipped(n, BIAS), SCALE, SHIFT, false);
}

void kiln_onnx_build_skip_rms_norm(kiln_onnx_node *n)
{
    enum { SCALE = 2, BIAS };
    put_normalized(n, skipped(n, BIAS), SCALE, 0, true);
}

/* As RMSNormalization, and the rows' factors. */
void kiln_onnx_build_simplified_layer_norm(kiln_onnx_node *n)
{
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", -1), kiln_onnx_spec(n, 0).shape.rank);
    const double epsilon = kiln_onnx_real(n, "epsilon", 1e-5);
    kiln_onnx_build_rms_norm(n);
    if (!n->refused && kiln_onnx_wants(n, 1))
        kiln_onnx_out(n, 1, root_factor(n->g, kiln_onnx_in(n, 0), axis, epsilon));
}

/* Embedding --------------------------------------------------------------------------------------------- */

enum { WORDS, SEGMENTS, WORD_TABLE, POSITION_TABLE, SEGMENT_TABLE, SCALE, BIAS, MASK, POSITIONS };

/* How many words of each row the mask shows; 0 where there is no mask. */
static kiln_tensor words_shown(kiln_onnx_node *n)
{
    kiln_graph *g = n->g;
    const kiln_tensor source = kiln_onnx_in(n, kiln_onnx_has(n, MASK) ? MASK : WORDS);
    const kiln_tensor one = kiln_scalar(g, kiln_tensor_type(g, source), 1);
    const kiln_tensor shown = kiln_cast(g, kiln_equal(g, source, one), KILN_I32);
    const kiln_tensor count = kiln_sum(g, shown, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    return kiln_onnx_has(n, MASK) ? count : kiln_sub(g, count, count);
}

void kiln_onnx_build_embed_layer_norm(kiln_onnx_node *n)
{
    kiln_graph *g = n->g;
    const kiln_tensor words = kiln_onnx_in(n, WORDS);
    for (int i = WORD_TABLE; i <= BIAS; i++)
        if (i != SEGMENT_TABLE && !kiln_onnx_has(n, i))
            kiln_onnx_refuse(n, "input %d is left out", i);
    if (kiln_onnx_has(n, SEGMENTS) && !kiln_onnx_has(n, SEGMENT_TABLE))
        kiln_onnx_refuse(n, "segments without their table");
    if (kiln_onnx_spec(n, WORDS).shape.rank != 2)
        kiln_onnx_refuse(n, "words have rank %d, wanted 2", kiln_onnx_spec(n, WORDS).shape.rank);
    if (n->refused)
        return;
    const kiln_tensor positions =
        kiln_onnx_has(n, POSITIONS) ? kiln_onnx_in(n, POSITIONS) : kiln_positions(g, words, 1);
    kiln_tensor sum = kiln_add(g, kiln_gather(g, kiln_onnx_in(n, WORD_TABLE), words, 0),
                               kiln_gather(g, kiln_onnx_in(n, POSITION_TABLE), positions, 0));
    if (kiln_onnx_has(n, SEGMENTS))
        sum = kiln_add(g, sum, kiln_gather(g, kiln_onnx_in(n, SEGMENT_TABLE), kiln_onnx_in(n, SEGMENTS), 0));
    put_normalized(n, sum, SCALE, BIAS, false);
    if (kiln_onnx_wants(n, 1) && !n->refused)
        kiln_onnx_out(n, 1, words_shown(n));
    kiln_onnx_out(n, 2, sum);
}
