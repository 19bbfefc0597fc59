/* check_model.h - kiln check --model: a model's plan, dispatch by dispatch, against what each means. */
#ifndef KILN_TOOLS_CHECK_MODEL_H
#define KILN_TOOLS_CHECK_MODEL_H

#include "args.h"

struct check_model_options {
    const char *model, *device;
    struct args_list input, size; /* NAME=FILE; NAME=N */
    int64_t most_steps;           /* of a loop that data ends */
    int64_t most_size;            /* of an axis that data gives */
    double limit;                 /* seconds after which dispatches are not compared */
    uint64_t seed;                /* of inputs that no file gives */
    bool json;
};

/** Run it and print what came of it; how the command ends. */
int check_model(const struct check_model_options *options);

#endif
