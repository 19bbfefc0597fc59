/* onnx_math.c - elementwise operators: arithmetic, comparison, activations, casts. */
#include <math.h>
#include <string.h>

#include "import/onnx.h"

/* One and two operands ----------------------------------------------------------------------------------- */

void kiln_onnx_build_unary(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, n->row->unary(n->g, kiln_onnx_in(n, 0)));
}

/* Before opset 7, b lies at `axis` of a: give it axes of size 1 behind. */
static kiln_tensor lay_at_axis(kiln_onnx_node *n, kiln_tensor b)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank, own = kiln_onnx_spec(n, 1).shape.rank;
    if (n->opset >= 7 || !kiln_onnx_int(n, "broadcast", 0) || !kiln_onnx_has_attribute(n, "axis"))
        return b;
    const int axis = own ? kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 0), rank) : rank;
    for (int last = axis + own; last < rank; last++)
        b = kiln_unsqueeze(n->g, b, -1);
    return b;
}

/* Where it ends a pattern of pieces, what that is. */
static kiln_tensor recognized(kiln_graph *g, kiln_onnx_binary_fn *binary, kiln_tensor a, kiln_tensor b)
{
    return binary == kiln_add   ? kiln_onnx_find_layer_norm(g, a, b)
           : binary == kiln_mul ? kiln_onnx_find_gelu(g, a, b)
                                : KILN_NONE;
}

void kiln_onnx_build_binary(kiln_onnx_node *n)
{
    kiln_tensor a = kiln_onnx_in(n, 0), b = lay_at_axis(n, kiln_onnx_in(n, 1));
    kiln_onnx_agree(n->g, &a, &b, -1);
    if (n->refused)
        return;
    const kiln_tensor whole = recognized(n->g, n->row->binary, a, b);
    kiln_onnx_out(n, 0, whole.id ? whole : n->row->binary(n->g, a, b));
}

void kiln_onnx_build_variadic(kiln_onnx_node *n)
{
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int i = 1; i < n->inputs; i++) {
        kiln_tensor x = kiln_onnx_in(n, i);
        kiln_onnx_agree(n->g, &y, &x, -1);
        y = n->row->binary(n->g, y, x);
    }
    kiln_onnx_out(n, 0, y);
}

void kiln_onnx_build_mean(kiln_onnx_node *n)
{
    kiln_tensor *x = kiln_arena_alloc(&n->m->arena, (size_t)n->inputs * sizeof *x);
    for (int i = 0; x && i < n->inputs; i++)
        x[i] = kiln_onnx_in(n, i);
    kiln_onnx_out(n, 0, x ? kiln_mean_all(n->g, x, n->inputs) : KILN_NONE);
}

/* fmod = 1 asks for the sign of the dividend; reals must. */
void kiln_onnx_build_mod(kiln_onnx_node *n)
{
    const bool rest = kiln_onnx_int(n, "fmod", 0);
    kiln_onnx_out(n, 0, (rest ? kiln_fmod : kiln_mod)(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1)));
}

void kiln_onnx_build_bit_shift(kiln_onnx_node *n)
{
    const bool left = !strcmp(kiln_onnx_text(n, "direction", ""), "LEFT");
    const kiln_tensor a = kiln_onnx_in(n, 0), b = kiln_onnx_in(n, 1);
    kiln_onnx_out(n, 0, (left ? kiln_shift_left : kiln_shift_right)(n->g, a, b));
}

/* With neither sign asked for nothing is infinite: x < x is false, of NaN as well. */
void kiln_onnx_build_is_inf(kiln_onnx_node *n)
{
    const bool below = kiln_onnx_int(n, "detect_negative", 1), above = kiln_onnx_int(n, "detect_positive", 1);
    const kiln_tensor x = kiln_onnx_in(n, 0);
    kiln_onnx_out(n, 0,
                  below || above ? kiln_is_infinite(n->g, x, (int)above - (int)below)
                                 : kiln_less(n->g, x, x));
}

/* Base and exponent may differ in type; the result has the base's. An integer to the power of another is exact. */
void kiln_onnx_build_pow(kiln_onnx_node *n)
{
    const kiln_tensor base = kiln_onnx_in(n, 0), exponent = lay_at_axis(n, kiln_onnx_in(n, 1));
    const kiln_type type = kiln_onnx_spec(n, 0).type, real = kiln_type_is_real(type) ? type : KILN_F32;
    if (!kiln_type_is_real(type) && !kiln_type_is_real(kiln_onnx_spec(n, 1).type)) {
        kiln_onnx_out(n, 0, kiln_pow(n->g, base, kiln_cast(n->g, exponent, type)));
        return;
    }
    kiln_onnx_out(
        n, 0,
        kiln_cast(n->g, kiln_pow(n->g, kiln_cast(n->g, base, real), kiln_cast(n->g, exponent, real)), type));
}

void kiln_onnx_build_where(kiln_onnx_node *n)
{
    kiln_tensor which = kiln_onnx_in(n, 0), a = kiln_onnx_in(n, 1), b = kiln_onnx_in(n, 2);
    kiln_onnx_agree(n->g, &a, &b, -1);
    kiln_onnx_agree(n->g, &which, &a, -1);
    kiln_onnx_agree(n->g, &which, &b, -1);
    kiln_onnx_out(n, 0, kiln_where(n->g, which, a, b));
}

/* Activations -------------------------------------------------------------------------------------------- */

/* A bound of Clip: an attribute before opset 11, an input since. False where it is an input that is not known yet. */
static bool bound(kiln_onnx_node *n, const char *name, int input, double otherwise, double *out)
{
    *out = otherwise;
    if (n->opset < 11)
        *out = kiln_onnx_real(n, name, otherwise);
    return n->opset < 11 || !kiln_onnx_has(n, input) || kiln_onnx_number(n, input, out);
}

void kiln_onnx_build_clip(kiln_onnx_node *n)
{
    double low, high;
    const bool known_low = bound(n, "min", 1, -INFINITY, &low),
               known_high = bound(n, "max", 2, INFINITY, &high);
    kiln_tensor y = kiln_onnx_in(n, 0);
    if (known_low && known_high) {
        kiln_onnx_out(n, 0, kiln_clip(n->g, y, low, high));
        return;
    }
    if (kiln_onnx_has(n, 1))
        y = kiln_max(n->g, y, kiln_onnx_in(n, 1));
    if (kiln_onnx_has(n, 2))
        y = kiln_min(n->g, y, kiln_onnx_in(n, 2));
    kiln_onnx_out(n, 0, y);
}

void kiln_onnx_build_leaky_relu(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_leaky_relu(n->g, kiln_onnx_in(n, 0), kiln_onnx_real(n, "alpha", 0.01)));
}

/* Whole numbers, too. */
void kiln_onnx_build_relu(kiln_onnx_node *n)
{
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    const kiln_tensor x = kiln_onnx_in(n, 0);
    kiln_onnx_out(n, 0,
                  kiln_type_is_real(type) ? kiln_relu(n->g, x)
                                          : kiln_max(n->g, x, kiln_scalar(n->g, type, 0)));
}

/* Before opset 7, a list of slopes is one a channel (axis 1). */
void kiln_onnx_build_prelu(kiln_onnx_node *n)
{
    kiln_tensor slope = kiln_onnx_in(n, 1);
    if (n->opset < 7 && kiln_onnx_spec(n, 1).shape.rank == 1)
        for (int axis = 2; axis < kiln_onnx_spec(n, 0).shape.rank; axis++)
            slope = kiln_unsqueeze(n->g, slope, -1);
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    if (kiln_type_is_real(type)) {
        kiln_onnx_out(n, 0, kiln_prelu(n->g, x, slope));
        return;
    }
    const kiln_tensor negative = kiln_less(n->g, x, kiln_scalar(n->g, type, 0));
    kiln_onnx_out(n, 0, kiln_where(n->g, negative, kiln_mul(n->g, x, slope), x));
}

void kiln_onnx_build_elu(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_elu(n->g, kiln_onnx_in(n, 0), kiln_onnx_real(n, "alpha", 1)));
}

void kiln_onnx_build_celu(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_celu(n->g, kiln_onnx_in(n, 0), kiln_onnx_real(n, "alpha", 1)));
}

/* gamma elu(x); the defaults are those of Klambauer 2017. */
void kiln_onnx_build_selu(kiln_onnx_node *n)
{
    const double alpha = kiln_onnx_real(n, "alpha", n->opset < 6 ? 1.6732 : 1.67326319217681884765625);
    const double gamma = kiln_onnx_real(n, "gamma", n->opset < 6 ? 1.0507 : 1.05070102214813232421875);
    kiln_onnx_out(n, 0, kiln_scale(n->g, kiln_elu(n->g, kiln_onnx_in(n, 0), alpha), gamma));
}

void kiln_onnx_build_swish(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_swish(n->g, kiln_onnx_in(n, 0), kiln_onnx_real(n, "alpha", 1)));
}

void kiln_onnx_build_gelu(kiln_onnx_node *n)
{
    const bool by_tanh = !strcmp(kiln_onnx_text(n, "approximate", "none"), "tanh");
    kiln_onnx_out(n, 0, (by_tanh ? kiln_gelu_tanh : kiln_gelu)(n->g, kiln_onnx_in(n, 0)));
}

void kiln_onnx_build_shrink(kiln_onnx_node *n)
{
    const double edge = kiln_onnx_real(n, "lambd", 0.5), bias = kiln_onnx_real(n, "bias", 0);
    const kiln_type type = kiln_onnx_spec(n, 0).type, real = kiln_type_is_real(type) ? type : KILN_F32;
    const kiln_tensor x = kiln_cast(n->g, kiln_onnx_in(n, 0), real);
    kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_shrink(n->g, x, edge, bias), type));
}

void kiln_onnx_build_thresholded_relu(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_thresholded_relu(n->g, kiln_onnx_in(n, 0), kiln_onnx_real(n, "alpha", 1)));
}

void kiln_onnx_build_hard_sigmoid(kiln_onnx_node *n)
{
    const double alpha = kiln_onnx_real(n, "alpha", 0.2), beta = kiln_onnx_real(n, "beta", 0.5);
    kiln_onnx_out(n, 0, kiln_hard_sigmoid(n->g, kiln_onnx_in(n, 0), alpha, beta));
}

/* What hands values on ----------------------------------------------------------------------------------- */

/* The type that a cast is to: before opset 6 by its name. */
bool kiln_onnx_cast_type(kiln_onnx_node *n, kiln_type *type)
{
    int64_t to = 0;
    if (n->opset < 6) {
        const char *name = kiln_onnx_text(n, "to", "");
        const ProtobufCEnumValue *value =
            protobuf_c_enum_descriptor_get_value_by_name(&onnx__tensor_proto__data_type__descriptor, name);
        to = value ? value->value : 0;
    } else {
        to = kiln_onnx_int(n, "to", 0);
    }
    if (kiln_onnx_type(to, type))
        return true;
    kiln_onnx_refuse(n, "a cast to ONNX type %lld is not supported", (long long)to);
    return false;
}

void kiln_onnx_build_cast(kiln_onnx_node *n)
{
    kiln_type type;
    if (kiln_onnx_cast_type(n, &type))
        kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_onnx_in(n, 0), type));
}

void kiln_onnx_build_bitcast(kiln_onnx_node *n)
{
    const kiln_type from = kiln_onnx_spec(n, 0).type;
    kiln_type type;
    const int64_t to = kiln_onnx_int(n, "to", 0);
    if (!kiln_onnx_type(to, &type))
        kiln_onnx_refuse(n, "bits as ONNX type %lld are not supported", (long long)to);
    else if (from != type && kiln_type_size(type) == 8 &&
             (kiln_type_is_real(from) || kiln_type_is_real(type)))
        kiln_onnx_refuse(n, "the bits of %s as %s are known only while reading: a program keeps both in 32",
                         kiln_type_name(from), kiln_type_name(type));
    else
        kiln_onnx_out(n, 0, kiln_bitcast(n->g, kiln_onnx_in(n, 0), type));
}

void kiln_onnx_build_cast_like(kiln_onnx_node *n)
{
    const kiln_type type = kiln_onnx_spec(n, 1).type;
    if (!kiln_onnx_fold_to(n, type))
        kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_onnx_in(n, 0), type));
}

void kiln_onnx_build_identity(kiln_onnx_node *n)
{
    if (n->in[0]->sequence && n->out[0])
        kiln_onnx_become(n->m, n->out[0], n->in[0]);
    else if (!n->in[0]->sequence)
        kiln_onnx_out(n, 0, kiln_onnx_in(n, 0));
}
