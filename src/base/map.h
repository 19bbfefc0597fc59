/*
 * map.h - names to numbers: where in its list the thing of that name lies.
 *
 * {0} is an empty map. Keys are copied. One thread at a time; lookups alone by any number.
 */
#ifndef KILN_BASE_MAP_H
#define KILN_BASE_MAP_H

#include <stdbool.h>

#include "base/arena.h"

struct kiln_map {
    struct kiln_map_slot *slots;
    int count, capacity;
    struct kiln_arena keys;
};

/** The value of a key; -1 where there is none. */
int kiln_map_find(const struct kiln_map *m, const char *key);

/** Give a key a value (at least 0), in place of an earlier one; false when out of memory, and nothing changed. */
bool kiln_map_put(struct kiln_map *m, const char *key, int value);

/** Free everything; the map is empty again. */
void kiln_map_finish(struct kiln_map *m);

#endif
