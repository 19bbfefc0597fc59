/* files.h - a folder for each test, files with given bytes in it by their names, and what a refused one must look like. */
#ifndef KILN_TESTS_DATA_FILES_H
#define KILN_TESTS_DATA_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include <kiln/data.h>

#include "base/lines.h"
#include "base/own_folder.h"

static inline void enter_folder(void)
{
    catch_lines();
    open_folder();
}

static inline void make_folder(const char *name)
{
    cr_assert_eq(mkdir(in_folder(name), 0777), 0);
}

static inline void put_file(const char *name, const void *data, size_t bytes)
{
    FILE *file = fopen(in_folder(name), "wb");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, bytes, file), bytes);
    cr_assert_eq(fclose(file), 0);
}

/* Room for the file and 64 bytes more. */
static inline unsigned char *get_file(const char *name, size_t *bytes)
{
    FILE *file = fopen(in_folder(name), "rb");
    unsigned char *data = calloc(1, 1 << 20);

    cr_assert(file && data);
    *bytes = fread(data, 1, (1 << 20) - 64, file);
    fclose(file);
    return data;
}

/* A call failed as it should: with this status, nothing opened, and one line that says these things. */
static inline void expect_failure(kiln_status got, kiln_status wanted, const void *out, const char *what,
                                  const char *reason)
{
    cr_expect_eq(got, wanted, "%s: %s", what, kiln_status_text(got));
    cr_expect_null(out);
    cr_expect_eq(lines.count, 1, "%s: %d lines", what, lines.count);
    cr_expect(strstr(lines.newest, what) && strstr(lines.newest, reason), "wanted \"%s\" and \"%s\" in: %s",
              what, reason, lines.newest);
    lines.count = 0;
}

#endif
