/*
 * chain.c - what each step of a chain means, and the chain kernels: an element at a time.
 */
#include "chain/chain.h"

#include <math.h>
#include <string.h>

#include "chain/codes.h"
#include "chain/strided.h"
#include "cpu/reference.h"

/* max and min pass NaN on. */
static real larger(real a, real b)
{
    return a >= b || isnan(a) ? a : b;
}

static real smaller(real a, real b)
{
    return a <= b || isnan(a) ? a : b;
}

/* Integers wrap; a division by zero gives 0. */
static int32_t wrapped(int64_t value)
{
    return (int32_t)(uint32_t)value;
}

static int32_t divided(int32_t a, int32_t b)
{
    return b ? wrapped((int64_t)a / b) : 0;
}

/* Drops the fraction, saturates, makes 0 of NaN. */
static int32_t integer_of(real x)
{
    if (isnan(x))
        return 0;
    return x >= (real)2147483648.0 ? INT32_MAX : x <= (real)-2147483648.0 ? INT32_MIN : (int32_t)x;
}

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

/* code, member of the result, its value by the registers a, b, c */
#define STEPS(X)                                        \
    X(ADD_F, f, a.f + b.f)                              \
    X(SUB_F, f, a.f - b.f)                              \
    X(MUL_F, f, (a.f * b.f))                            \
    X(DIV_F, f, a.f / b.f)                              \
    X(MAX_F, f, larger(a.f, b.f))                       \
    X(MIN_F, f, smaller(a.f, b.f))                      \
    X(POW_F, f, pow(a.f, b.f))                          \
    X(ADD_I, i, wrapped((int64_t)a.i + b.i))            \
    X(SUB_I, i, wrapped((int64_t)a.i - b.i))            \
    X(MUL_I, i, wrapped(b.i *(int64_t)a.i))             \
    X(DIV_I, i, divided(a.i, b.i))                      \
    X(MAX_I, i, a.i > b.i ? a.i : b.i)                  \
    X(MIN_I, i, a.i < b.i ? a.i : b.i)                  \
    X(EQUAL_F, i, a.f == b.f)                           \
    X(NOT_EQUAL_F, i, a.f != b.f)                       \
    X(LESS_F, i, a.f < b.f)                             \
    X(LESS_EQUAL_F, i, a.f <= b.f)                      \
    X(EQUAL_I, i, a.i == b.i)                           \
    X(NOT_EQUAL_I, i, a.i != b.i)                       \
    X(LESS_I, i, a.i < b.i)                             \
    X(LESS_EQUAL_I, i, a.i <= b.i)                      \
    X(AND, i, (a.i && b.i))                             \
    X(OR, i, a.i || b.i)                                \
    X(NOT, i, !a.i)                                     \
    X(NEG_F, f, -a.f)                                   \
    X(ABS_F, f, fabs(a.f))                              \
    X(SIGN_F, f, a.f > 0 ? 1 : a.f < 0 ? -1 : a.f)      \
    X(FLOOR_F, f, floor(a.f))                           \
    X(EXP_F, f, exp(a.f))                               \
    X(EXPM1_F, f, expm1(a.f))                           \
    X(LOG_F, f, log(a.f))                               \
    X(LOG1P_F, f, log1p(a.f))                           \
    X(SQRT_F, f, sqrt(a.f))                             \
    X(RSQRT_F, f, 1 / sqrt(a.f))                        \
    X(RECIPROCAL_F, f, 1 / a.f)                         \
    X(SIN_F, f, sin(a.f))                               \
    X(COS_F, f, cos(a.f))                               \
    X(TANH_F, f, tanh(a.f))                             \
    X(SIGMOID_F, f, sigmoid(a.f))                       \
    X(SOFTPLUS_F, f, softplus(a.f))                     \
    X(RELU_F, f, a.f <= 0 ? 0 : a.f)                    \
    X(LEAKY_RELU_F, f, a.f > 0 ? a.f : a.f * b.f)       \
    X(CLIP_F, f, smaller(larger(a.f, b.f), c.f))        \
    X(NEG_I, i, wrapped(-(int64_t)a.i))                 \
    X(ABS_I, i, a.i < 0 ? wrapped(-(int64_t)a.i) : a.i) \
    X(F_FROM_I, f, a.i)                                 \
    X(I_FROM_F, i, integer_of(a.f))                     \
    X(TRUTH_F, i, a.f != 0)                             \
    X(TRUTH_I, i, a.i != 0)                             \
    X(RELU_GRAD_F, f, a.f > 0 ? b.f : 0)

kiln_register kiln_cpu_step(uint32_t step, const kiln_register *registers)
{
    const kiln_register a = registers[step >> 8 & 255];
    const kiln_register b = registers[step >> 16 & 255];
    const kiln_register c = registers[step >> 24];
    kiln_register d = a; /* KILN_STEP_COPY */
    switch (step & 255) {
#define X(code, member, value) \
    case KILN_STEP_##code:     \
        d.member = (value);    \
        break;
        STEPS(X)
#undef X
    case KILN_STEP_WHERE:
        d = a.i ? b : c;
        break;
    }
    return d;
}

/* The kernels -------------------------------------------------------------------------------------------- */

/* The constants of a dispatch (chain/chain.h). */
static uint32_t walk_of(const uint32_t *constants, int operand)
{
    return constants[9] >> 4 * operand & 15;
}

static bool is_real(const uint32_t *constants, int binding)
{
    return constants[10] >> binding & 1;
}

static kiln_register load(const kiln_memory *m, const uint32_t *constants, int binding, size_t i)
{
    kiln_register r = {0};
    if (is_real(constants, binding))
        r.f = ((const real *)m->at[binding])[i];
    else
        r.i = ((const int32_t *)m->at[binding])[i];
    return r;
}

static void set_immediates(kiln_register *registers, const uint32_t *words, uint32_t integers)
{
    for (int i = 0; i < KILN_CHAIN_IMMEDIATES; i++) {
        float part[2];
        memcpy(part, words + 2 * i, sizeof part);
        if (integers >> i & 1)
            registers[KILN_REGISTER_IMMEDIATE + i].i = (int32_t)words[2 * i];
        else
            registers[KILN_REGISTER_IMMEDIATE + i].f = (real)((double)part[0] + (double)part[1]);
    }
}

/* Run the steps on loaded registers and store the result as element i. */
static void run(const uint32_t *constants, kiln_register *registers, const kiln_memory *m, size_t i)
{
    const int steps = (int)(constants[0] >> 8 & 255), result = KILN_CHAIN_OPERANDS - 1;
    for (int s = 0; s < steps; s++)
        registers[KILN_REGISTER_STEP + s] = kiln_cpu_step(constants[1 + s], registers);
    const kiln_register y = registers[constants[0] >> 16 & 255];
    if (is_real(constants, result))
        ((real *)m->at[result])[i] = y.f;
    else
        ((int32_t *)m->at[result])[i] = y.i;
}

void KILN_REFERENCE(chain)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                           size_t count)
{
    const struct kiln_params_chain *p = block;
    const int operands = (int)(constants[0] & 255);
    kiln_register registers[24] = {{0}};
    set_immediates(registers, p->immediate, constants[10] >> 8);
    for (size_t i = first; i < first + count; i++) {
        const size_t at[] = {[KILN_WALK_FLAT] = i,
                             [KILN_WALK_SCALAR] = 0,
                             [KILN_WALK_ROW] = i / p->row,
                             [KILN_WALK_COLUMN] = i % p->row};
        for (int k = 0; k < operands; k++)
            registers[k] = load(m, constants, k, at[walk_of(constants, k)]);
        run(constants, registers, m, i);
    }
}

/* The element of a strided operand that belongs to element i of the result. */
static size_t strided(const struct kiln_params_chain_strided *p, uint32_t rank, uint32_t place, size_t i)
{
    const uint32_t *step = p->walk + 3 * (rank - 1) + place * rank;
    size_t at = 0;
    for (uint32_t axis = rank - 1; axis > 0; axis--) {
        const uint32_t size = p->walk[3 * (axis - 1)];
        at += i % size * step[axis];
        i /= size;
    }
    return at + i * step[0];
}

void KILN_REFERENCE(chain_strided)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    const struct kiln_params_chain_strided *p = block;
    const int operands = (int)(constants[0] & 255);
    kiln_register registers[24] = {{0}};
    set_immediates(registers, p->immediate, constants[10] >> 8);
    for (size_t i = first; i < first + count; i++) {
        for (int k = 0; k < operands; k++) {
            const uint32_t walk = walk_of(constants, k);
            const size_t at = walk == KILN_WALK_STRIDED
                                  ? strided(p, constants[0] >> 24, constants[11] >> 4 * k & 15, i)
                              : walk == KILN_WALK_FLAT ? i
                                                       : 0;
            registers[k] = load(m, constants, k, at);
        }
        run(constants, registers, m, i);
    }
}
