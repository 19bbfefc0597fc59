/*
 * onnx_survey.c - which things of ONNX kiln leaves out by their kind, and where a model has them.
 *
 * The importer names the kind when it refuses such a thing; the survey lists them all without building anything.
 */
#include "import/onnx_survey.h"

#include <string.h>

#include "base/file.h"
#include "import/onnx.h"

/* Kinds ---------------------------------------------------------------------------------------------------------- */

static const struct {
    int first, last; /* of TensorProto.DataType, some newer than the structures at hand */
    const char *kind;
} types[] = {{8, 8, "texts"},
             {17, 20, "reals of 8 bits"},
             {21, 22, "integers of 4 bits"},
             {23, 23, "reals of 4 bits"},
             {24, 24, "reals of 8 bits"},
             {25, 26, "integers of 2 bits"}};

static const struct {
    const char *name, *kind;
} operators[] = {{"ImageDecoder", "files of pictures"},
                 {"Optional", "optional values"},
                 {"OptionalGetElement", "optional values"},
                 {"OptionalHasElement", "optional values"},
                 {"RegexFullMatch", "texts"},
                 {"SequenceMap", "sequences"},
                 {"StringConcat", "texts"},
                 {"StringNormalizer", "texts"},
                 {"StringSplit", "texts"},
                 {"TfIdfVectorizer", "texts"}};

const char *kiln_onnx_type_kind(int64_t onnx)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (onnx >= types[i].first && onnx <= types[i].last)
            return types[i].kind;
    return NULL;
}

const char *kiln_onnx_value_kind(const Onnx__TypeProto *type)
{
    switch (type ? type->value_case : ONNX__TYPE_PROTO__VALUE__NOT_SET) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        return kiln_onnx_type_kind(type->tensor_type->elem_type);
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        return "sequences";
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return "optional values";
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        return "maps";
    default:
        return NULL;
    }
}

/* Of a value within a model, where there are sequences of tensors. */
static const char *inner_kind(const Onnx__TypeProto *type)
{
    const bool list =
        type && type->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE && type->sequence_type;
    return kiln_onnx_value_kind(list ? type->sequence_type->elem_type : type);
}

static bool names_type(const Onnx__AttributeProto *a)
{
    return a->name &&
           (!strcmp(a->name, "to") || !strcmp(a->name, "dtype") || !strcmp(a->name, "output_dtype"));
}

/* Of what an attribute holds, graphs apart. */
static const char *kind_of_attribute(const Onnx__AttributeProto *a)
{
    if (names_type(a) && a->has_i)
        return kiln_onnx_type_kind(a->i);
    if (a->name && !strncmp(a->name, "value_string", 12))
        return "texts";
    return a->t ? kiln_onnx_type_kind(a->t->data_type) : NULL;
}

const char *kiln_onnx_node_kind(const Onnx__NodeProto *n)
{
    if (n->domain && !strcmp(n->domain, "ai.onnx.ml") && n->op_type &&
        !kiln_onnx_row_of(n->domain, n->op_type, KILN_ONNX_NEWEST_OPSET))
        return "operators of classical machine learning";
    if (n->domain && !strcmp(n->domain, "ai.onnx.preview"))
        return "operators that are previews";
    for (size_t i = 0; n->op_type && i < sizeof operators / sizeof *operators; i++)
        if (!strcmp(n->op_type, operators[i].name) && kiln_onnx_standard_domain(n->domain))
            return operators[i].kind;
    const char *kind = NULL;
    for (size_t i = 0; !kind && i < n->n_attribute; i++)
        kind = kind_of_attribute(n->attribute[i]);
    return kind;
}

static bool reads(const Onnx__NodeProto *n, const char *name)
{
    for (size_t i = 0; i < n->n_input; i++)
        if (!strcmp(n->input[i], name))
            return true;
    return false;
}

/* Nodes, or bodies in them. */
static bool any_reads(Onnx__NodeProto *const *node, size_t count, const char *name)
{
    bool read = false;
    for (size_t i = 0; i < count && !read; i++) {
        read = reads(node[i], name);
        for (size_t k = 0; k < node[i]->n_attribute && !read; k++)
            read = node[i]->attribute[k]->g && kiln_onnx_is_read(node[i]->attribute[k]->g, name);
    }
    return read;
}

bool kiln_onnx_is_read(const Onnx__GraphProto *g, const char *name)
{
    bool read = any_reads(g->node, g->n_node, name);
    for (size_t i = 0; i < g->n_output && !read; i++)
        read = g->output[i]->name && !strcmp(g->output[i]->name, name);
    return read;
}

bool kiln_onnx_is_idle(const Onnx__GraphProto *g, const Onnx__FunctionProto *f, const Onnx__NodeProto *n)
{
    const bool constant = n->op_type && !strcmp(n->op_type, "Constant") && n->n_output == 1;
    bool read = !constant || (g && kiln_onnx_is_read(g, n->output[0])) ||
                (f && any_reads(f->node, f->n_node, n->output[0]));
    for (size_t i = 0; f && i < f->n_output && !read; i++)
        read = !strcmp(f->output[i], n->output[0]);
    return !read;
}

static bool dequantizes(const Onnx__NodeProto *n)
{
    return n->op_type && !strcmp(n->op_type, "DequantizeLinear");
}

bool kiln_onnx_is_packed(const Onnx__GraphProto *g, const Onnx__TensorProto *t)
{
    bool fits = (t->data_type == KILN_ONNX_UINT4 || t->data_type == KILN_ONNX_INT4) && t->name;
    for (size_t i = 0; fits && i < g->n_node; i++)
        fits = dequantizes(g->node[i]) || !reads(g->node[i], t->name);
    for (size_t i = 0; fits && i < g->n_output; i++)
        fits = !g->output[i]->name || strcmp(g->output[i]->name, t->name);
    return fits;
}

/* What draws ------------------------------------------------------------------------------------------------------ */

struct look {
    struct kiln_onnx_survey *s;
    const Onnx__GraphProto *graph;
    const kiln_array *input;
    int inputs;
};

/* The value that an input of the model was given; NULL for other values. */
static const kiln_array *given(const struct look *l, const char *name)
{
    int place = 0;
    for (size_t i = 0; i < l->graph->n_input; i++) {
        const char *input = l->graph->input[i]->name;
        if (!input || kiln_onnx_is_initializer(l->graph, input))
            continue;
        if (!strcmp(input, name))
            return place < l->inputs ? &l->input[place] : NULL;
        place++;
    }
    return NULL;
}

static bool is_zero(const kiln_array *a)
{
    bool zero = a != NULL;
    for (size_t i = 0; a && i < (size_t)kiln_shape_count(&a->shape) * kiln_type_size(a->type); i++)
        zero = zero && !((const unsigned char *)a->data)[i];
    return zero;
}

static bool is_fed(const Onnx__NodeProto *n, size_t i)
{
    return i < n->n_input && n->input[i][0];
}

/* A dropout that learns, and drops some. */
static bool drops(const struct look *l, const Onnx__NodeProto *n)
{
    return !strcmp(n->op_type, "Dropout") && is_fed(n, 2) && !is_zero(given(l, n->input[2])) &&
           !(is_fed(n, 1) && is_zero(given(l, n->input[1])));
}

static bool draws(const struct look *l, const Onnx__NodeProto *n)
{
    static const char *const names[] = {
        "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
    };
    for (size_t i = 0; n->op_type && i < sizeof names / sizeof *names; i++)
        if (!strcmp(n->op_type, names[i]))
            return kiln_onnx_standard_domain(n->domain);
    return n->op_type && drops(l, n);
}

/* The whole model ------------------------------------------------------------------------------------------------- */

static void tell(struct kiln_text *to, const char *what, const char *name, const char *kind)
{
    if (kind)
        kiln_text_add(to, "%s%s \"%s\": %s", to->count ? "; " : "", what, name ? name : "", kind);
}

static void look_at_graph(struct look *l, const Onnx__GraphProto *g);

/* The nodes of a graph, or of a function. */
static void look_at_nodes(struct look *l, const Onnx__GraphProto *g, const Onnx__FunctionProto *f)
{
    for (size_t i = 0; i < (g ? g->n_node : f->n_node); i++) {
        const Onnx__NodeProto *n = (g ? g->node : f->node)[i];
        const char *name = n->name && n->name[0] ? n->name : n->n_output ? n->output[0] : "";
        const char *kind = kiln_onnx_node_kind(n);
        if (kind && !kiln_onnx_is_idle(g, f, n))
            tell(&l->s->left_out, n->op_type ? n->op_type : "node", name, kind);
        if (draws(l, n))
            tell(&l->s->random, n->op_type, name, "draws at random");
        for (size_t k = 0; k < n->n_attribute; k++)
            if (n->attribute[k]->g)
                look_at_graph(l, n->attribute[k]->g);
    }
}

/* outer: of the model itself */
static void look_at_values(struct look *l, const char *what, bool outer, Onnx__ValueInfoProto *const *values,
                           size_t count)
{
    for (size_t i = 0; i < count; i++)
        tell(&l->s->left_out, what, values[i]->name,
             (outer ? kiln_onnx_value_kind : inner_kind)(values[i]->type));
}

/* What the file says of values within a graph, those apart that nothing reads. */
static void look_at_infos(struct look *l, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_value_info; i++) {
        const char *name = g->value_info[i]->name, *kind = inner_kind(g->value_info[i]->type);
        if (kind && name && kiln_onnx_is_read(g, name))
            tell(&l->s->left_out, "value", name, kind);
    }
}

static void look_at_initializers(struct look *l, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        const Onnx__TensorProto *t = g->initializer[i];
        const char *kind = kiln_onnx_type_kind(t->data_type);
        if (kind && t->name && !kiln_onnx_is_packed(g, t) && kiln_onnx_is_read(g, t->name))
            tell(&l->s->left_out, "initializer", t->name, kind);
    }
}

static void look_at_graph(struct look *l, const Onnx__GraphProto *g)
{
    look_at_values(l, "input", g == l->graph, g->input, g->n_input);
    look_at_values(l, "output", g == l->graph, g->output, g->n_output);
    look_at_infos(l, g);
    look_at_initializers(l, g);
    look_at_nodes(l, g, NULL);
}

kiln_status kiln_onnx_look(struct kiln_onnx_survey *s, const char *path, const kiln_array *inputs, int count)
{
    struct kiln_file file = {0};
    struct look l = {.s = s, .input = inputs, .inputs = count};
    kiln_status status = kiln_file_map(&file, path);
    Onnx__ModelProto *model =
        status ? NULL : kiln_onnx_unpack(path, &onnx__model_proto__descriptor, file.data, file.size);
    if (!status && !model)
        status = KILN_ERROR_FILE;
    if (model && model->graph) {
        l.graph = model->graph;
        look_at_graph(&l, model->graph);
        for (size_t i = 0; i < model->n_functions; i++)
            look_at_nodes(&l, NULL, model->functions[i]);
    }
    kiln_onnx_free(model);
    kiln_file_unmap(&file);
    return status;
}

void kiln_onnx_survey_finish(struct kiln_onnx_survey *s)
{
    kiln_text_finish(&s->left_out);
    kiln_text_finish(&s->random);
}
