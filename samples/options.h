/* options.h - how the samples of one file read their options: a table of names, and where the values go. */
#ifndef SAMPLES_OPTIONS_H
#define SAMPLES_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "--name VALUE": a text, or a number that is not below the least; or "--name" alone, a flag. One of the three is not NULL. */
struct option {
    const char *name;
    const char **text;
    double *number;
    bool *flag;
    double least;
};

static const struct option *find_option(const struct option *options, const char *name)
{
    for (; options->name; options++)
        if (!strcmp(options->name, name))
            return options;
    return NULL;
}

static bool set_option(const char *program, const struct option *option, const char *value)
{
    char *end;

    if (option->text) {
        *option->text = value;
        return true;
    }
    *option->number = strtod(value, &end);
    if (*value && !*end && *option->number >= option->least && *option->number <= 1e9)
        return true;
    fprintf(stderr, "%s: %s wants a number from %g on, not %s\n", program, option->name, option->least,
            value);
    return false;
}

/* Read a command line; the table ends with a name that is NULL. The one word that is no option is a file. False, and a line, where
 * something is wrong. */
static bool read_options(const char *program, const struct option *options, const char **file, int argc,
                         char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct option *option = find_option(options, argv[i]);

        if (strncmp(argv[i], "--", 2)) {
            *file = argv[i];
        } else if (!option) {
            fprintf(stderr, "%s: there is no option %s; see %s --help\n", program, argv[i], program);
            return false;
        } else if (option->flag) {
            *option->flag = true;
        } else if (i + 1 == argc) {
            fprintf(stderr, "%s: %s wants a value\n", program, option->name);
            return false;
        } else if (!set_option(program, option, argv[++i])) {
            return false;
        }
    }
    return true;
}

#endif
