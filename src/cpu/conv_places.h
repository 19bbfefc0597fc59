/* conv_places.h - positions of a convolution's results, one after the other. */
#ifndef KILN_CPU_CONV_PLACES_H
#define KILN_CPU_CONV_PLACES_H

#include <stddef.h>

struct kiln_conv_place {
    size_t image, i, j;
};

/** Of pictures of oh x ow. */
static inline struct kiln_conv_place kiln_conv_place_of(size_t position, size_t oh, size_t ow)
{
    return (struct kiln_conv_place){position / ow / oh, position / ow % oh, position % ow};
}

/** The next one. */
static inline void kiln_conv_place_step(struct kiln_conv_place *at, size_t oh, size_t ow)
{
    if (++at->j < ow)
        return;
    at->j = 0;
    if (++at->i < oh)
        return;
    at->i = 0;
    at->image++;
}

#endif
