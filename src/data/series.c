/* series.c - series of numbers: read from a column of a CSV file, and scaled to mean 0 and deviation 1. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/data.h>

#include "base/log.h"
#include "base/vec.h"

struct values {
    KILN_VEC(float) list;
};

/* The text of a field, 1 the first, without quotes around it, cut off in place; NULL where the line has no such field. */
static char *field_of(char *line, int column)
{
    for (int i = 1;; i++) {
        char *start = line + (*line == '"'), *end = start + strcspn(start, *line == '"' ? "\"" : ",");
        const bool quoted = *line == '"';
        char *comma = end + quoted;

        if (quoted && !*end)
            return NULL;
        if (i == column) {
            *end = '\0';
            return start;
        }
        if (*comma != ',')
            return NULL;
        line = comma + 1;
    }
}

static bool parse(const char *text, float *value)
{
    char *end;
    const double number = text && *text ? strtod(text, &end) : NAN;

    if (!isfinite((float)number) || end[strspn(end, " \t\r")])
        return false;
    *value = (float)number;
    return true;
}

/* A line's value; the first line may be a head. */
static kiln_status add_line(struct values *v, const char *line, int64_t number, int column, const char *path)
{
    char *copy = malloc(strlen(line) + 1);
    const char *field = copy ? field_of(strcpy(copy, line), column) : NULL;
    float value = 0;
    kiln_status status = KILN_OK;

    if (!copy)
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
    else if (parse(field, &value))
        status = kiln_vec_push(&v->list, value) ? KILN_OK
                                                : kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
    else if (number > 1)
        status = kiln_fail(KILN_ERROR_FILE, "%s: line %" PRId64 ", wanted a number in column %d, got \"%s\"",
                           path, number, column, field ? field : "");
    free(copy);
    return status;
}

kiln_status kiln_series_load(kiln_array *series, const char *path, int column)
{
    struct values v = {0};
    kiln_texts *lines = NULL;
    kiln_status status =
        column > 0 ? kiln_texts_load(&lines, path, NULL)
                   : kiln_fail(KILN_ERROR_ARGUMENT, "%s: wanted column %d, the first is 1", path, column);

    *series = (kiln_array){0};
    for (int64_t i = 0; !status && i < kiln_texts_count(lines); i++)
        if (*kiln_texts_get(lines, i))
            status = add_line(&v, kiln_texts_get(lines, i), i + 1, column, path);
    kiln_texts_destroy(&lines);
    if (!status && v.list.count == 0)
        status = kiln_fail(KILN_ERROR_FILE, "%s: column %d has no numbers", path, column);
    if (status) {
        kiln_vec_finish(&v.list);
        return status;
    }
    *series = (kiln_array){.data = v.list.data,
                           .bytes = (size_t)v.list.count * sizeof *v.list.data,
                           .shape = KILN_SHAPE(v.list.count)};
    return KILN_OK;
}

/* Scaling ------------------------------------------------------------------------------------------------ */

kiln_scaling kiln_scaling_fit(const float *values, int64_t count)
{
    double mean = 0, square = 0;

    for (int64_t i = 0; i < count; i++)
        mean += (double)values[i] / (double)count;
    for (int64_t i = 0; i < count; i++)
        square += ((double)values[i] - mean) * ((double)values[i] - mean) / (double)count;
    return (kiln_scaling){mean, square > 0 ? sqrt(square) : 1};
}

void kiln_scaling_apply(const kiln_scaling *s, float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(((double)values[i] - s->mean) / s->deviation);
}

void kiln_scaling_undo(const kiln_scaling *s, float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)((double)values[i] * s->deviation + s->mean);
}
