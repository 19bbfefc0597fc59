/* log.c - lines, levels, and that a line stays whole. */
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lines.h"

Test(log, a_failure_is_one_error_line_and_returns_its_status)
{
    catch_lines();
    cr_expect_eq(kiln_fail(KILN_ERROR_SHAPE, "conv: x has %d channels, w expects %d", 3, 4),
                 KILN_ERROR_SHAPE);
    cr_expect_eq(lines.count, 1);
    cr_expect_eq(lines.level, KILN_LOG_ERROR);
    cr_expect_str_eq(lines.newest, "conv: x has 3 channels, w expects 4");
}

Test(log, lines_past_the_level_are_dropped)
{
    kiln_log_to(keep_line, NULL, KILN_LOG_WARNING);
    kiln_log_line(KILN_LOG_INFO, "dropped");
    kiln_log_line(KILN_LOG_DEBUG, "dropped");
    cr_expect_eq(lines.count, 0);
    kiln_warn("kept");
    cr_expect(lines.count == 1 && lines.level == KILN_LOG_WARNING);

    kiln_log_to(keep_line, NULL, KILN_LOG_SILENT);
    kiln_fail(KILN_ERROR_FILE, "dropped");
    cr_expect_eq(lines.count, 1);
}

Test(log, a_line_may_have_any_length)
{
    char text[2000];

    catch_lines();
    for (size_t length = 500; length < 530; length++) {
        memset(text, 'x', length);
        text[length] = '\0';
        kiln_log_line(KILN_LOG_INFO, "%s", text);
        cr_assert_str_eq(lines.newest, text);
    }
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = '\0';
    kiln_log_line(KILN_LOG_INFO, "%s", text);
    cr_expect_str_eq(lines.newest, text);
}

enum { THREADS = 4, LINES = 500 };

static void *log_many(void *letter)
{
    char text[701];

    memset(text, *(const char *)letter, 700);
    text[700] = '\0';
    for (int i = 0; i < LINES; i++)
        kiln_warn("%s", text);
    return NULL;
}

/* Send stderr to a file while four threads write long lines to it. */
static FILE *log_from_many_threads(void)
{
    static const char letters[] = "abcd";
    FILE *file = tmpfile();
    const int before = dup(STDERR_FILENO);
    pthread_t threads[THREADS];

    cr_assert(file && dup2(fileno(file), STDERR_FILENO) >= 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t)&letters[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    return file;
}

Test(log, lines_on_stderr_are_marked_and_never_interleave)
{
    FILE *file = log_from_many_threads();
    char line[1024];
    int count = 0;

    for (; fgets(line, sizeof line, file); count++) {
        const char *text = line + strlen("kiln: warning: ");
        cr_assert_eq(strncmp(line, "kiln: warning: ", strlen("kiln: warning: ")), 0, "%s", line);
        cr_assert_eq(strspn(text, (char[]){text[0], 0}), 700, "%s", line);
        cr_assert_eq(text[700], '\n');
    }
    cr_expect_eq(count, THREADS * LINES);
    fclose(file);
}
