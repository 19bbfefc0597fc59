/* npz.c - any bytes as a .npz: each array of it is read or refused. */
#include <kiln/import.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kiln_npz *file;
    kiln_array a;

    be_silent();
    if (kiln_npz_open(&file, as_file(data, size)))
        return 0;
    for (int i = 0; i < kiln_npz_count(file); i++) {
        if (kiln_npz_load(file, kiln_npz_name(file, i), &a))
            continue;
        touch(a.data, a.bytes);
        kiln_array_free(&a);
    }
    kiln_npz_close(&file);
    return 0;
}
