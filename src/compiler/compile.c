/*
 * compile.c - from a graph and a run list to a plan: the list of passes, in order. Read this file first.
 *
 *   counts     where sizes depend on data: they become their bounds, and what would see elements beyond a count does not
 *   integers   where the device multiplies bytes fast: what was dequantized to be multiplied is multiplied first
 *   simplify   twice: what the list needs, with every size a number; then again without what only shapes were asked of
 *   control    the bodies of loops and branches in their place; and simplify again, since steps have much in common
 *   channels   convolutions of bytes have their channels last, as far as what stands between them can
 *   recompute  where memory of training matters more than time: what the backward pass reads is computed again
 *   precision  for KILN_PRECISION_F16: which values are stored as halves
 *   scale      factors of channels behind convolutions become the filters', where epilogues have no room
 *   fuse       elementwise chains, epilogues
 *   forms      what is kept of weights in a second form has a bound: larger forms give way
 *   lower      nodes to steps, values to objects
 *   schedule   steps to waves, prologue apart
 *   memory     objects to offsets
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/plan.h"

enum { MOST_RESULTS = 1024 };

void kiln_plan_destroy(struct kiln_plan **out)
{
    struct kiln_plan *plan = *out;
    *out = NULL;
    if (!plan)
        return;
    kiln_graph_destroy(&plan->graph);
    kiln_vec_finish(&plan->place);
    kiln_vec_finish(&plan->object);
    kiln_vec_finish(&plan->step);
    kiln_vec_finish(&plan->constant);
    kiln_vec_finish(&plan->open);
    kiln_arena_finish(&plan->arena);
    free(plan);
}

/* The graph as it stands in the plan becomes the one to rewrite; the caller gives the pass. */
struct pass {
    struct kiln_plan *plan;
    const struct kiln_compile_params *params;
    kiln_tensor run[MOST_RESULTS];
    int run_count;
};

static kiln_status check(const kiln_graph *g)
{
#ifdef NDEBUG
    return g->status;
#else
    return g->status ? g->status : kiln_graph_verify(g);
#endif
}

typedef kiln_status rewrite_fn(struct pass *p, struct kiln_rewrite *r);

static kiln_status rewrite(struct pass *p, rewrite_fn *fn)
{
    struct kiln_rewrite r = {.from = p->plan->graph ? p->plan->graph : p->params->graph,
                             .train = p->params->train};
    r.size = p->params->size;
    r.size_user = p->params->size_user;
    kiln_status status = kiln_rewrite_begin(&r);
    if (status)
        return status;
    status = fn(p, &r);
    if (!status)
        status = check(r.to);
    kiln_rewrite_finish(&r);
    if (status) {
        kiln_graph_destroy(&r.to);
        return status;
    }
    kiln_graph_destroy(&p->plan->graph);
    p->plan->graph = r.to;
    return KILN_OK;
}

static kiln_status simplify(struct pass *p, struct kiln_rewrite *r)
{
    return kiln_simplify(r, p->run, &p->run_count, MOST_RESULTS);
}

static kiln_status simplify_first(struct pass *p, struct kiln_rewrite *r)
{
    r->keep_counts = true;
    return simplify(p, r);
}

static kiln_status replace_counted(struct pass *p, struct kiln_rewrite *r)
{
    r->keep_counts = true;
    return kiln_replace_counted(r, p->run, p->run_count);
}

static kiln_status fill_beyond_counts(struct pass *p, struct kiln_rewrite *r)
{
    return kiln_fill_beyond_counts(r, p->run, p->run_count);
}

/* On GPUs floats go through tiles that bytes do not have yet. */
static bool multiplies_bytes(const struct kiln_compile_params *params)
{
    const struct kiln_caps *caps = &params->dev->caps;
    return !params->train && !params->halves && params->storage != KILN_STORAGE_DOUBLE &&
           caps->backend == KILN_BACKEND_CPU && caps->dot && kiln_has_bytes(params->graph);
}

static bool turns_channels(const struct kiln_compile_params *params)
{
    return multiplies_bytes(params) && params->storage == KILN_STORAGE_BYTES &&
           !kiln_has_control(params->graph);
}

static kiln_status multiply_integers(struct pass *p, struct kiln_rewrite *r)
{
    r->size = NULL; /* what is looked at for its shape alone stays until sizes are numbers */
    return kiln_multiply_integers(r, p->run, p->run_count, turns_channels(p->params));
}

static kiln_status turn_channels(struct pass *p, struct kiln_rewrite *r)
{
    return kiln_turn_channels(r, p->run, p->run_count, &p->params->dev->caps);
}

static kiln_status control(struct pass *p, struct kiln_rewrite *r)
{
    return kiln_expand_control(r, p->run, p->run_count);
}

static kiln_status recompute(struct pass *p, struct kiln_rewrite *r)
{
    return kiln_recompute(r, p->run, p->run_count);
}

static kiln_status store_halves(struct pass *p, struct kiln_rewrite *r)
{
    return kiln_store_halves(r, p->run, p->run_count);
}

static kiln_status scale_filters(struct pass *p, struct kiln_rewrite *r)
{
    return kiln_scale_filters(r, p->run, p->run_count);
}

static kiln_status fuse(struct pass *p, struct kiln_rewrite *r)
{
    const struct kiln_caps *caps = &p->params->dev->caps;
    return kiln_fuse(r, p->run, p->run_count, caps, p->params->storage == KILN_STORAGE_BYTES);
}

static kiln_status rewrite_all(struct pass *p, rewrite_fn *const *list)
{
    kiln_status status = KILN_OK;
    while (*list && !status)
        status = rewrite(p, *list++);
    return status;
}

static kiln_status run_passes(struct pass *p)
{
    static rewrite_fn *const counted[] = {simplify_first, replace_counted, fill_beyond_counts, NULL};
    static rewrite_fn *const usual[] = {simplify, simplify, NULL};
    static rewrite_fn *const loops[] = {control, simplify, simplify, NULL};
    static rewrite_fn *const turned[] = {turn_channels, simplify, NULL};
    struct kiln_plan *plan = p->plan;
    kiln_status status = KILN_OK;
    if (kiln_graph_is_counted(p->params->graph))
        status = rewrite_all(p, counted);
    if (!status && multiplies_bytes(p->params))
        status = rewrite(p, multiply_integers);
    if (!status)
        status = rewrite_all(p, usual);
    if (!status && kiln_has_control(plan->graph))
        status = rewrite_all(p, loops);
    if (!status && turns_channels(p->params))
        status = rewrite_all(p, turned);
    if (!status && p->params->recompute)
        status = rewrite(p, recompute);
    if (!status && p->params->halves)
        status = rewrite(p, store_halves);
    if (!status && !p->params->train &&
        !p->params->lean) /* weights that stay, and room for a second form of them */
        status = rewrite(p, scale_filters);
    if (!status)
        status = rewrite(p, fuse);
    if (status)
        return status;
    plan->results = p->run_count;
    plan->result = kiln_arena_copy(&plan->arena, p->run, (size_t)p->run_count * sizeof *p->run);
    if (!plan->result)
        return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    if ((status = kiln_lower(plan)))
        return status;
    if ((status = kiln_schedule(plan)))
        return status;
    return kiln_place_memory(plan);
}

kiln_status kiln_compile(struct kiln_plan **out, const struct kiln_compile_params *params)
{
    *out = NULL;
    if (params->run_count > MOST_RESULTS)
        return kiln_fail(KILN_ERROR_ARGUMENT, "run list of %d values, at most %d", params->run_count,
                         MOST_RESULTS);
    struct pass *p = calloc(1, sizeof *p);
    struct kiln_plan *plan = calloc(1, sizeof *plan);
    kiln_status status = KILN_ERROR_MEMORY;
    if (!p || !plan) {
        kiln_fail(status, "compiler: out of memory");
        goto fail;
    }
    plan->dev = params->dev;
    plan->places = params->places;
    plan->storage = params->storage;
    plan->train = params->train;
    plan->lean = params->lean;
    plan->budget = params->budget;
    plan->choices = params->storage == KILN_STORAGE_DOUBLE ? NULL : params->choices;
    plan->trial = params->trial;
    *p = (struct pass){.plan = plan, .params = params, .run_count = params->run_count};
    memcpy(p->run, params->run, (size_t)params->run_count * sizeof *p->run);
    if ((status = run_passes(p)))
        goto fail;
    *out = plan;
    free(p);
    return KILN_OK;

fail:
    free(p);
    kiln_plan_destroy(&plan);
    return status;
}
