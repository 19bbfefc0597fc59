/*
 * arena.h - memory with one owner that is freed whole.
 *
 * {0} is an empty arena. What it gives stays where it is until kiln_arena_finish. One thread at a time.
 */
#ifndef KILN_BASE_ARENA_H
#define KILN_BASE_ARENA_H

#include <stddef.h>

struct kiln_arena {
    struct kiln_arena_block *newest;
};

/** Zeroed bytes at a multiple of 16, never the same address twice; NULL when out of memory. */
void *kiln_arena_alloc(struct kiln_arena *a, size_t bytes);

/** A copy of bytes at src. */
void *kiln_arena_copy(struct kiln_arena *a, const void *src, size_t bytes);

/** A copy of a text; NULL stays NULL. */
char *kiln_arena_text(struct kiln_arena *a, const char *text);

/** Free everything; the arena is empty again. */
void kiln_arena_finish(struct kiln_arena *a);

#endif
