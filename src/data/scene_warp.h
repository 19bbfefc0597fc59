/* scene_warp.h - pictures with boxes, changed at random. */
#ifndef KILN_DATA_SCENE_WARP_H
#define KILN_DATA_SCENE_WARP_H

#include "data/scenes.h"

/**
 * The image of a row, and what it shows, as `draw` has it changed: the same for the same seed, epoch and row. things must be empty.
 */
kiln_status kiln_scene_warp(const struct kiln_scenes *s, const struct kiln_draw *draw, int64_t row,
                            void *image, kiln_things *things);

#endif
