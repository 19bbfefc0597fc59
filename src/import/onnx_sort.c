/*
 * onnx_sort.c - nodes in an order of execution: each behind those that make what it, or a body within it, reads.
 *
 * The standard demands that order of a file, and not every tool keeps it. A list that has it stays as it is; of another, each node
 * comes where it stood or, if one before it reads what it makes, just in front of that one. In a cycle there is no such order: the
 * list stays as it is, one of its nodes reads what nothing before it makes, and the reader of the list tells it. (A body that makes
 * a value of its own by the name of one outside looks like a reader of that one, and so may look like a cycle.)
 */
#include <limits.h>
#include <string.h>

#include "import/onnx.h"

struct sorter {
    Onnx__NodeProto **node;
    int count;
    struct kiln_map maker; /* name -> index in node */
    KILN_VEC(int) edge;    /* the nodes that node i reads from: edge[first[i]] .. edge[first[i + 1] - 1] */
    KILN_VEC(int) first, open;
    bool kept; /* there was memory */
};

static void add_read(struct sorter *s, const char *name)
{
    const int from = name && name[0] ? kiln_map_find(&s->maker, name) : -1;
    if (from >= 0)
        s->kept = s->kept && kiln_vec_push(&s->edge, from);
}

static void add_reads(struct sorter *s, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_input; i++)
        add_read(s, n->input[i]);
    for (size_t i = 0; i < n->n_attribute; i++) {
        const Onnx__GraphProto *body = n->attribute[i]->g;
        for (size_t k = 0; body && k < body->n_node; k++)
            add_reads(s, body->node[k]);
        for (size_t k = 0; body && k < body->n_output; k++)
            add_read(s, body->output[k]->name);
    }
}

/* Fill in who reads from whom; whether all comes behind what it reads already. */
static bool find_edges(struct sorter *s)
{
    bool sorted = true;
    for (int i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->node[i]->n_output && s->kept; k++)
            s->kept = kiln_map_put(&s->maker, s->node[i]->output[k], i);
    for (int i = 0; i < s->count && s->kept; i++) {
        s->kept = kiln_vec_push(&s->first, s->edge.count);
        add_reads(s, s->node[i]);
        for (int k = s->first.data ? s->first.data[i] : 0; k < s->edge.count; k++)
            sorted = sorted && s->edge.data[k] < i;
    }
    s->kept = s->kept && kiln_vec_push(&s->first, s->edge.count);
    return sorted;
}

/*
 * Put node i, and before it all that it needs and that is not there yet, behind the others of `to`; false in a cycle. next: of a node,
 * the edge to look at next; -1 if it was not looked at, INT_MAX if it is there.
 */
static bool put(struct sorter *s, int i, int *next, Onnx__NodeProto **to, int *count)
{
    s->open.count = 0;
    for (int from = i;;) {
        if (next[from] >= 0 && next[from] < INT_MAX)
            return false;
        if (next[from] < 0) {
            next[from] = s->first.data[from];
            s->open.data[s->open.count++] = from;
        }
        while (s->open.count) {
            const int top = s->open.data[s->open.count - 1];
            if (next[top] < s->first.data[top + 1]) {
                from = s->edge.data[next[top]++];
                break;
            }
            next[top] = INT_MAX;
            to[(*count)++] = s->node[top];
            kiln_vec_pop(&s->open);
        }
        if (!s->open.count)
            return true;
    }
}

static void reorder(struct sorter *s)
{
    int *next = malloc((size_t)s->count * sizeof *next), count = 0;
    Onnx__NodeProto **to = malloc((size_t)s->count * sizeof *to);
    bool whole = s->kept = next && to && kiln_vec_reserve(&s->open, s->count);
    for (int i = 0; whole && i < s->count; i++)
        next[i] = -1;
    for (int i = 0; whole && i < s->count; i++)
        whole = next[i] >= 0 || put(s, i, next, to, &count);
    if (whole)
        memcpy(s->node, to, (size_t)s->count * sizeof *to);
    free(next);
    free(to);
}

static bool sort_nodes(Onnx__NodeProto **node, size_t count)
{
    struct sorter s = {.node = node, .count = (int)count, .kept = count <= INT32_MAX};
    if (s.kept && !find_edges(&s) && s.kept)
        reorder(&s);
    kiln_map_finish(&s.maker);
    kiln_vec_finish(&s.edge);
    kiln_vec_finish(&s.first);
    kiln_vec_finish(&s.open);
    for (size_t i = 0; s.kept && i < count; i++)
        for (size_t k = 0; s.kept && k < node[i]->n_attribute; k++)
            if (node[i]->attribute[k]->g)
                s.kept = sort_nodes(node[i]->attribute[k]->g->node, node[i]->attribute[k]->g->n_node);
    return s.kept;
}

bool kiln_onnx_sort(Onnx__ModelProto *model)
{
    bool kept = !model->graph || sort_nodes(model->graph->node, model->graph->n_node);
    for (size_t i = 0; kept && i < model->n_functions; i++)
        kept = sort_nodes(model->functions[i]->node, model->functions[i]->n_node);
    return kept;
}
