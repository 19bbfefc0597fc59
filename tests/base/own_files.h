/* own_files.h - a folder of its own for each test that writes files, files by their paths, and the log lines that come. */
#ifndef KILN_TESTS_BASE_OWN_FILES_H
#define KILN_TESTS_BASE_OWN_FILES_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <criterion/criterion.h>

#include "base/lines.h"
#include "base/own_folder.h"

/* For .init of a TestSuite: make the folder, and catch log lines. */
static inline void enter_folder(void)
{
    catch_lines();
    open_folder();
}

static inline void put_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0);
}

/* All of a file, for the caller to free, with a zero behind it. */
static inline unsigned char *get_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    unsigned char *data;

    cr_assert(file, "%s", path);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    data = calloc(1, *bytes + 1);
    cr_assert(data && fread(data, 1, *bytes, file) == *bytes);
    fclose(file);
    return data;
}

/* As a full disk: a write comes back short, the next one fails. RLIM_INFINITY gives the room back. */
static inline void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* One error line came since the last call, and it says `what`. */
static inline void expect_line(const char *what, const char *why)
{
    cr_expect_eq(lines.count, 1, "%s: %d lines, the newest: %s", why, lines.count, lines.newest);
    cr_expect(lines.level == KILN_LOG_ERROR && strstr(lines.newest, what), "%s: wanted \"%s\" in \"%s\"", why,
              what, lines.newest);
    lines.count = 0;
}

#endif
