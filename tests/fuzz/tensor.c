/* tensor.c - any bytes as a tensor of ONNX on its own: read or refused; what is read has the memory that its shape says. */
#include <kiln/import.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kiln_array a;
    size_t bytes;

    be_silent();
    if (kiln_onnx_load_tensor(&a, as_file(data, size)))
        return 0;
    if (kiln_array_size(&a, &bytes) || bytes != a.bytes)
        abort();
    touch(a.data, bytes);
    kiln_array_free(&a);
    return 0;
}
