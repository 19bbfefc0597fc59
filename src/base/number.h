/* number.h - numbers from outside: sizes are multiplied and added so that they cannot wrap, reals have their default. */
#ifndef KILN_BASE_NUMBER_H
#define KILN_BASE_NUMBER_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kiln/base.h>

/** *out = a * b; false, and *out = 0, where the product does not fit. */
static inline bool kiln_size_mul(size_t a, size_t b, size_t *out)
{
    const bool fits = b == 0 || a <= SIZE_MAX / b;
    *out = fits ? a * b : 0;
    return fits;
}

/** *out = a + b; false, and *out = 0, where the sum does not fit. */
static inline bool kiln_size_add(size_t a, size_t b, size_t *out)
{
    const bool fits = a <= SIZE_MAX - b;
    *out = fits ? a + b : 0;
    return fits;
}

/** The smallest multiple of `to` (at least 1) that is not below x. x must be at most SIZE_MAX - to. */
static inline size_t kiln_round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

/** The smaller of two sizes. */
static inline size_t kiln_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/** How many parts of at most `size`, at least 1, `count` makes. */
static inline uint64_t kiln_parts(uint64_t count, uint64_t size)
{
    return (count + size - 1) / size;
}

/** The size of equal parts of `count`, at least 1, of at most `most`, at least 1, in multiples of `step`. */
static inline size_t kiln_even(size_t count, size_t most, size_t step)
{
    return kiln_round_up((size_t)kiln_parts(count, kiln_parts(count, most)), step);
}

/** A real of a params struct: 0 means `usual`, KILN_ZERO means 0. */
static inline double kiln_real_or(double given, double usual)
{
    return given == 0 ? usual : given == KILN_ZERO ? 0 : given;
}

/** The nearest float that is finite where x is: beyond them all the largest one of its sign. A mask of -1e308 stays one that adds up. */
static inline float kiln_float_near(double x)
{
    return isfinite(x) && fabs(x) > FLT_MAX ? (float)copysign(FLT_MAX, x) : (float)x;
}

#endif
