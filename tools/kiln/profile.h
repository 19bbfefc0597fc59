/* profile.h - what a profiled program's commands took. */
#ifndef KILN_TOOLS_PROFILE_H
#define KILN_TOOLS_PROFILE_H

#include <kiln/kiln.h>

/* Print the commands of the newest run, those that took longest first. */
kiln_status profile_print(const kiln_program *p);

#endif
