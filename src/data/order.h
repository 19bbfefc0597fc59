/* order.h - in which order an epoch's rows come. */
#ifndef KILN_DATA_ORDER_H
#define KILN_DATA_ORDER_H

#include "data/dataset.h"

/** Places in the view, in their order; and what they were made from. {0} holds none. */
struct kiln_order {
    uint32_t *rows;
    kiln_dataset_params params;
    int64_t epoch, batch;
};

/** Make it what params, epoch and batch size say, unless it is that already. */
kiln_status kiln_order_make(struct kiln_order *o, const kiln_dataset *ds, const kiln_dataset_params *params,
                            int64_t epoch, int64_t batch);

#endif
