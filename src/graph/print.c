/* print.c - a graph as text, a line a node:  v7 f32 [batch, 10] = add(v5, v6)  "logits" */
#include "base/text.h"
#include "graph/graph.h"

static void print_outputs(const kiln_graph *g, const kiln_node *n, struct kiln_text *line)
{
    char shape[128];
    for (int i = 0; i < n->outputs; i++) {
        const kiln_spec spec = kiln_tensor_spec(g, n->out[i]);
        kiln_text_add(line, "%sv%u %s %s", i ? ", " : "", n->out[i].id, kiln_type_name(spec.type),
                      kiln_graph_shape_text(g, &spec.shape, shape, sizeof shape));
    }
}

static void print_node(const kiln_graph *g, const kiln_node *n, struct kiln_text *line)
{
    print_outputs(g, n, line);
    kiln_text_add(line, " = %s(", n->op->name);
    for (int i = 0; i < n->inputs; i++)
        kiln_text_add(line, n->in[i].id ? "%sv%u" : "%snone", i ? ", " : "", n->in[i].id);
    kiln_text_add(line, ")");
    for (int i = 0; i < n->outputs; i++)
        if (kiln_tensor_name(g, n->out[i])[0])
            kiln_text_add(line, "  \"%s\"", kiln_tensor_name(g, n->out[i]));
    kiln_text_add(line, "\n");
}

void kiln_graph_print(const kiln_graph *g, void (*write)(void *user, const char *text), void *user)
{
    for (int i = 0; i < g->node.count; i++) {
        struct kiln_text line = {0};
        print_node(g, g->node.data[i], &line);
        write(user, kiln_text_get(&line));
        kiln_text_finish(&line);
    }
}
