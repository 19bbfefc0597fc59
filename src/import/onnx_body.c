/* onnx_body.c - see onnx_body.h. */
#include "import/onnx_body.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <kiln/indexing.h>

/* What bodies read ----------------------------------------------------------------------------------------------- */

const char *kiln_onnx_info_name(const Onnx__ValueInfoProto *info)
{
    return info->name ? info->name : "";
}

static void capture(const struct kiln_onnx *m, struct kiln_onnx_captured *c, const char *name)
{
    struct kiln_onnx_value *v = name[0] ? kiln_onnx_find_made(m, name) : NULL;
    if (!v)
        return; /* the body's own */
    c->refused |= v->refused;
    if (v->absent || v->sequence || (v->known && v->role == KILN_ONNX_CONSTANT)) {
        c->no_memory |= !kiln_vec_push(&c->known, ((struct kiln_onnx_outer){name, v}));
        return;
    }
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->item[i].name, name))
            return;
    c->full |= c->count == KILN_BODY_VALUES;
    if (!c->full)
        c->item[c->count++] = (struct kiln_onnx_outer){name, v};
}

/* All that the body and bodies within it read. Names are made once, so what the body makes has no name out here. */
void kiln_onnx_capture(const struct kiln_onnx *m, struct kiln_onnx_captured *c, const Onnx__GraphProto *body)
{
    for (size_t i = 0; i < body->n_node; i++) {
        const Onnx__NodeProto *node = body->node[i];
        for (size_t k = 0; k < node->n_input; k++)
            capture(m, c, node->input[k]);
        for (size_t k = 0; k < node->n_attribute; k++)
            if (node->attribute[k]->g)
                kiln_onnx_capture(m, c, node->attribute[k]->g);
    }
    for (size_t i = 0; i < body->n_output; i++)
        capture(m, c, kiln_onnx_info_name(body->output[i]));
}

static void add_size(const kiln_graph *g, struct kiln_onnx_captured *c, int64_t size)
{
    if (!kiln_dim_is_counted(g, size))
        return;
    for (int i = 0; i < c->sizes; i++)
        if (c->size[i] == size)
            return;
    c->full |= c->count + c->sizes >= KILN_BODY_VALUES;
    if (!c->full)
        c->size[c->sizes++] = size;
}

/* Of what is computed, and in known lists of sizes. */
static void find_sizes(kiln_onnx_node *n, struct kiln_onnx_captured *c)
{
    c->sizes = 0;
    for (int i = 0; i < c->count; i++) {
        const struct kiln_onnx_value *v = c->item[i].value;
        const kiln_shape shape = v->known ? v->spec.shape : kiln_tensor_shape(n->g, v->tensor);
        for (int k = 0; k < shape.rank; k++)
            add_size(n->g, c, shape.size[k]);
    }
    for (int i = 0; i < c->known.count; i++) {
        const struct kiln_onnx_value *v = c->known.data[i].value;
        const int64_t count = v->items ? kiln_shape_count(&v->spec.shape) : 0;
        for (int64_t k = 0; k < count; k++)
            if (v->items[k].symbol)
                add_size(n->g, c, v->items[k].i);
    }
}

bool kiln_onnx_has_captured(kiln_onnx_node *n, struct kiln_onnx_captured *c)
{
    if (!c->refused)
        find_sizes(n, c);
    if (c->full)
        kiln_onnx_refuse(n, "its body reads more than %d values around it", KILN_BODY_VALUES);
    if (c->no_memory)
        kiln_onnx_fail(n->m, KILN_ERROR_MEMORY, "out of memory");
    if (c->refused)
        n->refused = true; /* told already */
    return !n->refused && !n->m->status;
}

/* With all elements that there may be along axes that data counts. */
static kiln_tensor whole_of(kiln_graph *g, kiln_tensor x)
{
    const int rank = x.id ? kiln_tensor_shape(g, x).rank : 0;
    for (int axis = 0; axis < rank; axis++)
        while (x.id && kiln_dim_is_counted(g, kiln_tensor_shape(g, x).size[axis]))
            x = kiln_whole(g, x, axis, 0);
    return x;
}

/* The list as it is given: values of the graph around, ended by none. */
void kiln_onnx_give(kiln_onnx_node *n, const struct kiln_onnx_captured *c, kiln_tensor *to)
{
    const int all = c->count + c->sizes;
    for (int i = 0; i < c->count; i++)
        to[i] = whole_of(n->g, kiln_onnx_tensor_of(n->m, c->item[i].value));
    for (int i = 0; i < c->sizes; i++)
        to[c->count + i] = kiln_onnx_size_value(n->g, c->size[i], KILN_I32);
    if (all < KILN_BODY_VALUES)
        to[all] = KILN_NONE;
}

/* Bodies ----------------------------------------------------------------------------------------------------------- */

/* A size of the graph around as one of the body: symbols keep their names, what is computed gets one. */
static int64_t size_inside(const struct kiln_onnx_body *b, int64_t size)
{
    char text[64];
    for (int i = 0; b->c && i < b->c->sizes; i++)
        if (b->c->size[i] == size)
            return b->size[i];
    const char *name = size < 0 ? kiln_dim_name(b->n->g, size) : NULL;
    snprintf(text, sizeof text, "size%lld", (long long)-size);
    return size < 0 ? kiln_dim(b->m.g, name ? name : text) : size;
}

kiln_spec kiln_onnx_body_spec(const struct kiln_onnx_body *b, kiln_spec spec)
{
    for (int i = 0; i < spec.shape.rank; i++)
        spec.shape.size[i] = size_inside(b, spec.shape.size[i]);
    return spec;
}

/* An input of the body. */
kiln_tensor kiln_onnx_body_declare(struct kiln_onnx_body *b, const char *name, kiln_spec spec)
{
    spec = kiln_onnx_body_spec(b, spec);
    return kiln_input(b->m.g, name, spec.type, spec.shape);
}

/* That a name means this in the body. */
struct kiln_onnx_value *kiln_onnx_body_mean(struct kiln_onnx_body *b, const char *name, kiln_tensor t)
{
    struct kiln_onnx_value *v = kiln_onnx_add(&b->m, name);
    if (v)
        v->tensor = t;
    return v;
}

/* Behind what is there lie zeros, too (whole_of). */
void kiln_onnx_body_bound(struct kiln_onnx_body *b, kiln_tensor in, kiln_tensor around)
{
    const struct kiln_onnx_interval y = kiln_onnx_interval_of(b->n->m, around);
    kiln_onnx_say_interval(&b->m, in,
                           (struct kiln_onnx_interval){fmin(y.least, 0), fmax(y.most, 0), y.rounded});
}

/* Input i of the file's body, whose spec is known from what is given. */
kiln_tensor kiln_onnx_body_formal(struct kiln_onnx_body *b, size_t i, kiln_spec spec)
{
    const Onnx__GraphProto *g = b->m.graph;
    if (i >= g->n_input || !kiln_onnx_info_name(g->input[i])[0])
        kiln_onnx_refuse(b->n, "its body has no input %zu", i);
    if (b->n->refused || b->m.status)
        return KILN_NONE;
    const kiln_tensor in = kiln_onnx_body_declare(b, g->input[i]->name, spec);
    kiln_onnx_body_mean(b, g->input[i]->name, in);
    return in;
}

void kiln_onnx_body_know(struct kiln_onnx_body *b, const char *name, kiln_spec spec,
                         struct kiln_onnx_item item)
{
    struct kiln_onnx_value *v = kiln_onnx_add(&b->m, name);
    struct kiln_onnx_item *items = v ? kiln_onnx_alloc(&b->m, sizeof *items) : NULL;
    if (items) {
        *items = item;
        v->items = items;
        v->known = true;
        v->spec = spec;
    }
}

bool kiln_onnx_body_open(struct kiln_onnx_body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph)
{
    *b = (struct kiln_onnx_body){.n = n, .m = *n->m};
    b->m.g = NULL;
    b->m.graph = graph;
    b->m.arena = (struct kiln_arena){0};
    memset(&b->m.value, 0, sizeof b->m.value);
    b->m.names = (struct kiln_map){0};
    b->m.refusals = (struct kiln_text){0};
    b->m.refused = 0;
    b->m.counted = NULL;
    b->m.beyond = KILN_NONE;
    memset(&b->m.interval, 0, sizeof b->m.interval);
    b->m.bounded = 0;
    n->m->status = kiln_graph_create(&b->m.g, &(kiln_graph_params){.name = graph->name});
    return !n->m->status;
}

/* A known value of the graph around. Sizes in it that are symbols are those of that graph. */
static void know_too(struct kiln_onnx_body *b, const char *name, const struct kiln_onnx_value *v)
{
    if (v->sequence) {
        kiln_onnx_refuse_value(&b->m, "value", name, "a body cannot read sequences around it");
        return;
    }
    struct kiln_onnx_value *own = kiln_onnx_add(&b->m, name);
    const int64_t count = v->items ? kiln_shape_count(&v->spec.shape) : 0;
    struct kiln_onnx_item *items =
        own && count ? kiln_onnx_alloc(&b->m, (size_t)count * sizeof *items) : NULL;
    for (int64_t i = 0; items && i < count; i++) {
        items[i] = v->items[i];
        if (items[i].symbol)
            items[i].i = size_inside(b, items[i].i);
    }
    if (!own)
        return;
    own->known = v->known;
    own->absent = v->absent;
    own->spec = v->spec;
    own->data = v->data;
    own->items = items;
}

static kiln_spec spec_of(const struct kiln_onnx_body *b, const struct kiln_onnx_outer *o)
{
    return o->value->known ? o->value->spec : kiln_tensor_spec(b->n->g, o->value->tensor);
}

static kiln_spec whole_spec(kiln_graph *g, kiln_spec spec)
{
    for (int i = 0; i < spec.shape.rank; i++)
        spec.shape.size[i] = kiln_dim_most(g, spec.shape.size[i]);
    return spec;
}

/* What data counts around is counted here by inputs. */
static void declare_sizes(struct kiln_onnx_body *b, const struct kiln_onnx_captured *c, kiln_tensor *count)
{
    char name[64];
    for (int i = 0; i < c->sizes; i++) {
        snprintf(name, sizeof name, "count%lld", (long long)-c->size[i]);
        count[i] = kiln_input(b->m.g, name, KILN_I32, KILN_SCALAR);
        b->size[i] = kiln_dim_bounded(b->m.g, count[i], size_inside(b, kiln_dim_most(b->n->g, c->size[i])));
    }
    b->c = c;
}

/* The values around: those captured as inputs, behind the body's own; the known ones as they are. */
void kiln_onnx_body_see(struct kiln_onnx_body *b, const struct kiln_onnx_captured *c)
{
    kiln_tensor in[KILN_BODY_VALUES], count[KILN_BODY_VALUES];
    for (int i = 0; i < c->count; i++) {
        in[i] = kiln_onnx_body_declare(b, c->item[i].name, whole_spec(b->n->g, spec_of(b, &c->item[i])));
        kiln_onnx_body_bound(b, in[i], c->item[i].value->tensor);
    }
    declare_sizes(b, c, count);
    for (int i = 0; i < c->count; i++) {
        const kiln_spec spec = spec_of(b, &c->item[i]);
        for (int axis = 0; axis < spec.shape.rank; axis++)
            for (int k = 0; k < c->sizes; k++)
                if (c->size[k] == spec.shape.size[axis])
                    in[i] = kiln_first(b->m.g, in[i], count[k], axis);
        kiln_onnx_body_mean(b, c->item[i].name, in[i]);
    }
    for (int i = 0; i < c->known.count && !b->m.status; i++)
        if (!kiln_onnx_find(&b->m, c->known.data[i].name))
            know_too(b, c->known.data[i].name, c->known.data[i].value);
}

void kiln_onnx_body_read(struct kiln_onnx_body *b)
{
    kiln_status status = kiln_graph_status(b->m.g);
    if (!status)
        status = kiln_onnx_add_initializers(&b->m, false);
    for (size_t i = 0; !status && i < b->m.graph->n_node; i++)
        status = kiln_onnx_add_node(&b->m, b->m.graph->node[i]);
}

struct kiln_onnx_value *kiln_onnx_body_result(const struct kiln_onnx_body *b, size_t i)
{
    const Onnx__GraphProto *g = b->m.graph;
    return i < g->n_output ? kiln_onnx_find(&b->m, kiln_onnx_info_name(g->output[i])) : NULL;
}

bool kiln_onnx_body_tensor(struct kiln_onnx_body *b, struct kiln_onnx_value *v, kiln_tensor *out)
{
    *out = kiln_onnx_tensor_of(&b->m, v);
    if (!out->id && v->sequence)
        kiln_onnx_refuse(b->n, "output \"%s\" of its body is a sequence", v->name);
    else if (!out->id && !b->m.status && !kiln_graph_status(b->m.g))
        kiln_onnx_refuse(b->n, "output \"%s\" of its body depends on a symbolic size", v->name);
    return out->id != 0;
}

void kiln_onnx_body_output(struct kiln_onnx_body *b, size_t i, kiln_tensor t)
{
    char name[32];
    snprintf(name, sizeof name, "out%zu", i);
    kiln_output(b->m.g, name, kiln_onnx_copy(b->m.g, t));
}

void kiln_onnx_body_put_value(struct kiln_onnx_body *b, struct kiln_onnx_value *v, size_t i)
{
    kiln_tensor t;
    if (kiln_onnx_body_tensor(b, v, &t))
        kiln_onnx_body_output(b, i, t);
}

void kiln_onnx_body_put(struct kiln_onnx_body *b, size_t i)
{
    struct kiln_onnx_value *v = kiln_onnx_body_result(b, i);
    if (!v)
        kiln_onnx_refuse(b->n, "its body makes no output %zu", i);
    else if (!v->refused)
        kiln_onnx_body_put_value(b, v, i);
}

/* What stopped the reading of the body stops that of the model. */
bool kiln_onnx_body_hand_on(struct kiln_onnx_body *b)
{
    if (b->m.status)
        b->n->m->status = b->m.status;
    return !b->m.status;
}

/* What the body could not do is what its node cannot. */
bool kiln_onnx_body_is_whole(struct kiln_onnx_body *b)
{
    const bool read = kiln_onnx_body_hand_on(b);
    if (b->m.refused)
        kiln_onnx_refuse(b->n, "in its body: %s", kiln_text_get(&b->m.refusals));
    else if (kiln_graph_status(b->m.g))
        kiln_onnx_refuse(b->n, "its body cannot be built");
    return !b->n->refused && read && !kiln_graph_status(b->m.g);
}

void kiln_onnx_body_close(struct kiln_onnx_body *b)
{
    kiln_graph_destroy(&b->m.g);
    kiln_vec_finish(&b->m.value);
    kiln_vec_finish(&b->m.interval);
    kiln_map_finish(&b->m.names);
    kiln_text_finish(&b->m.refusals);
    kiln_arena_finish(&b->m.arena);
}

kiln_tensor kiln_onnx_gathered(kiln_graph *g, kiln_tensor x, kiln_tensor part)
{
    part = kiln_unsqueeze(g, part, 0);
    return x.id ? kiln_concat(g, (const kiln_tensor[]){x, part}, 2, 0) : part;
}
