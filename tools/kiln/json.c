/* json.c - a JSON document, two blanks deeper with each object. */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void print_quoted(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < ' ')
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

static void break_line(const struct json *j)
{
    if (!j->line)
        printf("\n%*s", 2 * j->depth, "");
}

/* What stands before a member: a comma, a line of its own, its key. */
static void begin(struct json *j, const char *key)
{
    if (j->depth > 0) {
        if (j->some[j->depth - 1])
            fputs(j->line ? ", " : ",", stdout);
        break_line(j);
        j->some[j->depth - 1] = true;
    }
    if (key) {
        print_quoted(key);
        printf(": ");
    }
}

void json_open(struct json *j, const char *key, char kind)
{
    begin(j, key);
    putchar(kind);
    j->close[j->depth] = kind == '{' ? '}' : ']';
    j->some[j->depth++] = false;
}

void json_close(struct json *j)
{
    j->depth--;
    if (j->some[j->depth])
        break_line(j);
    putchar(j->close[j->depth]);
    if (j->depth == 0)
        putchar('\n');
}

void json_text(struct json *j, const char *key, const char *value)
{
    begin(j, key);
    print_quoted(value);
}

static void print_number(double value)
{
    char text[32];
    int digits = value == floor(value) && fabs(value) < 1e15 ? 15 : 6;

    do
        snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && digits++ < 17);
    fputs(text, stdout);
}

void json_number(struct json *j, const char *key, double value)
{
    begin(j, key);
    if (isfinite(value))
        print_number(value);
    else
        fputs("null", stdout);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    fputs(value ? "true" : "false", stdout);
}
