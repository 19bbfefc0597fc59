/* args.c - arguments read by a table. */
#include "args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int args_wrong(const char *command, const char *format, ...)
{
    va_list list;

    fprintf(stderr, "kiln %s: ", command);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n'kiln %s --help' says how it is used\n", command);
    return ARGS_WRONG;
}

/* Help --------------------------------------------------------------------------------------------------- */

static void print_option(const char *name, const char *value, const char *help)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", name, value ? " " : "", value ? value : "");
    printf("  %-18s  %s\n", left, help);
}

static void print_help(const struct args *args)
{
    printf("usage: kiln %s%s%s%s\n\n%s\n\n", args->command, args->operands ? " " : "",
           args->operands ? args->operands : "", args->options->name ? " [OPTION...]" : "", args->about);
    for (const struct args_option *o = args->options; o->name; o++)
        print_option(o->name, o->value, o->help);
    print_option("help", NULL, "print this text");
}

/* Values ------------------------------------------------------------------------------------------------- */

static bool read_count(const char *text, int64_t *to)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 1)
        return false;
    *to = value;
    return true;
}

static bool read_number(const char *text, double *to)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value > 0) || value > 1e300)
        return false;
    *to = value;
    return true;
}

static bool read_seed(const char *text, uint64_t *to)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 0);
    if (errno || end == text || *end || *text == '-')
        return false;
    *to = value;
    return true;
}

static bool add(struct args_list *list, const char *item)
{
    if (list->count == ARGS_MOST)
        return false;
    list->item[list->count++] = item;
    return true;
}

static const char *const wanted[] = {
    [ARGS_LIST] = "fewer of them",
    [ARGS_COUNT] = "a whole number above 0",
    [ARGS_NUMBER] = "a number above 0",
    [ARGS_SEED] = "a whole number from 0",
};

/* Store a value; false if it is not of the option's kind. */
static bool take(const struct args_option *o, const char *value)
{
    switch (o->kind) {
    case ARGS_FLAG:
        *(bool *)o->to = true;
        return true;
    case ARGS_TEXT:
        *(const char **)o->to = value;
        return true;
    case ARGS_LIST:
        return add(o->to, value);
    case ARGS_COUNT:
        return read_count(value, o->to);
    case ARGS_NUMBER:
        return read_number(value, o->to);
    case ARGS_SEED:
        return read_seed(value, o->to);
    }
    return false;
}

/* What was given ----------------------------------------------------------------------------------------- */

static bool is_given(const struct args_option *o)
{
    switch (o->kind) {
    case ARGS_FLAG:
        return *(const bool *)o->to;
    case ARGS_TEXT:
        return *(const char *const *)o->to != NULL;
    case ARGS_LIST:
        return ((const struct args_list *)o->to)->count > 0;
    case ARGS_COUNT:
        return *(const int64_t *)o->to != 0;
    case ARGS_NUMBER:
        return *(const double *)o->to != 0;
    case ARGS_SEED:
        return *(const uint64_t *)o->to != 0;
    }
    return false;
}

bool args_is_given(const struct args *args, const char *name)
{
    for (const struct args_option *o = args->options; o->name; o++)
        if (!strcmp(o->name, name))
            return is_given(o);
    return false;
}

const char *args_given_beyond(const struct args *args, const char *words)
{
    for (const struct args_option *o = args->options; o->name; o++)
        if (is_given(o) && !kiln_text_has_word(words, o->name))
            return o->name;
    return NULL;
}

/* Parsing ------------------------------------------------------------------------------------------------ */

/* The option that "--name" or "--name=value" names; value is what follows the sign, or NULL. */
static const struct args_option *find(const struct args *args, const char *text, const char **value)
{
    const size_t length = strcspn(text, "=");

    *value = text[length] ? text + length + 1 : NULL;
    for (const struct args_option *o = args->options; o->name; o++)
        if (strlen(o->name) == length && !strncmp(o->name, text, length))
            return o;
    return NULL;
}

/* Read the option at argv[*at] and its value, which may be the next argument. */
static int read_option(const struct args *args, int argc, char **argv, int *at)
{
    const char *value, *text = argv[*at] + 2;
    const struct args_option *o = find(args, text, &value);

    if (!o)
        return args_wrong(args->command, "there is no option --%.*s", (int)strcspn(text, "="), text);
    if (o->kind == ARGS_FLAG && value)
        return args_wrong(args->command, "--%s takes no value", o->name);
    if (o->kind != ARGS_FLAG && !value && *at + 1 < argc)
        value = argv[++*at];
    if (o->kind != ARGS_FLAG && !value)
        return args_wrong(args->command, "--%s needs a value: %s", o->name, o->value);
    if (!take(o, value))
        return args_wrong(args->command, "--%s \"%s\": wanted %s", o->name, value, wanted[o->kind]);
    return ARGS_DONE;
}

static int check_operands(const struct args *args, const struct args_list *given)
{
    if (given->count < args->least)
        return args_wrong(args->command, "wanted %s", args->operands);
    if (given->count > args->most)
        return args_wrong(args->command, "what is \"%s\"? wanted %s%s", given->item[args->most],
                          args->most ? "only " : "no operand", args->most ? args->operands : "");
    return ARGS_DONE;
}

bool args_parse(const struct args *args, int argc, char **argv, int *code)
{
    struct args_list own = {0}, *given = args->given ? args->given : &own;
    bool options = true;

    for (int i = 0; i < argc; i++) {
        *code = ARGS_DONE;
        if (options && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
            print_help(args);
            return false;
        }
        if (options && !strcmp(argv[i], "--"))
            options = false;
        else if (options && !strncmp(argv[i], "--", 2))
            *code = read_option(args, argc, argv, &i);
        else if (options && argv[i][0] == '-' && argv[i][1])
            *code = args_wrong(args->command, "there is no option %s", argv[i]);
        else if (!add(given, argv[i]))
            *code = args_wrong(args->command, "too many operands: \"%s\"", argv[i]);
        if (*code)
            return false;
    }
    *code = check_operands(args, given);
    return *code == ARGS_DONE;
}
