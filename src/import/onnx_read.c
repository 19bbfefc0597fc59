/*
 * onnx_read.c - the bytes of an ONNX file as protobuf-c's structures, within limits.
 *
 * A damaged or hostile file may nest messages without end (the unpacker recurses) or hold millions of empty ones (each
 * becomes a structure of some 200 bytes). So the nesting is looked at first, on the bytes, and memory has a budget that
 * grows with the file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "import/onnx.h"

enum { MOST_NESTED = 48, MEMORY_A_BYTE = 32, MEMORY_AT_LEAST = 16 << 20 };

/* Nesting ------------------------------------------------------------------------------------------------ */

struct bytes {
    const uint8_t *at, *end;
};

static bool take_varint(struct bytes *b, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && b->at < b->end; shift += 7) {
        const uint8_t byte = *b->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool skip(struct bytes *b, uint64_t count)
{
    if (count > (uint64_t)(b->end - b->at))
        return false;
    b->at += count;
    return true;
}

/* Whether the message is well formed and no deeper than allowed: wire types 0 varint, 1 and 5 fixed, 2 with a length. */
static bool sound(const ProtobufCMessageDescriptor *type, struct bytes b, int depth)
{
    while (b.at < b.end) {
        uint64_t key, length;
        if (!take_varint(&b, &key))
            return false;
        const int wire = (int)(key & 7);
        if (wire != 2) {
            if (wire == 0 ? !take_varint(&b, &length) : wire == 1 ? !skip(&b, 8) : wire != 5 || !skip(&b, 4))
                return false;
            continue;
        }
        const uint8_t *const start = take_varint(&b, &length) ? b.at : NULL;
        if (!start || !skip(&b, length))
            return false;
        const ProtobufCFieldDescriptor *field =
            key >> 3 <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(type, (unsigned)(key >> 3))
                                   : NULL;
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
            (depth == 0 || !sound(field->descriptor, (struct bytes){start, b.at}, depth - 1)))
            return false;
    }
    return true;
}

/* Memory ------------------------------------------------------------------------------------------------- */

static void *take_memory(void *user, size_t bytes)
{
    size_t *left = user;
    if (bytes > *left)
        return NULL;
    *left -= bytes;
    return malloc(bytes);
}

static void give_memory(void *user, void *memory)
{
    (void)user;
    free(memory);
}

void *kiln_onnx_unpack(const char *path, const ProtobufCMessageDescriptor *type, const void *data,
                       size_t size)
{
    if (!size || !sound(type, (struct bytes){data, (const uint8_t *)data + size}, MOST_NESTED)) {
        kiln_fail(KILN_ERROR_FILE, "%s: %s", path,
                  size ? "damaged, or no ONNX file at all" : "the file is empty");
        return NULL;
    }
    size_t left = size > (SIZE_MAX - MEMORY_AT_LEAST) / MEMORY_A_BYTE
                      ? SIZE_MAX
                      : size * MEMORY_A_BYTE + MEMORY_AT_LEAST;
    ProtobufCAllocator limited = {.alloc = take_memory, .free = give_memory, .allocator_data = &left};
    void *message = protobuf_c_message_unpack(type, &limited, size, data);
    if (!message)
        kiln_fail(KILN_ERROR_FILE, "%s: no ONNX file: its parts do not fit together", path);
    return message;
}

void kiln_onnx_free(void *message)
{
    ProtobufCAllocator plain = {.alloc = take_memory, .free = give_memory};
    if (message)
        protobuf_c_message_free_unpacked(message, &plain);
}
