/* golden.h - the numbers that PyTorch computed: tests/golden/NAME.safetensors, written by tools/golden. */
#ifndef KILN_TESTS_SUPPORT_GOLDEN_H
#define KILN_TESTS_SUPPORT_GOLDEN_H

#include "support/support.h"

/** Open tests/golden/NAME; skips the test where kiln was built without JSON. */
kiln_safetensors *kiln_golden_open(const char *name);

/** The tensor "PREFIX/NAME" of the file (NULL prefix: "NAME"), a loan; fails the test if it is not there. */
kiln_array kiln_golden_find(const kiln_safetensors *file, const char *prefix, const char *name);

/** ||a - b|| / ||b||; with a `from`, of the changes: ||(a - from) - (b - from)|| / ||b - from||. */
double kiln_test_distance(const double *a, const double *b, const double *from, size_t count);

/** Any real array as malloc'ed doubles. */
double *kiln_test_doubles(const kiln_array *array);

#endif
