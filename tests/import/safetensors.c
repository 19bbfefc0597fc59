/* safetensors.c - files of named tensors: what is written comes back, and no damaged file is believed. */
#include <kiln/import.h>

#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own_files.h"

TestSuite(safetensors, .init = enter_folder, .fini = leave_folder);

static const char *path(void)
{
    return in_folder("model.safetensors");
}

/* Round trips -------------------------------------------------------------------------------------------- */

static const float weight[] = {0, 0.5f, -1, 3e38f, 1e-42f, -0.0f};
static const double moment[] = {0.1};
static const uint8_t flags[] = {1, 0, 1};

/* Fills [1000] counting up. */
static kiln_status count_up(void *user, const char *name, kiln_array *dst)
{
    cr_expect(strcmp(name, "counted") == 0 && dst->bytes == 4000);
    for (int32_t i = 0; i < 1000; i++)
        ((int32_t *)dst->data)[i] = i;
    return *(kiln_status *)user;
}

static kiln_status save(kiln_status reader)
{
    const kiln_safetensors_entry entries[] = {
        {"flags", KILN_BOOL, KILN_SHAPE(3), flags, NULL, NULL},
        {"w \"quoted\"\\\n", KILN_F32, KILN_SHAPE(2, 3), weight, NULL, NULL},
        {"counted", KILN_I32, KILN_SHAPE(1000), NULL, count_up, &reader},
        {"empty", KILN_F16, KILN_SHAPE(4, 0), NULL, NULL, NULL},
        {"moment", KILN_F64, KILN_SCALAR, moment, NULL, NULL},
    };
    const kiln_note notes[] = {{"step", "17"}, {"who", "\xc3\xbc\t"}};
    return kiln_safetensors_save(path(), entries, 5, notes, 2);
}

static void expect_tensor(const kiln_safetensors *f, const char *name, kiln_type type, kiln_shape shape,
                          const void *data)
{
    kiln_array view;

    cr_assert(kiln_safetensors_find(f, name, &view), "%s", name);
    cr_expect(view.type == type && kiln_shape_equal(&view.shape, &shape), "%s", name);
    cr_expect(view.bytes == (size_t)kiln_shape_count(&shape) * kiln_type_size(type), "%s", name);
    cr_expect_eq((uintptr_t)view.data % kiln_type_size(type), 0, "%s is not aligned", name);
    cr_expect(!data || memcmp(view.data, data, view.bytes) == 0, "%s", name);
}

Test(safetensors, what_is_written_comes_back)
{
    kiln_safetensors *f;
    kiln_array view;

    cr_assert_eq(save(KILN_OK), KILN_OK);
    cr_assert_eq(kiln_safetensors_open(&f, path()), KILN_OK);
    cr_assert_eq(kiln_safetensors_count(f), 5);
    cr_expect_str_eq(kiln_safetensors_name(f, 0), "moment", "wide types come first");
    cr_expect_str_eq(kiln_safetensors_name(f, 4), "flags");
    cr_expect(!kiln_safetensors_name(f, 5) && !kiln_safetensors_name(f, -1));
    expect_tensor(f, "w \"quoted\"\\\n", KILN_F32, KILN_SHAPE(2, 3), weight);
    expect_tensor(f, "moment", KILN_F64, KILN_SCALAR, moment);
    expect_tensor(f, "flags", KILN_BOOL, KILN_SHAPE(3), flags);
    expect_tensor(f, "empty", KILN_F16, KILN_SHAPE(4, 0), NULL);
    expect_tensor(f, "counted", KILN_I32, KILN_SHAPE(1000), NULL);
    kiln_safetensors_find(f, "counted", &view);
    cr_expect_eq(((const int32_t *)view.data)[999], 999);
    cr_expect(!kiln_safetensors_find(f, "none", &view) && !view.data);
    cr_expect_str_eq(kiln_safetensors_note(f, "step"), "17");
    cr_expect_str_eq(kiln_safetensors_note(f, "who"), "\xc3\xbc\t");
    cr_expect_null(kiln_safetensors_note(f, "none"));
    kiln_safetensors_close(&f);
    cr_expect_null(f);
    kiln_safetensors_close(&f);
}

Test(safetensors, the_same_entries_give_the_same_bytes)
{
    size_t first_bytes, bytes;
    unsigned char *first, *again;

    cr_assert_eq(save(KILN_OK), KILN_OK);
    first = get_file(path(), &first_bytes);
    cr_assert_eq(save(KILN_OK), KILN_OK);
    again = get_file(path(), &bytes);
    cr_expect(bytes == first_bytes && memcmp(first, again, bytes) == 0);
    cr_expect_eq(first[0] % 8, 0, "the header is padded");
    free(first);
    free(again);
}

Test(safetensors, reads_a_file_that_python_wrote)
{
    char golden[512];
    kiln_safetensors *f;
    kiln_array view;

    snprintf(golden, sizeof golden, "%s/golden/lenet.safetensors", getenv("KILN_TEST_ROOT"));
    cr_assert_eq(kiln_safetensors_open(&f, golden), KILN_OK);
    cr_expect_gt(kiln_safetensors_count(f), 10);
    for (int i = 0; i < kiln_safetensors_count(f); i++)
        cr_expect(kiln_safetensors_find(f, kiln_safetensors_name(f, i), &view) && view.data);
    kiln_safetensors_close(&f);
}

/* Damaged files ------------------------------------------------------------------------------------------ */

/* A header, its length, and as many bytes of values. */
static void put(const char *header, uint64_t claimed, size_t values)
{
    unsigned char bytes[8192] = {0};
    const size_t length = strlen(header);

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(claimed >> 8 * i);
    memcpy(bytes + 8, header, length);
    put_file(path(), bytes, 8 + length + values);
}

static void expect_refused(kiln_status wanted, const char *line, const char *why)
{
    kiln_safetensors *f = (kiln_safetensors *)&lines;

    lines.count = 0;
    cr_expect_eq(kiln_safetensors_open(&f, path()), wanted, "%s", why);
    cr_expect_null(f, "%s", why);
    expect_line(line, why);
}

#define ITEM(name, type, shape, place) \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" place "}"
#define ONE(type, shape, place) "{" ITEM("a", type, shape, place) "}"

static const struct {
    const char *header;
    size_t values;
    kiln_status status;
    const char *line, *why;
} damaged[] = {
    {"", 0, KILN_ERROR_FILE, "wanted JSON", "an empty header"},
    {"[]", 0, KILN_ERROR_FILE, "no JSON object", "a list for a header"},
    {"{} x", 0, KILN_ERROR_FILE, "end of the JSON", "something behind the header"},
    {" {}", 0, KILN_ERROR_FILE, "no JSON object", "something before the header"},
    {"{\"a\":", 0, KILN_ERROR_FILE, "no JSON", "half a header"},
    {"{\"a\":7}", 0, KILN_ERROR_FILE, "\"a\" has no dtype", "a number for a tensor"},
    {"{\"a\":{\"dtype\":\"F32\"}}", 0, KILN_ERROR_FILE, "\"a\" has no shape", "no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, KILN_ERROR_FILE, "\"a\" has no place", "no place"},
    {"{\"__metadata__\":{\"k\":1}}", 0, KILN_ERROR_FILE, "\"k\" in __metadata__", "a note that is a number"},
    {"{\"__metadata__\":[]}", 0, KILN_ERROR_FILE, "__metadata__ is no object", "notes that are a list"},
    {ONE("F8_E4M3", "[4]", "[0,4]"), 4, KILN_ERROR_UNSUPPORTED, "F8_E4M3", "a type that kiln lacks"},
    {ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, KILN_ERROR_UNSUPPORTED, "more than 8 axes",
     "too many axes"},
    {ONE("F32", "[-1]", "[0,4]"), 4, KILN_ERROR_FILE, "size 0", "a negative size"},
    {ONE("F32", "[0.5]", "[0,4]"), 4, KILN_ERROR_FILE, "size 0", "half a size"},
    {ONE("F32", "[2,1e300]", "[0,4]"), 4, KILN_ERROR_FILE, "size 1", "a huge size"},
    {ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, KILN_ERROR_FILE, "more values",
     "a product that wraps"},
    {ONE("F64", "[2305843009213693952]", "[0,0]"), 0, KILN_ERROR_FILE, "size 0", "a size past exact numbers"},
    {ONE("F64", "[4503599627370496,1024]", "[0,0]"), 0, KILN_ERROR_FILE, "more values", "bytes that wrap"},
    {ONE("F32", "[1]", "[0]"), 4, KILN_ERROR_FILE, "\"a\" has no place", "half a place"},
    {ONE("F32", "[1]", "{\"x\":0,\"y\":4}"), 4, KILN_ERROR_FILE, "\"a\" has no place",
     "a place that is no list"},
    {ONE("F32", "[1]", "[4,0]"), 4, KILN_ERROR_FILE, "\"a\" has no place", "a place backwards"},
    {ONE("F32", "[2]", "[0,4]"), 4, KILN_ERROR_FILE, "needs 8 bytes", "a place too small"},
    {ONE("F32", "[1]", "[0,8]"), 8, KILN_ERROR_FILE, "hold 8", "a place too large"},
    {ONE("F32", "[2]", "[0,8]"), 7, KILN_ERROR_FILE, "cut off", "values cut off"},
    {ONE("F32", "[2]", "[0,8]"), 9, KILN_ERROR_FILE, "too long", "bytes behind the values"},
    {ONE("F32", "[1000000000000]", "[0,4000000000000]"), 4, KILN_ERROR_FILE, "cut off",
     "far more than there is"},
    {ONE("F32", "[1]", "[4,8]"), 8, KILN_ERROR_FILE, "starts at byte 4", "a gap before the first"},
    {"{" ITEM("a", "F32", "[1]", "[0,4]") "," ITEM("b", "F32", "[1]", "[8,12]") "}", 12, KILN_ERROR_FILE,
     "wanted 4", "a gap"},
    {"{" ITEM("a", "F32", "[2]", "[0,8]") "," ITEM("b", "F32", "[1]", "[4,8]") "}", 8, KILN_ERROR_FILE,
     "overlap", "an overlap"},
    {"{" ITEM("a", "F32", "[1]", "[0,4]") "," ITEM("a", "F32", "[1]", "[4,8]") "}", 8, KILN_ERROR_FILE,
     "two tensors", "two of one name"},
};

Test(safetensors, no_damaged_header_is_believed)
{
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put(damaged[i].header, strlen(damaged[i].header), damaged[i].values);
        expect_refused(damaged[i].status, damaged[i].line, damaged[i].why);
    }
}

Test(safetensors, refuses_files_that_are_none)
{
    put_file(path(), "", 0);
    expect_refused(KILN_ERROR_FILE, "got 0 bytes", "an empty file");
    put_file(path(), "PK\3\4", 4);
    expect_refused(KILN_ERROR_FILE, "got 4 bytes", "a few bytes");
    put_file(path(), "\x89PNG\r\n\x1a\n and more", 17);
    expect_refused(KILN_ERROR_FILE, "no safetensors file", "another format");
    put("{}", 9, 0);
    expect_refused(KILN_ERROR_FILE, "cut off", "a header longer than the file");
    put("{}", UINT64_MAX, 0);
    expect_refused(KILN_ERROR_FILE, "header of 18446744073709551615 bytes", "a header longer than memory");
    unlink(path());
    expect_refused(KILN_ERROR_FILE, "No such file", "no file");
}

Test(safetensors, every_cut_of_a_good_file_is_refused)
{
    size_t bytes;
    unsigned char *whole;
    kiln_safetensors *f;

    cr_assert_eq(save(KILN_OK), KILN_OK);
    whole = get_file(path(), &bytes);
    for (size_t kept = 0; kept < bytes; kept += 1 + kept / 50) {
        put_file(path(), whole, kept);
        lines.count = 0;
        cr_expect_eq(kiln_safetensors_open(&f, path()), KILN_ERROR_FILE, "%zu bytes", kept);
        cr_expect_eq(lines.count, 1);
    }
    free(whole);
}

Test(safetensors, a_tensor_that_lies_unaligned_is_copied)
{
    const char *header = "{" ITEM("a", "U8", "[1]", "[0,1]") "," ITEM("b", "F64", "[2]", "[1,17]") "}  ";
    kiln_safetensors *f;

    put(header, strlen(header), 17);
    cr_assert_eq(kiln_safetensors_open(&f, path()), KILN_OK);
    expect_tensor(f, "b", KILN_F64, KILN_SHAPE(2), (const double[]){0, 0});
    kiln_safetensors_close(&f);
}

/* Saving fails ------------------------------------------------------------------------------------------- */

Test(safetensors, refuses_entries_that_make_no_file)
{
    const kiln_safetensors_entry twice[] = {{"a", KILN_F32, KILN_SCALAR, weight, NULL, NULL},
                                            {"a", KILN_F64, KILN_SCALAR, moment, NULL, NULL}};
    const kiln_safetensors_entry symbolic = {"a", KILN_F32, KILN_SHAPE(KILN_BATCH), weight, NULL, NULL};
    const kiln_safetensors_entry nothing = {"a", KILN_F32, KILN_SCALAR, NULL, NULL, NULL};

    cr_expect_eq(kiln_safetensors_save(path(), twice, 2, NULL, 0), KILN_ERROR_ARGUMENT);
    expect_line("\"a\" is taken", "two of one name");
    cr_expect_eq(kiln_safetensors_save(path(), &symbolic, 1, NULL, 0), KILN_ERROR_ARGUMENT);
    expect_line("[?]", "a symbolic size");
    cr_expect_eq(kiln_safetensors_save(path(), &nothing, 1, NULL, 0), KILN_ERROR_ARGUMENT);
    expect_line("neither", "no values");
    cr_expect_eq(count_files(), 0);
}

Test(safetensors, a_failure_while_saving_leaves_the_old_file)
{
    size_t bytes, old_bytes;
    unsigned char *old, *now;

    cr_assert_eq(save(KILN_OK), KILN_OK);
    old = get_file(path(), &old_bytes);
    cr_expect_eq(save(KILN_ERROR_DEVICE), KILN_ERROR_DEVICE, "what read returns");
    lines.count = 0;
    limit_file_size(1000);
    cr_expect_eq(save(KILN_OK), KILN_ERROR_FILE);
    limit_file_size(RLIM_INFINITY);
    expect_line("cannot write", "a full disk");
    now = get_file(path(), &bytes);
    cr_expect(bytes == old_bytes && memcmp(now, old, bytes) == 0);
    cr_expect_eq(count_files(), 1);
    free(old);
    free(now);
}

/* Dies in the middle of the file. */
static kiln_status die(void *user, const char *name, kiln_array *dst)
{
    (void)user, (void)name, (void)dst;
    kill(getpid(), SIGKILL);
    return KILN_OK;
}

Test(safetensors, a_kill_while_saving_leaves_the_old_file)
{
    static float large[100000];
    const kiln_safetensors_entry entries[] = {{"a", KILN_F32, KILN_SHAPE(100000), large, NULL, NULL},
                                              {"b", KILN_F32, KILN_SCALAR, NULL, die, NULL}};
    kiln_safetensors *f;
    pid_t child;

    cr_assert_eq(save(KILN_OK), KILN_OK);
    if ((child = fork()) == 0)
        _exit(kiln_safetensors_save(path(), entries, 2, NULL, 0));
    waitpid(child, NULL, 0);
    cr_assert_eq(kiln_safetensors_open(&f, path()), KILN_OK);
    cr_expect_eq(kiln_safetensors_count(f), 5);
    kiln_safetensors_close(&f);
    cr_expect_eq(save(KILN_OK), KILN_OK, "what the killed one left is in nobody's way");
}
