/*
 * vec.h - a growable array of any type.
 *
 *   KILN_VEC(int) v = {0};
 *   if (!kiln_vec_push(&v, 7))
 *       return KILN_ERROR_MEMORY;
 *   for (int i = 0; i < v.count; i++)
 *       use(v.data[i]);
 *   kiln_vec_finish(&v);
 *
 * {0} is an empty one. Growing may move the items. The macros name v and n several times: give them no side
 * effects.
 */
#ifndef KILN_BASE_VEC_H
#define KILN_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define KILN_VEC(T)          \
    struct {                 \
        T *data;             \
        int count, capacity; \
    }

/** Make room for n items in all; false when out of memory, and the items stay as they are. */
#define kiln_vec_reserve(v, n) \
    ((v)->data = kiln_vec_grow((v)->data, &(v)->capacity, (n), sizeof *(v)->data), (v)->capacity >= (n))

/** Append an item (compound literals may be given plainly); false when out of memory. */
#define kiln_vec_push(v, ...) \
    (kiln_vec_reserve(v, (v)->count + 1) && ((v)->data[(v)->count++] = (__VA_ARGS__), true))

/** Take the last item off; its value is still at data[count]. There must be one. */
#define kiln_vec_pop(v) ((void)--(v)->count)

/** Free the items; the vector is empty again. */
#define kiln_vec_finish(v) (free((v)->data), (v)->data = NULL, (void)((v)->count = (v)->capacity = 0))

/** Room for at least `wanted` items, at twice the capacity; on failure data and *capacity as they were. */
void *kiln_vec_grow(void *data, int *capacity, int wanted, size_t item_size);

#endif
