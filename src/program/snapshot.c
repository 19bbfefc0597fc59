/*
 * snapshot.c - a program's own graph: the simplified part of the user's that its run list needs, with sizes symbolic, so that later
 * changes to that one do not matter; and the inputs, results and symbols that it has.
 */
#include <string.h>

#include "base/log.h"
#include "program/program.h"

static const kiln_program_buffer *own_buffer(const kiln_program *p, kiln_tensor user)
{
    for (int i = 0; i < p->own.count; i++)
        if (p->own.data[i].tensor.id == user.id)
            return &p->own.data[i];
    return NULL;
}

/* The run list in the user's ids. */
static kiln_status take_run(kiln_program *p, const kiln_graph *g, const kiln_program_params *params)
{
    const kiln_tensor *list = params->run ? params->run : g->output.data;
    int count = params->run ? 0 : g->output.count;
    while (params->run && list[count].id)
        count++;
    if (!count)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "program: the run list is empty, and the graph \"%s\" has no outputs", g->name);
    for (int i = 0; i < count; i++) {
        if (!kiln_graph_value(g, list[i]))
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "program: item %d of the run list is a value of another graph", i);
        if (!kiln_vec_push(&p->run, list[i]))
            return kiln_program_no_memory();
    }
    return KILN_OK;
}

static bool know(kiln_program *p, kiln_tensor user, kiln_tensor own)
{
    return kiln_vec_push(&p->known, (struct kiln_known){user, own});
}

static bool use_symbol(kiln_program *p, int64_t size)
{
    for (int i = 0; i < p->symbol.count; i++)
        if (p->symbol.data[i] == size)
            return true;
    return kiln_vec_push(&p->symbol, size);
}

static bool add_input(kiln_program *p, kiln_tensor user, kiln_tensor own)
{
    struct kiln_program_input in = {.tensor = own,
                                    .user = user,
                                    .name = kiln_tensor_name(p->graph, own),
                                    .spec = kiln_tensor_spec(p->graph, own),
                                    .own = own_buffer(p, user)};
    in.shape = in.spec.shape; /* for an own buffer, whose sizes are known */
    bool whole = know(p, user, own) && kiln_vec_push(&p->input, in);
    for (int i = 0; whole && i < in.spec.shape.rank; i++)
        if (kiln_dim_is_symbol(p->graph, in.spec.shape.size[i]))
            whole = use_symbol(p, in.spec.shape.size[i]);
    return whole;
}

struct sought {
    int64_t symbol;
    bool found;
};

static int64_t seek(void *user, int64_t symbol)
{
    struct sought *s = user;
    s->found |= symbol == s->symbol;
    return -1;
}

/* Whether a value's size needs a symbol to which no input of the program gives a number. */
static bool is_missing(const kiln_program *p, int64_t symbol)
{
    struct sought s = {.symbol = symbol};
    for (int i = 0; i < p->symbol.count; i++)
        if (p->symbol.data[i] == symbol)
            return false;
    for (int i = 0; i < p->graph->value.count && !s.found; i++) {
        const kiln_shape shape = p->graph->value.data[i].spec.shape;
        for (int k = 0; k < shape.rank; k++)
            if (shape.size[k] < 0)
                kiln_dim_value(p->graph, shape.size[k], seek, &s);
    }
    return s.found;
}

/* An input that nothing reads, but whose sizes others are made of: as where a shape alone was taken from it. */
static bool add_unread_input(kiln_program *p, const kiln_graph *g, kiln_tensor user)
{
    const kiln_spec spec = kiln_tensor_spec(g, user);
    bool missing = false;
    for (int i = 0; i < spec.shape.rank; i++)
        missing |= kiln_dim_is_symbol(g, spec.shape.size[i]) && is_missing(p, spec.shape.size[i]);
    if (!missing)
        return true;
    const kiln_tensor own = kiln_input(p->graph, kiln_tensor_name(g, user), spec.type, spec.shape);
    return own.id && add_input(p, user, own);
}

static bool add_result(kiln_program *p, kiln_tensor user, kiln_tensor own, int index)
{
    const struct kiln_program_result r = {
        .tensor = own, .user = user, .index = index, .own = own_buffer(p, user)};
    const bool effect = kiln_graph_node(p->graph, own)->op->flags & KILN_OP_EFFECT;
    return know(p, user, own) && (effect || kiln_vec_push(&p->result, r));
}

enum { ROOM = 1024 };

/* The counts that results' sizes depend on come with the results. */
struct counts {
    kiln_program *p;
    kiln_tensor *run;
    int *run_count;
    bool whole;
};

static void add_count(void *user, uint32_t id)
{
    struct counts *c = user;
    const struct kiln_program_result r = {.tensor = {c->p->graph->tag, id}, .index = *c->run_count};
    for (int i = c->p->readable; i < c->p->result.count; i++)
        if (c->p->result.data[i].tensor.id == id)
            return;
    if (*c->run_count == ROOM || !kiln_vec_push(&c->p->result, r)) {
        c->whole = false;
        return;
    }
    c->run[(*c->run_count)++] = r.tensor;
}

static bool add_counts(kiln_program *p, kiln_tensor *run, int *run_count)
{
    struct counts c = {p, run, run_count, true};
    p->readable = p->result.count;
    for (int i = 0; i < p->readable; i++) {
        const kiln_shape shape = kiln_tensor_shape(p->graph, p->result.data[i].tensor);
        for (int k = 0; k < shape.rank; k++)
            kiln_dim_counts(p->graph, shape.size[k], add_count, &c);
    }
    return c.whole;
}

/* Names of results, for tools: an output of the user's graph may have become another node's value. */
static void keep_name(kiln_program *p, const kiln_graph *g, kiln_tensor user, kiln_tensor own)
{
    struct kiln_value *v = &p->graph->value.data[own.id - 1];
    if (!v->name && kiln_tensor_name(g, user)[0])
        v->name = kiln_arena_text(&p->graph->arena, kiln_tensor_name(g, user));
}

static kiln_status snapshot(kiln_program *p, const kiln_graph *g)
{
    struct kiln_rewrite r = {.from = g, .train = p->train};
    kiln_tensor run[ROOM];
    const int asked = p->run.count;
    int count = asked;
    if (count > ROOM)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: run list of %d values, at most %d", count, ROOM);
    kiln_status status = kiln_rewrite_begin(&r);
    if (status)
        return status;
    memcpy(run, p->run.data, (size_t)count * sizeof *run);
    status = kiln_simplify(&r, run, &count, ROOM);
    p->graph = r.to;
    bool whole = true;
    for (int i = 0; i < g->input.count && !status && whole; i++)
        if (r.map[g->input.data[i].id].id)
            whole = add_input(p, g->input.data[i], r.map[g->input.data[i].id]);
    for (int i = 0; i < g->input.count && !status && whole; i++)
        if (!r.map[g->input.data[i].id].id)
            whole = add_unread_input(p, g, g->input.data[i]);
    for (int i = 0; i < asked && !status && whole; i++) {
        keep_name(p, g, p->run.data[i], run[i]);
        whole = add_result(p, p->run.data[i], run[i], i);
    }
    whole = whole && (status || add_counts(p, run, &count));
    p->run.count = 0;
    for (int i = 0; i < count && !status && whole; i++)
        whole = kiln_vec_push(&p->run, run[i]);
    kiln_rewrite_finish(&r);
    return status ? status : whole ? KILN_OK : kiln_program_no_memory();
}

kiln_status kiln_program_snapshot(kiln_program *p, const kiln_graph *g, const kiln_program_params *params)
{
    const kiln_status status = take_run(p, g, params);
    return status ? status : snapshot(p, g);
}
