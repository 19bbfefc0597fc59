/* print.h - a row's result, for people or as an object of JSON a line. */
#ifndef KILN_TOOLS_BENCH_PRINT_H
#define KILN_TOOLS_BENCH_PRINT_H

#include "measure.h"
#include "results.h"

typedef void bench_print(const struct bench_row *row, const struct bench_result *r,
                         const struct bench_entry *other);

/** `other` is the same row of another result; NULL: there is none. */
bench_print bench_print_text, bench_print_json;

#endif
