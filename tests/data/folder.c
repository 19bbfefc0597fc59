/* folder.c - folders of pictures: classes and order, and what a folder may lack; CIFAR-10 as JPEG where it is at hand. */
#include "files.h"
#include "support/external.h"

static void put_picture(const char *name, unsigned char value)
{
    unsigned char pixels[12];
    const kiln_array a = {.data = pixels, .type = KILN_U8, .shape = KILN_SHAPE(2, 2, 3)};

    memset(pixels, value, sizeof pixels);
    cr_assert_eq(kiln_image_save_png(in_folder(name), &a), KILN_OK);
}

TestSuite(folder, .init = enter_folder, .fini = leave_folder);

Test(folder, orders_classes_and_pictures_by_name)
{
    static const struct {
        const char *name;
        int value, label;
    } files[] = {{"ant/a.png", 51, 0}, {"ant/b.PNG", 102, 0}, {"bee/a.png", 153, 1}, {"wasp/0.png", 204, 2}};
    kiln_dataset *ds;
    kiln_batch b;

    make_folder("wasp");
    make_folder("bee");
    make_folder("ant");
    make_folder(".cache");
    for (int i = 3; i >= 0; i--)
        put_picture(files[i].name, (unsigned char)files[i].value);
    put_file("ant/readme.txt", "x", 1);
    put_file("list.csv", "x", 1);

    cr_assert_eq(kiln_image_folder_open(&ds, folder, &(kiln_image_params){.shape = KILN_SHAPE(-1, 3, 4)}),
                 KILN_OK);
    cr_expect_eq(kiln_dataset_rows(ds), 4);
    cr_expect_str_eq(kiln_dataset_class(ds, 1), "bee");
    cr_expect_eq(kiln_dataset_column(ds, 1)->classes, 3);
    cr_assert_eq(kiln_dataset_next(ds, 4, &b), KILN_OK);
    cr_expect(b.column[0].shape.size[1] == 3 && b.column[0].shape.size[2] == 3 &&
              b.column[0].shape.size[3] == 4);
    for (int i = 0; i < 4; i++) {
        cr_expect_float_eq(((const float *)b.column[0].data)[i * 36 + 35], files[i].value / 255.0, 1e-6);
        cr_expect_eq(((const int32_t *)b.column[1].data)[i], files[i].label);
    }
    kiln_dataset_close(&ds);
}

static void expect_refused(const char *dir, kiln_shape shape, kiln_status wanted, const char *what,
                           const char *reason)
{
    kiln_dataset *ds;
    const kiln_status status = kiln_image_folder_open(&ds, dir, &(kiln_image_params){.shape = shape});
    expect_failure(status, wanted, ds, what, reason);
}

Test(folder, refuses_what_is_no_folder_of_classes)
{
    const kiln_shape shape = KILN_SHAPE(3, 8, 8);

    expect_refused("/tmp/kiln-no-such-folder", shape, KILN_ERROR_FILE, "/tmp/kiln-no-such-folder",
                   "No such file");
    expect_refused(folder, shape, KILN_ERROR_FILE, folder, "no folders");
    put_file("file", "x", 1);
    expect_refused(in_folder("file"), shape, KILN_ERROR_FILE, "/file", "Not a directory");
    make_folder("empty");
    expect_refused(folder, shape, KILN_ERROR_FILE, "/empty", "no pictures");
    expect_refused(folder, KILN_SCALAR, KILN_ERROR_SHAPE, "picture", "0 x 0");
    expect_refused(folder, KILN_SHAPE(3, -1, 8), KILN_ERROR_SHAPE, "picture", "0 x 8");
    expect_refused(folder, KILN_SHAPE(4, 8, 8), KILN_ERROR_SHAPE, "picture", "4 channels");
    expect_refused(folder, KILN_SHAPE(8, 8), KILN_ERROR_SHAPE, "picture", "[8, 8]");
}

Test(folder, reads_the_real_cifar_10)
{
    const char *dir = kiln_test_external("cifar10-jpeg");
    const float mean[3] = {0.4914f, 0.4822f, 0.4465f}, deviation[3] = {0.247f, 0.2435f, 0.2616f};
    kiln_image_params params = {.shape = KILN_SHAPE(3, 32, 32)};
    double sum[3] = {0};
    char path[1200];
    kiln_dataset *ds;
    kiln_batch b;

    if (!dir)
        cr_skip("cifar10-jpeg is not at hand");
    snprintf(path, sizeof path, "%s/cifar10-jpeg/test", dir);
    memcpy(params.mean, mean, sizeof mean);
    memcpy(params.deviation, deviation, sizeof deviation);
    cr_assert_eq(kiln_image_folder_open(&ds, path, &params), KILN_OK);
    cr_expect_eq(kiln_dataset_rows(ds), 10000);
    cr_expect_str_eq(kiln_dataset_class(ds, 3), "cat");
    kiln_dataset_set_params(ds, &(kiln_dataset_params){.shuffle = true});
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(kiln_dataset_next(ds, 100, &b), KILN_OK);
        for (int64_t j = 0; j < 100 * 3 * 1024; j++)
            sum[j / 1024 % 3] += ((const float *)b.column[0].data)[j];
    }
    for (int c = 0; c < 3; c++)
        cr_expect_float_eq(sum[c] / (2000 * 1024), 0, 0.05);
    kiln_dataset_close(&ds);
}
