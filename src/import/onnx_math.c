/* onnx_math.c - elementwise operators: arithmetic, comparison, activations, casts. */
#include <math.h>
#include <string.h>

#include "import/onnx.h"

/* Functions that ONNX has and kiln composes -------------------------------------------------------------- */

static kiln_tensor scalar_like(kiln_graph *g, kiln_tensor x, double value)
{
    return kiln_scalar(g, kiln_tensor_type(g, x), value);
}

kiln_tensor kiln_onnx_ceil(kiln_graph *g, kiln_tensor x)
{
    return kiln_neg(g, kiln_floor(g, kiln_neg(g, x)));
}

kiln_tensor kiln_onnx_tan(kiln_graph *g, kiln_tensor x)
{
    return kiln_div(g, kiln_sin(g, x), kiln_cos(g, x));
}

kiln_tensor kiln_onnx_softsign(kiln_graph *g, kiln_tensor x)
{
    return kiln_div(g, x, kiln_shift(g, kiln_abs(g, x), 1));
}

static kiln_tensor hard_sigmoid(kiln_graph *g, kiln_tensor x, double alpha, double beta)
{
    return kiln_clip(g, kiln_shift(g, kiln_scale(g, x, alpha), beta), 0, 1);
}

kiln_tensor kiln_onnx_hard_swish(kiln_graph *g, kiln_tensor x)
{
    return kiln_mul(g, x, hard_sigmoid(g, x, 1.0 / 6, 0.5));
}

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

void kiln_onnx_build_binary(kiln_onnx_node *n)
{
    const kiln_tensor a = kiln_onnx_in(n, 0), b = lay_at_axis(n, kiln_onnx_in(n, 1));
    if (!n->refused)
        kiln_onnx_out(n, 0, n->row->binary(n->g, a, b));
}

void kiln_onnx_build_variadic(kiln_onnx_node *n)
{
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int i = 1; i < n->inputs; i++)
        y = n->row->binary(n->g, y, kiln_onnx_in(n, i));
    kiln_onnx_out(n, 0, y);
}

void kiln_onnx_build_mean(kiln_onnx_node *n)
{
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int i = 1; i < n->inputs; i++)
        y = kiln_add(n->g, y, kiln_onnx_in(n, i));
    kiln_onnx_out(n, 0, kiln_scale(n->g, y, 1.0 / n->inputs));
}

/* Base and exponent may differ in type; the result has the base's. */
void kiln_onnx_build_pow(kiln_onnx_node *n)
{
    const kiln_tensor base = kiln_onnx_in(n, 0), exponent = lay_at_axis(n, kiln_onnx_in(n, 1));
    const kiln_type type = kiln_onnx_spec(n, 0).type, real = kiln_type_is_real(type) ? type : KILN_F32;
    kiln_onnx_out(
        n, 0,
        kiln_cast(n->g, kiln_pow(n->g, kiln_cast(n->g, base, real), kiln_cast(n->g, exponent, real)), type));
}

void kiln_onnx_build_where(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_where(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 2)));
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
    const bool known = known_low && known_high;
    kiln_tensor y = kiln_onnx_in(n, 0);
    if (known && kiln_type_is_real(kiln_onnx_spec(n, 0).type)) {
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

/* x where it is above 0, slope * x below. Before opset 7, a list of slopes is one a channel (axis 1). */
void kiln_onnx_build_prelu(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0), below = kiln_min(n->g, x, scalar_like(n->g, x, 0));
    kiln_tensor slope = kiln_onnx_in(n, 1);
    if (n->opset < 7 && kiln_onnx_spec(n, 1).shape.rank == 1)
        for (int axis = 2; axis < kiln_onnx_spec(n, 0).shape.rank; axis++)
            slope = kiln_unsqueeze(n->g, slope, -1);
    kiln_onnx_out(n, 0, kiln_add(n->g, kiln_relu(n->g, x), kiln_mul(n->g, slope, below)));
}

/* x where it is above 0, alpha (exp(x) - 1) below. */
static kiln_tensor elu(kiln_graph *g, kiln_tensor x, double alpha)
{
    const kiln_tensor below = kiln_min(g, x, scalar_like(g, x, 0));
    return kiln_add(g, kiln_relu(g, x), kiln_scale(g, kiln_expm1(g, below), alpha));
}

void kiln_onnx_build_elu(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, elu(n->g, kiln_onnx_in(n, 0), kiln_onnx_real(n, "alpha", 1)));
}

/* gamma elu(x); the defaults are those of Klambauer 2017. */
void kiln_onnx_build_selu(kiln_onnx_node *n)
{
    const double alpha = kiln_onnx_real(n, "alpha", n->opset < 6 ? 1.6732 : 1.67326319217681884765625);
    const double gamma = kiln_onnx_real(n, "gamma", n->opset < 6 ? 1.0507 : 1.05070102214813232421875);
    kiln_onnx_out(n, 0, kiln_scale(n->g, elu(n->g, kiln_onnx_in(n, 0), alpha), gamma));
}

/* x where it is above alpha, else 0. */
void kiln_onnx_build_thresholded_relu(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0), edge = scalar_like(n->g, x, kiln_onnx_real(n, "alpha", 1));
    kiln_onnx_out(n, 0, kiln_where(n->g, kiln_less(n->g, edge, x), x, scalar_like(n->g, x, 0)));
}

void kiln_onnx_build_hard_sigmoid(kiln_onnx_node *n)
{
    const double alpha = kiln_onnx_real(n, "alpha", 0.2), beta = kiln_onnx_real(n, "beta", 0.5);
    kiln_onnx_out(n, 0, hard_sigmoid(n->g, kiln_onnx_in(n, 0), alpha, beta));
}

/* What hands values on ----------------------------------------------------------------------------------- */

void kiln_onnx_build_cast(kiln_onnx_node *n)
{
    kiln_type type;
    const int64_t to = kiln_onnx_int(n, "to", 0);
    if (!kiln_onnx_type((int)to, &type)) {
        kiln_onnx_refuse(n, "a cast to ONNX type %lld is not supported", (long long)to);
        return;
    }
    kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_onnx_in(n, 0), type));
}

void kiln_onnx_build_cast_like(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_onnx_in(n, 0), kiln_onnx_spec(n, 1).type));
}

void kiln_onnx_build_identity(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_onnx_in(n, 0));
}

/*
 * Dropout does nothing in the files that trained networks are exported to; with kiln_onnx_params.train it drops in programs
 * that train. A file that asks for training by itself is refused unless nothing would be dropped.
 */
void kiln_onnx_build_dropout(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    double rate = kiln_onnx_real(n, "ratio", 0.5), training = 0;
    const bool known = (!kiln_onnx_has(n, 1) || kiln_onnx_number(n, 1, &rate)) &&
                       (!kiln_onnx_has(n, 2) || kiln_onnx_number(n, 2, &training));
    if (!known || (training != 0 && rate != 0)) {
        kiln_onnx_refuse(n, known ? "training_mode is true" : "ratio and training_mode must be known");
        return;
    }
    kiln_onnx_out(n, 0, n->m->params.train && rate > 0 ? kiln_dropout(n->g, x, rate) : x);
    if (n->outputs > 1) {
        const kiln_tensor ones = kiln_ones_like(n->g, x);
        kiln_onnx_out(n, 1, n->opset < 10 ? ones : kiln_cast(n->g, ones, KILN_BOOL));
    }
}
