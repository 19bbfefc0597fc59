/* things.h - what is in a picture that a network sees: boxes in its pixels, and their classes. */
#ifndef KILN_DATA_THINGS_H
#define KILN_DATA_THINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

struct kiln_thing {
    float box[4]; /* corners */
    int32_t label;
};

typedef KILN_VEC(struct kiln_thing) kiln_things;

/** Move the corners into a frame. False where nothing of the box, or no extent, is left. */
bool kiln_thing_clip(struct kiln_thing *thing, float left, float top, float right, float bottom);

float kiln_thing_area(const struct kiln_thing *thing);

/** Of more than `most` keep the largest, the first of equal ones, in their order. */
void kiln_things_limit(kiln_things *things, int64_t most);

/** As columns of `most` rows: boxes, zeros beyond; labels, -1 beyond. Either may be NULL. */
void kiln_things_put(const kiln_things *things, int64_t most, float *boxes, int32_t *labels);

#endif
