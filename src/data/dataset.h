/* dataset.h - a view: which rows of a source, in which order they come, and how far the reader has got. */
#ifndef KILN_DATA_DATASET_H
#define KILN_DATA_DATASET_H

#include "data/source.h"

struct kiln_dataset {
    struct kiln_source *source;
    uint32_t *pick; /* rows of the source, in this view's order; NULL: all of them */
    int64_t rows;
    kiln_dataset_params params;
    kiln_dataset_place place;   /* of the next batch */
    struct kiln_loader *loader; /* NULL until the first kiln_dataset_next */
};

/** The source's row for a row of the view. */
static inline int64_t kiln_dataset_source_row(const struct kiln_dataset *ds, int64_t row)
{
    return ds->pick ? ds->pick[row] : row;
}

#endif
