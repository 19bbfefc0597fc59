/*
 * walk.c - reading a graph from outside: nodes, what their params hold, constants, symbols.
 */
#include <string.h>

#include "base/half.h"
#include "base/log.h"
#include "graph/graph.h"

int kiln_graph_node_count(const kiln_graph *g)
{
    return g->node.count;
}

const kiln_node *kiln_graph_node_at(const kiln_graph *g, int index)
{
    return index >= 0 && index < g->node.count ? g->node.data[index] : NULL;
}

const kiln_node *kiln_node_of(const kiln_graph *g, kiln_tensor t)
{
    return kiln_graph_node(g, t);
}

const char *kiln_dim_name(const kiln_graph *g, int64_t size)
{
    return kiln_dim_is_symbol(g, size) ? g->dim.data[-1 - size].name : NULL;
}

/* Params ------------------------------------------------------------------------------------------------- */

static const kiln_field *find_field(const kiln_node *n, const char *name)
{
    for (const kiln_field *f = n->op->fields; f && f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

static int64_t integer_at(const kiln_node *n, const kiln_field *f, int i)
{
    const unsigned char *at = (const unsigned char *)n->params + f->offset;
    switch (f->kind) {
    case KILN_FIELD_INT:
        return ((const int *)(const void *)at)[i];
    case KILN_FIELD_UINT:
        return ((const uint32_t *)(const void *)at)[i];
    case KILN_FIELD_I64:
        return ((const int64_t *)(const void *)at)[i];
    default:
        return ((const bool *)at)[i];
    }
}

int kiln_node_integers(const kiln_node *n, const char *field, int64_t *out, int room)
{
    const kiln_field *f = find_field(n, field);
    if (!f || f->kind == KILN_FIELD_REAL)
        return 0;
    for (int i = 0; i < f->count && i < room; i++)
        out[i] = integer_at(n, f, i);
    return f->count;
}

int kiln_node_reals(const kiln_node *n, const char *field, double *out, int room)
{
    const kiln_field *f = find_field(n, field);
    if (!f || f->kind != KILN_FIELD_REAL)
        return 0;
    const int count = f->count < room ? f->count : room;
    memcpy(out, (const unsigned char *)n->params + f->offset, (size_t)count * sizeof *out);
    return f->count;
}

bool kiln_graph_attached(const kiln_graph *g, int index, kiln_tensor *effect, kiln_tensor *with)
{
    if (index < 0 || index >= g->attachment.count)
        return false;
    *effect = g->attachment.data[index].effect;
    *with = g->attachment.data[index].with;
    return true;
}

/* Constants ---------------------------------------------------------------------------------------------- */

/* One element of the logical type from the wide one that stands for it: F64 for reals, I64 for integers. */
static void narrow(void *to, kiln_type type, const void *wide)
{
    double real;
    memcpy(&real, wide, sizeof real);
    const float single = (float)real;
    const uint16_t half = type == KILN_F16 ? kiln_half_from(single) : kiln_bf16_from(single);
    const void *from = wide; /* an integer's low bytes come first */
    if (type == KILN_F32)
        from = &single;
    else if (type == KILN_F16 || type == KILN_BF16)
        from = &half;
    memcpy(to, from, kiln_type_size(type));
}

kiln_status kiln_constant_read(const kiln_graph *g, kiln_tensor t, kiln_array *dst)
{
    const kiln_node *n = kiln_graph_node(g, t);
    if (!n || n->op != &kiln_op_constant)
        return kiln_fail(KILN_ERROR_ARGUMENT, "constant \"%s\": the value is none", kiln_tensor_name(g, t));
    const struct kiln_constant_params *p = n->params;
    const size_t size = kiln_type_size(p->spec.type), wide = kiln_type_size(p->stored);
    const size_t count = p->bytes / wide;
    if (dst->bytes && dst->bytes < count * size)
        return kiln_fail(KILN_ERROR_SHAPE, "constant: needs %zu bytes, got %zu", count * size, dst->bytes);
    const unsigned char *from = kiln_constant_data(p);
    dst->type = p->spec.type;
    dst->shape = p->spec.shape;
    if (p->stored == p->spec.type)
        memcpy(dst->data, from, p->bytes);
    else
        for (size_t i = 0; i < count; i++)
            narrow((unsigned char *)dst->data + i * size, p->spec.type, from + i * wide);
    return KILN_OK;
}
