/*
 * safetensors_save.c - files of named tensors, written.
 *
 * The header needs shapes only, so values come when their turn does: one tensor is in memory at a time. Tensors are sorted
 * by the size of their elements, wide ones first, and spaces fill the header up to a multiple of 8: so each lies aligned,
 * and the bytes depend on nothing but the entries.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/import.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/number.h"
#include "base/text.h"
#include "import/safetensors.h"

/* An entry in its place. */
struct part {
    const kiln_safetensors_entry *entry;
    size_t bytes;
};

struct save {
    const char *path;
    struct part *parts;
    int count;
    struct kiln_text header;
    struct kiln_writer writer;
};

/* Order -------------------------------------------------------------------------------------------------- */

static int by_width(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    const size_t wide = kiln_type_size(x->entry->type), other = kiln_type_size(y->entry->type);

    if (wide != other)
        return wide > other ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static kiln_status check_names(const struct save *s)
{
    struct kiln_map names = {0};
    kiln_status status = KILN_OK;

    for (int i = 0; i < s->count && !status; i++) {
        const char *name = s->parts[i].entry->name;
        if (!name || strcmp(name, "__metadata__") == 0 || kiln_map_find(&names, name) >= 0)
            status = kiln_fail(KILN_ERROR_ARGUMENT, "%s: the name \"%s\" is taken, tensor %d needs another",
                               s->path, name ? name : "", i);
        else if (!kiln_map_put(&names, name, i))
            status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", s->path);
    }
    kiln_map_finish(&names);
    return status;
}

static kiln_status order_parts(struct save *s, const kiln_safetensors_entry *entries)
{
    kiln_status status;

    s->parts = calloc((size_t)s->count + 1, sizeof *s->parts);
    if (!s->parts)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", s->path);
    for (int i = 0; i < s->count; i++) {
        const kiln_array whole = {.type = entries[i].type, .shape = entries[i].shape};
        s->parts[i].entry = &entries[i];
        if ((status = kiln_array_size(&whole, &s->parts[i].bytes)))
            return status;
    }
    qsort(s->parts, (size_t)s->count, sizeof *s->parts, by_width);
    return check_names(s);
}

/* The header --------------------------------------------------------------------------------------------- */

static void add_notes(struct kiln_text *to, const kiln_note *notes, int count)
{
    for (int i = 0; i < count; i++) {
        kiln_text_add(to, i ? "," : "\"__metadata__\":{");
        kiln_json_add_text(to, notes[i].key);
        kiln_text_add(to, ":");
        kiln_json_add_text(to, notes[i].text);
    }
    kiln_text_add(to, count > 0 ? "}" : "");
}

static void add_part(struct kiln_text *to, const struct part *part, size_t first)
{
    const kiln_shape *shape = &part->entry->shape;

    kiln_json_add_text(to, part->entry->name);
    kiln_text_add(to, ":{\"dtype\":\"%s\",\"shape\":[", kiln_safetensors_type(part->entry->type));
    for (int i = 0; i < shape->rank; i++)
        kiln_text_add(to, "%s%lld", i ? "," : "", (long long)shape->size[i]);
    kiln_text_add(to, "],\"data_offsets\":[%zu,%zu]}", first, first + part->bytes);
}

static kiln_status write_header(struct save *s, const kiln_note *notes, int note_count)
{
    struct kiln_text *to = &s->header;
    unsigned char length[8];
    size_t first = 0, end;

    kiln_text_add(to, "{");
    add_notes(to, notes, note_count);
    for (int i = 0; i < s->count; i++, first = end) {
        if (!kiln_size_add(first, s->parts[i].bytes, &end))
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: more bytes than a file can hold", s->path);
        kiln_text_add(to, i || note_count > 0 ? "," : "");
        add_part(to, &s->parts[i], first);
    }
    kiln_text_add(to, "}");
    kiln_text_add(to, "%*s", (int)(kiln_round_up(to->count, 8) - to->count), "");
    if (to->failed)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", s->path);

    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)to->count >> 8 * i);
    kiln_writer_add(&s->writer, length, sizeof length);
    return kiln_writer_add(&s->writer, to->data, to->count);
}

/* The values --------------------------------------------------------------------------------------------- */

static kiln_status read_and_write(struct save *s, const struct part *part)
{
    const kiln_safetensors_entry *entry = part->entry;
    kiln_array values = {.bytes = part->bytes, .type = entry->type, .shape = entry->shape};
    kiln_status status;

    values.data = malloc(part->bytes);
    if (!values.data)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for %zu bytes of \"%s\"", s->path, part->bytes,
                         entry->name);
    status = entry->read(entry->user, entry->name, &values);
    if (!status && (values.type != entry->type || !kiln_shape_equal(&values.shape, &entry->shape)))
        status = kiln_fail(KILN_ERROR_SHAPE, "%s: \"%s\" was read with another type or shape than announced",
                           s->path, entry->name);
    if (!status)
        status = kiln_writer_add(&s->writer, values.data, part->bytes);
    free(values.data);
    return status;
}

static kiln_status write_values(struct save *s, const struct part *part)
{
    if (part->bytes == 0)
        return KILN_OK;
    if (part->entry->data)
        return kiln_writer_add(&s->writer, part->entry->data, part->bytes);
    if (part->entry->read)
        return read_and_write(s, part);
    return kiln_fail(KILN_ERROR_ARGUMENT, "%s: \"%s\" comes with neither values nor read", s->path,
                     part->entry->name);
}

kiln_status kiln_safetensors_save(const char *path, const kiln_safetensors_entry *entries, int count,
                                  const kiln_note *notes, int note_count)
{
    struct save s = {.path = path, .count = count};
    kiln_status status = order_parts(&s, entries);

    if (!status && !(status = kiln_writer_open(&s.writer, path))) {
        status = write_header(&s, notes, note_count);
        for (int i = 0; i < count && !status; i++)
            status = write_values(&s, &s.parts[i]);
        if (!status)
            status = kiln_writer_commit(&s.writer);
        kiln_writer_abandon(&s.writer);
    }
    kiln_text_finish(&s.header);
    free(s.parts);
    return status;
}
