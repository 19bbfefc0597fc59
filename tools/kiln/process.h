/* process.h - what the system counts of this process. */
#ifndef KILN_TOOLS_PROCESS_H
#define KILN_TOOLS_PROCESS_H

/**
 * The process's memory in bytes: "VmRSS" now, "VmHWM" at its peak. Not getrusage: what it tells goes back beyond exec, to the
 * program that started this one. 0 on a system that does not say.
 */
double process_memory(const char *what);

#endif
