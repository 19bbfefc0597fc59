/*
 * main.c - the kiln command: a table of commands.
 *
 * Exit codes: 0 done, 1 failed, 2 called wrongly (args.h).
 */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "commands.h"
#include "config.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"devices", cmd_devices, "list the devices that kiln can run on"},
    {"inspect", cmd_inspect, "say what an ONNX model is, and what a device would run for it"},
    {"run", cmd_run, "run an ONNX model on a picture or on arrays"},
    {"train", cmd_train, "train a network and write it to a folder"},
    {"tune", cmd_tune, "find the fastest kernels of a device for an ONNX model"},
    {"check", cmd_check, "compare every kernel of a device with what it means"},
    {"bench", cmd_bench, "time a device"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to)
{
    fprintf(to, "usage: kiln COMMAND [OPTION...]\n\n"
                "Trains and runs neural networks on any Vulkan GPU and on the CPU.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s%s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n'kiln COMMAND --help' tells about one of them. KILN_DEVICE names the device to use.\n");
}

static bool asks(const char *text, const char *option, const char *letter)
{
    return !strcmp(text, option) || !strcmp(text, letter);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return ARGS_WRONG;
    }
    if (asks(argv[1], "--help", "-h")) {
        print_help(stdout);
        return ARGS_DONE;
    }
    if (asks(argv[1], "--version", "-V")) {
        puts("kiln " KILN_VERSION);
        return ARGS_DONE;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 2, argv + 2);
    fprintf(stderr, "kiln: there is no command \"%s\"; 'kiln --help' lists them\n", argv[1]);
    return ARGS_WRONG;
}
