/*
 * scenes.h - what all sources of pictures with boxes share: a list of scenes, and the way from a scene to a row.
 *
 * A kind of source fills in the list, and says how a picture comes to memory: from its file, or drawn.
 */
#ifndef KILN_DATA_SCENES_H
#define KILN_DATA_SCENES_H

#include <kiln/scenes.h>

#include "base/vec.h"
#include "data/dataset.h"
#include "data/picture.h"
#include "data/things.h"

struct kiln_scenes {
    struct kiln_source source;
    struct kiln_image_target target;
    kiln_scene_params params;
    KILN_VEC(kiln_scene) list; /* paths and objects are in the arena */
    const int64_t *class_id;   /* NULL: the class from 1 */
    /* The picture of a row; NULL: its file is read. */
    kiln_status (*draw)(const struct kiln_scenes *s, int64_t row, struct kiln_picture *picture);
    const void *drawing; /* what `draw` goes by, in the arena */
};

typedef KILN_VEC(kiln_scene_object) kiln_scene_objects;

/** An empty list. params may be NULL. Errors: params that cannot be those of a dataset, named `path`. */
kiln_status kiln_scenes_create(struct kiln_scenes **out, const kiln_scene_params *params, const char *path);

/** Append a scene: its path and the objects are copied, `path` and `objects` of *scene are not looked at. */
kiln_status kiln_scenes_add(struct kiln_scenes *s, const kiln_scene *scene, const char *path,
                            const kiln_scene_objects *objects);

/** Name the classes, which are copied, and turn the list into a dataset; takes s, also on failure. */
kiln_status kiln_scenes_open(kiln_dataset **out, struct kiln_scenes *s, const char *const *classes, int count,
                             const char *path);

/** A source's list; NULL where it is of another kind. */
const struct kiln_scenes *kiln_scenes_of(const struct kiln_source *source);

/** The picture of a row, as large as its scene says. Yours to free. */
kiln_status kiln_scenes_picture(const struct kiln_scenes *s, int64_t row, struct kiln_picture *picture);

/** Append what batches show of a row, in pixels of the image that its picture is made into. */
kiln_status kiln_scenes_things(const struct kiln_scenes *s, int64_t row, kiln_things *things);

/** Move a box's corners into a picture. False where nothing of it, or no extent, is left. */
bool kiln_scene_object_clip(kiln_scene_object *object, int width, int height);

/** Whether batches show an object. */
bool kiln_scene_object_shows(const kiln_scene_object *object, const kiln_scene_params *params);

#endif
