/* differences.c - see differences.h. */
#include "check/differences.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "base/vec.h"
#include "check/values.h"

enum { DIRECTIONS = 3, TINY = 12, PLACES = 4 };

/* In float64 the differences of functions of size 1 are off by some 1e-10 for h = 1e-6, and by h^2. The bound is far
 * above that, and far below any error of a rule. */
#define TOLERANCE 1e-6

/* Where a step crosses a kink or a change of the largest element, a shorter one may not, or one from a place nearby. */
static const double steps[] = {1e-5, 1e-6, 1e-7};
static const double nearby = 1e-3;

/* A parameter that results depend on. */
struct operand {
    const char *name;
    kiln_shape shape;
    size_t count;
    double *x, *moved, *slope, *v;
};

struct differences {
    struct check_graph c;
    uint64_t seed;
    kiln_weights *begun, *weights; /* as they were, and as they are */
    kiln_program *whole, *value;   /* S and every dx; S alone */
    kiln_tensor sum;               /* S */
    KILN_VEC(struct operand) operand;
    size_t elements;
    double norm; /* of the whole gradient */
    struct kiln_rng rng;
    struct check_slopes *out;
};

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for central differences");
}

/* Programs ------------------------------------------------------------------------------------------------- */

static struct operand *operand_of(struct differences *d, kiln_tensor x)
{
    const char *name = kiln_tensor_name(d->c.g, x);
    struct operand new = {.name = name, .shape = kiln_tensor_shape(d->c.g, x)};

    for (int i = 0; i < d->operand.count; i++)
        if (!strcmp(d->operand.data[i].name, name))
            return &d->operand.data[i];
    new.count = (size_t)kiln_shape_count(&new.shape);
    new.x = calloc(4 * new.count + 1, sizeof *new.x);
    if (!new.x || !kiln_vec_push(&d->operand, new)) {
        free(new.x);
        return NULL;
    }
    struct operand *last = &d->operand.data[d->operand.count - 1];
    last->moved = last->x + last->count;
    last->slope = last->moved + last->count;
    last->v = last->slope + last->count;
    d->elements += last->count;
    return last;
}

/* S, and the operands. */
static kiln_status add_sum(struct differences *d)
{
    kiln_graph *g = d->c.g;

    for (int i = 0; i < d->c.gradients; i++) {
        const struct check_gradient *of = &d->c.gradient[i];
        const kiln_tensor part = kiln_sum(g, kiln_mul(g, of->y, of->dy), NULL);
        d->sum = d->sum.id ? kiln_add(g, d->sum, part) : part;
        for (int k = 0; k < of->count; k++)
            if (!operand_of(d, of->x[k]))
                return out_of_memory();
    }
    return kiln_graph_status(g);
}

static kiln_status make_program(struct differences *d, kiln_device *cpu, bool gradients, kiln_program **out)
{
    kiln_tensor run[CHECK_VALUES * CHECK_INPUTS + 2] = {d->sum};
    int count = 1;

    for (int i = 0; i < d->c.gradients && gradients; i++)
        for (int k = 0; k < d->c.gradient[i].count; k++)
            run[count++] = d->c.gradient[i].dx[k];
    const kiln_program_params how = {.run = run, .train = true, .precision = KILN_PRECISION_F64};
    const kiln_status status = kiln_program_create(out, cpu, d->c.g, d->weights, &how);
    return status ? status : check_write_inputs(*out, &d->c, d->seed);
}

static kiln_status make_programs(struct differences *d, kiln_device *cpu)
{
    const kiln_weights_params how = {.seed = d->seed};
    kiln_status status = kiln_weights_create(&d->weights, d->c.g, &how);

    if (!status)
        status = kiln_weights_create(&d->begun, d->c.g, &how);
    if (!status)
        status = make_program(d, cpu, true, &d->whole);
    if (!status)
        status = make_program(d, cpu, false, &d->value);
    return status;
}

/* Evaluating ------------------------------------------------------------------------------------------------ */

static kiln_status write_operand(struct differences *d, const struct operand *o, double *values)
{
    const kiln_array array = {.data = values, .type = KILN_F64, .shape = o->shape};
    return kiln_weights_write(d->weights, o->name, &array);
}

static kiln_status sum_at(struct differences *d, double h, double *sum)
{
    kiln_array to = {.data = sum, .bytes = sizeof *sum, .type = KILN_F64};
    kiln_status status = check_copy_states(d->begun, d->weights);

    for (int i = 0; i < d->operand.count && !status; i++) {
        const struct operand *o = &d->operand.data[i];
        for (size_t k = 0; k < o->count; k++)
            o->moved[k] = o->x[k] + h * o->v[k];
        status = write_operand(d, o, o->moved);
    }
    if (!status && !(status = kiln_program_run(d->value)))
        status = kiln_program_read(d->value, d->sum, &to);
    return status;
}

/* x as float64 programs have it, and the gradients. */
static kiln_status read_operands(struct differences *d)
{
    kiln_status status = kiln_program_run(d->whole);

    for (int i = 0; i < d->operand.count && !status; i++) {
        const struct operand *o = &d->operand.data[i];
        kiln_array to = {.data = o->x, .bytes = o->count * sizeof *o->x, .type = KILN_F64};
        status = kiln_weights_read(d->weights, o->name, &to);
    }
    return status;
}

static kiln_status read_gradient(struct differences *d, kiln_tensor x, kiln_tensor dx)
{
    const struct operand *o = operand_of(d, x);
    kiln_array to = {.data = o->moved, .bytes = o->count * sizeof *o->moved, .type = KILN_F64};
    const kiln_status status = kiln_program_read(d->whole, dx, &to);

    for (size_t k = 0; k < o->count && !status; k++)
        o->slope[k] += o->moved[k];
    return status;
}

static kiln_status read_gradients(struct differences *d)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < d->operand.count; i++)
        memset(d->operand.data[i].slope, 0, d->operand.data[i].count * sizeof(double));
    for (int i = 0; i < d->c.gradients; i++)
        for (int k = 0; k < d->c.gradient[i].count && !status; k++)
            status = read_gradient(d, d->c.gradient[i].x[k], d->c.gradient[i].dx[k]);
    d->norm = 0;
    for (int i = 0; i < d->operand.count; i++)
        for (size_t k = 0; k < d->operand.data[i].count; k++)
            d->norm += d->operand.data[i].slope[k] * d->operand.data[i].slope[k];
    d->norm = sqrt(d->norm);
    return status;
}

/* Directions ------------------------------------------------------------------------------------------------ */

static double expected(const struct differences *d)
{
    double sum = 0;

    for (int i = 0; i < d->operand.count; i++)
        for (size_t k = 0; k < d->operand.data[i].count; k++)
            sum += d->operand.data[i].slope[k] * d->operand.data[i].v[k];
    return sum;
}

/* Go on from a place nearby, with its gradient. */
static kiln_status move(struct differences *d)
{
    kiln_status status = check_copy_states(d->begun, d->weights);

    for (int i = 0; i < d->operand.count && !status; i++) {
        struct operand *o = &d->operand.data[i];
        for (size_t k = 0; k < o->count; k++)
            o->x[k] += nearby * (kiln_rng_uniform(&d->rng) - 0.5);
        status = write_operand(d, o, o->x);
    }
    if (!status)
        status = kiln_program_run(d->whole);
    return status ? status : read_gradients(d);
}

/* The least error of a direction from where x is, by shorter and shorter steps until one agrees. */
static kiln_status try_steps(struct differences *d, double *slope, double *error)
{
    const double want = expected(d);

    *error = INFINITY;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && !(*error <= TOLERANCE); i++) {
        double high = 0, low = 0;
        kiln_status status = sum_at(d, steps[i], &high);
        if (!status)
            status = sum_at(d, -steps[i], &low);
        if (status)
            return status;
        *slope = (high - low) / (2 * steps[i]);
        const double noise = 1e-15 * (fabs(high) + (double)d->elements) / steps[i];
        const double now = fmax(0, fabs(*slope - want) - noise) / fmax(d->norm, 1e-3);
        *error = isnan(now) ? *error : fmin(*error, now);
    }
    return KILN_OK;
}

static kiln_status check_direction(struct differences *d, const char *which)
{
    double slope = NAN, error;
    kiln_status status = try_steps(d, &slope, &error);

    for (int i = 1; i < PLACES && !status && !(error <= TOLERANCE); i++)
        if (!(status = move(d)))
            status = try_steps(d, &slope, &error);
    d->out->checks++;
    d->out->worst = fmax(d->out->worst, error);
    if (!(error <= TOLERANCE) && !d->out->what[0])
        snprintf(d->out->what, sizeof d->out->what,
                 "the gradient is wrong: along %s it says %.9g, the results change by %.9g", which,
                 expected(d), slope);
    return status;
}

static kiln_status check_directions(struct differences *d)
{
    kiln_status status = KILN_OK;

    for (int n = 0; n < DIRECTIONS && !status; n++) {
        for (int i = 0; i < d->operand.count; i++)
            for (size_t k = 0; k < d->operand.data[i].count; k++)
                d->operand.data[i].v[k] = kiln_rng_next(&d->rng) & 1 ? 1 : -1;
        status = check_direction(d, "a random direction");
    }
    return status;
}

static kiln_status check_elements(struct differences *d)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < d->operand.count; i++)
        memset(d->operand.data[i].v, 0, d->operand.data[i].count * sizeof(double));
    for (int i = 0; i < d->operand.count; i++)
        for (size_t k = 0; k < d->operand.data[i].count && !status; k++) {
            char which[80];
            snprintf(which, sizeof which, "element %zu of %.32s", k, d->operand.data[i].name);
            d->operand.data[i].v[k] = 1;
            status = check_direction(d, which);
            d->operand.data[i].v[k] = 0;
        }
    return status;
}

static kiln_status check(struct differences *d, kiln_device *cpu)
{
    kiln_status status = add_sum(d);

    if (status || !d->elements)
        return status;
    if (!(status = make_programs(d, cpu)) && !(status = read_operands(d)) && !(status = read_gradients(d)))
        status = check_directions(d);
    if (!status && d->elements <= TINY)
        status = check_elements(d);
    return status;
}

kiln_status check_differences(kiln_device *cpu, const struct check_case *one, uint64_t seed,
                              struct check_slopes *out)
{
    struct differences d = {.seed = check_seed_of(one, seed), .out = out};
    kiln_status status = check_build(&d.c, one);

    *out = (struct check_slopes){0};
    kiln_rng_init(&d.rng, d.seed, 1);
    if (!status && d.c.gradients)
        status = check(&d, cpu);
    kiln_program_destroy(&d.whole);
    kiln_program_destroy(&d.value);
    kiln_weights_destroy(&d.weights);
    kiln_weights_destroy(&d.begun);
    kiln_graph_destroy(&d.c.g);
    for (int i = 0; i < d.operand.count; i++)
        free(d.operand.data[i].x);
    kiln_vec_finish(&d.operand);
    return status;
}
