/* loader.c - what the loader does with pictures that cannot be read, and when a dataset ends in the midst of its work. */
#include <time.h>

#include "files.h"

static void put_picture(const char *name, int size)
{
    static unsigned char pixels[64 * 64];
    kiln_array a = {.data = pixels, .type = KILN_U8, .shape = KILN_SHAPE(size, size)};

    memset(pixels, size, sizeof pixels);
    cr_assert_eq(kiln_image_save_png(in_folder(name), &a), KILN_OK);
}

static kiln_dataset *pictures(int count)
{
    kiln_dataset *ds;
    char name[32];

    make_folder("a");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "a/%03d.png", i);
        put_picture(name, 10 + i);
    }
    cr_assert_eq(kiln_image_folder_open(&ds, folder, &(kiln_image_params){.shape = KILN_SHAPE(1, 8, 8)}),
                 KILN_OK);
    return ds;
}

TestSuite(loader, .init = enter_folder, .fini = leave_folder);

Test(loader, reports_a_bad_picture_when_its_batch_is_asked_for_and_tries_again)
{
    kiln_dataset *ds = pictures(8);
    kiln_batch b;

    put_file("a/005.png", "none", 4);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(kiln_dataset_next(ds, 2, &b), KILN_OK);
        cr_expect_eq(b.rows, 2);
    }
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(kiln_dataset_next(ds, 2, &b), KILN_ERROR_FILE);
        cr_expect(b.rows == 0 && b.columns == 0);
        cr_expect_eq(kiln_dataset_position(ds).row, 4, "the position stays");
    }
    cr_expect_eq(lines.count, 2, "a line for each try");
    cr_expect(strstr(lines.newest, "a/005.png"), "%s", lines.newest);
    put_picture("a/005.png", 15);
    cr_expect_eq(kiln_dataset_next(ds, 2, &b), KILN_OK);
    cr_assert_eq(b.rows, 2);
    cr_expect_float_eq(((float *)b.column[0].data)[64], 15 / 255.0, 1e-6);
    kiln_dataset_close(&ds);
}

Test(loader, keeps_the_lent_batch_as_it_is_while_the_next_are_prepared)
{
    kiln_dataset *ds = pictures(9);
    kiln_batch b;

    for (int i = 0; i < 40; i++) {
        cr_assert_eq(kiln_dataset_next(ds, 1, &b), KILN_OK);
        if (b.rows == 0)
            continue;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        for (int j = 0; j < 64; j++)
            cr_assert_float_eq(((float *)b.column[0].data)[j], (10 + i % 10) / 255.0, 1e-6);
    }
    kiln_dataset_close(&ds);
}

Test(loader, ends_at_any_moment)
{
    kiln_dataset *all = pictures(20);

    for (int i = 0; i < 60; i++) {
        kiln_dataset *ds;
        kiln_batch b;
        cr_assert_eq(kiln_dataset_slice(&ds, all, 0, 20), KILN_OK);
        for (int j = 0; j < i % 4; j++)
            cr_assert_eq(kiln_dataset_next(ds, 1 + i % 7, &b), KILN_OK);
        kiln_dataset_close(&ds);
    }
    kiln_dataset_close(&all);
}
