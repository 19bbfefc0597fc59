/* vec.c - the growth behind vec.h, in one place for all types. */
#include "base/vec.h"

#include <limits.h>

#include "base/number.h"

void *kiln_vec_grow(void *data, int *capacity, int wanted, size_t item_size)
{
    int room = *capacity > INT_MAX / 2 ? INT_MAX : *capacity * 2;
    size_t bytes;
    void *grown;

    if (wanted <= *capacity)
        return data;
    if (room < 8)
        room = 8;
    if (room < wanted)
        room = wanted;
    if (!kiln_size_mul((size_t)room, item_size, &bytes) || !(grown = realloc(data, bytes)))
        return data;
    *capacity = room;
    return grown;
}
