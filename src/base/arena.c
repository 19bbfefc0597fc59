/*
 * arena.c - blocks that grow from 4 KiB to 1 MiB, filled from the front, kept in a list.
 *
 * A request larger than the next block gets a block of its own size. Blocks come from calloc, so memory is
 * zeroed once and large blocks cost pages only where they are touched.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

#define ALIGN    ((size_t)16)
#define SMALLEST ((size_t)4 << 10)
#define LARGEST  ((size_t)1 << 20)

struct kiln_arena_block {
    struct kiln_arena_block *older;
    char *data; /* aligned, behind this header */
    size_t used, size;
};

static size_t next_size(const struct kiln_arena_block *newest)
{
    if (!newest)
        return SMALLEST;
    return newest->size >= LARGEST / 2 ? LARGEST : newest->size * 2;
}

static struct kiln_arena_block *add_block(struct kiln_arena *a, size_t bytes)
{
    const size_t wanted = next_size(a->newest), size = bytes > wanted ? bytes : wanted;
    struct kiln_arena_block *block;
    size_t whole;

    if (!kiln_size_add(size, sizeof *block + ALIGN, &whole) || !(block = calloc(1, whole)))
        return NULL;
    block->data = (char *)(block + 1);
    block->data += (ALIGN - (uintptr_t)block->data % ALIGN) % ALIGN;
    block->size = size;
    block->older = a->newest;
    a->newest = block;
    return block;
}

void *kiln_arena_alloc(struct kiln_arena *a, size_t bytes)
{
    struct kiln_arena_block *block = a->newest;
    void *place;

    if (bytes > SIZE_MAX - ALIGN)
        return NULL;
    bytes = kiln_round_up(bytes ? bytes : 1, ALIGN);
    if (!block || block->size - block->used < bytes)
        block = add_block(a, bytes);
    if (!block)
        return NULL;

    place = block->data + block->used;
    block->used += bytes;
    return place;
}

void *kiln_arena_copy(struct kiln_arena *a, const void *src, size_t bytes)
{
    void *copy = kiln_arena_alloc(a, bytes);
    if (copy && bytes > 0)
        memcpy(copy, src, bytes);
    return copy;
}

char *kiln_arena_text(struct kiln_arena *a, const char *text)
{
    return text ? kiln_arena_copy(a, text, strlen(text) + 1) : NULL;
}

void kiln_arena_finish(struct kiln_arena *a)
{
    while (a->newest) {
        struct kiln_arena_block *older = a->newest->older;
        free(a->newest);
        a->newest = older;
    }
}
