/*
 * folder.c - a folder of pictures, one folder a class: names are collected and sorted when it is opened, pictures decoded
 * when they are read.
 */
#include <string.h>

#include "base/log.h"
#include "base/vec.h"
#include "data/files.h"
#include "data/picture.h"
#include "data/source.h"

struct file {
    const char *path;
    int32_t label;
};

struct folder {
    struct kiln_source source;
    struct kiln_image_target target;
    KILN_VEC(struct file) files;
};

static kiln_status folder_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const struct folder *f = (const struct folder *)source;
    const struct file *file = &f->files.data[row];
    struct kiln_picture picture;
    kiln_status status;

    if (column == 1) {
        *(int32_t *)item = file->label;
        return KILN_OK;
    }
    if (!(status = kiln_picture_load(&picture, file->path)))
        status = kiln_picture_render(&picture, &f->target, item);
    kiln_picture_free(&picture);
    return status;
}

static void folder_close(struct kiln_source *source)
{
    kiln_vec_finish(&((struct folder *)source)->files);
}

static const struct kiln_source_ops folder_ops = {.slow = true, .read = folder_read, .close = folder_close};

/* Opening ------------------------------------------------------------------------------------------------ */

static kiln_status add_class(struct folder *f, const char *path, int32_t label)
{
    kiln_names paths = {0};
    kiln_status status = kiln_list_paths(&paths, &f->source.arena, path, kiln_is_picture);

    if (!status && paths.count == 0)
        status = kiln_fail(KILN_ERROR_FILE, "%s: holds no pictures (.png, .jpg, .jpeg)", path);
    for (int i = 0; i < paths.count && !status; i++)
        if (!kiln_vec_push(&f->files, (struct file){paths.data[i], label}))
            status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list it", path);
    kiln_vec_finish(&paths);
    return status;
}

static kiln_status add_classes(struct folder *f, const char *dir, const kiln_names *classes)
{
    const kiln_shape shape =
        KILN_SHAPE((int64_t)f->target.channels, (int64_t)f->target.height, (int64_t)f->target.width);
    const char **last = kiln_arena_alloc(&f->source.arena, (size_t)classes->count * sizeof *last);
    kiln_status status = KILN_OK;

    if (classes->count == 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: holds no folders, wanted one for each class", dir);
    if (!last)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list it", dir);
    for (int i = 0; i < classes->count && !status; i++) {
        last[i] = strrchr(classes->data[i], '/') + 1;
        status = add_class(f, classes->data[i], i);
    }
    f->source.rows = f->files.count;
    if (!status)
        status = kiln_source_set_pictures(&f->source, shape, classes->count, last);
    f->source.column[0].type = f->target.params.type;
    return status;
}

static kiln_status open_folder(struct folder *f, const char *dir, const kiln_image_params *image)
{
    kiln_names classes = {0};
    kiln_status status;

    if (image->layout != KILN_IMAGE_CHANNELS_FIRST)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: pictures of a dataset have their channels first", dir);
    if ((status = kiln_image_target_of(&f->target, image, NULL)))
        return status;
    if (!(status = kiln_list_paths(&classes, &f->source.arena, dir, kiln_is_folder)))
        status = add_classes(f, dir, &classes);
    kiln_vec_finish(&classes);
    return status;
}

kiln_status kiln_image_folder_open(kiln_dataset **out, const char *dir, const kiln_image_params *image)
{
    struct folder *f = kiln_source_create(sizeof *f, &folder_ops);
    kiln_status status;

    *out = NULL;
    if (!f)
        return KILN_ERROR_MEMORY;
    if ((status = open_folder(f, dir, image ? image : &(kiln_image_params){0}))) {
        kiln_source_release(&f->source);
        return status;
    }
    return kiln_dataset_create(out, &f->source, dir);
}
