/* things.c - boxes and classes of a row. */
#include "data/things.h"

#include <math.h>
#include <string.h>

bool kiln_thing_clip(struct kiln_thing *thing, float left, float top, float right, float bottom)
{
    float *b = thing->box;

    b[0] = fminf(fmaxf(b[0], left), right);
    b[1] = fminf(fmaxf(b[1], top), bottom);
    b[2] = fminf(fmaxf(b[2], left), right);
    b[3] = fminf(fmaxf(b[3], top), bottom);
    return b[0] < b[2] && b[1] < b[3];
}

float kiln_thing_area(const struct kiln_thing *thing)
{
    return (thing->box[2] - thing->box[0]) * (thing->box[3] - thing->box[1]);
}

static int smallest(const kiln_things *things)
{
    int found = 0;

    for (int i = 1; i < things->count; i++)
        if (kiln_thing_area(&things->data[i]) <= kiln_thing_area(&things->data[found]))
            found = i;
    return found;
}

void kiln_things_limit(kiln_things *things, int64_t most)
{
    while (things->count > most) {
        const int gone = smallest(things);
        memmove(&things->data[gone], &things->data[gone + 1],
                (size_t)(things->count - gone - 1) * sizeof *things->data);
        kiln_vec_pop(things);
    }
}

void kiln_things_put(const kiln_things *things, int64_t most, float *boxes, int32_t *labels)
{
    static const float none[4];

    for (int64_t i = 0; i < most; i++) {
        const struct kiln_thing *thing = i < things->count ? &things->data[i] : NULL;
        if (boxes)
            memcpy(boxes + 4 * i, thing ? thing->box : none, sizeof none);
        if (labels)
            labels[i] = thing ? thing->label : -1;
    }
}
