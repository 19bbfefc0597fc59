/*
 * draw.h - pictures of what training did: learning curves, sheets of pictures, confusion matrices, boxes on pictures, maps.
 *
 * The path's ending says the format: .png (two pixels to a point, so that it is sharp on fine screens) or .svg. A picture
 * replaces an old file in one step. Colours are told apart by colour-blind readers, and nothing is said by colour alone.
 *
 * Errors of all: ERROR_ARGUMENT for another ending or a picture larger than 32767 pixels; ERROR_FILE where it cannot be
 * written; ERROR_UNSUPPORTED in a kiln without cairo.
 */
#ifndef KILN_DRAW_H
#define KILN_DRAW_H

#include <kiln/base.h>
#include <kiln/metrics.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Curves ------------------------------------------------------------------------------------------------- */

/** A line of a chart. Points that are no numbers, and on a logarithmic axis those not above 0, leave a gap. */
typedef struct kiln_series {
    const char *name;
    const double *x, *y;
    int count;
    bool second; /* measured by the axis on the right, and dashed */
} kiln_series;

typedef struct kiln_curves_params {
    const char *title, *x_label, *y_label;
    const char *second_label; /* of the axis on the right */
    bool log;                 /* the left axis is logarithmic */
    int width, height;        /* points; 0 means 900 and 540 */
} kiln_curves_params;

/**
 * Draw a chart of up to 16 lines: grid and numbers at round values, names above. A line of 400 points or more is drawn pale,
 * with its running mean over it.
 */
KILN_API kiln_status kiln_draw_curves(const char *path, const kiln_series *series, int count,
                                      const kiln_curves_params *params);

/* A sheet of pictures ------------------------------------------------------------------------------------ */

typedef enum kiln_mark {
    KILN_MARK_NONE,
    KILN_MARK_RIGHT, /* a green frame and a tick */
    KILN_MARK_WRONG, /* an orange frame and a cross */
} kiln_mark;

typedef struct kiln_sheet_params {
    const char *title;
    const char *const *captions; /* a line under each picture; NULL, or NULL among them: none */
    const kiln_mark *marks;      /* NULL: none */
    int columns;                 /* 0: a little wider than high */
    int scale; /* points to a picture's pixel; 0: so that a picture is some 96 points wide */
    double low,
        high; /* of real pictures: what is black and white; both 0: the least and the greatest value */
} kiln_sheet_params;

/**
 * Draw pictures side by side.
 * Shape:   [N, C, H, W] with C 1 (grey) or 3 (red, green, blue), or [N, H, W]; N at least 1.
 * Errors:  ERROR_SHAPE; ERROR_TYPE for what is not F32 or U8.
 */
KILN_API kiln_status kiln_draw_sheet(const char *path, const kiln_array *pictures,
                                     const kiln_sheet_params *params);

/* Confusion ---------------------------------------------------------------------------------------------- */

typedef struct kiln_matrix_params {
    const char *title;        /* NULL: "Confusion matrix" */
    const char *const *names; /* of the classes; NULL: their numbers */
} kiln_matrix_params;

/**
 * Draw a confusion matrix: a row a class, a column a guess, each cell with its count, tinted by its share of the row; blue
 * where right, orange where wrong (by the root of the share, so that few mistakes are seen too).
 */
KILN_API kiln_status kiln_draw_confusion(const char *path, const kiln_confusion *c,
                                         const kiln_matrix_params *params);

/* Boxes on a picture ------------------------------------------------------------------------------------- */

/** The colour of a class, 0xRRGGBB: one of Okabe and Ito's seven, which colour-blind readers tell apart, then others. */
KILN_API unsigned kiln_class_colour(int class_index);

typedef struct kiln_boxes_params {
    const char *const *names; /* of the classes; NULL, or NULL among them: their numbers */
    int classes;
    const kiln_scene_object *objects; /* what is there, drawn dashed and white below what was found */
    int object_count;
    /* pixels to a pixel of the picture; 0: a whole number, so that the longer side has 640 or more */
    double zoom;
    bool no_text; /* no names and scores */
} kiln_boxes_params;

/**
 * Draw what a detector found onto a picture: a box in its class's colour, with name and score. The highest scores lie on top. What is
 * no box of finite numbers is not drawn.
 *
 * Shape:   U8 [H, W] or [H, W, C], or F32 [H, W] or [C, H, W] from 0 to 1 as datasets hold it; C is 1 or 3, and may follow
 *          a leading 1. Boxes are in its pixels.
 * Errors:  ERROR_SHAPE for what is no such picture.
 */
KILN_API kiln_status kiln_draw_boxes(const char *path, const kiln_array *picture, const kiln_detection *found,
                                     int count, const kiln_boxes_params *params);

/* Heat --------------------------------------------------------------------------------------------------- */

typedef struct kiln_heat_params {
    const char *title, *row_label, *column_label;
    const char *const *rows, *const *columns; /* names; NULL, or NULL among them: their numbers */
    double low, high; /* what is white and what is blue; equal: the least and the greatest value */
    double cell;      /* points of a side; 0: so that all are about a page */
} kiln_heat_params;

/**
 * Draw a matrix as a map, a cell a value, as of attention: what each row gives to each column. A scale says what tints mean.
 * Shape:   F32 [rows, columns], at least one of each. What is no number is grey.
 * Errors:  ERROR_SHAPE, ERROR_TYPE.
 */
KILN_API kiln_status kiln_draw_heat(const char *path, const kiln_array *values,
                                    const kiln_heat_params *params);

#ifdef __cplusplus
}
#endif
#endif
