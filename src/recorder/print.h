/* print.h - a command list as text, for people and golden files. */
#ifndef KILN_RECORDER_PRINT_H
#define KILN_RECORDER_PRINT_H

#include "device/commands.h"

/**
 * Print a list through `write`, a line a call, each ended by a newline: a line of counts, then one for each
 * command.
 *
 *   body: 2 dispatches, 0 copies, 1 fill, 1 barrier
 *   0 fill scratch+0:256 with 0x00000000
 *   1 dispatch copy [reference] units 64 in input.x+0:256 out scratch+256:256 ; stem
 *   2 barrier
 *   3 dispatch matmul [tiled] groups 24 in weights+0:4096 scratch+256:256 out output.y+0:1024 ; dense1
 *
 * Ranges are buffer+offset:bytes; what is read comes after "in", written "out", both "inout", scratch
 * "using", the words that hold a dispatch_indirect's groups "as many as". What is repeated is indented. A part of a
 * dispatch says "groups 24 from 64". Nothing depends on the machine beyond the list
 * itself.
 */
void kiln_commands_print(const struct kiln_commands *list, void (*write)(void *user, const char *text),
                         void *user);

#endif
