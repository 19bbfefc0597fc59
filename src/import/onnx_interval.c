/*
 * onnx_interval.c - between which numbers the elements of a value lie in any run, by the operators that make it: interval arithmetic (Moore
 * 1966), forward over the graph in building order, one interval a value.
 *
 * What is not known of a value is the range of its type. Nothing is said of NaN, and ends are those of exact arithmetic: who takes an end
 * for a bound looks, in the run, whether it holds (kiln_onnx_note_beyond).
 */
#include <math.h>
#include <string.h>

#include "import/onnx.h"

typedef struct kiln_onnx_interval interval;

enum { MOST_READ = 64 }; /* elements of a constant */

/* Elements are kept in 32 bits, and wrap around. */
static interval of_type(kiln_type type)
{
    const interval all = {-INFINITY, INFINITY};
    switch (type) {
    case KILN_BOOL:
        return (interval){0, 1};
    case KILN_U8:
        return (interval){0, UINT8_MAX};
    case KILN_I8:
        return (interval){INT8_MIN, INT8_MAX};
    case KILN_U16:
        return (interval){0, UINT16_MAX};
    case KILN_I16:
        return (interval){INT16_MIN, INT16_MAX};
    case KILN_U32:
    case KILN_U64:
        return (interval){0, UINT32_MAX};
    case KILN_I32:
    case KILN_I64:
        return (interval){INT32_MIN, INT32_MAX};
    default:
        return all;
    }
}

static interval join(interval a, interval b)
{
    return (interval){.least = fmin(a.least, b.least), .most = fmax(a.most, b.most)};
}

/* x y, where 0 times what has no end is 0: no element is infinite by a range that has no end. */
static double times(double x, double y)
{
    return x == 0 || y == 0 ? 0 : x * y;
}

/* Rules: the interval of a node's first output from those of its inputs, a and b the first two ------------------------------ */

struct rule_in {
    const kiln_graph *g;
    const kiln_node *n;
    const interval *of; /* of all values so far, by their ids */
    kiln_type type;     /* of the output */
    interval a, b;
};

static interval in(const struct rule_in *r, int i)
{
    return r->of[r->n->in[i].id];
}

static interval unknown(const struct rule_in *r)
{
    return of_type(r->type);
}

static interval add(const struct rule_in *r)
{
    return (interval){r->a.least + r->b.least, r->a.most + r->b.most};
}

static interval sub(const struct rule_in *r)
{
    return (interval){r->a.least - r->b.most, r->a.most - r->b.least};
}

static interval product(interval a, interval b)
{
    const interval low = {times(a.least, b.least), times(a.least, b.most)},
                   high = {times(a.most, b.least), times(a.most, b.most)};
    return (interval){fmin(fmin(low.least, low.most), fmin(high.least, high.most)),
                      fmax(fmax(low.least, low.most), fmax(high.least, high.most))};
}

static interval mul(const struct rule_in *r)
{
    return product(r->a, r->b);
}

/* Of integers rounded to either side. */
static interval quotient(const struct rule_in *r)
{
    if (r->b.least <= 0 && r->b.most >= 0)
        return unknown(r);
    const interval y = product(r->a, (interval){1 / r->b.most, 1 / r->b.least});
    return kiln_type_is_real(r->type) ? y : (interval){floor(y.least), ceil(y.most)};
}

/* Of a divisor above 0, whose sign it has. */
static interval remainder_of(const struct rule_in *r)
{
    return r->b.least > 0 ? (interval){0, r->b.most} : unknown(r);
}

static interval least_of(const struct rule_in *r)
{
    return (interval){fmin(r->a.least, r->b.least), fmin(r->a.most, r->b.most)};
}

static interval most_of(const struct rule_in *r)
{
    return (interval){fmax(r->a.least, r->b.least), fmax(r->a.most, r->b.most)};
}

static interval clipped(const struct rule_in *r)
{
    double low = -INFINITY, high = INFINITY;
    kiln_node_reals(r->n, "low", &low, 1);
    kiln_node_reals(r->n, "high", &high, 1);
    return (interval){fmin(fmax(r->a.least, low), high), fmin(fmax(r->a.most, low), high)};
}

static interval relu(const struct rule_in *r)
{
    return (interval){fmax(r->a.least, 0), fmax(r->a.most, 0)};
}

static interval scaled(const struct rule_in *r)
{
    double factor;
    return kiln_node_reals(r->n, "factor", &factor, 1) ? product(r->a, (interval){factor, factor})
                                                       : unknown(r);
}

static interval shifted(const struct rule_in *r)
{
    double term;
    return kiln_node_reals(r->n, "term", &term, 1) ? (interval){r->a.least + term, r->a.most + term}
                                                   : unknown(r);
}

static interval neg(const struct rule_in *r)
{
    return (interval){-r->a.most, -r->a.least};
}

static interval absolute(const struct rule_in *r)
{
    const double low = fabs(r->a.least), high = fabs(r->a.most);
    return (interval){r->a.least <= 0 && r->a.most >= 0 ? 0 : fmin(low, high), fmax(low, high)};
}

static interval root(const struct rule_in *r)
{
    return (interval){sqrt(fmax(r->a.least, 0)), sqrt(fmax(r->a.most, 0))};
}

static interval exponential(const struct rule_in *r)
{
    return (interval){exp(r->a.least), exp(r->a.most)};
}

static interval share(const struct rule_in *r)
{
    (void)r;
    return (interval){0, 1};
}

static interval counted(const struct rule_in *r)
{
    (void)r;
    return (interval){0, INT32_MAX};
}

static interval rounded_down(const struct rule_in *r)
{
    return (interval){floor(r->a.least), floor(r->a.most)};
}

static interval rounded_up(const struct rule_in *r)
{
    return (interval){ceil(r->a.least), ceil(r->a.most)};
}

static interval rounded(const struct rule_in *r)
{
    return (interval){floor(r->a.least), ceil(r->a.most)};
}

static interval cut(const struct rule_in *r)
{
    return (interval){trunc(r->a.least), trunc(r->a.most)};
}

static interval same(const struct rule_in *r)
{
    return r->a;
}

static interval either(const struct rule_in *r)
{
    return join(r->b, in(r, 2));
}

static interval any(const struct rule_in *r)
{
    interval y = r->a;
    for (int i = 1; i < r->n->inputs; i++)
        y = join(y, in(r, i));
    return y;
}

/* A place of no row is read as 0 (KILN_NOWHERE). */
static interval gathered(const struct rule_in *r)
{
    return join(r->a, (interval){0, 0});
}

/* The numbers of which the input of a reduction is a list, as PyTorch writes min(x, 800); NULL: it is none. */
static const kiln_node *listed(const struct rule_in *r)
{
    const kiln_node *n = kiln_node_of(r->g, r->n->in[0]);
    while (!strcmp(n->op->name, "reshape"))
        n = kiln_node_of(r->g, n->in[0]);
    const kiln_shape reduced = kiln_tensor_shape(r->g, r->n->out[0]);
    bool list = !strcmp(n->op->name, "concat") && kiln_tensor_shape(r->g, n->out[0]).rank == 1 &&
                kiln_shape_count(&reduced) == 1;
    for (int i = 0; list && i < n->inputs; i++)
        list = kiln_tensor_shape(r->g, n->in[i]).size[0] > 0;
    return list ? n : NULL;
}

static interval smallest(const struct rule_in *r)
{
    const kiln_node *list = listed(r);
    interval y = r->a;
    for (int i = 0; list && i < list->inputs; i++)
        y.most = fmin(y.most, r->of[list->in[i].id].most);
    return y;
}

static interval largest(const struct rule_in *r)
{
    const kiln_node *list = listed(r);
    interval y = r->a;
    for (int i = 0; list && i < list->inputs; i++)
        y.least = fmax(y.least, r->of[list->in[i].id].least);
    return y;
}

static interval constant(const struct rule_in *r)
{
    double real[MOST_READ];
    int64_t wide[MOST_READ];
    int32_t word[MOST_READ];
    float single[MOST_READ];
    const kiln_shape shape = kiln_tensor_shape(r->g, r->n->out[0]);
    const int64_t count = kiln_shape_count(&shape);
    void *at = r->type == KILN_F32   ? (void *)single
               : r->type == KILN_F64 ? (void *)real
               : r->type == KILN_I64 ? (void *)wide
               : r->type == KILN_I32 ? (void *)word
                                     : NULL;
    kiln_array array = {.data = at, .bytes = (size_t)MOST_READ * kiln_type_size(r->type)};
    if (!at || count < 1 || count > MOST_READ || kiln_constant_read(r->g, r->n->out[0], &array))
        return unknown(r);
    interval y = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < count; i++) {
        const double x = r->type == KILN_F32   ? (double)single[i]
                         : r->type == KILN_F64 ? real[i]
                         : r->type == KILN_I64 ? (double)wide[i]
                                               : (double)word[i];
        if (isnan(x))
            return unknown(r);
        y = join(y, (interval){x, x});
    }
    return y;
}

static const struct rule {
    const char *op;
    interval (*rule)(const struct rule_in *r);
} rules[] = {
    {"abs", absolute},
    {"add", add},
    {"cast_integer", cut},
    {"cast_real", same},
    {"ceil", rounded_up},
    {"clip", clipped},
    {"concat", any},
    {"constant", constant},
    {"count_of", counted},
    {"div", quotient},
    {"exp", exponential},
    {"expand", same},
    {"expand_to", same},
    {"first", same},
    {"flatten", same},
    {"floor", rounded_down},
    {"gather", gathered},
    {"gather_elements", gathered},
    {"gather_nd", gathered},
    {"max", most_of},
    {"min", least_of},
    {"mod", remainder_of},
    {"mul", mul},
    {"neg", neg},
    {"reduce_max", largest},
    {"reduce_min", smallest},
    {"relu", relu},
    {"reshape", same},
    {"reshape_to", same},
    {"round", rounded},
    {"scale", scaled},
    {"shift", shifted},
    {"sigmoid", share},
    {"slice", same},
    {"softmax", share},
    {"sqrt", root},
    {"squeeze", same},
    {"sub", sub},
    {"top_k", same},
    {"transpose", same},
    {"trunc", cut},
    {"unsqueeze", same},
    {"where", either},
};

static interval by_rule(const struct rule_in *r)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(rules[i].op, r->n->op->name))
            return rules[i].rule(r);
    return unknown(r);
}

/* Within the type, or all of it: what goes beyond has wrapped around. */
static interval settled(interval y, kiln_type type)
{
    const interval all = of_type(type);
    const bool within = y.least >= all.least && y.most <= all.most && y.least <= y.most;
    return within ? y : all;
}

/* Counts are reals in kiln, and constants are as they are. */
static bool is_rounded(const struct rule_in *r)
{
    const char *op = r->n->op->name;
    bool rounded = kiln_type_is_real(r->type) && strcmp(op, "count_of") && strcmp(op, "constant");
    for (int i = 0; i < r->n->inputs && strcmp(op, "count_of"); i++)
        rounded |= in(r, i).rounded;
    return rounded;
}

/* All values ------------------------------------------------------------------------------------------------------- */

static bool put(struct kiln_onnx *m, kiln_tensor t, interval y)
{
    while ((uint32_t)m->interval.count <= t.id)
        if (!kiln_vec_push(&m->interval, (interval){-INFINITY, INFINITY}))
            return false;
    m->interval.data[t.id] = y;
    return true;
}

static bool add_node(struct kiln_onnx *m, const kiln_node *n)
{
    struct rule_in r = {.g = m->g, .n = n};
    for (int i = 1; i < n->outputs; i++)
        if (!put(m, n->out[i], of_type(kiln_tensor_type(m->g, n->out[i]))))
            return false;
    if (n->outputs < 1)
        return true;
    r.of = m->interval.data;
    r.type = kiln_tensor_type(m->g, n->out[0]);
    r.a = n->inputs > 0 ? in(&r, 0) : of_type(r.type);
    r.b = n->inputs > 1 ? in(&r, 1) : r.a;
    interval y = settled(by_rule(&r), r.type);
    y.rounded = is_rounded(&r);
    return put(m, n->out[0], y);
}

/* Of all nodes that have been built since. */
static bool go_on(struct kiln_onnx *m)
{
    bool done = m->interval.count || put(m, KILN_NONE, (interval){-INFINITY, INFINITY});
    for (; done && m->bounded < kiln_graph_node_count(m->g); m->bounded += done)
        done = add_node(m, kiln_graph_node_at(m->g, m->bounded));
    if (!done)
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "out of memory");
    return done;
}

struct kiln_onnx_interval kiln_onnx_interval_of(struct kiln_onnx *m, kiln_tensor t)
{
    const bool there = t.id && go_on(m) && t.id < (uint32_t)m->interval.count;
    return there ? m->interval.data[t.id] : (interval){-INFINITY, INFINITY};
}

void kiln_onnx_say_interval(struct kiln_onnx *m, kiln_tensor t, struct kiln_onnx_interval y)
{
    if (t.id && go_on(m) && !put(m, t, y))
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "out of memory");
}
