/*
 * args.h - a command's arguments: one table says what they are, and both the parser and --help read it.
 *
 *   struct { int64_t epochs; bool json; } o = {.epochs = 3};
 *   const struct args args = {
 *       .command = "train", .operands = "NETWORK", .least = 1, .most = 1, .about = "Train a network.",
 *       .options = (const struct args_option[]){
 *           {"epochs", "N", ARGS_COUNT, &o.epochs, "passes over the data (default: 3)"},
 *           {"json", NULL, ARGS_FLAG, &o.json, "print one JSON document"},
 *           {0}}};
 *   int code;
 *   if (!args_parse(&args, argc, argv, &code))
 *       return code;
 *
 * An option is given as --name VALUE or --name=VALUE; after "--" everything is an operand.
 */
#ifndef KILN_TOOLS_ARGS_H
#define KILN_TOOLS_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/format.h"

/** How the command ends: done, failed, called wrongly. */
enum { ARGS_DONE = 0, ARGS_FAILED = 1, ARGS_WRONG = 2 };

#define ARGS_MOST 64 /* operands, or values of one list */

struct args_list {
    const char *item[ARGS_MOST];
    int count;
};

enum args_kind {
    ARGS_FLAG,   /* bool: true when given; takes no value */
    ARGS_TEXT,   /* const char *: the value */
    ARGS_LIST,   /* struct args_list: may be given several times */
    ARGS_COUNT,  /* int64_t: a whole number of at least 1 */
    ARGS_NUMBER, /* double: above 0 */
    ARGS_SEED,   /* uint64_t */
};

struct args_option {
    const char *name;  /* without "--"; NULL ends a table */
    const char *value; /* what --help calls the value */
    enum args_kind kind;
    void *to; /* where the value goes; left as it is when the option is not given */
    const char *help;
};

struct args {
    const char *command;
    const char *operands; /* as in the usage line, "MODEL.onnx"; NULL: there are none */
    int least, most;      /* how many of them */
    const char *about;    /* what the command does: sentences for --help */
    const struct args_option *options;
    struct args_list *given; /* receives the operands; may be NULL where there are none */
};

/** Read what follows the command's name; false when the command shall end with *code: --help was asked, or all is said. */
bool args_parse(const struct args *args, int argc, char **argv, int *code);

/** Whether an option was given, for those whose default is nothing: 0, NULL, no flag. */
bool args_is_given(const struct args *args, const char *name);

/** The first of such options that was given and that the words do not name, as "device seed"; NULL if there is none. */
const char *args_given_beyond(const struct args *args, const char *words);

/** Say on stderr what is wrong and where help is; returns ARGS_WRONG. */
int args_wrong(const char *command, const char *format, ...) KILN_FORMAT(2, 3);

#endif
