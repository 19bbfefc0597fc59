/* split.h - how tokenizers of byte pairs cut a text before they pair: the pre-tokenizers of Hugging Face's `tokenizers`. */
#ifndef KILN_TEXT_SPLIT_H
#define KILN_TEXT_SPLIT_H

#include "text/texts.h"

/** Append the pieces of a text, which is UTF-8. */
typedef kiln_status (*kiln_splitter)(kiln_texts *pieces, const char *text);

/** The text as it is; nothing for an empty one. */
kiln_status kiln_split_nothing(kiln_texts *pieces, const char *text);

/** ByteLevel, the expression of GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
kiln_status kiln_split_byte_level(kiln_texts *pieces, const char *text);

/** Whitespace: \w+|[^\w\s]+ */
kiln_status kiln_split_whitespace(kiln_texts *pieces, const char *text);

/** WhitespaceSplit: \S+ */
kiln_status kiln_split_spaces(kiln_texts *pieces, const char *text);

#endif
