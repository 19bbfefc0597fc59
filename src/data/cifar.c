/*
 * cifar.c - CIFAR-10, binary version: records of a label byte and 3 x 32 x 32 bytes, planes of red, green, blue.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "data/source.h"

enum { CLASSES = 10, PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS, TRAIN_FILES = 5 };

struct cifar {
    struct kiln_source source;
    struct kiln_file files[TRAIN_FILES];
};

static int64_t records(const struct kiln_file *file)
{
    return (int64_t)(file->size / RECORD);
}

static kiln_status cifar_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const struct kiln_file *file = ((const struct cifar *)source)->files;
    const unsigned char *record;
    float *to = item;

    while (row >= records(file))
        row -= records(file++);
    record = (const unsigned char *)file->data + row * RECORD;
    if (column == 1) {
        *(int32_t *)item = record[0];
        return KILN_OK;
    }
    for (int i = 0; i < PIXELS; i++)
        to[i] = (float)record[1 + i] / 255;
    return KILN_OK;
}

static void cifar_close(struct kiln_source *source)
{
    struct cifar *c = (struct cifar *)source;

    for (int i = 0; i < TRAIN_FILES; i++)
        kiln_file_unmap(&c->files[i]);
}

static const struct kiln_source_ops cifar_ops = {.read = cifar_read, .close = cifar_close};

static kiln_status check_file(const struct kiln_file *file, const char *path)
{
    const unsigned char *data = file->data;

    if (file->size == 0 || file->size % RECORD != 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: %zu bytes, wanted whole records of %d", path, file->size,
                         RECORD);
    for (int64_t i = 0; i < records(file); i++)
        if (data[i * RECORD] >= CLASSES)
            return kiln_fail(KILN_ERROR_FILE, "%s: label %lld is %d, wanted 0 to %d", path, (long long)i,
                             data[i * RECORD], CLASSES - 1);
    return KILN_OK;
}

static kiln_status add_file(struct cifar *c, int index, const char *dir, const char *name)
{
    struct kiln_text path = {0};
    kiln_status status;

    kiln_text_add(&path, "%s/%s", dir, name);
    if (!(status = kiln_file_map(&c->files[index], kiln_text_get(&path))))
        status = check_file(&c->files[index], kiln_text_get(&path));
    if (!status)
        c->source.rows += records(&c->files[index]);
    kiln_text_finish(&path);
    return status;
}

static kiln_status add_files(struct cifar *c, const char *dir, kiln_split split)
{
    char name[32];
    kiln_status status = KILN_OK;

    if (split == KILN_SPLIT_TEST)
        return add_file(c, 0, dir, "test_batch.bin");
    for (int i = 0; i < TRAIN_FILES && !status; i++) {
        snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
        status = add_file(c, i, dir, name);
    }
    return status;
}

kiln_status kiln_cifar_open(kiln_dataset **out, const char *dir, kiln_split split)
{
    static const char *const names[CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                               "dog",      "frog",       "horse", "ship", "truck"};
    struct cifar *c = kiln_source_create(sizeof *c, &cifar_ops);
    kiln_status status;

    *out = NULL;
    if (!c)
        return KILN_ERROR_MEMORY;
    if ((status = add_files(c, dir, split)) ||
        (status = kiln_source_set_pictures(&c->source, KILN_SHAPE(3, 32, 32), CLASSES, names))) {
        kiln_source_release(&c->source);
        return status;
    }
    return kiln_dataset_create(out, &c->source, dir);
}
