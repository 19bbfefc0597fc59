/* message.c - see message.h. */
#include "fuzz/message.h"

#include <float.h>
#include <math.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

typedef ProtobufCFieldDescriptor field;

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* Fields ---------------------------------------------------------------------------------------------------------- */

static size_t size_of(const field *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static void *member(const ProtobufCMessage *m, const field *f)
{
    return (char *)(uintptr_t)m + f->offset;
}

/* How many values there are, or which of several fields is there, or whether this one is. */
static void *quantifier(const ProtobufCMessage *m, const field *f)
{
    return (char *)(uintptr_t)m + f->quantifier_offset;
}

static size_t count_of(const ProtobufCMessage *m, const field *f)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return *(size_t *)quantifier(m, f);
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(uint32_t *)quantifier(m, f) == f->id;
    if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void **)member(m, f) != NULL;
    return *(protobuf_c_boolean *)quantifier(m, f) != 0;
}

static void *value_of(const ProtobufCMessage *m, const field *f, size_t i)
{
    return f->label == PROTOBUF_C_LABEL_REPEATED ? *(char **)member(m, f) + i * size_of(f) : member(m, f);
}

/* Parts ----------------------------------------------------------------------------------------------------------- */

void parts_add(struct parts *p, ProtobufCMessage *m)
{
    if (!kiln_vec_push(&p->message, m))
        abort();
    for (unsigned k = 0; k < m->descriptor->n_fields; k++) {
        const field *f = &m->descriptor->fields[k];
        for (size_t i = 0; i < count_of(m, f); i++)
            if (f->type == PROTOBUF_C_TYPE_MESSAGE)
                parts_add(p, *(ProtobufCMessage **)value_of(m, f, i));
            else if (f->type == PROTOBUF_C_TYPE_STRING &&
                     !kiln_vec_push(&p->text, *(char **)value_of(m, f, i)))
                abort();
    }
}

void parts_finish(struct parts *p)
{
    kiln_vec_finish(&p->message);
    kiln_vec_finish(&p->text);
}

static const ProtobufCMessageDescriptor *pick_type(const struct parts *p, struct kiln_rng *rng)
{
    const ProtobufCMessageDescriptor *seen[64];
    uint32_t count = 0;
    for (int i = 0; i < p->message.count && count < 64; i++) {
        uint32_t k = 0;
        while (k < count && seen[k] != p->message.data[i]->descriptor)
            k++;
        if (k == count)
            seen[count++] = p->message.data[i]->descriptor;
    }
    return count ? seen[kiln_rng_below(rng, count)] : NULL;
}

void *parts_pick(const struct parts *p, const ProtobufCMessageDescriptor *type, struct kiln_rng *rng)
{
    ProtobufCMessage *picked = NULL;
    uint32_t count = 0;
    type = type ? type : pick_type(p, rng);
    for (int i = 0; i < p->message.count; i++)
        if (p->message.data[i]->descriptor == type && !kiln_rng_below(rng, ++count))
            picked = p->message.data[i];
    return picked;
}

/* Chance ---------------------------------------------------------------------------------------------------------- */

static uint32_t below(struct chance *c, size_t n)
{
    return kiln_rng_below(&c->rng, (uint32_t)n);
}

bool once_in(struct chance *c, uint32_t n)
{
    return !below(c, n);
}

/* The parts to draw from: the other's half of the time, where there are any. */
static const struct parts *source(struct chance *c)
{
    return c->other.message.count && once_in(c, 2) ? &c->other : &c->own;
}

void *pick_any(struct chance *c, const ProtobufCMessageDescriptor *type)
{
    void *picked = parts_pick(source(c), type, &c->rng);
    return picked ? picked : parts_pick(&c->own, type, &c->rng);
}

const char *pick_text(struct chance *c)
{
    const struct parts *from = source(c);
    return from->text.count ? from->text.data[below(c, (size_t)from->text.count)] : "";
}

int64_t edge_number(struct chance *c)
{
    static const int64_t edges[] = {INT64_MIN,        INT64_MAX, INT32_MIN, INT32_MAX, UINT32_MAX,
                                    INT64_C(1) << 31, 65535,     65536,     255,       INT64_C(1) << 40};
    switch (below(c, 4)) {
    case 0:
        return edges[below(c, sizeof edges / sizeof *edges)];
    case 1:
        return (INT64_C(1) << below(c, 63)) - 1 + below(c, 3);
    case 2:
        return -(int64_t)below(c, 6);
    default:
        return below(c, 28);
    }
}

double edge_real(struct chance *c)
{
    static const double edges[] = {0,        -0.0, 1,       -1,    0.5,      1e-5,         65504,     FLT_MAX,
                                   -FLT_MAX, NAN,  FLT_MIN, 1e-45, INFINITY, 2147483648.0, -INFINITY, 9.3e18};
    return once_in(c, 4) ? (double)edge_number(c) : edges[below(c, sizeof edges / sizeof *edges)];
}

/* Values ---------------------------------------------------------------------------------------------------------- */

void *copy_message(const ProtobufCMessage *m)
{
    const size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = need(malloc(size + 1));
    protobuf_c_message_pack(m, bytes);
    void *copy = need(protobuf_c_message_unpack(m->descriptor, NULL, size, bytes));
    free(bytes);
    return copy;
}

void put_text(char **at, const char *text)
{
    char *copy = text ? need(strdup(text)) : NULL;
    free(*at);
    *at = copy;
}

static void drop_value(const field *f, void *value)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        protobuf_c_message_free_unpacked(*(ProtobufCMessage **)value, NULL);
    else if (f->type == PROTOBUF_C_TYPE_STRING)
        free(*(char **)value);
    else if (f->type == PROTOBUF_C_TYPE_BYTES)
        free(((ProtobufCBinaryData *)value)->data);
    memset(value, 0, size_of(f));
}

static void copy_value(const field *f, void *to, const void *from)
{
    const ProtobufCBinaryData *bytes = from;
    memcpy(to, from, size_of(f));
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        *(void **)to = copy_message(*(ProtobufCMessage *const *)from);
    else if (f->type == PROTOBUF_C_TYPE_STRING)
        *(char **)to = need(strdup(*(char *const *)from));
    else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        uint8_t *copy = need(malloc(bytes->len + 1));
        if (bytes->len)
            memcpy(copy, bytes->data, bytes->len);
        ((ProtobufCBinaryData *)to)->data = copy;
    }
}

/* As libFuzzer does, so that what comparisons in the program looked for gets in. */
static void mutate_bytes(uint8_t **data, size_t *size)
{
    const size_t room = *size + 16;
    *data = need(realloc(*data, room + 1));
    *size = LLVMFuzzerMutate(*data, *size, room);
    (*data)[*size] = 0;
}

static void change_text(struct chance *c, char **text)
{
    const uint32_t how = below(c, 8);
    if (how > 1) {
        put_text(text, pick_text(c));
        return;
    }
    put_text(text, how || !*text ? "" : *text);
    size_t length = strlen(*text);
    if (!how)
        mutate_bytes((uint8_t **)text, &length);
}

static void change_bytes(struct chance *c, ProtobufCBinaryData *b)
{
    const uint32_t how = below(c, 4);
    const int64_t number = edge_number(c);
    const float real = (float)edge_real(c);
    if (how == 0 && b->len)
        b->len = below(c, b->len);
    else if (how == 1 && b->len >= sizeof number)
        memcpy(b->data + below(c, b->len / sizeof number) * sizeof number, &number, sizeof number);
    else if (how == 2 && b->len >= sizeof real)
        memcpy(b->data + below(c, b->len / sizeof real) * sizeof real, &real, sizeof real);
    else
        mutate_bytes(&b->data, &b->len);
}

/* Another one's of its type, or an empty one. */
static void change_inner(struct chance *c, const field *f, ProtobufCMessage **m)
{
    const ProtobufCMessageDescriptor *type = f->descriptor;
    const ProtobufCMessage *other = pick_any(c, type);
    ProtobufCMessage *fresh = other ? copy_message(other) : need(malloc(type->sizeof_message));
    if (!other)
        type->message_init(fresh);
    if (*m)
        protobuf_c_message_free_unpacked(*m, NULL);
    *m = fresh;
}

static void change_number(struct chance *c, const field *f, void *value)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    const size_t size = size_of(f);
    memcpy(size == 8 ? (void *)&wide : (void *)&narrow, value, size);
    wide = (int64_t)((uint64_t)(size == 8 ? wide : narrow) + below(c, 5) - 2);
    wide = once_in(c, 2) ? wide : edge_number(c);
    wide = f->type == PROTOBUF_C_TYPE_BOOL ? wide & 1 : wide;
    narrow = (int32_t)wide;
    memcpy(value, size == 8 ? (void *)&wide : (void *)&narrow, size);
}

/* A value that is there, or zeros that become one. */
static void change_value(struct chance *c, const field *f, void *value)
{
    const double real = edge_real(c);
    const float single = (float)real;
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        change_inner(c, f, value);
        break;
    case PROTOBUF_C_TYPE_STRING:
        change_text(c, value);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        change_bytes(c, value);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        memcpy(value, &single, sizeof single);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(value, &real, sizeof real);
        break;
    default:
        change_number(c, f, value);
    }
}

/* Fields with many values ----------------------------------------------------------------------------------------- */

/* The m's owner takes what the value holds. */
static void insert(struct chance *c, ProtobufCMessage *m, const field *f, const void *value)
{
    size_t *count = quantifier(m, f);
    const size_t size = size_of(f), at = below(c, *count + 1);
    char **array = member(m, f);
    *array = need(realloc(*array, (*count + 1) * size));
    memmove(*array + (at + 1) * size, *array + at * size, (*count - at) * size);
    memcpy(*array + at * size, value, size);
    ++*count;
}

static void take_out(ProtobufCMessage *m, const field *f, size_t at)
{
    size_t *count = quantifier(m, f);
    char *value = value_of(m, f, at);
    drop_value(f, value);
    memmove(value, value + size_of(f), (--*count - at) * size_of(f));
}

static void swap(const field *f, void *a, void *b)
{
    char kept[sizeof(ProtobufCBinaryData)];
    memcpy(kept, a, size_of(f));
    memmove(a, b, size_of(f));
    memcpy(b, kept, size_of(f));
}

static void change_list(struct chance *c, ProtobufCMessage *m, const field *f)
{
    char value[sizeof(ProtobufCBinaryData)] = {0};
    const size_t count = count_of(m, f), at = below(c, count);
    switch (count ? below(c, 6) : 0) {
    case 0:
        change_value(c, f, value);
        insert(c, m, f, value);
        break;
    case 1:
        copy_value(f, value, value_of(m, f, at));
        insert(c, m, f, value);
        break;
    case 2:
        take_out(m, f, at);
        break;
    case 3:
        swap(f, value_of(m, f, at), value_of(m, f, below(c, count)));
        break;
    default:
        change_value(c, f, value_of(m, f, at));
    }
}

/* Fields with one value ------------------------------------------------------------------------------------------- */

/* Whether it is there. Of several fields that share their memory the one that was there goes. */
static void set_present(ProtobufCMessage *m, const field *f, bool present)
{
    for (unsigned k = 0; f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && k < m->descriptor->n_fields; k++) {
        const field *one = &m->descriptor->fields[k];
        if (one->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && one->quantifier_offset == f->quantifier_offset &&
            count_of(m, one))
            drop_value(one, member(m, one));
    }
    if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && count_of(m, f) && !present)
        drop_value(f, member(m, f));
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)quantifier(m, f) = present ? f->id : 0;
    else if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
        *(protobuf_c_boolean *)quantifier(m, f) = present;
}

static void change_one(struct chance *c, ProtobufCMessage *m, const field *f)
{
    char value[sizeof(ProtobufCBinaryData)] = {0};
    if (count_of(m, f) && once_in(c, 4))
        set_present(m, f, false);
    else if (count_of(m, f))
        change_value(c, f, member(m, f));
    else {
        change_value(c, f, value); /* first: it may be taken from what goes */
        set_present(m, f, true);
        memcpy(member(m, f), value, size_of(f));
    }
}

/* Messages -------------------------------------------------------------------------------------------------------- */

void change_message(struct chance *c, ProtobufCMessage *m)
{
    const field *f = &m->descriptor->fields[below(c, m->descriptor->n_fields)];
    if (!strcmp(f->name, "doc_string")) /* nobody reads it */
        return;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        change_list(c, m, f);
    else
        change_one(c, m, f);
}

void add_message(struct chance *c, ProtobufCMessage *m, const char *name, void *value)
{
    insert(c, m, protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name), &value);
}

void add_text(struct chance *c, ProtobufCMessage *m, const char *name, const char *text)
{
    char *copy = need(strdup(text));
    insert(c, m, protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name), &copy);
}
