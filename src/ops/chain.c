/*
 * chain.c - elementwise work as chains of steps: what a node's chain is, the fused node, and how both become dispatches.
 *
 * Lowering collapses axes first: those of size 1 are dropped, neighbours that every operand walks as one are merged. An
 * operand is then FLAT (walked like the result), SCALAR, ROW or COLUMN (of a matrix that remains), or STRIDED; one STRIDED
 * operand makes the dispatch a chain_strided. Where its block has no room, strided operands are expanded first.
 *
 * The kernels: src/ops/chain_kernel.c, shaders/chain/, src/cpu/chain.c, src/cpu/chain_fast.c.   Tests: tests/ops/chain.c.
 */
#include "chain/chain.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "chain/strided.h"
#include "ops/kernels.h"
#include "ops/lower.h"

enum { RESULT = KILN_CHAIN_OPERANDS - 1, CHAIN_CONSTANTS = 12 };

/* The chain of a node ------------------------------------------------------------------------------------ */

static kiln_status lower_elementwise(kiln_plan *plan, const kiln_node *n);

const kiln_lowering kiln_elementwise_lowerings[1] = {{.name = "chain", .lower = lower_elementwise}};

const kiln_elementwise *kiln_op_elementwise(const kiln_op *op)
{
    return op->lowerings == kiln_elementwise_lowerings ? op->extra : NULL;
}

const uint32_t *kiln_elementwise_steps(const kiln_elementwise *e, kiln_type type)
{
    if (kiln_type_is_real(type))
        return e->real;
    return kiln_type_is_unsigned(type) && e->natural[0] ? e->natural : e->integer;
}

/* Integers narrower than a register are brought back to their own range behind each step that may leave it: results of
 * arithmetic and other integers wrap, reals saturate. A real that becomes F16 or BF16 is rounded to what that holds, also where
 * it goes on in a register. */

static bool leaves_range(uint32_t code)
{
    switch (code) {
    case KILN_STEP_ADD_I:
    case KILN_STEP_SUB_I:
    case KILN_STEP_MUL_I:
    case KILN_STEP_DIV_I:
    case KILN_STEP_NEG_I:
    case KILN_STEP_ABS_I:
    case KILN_STEP_SHIFT_LEFT:
    case KILN_STEP_BIT_NOT:
    case KILN_STEP_COPY:
        return true;
    default:
        return false;
    }
}

static uint32_t add_number(kiln_chain *c, double value)
{
    c->integers |= 1u << c->immediates;
    c->immediate[c->immediates] = value;
    return KILN_REGISTER_IMMEDIATE + (uint32_t)c->immediates++;
}

/* Append a step on the last one's result and two registers. */
static void add_step(kiln_chain *c, uint32_t code, uint32_t b, uint32_t d)
{
    c->step[c->steps] = KILN_STEP(code, c->result[0], b, d);
    c->result[0] = KILN_REGISTER_STEP + (uint32_t)c->steps++;
}

static void wrap(kiln_chain *c, kiln_type type)
{
    const int bits = 8 * (int)kiln_type_size(type);
    if (kiln_type_is_unsigned(type)) {
        add_step(c, KILN_STEP_BIT_AND, add_number(c, (1 << bits) - 1), 0);
        return;
    }
    const uint32_t by = add_number(c, 32 - bits);
    add_step(c, KILN_STEP_SHIFT_LEFT, by, 0);
    add_step(c, KILN_STEP_SHIFT_RIGHT_I, by, 0);
}

/* By way of signed words, which processors convert to at once; they hold all that is left of either kind. */
static void saturate(kiln_chain *c, kiln_type type)
{
    const bool natural = kiln_type_is_unsigned(type);
    const double reach = ldexp(1, 8 * (int)kiln_type_size(type));
    const uint32_t low = add_number(c, natural ? 0 : -reach / 2);
    const uint32_t high = add_number(c, natural ? reach - 1 : reach / 2 - 1);
    uint32_t *convert = &c->step[c->steps - 1];
    *convert = (*convert & ~UINT32_C(255)) | KILN_STEP_I_FROM_F;
    add_step(c, KILN_STEP_CLIP_I, low, high);
}

/* Whether every integer of one type is one of the other. */
static bool holds(kiln_type type, kiln_type from)
{
    return from == type || from == KILN_BOOL ||
           (kiln_type_size(from) < kiln_type_size(type) &&
            (kiln_type_is_unsigned(from) || !kiln_type_is_unsigned(type)));
}

static void bring_back(kiln_chain *c, kiln_type from, kiln_type to)
{
    const uint32_t code = c->step[c->steps - 1] & 255;
    const bool real = code == KILN_STEP_COPY ? kiln_type_is_real(from)
                                             : code == KILN_STEP_F_FROM_I || code == KILN_STEP_F_FROM_U;
    if (real && (to == KILN_F16 || to == KILN_BF16))
        add_step(c, to == KILN_F16 ? KILN_STEP_TO_F16 : KILN_STEP_TO_BF16, 0, 0);
    if (kiln_type_is_real(to) || to == KILN_BOOL || kiln_type_size(to) > 2)
        return;
    if (code == KILN_STEP_I_FROM_F || code == KILN_STEP_U_FROM_F)
        saturate(c, to);
    else if (leaves_range(code) && !(code == KILN_STEP_COPY && holds(to, from)))
        wrap(c, to);
}

/* `type` is that of the node's first operand, `to` that of its result. */
static kiln_status chain_of(const kiln_node *n, kiln_type type, kiln_type to, kiln_chain *out)
{
    const kiln_elementwise *e = kiln_op_elementwise(n->op);
    *out = (kiln_chain){0};
    if (!e)
        return KILN_ERROR_ARGUMENT;
    const uint32_t *step = kiln_elementwise_steps(e, type);
    if (!step[0])
        return KILN_ERROR_TYPE;
    out->operands = e->operands;
    out->steps = step[1] ? 2 : 1;
    memcpy(out->step, step, (size_t)out->steps * sizeof *step);
    out->immediates = e->immediates;
    out->integers = kiln_type_is_real(type) ? 0 : (1u << e->immediates) - 1;
    if (e->immediates)
        memcpy(out->immediate, n->params, (size_t)e->immediates * sizeof *out->immediate);
    out->results = 1;
    out->result[0] = (uint32_t)(KILN_REGISTER_STEP + out->steps - 1);
    bring_back(out, type, to);
    return KILN_OK;
}

kiln_status kiln_chain_of_node(const kiln_graph *g, const kiln_node *n, kiln_chain *out)
{
    return chain_of(n, kiln_tensor_type(g, n->in[0]), kiln_tensor_type(g, n->out[0]), out);
}

static kiln_status lower_elementwise(kiln_plan *plan, const kiln_node *n)
{
    kiln_chain chain;
    const kiln_status status =
        chain_of(n, kiln_plan_spec(plan, n->in[0]).type, kiln_plan_spec(plan, n->out[0]).type, &chain);
    if (status)
        return kiln_fail(status, "%s \"%s\": not for %s", n->op->name, n->name ? n->name : "",
                         kiln_type_name(kiln_plan_spec(plan, n->in[0]).type));
    return kiln_lower_chain(plan, &chain, n->in, n->out);
}

/* The fused node ----------------------------------------------------------------------------------------- */

/* What a step leaves in its register, given what its operands hold. */
static kiln_type step_type(uint32_t step, const kiln_type *type)
{
    const uint32_t code = step & 255;
    if (code == KILN_STEP_WHERE)
        return type[step >> 16 & 255];
    if (code == KILN_STEP_F_FROM_I || code == KILN_STEP_F_FROM_U)
        return KILN_F32;
    if (code == KILN_STEP_I_FROM_F || code == KILN_STEP_U_FROM_F)
        return code == KILN_STEP_I_FROM_F ? KILN_I32 : KILN_U32;
    return KILN_STEP_IS_TRUTH(code) ? KILN_BOOL : type[step >> 8 & 255];
}

static kiln_status chain_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_chain *chain = n->params;
    kiln_type type[KILN_REGISTER_IMMEDIATE + KILN_CHAIN_IMMEDIATES] = {0};
    kiln_shape shape = KILN_SCALAR;
    for (int i = 0; i < chain->operands; i++) {
        const kiln_spec operand = kiln_tensor_spec(g, n->in[i]);
        type[i] = operand.type;
        if (!kiln_shape_broadcast(&shape, &operand.shape, &shape))
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "operand %d does not broadcast to the others", i);
    }
    for (int i = 0; i < chain->immediates; i++)
        type[KILN_REGISTER_IMMEDIATE + i] = chain->integers >> i & 1 ? KILN_I32 : KILN_F32;
    for (int s = 0; s < chain->steps; s++)
        type[KILN_REGISTER_STEP + s] = step_type(chain->step[s], type);
    for (int i = 0; i < n->outputs; i++)
        out[i] = (kiln_spec){.type = type[chain->result[i]], .shape = shape};
    return KILN_OK;
}

static kiln_status chain_lower(kiln_plan *plan, const kiln_node *n)
{
    return kiln_lower_chain(plan, n->params, n->in, n->out);
}

const kiln_op kiln_op_chain = {
    .name = "chain",
    .inputs = 1,
    .outputs = 1,
    .infer = chain_infer,
    .lowerings = (const kiln_lowering[]){{.name = "chain", .lower = chain_lower}},
    .lowering_count = 1,
};

/* Axes --------------------------------------------------------------------------------------------------- */

struct operand {
    kiln_tensor value;
    kiln_type type;
    kiln_shape shape;
};

/* The axes that are left after collapsing, outermost first, and each operand's step along them (0: broadcast). */
struct walk {
    int rank;
    uint32_t size[KILN_MAX_RANK];
    uint32_t step[KILN_CHAIN_OPERANDS][KILN_MAX_RANK];
};

static void set_steps(const kiln_shape *operand, const kiln_shape *result, uint32_t *step)
{
    uint32_t dense = 1;
    for (int i = 1; i <= result->rank; i++) {
        const int64_t size = i <= operand->rank ? operand->size[operand->rank - i] : 1;
        step[result->rank - i] = size == 1 ? 0 : dense;
        dense *= (uint32_t)size;
    }
}

/* Whether every operand goes from the last axis of w straight on into `axis` of all. */
static bool continues(const struct walk *w, const struct walk *all, int axis, int operands)
{
    for (int k = 0; k < operands; k++)
        if (w->step[k][w->rank - 1] != all->step[k][axis] * all->size[axis])
            return false;
    return true;
}

static struct walk collapse(const kiln_shape *result, const struct operand *operand, int operands)
{
    struct walk all = {.rank = result->rank}, w = {.rank = 0};
    for (int k = 0; k < operands; k++)
        set_steps(&operand[k].shape, result, all.step[k]);
    for (int i = 0; i < all.rank; i++) {
        all.size[i] = (uint32_t)result->size[i];
        if (all.size[i] == 1)
            continue;
        if (w.rank && continues(&w, &all, i, operands))
            w.size[w.rank - 1] *= all.size[i];
        else
            w.size[w.rank++] = all.size[i];
        for (int k = 0; k < operands; k++)
            w.step[k][w.rank - 1] = all.step[k][i];
    }
    return w;
}

static uint32_t walk_of(const struct walk *w, int operand)
{
    const uint32_t *step = w->step[operand];
    bool dense = true, scalar = true;
    uint32_t below = 1;
    for (int i = w->rank - 1; i >= 0; i--) {
        dense &= step[i] == below;
        scalar &= step[i] == 0;
        below *= w->size[i];
    }
    if (dense)
        return KILN_WALK_FLAT;
    if (scalar)
        return KILN_WALK_SCALAR;
    if (w->rank != 2)
        return KILN_WALK_STRIDED;
    return step[0] ? KILN_WALK_ROW : KILN_WALK_COLUMN; /* one axis is broadcast, the other dense */
}

/* Dispatches --------------------------------------------------------------------------------------------- */

void kiln_chain_write_immediates(const kiln_chain *chain, uint32_t *words)
{
    for (int i = 0; i < chain->immediates; i++) {
        const double value = chain->immediate[i];
        const float whole = kiln_float_near(value),
                    rest = isfinite(value) ? kiln_float_near(value - (double)whole) : 0;
        const int64_t integer = (int64_t)fmax(INT32_MIN, fmin(UINT32_MAX, value)); /* signed or not */
        if (chain->integers >> i & 1)
            memcpy(words + 2 * i, (const uint32_t[]){(uint32_t)integer, 0}, 2 * sizeof *words);
        else
            memcpy(words + 2 * i, (const float[]){whole, rest}, 2 * sizeof whole);
    }
}

static void set_flat(kiln_dispatch *d, const kiln_chain *chain, const struct walk *w, uint32_t elements)
{
    struct kiln_params_chain *block = (struct kiln_params_chain *)d->block.words;
    d->kernel = &kiln_kernel_chain;
    d->block_size = sizeof *block;
    block->elements = elements;
    KILN_DIVISOR_SET(block, row, w->rank == 2 ? w->size[1] : 1);
    kiln_chain_write_immediates(chain, block->immediate);
}

static void set_strided(kiln_dispatch *d, const kiln_chain *chain, const struct walk *w, uint32_t elements)
{
    struct kiln_params_chain_strided *block = (struct kiln_params_chain_strided *)d->block.words;
    d->kernel = &kiln_kernel_chain_strided;
    d->block_size = sizeof *block;
    d->constants[0] |= (uint32_t)w->rank << 24;
    block->elements = elements;
    uint32_t *word = block->walk;
    for (int i = 1; i < w->rank; i++) {
        *word++ = w->size[i];
        *word++ = kiln_divisor_multiplier(w->size[i]);
        *word++ = kiln_divisor_shift(w->size[i]);
    }
    for (int k = 0, place = 0; k < chain->operands; k++) {
        if (walk_of(w, k) != KILN_WALK_STRIDED)
            continue;
        d->constants[11] |= (uint32_t)place++ << 4 * k;
        memcpy(word, w->step[k], (size_t)w->rank * sizeof *word);
        word += w->rank;
    }
    kiln_chain_write_immediates(chain, block->immediate);
}

/* Whether operand k is strided and the block has no room for it and those before it. */
static bool too_many(const struct walk *w, int k)
{
    int places = 0;
    for (int i = 0; i <= k; i++)
        places += walk_of(w, i) == KILN_WALK_STRIDED;
    return walk_of(w, k) == KILN_WALK_STRIDED && 3 * (w->rank - 1) + places * w->rank > KILN_STRIDED_WORDS;
}

static kiln_status dispatch(kiln_plan *plan, const kiln_chain *chain, const struct operand *operand,
                            const kiln_shape *shape, struct operand result, uint32_t stored)
{
    const struct walk w = collapse(shape, operand, chain->operands);
    kiln_dispatch d = {.constant_count = CHAIN_CONSTANTS};
    d.constants[0] = (uint32_t)chain->operands | (uint32_t)chain->steps << 8 | stored << 16;
    memcpy(&d.constants[1], chain->step, (size_t)chain->steps * sizeof *chain->step);
    bool strided = false;
    for (int k = 0; k < chain->operands; k++) {
        d.bind[k].value = operand[k].value;
        d.constants[9] |= walk_of(&w, k) << 4 * k;
        d.constants[10] |= (uint32_t)kiln_type_is_real(operand[k].type) << k;
        strided |= walk_of(&w, k) == KILN_WALK_STRIDED;
    }
    d.bind[RESULT].value = result.value;
    d.constants[10] |= (uint32_t)kiln_type_is_real(result.type) << RESULT | chain->integers << 8;
    (strided ? set_strided : set_flat)(&d, chain, &w, (uint32_t)kiln_shape_count(shape));
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_chain copy = {
    .operands = 1, .steps = 1, .step = {KILN_STEP(KILN_STEP_COPY, 0, 0, 0)}, .results = 1, .result = {8}};

/* Replace operands that the block has no room for by expanded copies. */
static kiln_status make_room(kiln_plan *plan, struct operand *operand, int operands, const kiln_shape *shape)
{
    kiln_status status = KILN_OK;
    const struct walk w = collapse(shape, operand, operands);
    for (int k = operands - 1; k >= 0 && !status; k--) {
        if (!too_many(&w, k))
            continue;
        const kiln_tensor wide = kiln_plan_temporary(plan, operand[k].type, kiln_shape_count(shape));
        const struct operand to = {wide, operand[k].type, *shape};
        status = dispatch(plan, &copy, &operand[k], shape, to, KILN_REGISTER_STEP);
        operand[k] = to;
    }
    return status;
}

kiln_status kiln_lower_chain(kiln_plan *plan, const kiln_chain *chain, const kiln_tensor *operands,
                             const kiln_tensor *result)
{
    struct operand operand[KILN_CHAIN_OPERANDS] = {{{0}}};
    const kiln_shape shape = kiln_plan_spec(plan, result[0]).shape;
    const int64_t count = kiln_shape_count(&shape);
    if (chain->operands >= KILN_CHAIN_OPERANDS || count > INT32_MAX)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "chain: %d operands, %lld elements; at most %d and %d",
                         chain->operands, (long long)count, KILN_CHAIN_OPERANDS - 1, INT32_MAX);
    if (count == 0)
        return KILN_OK;
    for (int k = 0; k < chain->operands; k++) {
        const kiln_spec spec = kiln_plan_spec(plan, operands[k]);
        const bool as_result = kiln_shape_count(&spec.shape) == count; /* whatever axes a temporary lacks */
        operand[k] = (struct operand){operands[k], spec.type, as_result ? shape : spec.shape};
    }
    kiln_status status = make_room(plan, operand, chain->operands, &shape);
    for (int i = 0; i < chain->results && !status; i++) {
        const struct operand to = {result[i], kiln_plan_spec(plan, result[i]).type, shape};
        status = dispatch(plan, chain, operand, &shape, to, chain->result[i]);
    }
    return status;
}

kiln_status kiln_lower_copy(kiln_plan *plan, kiln_binding from, kiln_binding to, uint64_t count)
{
    if (count > INT32_MAX)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "chain: %llu elements, at most %d",
                         (unsigned long long)count, INT32_MAX);
    kiln_dispatch d = {.bind = {[0] = from, [RESULT] = to}, .constant_count = CHAIN_CONSTANTS};
    d.constants[0] = 1 | 1 << 8 | KILN_REGISTER_STEP << 16;
    d.constants[1] = copy.step[0];
    d.constants[10] = (uint32_t)kiln_type_is_real(kiln_plan_spec(plan, from.value).type) |
                      (uint32_t)kiln_type_is_real(kiln_plan_spec(plan, to.value).type) << RESULT;
    set_flat(&d, &copy, &(struct walk){.rank = 1}, (uint32_t)count);
    return count ? kiln_plan_dispatch(plan, &d) : KILN_OK;
}

kiln_status kiln_lower_expand(kiln_plan *plan, kiln_tensor x, kiln_tensor y)
{
    return kiln_lower_chain(plan, &copy, &x, &y);
}

kiln_status kiln_lower_constant(kiln_plan *plan, kiln_tensor y, double value)
{
    const kiln_chain constant = {
        .steps = 1,
        .step = {KILN_STEP(KILN_STEP_COPY, KILN_REGISTER_IMMEDIATE, 0, 0)},
        .immediates = 1,
        .immediate = {value},
        .integers = !kiln_type_is_real(kiln_plan_spec(plan, y).type),
        .results = 1,
        .result = {KILN_REGISTER_STEP},
    };
    return kiln_lower_chain(plan, &constant, NULL, &y);
}
