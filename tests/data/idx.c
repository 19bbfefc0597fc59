/* idx.c - MNIST's files: small ones of our own, plain and compressed, bad ones, and the real ones where they are at hand. */
#include "config.h"
#include "files.h"
#include "support/external.h"

#if KILN_HAVE_ZLIB
#include <zlib.h>
#endif

enum { ROWS = 5, SIDE = 4, IMAGES = 16 + ROWS * SIDE * SIDE, LABELS = 8 + ROWS };

static unsigned char images[IMAGES + 1], labels[LABELS + 1];

static void put_number(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* Five pictures of 4 x 4; pixel i of row r is 16 r + i, its label 2 r. */
static void fill_good(void)
{
    put_number(images, 0x803);
    put_number(images + 4, ROWS);
    put_number(images + 8, SIDE);
    put_number(images + 12, SIDE);
    for (int i = 0; i < ROWS * SIDE * SIDE; i++)
        images[16 + i] = (unsigned char)i;
    put_number(labels, 0x801);
    put_number(labels + 4, ROWS);
    for (int r = 0; r < ROWS; r++)
        labels[8 + r] = (unsigned char)(2 * r);
}

static void enter(void)
{
    enter_folder();
    fill_good();
}

static void put_both(size_t image_bytes, size_t label_bytes)
{
    put_file("train-images-idx3-ubyte", images, image_bytes);
    put_file("train-labels-idx1-ubyte", labels, label_bytes);
}

static void expect_good(kiln_split split)
{
    kiln_dataset *ds;
    kiln_batch b;

    cr_assert_eq(kiln_mnist_open(&ds, folder, split), KILN_OK, "%s", lines.newest);
    cr_expect_eq(kiln_dataset_rows(ds), ROWS);
    cr_expect_str_eq(kiln_dataset_class(ds, 3), "3");
    cr_assert_eq(kiln_dataset_next(ds, 8, &b), KILN_OK);
    cr_expect(b.rows == ROWS && b.column[0].shape.rank == 4 && b.column[0].shape.size[3] == SIDE);
    for (int i = 0; i < ROWS * SIDE * SIDE; i++)
        cr_expect_eq(((const float *)b.column[0].data)[i], (float)i / 255);
    for (int r = 0; r < ROWS; r++)
        cr_expect_eq(((const int32_t *)b.column[1].data)[r], 2 * r);
    kiln_dataset_close(&ds);
}

static void expect_refused(const char *what, const char *reason)
{
    kiln_dataset *ds;
    const kiln_status status = kiln_mnist_open(&ds, folder, KILN_SPLIT_TRAIN);
    expect_failure(status, KILN_ERROR_FILE, ds, what, reason);
}

TestSuite(idx, .init = enter, .fini = leave_folder);

/* Plain files -------------------------------------------------------------------------------------------- */

Test(idx, reads_pictures_and_labels)
{
    put_both(IMAGES, LABELS);
    expect_good(KILN_SPLIT_TRAIN);
    put_file("t10k-images-idx3-ubyte", images, IMAGES);
    put_file("t10k-labels-idx1-ubyte", labels, LABELS);
    expect_good(KILN_SPLIT_TEST);
}

Test(idx, refuses_missing_files_and_folders)
{
    kiln_dataset *ds;
    kiln_status status = kiln_mnist_open(&ds, "/tmp/kiln-no-such-folder", KILN_SPLIT_TEST);

    expect_failure(status, KILN_ERROR_FILE, ds, "/tmp/kiln-no-such-folder", "t10k-images-idx3-ubyte.gz");
    put_both(IMAGES, LABELS);
    remove(in_folder("train-labels-idx1-ubyte"));
    expect_refused(folder, "train-labels-idx1-ubyte");
    make_folder("train-labels-idx1-ubyte");
    expect_refused("train-labels", "wanted a file");
}

Test(idx, refuses_files_shorter_and_longer_than_their_headers_say)
{
    const size_t sizes[] = {0, 1, 3, 4, 15, 16, IMAGES - 1, IMAGES + 1};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put_both(sizes[i], LABELS);
        expect_refused("train-images", "bytes");
    }
    for (size_t size = 0; size < LABELS; size++) {
        put_both(IMAGES, size);
        expect_refused("train-labels", "bytes");
    }
}

Test(idx, refuses_headers_that_lie)
{
    const struct {
        int at;
        uint32_t value;
        const char *reason;
    } bad[] = {
        {0, 0x801, "begins with 0x00000801"},
        {0, 0xffffffff, "begins with"},
        {0, 0x1f000000, "begins with"},
        {4, 0, "asks for"},
        {4, 4, "asks for"},
        {4, 0xffffffff, "asks for"},
        {8, 0, "sides from"},
        {8, 0xffffffff, "sides from"},
        {12, 4097, "sides from"},
        {12, 5, "asks for"},
        {4, 0x80000000, "2147483648 rows"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fill_good();
        put_number(images + bad[i].at, bad[i].value);
        put_both(IMAGES, LABELS);
        expect_refused("train-images", bad[i].reason);
    }
}

Test(idx, refuses_labels_that_are_too_many_too_large_or_none)
{
    put_number(labels + 4, ROWS + 1);
    put_both(IMAGES, LABELS + 1);
    expect_refused("5 train pictures", "6 labels");
    fill_good();
    labels[10] = 10;
    put_both(IMAGES, LABELS);
    expect_refused("train label 2", "wanted 0 to 9");
    fill_good();
    put_number(images + 4, 0);
    put_number(labels + 4, 0);
    put_both(16, 8);
    expect_refused(folder, "no rows");
}

/* Compressed files --------------------------------------------------------------------------------------- */

#if KILN_HAVE_ZLIB

static void put_compressed(const char *name, const void *data, size_t bytes)
{
    gzFile file = gzopen(in_folder(name), "wb");

    cr_assert_not_null(file);
    cr_assert_eq(gzwrite(file, data, (unsigned)bytes), (int)bytes);
    cr_assert_eq(gzclose(file), Z_OK);
}

static void put_both_compressed(size_t image_bytes, size_t label_bytes)
{
    put_compressed("train-images-idx3-ubyte.gz", images, image_bytes);
    put_compressed("train-labels-idx1-ubyte.gz", labels, label_bytes);
}

Test(idx, reads_compressed_files)
{
    put_both_compressed(IMAGES, LABELS);
    expect_good(KILN_SPLIT_TRAIN);
    put_file("train-labels-idx1-ubyte", labels, LABELS);
    expect_good(KILN_SPLIT_TRAIN);
}

Test(idx, refuses_bad_compressed_files)
{
    size_t bytes;
    unsigned char *data;

    put_both_compressed(IMAGES - 1, LABELS);
    expect_refused("train-images-idx3-ubyte.gz", "less than");
    put_both_compressed(IMAGES + 1, LABELS);
    expect_refused("train-images-idx3-ubyte.gz", "more than");
    put_both_compressed(7, LABELS);
    expect_refused("train-images-idx3-ubyte.gz", "7 bytes");
    put_both_compressed(0, LABELS);
    expect_refused("train-images-idx3-ubyte.gz", "0 bytes");
    put_both_compressed(IMAGES, LABELS);
    data = get_file("train-images-idx3-ubyte.gz", &bytes);
    put_file("train-images-idx3-ubyte.gz", data, bytes / 2);
    expect_refused("train-images-idx3-ubyte.gz", "less than");
    put_file("train-images-idx3-ubyte.gz", data, bytes - 3);
    expect_refused("train-images-idx3-ubyte.gz", "is damaged");
    data[bytes - 8] ^= 1;
    put_file("train-images-idx3-ubyte.gz", data, bytes);
    expect_refused("train-images-idx3-ubyte.gz", "is damaged");
    memset(data + 10, 0xff, bytes - 10);
    put_file("train-images-idx3-ubyte.gz", data, bytes);
    expect_refused("train-images-idx3-ubyte.gz", "0 bytes");
    free(data);
}

Test(idx, takes_no_memory_for_what_a_compressed_file_cannot_hold)
{
    put_number(images + 4, 0xffffffff);
    put_number(images + 8, 4096);
    put_number(images + 12, 4096);
    put_both_compressed(IMAGES, LABELS);
    expect_refused("train-images-idx3-ubyte.gz", "cannot hold");
}

#endif

/* The real ones ------------------------------------------------------------------------------------------ */

static void expect_real(const char *name, kiln_split split, int64_t rows, double mean)
{
    const char *dir = kiln_test_external(name);
    char path[1200];
    kiln_dataset *ds;
    kiln_batch b;
    double sum = 0;
    int count[10] = {0};

    if (!dir)
        cr_skip("%s is not at hand", name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert_eq(kiln_mnist_open(&ds, path, split), KILN_OK);
    cr_expect_eq(kiln_dataset_rows(ds), rows);
    while (kiln_dataset_next(ds, 500, &b) == KILN_OK && b.rows > 0) {
        for (int64_t i = 0; i < b.rows * 784; i++)
            sum += ((const float *)b.column[0].data)[i];
        for (int64_t i = 0; i < b.rows; i++)
            count[((const int32_t *)b.column[1].data)[i]]++;
    }
    cr_expect_float_eq(sum / (784.0 * (double)rows), mean, 1e-4);
    for (int i = 0; i < 10; i++)
        cr_expect(count[i] > rows / 12 && count[i] < rows / 8);
    kiln_dataset_close(&ds);
}

Test(idx, reads_the_real_mnist)
{
    expect_real("mnist", KILN_SPLIT_TRAIN, 60000, 0.1307);
    expect_real("mnist", KILN_SPLIT_TEST, 10000, 0.1325);
}

Test(idx, reads_the_real_fashion_mnist)
{
    expect_real("fashion-mnist", KILN_SPLIT_TRAIN, 60000, 0.2860);
    expect_real("fashion-mnist", KILN_SPLIT_TEST, 10000, 0.2868);
}
