/*
 * minimize.c - optimizers: from a loss to the effects that reduce it, on the public operators alone.
 *
 *   kiln_minimize   gradients -> pack -> update             kiln_backward   gradients -> pack -> accumulate
 *   kiln_update     gradient arena -> update
 *
 * Where the loss is scaled, gradients come back that many times larger and are brought down in the update (before they are gathered,
 * where kiln_backward does), and one whose gradients are not all finite is left out: `go` is 0 then, and the step counts no further. A
 * dynamic scale is a state "NAME.loss_scale" beside "NAME.clean_steps", those since it last changed; all of it is decided on the
 * device. The scale is a power of two: gradients of floats are the same bits with it and without.
 *
 * The step is a state "NAME.step" of the weights. Several optimizers of one name are ways to make the same step,
 * each in a program of its own, so all of them read it as it stood before any. What changes from step to step is
 * computed in the program: the rate, and the corrections c = 1 - beta^t = -expm1(t log(beta)), which keep their
 * digits where beta^t is near 1.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <kiln/extend.h>
#include <kiln/ops.h>
#include <kiln/train.h>

#include "base/text.h"

enum { FIRST_SCALE = 65536, INTERVAL = 2000 };

/* A scale and its inverse are normal floats. */
#define LEAST_SCALE 0x1p-126
#define MOST_SCALE  0x1p126

static const kiln_minimize_params usual = {0};

/* Defaults ----------------------------------------------------------------------------------------------- */

static double real_or(double given, double other)
{
    return given == 0 ? other : given == KILN_ZERO ? 0 : given;
}

static bool adaptive(kiln_optimizer by)
{
    return by == KILN_RMSPROP || by == KILN_ADAM || by == KILN_ADAMW;
}

static bool has_moments(kiln_optimizer by)
{
    return by == KILN_ADAM || by == KILN_ADAMW;
}

static const char *name_of(const kiln_minimize_params *p)
{
    return p->name ? p->name : "optimizer";
}

static kiln_update_rule rule_of(const kiln_minimize_params *p)
{
    const double momentum = real_or(p->momentum, 0.9), beta1 = real_or(p->beta1, 0.9);
    const double beta2 = real_or(p->beta2, p->by == KILN_RMSPROP ? 0.99 : 0.999);
    return (kiln_update_rule){
        .by = p->by,
        .beta1 = has_moments(p->by) ? beta1 : momentum,
        .rest1 = has_moments(p->by)                      ? 1 - beta1
                 : p->by == KILN_MOMENTUM && p->averaged ? 1 - momentum
                                                         : 1,
        .beta2 = beta2,
        .rest2 = 1 - beta2,
        .epsilon = real_or(p->epsilon, 1e-8),
        .clip = p->clip_value,
        .clip_norm = p->clip_norm,
        .name = name_of(p),
    };
}

/* Which parameters --------------------------------------------------------------------------------------- */

/* The parameters an optimizer works on, each with its settings. */
struct chosen {
    kiln_tensor *parameter, *gradient;
    double *rate, *decay;
    int count;
};

static void chosen_finish(struct chosen *c)
{
    free(c->parameter);
    free(c->gradient);
    free(c->rate);
    free(c->decay);
}

static const kiln_param_group *group_of(const kiln_minimize_params *p, const char *name)
{
    for (int i = 0; i < p->group_count; i++)
        if (kiln_text_match(p->groups[i].match, name))
            return &p->groups[i];
    return NULL;
}

static void choose_one(struct chosen *c, const kiln_graph *g, kiln_tensor loss, kiln_tensor parameter,
                       const kiln_minimize_params *p)
{
    const char *name = kiln_tensor_name(g, parameter);
    const kiln_param_group *group = group_of(p, name);
    const bool left_out = (p->only && !kiln_text_match(p->only, name)) || (group && group->frozen);
    if (left_out || (loss.id && !kiln_depends(g, loss, parameter)))
        return;
    c->parameter[c->count] = parameter;
    c->rate[c->count] = group ? real_or(group->rate, 1) : 1;
    c->decay[c->count] = group ? real_or(group->decay, p->decay) : p->decay;
    c->count++;
}

/* Those that `only` and the groups leave in and the loss, if there is one, depends on. */
static bool choose(struct chosen *c, kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *p)
{
    const size_t room = (size_t)kiln_graph_parameter_count(g) + 1;
    c->parameter = calloc(room, sizeof *c->parameter);
    c->gradient = calloc(room, sizeof *c->gradient);
    c->rate = calloc(room, sizeof *c->rate);
    c->decay = calloc(room, sizeof *c->decay);
    if (!c->parameter || !c->gradient || !c->rate || !c->decay) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "optimizer \"%s\": out of memory", name_of(p));
        return false;
    }
    for (int i = 0; i < kiln_graph_parameter_count(g); i++)
        choose_one(c, g, loss, kiln_graph_parameter(g, i), p);
    if (!c->count)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "optimizer \"%s\": there is no parameter%s%s%s that it could train", name_of(p),
                        p->only ? " \"" : "", p->only ? p->only : "", p->only ? "\"" : "");
    return c->count;
}

/* What is stored between steps --------------------------------------------------------------------------- */

static kiln_tensor state_of(kiln_graph *g, const char *optimizer, const char *what, kiln_type type,
                            double first)
{
    struct kiln_text full = {0};
    kiln_text_add(&full, "%s.%s", optimizer, what);
    const kiln_init init = {.kind = KILN_INIT_CONSTANT, .value = first};
    const kiln_tensor state =
        full.failed ? KILN_NONE
                    : kiln_state_init(g, kiln_text_get(&full), type, KILN_SCALAR, KILN_STORE_WEIGHTS, &init);
    if (full.failed)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "optimizer \"%s\": out of memory", optimizer);
    kiln_text_finish(&full);
    return state;
}

/* The state's value before this step, whatever has been assigned to it by now: read once, and known by name. */
static kiln_tensor before(kiln_graph *g, kiln_tensor state)
{
    struct kiln_text name = {0};
    kiln_text_add(&name, "%s.before", kiln_tensor_name(g, state));
    kiln_tensor value = name.failed ? KILN_NONE : kiln_find(g, kiln_text_get(&name));
    if (!value.id && !name.failed)
        value = kiln_name(g, kiln_stop_gradient(g, state), kiln_text_get(&name));
    kiln_text_finish(&name);
    return value;
}

static kiln_tensor step_state(kiln_graph *g, const char *name)
{
    return state_of(g, name, "step", KILN_I32, 0);
}

kiln_tensor kiln_step(kiln_graph *g, const char *optimizer)
{
    return kiln_cast(g, before(g, step_state(g, optimizer ? optimizer : "optimizer")), KILN_F32);
}

/* The scale of the loss ---------------------------------------------------------------------------------- */

static bool is_guarded(const kiln_minimize_params *p)
{
    return p->dynamic_scale || p->loss_scale != 0;
}

/* The scale of all steps; where it is dynamic, of the first. */
static double first_scale(const kiln_minimize_params *p)
{
    return p->loss_scale != 0 ? p->loss_scale : p->dynamic_scale ? FIRST_SCALE : 1;
}

static bool can_scale(kiln_graph *g, const kiln_minimize_params *p)
{
    const double scale = first_scale(p);
    if (scale >= LEAST_SCALE && scale <= MOST_SCALE && p->scale_interval >= 0)
        return true;
    kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                    "optimizer \"%s\": a loss scale of %g and an interval of %d steps, wanted a scale from "
                    "2^-126 to 2^126 and an interval that is not negative",
                    name_of(p), scale, p->scale_interval);
    return false;
}

static kiln_tensor scale_state(kiln_graph *g, const kiln_minimize_params *p)
{
    return state_of(g, name_of(p), "loss_scale", KILN_F32, first_scale(p));
}

static kiln_tensor scale_of(kiln_graph *g, const kiln_minimize_params *p)
{
    return p->dynamic_scale ? before(g, scale_state(g, p)) : kiln_scalar(g, KILN_F32, first_scale(p));
}

/* A copy: were it the state itself, a program that returns it would return what the step made of it. */
kiln_tensor kiln_loss_scale(kiln_graph *g, const kiln_minimize_params *params)
{
    const kiln_tensor scale = scale_of(g, params ? params : &usual);
    return kiln_reshape(g, kiln_pack(g, &scale, 1), KILN_SCALAR);
}

/* 1 / scale. A device's quotient may be off by its last bits; one step of Newton's makes it exact for a power of two. */
static kiln_tensor unscale_of(kiln_graph *g, const kiln_minimize_params *p)
{
    if (!p->dynamic_scale)
        return kiln_scalar(g, KILN_F32, 1 / first_scale(p));
    const kiln_tensor scale = scale_of(g, p);
    const kiln_tensor near = kiln_div(g, kiln_scalar(g, KILN_F32, 1), scale);
    return kiln_mul(g, near, kiln_sub(g, kiln_scalar(g, KILN_F32, 2), kiln_mul(g, scale, near)));
}

static kiln_tensor clamped(kiln_graph *g, kiln_tensor scale)
{
    return kiln_clip(g, scale, LEAST_SCALE, MOST_SCALE);
}

/* After a step: twice the scale behind so many clean ones, half of it behind one that was left out (go 0, else 1). */
static kiln_tensor adjust_scale(kiln_graph *g, kiln_tensor go, const kiln_minimize_params *p)
{
    const kiln_tensor none = kiln_scalar(g, KILN_I32, 0), one = kiln_scalar(g, KILN_I32, 1);
    const kiln_tensor clean = state_of(g, name_of(p), "clean_steps", KILN_I32, 0),
                      count = kiln_add(g, before(g, clean), one),
                      interval = kiln_scalar(g, KILN_I32, p->scale_interval ? p->scale_interval : INTERVAL);
    const kiln_tensor passed = kiln_greater(g, go, kiln_scalar(g, KILN_F32, 0)),
                      grows = kiln_greater_equal(g, count, interval);
    const kiln_tensor state = scale_state(g, p), scale = before(g, state),
                      grown = kiln_where(g, grows, clamped(g, kiln_scale(g, scale, 2)), scale),
                      shrunk = clamped(g, kiln_scale(g, scale, 0.5));
    const kiln_tensor effects[] = {
        kiln_assign(g, state, kiln_where(g, passed, grown, shrunk)),
        kiln_assign(g, clean, kiln_where(g, passed, kiln_where(g, grows, none, count), none)),
    };
    return kiln_group(g, effects, 2);
}

/* Gradients ---------------------------------------------------------------------------------------------- */

static bool is_scalar(kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *p)
{
    const kiln_shape shape = kiln_tensor_shape(g, loss);
    char text[96];
    if (loss.id && shape.rank == 0)
        return true;
    kiln_graph_fail(g, KILN_ERROR_SHAPE, "optimizer \"%s\": the loss has shape %s, wanted a scalar",
                    name_of(p), loss.id ? kiln_shape_text(&shape, text, sizeof text) : "none");
    return false;
}

/* One gradient a parameter of the scaled loss, packed: as many times too large as the loss is scaled. */
static kiln_tensor gradients_of(kiln_graph *g, kiln_tensor loss, struct chosen *c,
                                const kiln_minimize_params *p)
{
    const double scale = p->scale == 0 ? 1 : p->scale;
    kiln_tensor dy = scale == 1 ? KILN_NONE : kiln_scalar(g, kiln_tensor_type(g, loss), scale);
    if (is_guarded(p))
        dy = kiln_cast(g, kiln_scale(g, scale_of(g, p), scale), kiln_tensor_type(g, loss));
    kiln_gradient(g, loss, dy, c->parameter, c->count, c->gradient);
    return kiln_graph_status(g) ? KILN_NONE : kiln_pack(g, c->gradient, c->count);
}

/* The step and what follows from it ---------------------------------------------------------------------- */

/* 1 - beta^t, or 1. */
static kiln_tensor correction(kiln_graph *g, kiln_tensor t, double beta, bool corrects)
{
    if (!corrects)
        return kiln_scalar(g, KILN_F32, 1);
    return kiln_neg(g, kiln_expm1(g, kiln_scale(g, t, log(beta))));
}

/* go: KILN_NONE where the step is not guarded. What the arena has gathered is brought down already. */
static kiln_tensor scalars_of(kiln_graph *g, kiln_tensor t, kiln_tensor go, bool packed,
                              const kiln_update_rule *rule, const kiln_minimize_params *p)
{
    const bool corrects = has_moments(p->by) && !p->no_correction;
    const double rate = real_or(p->rate, adaptive(p->by) ? 1e-3 : 1e-2);
    const kiln_tensor scalars[] = {
        p->rate_from.id ? p->rate_from : kiln_scalar(g, KILN_F32, rate),
        correction(g, t, rule->beta1, corrects),
        correction(g, t, rule->beta2, corrects || (p->by == KILN_RMSPROP && p->corrected)),
        go.id && packed ? unscale_of(g, p) : kiln_scalar(g, KILN_F32, 1),
        go,
    };
    return kiln_pack(g, scalars, go.id ? 5 : 3);
}

/* 1 where all gradients are finite, else 0. */
static kiln_tensor can_go(kiln_graph *g, kiln_tensor packed, const struct chosen *c)
{
    const kiln_tensor infinite = kiln_count_infinite(g, packed, c->parameter, c->count);
    return kiln_cast(g, kiln_equal(g, infinite, kiln_scalar(g, KILN_F32, 0)), KILN_F32);
}

/* The update from packed gradients or the arena, and the step counted on. */
static kiln_tensor update(kiln_graph *g, kiln_tensor packed, const struct chosen *c,
                          const kiln_minimize_params *p)
{
    kiln_update_rule rule = rule_of(p);
    rule.rate = c->rate;
    rule.decay = c->decay;
    const kiln_tensor go = is_guarded(p) ? can_go(g, packed, c) : KILN_NONE;
    const kiln_tensor state = step_state(g, name_of(p)), done = before(g, state),
                      one = kiln_scalar(g, KILN_I32, 1), next = kiln_add(g, done, one);
    const kiln_tensor scalars = scalars_of(g, kiln_cast(g, next, KILN_F32), go, packed.id != 0, &rule, p);
    const kiln_tensor effects[] = {
        kiln_update_parameters(g, packed, scalars, c->parameter, c->count, &rule),
        kiln_assign(g, state, go.id ? kiln_add(g, done, kiln_cast(g, go, KILN_I32)) : next),
        p->dynamic_scale ? adjust_scale(g, go, p) : KILN_NONE,
    };
    return kiln_group(g, effects, 3);
}

/* Effects ------------------------------------------------------------------------------------------------ */

kiln_tensor kiln_minimize(kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *params)
{
    const kiln_minimize_params *p = params ? params : &usual;
    struct chosen c = {0};
    kiln_tensor effect = KILN_NONE;
    if (!kiln_graph_status(g) && is_scalar(g, loss, p) && can_scale(g, p) && choose(&c, g, loss, p))
        effect = update(g, gradients_of(g, loss, &c, p), &c, p);
    chosen_finish(&c);
    return effect;
}

static kiln_tensor accumulate(kiln_graph *g, kiln_tensor packed, const struct chosen *c,
                              const kiln_minimize_params *p)
{
    if (is_guarded(p))
        packed = kiln_mul(g, packed, unscale_of(g, p));
    return kiln_accumulate(g, packed, c->parameter, c->count);
}

kiln_tensor kiln_backward(kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *params)
{
    const kiln_minimize_params *p = params ? params : &usual;
    struct chosen c = {0};
    kiln_tensor effect = KILN_NONE;
    if (!kiln_graph_status(g) && is_scalar(g, loss, p) && can_scale(g, p) && choose(&c, g, loss, p))
        effect = accumulate(g, gradients_of(g, loss, &c, p), &c, p);
    chosen_finish(&c);
    return effect;
}

kiln_tensor kiln_update(kiln_graph *g, const kiln_minimize_params *params)
{
    const kiln_minimize_params *p = params ? params : &usual;
    struct chosen c = {0};
    kiln_tensor effect = KILN_NONE;
    if (!kiln_graph_status(g) && can_scale(g, p) && choose(&c, g, KILN_NONE, p))
        effect = update(g, KILN_NONE, &c, p);
    chosen_finish(&c);
    return effect;
}
