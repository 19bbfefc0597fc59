/* process.c - what the system counts of this process. */
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double process_memory(const char *what)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, what, strlen(what)))
            kib = strtod(line + strlen(what) + 1, NULL);
    if (file)
        fclose(file);
    return kib * 1024;
}
