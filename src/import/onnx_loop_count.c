/*
 * onnx_loop_count.c - loops that end because they count, as Keras's layers are written: a carry that grows by the same in each step, or
 * the step itself, is compared with a number. How many steps they make is known then.
 */
#include <math.h>
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

/* The first step at which a comparison of these is false; MOST_COUNTED: none soon. */
static int64_t first_false(const char *op, struct line x, struct line y)
{
    const bool more = !strcmp(op, "greater") || !strcmp(op, "greater_equal");
    const bool equal = !strcmp(op, "less_equal") || !strcmp(op, "greater_equal");
    const double ahead =
        more ? x.first - y.first : y.first - x.first; /* true where above 0, or 0 if `equal` */
    const double by = more ? x.by - y.by : y.by - x.by;
    if (ahead < 0 || (ahead == 0 && !equal))
        return 0;
    const double step = by >= 0 ? MOST_COUNTED : equal ? floor(ahead / -by) + 1 : ceil(ahead / -by);
    return step < MOST_COUNTED ? (int64_t)step : MOST_COUNTED;
}

/* The same of a condition: comparisons joined by "and"; -1 where it is something else. */
static int64_t first_end(struct kiln_onnx_body *b, kiln_tensor t, int depth)
{
    static const char *const comparisons[] = {"less", "less_equal", "greater", "greater_equal"};
    const kiln_node *n = kiln_node_of(b->m.g, t);
    struct line x, y;
    if (depth > MOST_DEEP)
        return -1;
    if (is_made_by(n, "and")) {
        const int64_t one = first_end(b, n->in[0], depth + 1), other = first_end(b, n->in[1], depth + 1);
        return one < other || other < 0 ? (other < 0 ? other : one) : other;
    }
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (is_made_by(n, comparisons[i]))
            return line_of(b, n->in[0], depth + 1, &x) && line_of(b, n->in[1], depth + 1, &y)
                       ? first_false(comparisons[i], x, y)
                       : -1;
    return -1;
}

int64_t kiln_onnx_counted_steps(struct kiln_onnx_body *b)
{
    struct kiln_onnx_value *v = kiln_onnx_body_result(b, 0);
    double trips = MOST_COUNTED;
    if (!v || v->refused || v->known || !v->tensor.id || kiln_graph_status(b->m.g))
        return -1;
    const int64_t end = first_end(b, v->tensor, 0);
    if (kiln_onnx_number(b->n, TRIPS, &trips) && !(trips > 0))
        return -1;
    if (end < 0 || (end + 1 >= MOST_COUNTED && !(trips < MOST_COUNTED)))
        return -1;
    return (double)end + 1 < trips ? end + 1 : (int64_t)trips; /* what the last step says ends nothing */
}
