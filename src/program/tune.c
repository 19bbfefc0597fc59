/*
 * tune.c - kiln_program_tune: what is tried of a program's plan, in two passes.
 *
 *   lowerings   Each class of nodes that several lowerings accept, those that take longest first. The program is planned once for
 *               each other way of a class, and the steps of the class's first node are timed: what the prologue does for it costs
 *               no run. Nothing before that node differs from the usual plan, so that its results compare.
 *   variants    Each class of dispatches that several variants accept, in the plan that comes of it, on the memory that it binds.
 *               A first walk weighs the classes, so that a short budget goes to those that take long.
 */
#include "program/tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/threads.h"
#include "compiler/choose.h"

#define WINS  0.97 /* of the usual way's time: less is noise */
#define SHARE 0.4  /* of the budget, at most, for the lowerings */
#define APART \
    1e-3 /* of the largest number: transformed tiles round some hundred times as far as sums of as many terms */

enum { MOST_WAYS = 6 };

/* A class of dispatches. */
struct dispatches {
    uint64_t class;
    const kiln_kernel *kernel;
    int step; /* the first one, in the plan */
    int count;
    double weight; /* seconds of all of them */
    bool decided;
};

/* A class of nodes. */
struct nodes {
    const kiln_op *op;
    uint64_t class;
    int node; /* the first one, in the plan's graph, which is the same whatever is chosen */
    int count, ways;
    const kiln_lowering *way[MOST_WAYS]; /* the usual one first */
    double seconds[MOST_WAYS];
    bool wrong[MOST_WAYS];
    void *want; /* what the usual one gave */
    int left;   /* steps of the node still to come in this walk */
};

struct tuner {
    struct kiln_walk_steps walk;
    const kiln_tune_params *params;
    kiln_tune_report *report;
    KILN_VEC(struct dispatches) dispatch;
    KILN_VEC(struct nodes) node;
    double weight_left;
    int only, way; /* the class of nodes that the walk is about, and its way; -1: all, in their usual ones */
    int trials_left; /* of lowerings */
    bool stop;       /* the walk has seen what it is about */
};

static kiln_status no_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "tune: out of memory");
}

static bool is_over(const struct tuner *t)
{
    return kiln_seconds() >= t->walk.deadline;
}

/* Visit the body's steps in order; what is not visited runs as it is, and what lasts is left out. */
static kiln_status walk(struct tuner *t, kiln_status (*visit)(struct tuner *t, int step, bool *ran))
{
    kiln_status status = kiln_program_prepare(t->walk.p, &t->walk.ready);
    const struct kiln_plan *plan = status ? NULL : t->walk.ready->plan;
    t->stop = false;
    for (int i = 0, end; plan && i < plan->step.count && !status && !t->stop && !is_over(t); i = end) {
        bool ran = false;
        end = kiln_steps_behind(plan, i);
        if (plan->step.data[i].prologue)
            continue;
        if (end == i + 1)
            status = visit(t, i, &ran);
        if (!status && !ran && !kiln_steps_last(plan, i, end))
            status = kiln_steps_run(&t->walk, i, end, NULL);
    }
    return status;
}

/* Keep a choice, and tell. */
static kiln_status decide(struct tuner *t, enum kiln_choice_kind kind, uint64_t class,
                          const kiln_tune_result *found)
{
    const bool changed = strcmp(found->best, found->usual) != 0;
    const struct kiln_choice choice = {kind, kind == KILN_CHOICE_VARIANT ? found->kernel : found->op, class,
                                       found->best};
    t->report->tried++;
    t->report->changed += changed;
    t->report->wrong += found->wrong;
    t->report->saved += found->count * (found->usual_seconds - found->best_seconds);
    if (t->params->call)
        t->params->call(t->params->user, found);
    return kiln_choices_put(t->walk.p->dev->choices, &choice);
}

static bool is_known(const struct tuner *t, enum kiln_choice_kind kind, const char *of, uint64_t class)
{
    return !t->params->again && kiln_choices_find(t->walk.p->dev->choices, kind, of, class);
}

/* Lowerings ---------------------------------------------------------------------------------------------- */

static bool list_ways(struct kiln_plan *plan, const kiln_node *n, struct nodes *c)
{
    const kiln_lowering *usual = kiln_usual_lowering(plan, n);
    for (int i = 0; i < n->op->lowering_count && usual && !usual->joins; i++) {
        const kiln_lowering *l = &n->op->lowerings[i];
        if (!l->joins && c->ways < MOST_WAYS && kiln_lowering_accepts(plan, l, n))
            c->way[c->ways++] = l;
    }
    for (int i = 1; i < c->ways; i++)
        if (c->way[i] == usual) {
            c->way[i] = c->way[0];
            c->way[0] = usual;
        }
    return c->ways > 1;
}

static bool has_steps(const struct kiln_plan *plan, const kiln_node *n)
{
    for (int i = 0; i < plan->step.count; i++)
        if (plan->step.data[i].node == n && !plan->step.data[i].prologue)
            return true;
    return false;
}

static kiln_status list_nodes(struct tuner *t, struct kiln_plan *plan)
{
    for (int i = 0; i < plan->graph->node.count; i++) {
        const kiln_node *n = plan->graph->node.data[i];
        struct nodes c = {.op = n->op, .node = i, .count = 1};
        int at = 0;
        if (n->op->lowering_count < 2 || !has_steps(plan, n) || !list_ways(plan, n, &c))
            continue;
        c.class = kiln_node_class(plan, n);
        while (at < t->node.count && (t->node.data[at].op != c.op || t->node.data[at].class != c.class))
            at++;
        if (at < t->node.count)
            t->node.data[at].count++;
        else if (is_known(t, KILN_CHOICE_LOWERING, n->op->name, c.class))
            t->report->known++;
        else if (!kiln_vec_push(&t->node, c))
            return no_memory();
    }
    return KILN_OK;
}

/* Plan with one class in that way, or all in their usual ones. */
static kiln_status plan_way(struct tuner *t)
{
    struct kiln_choices *trial = kiln_choices_create();
    kiln_status status = trial ? KILN_OK : no_memory();
    for (int i = 0; i < t->node.count && !status; i++) {
        const struct nodes *c = &t->node.data[i];
        const int way = i == t->only ? t->way : 0;
        status = kiln_choices_put(trial, &(struct kiln_choice){KILN_CHOICE_LOWERING, c->op->name, c->class,
                                                               c->way[way]->name});
    }
    kiln_program_forget(t->walk.p);
    t->walk.p->trial = trial;
    return status ? status : kiln_program_prepare(t->walk.p, &t->walk.ready);
}

static void unplan_way(struct tuner *t)
{
    kiln_program_forget(t->walk.p);
    kiln_choices_destroy(&t->walk.p->trial);
}

/* What the node gave, against the usual way's. */
static kiln_status compare_way(struct tuner *t, struct nodes *c, const kiln_node *n)
{
    size_t count;
    kiln_type type;
    void *got;
    const kiln_status status = kiln_value_take(&t->walk, n->out[0], &got, &count, &type);
    if (status)
        return status;
    if (t->way == 0) {
        c->want = got;
        return KILN_OK;
    }
    c->wrong[t->way] = c->want && !kiln_values_agree(got, c->want, count, type,
                                                     APART * kiln_values_largest(c->want, count, type));
    if (c->wrong[t->way])
        kiln_warn("tune: lowering %s of %s \"%s\" gives another result than %s: it is not chosen",
                  c->way[t->way]->name, n->op->name, n->name ? n->name : "", c->way[0]->name);
    free(got);
    return KILN_OK;
}

/* A share of the time that is left, for a trial and those after it. */
static double slice_of(const struct tuner *t)
{
    return (t->walk.deadline - kiln_seconds()) / (t->trials_left > 0 ? t->trials_left : 1);
}

static kiln_status visit_node(struct tuner *t, int step, bool *ran)
{
    const struct kiln_plan *plan = t->walk.ready->plan;
    const struct kiln_step *s = &plan->step.data[step];
    struct nodes *c = NULL;
    for (int i = 0; i < t->node.count && !c; i++)
        if (plan->graph->node.data[t->node.data[i].node] == s->node && (t->only < 0 || t->only == i))
            c = &t->node.data[i];
    if (!c || kiln_steps_last(plan, step, step + 1)) /* what it leaves could not be compared */
        return KILN_OK;
    struct kiln_try one = {.variant = s->dispatch ? s->dispatch->variant : NULL};
    *ran = true;
    kiln_status status = s->kind == KILN_COMMAND_DISPATCH && s->indirect < 0
                             ? kiln_step_try(&t->walk, step, &one, 1, slice_of(t))
                             : kiln_steps_run(&t->walk, step, step + 1, &one.seconds);
    c->seconds[t->way] += one.seconds;
    c->left--;
    t->stop = t->only >= 0 && c->left == 0;
    if (!status && c->left == 0 && s->node->outputs && !(s->node->op->flags & KILN_OP_EFFECT))
        status = compare_way(t, c, s->node);
    return status;
}

/* Count the steps of each class's first node. */
static void begin_way(struct tuner *t, const struct kiln_plan *plan)
{
    for (int i = 0; i < t->node.count; i++) {
        struct nodes *c = &t->node.data[i];
        c->left = 0;
        for (int k = 0; k < plan->step.count; k++)
            c->left +=
                plan->step.data[k].node == plan->graph->node.data[c->node] && !plan->step.data[k].prologue;
    }
}

static kiln_status try_way(struct tuner *t)
{
    const kiln_status status = plan_way(t);
    if (status)
        return status;
    begin_way(t, t->walk.ready->plan);
    return walk(t, visit_node);
}

static kiln_status decide_nodes(struct tuner *t, struct nodes *c, const kiln_node *n)
{
    int best = 0, tried = 0, wrong = 0;
    for (int i = 0; i < c->ways; i++) {
        if (t->walk.clock)
            c->seconds[i] = t->walk.clock(t->walk.clock_user, n->op->name, c->way[i]->name);
        tried += c->seconds[i] > 0;
        wrong += c->wrong[i];
        const double least = best ? c->seconds[best] : WINS * c->seconds[0];
        if (i && c->seconds[i] > 0 && !c->wrong[i] && c->seconds[i] < least)
            best = i;
    }
    if (tried < c->ways) {
        t->report->left++;
        return KILN_OK;
    }
    return decide(t, KILN_CHOICE_LOWERING, c->class,
                  &(kiln_tune_result){.op = n->op->name,
                                      .node = n->name ? n->name : "",
                                      .kernel = "",
                                      .usual = c->way[0]->name,
                                      .best = c->way[best]->name,
                                      .usual_seconds = c->seconds[0],
                                      .best_seconds = c->seconds[best],
                                      .count = c->count,
                                      .tried = tried,
                                      .wrong = wrong});
}

/* One walk. What it has seen of a class when time cut it short is no time. */
static kiln_status try_and_forget(struct tuner *t, int only, int way)
{
    t->only = only;
    t->way = way;
    const kiln_status status = try_way(t);
    for (int i = 0; i < t->node.count; i++)
        if (t->node.data[i].left && (only < 0 || only == i))
            t->node.data[i].seconds[way] = 0;
    return status;
}

/* Those that take longest first. */
static int by_weight(const void *a, const void *b)
{
    const struct nodes *x = a, *y = b;
    const double p = x->count * x->seconds[0], q = y->count * y->seconds[0];
    return (p < q) - (p > q);
}

static kiln_status try_all_ways(struct tuner *t)
{
    t->trials_left = 2 * t->node.count;
    kiln_status status = try_and_forget(t, -1, 0);
    qsort(t->node.data, (size_t)t->node.count, sizeof *t->node.data, by_weight);
    t->trials_left = 0;
    for (int i = 0; i < t->node.count; i++)
        t->trials_left += t->node.data[i].ways - 1;
    for (int i = 0; i < t->node.count && !status; i++)
        for (int way = 1; way < t->node.data[i].ways && !status && !is_over(t); way++, t->trials_left--) {
            unplan_way(t);
            status = try_and_forget(t, i, way);
        }
    return status;
}

static kiln_status tune_lowerings(struct tuner *t)
{
    const double whole = t->walk.deadline, began = kiln_seconds();
    kiln_status status = kiln_program_prepare(t->walk.p, &t->walk.ready);
    if (!status)
        status = list_nodes(t, t->walk.ready->plan);
    t->walk.deadline = began + SHARE * (whole - began);
    if (!status && t->node.count)
        status = try_all_ways(t);
    for (int i = 0; i < t->node.count && !status; i++)
        status =
            decide_nodes(t, &t->node.data[i], t->walk.ready->plan->graph->node.data[t->node.data[i].node]);
    if (t->node.count)
        unplan_way(t);
    t->walk.deadline = whole;
    return status;
}

/* Variants ----------------------------------------------------------------------------------------------- */

/* The usual variant and all others that accept; how many. */
static int list_tries(const kiln_device *dev, const kiln_dispatch *d, struct kiln_try *tries)
{
    const kiln_variant *const *v = kiln_kernel_variants(dev, d->kernel);
    const kiln_variant *usual = kiln_choose(dev, d);
    int count = 0;
    tries[count++] = (struct kiln_try){.variant = usual};
    for (; v && *v && usual && count < KILN_MOST_TRIES; v++)
        if (*v != usual && kiln_variant_accepts(*v, &dev->caps, d))
            tries[count++] = (struct kiln_try){.variant = *v};
    return usual ? count : 0;
}

static struct dispatches *class_of(struct tuner *t, const kiln_dispatch *d)
{
    const uint64_t class = kiln_dispatch_class(d);
    for (int i = 0; i < t->dispatch.count; i++)
        if (t->dispatch.data[i].kernel == d->kernel && t->dispatch.data[i].class == class)
            return &t->dispatch.data[i];
    return NULL;
}

static bool is_open(const struct tuner *t, const struct kiln_step *s)
{
    struct kiln_try tries[KILN_MOST_TRIES];
    return s->kind == KILN_COMMAND_DISPATCH && s->indirect < 0 && !s->dispatch->f64 &&
           list_tries(t->walk.p->dev, s->dispatch, tries) > 1;
}

static kiln_status weigh(struct tuner *t, int step, bool *ran)
{
    const struct kiln_step *s = &t->walk.ready->plan->step.data[step];
    if (!is_open(t, s))
        return KILN_OK;
    struct dispatches *c = class_of(t, s->dispatch);
    if (!c) {
        const struct dispatches new = {.class = kiln_dispatch_class(s->dispatch),
                                       .kernel = s->dispatch->kernel,
                                       .step = step};
        if (!kiln_vec_push(&t->dispatch, new))
            return no_memory();
        c = &t->dispatch.data[t->dispatch.count - 1];
        c->decided = is_known(t, KILN_CHOICE_VARIANT, c->kernel->name, c->class);
        t->report->known += c->decided;
    }
    *ran = true;
    struct kiln_try one = {.variant = s->dispatch->variant};
    const bool lasts = kiln_steps_last(t->walk.ready->plan, step, step + 1);
    const kiln_status status = lasts ? kiln_step_try(&t->walk, step, &one, 1, 0)
                                     : kiln_steps_run(&t->walk, step, step + 1, &one.seconds);
    const double seconds = isfinite(one.seconds) ? one.seconds : 0;
    c->count++;
    c->weight += seconds;
    t->weight_left += c->decided ? 0 : seconds;
    return status;
}

static kiln_status decide_dispatches(struct tuner *t, struct dispatches *c, const struct kiln_step *s,
                                     const struct kiln_try *tries, int count)
{
    int best = 0, tried = 0, wrong = 0;
    for (int i = 0; i < count; i++) {
        const double least = best ? tries[best].seconds : WINS * tries[0].seconds;
        tried += isfinite(tries[i].seconds) || tries[i].refused;
        wrong += tries[i].wrong;
        if (i && !tries[i].wrong && tries[i].seconds < least)
            best = i;
    }
    c->decided = tried == count;
    if (!c->decided)
        return KILN_OK;
    return decide(t, KILN_CHOICE_VARIANT, c->class,
                  &(kiln_tune_result){.op = s->node->op->name,
                                      .node = s->node->name ? s->node->name : "",
                                      .kernel = c->kernel->name,
                                      .usual = tries[0].variant->name,
                                      .best = tries[best].variant->name,
                                      .usual_seconds = tries[0].seconds,
                                      .best_seconds = tries[best].seconds,
                                      .count = c->count,
                                      .tried = tried,
                                      .wrong = wrong});
}

static kiln_status visit_dispatch(struct tuner *t, int step, bool *ran)
{
    const struct kiln_step *s = &t->walk.ready->plan->step.data[step];
    struct kiln_try tries[KILN_MOST_TRIES];
    struct dispatches *c = is_open(t, s) ? class_of(t, s->dispatch) : NULL;
    if (!c || c->decided || c->step != step)
        return KILN_OK;
    const int count = list_tries(t->walk.p->dev, s->dispatch, tries);
    const double left = t->walk.deadline - kiln_seconds();
    const double slice = t->weight_left > 0 ? left * c->weight / t->weight_left : left;
    t->weight_left -= c->weight;
    *ran = true;
    const kiln_status status = kiln_step_try(&t->walk, step, tries, count, slice);
    return status ? status : decide_dispatches(t, c, s, tries, count);
}

static kiln_status tune_variants(struct tuner *t)
{
    kiln_status status = walk(t, weigh);
    if (!status)
        status = walk(t, visit_dispatch);
    for (int i = 0; i < t->dispatch.count; i++) /* those that were never come to */
        t->report->left += !t->dispatch.data[i].decided;
    return status;
}

/* All of it ---------------------------------------------------------------------------------------------- */

static kiln_status keep(const struct tuner *t)
{
    const kiln_device *dev = t->walk.p->dev;
    if (t->params->forget || !dev->choices_path || !t->report->tried)
        return KILN_OK;
    return kiln_choices_save(dev->choices, dev->choices_path, &dev->info);
}

static void finish(struct tuner *t)
{
    for (int i = 0; i < t->node.count; i++)
        free(t->node.data[i].want);
    kiln_vec_finish(&t->node);
    kiln_vec_finish(&t->dispatch);
}

kiln_status kiln_program_tune_by(kiln_program *p, const kiln_tune_params *params, kiln_tune_report *report,
                                 kiln_tune_clock *clock, void *clock_user)
{
    static const kiln_tune_params defaults;
    kiln_tune_report unread;
    const double began = kiln_seconds();
    params = params ? params : &defaults;
    report = report ? report : &unread;
    *report = (kiln_tune_report){0};
    if (p->give_up || p->storage == KILN_STORAGE_DOUBLE)
        return kiln_fail(KILN_ERROR_ARGUMENT, "tune: a program that %s has nothing to choose",
                         p->give_up ? "gives up its weights" : "runs in float64");
    struct tuner t = {.walk = {.p = p, .clock = clock, .clock_user = clock_user},
                      .params = params,
                      .report = report};
    const bool profiled = p->dev->profile;
    t.walk.deadline = began + (params->budget > 0 ? params->budget : 60);
    kiln_choices_destroy(&p->own_choices);
    p->choices = p->dev->choices;
    p->dev->profile = true;
    kiln_program_forget(p);
    kiln_status status = tune_lowerings(&t);
    if (!status)
        status = tune_variants(&t);
    kiln_program_forget(p);
    p->dev->profile = profiled;
    if (!status)
        status = keep(&t);
    report->seconds = kiln_seconds() - began;
    finish(&t);
    return status;
}

kiln_status kiln_program_tune(kiln_program *p, const kiln_tune_params *params, kiln_tune_report *report)
{
    return kiln_program_tune_by(p, params, report, NULL, NULL);
}
