/*
 * options.h - how the samples read their options: a table of names, what each takes, and where it goes.
 *
 *     const struct option table[] = {
 *         {"--out", OPTION_TEXT, &out},                   --out TEXT
 *         {"--steps", OPTION_INT, &steps, .least = 1},    --steps N, a whole number from 1 on
 *         {"--resume", OPTION_FLAG, &resume},             --resume
 *         {0},
 *     };
 */
#ifndef SAMPLES_OPTIONS_H
#define SAMPLES_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_kind {
    OPTION_FLAG, /* bool: true if it is there */
    OPTION_TEXT, /* const char *: a word of argv */
    OPTION_INT,  /* int */
    OPTION_LONG, /* int64_t, or uint64_t */
    OPTION_REAL, /* double */
};

struct option {
    const char *name;
    enum option_kind kind;
    void *to;     /* keeps its value where the option is not there */
    double least; /* of numbers; the most is 1e9 */
};

static const struct option *find_option(const struct option *table, const char *name)
{
    for (; table->name; table++)
        if (!strcmp(table->name, name))
            return table;
    return NULL;
}

static bool set_number(const struct option *option, const char *value)
{
    char *end;
    const double number = strtod(value, &end);

    if (end == value || *end || !(number >= option->least && number <= 1e9))
        return false;
    if (option->kind != OPTION_REAL && number != (double)(int64_t)number)
        return false;
    if (option->kind == OPTION_REAL)
        *(double *)option->to = number;
    else if (option->kind == OPTION_LONG)
        *(int64_t *)option->to = (int64_t)number;
    else
        *(int *)option->to = (int)number;
    return true;
}

/* Value NULL: there is none. */
static bool set_option(const char *program, const struct option *option, const char *value)
{
    if (!value) {
        fprintf(stderr, "%s: %s wants a value\n", program, option->name);
        return false;
    }
    if (option->kind == OPTION_TEXT) {
        *(const char **)option->to = value;
        return true;
    }
    if (set_number(option, value))
        return true;
    fprintf(stderr, "%s: %s wants a %snumber from %g to 1e9, not %s\n", program, option->name,
            option->kind == OPTION_REAL ? "" : "whole ", option->least, value);
    return false;
}

/* Read the words behind a program's name, of which there are *count. Those that are no options come first then, in their order, and
 * *count says how many they are. False, and a line on stderr, where something is wrong. */
static bool read_options(const char *program, const struct option *table, int *count, char **words)
{
    int others = 0;

    for (int i = 0; i < *count; i++) {
        const char *name = strcmp(words[i], "-h") ? words[i] : "--help";
        const struct option *option = find_option(table, name);

        if (strncmp(name, "--", 2)) {
            words[others++] = words[i];
        } else if (!option) {
            fprintf(stderr, "%s: there is no option %s; see %s --help\n", program, name, program);
            return false;
        } else if (option->kind == OPTION_FLAG) {
            *(bool *)option->to = true;
        } else {
            i++;
            if (!set_option(program, option, i < *count ? words[i] : NULL))
                return false;
        }
    }
    *count = others;
    return true;
}

#endif
