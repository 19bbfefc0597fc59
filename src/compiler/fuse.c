/*
 * fuse.c - fewer kernels, less memory: elementwise nodes that feed only one another become one chain, and a chain behind a
 * matmul or a convolution becomes its epilogue; behind a product of integers a whole chain, that of quantizing its sums again.
 *
 * A producer joins its consumer when nothing else uses it and both have one shape; it then costs no memory at all. A chain is
 * emitted where its last node stood, so that its operands are there. Limits: those of shaders/chain/codes.h. Where bytes are stored as
 * such, a chain ends with one: a chain that is too long is cut where least memory lies between its parts.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/plan.h"
#include "compiler/region.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/quantize.h"
#include "quantize/finish.h"

/* What is known of a node while chains grow; by its index in the old graph. */
struct link {
    bool elementwise, absorbed;
    kiln_chain chain;
    kiln_tensor operand[KILN_CHAIN_OPERANDS];
    const kiln_node *head; /* the matmul or convolution whose epilogue this chain is */
    int members;           /* nodes in the chain */
};

struct fusion {
    struct kiln_rewrite *r;
    struct link *link; /* by node */
    int *node_of;      /* by value id: index of its node */
    int *users;        /* by value id: consumers, the run list counting as one */
    int *region;       /* by node: what it is repeated with (region.h) */
    bool bytes;        /* products of integers take chains, and I8 and U8 are stored as such */
};

/* Splicing two chains ------------------------------------------------------------------------------------ */

/* A chain under construction: where its parts' registers went. */
struct splice {
    kiln_chain chain;
    kiln_tensor operand[KILN_CHAIN_OPERANDS];
    bool fits;
};

static uint32_t add_operand(struct splice *s, kiln_tensor t)
{
    for (int i = 0; i < s->chain.operands; i++)
        if (s->operand[i].id == t.id)
            return (uint32_t)i;
    s->fits &= s->chain.operands + 2 <= KILN_CHAIN_OPERANDS; /* one more, and the result */
    if (!s->fits)
        return 0;
    s->operand[s->chain.operands] = t;
    return (uint32_t)s->chain.operands++;
}

static uint32_t add_immediate(struct splice *s, double value, bool integer)
{
    for (int i = 0; i < s->chain.immediates; i++)
        if (!memcmp(&s->chain.immediate[i], &value, sizeof value) && (s->chain.integers >> i & 1) == integer)
            return KILN_REGISTER_IMMEDIATE + (uint32_t)i;
    s->fits &= s->chain.immediates < KILN_CHAIN_IMMEDIATES;
    if (!s->fits)
        return 0;
    s->chain.integers |= (uint32_t)integer << s->chain.immediates;
    s->chain.immediate[s->chain.immediates] = value;
    return KILN_REGISTER_IMMEDIATE + (uint32_t)s->chain.immediates++;
}

/* Append a part's steps, of which copies of a register are that register; to[r] is where the part's register r lies now. */
static void add_steps(struct splice *s, const kiln_chain *part, uint32_t to[24])
{
    for (int i = 0; i < part->immediates; i++)
        to[KILN_REGISTER_IMMEDIATE + i] = add_immediate(s, part->immediate[i], part->integers >> i & 1);
    for (int i = 0; i < part->steps && s->fits; i++) {
        const uint32_t w = part->step[i];
        if ((w & 255) == KILN_STEP_COPY) {
            to[KILN_REGISTER_STEP + i] = to[w >> 8 & 255];
            continue;
        }
        s->fits = s->chain.steps < KILN_CHAIN_STEPS;
        if (!s->fits)
            return;
        to[KILN_REGISTER_STEP + i] = KILN_REGISTER_STEP + (uint32_t)s->chain.steps;
        s->chain.step[s->chain.steps++] =
            KILN_STEP(w & 255, to[w >> 8 & 255], to[w >> 16 & 255], to[w >> 24 & 255]);
    }
}

/* The chain `into` with its operand `at` computed by `part` (NULL: by an immediate) in the place. */
static struct splice splice(const struct link *into, int at, const struct link *part, double number,
                            bool integer)
{
    struct splice s = {.fits = true};
    uint32_t to[24] = {0}, part_to[24] = {0};
    if (part) {
        for (int i = 0; i < part->chain.operands; i++)
            part_to[i] = add_operand(&s, part->operand[i]);
        add_steps(&s, &part->chain, part_to);
    }
    for (int i = 0; i < into->chain.operands; i++)
        if (i != at)
            to[i] = add_operand(&s, into->operand[i]);
        else
            to[i] = part ? part_to[part->chain.result[0]] : add_immediate(&s, number, integer);
    add_steps(&s, &into->chain, to);
    s.chain.results = 1;
    s.chain.result[0] = to[into->chain.result[0]];
    if (s.chain.steps == 0) { /* copies alone are one */
        s.chain.step[s.chain.steps++] = KILN_STEP(KILN_STEP_COPY, s.chain.result[0], 0, 0);
        s.chain.result[0] = KILN_REGISTER_STEP;
    }
    return s;
}

/* Shorter chains ------------------------------------------------------------------------------------------ */

/* The step whose result a register is, if that is what it does and nothing but step `by` reads it; -1: it is not so. */
static int step_behind(const kiln_chain *c, uint32_t reg, uint32_t code, int by)
{
    const int at = (int)reg - KILN_REGISTER_STEP;
    if (at < 0 || at >= c->steps || (c->step[at] & 255) != code || c->result[0] == reg)
        return -1;
    for (int i = at + 1; i < c->steps; i++)
        for (int shift = 8; shift < 32 && i != by; shift += 8)
            if ((c->step[i] >> shift & 255) == reg)
                return -1;
    return at;
}

/* Take out a step that nothing reads. */
static void drop_step(kiln_chain *c, int at)
{
    const uint32_t gone = KILN_REGISTER_STEP + (uint32_t)at;
    c->steps--;
    for (int i = at; i < c->steps; i++) {
        const uint32_t w = c->step[i + 1];
        c->step[i] = w & 255;
        for (int shift = 8; shift < 32; shift += 8) {
            const uint32_t reg = w >> shift & 255;
            c->step[i] |= (reg - (reg > gone && reg < KILN_REGISTER_IMMEDIATE)) << shift;
        }
    }
    c->result[0] -= c->result[0] > gone && c->result[0] < KILN_REGISTER_IMMEDIATE;
}

/* A division that is rounded, round(a / b), by one step. */
static bool join_rounding(kiln_chain *c, int i)
{
    const int division = (c->step[i] & 255) == KILN_STEP_ROUND_F
                             ? step_behind(c, c->step[i] >> 8 & 255, KILN_STEP_DIV_F, i)
                             : -1;
    if (division < 0)
        return false;
    c->step[i] = (c->step[division] & ~UINT32_C(255)) | KILN_STEP_ROUNDED_F;
    drop_step(c, division);
    return true;
}

/* real(a - b) * s by one step; `side` is the shift of the product's operand that is not s. */
static bool join_scaling(kiln_chain *c, int i, int side)
{
    const uint32_t w = c->step[i], scale = w >> (side == 8 ? 16 : 8) & 255;
    const int real =
        (w & 255) == KILN_STEP_MUL_F ? step_behind(c, w >> side & 255, KILN_STEP_F_FROM_I, i) : -1;
    const int less = real < 0 ? -1 : step_behind(c, c->step[real] >> 8 & 255, KILN_STEP_SUB_I, real);
    if (less < 0 || scale == (w >> side & 255))
        return false;
    const uint32_t from = c->step[less];
    c->step[i] = KILN_STEP(KILN_STEP_SCALED_I, from >> 8 & 255, from >> 16 & 255, scale);
    drop_step(c, real);
    drop_step(c, less);
    return true;
}

/* Integers are quantized and dequantized by fewer steps that do the same: residual sums of them fit into one chain then. */
static void join_steps(kiln_chain *c)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < c->steps && !changed; i++)
            changed = join_rounding(c, i) || join_scaling(c, i, 8) || join_scaling(c, i, 16);
    }
}

static void accept(struct link *into, const struct splice *s, int members)
{
    into->chain = s->chain;
    join_steps(&into->chain);
    memcpy(into->operand, s->operand, sizeof into->operand);
    into->members += members;
}

/* Neighbours --------------------------------------------------------------------------------------------- */

/* A long step runs by itself: it takes numbers, but no neighbour. */
static bool alone(const struct link *l)
{
    return KILN_STEP_IS_LONG(l->chain.step[0] & 255);
}

bool kiln_constant_number(const kiln_node *n, double *value, bool *integer)
{
    const struct kiln_constant_params *p = n->params;
    if (n->op != &kiln_op_constant || kiln_shape_count(&p->spec.shape) != 1)
        return false;
    *integer = !kiln_type_is_real(p->spec.type);
    const void *data = kiln_constant_data(p);
    switch (p->stored) {
    case KILN_F64:
        *value = *(const double *)data;
        return true;
    case KILN_F32:
        *value = *(const float *)data;
        return true;
    case KILN_I64:
        *value = (double)*(const int64_t *)data;
        return *value >= INT32_MIN && *value <= INT32_MAX;
    case KILN_I32:
        *value = *(const int32_t *)data;
        return true;
    default:
        return false;
    }
}

static bool same_shape(const kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    const kiln_shape x = kiln_tensor_shape(g, a), y = kiln_tensor_shape(g, b);
    return kiln_shape_equal(&x, &y);
}

/* What is computed once before a region must not be computed in each of its turns. */
static bool same_region(const struct fusion *f, kiln_tensor t, const kiln_node *n)
{
    return f->region[f->node_of[t.id]] == f->region[f->node_of[n->out[0].id]];
}

/* Epilogues ---------------------------------------------------------------------------------------------- */

/* Put operand `at` first: register 0 is what the head computes. */
static void put_first(struct link *l, int at)
{
    const kiln_tensor t = l->operand[at];
    memmove(&l->operand[1], &l->operand[0], (size_t)at * sizeof t);
    l->operand[0] = t;
    for (int i = 0; i < l->chain.steps; i++) {
        uint32_t w = l->chain.step[i], moved = w & 255;
        for (int shift = 8; shift < 32; shift += 8) {
            uint32_t reg = w >> shift & 255;
            if ((int)reg == at)
                reg = 0;
            else if ((int)reg < at)
                reg++;
            moved |= reg << shift;
        }
        l->chain.step[i] = moved;
    }
}

static bool walks_fit(const kiln_graph *g, const kiln_node *head, const kiln_node *n, const struct link *l,
                      int at)
{
    const kiln_spec out = kiln_tensor_spec(g, n->out[0]);
    uint32_t walk;
    if (!kiln_type_is_real(out.type) && !(head->op->flags & KILN_OP_FINISH))
        return false;
    for (int i = 0; i < l->chain.operands; i++) {
        const kiln_spec spec = kiln_tensor_spec(g, l->operand[i]);
        if (i != at && !kiln_epilogue_walk(head->op, &out, &spec, &walk))
            return false;
    }
    return true;
}

/* Whether such a node takes a chain, as it is, and has room for one of this size. */
static bool takes_chain(const struct fusion *f, const kiln_node *head, const kiln_chain *c)
{
    if (head->epilogue)
        return false;
    if (head->op->flags & KILN_OP_FINISH) {
        const kiln_shape x =
            kiln_tensor_shape(f->r->from, head->in[0]); /* of nothing nothing is multiplied */
        return f->bytes && head->inputs == head->op->inputs + 2 && c->operands <= 1 + KILN_FINISH_OPERANDS &&
               kiln_shape_count(&x) > 0;
    }
    return head->op->flags & KILN_OP_EPILOGUE && head->inputs == head->op->inputs &&
           c->steps <= KILN_EPILOGUE_STEPS && c->operands <= 1 + KILN_EPILOGUE_OPERANDS &&
           c->immediates <= KILN_EPILOGUE_IMMEDIATES;
}

/* The operand whose node, a matmul or convolution, takes the chain of node n as its epilogue; -1: none does. */
static int head_of(const struct fusion *f, const kiln_node *n, const struct link *l)
{
    const kiln_graph *g = f->r->from;
    for (int at = 0; at < l->chain.operands && !alone(l); at++) {
        const kiln_tensor t = l->operand[at];
        const kiln_node *head = kiln_graph_node(g, t);
        if (takes_chain(f, head, &l->chain) && !f->link[f->node_of[t.id]].absorbed && f->users[t.id] == 1 &&
            same_shape(g, t, n->out[0]) && same_region(f, t, n) && walks_fit(g, head, n, l, at))
            return at;
    }
    return -1;
}

static void find_head(struct fusion *f, const kiln_node *n, struct link *l)
{
    const int at = head_of(f, n, l);
    if (at < 0)
        return;
    l->head = kiln_graph_node(f->r->from, l->operand[at]);
    f->link[f->node_of[l->operand[at].id]].absorbed = true;
    put_first(l, at);
}

/* Growing chains ----------------------------------------------------------------------------------------- */

/*
 * Whether two products meet that would have an epilogue each, and one has no room for both chains: then the sum goes with one of them
 * and reads what the other has finished, instead of being a pass over both.
 */
static bool has_room_apart(const struct fusion *f, const kiln_node *n, const struct link *l, kiln_tensor t,
                           const struct splice *joined)
{
    struct link both = *l;
    if (head_of(f, n, l) < 0 || head_of(f, kiln_graph_node(f->r->from, t), &f->link[f->node_of[t.id]]) < 0)
        return false;
    accept(&both, joined, 0);
    return head_of(f, n, &both) < 0;
}

/* Try to take operand `at` of the chain of node n in; true if the chain changed. */
static bool take_operand(struct fusion *f, const kiln_node *n, struct link *l, int at)
{
    const kiln_graph *g = f->r->from;
    const kiln_tensor t = l->operand[at];
    struct link *p = &f->link[f->node_of[t.id]];
    double number = 0;
    bool integer = false;
    /* a number keeps at least one operand in the chain, so that it has something to walk */
    if (l->chain.operands > 1 && kiln_constant_number(kiln_graph_node(g, t), &number, &integer)) {
        const struct splice s = splice(l, at, NULL, number, integer);
        if (s.fits)
            accept(l, &s, 0);
        return s.fits;
    }
    if (!p->elementwise || p->absorbed || f->users[t.id] != 1 || !same_shape(g, t, n->out[0]) ||
        !same_region(f, t, n) || alone(l) || alone(p) || (f->bytes && kiln_is_byte(kiln_tensor_type(g, t))))
        return false;
    const struct splice s = splice(l, at, p, 0, false);
    if (!s.fits || has_room_apart(f, n, l, t, &s))
        return false;
    p->absorbed = true;
    accept(l, &s, p->members);
    return true;
}

static void grow(struct fusion *f, const kiln_node *n, struct link *l)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int at = 0; at < l->chain.operands && !changed; at++)
            changed = take_operand(f, n, l, at);
    }
}

/* Emitting ----------------------------------------------------------------------------------------------- */

static kiln_status emit_mapped(struct fusion *f, const kiln_node *n, const kiln_op *op, const kiln_tensor *in,
                               int inputs, const void *params, size_t params_size, const kiln_chain *epilogue)
{
    struct kiln_rewrite *r = f->r;
    const kiln_spec spec = kiln_tensor_spec(r->from, n->out[0]);
    kiln_tensor mapped[2 * KILN_CHAIN_OPERANDS];
    for (int i = 0; i < inputs; i++)
        mapped[i] = in[i].id ? r->map[in[i].id] : KILN_NONE;
    r->to->pass = n->pass;
    kiln_node *copy = kiln_graph_add(r->to, op, mapped, inputs, params, params_size, &spec, 1,
                                     kiln_arena_text(&r->to->arena, n->name));
    if (!copy)
        return r->to->status;
    if (epilogue && !(copy->epilogue = kiln_arena_copy(&r->to->arena, epilogue, sizeof *epilogue)))
        return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    r->map[n->out[0].id] = copy->out[0];
    return KILN_OK;
}

static kiln_status emit(struct fusion *f, const kiln_node *n, const struct link *l)
{
    if (l->absorbed)
        return KILN_OK;
    if (l->head) {
        kiln_tensor in[2 * KILN_CHAIN_OPERANDS];
        int inputs = 0;
        while (inputs < l->head->inputs && inputs < KILN_CHAIN_OPERANDS) {
            in[inputs] = l->head->in[inputs];
            inputs++;
        }
        for (int i = 1; i < l->chain.operands; i++)
            in[inputs++] = l->operand[i];
        return emit_mapped(f, n, l->head->op, in, inputs, l->head->params, l->head->params_size, &l->chain);
    }
    const bool fused = l->elementwise && (l->members > 1 || l->chain.operands != n->inputs);
    if (fused)
        return emit_mapped(f, n, &kiln_op_chain, l->operand, l->chain.operands, &l->chain, sizeof l->chain,
                           NULL);
    return kiln_rewrite_copy(f->r, n) ? KILN_OK : f->r->to->status;
}

/* The pass ----------------------------------------------------------------------------------------------- */

static void count_users(struct fusion *f, const kiln_tensor *run, int run_count)
{
    const kiln_graph *g = f->r->from;
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        for (int k = 0; k < n->outputs; k++)
            f->node_of[n->out[k].id] = i;
        for (int k = 0; k < n->inputs; k++) {
            bool again = false;
            for (int j = 0; j < k; j++)
                again |= n->in[j].id == n->in[k].id;
            f->users[n->in[k].id] += !again;
        }
    }
    for (int i = 0; i < run_count; i++)
        f->users[run[i].id]++;
}

static void find_chains(struct fusion *f, bool fuse)
{
    const kiln_graph *g = f->r->from;
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        struct link *l = &f->link[i];
        if (n->op == &kiln_op_constant || !kiln_op_elementwise(n->op) ||
            n->inputs > KILN_CHAIN_OPERANDS - 1 || kiln_chain_of_node(g, n, &l->chain))
            continue;
        l->elementwise = true;
        l->members = 1;
        memcpy(l->operand, n->in, (size_t)n->inputs * sizeof *n->in);
        const struct splice once = splice(l, -1, NULL, 0, false); /* an operand given twice becomes one */
        accept(l, &once, 0);
        if (fuse)
            grow(f, n, l);
    }
    for (int i = 0; i < g->node.count; i++)
        if (f->link[i].elementwise && !f->link[i].absorbed)
            find_head(f, g->node.data[i], &f->link[i]);
}

kiln_status kiln_fuse(struct kiln_rewrite *r, kiln_tensor *run, int run_count, const struct kiln_caps *caps,
                      bool bytes)
{
    const size_t values = (size_t)r->from->value.count + 1;
    struct fusion f = {.r = r, .bytes = bytes};
    f.link = calloc((size_t)r->from->node.count + 1, sizeof *f.link);
    f.node_of = calloc(values, sizeof *f.node_of);
    f.users = calloc(values, sizeof *f.users);
    f.region = kiln_regions(r->from);
    kiln_status status = f.link && f.node_of && f.users && f.region
                             ? KILN_OK
                             : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    if (!status) {
        count_users(&f, run, run_count);
        find_chains(&f, caps->folds_constants);
    }
    for (int i = 0; i < r->from->node.count && !status; i++)
        status = emit(&f, r->from->node.data[i], &f.link[i]);
    for (int i = 0; i < run_count && !status; i++)
        run[i] = r->map[run[i].id];
    free(f.link);
    free(f.node_of);
    free(f.users);
    free(f.region);
    return status;
}
