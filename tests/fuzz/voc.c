/* voc.c - any bytes as an annotation of Pascal VOC: a row, or refused; what is read lies in its picture. */
#include <kiln/scenes.h>

#include "fuzz/fuzz.h"

static char folder[64], annotation[96], picture[96];

static void remove_folder(void)
{
    remove(annotation);
    remove(picture);
    remove(folder);
}

static void make_folder(void)
{
    make_folder_at(folder);
    snprintf(annotation, sizeof annotation, "%s/a.xml", folder);
    snprintf(picture, sizeof picture, "%s/a.png", folder);
    put_file(picture, "", 0);
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const kiln_scene_params params = {.image = {.shape = {.rank = 3, .size = {3, 8, 8}}}};
    kiln_dataset *ds;
    kiln_scene scene;

    be_silent();
    if (!folder[0])
        make_folder();
    put_file(annotation, data, size);
    if (kiln_voc_open(&ds, folder, NULL, &params))
        return 0;
    if (kiln_dataset_rows(ds) != 1 || kiln_dataset_scene(ds, 0, &scene))
        abort();
    for (int i = 0; i < scene.count; i++) {
        const float *b = scene.objects[i].box;
        if (!(b[0] >= 0 && b[1] >= 0 && b[0] < b[2] && b[1] < b[3] && b[2] <= (float)scene.width &&
              b[3] <= (float)scene.height) ||
            !kiln_dataset_class(ds, scene.objects[i].class_index))
            abort();
    }
    kiln_dataset_close(&ds);
    return 0;
}
