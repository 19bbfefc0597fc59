/*
 * elementwise.h - operators that work on one element at a time: arithmetic, comparison, functions, casts.
 *
 * Operands broadcast as NumPy's do, and have one type unless it says otherwise. A real is computed in F32, or as the program's
 * precision says, whatever its type: F16 and BF16 are rounded where a device stores them so, by casts, and when they are read.
 * Integers wrap at their own width. I64 and U64 are kept in 32 bits: what does not fit is refused when it is written, and wraps
 * when it is computed. Where a function has a gradient, its formula is the
 * derivative of the one given; functions that are constant piece by piece pass none on.
 *
 * Accuracy of functions: shaders/include/math.glsl and the headers beside it state a bound for each, in units of the last
 * place; the CPU keeps them too.
 */
#ifndef KILN_ELEMENTWISE_H
#define KILN_ELEMENTWISE_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Arithmetic: reals and integers ------------------------------------------------------------------------- */

KILN_API kiln_tensor kiln_add(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_sub(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_mul(kiln_graph *g, kiln_tensor a, kiln_tensor b);
/** Integers divide towards zero; by zero they give 0. */
KILN_API kiln_tensor kiln_div(kiln_graph *g, kiln_tensor a, kiln_tensor b);
/** a - floor(a / b) b, exact, with the sign of b, as Python's %; of integers by zero 0. */
KILN_API kiln_tensor kiln_mod(kiln_graph *g, kiln_tensor a, kiln_tensor b);
/** a - trunc(a / b) b, exact, with the sign of a, as C's fmod; of integers by zero 0. */
KILN_API kiln_tensor kiln_fmod(kiln_graph *g, kiln_tensor a, kiln_tensor b);
/** max and min pass NaN on; where a == b the gradient goes to a. */
KILN_API kiln_tensor kiln_max(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_min(kiln_graph *g, kiln_tensor a, kiln_tensor b);
/** a to the power b. Gradient by b only where a > 0. Of integers, a negative power is 0, except of 1 and -1. */
KILN_API kiln_tensor kiln_pow(kiln_graph *g, kiln_tensor a, kiln_tensor b);

/** Sum, mean, largest and smallest of `count` values, which broadcast together; ties go to the first. */
KILN_API kiln_tensor kiln_add_all(kiln_graph *g, const kiln_tensor *x, int count);
KILN_API kiln_tensor kiln_mean_all(kiln_graph *g, const kiln_tensor *x, int count);
KILN_API kiln_tensor kiln_max_all(kiln_graph *g, const kiln_tensor *x, int count);
KILN_API kiln_tensor kiln_min_all(kiln_graph *g, const kiln_tensor *x, int count);

/** |0|' = 0. sign is -1, 0 or 1. */
KILN_API kiln_tensor kiln_neg(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_abs(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_sign(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_square(kiln_graph *g, kiln_tensor x);
/** 1 / x, reals. */
KILN_API kiln_tensor kiln_reciprocal(kiln_graph *g, kiln_tensor x);

/** min(max(x, low), high); NaN passes; gradient inside [low, high]. */
KILN_API kiln_tensor kiln_clip(kiln_graph *g, kiln_tensor x, double low, double high);
/** x * factor and x + term, for numbers known when the graph is built; reals. */
KILN_API kiln_tensor kiln_scale(kiln_graph *g, kiln_tensor x, double factor);
KILN_API kiln_tensor kiln_shift(kiln_graph *g, kiln_tensor x, double term);

/* Bits: integers; no gradient ---------------------------------------------------------------------------- */

KILN_API kiln_tensor kiln_bit_and(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_bit_or(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_bit_xor(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_bit_not(kiln_graph *g, kiln_tensor x);
/** a shifted by b bits; to the right signed integers keep their sign. Beyond 31 bits nothing, or the sign, is left. */
KILN_API kiln_tensor kiln_shift_left(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_shift_right(kiln_graph *g, kiln_tensor a, kiln_tensor b);

/* Comparison and logic: y is BOOL and has no gradient ----------------------------------------------------- */

/** Any type; with NaN only not_equal is true. */
KILN_API kiln_tensor kiln_equal(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_not_equal(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_less(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_less_equal(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_greater(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_greater_equal(kiln_graph *g, kiln_tensor a, kiln_tensor b);

/** BOOL. */
KILN_API kiln_tensor kiln_and(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_or(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_xor(kiln_graph *g, kiln_tensor a, kiln_tensor b);
KILN_API kiln_tensor kiln_not(kiln_graph *g, kiln_tensor a);

/** Reals. is_infinite: of any sign for 0, positive for 1, negative for -1. */
KILN_API kiln_tensor kiln_is_nan(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_is_infinite(kiln_graph *g, kiln_tensor x, int sign);

/** y = condition ? a : b, all broadcast together; condition is BOOL, a and b any type. */
KILN_API kiln_tensor kiln_where(kiln_graph *g, kiln_tensor condition, kiln_tensor a, kiln_tensor b);

/* Functions of one real ---------------------------------------------------------------------------------- */

KILN_API kiln_tensor kiln_exp(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_expm1(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_log(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_log1p(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_sqrt(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_rsqrt(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_sin(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_cos(kiln_graph *g, kiln_tensor x);
/** 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */
KILN_API kiln_tensor kiln_erf(kiln_graph *g, kiln_tensor x);

KILN_API kiln_tensor kiln_tan(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_asin(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_acos(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_atan(kiln_graph *g, kiln_tensor x);
/** The angle of the point (x, y), -pi to pi, as C's atan2(y, x). */
KILN_API kiln_tensor kiln_atan2(kiln_graph *g, kiln_tensor y, kiln_tensor x);

KILN_API kiln_tensor kiln_sinh(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_cosh(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_tanh(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_asinh(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_acosh(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_atanh(kiln_graph *g, kiln_tensor x);

/** To whole numbers: down, up, to the nearest (halves to even), towards zero. */
KILN_API kiln_tensor kiln_floor(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_ceil(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_round(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_trunc(kiln_graph *g, kiln_tensor x);

/* Activations of reals ----------------------------------------------------------------------------------- */

/** max(x, 0), with relu'(0) = 0. */
KILN_API kiln_tensor kiln_relu(kiln_graph *g, kiln_tensor x);
/** x > 0 ? x : slope * x. */
KILN_API kiln_tensor kiln_leaky_relu(kiln_graph *g, kiln_tensor x, double slope);
/** The same with a slope that is learned (He 2015); it broadcasts to x. */
KILN_API kiln_tensor kiln_prelu(kiln_graph *g, kiln_tensor x, kiln_tensor slope);
/** x > alpha ? x : 0. */
KILN_API kiln_tensor kiln_thresholded_relu(kiln_graph *g, kiln_tensor x, double alpha);
/** x - bias above edge, x + bias below -edge, 0 between: hard shrinkage for bias 0, soft for bias = edge. */
KILN_API kiln_tensor kiln_shrink(kiln_graph *g, kiln_tensor x, double edge, double bias);
/** x > 0 ? x : alpha (exp(x) - 1) (Clevert 2015). */
KILN_API kiln_tensor kiln_elu(kiln_graph *g, kiln_tensor x, double alpha);
/** x > 0 ? x : alpha (exp(x / alpha) - 1) (Barron 2017). */
KILN_API kiln_tensor kiln_celu(kiln_graph *g, kiln_tensor x, double alpha);
/** 1.0507.. times elu with alpha = 1.6732.. (Klambauer 2017). */
KILN_API kiln_tensor kiln_selu(kiln_graph *g, kiln_tensor x);
/** 1 / (1 + exp(-x)). */
KILN_API kiln_tensor kiln_sigmoid(kiln_graph *g, kiln_tensor x);
/** min(max(alpha x + beta, 0), 1); PyTorch's has alpha = 1/6, beta = 1/2. */
KILN_API kiln_tensor kiln_hard_sigmoid(kiln_graph *g, kiln_tensor x, double alpha, double beta);
/** x sigmoid(x), and x sigmoid(alpha x). */
KILN_API kiln_tensor kiln_silu(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_swish(kiln_graph *g, kiln_tensor x, double alpha);
/** x min(max(x / 6 + 1/2, 0), 1) (Howard 2019). */
KILN_API kiln_tensor kiln_hard_swish(kiln_graph *g, kiln_tensor x);
/** x (1 + erf(x / sqrt(2))) / 2 (Hendrycks and Gimpel 2016); and their x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. */
KILN_API kiln_tensor kiln_gelu(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_gelu_tanh(kiln_graph *g, kiln_tensor x);
/** x tanh(softplus(x)) (Misra 2019). */
KILN_API kiln_tensor kiln_mish(kiln_graph *g, kiln_tensor x);
/** log(1 + exp(x)). */
KILN_API kiln_tensor kiln_softplus(kiln_graph *g, kiln_tensor x);
/** x / (1 + |x|). */
KILN_API kiln_tensor kiln_softsign(kiln_graph *g, kiln_tensor x);

/* Conversion --------------------------------------------------------------------------------------------- */

/**
 * Convert elements. A real becomes an integer by dropping its fraction, saturated to what the type holds (of I64 and U64 32
 * bits), NaN by 0; an integer another by its low bits; anything BOOL by x != 0; a real F16 or BF16 by rounding to the nearest,
 * ties to even (in float64 programs reals stay doubles). Gradients pass between reals.
 */
KILN_API kiln_tensor kiln_cast(kiln_graph *g, kiln_tensor x, kiln_type type);
/** The bits of x as those of another type of its size; F64 is none of them. No gradient. */
KILN_API kiln_tensor kiln_bitcast(kiln_graph *g, kiln_tensor x, kiln_type type);

#ifdef __cplusplus
}
#endif
#endif
