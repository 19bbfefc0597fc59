/* print.c - results as text and as JSON. */
#include "print.h"

#include <math.h>
#include <stdio.h>

#include "../json.h"

static double ratio_of(const kiln_program_memory *m)
{
    return m->lower_bound ? (double)m->scratch / (double)m->lower_bound : 1;
}

void bench_print_text(const struct bench_row *row, const struct bench_result *r,
                      const struct bench_entry *other)
{
    const kiln_program_memory *m = &r->memory;

    if (row->kind == BENCH_REPLAY)
        printf("%-52s  median %9.3f us  best %9.3f us  of the calling thread, for %d commands", row->name,
               1e6 * r->median, 1e6 * r->best, r->commands);
    else
        printf("%-52s  median %9.3f ms  best %9.3f ms  processor %9.3f ms", row->name, 1e3 * r->median,
               1e3 * r->best, 1e3 * r->processor);
    if (r->flops > 0)
        printf("  %7.1f GFLOP/s", 1e-9 * r->flops / r->median);
    if (r->bytes > 0)
        printf("  %7.1f GB/s", 1e-9 * r->bytes / r->median);
    if (r->share > 0)
        printf("  %5.1f %% of peak", 100 * r->share);
    if (row->kind == BENCH_MODEL)
        printf("  scratch %.2f MB (%.3f of least), threads %.2f MB, weights %.2f MB",
               1e-6 * (double)m->scratch, ratio_of(m), 1e-6 * (double)m->threads, 1e-6 * (double)m->weights);
    if (other)
        printf("  other %9.3f ms: %.2f times as fast", other->median, other->median / (1e3 * r->median));
    putchar('\n');
    fflush(stdout);
}

static double rounded(double value, double digits)
{
    return round(value * digits) / digits;
}

static void json_memory(struct json *j, const struct bench_result *r)
{
    const kiln_program_memory *m = &r->memory;
    json_number(j, "scratch_mb", rounded(1e-6 * (double)m->scratch, 1e3));
    json_number(j, "scratch_at_least_mb", rounded(1e-6 * (double)m->lower_bound, 1e3));
    json_number(j, "scratch_ratio", rounded(ratio_of(m), 1e4));
    json_number(j, "threads_mb", rounded(1e-6 * (double)m->threads, 1e3));
    json_number(j, "weights_mb", rounded(1e-6 * (double)m->weights, 1e3));
    if (r->peak_mib > 0)
        json_number(j, "peak_mib", rounded(r->peak_mib, 10));
    json_number(j, "memory_mb",
                rounded(1e-6 * (double)(m->weights + m->scratch + m->threads + m->constants + m->staging),
                        1e3));
}

void bench_print_json(const struct bench_row *row, const struct bench_result *r,
                      const struct bench_entry *other)
{
    const double digits = row->kind == BENCH_REPLAY ? 1e7 : 1e4; /* those take less than a microsecond */
    struct json j = {.line = true};

    json_open(&j, NULL, '{');
    json_text(&j, "name", row->name);
    json_text(&j, "device", r->device);
    json_number(&j, "median_ms", rounded(1e3 * r->median, digits));
    json_number(&j, "best_ms", rounded(1e3 * r->best, digits));
    json_number(&j, "processor_ms", rounded(1e3 * r->processor, digits));
    if (r->flops > 0)
        json_number(&j, "gflop", 1e-9 * r->flops);
    if (r->flops > 0)
        json_number(&j, "gflops", rounded(1e-9 * r->flops / r->median, 10));
    if (r->bytes > 0)
        json_number(&j, "gb_per_s", rounded(1e-9 * r->bytes / r->median, 10));
    if (r->share > 0)
        json_number(&j, "peak_share", rounded(r->share, 1e4));
    if (row->kind == BENCH_MODEL)
        json_memory(&j, r);
    if (row->kind == BENCH_MODEL || row->kind == BENCH_REPLAY)
        json_number(&j, "commands", r->commands);
    if (other)
        json_number(&j, "other_ms", other->median);
    json_close(&j);
    fflush(stdout);
}
