/* profile.h - what a profiled program's commands took. */
#ifndef KILN_TOOLS_PROFILE_H
#define KILN_TOOLS_PROFILE_H

#include <kiln/kiln.h>

/**
 * The commands of a profiled program's newest plan; *count is how many, 0 where nothing was planned.
 * Owns: free. Errors: NULL, and a line in the log, without memory.
 */
kiln_command_time *profile_read(const kiln_program *p, int *count);

/** Print the commands of the newest run, those that took longest first. */
kiln_status profile_print(const kiln_program *p);

#endif
