/* number.h - sizes that come from files are multiplied and added here, so that they cannot wrap. */
#ifndef KILN_BASE_NUMBER_H
#define KILN_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
