/*
 * onnx_mutate.c - how libFuzzer changes ONNX models: as messages, since of models whose bytes change nearly all end in the parser.
 *
 * Most changes know nothing of ONNX (message.h). The others keep a model closer to one that can be built: a node reads another value, or
 * becomes another operator of the importer's table; gets an attribute of that table; is put in; a tensor gets a shape and as many bytes;
 * and two models become one that lets the second read what the first computes.
 */
#include "base/text.h"
#include "import/onnx.h"

#include "fuzz/fuzz.h"
#include "fuzz/message.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max_size, unsigned seed);

enum { BYTES_ONCE_IN = 16, MOST_CHANGES = 4 };

static uint32_t below(struct chance *c, size_t n)
{
    return kiln_rng_below(&c->rng, (uint32_t)n);
}

static void *pick(struct chance *c, const ProtobufCMessageDescriptor *type)
{
    return parts_pick(&c->own, type, &c->rng);
}

/* Values ---------------------------------------------------------------------------------------------------------- */

/* The name of one of the model's values: an initializer, an input or output, or what a node makes. "": there is none. */
static const char *value_name(struct chance *c)
{
    const Onnx__NodeProto *n = pick(c, &onnx__node_proto__descriptor);
    const Onnx__TensorProto *t = pick(c, &onnx__tensor_proto__descriptor);
    const Onnx__ValueInfoProto *v = pick(c, &onnx__value_info_proto__descriptor);
    const char *name = NULL;
    switch (below(c, 3)) {
    case 0:
        name = n && n->n_output ? n->output[below(c, n->n_output)] : NULL;
        break;
    case 1:
        name = t ? t->name : NULL;
        break;
    default:
        name = v ? v->name : NULL;
    }
    return name ? name : v && v->name ? v->name : "";
}

static void read_another(struct chance *c)
{
    Onnx__NodeProto *n = pick(c, &onnx__node_proto__descriptor);
    const char *name = value_name(c);
    if (n && n->n_input && !once_in(c, 5))
        put_text(&n->input[below(c, n->n_input)], name);
    else if (n)
        add_text(c, &n->base, "input", name);
}

static void give_another(struct chance *c)
{
    Onnx__GraphProto *g = pick(c, &onnx__graph_proto__descriptor);
    const char *name = value_name(c);
    if (g && g->n_output)
        put_text(&g->output[below(c, g->n_output)]->name, name);
}

/* Nodes ----------------------------------------------------------------------------------------------------------- */

static const struct kiln_onnx_row *any_row(struct chance *c)
{
    static size_t count;
    while (kiln_onnx_row_at(count))
        count++;
    return kiln_onnx_row_at(below(c, count));
}

static void set_operator(Onnx__NodeProto *n, const struct kiln_onnx_row *row)
{
    put_text(&n->op_type, row->name);
    put_text(&n->domain, row->domain);
}

static const struct kiln_onnx_row *row_of(const Onnx__NodeProto *n)
{
    return n && n->op_type ? kiln_onnx_row_of(kiln_onnx_standard_domain(n->domain) ? "" : n->domain,
                                              n->op_type, KILN_ONNX_NEWEST_OPSET)
                           : NULL;
}

static void become_another(struct chance *c)
{
    Onnx__NodeProto *n = pick(c, &onnx__node_proto__descriptor);
    const Onnx__FunctionProto *f = once_in(c, 4) ? pick(c, &onnx__function_proto__descriptor) : NULL;
    if (n && f) {
        put_text(&n->op_type, f->name);
        put_text(&n->domain, f->domain);
    } else if (n)
        set_operator(n, any_row(c));
}

/* One of a list's words, "" where it has none. */
static void any_word(struct chance *c, const char *words, char word[64])
{
    uint32_t count = 0;
    word[0] = 0;
    for (const char *at = words ? words : ""; *at; at += strspn(at, " ")) {
        const size_t length = strcspn(at, " ");
        if (once_in(c, ++count))
            snprintf(word, 64, "%.*s", (int)length, at);
        at += length;
    }
}

/* An attribute of that name that some node has; NULL: none. */
static const Onnx__AttributeProto *attribute_like(struct chance *c, const char *name)
{
    for (int tries = 0; tries < 32; tries++) {
        const Onnx__AttributeProto *a = pick_any(c, &onnx__attribute_proto__descriptor);
        if (a && a->name && !strcmp(a->name, name))
            return a;
    }
    return NULL;
}

/* A value of a type that many attributes have. */
static void fill_attribute(struct chance *c, Onnx__AttributeProto *a)
{
    a->has_type = true;
    switch (below(c, 4)) {
    case 0:
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        a->has_f = true;
        a->f = (float)edge_real(c);
        break;
    case 1:
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        a->n_ints = below(c, 5);
        a->ints = calloc(a->n_ints + 1, sizeof *a->ints);
        for (size_t i = 0; a->ints && i < a->n_ints; i++)
            a->ints[i] = edge_number(c);
        break;
    default:
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        a->has_i = true;
        a->i = edge_number(c);
    }
}

static void give_attribute(struct chance *c, Onnx__NodeProto *n, const struct kiln_onnx_row *row)
{
    char name[64];
    any_word(c, row->attributes, name);
    if (!name[0])
        return;
    const Onnx__AttributeProto *like = attribute_like(c, name);
    Onnx__AttributeProto *a = like ? copy_message(&like->base) : malloc(sizeof *a);
    if (!a)
        abort();
    if (!like) {
        onnx__attribute_proto__init(a);
        put_text(&a->name, name);
        fill_attribute(c, a);
    }
    add_message(c, &n->base, "attribute", a);
}

static void add_attribute(struct chance *c)
{
    Onnx__NodeProto *n = pick(c, &onnx__node_proto__descriptor);
    const struct kiln_onnx_row *row = row_of(n);
    if (row)
        give_attribute(c, n, row);
}

/* A node of an operator that reads this value, and others where it takes more. */
static Onnx__NodeProto *new_node(struct chance *c, const struct kiln_onnx_row *row, const char *first)
{
    Onnx__NodeProto *n = malloc(sizeof *n);
    char name[16];
    if (!n)
        abort();
    onnx__node_proto__init(n);
    set_operator(n, row);
    const int optional = row->most < 0 ? 2 : row->most > row->inputs ? row->most - row->inputs : 0;
    for (int i = 1, inputs = row->inputs + (int)below(c, (size_t)optional + 1); i < inputs; i++)
        add_text(c, &n->base, "input", once_in(c, 8) ? "" : value_name(c));
    add_text(c, &n->base, "input", first);
    for (uint32_t i = 0, outputs = 1 + (once_in(c, 4) ? below(c, 4) : 0); i < outputs; i++) {
        snprintf(name, sizeof name, "v%u", (unsigned)below(c, 10000));
        add_text(c, &n->base, "output", name);
    }
    for (uint32_t i = below(c, 4); i > 0; i--)
        give_attribute(c, n, row);
    return n;
}

/* A place where a value is read; NULL: there is none. */
static char **any_reader(struct chance *c, Onnx__GraphProto *g)
{
    Onnx__NodeProto *n = g->n_node ? g->node[below(c, g->n_node)] : NULL;
    if (n && n->n_input && once_in(c, 2))
        return &n->input[below(c, n->n_input)];
    return g->n_output ? &g->output[below(c, g->n_output)]->name : NULL;
}

/* A node of any operator between a value, most often, and one that reads it. */
static void add_node(struct chance *c)
{
    Onnx__GraphProto *g = pick(c, &onnx__graph_proto__descriptor);
    char **reader = g ? any_reader(c, g) : NULL;
    if (!reader)
        return;
    Onnx__NodeProto *n = new_node(c, any_row(c), *reader && !once_in(c, 4) ? *reader : value_name(c));
    put_text(reader, n->output[0]);
    add_message(c, &g->base, "node", n);
}

/* Tensors and versions -------------------------------------------------------------------------------------------- */

/* A small shape, and as many bytes. */
static void fit_tensor(struct chance *c)
{
    Onnx__TensorProto *t = pick(c, &onnx__tensor_proto__descriptor);
    kiln_type type;
    if (!t || !kiln_onnx_type(t->data_type, &type))
        return;
    size_t bytes = type == KILN_F64 ? 8 : kiln_type_size(type);
    t->n_dims = below(c, 5);
    t->dims = realloc(t->dims, (t->n_dims + 1) * sizeof *t->dims);
    for (size_t i = 0; t->dims && i < t->n_dims; i++)
        bytes *= (size_t)(t->dims[i] = once_in(c, 16) ? 0 : 1 + below(c, 4));
    t->n_float_data = t->n_int32_data = t->n_int64_data = t->n_double_data = t->n_uint64_data = 0;
    t->raw_data.data = realloc(t->raw_data.data, bytes + 1);
    if (!t->dims || !t->raw_data.data)
        abort();
    for (size_t i = 0; i < bytes; i++)
        t->raw_data.data[i] = (uint8_t)(once_in(c, 2) ? 0 : below(c, 5));
    t->raw_data.len = bytes;
    t->has_raw_data = true;
}

static void add_entry(struct chance *c, Onnx__TensorProto *t, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = malloc(sizeof *e);
    if (!e)
        abort();
    onnx__string_string_entry_proto__init(e);
    put_text(&e->key, key);
    put_text(&e->value, value);
    add_message(c, &t->base, "external_data", e);
}

/* A tensor's elements lie in the file beside the model (onnx.c). */
static void lie_elsewhere(struct chance *c)
{
    Onnx__TensorProto *t = pick(c, &onnx__tensor_proto__descriptor);
    char number[32];
    if (!t)
        return;
    t->has_data_location = true;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    add_entry(c, t, "location", "w.bin");
    snprintf(number, sizeof number, "%lld", (long long)edge_number(c));
    if (once_in(c, 4))
        add_entry(c, t, once_in(c, 2) ? "offset" : "length", number);
}

static void set_opset(struct chance *c)
{
    Onnx__OperatorSetIdProto *o = pick(c, &onnx__operator_set_id_proto__descriptor);
    if (o) {
        o->has_version = true;
        o->version = 1 + below(c, KILN_ONNX_NEWEST_OPSET);
    }
}

/* Its version says what is done with a model (onnx.c). */
static void set_version(struct chance *c, Onnx__ModelProto *m)
{
    m->has_model_version = true;
    m->model_version = below(c, 256);
}

/* Two models ------------------------------------------------------------------------------------------------------ */

static void rename_text(char **text, const char *from, const char *to)
{
    char name[256];
    if (!*text || !**text || (from && strcmp(*text, from)))
        return;
    snprintf(name, sizeof name, "%s%s", to, from ? "" : *text);
    put_text(text, name);
}

/* All values of that name become values of another; from NULL: all values get this before their names. */
static void rename_values(const struct parts *p, const char *from, const char *to)
{
    for (int i = 0; i < p->message.count; i++) {
        ProtobufCMessage *m = p->message.data[i];
        Onnx__NodeProto *n = (Onnx__NodeProto *)m;
        if (m->descriptor == &onnx__tensor_proto__descriptor)
            rename_text(&((Onnx__TensorProto *)m)->name, from, to);
        else if (m->descriptor == &onnx__value_info_proto__descriptor)
            rename_text(&((Onnx__ValueInfoProto *)m)->name, from, to);
        else if (m->descriptor == &onnx__node_proto__descriptor) {
            for (size_t k = 0; k < n->n_input; k++)
                rename_text(&n->input[k], from, to);
            for (size_t k = 0; k < n->n_output; k++)
                rename_text(&n->output[k], from, to);
        }
    }
}

static void take_list(struct chance *c, Onnx__GraphProto *to, const char *field, void *const *item,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_message(c, &to->base, field, copy_message(item[i]));
}

/* Put the other model's graph into this one's; its inputs become values of this one, or inputs as they were. */
static void join(struct chance *c)
{
    Onnx__GraphProto *g = ((Onnx__ModelProto *)c->own.message.data[0])->graph;
    Onnx__GraphProto *other = ((Onnx__ModelProto *)c->other.message.data[0])->graph;
    char prefix[8];
    if (!g || !other)
        return;
    snprintf(prefix, sizeof prefix, "%u.", (unsigned)below(c, 1000));
    rename_values(&c->other, NULL, prefix);
    for (size_t i = 0; i < other->n_input; i++) {
        Onnx__ValueInfoProto *input = other->input[i];
        char *name = NULL;
        put_text(&name, input->name ? input->name : "");
        if (once_in(c, 2))
            rename_values(&c->other, name, value_name(c));
        else
            add_message(c, &g->base, "input", copy_message(&input->base));
        free(name);
    }
    take_list(c, g, "node", (void **)other->node, other->n_node);
    take_list(c, g, "initializer", (void **)other->initializer, other->n_initializer);
    take_list(c, g, "output", (void **)other->output, other->n_output);
    ProtobufCMessage *root = c->other.message.data[0];
    parts_finish(&c->other); /* its names are others now */
    parts_add(&c->other, root);
}

/* libFuzzer's way in ---------------------------------------------------------------------------------------------- */

static void change_any(struct chance *c)
{
    static void (*const ways[])(struct chance * c) = {read_another,  give_another, become_another,
                                                      add_attribute, add_node,     fit_tensor,
                                                      lie_elsewhere, set_opset};
    if (once_in(c, 2))
        ways[below(c, sizeof ways / sizeof *ways)](c);
    else
        change_message(c, pick(c, NULL));
}

/* The model changed, packed to at most max_size bytes; 0 where it takes more. */
static size_t change_model(struct chance *c, Onnx__ModelProto *model, uint8_t *out, size_t max_size)
{
    parts_add(&c->own, &model->base);
    if (c->other.message.count && once_in(c, 3))
        join(c);
    for (uint32_t i = 1 + below(c, MOST_CHANGES); i > 0; i--) {
        parts_finish(&c->own);
        parts_add(&c->own, &model->base);
        change_any(c);
    }
    if (once_in(c, 3))
        set_version(c, model);
    parts_finish(&c->own);
    const size_t size = onnx__model_proto__get_packed_size(model);
    return size <= max_size ? onnx__model_proto__pack(model, out) : 0;
}

static Onnx__ModelProto *unpack(const uint8_t *data, size_t size)
{
    be_silent();
    return kiln_onnx_unpack("fuzz", &onnx__model_proto__descriptor, data, size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct chance c = {{0}};
    kiln_rng_init(&c.rng, seed, 0);
    Onnx__ModelProto *model = once_in(&c, BYTES_ONCE_IN) ? NULL : unpack(data, size);
    const size_t changed = model ? change_model(&c, model, data, max_size) : 0;
    kiln_onnx_free(model);
    return changed ? changed : LLVMFuzzerMutate(data, size, max_size);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max_size, unsigned seed)
{
    struct chance c = {{0}};
    Onnx__ModelProto *model = unpack(a, a_size), *other = unpack(b, b_size);
    kiln_rng_init(&c.rng, seed, 1);
    if (other)
        parts_add(&c.other, &other->base);
    const size_t changed = model && other ? change_model(&c, model, out, max_size) : 0;
    parts_finish(&c.other);
    kiln_onnx_free(model);
    kiln_onnx_free(other);
    return changed;
}
