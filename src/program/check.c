/*
 * check.c - kiln_check_gradient: a network's gradient against central differences, in float64 on the CPU.
 *
 *   (f(p + h e) - f(p - h e)) / (2 h)   with h = step * max(1, |p|)
 *
 * for a sample of elements e of each parameter. The graph is copied, so the user's stays as it is, and the weights are a
 * private store with the user's values; states and random draws are put back before every run, so that f is one function.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "compiler/plan.h"
#include "program/weights.h"

#include <kiln/program.h>

struct check {
    const kiln_graph *from;
    const kiln_check_params *params;
    kiln_graph *g;
    kiln_device *dev;
    kiln_weights *weights;
    kiln_program *loss_only, *with_gradients;
    kiln_tensor loss;
    kiln_tensor *parameter, *gradient; /* of g; those that the loss depends on */
    int count;
    double worst;
};

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "gradient check: out of memory");
}

/* A copy of the whole graph, whose map tells the copies of the loss and the parameters. */
static kiln_status copy_graph(struct check *c, kiln_tensor loss)
{
    struct kiln_rewrite r = {.from = c->from};
    kiln_status status = kiln_rewrite_begin(&r);
    if (status)
        return status;
    c->g = r.to;
    for (int i = 0; i < c->from->node.count && !c->g->status; i++)
        kiln_rewrite_copy(&r, c->from->node.data[i]);
    for (int i = 0; i < c->from->parameter.count && !c->g->status; i++)
        if (!kiln_vec_push(&c->g->parameter, r.map[c->from->parameter.data[i].id]))
            kiln_graph_fail(c->g, KILN_ERROR_MEMORY, "gradient check: out of memory");
    c->loss = r.map[loss.id];
    kiln_rewrite_finish(&r);
    return c->g->status;
}

static kiln_status add_gradients(struct check *c)
{
    const size_t most = (size_t)c->g->parameter.count + 1;
    c->parameter = calloc(most, sizeof *c->parameter);
    c->gradient = calloc(most, sizeof *c->gradient);
    if (!c->parameter || !c->gradient)
        return out_of_memory();
    for (int i = 0; i < c->g->parameter.count; i++)
        if (kiln_depends(c->g, c->loss, c->g->parameter.data[i]))
            c->parameter[c->count++] = c->g->parameter.data[i];
    if (!c->count)
        return kiln_fail(KILN_ERROR_ARGUMENT, "gradient check: the loss depends on no parameter");
    kiln_gradient(c->g, c->loss, KILN_NONE, c->parameter, c->count, c->gradient);
    return c->g->status;
}

/* Copy the tensors that the private store has from the user's; states alone to put them back. */
static kiln_status copy_weights(struct check *c, kiln_weights *from, bool states_only)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_weights_count(c->weights) && !status; i++) {
        const char *name = kiln_weights_name(c->weights, i);
        if (!states_only || !kiln_weights_is_parameter(c->weights, name))
            status = kiln_weights_copy(c->weights, from, name);
    }
    return status;
}

static kiln_status make_program(struct check *c, const kiln_tensor *run, kiln_program **out)
{
    kiln_status status = kiln_program_create(
        out, c->dev, c->g, c->weights,
        &(kiln_program_params){.run = run, .train = c->params->train, .precision = KILN_PRECISION_F64});
    for (int i = 0; i < c->params->input_count && !status; i++)
        for (int k = 0; k < kiln_program_input_count(*out) && !status; k++) {
            const kiln_tensor in = kiln_find(c->g, kiln_tensor_name(c->from, kiln_graph_input(c->from, i)));
            if (kiln_program_input(*out, k).id == in.id)
                status = kiln_program_write(*out, in, &c->params->inputs[i]);
        }
    return status;
}

static kiln_status make_programs(struct check *c)
{
    kiln_tensor *run = calloc((size_t)c->count + 2, sizeof *run);
    if (!run)
        return out_of_memory();
    memcpy(run, c->gradient, (size_t)c->count * sizeof *run);
    run[c->count] = c->loss;
    kiln_status status = make_program(c, run, &c->with_gradients);
    free(run);
    return status ? status : make_program(c, (const kiln_tensor[]){c->loss, KILN_NONE}, &c->loss_only);
}

static kiln_status loss_at(struct check *c, kiln_weights *from, double *value)
{
    kiln_status status = copy_weights(c, from, true);
    if (!status)
        status = kiln_program_run(c->loss_only);
    if (!status)
        status = kiln_program_read(c->loss_only, c->loss,
                                   &(kiln_array){.data = value, .bytes = sizeof *value, .type = KILN_F64});
    return status;
}

/* The central difference by element `at`. */
static kiln_status difference(struct check *c, kiln_weights *from, const char *name, kiln_array *values,
                              int64_t at, double *slope)
{
    double *p = values->data, before = p[at], high = 0, low = 0;
    const double step = (c->params->step > 0 ? c->params->step : 1e-5) * fmax(1, fabs(before));
    p[at] = before + step;
    kiln_status status = kiln_weights_write(c->weights, name, values);
    if (!status)
        status = loss_at(c, from, &high);
    p[at] = before - step;
    if (!status)
        status = kiln_weights_write(c->weights, name, values);
    if (!status)
        status = loss_at(c, from, &low);
    p[at] = before;
    if (!status)
        status = kiln_weights_write(c->weights, name, values);
    *slope = (high - low) / (2 * step);
    return status;
}

static void note_worst(struct check *c, const char *name, double error)
{
    if (!(error > c->worst))
        return;
    c->worst = error;
    if (c->params->worst && c->params->worst_bytes)
        snprintf(c->params->worst, c->params->worst_bytes, "%s", name);
}

/* ||a - b|| / max(||a||, ||b||) over the sample; a tensor whose gradient vanishes is measured against the loss's scale. */
static kiln_status check_tensor(struct check *c, kiln_weights *from, int index, kiln_array *values,
                                kiln_array *gradient)
{
    const char *name = kiln_tensor_name(c->g, c->parameter[index]);
    const double tolerance = c->params->tolerance > 0 ? c->params->tolerance : 1e-6;
    const int64_t count = kiln_shape_count(&values->shape);
    const int64_t samples = c->params->samples > 0 ? c->params->samples : 16,
                  checked = count < samples ? count : samples;
    double apart = 0, size = 0, worst = -1, worst_slope = 0;
    int64_t worst_at = 0;
    struct kiln_rng rng;
    kiln_rng_init(&rng, c->params->seed, kiln_rng_stream(name));
    for (int64_t i = 0; i < checked; i++) {
        const int64_t at = count <= samples ? i : (int64_t)kiln_rng_below(&rng, (uint32_t)count);
        const double exact = ((double *)gradient->data)[at];
        double slope;
        const kiln_status status = difference(c, from, name, values, at, &slope);
        if (status)
            return status;
        const double d = fabs(exact - slope);
        apart += d * d;
        size += fmax(exact * exact, slope * slope);
        if (d > worst || isnan(d)) {
            worst = d;
            worst_at = at;
            worst_slope = slope;
        }
    }
    const double error = sqrt(apart) / fmax(sqrt(size), 1e-4);
    note_worst(c, name, error);
    if (error <= tolerance)
        return KILN_OK;
    return kiln_fail(KILN_ERROR_ARGUMENT,
                     "gradient of \"%s\" is wrong: element %lld is %.9g, the loss changes by %.9g "
                     "(relative error of the tensor %.3g, allowed %.3g)",
                     name, (long long)worst_at, ((double *)gradient->data)[worst_at], worst_slope, error,
                     tolerance);
}

static kiln_status check_one(struct check *c, kiln_weights *from, int index)
{
    const kiln_shape shape = kiln_tensor_shape(c->g, c->parameter[index]);
    const size_t bytes = (size_t)kiln_shape_count(&shape) * sizeof(double);
    kiln_array values = {.type = KILN_F64, .data = malloc(bytes + 1)};
    kiln_array gradient = {.type = KILN_F64, .data = malloc(bytes + 1)};
    kiln_status status = values.data && gradient.data ? KILN_OK : out_of_memory();
    if (!status)
        status = kiln_weights_read(c->weights, kiln_tensor_name(c->g, c->parameter[index]), &values);
    if (!status)
        status = kiln_program_read(c->with_gradients, c->gradient[index], &gradient);
    if (!status)
        status = check_tensor(c, from, index, &values, &gradient);
    free(values.data);
    free(gradient.data);
    return status;
}

/* The whole network is checked even when one tensor fails, so that the worst is named; the first failure is returned. */
static kiln_status check_all(struct check *c, kiln_weights *from)
{
    kiln_status status = copy_weights(c, from, true);
    if (!status)
        status = kiln_program_run(c->with_gradients);
    if (!status)
        status = copy_weights(c, from, false); /* now in float64: the run made that copy */
    if (!status)
        status = copy_weights(c, from, true);
    if (!status)
        status = kiln_program_run(c->with_gradients);
    kiln_status first = status;
    for (int i = 0; i < c->count && !status; i++) {
        const kiln_status result = check_one(c, from, i);
        first = first ? first : result;
    }
    return first;
}

kiln_status kiln_check_gradient(const kiln_graph *g, kiln_weights *w, kiln_tensor loss,
                                const kiln_check_params *params)
{
    static const kiln_check_params defaults;
    struct check c = {.from = g, .params = params ? params : &defaults};
    if (g->status)
        return kiln_fail(g->status, "gradient check: the graph has failed: %s", kiln_graph_error(g));
    const kiln_shape shape = kiln_tensor_shape(g, loss);
    if (!kiln_graph_value(g, loss) || shape.rank)
        return kiln_fail(KILN_ERROR_ARGUMENT, "gradient check: wanted a scalar loss of this graph");
    kiln_status status = copy_graph(&c, loss);
    if (!status)
        status = add_gradients(&c);
    if (!status)
        status = kiln_device_open(&c.dev, &(kiln_device_params){.name = "cpu"});
    if (!status)
        status = kiln_weights_create(&c.weights, g, NULL);
    if (!status)
        status = make_programs(&c);
    if (!status)
        status = copy_weights(&c, w, false);
    if (!status)
        status = check_all(&c, w);
    if (c.params->error)
        *c.params->error = c.worst;
    kiln_program_destroy(&c.loss_only);
    kiln_program_destroy(&c.with_gradients);
    kiln_weights_destroy(&c.weights);
    kiln_device_close(&c.dev);
    kiln_graph_destroy(&c.g);
    free(c.parameter);
    free(c.gradient);
    return status;
}
