/* data.c - pictures with boxes: generated, or of a folder in Pascal VOC's or COCO's form. */
#include "detect.h"

#include <stdio.h>
#include <string.h>

kiln_image_params image_params(int width, int height)
{
    return (
        kiln_image_params){.shape = KILN_SHAPE(3, height, width), .fit = KILN_IMAGE_LETTERBOX, .bars = 0.45f};
}

static bool is_there(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file;
}

/* Whether generated pictures have the classes that a model knows. */
static kiln_status check_classes(const kiln_dataset *shapes, const struct model *of)
{
    for (int i = 0; i < of->task.classes; i++) {
        const char *name = kiln_dataset_class(shapes, i);
        if (!name || strcmp(name, of->class[i])) {
            fprintf(stderr, "detect: no generated picture shows the model's class \"%s\"; it needs --data\n",
                    of->class[i]);
            return KILN_ERROR_ARGUMENT;
        }
    }
    return KILN_OK;
}

/* Other splits are other scenes. */
static kiln_status open_shapes(kiln_dataset **out, const char *split, int rows, kiln_scene_params scene)
{
    const bool train = !strcmp(split, "train");
    const uint64_t seed = train ? 1 : !strcmp(split, "val") ? 2 : 3;
    scene.most = 6;
    return kiln_shapes_open(
        out, &(kiln_shapes_params){.rows = train ? rows : rows / 10 + 1, .seed = seed, .scene = scene});
}

kiln_status open_data(kiln_dataset **out, const struct options *o, const char *split, const struct task *task,
                      const struct model *of)
{
    kiln_scene_params scene = {.image = image_params(task->width, task->height)};
    char json[4096], folder[4096];
    if (!o->data) {
        const kiln_status status = open_shapes(out, split, o->rows, scene);
        return status || !of ? status : check_classes(*out, of);
    }
    scene.most = 64; /* a mosaic shows those of four pictures */
    if (of) {
        scene.classes = (const char *const *)of->class;
        scene.class_count = of->task.classes;
    }
    snprintf(json, sizeof json, "%s/%s.json", o->data, split);
    snprintf(folder, sizeof folder, "%s/%s", o->data, split);
    return is_there(json) ? kiln_coco_open(out, json, folder, &scene)
                          : kiln_voc_open(out, o->data, split, &scene);
}
