/* file.c - mapping files, and replacing them such that nothing is ever half-written. */
#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "own_files.h"

/* The file that everything here is about. */
static char path[128];

static void enter(void)
{
    enter_folder();
    snprintf(path, sizeof path, "%s/weights", folder);
}

static kiln_status write_text(const char *to, const char *text)
{
    struct kiln_writer w;
    kiln_writer_open(&w, to);
    kiln_writer_add(&w, text, strlen(text));
    return kiln_writer_commit(&w);
}

static void expect_text(const char *text)
{
    struct kiln_file f;

    cr_assert_eq(kiln_file_map(&f, path), KILN_OK);
    cr_expect_eq(f.size, strlen(text));
    cr_expect(f.size == strlen(text) && memcmp(f.data, text, f.size) == 0, "got \"%.*s\", wanted \"%s\"",
              (int)f.size, (const char *)f.data, text);
    kiln_file_unmap(&f);
}

static void expect_refused(const char *what, const char *reason)
{
    struct kiln_file f = {"", 9};

    lines.count = 0;
    cr_expect_eq(kiln_file_map(&f, what), KILN_ERROR_FILE, "%s", what);
    cr_expect(!f.data && f.size == 0);
    cr_expect_eq(lines.count, 1);
    cr_expect(strstr(lines.newest, what) && strstr(lines.newest, reason), "%s", lines.newest);
}

TestSuite(file, .init = enter, .fini = leave_folder);

/* Reading ----------------------------------------------------------------------------------------------- */

Test(file, maps_what_was_written)
{
    cr_assert_eq(write_text(path, "0.25 0.5"), KILN_OK);
    expect_text("0.25 0.5");
}

Test(file, maps_an_empty_file_as_no_bytes_somewhere)
{
    struct kiln_file f;

    cr_assert_eq(write_text(path, ""), KILN_OK);
    cr_assert_eq(kiln_file_map(&f, path), KILN_OK);
    cr_expect(f.data && f.size == 0);
    kiln_file_unmap(&f);
    kiln_file_unmap(&f);
    cr_expect_null(f.data);
}

Test(file, refuses_to_map_what_is_no_file_and_says_why)
{
    expect_refused(path, "No such file or directory");
    expect_refused(folder, "folder");
    expect_refused("/dev/zero", "device");
    expect_refused("", "No such file or directory");
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refused(path, "pipe");
}

/* Writing ----------------------------------------------------------------------------------------------- */

Test(file, replaces_the_old_file_only_when_committed)
{
    struct kiln_writer w;

    cr_assert_eq(write_text(path, "old"), KILN_OK);
    cr_assert_eq(kiln_writer_open(&w, path), KILN_OK);
    cr_assert_eq(kiln_writer_add(&w, "new", 3), KILN_OK);
    expect_text("old");
    cr_expect_eq(count_files(), 2);
    cr_assert_eq(kiln_writer_commit(&w), KILN_OK);
    expect_text("new");
    cr_expect_eq(count_files(), 1);
    kiln_writer_abandon(&w);
    expect_text("new");
}

Test(file, abandoning_leaves_the_old_file_and_nothing_else)
{
    struct kiln_writer w, none = {0};

    cr_assert_eq(write_text(path, "old"), KILN_OK);
    cr_assert_eq(kiln_writer_open(&w, path), KILN_OK);
    cr_assert_eq(kiln_writer_add(&w, "new", 3), KILN_OK);
    kiln_writer_abandon(&w);
    kiln_writer_abandon(&w);
    kiln_writer_abandon(&none);
    expect_text("old");
    cr_expect_eq(count_files(), 1);
}

Test(file, writes_pieces_of_all_sizes_in_order)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 3, 200000, 0, 70000, 1};
    static unsigned char bytes[1 << 20];
    struct kiln_writer w;
    struct kiln_file f;
    size_t at = 0;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    cr_assert_eq(kiln_writer_open(&w, path), KILN_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; at += sizes[i++])
        cr_assert_eq(kiln_writer_add(&w, bytes + at, sizes[i]), KILN_OK);
    cr_assert_eq(kiln_writer_commit(&w), KILN_OK);
    cr_assert_eq(kiln_file_map(&f, path), KILN_OK);
    cr_expect(f.size == at && memcmp(f.data, bytes, at) == 0);
    kiln_file_unmap(&f);
}

Test(file, two_writers_of_one_file_do_not_disturb_each_other)
{
    struct kiln_writer a, b;

    cr_assert_eq(kiln_writer_open(&a, path), KILN_OK);
    cr_assert_eq(kiln_writer_open(&b, path), KILN_OK);
    kiln_writer_add(&a, "from a", 6);
    kiln_writer_add(&b, "from b", 6);
    cr_expect_eq(kiln_writer_commit(&b), KILN_OK);
    cr_expect_eq(kiln_writer_commit(&a), KILN_OK);
    expect_text("from a");
    cr_expect_eq(count_files(), 1);
}

Test(file, keeps_the_permissions_of_the_old_file)
{
    struct stat facts;

    cr_assert_eq(write_text(path, "old"), KILN_OK);
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_eq(write_text(path, "new"), KILN_OK);
    cr_assert_eq(stat(path, &facts), 0);
    cr_expect_eq(facts.st_mode & 0777, 0640);
}

Test(file, replaces_the_target_of_a_link_and_not_the_link)
{
    char link[256];
    struct stat facts;

    snprintf(link, sizeof link, "%s/latest", folder);
    cr_assert_eq(write_text(path, "old"), KILN_OK);
    cr_assert_eq(symlink("weights", link), 0);
    cr_assert_eq(write_text(link, "new"), KILN_OK);
    expect_text("new");
    cr_assert_eq(lstat(link, &facts), 0);
    cr_expect(S_ISLNK(facts.st_mode));
}

Test(file, writes_beside_a_name_without_a_folder)
{
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(write_text("weights", "here"), KILN_OK);
    expect_text("here");
    cr_expect_eq(lines.count, 0);
    cr_assert_eq(chdir("/"), 0);
}

Test(file, refuses_to_replace_what_is_no_file)
{
    struct stat facts;

    cr_expect_eq(write_text(folder, "x"), KILN_ERROR_FILE);
    cr_expect(strstr(lines.newest, "folder"), "%s", lines.newest);
    cr_expect_eq(write_text("/dev/full", "x"), KILN_ERROR_FILE);
    cr_expect(strstr(lines.newest, "device"), "%s", lines.newest);
    cr_expect(stat("/dev/full", &facts) == 0 && S_ISCHR(facts.st_mode));
    cr_expect_eq(lines.count, 2);
}

Test(file, says_why_a_file_cannot_be_created)
{
    char missing[256];

    snprintf(missing, sizeof missing, "%s/none/weights", folder);
    cr_expect_eq(write_text(missing, "x"), KILN_ERROR_FILE);
    cr_expect(strstr(lines.newest, missing) && strstr(lines.newest, "No such file"), "%s", lines.newest);
    cr_expect_eq(lines.count, 1, "errors stick, and only the first is logged");
}

Test(file, a_closed_writer_takes_nothing)
{
    struct kiln_writer w = {0};

    cr_expect_eq(kiln_writer_add(&w, "x", 1), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_writer_commit(&w), KILN_ERROR_ARGUMENT);
    cr_assert_eq(kiln_writer_open(&w, path), KILN_OK);
    cr_assert_eq(kiln_writer_commit(&w), KILN_OK);
    cr_expect_eq(kiln_writer_add(&w, "x", 1), KILN_ERROR_ARGUMENT);
    expect_text("");
}

static void expect_full(size_t bytes, rlim_t limit)
{
    unsigned char *data = calloc(1, bytes);
    struct kiln_writer w;

    lines.count = 0;
    limit_file_size(limit);
    kiln_writer_open(&w, path);
    for (size_t at = 0; at < bytes; at += 100000)
        kiln_writer_add(&w, data + at, bytes - at < 100000 ? bytes - at : 100000);
    cr_expect_eq(kiln_writer_commit(&w), KILN_ERROR_FILE);
    cr_expect_eq(kiln_writer_add(&w, data, 1), KILN_ERROR_FILE, "errors stick");
    limit_file_size(RLIM_INFINITY);
    kiln_writer_abandon(&w);
    cr_expect_eq(lines.count, 1);
    cr_expect(strstr(lines.newest, path) && strstr(lines.newest, "cannot write"), "%s", lines.newest);
    free(data);
}

Test(file, a_full_disk_leaves_the_old_file_and_nothing_else)
{
    cr_assert_eq(write_text(path, "old"), KILN_OK);
    expect_full(1000000, 300000);
    expect_full(1000000, 0);
    expect_full(10, 5);
    expect_text("old");
    cr_expect_eq(count_files(), 1);
}

/* Write a megabyte, say so, and wait for the end. */
static void write_half(int ready)
{
    static unsigned char bytes[1 << 20];
    struct kiln_writer w;

    kiln_writer_open(&w, path);
    kiln_writer_add(&w, bytes, sizeof bytes);
    if (write(ready, "x", 1) == 1)
        pause();
    _exit(1);
}

Test(file, a_kill_while_writing_leaves_the_old_file_whole)
{
    int ready[2];
    char byte;
    pid_t child;

    cr_assert_eq(write_text(path, "old"), KILN_OK);
    cr_assert_eq(pipe(ready), 0);
    if ((child = fork()) == 0)
        write_half(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    expect_text("old");
    cr_expect_eq(write_text(path, "new"), KILN_OK, "what the killed one left is in nobody's way");
    expect_text("new");
}

enum { PAGE = 300000 };

/* Replace the file again and again, each time by one letter throughout. */
static void write_for_ever(void)
{
    static char bytes[PAGE];

    for (int i = 0;; i++) {
        struct kiln_writer w;
        memset(bytes, 'a' + i % 26, sizeof bytes);
        kiln_writer_open(&w, path);
        for (size_t at = 0; at < PAGE; at += PAGE / 10)
            kiln_writer_add(&w, bytes + at, PAGE / 10);
        if (kiln_writer_commit(&w))
            _exit(1);
    }
}

static void expect_whole(void)
{
    struct kiln_file f;

    cr_assert_eq(kiln_file_map(&f, path), KILN_OK);
    cr_assert_eq(f.size, PAGE);
    for (size_t i = 1; i < f.size; i++)
        cr_assert_eq(((const char *)f.data)[i], ((const char *)f.data)[0], "byte %zu is of another file", i);
    kiln_file_unmap(&f);
}

Test(file, a_kill_at_any_moment_leaves_one_whole_file)
{
    static char start[PAGE + 1];

    memset(start, '-', PAGE);
    cr_assert_eq(write_text(path, start), KILN_OK);
    for (long i = 0; i < 30; i++) {
        const pid_t child = fork();
        if (child == 0)
            write_for_ever();
        nanosleep(&(struct timespec){.tv_nsec = 500000 + i * 370000}, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        expect_whole();
    }
}
