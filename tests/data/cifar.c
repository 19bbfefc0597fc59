/* cifar.c - CIFAR-10's binary version, on generated files. */
#include "files.h"

enum { RECORD = 3073 };

static unsigned char records[4 * RECORD];

/* `count` records: labels from `first` on, pixels of plane p of record r: r + 10 p. */
static void put_batch(const char *name, int count, int first, size_t bytes)
{
    for (int r = 0; r < count; r++) {
        records[r * RECORD] = (unsigned char)(first + r);
        for (int i = 0; i < 3072; i++)
            records[r * RECORD + 1 + i] = (unsigned char)(r + 10 * (i / 1024));
    }
    put_file(name, records, bytes);
}

static void put_train(void)
{
    char name[32];

    for (int i = 1; i <= 5; i++) {
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        put_batch(name, 2, i, 2 * RECORD);
    }
}

TestSuite(cifar, .init = enter_folder, .fini = leave_folder);

Test(cifar, reads_records_across_files)
{
    static float image[3072];
    kiln_dataset *ds;
    int32_t label;

    put_train();
    cr_assert_eq(kiln_cifar_open(&ds, folder, KILN_SPLIT_TRAIN), KILN_OK);
    cr_expect_eq(kiln_dataset_rows(ds), 10);
    for (int row = 0; row < 10; row++) {
        cr_assert_eq(kiln_dataset_get(ds, row, 0, &(kiln_array){.data = image}), KILN_OK);
        cr_assert_eq(kiln_dataset_get(ds, row, 1, &(kiln_array){.data = &label}), KILN_OK);
        cr_expect_eq(label, 1 + row / 2 + row % 2);
        cr_expect(image[1023] == (float)(row % 2) / 255 && image[2048] == (float)(row % 2 + 20) / 255);
    }
    cr_expect_str_eq(kiln_dataset_class(ds, 9), "truck");
    kiln_dataset_close(&ds);
    put_batch("test_batch.bin", 3, 0, 3 * RECORD);
    cr_assert_eq(kiln_cifar_open(&ds, folder, KILN_SPLIT_TEST), KILN_OK);
    cr_expect_eq(kiln_dataset_rows(ds), 3);
    kiln_dataset_close(&ds);
}

static void expect_refused(const char *reason)
{
    kiln_dataset *ds;
    const kiln_status status = kiln_cifar_open(&ds, folder, KILN_SPLIT_TEST);
    expect_failure(status, KILN_ERROR_FILE, ds, "test_batch.bin", reason);
}

Test(cifar, refuses_bad_files_with_one_line)
{
    kiln_dataset *ds;
    kiln_status status;

    expect_refused("No such file");
    put_file("test_batch.bin", "", 0);
    expect_refused("0 bytes");
    put_batch("test_batch.bin", 2, 0, 2 * RECORD - 1);
    expect_refused("whole records");
    put_batch("test_batch.bin", 2, 9, 2 * RECORD);
    expect_refused("label 1 is 10");
    put_train();
    remove(in_folder("data_batch_4.bin"));
    status = kiln_cifar_open(&ds, folder, KILN_SPLIT_TRAIN);
    expect_failure(status, KILN_ERROR_FILE, ds, "data_batch_4.bin", "No such file");
}
