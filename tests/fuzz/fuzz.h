/* fuzz.h - what the fuzz targets share: libFuzzer's entry point, files and folders to put bytes into, and silence. */
#ifndef KILN_TESTS_FUZZ_FUZZ_H
#define KILN_TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void be_silent(void)
{
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
}

static inline void put_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static inline void make_folder_at(char path[64])
{
    strcpy(path, "/tmp/kiln-fuzz-XXXXXX");
    if (!mkdtemp(path))
        abort();
}

static char fuzz_file[64];

static inline void remove_fuzz_file(void)
{
    remove(fuzz_file);
}

/* Put the bytes into a file that goes with the process; its path. */
static inline const char *as_file(const uint8_t *data, size_t size)
{
    if (!fuzz_file[0]) {
        strcpy(fuzz_file, "/tmp/kiln-fuzz-XXXXXX");
        if (mkstemp(fuzz_file) < 0)
            abort();
        atexit(remove_fuzz_file);
    }
    put_file(fuzz_file, data, size);
    return fuzz_file;
}

/* Read all values, so that a sanitizer sees a view that leaves its memory; returns what keeps the loop alive. */
static inline unsigned touch(const void *data, size_t bytes)
{
    static volatile unsigned seen;
    unsigned sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += ((const unsigned char *)data)[i];
    return seen = sum;
}

#endif
