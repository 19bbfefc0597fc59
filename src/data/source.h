/*
 * source.h - where the rows of a dataset come from: the storage that views share.
 *
 * A kind of source (IDX files, a folder of pictures, arrays) is one struct that begins with kiln_source, and one function
 * that reads an item. Sources do not change once they are open, so any number of threads may read them at once.
 */
#ifndef KILN_DATA_SOURCE_H
#define KILN_DATA_SOURCE_H

#include <stdatomic.h>

#include <kiln/data.h>

#include "base/arena.h"

struct kiln_source;

/** What rows are drawn by: of the dataset that reads them, not of the source. */
struct kiln_draw {
    const kiln_augment *augment;
    uint64_t seed;
    int64_t epoch;
    const uint32_t *pick; /* the rows that the dataset has; NULL: the first `rows` */
    int64_t rows;
};

struct kiln_source_ops {
    /* A row takes long, as files are decoded or pictures drawn: several threads share a batch. */
    bool slow;
    /* Put the item of a row (below rows) and column at `item`, which has room for just that. */
    kiln_status (*read)(const struct kiln_source *source, int64_t row, int column, void *item);
    /*
     * Put all items of a row, changed at random as is drawn. NULL: they are read one by one, and what is of rank 3 is shifted and
     * mirrored.
     */
    kiln_status (*read_row)(const struct kiln_source *source, const struct kiln_draw *draw, int64_t row,
                            void *const *items);
    /* The length of a row's item in a ragged column; NULL where there is none. */
    int64_t (*length)(const struct kiln_source *source, int64_t row, int column);
    /* Release what is not in the arena. */
    void (*close)(struct kiln_source *source);
};

struct kiln_source {
    const struct kiln_source_ops *ops;
    atomic_int references;
    struct kiln_arena arena; /* names, and what else lives as long as the source */
    int64_t rows;
    int columns, classes;
    kiln_column column[KILN_MAX_COLUMNS];
    /* of a ragged column, which is I32: what short items are filled up with */
    int32_t fill[KILN_MAX_COLUMNS];
    int64_t multiple[KILN_MAX_COLUMNS]; /* of a ragged column: that its batches' lengths are of; 0: any */
    const char *const *class_name;      /* NULL, or `classes` of them */
};

/** A source with one reference and no columns, in `bytes` zeroed bytes; NULL, and logged, when out of memory. */
void *kiln_source_create(size_t bytes, const struct kiln_source_ops *ops);

/** Give a reference back; the last one closes the source. Accepts NULL. */
void kiln_source_release(struct kiln_source *source);

static inline bool kiln_source_is_ragged(const struct kiln_source *source, int column)
{
    return source->column[column].shape.rank > 0 && source->column[column].shape.size[0] == KILN_RAGGED;
}

/** Bytes of one item of a column that is not ragged. */
size_t kiln_source_item_bytes(const struct kiln_source *source, int column);

/** Columns "image" F32 of that shape and "label" I32, `classes` names of classes (NULL: their numbers). */
kiln_status kiln_source_set_pictures(struct kiln_source *source, kiln_shape image, int classes,
                                     const char *const *class_name);

/** Turn an open source into a dataset; takes the reference, also on failure. Errors: no rows, or 2^32 and more. */
kiln_status kiln_dataset_create(kiln_dataset **out, struct kiln_source *source, const char *path);

#endif
