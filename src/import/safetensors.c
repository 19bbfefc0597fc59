/*
 * safetensors.c - files of named tensors, read.
 *
 *   8 bytes     the header's length, little-endian
 *   header      {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {...}}
 *   values      offsets count from here; the tensors cover it without gap or overlap
 *
 * The header is believed only so far as the file bears it out: offsets are in order, lie in the file, and are as far apart
 * as type and shape say. A tensor is a view of the mapped file; one that does not lie at a multiple of its element's size,
 * which other writers allow themselves, is copied when the file is opened.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/import.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/number.h"
#include "base/vec.h"
#include "import/safetensors.h"

#define HEADER_LIMIT 100000000 /* as in the reference implementation */

struct tensor {
    const char *name;
    kiln_array view;
    size_t first, end; /* place among the values */
};

struct kiln_safetensors {
    struct kiln_file file;
    struct kiln_arena arena; /* texts, and copies of what lies unaligned */
    KILN_VEC(struct tensor) tensors;
    KILN_VEC(kiln_note) notes;
    struct kiln_map names;
    const char *path;
};

/* Types -------------------------------------------------------------------------------------------------- */

static const char *const types[] = {
    [KILN_F64] = "F64", [KILN_F32] = "F32", [KILN_F16] = "F16",   [KILN_BF16] = "BF16", [KILN_I64] = "I64",
    [KILN_I32] = "I32", [KILN_I16] = "I16", [KILN_I8] = "I8",     [KILN_U64] = "U64",   [KILN_U32] = "U32",
    [KILN_U16] = "U16", [KILN_U8] = "U8",   [KILN_BOOL] = "BOOL",
};

const char *kiln_safetensors_type(kiln_type type)
{
    return (size_t)type < sizeof types / sizeof *types ? types[type] : NULL;
}

/* Places in the file ------------------------------------------------------------------------------------- */

/* What is read of a file, and what may be read. */
struct parts {
    const char *header;
    const unsigned char *values;
    size_t header_bytes, value_bytes;
};

static uint64_t read_length(const unsigned char *bytes)
{
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    return length;
}

static kiln_status split(const struct kiln_safetensors *s, struct parts *p)
{
    const unsigned char *data = s->file.data;
    uint64_t length;

    if (s->file.size < 8)
        return kiln_fail(KILN_ERROR_FILE, "%s: wanted a safetensors file, got %zu bytes", s->path,
                         s->file.size);
    length = read_length(data);
    if (length > HEADER_LIMIT)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: no safetensors file: a header of %ju bytes, at most %d are allowed", s->path,
                         (uintmax_t)length, HEADER_LIMIT);
    if (length > s->file.size - 8)
        return kiln_fail(KILN_ERROR_FILE, "%s: cut off: the header has %ju bytes, %zu follow", s->path,
                         (uintmax_t)length, s->file.size - 8);
    p->header = (const char *)data + 8;
    p->header_bytes = (size_t)length;
    p->values = data + 8 + length;
    p->value_bytes = s->file.size - 8 - (size_t)length;
    return KILN_OK;
}

/* One tensor of the header ------------------------------------------------------------------------------- */

static kiln_status read_type(const struct kiln_safetensors *s, const struct kiln_json *item, struct tensor *t)
{
    const char *dtype = kiln_json_text(kiln_json_find(item, "dtype"));

    if (!dtype)
        return kiln_fail(KILN_ERROR_FILE, "%s: tensor \"%s\" has no dtype", s->path, t->name);
    for (kiln_type type = 0; kiln_safetensors_type(type); type++) {
        if (strcmp(kiln_safetensors_type(type), dtype) == 0) {
            t->view.type = type;
            return KILN_OK;
        }
    }
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: tensor \"%s\" is of type \"%.20s\", which kiln lacks",
                     s->path, t->name, dtype);
}

/* A whole number that is not negative; false for anything else. */
static bool read_size(const struct kiln_json *item, size_t *out)
{
    int64_t x = -1;
    const bool whole = kiln_json_whole(item, &x) && x >= 0 && (uint64_t)x <= SIZE_MAX / 2;

    *out = whole ? (size_t)x : 0;
    return whole;
}

static kiln_status read_shape(const struct kiln_safetensors *s, const struct kiln_json *item,
                              struct tensor *t)
{
    const struct kiln_json *shape = kiln_json_find(item, "shape");
    size_t number;

    if (!kiln_json_is_array(shape))
        return kiln_fail(KILN_ERROR_FILE, "%s: tensor \"%s\" has no shape", s->path, t->name);
    for (const struct kiln_json *size = kiln_json_first(shape); size; size = kiln_json_next(size)) {
        if (t->view.shape.rank == KILN_MAX_RANK)
            return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: tensor \"%s\" has more than %d axes", s->path,
                             t->name, KILN_MAX_RANK);
        if (!read_size(size, &number))
            return kiln_fail(KILN_ERROR_FILE, "%s: size %d of tensor \"%s\" is no whole number", s->path,
                             t->view.shape.rank, t->name);
        t->view.shape.size[t->view.shape.rank++] = (int64_t)number;
    }
    return KILN_OK;
}

static kiln_status read_place(const struct kiln_safetensors *s, const struct kiln_json *item,
                              struct tensor *t)
{
    const struct kiln_json *place = kiln_json_find(item, "data_offsets");
    const struct kiln_json *first = kiln_json_first(place), *end = kiln_json_next(first);
    const int64_t count = kiln_shape_count(&t->view.shape);
    char text[96];

    kiln_shape_text(&t->view.shape, text, sizeof text);
    if (count < 0 || !kiln_size_mul((size_t)count, kiln_type_size(t->view.type), &t->view.bytes))
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: tensor \"%s\" of shape %s has more values than memory can hold", s->path,
                         t->name, text);
    if (!kiln_json_is_array(place) || !read_size(first, &t->first) || !read_size(end, &t->end) ||
        kiln_json_next(end) || t->end < t->first)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: tensor \"%s\" has no place: its data_offsets are no [first, end]", s->path,
                         t->name);
    if (t->end - t->first != t->view.bytes)
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: tensor \"%s\" of %s %s needs %zu bytes, its data_offsets hold %zu", s->path,
                         t->name, kiln_type_name(t->view.type), text, t->view.bytes, t->end - t->first);
    return KILN_OK;
}

static kiln_status add_tensor(struct kiln_safetensors *s, const struct kiln_json *item)
{
    struct tensor t = {.name = kiln_arena_text(&s->arena, kiln_json_key(item))};
    kiln_status status;

    if (!t.name)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", s->path);
    if ((status = read_type(s, item, &t)) || (status = read_shape(s, item, &t)) ||
        (status = read_place(s, item, &t)))
        return status;
    return kiln_vec_push(&s->tensors, t)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", s->path);
}

/* The whole header --------------------------------------------------------------------------------------- */

static kiln_status add_notes(struct kiln_safetensors *s, const struct kiln_json *notes)
{
    if (!kiln_json_is_object(notes))
        return kiln_fail(KILN_ERROR_FILE, "%s: __metadata__ is no object", s->path);
    for (const struct kiln_json *item = kiln_json_first(notes); item; item = kiln_json_next(item)) {
        const kiln_note note = {kiln_arena_text(&s->arena, kiln_json_key(item)),
                                kiln_arena_text(&s->arena, kiln_json_text(item))};
        if (!kiln_json_text(item))
            return kiln_fail(KILN_ERROR_FILE, "%s: \"%s\" in __metadata__ is no text", s->path,
                             kiln_json_key(item));
        if (!note.key || !note.text || !kiln_vec_push(&s->notes, note))
            return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", s->path);
    }
    return KILN_OK;
}

static kiln_status read_items(struct kiln_safetensors *s, const struct kiln_json *root)
{
    kiln_status status = KILN_OK;

    for (const struct kiln_json *i = kiln_json_first(root); i && !status; i = kiln_json_next(i))
        status = strcmp(kiln_json_key(i), "__metadata__") == 0 ? add_notes(s, i) : add_tensor(s, i);
    return status;
}

/* The header is one JSON object, and spaces up to its end. */
static kiln_status read_header(struct kiln_safetensors *s, const struct parts *p)
{
    struct kiln_text name = {0};
    struct kiln_json *root;
    kiln_status status;

    kiln_text_add(&name, "%s: its header", s->path);
    status = kiln_json_parse(&root, p->header, p->header_bytes, kiln_text_get(&name));
    kiln_text_finish(&name);
    if (status)
        return status;
    if (!kiln_json_is_object(root) || p->header[0] != '{')
        status = kiln_fail(KILN_ERROR_FILE, "%s: no safetensors file: its header is no JSON object", s->path);
    else
        status = read_items(s, root);
    kiln_json_close(&root);
    return status;
}

/* All tensors together ----------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name); /* empty ones in one place */
}

/* The tensors, in order, must cover all values, once. */
static kiln_status check_cover(struct kiln_safetensors *s, size_t value_bytes)
{
    size_t end = 0;

    for (int i = 0; i < s->tensors.count; i++) {
        const struct tensor *t = &s->tensors.data[i];
        if (t->first != end)
            return kiln_fail(KILN_ERROR_FILE,
                             "%s: tensor \"%s\" starts at byte %zu of the values, wanted %zu: a gap or an "
                             "overlap",
                             s->path, t->name, t->first, end);
        if (t->end > value_bytes)
            return kiln_fail(KILN_ERROR_FILE,
                             "%s: cut off: tensor \"%s\" ends at byte %zu of the values, there are %zu",
                             s->path, t->name, t->end, value_bytes);
        end = t->end;
    }
    if (end != value_bytes)
        return kiln_fail(KILN_ERROR_FILE, "%s: too long: its tensors have %zu bytes of values, there are %zu",
                         s->path, end, value_bytes);
    return KILN_OK;
}

/* Sort them by place, and find each by its name. */
static kiln_status name_tensors(struct kiln_safetensors *s)
{
    if (s->tensors.count > 0)
        qsort(s->tensors.data, (size_t)s->tensors.count, sizeof *s->tensors.data, by_place);
    for (int i = 0; i < s->tensors.count; i++) {
        const char *name = s->tensors.data[i].name;
        if (kiln_map_find(&s->names, name) >= 0)
            return kiln_fail(KILN_ERROR_FILE, "%s: two tensors are named \"%s\"", s->path, name);
        if (!kiln_map_put(&s->names, name, i))
            return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its header", s->path);
    }
    return KILN_OK;
}

static kiln_status see_values(struct kiln_safetensors *s, const unsigned char *values)
{
    for (int i = 0; i < s->tensors.count; i++) {
        struct tensor *t = &s->tensors.data[i];
        const unsigned char *place = values + t->first;
        const bool aligned = (uintptr_t)place % kiln_type_size(t->view.type) == 0;

        t->view.data = aligned ? (void *)(uintptr_t)place : kiln_arena_copy(&s->arena, place, t->view.bytes);
        if (!t->view.data)
            return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for %zu bytes of tensor \"%s\"", s->path,
                             t->view.bytes, t->name);
    }
    return KILN_OK;
}

static kiln_status read_file(struct kiln_safetensors *s)
{
    struct parts parts = {0};
    kiln_status status = split(s, &parts);

    if (!status)
        status = read_header(s, &parts);
    if (!status)
        status = name_tensors(s); /* of two with one name, the name is the news, not the overlap */
    if (!status)
        status = check_cover(s, parts.value_bytes);
    return status ? status : see_values(s, parts.values);
}

kiln_status kiln_safetensors_open(kiln_safetensors **out, const char *path)
{
    kiln_safetensors *s = calloc(1, sizeof *s);
    kiln_status status;

    *out = NULL;
    if (!s || !(s->path = kiln_arena_text(&s->arena, path)))
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to open it", path);
    else if (!(status = kiln_file_map(&s->file, path)))
        status = read_file(s);
    if (status)
        kiln_safetensors_close(&s);
    *out = s;
    return status;
}

void kiln_safetensors_close(kiln_safetensors **file)
{
    kiln_safetensors *s = *file;

    *file = NULL;
    if (!s)
        return;
    kiln_file_unmap(&s->file);
    kiln_map_finish(&s->names);
    kiln_vec_finish(&s->tensors);
    kiln_vec_finish(&s->notes);
    kiln_arena_finish(&s->arena);
    free(s);
}

/* Questions ---------------------------------------------------------------------------------------------- */

int kiln_safetensors_count(const kiln_safetensors *file)
{
    return file->tensors.count;
}

const char *kiln_safetensors_name(const kiln_safetensors *file, int index)
{
    return index >= 0 && index < file->tensors.count ? file->tensors.data[index].name : NULL;
}

bool kiln_safetensors_find(const kiln_safetensors *file, const char *name, kiln_array *view)
{
    const int index = kiln_map_find(&file->names, name);
    *view = index < 0 ? (kiln_array){0} : file->tensors.data[index].view;
    return index >= 0;
}

const char *kiln_safetensors_note(const kiln_safetensors *file, const char *key)
{
    for (int i = 0; i < file->notes.count; i++)
        if (strcmp(file->notes.data[i].key, key) == 0)
            return file->notes.data[i].text;
    return NULL;
}

const char *kiln_safetensors_path(const kiln_safetensors *file)
{
    return file->path;
}
