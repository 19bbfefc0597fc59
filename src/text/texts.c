/* texts.c - lists of texts: one block of memory in which they lie one behind the other, and where each begins. */
#include "text/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/number.h"

kiln_status kiln_texts_create(kiln_texts **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "texts: out of memory");
}

void kiln_texts_destroy(kiln_texts **t)
{
    if (*t) {
        free((*t)->data);
        free((*t)->first);
    }
    free(*t);
    *t = NULL;
}

int64_t kiln_texts_count(const kiln_texts *t)
{
    return (int64_t)t->count;
}

const char *kiln_texts_get(const kiln_texts *t, int64_t i)
{
    return i >= 0 && (size_t)i < t->count ? t->data + t->first[i] : NULL;
}

/* Growing ------------------------------------------------------------------------------------------------ */

/* Room for `wanted` items at *data, of which there are *room. */
static bool grow(void **data, size_t *room, size_t wanted, size_t item)
{
    size_t more = *room > 0 ? *room : 64, bytes;
    void *grown;

    if (wanted <= *room)
        return true;
    while (more < wanted)
        if (!kiln_size_mul(more, 2, &more))
            return false;
    if (!kiln_size_mul(more, item, &bytes) || !(grown = realloc(*data, bytes)))
        return false;
    *data = grown;
    *room = more;
    return true;
}

kiln_status kiln_texts_put(kiln_texts *t, const char *text, size_t bytes)
{
    void *data = t->data, *first = t->first;
    const bool fits = grow(&data, &t->room, t->used + bytes + 1, 1);
    const bool listed = fits && grow(&first, &t->places, t->count + 1, sizeof *t->first);

    t->data = data;
    t->first = first;
    if (!listed)
        return kiln_fail(KILN_ERROR_MEMORY, "texts: no memory for text %zu, %zu bytes", t->count + 1, bytes);
    t->first[t->count++] = t->used;
    memcpy(t->data + t->used, text, bytes);
    t->data[t->used + bytes] = '\0';
    t->used += bytes + 1;
    return KILN_OK;
}

void kiln_texts_clear(kiln_texts *t)
{
    t->used = t->count = 0;
}

kiln_status kiln_texts_add(kiln_texts *t, const char *text)
{
    const kiln_status status = kiln_utf8_check(text, "text");

    return status ? status : kiln_texts_put(t, text, strlen(text));
}

/* Files -------------------------------------------------------------------------------------------------- */

/* The column of a line that is wanted: *at and *bytes become its place. False where the line has no such column. */
static bool take_column(const char **at, size_t *bytes, int column)
{
    const char *end = *at + *bytes, *tab;

    for (int i = 1; i < column; i++) {
        if (!(tab = memchr(*at, '\t', (size_t)(end - *at))))
            return false;
        *at = tab + 1;
    }
    tab = column > 0 ? memchr(*at, '\t', (size_t)(end - *at)) : NULL;
    *bytes = (size_t)((tab ? tab : end) - *at);
    return true;
}

static kiln_status add_line(kiln_texts *t, const char *path, const char *line, size_t bytes, int column)
{
    const size_t number = t->count + 1;
    char where[64];
    kiln_status status;

    if (bytes > 0 && line[bytes - 1] == '\r')
        bytes--;
    if (!take_column(&line, &bytes, column))
        return kiln_fail(KILN_ERROR_FILE, "%s: line %zu has no column %d", path, number, column);
    if (memchr(line, '\0', bytes))
        return kiln_fail(KILN_ERROR_FILE, "%s: line %zu holds a zero byte", path, number);
    if ((status = kiln_texts_put(t, line, bytes)))
        return status;
    snprintf(where, sizeof where, ": line %zu", number);
    return kiln_utf8_check_at(kiln_texts_get(t, (int64_t)number - 1), path, where);
}

static kiln_status read_lines(kiln_texts *t, const char *path, const char *data, size_t size,
                              const kiln_texts_params *p)
{
    const char *end = data + size, *newline;
    kiln_status status = KILN_OK;

    if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
        data += 3;
    if (p->whole)
        return add_line(t, path, data, (size_t)(end - data), p->column);
    for (; data < end && !status; data = newline + 1) {
        newline = memchr(data, '\n', (size_t)(end - data));
        newline = newline ? newline : end;
        status = add_line(t, path, data, (size_t)(newline - data), p->column);
    }
    return status;
}

kiln_status kiln_texts_load(kiln_texts **out, const char *path, const kiln_texts_params *params)
{
    const kiln_texts_params p = params ? *params : (kiln_texts_params){0};
    struct kiln_file file;
    kiln_texts *t;
    kiln_status status;

    *out = NULL;
    if (p.column < 0 || (p.column > 0 && p.whole))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: wanted column %d%s", path, p.column,
                         p.whole ? " of a file that is one text" : ", the first is 1");
    if ((status = kiln_texts_create(&t)) || (status = kiln_file_map(&file, path))) {
        kiln_texts_destroy(&t);
        return status;
    }
    status = read_lines(t, path, file.data, file.size, &p);
    kiln_file_unmap(&file);
    if (status)
        kiln_texts_destroy(&t);
    *out = t;
    return status;
}

kiln_status kiln_texts_save(const kiln_texts *t, const char *path)
{
    struct kiln_writer w;

    if (!kiln_writer_open(&w, path))
        for (size_t i = 0; i < t->count; i++) {
            const char *text = t->data + t->first[i];
            kiln_writer_add(&w, text, strlen(text));
            kiln_writer_add(&w, "\n", 1);
        }
    return kiln_writer_commit(&w);
}
