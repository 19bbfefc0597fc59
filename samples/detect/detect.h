/*
 * detect.h - what the parts of this sample know of each other.
 *
 *   layers.c                     blocks of convolutions, the backbone and the pyramid that all networks share
 *   anchors.c                    what networks with anchor boxes share
 *   yolo.c, ssd.c, two_stage.c, windows.c   the networks: from pictures and true boxes to findings and a loss
 *   onnx.c                       detectors of others: from their outputs to findings
 *   model.c                      findings to what is found; a network with its weights and programs, saved and loaded
 *   data.c                       pictures with boxes
 *   train.c, eval.c, run.c, time.c, main.c   the commands
 */
#ifndef DETECT_H
#define DETECT_H

#include <kiln/kiln.h>

#include <stdbool.h>
#include <stddef.h>

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

/* Options ------------------------------------------------------------------------------------------------- */

struct options {
    const char *model, *data, *train, *split, *network, *names, *kind, *out, *json; /* NULL: not given */
    int batch, epochs, stop, rows;
    int size[2]; /* width and height */
    double rate, score;
    bool resume, flip_y;
    char **paths; /* of pictures and folders */
    int path_count;
};

/* Networks ------------------------------------------------------------------------------------------------ */

/* What a network is for. */
struct task {
    int height, width; /* of the pictures: multiples of 32 */
    int classes;
    int most; /* boxes of a picture that may be true */
};

/* Pictures and what is in them; boxes by corners, in pixels. */
struct batch {
    kiln_tensor image;  /* [N, 3, H, W] */
    kiln_tensor boxes;  /* [N, M, 4] */
    kiln_tensor labels; /* [N, M]: classes; -1 where there is no box */
    kiln_tensor count;  /* [N]: boxes that are there, before those that are not */
};

/* What a network says of a batch. */
struct findings {
    kiln_tensor boxes;  /* [N, A, 4], by corners */
    kiln_tensor scores; /* [N, A, C], 0 .. 1 */
    kiln_tensor loss;   /* a scalar */
};

struct network {
    const char *name;
    struct findings (*build)(kiln_graph *g, const struct task *task, const struct batch *batch);
};

extern const struct network yolo_network, ssd_network, two_stage_network, windows_network;

/* The network of that name; NULL, and a line on stderr, if there is none. */
const struct network *network_of(const char *name);

/* A network in a graph, with the inputs that batches of a dataset feed. */
struct findings network_build(kiln_graph *g, const struct network *network, const struct task *task,
                              struct batch *batch);

/* Layers -------------------------------------------------------------------------------------------------- */

enum { LEVELS = 3 }; /* maps of the backbone: a cell is 8, 16 and 32 pixels wide */

/* Convolution without a bias, batch normalization, SiLU. */
kiln_tensor unit(kiln_graph *g, kiln_tensor x, int filters, int size, int stride);

/* A 3x3 and a 1x1 convolution of a level's own: [N, outputs, H, W]. The biases begin at `bias`. */
kiln_tensor head(kiln_graph *g, kiln_tensor x, const char *name, int width, int outputs,
                 const kiln_array *bias);

void backbone(kiln_graph *g, kiln_tensor image, kiln_tensor level[LEVELS]);

/* What coarse levels know, added to the fine ones (Lin 2017): each level is `width` channels wide then. */
void pyramid(kiln_graph *g, kiln_tensor level[LEVELS], int width);

int stride_of(int level);

/* A map [N, k width, H, W] as rows [N, H W k, width]. */
kiln_tensor rows_of(kiln_graph *g, kiln_tensor map, int width);

kiln_tensor columns(kiln_graph *g, kiln_tensor rows, int first, int end);

/* Networks with anchors ----------------------------------------------------------------------------------- */

extern const kiln_box_code box_code; /* of differences from anchors */

/* Anchors [A, 4] and what the heads say of each: rows [N, A, outputs], four differences first. */
struct anchored {
    kiln_tensor anchors, rows;
};
struct anchored anchored_heads(kiln_graph *g, const struct task *task, const kiln_tensor level[LEVELS],
                               const kiln_anchor_params cell[LEVELS], int width, int outputs);

/* Which true box each anchor is of, [N, A] as in kiln/assign.h; anchors [A, 4] or [N, A, 4]. */
kiln_tensor match_with(kiln_graph *g, kiln_tensor anchors, const struct batch *batch,
                       const kiln_assign_params *rule);
kiln_tensor positives_of(kiln_graph *g, kiln_tensor match);

kiln_tensor boxes_from(kiln_graph *g, kiln_tensor deltas, kiln_tensor anchors);
/* The sum over positive anchors that count, [N, A] of truth, of how wrong their differences are. */
kiln_tensor delta_loss(kiln_graph *g, kiln_tensor deltas, kiln_tensor anchors, kiln_tensor match,
                       kiln_tensor counts, const struct batch *batch);

/* Of logits [N, A, 1 + C], background being the first: the loss of each anchor [N, A], and the scores of classes [N, A, C]. */
kiln_tensor class_loss(kiln_graph *g, kiln_tensor logits, kiln_tensor match, const struct batch *batch);
kiln_tensor class_scores(kiln_graph *g, kiln_tensor logits, int classes);

/* Sums over places where a condition holds; of their number at least 1. */
kiln_tensor sum_where(kiln_graph *g, kiln_tensor condition, kiln_tensor x);
kiln_tensor count_where(kiln_graph *g, kiln_tensor condition);

/* Models -------------------------------------------------------------------------------------------------- */

enum {
    MOST_CLASSES = 128,
    MOST_FOUND = 100, /* of a picture */
};

/* A network with its weights, and what to run of it. On disk it is NAME.safetensors and NAME.txt, which says what it is for. */
struct model {
    const struct network *network;
    struct task task;
    char *class[MOST_CLASSES]; /* names */
    kiln_image_params image;   /* what it wants pictures to be made into */
    double overlap;            /* above which boxes of one class compete */
    double precision;          /* mAP@0.5 when it was saved; -1 before */

    kiln_graph *graph;
    kiln_weights *weights;
    struct batch batch;
    struct findings findings;
    kiln_tensor boxes, scores,
        classes;        /* what is left of the findings: [N, MOST_FOUND, 4] and [N, MOST_FOUND] */
    kiln_program *find; /* computes these three of images */
};

/* What is found in one picture, best first, in pixels of what the network saw. */
struct found {
    int count;
    kiln_detection list[MOST_FOUND];
};

/* A new model of the network of that name, with initial weights. Names are copied; model_free is due whatever comes back. */
kiln_status model_create(struct model *m, kiln_device *dev, const char *network, const struct task *task,
                         const char *const *class_names);
kiln_status model_save(const struct model *m, const char *name);
/* The precision of the model of that name on disk; -1 if there is none. */
double saved_precision(const char *name);
/* o->model, or a detector of others where that ends in .onnx. */
kiln_status model_load(struct model *m, kiln_device *dev, const struct options *o);
void model_free(struct model *m);

/* Find what is in pictures [n, 3, H, W], n of them: found[0 .. n - 1]. */
kiln_status model_find(struct model *m, const kiln_array *images, struct found *found);

/* A detector of others, NAME.onnx; its parts are in `m`. */
kiln_status onnx_load(struct model *m, kiln_device *dev, const struct options *o);
bool ends_with(const char *text, const char *end);
kiln_status name_classes(struct model *m, const char *path);
/* Suppression, and the program that finds, once there are findings. */
kiln_status model_finish(struct model *m, kiln_device *dev);

/* Data and what a model is worth -------------------------------------------------------------------------- */

/* What pictures are made into: all of each, between grey bars. */
kiln_image_params image_params(int width, int height);

/*
 * Open a split of o->data, or of generated pictures where that is NULL: o->rows for training, a tenth of it for others. Its classes are
 * those of the model `of`, or where that is NULL all that there are.
 */
kiln_status open_data(kiln_dataset **out, const struct options *o, const char *split, const struct task *task,
                      const struct model *of);

/* What goes into a file in COCO's form. */
struct results {
    kiln_result *list; /* of malloc */
    int64_t count, room;
};
kiln_status results_add(struct results *r, int64_t image, int64_t category, const kiln_detection *found);

/* Mean average precision over classes, of boxes that overlap a true one by half, and the mean over 0.5, 0.55, .. 0.95. */
struct precision {
    double at_half, mean;
};
/*
 * Measure it on a dataset as COCO does. With `results`, which may be NULL, all numbers are printed, what is found is added to it, and
 * the pictures are drawn into o->out, if that is given.
 */
kiln_status measure(struct model *m, kiln_dataset *data, const struct options *o, struct results *results,
                    struct precision *p);

/* Commands ------------------------------------------------------------------------------------------------ */

kiln_status command_train(kiln_device *dev, const struct options *o);
kiln_status command_run(kiln_device *dev, const struct options *o);
kiln_status command_eval(kiln_device *dev, const struct options *o);
kiln_status command_time(kiln_device *dev, const struct options *o);

#endif
