/*
 * update.h - the parameters of update: one step of an optimizer over the rows of a table (rows.h).
 *
 *   g = factor * clipped (unscale * gradient), plus decay * p except in ADAMW;  r = rate * the row's factor of the rate
 *
 *   SGD        p -= r g
 *   MOMENTUM   m = beta1 m + rest1 g;  p -= r m
 *   NESTEROV   m = beta1 m + rest1 g;  p -= r (g + beta1 m)
 *   RMSPROP    v = beta2 v + rest2 g^2;  p -= r g / (sqrt(v) / sqrt(c2) + epsilon)
 *   ADAM       m = beta1 m + rest1 g;  v = beta2 v + rest2 g^2;
 *              p -= r / c1 * m / (sqrt(v) / sqrt(c2) + epsilon)
 *   ADAMW      p -= r decay p, then as ADAM
 *
 * Constant 0 is the optimizer, constant 1 whether gradients are clipped to +-clip, constant 2 whether there is a factor, else it
 * is 1. Constant 3 says that the step is guarded: the scalars have an unscale, else it is 1, and a go, where 0 leaves all as it is.
 */
#include "interface.h"
#include "rows.h"

#define KILN_UPDATE_SGD 0u
#define KILN_UPDATE_MOMENTUM 1u
#define KILN_UPDATE_NESTEROV 2u
#define KILN_UPDATE_RMSPROP 3u
#define KILN_UPDATE_ADAM 4u
#define KILN_UPDATE_ADAMW 5u

KILN_PARAMS(update) {
    uint rows;
    KILN_REAL(beta1);
    KILN_REAL(rest1);
    KILN_REAL(beta2);
    KILN_REAL(rest2);
    KILN_REAL(epsilon);
    KILN_REAL(clip);
} KILN_PARAMS_END;
