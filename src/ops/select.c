/*
 * select.c - elements chosen by what they are: how many there will be, the data says.
 *
 *   non_zero   the coordinates of the elements that are not zero, in their order
 *   unique     the different rows of a value, how often each occurs, and where
 *
 * What is chosen has a size that depends on data (kiln_dim_counted_by): the operator's last output counts it.
 *
 * Lowering. non_zero: truth values are cumulated, which gives each chosen element its place. unique: rows are sorted, by their
 * columns from the last to the first, each sort being stable; where a row differs from the one before a run begins; the runs are
 * numbered by a cumulation.
 *
 * Kernels: src/ops/select_kernel.c, shaders/select/, src/cpu/select.c.   Tests: tests/ops/select.c.
 */
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "chain/codes.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/chain.h"
#include "ops/copy.h"
#include "ops/cumulative.h"
#include "ops/kernels.h"
#include "ops/lower.h"
#include "ops/order.h"
#include "ops/slices.h"
#include "select/compact.h"
#include "select/unique.h"

/* non_zero ----------------------------------------------------------------------------------------------- */

static int64_t elements_of(kiln_graph *g, const kiln_shape *shape)
{
    int64_t product = 1;
    for (int symbols = 0; symbols < 2; symbols++)
        for (int i = 0; i < shape->rank; i++)
            if ((shape->size[i] < 0) == symbols)
                product = kiln_dim_mul(g, product, shape->size[i]);
    return product;
}

/* params: at most so many; 0: as many as there are. */
static kiln_status non_zero_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]);
    const int64_t given = *(const int64_t *)n->params, bound = given ? given : elements_of(g, &x);
    if (x.rank == 0)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is a scalar");
    out[0] = (kiln_spec){KILN_I32, KILN_SHAPE(kiln_dim_counted_by(g, n, 1, bound), x.rank)};
    out[1] = (kiln_spec){KILN_I32, KILN_SCALAR};
    return g->status;
}

static void no_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

/* 1 where x is not zero. */
static kiln_status lower_truth(kiln_plan *plan, kiln_tensor x, kiln_tensor y)
{
    const bool real = kiln_type_is_real(kiln_plan_spec(plan, x).type);
    const kiln_chain truth = {
        .operands = 1,
        .steps = 1,
        .step = {KILN_STEP(real ? KILN_STEP_TRUTH_F : KILN_STEP_TRUTH_I, 0, 0, 0)},
        .results = 1,
        .result = {KILN_REGISTER_STEP},
    };
    return kiln_lower_chain(plan, &truth, &x, &y);
}

static kiln_status lower_ranks(kiln_plan *plan, kiln_tensor truth, uint32_t count, kiln_tensor ranks)
{
    return kiln_lower_cumulation(plan, &(struct kiln_cumulation){.code = KILN_CUMULATE_SUM_I,
                                                                 .rows = {1, count, 1},
                                                                 .x = truth,
                                                                 .y = ranks});
}

static kiln_status non_zero_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape;
    const int64_t count = kiln_shape_count(&x);
    if (!count)
        return kiln_plan_fill(plan, (kiln_binding){.value = n->out[1]}, 0);
    const kiln_tensor truth = kiln_plan_temporary(plan, KILN_I32, count),
                      ranks = kiln_plan_temporary(plan, KILN_I32, count);
    kiln_status status = lower_truth(plan, n->in[0], truth);
    if (!status)
        status = lower_ranks(plan, truth, (uint32_t)count, ranks);
    if (status)
        return status;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_compact,
        .bind = {{.value = ranks}, {.value = n->out[0]}, {.value = n->out[1]}},
        .block_size = sizeof(struct kiln_params_compact),
    };
    struct kiln_params_compact *block = (struct kiln_params_compact *)d.block.words;
    block->elements = (uint32_t)count;
    block->bound = (uint32_t)kiln_plan_spec(plan, n->out[0]).shape.size[0];
    block->axes = (uint32_t)x.rank;
    for (int i = 0; i < x.rank; i++) {
        block->size[i] = (uint32_t)x.size[i];
        block->multiplier[i] = kiln_divisor_multiplier(block->size[i]);
        block->shift[i] = kiln_divisor_shift(block->size[i]);
    }
    return kiln_plan_dispatch(plan, &d);
}

/* What is not there is zero. */
static kiln_beyond non_zero_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)n, (void)input, (void)axis;
    return KILN_FILLED(0);
}

const kiln_op kiln_op_non_zero = {
    .name = "non_zero",
    .inputs = 1,
    .outputs = 2,
    .infer = non_zero_infer,
    .grad = no_grad,
    .beyond = non_zero_beyond,
    .lowerings = (const kiln_lowering[]){{.name = "compact", .lower = non_zero_lower}},
    .lowering_count = 1,
    .fields = (const kiln_field[]){{"bound", KILN_FIELD_I64, 0, 1}, {0}},
};

kiln_tensor kiln_non_zero(kiln_graph *g, kiln_tensor x, int64_t bound, kiln_tensor *count)
{
    const kiln_tensor y = x.id ? kiln_append(g, &kiln_op_non_zero, &x, 1, &bound, sizeof bound) : KILN_NONE;
    if (count)
        *count = kiln_node_output(g, y, 1);
    return y;
}

/* Where the elements of a vector that count stand: [S]. */
static kiln_tensor places_of(kiln_graph *g, kiln_tensor condition)
{
    return kiln_squeeze(g, kiln_non_zero(g, condition, 0, NULL), 1);
}

kiln_tensor kiln_compress(kiln_graph *g, kiln_tensor x, kiln_tensor condition, int axis)
{
    const struct kiln_naming_params p = {.axis = axis, .distinct = true};
    const kiln_tensor places = places_of(g, condition);
    return x.id && places.id
               ? kiln_append(g, &kiln_op_gather, (const kiln_tensor[]){x, places}, 2, &p, sizeof p)
               : KILN_NONE;
}

kiln_tensor kiln_masked_select(kiln_graph *g, kiln_tensor x, kiln_tensor mask)
{
    const kiln_shape flat = KILN_SHAPE(KILN_REST);
    const kiln_tensor all = kiln_expand_to(g, mask, x);
    return x.id && all.id ? kiln_compress(g, kiln_reshape(g, x, flat), kiln_reshape(g, all, flat), 0)
                          : KILN_NONE;
}

/* unique ------------------------------------------------------------------------------------------------- */

enum { VALUES, FIRST, INVERSE, COUNTS, COUNT, UNIQUE_OUTPUTS, MOST_COLUMNS = 64 };

/* Of {x [rows, cols] or [rows], and how many of them are there, where that is counted}. */
static kiln_status unique_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]);
    const int64_t size = kiln_dim_counted_by(g, n, COUNT, x.shape.size[0]);
    out[VALUES] = x;
    out[VALUES].shape.size[0] = size;
    out[FIRST] = out[COUNTS] = (kiln_spec){KILN_I32, KILN_SHAPE(size)};
    out[INVERSE] = (kiln_spec){KILN_I32, KILN_SHAPE(x.shape.size[0])};
    out[COUNT] = (kiln_spec){KILN_I32, KILN_SCALAR};
    return g->status;
}

/* A unique value's gradient goes to where it first stands. */
static void unique_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct kiln_naming_params p = {.distinct = true};
    const kiln_tensor in[] = {dy[VALUES], n->out[FIRST], n->in[0]};
    if (dy[VALUES].id)
        dx[0] = kiln_append(g, &kiln_op_gather_grad, in, 3, &p, sizeof p);
}

/* Column c of x [rows, cols], its rows in an order; none: as they are. */
static kiln_status lower_column(kiln_plan *plan, kiln_tensor x, uint32_t rows, uint32_t cols, uint32_t c,
                                kiln_tensor order, kiln_tensor y)
{
    const struct kiln_walk column = {
        .rank = 1, .size = {rows}, .x_step = {cols}, .y_step = {1}, .x_start = c};
    const struct kiln_slices picked = {
        .outer = 1, .rows = rows, .inner = 1, .count = rows, .share = 1, .index = {.value = order}};
    if (!order.id)
        return kiln_plan_walk(plan, x, y, &column);
    if (cols == 1)
        return kiln_lower_gather(plan, &picked, x, y);
    const kiln_tensor dense = kiln_plan_temporary(plan, kiln_plan_spec(plan, x).type, rows);
    const kiln_status status = kiln_plan_walk(plan, x, dense, &column);
    return status ? status : kiln_lower_gather(plan, &picked, dense, y);
}

/* The rows of x in their order: a stable sort by each column, the last one first. */
static kiln_status lower_order(kiln_plan *plan, kiln_tensor x, uint32_t rows, uint32_t cols,
                               kiln_tensor *order)
{
    const kiln_type type = kiln_plan_spec(plan, x).type;
    kiln_status status = KILN_OK;
    *order = KILN_NONE;
    for (uint32_t c = cols; c-- > 0 && !status;) {
        const kiln_tensor sorted = kiln_plan_temporary(plan, type, rows),
                          at = kiln_plan_temporary(plan, KILN_I32, rows);
        kiln_tensor column = x;
        if (cols > 1) {
            column = kiln_plan_temporary(plan, type, rows);
            status = lower_column(plan, x, rows, cols, c, *order, column);
        }
        if (!status)
            status = kiln_lower_sort(plan, column, rows, sorted, at);
        if (!status && order->id) {
            const kiln_tensor next = kiln_plan_temporary(plan, KILN_I32, rows);
            status = lower_column(plan, *order, rows, 1, 0, at, next);
            *order = next;
        } else {
            *order = at;
        }
    }
    return status;
}

static kiln_dispatch unique_dispatch(const kiln_plan *plan, const kiln_node *n, const kiln_kernel *kernel,
                                     const kiln_tensor *bind)
{
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]);
    kiln_dispatch d = {
        .kernel = kernel,
        .constants = {kiln_type_is_real(x.type), n->inputs > 1, kiln_plan_words(plan, n->in[0])},
        .constant_count = 3,
        .block_size = sizeof(struct kiln_params_unique),
    };
    *(struct kiln_params_unique *)d.block.words =
        (struct kiln_params_unique){.rows = (uint32_t)x.shape.size[0],
                                    .cols = x.shape.rank > 1 ? (uint32_t)x.shape.size[1] : 1};
    for (int i = 0; i < kernel->bindings; i++)
        d.bind[i].value = bind[i];
    return d;
}

/* Of {first, runs, ends}, each of so many rows, one to an output. */
static kiln_status give_places(kiln_plan *plan, kiln_tensor places, uint32_t which, uint32_t rows,
                               kiln_tensor to)
{
    const uint64_t bytes = 4 * (uint64_t)rows;
    return kiln_plan_copy(plan, (kiln_binding){places, which * bytes, bytes}, (kiln_binding){.value = to});
}

static kiln_status unique_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape;
    const uint32_t rows = (uint32_t)x.size[0], cols = x.rank > 1 ? (uint32_t)x.size[1] : 1;
    const kiln_tensor there = n->inputs > 1 ? n->in[1] : KILN_NONE;
    if (!rows)
        return kiln_plan_fill(plan, (kiln_binding){.value = n->out[COUNT]}, 0);
    if (cols > MOST_COLUMNS)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "unique: rows of %u elements, at most %d", cols,
                         MOST_COLUMNS);
    kiln_tensor order;
    kiln_status status = lower_order(plan, n->in[0], rows, cols, &order);
    if (status)
        return status;
    const kiln_tensor heads = kiln_plan_temporary(plan, KILN_I32, rows),
                      ranks = kiln_plan_temporary(plan, KILN_I32, rows),
                      places = kiln_plan_temporary(plan, KILN_I32, 3 * (int64_t)rows);
    const kiln_dispatch steps[] = {
        unique_dispatch(plan, n, &kiln_kernel_unique_heads,
                        (const kiln_tensor[]){n->in[0], order, there, heads}),
        unique_dispatch(plan, n, &kiln_kernel_unique_store,
                        (const kiln_tensor[]){n->in[0], order, there, ranks, n->out[VALUES], places,
                                              n->out[COUNT]}),
        unique_dispatch(plan, n, &kiln_kernel_unique_counts, (const kiln_tensor[]){places, n->out[COUNTS]}),
    };
    if ((status = kiln_plan_dispatch(plan, &steps[0])) || (status = lower_ranks(plan, heads, rows, ranks)) ||
        (status = kiln_plan_dispatch(plan, &steps[1])) || (status = kiln_plan_dispatch(plan, &steps[2])) ||
        (status = give_places(plan, places, 0, rows, n->out[FIRST])))
        return status;
    return give_places(plan, places, 1, rows, n->out[INVERSE]);
}

/* Rows that are not there come last, and are told apart by their count. */
static kiln_beyond unique_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)input;
    if (axis)
        return KILN_REFUSED;
    return n->inputs > 1 ? KILN_FILLED(kiln_last_of(kiln_tensor_type(g, n->in[0]), false)) : KILN_COUNTED;
}

static kiln_tensor unique_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    const kiln_tensor both[] = {in[0], kiln_size_tensor(g, kiln_tensor_shape(g, in[0]).size[0])};
    return kiln_append(g, n->op, both, 2, NULL, 0);
}

const kiln_op kiln_op_unique = {
    .name = "unique",
    .inputs = 1,
    .outputs = UNIQUE_OUTPUTS,
    .infer = unique_infer,
    .grad = unique_grad,
    .beyond = unique_beyond,
    .counted = unique_counted,
    .lowerings = (const kiln_lowering[]){{.name = "runs", .lower = unique_lower}},
    .lowering_count = 1,
};

/* x as [rows, cols], the axis being the rows; how to undo it. */
struct turned {
    int rank, order[KILN_MAX_RANK], back[KILN_MAX_RANK];
    kiln_shape shape; /* of the values again: as many rows as there are, then the other axes */
};

static struct turned turn(const kiln_shape *x, int axis)
{
    struct turned t = {.rank = x->rank, .shape = {.rank = x->rank}};
    t.order[0] = axis;
    for (int i = 0, at = 1; i < x->rank; i++)
        if (i != axis)
            t.order[at++] = i;
    for (int i = 0; i < x->rank; i++) {
        t.back[t.order[i]] = i;
        t.shape.size[i] = i ? x->size[t.order[i]] : 0;
    }
    return t;
}

/* The runs in the order in which their first rows stand. */
static kiln_tensor by_appearance(kiln_graph *g, kiln_tensor values, kiln_unique_parts *p)
{
    kiln_tensor order;
    p->first = kiln_sort(g, p->first, 0, false, &order);
    p->counts = kiln_gather(g, p->counts, order, 0);
    p->inverse = kiln_gather(g, kiln_argsort(g, order, 0, false), p->inverse, 0);
    return kiln_gather(g, values, order, 0);
}

kiln_tensor kiln_unique(kiln_graph *g, kiln_tensor x, const kiln_unique_params *params,
                        kiln_unique_parts *parts)
{
    const kiln_unique_params p = params ? *params : (kiln_unique_params){0};
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const int axis = kiln_axis_of(p.axis, shape.rank);
    kiln_unique_parts out = {0};
    if (parts)
        *parts = out;
    if (!x.id)
        return KILN_NONE;
    if (p.along && axis < 0) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "unique: no axis %d in rank %d", p.axis, shape.rank);
        return KILN_NONE;
    }
    const bool rows = p.along && shape.rank > 1;
    const struct turned t = turn(&shape, rows ? axis : 0);
    x = rows ? kiln_reshape(g, kiln_transpose(g, x, t.order), KILN_SHAPE(0, KILN_REST))
             : kiln_reshape(g, x, KILN_SHAPE(KILN_REST));
    kiln_tensor values = kiln_append(g, &kiln_op_unique, &x, 1, NULL, 0);
    out.first = kiln_node_output(g, values, FIRST);
    out.inverse = kiln_node_output(g, values, INVERSE);
    out.counts = kiln_node_output(g, values, COUNTS);
    if (p.by_appearance)
        values = by_appearance(g, values, &out);
    if (parts)
        *parts = out;
    return rows ? kiln_transpose(g, kiln_reshape(g, values, t.shape), t.back) : values;
}
