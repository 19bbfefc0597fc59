/* heap.h - a queue that gives its least item first: items are two numbers, compared one after the other. */
#ifndef KILN_TEXT_HEAP_H
#define KILN_TEXT_HEAP_H

#include <stdint.h>

#include "base/vec.h"

struct kiln_heap_item {
    uint64_t first, second;
};

struct kiln_heap {
    KILN_VEC(struct kiln_heap_item) items;
};

static inline bool kiln_heap_before(struct kiln_heap_item a, struct kiln_heap_item b)
{
    return a.first != b.first ? a.first < b.first : a.second < b.second;
}

/** False when out of memory. */
static inline bool kiln_heap_push(struct kiln_heap *h, struct kiln_heap_item item)
{
    int at = h->items.count;

    if (!kiln_vec_push(&h->items, item))
        return false;
    for (; at > 0 && kiln_heap_before(item, h->items.data[(at - 1) / 2]); at = (at - 1) / 2)
        h->items.data[at] = h->items.data[(at - 1) / 2];
    h->items.data[at] = item;
    return true;
}

/** Take the least item off; false where there is none. */
static inline bool kiln_heap_pop(struct kiln_heap *h, struct kiln_heap_item *item)
{
    struct kiln_heap_item *data = h->items.data, last;
    const int count = h->items.count - 1;
    int at = 0;

    if (count < 0)
        return false;
    *item = data[0];
    last = data[count];
    h->items.count = count;
    for (int child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && kiln_heap_before(data[child + 1], data[child]);
        if (!kiln_heap_before(data[child], last))
            break;
        data[at] = data[child];
    }
    data[at] = last;
    return true;
}

#endif
