/* onnx_random.c - ONNX's random operators: draws of the weights' own source, or with a seed of that seed's. */
#include <string.h>

#include <kiln/random.h>

#include "import/onnx.h"

/* The source; and the type of the attribute, or `otherwise`. */
static bool take(kiln_onnx_node *n, kiln_type otherwise, kiln_random_params *out, kiln_type *type)
{
    *out = (kiln_random_params){0};
    *type = otherwise;
    if (kiln_onnx_has_attribute(n, "dtype") && !kiln_onnx_type((int)kiln_onnx_int(n, "dtype", 0), type))
        kiln_onnx_refuse(n, "a type that is not supported");
    if (kiln_onnx_has_attribute(n, "seed")) {
        const float seed = (float)kiln_onnx_real(n, "seed", 0);
        int32_t source[2] = {0, 0};
        memcpy(source, &seed, sizeof seed);
        out->source =
            kiln_constant(n->g, &(kiln_array){.data = source, .type = KILN_I32, .shape = KILN_SHAPE(2)});
    }
    return !n->refused;
}

/* What the result has the shape of: input 0, or nothing that is read, of the attribute's shape. */
static kiln_tensor like_of(kiln_onnx_node *n)
{
    struct kiln_onnx_list list;
    kiln_shape shape;
    if (n->inputs > 0)
        return kiln_onnx_in(n, 0);
    if (!kiln_onnx_list(n, "shape", KILN_ONNX_NEWEST_OPSET + 1, 0, &list) ||
        !kiln_onnx_shape(n, &list, &shape))
        return KILN_NONE;
    return kiln_expand(n->g, kiln_scalar(n->g, KILN_F32, 0), shape);
}

static void build(kiln_onnx_node *n, bool normal)
{
    const char *const names[] = {normal ? "mean" : "low", normal ? "scale" : "high"};
    const kiln_type own = n->inputs > 0 ? kiln_onnx_spec(n, 0).type : KILN_F32;
    const double a = kiln_onnx_real(n, names[0], 0), b = kiln_onnx_real(n, names[1], 1);
    const kiln_tensor like = like_of(n);
    kiln_random_params p;
    kiln_type type;
    if (!take(n, own, &p, &type))
        return;
    if (!kiln_type_is_real(type)) {
        kiln_onnx_refuse(n, "draws of type %s", kiln_type_name(type));
        return;
    }
    const kiln_tensor shape = kiln_cast(n->g, like, KILN_F32);
    const kiln_tensor y = normal ? kiln_random_normal_like(n->g, shape, a, b, &p)
                                 : kiln_random_uniform_like(n->g, shape, a, b, &p);
    kiln_onnx_out(n, 0, kiln_cast(n->g, y, type));
}

void kiln_onnx_build_random_uniform(kiln_onnx_node *n)
{
    build(n, false);
}

void kiln_onnx_build_random_normal(kiln_onnx_node *n)
{
    build(n, true);
}

void kiln_onnx_build_bernoulli(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    kiln_random_params p;
    kiln_type type;
    if (take(n, kiln_onnx_spec(n, 0).type, &p, &type))
        kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_bernoulli(n->g, x, &p), type));
}

void kiln_onnx_build_multinomial(kiln_onnx_node *n)
{
    const kiln_tensor scores = kiln_onnx_in(n, 0);
    const int64_t count = kiln_onnx_int(n, "sample_size", 1);
    kiln_choice_params p = {0};
    kiln_type type;
    if (take(n, KILN_I32, &p.random, &type))
        kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_multinomial(n->g, scores, count, &p), type));
}
