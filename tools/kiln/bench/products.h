/*
 * products.h - the matrix products that plans contain, and rows for products of any shape.
 *
 * A shape is written MxNxK, or MxNxKxBATCH, then /nn, /nt, /tn or /tt: which of the operands lies transposed.
 */
#ifndef KILN_TOOLS_BENCH_PRODUCTS_H
#define KILN_TOOLS_BENCH_PRODUCTS_H

#include "measure.h"

/** Tells each distinct product of the plans that are shown to it; {0} at first. Owns: free(shape). */
struct bench_products {
    struct bench_product *shape;
    int count;
    bool json;
};

/** Print the products of a row's plan that were not there before, as they come. Errors: those of planning. */
kiln_status bench_products_print(const struct bench *b, const struct bench_row *row,
                                 struct bench_products *known);

/** A row named `text` that times that product; false where it is no shape. The text must outlive the row. */
bool bench_products_row(const char *text, struct bench_row *out);

#endif
