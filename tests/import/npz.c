/* npz.c - archives of arrays: stored and deflated, and no damaged archive is believed. */
#include <kiln/import.h>

#include <stdint.h>

#include "base/own_files.h"
#include "config.h"

#if KILN_HAVE_ZLIB

#include <zlib.h>

TestSuite(npz, .init = enter_folder, .fini = leave_folder);

static const char *path(void)
{
    return in_folder("arrays.npz");
}

static float x[] = {1, 2, 3, 4, 5, 6};
static int64_t y[] = {7};
static const char *const names[] = {"images", "labels", "none"};

static kiln_status save(void)
{
    const kiln_array arrays[] = {
        {.data = x, .shape = KILN_SHAPE(2, 3)},
        {.data = y, .type = KILN_I64, .shape = KILN_SCALAR},
        {.data = NULL, .type = KILN_U8, .shape = KILN_SHAPE(0)},
    };
    return kiln_npz_save(path(), names, arrays, 3);
}

Test(npz, what_is_written_comes_back)
{
    kiln_npz *z;
    kiln_array a;

    cr_assert_eq(save(), KILN_OK);
    cr_assert_eq(kiln_npz_open(&z, path()), KILN_OK);
    cr_assert_eq(kiln_npz_count(z), 3);
    for (int i = 0; i < 3; i++)
        cr_expect_str_eq(kiln_npz_name(z, i), names[i]);
    cr_expect(!kiln_npz_name(z, 3) && !kiln_npz_name(z, -1));
    cr_assert_eq(kiln_npz_load(z, "images", &a), KILN_OK);
    cr_expect(a.shape.rank == 2 && a.shape.size[1] == 3 && memcmp(a.data, x, sizeof x) == 0);
    kiln_array_free(&a);
    cr_assert_eq(kiln_npz_load(z, "labels", &a), KILN_OK);
    cr_expect(a.type == KILN_I64 && a.shape.rank == 0 && *(int64_t *)a.data == 7);
    kiln_array_free(&a);
    cr_assert_eq(kiln_npz_load(z, "none", &a), KILN_OK);
    cr_expect(a.bytes == 0 && a.shape.size[0] == 0);
    kiln_array_free(&a);
    cr_expect_eq(kiln_npz_load(z, "nobody", &a), KILN_ERROR_ARGUMENT);
    expect_line("no array \"nobody\"", "an unknown name");
    kiln_npz_close(&z);
    kiln_npz_close(&z);
}

Test(npz, refuses_two_arrays_of_one_name)
{
    const kiln_array arrays[] = {{.data = x, .shape = KILN_SCALAR}, {.data = x, .shape = KILN_SCALAR}};

    cr_expect_eq(kiln_npz_save(path(), (const char *const[]){"a", "a"}, arrays, 2), KILN_ERROR_ARGUMENT);
    expect_line("two arrays are named \"a\"", "two of one name");
    cr_expect_eq(count_files(), 0);
}

/* A deflated archive, as others write it ----------------------------------------------------------------- */

static void put16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}

static void put32(unsigned char *at, uint32_t value)
{
    put16(at, value & 0xffff);
    put16(at + 2, value >> 16);
}

/* An .npy of 1000 zero bytes. */
static size_t make_npy(unsigned char *to)
{
    static const char description[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000,)}";
    const size_t length = sizeof description - 1;

    memcpy(to, "\x93NUMPY\1\0", 8);
    put16(to + 8, (unsigned)length);
    memcpy(to + 10, description, length);
    memset(to + 10 + length, 0, 1000);
    return 10 + length + 1000;
}

static size_t deflate_to(unsigned char *to, size_t room, unsigned char *from, size_t bytes)
{
    z_stream stream = {.next_in = from, .avail_in = (uInt)bytes, .next_out = to, .avail_out = (uInt)room};

    cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

/* Where the parts of the archive lie, for tests to damage them. */
static struct {
    unsigned char bytes[4096];
    size_t size, entry, end;
} zip;

/* One deflated member "a.npy"; the local header leaves its sizes to a ZIP64 field, as NumPy's do. */
static void make_archive(void)
{
    unsigned char npy[2048];
    const size_t bytes = make_npy(npy), packed = deflate_to(zip.bytes + 55, 2000, npy, bytes);
    unsigned char *local = zip.bytes, *entry, *end;

    memset(local, 0, 55);
    put32(local, 0x04034b50);
    put16(local + 8, 8);
    put32(local + 18, 0xffffffff);
    put32(local + 22, 0xffffffff);
    put16(local + 26, 5);
    put16(local + 28, 20);
    memcpy(local + 30, "a.npy", 5);

    zip.entry = 55 + packed;
    entry = memset(zip.bytes + zip.entry, 0, 200);
    put32(entry, 0x02014b50);
    put16(entry + 10, 8);
    put32(entry + 16, (uint32_t)crc32(0, npy, (uInt)bytes));
    put32(entry + 20, (uint32_t)packed);
    put32(entry + 24, (uint32_t)bytes);
    put16(entry + 28, 5);
    memcpy(entry + 46, "a.npy", 5);

    zip.end = zip.entry + 51;
    end = zip.bytes + zip.end;
    put32(end, 0x06054b50);
    put16(end + 8, 1);
    put16(end + 10, 1);
    put32(end + 12, 51);
    put32(end + 16, (uint32_t)zip.entry);
    put16(end + 20, 7);
    memcpy(end + 22, "comment", 7);
    zip.size = zip.end + 29;
}

static kiln_status load(void)
{
    kiln_npz *z;
    kiln_array a = {0};
    kiln_status status;

    lines.count = 0;
    put_file(path(), zip.bytes, zip.size);
    if (!(status = kiln_npz_open(&z, path())))
        status = kiln_npz_load(z, "a", &a);
    cr_expect(!status == !!a.data);
    kiln_array_free(&a);
    kiln_npz_close(&z);
    return status;
}

Test(npz, reads_a_deflated_member_behind_a_zip64_header)
{
    make_archive();
    cr_expect_eq(load(), KILN_OK, "%s", lines.newest);
}

enum { LOCAL, ENTRY, END };

static const struct {
    int part, at, width;
    uint32_t value;
    kiln_status status;
    const char *line, *why;
} damages[] = {
    {LOCAL, 0, 4, 0, KILN_ERROR_FILE, "no such member", "no local header"},
    {LOCAL, 8, 2, 0, KILN_ERROR_FILE, "no such member", "a local header that packs otherwise"},
    {LOCAL, 26, 2, 0xffff, KILN_ERROR_FILE, "there is room for 0", "a local name past the end"},
    {LOCAL, 60, 4, 0x12345678, KILN_ERROR_FILE, "damaged", "other bytes"},
    {ENTRY, 0, 4, 0, KILN_ERROR_FILE, "entry 0 of 1", "no entry"},
    {ENTRY, 8, 2, 1, KILN_ERROR_UNSUPPORTED, "encrypted", "a secret"},
    {ENTRY, 10, 2, 99, KILN_ERROR_UNSUPPORTED, "method 99", "an unknown way of packing"},
    {ENTRY, 10, 2, 0, KILN_ERROR_FILE, "claims that", "stored bytes that are more than they are"},
    {ENTRY, 16, 4, 1, KILN_ERROR_FILE, "the sum", "a wrong sum"},
    {ENTRY, 20, 4, 1000, KILN_ERROR_FILE, "there is room for", "more packed bytes than there are"},
    {ENTRY, 20, 4, 5, KILN_ERROR_FILE, "does not unpack", "fewer packed bytes"},
    {ENTRY, 20, 4, 0xffffffff, KILN_ERROR_UNSUPPORTED, "ZIP64", "a size in ZIP64"},
    {ENTRY, 24, 4, 1001, KILN_ERROR_FILE, "does not unpack to 1001", "fewer bytes than there are"},
    {ENTRY, 24, 4, 2000, KILN_ERROR_FILE, "does not unpack to 2000", "more bytes than there are"},
    {ENTRY, 24, 4, 0xfffffffe, KILN_ERROR_FILE, "claims that", "more bytes than deflate can gain"},
    {ENTRY, 28, 2, 0xffff, KILN_ERROR_FILE, "entry 0 of 1", "a name past the end"},
    {ENTRY, 42, 4, 4000, KILN_ERROR_FILE, "lies at byte 4000", "a place past the end"},
    {ENTRY, 46, 1, 'b', KILN_ERROR_ARGUMENT, "no array \"a\"", "another name"},
    {ENTRY, 48, 1, 'x', KILN_ERROR_ARGUMENT, "among its 0", "no array at all"},
    {END, 0, 4, 0, KILN_ERROR_FILE, "end is missing", "no end"},
    {END, 4, 2, 1, KILN_ERROR_UNSUPPORTED, "several parts", "another part"},
    {END, 10, 2, 0xffff, KILN_ERROR_UNSUPPORTED, "ZIP64", "a count in ZIP64"},
    {END, 16, 4, 0xfffffffe, KILN_ERROR_FILE, "directory lies at", "a directory past the end"},
    {END, 20, 2, 8, KILN_ERROR_FILE, "end is missing", "a comment cut off"},
};

Test(npz, no_damaged_archive_is_believed)
{
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        unsigned char *at;

        make_archive();
        at = zip.bytes + damages[i].at +
             (damages[i].part == LOCAL   ? 0
              : damages[i].part == ENTRY ? zip.entry
                                         : zip.end);
        for (int b = 0; b < damages[i].width; b++)
            at[b] = (unsigned char)(damages[i].value >> 8 * b);
        cr_expect_eq(load(), damages[i].status, "%s: %s", damages[i].why, lines.newest);
        expect_line(damages[i].line, damages[i].why);
    }
}

Test(npz, every_cut_of_an_archive_is_refused)
{
    make_archive();
    for (const size_t whole = zip.size; zip.size-- > 0;)
        cr_expect_eq(load(), KILN_ERROR_FILE, "%zu of %zu bytes", zip.size, whole);
}

#endif
