/*
 * chain.h - a chain of elementwise steps as data: what one fused kernel computes, and what a matmul or a convolution does
 * to each result before it stores it (its epilogue). The steps are those of shaders/chain/codes.h.
 */
#ifndef KILN_OPS_CHAIN_H
#define KILN_OPS_CHAIN_H

#include <kiln/extend.h>

#include "chain/codes.h"

typedef struct kiln_chain {
    int operands; /* loaded: registers 0 .. operands - 1 */
    int steps;
    uint32_t step[KILN_CHAIN_STEPS]; /* code | a << 8 | b << 16 | c << 24 */
    int immediates;
    double immediate[KILN_CHAIN_IMMEDIATES];
    uint32_t integers; /* bit i: immediate i is an integer */
    int results;       /* registers stored, in the order of the node's outputs */
    uint32_t result[KILN_CHAIN_OPERANDS];
} kiln_chain;

#define KILN_STEP(code, a, b, c) \
    ((uint32_t)(code) | (uint32_t)(a) << 8 | (uint32_t)(b) << 16 | (uint32_t)(c) << 24)

/**
 * An elementwise operator is a chain of one or two steps: a kiln_op with kiln_elementwise_lowerings, whose `extra` is this.
 * Its node's params are the immediates, as doubles: integers where its (first) operand is one.
 */
typedef struct kiln_elementwise {
    int operands;   /* 1 to 3 */
    int immediates; /* doubles in the node's params */
    uint32_t real[2],
        integer[2];      /* one or two steps for reals, and for integers and BOOL; none: unsupported */
    uint32_t natural[2]; /* those for unsigned integers; none: as the other integers */
    bool truth;          /* the result is BOOL */
} kiln_elementwise;

/** The steps of an operator for operands of a type, two or one and 0; 0 first: it is not for them. */
const uint32_t *kiln_elementwise_steps(const kiln_elementwise *e, kiln_type type);

/** The lowerings of every elementwise operator: by them it is known as one. */
extern const kiln_lowering kiln_elementwise_lowerings[1];

/** The elementwise meaning of an operator, or NULL. */
const kiln_elementwise *kiln_op_elementwise(const kiln_op *op);

/**
 * The chain of one elementwise node: operands in the order of its inputs, one result.
 * Errors: ERROR_TYPE where the operator has no steps for its operand's type.
 */
kiln_status kiln_chain_of_node(const kiln_graph *g, const kiln_node *n, kiln_chain *out);

/** Its immediates as kernels read them: two words each, an integer, or a real as float and rest. */
void kiln_chain_write_immediates(const kiln_chain *chain, uint32_t *words);

/** A fused chain: the node's params are a kiln_chain, its inputs the operands (broadcast together). */
extern const kiln_op kiln_op_chain;

/* Epilogues ---------------------------------------------------------------------------------------------- */

/**
 * A chain attached by the compiler to a KILN_OP_EPILOGUE operator is node->epilogue: register 0 is the computed value,
 * operands 1.. are the node's inputs from op->inputs on (reals all), and there is one result. A lowering writes it into its
 * dispatch as KILN_EPILOGUE_CONSTANTS words, all 0 without an epilogue: constants[at] = operands | integers << 4 |
 * steps << 8 | walk of operand 1 << 16 | of operand 2 << 20 | register of the result << 24, and then the steps.
 */
#define KILN_EPILOGUE_CONSTANTS (1 + KILN_EPILOGUE_STEPS)

/** How an epilogue of op walks an operand; false where the compiler must leave the step outside. Sizes may be symbols. */
bool kiln_epilogue_walk(const kiln_op *op, const kiln_spec *out, const kiln_spec *operand, uint32_t *walk);

/**
 * Write n's epilogue, if it has one: d's constants from `at` on, its operands' bindings from `binding` on, and the
 * block's KILN_EPILOGUE words.
 * Errors: ERROR_UNSUPPORTED for an operand without a walk.
 */
kiln_status kiln_epilogue_write(const kiln_plan *plan, const kiln_node *n, kiln_dispatch *d, int at,
                                int binding, uint32_t *immediate);

/**
 * The same of a KILN_OP_FINISH operator: its chain has what length and types chains have, with KILN_FINISH_OPERANDS operands at the
 * most (reals or I32), the node's last inputs; constants as quantize/finish.h says.
 */
kiln_status kiln_finish_write(const kiln_plan *plan, const kiln_node *n, kiln_dispatch *d, int binding);

#endif
