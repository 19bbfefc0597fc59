/*
 * npy.c - NumPy's file of one array.
 *
 *   6 bytes         "\x93NUMPY"
 *   2 bytes         version: 1.0, 2.0 or 3.0
 *   2 or 4 bytes    length of the description, little-endian (4 from version 2 on)
 *   description     a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 *   values
 *
 * The description is read by a small scanner that knows just these three keys, in any order, each once. The values must be
 * exactly as many as it promises. They are copied: elements of the other byte order swapped, columns-first transposed.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/import.h>

#include "base/file.h"
#include "base/log.h"
#include "base/number.h"
#include "import/npy.h"

#define MAGIC "\x93NUMPY"

enum { MAGIC_BYTES = 6, DESCR_BYTES = 16 };

/* Types -------------------------------------------------------------------------------------------------- */

static const char *const codes[] = {
    [KILN_F32] = "f4", [KILN_F64] = "f8", [KILN_F16] = "f2",  [KILN_BF16] = "V2", [KILN_I64] = "i8",
    [KILN_I32] = "i4", [KILN_I16] = "i2", [KILN_I8] = "i1",   [KILN_U64] = "u8",  [KILN_U32] = "u4",
    [KILN_U16] = "u2", [KILN_U8] = "u1",  [KILN_BOOL] = "b1",
};

/* "<f4": byte order, then the code. '|' stands where there is no order, '=' is what no file should have. */
static bool parse_descr(const char *descr, kiln_type *type, bool *swapped)
{
    if (!strchr("<>|", descr[0]) || descr[0] == '\0')
        return false;
    for (kiln_type i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(codes[i], descr + 1) == 0) {
            *type = i;
            *swapped = descr[0] == '>' && kiln_type_size(i) > 1;
            return true;
        }
    }
    return false;
}

/* The description ---------------------------------------------------------------------------------------- */

struct description {
    char descr[DESCR_BYTES];
    bool columns_first;
    kiln_shape shape;
    bool has_descr, has_order, has_shape;
};

struct scanner {
    const char *at, *end;
};

static void skip_spaces(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t'))
        s->at++;
}

/* Take a word if it stands next. */
static bool take(struct scanner *s, const char *word)
{
    const size_t length = strlen(word);

    skip_spaces(s);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return false;
    s->at += length;
    return true;
}

/* Whether a character stands next. */
static bool sees(struct scanner *s, char c)
{
    skip_spaces(s);
    return s->at < s->end && *s->at == c;
}

/* 'text' or "text"; false where it does not fit. */
static bool take_text(struct scanner *s, char *text, size_t room)
{
    const char *end;
    size_t length;

    if (!sees(s, '\'') && !sees(s, '"'))
        return false;
    end = memchr(s->at + 1, *s->at, (size_t)(s->end - s->at) - 1);
    length = end ? (size_t)(end - s->at) - 1 : room;
    if (length >= room)
        return false;
    memcpy(text, s->at + 1, length);
    text[length] = '\0';
    s->at = end + 1;
    return strlen(text) == length;
}

static bool take_size(struct scanner *s, int64_t *size)
{
    const char *first;

    skip_spaces(s);
    first = s->at;
    for (*size = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        if (*size > (INT64_MAX - 9) / 10)
            return false;
        *size = *size * 10 + (*s->at - '0');
    }
    return s->at > first;
}

/* (), (3,) or (2, 3). One axis too many is counted, and left to the caller to refuse. */
static bool take_shape(struct scanner *s, kiln_shape *shape)
{
    *shape = KILN_SCALAR;
    if (!take(s, "("))
        return false;
    while (!take(s, ")")) {
        int64_t size;
        if (!take_size(s, &size))
            return false;
        if (shape->rank < KILN_MAX_RANK)
            shape->size[shape->rank] = size;
        shape->rank += shape->rank <= KILN_MAX_RANK;
        if (!take(s, ",") && !sees(s, ')'))
            return false;
    }
    return true;
}

static bool take_order(struct scanner *s, bool *columns_first)
{
    *columns_first = take(s, "True");
    return *columns_first || take(s, "False");
}

/* One "key: value"; each key may come once. */
static bool take_item(struct scanner *s, struct description *d)
{
    char key[DESCR_BYTES];

    if (!take_text(s, key, sizeof key) || !take(s, ":"))
        return false;
    if (strcmp(key, "descr") == 0 && !d->has_descr)
        return (d->has_descr = take_text(s, d->descr, sizeof d->descr));
    if (strcmp(key, "fortran_order") == 0 && !d->has_order)
        return (d->has_order = take_order(s, &d->columns_first));
    if (strcmp(key, "shape") == 0 && !d->has_shape)
        return (d->has_shape = take_shape(s, &d->shape));
    return false;
}

static bool take_description(struct scanner *s, struct description *d)
{
    if (!take(s, "{"))
        return false;
    while (!take(s, "}"))
        if (!take_item(s, d) || (!take(s, ",") && !sees(s, '}')))
            return false;
    skip_spaces(s);
    return s->at == s->end && d->has_descr && d->has_order && d->has_shape;
}

/* Values ------------------------------------------------------------------------------------------------- */

/* Copy count elements, `step` elements apart in the file, each turned around if swapped. */
static void copy_row(unsigned char *to, const unsigned char *from, size_t count, size_t step, size_t size,
                     bool swapped)
{
    if (step == 1 && !swapped && count > 0) {
        memcpy(to, from, count * size);
        return;
    }
    for (size_t i = 0; i < count; i++, to += size, from += step * size)
        for (size_t b = 0; b < size; b++)
            to[b] = from[swapped ? size - 1 - b : b];
}

/* Rows of the last axis in order; columns first, element [i, j, ..] lies at i + j * size[0] + ... */
static void copy_columns(const kiln_array *out, const unsigned char *from, bool swapped)
{
    const kiln_shape *shape = &out->shape;
    const size_t size = kiln_type_size(out->type);
    const int last = shape->rank - 1;
    const size_t length = (size_t)shape->size[last], rows = out->bytes / size / length;
    size_t index[KILN_MAX_RANK] = {0}, step[KILN_MAX_RANK] = {1}, at = 0;

    for (int i = 1; i <= last; i++)
        step[i] = step[i - 1] * (size_t)shape->size[i - 1];
    for (size_t r = 0; r < rows; r++) {
        copy_row((unsigned char *)out->data + r * length * size, from + at * size, length, step[last], size,
                 swapped);
        for (int i = last - 1; i >= 0; i--) { /* the next row, as a clock counts */
            at += step[i];
            if (++index[i] < (size_t)shape->size[i])
                break;
            at -= index[i] * step[i];
            index[i] = 0;
        }
    }
}

static void copy_values(const kiln_array *out, const unsigned char *from, bool columns_first, bool swapped)
{
    const size_t size = kiln_type_size(out->type);

    if (columns_first && out->shape.rank > 1 && out->bytes > 0)
        copy_columns(out, from, swapped);
    else
        copy_row(out->data, from, out->bytes / size, 1, size, swapped);
}

/* Reading ------------------------------------------------------------------------------------------------ */

/* Find the description, and where the values begin. */
static kiln_status find_description(const char *label, const unsigned char *data, size_t bytes,
                                    struct scanner *s)
{
    const size_t width = bytes > MAGIC_BYTES && data[MAGIC_BYTES] == 1 ? 2 : 4,
                 start = MAGIC_BYTES + 2 + width;
    size_t length = 0;

    if (bytes < MAGIC_BYTES || memcmp(data, MAGIC, MAGIC_BYTES) != 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: no .npy file: it does not begin with \\x93NUMPY", label);
    if (bytes < start)
        return kiln_fail(KILN_ERROR_FILE, "%s: cut off after %zu bytes", label, bytes);
    if (data[MAGIC_BYTES] < 1 || data[MAGIC_BYTES] > 3 || data[MAGIC_BYTES + 1] != 0)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: .npy version %d.%d, wanted 1.0 to 3.0", label,
                         data[MAGIC_BYTES], data[MAGIC_BYTES + 1]);
    for (size_t i = 0; i < width; i++)
        length |= (size_t)data[MAGIC_BYTES + 2 + i] << 8 * i;
    if (length > bytes - start)
        return kiln_fail(KILN_ERROR_FILE, "%s: cut off: the description has %zu bytes, %zu follow", label,
                         length, bytes - start);
    *s = (struct scanner){(const char *)data + start, (const char *)data + start + length};
    return KILN_OK;
}

/* What the description promises, as an array without memory yet. */
static kiln_status promise(kiln_array *out, const char *label, const struct description *d, bool *swapped)
{
    const int64_t count = d->shape.rank <= KILN_MAX_RANK ? kiln_shape_count(&d->shape) : 0;
    char text[96];

    if (!parse_descr(d->descr, &out->type, swapped))
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: elements of type '%s', which kiln lacks", label,
                         d->descr);
    if (d->shape.rank > KILN_MAX_RANK)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: has more than %d axes", label, KILN_MAX_RANK);
    if (count < 0 || !kiln_size_mul((size_t)count, kiln_type_size(out->type), &out->bytes))
        return kiln_fail(KILN_ERROR_FILE, "%s: an array of shape %s has more values than memory can hold",
                         label, kiln_shape_text(&d->shape, text, sizeof text));
    out->shape = d->shape;
    return KILN_OK;
}

static kiln_status check_size(const char *label, const kiln_array *a, size_t there)
{
    char text[96];

    if (a->bytes == there)
        return KILN_OK;
    return kiln_fail(KILN_ERROR_FILE, "%s: %s: %s %s needs %zu bytes, there are %zu", label,
                     there < a->bytes ? "cut off" : "too long", kiln_type_name(a->type),
                     kiln_shape_text(&a->shape, text, sizeof text), a->bytes, there);
}

kiln_status kiln_npy_read(kiln_array *out, const char *label, const void *data, size_t bytes)
{
    struct description d = {0};
    struct scanner s = {0};
    kiln_array a = {0};
    bool swapped = false;
    const unsigned char *values;
    kiln_status status = find_description(label, data, bytes, &s);

    *out = (kiln_array){0};
    if (status)
        return status;
    values = (const unsigned char *)s.end;
    if (!take_description(&s, &d))
        return kiln_fail(KILN_ERROR_FILE,
                         "%s: no .npy file: its description is damaged %td bytes before its end", label,
                         s.end - s.at);
    if ((status = promise(&a, label, &d, &swapped)))
        return status;
    if ((status = check_size(label, &a, bytes - (size_t)(values - (const unsigned char *)data))))
        return status;
    if (!(a.data = malloc(a.bytes ? a.bytes : 1)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for %zu bytes of values", label, a.bytes);
    copy_values(&a, values, d.columns_first, swapped);
    *out = a;
    return KILN_OK;
}

kiln_status kiln_npy_load(kiln_array *out, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    *out = (kiln_array){0};
    if (!status)
        status = kiln_npy_read(out, path, file.data, file.size);
    kiln_file_unmap(&file);
    return status;
}

/* Writing ------------------------------------------------------------------------------------------------ */

void kiln_npy_describe(struct kiln_text *to, const kiln_array *a)
{
    struct kiln_text d = {0};
    const char order = kiln_type_size(a->type) > 1 ? '<' : '|';
    size_t length;

    kiln_text_add(&d, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order, codes[a->type]);
    for (int i = 0; i < a->shape.rank; i++)
        kiln_text_add(&d, "%s%lld", i ? ", " : "", (long long)a->shape.size[i]);
    kiln_text_add(&d, a->shape.rank == 1 ? ",), }" : "), }");

    length = kiln_round_up(MAGIC_BYTES + 4 + d.count + 1, 64) - MAGIC_BYTES -
             4; /* at most 250: version 1 holds it */
    kiln_text_add(to, MAGIC "%c%c%c%c", 1, 0, (int)(length & 255), (int)(length >> 8));
    kiln_text_add(to, "%s%*s\n", kiln_text_get(&d), (int)(length - d.count - 1), "");
    to->failed |= d.failed;
    kiln_text_finish(&d);
}

kiln_status kiln_npy_save(const char *path, const kiln_array *src)
{
    struct kiln_text description = {0};
    struct kiln_writer writer;
    size_t bytes;
    kiln_status status = kiln_array_size(src, &bytes);

    if (status)
        return status;
    kiln_npy_describe(&description, src);
    if (description.failed)
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to describe the array", path);
    else if (!(status = kiln_writer_open(&writer, path))) {
        kiln_writer_add(&writer, description.data, description.count);
        kiln_writer_add(&writer, src->data, bytes);
        status = kiln_writer_commit(&writer);
    }
    kiln_text_finish(&description);
    return status;
}
