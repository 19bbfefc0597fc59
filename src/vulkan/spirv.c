/*
 * spirv.c - specialize a SPIR-V module: read it, give its constants their values, write what is left.
 *
 *   read     one pass over the words notes types, known constants and basic blocks; specialization
 *            constants get the dispatch's values, and OpSpecConstantOp is computed on the way, as operands
 *            precede their uses
 *   fold     fold.c: what follows in the functions, and which blocks can be reached
 *   write    one more pass; results that became constants are declared as such under their own ids before
 *            the first function, so that no use has to change
 *
 * What is not understood stays as it is: an OpSpecConstantOp on plain constants is as right as its value.
 */
#include "vulkan/spirv.h"

#include <stdlib.h>

enum {
    MAGIC = 0x07230203,
    HEADER = 5, /* words before the first instruction */
    MAX_BOUND = 1 << 22,
    CONSTANT_HALVES = 25, /* KILN_HALVES of kiln.glsl */
    CONSTANT_COOP = 26,   /* COOP_M, COOP_N and COOP_K of coop.glsl */
    DECORATION_SPEC_ID = 1,
    DECORATION_BUILTIN = 11,
    BUILTIN_WORKGROUP_SIZE = 25,
    MODE_LOCAL_SIZE = 17,
    MODE_LOCAL_SIZE_ID = 38,
    MODE_KEEP_NAN = 4461, /* SignedZeroInfNanPreserve */
    CAPABILITY_KEEP_NAN = 4466,
};

/* Reading ------------------------------------------------------------------------------------------------ */

bool kiln_spirv_constant(const struct spirv_constants *c, uint32_t index, uint32_t *value)
{
    if (index == 0)
        *value = c->lanes;
    else if (index - 1 < (uint32_t)c->meaning_count)
        *value = c->meaning[index - 1];
    else if (index == CONSTANT_HALVES)
        *value = c->halves;
    else if (c->coop && index >= CONSTANT_COOP && index < CONSTANT_COOP + 3)
        *value = c->coop[index - CONSTANT_COOP];
    else if (index >= 32 && index - 32 < (uint32_t)c->tuning_count)
        *value = c->tuning[index - 32];
    else
        return false;
    return true;
}

static void set_known(struct spirv_module *m, uint32_t id, uint32_t type, uint32_t value)
{
    m->id[id].type = type;
    m->id[id].value = m->id[type].boolean ? value != 0 : value;
    m->id[id].known = m->id[type].scalar;
}

/* A composite is closed when all that it is made of is; then the specialization opcode goes. */
static bool composite_is_open(const struct spirv_module *m, uint32_t at)
{
    for (uint32_t i = 3; i < SPIRV_LENGTH(m, at); i++)
        if (m->words[at + i] < m->bound && m->id[m->words[at + i]].open)
            return true;
    return false;
}

/* Note a type or constant: op type id operands, or op id operands for the types. */
static void read_global(struct spirv_module *m, uint32_t at, const struct spirv_constants *c)
{
    const uint32_t *w = m->words + at;
    const uint32_t op = SPIRV_OP(m, at), length = SPIRV_LENGTH(m, at);
    struct spirv_id *type = &m->id[w[1]];
    if (op == SPIRV_TYPE_BOOL)
        type->scalar = type->boolean = true;
    else if (op == SPIRV_TYPE_INT || op == SPIRV_TYPE_FLOAT)
        type->scalar = w[2] == 32, type->wide = w[2] > 32;
    if (op < SPIRV_CONSTANT_TRUE || op > SPIRV_SPEC_CONSTANT_OP)
        return;

    struct spirv_id *id = &m->id[w[2]];
    uint32_t value = length > 3 ? w[3] : 0;
    id->at = at;
    id->wide = type->wide;
    if (op == SPIRV_CONSTANT_TRUE || op == SPIRV_SPEC_CONSTANT_TRUE)
        value = 1;
    if (op >= SPIRV_SPEC_CONSTANT_TRUE && op <= SPIRV_SPEC_CONSTANT && id->constant && type->scalar)
        (void)kiln_spirv_constant(c, id->constant - 1, &value);

    if (op == SPIRV_SPEC_CONSTANT_OP)
        id->open = !kiln_spirv_evaluate(m, w[3], w + 4, length - 4, w[1], w[2]);
    else if (op == SPIRV_SPEC_CONSTANT_COMPOSITE)
        id->open = composite_is_open(m, at);
    else if (op != SPIRV_CONSTANT_COMPOSITE)
        set_known(m, w[2], w[1], value);
}

static void read_decoration(struct spirv_module *m, uint32_t at, uint32_t *size)
{
    const uint32_t *w = m->words + at;
    if (SPIRV_LENGTH(m, at) == 4 && w[2] == DECORATION_SPEC_ID)
        m->id[w[1]].constant = w[3] + 1;
    else if (SPIRV_LENGTH(m, at) == 4 && w[2] == DECORATION_BUILTIN && w[3] == BUILTIN_WORKGROUP_SIZE)
        *size = w[1];
}

/* The ids that an instruction of the module's head begins with are within the bound; so are those that are
 * read here in functions, where kiln_spirv_known checks them again. */
static bool well_formed(const struct spirv_module *m, uint32_t at)
{
    const uint32_t *w = m->words + at, op = SPIRV_OP(m, at), length = SPIRV_LENGTH(m, at);
    if (length == 0 || length > m->count - at)
        return false;
    if (op == SPIRV_LABEL)
        return length == 2 && w[1] < m->bound;
    if (op == SPIRV_DECORATE || op == SPIRV_NAME || op == SPIRV_TYPE_BOOL)
        return length >= (op == SPIRV_TYPE_BOOL ? 2u : 3u) && w[1] < m->bound;
    if (op == SPIRV_TYPE_INT || op == SPIRV_TYPE_FLOAT)
        return length >= 3 && w[1] < m->bound;
    if (op >= SPIRV_CONSTANT_TRUE && op <= SPIRV_SPEC_CONSTANT_OP) {
        const bool valued = op == SPIRV_CONSTANT || op == SPIRV_SPEC_CONSTANT || op == SPIRV_SPEC_CONSTANT_OP;
        return length >= (valued ? 4u : 3u) && w[1] < m->bound && w[2] < m->bound;
    }
    return true;
}

/* Count the blocks, find where the functions begin, and check what later passes rely on. */
static bool survey(struct spirv_module *m)
{
    m->body = m->count;
    for (uint32_t at = HEADER; at < m->count; at += SPIRV_LENGTH(m, at)) {
        if (!well_formed(m, at))
            return false;
        const uint32_t op = SPIRV_OP(m, at);
        if (op == SPIRV_FUNCTION && m->body == m->count)
            m->body = at;
        m->block_count += op == SPIRV_LABEL;
    }
    return true;
}

/* Cut the functions into blocks. False where a block has no end. */
static bool read_blocks(struct spirv_module *m)
{
    struct spirv_block *b = NULL;
    uint32_t next = 0;
    bool entry = false;
    for (uint32_t at = m->body; at < m->count; at += SPIRV_LENGTH(m, at)) {
        const uint32_t op = SPIRV_OP(m, at);
        if (op == SPIRV_FUNCTION) {
            entry = true;
        } else if (op == SPIRV_LABEL) {
            m->id[m->words[at + 1]].at = next;
            b = &m->block[next++];
            *b = (struct spirv_block){.label = m->words[at + 1], .first = at + 2, .entry = entry};
            entry = false;
        } else if (b && (op == SPIRV_SELECTION_MERGE || op == SPIRV_LOOP_MERGE)) {
            b->merge = at;
        } else if (b && op >= SPIRV_BRANCH && op <= SPIRV_UNREACHABLE) {
            b->last = at;
            b = NULL;
        }
    }
    for (uint32_t i = 0; i < m->block_count; i++)
        if (!m->block[i].last)
            return false;
    return true;
}

/* Whether a switch chooses by a value of 64 bits: its literals are two words each. Whose first word is a type gives the second. */
static bool has_wide_switch(struct spirv_module *m)
{
    for (uint32_t at = m->body; at < m->count; at += SPIRV_LENGTH(m, at)) {
        const uint32_t *w = m->words + at;
        if (SPIRV_LENGTH(m, at) < 3 || w[1] >= m->bound || !m->id[w[1]].wide)
            continue;
        if (SPIRV_OP(m, at) == SPIRV_SWITCH)
            return true;
        if (w[2] < m->bound)
            m->id[w[2]].wide = true;
    }
    return false;
}

/* Writing ------------------------------------------------------------------------------------------------ */

static uint32_t *write_constant(const struct spirv_module *m, uint32_t id, uint32_t *out)
{
    const struct spirv_id *x = &m->id[id];
    const bool boolean = m->id[x->type].boolean;
    const uint32_t op = !boolean ? SPIRV_CONSTANT : x->value ? SPIRV_CONSTANT_TRUE : SPIRV_CONSTANT_FALSE;
    const uint32_t words[] = {op | (boolean ? 3u : 4u) << 16, x->type, id, x->value};
    return spirv_write(out, words, boolean ? 3 : 4);
}

/* OpExecutionMode entry LocalSize x y z, from the ids of x, y and z; as it was where one is unknown. */
static uint32_t *write_local_size(const struct spirv_module *m, uint32_t at, const uint32_t *ids,
                                  uint32_t *out)
{
    uint32_t words[] = {SPIRV_EXECUTION_MODE | 6u << 16, m->words[at + 1], MODE_LOCAL_SIZE, 0, 0, 0};
    for (int i = 0; i < 3; i++)
        if (!kiln_spirv_known(m, ids[i], &words[3 + i]))
            return spirv_write(out, m->words + at, SPIRV_LENGTH(m, at));
    return spirv_write(out, words, 6);
}

static uint32_t *write_mode(const struct spirv_module *m, uint32_t at, uint32_t size, bool nan, uint32_t *out)
{
    const uint32_t *w = m->words + at, length = SPIRV_LENGTH(m, at);
    const uint32_t *composite = m->words + m->id[size].at;
    if (length != 6 || (w[2] != MODE_LOCAL_SIZE && w[2] != MODE_LOCAL_SIZE_ID))
        return spirv_write(out, w, length);

    const uint32_t keep[] = {SPIRV_EXECUTION_MODE | 4u << 16, w[1], MODE_KEEP_NAN, 32};
    if (nan)
        out = spirv_write(out, keep, 4);
    if (w[2] == MODE_LOCAL_SIZE_ID)
        return write_local_size(m, at, w + 3, out);
    if (size && m->id[size].at && composite[0] >> 16 == 6)
        return write_local_size(m, at, composite + 3, out);
    return spirv_write(out, w, length);
}

/* Constants lose the specialization opcode; one that stays open keeps all of it but its SpecId. */
static uint32_t *write_spec(const struct spirv_module *m, uint32_t at, uint32_t *out)
{
    const uint32_t *w = m->words + at, op = SPIRV_OP(m, at), length = SPIRV_LENGTH(m, at);
    if (m->id[w[2]].known)
        return write_constant(m, w[2], out);

    uint32_t *end = spirv_write(out, w, length);
    if (op == SPIRV_SPEC_CONSTANT) /* wider than 32 bits: its own default */
        out[0] = length << 16 | SPIRV_CONSTANT;
    else if (op == SPIRV_SPEC_CONSTANT_COMPOSITE && !m->id[w[2]].open)
        out[0] = length << 16 | SPIRV_CONSTANT_COMPOSITE;
    return end;
}

/* Behind the last capability, where the extensions begin: what MODE_KEEP_NAN wants. */
static uint32_t *write_keep_nan(uint32_t *out)
{
    uint32_t words[9] = {SPIRV_CAPABILITY | 2u << 16, CAPABILITY_KEEP_NAN, SPIRV_EXTENSION | 7u << 16};
    (void)memcpy(words + 3, "SPV_KHR_float_controls", sizeof "SPV_KHR_float_controls");
    return spirv_write(out, words, 9);
}

/* All before the first function. Names and lines are left out: only people read them. */
static uint32_t *write_head(const struct spirv_module *m, uint32_t size, bool nan, uint32_t *out)
{
    bool capabilities = true;
    for (uint32_t at = HEADER; at < m->body; at += SPIRV_LENGTH(m, at)) {
        const uint32_t *w = m->words + at;
        if (nan && capabilities && SPIRV_OP(m, at) != SPIRV_CAPABILITY)
            out = write_keep_nan(out);
        capabilities &= SPIRV_OP(m, at) == SPIRV_CAPABILITY;
        switch (SPIRV_OP(m, at)) {
        case SPIRV_SOURCE:
        case SPIRV_SOURCE_CONTINUED:
        case SPIRV_SOURCE_EXTENSION:
        case SPIRV_NAME:
        case SPIRV_MEMBER_NAME:
        case SPIRV_LINE:
        case SPIRV_NO_LINE:
        case SPIRV_MODULE_PROCESSED:
            break;
        case SPIRV_DECORATE:
            if (w[2] != DECORATION_SPEC_ID && !m->id[w[1]].folded && !m->id[w[1]].gone)
                out = spirv_write(out, w, SPIRV_LENGTH(m, at));
            break;
        case SPIRV_EXECUTION_MODE:
        case SPIRV_EXECUTION_MODE_ID:
            out = write_mode(m, at, size, nan, out);
            break;
        case SPIRV_SPEC_CONSTANT_TRUE:
        case SPIRV_SPEC_CONSTANT_FALSE:
        case SPIRV_SPEC_CONSTANT:
        case SPIRV_SPEC_CONSTANT_COMPOSITE:
        case SPIRV_SPEC_CONSTANT_OP:
            out = write_spec(m, at, out);
            break;
        default:
            out = spirv_write(out, w, SPIRV_LENGTH(m, at));
        }
    }
    return out;
}

static uint32_t *write_functions(struct spirv_module *m, uint32_t *out)
{
    uint32_t next = 0;
    for (uint32_t at = m->body; at < m->count; at += SPIRV_LENGTH(m, at)) {
        const uint32_t op = SPIRV_OP(m, at);
        if (op == SPIRV_LABEL) {
            struct spirv_block *b = &m->block[next++];
            out = kiln_spirv_write_block(m, b, out);
            at = b->last;
        } else if (op != SPIRV_LINE && op != SPIRV_NO_LINE) {
            out = spirv_write(out, m->words + at, SPIRV_LENGTH(m, at));
        }
    }
    return out;
}

static uint32_t write_module(struct spirv_module *m, uint32_t size, bool nan, uint32_t *out)
{
    uint32_t *end = spirv_write(out, m->words, HEADER);
    end = write_head(m, size, nan, end);
    for (uint32_t id = 0, given = m->bound; id < given; id++)
        if (m->id[id].folded)
            end = write_constant(m, id, end);
    end = write_functions(m, end);
    out[3] = m->bound; /* the blocks took new ids */
    return (uint32_t)(end - out);
}

/* The whole ---------------------------------------------------------------------------------------------- */

bool kiln_spirv_specialize(const kiln_spirv *code, const struct spirv_constants *c, uint32_t **out,
                           size_t *count)
{
    struct spirv_module m = {.words = code->words, .count = (uint32_t)code->count};
    bool done = false;
    uint32_t size = 0;
    *out = NULL;
    if (code->count <= HEADER || code->count > UINT32_MAX / 8 || code->words[0] != MAGIC)
        return false;
    m.bound = code->words[3];
    if (m.bound == 0 || m.bound > MAX_BOUND || !survey(&m))
        return false;

    m.id = calloc(m.bound, sizeof *m.id);
    m.block = calloc(m.block_count + 1u, sizeof *m.block);
    m.stack = calloc(m.block_count + 1u, sizeof *m.stack);
    m.mark = calloc(m.block_count + 1u, sizeof *m.mark);
    *out = malloc((2 * code->count + 96) * sizeof **out);
    if (!m.id || !m.block || !m.stack || !m.mark || !*out)
        goto cleanup;

    for (uint32_t at = HEADER; at < m.body; at += SPIRV_LENGTH(&m, at))
        if (SPIRV_OP(&m, at) == SPIRV_DECORATE)
            read_decoration(&m, at, &size);
    for (uint32_t at = HEADER; at < m.body; at += SPIRV_LENGTH(&m, at))
        if (SPIRV_LENGTH(&m, at) > 1 && m.words[at + 1] < m.bound)
            read_global(&m, at, c);
    if (!read_blocks(&m))
        goto cleanup;

    if (!has_wide_switch(&m))
        kiln_spirv_fold(&m);
    *count = write_module(&m, size, c->nan, *out);
    done = true;

cleanup:
    if (!done) {
        free(*out);
        *out = NULL;
    }
    free(m.id);
    free(m.block);
    free(m.stack);
    free(m.mark);
    return done;
}
