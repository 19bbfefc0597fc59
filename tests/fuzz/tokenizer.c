/* tokenizer.c - any bytes as a tokenizer.json: read or refused; what is read encodes, decodes, and is read back as it was written. */
#include <kiln/text.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kiln_tokenizer *t, *again;
    kiln_array ids;
    char *text;

    be_silent();
    if (kiln_tokenizer_load(&t, as_file(data, size)))
        return 0;
    if (kiln_tokenizer_encode(t, "The na\xC3\xAFve <mask> <pad>aaab  1,5\n", NULL, &ids))
        abort();
    touch(ids.data, ids.bytes);
    if (kiln_tokenizer_decode(t, ids.data, ids.shape.size[0], &text))
        abort();
    touch(text, strlen(text));
    free(text);
    kiln_array_free(&ids);
    if (kiln_tokenizer_save(t, fuzz_file) || kiln_tokenizer_load(&again, fuzz_file))
        abort();
    kiln_tokenizer_destroy(&again);
    kiln_tokenizer_destroy(&t);
    return 0;
}
