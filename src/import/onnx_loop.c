/*
 * onnx_loop.c - Loop: a loop of the graph, or its steps one behind the other.
 *
 * What is handed on from step to step is a tensor, or a sequence that begins empty and to which each step appends a value: its values
 * are rows of what the loop stacks. So are those that a step joins to the end of a tensor which it reads for nothing else. Other
 * sequences are for loops whose steps are known, and read one by one.
 */
#include <stdio.h>
#include <string.h>

#include "import/onnx_body.h"

/* Its inputs are the number of steps and whether to begin, before the carries; its body's are the step and true. */
enum { TRIPS, BEGINS, FIRST_CARRY };

struct loop {
    kiln_loop_params p;           /* p.carry: the tensors among the carries */
    int carries, stacked;         /* of the node: what is handed on, and what is stacked besides */
    int lists;                    /* among the carries */
    bool grows[KILN_BODY_VALUES]; /* a carry is a sequence */
    int longer;                   /* tensors among the carries that each step makes longer: */
    struct kiln_tensor_growth {
        bool there;
        int axis;
        kiln_tensor row; /* what a step puts behind it, in the body */
    } growth[KILN_BODY_VALUES];
};

static kiln_spec scalar_of(kiln_type type)
{
    return (kiln_spec){type, KILN_SCALAR};
}

/* Input i of the file's body, to which each step appends. */
static void declare_growing(struct kiln_onnx_body *b, size_t i)
{
    const char *name = i < b->m.graph->n_input ? kiln_onnx_info_name(b->m.graph->input[i]) : "";
    if (!name[0]) {
        kiln_onnx_refuse(b->n, "its body has no input %zu", i);
        return;
    }
    struct kiln_onnx_value *v = kiln_onnx_body_mean(b, name, KILN_NONE);
    if (v && (v->sequence = kiln_onnx_new_sequence(&b->m, 0)))
        v->sequence->grows = v->sequence;
}

/* What a step appends to carry i, which began empty; NULL if it does something else. */
static struct kiln_onnx_value *appended(const struct kiln_onnx_body *b, int i)
{
    const Onnx__GraphProto *graph = b->m.graph;
    const size_t at = (size_t)(FIRST_CARRY + i);
    const struct kiln_onnx_value *given = b->n->in[at],
                                 *formal = at < graph->n_input
                                               ? kiln_onnx_find(&b->m, kiln_onnx_info_name(graph->input[at]))
                                               : NULL,
                                 *v = kiln_onnx_body_result(b, (size_t)(1 + i));
    const struct kiln_onnx_sequence *first = given ? given->sequence : NULL, *s = v ? v->sequence : NULL;
    const bool empty = first && !first->count && !first->stack.id && !first->grows;
    const bool own = s && s->grows && formal && s->grows == formal->sequence;
    return empty && own && s->count == 1 ? s->item[0] : NULL;
}

/* Tensors that get longer ----------------------------------------------------------------------------------- */

/* How many nodes of a body, and of bodies within, read a name. */
static int readers_of(const Onnx__GraphProto *graph, const char *name, const Onnx__NodeProto **reader)
{
    int count = 0;
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        for (size_t k = 0; k < node->n_input; k++)
            if (!strcmp(node->input[k], name)) {
                *reader = node;
                count++;
            }
        for (size_t k = 0; k < node->n_attribute; k++)
            if (node->attribute[k]->g)
                count += 2 * readers_of(node->attribute[k]->g, name, reader);
    }
    for (size_t i = 0; i < graph->n_output; i++)
        count += !strcmp(kiln_onnx_info_name(graph->output[i]), name);
    return count;
}

static bool is_named(const Onnx__NodeProto *node, const char *op)
{
    return node->op_type && !strcmp(node->op_type, op) && node->n_output == 1;
}

/* The last name of a value that is handed from one node to another that changes nothing of it but, perhaps, its type. */
static const char *followed(const Onnx__GraphProto *graph, const char *name, const Onnx__NodeProto **reader)
{
    *reader = NULL;
    while (readers_of(graph, name, reader) == 1 && *reader &&
           (is_named(*reader, "Cast") || is_named(*reader, "Identity")) && strcmp(name, (*reader)->output[0]))
        name = (*reader)->output[0];
    return name;
}

/* The node by which a step joins something to the end of carry i, which it reads for nothing else; NULL if it does not. */
static const Onnx__NodeProto *joining_node(const Onnx__GraphProto *graph, int i)
{
    const size_t at = (size_t)(FIRST_CARRY + i);
    const Onnx__NodeProto *join = NULL, *none;
    if (at >= graph->n_input || (size_t)(1 + i) >= graph->n_output)
        return NULL;
    const char *end = followed(graph, kiln_onnx_info_name(graph->input[at]), &join);
    if (!join || !is_named(join, "Concat") || join->n_input != 2 || strcmp(join->input[0], end))
        return NULL;
    const char *last = followed(graph, join->output[0], &none);
    return strcmp(last, kiln_onnx_info_name(graph->output[1 + i])) ? NULL : join;
}

static int64_t axis_of_join(const Onnx__NodeProto *join)
{
    for (size_t i = 0; i < join->n_attribute; i++)
        if (join->attribute[i]->name && !strcmp(join->attribute[i]->name, "axis"))
            return join->attribute[i]->i;
    return 1; /* before opset 4 */
}

/* Whether each step puts a row of known length behind carry i, a tensor. */
static bool find_growth(struct kiln_onnx_body *b, int i, struct kiln_tensor_growth *out)
{
    const Onnx__NodeProto *join = joining_node(b->m.graph, i);
    struct kiln_onnx_value *v = join ? kiln_onnx_find(&b->m, join->input[1]) : NULL,
                           *formal =
                               join ? kiln_onnx_find(&b->m,
                                                     kiln_onnx_info_name(b->m.graph->input[FIRST_CARRY + i]))
                                    : NULL;
    *out = (struct kiln_tensor_growth){0};
    kiln_tensor row = v && !v->refused ? kiln_onnx_tensor_of(&b->m, v) : KILN_NONE;
    kiln_tensor whole = formal ? formal->tensor : KILN_NONE;
    if (!row.id || !whole.id || kiln_tensor_type(b->m.g, row) != kiln_tensor_type(b->m.g, whole))
        return false;
    const int rank = kiln_tensor_shape(b->m.g, whole).rank;
    const int64_t axis = axis_of_join(join) < 0 ? axis_of_join(join) + rank : axis_of_join(join);
    if (axis < 0 || axis >= rank || kiln_tensor_shape(b->m.g, row).rank != rank)
        return false;
    kiln_onnx_agree(b->m.g, &whole, &row, (int)axis);
    kiln_onnx_fix_counts(b->m.g, &whole, &row, (int)axis);
    const kiln_shape x = kiln_tensor_shape(b->m.g, whole), y = kiln_tensor_shape(b->m.g, row);
    bool fits = y.size[axis] >= 0;
    for (int k = 0; k < rank; k++)
        fits &= k == axis || x.size[k] == y.size[k];
    *out = (struct kiln_tensor_growth){.there = fits, .axis = (int)axis, .row = row};
    return fits;
}

static void find_growths(struct kiln_onnx_body *b, struct loop *l)
{
    for (int i = 0; i < l->carries && !b->m.refused && !kiln_graph_status(b->m.g); i++)
        if (!l->grows[i])
            l->longer += find_growth(b, i, &l->growth[i]);
}

/* The carry that was given, and behind it the rows of all steps. */
static kiln_tensor lengthened(kiln_onnx_node *n, kiln_tensor given, kiln_tensor rows, int axis)
{
    kiln_graph *g = n->g;
    const kiln_shape x = kiln_tensor_shape(g, given);
    rows = kiln_move_axis(g, rows, 0, axis);
    kiln_shape joined = kiln_tensor_shape(g, rows);
    if (!rows.id)
        return KILN_NONE;
    joined.size[axis] = kiln_dim_mul(g, joined.size[axis], joined.size[axis + 1]);
    memmove(&joined.size[axis + 1], &joined.size[axis + 2],
            (size_t)(joined.rank - axis - 2) * sizeof *joined.size);
    joined.rank--;
    rows = joined.size[axis] == kiln_tensor_shape(g, rows).size[axis] ? kiln_squeeze(g, rows, axis + 1)
                                                                      : kiln_reshape(g, rows, joined);
    return x.size[axis] == 0 ? rows : kiln_concat(g, (const kiln_tensor[]){given, rows}, 2, axis);
}

/* The body ---------------------------------------------------------------------------------------------------- */

/* The step is a word in kiln, and the body is entered only where it is to be. */
static bool read_loop_body(struct kiln_onnx_body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph,
                           const struct loop *l, const struct kiln_onnx_captured *c)
{
    if (graph->n_input < FIRST_CARRY)
        kiln_onnx_refuse(n, "its body has %zu inputs", graph->n_input);
    if (n->refused || !kiln_onnx_body_open(b, n, graph))
        return false;
    const kiln_tensor step = kiln_onnx_body_declare(b, "step", scalar_of(KILN_I32));
    kiln_onnx_body_mean(b, kiln_onnx_info_name(graph->input[TRIPS]), kiln_cast(b->m.g, step, KILN_I64));
    kiln_onnx_body_know(b, kiln_onnx_info_name(graph->input[BEGINS]), scalar_of(KILN_BOOL),
                        (struct kiln_onnx_item){.i = 1});
    for (int i = 0, k = 0; i < l->carries; i++)
        if (l->grows[i])
            declare_growing(b, (size_t)(FIRST_CARRY + i));
        else
            kiln_onnx_body_formal(b, (size_t)(FIRST_CARRY + i), kiln_tensor_spec(n->g, l->p.carry[k++]));
    kiln_onnx_body_see(b, c);
    kiln_onnx_body_read(b);
    return kiln_onnx_body_hand_on(b);
}

/* Whether the body always goes on. */
static bool goes_on(struct kiln_onnx_body *b)
{
    struct kiln_onnx_value *v = kiln_onnx_body_result(b, 0);
    const struct kiln_onnx_item *item = v && v->known ? kiln_onnx_items(&b->m, v) : NULL;
    return (item && item->i) || kiln_onnx_counted_steps(b) >= 0;
}

static void put_row(struct kiln_onnx_body *b, int i, kiln_tensor t)
{
    char name[32];
    snprintf(name, sizeof name, "row%d", i);
    if (t.id)
        kiln_output(b->m.g, name, kiln_onnx_copy(b->m.g, t));
}

/*
 * Whether to go on; then what is stacked, rows of sequences and of what gets longer behind the rest, which comes before the carries in
 * kiln. What gets longer is handed on as it is.
 */
static bool put_results(struct kiln_onnx_body *b, const struct loop *l)
{
    if (goes_on(b))
        kiln_output(b->m.g, "more", kiln_scalar(b->m.g, KILN_BOOL, 1));
    else
        kiln_onnx_body_put(b, 0);
    for (int i = 0; i < l->stacked; i++)
        kiln_onnx_body_put(b, (size_t)(1 + l->carries + i));
    for (int i = 0; i < l->carries; i++) {
        struct kiln_onnx_value *v = l->grows[i] ? appended(b, i) : NULL;
        if (v)
            kiln_onnx_body_put_value(b, v, (size_t)(1 + i));
        else if (l->grows[i])
            kiln_onnx_refuse(b->n,
                             "its carry %d, a sequence, must begin empty and get one value a step at its end",
                             i);
    }
    for (int i = 0; i < l->carries; i++)
        if (l->growth[i].there)
            put_row(b, i, l->growth[i].row);
    put_row(b, 2 * l->carries, b->m.beyond);
    for (int i = 0; i < l->carries; i++)
        if (l->growth[i].there)
            put_row(b, l->carries + i,
                    kiln_onnx_find(&b->m, b->m.graph->input[FIRST_CARRY + i]->name)->tensor);
        else if (!l->grows[i])
            kiln_onnx_body_put(b, (size_t)(1 + i));
    return kiln_onnx_body_is_whole(b);
}

/*
 * How many steps there are at the most. Numbers that are known are constants, and what a size decides needs no other bound, so that a
 * loop whose body always goes on is a scan (kiln_loop).
 */
static void bound_steps(kiln_onnx_node *n, kiln_loop_params *p, int64_t counted)
{
    struct kiln_onnx_item *size = n->in[TRIPS] ? kiln_onnx_items(n->m, n->in[TRIPS]) : NULL;
    kiln_dim_parts parts = {0};
    double trips;
    p->bound = n->m->params.most_steps > 0 ? n->m->params.most_steps : 0;
    if (counted >= 0) {
        const kiln_tensor all = kiln_scalar(n->g, KILN_I64, (double)counted);
        const bool fewer = kiln_onnx_has(n, TRIPS) && !kiln_onnx_number(n, TRIPS, &trips);
        p->bound = counted > 1 ? counted : 1;
        p->trips = fewer ? kiln_min(n->g, kiln_cast(n->g, kiln_onnx_scalar(n, TRIPS), KILN_I64), all) : all;
    } else if (kiln_onnx_number(n, TRIPS, &trips) && trips >= 0 && trips <= INT32_MAX) {
        p->bound = trips > 1 ? (int64_t)trips : 1;
        p->trips = kiln_scalar(n->g, KILN_I64, trips);
    } else if (size && size->symbol && !kiln_dim_is_counted(n->g, size->i)) {
        p->bound = size->i;
    } else {
        if (size && size->symbol && kiln_dim_read(n->g, size->i, &parts) && parts.op == KILN_DIM_BOUNDED)
            p->bound = parts.a;
        p->trips = kiln_onnx_scalar(n, TRIPS);
    }
    if (!p->bound)
        kiln_onnx_refuse(n, "data ends it: kiln_onnx_params.most_steps (kiln's --most-steps) says after how "
                            "many steps at the most");
}

/* Output i is the sequence of a tensor's rows. */
static void out_stack(kiln_onnx_node *n, int i, kiln_tensor rows)
{
    if (n->out[i] && (n->out[i]->sequence = kiln_onnx_new_sequence(n->m, 0)))
        n->out[i]->sequence->stack = rows;
}

static void put_loop(kiln_onnx_node *n, struct kiln_onnx_body *b, struct loop *l)
{
    kiln_tensor out[KILN_ONNX_MOST_INPUTS + 1];
    double begins;
    bound_steps(n, &l->p, kiln_onnx_counted_steps(b));
    if (n->refused || !put_results(b, l))
        return;
    l->p.condition = kiln_onnx_number(n, BEGINS, &begins) ? kiln_scalar(n->g, KILN_BOOL, begins)
                                                          : kiln_onnx_scalar(n, BEGINS);
    kiln_loop(n->g, b->m.g, &l->p, out);
    for (int i = 0; i < l->stacked; i++)
        kiln_onnx_out(n, l->carries + i, out[1 + i]);
    const kiln_tensor *list = out + 1 + l->stacked, *row = list + l->lists, *tensor = row + l->longer;
    if (b->m.beyond.id)
        kiln_onnx_note_beyond_in_steps(n->m, *tensor++);
    for (int i = 0; i < l->carries; i++)
        if (l->grows[i])
            out_stack(n, i, *list++);
        else if (l->growth[i].there)
            kiln_onnx_out(n, i, lengthened(n, *tensor++, *row++, l->growth[i].axis));
        else
            kiln_onnx_out(n, i, *tensor++);
}

/* Steps one behind the other, as nodes of the graph around ------------------------------------------------------------ */

/*
 * Where the number of steps is known, a body may be read anew for each: then the step is a number in it, and what is handed on may
 * change in shape or be known, as sizes and lists that grow.
 */
struct unrolled {
    struct kiln_onnx_value state[KILN_BODY_VALUES];
    kiln_tensor stacked[KILN_BODY_VALUES];
    bool more;
};

enum { MOST_UNROLLED = 1 << 14 }; /* nodes */

/* A value of the graph around, in a step. */
static void adopt(struct kiln_onnx *m, const struct kiln_onnx_outer *o)
{
    if (!kiln_onnx_find(m, o->name))
        kiln_onnx_alias(m, o->name, o->value);
}

/* A formal of the body, by its name, means what v is. */
static void become(kiln_onnx_node *n, const Onnx__GraphProto *graph, size_t i, struct kiln_onnx_value *v)
{
    const char *name = i < graph->n_input ? kiln_onnx_info_name(graph->input[i]) : "";
    struct kiln_onnx_value *own = name[0] ? kiln_onnx_add(n->m, name) : NULL;
    if (!own) {
        kiln_onnx_refuse(n, "its body has no input %zu", i);
        return;
    }
    kiln_onnx_become(n->m, own, v);
}

static void become_number(kiln_onnx_node *n, const Onnx__GraphProto *graph, size_t i, kiln_type type,
                          int64_t number)
{
    struct kiln_onnx_item *item = kiln_onnx_alloc(n->m, sizeof *item);
    if (!item)
        return;
    *item = (struct kiln_onnx_item){.i = number};
    become(n, graph, i, &(struct kiln_onnx_value){.known = true, .spec = scalar_of(type), .items = item});
}

/* What a step made: whether to go on, states, and rows. */
static void take_results(kiln_onnx_node *n, const Onnx__GraphProto *graph, const struct loop *l,
                         struct unrolled *u)
{
    struct kiln_onnx_value *made[KILN_BODY_VALUES];
    for (int i = 0; i < 1 + l->carries + l->stacked; i++) {
        made[i] =
            (size_t)i < graph->n_output ? kiln_onnx_find(n->m, kiln_onnx_info_name(graph->output[i])) : NULL;
        if (!made[i] || made[i]->refused)
            kiln_onnx_refuse(n, "its body makes no output %d", i);
    }
    if (n->refused)
        return;
    const struct kiln_onnx_item *more = kiln_onnx_items(n->m, made[0]);
    if (!more)
        kiln_onnx_refuse(n, "data ends it, and its steps differ in shape");
    u->more = more && more->i;
    for (int i = 0; i < l->carries; i++)
        u->state[i] = *made[1 + i];
    for (int i = 0; i < l->stacked; i++) {
        const kiln_tensor row = kiln_onnx_tensor_of(n->m, made[1 + l->carries + i]);
        u->stacked[i] = kiln_onnx_gathered(n->g, u->stacked[i], row);
    }
}

/* The body's names mean something in its step alone. */
static void unroll_step(kiln_onnx_node *n, const Onnx__GraphProto *graph, const struct loop *l,
                        const struct kiln_onnx_captured *c, int64_t step, struct unrolled *u)
{
    struct kiln_onnx *m = n->m;
    const struct kiln_onnx around = *m;
    memset(&m->value, 0, sizeof m->value);
    m->names = (struct kiln_map){0};
    m->graph = graph;
    become_number(n, graph, TRIPS, KILN_I64, step);
    become_number(n, graph, BEGINS, KILN_BOOL, 1);
    for (int i = 0; i < l->carries; i++)
        become(n, graph, (size_t)(FIRST_CARRY + i), &u->state[i]);
    for (int i = 0; i < c->count; i++)
        adopt(m, &c->item[i]);
    for (int i = 0; i < c->known.count; i++)
        adopt(m, &c->known.data[i]);
    kiln_status status = n->refused ? KILN_OK : kiln_onnx_add_initializers(m, false);
    for (size_t i = 0; !status && !n->refused && i < graph->n_node; i++)
        status = kiln_onnx_add_node(m, graph->node[i]);
    if (!status && !n->refused)
        take_results(n, graph, l, u);
    kiln_vec_finish(&m->value);
    kiln_map_finish(&m->names);
    memcpy(&m->value, &around.value, sizeof m->value);
    m->names = around.names;
    m->graph = around.graph;
}

/* How often, where it is known and not too often; -1 where it is not. */
static int64_t known_steps(kiln_onnx_node *n, const Onnx__GraphProto *graph)
{
    const double most = (double)(MOST_UNROLLED / (graph->n_node + 1));
    double trips = 0, begins = 1;
    if ((kiln_onnx_has(n, BEGINS) && !kiln_onnx_number(n, BEGINS, &begins)) ||
        !kiln_onnx_number(n, TRIPS, &trips) || !(trips <= most))
        return -1;
    return begins != 0 && trips > 0 ? (int64_t)trips : 0;
}

static void unroll(kiln_onnx_node *n, const Onnx__GraphProto *graph, const struct loop *l,
                   const struct kiln_onnx_captured *c)
{
    const int64_t steps = known_steps(n, graph);
    struct unrolled *u = kiln_onnx_alloc(n->m, sizeof *u);
    if (!u)
        return;
    *u = (struct unrolled){.more = true};
    for (int i = 0; i < l->carries; i++)
        if (n->in[FIRST_CARRY + i])
            u->state[i] = *n->in[FIRST_CARRY + i];
    for (int64_t step = 0; step < steps && u->more && !n->refused && !n->m->status; step++)
        unroll_step(n, graph, l, c, step, u);
    for (int i = 0; i < l->carries && !n->refused; i++)
        if (n->out[i])
            kiln_onnx_become(n->m, n->out[i], &u->state[i]);
    for (int i = 0; i < l->stacked && !n->refused; i++)
        kiln_onnx_out(n, l->carries + i, u->stacked[i]);
}

/* Whether a body, once read, can be one for all steps: all of it is built, and hands on what it gets by type and shape. */
static bool is_alike(struct kiln_onnx_body *b, const struct loop *l)
{
    if (b->m.refused || kiln_graph_status(b->m.g))
        return false;
    for (int i = 0, k = 0; i < l->carries; i++) {
        struct kiln_onnx_value *v = kiln_onnx_body_result(b, (size_t)(1 + i));
        if (l->grows[i] && !appended(b, i))
            return false;
        if (l->grows[i])
            continue;
        if (l->growth[i].there) {
            k++;
            continue;
        }
        const kiln_spec given = kiln_onnx_body_spec(b, kiln_tensor_spec(b->n->g, l->p.carry[k++]));
        const kiln_spec made = !v ? (kiln_spec){0} : v->known ? v->spec : kiln_tensor_spec(b->m.g, v->tensor);
        if (made.type != given.type || !kiln_shape_equal(&made.shape, &given.shape))
            return false;
    }
    return true;
}

/* Take the carries from the node's inputs: tensors and sequences. */
static void take_carries(kiln_onnx_node *n, struct loop *l)
{
    for (int i = 0; i < l->carries && !n->refused; i++) {
        const struct kiln_onnx_value *v = n->in[FIRST_CARRY + i];
        l->grows[i] = v && v->sequence;
        if (l->grows[i])
            l->lists++;
        else
            l->p.carry[i - l->lists] = kiln_onnx_in(n, FIRST_CARRY + i);
    }
}

void kiln_onnx_build_loop(kiln_onnx_node *n)
{
    const Onnx__GraphProto *graph = kiln_onnx_graph(n, "body");
    struct loop l = {.carries = n->inputs > FIRST_CARRY ? n->inputs - FIRST_CARRY : 0};
    struct kiln_onnx_captured c = {0};
    struct kiln_onnx_body b = {0};
    l.stacked = n->outputs - l.carries;
    if (l.stacked < 0 || n->inputs >= KILN_BODY_VALUES || n->outputs >= KILN_BODY_VALUES)
        kiln_onnx_refuse(n, "%d inputs and %d outputs", n->inputs, n->outputs);
    take_carries(n, &l);
    if (n->refused)
        return;
    kiln_onnx_capture(n->m, &c, graph);
    if (kiln_onnx_has_captured(n, &c) && read_loop_body(&b, n, graph, &l, &c)) {
        find_growths(&b, &l);
        if (known_steps(n, graph) > 0 && !is_alike(&b, &l)) {
            unroll(n, graph, &l, &c);
        } else {
            kiln_onnx_give(n, &c, l.p.with);
            put_loop(n, &b, &l);
        }
    }
    kiln_onnx_body_close(&b);
    kiln_vec_finish(&c.known);
}
