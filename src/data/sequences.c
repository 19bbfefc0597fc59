/* sequences.c - a dataset of sequences of numbers, as tokenizers make them: each column as long as its batch needs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/source.h"

struct sequences {
    struct kiln_source source;
    kiln_sequences of[KILN_MAX_COLUMNS / 2]; /* columns 2 i, and their lengths, columns 2 i + 1 */
    bool own;
};

static int64_t sequences_length(const struct kiln_source *source, int64_t row, int column)
{
    const kiln_sequences *s = &((const struct sequences *)source)->of[column / 2];

    return s->first[row + 1] - s->first[row];
}

static kiln_status sequences_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const kiln_sequences *s = &((const struct sequences *)source)->of[column / 2];
    const int32_t length = (int32_t)sequences_length(source, row, column);

    if (column % 2)
        memcpy(item, &length, sizeof length);
    else if (length > 0)
        memcpy(item, s->ids + s->first[row], (size_t)length * sizeof *s->ids);
    return KILN_OK;
}

static void sequences_close(struct kiln_source *source)
{
    struct sequences *s = (struct sequences *)source;

    for (int i = 0; i < source->columns / 2 && s->own; i++)
        kiln_sequences_free(&s->of[i]);
}

static const struct kiln_source_ops sequences_ops = {.read = sequences_read,
                                                     .length = sequences_length,
                                                     .close = sequences_close};

/* Opening ------------------------------------------------------------------------------------------------ */

static kiln_status check(const struct sequences *s, const kiln_named_sequences *named)
{
    const kiln_sequences *from = named->sequences;

    if (!named->name || !from || from->rows < 1 || !from->ids || !from->first || from->first[0] < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "sequences: \"%s\" has none", named->name ? named->name : "");
    if (s->source.columns > 0 && from->rows != s->source.rows)
        return kiln_fail(KILN_ERROR_SHAPE, "sequences: \"%s\" has %" PRId64 " rows, \"%s\" has %" PRId64,
                         named->name, from->rows, s->source.column[0].name, s->source.rows);
    for (int64_t row = 0; row < from->rows; row++)
        if (from->first[row + 1] < from->first[row] || from->first[row + 1] - from->first[row] > INT32_MAX)
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "sequences: row %" PRId64 " of \"%s\" begins at %" PRId64
                             ", and the next at %" PRId64,
                             row, named->name, from->first[row], from->first[row + 1]);
    return KILN_OK;
}

/* A copy of what the sequences hold. */
static kiln_status copy(kiln_sequences *to, const kiln_sequences *from)
{
    const size_t firsts = (size_t)from->rows + 1, ids = (size_t)from->first[from->rows];

    *to = (kiln_sequences){.rows = from->rows,
                           .ids = malloc((ids + 1) * sizeof *to->ids),
                           .first = malloc(firsts * sizeof *to->first)};
    if (!to->ids || !to->first) {
        kiln_sequences_free(to);
        return kiln_fail(KILN_ERROR_MEMORY, "sequences: no memory for %zu numbers", ids);
    }
    memcpy(to->ids, from->ids, ids * sizeof *to->ids);
    memcpy(to->first, from->first, firsts * sizeof *to->first);
    return KILN_OK;
}

static kiln_status add(struct sequences *s, const kiln_named_sequences *named, const kiln_sequences_params *p)
{
    struct kiln_source *source = &s->source;
    const int c = source->columns;
    char name[256];
    kiln_status status = check(s, named);

    if (status)
        return status;
    if (p->borrow)
        s->of[c / 2] = *named->sequences;
    else if ((status = copy(&s->of[c / 2], named->sequences)))
        return status;
    source->rows = named->sequences->rows;
    snprintf(name, sizeof name, "%s_length", named->name);
    source->column[c] =
        (kiln_column){kiln_arena_text(&source->arena, named->name), KILN_I32, KILN_SHAPE(KILN_RAGGED), 0};
    source->column[c + 1] = (kiln_column){kiln_arena_text(&source->arena, name), KILN_I32, KILN_SCALAR, 0};
    source->fill[c] = p->fill;
    source->multiple[c] = p->multiple > 1 ? p->multiple : 1;
    source->columns += 2;
    return source->column[c].name && source->column[c + 1].name
               ? KILN_OK
               : kiln_fail(KILN_ERROR_MEMORY, "sequences: out of memory");
}

kiln_status kiln_sequences_open(kiln_dataset **out, const kiln_named_sequences *sequences, int count,
                                const kiln_sequences_params *params)
{
    const kiln_sequences_params p = params ? *params : (kiln_sequences_params){0};
    struct sequences *s;
    kiln_status status = KILN_OK;

    *out = NULL;
    if (count < 1 || count > KILN_MAX_COLUMNS / 2)
        return kiln_fail(KILN_ERROR_ARGUMENT, "sequences: %d of them, wanted 1 to %d", count,
                         KILN_MAX_COLUMNS / 2);
    if (p.multiple < 0 || p.multiple > INT32_MAX)
        return kiln_fail(KILN_ERROR_ARGUMENT, "sequences: batches of multiples of %" PRId64, p.multiple);
    if (!(s = kiln_source_create(sizeof *s, &sequences_ops)))
        return KILN_ERROR_MEMORY;
    s->own = !p.borrow;
    for (int i = 0; i < count && !status; i++)
        status = add(s, &sequences[i], &p);
    if (!status)
        return kiln_dataset_create(out, &s->source, "sequences");
    kiln_source_release(&s->source);
    return status;
}
