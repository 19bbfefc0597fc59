/* status.c - what <kiln/base.h> declares: texts of a status, facts of a type, arithmetic of a shape and an array. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/base.h>

#include "base/log.h"
#include "base/number.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *kiln_status_text(kiln_status status)
{
    static const char *const texts[] = {
#define X(name, text) [KILN_##name] = text,
        KILN_STATUS(X)
#undef X
    };
    return (size_t)status < COUNT(texts) ? texts[status] : "unknown status";
}

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
#define X(name, text, bytes) [KILN_##name] = {text, bytes},
    KILN_TYPE(X)
#undef X
};

size_t kiln_type_size(kiln_type type)
{
    return (size_t)type < COUNT(types) ? types[type].bytes : 0;
}

const char *kiln_type_name(kiln_type type)
{
    return (size_t)type < COUNT(types) ? types[type].name : "unknown type";
}

bool kiln_type_is_unsigned(kiln_type type)
{
    return type == KILN_U64 || type == KILN_U32 || type == KILN_U16 || type == KILN_U8;
}

bool kiln_type_is_real(kiln_type type)
{
    return type == KILN_F32 || type == KILN_F64 || type == KILN_F16 || type == KILN_BF16;
}

static int rank_of(int rank)
{
    return rank < 0 ? 0 : rank > KILN_MAX_RANK ? KILN_MAX_RANK : rank;
}

kiln_shape kiln_shape_of(int rank, const int64_t *size)
{
    kiln_shape shape = {.rank = rank_of(rank)};
    for (int i = 0; i < shape.rank; i++)
        shape.size[i] = size[i];
    return shape;
}

int64_t kiln_shape_count(const kiln_shape *shape)
{
    const int rank = rank_of(shape->rank);
    int64_t count = 1;
    bool empty = false;

    for (int i = 0; i < rank; i++) {
        if (shape->size[i] < 0)
            return -1;
        empty |= shape->size[i] == 0;
    }
    if (empty) /* also where the other sizes alone would overflow */
        return 0;
    for (int i = 0; i < rank; i++) {
        if (count > INT64_MAX / shape->size[i])
            return -1;
        count *= shape->size[i];
    }
    return count;
}

bool kiln_shape_equal(const kiln_shape *a, const kiln_shape *b)
{
    return a->rank == b->rank && memcmp(a->size, b->size, (size_t)rank_of(a->rank) * sizeof a->size[0]) == 0;
}

char *kiln_shape_text(const kiln_shape *shape, char *text, size_t bytes)
{
    char whole[KILN_MAX_RANK * 22 + 3]; /* a size has at most 19 digits, then ", " */
    char *end = whole;
    const int rank = rank_of(shape->rank);

    *end++ = '[';
    for (int i = 0; i < rank; i++) {
        const char *comma = i ? ", " : "";
        if (shape->size[i] < 0)
            end += sprintf(end, "%s?", comma);
        else
            end += sprintf(end, "%s%" PRId64, comma, shape->size[i]);
    }
    strcpy(end, "]");
    if (bytes > 0)
        snprintf(text, bytes, "%s", whole);
    return text;
}

kiln_status kiln_array_size(const kiln_array *a, size_t *bytes)
{
    const bool ranked = a->shape.rank >= 0 && a->shape.rank <= KILN_MAX_RANK;
    const int64_t count = ranked ? kiln_shape_count(&a->shape) : -1;
    const size_t size = kiln_type_size(a->type);
    char text[96];

    *bytes = 0;
    if (size > 0 && count >= 0 && (uintmax_t)count <= SIZE_MAX && kiln_size_mul((size_t)count, size, bytes))
        return KILN_OK;
    return kiln_fail(KILN_ERROR_ARGUMENT, "an array of type %s and shape %s (rank %d) has no size",
                     kiln_type_name(a->type), kiln_shape_text(&a->shape, text, sizeof text), a->shape.rank);
}

void kiln_array_free(kiln_array *a)
{
    if (a)
        free(a->data);
    if (a)
        *a = (kiln_array){0};
}
