/* loader.h - the thread that prepares a dataset's next batches. */
#ifndef KILN_DATA_LOADER_H
#define KILN_DATA_LOADER_H

#include "data/dataset.h"

struct kiln_loader;

/** Start the thread; ds outlives it, and its source and rows do not change. */
kiln_status kiln_loader_create(struct kiln_loader **out, const kiln_dataset *ds);

/** End the thread, in the midst of a batch if need be. Accepts NULL. */
void kiln_loader_destroy(struct kiln_loader **loader);

/** Forget what was prepared: place or params of the dataset were set anew. */
void kiln_loader_restart(struct kiln_loader *loader);

/** The batch at *place, which moves on to the one after it. On failure it stays, and the next call tries again. */
kiln_status kiln_loader_next(struct kiln_loader *loader, int64_t batch_size, kiln_batch *batch,
                             kiln_dataset_place *place);

#endif
