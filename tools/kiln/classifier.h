/* classifier.h - picture classifiers as `kiln train` learns them: LeNet from nothing, or somebody's ONNX model. */
#ifndef KILN_TOOLS_CLASSIFIER_H
#define KILN_TOOLS_CLASSIFIER_H

#include <kiln/kiln.h>

#include "args.h"

/** A classifier under training, and the same network for use. Zero-initialise; free with classifier_destroy. */
struct classifier {
    kiln_graph *graph; /* its inputs are named "image" and "label", as the data's columns */
    kiln_tensor image, label, scores, loss, accuracy, step;
    kiln_tensor scale;     /* of the loss; KILN_NONE where it does not change */
    kiln_graph *deployed;  /* LeNet: images to probabilities; a model: its own input to its own output */
    kiln_graph *model;     /* as its file has it; NULL of LeNet */
    kiln_weights *learned; /* what the model has learned so far; NULL of LeNet */
};

struct classifier_params {
    kiln_shape image; /* one picture, [C, H, W] */
    int classes;
    bool new_head; /* of a model: another last layer, "head", of as many classes, on what the old one saw */
    double rate;   /* the highest one; 0: constant Adam at 1e-3 */
    double steps;  /* that training will take: the rate falls to 0 by then */
    double decay;
    double loss_scale; /* this and the next two as in kiln_minimize_params */
    bool dynamic_scale;
    int scale_interval;
    /* of parameters that keep their values, or learn at other rates; not of a new head */
    const kiln_param_group *groups;
    int group_count;
};

/**
 * Read a model's file, with sizes by "NAME=N" that it leaves open; c->model and c->learned are there then.
 * Errors: no classifier of pictures; those of kiln_onnx_load; a line naming the command for a size that is none.
 */
kiln_status classifier_read(struct classifier *c, const char *path, const struct args_list *sizes);

/** One picture as the model takes it, [C, H, W]; an open size is negative. */
kiln_shape classifier_picture(const struct classifier *c);

/**
 * Build the graphs: of c->model if there is one, else of LeNet. Errors: a model that does not fit the pictures or classes; a group
 * that no parameter belongs to; the graphs' failures.
 */
kiln_status classifier_build(struct classifier *c, const struct classifier_params *params);

/** Weights for c->graph: drawn by seed, a model's as it has learned them. */
kiln_status classifier_start(const struct classifier *c, uint64_t seed, kiln_weights **out);

void classifier_destroy(struct classifier *c);

#endif
