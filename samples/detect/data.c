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

/* Other splits are other scenes. */
static kiln_status open_shapes(kiln_dataset **out, const char *split, int rows, kiln_scene_params scene)
{
    const bool train = !strcmp(split, "train");
    const uint64_t seed = train ? 1 : !strcmp(split, "val") ? 2 : 3;
    scene.most = 6;
    return kiln_shapes_open(
        out, &(kiln_shapes_params){.rows = train ? rows : rows / 10 + 1, .seed = seed, .scene = scene});
}

kiln_status open_data(kiln_dataset **out, const char *dir, const char *split, int rows, int width, int height)
{
    const kiln_scene_params scene = {.image = image_params(width, height),
                                     .most = 64}; /* a mosaic shows those of four pictures */
    char json[4096], folder[4096];
    if (!dir)
        return open_shapes(out, split, rows, scene);
    snprintf(json, sizeof json, "%s/%s.json", dir, split);
    snprintf(folder, sizeof folder, "%s/%s", dir, split);
    return is_there(json) ? kiln_coco_open(out, json, folder, &scene)
                          : kiln_voc_open(out, dir, split, &scene);
}
