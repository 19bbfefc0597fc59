/* safetensors.c - any bytes as a safetensors file: opened or refused; every tensor of it lies in the file. */
#include <kiln/import.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kiln_safetensors *file;
    kiln_array view;

    be_silent();
    if (kiln_safetensors_open(&file, as_file(data, size)))
        return 0;
    for (int i = 0; i < kiln_safetensors_count(file); i++) {
        size_t bytes;
        if (!kiln_safetensors_find(file, kiln_safetensors_name(file, i), &view) ||
            kiln_array_size(&view, &bytes) || bytes != view.bytes || bytes > size)
            abort();
        touch(view.data, bytes);
    }
    kiln_safetensors_note(file, "step");
    kiln_safetensors_close(&file);
    return 0;
}
