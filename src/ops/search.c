/*
 * search.c - places in sorted lists.
 *
 *   y[.., i] = how many of list[.., ..] are less than x[.., i], or not greater
 *
 * Kernel: shaders/search/, src/cpu/search.c.   Tests: tests/ops/search.c.
 */
#include "search/search.h"

#include <kiln/indexing.h>

#include "base/log.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

/* params: 1 for "not greater" */
static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec list = kiln_tensor_spec(g, n->in[0]), x = kiln_tensor_spec(g, n->in[1]);
    char a[96], b[96];
    *out = (kiln_spec){KILN_I32, x.shape};
    if (list.type != x.type)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "the list is %s, x is %s", kiln_type_name(list.type),
                              kiln_type_name(x.type));
    bool fits = list.shape.rank == 1 || (list.shape.rank > 1 && list.shape.rank == x.shape.rank);
    for (int i = 0; fits && list.shape.rank > 1 && i < x.shape.rank - 1; i++)
        fits = list.shape.size[i] == x.shape.size[i];
    return fits ? KILN_OK
                : kiln_node_fail(g, n, KILN_ERROR_SHAPE, "list %s and x %s do not fit",
                                 kiln_graph_shape_text(g, &list.shape, a, sizeof a),
                                 kiln_graph_shape_text(g, &x.shape, b, sizeof b));
}

static void no_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

/* A list goes on with what comes last; counting "not greater" would count that too. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const kiln_spec list = kiln_tensor_spec(g, n->in[0]);
    if (input || axis < list.shape.rank - 1)
        return KILN_IGNORED;
    return *(const uint32_t *)n->params ? KILN_REFUSED : KILN_FILLED(kiln_last_of(list.type, false));
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec list = kiln_plan_spec(plan, n->in[0]), x = kiln_plan_spec(plan, n->in[1]);
    const bool natural = list.type == KILN_BOOL || kiln_type_is_unsigned(list.type);
    const int64_t count = kiln_shape_count(&x.shape);
    const int64_t cols = x.shape.rank ? x.shape.size[x.shape.rank - 1] : 1;
    const int64_t length = list.shape.size[list.shape.rank - 1];
    kiln_dispatch d = {
        .kernel = &kiln_kernel_search,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .constants = {kiln_type_is_real(list.type) ? KILN_KEY_F
                      : natural                    ? KILN_KEY_U
                                                   : KILN_KEY_I,
                      *(const uint32_t *)n->params},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_search),
    };
    struct kiln_params_search *block = (struct kiln_params_search *)d.block.words;
    block->rows = (uint32_t)(count / cols);
    block->lists = list.shape.rank > 1 ? block->rows : 1;
    block->entries = (uint32_t)length;
    KILN_DIVISOR_SET(block, cols, (uint32_t)cols);
    return kiln_plan_dispatch(plan, &d);
}

const kiln_op kiln_op_search = {
    .name = "search",
    .inputs = 2,
    .outputs = 1,
    .infer = infer,
    .grad = no_grad,
    .beyond = beyond,
    .lowerings = (const kiln_lowering[]){{.name = "halves", .lower = lower}},
    .lowering_count = 1,
    .fields = (const kiln_field[]){{"right", KILN_FIELD_UINT, 0, 1}, {0}},
};

kiln_tensor kiln_search_sorted(kiln_graph *g, kiln_tensor list, kiln_tensor x, bool right)
{
    const uint32_t p = right;
    return list.id && x.id ? kiln_append(g, &kiln_op_search, (const kiln_tensor[]){list, x}, 2, &p, sizeof p)
                           : KILN_NONE;
}

/* The contract ------------------------------------------------------------------------------------------- */

static const struct kiln_params_search *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_search *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->rows * block_of(d)->cols;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

/* Windows of rows; of the elements of a lone row. */
static uint64_t row_extent(const kiln_dispatch *d)
{
    return block_of(d)->rows;
}

static void row_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const struct kiln_params_search *p = block_of(d);
    unit[0] = p->lists == 1 ? 0 : (uint64_t)p->entries * d->element[0];
    unit[1] = (uint64_t)p->cols * d->element[1];
    unit[2] = (uint64_t)p->cols * 4;
}

static void narrow(kiln_dispatch *d, uint64_t first, uint64_t count, const uint64_t *unit)
{
    const kiln_binding list = d->bind[0];
    kiln_narrow(d, first, count, unit);
    if (!unit[0])
        d->bind[0] = list;
}

static void row_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_search *p = (struct kiln_params_search *)d->block.words;
    uint64_t unit[3];
    row_bytes(d, unit);
    narrow(d, first, count, unit);
    p->lists = p->lists == 1 ? 1 : (uint32_t)count;
    p->rows = (uint32_t)count;
}

static uint64_t row_unit(const kiln_dispatch *d)
{
    uint64_t unit[3];
    row_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

static uint64_t column_extent(const kiln_dispatch *d)
{
    return block_of(d)->rows == 1 ? block_of(d)->cols : 1;
}

static void column_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_search *p = (struct kiln_params_search *)d->block.words;
    narrow(d, first, count, (const uint64_t[]){0, d->element[1], 4});
    KILN_DIVISOR_SET(p, cols, (uint32_t)count);
}

static const kiln_variant flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_search, .half = &kiln_spirv_search_half};

const kiln_kernel kiln_kernel_search = {
    .name = "search",
    .block_size = sizeof(struct kiln_params_search),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_search_f32,
    .reference_f64 = kiln_reference_search_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cuts = (const kiln_cut[]){{row_extent, row_take, row_unit}, {column_extent, column_take}},
    .cut_count = 2,
};
