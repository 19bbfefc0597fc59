/*
 * onnx_loop_count.c - loops that end because they count, as Keras's layers are written: a carry that grows by the same in each step, or
 * the step itself, is compared with a number. Where that lets them make all the steps that they may, the comparison decides nothing.
 */
#include <string.h>

#include "import/onnx_body.h"

enum { TRIPS, BEGINS, FIRST_CARRY, MOST_DEEP = 16, MOST_COUNTED = 1 << 24 };

/* first + step * by */
struct line {
    double first, by;
};

static bool is_made_by(const kiln_node *n, const char *op)
{
    return n && !strcmp(n->op->name, op);
}

static bool number_of(const kiln_graph *g, kiln_tensor t, double *value)
{
    const kiln_spec spec = kiln_tensor_spec(g, t);
    int64_t wide = 0;
    int32_t word = 0;
    float single = 0;
    void *const to = spec.type == KILN_I64   ? (void *)&wide
                     : spec.type == KILN_I32 ? (void *)&word
                     : spec.type == KILN_F32 ? (void *)&single
                                             : NULL;
    if (!to || kiln_shape_count(&spec.shape) != 1 || !is_made_by(kiln_node_of(g, t), "constant") ||
        kiln_constant_read(g, t, &(kiln_array){.data = to, .bytes = kiln_type_size(spec.type)}))
        return false;
    *value = spec.type == KILN_I64 ? (double)wide : spec.type == KILN_I32 ? (double)word : (double)single;
    return true;
}

/* Whether a node hands whole numbers on as they are. */
static bool is_kept(const kiln_graph *g, const kiln_node *n)
{
    if (is_made_by(n, "reshape"))
        return true;
    if (!is_made_by(n, "cast_integer") && !is_made_by(n, "cast_real"))
        return false;
    const kiln_type from = kiln_tensor_type(g, n->in[0]), to = kiln_tensor_type(g, n->out[0]);
    return (from == KILN_I32 || from == KILN_I64) && (to == KILN_I32 || to == KILN_I64 || to == KILN_F32);
}

static bool line_of(struct kiln_onnx_body *b, kiln_tensor t, int depth, struct line *out);

/* A carry that begins as a number, and becomes itself and a number more. */
static bool line_of_carry(struct kiln_onnx_body *b, kiln_tensor t, struct line *out)
{
    const Onnx__GraphProto *graph = b->m.graph;
    for (int i = FIRST_CARRY; i < b->n->inputs && (size_t)i < graph->n_input; i++) {
        const struct kiln_onnx_value *formal = kiln_onnx_find(&b->m, kiln_onnx_info_name(graph->input[i])),
                                     *next = kiln_onnx_body_result(b, (size_t)(i - BEGINS));
        if (!formal || formal->tensor.id != t.id)
            continue;
        const kiln_node *add = next && next->tensor.id ? kiln_node_of(b->m.g, next->tensor) : NULL;
        const bool adds = is_made_by(add, "add") && kiln_onnx_number(b->n, i, &out->first);
        const int other = adds && add->in[0].id == t.id ? 1 : adds && add->in[1].id == t.id ? 0 : -1;
        return other >= 0 && number_of(b->m.g, add->in[other], &out->by);
    }
    return false;
}

static bool line_of(struct kiln_onnx_body *b, kiln_tensor t, int depth, struct line *out)
{
    const kiln_node *n = kiln_node_of(b->m.g, t);
    struct line other;
    *out = (struct line){0};
    if (depth > MOST_DEEP)
        return false;
    if (t.id == kiln_graph_input(b->m.g, 0).id) { /* the step */
        out->by = 1;
        return true;
    }
    if (is_kept(b->m.g, n))
        return line_of(b, n->in[0], depth + 1, out);
    if (is_made_by(n, "constant"))
        return number_of(b->m.g, t, &out->first);
    if (!is_made_by(n, "add"))
        return line_of_carry(b, t, out);
    if (!line_of(b, n->in[0], depth + 1, out) || !line_of(b, n->in[1], depth + 1, &other))
        return false;
    out->first += other.first;
    out->by += other.by;
    return true;
}

/* Whether a comparison, or all that are joined by "and", hold from step 0 to `last`. */
static bool holds(struct kiln_onnx_body *b, kiln_tensor t, int64_t last, int depth)
{
    const kiln_node *n = kiln_node_of(b->m.g, t);
    struct line x, y;
    if (depth > MOST_DEEP)
        return false;
    if (is_made_by(n, "and"))
        return holds(b, n->in[0], last, depth + 1) && holds(b, n->in[1], last, depth + 1);
    const bool less = is_made_by(n, "less"), more = is_made_by(n, "greater");
    const bool orless = is_made_by(n, "less_equal"), ormore = is_made_by(n, "greater_equal");
    if ((!less && !more && !orless && !ormore) || !line_of(b, n->in[0], depth + 1, &x) ||
        !line_of(b, n->in[1], depth + 1, &y))
        return false;
    bool all = true;
    for (int end = 0; end < 2; end++) {
        const double step = end ? (double)last : 0, far = y.first - x.first + step * (y.by - x.by);
        all = all && (less ? far > 0 : more ? far < 0 : orless ? far >= 0 : far <= 0);
    }
    return all;
}

bool kiln_onnx_counts_on(struct kiln_onnx_body *b)
{
    struct kiln_onnx_value *v = kiln_onnx_body_result(b, 0);
    double trips;
    if (!v || v->refused || v->known || !v->tensor.id || !kiln_onnx_number(b->n, TRIPS, &trips) ||
        !(trips >= 0 && trips <= MOST_COUNTED))
        return false;
    return trips < 2 || holds(b, v->tensor, (int64_t)trips - 2, 0); /* what the last step says ends nothing */
}
