/* choices.c - what a tuner found is kept in a file: whole, by device and driver, and whoever else writes to it at the same time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own_folder.h"
#include "base/text.h"
#include "device/choices.h"
#include "support/support.h"

static const kiln_device_info here = {.title = "A card", .driver = "driver 7"};

static char line[512];
static int lines;

static void keep_line(void *user, kiln_log_level level, const char *text)
{
    (void)user, (void)level;
    snprintf(line, sizeof line, "%s", text);
    lines++;
}

static void begin(void)
{
    open_folder();
    kiln_log_to(keep_line, NULL, KILN_LOG_WARNING);
}

TestSuite(choices, .init = begin, .fini = leave_folder);

static void put(struct kiln_choices *c, const char *of, uint64_t class, const char *name)
{
    cr_assert_eq(kiln_choices_put(c, &(struct kiln_choice){KILN_CHOICE_VARIANT, of, class, name}), KILN_OK);
}

static const char *find(const struct kiln_choices *c, const char *of, uint64_t class)
{
    const char *name = kiln_choices_find(c, KILN_CHOICE_VARIANT, of, class);
    return name ? name : "";
}

Test(choices, what_is_saved_is_found_again)
{
    struct kiln_choices *a = kiln_choices_create(), *b = kiln_choices_create();
    char *path = kiln_choices_path(folder, &here);
    put(a, "conv", 1, "direct");
    put(a, "conv", UINT64_MAX, "tiled_64");
    put(a, "conv", 1, "depthwise");
    const struct kiln_choice lowering = {KILN_CHOICE_LOWERING, "conv", 1, "product"};
    cr_assert_eq(kiln_choices_put(a, &lowering), KILN_OK);
    cr_assert_eq(kiln_choices_save(a, path, &here), KILN_OK);
    kiln_choices_load(b, path, &here);
    cr_expect_eq(kiln_choices_count(b), 3);
    cr_expect_str_eq(find(b, "conv", 1), "depthwise");
    cr_expect_str_eq(find(b, "conv", UINT64_MAX), "tiled_64");
    cr_expect_str_eq(kiln_choices_find(b, KILN_CHOICE_LOWERING, "conv", 1), "product");
    cr_expect_str_eq(find(b, "conv", 2), "");
    cr_expect_str_eq(find(b, "matmul", 1), "");
    cr_expect_eq(lines, 0, "%s", line);
    kiln_choices_destroy(&a);
    kiln_choices_destroy(&b);
    free(path);
}

Test(choices, a_name_that_no_line_holds_is_refused)
{
    struct kiln_choices *c = kiln_choices_create();
    char longest[65] = {0};
    memset(longest, 'a', 63);
    put(c, longest, 1, longest);
    cr_expect_str_eq(find(c, longest, 1), longest);
    longest[63] = 'a';
    const char *const bad[] = {"my.blur", "two words", "", longest};
    for (int i = 0; i < 4; i++) {
        lines = 0;
        cr_expect_eq(kiln_choices_put(c, &(struct kiln_choice){KILN_CHOICE_VARIANT, bad[i], 1, "direct"}),
                     KILN_ERROR_ARGUMENT);
        cr_expect_eq(kiln_choices_put(c, &(struct kiln_choice){KILN_CHOICE_LOWERING, "conv", 1, bad[i]}),
                     KILN_ERROR_ARGUMENT);
        cr_expect(lines == 2 && strstr(line, bad[i]), "%s", line);
    }
    cr_expect_eq(kiln_choices_count(c), 1);
    kiln_choices_destroy(&c);
}

Test(choices, no_file_and_no_folder_are_silent)
{
    struct kiln_choices *c = kiln_choices_create();
    char *path = kiln_choices_path(folder, &here);
    kiln_choices_load(c, path, &here);
    kiln_choices_load(c, NULL, &here);
    cr_expect_null(kiln_choices_path("", &here));
    cr_expect_eq(kiln_choices_count(c), 0);
    cr_expect_eq(lines, 0);
    cr_expect_null(kiln_choices_find(NULL, KILN_CHOICE_VARIANT, "conv", 1));
    free(path);
    kiln_choices_destroy(&c);
}

Test(choices, another_devices_are_another_file)
{
    kiln_device_info other = here;
    snprintf(other.title, sizeof other.title, "Another card");
    char *mine = kiln_choices_path(folder, &here), *its = kiln_choices_path(folder, &other);
    cr_expect_str_neq(mine, its);
    setenv("KILN_LIMITS", "floor", 1);
    char *limited = kiln_choices_path(folder, &here);
    cr_expect_str_neq(mine, limited, "a device clamped to less is another");
    free(mine);
    free(its);
    free(limited);
}

/* Write a file and load it: one line is logged that has the word, and nothing is taken. */
static void expect_ignored(const char *path, const char *text, size_t bytes, const char *word)
{
    struct kiln_choices *c = kiln_choices_create();
    FILE *file = fopen(path, "wb");
    cr_assert_eq(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
    lines = 0;
    kiln_choices_load(c, path, &here);
    cr_expect_eq(kiln_choices_count(c), 0, "%.*s", (int)bytes, text);
    cr_expect(lines == 1 && strstr(line, word) && strstr(line, path), "%d lines: %s", lines, line);
    kiln_choices_destroy(&c);
}

Test(choices, a_damaged_file_is_ignored_with_one_line)
{
    struct kiln_choices *c = kiln_choices_create();
    struct kiln_file file;
    char *path = kiln_choices_path(folder, &here), whole[1024], bent[1024];
    put(c, "conv", 1, "direct");
    put(c, "matmul", 2, "tiled_64");
    cr_assert_eq(kiln_choices_save(c, path, &here), KILN_OK);
    cr_assert_eq(kiln_file_map(&file, path), KILN_OK);
    const size_t bytes = file.size;
    memcpy(whole, file.data, bytes);
    kiln_file_unmap(&file);
    const size_t head = (size_t)(strstr(whole, "variant") - whole);
    for (size_t cut = 0; cut < bytes; cut++)
        expect_ignored(path, whole, cut, cut < head ? "another driver" : "damaged");
    static const char *const faults[][2] = {
        {"direct", "di ect"},
        {"direct", "di\rect"},
        {"variant conv", "variant  onv"},
        {"variant conv", "veriant conv"},
        {"end 2", "end 3"},
        {"end 2", "end 2\n"},
        {"0000000000000001", "000000000000000x"},
        {"0000000000000001", "00000000 0000001"},
        {"matmul", "mat/ul"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        whole[bytes] = 0;
        const char *at = strstr(whole, faults[i][0]);
        cr_assert(at != NULL);
        snprintf(bent, sizeof bent, "%.*s%s%s", (int)(at - whole), whole, faults[i][1],
                 at + strlen(faults[i][0]));
        expect_ignored(path, bent, strlen(bent), "damaged");
    }
    kiln_choices_destroy(&c);
    free(path);
}

Test(choices, a_file_of_another_driver_or_version_is_ignored_and_replaced)
{
    kiln_device_info newer = here;
    struct kiln_choices *a = kiln_choices_create(), *b = kiln_choices_create();
    char *path = kiln_choices_path(folder, &here);
    snprintf(newer.driver, sizeof newer.driver, "driver 8");
    put(a, "conv", 1, "direct");
    cr_assert_eq(kiln_choices_save(a, path, &here), KILN_OK);
    kiln_choices_load(b, path, &newer);
    cr_expect(kiln_choices_count(b) == 0 && lines == 1 && strstr(line, "another driver"), "%s", line);
    put(b, "conv", 2, "tiled");
    cr_assert_eq(kiln_choices_save(b, path, &newer), KILN_OK);
    lines = 0;
    struct kiln_choices *c = kiln_choices_create();
    kiln_choices_load(c, path, &newer);
    cr_expect(kiln_choices_count(c) == 1 && lines == 0);
    static const char old[] = "kiln 0.0.1 choices 1\ndevice A card\ndriver driver 7\nend 0\n";
    expect_ignored(path, old, strlen(old), "version");
    kiln_choices_destroy(&a);
    kiln_choices_destroy(&b);
    kiln_choices_destroy(&c);
    free(path);
}

Test(choices, a_folder_that_cannot_be_written_is_an_error)
{
    struct kiln_choices *c = kiln_choices_create();
    char path[128];
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "w");
    fclose(file);
    snprintf(path, sizeof path, "%s/file/choices.txt", folder);
    put(c, "conv", 1, "direct");
    cr_expect_eq(kiln_choices_save(c, path, &here), KILN_ERROR_FILE);
    cr_expect(strstr(line, path) != NULL, "%s", line);
    kiln_choices_destroy(&c);
}

enum { EACH = 40, WRITERS = 4 };

/* A process that adds its own, one by one. */
static void write_own(const char *path, uint64_t writer)
{
    struct kiln_choices *c = kiln_choices_create();
    bool whole = true;
    for (uint64_t i = 0; i < EACH && whole; i++) {
        const struct kiln_choice choice = {KILN_CHOICE_VARIANT, "conv", writer << 32 | i, "direct"};
        whole = !kiln_choices_put(c, &choice) && !kiln_choices_save(c, path, &here);
    }
    _exit(!whole);
}

Test(choices, processes_that_write_at_once_lose_nothing)
{
    struct kiln_choices *c = kiln_choices_create();
    char *path = kiln_choices_path(folder, &here);
    pid_t child[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        if (!(child[i] = fork()))
            write_own(path, (uint64_t)i);
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;
        cr_assert_eq(waitpid(child[i], &status, 0), child[i]);
        cr_expect_eq(status, 0);
    }
    kiln_choices_load(c, path, &here);
    cr_expect_eq(kiln_choices_count(c), EACH * WRITERS);
    kiln_choices_destroy(&c);
    free(path);
}

Test(choices, classes_tell_small_numbers_apart_and_large_ones_by_an_eighth)
{
    for (uint64_t i = 0; i < 64; i++)
        cr_expect_neq(kiln_class_add(0, i), kiln_class_add(0, i + 1), "%d", (int)i);
    cr_expect_eq(kiln_class_add(0, 1024), kiln_class_add(0, 1151));
    cr_expect_neq(kiln_class_add(0, 1024), kiln_class_add(0, 1152));
    cr_expect_neq(kiln_class_add(0, 1024), kiln_class_add(0, 1023));
    cr_expect_neq(kiln_class_add(0, 1024), kiln_class_add(0, 2048));
}
