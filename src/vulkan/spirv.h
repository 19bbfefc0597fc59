/*
 * spirv.h - write a dispatch's constants into SPIR-V words and drop the code that they rule out.
 *
 * A driver may treat specialization constants as variables (SwiftShader does: a fused chain then runs 17-45
 * times slower) or refuse them for the workgroup's size (old Mali). Both are spared when the words that it
 * sees are specialized.
 */
#ifndef KILN_VULKAN_SPIRV_H
#define KILN_VULKAN_SPIRV_H

#include <string.h>

#include <kiln/extend.h>

/** Values of specialization constants: 0 (lanes), 1, 2, ... (the contract's), 25 (halves), 26 to 28
 * (sizes of a cooperative matrix), 32, 33, ... (the variant's). */
struct spirv_constants {
    uint32_t lanes;
    uint32_t halves; /* bit i: binding i holds halves */
    bool nan;        /* no constant: ask the driver to keep NaN, infinity and -0 (SPV_KHR_float_controls) */
    const uint32_t *coop; /* three: rows, columns and terms of a cooperative matrix; NULL: not given */
    const uint32_t *meaning, *tuning;
    int meaning_count, tuning_count;
};

/** The value given for a specialization constant; false where none is. */
bool kiln_spirv_constant(const struct spirv_constants *c, uint32_t index, uint32_t *value);

/**
 * Specialize a module.
 *
 * Owns:    *out is malloced; the caller frees it.
 * Errors:  false, and *out NULL, for words that are no SPIR-V module or no memory: hand the original and
 *          VkSpecializationInfo to the driver then.
 */
bool kiln_spirv_specialize(const kiln_spirv *code, const struct spirv_constants *c, uint32_t **out,
                           size_t *count);

/* Between spirv.c and fold.c ----------------------------------------------------------------------------- */

/* The opcodes that the specializer knows. */
enum spirv_op {
    SPIRV_SOURCE_CONTINUED = 2,
    SPIRV_SOURCE = 3,
    SPIRV_SOURCE_EXTENSION = 4,
    SPIRV_NAME = 5,
    SPIRV_MEMBER_NAME = 6,
    SPIRV_LINE = 8,
    SPIRV_EXTENSION = 10,
    SPIRV_EXECUTION_MODE = 16,
    SPIRV_CAPABILITY = 17,
    SPIRV_TYPE_BOOL = 20,
    SPIRV_TYPE_INT = 21,
    SPIRV_TYPE_FLOAT = 22,
    SPIRV_CONSTANT_TRUE = 41,
    SPIRV_CONSTANT_FALSE = 42,
    SPIRV_CONSTANT = 43,
    SPIRV_CONSTANT_COMPOSITE = 44,
    SPIRV_CONSTANT_NULL = 46,
    SPIRV_SPEC_CONSTANT_TRUE = 48,
    SPIRV_SPEC_CONSTANT_FALSE = 49,
    SPIRV_SPEC_CONSTANT = 50,
    SPIRV_SPEC_CONSTANT_COMPOSITE = 51,
    SPIRV_SPEC_CONSTANT_OP = 52,
    SPIRV_FUNCTION = 54,
    SPIRV_FUNCTION_END = 56,
    SPIRV_UNDEF = 1,
    SPIRV_STORE = 62,
    SPIRV_COPY_MEMORY = 63,
    SPIRV_DECORATE = 71,
    SPIRV_COMPOSITE_EXTRACT = 81,
    SPIRV_COPY_OBJECT = 83,
    SPIRV_IMAGE_WRITE = 99,
    SPIRV_BITCAST = 124,
    SPIRV_NEGATE = 126,
    SPIRV_ADD = 128,
    SPIRV_SUBTRACT = 130,
    SPIRV_MULTIPLY = 132,
    SPIRV_DIVIDE_UNSIGNED = 134,
    SPIRV_DIVIDE_SIGNED = 135,
    SPIRV_MODULO_UNSIGNED = 137,
    SPIRV_REMAINDER_SIGNED = 138,
    SPIRV_LOGICAL_EQUAL = 164,
    SPIRV_LOGICAL_NOT_EQUAL = 165,
    SPIRV_LOGICAL_OR = 166,
    SPIRV_LOGICAL_AND = 167,
    SPIRV_LOGICAL_NOT = 168,
    SPIRV_SELECT = 169,
    SPIRV_EQUAL = 170,
    SPIRV_NOT_EQUAL = 171,
    SPIRV_ABOVE_UNSIGNED = 172,
    SPIRV_ABOVE_SIGNED = 173,
    SPIRV_NOT_BELOW_UNSIGNED = 174,
    SPIRV_NOT_BELOW_SIGNED = 175,
    SPIRV_BELOW_UNSIGNED = 176,
    SPIRV_BELOW_SIGNED = 177,
    SPIRV_NOT_ABOVE_UNSIGNED = 178,
    SPIRV_NOT_ABOVE_SIGNED = 179,
    SPIRV_SHIFT_RIGHT = 194,
    SPIRV_SHIFT_RIGHT_SIGNED = 195,
    SPIRV_SHIFT_LEFT = 196,
    SPIRV_BIT_OR = 197,
    SPIRV_BIT_XOR = 198,
    SPIRV_BIT_AND = 199,
    SPIRV_BIT_NOT = 200,
    SPIRV_CONTROL_BARRIER = 224,
    SPIRV_MEMORY_BARRIER = 225,
    SPIRV_ATOMIC_STORE = 228,
    SPIRV_PHI = 245,
    SPIRV_LOOP_MERGE = 246,
    SPIRV_SELECTION_MERGE = 247,
    SPIRV_LABEL = 248,
    SPIRV_BRANCH = 249,
    SPIRV_BRANCH_CONDITIONAL = 250,
    SPIRV_SWITCH = 251,
    SPIRV_KILL = 252,
    SPIRV_RETURN = 253,
    SPIRV_RETURN_VALUE = 254,
    SPIRV_UNREACHABLE = 255,
    SPIRV_NO_LINE = 317,
    SPIRV_MODULE_PROCESSED = 330,
    SPIRV_EXECUTION_MODE_ID = 331,
    SPIRV_COOPERATIVE_STORE = 4458,
};

/** What is known of an id. */
struct spirv_id {
    uint32_t at;    /* where it is defined, for constants; the block's number, for labels */
    uint32_t type;  /* of a known value */
    uint32_t value; /* of a known value: 32 bits, or 0 and 1 */
    bool scalar;    /* a type whose values are known here: bool and 32-bit numbers */
    bool boolean;   /* the type bool */
    bool wide;      /* a type of 64 bits, or a value of one */
    bool known;
    bool folded;       /* defined in a function, now a constant of the module */
    bool gone;         /* defined in code that was dropped */
    bool open;         /* still needs a specialization opcode */
    uint32_t constant; /* 1 + the SpecId it is decorated with */
};

enum spirv_fate {
    SPIRV_PLAIN, /* copied word by word */
    SPIRV_DROPPED,
    SPIRV_KEPT,
    SPIRV_STUB_MERGE,    /* never reached, named by a merge instruction that stays: only OpUnreachable */
    SPIRV_STUB_CONTINUE, /* likewise, the continue target of a loop: only a branch to the header */
};

/** A basic block; all positions count words from the module's start. */
struct spirv_block {
    uint32_t label;
    uint32_t first;  /* the instruction behind the label */
    uint32_t merge;  /* its merge instruction, or 0 */
    uint32_t last;   /* its terminator */
    uint32_t header; /* of a SPIRV_STUB_CONTINUE: the loop's */
    /* of a SPIRV_STUB_CONTINUE: the first id for what flows from it into the header's phis */
    uint32_t undefined;
    enum spirv_fate fate;
    bool entry;    /* of its function */
    bool unmerged; /* its OpSelectionMerge is dropped */
};

struct spirv_module {
    const uint32_t *words;
    uint32_t count, bound; /* words; ids are below bound */
    uint32_t body;         /* where the first function begins */
    struct spirv_id *id;
    struct spirv_block *block;
    uint32_t block_count;
    uint32_t *stack; /* room for block_count */
    bool *mark;      /* likewise */
};

/* The instruction at a position. */
#define SPIRV_OP(m, at)     ((m)->words[at] & 0xffffu)
#define SPIRV_LENGTH(m, at) ((m)->words[at] >> 16)

/** The value of an id, if it is known. */
bool kiln_spirv_known(const struct spirv_module *m, uint32_t id, uint32_t *value);

/** Note the value of `id` as the result of an operation, if all operands that matter are known. */
bool kiln_spirv_evaluate(struct spirv_module *m, uint32_t op, const uint32_t *operand, uint32_t count,
                         uint32_t type, uint32_t id);

/** Fold the functions of the module: sets id[].folded and gone, and what becomes of each block. Where
 *  anything in it is not understood, all stays plain. */
void kiln_spirv_fold(struct spirv_module *m);

/** Write what is left of a block to out; returns the end. */
uint32_t *kiln_spirv_write_block(struct spirv_module *m, struct spirv_block *b, uint32_t *out);

/** Append words; returns the end. */
static inline uint32_t *spirv_write(uint32_t *out, const uint32_t *words, uint32_t count)
{
    memcpy(out, words, count * sizeof *words);
    return out + count;
}

#endif
