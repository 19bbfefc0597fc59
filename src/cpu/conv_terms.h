/*
 * conv_terms.h - what the terms of a convolution's sums meet, as tiles read it: x as it lies, where filters are points without a stride,
 * else planes of the rows that a band of results meets (conv_plane.h). A table says where each term's lies.
 *
 * Of an axis with a stride, planes hold each phase by itself, so that positions side by side meet elements side by side; or, where a tile
 * reads elements one by one, x as it lies, where they are a step apart: then nothing is picked out.
 */
#ifndef KILN_CPU_CONV_TERMS_H
#define KILN_CPU_CONV_TERMS_H

#include <kiln/extend.h>

#include "cpu/conv_plane.h"
#include "cpu/tile.h"

struct kiln_terms {
    size_t channels;
    struct axis i, j;          /* of x; their strides are the steps times those between phases */
    size_t step_i, step_j;     /* from a position to the next, in planes */
    bool in_place;             /* x as it lies */
    size_t depth;              /* terms */
    size_t pitch, rows, plane; /* of planes; rows that a band meets; floats of a plane */
};

/** The terms of so many channels. `steps`: elements are read one by one. Bands are kiln_terms_band's to say. */
struct kiln_terms kiln_terms_of(size_t channels, const struct axis *i, const struct axis *j, bool steps);

/** Planes are of what so many rows of results meet. */
void kiln_terms_band(struct kiln_terms *t, size_t rows);

/** Floats of x, or of planes, that a band of so many rows of results meets. */
size_t kiln_terms_floats(const struct kiln_terms *t, size_t rows);

/** Floats of the planes; none in place. */
size_t kiln_terms_room(const struct kiln_terms *t);

/**
 * Where terms lie from a position on, and the planes of the band whose first row of results is `first`, x being its image's: unless this
 * thread has them in the same places, since an earlier piece of this run took those of the same `band`.
 */
void kiln_terms_take(const struct kiln_terms *t, int32_t *at, float *planes, const float *x, size_t first,
                     const kiln_memory *m, size_t band);

#endif
