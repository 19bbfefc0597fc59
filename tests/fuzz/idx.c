/*
 * idx.c - any bytes as MNIST's two files, the first two of them saying how long the second, of labels, is: every row is read, or the
 * files are refused.
 */
#include <kiln/data.h>

#include "fuzz/fuzz.h"

static char folder[64], images[96], labels[96];

static void remove_folder(void)
{
    remove(images);
    remove(labels);
    remove(folder);
}

static void make_folder(void)
{
    make_folder_at(folder);
    snprintf(images, sizeof images, "%s/t10k-images-idx3-ubyte", folder);
    snprintf(labels, sizeof labels, "%s/t10k-labels-idx1-ubyte", folder);
    atexit(remove_folder);
}

static void read_rows(kiln_dataset *ds)
{
    const size_t bytes = 4 * (size_t)kiln_shape_count(&kiln_dataset_column(ds, 0)->shape);
    float *values = malloc(bytes);
    int32_t label;

    for (int64_t row = 0; row < kiln_dataset_rows(ds) && row < 64; row++) {
        if (kiln_dataset_get(ds, row, 0, &(kiln_array){.data = values, .bytes = bytes}) ||
            kiln_dataset_get(ds, row, 1, &(kiln_array){.data = &label, .bytes = 4, .type = KILN_I32}))
            abort();
        touch(values, bytes);
    }
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t wanted = size < 2 ? 0 : (size_t)data[0] << 8 | data[1];
    const size_t rest = size < 2 ? 0 : size - 2, second = wanted < rest ? wanted : rest;
    kiln_dataset *ds;

    be_silent();
    if (!folder[0])
        make_folder();
    put_file(images, data + (size - rest), rest - second);
    put_file(labels, data + (size - second), second);
    if (kiln_mnist_open(&ds, folder, KILN_SPLIT_TEST))
        return 0;
    read_rows(ds);
    kiln_dataset_close(&ds);
    return 0;
}
