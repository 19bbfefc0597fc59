/*
 * onnx_save_math.c - elementwise operators -> ONNX nodes. What the opset lacks is composed.
 */
#include <math.h>
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

static void write_same(writer *w, const kiln_node *n, const row *r)
{
    const char *names[8];
    for (int i = 0; i < n->inputs && i < 8; i++)
        names[i] = in(w, n, i);
    kiln_onnx_write(w, r->onnx, out(w, n), n->inputs, names);
}

static void write_not_equal(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write(w, "Not", out(w, n), IN(kiln_onnx_step(w, "Equal", IN(in(w, n, 0), in(w, n, 1)))));
}

static void write_square(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write(w, "Mul", out(w, n), IN(in(w, n, 0), in(w, n, 0)));
}

static void write_rsqrt(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write(w, "Reciprocal", out(w, n), IN(kiln_onnx_step(w, "Sqrt", IN(in(w, n, 0)))));
}

static void write_expm1(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write(w, "Sub", out(w, n), IN(kiln_onnx_step(w, "Exp", IN(in(w, n, 0))), scalar(w, n, 1)));
}

static void write_log1p(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write(w, "Log", out(w, n), IN(kiln_onnx_step(w, "Add", IN(in(w, n, 0), scalar(w, n, 1)))));
}

static void write_scale(writer *w, const kiln_node *n, const row *r)
{
    kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), scalar(w, n, number(n, "factor"))));
}

static void write_shift(writer *w, const kiln_node *n, const row *r)
{
    kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), scalar(w, n, number(n, "term"))));
}

/* A bound of integers is one of them: what is beyond a type's range is its end. */
static double bound_of(kiln_type type, double bound, bool low)
{
    const int bits = 8 * (int)kiln_type_size(type);
    const bool natural = kiln_type_is_unsigned(type);
    if (kiln_type_is_real(type) || isinf(bound) || bits > 32)
        return bound;
    const double most = ldexp(1, natural ? bits : bits - 1) - 1, least = natural ? 0 : -most - 1;
    return fmin(fmax(low ? ceil(bound) : floor(bound), least), most);
}

static void write_clip(writer *w, const kiln_node *n, const row *r)
{
    const kiln_type type = spec(w, n->in[0]).type;
    const double low = bound_of(type, number(n, "low"), true),
                 high = bound_of(type, number(n, "high"), false);
    const char *least = isinf(low) ? "" : scalar(w, n, low), *most = isinf(high) ? "" : scalar(w, n, high);
    kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), least, most));
}

/* A real beyond the range of a small integer becomes its end; in ONNX anything may come of it. */
static void write_cast(writer *w, const kiln_node *n, const row *r)
{
    const kiln_type type = spec(w, n->out[0]).type;
    const bool natural = type == KILN_U8 || type == KILN_U16, whole = type == KILN_I8 || type == KILN_I16;
    const char *x = in(w, n, 0);
    if ((natural || whole) && kiln_type_is_real(spec(w, n->in[0]).type)) {
        const double high = ldexp(1, 8 * (int)kiln_type_size(type) - whole) - 1, low = whole ? -high - 1 : 0;
        x = kiln_onnx_step(w, "Clip", IN(x, scalar(w, n, low), scalar(w, n, high)));
    }
    if (type == KILN_U32 && kiln_type_is_real(spec(w, n->in[0]).type)) {
        const char *wide = cast(w, x, NULL, KILN_I64);
        x = kiln_onnx_step(w, "Clip",
                           IN(wide, kiln_onnx_new_scalar(w, KILN_I64, 0),
                              kiln_onnx_new_scalar(w, KILN_I64, UINT32_MAX)));
    }
    kiln_onnx_put_int(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(x)), "to", kiln_onnx_type_of(type));
}

static void write_bits(writer *w, const kiln_node *n, const row *r)
{
    const kiln_type type = spec(w, n->out[0]).type;
    kiln_onnx_put_int(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0))), "to",
                      kiln_onnx_type_of(type));
}

/* Zero steps where ONNX drops fractions: sign(x) floor(|x|). */
static void write_trunc(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    const char *size = kiln_onnx_step(w, "Floor", IN(kiln_onnx_step(w, "Abs", IN(in(w, n, 0)))));
    kiln_onnx_write(w, "Mul", out(w, n), IN(size, kiln_onnx_step(w, "Sign", IN(in(w, n, 0)))));
}

/* Mod knows the sign of the divisor for integers alone: of reals, what fmod left has b added where the signs differ. */
static void write_mod(writer *w, const kiln_node *n, const row *r)
{
    const bool real = kiln_type_is_real(spec(w, n->in[0]).type), rest = !strcmp(r->op, "fmod");
    const char *a = in(w, n, 0), *b = in(w, n, 1);
    const char *left = real && !rest ? kiln_onnx_new_name(w) : out(w, n);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Mod", left, IN(a, b)), "fmod", real || rest);
    if (!real || rest)
        return;
    const char *product = kiln_onnx_step(w, "Mul", IN(left, b));
    const char *differ = kiln_onnx_step(w, "Less", IN(product, scalar(w, n, 0)));
    kiln_onnx_write(w, "Where", out(w, n), IN(differ, kiln_onnx_step(w, "Add", IN(left, b)), left));
}

static void write_bit_shift(writer *w, const kiln_node *n, const row *r)
{
    if (!kiln_type_is_unsigned(spec(w, n->in[0]).type)) {
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_shift);
        return;
    }
    kiln_onnx_put_text(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), in(w, n, 1))), "direction",
                       !strcmp(r->op, "shift_left") ? "LEFT" : "RIGHT");
}

/* Activations -------------------------------------------------------------------------------------------- */

/* An operator of one value, with its field as an attribute of another name. */
static Onnx__NodeProto *write_with(writer *w, const kiln_node *n, const row *r, const char *field,
                                   const char *name)
{
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0)));
    kiln_onnx_put_real(w, o, name, number(n, field));
    return o;
}

static void write_leaky_relu(writer *w, const kiln_node *n, const row *r)
{
    write_with(w, n, r, "slope", "alpha");
}

static void write_alpha(writer *w, const kiln_node *n, const row *r)
{
    write_with(w, n, r, "alpha", "alpha");
}

static void write_hard_sigmoid(writer *w, const kiln_node *n, const row *r)
{
    kiln_onnx_put_real(w, write_with(w, n, r, "alpha", "alpha"), "beta", number(n, "beta"));
}

static void write_shrink(writer *w, const kiln_node *n, const row *r)
{
    kiln_onnx_put_real(w, write_with(w, n, r, "edge", "lambd"), "bias", number(n, "bias"));
}

/* a (exp(c x) - 1) below 0 is Elu for c = 1 and Celu for c = 1 / a; there is nothing else that builds one. */
static void write_elu(writer *w, const kiln_node *n, const row *r)
{
    const bool plain = number(n, "inner") == 1;
    Onnx__NodeProto *o = kiln_onnx_write(w, plain ? r->onnx : "Celu", out(w, n), IN(in(w, n, 0)));
    kiln_onnx_put_real(w, o, "alpha", number(n, "alpha"));
}

/* ONNX's slope broadcasts to x, never x to it. */
static void write_prelu(writer *w, const kiln_node *n, const row *r)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    if (!kiln_shape_equal(&x, &y))
        kiln_onnx_writer_refuse(w, n, "its slope has more elements than x");
    write_same(w, n, r);
}

/* x sigmoid(alpha x) */
static void write_swish(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    const double alpha = number(n, "alpha");
    const char *x = in(w, n, 0),
               *inner = alpha == 1 ? x : kiln_onnx_step(w, "Mul", IN(x, scalar(w, n, alpha)));
    kiln_onnx_write(w, "Mul", out(w, n), IN(x, kiln_onnx_step(w, "Sigmoid", IN(inner))));
}

static void write_mish(writer *w, const kiln_node *n, const row *r)
{
    if (w->opset >= 18) {
        write_same(w, n, r);
        return;
    }
    const char *x = in(w, n, 0), *soft = kiln_onnx_step(w, "Softplus", IN(x));
    kiln_onnx_write(w, "Mul", out(w, n), IN(x, kiln_onnx_step(w, "Tanh", IN(soft))));
}

/* x / 2 (1 + f): f is erf(x / sqrt(2)), or tanh(sqrt(2 / pi) (x + 0.044715 x^3)). */
static void write_gelu(writer *w, const kiln_node *n, const row *r)
{
    const bool by_tanh = !strcmp(r->op, "gelu_tanh");
    const char *x = in(w, n, 0), *f;
    if (w->opset >= 20) {
        kiln_onnx_put_text(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(x)), "approximate",
                           by_tanh ? "tanh" : "none");
        return;
    }
    if (by_tanh) {
        const char *square = kiln_onnx_step(w, "Mul", IN(x, x));
        const char *bent = kiln_onnx_step(w, "Mul", IN(square, scalar(w, n, 0.044715)));
        const char *grown = kiln_onnx_step(w, "Add", IN(bent, scalar(w, n, 1)));
        const char *inner =
            kiln_onnx_step(w, "Mul",
                           IN(kiln_onnx_step(w, "Mul", IN(x, grown)), scalar(w, n, 0.7978845608028654)));
        f = kiln_onnx_step(w, "Tanh", IN(inner));
    } else {
        f = kiln_onnx_step(w, "Erf", IN(kiln_onnx_step(w, "Mul", IN(x, scalar(w, n, 0.7071067811865476)))));
    }
    const char *half = kiln_onnx_step(w, "Mul", IN(x, scalar(w, n, 0.5)));
    kiln_onnx_write(w, "Mul", out(w, n), IN(half, kiln_onnx_step(w, "Add", IN(f, scalar(w, n, 1)))));
}

/* The table ---------------------------------------------------------------------------------------------- */

const row kiln_onnx_writer_math[] = {
    {"abs", "Abs", write_same, 0},
    {"acos", "Acos", write_same, 0},
    {"acosh", "Acosh", write_same, 0},
    {"add", "Add", write_same, 0},
    {"and", "And", write_same, 0},
    {"asin", "Asin", write_same, 0},
    {"asinh", "Asinh", write_same, 0},
    {"atan", "Atan", write_same, 0},
    {"atanh", "Atanh", write_same, 0},
    {"bit_and", "BitwiseAnd", write_same, 0, 18},
    {"bit_not", "BitwiseNot", write_same, 0, 18},
    {"bit_or", "BitwiseOr", write_same, 0, 18},
    {"bit_xor", "BitwiseXor", write_same, 0, 18},
    {"bits", "BitCast", write_bits, 0, 26},
    {"cast_integer", "Cast", write_cast, 0},
    {"cast_natural", "Cast", write_cast, 0},
    {"cast_real", "Cast", write_cast, 0},
    {"cast_truth", "Cast", write_cast, 0},
    {"ceil", "Ceil", write_same, 0},
    {"clip", "Clip", write_clip, 0},
    {"cos", "Cos", write_same, 0},
    {"cosh", "Cosh", write_same, 0},
    {"div", "Div", write_same, 0},
    {"elu", "Elu", write_elu, 0, .lacks = HALVES},
    {"equal", "Equal", write_same, 0},
    {"erf", "Erf", write_same, 0},
    {"exp", "Exp", write_same, 0},
    {"expm1", NULL, write_expm1, 0},
    {"floor", "Floor", write_same, 0},
    {"fmod", "Mod", write_mod, 0},
    {"gelu", "Gelu", write_gelu, 0},
    {"gelu_tanh", "Gelu", write_gelu, 0},
    {"hard_sigmoid", "HardSigmoid", write_hard_sigmoid, 0},
    {"hard_swish", "HardSwish", write_same, 0},
    {"is_infinite", "IsInf", write_same, 0, .lacks = HALVES},
    {"is_nan", "IsNaN", write_same, 0},
    {"leaky_relu", "LeakyRelu", write_leaky_relu, 0},
    {"less", "Less", write_same, 0},
    {"less_equal", "LessOrEqual", write_same, 0},
    {"log", "Log", write_same, 0},
    {"log1p", NULL, write_log1p, 0},
    {"max", "Max", write_same, 0, .lacks = SMALL},
    {"min", "Min", write_same, 0, .lacks = SMALL},
    {"mish", "Mish", write_mish, 0},
    {"mod", "Mod", write_mod, 0},
    {"mul", "Mul", write_same, 0},
    {"neg", "Neg", write_same, 0, .lacks = NATURALS},
    {"not", "Not", write_same, 0},
    {"not_equal", NULL, write_not_equal, 0},
    {"or", "Or", write_same, 0},
    {"pow", "Pow", write_same, 0, .lacks = NATURALS | SMALL},
    {"prelu", "PRelu", write_prelu, 0},
    {"reciprocal", "Reciprocal", write_same, 0},
    {"relu", "Relu", write_same, 0},
    {"round", "Round", write_same, 0},
    {"rsqrt", NULL, write_rsqrt, 0},
    {"scale", "Mul", write_scale, 0},
    {"shift", "Add", write_shift, 0},
    {"shift_left", "BitShift", write_bit_shift, 0},
    {"shift_right", "BitShift", write_bit_shift, 0},
    {"shrink", "Shrink", write_shrink, 0},
    {"sigmoid", "Sigmoid", write_same, 0},
    {"sign", "Sign", write_same, 0},
    {"sin", "Sin", write_same, 0},
    {"sinh", "Sinh", write_same, 0},
    {"softplus", "Softplus", write_same, 0},
    {"softsign", "Softsign", write_same, 0},
    {"sqrt", "Sqrt", write_same, 0},
    {"square", NULL, write_square, 0},
    {"sub", "Sub", write_same, 0},
    {"swish", NULL, write_swish, 0},
    {"tan", "Tan", write_same, 0},
    {"tanh", "Tanh", write_same, 0},
    {"thresholded_relu", "ThresholdedRelu", write_alpha, 0},
    {"trunc", NULL, write_trunc, 0},
    {"where", "Where", write_same, 0},
    {"xor", "Xor", write_same, 0},
    {0},
};
