/*
 * layout.c - the meaning of copy. Units are elements, in the order of the axes.
 */
#include <string.h>

#include "cpu/reference.h"
#include "layout/copy.h"

void KILN_REFERENCE(copy)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    const struct kiln_params_copy *p = block;
    const size_t element = 4 * constants[0];
    const char *x = m->at[0];
    char *y = m->at[1];

    for (size_t e = first; e < first + count; e++) {
        int64_t from = p->x_start, to = p->y_start;
        size_t rest = e;
        for (uint32_t a = constants[1]; a-- > 0; rest /= p->size[a]) {
            const int64_t i = (int64_t)(rest % p->size[a]);
            from += i * (int32_t)p->x_step[a];
            to += i * (int32_t)p->y_step[a];
        }
        memcpy(y + to * (int64_t)element, x + from * (int64_t)element, element);
    }
}
