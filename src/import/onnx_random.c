/* onnx_random.c - ONNX's random operators: draws of the weights' own source, or with a seed of that seed's. */
#include <string.h>

#include <kiln/random.h>

#include "import/onnx.h"

/* The source of the attribute's seed; KILN_NONE where there is none: the weights' own. */
static kiln_tensor seeded(kiln_onnx_node *n, float seed)
{
    int32_t source[2] = {0, 0};
    memcpy(source, &seed, sizeof seed);
    if (!kiln_onnx_has_attribute(n, "seed"))
        return KILN_NONE;
    return kiln_constant(n->g, &(kiln_array){.data = source, .type = KILN_I32, .shape = KILN_SHAPE(2)});
}

/* The source; and the type of the attribute, or `otherwise`. */
static bool take(kiln_onnx_node *n, kiln_type otherwise, kiln_random_params *out, kiln_type *type)
{
    *out = (kiln_random_params){0};
    *type = otherwise;
    if (kiln_onnx_has_attribute(n, "dtype") && !kiln_onnx_type(kiln_onnx_int(n, "dtype", 0), type))
        kiln_onnx_refuse(n, "a type that is not supported");
    out->source = seeded(n, (float)kiln_onnx_real(n, "seed", 0));
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

/* Dropout ------------------------------------------------------------------------------------------------ */

enum { X, RATIO, TRAINING };

/* A node drops by an attribute, an input, or never by itself; but in programs that train, and no others, if the caller asks for it. */
struct dropout {
    kiln_tensor x, rate;  /* F32; rate a scalar */
    kiln_tensor training; /* where the run decides */
    double known_rate;    /* -1: the run decides */
    bool always;          /* the file says so, and the caller asks for nothing else */
};

static void take_dropout(kiln_onnx_node *n, struct dropout *d)
{
    double number = 0;
    const double ratio = n->opset < 12 ? kiln_onnx_real(n, "ratio", 0.5) : 0.5;
    *d = (struct dropout){.x = kiln_cast(n->g, kiln_onnx_in(n, X), KILN_F32), .known_rate = ratio};
    if (n->opset < 7)
        d->always = !kiln_onnx_int(n, "is_test", 0);
    d->rate = kiln_scalar(n->g, KILN_F32, ratio);
    if (kiln_onnx_has(n, RATIO)) {
        d->known_rate = kiln_onnx_number(n, RATIO, &number) ? number : -1;
        d->rate = kiln_cast(n->g, kiln_onnx_scalar(n, RATIO), KILN_F32);
    }
    if (!kiln_onnx_has(n, TRAINING))
        return;
    if (kiln_onnx_number(n, TRAINING, &number))
        d->always = number != 0;
    else
        d->training = kiln_onnx_scalar(n, TRAINING);
}

/* The mask: BOOL, before opset 10 of x's type. */
static void give_mask(kiln_onnx_node *n, kiln_tensor kept)
{
    if (n->outputs > 1)
        kiln_onnx_out(n, 1, n->opset < 10 ? kiln_cast(n->g, kept, kiln_onnx_spec(n, X).type) : kept);
}

/* kept ? x / (1 - rate) : 0, where this is asked for. */
static void drop(kiln_onnx_node *n, const struct dropout *d)
{
    kiln_graph *g = n->g;
    const kiln_random_params p = {.source = seeded(n, (float)kiln_onnx_int(n, "seed", 0))};
    const kiln_tensor all = kiln_cast(g, kiln_ones_like(g, d->x), KILN_BOOL);
    const kiln_tensor factor = kiln_reciprocal(g, kiln_shift(g, kiln_neg(g, d->rate), 1));
    kiln_tensor kept = kiln_greater_equal(g, kiln_random_uniform_like(g, d->x, 0, 1, &p), d->rate);
    kiln_tensor y = kiln_where(g, kept, kiln_mul(g, d->x, factor), kiln_scalar(g, KILN_F32, 0));
    if (d->training.id) {
        y = kiln_where(g, d->training, y, d->x);
        kept = kiln_or(g, kept, kiln_not(g, d->training));
    } else if (!d->always) {
        y = kiln_by_mode(g, y, d->x);
        kept = kiln_by_mode(g, kept, all);
    }
    kiln_onnx_out(n, 0, kiln_cast(g, y, kiln_onnx_spec(n, X).type));
    give_mask(n, kept);
}

void kiln_onnx_build_dropout(kiln_onnx_node *n)
{
    const bool masks = kiln_onnx_wants(n, 1);
    struct dropout d;
    take_dropout(n, &d);
    if (n->refused || kiln_graph_status(n->g))
        return;
    const bool asked = n->m->params.train;
    d.always = d.always && !asked;
    const bool own = d.always || d.training.id, rated = d.known_rate != 0;
    if (rated && (own || (asked && (masks || d.known_rate < 0 || d.known_rate >= 1)))) {
        drop(n, &d);
        return;
    }
    const kiln_tensor x = kiln_onnx_in(n, X);
    kiln_onnx_out(n, 0, rated && asked ? kiln_dropout(n->g, x, d.known_rate) : x);
    give_mask(n, kiln_cast(n->g, kiln_ones_like(n->g, x), KILN_BOOL));
}
