/* results.c - results in files, and two of them side by side. */
#include "results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../json.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

/* Reading ---------------------------------------------------------------------------------------------------- */

static double number(const struct kiln_json *object, const char *key)
{
    double value = NAN;
    kiln_json_number(kiln_json_find(object, key), &value);
    return value;
}

static kiln_status add(struct bench_results *to, const struct kiln_json *object)
{
    const char *name = kiln_json_text(kiln_json_find(object, "name"));
    struct bench_entry *more;

    if (!name)
        return KILN_OK;
    if (!(more = realloc(to->entry, ((size_t)to->count + 1) * sizeof *more)))
        return kiln_fail(KILN_ERROR_MEMORY, "no memory for %d rows", to->count + 1);
    to->entry = more;
    more += to->count++;
    *more = (struct bench_entry){.median = number(object, "median_ms"),
                                 .processor = number(object, "processor_ms"),
                                 .scratch = number(object, "scratch_mb")};
    snprintf(more->name, sizeof more->name, "%s", name);
    return KILN_OK;
}

/* Whether there is nothing in it. */
static bool is_blank(const char *line, size_t bytes)
{
    size_t i = 0;
    while (i < bytes && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
        i++;
    return i == bytes;
}

static kiln_status read_line(struct bench_results *to, const char *line, size_t bytes, const char *path)
{
    struct kiln_json *object;
    kiln_status status;

    if (is_blank(line, bytes))
        return KILN_OK;
    if (!(status = kiln_json_parse(&object, line, bytes, path)))
        status = add(to, object);
    kiln_json_close(&object);
    return status;
}

kiln_status bench_results_read(struct bench_results *out, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    *out = (struct bench_results){0};
    if (status)
        return status;
    for (const char *line = file.data, *last = line + file.size, *end; line < last && !status;
         line = end + 1) {
        end = memchr(line, '\n', (size_t)(last - line));
        end = end ? end : last;
        status = read_line(out, line, (size_t)(end - line), path);
    }
    kiln_file_unmap(&file);
    if (status)
        bench_results_free(out);
    return status;
}

void bench_results_free(struct bench_results *results)
{
    free(results->entry);
    *results = (struct bench_results){0};
}

const struct bench_entry *bench_results_find(const struct bench_results *results, const char *name)
{
    for (int i = 0; i < results->count; i++)
        if (!strcmp(results->entry[i].name, name))
            return &results->entry[i];
    return NULL;
}

/* Side by side ------------------------------------------------------------------------------------------------ */

static void print_pair(const struct bench_entry *a, const struct bench_entry *b)
{
    printf("%-52s  median %9.3f -> %9.3f ms: %5.2f", a->name, a->median, b->median, b->median / a->median);
    if (!isnan(a->processor) && !isnan(b->processor))
        printf("  processor %9.3f -> %9.3f ms: %5.2f", a->processor, b->processor,
               b->processor / a->processor);
    if (!isnan(a->scratch) && !isnan(b->scratch) && a->scratch > 0)
        printf("  scratch %8.2f -> %8.2f MB: %5.2f", a->scratch, b->scratch, b->scratch / a->scratch);
    putchar('\n');
}

static void print_pair_json(const struct bench_entry *a, const struct bench_entry *b)
{
    struct json j = {.line = true};
    json_open(&j, NULL, '{');
    json_text(&j, "name", a->name);
    json_number(&j, "median_ms", b->median);
    json_number(&j, "other_median_ms", a->median);
    json_number(&j, "ratio", b->median / a->median);
    json_number(&j, "processor_ratio", b->processor / a->processor);
    json_number(&j, "scratch_ratio", b->scratch / a->scratch);
    json_close(&j);
}

static void print_missing(const struct bench_results *of, const struct bench_results *from, const char *path)
{
    for (int i = 0; i < of->count; i++)
        if (!bench_results_find(from, of->entry[i].name))
            printf("%-52s  in %s alone\n", of->entry[i].name, path);
}

kiln_status bench_results_diff(const char *path_a, const char *path_b, bool json)
{
    struct bench_results a = {0}, b = {0};
    double sum = 0;
    int pairs = 0;
    kiln_status status;

    if (!(status = bench_results_read(&a, path_a)) && !(status = bench_results_read(&b, path_b)))
        for (int i = 0; i < a.count; i++) {
            const struct bench_entry *other = bench_results_find(&b, a.entry[i].name);
            if (!other || !(a.entry[i].median > 0) || !(other->median > 0))
                continue;
            (json ? print_pair_json : print_pair)(&a.entry[i], other);
            sum += log(other->median / a.entry[i].median);
            pairs++;
        }
    if (!status && pairs == 0)
        status = kiln_fail(KILN_ERROR_ARGUMENT, "\"%s\" and \"%s\" have no row in common", path_a, path_b);
    if (!status && !json) {
        print_missing(&a, &b, path_a);
        print_missing(&b, &a, path_b);
        printf("%d rows; the geometric mean of the medians' ratios: %.3f\n", pairs, exp(sum / pairs));
    }
    bench_results_free(&a);
    bench_results_free(&b);
    return status;
}
