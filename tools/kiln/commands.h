/*
 * commands.h - the commands that main.c lists: each in its file, cmd_NAME.c.
 *
 * argv holds what follows the command's name. A command returns how the process ends: ARGS_DONE, ARGS_FAILED after a line on
 * stderr (the library's, as a rule), ARGS_WRONG.
 */
#ifndef KILN_TOOLS_COMMANDS_H
#define KILN_TOOLS_COMMANDS_H

int cmd_bench(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_tune(int argc, char **argv);

#endif
