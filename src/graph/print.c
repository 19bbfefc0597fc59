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

struct printer {
    void (*write)(void *user, const char *text);
    void *user;
};

static void print_graph(const struct printer *p, const kiln_graph *g, int depth);

static void print_indented(const struct printer *p, int depth, const char *text)
{
    for (int i = 0; i < depth; i++)
        p->write(p->user, "    ");
    p->write(p->user, text);
}

/* What a node holds is printed below it. */
static void print_bodies(const struct printer *p, const kiln_node *n, int depth)
{
    const kiln_graph *body;
    for (int i = 0; n->op->body && (body = n->op->body(n->params, i)); i++) {
        struct kiln_text line = {0};
        kiln_text_add(&line, "body \"%s\" gives", body->name);
        for (int k = 0; k < body->output.count; k++)
            kiln_text_add(&line, "%s v%u", k ? "," : "", body->output.data[k].id);
        kiln_text_add(&line, "\n");
        print_indented(p, depth + 1, kiln_text_get(&line));
        kiln_text_finish(&line);
        print_graph(p, body, depth + 2);
    }
}

static void print_graph(const struct printer *p, const kiln_graph *g, int depth)
{
    for (int i = 0; i < g->node.count; i++) {
        struct kiln_text line = {0};
        print_node(g, g->node.data[i], &line);
        print_indented(p, depth, kiln_text_get(&line));
        kiln_text_finish(&line);
        print_bodies(p, g->node.data[i], depth);
    }
}

void kiln_graph_print(const kiln_graph *g, void (*write)(void *user, const char *text), void *user)
{
    print_graph(&(struct printer){write, user}, g, 0);
}
