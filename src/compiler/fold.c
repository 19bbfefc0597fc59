/*
 * fold.c - constants: a node whose inputs are known is evaluated while compiling, in double precision, so that float64
 * programs lose nothing.
 *
 * An operator may bring its own evaluation (kiln_op.fold), as shape arithmetic does. Any other is lowered alone, in a plan of
 * one node, and interpreted by the kernels' references.
 */
#include "compiler/fold.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/convert.h"
#include "compiler/interpret.h"

enum { MOST_ELEMENTS = 4096, MOST_INPUTS = 8 };

static bool foldable(const struct kiln_rewrite *r, const kiln_node *n, const kiln_tensor *in,
                     const kiln_spec *out)
{
    const bool plain = !(n->op->flags & (KILN_OP_EFFECT | KILN_OP_RANDOM | KILN_OP_LATE)) && n->inputs &&
                       n->inputs <= MOST_INPUTS;
    const int64_t count = kiln_shape_count(&out->shape);
    if (!plain || n->outputs != 1 || count < 0 || count > MOST_ELEMENTS)
        return false;
    for (int i = 0; i < n->inputs; i++) {
        const bool shape_only = n->op->fold && kiln_node_reads_shape(n, i);
        if (!in[i].id || (!shape_only && kiln_graph_node(r->to, in[i])->op != &kiln_op_constant))
            return false;
        const kiln_spec spec = kiln_tensor_spec(r->to, in[i]);
        const int64_t size = kiln_shape_count(&spec.shape);
        if (size < 0 ||
            (!shape_only && size > MOST_ELEMENTS)) /* negative: it depends on data, or overflows */
            return false;
    }
    return n->op->fold || n->op->lowering_count || n->op->flags & KILN_OP_ALIAS;
}

static kiln_type wide_type(kiln_type type)
{
    return kiln_type_is_real(type) ? KILN_F64 : KILN_I64;
}

/* A constant as an array of doubles or 64-bit integers; of a shape input the shape alone. */
static bool widen(const kiln_graph *g, kiln_tensor t, kiln_array *wide)
{
    const kiln_spec spec = kiln_tensor_spec(g, t);
    const kiln_node *n = kiln_graph_node(g, t);
    *wide = (kiln_array){.type = wide_type(spec.type), .shape = spec.shape};
    if (n->op != &kiln_op_constant)
        return true;
    const struct kiln_constant_params *p = n->params;
    const size_t count = (size_t)kiln_shape_count(&spec.shape);
    wide->bytes = count * sizeof(double);
    wide->data = malloc(wide->bytes + 1);
    if (wide->data)
        kiln_convert(wide->data, wide->type, kiln_constant_data(p), p->stored, count);
    return wide->data;
}

static bool evaluate(struct kiln_rewrite *r, const kiln_node *n, const kiln_tensor *in, kiln_array *wide,
                     kiln_array *y)
{
    bool whole = true;
    for (int i = 0; i < n->inputs && whole; i++)
        whole = widen(r->to, in[i], &wide[i]);
    if (!whole)
        return false;
    return n->op->fold ? n->op->fold(r->to, n, wide, y) == KILN_OK
                       : kiln_interpret_node(r->from, n, wide, y) == KILN_OK;
}

bool kiln_fold_constant(struct kiln_rewrite *r, const kiln_node *n, const kiln_tensor *in,
                        const kiln_spec *out)
{
    if (!foldable(r, n, in, out))
        return false;
    kiln_array wide[MOST_INPUTS] = {{0}};
    const size_t count = (size_t)kiln_shape_count(&out->shape);
    kiln_array y = {.type = wide_type(out->type), .shape = out->shape, .bytes = count * sizeof(double)};
    y.data = calloc(count + 1, sizeof(double));
    const bool folded = y.data && evaluate(r, n, in, wide, &y);
    if (folded && y.type == KILN_F64)
        kiln_round_to(y.data, out->type, count);
    if (folded)
        r->map[n->out[0].id] = kiln_graph_constant(r->to, *out, y.type, y.data, y.bytes);
    for (int i = 0; i < n->inputs; i++)
        free(wide[i].data);
    free(y.data);
    return folded;
}
