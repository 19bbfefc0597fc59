/* coco.c - any bytes as COCO's annotations, and as its results: read, or refused; every object has a class and a box. */
#include <math.h>

#include <kiln/scenes.h>

#include "fuzz/fuzz.h"

static void read_scenes(const char *path)
{
    const kiln_scene_params params = {.image = {.shape = {.rank = 3, .size = {3, 8, 8}}}};
    kiln_dataset *ds;
    kiln_scene scene;

    if (kiln_coco_open(&ds, path, "/nowhere", &params))
        return;
    for (int64_t row = 0; row < kiln_dataset_rows(ds); row++) {
        if (kiln_dataset_scene(ds, row, &scene))
            abort();
        for (int i = 0; i < scene.count; i++) {
            const float *b = scene.objects[i].box;
            if (!(b[0] < b[2] && b[1] < b[3]) || !kiln_dataset_class(ds, scene.objects[i].class_index))
                abort();
        }
    }
    kiln_dataset_close(&ds);
}

static void read_results(const char *path)
{
    kiln_result *results;
    int64_t count;

    if (kiln_results_load(&results, &count, path))
        return;
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < 4; k++)
            if (!isfinite(results[i].box[k]))
                abort();
    kiln_results_free(&results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);

    be_silent();
    read_scenes(path);
    read_results(path);
    return 0;
}
