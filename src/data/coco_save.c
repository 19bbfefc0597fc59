/*
 * coco_save.c - any pictures with boxes as COCO's "instances" JSON: what coco.c reads, and COCO's evaluator.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "data/scenes.h"

/* A document that is written piece by piece. */
struct out {
    struct kiln_writer writer;
    struct kiln_text piece;
    const char *path;
};

static kiln_status flush(struct out *o)
{
    kiln_status status = o->piece.failed
                             ? kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to write it", o->path)
                             : kiln_writer_add(&o->writer, kiln_text_get(&o->piece), o->piece.count);

    kiln_text_finish(&o->piece);
    return status;
}

static void add_image(struct kiln_text *to, const kiln_scene *scene)
{
    char name[32];
    const char *last = scene->path ? strrchr(scene->path, '/') : NULL;

    snprintf(name, sizeof name, "%06" PRId64 ".png", scene->id);
    kiln_text_add(to, "{\"id\":%" PRId64 ",\"width\":%d,\"height\":%d,\"file_name\":", scene->id,
                  scene->width, scene->height);
    kiln_json_add_text(to, !scene->path ? name : last ? last + 1 : scene->path);
    kiln_text_add(to, "}");
}

static void add_object(struct kiln_text *to, const kiln_scene_object *object, int64_t id, int64_t image,
                       int64_t category)
{
    const float *b = object->box, sides[4] = {b[0], b[1], b[2] - b[0], b[3] - b[1]};

    kiln_text_add(to, "{\"id\":%" PRId64 ",\"image_id\":%" PRId64 ",\"category_id\":%" PRId64 ",\"bbox\":[",
                  id, image, category);
    for (int i = 0; i < 4; i++) {
        kiln_text_add(to, i ? "," : "");
        kiln_json_add_float(to, sides[i]);
    }
    kiln_text_add(to, "],\"area\":");
    kiln_json_add_float(to, object->area);
    kiln_text_add(to, ",\"iscrowd\":%d%s}", object->crowd, object->difficult ? ",\"ignore\":1" : "");
}

static kiln_status add_images(struct out *o, const kiln_dataset *ds)
{
    kiln_status status = KILN_OK;
    kiln_scene scene;

    kiln_text_add(&o->piece, "{\"images\":[");
    for (int64_t row = 0; row < ds->rows && !status; row++) {
        if ((status = kiln_dataset_scene(ds, row, &scene)))
            break;
        kiln_text_add(&o->piece, row ? ",\n" : "\n");
        add_image(&o->piece, &scene);
        status = flush(o);
    }
    return status;
}

static kiln_status add_categories(struct out *o, const kiln_dataset *ds)
{
    kiln_text_add(&o->piece, "\n],\"categories\":[");
    for (int c = 0; kiln_dataset_class(ds, c); c++) {
        kiln_text_add(&o->piece, "%s{\"id\":%" PRId64 ",\"name\":", c ? ",\n" : "\n",
                      kiln_dataset_class_id(ds, c));
        kiln_json_add_text(&o->piece, kiln_dataset_class(ds, c));
        kiln_text_add(&o->piece, "}");
    }
    return flush(o);
}

static kiln_status add_annotations(struct out *o, const kiln_dataset *ds)
{
    kiln_status status = KILN_OK;
    kiln_scene scene;
    int64_t id = 0;

    kiln_text_add(&o->piece, "\n],\"annotations\":[");
    for (int64_t row = 0; row < ds->rows && !status; row++) {
        status = kiln_dataset_scene(ds, row, &scene);
        for (int i = 0; i < scene.count && !status; i++) {
            kiln_text_add(&o->piece, id++ ? ",\n" : "\n");
            add_object(&o->piece, &scene.objects[i], id, scene.id,
                       kiln_dataset_class_id(ds, scene.objects[i].class_index));
            status = flush(o);
        }
    }
    kiln_text_add(&o->piece, "\n]}\n");
    return status ? status : flush(o);
}

kiln_status kiln_coco_save(const char *path, const kiln_dataset *ds)
{
    struct out o = {.path = path};
    kiln_status status;

    if (!kiln_scenes_of(ds->source))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: wanted a dataset of pictures with boxes", path);
    if (!(status = kiln_writer_open(&o.writer, path)) && !(status = add_images(&o, ds)) &&
        !(status = add_categories(&o, ds)))
        status = add_annotations(&o, ds);
    kiln_text_finish(&o.piece);
    if (!status)
        return kiln_writer_commit(&o.writer);
    kiln_writer_abandon(&o.writer);
    return status;
}
