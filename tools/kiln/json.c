/* json.c - a JSON document, two blanks deeper with each object. */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *out(const struct json *j)
{
    return j->to ? j->to : stdout;
}

static void print_quoted(FILE *to, const char *text)
{
    fputc('"', to);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(to, "\\%c", *c);
        else if (*c < ' ')
            fprintf(to, "\\u%04x", *c);
        else
            fputc(*c, to);
    }
    fputc('"', to);
}

static void break_line(const struct json *j)
{
    if (!j->line)
        fprintf(out(j), "\n%*s", 2 * j->depth, "");
}

/* What stands before a member: a comma, a line of its own, its key. */
static void begin(struct json *j, const char *key)
{
    if (j->depth > 0) {
        if (j->some[j->depth - 1])
            fputs(j->line ? ", " : ",", out(j));
        break_line(j);
        j->some[j->depth - 1] = true;
    }
    if (key) {
        print_quoted(out(j), key);
        fputs(": ", out(j));
    }
}

void json_open(struct json *j, const char *key, char kind)
{
    begin(j, key);
    fputc(kind, out(j));
    j->close[j->depth] = kind == '{' ? '}' : ']';
    j->some[j->depth++] = false;
}

void json_close(struct json *j)
{
    j->depth--;
    if (j->some[j->depth])
        break_line(j);
    fputc(j->close[j->depth], out(j));
    if (j->depth == 0)
        fputc('\n', out(j));
}

void json_text(struct json *j, const char *key, const char *value)
{
    begin(j, key);
    print_quoted(out(j), value);
}

static void print_number(FILE *to, double value)
{
    char text[32];
    int digits = value == floor(value) && fabs(value) < 1e15 ? 15 : 6;

    do
        snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && digits++ < 17);
    fputs(text, to);
}

void json_number(struct json *j, const char *key, double value)
{
    begin(j, key);
    if (isfinite(value))
        print_number(out(j), value);
    else
        fputs("null", out(j));
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    fputs(value ? "true" : "false", out(j));
}
