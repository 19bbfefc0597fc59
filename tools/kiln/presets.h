/* presets.h - how pictures are made into what a model takes: options of `kiln run` and `kiln train`, and named sets of them. */
#ifndef KILN_TOOLS_PRESETS_H
#define KILN_TOOLS_PRESETS_H

#include <kiln/kiln.h>

#include "args.h"

struct picture_options {
    const char *preset, *mean, *deviation;
    double keep;
    bool bytes, bgr, invert, crop, letterbox;
};

/** Rows of a command's table of options, for a struct picture_options. */
#define PICTURE_OPTIONS(o)                                                                                   \
    {"preset", "NAME", ARGS_TEXT, &(o).preset, "make pictures as this family of models wants them"},         \
        {"mean", "R,G,B", ARGS_TEXT, &(o).mean, "subtracted from the samples (or one number for all)"},      \
        {"deviation", "R,G,B", ARGS_TEXT, &(o).deviation, "divides them then"},                              \
        {"bytes", NULL, ARGS_FLAG, &(o).bytes, "samples run from 0 to 255"},                                 \
        {"bgr", NULL, ARGS_FLAG, &(o).bgr, "blue comes first"},                                              \
        {"invert", NULL, ARGS_FLAG, &(o).invert, "dark becomes light: for digits drawn in black"},           \
        {"crop", NULL, ARGS_FLAG, &(o).crop, "keep the picture's proportions and cut off what is too long"}, \
        {"keep", "SHARE", ARGS_NUMBER, &(o).keep, "of what a crop shows, only the middle (0.875)"},          \
    {                                                                                                        \
        "letterbox", NULL, ARGS_FLAG, &(o).letterbox, "keep its proportions between bars"                    \
    }

/** All but the shape, type and layout of *p by the options. Errors: a line naming the command. */
kiln_status presets_take(const char *command, const struct picture_options *o, kiln_image_params *p);

/** Whether no option was given. */
bool presets_are_none(const struct picture_options *o);

/** The samples of a picture [C, H, W] that was made so as they were, from 0 to 1 and red first. */
void presets_undo(const kiln_image_params *p, const kiln_shape *picture, float *samples);

#endif
