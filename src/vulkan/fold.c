/*
 * fold.c - constants through the functions of a SPIR-V module, and the blocks that they leave.
 *
 *   repeat   blocks that can be reached, over the branches that known conditions leave
 *            results of integer and logical operations on known operands; phis whose remaining values are one
 *   until nothing is learned. Each round's facts stay true, so the order of blocks does not matter.
 *
 * Structured control flow. A branch on a known condition becomes OpBranch. Its selection merge goes with
 * it; that of a switch only if no construct inside breaks to it, else a switch with nothing but its default
 * stays. A loop keeps its merge instruction and so the blocks it names: where they are not reached any more
 * they become stubs, and a stub behind the back edge hands the header's phis undefined values. Loops are
 * not unrolled.
 *
 * A module is left as it is where anything but a loop header is branched to from below (the order of blocks
 * could come out wrong), or where a loop would lose its only back edge and keep its continue target.
 */
#include "vulkan/spirv.h"

/* Values ------------------------------------------------------------------------------------------------- */

bool kiln_spirv_known(const struct spirv_module *m, uint32_t id, uint32_t *value)
{
    if (id >= m->bound || !m->id[id].known)
        return false;
    *value = m->id[id].value;
    return true;
}

static bool divide(uint32_t op, uint32_t a, uint32_t b, uint32_t *r)
{
    const bool is_signed = op == SPIRV_DIVIDE_SIGNED || op == SPIRV_REMAINDER_SIGNED;
    if (b == 0 || (is_signed && a == 0x80000000u && b == UINT32_MAX))
        return false;
    const int64_t x = (int32_t)a, y = (int32_t)b;
    if (is_signed)
        *r = (uint32_t)(op == SPIRV_DIVIDE_SIGNED ? x / y : x % y);
    else
        *r = op == SPIRV_DIVIDE_UNSIGNED ? a / b : a % b;
    return true;
}

static bool shift(uint32_t op, uint32_t a, uint32_t b, uint32_t *r)
{
    if (b > 31)
        return false;
    const uint32_t sign = op == SPIRV_SHIFT_RIGHT_SIGNED && a >> 31 ? ~(UINT32_MAX >> b) : 0;
    *r = op == SPIRV_SHIFT_LEFT ? a << b : a >> b | sign;
    return true;
}

/* Operations on a and b; a signed comparison is an unsigned one with the sign bit turned. */
#define SIGN 0x80000000u
#define COMPUTED(X)                               \
    X(COPY_OBJECT, a)                             \
    X(BITCAST, a)                                 \
    X(NEGATE, 0 - a)                              \
    X(ADD, a + b)                                 \
    X(SUBTRACT, a - b)                            \
    X(MULTIPLY, a *b)                             \
    X(BIT_OR, a | b)                              \
    X(BIT_XOR, a ^ b)                             \
    X(BIT_AND, a &b)                              \
    X(BIT_NOT, ~a)                                \
    X(LOGICAL_OR, a | b)                          \
    X(LOGICAL_AND, a &b)                          \
    X(LOGICAL_NOT, !a)                            \
    X(LOGICAL_EQUAL, a == b)                      \
    X(LOGICAL_NOT_EQUAL, a != b)                  \
    X(EQUAL, a == b)                              \
    X(NOT_EQUAL, a != b)                          \
    X(ABOVE_UNSIGNED, a > b)                      \
    X(NOT_BELOW_UNSIGNED, a >= b)                 \
    X(BELOW_UNSIGNED, a < b)                      \
    X(NOT_ABOVE_UNSIGNED, a <= b)                 \
    X(ABOVE_SIGNED, (a ^ SIGN) > (b ^ SIGN))      \
    X(NOT_BELOW_SIGNED, (a ^ SIGN) >= (b ^ SIGN)) \
    X(BELOW_SIGNED, (a ^ SIGN) < (b ^ SIGN))      \
    X(NOT_ABOVE_SIGNED, (a ^ SIGN) <= (b ^ SIGN))

static bool compute(uint32_t op, uint32_t a, uint32_t b, uint32_t *r)
{
    switch (op) {
#define X(name, result) \
    case SPIRV_##name:  \
        *r = result;    \
        return true;
        COMPUTED(X)
#undef X
    case SPIRV_DIVIDE_UNSIGNED:
    case SPIRV_DIVIDE_SIGNED:
    case SPIRV_MODULO_UNSIGNED:
    case SPIRV_REMAINDER_SIGNED:
        return divide(op, a, b, r);
    case SPIRV_SHIFT_LEFT:
    case SPIRV_SHIFT_RIGHT:
    case SPIRV_SHIFT_RIGHT_SIGNED:
        return shift(op, a, b, r);
    default:
        return false;
    }
}
#undef COMPUTED
#undef SIGN

static uint32_t operands_of(uint32_t op)
{
    switch (op) {
    case SPIRV_COPY_OBJECT:
    case SPIRV_BITCAST:
    case SPIRV_NEGATE:
    case SPIRV_BIT_NOT:
    case SPIRV_LOGICAL_NOT:
        return 1;
    default:
        return 2;
    }
}

/* The constituent that the literal indices name, through nested constant composites. */
static bool extract(const struct spirv_module *m, const uint32_t *operand, uint32_t count, uint32_t *value)
{
    uint32_t id = operand[0];
    for (uint32_t i = 1; i < count; i++) {
        const uint32_t at = id < m->bound ? m->id[id].at : 0;
        const bool composite =
            at && at < m->body &&
            (SPIRV_OP(m, at) == SPIRV_CONSTANT_COMPOSITE || SPIRV_OP(m, at) == SPIRV_SPEC_CONSTANT_COMPOSITE);
        if (!composite || operand[i] >= SPIRV_LENGTH(m, at) - 3)
            return false;
        id = m->words[at + 3 + operand[i]];
    }
    return kiln_spirv_known(m, id, value);
}

/* One known operand can decide a logical operation, and the condition of a select which operand matters. */
static bool decide(const struct spirv_module *m, uint32_t op, const uint32_t *operand, uint32_t count,
                   uint32_t *r)
{
    uint32_t a = 0, b = 0;
    if (op == SPIRV_COMPOSITE_EXTRACT)
        return count > 0 && extract(m, operand, count, r);
    if (op == SPIRV_SELECT)
        return count == 3 && kiln_spirv_known(m, operand[0], &a) &&
               kiln_spirv_known(m, operand[a ? 1 : 2], r);
    if (count != operands_of(op))
        return false;
    const bool first = kiln_spirv_known(m, operand[0], &a);
    const bool second = count < 2 || kiln_spirv_known(m, operand[1], &b);
    if (op == SPIRV_LOGICAL_AND || op == SPIRV_LOGICAL_OR) {
        *r = op == SPIRV_LOGICAL_OR;
        if ((first && a == *r) || (second && b == *r))
            return true;
    }
    return first && second && compute(op, a, b, r);
}

bool kiln_spirv_evaluate(struct spirv_module *m, uint32_t op, const uint32_t *operand, uint32_t count,
                         uint32_t type, uint32_t id)
{
    uint32_t value;
    if (type >= m->bound || id >= m->bound || !m->id[type].scalar || !decide(m, op, operand, count, &value))
        return false;
    m->id[id].type = type;
    m->id[id].value = value;
    return m->id[id].known = true;
}

/* Blocks ------------------------------------------------------------------------------------------------- */

/* Labels that a block may branch to: `count` words at `label`, each `step` words apart. */
struct spirv_targets {
    const uint32_t *label;
    uint32_t count, step;
};

static struct spirv_block *block_of(const struct spirv_module *m, uint32_t label)
{
    return &m->block[m->id[label].at];
}

static bool is_loop(const struct spirv_module *m, const struct spirv_block *b)
{
    return b->merge && SPIRV_OP(m, b->merge) == SPIRV_LOOP_MERGE;
}

/* Whether the terminator chooses by a known value. A back edge is never decided: its loop must keep it. */
static bool is_decided(const struct spirv_module *m, const struct spirv_block *b, uint32_t *value)
{
    const uint32_t *w = m->words + b->last, op = SPIRV_OP(m, b->last);
    if (op == SPIRV_BRANCH_CONDITIONAL && (block_of(m, w[2]) <= b || block_of(m, w[3]) <= b))
        return false;
    return (op == SPIRV_BRANCH_CONDITIONAL || op == SPIRV_SWITCH) && kiln_spirv_known(m, w[1], value);
}

/* All labels of a terminator, whatever is known. */
static struct spirv_targets named_targets(const struct spirv_module *m, const struct spirv_block *b)
{
    const uint32_t *w = m->words + b->last, length = SPIRV_LENGTH(m, b->last);
    switch (SPIRV_OP(m, b->last)) {
    case SPIRV_BRANCH:
        return (struct spirv_targets){w + 1, 1, 1};
    case SPIRV_BRANCH_CONDITIONAL:
        return (struct spirv_targets){w + 2, 2, 1};
    case SPIRV_SWITCH:
        return (struct spirv_targets){w + 2, (length - 1) / 2, 2};
    default:
        return (struct spirv_targets){NULL, 0, 1};
    }
}

/* The labels that a block may branch to, given what is known. */
static struct spirv_targets targets_of(const struct spirv_module *m, const struct spirv_block *b)
{
    const uint32_t *w = m->words + b->last;
    uint32_t value, chosen = 2;
    if (!is_decided(m, b, &value))
        return named_targets(m, b);
    if (SPIRV_OP(m, b->last) == SPIRV_BRANCH_CONDITIONAL)
        chosen = value ? 2 : 3;
    else
        for (uint32_t i = 3; i + 1 < SPIRV_LENGTH(m, b->last); i += 2)
            if (w[i] == value)
                chosen = i + 1;
    return (struct spirv_targets){w + chosen, 1, 1};
}

static bool leads_to(const struct spirv_module *m, const struct spirv_block *b, uint32_t label)
{
    const struct spirv_targets t = targets_of(m, b);
    for (uint32_t i = 0; i < t.count; i++)
        if (t.label[i * t.step] == label)
            return true;
    return false;
}

/* Mark what can be reached from a block, not through the label `stop`, and only forwards where asked. */
static void reach(struct spirv_module *m, uint32_t from, uint32_t stop, bool forwards)
{
    uint32_t depth = 0;
    memset(m->mark, 0, m->block_count * sizeof *m->mark);
    m->mark[from] = true;
    m->stack[depth++] = from;
    while (depth > 0) {
        const uint32_t at = m->stack[--depth];
        const struct spirv_targets t = targets_of(m, &m->block[at]);
        for (uint32_t i = 0; i < t.count; i++) {
            const uint32_t to = m->id[t.label[i * t.step]].at;
            if (m->mark[to] || t.label[i * t.step] == stop || (forwards && to <= at))
                continue;
            m->mark[to] = true;
            m->stack[depth++] = to;
        }
    }
}

/* A function's blocks are first .. end - 1 of the table. */
static void set_reached(struct spirv_module *m, uint32_t first, uint32_t end)
{
    reach(m, first, 0, false);
    for (uint32_t i = first; i < end; i++)
        m->block[i].fate = m->mark[i] ? SPIRV_KEPT : SPIRV_DROPPED;
}

/* Soundness: what the rest relies on --------------------------------------------------------------------- */

static bool is_block(const struct spirv_module *m, uint32_t label, uint32_t first, uint32_t end)
{
    const uint32_t at = label < m->bound ? m->id[label].at : end;
    return at >= first && at < end && m->block[at].label == label;
}

/* Terminators and merges have the words that their opcodes ask for. */
static bool has_words(const struct spirv_module *m, const struct spirv_block *b)
{
    const uint32_t length = SPIRV_LENGTH(m, b->last);
    if (b->merge && SPIRV_LENGTH(m, b->merge) < (is_loop(m, b) ? 4u : 3u))
        return false;
    switch (SPIRV_OP(m, b->last)) {
    case SPIRV_BRANCH:
        return length == 2;
    case SPIRV_BRANCH_CONDITIONAL:
        return length >= 4;
    case SPIRV_SWITCH:
        return length >= 3 && length % 2 == 1;
    default:
        return true;
    }
}

/* Labels that a block names are blocks of its function; only loop headers are branched to from below. */
static bool has_order(const struct spirv_module *m, const struct spirv_block *b, uint32_t first, uint32_t end)
{
    const struct spirv_targets t = named_targets(m, b);
    for (uint32_t i = 0; i < t.count; i++) {
        const uint32_t label = t.label[i * t.step];
        if (!is_block(m, label, first, end) || (block_of(m, label) <= b && !is_loop(m, block_of(m, label))))
            return false;
    }
    return !b->merge || (is_block(m, m->words[b->merge + 1], first, end) &&
                         (!is_loop(m, b) || is_block(m, m->words[b->merge + 2], first, end)));
}

static bool has_phis(const struct spirv_module *m, const struct spirv_block *b, uint32_t first, uint32_t end)
{
    for (uint32_t at = b->first; at < b->last; at += SPIRV_LENGTH(m, at)) {
        const uint32_t *w = m->words + at, length = SPIRV_LENGTH(m, at);
        if (SPIRV_OP(m, at) != SPIRV_PHI)
            continue;
        if (length < 5 || length % 2 == 0 || w[1] >= m->bound || w[2] >= m->bound)
            return false;
        for (uint32_t i = 4; i < length; i += 2)
            if (!is_block(m, w[i], first, end))
                return false;
    }
    return true;
}

static bool is_sound(const struct spirv_module *m, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        if (!has_words(m, &m->block[i]) || !has_order(m, &m->block[i], first, end) ||
            !has_phis(m, &m->block[i], first, end))
            return false;
    return true;
}

/* Folding ------------------------------------------------------------------------------------------------ */

/* The one value that all edges which remain bring to a phi. */
static bool fold_phi(struct spirv_module *m, const struct spirv_block *b, uint32_t at)
{
    const uint32_t *w = m->words + at;
    uint32_t one = 0, value;
    bool found = false;
    for (uint32_t i = 3; i + 1 < SPIRV_LENGTH(m, at); i += 2) {
        const struct spirv_block *from = block_of(m, w[i + 1]);
        if (from->fate != SPIRV_KEPT || !leads_to(m, from, b->label))
            continue;
        if (!kiln_spirv_known(m, w[i], &value) || (found && value != one))
            return false;
        one = value;
        found = true;
    }
    if (!found || !m->id[w[1]].scalar)
        return false;
    m->id[w[2]].type = w[1];
    m->id[w[2]].value = one;
    return m->id[w[2]].known = true;
}

static bool is_foldable(uint32_t op)
{
    return op == SPIRV_PHI ||
           (op >= SPIRV_COMPOSITE_EXTRACT && op <= SPIRV_BIT_NOT && op != SPIRV_IMAGE_WRITE);
}

/* Learn what a block's instructions give; true if anything is new. */
static bool fold_block(struct spirv_module *m, const struct spirv_block *b)
{
    bool learned = false;
    for (uint32_t at = b->first; at < b->last; at += SPIRV_LENGTH(m, at)) {
        const uint32_t *w = m->words + at, op = SPIRV_OP(m, at), length = SPIRV_LENGTH(m, at);
        if (!is_foldable(op) || length < 4 || w[1] >= m->bound || w[2] >= m->bound || m->id[w[2]].known)
            continue;
        if (op == SPIRV_PHI ? fold_phi(m, b, at) : kiln_spirv_evaluate(m, op, w + 3, length - 3, w[1], w[2]))
            learned = m->id[w[2]].folded = true;
    }
    return learned;
}

/* Whether the merge instruction of a decided switch may go: no construct inside, left by another way than
 * its own merge, comes to the switch's. */
static bool can_unmerge(struct spirv_module *m, const struct spirv_block *b)
{
    const uint32_t merge = m->words[b->merge + 1], here = (uint32_t)(b - m->block);
    if (SPIRV_OP(m, b->last) != SPIRV_SWITCH || m->id[merge].at <= here)
        return SPIRV_OP(m, b->last) != SPIRV_SWITCH;
    for (uint32_t i = here + 1; i < m->id[merge].at; i++) {
        const struct spirv_block *inner = &m->block[i];
        if (inner->fate != SPIRV_KEPT || !inner->merge || inner->unmerged)
            continue;
        reach(m, i, m->words[inner->merge + 1], true);
        if (m->mark[m->id[merge].at])
            return false;
    }
    return true;
}

/* Blocks that merge instructions name must be there. */
static void keep_named(struct spirv_module *m, const struct spirv_block *b)
{
    struct spirv_block *merge = block_of(m, m->words[b->merge + 1]);
    if (merge->fate == SPIRV_DROPPED)
        merge->fate = SPIRV_STUB_MERGE;
    if (!is_loop(m, b))
        return;
    struct spirv_block *next = block_of(m, m->words[b->merge + 2]);
    if (next->fate == SPIRV_KEPT)
        return;
    next->fate = SPIRV_STUB_CONTINUE;
    next->header = (uint32_t)(b - m->block);
}

/* Decorations must not name what is gone. Of these opcodes the third word is no result. */
static void forget_block(struct spirv_module *m, const struct spirv_block *b)
{
    for (uint32_t at = b->first; at < b->last; at += SPIRV_LENGTH(m, at)) {
        switch (SPIRV_OP(m, at)) {
        case SPIRV_STORE:
        case SPIRV_COPY_MEMORY:
        case SPIRV_IMAGE_WRITE:
        case SPIRV_ATOMIC_STORE:
        case SPIRV_COOPERATIVE_STORE:
        case SPIRV_CONTROL_BARRIER:
        case SPIRV_MEMORY_BARRIER:
        case SPIRV_LOOP_MERGE:
        case SPIRV_SELECTION_MERGE:
        case SPIRV_LINE:
            break;
        default:
            if (SPIRV_LENGTH(m, at) > 2 && m->words[at + 2] < m->bound)
                m->id[m->words[at + 2]].gone = true;
        }
    }
}

/* A kept loop whose continue target is kept has its back edge. */
static bool loops_back(const struct spirv_module *m, const struct spirv_block *header, uint32_t end)
{
    if (block_of(m, m->words[header->merge + 2])->fate != SPIRV_KEPT)
        return true;
    for (uint32_t i = (uint32_t)(header - m->block); i < end; i++)
        if (m->block[i].fate == SPIRV_KEPT && leads_to(m, &m->block[i], header->label))
            return true;
    return false;
}

static bool fold_function(struct spirv_module *m, uint32_t first, uint32_t end)
{
    for (bool learned = true; learned;) {
        set_reached(m, first, end);
        learned = false;
        for (uint32_t i = first; i < end; i++)
            if (m->block[i].fate == SPIRV_KEPT)
                learned |= fold_block(m, &m->block[i]);
    }

    uint32_t value;
    for (uint32_t i = end; i-- > first;) { /* inner constructs before those around them */
        struct spirv_block *b = &m->block[i];
        if (b->fate == SPIRV_KEPT && b->merge && is_loop(m, b) && !loops_back(m, b, end))
            return false;
        if (b->fate == SPIRV_KEPT && b->merge && !is_loop(m, b) && is_decided(m, b, &value))
            b->unmerged = can_unmerge(m, b);
    }
    for (uint32_t i = first; i < end; i++)
        if (m->block[i].fate == SPIRV_KEPT && m->block[i].merge && !m->block[i].unmerged)
            keep_named(m, &m->block[i]);
    for (uint32_t i = first; i < end; i++)
        if (m->block[i].fate != SPIRV_KEPT)
            forget_block(m, &m->block[i]);
    return true;
}

static void forget_all(struct spirv_module *m)
{
    for (uint32_t i = 0; i < m->block_count; i++)
        m->block[i].fate = SPIRV_PLAIN;
    for (uint32_t i = 0; i < m->bound; i++) {
        m->id[i].known &= !m->id[i].folded;
        m->id[i].folded = m->id[i].gone = false;
    }
}

void kiln_spirv_fold(struct spirv_module *m)
{
    for (uint32_t first = 0, end; first < m->block_count; first = end) {
        for (end = first + 1; end < m->block_count && !m->block[end].entry;)
            end++;
        if (!is_sound(m, first, end) || !fold_function(m, first, end)) {
            forget_all(m);
            return;
        }
    }
}

/* Writing ------------------------------------------------------------------------------------------------ */

/* A phi over the edges that remain, and over the stub behind a loop whose back edge went. */
static uint32_t *write_phi(struct spirv_module *m, const struct spirv_block *b, uint32_t at, uint32_t *out)
{
    const uint32_t *w = m->words + at;
    uint32_t *end = spirv_write(out, w, 3);
    for (uint32_t i = 3; i + 1 < SPIRV_LENGTH(m, at); i += 2) {
        const struct spirv_block *from = block_of(m, w[i + 1]);
        if (from->fate == SPIRV_KEPT && leads_to(m, from, b->label))
            end = spirv_write(end, w + i, 2);
    }
    if (is_loop(m, b)) {
        const struct spirv_block *next = block_of(m, m->words[b->merge + 2]);
        if (next->fate == SPIRV_STUB_CONTINUE) {
            *end++ = m->bound++;
            *end++ = next->label;
        }
    }
    out[0] = SPIRV_PHI | (uint32_t)(end - out) << 16;
    return end;
}

static uint32_t *write_terminator(const struct spirv_module *m, const struct spirv_block *b, uint32_t *out)
{
    uint32_t value;
    if (!is_decided(m, b, &value))
        return spirv_write(out, m->words + b->last, SPIRV_LENGTH(m, b->last));
    const uint32_t to = targets_of(m, b).label[0];
    if (b->merge && !b->unmerged && !is_loop(m, b))
        return spirv_write(out, (uint32_t[]){SPIRV_SWITCH | 3u << 16, m->words[b->last + 1], to}, 3);
    return spirv_write(out, (uint32_t[]){SPIRV_BRANCH | 2u << 16, to}, 2);
}

/* A select that is decided for a value which is not known copies it. */
static uint32_t *write_instruction(struct spirv_module *m, const struct spirv_block *b, uint32_t at,
                                   uint32_t *out)
{
    const uint32_t *w = m->words + at, op = SPIRV_OP(m, at), length = SPIRV_LENGTH(m, at);
    uint32_t value;
    if (op == SPIRV_LINE || op == SPIRV_NO_LINE || (at == b->merge && b->unmerged))
        return out;
    if (is_foldable(op) && length > 2 && w[2] < m->bound && m->id[w[2]].folded)
        return out;
    if (op == SPIRV_PHI)
        return write_phi(m, b, at, out);
    if (op == SPIRV_SELECT && length == 6 && kiln_spirv_known(m, w[3], &value))
        return spirv_write(out, (uint32_t[]){SPIRV_COPY_OBJECT | 4u << 16, w[1], w[2], w[value ? 4 : 5]}, 4);
    return spirv_write(out, w, length);
}

/* The values that the header's phis take from behind this stub: they got the ids from b->undefined on. */
static uint32_t *write_stub(const struct spirv_module *m, const struct spirv_block *b, uint32_t *out)
{
    const struct spirv_block *header = &m->block[b->header];
    uint32_t id = b->undefined;
    for (uint32_t at = header->first; at < header->last; at += SPIRV_LENGTH(m, at)) {
        const uint32_t *w = m->words + at;
        if (SPIRV_OP(m, at) == SPIRV_PHI && !m->id[w[2]].folded)
            out = spirv_write(out, (uint32_t[]){SPIRV_UNDEF | 3u << 16, w[1], id++}, 3);
    }
    return spirv_write(out, (uint32_t[]){SPIRV_BRANCH | 2u << 16, header->label}, 2);
}

uint32_t *kiln_spirv_write_block(struct spirv_module *m, struct spirv_block *b, uint32_t *out)
{
    if (b->fate == SPIRV_PLAIN)
        return spirv_write(out, m->words + b->first - 2, b->last + SPIRV_LENGTH(m, b->last) - b->first + 2);
    if (b->fate == SPIRV_DROPPED)
        return out;
    out = spirv_write(out, (uint32_t[]){SPIRV_LABEL | 2u << 16, b->label}, 2);
    if (b->fate == SPIRV_STUB_MERGE) {
        *out++ = SPIRV_UNREACHABLE | 1u << 16;
        return out;
    }
    if (b->fate == SPIRV_STUB_CONTINUE)
        return write_stub(m, b, out);

    if (is_loop(m, b))
        block_of(m, m->words[b->merge + 2])->undefined = m->bound;
    for (uint32_t at = b->first; at < b->last; at += SPIRV_LENGTH(m, at))
        out = write_instruction(m, b, at, out);
    return write_terminator(m, b, out);
}
