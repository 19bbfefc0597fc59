/*
 * results.h - results in files: an object a line, as `kiln bench --json` and the scripts of tools/peers write them.
 */
#ifndef KILN_TOOLS_BENCH_RESULTS_H
#define KILN_TOOLS_BENCH_RESULTS_H

#include <kiln/kiln.h>

/** A row of a file. What it does not say is NaN. */
struct bench_entry {
    char name[96];
    double median, processor; /* milliseconds */
    double scratch;           /* megabytes of values that live within a run */
};

struct bench_results {
    struct bench_entry *entry;
    int count;
};

/** Read a file. Owns: bench_results_free. Errors: ERROR_FILE with line and column; ERROR_UNSUPPORTED without JSON. */
kiln_status bench_results_read(struct bench_results *out, const char *path);
void bench_results_free(struct bench_results *results);

/** The first row of that name; NULL where there is none. A loan. */
const struct bench_entry *bench_results_find(const struct bench_results *results, const char *name);

/** Print what rows of both files took, and each second figure over the first; with `json` an object a line. */
kiln_status bench_results_diff(const char *path_a, const char *path_b, bool json);

#endif
