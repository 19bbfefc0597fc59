/* merges.c - any bytes as a vocab.json, a zero, and a merges.txt: read or refused; what is read encodes and decodes. */
#include <kiln/text.h>

#include "fuzz/fuzz.h"

/* The second part in a file of its own. */
static const char *second_file(const uint8_t *data, size_t size)
{
    static char path[80];

    snprintf(path, sizeof path, "%s.merges", fuzz_file);
    put_file(path, data, size);
    return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t first = zero ? (size_t)(zero - data) : size;
    const char *vocabulary = as_file(data, first);
    const char *merges = second_file(zero ? zero + 1 : data, zero ? size - first - 1 : 0);
    kiln_tokenizer *t;
    kiln_array ids;
    char *text;

    be_silent();
    for (int by = KILN_TOKENS_BYTE_PAIRS; by <= KILN_TOKENS_CHARACTER_PAIRS; by++) {
        if (kiln_tokenizer_load_merges(&t, vocabulary, merges, (kiln_tokens)by))
            continue;
        if (kiln_tokenizer_encode(t, "aaab ab <unk>\n", NULL, &ids) ||
            kiln_tokenizer_decode(t, ids.data, ids.shape.size[0], &text))
            abort();
        touch(text, strlen(text));
        free(text);
        kiln_array_free(&ids);
        kiln_tokenizer_destroy(&t);
    }
    remove(merges);
    return 0;
}
