/*
 * log.c - the one way out for messages.
 *
 * A line is put together whole and handed over in one call, so lines of several threads never interleave.
 * Most fit the buffer on the stack; a longer one takes memory for the moment, and is cut where there is none.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void print(void *user, kiln_log_level level, const char *line)
{
    static const char *const names[] = {"", "error: ", "warning: ", "", "debug: "};

    (void)user;
    fprintf(stderr, "kiln: %s%s\n", names[level], line);
}

static struct {
    kiln_log_fn *log;
    void *user;
    kiln_log_level level;
} sink = {print, NULL, KILN_LOG_WARNING};

void kiln_log_to(kiln_log_fn *log, void *user, kiln_log_level level)
{
    sink.log = log ? log : print;
    sink.user = user;
    sink.level = level;
}

static void log_line(kiln_log_level level, const char *format, va_list args)
{
    char buffer[512], *line = buffer;
    va_list again;
    int length;

    if (level > sink.level)
        return;
    va_copy(again, args);
    length = vsnprintf(buffer, sizeof buffer, format, args);
    if (length >= (int)sizeof buffer && (line = malloc((size_t)length + 1)))
        vsnprintf(line, (size_t)length + 1, format, again);
    va_end(again);

    sink.log(sink.user, level, line ? line : buffer);
    if (line != buffer)
        free(line);
}

void kiln_log_line(kiln_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(level, format, args);
    va_end(args);
}

void kiln_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(KILN_LOG_WARNING, format, args);
    va_end(args);
}

kiln_status kiln_fail(kiln_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(KILN_LOG_ERROR, format, args);
    va_end(args);
    return status;
}
