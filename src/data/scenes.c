/* scenes.c - pictures with boxes as rows: the picture made into its shape, its boxes along with it, padded to a count. */
#include "data/scenes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/scene_warp.h"

enum { IMAGE, BOXES, LABELS, COUNT, COLUMNS };

/* Reading ------------------------------------------------------------------------------------------------ */

kiln_status kiln_scenes_picture(const struct kiln_scenes *s, int64_t row, struct kiln_picture *picture)
{
    const kiln_scene *scene = &s->list.data[row];
    kiln_status status;

    if (s->draw)
        return s->draw(s, row, picture);
    if ((status = kiln_picture_load(picture, scene->path)))
        return status;
    if (picture->width == (size_t)scene->width && picture->height == (size_t)scene->height)
        return KILN_OK;
    status = kiln_fail(KILN_ERROR_FILE, "%s: a picture of %zu x %zu, its annotation says %d x %d",
                       scene->path, picture->width, picture->height, scene->width, scene->height);
    kiln_picture_free(picture);
    return status;
}

static kiln_status read_image(const struct kiln_scenes *s, int64_t row, void *item)
{
    struct kiln_picture picture = {0};
    kiln_status status = kiln_scenes_picture(s, row, &picture);

    if (!status)
        status = kiln_picture_render(&picture, &s->target, item);
    kiln_picture_free(&picture);
    return status;
}

kiln_status kiln_scenes_things(const struct kiln_scenes *s, int64_t row, kiln_things *things)
{
    const kiln_scene *scene = &s->list.data[row];
    const kiln_placing placing = kiln_image_placing(&s->target.params, scene->width, scene->height);

    for (int i = 0; i < scene->count; i++) {
        const kiln_scene_object *object = &scene->objects[i];
        struct kiln_thing thing = {.label = object->class_index};

        if (!kiln_scene_object_shows(object, &s->params))
            continue;
        kiln_box_place(&placing, object->box, thing.box);
        if (!kiln_thing_clip(&thing, 0, 0, (float)s->target.width, (float)s->target.height))
            continue;
        if (!kiln_vec_push(things, thing))
            return kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory for %d boxes", scene->count);
    }
    return KILN_OK;
}

static int64_t most_of(const struct kiln_scenes *s)
{
    return s->source.column[LABELS].shape.size[0];
}

static kiln_status scenes_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const struct kiln_scenes *s = (const struct kiln_scenes *)source;
    kiln_things things = {0};
    kiln_status status;

    if (column == IMAGE)
        return read_image(s, row, item);
    if (!(status = kiln_scenes_things(s, row, &things))) {
        kiln_things_limit(&things, most_of(s));
        if (column == COUNT)
            *(int32_t *)item = things.count;
        else
            kiln_things_put(&things, most_of(s), column == BOXES ? item : NULL,
                            column == LABELS ? item : NULL);
    }
    kiln_vec_finish(&things);
    return status;
}

static bool changes(const kiln_augment *a)
{
    return a->shift > 0 || a->flip_x || a->flip_y || a->mosaic > 0 || a->smaller > 1 || a->larger > 1 ||
           a->stretch > 1 || a->brightness > 0 || a->contrast > 0 || a->saturation > 0 || a->hue > 0;
}

static kiln_status scenes_read_row(const struct kiln_source *source, const struct kiln_draw *draw,
                                   int64_t row, void *const *items)
{
    const struct kiln_scenes *s = (const struct kiln_scenes *)source;
    kiln_things things = {0};
    kiln_status status;

    if (changes(draw->augment))
        status = kiln_scene_warp(s, draw, row, items[IMAGE], &things);
    else if (!(status = read_image(s, row, items[IMAGE])))
        status = kiln_scenes_things(s, row, &things);
    kiln_things_limit(&things, most_of(s));
    kiln_things_put(&things, most_of(s), items[BOXES], items[LABELS]);
    *(int32_t *)items[COUNT] = things.count;
    kiln_vec_finish(&things);
    return status;
}

static void scenes_close(struct kiln_source *source)
{
    kiln_vec_finish(&((struct kiln_scenes *)source)->list);
}

static const struct kiln_source_ops scenes_ops = {
    .slow = true, .read = scenes_read, .read_row = scenes_read_row, .close = scenes_close};

const struct kiln_scenes *kiln_scenes_of(const struct kiln_source *source)
{
    return source->ops == &scenes_ops ? (const struct kiln_scenes *)source : NULL;
}

/* Making ------------------------------------------------------------------------------------------------- */

kiln_status kiln_scenes_create(struct kiln_scenes **out, const kiln_scene_params *params, const char *path)
{
    const kiln_scene_params p = params ? *params : (kiln_scene_params){0};
    struct kiln_scenes *s = kiln_source_create(sizeof *s, &scenes_ops);
    kiln_status status = KILN_OK;

    *out = NULL;
    if (!s)
        return KILN_ERROR_MEMORY;
    s->params = p;
    if (p.image.layout != KILN_IMAGE_CHANNELS_FIRST)
        status = kiln_fail(KILN_ERROR_ARGUMENT, "%s: pictures of a dataset have their channels first", path);
    else if (p.most < 0 || (p.classes && p.class_count < 1))
        status =
            kiln_fail(KILN_ERROR_ARGUMENT, "%s: at most %d boxes of %d classes, wanted at least 1 of each",
                      path, p.most, p.class_count);
    else
        status = kiln_image_target_of(&s->target, &p.image, NULL);
    if (status)
        kiln_source_release(&s->source);
    else
        *out = s;
    return status;
}

kiln_status kiln_scenes_add(struct kiln_scenes *s, const kiln_scene *scene, const char *path,
                            const kiln_scene_objects *objects)
{
    kiln_scene own = *scene;

    own.path = kiln_arena_text(&s->source.arena, path);
    own.count = objects->count;
    own.objects = objects->count == 0 ? NULL
                                      : kiln_arena_copy(&s->source.arena, objects->data,
                                                        (size_t)objects->count * sizeof *objects->data);
    if ((path && !own.path) || (own.count > 0 && !own.objects) || !kiln_vec_push(&s->list, own))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its boxes", path ? path : "scenes");
    return KILN_OK;
}

/* The most objects that batches show of a row. */
static int most_shown(const struct kiln_scenes *s)
{
    int most = 1;

    for (int i = 0; i < s->list.count; i++) {
        const kiln_scene *scene = &s->list.data[i];
        int shown = 0;

        for (int j = 0; j < scene->count; j++)
            shown += kiln_scene_object_shows(&scene->objects[j], &s->params);
        most = shown > most ? shown : most;
    }
    return most;
}

static const char *const *copy_names(struct kiln_arena *arena, const char *const *names, int count)
{
    const char **copy = kiln_arena_alloc(arena, (size_t)count * sizeof *copy);

    for (int i = 0; copy && i < count; i++)
        if (!(copy[i] = kiln_arena_text(arena, names[i])))
            return NULL;
    return copy;
}

kiln_status kiln_scenes_open(kiln_dataset **out, struct kiln_scenes *s, const char *const *classes, int count,
                             const char *path)
{
    struct kiln_source *source = &s->source;
    const int64_t most = s->params.most ? s->params.most : most_shown(s);
    const kiln_shape image =
        KILN_SHAPE((int64_t)s->target.channels, (int64_t)s->target.height, (int64_t)s->target.width);

    *out = NULL;
    s->params.classes = source->class_name = copy_names(&source->arena, classes, count);
    if (!source->class_name) {
        kiln_source_release(source);
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its classes", path);
    }
    source->rows = s->list.count;
    source->classes = s->params.class_count = count;
    source->columns = COLUMNS;
    source->column[IMAGE] = (kiln_column){.name = "image", .type = s->target.params.type, .shape = image};
    source->column[BOXES] = (kiln_column){.name = "boxes", .type = KILN_F32, .shape = KILN_SHAPE(most, 4)};
    source->column[LABELS] =
        (kiln_column){.name = "labels", .type = KILN_I32, .shape = KILN_SHAPE(most), .classes = count};
    source->column[COUNT] = (kiln_column){.name = "count", .type = KILN_I32};
    return kiln_dataset_create(out, source, path);
}

/* Objects ------------------------------------------------------------------------------------------------ */

bool kiln_scene_object_clip(kiln_scene_object *object, int width, int height)
{
    struct kiln_thing thing = {0};

    memcpy(thing.box, object->box, sizeof thing.box);
    if (!kiln_thing_clip(&thing, 0, 0, (float)width, (float)height))
        return false;
    memcpy(object->box, thing.box, sizeof thing.box);
    return true;
}

bool kiln_scene_object_shows(const kiln_scene_object *object, const kiln_scene_params *params)
{
    return !object->crowd && !(object->difficult && params->no_difficult);
}

/* What the files say ------------------------------------------------------------------------------------- */

kiln_status kiln_dataset_scene(const kiln_dataset *ds, int64_t row, kiln_scene *scene)
{
    const struct kiln_scenes *s = kiln_scenes_of(ds->source);

    *scene = (kiln_scene){0};
    if (!s)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: wanted one of pictures with boxes");
    if (row < 0 || row >= ds->rows)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "dataset: wanted the scene of row %" PRId64 ", it has %" PRId64 " rows", row,
                         ds->rows);
    *scene = s->list.data[kiln_dataset_source_row(ds, row)];
    return KILN_OK;
}

int64_t kiln_dataset_class_id(const kiln_dataset *ds, int class_index)
{
    const struct kiln_scenes *s = kiln_scenes_of(ds->source);

    if (class_index < 0 || class_index >= ds->source->classes)
        return 0;
    return s && s->class_id ? s->class_id[class_index] : class_index + 1;
}
