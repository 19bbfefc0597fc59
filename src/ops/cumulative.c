/*
 * cumulative.c - sums, products and extremes of what stands before each element of an axis, and the linear recurrence.
 *
 *   cumsum        y[t] = x[0] + .. + x[t]              cumprod       y[t] = x[0] .. x[t]
 *   cummax        y[t] = max(x[0], .., x[t])           linear_scan   y[t] = a[t] y[t - 1] + x[t]
 *
 * Lowering: one dispatch where a row is short or rows are many. On a GPU a long row is cut into parts, by its length alone:
 * each part's total, then the totals' own cumulation, then every part from where the ones before it left off.
 *
 * Gradients. Of a sum the sum the other way round. A product's is a recurrence, so that it needs no division and zeros are no
 * special case: d/dx[i] = (x[0] .. x[i - 1]) s[i] with s[i] = dy[i] + x[i + 1] s[i + 1]. The recurrence's own is another one.
 *
 * Kernels: shaders/cumulative/, src/cpu/cumulative.c, src/cpu/cumulative_fast.c.   Tests: tests/ops/cumulative.c.
 */
#include "ops/cumulative.h"
#include "ops/beyond.h"

#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "cumulative/cumulate.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/narrow.h"
#include "ops/slices.h"
#include "ops/window.h"
#include "shaders.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

struct cumulative {
    int32_t axis;
    uint32_t how; /* EXCLUSIVE, REVERSE, LAGGED */
};

/* An operator's codes. */
struct kind {
    uint32_t real, integer, natural; /* natural: for unsigned ones; 0: as the others */
    bool linear, extreme;
};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct cumulative *p = n->params;
    const struct kind *kind = n->op->extra;
    out[0] = kiln_tensor_spec(g, n->in[0]);
    if (kind->extreme)
        out[1] = (kiln_spec){KILN_I32, out[0].shape};
    if (p->axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "the axis is out of range, x has rank %d",
                              out[0].shape.rank);
    if (out[0].type == KILN_BOOL || (kind->linear && !kiln_type_is_real(out[0].type)))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted %s", kiln_type_name(out[0].type),
                              kind->linear ? "a real type" : "a number");
    return KILN_OK;
}

static kiln_status linear_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec a = kiln_tensor_spec(g, n->in[1]);
    const kiln_status status = infer(g, n, out);
    if (!status && (a.type != out->type || !kiln_shape_equal(&a.shape, &out->shape)))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "factors and terms differ in type or shape");
    return status;
}

static kiln_tensor append(kiln_graph *g, const kiln_op *op, kiln_tensor x, kiln_tensor a, int axis,
                          uint32_t how)
{
    const struct cumulative p = {kiln_axis_of(axis, kiln_tensor_shape(g, x).rank), how};
    const bool linear = op == &kiln_op_linear_scan;
    return x.id && (a.id || !linear)
               ? kiln_append(g, op, (const kiln_tensor[]){x, a}, linear ? 2 : 1, &p, sizeof p)
               : KILN_NONE;
}

static void sum_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct cumulative *p = n->params;
    dx[0] = append(g, n->op, dy[0], KILN_NONE, p->axis, p->how ^ KILN_CUMULATE_REVERSE);
}

/* Exclusive: s[i] = u[i + 1] with u[i] = dy[i] + x[i] u[i + 1]. */
static void prod_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct cumulative *p = n->params;
    const uint32_t reverse = p->how & KILN_CUMULATE_REVERSE, exclusive = p->how & KILN_CUMULATE_EXCLUSIVE;
    const uint32_t back = (reverse ^ KILN_CUMULATE_REVERSE) | (exclusive ? exclusive : KILN_CUMULATE_LAGGED);
    const kiln_tensor before =
        append(g, n->op, n->in[0], KILN_NONE, p->axis, reverse | KILN_CUMULATE_EXCLUSIVE);
    dx[0] = kiln_mul(g, before, append(g, &kiln_op_linear_scan, dy[0], n->in[0], p->axis, back));
}

/*
 * y[t] = a[t] y[t - 1] + x[t]:      dx[t] = dy[t] + a[t + 1] dx[t + 1],     da[t] = y[t - 1] dx[t]
 * lagged, with a[t - 1]:            dx[t] = dy[t] + a[t] dx[t + 1],         da[t] = y[t] dx[t + 1]
 * exclusive, z[t] = y[t - 1]:       dx[t] = dz[t + 1] + a[t + 1] dx[t + 1], da[t] = z[t] dx[t]
 */
static void linear_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct cumulative *p = n->params;
    const bool lagged = p->how & KILN_CUMULATE_LAGGED, exclusive = p->how & KILN_CUMULATE_EXCLUSIVE;
    const uint32_t forth = p->how & KILN_CUMULATE_REVERSE, back = forth ^ KILN_CUMULATE_REVERSE;
    const uint32_t how = lagged ? 0 : exclusive ? KILN_CUMULATE_EXCLUSIVE : KILN_CUMULATE_LAGGED;
    const kiln_tensor x = n->in[0], a = n->in[1];
    dx[0] = append(g, n->op, dy[0], a, p->axis, back | how);
    if (lagged)
        dx[1] = kiln_mul(g, n->out[0], append(g, n->op, dy[0], a, p->axis, back | KILN_CUMULATE_EXCLUSIVE));
    else
        dx[1] = kiln_mul(g, dx[0],
                         exclusive ? n->out[0]
                                   : append(g, n->op, x, a, p->axis, forth | KILN_CUMULATE_EXCLUSIVE));
}

/* To where the extreme stands; of nothing it stands nowhere. */
static void extreme_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct cumulative *p = n->params;
    const struct kiln_naming_params names = {.axis = p->axis};
    const kiln_tensor in[] = {dy[0], n->out[1], n->in[0]};
    if (p->how & KILN_CUMULATE_EXCLUSIVE)
        kiln_node_fail(g, n, KILN_ERROR_UNSUPPORTED, "has no gradient where it is exclusive");
    else if (dy[0].id)
        dx[0] = kiln_append(g, &kiln_op_gather_elements_grad, in, 3, &names, sizeof names);
}

/* Forth, nothing comes after what is there; back, it begins with what changes nothing. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const struct cumulative *p = n->params;
    const struct kind *kind = n->op->extra;
    const kiln_type type = kiln_tensor_type(g, n->in[0]);
    (void)input;
    if (axis != p->axis || !(p->how & KILN_CUMULATE_REVERSE))
        return KILN_IGNORED;
    switch (kind->real) {
    case KILN_CUMULATE_PROD_F:
        return KILN_FILLED(1);
    case KILN_CUMULATE_MAX_F:
        return KILN_FILLED(kiln_extreme_of(type, false));
    case KILN_CUMULATE_MIN_F:
        return KILN_FILLED(kiln_extreme_of(type, true));
    default:
        return KILN_FILLED(0);
    }
}

/* Lowering ----------------------------------------------------------------------------------------------- */

enum { LANES = 128, WHOLE = 8192, PART = 4096 };

static bool has_seconds(uint32_t code)
{
    return code != KILN_CUMULATE_SUM_F && code != KILN_CUMULATE_SUM_I && code != KILN_CUMULATE_PROD_F &&
           code != KILN_CUMULATE_PROD_I;
}

/* States: values and, where the code has them, second numbers. */
struct states {
    kiln_tensor value, second;
};

static struct states temporary_states(kiln_plan *plan, uint32_t code, int64_t count)
{
    const bool real = code <= KILN_CUMULATE_LINEAR_F, linear = code == KILN_CUMULATE_LINEAR_F;
    return (struct states){
        .value = kiln_plan_temporary(plan, real ? KILN_F32 : KILN_I32, count),
        .second =
            has_seconds(code) ? kiln_plan_temporary(plan, linear ? KILN_F32 : KILN_I32, count) : KILN_NONE,
    };
}

static kiln_status dispatch(kiln_plan *plan, const struct kiln_cumulation *c, uint32_t parts, uint32_t part,
                            uint32_t how, struct states start, struct states y)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_cumulate,
        .bind = {{.value = c->x},
                 {.value = c->second},
                 {.value = start.value},
                 {.value = start.second},
                 {.value = y.value},
                 {.value = y.second}},
        .constants = {c->code, has_seconds(c->code)},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_cumulate),
    };
    *(struct kiln_params_cumulate *)d.block.words = (struct kiln_params_cumulate){
        .rows = c->rows.count,
        .cols = c->rows.length,
        .step = c->rows.step,
        .parts = parts,
        .part = part,
        .how = how,
        .started = start.value.id != 0,
    };
    return kiln_plan_dispatch(plan, &d);
}

/* Long rows, and not so many that they fill a GPU by themselves. */
static bool wants_parts(const kiln_plan *plan, const struct kiln_cumulation *c)
{
    return kiln_plan_caps(plan)->backend != KILN_BACKEND_CPU && c->rows.length > WHOLE && c->rows.step < 16;
}

kiln_status kiln_lower_cumulation(kiln_plan *plan, const struct kiln_cumulation *c)
{
    const struct states none = {KILN_NONE, KILN_NONE}, y = {c->y, c->y_second};
    if (!c->rows.count || !c->rows.length)
        return KILN_OK;
    if (!wants_parts(plan, c))
        return dispatch(plan, c, 1, c->rows.length, c->how, none, y);
    const uint32_t parts = (c->rows.length + PART - 1) / PART;
    const struct states totals = temporary_states(plan, c->code, (int64_t)parts * c->rows.count),
                        starts = temporary_states(plan, c->code, (int64_t)parts * c->rows.count);
    kiln_status status = dispatch(plan, c, parts, PART, c->how | KILN_CUMULATE_TOTALS, none, totals);
    if (!status)
        status = kiln_lower_cumulation(plan, &(struct kiln_cumulation){
                                                 .code = c->code,
                                                 .how = KILN_CUMULATE_EXCLUSIVE | KILN_CUMULATE_STATES,
                                                 .rows = {c->rows.count, parts, 1},
                                                 .x = totals.value,
                                                 .second = totals.second,
                                                 .y = starts.value,
                                                 .y_second = starts.second,
                                             });
    return status ? status : dispatch(plan, c, parts, PART, c->how, starts, y);
}

static uint32_t code_of(const struct kind *kind, kiln_type type)
{
    const bool natural = kind->natural && kiln_type_is_unsigned(type);
    return kiln_type_is_real(type) ? kind->real : natural ? kind->natural : kind->integer;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct cumulative *p = n->params;
    const struct kind *kind = n->op->extra;
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]);
    return kiln_lower_cumulation(plan, &(struct kiln_cumulation){
                                           .code = code_of(kind, x.type),
                                           .how = p->how,
                                           .rows = kiln_rows_of(&x.shape, p->axis),
                                           .x = n->in[0],
                                           .second = kind->linear ? n->in[1] : KILN_NONE,
                                           .y = n->out[0],
                                           .y_second = kind->extreme ? n->out[1] : KILN_NONE,
                                       });
}

/* Operators ---------------------------------------------------------------------------------------------- */

static const kiln_lowering lowerings[] = {{.name = "cumulate", .lower = lower}};

static const kiln_field fields[] = {
    {"axis", KILN_FIELD_INT, offsetof(struct cumulative, axis), 1},
    {"how", KILN_FIELD_UINT, offsetof(struct cumulative, how), 1}, /* 1 exclusive, 2 reverse, 4 lagged */
    {0},
};

#define OP(name_, inputs_, outputs_, infer_, grad_, ...) \
    const kiln_op kiln_op_##name_ = {                    \
        .name = #name_,                                  \
        .inputs = inputs_,                               \
        .outputs = outputs_,                             \
        .infer = infer_,                                 \
        .grad = grad_,                                   \
        .beyond = beyond,                                \
        .fields = fields,                                \
        .lowerings = lowerings,                          \
        .lowering_count = 1,                             \
        .extra = &(const struct kind){__VA_ARGS__},      \
    }

OP(cumsum, 1, 1, infer, sum_grad, KILN_CUMULATE_SUM_F, KILN_CUMULATE_SUM_I);
OP(cumprod, 1, 1, infer, prod_grad, KILN_CUMULATE_PROD_F, KILN_CUMULATE_PROD_I);
OP(cummax, 1, 2, infer, extreme_grad, KILN_CUMULATE_MAX_F, KILN_CUMULATE_MAX_I, KILN_CUMULATE_MAX_U,
   .extreme = true);
OP(cummin, 1, 2, infer, extreme_grad, KILN_CUMULATE_MIN_F, KILN_CUMULATE_MIN_I, KILN_CUMULATE_MIN_U,
   .extreme = true);
OP(linear_scan, 2, 1, linear_infer, linear_grad, KILN_CUMULATE_LINEAR_F, 0, .linear = true);

static uint32_t how_of(const kiln_cumulative_params *p)
{
    return !p ? 0 : (p->exclusive ? KILN_CUMULATE_EXCLUSIVE : 0) | (p->reverse ? KILN_CUMULATE_REVERSE : 0);
}

/* What may leave the range of a narrow type is computed in words. */
static kiln_tensor wrapping(kiln_graph *g, const kiln_op *op, kiln_tensor x, int axis,
                            const kiln_cumulative_params *params)
{
    const kiln_type type = kiln_tensor_type(g, x);
    if (!x.id || !kiln_is_narrow(type))
        return append(g, op, x, KILN_NONE, axis, how_of(params));
    return kiln_cast(g, append(g, op, kiln_cast(g, x, KILN_I32), KILN_NONE, axis, how_of(params)), type);
}

kiln_tensor kiln_cumsum(kiln_graph *g, kiln_tensor x, int axis, const kiln_cumulative_params *params)
{
    return wrapping(g, &kiln_op_cumsum, x, axis, params);
}

kiln_tensor kiln_cumprod(kiln_graph *g, kiln_tensor x, int axis, const kiln_cumulative_params *params)
{
    return wrapping(g, &kiln_op_cumprod, x, axis, params);
}

static kiln_tensor extreme(kiln_graph *g, const kiln_op *op, kiln_tensor x, int axis,
                           const kiln_cumulative_params *params, kiln_tensor *index)
{
    const kiln_type type = kiln_tensor_type(g, x);
    const bool most = op == &kiln_op_cummax, wide = params && params->exclusive && kiln_is_narrow(type);
    const kiln_tensor y =
        append(g, op, wide ? kiln_cast(g, x, KILN_I32) : x, KILN_NONE, axis, how_of(params));
    if (index)
        *index = kiln_node_output(g, y, 1);
    if (!y.id || !wide)
        return y;
    const kiln_tensor nothing = kiln_scalar(g, KILN_I32, kiln_extreme_of(type, !most)); /* not a word's */
    return kiln_cast(g, most ? kiln_max(g, y, nothing) : kiln_min(g, y, nothing), type);
}

kiln_tensor kiln_cummax(kiln_graph *g, kiln_tensor x, int axis, const kiln_cumulative_params *params,
                        kiln_tensor *index)
{
    return extreme(g, &kiln_op_cummax, x, axis, params, index);
}

kiln_tensor kiln_cummin(kiln_graph *g, kiln_tensor x, int axis, const kiln_cumulative_params *params,
                        kiln_tensor *index)
{
    return extreme(g, &kiln_op_cummin, x, axis, params, index);
}

kiln_tensor kiln_linear_scan(kiln_graph *g, kiln_tensor a, kiln_tensor x, int axis, bool reverse)
{
    return append(g, &kiln_op_linear_scan, x, a, axis, reverse ? KILN_CUMULATE_REVERSE : 0);
}

/* The contract ------------------------------------------------------------------------------------------- */

static const struct kiln_params_cumulate *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_cumulate *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->rows * block_of(d)->parts;
}

static double flops(const kiln_dispatch *d)
{
    return 4.0 * block_of(d)->rows * block_of(d)->cols;
}

/* Bytes that a unit takes in each binding, of `elements` elements and `parts` parts. */
static void bytes_of(const kiln_dispatch *d, uint64_t elements, uint64_t parts, uint64_t *unit)
{
    const bool totals = block_of(d)->how & KILN_CUMULATE_TOTALS;
    const uint64_t count[] = {
        elements, elements, parts, parts, totals ? parts : elements, totals ? parts : elements};
    for (int i = 0; i < 6; i++)
        unit[i] = count[i] * d->element[i];
}

/* Windows of whole groups of `step` rows. */
static uint64_t row_extent(const kiln_dispatch *d)
{
    return block_of(d)->rows / block_of(d)->step;
}

static void row_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const struct kiln_params_cumulate *p = block_of(d);
    bytes_of(d, (uint64_t)p->cols * p->step, (uint64_t)p->parts * p->step, unit);
}

static void row_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    uint64_t unit[6];
    row_bytes(d, unit);
    ((struct kiln_params_cumulate *)d->block.words)->rows = (uint32_t)count * block_of(d)->step;
    kiln_narrow(d, first, count, unit);
}

static uint64_t row_unit(const kiln_dispatch *d)
{
    uint64_t unit[6];
    row_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

/* Windows of parts of a lone row, where none looks beyond itself. */
static uint64_t part_extent(const kiln_dispatch *d)
{
    const struct kiln_params_cumulate *p = block_of(d);
    const bool apart = !(p->how & KILN_CUMULATE_REVERSE) && !d->constants[1];
    return p->rows == 1 && apart ? p->parts : 1;
}

static void part_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_cumulate *p = (struct kiln_params_cumulate *)d->block.words;
    const uint64_t left = p->cols - first * p->part, most = count * p->part;
    uint64_t unit[6];
    bytes_of(d, p->part, 1, unit);
    p->parts = (uint32_t)count;
    p->cols = (uint32_t)(left < most ? left : most);
    kiln_narrow(d, first, count, unit);
    for (int i = 0; i < 6 && left < most; i++) /* the last part is shorter */
        if (unit[i] > d->element[i])
            d->bind[i].bytes -= (most - left) * d->element[i];
}

static bool lane_a_row(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_cumulate *p = block_of(d);
    return p->parts == 1 && !(p->how & KILN_CUMULATE_TOTALS) && !p->started &&
           kiln_rows_suit_lanes(p->cols, p->step);
}

static uint64_t lane_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (block_of(d)->rows + KILN_ROW_LANES - 1) / KILN_ROW_LANES;
}

static const kiln_variant columns = {.name = "columns",
                                     .accepts = lane_a_row,
                                     .groups = lane_groups,
                                     .spirv = &kiln_spirv_cumulate_columns,
                                     .half = &kiln_spirv_cumulate_columns_half,
                                     .lanes = KILN_ROW_LANES};
static const kiln_variant rows = {.name = "rows",
                                  .spirv = &kiln_spirv_cumulate_rows,
                                  .half = &kiln_spirv_cumulate_rows_half,
                                  .lanes = LANES};

const kiln_kernel kiln_kernel_cumulate = {
    .name = "cumulate",
    .block_size = sizeof(struct kiln_params_cumulate),
    .bindings = 6,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 1 | 1 << 4,
    .units = units,
    .reference = kiln_reference_cumulate_f32,
    .reference_f64 = kiln_reference_cumulate_f64,
    .gpu = (const kiln_variant *const[]){&columns, &rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_cumulate_rows, NULL},
    .cuts = (const kiln_cut[]){{row_extent, row_take, row_unit}, {part_extent, part_take}},
    .cut_count = 2,
    .flops = flops,
};
