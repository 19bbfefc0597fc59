/*
 * init.c - initial values, drawn on the host from a stream keyed by the seed and the tensor's name, so that they depend on
 * nothing else. Glorot and Bengio 2010 (Xavier), He et al. 2015.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "compiler/convert.h"
#include "graph/random.h"
#include "program/store.h"

/* Of [O, I, rest]: fan_in = I * rest, fan_out = O * rest. */
static void fans(const kiln_shape *s, double *fan_in, double *fan_out)
{
    double rest = 1;
    for (int i = 2; i < s->rank; i++)
        rest *= (double)s->size[i];
    const double o = s->rank > 0 ? (double)s->size[0] : 1, i = s->rank > 1 ? (double)s->size[1] : o;
    *fan_in = i * rest > 0 ? i * rest : 1;
    *fan_out = o * rest > 0 ? o * rest : 1;
}

/* Uniform or normal around a centre. */
struct draw {
    bool normal;
    double centre, scale;
};

static struct draw draw_of(const kiln_shape *shape, const kiln_init *init)
{
    double in, out;
    fans(shape, &in, &out);
    const double gain = init->gain != 0 ? init->gain : 1, scale = init->scale != 0 ? init->scale : 1;
    switch (init->kind) {
    case KILN_INIT_NORMAL:
        return (struct draw){true, init->value, scale};
    case KILN_INIT_UNIFORM:
        return (struct draw){false, init->value, scale};
    case KILN_INIT_XAVIER:
        return (struct draw){false, 0, gain * sqrt(6 / (in + out))};
    case KILN_INIT_XAVIER_NORMAL:
        return (struct draw){true, 0, gain * sqrt(2 / (in + out))};
    case KILN_INIT_HE_UNIFORM:
        return (struct draw){false, 0, gain * sqrt(6 / in)};
    default:
        return (struct draw){true, 0, gain * sqrt(2 / in)};
    }
}

void kiln_init_draw(const char *name, const kiln_spec *spec, const kiln_init *init, uint64_t seed, double *to)
{
    const size_t count = (size_t)kiln_shape_count(&spec->shape);
    const bool plain = init->kind == KILN_INIT_DEFAULT && spec->shape.rank < 2;
    if (!strcmp(name, KILN_RANDOM_STATE) && count == 2) {
        to[0] = (double)(int32_t)(uint32_t)(seed ^ seed >> 32);
        to[1] = 0;
    } else if (init->kind == KILN_INIT_VALUES) {
        kiln_convert(to, KILN_F64, init->values->data, init->values->type, count);
    } else if (init->kind == KILN_INIT_ZEROS || init->kind == KILN_INIT_CONSTANT || plain) {
        for (size_t i = 0; i < count; i++)
            to[i] = init->kind == KILN_INIT_CONSTANT ? init->value : 0;
    } else {
        struct kiln_rng rng;
        const struct draw d = draw_of(&spec->shape, init);
        kiln_rng_init(&rng, seed, kiln_rng_stream(name));
        for (size_t i = 0; i < count; i++)
            to[i] = d.centre + d.scale * (d.normal ? kiln_rng_normal(&rng) : 2 * kiln_rng_uniform(&rng) - 1);
    }
}
