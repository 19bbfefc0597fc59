/* peak.h - the CPU's way to run the kernel peak (shaders/peak/peak.h): a file of its own, as it fuses a * b + c. */
#ifndef KILN_TOOLS_BENCH_PEAK_H
#define KILN_TOOLS_BENCH_PEAK_H

#include <kiln/extend.h>

enum { BENCH_PEAK_TOGETHER = 64 }; /* elements of a unit of work: `count` is a multiple */

kiln_cpu_fn bench_peak_cpu;

#endif
