/* control.c - what the builders and rules of loops and branches share. See control.h. */
#include "ops/control.h"

#include <string.h>

int kiln_given_values(const kiln_tensor *list)
{
    int count = 0;
    while (count < KILN_BODY_VALUES && list[count].id)
        count++;
    return count;
}

bool kiln_body_fits(kiln_graph *g, const char *what, const kiln_graph *body)
{
    if (g->status)
        return false;
    if (body->status)
        kiln_graph_fail(g, body->status, "%s of \"%s\": the body has failed: %s", what, body->name,
                        kiln_graph_error(body));
    return !g->status;
}

int kiln_body_values(const kiln_graph *body)
{
    int count = 0;
    for (int i = 0; i < body->output.count; i++)
        count += !kiln_is_effect(body, body->output.data[i]);
    return count;
}

kiln_tensor kiln_body_input(kiln_graph *body, const kiln_spec *spec, bool list)
{
    const struct kiln_leaf_params p = {.spec = *spec};
    const kiln_node *n = kiln_graph_add(body, &kiln_op_input, NULL, 0, &p, sizeof p, spec, 1, NULL);
    if (n && (!list || kiln_vec_push(&body->input, n->out[0])))
        return n->out[0];
    kiln_graph_fail(body, KILN_ERROR_MEMORY, "body \"%s\": out of memory", body->name);
    return KILN_NONE;
}

/* Specs -------------------------------------------------------------------------------------------------- */

kiln_spec kiln_body_input_spec(struct kiln_sizes *s, int index)
{
    const kiln_spec spec = kiln_tensor_spec(s->body, s->body->input.data[index]);
    return kiln_sizes_spec(s, &spec);
}

kiln_spec kiln_body_output_spec(struct kiln_sizes *s, int index)
{
    const kiln_spec spec = kiln_tensor_spec(s->body, s->body->output.data[index]);
    return kiln_sizes_spec(s, &spec);
}

kiln_status kiln_body_bind(struct kiln_sizes *s, const kiln_node *n, int index, const kiln_spec *got)
{
    const kiln_tensor input = s->body->input.data[index];
    const kiln_spec want = kiln_tensor_spec(s->body, input);
    char a[96], b[96];
    if (kiln_sizes_bind(s, &want, got))
        return KILN_OK;
    return kiln_node_fail(s->g, n, KILN_ERROR_SHAPE, "body \"%s\" takes \"%s\" as %s %s, got %s %s",
                          s->body->name, kiln_tensor_name(s->body, input), kiln_type_name(want.type),
                          kiln_graph_shape_text(s->body, &want.shape, a, sizeof a), kiln_type_name(got->type),
                          kiln_graph_shape_text(s->g, &got->shape, b, sizeof b));
}

kiln_status kiln_body_keeps(struct kiln_sizes *s, const kiln_node *n, int input, int output)
{
    const kiln_spec was = kiln_body_input_spec(s, input), is = kiln_body_output_spec(s, output);
    char a[96], b[96];
    if (was.type == is.type && kiln_shape_equal(&was.shape, &is.shape))
        return KILN_OK;
    return kiln_node_fail(s->g, n, KILN_ERROR_SHAPE,
                          "body \"%s\" takes \"%s\" as %s %s and hands it on as %s %s", s->body->name,
                          kiln_tensor_name(s->body, s->body->input.data[input]), kiln_type_name(was.type),
                          kiln_graph_shape_text(s->g, &was.shape, a, sizeof a), kiln_type_name(is.type),
                          kiln_graph_shape_text(s->g, &is.shape, b, sizeof b));
}

kiln_status kiln_stacked_spec(kiln_graph *g, const kiln_node *n, const kiln_spec *x, int64_t size,
                              kiln_spec *out)
{
    const int rank = x->shape.rank;
    if (rank == KILN_MAX_RANK)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "what is stacked has rank %d already, the most there is", rank);
    *out = (kiln_spec){x->type, {.rank = rank + 1}};
    out->shape.size[0] = size;
    memcpy(out->shape.size + 1, x->shape.size, (size_t)rank * sizeof *x->shape.size);
    return KILN_OK;
}
