/*
 * scenes.h - datasets of pictures with boxes: Pascal VOC, COCO, generated shapes.
 *
 *   const kiln_scene_params params = { .image = { .shape = KILN_SHAPE(3, 320, 320), .fit = KILN_IMAGE_LETTERBOX } };
 *   kiln_voc_open(&train, "VOC2012", "train", &params);
 *
 * They are datasets as those of data.h, of the columns
 *
 *   "image"   F32 or U8 [C, H, W]
 *   "boxes"   F32 [M, 4], the corners (x1, y1, x2, y2) in pixels of that image; zeros beyond the count
 *   "labels"  I32 [M], a class each; -1 beyond the count
 *   "count"   I32 [], boxes of the row
 *
 * whose classes are those of the labels. Augmentation (kiln_augment) moves the boxes along. What the files say themselves, in pixels of
 * the pictures as they lie there and with what only evaluators look at, is a scene.
 */
#ifndef KILN_SCENES_H
#define KILN_SCENES_H

#include <kiln/data.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Scenes ------------------------------------------------------------------------------------------------- */

/** Something in a picture. */
typedef struct kiln_scene_object {
    float box[4];    /* corners (x1, y1, x2, y2) in pixels from the picture's left and upper border */
    int class_index; /* 0 .. classes - 1 */
    bool difficult;  /* hard to tell (VOC): whether it is found counts neither way */
    bool crowd;      /* a region of many (COCO's iscrowd): likewise, and it may be found often */
    float area;      /* of what is inside its outline (COCO), else of the box */
} kiln_scene_object;

/** Something that a detector found. */
typedef struct kiln_detection {
    float box[4]; /* corners (x1, y1, x2, y2), in pixels of the picture unless said otherwise */
    int class_index;
    float score;
} kiln_detection;

/** A picture and what is in it. */
typedef struct kiln_scene {
    const char *path; /* of the file; NULL: it is generated */
    int64_t id;       /* COCO's number of the picture, elsewhere its place in the list or folder, from 1 */
    int width, height;
    int count;
    const kiln_scene_object *objects;
} kiln_scene;

/** The scene of a row, a loan as long as the dataset. Errors: no such row; a dataset that has no boxes. */
KILN_API kiln_status kiln_dataset_scene(const kiln_dataset *ds, int64_t row, kiln_scene *scene);

/** COCO's number of a class; the class itself, from 1, where the dataset is not COCO's; 0 for what is no class of it. */
KILN_API int64_t kiln_dataset_class_id(const kiln_dataset *ds, int class_index);

/* Opening ------------------------------------------------------------------------------------------------ */

typedef struct kiln_scene_params {
    /* what pictures are made into, channels first; height and width are needed, channels are 3 if free */
    kiln_image_params image;
    int most;          /* M; 0: as many as a row has at most. Of more the largest are given. */
    bool no_difficult; /* batches leave difficult objects out; crowds never are in them */
    /* the classes in their order; NULL: all that the files name, by name (VOC) or number (COCO) */
    const char *const *classes;
    int class_count;
} kiln_scene_params;

/**
 * Pascal VOC's form (Everingham 2010): DIR/Annotations/NAME.xml and DIR/JPEGImages/FILE; or, as a folder of one's own, both
 * in DIR. FILE is the annotation's filename; where there is none of that name, NAME.jpg, .jpeg or .png.
 *
 * `split` is a list DIR/ImageSets/Main/SPLIT.txt of names, one a line; NULL: all annotations by name. Pixels count from 1 in these
 * files, and xmax, ymax are inside: a box from 1 to 10 has the corners 0 and 10. Boxes are clipped to the picture.
 *
 * Classes: params->classes, or those of all annotations in the folder, of whatever split, so that splits agree.
 * Errors:  ERROR_FILE with file and line for what is no such annotation: bad XML, no size, a box that is none or lies outside, a
 *          class that is not in params->classes; a picture that is missing; no rows. A picture of another size than its annotation says
 *          fails when it is read.
 */
KILN_API kiln_status kiln_voc_open(kiln_dataset **out, const char *dir, const char *split,
                                   const kiln_scene_params *params);

/**
 * COCO's form (Lin 2014): the "instances" JSON of images, categories and annotations, and a folder of the pictures. Boxes are
 * (x, y, width, height) there. Annotations without an extent are left out, as others do; pictures without annotations stay. Rows
 * are in the order of the images' numbers.
 *
 * Classes: params->classes, of which others are left out; or all categories by number.
 * Errors:  ERROR_FILE with file, line and column for bad JSON, and with the item, as annotations[3], for what does not fit: a missing
 *          member, an image or a category that is not there, or twice; no rows. Pictures are looked for when they are read.
 */
KILN_API kiln_status kiln_coco_open(kiln_dataset **out, const char *annotations, const char *pictures,
                                    const kiln_scene_params *params);

/**
 * Write what a dataset of pictures with boxes says, of whatever kind, in COCO's form: what kiln_coco_open and COCO's evaluator read.
 * Files are named without their folders, generated pictures NUMBER.png; difficult objects have "ignore": 1, which the evaluator passes
 * over.
 */
KILN_API kiln_status kiln_coco_save(const char *path, const kiln_dataset *ds);

typedef struct kiln_shapes_params {
    int64_t rows;            /* 0 means 1,000 */
    uint64_t seed;           /* other seeds, other scenes */
    int size;                /* pixels of a side as they are drawn; 0 means 128 */
    int objects;             /* at most so many in a picture, at least 1; 0 means 6 */
    bool each_digit;         /* ten classes of digits instead of one */
    kiln_scene_params scene; /* image.shape may be {0} here: 3 channels, as they are drawn */
} kiln_shapes_params;

/**
 * Generated scenes: circles, squares, triangles, stars and digits of any colour, turned (digits a little), over textured grounds; for
 * machines that have no data at hand. A box is around the whole of a shape; boxes cover each other by a fifth of the smaller one
 * at most. Pictures are drawn when they are read.
 *
 * Classes: "circle", "square", "triangle", "star", "digit"; or "0" .. "9" from the fifth on.
 */
KILN_API kiln_status kiln_shapes_open(kiln_dataset **out, const kiln_shapes_params *params);

/* Results ------------------------------------------------------------------------------------------------ */

/** A detection as COCO's files of results hold it. */
typedef struct kiln_result {
    int64_t image_id, category_id; /* kiln_scene's id, kiln_dataset_class_id */
    float box[4];                  /* corners; (x, y, width, height) in the file */
    float score;
} kiln_result;

/** Write COCO's format of results, which its evaluator reads. Errors: ERROR_ARGUMENT for what is no number; the file's. */
KILN_API kiln_status kiln_results_save(const char *path, const kiln_result *results, int64_t count);

/**
 * Read such a file.
 * Owns:   *results is yours: kiln_results_free; NULL where there are none, and on failure.
 * Errors: ERROR_FILE with line and column for bad JSON, with the place of a result that lacks something.
 */
KILN_API kiln_status kiln_results_load(kiln_result **results, int64_t *count, const char *path);

/** Free results; NULL again. Accepts NULL. */
KILN_API void kiln_results_free(kiln_result **results);

#ifdef __cplusplus
}
#endif
#endif
