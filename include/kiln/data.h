/*
 * data.h - datasets that are read in batches, and pictures.
 *
 *   kiln_mnist_open(&train, "mnist", KILN_SPLIT_TRAIN);
 *   kiln_dataset_set_params(train, &(kiln_dataset_params){ .shuffle = true, .seed = 1 });
 *   while (kiln_dataset_next(train, 128, &batch) == KILN_OK && batch.rows > 0)
 *       ...                                      the next batch is prepared meanwhile, on a thread of its own
 *
 * A dataset is a table: named columns, of which each row holds one item of fixed type and shape. A program's inputs are
 * fed by the columns of the same name. What comes in which order depends on seed, epoch and row alone, so that a run
 * that resumes at a saved position continues bit for bit.
 *
 * Files are untrusted: whatever one says about sizes is held against its true size before memory is taken, and one
 * that is truncated, malformed or out of range ends in KILN_ERROR_FILE and one line that names it.
 */
#ifndef KILN_DATA_H
#define KILN_DATA_H

#include <kiln/base.h>
#include <kiln/text.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pictures ----------------------------------------------------------------------------------------------- */

/** How a picture comes to another shape than its own. */
typedef enum kiln_image_fit {
    KILN_IMAGE_STRETCH,   /* each axis by itself */
    KILN_IMAGE_CROP,      /* fill the shape and cut off evenly what is too long */
    KILN_IMAGE_LETTERBOX, /* show all of it, between bars of the value `bars` */
} kiln_image_fit;

typedef enum kiln_image_layout {
    KILN_IMAGE_CHANNELS_FIRST, /* [1, C, H, W] */
    KILN_IMAGE_CHANNELS_LAST,  /* [1, H, W, C] */
} kiln_image_layout;

/**
 * What a picture is made into: value = (sample - mean) / deviation, where the samples run from 0 to 1.
 *
 * A shape of rank 3 has no leading 1. Three channels are red, green, blue; one is luma, 0.299 R + 0.587 G + 0.114 B. Negative
 * sizes (symbols of a graph) are free: 1 for the first of four, the picture's own for channels, height and width. Rank 0
 * leaves everything free.
 */
typedef struct kiln_image_params {
    kiln_shape shape;
    kiln_image_layout layout;
    kiln_type type; /* F32, or U8: samples 0 .. 255, rounded; mean and deviation are not used */
    bool bytes;     /* samples run from 0 to 255 instead */
    bool bgr;       /* blue comes first; mean and deviation are in the order of the result */
    kiln_image_fit fit;
    float keep; /* of a crop: the share of its height and width that is shown, the middle; 0 means 1 */
    float bars; /* of a letterbox, as a sample; 0 is black */
    float mean[3];
    float deviation[3]; /* 0 means 1 */
} kiln_image_params;

/**
 * Read a PNG or JPEG picture, told apart by their first bytes. Resizing is bilinear, over all source pixels that a pixel
 * covers when it shrinks. What is transparent lies over white.
 *
 * Shape:   as params says; at most 64 Mi pixels in the file.
 * Owns:    picture->data is yours from then on: kiln_array_free(picture). On failure it is {0}.
 * Errors:  ERROR_FILE for what is missing, truncated or no picture; ERROR_UNSUPPORTED for a kind that this build
 *          or the decoder leaves out; ERROR_SHAPE for params that are no shape of a picture.
 */
KILN_API kiln_status kiln_image_load(kiln_array *picture, const char *path, const kiln_image_params *params);

/** Where a picture of width x height pixels lies in what it was made into: x' = left + across x, y' = top + down y. */
typedef struct kiln_placing {
    double left, top, across, down;
    double width, height;
} kiln_placing;

/** Where params put a picture of that size. All 0 but the size, and logged, for params that are no shape of a picture. */
KILN_API kiln_placing kiln_image_placing(const kiln_image_params *params, int width, int height);

/** A box by its corners (x1, y1, x2, y2) in pixels of the picture, in pixels of what it was made into. `to` may be `box`. */
KILN_API void kiln_box_place(const kiln_placing *placing, const float *box, float *to);

/** The way back, clipped to the picture: what undoes a letterbox. */
KILN_API void kiln_box_unplace(const kiln_placing *placing, const float *box, float *to);

/**
 * Write a picture to a PNG file, in one step: at `path` lies the old file or the whole new one.
 *
 * Shape:   U8 [H, W] or [H, W, C], or F32 [H, W] or [C, H, W] from 0 to 1 as datasets hold it (clipped, rounded); C is 1
 *          or 3, and may follow a leading 1.
 */
KILN_API kiln_status kiln_image_save_png(const char *path, const kiln_array *picture);

/* Datasets: what they hold ------------------------------------------------------------------------------- */

/**
 * Rows of named columns. Views (slices and splits) are datasets of their own on shared storage; each dataset has its own
 * position, parameters and loader thread, the latter from the first kiln_dataset_next on.
 * Threads: one at a time for a dataset; views of the same storage may be used by different ones.
 */
typedef struct kiln_dataset kiln_dataset;

#define KILN_MAX_COLUMNS 16

/** In a column's shape, the first size: items have lengths of their own, and a batch is as long as its longest. */
#define KILN_RAGGED (-1)

typedef struct kiln_column {
    const char *name;
    kiln_type type;
    kiln_shape shape; /* of one item: a row of the batch's array; its first size may be KILN_RAGGED */
    int classes;      /* an item is a class, 0 .. classes - 1; 0: it is a quantity */
} kiln_column;

typedef enum kiln_split {
    KILN_SPLIT_TRAIN,
    KILN_SPLIT_TEST,
} kiln_split;

KILN_API void kiln_dataset_close(kiln_dataset **ds);

KILN_API int64_t kiln_dataset_rows(const kiln_dataset *ds);
KILN_API int kiln_dataset_columns(const kiln_dataset *ds);

/** A column by its place, 0 .. columns - 1; NULL beyond. A loan. */
KILN_API const kiln_column *kiln_dataset_column(const kiln_dataset *ds, int column);

/** The place of the column of that name; -1 where there is none. */
KILN_API int kiln_dataset_find(const kiln_dataset *ds, const char *name);

/** The name of a class, "7" or "airplane"; NULL where it has none. A loan. */
KILN_API const char *kiln_dataset_class(const kiln_dataset *ds, int class_index);

/**
 * Copy one item out, unshuffled and unaugmented, without touching the position.
 * Shape:   that of the column, of a ragged one the item's own; item is a destination as in kiln_program_read.
 * Errors:  a row or column that is not there; ERROR_SHAPE if item has too little room; the file's, where it is read late.
 */
KILN_API kiln_status kiln_dataset_get(const kiln_dataset *ds, int64_t row, int column, kiln_array *item);

/* Datasets: batches -------------------------------------------------------------------------------------- */

/** A batch, lent by its dataset until the next call of kiln_dataset_next, or its end. */
typedef struct kiln_batch {
    int64_t rows; /* 0 at the end of an epoch */
    int columns;
    const char *name[KILN_MAX_COLUMNS];
    kiln_array column[KILN_MAX_COLUMNS]; /* [rows, item...] */
} kiln_batch;

/**
 * Random changes to the items of every column of rank 3, [C, H, W], all columns of a row alike; drawn from seed, epoch
 * and row.
 */
typedef struct kiln_augment {
    int shift;        /* move by up to so many pixels on either axis: pad, then crop at random */
    bool repeat_edge; /* what a shift uncovers repeats the border instead of being 0 */
    bool flip_x;      /* mirror left and right, every other time */
    bool flip_y;      /* mirror top and bottom, every other time */

    /* For pictures with boxes (scenes.h) alone; their boxes move along. What is uncovered, by a shift too, are bars. */

    /* the share of rows that show four pictures of the dataset around a point (Bochkovskiy 2020), 0 to 1 */
    float mosaic;
    /* Draw up to so many times smaller than params->image has it fit, anywhere in the image; up to so many times larger, any part
     * of it cut out; up to so many times wider or higher than it is. 0 and 1: not. */
    float smaller, larger, stretch;
    /* boxes of which less than this share is left, or less than a pixel, are dropped; 0 means 0.3, KILN_ZERO 0 */
    float visible;
    float brightness; /* colours: factors from 1 - this to 1 + this ... */
    float contrast;   /* ... of the distance from grey ... */
    float saturation; /* ... and from the grey of the same luma, ... */
    float hue;        /* ... turned by up to so much of the circle of colours, 0 to 0.5 */
} kiln_augment;

/** How rows come. A dataset starts with {0}: in its own order, unchanged, the ragged last batch too. */
typedef struct kiln_dataset_params {
    bool shuffle;   /* each epoch in an order of its own, from seed and epoch */
    uint64_t seed;  /* of shuffling and augmentation */
    bool drop_last; /* leave out a last batch that is not full */
    /*
     * Rows of about one length come together, so that little of a batch is filled up: the (shuffled) rows of so many batches are sorted by
     * the lengths of the first two ragged columns, then full batches come in random order if rows are shuffled. 0: not. The order depends
     * on the batch size, too.
     */
    int64_t by_length;
    kiln_augment augment;
    /* that decode or draw the rows of a batch; 0: half of the processors, up to 8. Rows in memory are copied by one. */
    int threads;
} kiln_dataset_params;

/** Change how rows come, and go back to the first row of the present epoch. NULL is {0}. */
KILN_API kiln_status kiln_dataset_set_params(kiln_dataset *ds, const kiln_dataset_params *params);

KILN_API kiln_dataset_params kiln_dataset_get_params(const kiln_dataset *ds);

/**
 * The next `batch_size` rows, or as many as the epoch has left. At its end comes one batch of 0 rows; the call after
 * that begins the next epoch.
 *
 * Owns:    the batch is a loan until the next call.
 * Threads: while you use it the next ones are prepared, of the same size.
 * Errors:  those of files that are read late, as pictures in folders; the position stays where it was.
 */
KILN_API kiln_status kiln_dataset_next(kiln_dataset *ds, int64_t batch_size, kiln_batch *batch);

/** Where a dataset stands: the epoch, from 0, and the rows of it that were given out. */
typedef struct kiln_dataset_place {
    int64_t epoch, row;
} kiln_dataset_place;

KILN_API kiln_dataset_place kiln_dataset_position(const kiln_dataset *ds);

/** Go to a place: with the same params and batch size, what follows is what followed there. Errors: a row beyond the end. */
KILN_API kiln_status kiln_dataset_seek(kiln_dataset *ds, kiln_dataset_place place);

/** Go back to the first row of the present epoch. */
KILN_API void kiln_dataset_rewind(kiln_dataset *ds);

/* Datasets: views ---------------------------------------------------------------------------------------- */

/**
 * The rows first .. first + rows - 1 of another dataset, or as many of them as there are.
 * Owns: a dataset of your own; closing src does not touch it. Errors: no row is left.
 */
KILN_API kiln_status kiln_dataset_slice(kiln_dataset **out, const kiln_dataset *src, int64_t first,
                                        int64_t rows);

/**
 * Deal the rows out at random, by seed, into `count` disjoint parts, as {0.8, 0.1, 0.1} for train, dev and test. Within a
 * part they keep their order.
 * Owns: out[0 .. count - 1] are yours; all are NULL on failure. Errors: fractions that add up to more than 1; an empty part.
 */
KILN_API kiln_status kiln_dataset_split(kiln_dataset **out, const kiln_dataset *src, const double *fraction,
                                        int count, uint64_t seed);

/* Datasets: where they come from ------------------------------------------------------------------------- */

/**
 * MNIST, Fashion-MNIST and others in their form: {train,t10k}-{images-idx3,labels-idx1}-ubyte, each plain or as .gz.
 * Columns: "image" F32 [1, H, W] from 0 to 1 (H = W = 28 in both); "label" I32 [], 10 classes.
 */
KILN_API kiln_status kiln_mnist_open(kiln_dataset **out, const char *dir, kiln_split split);

/**
 * CIFAR-10, binary version: data_batch_1.bin .. data_batch_5.bin, or test_batch.bin.
 * Columns: "image" F32 [3, 32, 32] from 0 to 1; "label" I32 [], 10 classes.
 */
KILN_API kiln_status kiln_cifar_open(kiln_dataset **out, const char *dir, kiln_split split);

/**
 * A folder of pictures: DIR/CLASS/NAME.png, .jpg or .jpeg. Classes are numbered, and pictures ordered, by name. They are
 * decoded when a batch asks for them, on the loader's thread.
 *
 * Shape:   image->shape says what each is made into, channels first; height and width are needed, channels are 3 if free.
 * Columns: "image" F32 or U8 [C, H, W]; "label" I32 [].
 * Errors:  no folder, no class in it, a class without pictures.
 */
KILN_API kiln_status kiln_image_folder_open(kiln_dataset **out, const char *dir,
                                            const kiln_image_params *image);

/** A column made of an array: [rows, item...]. */
typedef struct kiln_named_array {
    const char *name;
    kiln_array array;
    int classes; /* its values are classes, 0 .. classes - 1, which is checked; 0: they are not */
} kiln_named_array;

typedef struct kiln_arrays_params {
    /* use the arrays where they are: they stay, unchanged, as long as the dataset and its views */
    bool borrow;
} kiln_arrays_params;

/** A dataset of arrays in memory, copied unless borrowed, which agree in the number of rows. */
KILN_API kiln_status kiln_arrays_open(kiln_dataset **out, const kiln_named_array *arrays, int count,
                                      const kiln_arrays_params *params);

/**
 * A dataset of the arrays in a .npz file, in its order, which agree in the number of rows.
 * Errors: the file's (kiln_npz_load in import.h); no arrays, too many, or arrays that are no columns.
 */
KILN_API kiln_status kiln_dataset_npz_open(kiln_dataset **out, const char *path);

/** A column made of sequences. */
typedef struct kiln_named_sequences {
    const char *name;
    const kiln_sequences *sequences;
} kiln_named_sequences;

typedef struct kiln_sequences_params {
    int32_t fill; /* what short rows of a batch are filled up with; 0 is <pad> of kiln's own tokenizers */
    /* batches are as long as the next multiple of it, so that programs meet few sizes to plan for; 0 means 1 */
    int64_t multiple;
    /* use the sequences where they are: they stay, unchanged, as long as the dataset and its views */
    bool borrow;
} kiln_sequences_params;

/**
 * A dataset of sequences of numbers, as texts and their translations: row i of each.
 * Columns: for each NAME: NAME I32 [KILN_RAGGED], a batch of it [rows, longest], and NAME_length I32 [].
 * Errors:  sequences that are empty, or do not agree in the number of rows.
 */
KILN_API kiln_status kiln_sequences_open(kiln_dataset **out, const kiln_named_sequences *sequences, int count,
                                         const kiln_sequences_params *params);

/** A column made of the steps offset .. offset + length - 1 behind the step where a row begins. */
typedef struct kiln_window {
    const char *name;
    int64_t offset, length;
} kiln_window;

typedef struct kiln_windows_params {
    int64_t stride; /* steps from the beginning of a row to that of the next; 0 means 1 */
    bool borrow; /* use the series where it is: it stays, unchanged, as long as the dataset and its views */
} kiln_windows_params;

/**
 * Windows that slide along one long text or series: {"text", 0, 64} and {"next", 1, 64} are 64 characters and what follows each;
 * {"past", 0, 96} and {"future", 96, 24} what a forecast sees and what it should say.
 *
 * Shape:   series [steps, ...] of any type; a column [length, ...], a row for each place where all windows fit.
 * Errors:  a window that does not fit once; two of one name.
 */
KILN_API kiln_status kiln_windows_open(kiln_dataset **out, const kiln_array *series,
                                       const kiln_window *windows, int count,
                                       const kiln_windows_params *params);

/**
 * The numbers in a column of a CSV file, 1 the first: fields parted by commas, with quotes around them or not. The first line may
 * be a head; empty lines are left out.
 * Shape:   series F32 [steps].
 * Owns:    series->data is yours: kiln_array_free(series). On failure it is {0}.
 * Errors:  the file's; ERROR_FILE naming the line that has no number there.
 */
KILN_API kiln_status kiln_series_load(kiln_array *series, const char *path, int column);

/** A scale on which a series has mean 0 and deviation 1. Fit it to what is learned from, and use it for all of it. */
typedef struct kiln_scaling {
    double mean, deviation; /* a deviation of 0 counts as 1 */
} kiln_scaling;

KILN_API kiln_scaling kiln_scaling_fit(const float *values, int64_t count);
KILN_API void kiln_scaling_apply(const kiln_scaling *s, float *values, int64_t count);
KILN_API void kiln_scaling_undo(const kiln_scaling *s, float *values, int64_t count);

typedef struct kiln_digits_params {
    int64_t rows;  /* 0 means 10,000 */
    uint64_t seed; /* other seeds, other digits */
} kiln_digits_params;

/**
 * Generated digits: strokes drawn by this function, warped, shifted, blurred and laid over noise; for machines that have
 * no data at hand. They are no handwriting, and a result on them says nothing about MNIST.
 * Columns: those of kiln_mnist_open.
 */
KILN_API kiln_status kiln_digits_open(kiln_dataset **out, const kiln_digits_params *params);

#ifdef __cplusplus
}
#endif
#endif
