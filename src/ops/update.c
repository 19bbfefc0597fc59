/*
 * update.c - optimizers over whole arenas, as operators.
 *
 *   pack           gradients one behind the other, where the kernels that compute them may write at once
 *   accumulate     the gradient arena += packed gradients
 *   count_infinite how many gradients are infinite or NaN, a count a row
 *   update         parameters and optimizer state, one step; where the norm is clipped, a sum of squares a
 *                  row and the factor that follows from all of them come first
 *
 * All but pack run on a table with a row for each KILN_UPDATE_BLOCK elements of a parameter
 * (shaders/update/rows.h), so that frozen parameters, groups and a second optimizer change rows and never the
 * number of dispatches. Rows are cut into windows: neighbours in one chunk whose parameters and gradients fit
 * the device's binding range.
 *
 * Kernels: src/ops/update_kernel.c, shaders/update/, src/cpu/update.c, src/cpu/update_fast.c.
 * Tests: tests/ops/update.c.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "base/number.h"
#include "base/vec.h"
#include "device/caps.h"
#include "graph/graph.h"
#include "ops/kernels.h"

#include "update/accumulate.h"
#include "update/clip_factor.h"
#include "update/row_sums.h"
#include "update/update.h"

enum { PACK_STEP = 64 }; /* elements: 256 bytes, the alignment of a binding */

/* Pack --------------------------------------------------------------------------------------------------- */

static kiln_status pack_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    int64_t total = 0;
    char text[96];
    for (int i = 0; i < n->inputs; i++) {
        const kiln_spec x = kiln_tensor_spec(g, n->in[i]);
        const int64_t count = kiln_shape_count(&x.shape);
        if (count < 0 || x.type != KILN_F32)
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "input %d is %s %s, wanted f32 of known size", i,
                                  kiln_type_name(x.type),
                                  kiln_graph_shape_text(g, &x.shape, text, sizeof text));
        total = (int64_t)kiln_round_up((size_t)total, PACK_STEP) + count;
    }
    *out = (kiln_spec){KILN_F32, KILN_SHAPE(total)};
    return KILN_OK;
}

/* The element at which input i begins. */
static uint64_t pack_begin(const kiln_plan *plan, const kiln_tensor *in, int i)
{
    size_t begin = 0;
    for (int k = 0; k < i; k++) {
        const kiln_shape x = kiln_plan_spec(plan, in[k]).shape;
        begin = kiln_round_up(begin + (size_t)kiln_shape_count(&x), PACK_STEP);
    }
    return begin;
}

static bool pack_place(const kiln_plan *plan, const kiln_node *n, int input, uint64_t *offset)
{
    *offset = pack_begin(plan, n->in, input) * kiln_plan_element(plan, n->out[0]);
    return true;
}

static kiln_status pack_lower(kiln_plan *plan, const kiln_node *n)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < n->inputs && !status; i++) {
        const kiln_shape x = kiln_plan_spec(plan, n->in[i]).shape;
        const size_t element = kiln_plan_element(plan, n->out[0]);
        const uint64_t bytes = (uint64_t)kiln_shape_count(&x) * element;
        if (bytes && !kiln_plan_placed(plan, n, i))
            status = kiln_plan_copy(plan, (kiln_binding){n->in[i], 0, bytes},
                                    (kiln_binding){n->out[0], pack_begin(plan, n->in, i) * element, bytes});
    }
    return status;
}

const kiln_op kiln_op_pack = {
    .name = "pack",
    .inputs = 1,
    .outputs = 1,
    .infer = pack_infer,
    .lowerings = (const kiln_lowering[]){{.name = "copy", .lower = pack_lower}},
    .lowering_count = 1,
    .place = pack_place,
};

kiln_tensor kiln_pack(kiln_graph *g, const kiln_tensor *x, int count)
{
    return kiln_append(g, &kiln_op_pack, x, count, NULL, 0);
}

/* Rows of the table -------------------------------------------------------------------------------------- */

/* The nodes that work on rows: inputs {packed gradients or none, .., parameters}. */
struct node {
    kiln_plan *plan;
    const kiln_node *n;
    int parameters;             /* input of the first one */
    const double *rate, *decay; /* by parameter: factor of the rate, decay; NULL: 1 and 0 */
    kiln_tensor sums, factor;   /* of clipping by norm; KILN_NONE without */
};

struct row {
    int chunk;
    uint64_t parameter,
        gradient; /* elements: in the chunk, and in the packed gradients or again in the chunk */
    uint32_t count;
    double rate, decay;
};

typedef KILN_VEC(struct row) row_vec;

static bool is_packed(const kiln_node *n)
{
    return n->in[0].id != 0;
}

static kiln_status add_parameter(const struct node *o, int index, uint64_t packed, row_vec *rows)
{
    const kiln_tensor p = o->n->in[o->parameters + index];
    const kiln_shape shape = kiln_plan_spec(o->plan, p).shape;
    const uint64_t count = (uint64_t)kiln_shape_count(&shape);
    int chunk;
    uint64_t element;
    const kiln_status status = kiln_plan_parameter(o->plan, p, &chunk, &element);
    for (uint64_t at = 0; !status && at < count; at += KILN_UPDATE_BLOCK) {
        const struct row row = {
            .chunk = chunk,
            .parameter = element + at,
            .gradient = (is_packed(o->n) ? packed : element) + at,
            .count = (uint32_t)(count - at < KILN_UPDATE_BLOCK ? count - at : KILN_UPDATE_BLOCK),
            .rate = o->rate ? o->rate[index] : 1,
            .decay = o->decay ? o->decay[index] : 0,
        };
        if (!kiln_vec_push(rows, row))
            return kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", o->n->op->name);
    }
    return status;
}

static kiln_status collect(const struct node *o, row_vec *rows)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < o->n->inputs - o->parameters && !status; i++)
        status = add_parameter(o, i, pack_begin(o->plan, o->n->in + o->parameters, i), rows);
    return status;
}

/* Windows ------------------------------------------------------------------------------------------------ */

struct span {
    uint64_t low, high; /* elements [low, high) */
};

/* Rows of one chunk that one dispatch takes. */
struct window {
    const struct row *row;
    int first, count; /* first: among all rows of the node */
    struct span parameter, gradient;
};

static struct span joined(struct span a, uint64_t low, uint64_t high)
{
    if (a.low == a.high)
        return (struct span){low, high};
    return (struct span){low < a.low ? low : a.low, high > a.high ? high : a.high};
}

/* Take rows in as long as they lie in one chunk and the spans fit `limit` elements. */
static struct window window_from(const row_vec *rows, int first, uint64_t limit)
{
    struct window w = {.row = rows->data + first, .first = first};
    for (int i = first; i < rows->count; i++) {
        const struct row *r = &rows->data[i];
        const struct span p = joined(w.parameter, r->parameter, r->parameter + r->count);
        const struct span g = joined(w.gradient, r->gradient, r->gradient + r->count);
        const bool fits = p.high - p.low <= limit && g.high - g.low <= limit && r->chunk == w.row->chunk;
        if (w.count && !fits)
            break;
        w.parameter = p;
        w.gradient = g;
        w.count++;
    }
    return w;
}

static void set_real(uint32_t *words, double value)
{
    const float parts[2] = {(float)value, (float)(value - (double)(float)value)};
    memcpy(words, parts, sizeof parts);
}

/* The window's rows as the kernels read them, positions counted from the spans' beginnings. */
static kiln_tensor table_of(kiln_plan *plan, const struct window *w)
{
    uint32_t *words = calloc((size_t)w->count, KILN_ROW_WORDS * sizeof *words);
    if (!words)
        return KILN_NONE;
    for (int i = 0; i < w->count; i++) {
        uint32_t *row = words + (size_t)i * KILN_ROW_WORDS;
        row[KILN_ROW_PARAMETER] = (uint32_t)(w->row[i].parameter - w->parameter.low);
        row[KILN_ROW_GRADIENT] = (uint32_t)(w->row[i].gradient - w->gradient.low);
        row[KILN_ROW_COUNT] = w->row[i].count;
        set_real(row + KILN_ROW_RATE, w->row[i].rate);
        set_real(row + KILN_ROW_DECAY, w->row[i].decay);
    }
    const kiln_tensor table = kiln_plan_table(plan, words, (int64_t)w->count * (int64_t)KILN_ROW_WORDS);
    free(words);
    return table;
}

static kiln_binding part(const kiln_plan *plan, kiln_tensor value, struct span s)
{
    const uint64_t element = kiln_plan_element(plan, value);
    return (kiln_binding){value, s.low * element, (s.high - s.low) * element};
}

static kiln_binding arena_part(kiln_plan *plan, const char *arena, const struct window *w)
{
    return part(plan, kiln_plan_arena(plan, arena, w->row->chunk), w->parameter);
}

static kiln_binding gradient_part(const struct node *o, const struct window *w)
{
    const kiln_tensor packed = o->n->in[0];
    return is_packed(o->n) ? part(o->plan, packed, w->gradient) : arena_part(o->plan, "gradient", w);
}

/* Complete a dispatch, whose binding 0 is the table and whose block begins with the number of rows, for a
 * window. */
typedef void fill_fn(const struct node *o, const struct window *w, kiln_dispatch *d);

static kiln_status lower_rows(const struct node *o, const row_vec *rows, const kiln_dispatch *like,
                              fill_fn *fill)
{
    const uint64_t limit =
        kiln_plan_caps(o->plan)->max_binding / kiln_plan_element(o->plan, o->n->in[o->parameters]);
    kiln_status status = KILN_OK;
    for (int first = 0; first < rows->count && !status;) {
        const struct window w = window_from(rows, first, limit);
        kiln_dispatch d = *like;
        d.bind[0].value = table_of(o->plan, &w);
        d.block.words[0] = (uint32_t)w.count;
        fill(o, &w, &d);
        status = d.bind[0].value.id ? kiln_plan_dispatch(o->plan, &d)
                                    : kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", o->n->op->name);
        first += w.count;
    }
    return status;
}

/* Operators: what they share ----------------------------------------------------------------------------- */

static kiln_status check_parameters(kiln_graph *g, const kiln_node *n, int first)
{
    if (n->inputs == first)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no parameter to work on");
    for (int i = first; i < n->inputs; i++)
        if (!n->in[i].id || kiln_graph_node(g, n->in[i])->op != &kiln_op_parameter)
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "input %d (\"%s\") is no parameter", i,
                                  kiln_tensor_name(g, n->in[i]));
    return KILN_OK;
}

/* Packed gradients must be as long as kiln_pack of one a parameter. */
static kiln_status check_packed(kiln_graph *g, const kiln_node *n, int first)
{
    const int64_t got = kiln_tensor_spec(g, n->in[0]).shape.size[0];
    int64_t wanted = 0;
    for (int i = first; i < n->inputs; i++) {
        const kiln_shape p = kiln_tensor_spec(g, n->in[i]).shape;
        wanted = (int64_t)kiln_round_up((size_t)wanted, PACK_STEP) + kiln_shape_count(&p);
    }
    if (!is_packed(n) || got == wanted)
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "packed gradients have %lld elements, the parameters %lld",
                          (long long)got, (long long)wanted);
}

/* A graph that failed has no values: the effect is none either, and inputs are not looked at. */
static kiln_tensor append_on_parameters(kiln_graph *g, const kiln_op *op, const kiln_tensor *first,
                                        int firsts, const kiln_tensor *parameters, int count,
                                        const void *params, size_t bytes)
{
    if (kiln_graph_status(g))
        return KILN_NONE;
    kiln_tensor *in = calloc((size_t)(firsts + count), sizeof *in);
    if (!in) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "%s: out of memory", op->name);
        return KILN_NONE;
    }
    memcpy(in, first, (size_t)firsts * sizeof *in);
    memcpy(in + firsts, parameters, (size_t)count * sizeof *in);
    const kiln_tensor t = kiln_append(g, op, in, firsts + count, params, bytes);
    free(in);
    return t;
}

static kiln_status effect_infer(kiln_graph *g, const kiln_node *n, int first, kiln_spec *out)
{
    *out = (kiln_spec){.type = KILN_F32, .shape = KILN_SCALAR};
    const kiln_status status = check_parameters(g, n, first);
    return status ? status : check_packed(g, n, first);
}

/* Accumulate --------------------------------------------------------------------------------------------- */

static kiln_status accumulate_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    if (!is_packed(n))
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no gradients to add");
    return effect_infer(g, n, 1, out);
}

static void fill_accumulate(const struct node *o, const struct window *w, kiln_dispatch *d)
{
    d->bind[1] = gradient_part(o, w);
    d->bind[2] = arena_part(o->plan, "gradient", w);
}

static kiln_status accumulate_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct node o = {.plan = plan, .n = n, .parameters = 1};
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_accumulate,
        .block_size = sizeof(struct kiln_params_accumulate),
    };
    row_vec rows = {0};
    kiln_status status = collect(&o, &rows);
    if (!status)
        status = lower_rows(&o, &rows, &d, fill_accumulate);
    kiln_vec_finish(&rows);
    return status;
}

const kiln_op kiln_op_accumulate = {
    .name = "accumulate",
    .inputs = 1,
    .outputs = 1,
    .flags = KILN_OP_EFFECT,
    .infer = accumulate_infer,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = accumulate_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_accumulate(kiln_graph *g, kiln_tensor packed, const kiln_tensor *parameters, int count)
{
    return append_on_parameters(g, &kiln_op_accumulate, &packed, 1, parameters, count, NULL, 0);
}

/* Count infinite ----------------------------------------------------------------------------------------- */

static void fill_row_sums(const struct node *o, const struct window *w, kiln_dispatch *d)
{
    ((struct kiln_params_row_sums *)d->block.words)->first = (uint32_t)w->first;
    d->bind[1] = gradient_part(o, w);
    d->bind[2].value = o->sums;
}

static void fill_count(const struct node *o, const struct window *w, kiln_dispatch *d)
{
    fill_row_sums(o, w, d);
    d->bind[3] = d->bind[1];
}

/* A count a row. */
static kiln_status count_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    int64_t rows = 0;
    kiln_status status = check_parameters(g, n, 1);
    if (!status && is_packed(n))
        status = check_packed(g, n, 1);
    for (int i = 1; i < n->inputs && !status; i++) {
        const kiln_shape p = kiln_tensor_spec(g, n->in[i]).shape;
        rows += (kiln_shape_count(&p) + KILN_UPDATE_BLOCK - 1) / KILN_UPDATE_BLOCK;
    }
    *out = (kiln_spec){KILN_F32, KILN_SHAPE(rows)};
    return status;
}

static kiln_status count_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct node o = {.plan = plan, .n = n, .parameters = 1, .sums = n->out[0]};
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_row_sums,
        .constants = {KILN_ROW_INFINITE},
        .constant_count = 3,
        .block_size = sizeof(struct kiln_params_row_sums),
    };
    row_vec rows = {0};
    kiln_status status = collect(&o, &rows);
    if (!status)
        status = lower_rows(&o, &rows, &d, fill_count);
    kiln_vec_finish(&rows);
    return status;
}

const kiln_op kiln_op_count_infinite = {
    .name = "count_infinite",
    .inputs = 1,
    .outputs = 1,
    .flags = KILN_OP_LATE,
    .infer = count_infer,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = count_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_count_infinite(kiln_graph *g, kiln_tensor packed, const kiln_tensor *parameters, int count)
{
    return kiln_sum(g,
                    append_on_parameters(g, &kiln_op_count_infinite, &packed, 1, parameters, count, NULL, 0),
                    NULL);
}

/* Update ------------------------------------------------------------------------------------------------- */

enum { NAME_BYTES = 64, ARENA_BYTES = NAME_BYTES + 2 };

/* Packed scalars: those of a step, and of one that is guarded. */
enum { PLAIN_SCALARS = KILN_SCALAR_C2 + 1, GUARDED_SCALARS = KILN_SCALAR_GO + 1 };

struct update {
    int64_t optimizer;
    double beta1, rest1, beta2, rest2, epsilon, clip, clip_norm;
    char name[NAME_BYTES];
    double setting[]; /* by parameter: factors of the rate, then decays */
};

const char *kiln_optimizer_state(kiln_optimizer by, int index)
{
    static const char *const states[][2] = {
        [KILN_SGD] = {NULL},     [KILN_MOMENTUM] = {".m"},   [KILN_NESTEROV] = {".m"},
        [KILN_RMSPROP] = {".v"}, [KILN_ADAM] = {".m", ".v"}, [KILN_ADAMW] = {".m", ".v"},
    };
    return index < 2 ? states[by][index] : NULL;
}

/* The public order of the optimizers is the kernel's. */
_Static_assert(KILN_SGD == KILN_UPDATE_SGD && KILN_MOMENTUM == KILN_UPDATE_MOMENTUM &&
                   KILN_NESTEROV == KILN_UPDATE_NESTEROV && KILN_RMSPROP == KILN_UPDATE_RMSPROP &&
                   KILN_ADAM == KILN_UPDATE_ADAM && KILN_ADAMW == KILN_UPDATE_ADAMW,
               "optimizers");

static kiln_status update_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec scalars = kiln_tensor_spec(g, n->in[1]);
    const int64_t count = scalars.shape.rank == 1 ? scalars.shape.size[0] : 0;
    if (scalars.type != KILN_F32 || (count != PLAIN_SCALARS && count != GUARDED_SCALARS))
        return kiln_node_fail(
            g, n, KILN_ERROR_SHAPE,
            "wanted three packed scalars, a rate and two corrections, or five, with an unscale and a go");
    return effect_infer(g, n, 2, out);
}

static bool is_guarded(const kiln_plan *plan, const kiln_node *update)
{
    return kiln_plan_spec(plan, update->in[1]).shape.size[0] == GUARDED_SCALARS;
}

static void fill_update(const struct node *o, const struct window *w, kiln_dispatch *d)
{
    const struct update *p = o->n->params;
    d->bind[1].value = o->n->in[1];
    d->bind[2] = gradient_part(o, w);
    d->bind[3] = arena_part(o->plan, "parameter", w);
    d->bind[4].value = o->factor.id ? o->factor : o->n->in[1];
    const char *ending;
    for (int i = 0; (ending = kiln_optimizer_state((kiln_optimizer)p->optimizer, i)); i++) {
        char arena[ARENA_BYTES];
        strcpy(arena, p->name);
        d->bind[5 + i] = arena_part(o->plan, strcat(arena, ending), w);
    }
}

static kiln_dispatch update_dispatch(const struct update *p, bool guarded)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_update,
        .constants = {(uint32_t)p->optimizer, p->clip > 0, p->clip_norm > 0, guarded},
        .constant_count = 4,
        .block_size = sizeof(struct kiln_params_update),
    };
    struct kiln_params_update *block = (struct kiln_params_update *)d.block.words;
    KILN_REAL_SET(block, beta1, p->beta1);
    KILN_REAL_SET(block, rest1, p->rest1);
    KILN_REAL_SET(block, beta2, p->beta2);
    KILN_REAL_SET(block, rest2, p->rest2);
    KILN_REAL_SET(block, epsilon, p->epsilon);
    KILN_REAL_SET(block, clip, p->clip);
    return d;
}

/* Fill the gradient arena with zeros where the rows read it; rows that follow each other, but for alignment,
 * are one fill. */
static kiln_status clear(kiln_plan *plan, const row_vec *rows)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < rows->count && !status;) {
        const int chunk = rows->data[i].chunk;
        struct span s = {rows->data[i].gradient, rows->data[i].gradient};
        for (; i < rows->count && rows->data[i].chunk == chunk && rows->data[i].gradient >= s.high &&
               rows->data[i].gradient - s.high < PACK_STEP;
             i++)
            s.high = rows->data[i].gradient + rows->data[i].count;
        status = kiln_plan_fill(plan, part(plan, kiln_plan_arena(plan, "gradient", chunk), s), 0);
    }
    return status;
}

static void fill_squares(const struct node *o, const struct window *w, kiln_dispatch *d)
{
    fill_row_sums(o, w, d);
    d->bind[3].value = o->n->in[1];
}

/* Two stages: a sum a row, then one workgroup that knows them all. */
static kiln_status lower_factor(struct node *o, const row_vec *rows)
{
    const struct update *p = o->n->params;
    kiln_dispatch sums = {
        .kernel = &kiln_kernel_row_sums,
        .constants = {KILN_ROW_SQUARES, p->clip > 0, is_guarded(o->plan, o->n)},
        .constant_count = 3,
        .block_size = sizeof(struct kiln_params_row_sums),
    };
    KILN_REAL_SET((struct kiln_params_row_sums *)sums.block.words, clip, p->clip);
    o->sums = kiln_plan_temporary(o->plan, KILN_F32, rows->count);
    o->factor = kiln_plan_temporary(o->plan, KILN_F32, 1);
    const kiln_status status = lower_rows(o, rows, &sums, fill_squares);

    kiln_dispatch factor = {
        .kernel = &kiln_kernel_clip_factor,
        .bind = {{.value = o->sums}, {.value = o->factor}},
        .block_size = sizeof(struct kiln_params_clip_factor),
    };
    struct kiln_params_clip_factor *block = (struct kiln_params_clip_factor *)factor.block.words;
    block->count = (uint32_t)rows->count;
    KILN_REAL_SET(block, limit, p->clip_norm);
    return status ? status : kiln_plan_dispatch(o->plan, &factor);
}

static kiln_status lower_update(struct node *o, const row_vec *rows)
{
    const struct update *p = o->n->params;
    const kiln_dispatch d = update_dispatch(p, is_guarded(o->plan, o->n));
    kiln_status status = p->clip_norm > 0 ? lower_factor(o, rows) : KILN_OK;
    if (!status)
        status = lower_rows(o, rows, &d, fill_update);
    return !status && !is_packed(o->n) ? clear(o->plan, rows) : status;
}

bool kiln_update_rule_of(const kiln_node *n, kiln_update_rule *rule)
{
    if (n->op != &kiln_op_update)
        return false;
    const struct update *p = n->params;
    *rule = (kiln_update_rule){
        .by = (kiln_optimizer)p->optimizer,
        .beta1 = p->beta1,
        .rest1 = p->rest1,
        .beta2 = p->beta2,
        .rest2 = p->rest2,
        .epsilon = p->epsilon,
        .clip = p->clip,
        .clip_norm = p->clip_norm,
        .name = p->name,
        .rate = p->setting,
        .decay = p->setting + n->inputs - 2,
    };
    return true;
}

static kiln_status update_lower(kiln_plan *plan, const kiln_node *n)
{
    kiln_update_rule rule;
    kiln_update_rule_of(n, &rule);
    struct node o = {.plan = plan, .n = n, .parameters = 2, .rate = rule.rate, .decay = rule.decay};
    row_vec rows = {0};
    kiln_status status = collect(&o, &rows);
    if (!status && rows.count)
        status = lower_update(&o, &rows);
    kiln_vec_finish(&rows);
    return status;
}

const kiln_op kiln_op_update = {
    .name = "update",
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_EFFECT,
    .infer = update_infer,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = update_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_update_parameters(kiln_graph *g, kiln_tensor packed, kiln_tensor scalars,
                                   const kiln_tensor *parameters, int count, const kiln_update_rule *rule)
{
    const size_t bytes =
        sizeof(struct update) + 2 * (size_t)count * sizeof((struct update *)NULL)->setting[0];
    if (kiln_graph_status(g))
        return KILN_NONE;
    if (strlen(rule->name) >= NAME_BYTES || (unsigned)rule->by > KILN_ADAMW) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "update \"%s\": wanted an optimizer, and a name below %d bytes", rule->name,
                        NAME_BYTES);
        return KILN_NONE;
    }
    struct update *p = calloc(1, bytes);
    if (!p) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "update \"%s\": out of memory", rule->name);
        return KILN_NONE;
    }
    p->optimizer = rule->by;
    p->beta1 = rule->beta1, p->rest1 = rule->rest1;
    p->beta2 = rule->beta2, p->rest2 = rule->rest2;
    p->epsilon = rule->epsilon;
    p->clip = rule->clip;
    p->clip_norm = rule->clip_norm;
    strcpy(p->name, rule->name);
    for (int i = 0; i < count; i++) {
        p->setting[i] = rule->rate ? rule->rate[i] : 1;
        p->setting[count + i] = rule->decay ? rule->decay[i] : 0;
    }
    const kiln_tensor t = append_on_parameters(g, &kiln_op_update, (const kiln_tensor[]){packed, scalars}, 2,
                                               parameters, count, p, bytes);
    free(p);
    return t;
}
