/* npy.c - NumPy's files of one array: all types, both orders, and no damaged file is believed. */
#include <kiln/import.h>

#include <stdint.h>
#include <unistd.h>

#include "base/own_files.h"

TestSuite(npy, .init = enter_folder, .fini = leave_folder);

static const char *path(void)
{
    return in_folder("array.npy");
}

/* A file of a version, with this description, and the values. */
static void put(int version, const char *description, const void *values, size_t bytes)
{
    unsigned char file[1024] = "\x93NUMPY";
    const size_t length = strlen(description), start = version == 1 ? 10 : 12;

    file[6] = (unsigned char)version;
    file[8] = (unsigned char)(length & 255);
    file[9] = (unsigned char)(length >> 8);
    memcpy(file + start, description, length);
    if (bytes > 0)
        memcpy(file + start + length, values, bytes);
    put_file(path(), file, start + length + bytes);
}

static void expect_array(kiln_type type, kiln_shape shape, const void *values, size_t bytes)
{
    kiln_array a;

    lines.count = 0;
    cr_assert_eq(kiln_npy_load(&a, path()), KILN_OK);
    cr_expect(a.type == type && kiln_shape_equal(&a.shape, &shape) && a.bytes == bytes);
    cr_expect(bytes == 0 || memcmp(a.data, values, bytes) == 0);
    kiln_array_free(&a);
    cr_expect(!a.data);
    kiln_array_free(&a);
}

Test(npy, every_type_and_rank_comes_back)
{
    static const unsigned char values[24 * 8] = {1, 2, 3, 4, 5, 6, 7};
    const kiln_shape shapes[] = {KILN_SCALAR, KILN_SHAPE(3), KILN_SHAPE(2, 0, 3),
                                 KILN_SHAPE(1, 2, 1, 3, 1, 2, 1, 2)};

    for (kiln_type type = KILN_F32; type <= KILN_BOOL; type++) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            const kiln_array a = {.data = (void *)(uintptr_t)values, .type = type, .shape = shapes[i]};
            cr_assert_eq(kiln_npy_save(path(), &a), KILN_OK);
            expect_array(type, shapes[i], values,
                         (size_t)kiln_shape_count(&shapes[i]) * kiln_type_size(type));
        }
    }
}

Test(npy, values_begin_at_a_multiple_of_64)
{
    const float x = 1;
    const kiln_array a = {.data = (void *)(uintptr_t)&x, .shape = KILN_SCALAR};
    size_t bytes;
    unsigned char *file;

    cr_assert_eq(kiln_npy_save(path(), &a), KILN_OK);
    file = get_file(path(), &bytes);
    cr_expect(bytes % 64 == 4 && file[bytes - 5] == '\n');
    free(file);
}

Test(npy, reads_all_versions_and_spellings)
{
    const float x[] = {1, 2};

    put(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", x, 8);
    expect_array(KILN_F32, KILN_SHAPE(2), x, 8);
    put(2, "{'shape': (1, 2), 'fortran_order': False, 'descr': '<f4'}   ", x, 8);
    expect_array(KILN_F32, KILN_SHAPE(1, 2), x, 8);
    put(3, "{\"descr\":\"<i8\",\"fortran_order\":True,\"shape\":()}", x, 8);
    expect_array(KILN_I64, KILN_SCALAR, x, 8);
}

Test(npy, turns_the_other_byte_order_around)
{
    const unsigned char big[] = {0, 1, 0, 2, 0xff, 0xfe};

    put(1, "{'descr': '>i2', 'fortran_order': False, 'shape': (3,)}", big, sizeof big);
    expect_array(KILN_I16, KILN_SHAPE(3), (const int16_t[]){1, 2, -2}, 6);
}

Test(npy, turns_columns_first_into_rows_first)
{
    const uint8_t columns[] = {0, 12, 4, 16, 8,  20, 1, 13, 5, 17, 9,  21,
                               2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23};
    const uint16_t big[] = {0x0100, 0x0300, 0x0200, 0x0400};
    uint8_t rows[24];

    for (int i = 0; i < 24; i++)
        rows[i] = (uint8_t)i;
    put(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4)}", columns, 24);
    expect_array(KILN_U8, KILN_SHAPE(2, 3, 4), rows, 24);
    put(1, "{'descr': '>u2', 'fortran_order': True, 'shape': (2, 2)}", big, 8);
    expect_array(KILN_U16, KILN_SHAPE(2, 2), (const uint16_t[]){1, 2, 3, 4}, 8);
}

static void expect_refused(kiln_status wanted, const char *line, const char *why)
{
    kiln_array a = {.data = &lines};

    lines.count = 0;
    cr_expect_eq(kiln_npy_load(&a, path()), wanted, "%s", why);
    cr_expect(!a.data, "%s", why);
    expect_line(line, why);
}

#define REST ", 'fortran_order': False, 'shape': (1,)}"

static const struct {
    const char *description;
    size_t values;
    kiln_status status;
    const char *line, *why;
} damaged[] = {
    {"", 4, KILN_ERROR_FILE, "damaged", "no description"},
    {"{}", 4, KILN_ERROR_FILE, "damaged", "an empty description"},
    {"{'descr': '<f4'" REST " x", 4, KILN_ERROR_FILE, "damaged", "something behind it"},
    {"{'descr': '<f4', 'descr': '<f4'" REST, 4, KILN_ERROR_FILE, "damaged", "a key twice"},
    {"{'descr': '<f4', 'more': 1" REST, 4, KILN_ERROR_FILE, "damaged", "an unknown key"},
    {"{'descr': [('x', '<f4')]" REST, 4, KILN_ERROR_FILE, "damaged", "a record"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", 4, KILN_ERROR_FILE, "damaged",
     "an order that is none"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, KILN_ERROR_FILE, "damaged",
     "a negative size"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", 4, KILN_ERROR_FILE, "damaged",
     "half a description"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 4, KILN_ERROR_FILE,
     "damaged", "a huge size"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 4, KILN_ERROR_FILE,
     "more values", "a product that wraps"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", 4, KILN_ERROR_FILE, "cut off",
     "far too few values"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 7, KILN_ERROR_FILE, "cut off",
     "values cut off"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 9, KILN_ERROR_FILE, "too long",
     "bytes behind the values"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}", 4,
     KILN_ERROR_UNSUPPORTED, "8 axes", "too many axes"},
    {"{'descr': '<c8'" REST, 8, KILN_ERROR_UNSUPPORTED, "<c8", "complex numbers"},
    {"{'descr': '|O'" REST, 8, KILN_ERROR_UNSUPPORTED, "|O", "objects"},
    {"{'descr': ''" REST, 8, KILN_ERROR_UNSUPPORTED, "''", "no type"},
};

Test(npy, no_damaged_description_is_believed)
{
    static const char values[16];

    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put(1, damaged[i].description, values, damaged[i].values);
        expect_refused(damaged[i].status, damaged[i].line, damaged[i].why);
    }
}

Test(npy, refuses_files_that_are_none)
{
    put_file(path(), "", 0);
    expect_refused(KILN_ERROR_FILE, "no .npy file", "an empty file");
    put_file(path(), "PK\3\4 and so on", 13);
    expect_refused(KILN_ERROR_FILE, "no .npy file", "another format");
    put_file(path(), "\x93NUMPY\1", 7);
    expect_refused(KILN_ERROR_FILE, "cut off", "a header cut off");
    put_file(path(), "\x93NUMPY\1\0\xff\xff{", 11);
    expect_refused(KILN_ERROR_FILE, "65535 bytes", "a description longer than the file");
    put_file(path(), "\x93NUMPY\2\0\xff\xff\xff\xff{", 13);
    expect_refused(KILN_ERROR_FILE, "4294967295 bytes", "a description longer than any file");
    put(4, "{}", NULL, 0);
    expect_refused(KILN_ERROR_UNSUPPORTED, "version 4.0", "a version to come");
    unlink(path());
    expect_refused(KILN_ERROR_FILE, "No such file", "no file");
}

Test(npy, refuses_to_write_what_has_no_size)
{
    const kiln_array a = {.data = &lines, .shape = KILN_SHAPE(KILN_BATCH, 2)};

    cr_expect_eq(kiln_npy_save(path(), &a), KILN_ERROR_ARGUMENT);
    expect_line("[?, 2]", "a symbolic size");
    cr_expect_eq(count_files(), 0);
}
