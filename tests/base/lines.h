/* lines.h - catches the library's log lines, so that a test can read the newest one. */
#ifndef KILN_TESTS_BASE_LINES_H
#define KILN_TESTS_BASE_LINES_H

#include <stdio.h>

#include <kiln/log.h>

static struct {
    int count;
    kiln_log_level level;
    char newest[2048];
} lines;

static void keep_line(void *user, kiln_log_level level, const char *line)
{
    (void)user;
    lines.count++;
    lines.level = level;
    snprintf(lines.newest, sizeof lines.newest, "%s", line);
}

static inline void catch_lines(void)
{
    kiln_log_to(keep_line, NULL, KILN_LOG_DEBUG);
}

#endif
