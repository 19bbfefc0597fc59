/*
 * metrics.h - how well a network does: a confusion matrix and what follows from it, the average precision of detections,
 * the scores of translations, running means, a log of numbers.
 *
 * Counts are exact. Where a ratio would divide by zero (the precision of a class never guessed, the recall of one that never
 * occurs) it is 0, as scikit-learn has it.
 */
#ifndef KILN_METRICS_H
#define KILN_METRICS_H

#include <kiln/base.h>
#include <kiln/scenes.h>
#include <kiln/text.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Confusion matrix --------------------------------------------------------------------------------------- */

/** How often each class was taken for which. */
typedef struct kiln_confusion kiln_confusion;

/** An empty matrix of classes x classes. Errors: ERROR_ARGUMENT for less than 1 class or more than 65536. */
KILN_API kiln_status kiln_confusion_create(kiln_confusion **out, int classes);
KILN_API void kiln_confusion_destroy(kiln_confusion **c);

/** Forget all that was counted. */
KILN_API void kiln_confusion_reset(kiln_confusion *c);

/**
 * Count a batch.
 *
 * Of scores the largest is the guess, the first of equal ones; they may be probabilities or logits.
 *
 * Shape:   guess [N, C] of scores, real, or [N] of classes, integer; target [N] of classes, integer, or [N, C] with the
 *          largest value at the class (one-hot).
 * Errors:  ERROR_SHAPE, ERROR_TYPE; ERROR_ARGUMENT naming the row of a class outside 0..C-1 or a score that is no number.
 *          Nothing is counted then.
 */
KILN_API kiln_status kiln_confusion_add(kiln_confusion *c, const kiln_array *guess, const kiln_array *target);

/** The classes, the rows counted, and how many rows of class `target` were taken for class `guess`. */
KILN_API int kiln_confusion_classes(const kiln_confusion *c);
KILN_API uint64_t kiln_confusion_rows(const kiln_confusion *c);
KILN_API uint64_t kiln_confusion_count(const kiln_confusion *c, int target, int guess);

/** Rows guessed right / rows. */
KILN_API double kiln_confusion_accuracy(const kiln_confusion *c);

/**
 * Rows whose target is among the k largest scores / rows that came with scores. A score that equals the target's counts as
 * larger if its class comes first.
 */
KILN_API double kiln_confusion_top(const kiln_confusion *c, int k);

/** TP: rows of the class guessed so; FP: other rows guessed so; FN: rows of the class guessed otherwise. */
typedef struct kiln_score {
    double precision; /* TP / (TP + FP) */
    double recall;    /* TP / (TP + FN) */
    double f1;        /* 2 TP / (2 TP + FP + FN) */
    uint64_t support; /* TP + FN */
} kiln_score;

/** The score of one class. */
KILN_API kiln_score kiln_confusion_score(const kiln_confusion *c, int class_index);

typedef enum kiln_average {
    KILN_AVERAGE_MACRO, /* the mean over classes, each alike; classes neither seen nor guessed are left out */
    KILN_AVERAGE_MICRO, /* of TP, FP and FN summed over classes: with one class a row, the accuracy */
    KILN_AVERAGE_WEIGHTED, /* the mean over classes, weighted by support */
} kiln_average;

/** The score of all classes together; support is the number of rows. */
KILN_API kiln_score kiln_confusion_average(const kiln_confusion *c, kiln_average by);

/**
 * Print a table of scores, a line a class, and the averages; then the matrix, if it has at most 20 classes.
 * `names` of the classes may be NULL. `write` receives a line at a time, with its newline.
 */
KILN_API kiln_status kiln_confusion_print(const kiln_confusion *c, const char *const *names,
                                          void (*write)(void *user, const char *text), void *user);

/* Detections --------------------------------------------------------------------------------------------- */

/**
 * How well a detector finds what is in pictures: average precision and recall, as the standard evaluators count them. Detections go by
 * descending score, of equal ones in the order in which they came; each takes an object of its class that it overlaps by enough
 * (intersection over union), at most one each object. What takes none is wrong; what takes a crowd or a difficult object, or is of
 * another size than asked for, does not count. Average precision is the mean of precision over recall, which is that of
 * the best so many, precision being the highest at this recall or beyond.
 */
typedef struct kiln_detection_score kiln_detection_score;

typedef enum kiln_score_by {
    KILN_SCORE_COCO,     /* at 101 recalls, overlaps of 0.5 and more (Lin 2014; pycocotools) */
    KILN_SCORE_VOC,      /* under the whole curve, an overlap above 0.5 (Pascal VOC from 2010 on) */
    KILN_SCORE_VOC_2007, /* at 11 recalls, likewise (Everingham 2010) */
} kiln_score_by;

typedef struct kiln_detection_score_params {
    kiln_score_by by;
    double overlap; /* of VOC; 0 means 0.5 */
} kiln_detection_score_params;

/** Nothing counted yet. Errors: ERROR_ARGUMENT for less than 1 class or more than 65536, or an overlap that is none. */
KILN_API kiln_status kiln_detection_score_create(kiln_detection_score **out, int classes,
                                                 const kiln_detection_score_params *params);
KILN_API void kiln_detection_score_destroy(kiln_detection_score **score);

/** Forget all that was counted. */
KILN_API void kiln_detection_score_reset(kiln_detection_score *score);

/**
 * Count a picture: what is in it (kiln_dataset_scene) and what was found, in its own pixels. COCO counts the best 100 of a class.
 * Errors:  ERROR_ARGUMENT for a class that is none or a score that is no number; nothing is counted then. ERROR_MEMORY.
 */
KILN_API kiln_status kiln_detection_score_add(kiln_detection_score *score, const kiln_scene_object *objects,
                                              int object_count, const kiln_detection *found, int found_count);

typedef enum kiln_score_area {
    KILN_AREA_ANY,
    KILN_AREA_SMALL,  /* at most 32 x 32 pixels */
    KILN_AREA_MEDIUM, /* from there to 96 x 96 */
    KILN_AREA_LARGE,  /* from there on */
} kiln_score_area;

/** What is asked; NULL or {0} is COCO's main number, or VOC's. Area and most are COCO's. */
typedef struct kiln_score_query {
    double overlap; /* 0.5, 0.55 .. 0.95; 0: the mean over all of them */
    kiln_score_area area;
    int most;         /* detections of a picture and class, the best; 0 means 100, which is the most */
    int class_number; /* one class, from 1; 0: the mean over those that occur */
} kiln_score_query;

/** Average precision; -1 where no such object was counted, or the question is none. */
KILN_API double kiln_detection_score_precision(const kiln_detection_score *score,
                                               const kiln_score_query *query);

/** The share of objects that is found, by what scores however little; of several overlaps the mean; -1 likewise. */
KILN_API double kiln_detection_score_recall(const kiln_detection_score *score, const kiln_score_query *query);

#define KILN_RECALLS 101

/**
 * The curve of one class: precision at the recalls 0, 0.01 .. 1. `query` names a class; its overlap 0 means the least that was counted.
 * Errors: ERROR_ARGUMENT for a question that is none; ERROR_MEMORY. All are 0 where no such object was counted.
 */
KILN_API kiln_status kiln_detection_score_curve(const kiln_detection_score *score,
                                                const kiln_score_query *query,
                                                double precision[KILN_RECALLS]);

/**
 * Print what was counted: COCO's twelve numbers, or VOC's, then each class's. `names` of the classes may be NULL. `write` receives
 * a line at a time, with its newline.
 */
KILN_API kiln_status kiln_detection_score_print(const kiln_detection_score *score, const char *const *names,
                                                void (*write)(void *user, const char *text), void *user);

/* Translations ------------------------------------------------------------------------------------------- */

/** What an order of n-grams counts of which none is right (Chen and Cherry 2014). */
typedef enum kiln_bleu_smoothing {
    KILN_BLEU_EXP,   /* 1 / 2^k of one n-gram, for the k-th such order */
    KILN_BLEU_FLOOR, /* smoothing_value n-grams; by default 0.1 */
    KILN_BLEU_ADD_K, /* orders from 2 on have smoothing_value more n-grams, all of them right; by default 1 */
    KILN_BLEU_NONE,  /* nothing: the score is 0 */
} kiln_bleu_smoothing;

typedef struct kiln_bleu_params {
    kiln_bleu_smoothing smoothing;
    double smoothing_value;
    bool lower;     /* compare in lower case */
    bool tokenized; /* words are what stands between spaces; else those of mteval-v13a */
} kiln_bleu_params;

#define KILN_BLEU_ORDER 4

typedef struct kiln_bleu {
    double score;                      /* 0 .. 100 */
    double precision[KILN_BLEU_ORDER]; /* of n-grams of 1 .. 4 words, 0 .. 100, smoothed */
    double brevity;                    /* the factor for what is too short, 0 .. 1 */
    int64_t hits[KILN_BLEU_ORDER], counts[KILN_BLEU_ORDER];
    int64_t length, reference_length; /* words */
} kiln_bleu;

/**
 * BLEU of texts against references, one or several for each, as sacreBLEU computes it (Papineni et al. 2002, Post 2018):
 * references[r] has reference r of every text. Of equally long lists.
 *
 * Errors:  ERROR_ARGUMENT for no reference or more than 16; ERROR_SHAPE for lists of other lengths. out is {0} then.
 */
KILN_API kiln_status kiln_bleu_corpus(kiln_bleu *out, const kiln_texts *guesses,
                                      const kiln_texts *const *references, int count,
                                      const kiln_bleu_params *params);

/** BLEU of one text: over the orders alone that it is long enough for, as sacreBLEU has it for sentences. */
KILN_API kiln_status kiln_bleu_sentence(kiln_bleu *out, const char *guess, const char *const *references,
                                        int count, const kiln_bleu_params *params);

typedef struct kiln_chrf_params {
    int characters; /* n-grams of up to so many characters; 0 means 6, which is the most */
    int words;      /* and of so many words: 2 is chrF++ */
    double beta;    /* how many times more recall matters than precision; 0 means 2 */
    bool lower;     /* compare in lower case */
} kiln_chrf_params;

/** chrF, or chrF++, from 0 to 100, as sacreBLEU computes it (Popovic 2015, 2017). Arguments and errors: those of BLEU. */
KILN_API kiln_status kiln_chrf_corpus(double *out, const kiln_texts *guesses,
                                      const kiln_texts *const *references, int count,
                                      const kiln_chrf_params *params);
KILN_API kiln_status kiln_chrf_sentence(double *out, const char *guess, const char *const *references,
                                        int count, const kiln_chrf_params *params);

/* Running mean ------------------------------------------------------------------------------------------- */

/** The mean of batches' means, weighted by their rows, so that a ragged last batch counts right. {0} is empty. */
typedef struct kiln_running_mean {
    double sum, error; /* of value * rows: the error is what rounding left out of the sum */
    double rows;
} kiln_running_mean;

/** Count a batch's mean. */
KILN_API void kiln_running_mean_add(kiln_running_mean *m, double value, double rows);

/** The mean so far; 0 if nothing was added. */
KILN_API double kiln_running_mean_value(const kiln_running_mean *m);

/* CSV log ------------------------------------------------------------------------------------------------ */

/** A table that grows by a line at a time: a header of names, then rows of numbers, the first of them a step. */
typedef struct kiln_csv kiln_csv;

typedef struct kiln_csv_params {
    bool resume;  /* go on with a file that is there; otherwise it is replaced */
    double after; /* resuming: rows of later steps, and a torn last line, are cut off */
} kiln_csv_params;

/**
 * Open a log of `count` columns. names[0] is the step's.
 *
 * Errors:  ERROR_FILE where it cannot be written, or, resuming, where the file's header has other names: both are named.
 */
KILN_API kiln_status kiln_csv_open(kiln_csv **out, const char *path, const char *const *names, int count,
                                   const kiln_csv_params *params);

/**
 * Append a row of as many values as there are names, each in the fewest digits that read back as it is. The system has the
 * row when this returns, so that a killed program loses none.
 */
KILN_API kiln_status kiln_csv_add(kiln_csv *csv, const double *values);
KILN_API void kiln_csv_close(kiln_csv **csv);

#ifdef __cplusplus
}
#endif
#endif
