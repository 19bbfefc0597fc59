/*
 * csv.c - a log of numbers that survives: each row is one write to a file opened for appending.
 *
 * Resuming reads the old file, keeps its header and the rows up to the given step, and replaces it (in one step) by what was
 * kept, if that is less; then it goes on. The first row past the step ends what is kept: steps only grow.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kiln/metrics.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

struct kiln_csv {
    char *path;
    int file, columns;
};

/* Lines -------------------------------------------------------------------------------------------------- */

/* In quotes where the format needs it. */
static void add_name(struct kiln_text *to, const char *name)
{
    if (!strpbrk(name, ",\"\r\n")) {
        kiln_text_add(to, "%s", name);
        return;
    }
    kiln_text_add(to, "\"");
    for (; *name; name++)
        kiln_text_add(to, "%s%c", *name == '"' ? "\"" : "", *name);
    kiln_text_add(to, "\"");
}

/* The fewest digits that read back as x; the point is a point in every locale. */
static void add_number(struct kiln_text *to, double x)
{
    char text[40];
    int digits = x == floor(x) && fabs(x) < 1e15 ? 15 : 1; /* 90, not 9e+01 */

    do
        snprintf(text, sizeof text, "%.*g", digits, x);
    while (strtod(text, NULL) != x && x == x && ++digits <= 17);
    for (char *c = text; *c; c++)
        if (*c == ',')
            *c = '.';
    kiln_text_add(to, "%s", text);
}

static void add_header(struct kiln_text *to, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        kiln_text_add(to, i ? "," : "");
        add_name(to, names[i]);
    }
    kiln_text_add(to, "\n");
}

/* What is there ------------------------------------------------------------------------------------------ */

/* Bytes of the header and of the whole rows up to `after`. */
static size_t kept_bytes(const char *data, size_t bytes, size_t header, double after)
{
    size_t kept = header;

    for (const char *end; kept < bytes && (end = memchr(data + kept, '\n', bytes - kept));
         kept = (size_t)(end - data) + 1) {
        char step[40] = {0};
        const size_t length = (size_t)(end - data) - kept;
        memcpy(step, data + kept, length < sizeof step - 1 ? length : sizeof step - 1);
        if (!(strtod(step, NULL) <= after))
            break;
    }
    return kept;
}

static kiln_status replace(const char *path, const char *data, size_t bytes)
{
    struct kiln_writer writer;
    kiln_status status = kiln_writer_open(&writer, path);

    if (status)
        return status;
    kiln_writer_add(&writer, data, bytes);
    return kiln_writer_commit(&writer);
}

/* The length of a file's first line, or of what a message has room for. */
static int first_line(const struct kiln_file *f)
{
    const size_t room = f->size < 200 ? f->size : 200;
    const char *end = memchr(f->data, '\n', room);
    return end ? (int)(end - (const char *)f->data) : (int)room;
}

/* Cut the old file down to what stays. An empty one gets its header. */
static kiln_status cut(const char *path, const struct kiln_text *header, double after)
{
    struct kiln_file old;
    kiln_status status = kiln_file_map(&old, path);
    size_t kept;

    if (status)
        return status;
    if (old.size == 0)
        status = replace(path, header->data, header->count);
    else if (old.size < header->count || memcmp(old.data, header->data, header->count) != 0)
        status = kiln_fail(KILN_ERROR_FILE, "%s: begins with \"%.*s\", wanted \"%.*s\"", path,
                           first_line(&old), (const char *)old.data, (int)header->count - 1, header->data);
    else if ((kept = kept_bytes(old.data, old.size, header->count, after)) < old.size)
        status = replace(path, old.data, kept);
    kiln_file_unmap(&old);
    return status;
}

/* The log ------------------------------------------------------------------------------------------------ */

static kiln_status start(kiln_csv *csv, const char *const *names, int count, const kiln_csv_params *params)
{
    const bool goes_on = params && params->resume && access(csv->path, F_OK) == 0;
    struct kiln_text header = {0};
    kiln_status status;

    add_header(&header, names, count);
    if (header.failed)
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", csv->path);
    else
        status =
            goes_on ? cut(csv->path, &header, params->after) : replace(csv->path, header.data, header.count);
    kiln_text_finish(&header);
    if (status)
        return status;

    csv->columns = count;
    csv->file = open(csv->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return csv->file >= 0 ? KILN_OK
                          : kiln_fail(KILN_ERROR_FILE, "%s: cannot open: %s", csv->path, strerror(errno));
}

static char *copy_of(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

kiln_status kiln_csv_open(kiln_csv **out, const char *path, const char *const *names, int count,
                          const kiln_csv_params *params)
{
    kiln_csv *csv = calloc(1, sizeof *csv);
    kiln_status status;

    *out = NULL;
    if (csv)
        csv->file = -1;
    if (count < 1)
        status = kiln_fail(KILN_ERROR_ARGUMENT, "%s: %d columns, wanted at least the step", path, count);
    else if (!csv || !(csv->path = copy_of(path)))
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to open it", path);
    else
        status = start(csv, names, count, params);
    if (status)
        kiln_csv_close(&csv);
    *out = csv;
    return status;
}

/* A row goes out in one piece; what a full disk took of it is cut off when the log is resumed. */
static kiln_status write_row(const kiln_csv *csv, const struct kiln_text *row)
{
    for (size_t at = 0; at < row->count;) {
        const ssize_t written = write(csv->file, row->data + at, row->count - at);
        if (written < 0 && errno != EINTR)
            return kiln_fail(KILN_ERROR_FILE, "%s: cannot write: %s", csv->path, strerror(errno));
        at += written > 0 ? (size_t)written : 0;
    }
    return KILN_OK;
}

kiln_status kiln_csv_add(kiln_csv *csv, const double *values)
{
    struct kiln_text row = {0};
    kiln_status status;

    for (int i = 0; i < csv->columns; i++) {
        kiln_text_add(&row, i ? "," : "");
        add_number(&row, values[i]);
    }
    kiln_text_add(&row, "\n");
    status = row.failed ? kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for a row", csv->path)
                        : write_row(csv, &row);
    kiln_text_finish(&row);
    return status;
}

void kiln_csv_close(kiln_csv **csv)
{
    kiln_csv *c = *csv;

    *csv = NULL;
    if (!c)
        return;
    if (c->file >= 0)
        close(c->file);
    free(c->path);
    free(c);
}
