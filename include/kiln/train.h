/*
 * train.h - learning: optimizers as effects of a graph, schedules, and the ready-made loop.
 */
#ifndef KILN_TRAIN_H
#define KILN_TRAIN_H

#include <kiln/data.h>
#include <kiln/graph.h>
#include <kiln/ops.h>
#include <kiln/program.h>
#include <kiln/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Optimizers --------------------------------------------------------------------------------------------- */

/** Parameters whose name matches take other settings; the first group that matches counts. */
typedef struct kiln_param_group {
    const char *match; /* pattern with * and ? over full names */
    double rate;       /* factor of the rate; 0 means 1, KILN_ZERO means 0 */
    double decay;      /* instead of the common decay; 0 means the common one, KILN_ZERO means 0 */
    bool frozen;       /* leave them as they are */
} kiln_param_group;

typedef struct kiln_minimize_params {
    kiln_optimizer by;
    double rate;           /* 0 means 1e-3 for the adaptive ones, 1e-2 for the others */
    kiln_tensor rate_from; /* a scalar F32 instead of rate: a schedule, or an input */
    double momentum;       /* 0 means 0.9 */
    bool averaged;         /* momentum as v = m v + (1 - m) g */
    double beta1, beta2;   /* 0 means 0.9 and 0.999; beta2 is RMSProp's, where 0 means 0.99 */
    double epsilon;        /* 0 means 1e-8 */
    double decay;          /* weight decay; 0 none */
    bool no_correction;    /* Adam without bias correction */
    bool corrected;        /* RMSProp with bias correction */
    const char *only;      /* pattern: train only parameters of these names, e.g. "generator.*"; NULL all */
    const kiln_param_group *groups;
    int group_count;
    double clip_norm;  /* scale the gradients of all parameters together to at most this norm; 0 off */
    double clip_value; /* clip each element to +- this, before the norm; 0 off */
    double scale;      /* factor of the loss, 1/k where k batches accumulate; 0 means 1 */
    /* On their way back gradients are so many times larger, and arrive as they are: those of halves would else fall below
     * their least number, 6e-8. A power of two, as 1024, so that nothing is rounded by it; 0 means 1, with dynamic_scale 65536.
     * Where it is given, a step whose gradients are not all finite is left out: parameters, the optimizer's state and its step
     * stay as they are, bit for bit. The gradient arena is cleared all the same. The device decides, nothing is read back */
    double loss_scale;
    /* loss_scale is the first one; half of it after each step that was left out, twice as much after scale_interval steps
     * in a row that were not (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2; PyTorch's GradScaler). It is a state of the
     * weights, "NAME.loss_scale", so that checkpoints keep it. kiln_backward and kiln_update of one step say the same */
    bool dynamic_scale;
    int scale_interval; /* 0 means 2000 */
    /* of the optimizer's state in the weights; NULL "optimizer". Two optimizers, two names: calls with one name are ways to make
     * the same step, of which a program runs one */
    const char *name;
} kiln_minimize_params;

/**
 * An effect: compute the gradient of a scalar loss by every trained parameter it depends on, and update them. The
 * gradient arena is not touched.
 * Errors: a loss that is no scalar; no parameter that it depends on; a loss scale beyond 2^-126 .. 2^126 or a negative interval.
 */
KILN_API kiln_tensor kiln_minimize(kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *params);

/** The first half, an effect: add the gradients to the gradient arena of the weights, as they are without a loss scale. Reads scale,
 *  loss_scale, dynamic_scale, only, groups' frozen, name. */
KILN_API kiln_tensor kiln_backward(kiln_graph *g, kiln_tensor loss, const kiln_minimize_params *params);

/** The second half, an effect: update from the gradient arena (every parameter of the graph that `only` and `groups` leave
 *  in), then clear what was used. An all-reduce fits between the two (weights.h). */
KILN_API kiln_tensor kiln_update(kiln_graph *g, const kiln_minimize_params *params);

/** The factor of the loss in the step that an optimizer of these params makes, as an F32 scalar: for the log. NULL: 1. */
KILN_API kiln_tensor kiln_loss_scale(kiln_graph *g, const kiln_minimize_params *params);

/* Schedules: scalars computed from the optimizer's step -------------------------------------------------- */

/** Updates done so far by the optimizer of that name (NULL "optimizer"), as an F32 scalar: 0 in the first. */
KILN_API kiln_tensor kiln_step(kiln_graph *g, const char *optimizer);

/** rate * factor^floor(step / every). */
KILN_API kiln_tensor kiln_schedule_step(kiln_graph *g, kiln_tensor step, double rate, double every,
                                        double factor);
/** rate / (1 + decay * step). */
KILN_API kiln_tensor kiln_schedule_inverse(kiln_graph *g, kiln_tensor step, double rate, double decay);
/** rate * factor^step. */
KILN_API kiln_tensor kiln_schedule_exponential(kiln_graph *g, kiln_tensor step, double rate, double factor);
/** last + (rate - last) (1 + cos(pi min(step, total) / total)) / 2 (Loshchilov and Hutter 2017). */
KILN_API kiln_tensor kiln_schedule_cosine(kiln_graph *g, kiln_tensor step, double rate, double last,
                                          double total);
/** rate_from * min(1, (step + 1) / warm): a linear warm-up of another schedule. */
KILN_API kiln_tensor kiln_schedule_warm_up(kiln_graph *g, kiln_tensor step, kiln_tensor rate_from,
                                           double warm);

/* The ready-made loop ------------------------------------------------------------------------------------ */

/** Where training stands, for a callback. Loans for the call. */
typedef struct kiln_fit_info {
    int64_t epoch;    /* the one under way, from 1 */
    int64_t step;     /* steps done since the beginning, resumed ones included */
    bool epoch_ended; /* called once more after each epoch: validated then, before its checkpoint is saved */
    double seconds;   /* since the beginning, resumed ones included */
    int count;        /* the program's named scalars ... */
    const char *const *name;
    const double *value; /* ... of the newest step that was read; of the epoch, where it has ended */
    double validation;   /* of the epoch that has ended; NaN without validation */
    double best;         /* validation so far; NaN before the first */
} kiln_fit_info;

typedef struct kiln_fit_params {
    /* How long, and in what portions */
    int64_t epochs; /* passes over the data; 0 means 1, or as many as `steps` takes */
    int64_t steps;  /* at most so many batches in all; 0: no limit */
    int64_t batch;  /* rows of a batch; 0 means 128. The last one of an epoch may be smaller: see drop_last */
    /* leave the order of rows to the dataset's params; otherwise they are shuffled, by its seed */
    bool in_order;

    /* Validation, after each epoch */
    kiln_dataset *validation; /* NULL: none */
    kiln_program *grade;      /* of the same weights, without train: computes the scalar on it */
    kiln_tensor watch;        /* that scalar; KILN_NONE means grade's first result */
    bool lower;               /* a lower value is better, as of a loss */
    int64_t patience;         /* stop after so many epochs without a better value; 0: never */
    const char *best; /* save the weights here (safetensors) whenever the value is better; NULL: do not */

    /* Checkpoints */
    const char *checkpoint; /* save all that training needs here, in one step; NULL: do not */
    int64_t every;          /* so many steps, besides the end of each epoch; 0: there alone */
    bool resume;            /* begin where the checkpoint stands, if there is one */

    /* Showing */
    /* steps from one reading of the scalars to the next: a reading waits for the device. 0 means
     * 100 readings an epoch, at least every 50 steps; an epoch's last step is always read */
    int64_t read_every;
    const char *csv;    /* a row a reading: step, epoch, seconds, scalars, validation; NULL: none */
    const char *curves; /* the same drawn but for scales, after each epoch: .png or .svg; NULL: none */
    bool quiet; /* show nothing; otherwise a bar on stderr, or a line an epoch where that is no terminal */
    bool (*call)(void *user, const kiln_fit_info *info); /* after each reading; false stops training */
    void *user;
} kiln_fit_params;

/**
 * Train: run `learn`, whose list holds an optimizer's step, on batches of a dataset.
 *
 * The program's inputs are fed by the columns of the same name. Every named scalar of its list is shown; an epoch's value
 * is the mean of its readings.
 *
 * A checkpoint holds every tensor of the weights (parameters, running statistics, optimizer state, random streams), the
 * dataset's place, the counters, the curve so far, and the tuner's choices that `learn` looks into (tune.h), which it does again.
 * Training that resumes from it, in another process too, gives the same bits as one that was never interrupted: on the same
 * device, with the same params and data.
 *
 * Threads: uses program and datasets as its caller would.
 * Errors:  ERROR_ARGUMENT naming an input that has no column, or what a checkpoint was made with and is now different;
 *          ERROR_FILE where something cannot be saved (training ends, the old file stays whole) or resumed; ERROR_STOPPED
 *          where the callback said so, after a last checkpoint; those of the program and the dataset.
 */
KILN_API kiln_status kiln_fit(kiln_program *learn, kiln_dataset *data, const kiln_fit_params *params);

/**
 * The mean of a scalar over a dataset, batches weighted by their rows, so that the ragged last one counts right.
 *
 * `scalar` is in the list of `grade` and a mean over rows itself (a loss, an accuracy). The dataset is read once from its
 * first row, and stands at an epoch's beginning afterwards.
 * Errors: as of kiln_fit; ERROR_SHAPE if it is no scalar. *mean is NaN then.
 */
KILN_API kiln_status kiln_evaluate(kiln_program *grade, kiln_dataset *data, kiln_tensor scalar, double *mean);

#ifdef __cplusplus
}
#endif
#endif
