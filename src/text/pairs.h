/*
 * pairs.h - byte-pair encoding (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016): a piece
 * begins as its characters, and the pair of neighbours whose rule was learned first is merged until no rule fits.
 *
 * Of bytes (Radford et al. 2019): a piece's bytes are 256 printable characters, so that every text can be told in them. Of
 * characters: the last one of a piece bears a suffix, as </w>, which says that a word ends there.
 */
#ifndef KILN_TEXT_PAIRS_H
#define KILN_TEXT_PAIRS_H

#include "text/split.h"
#include "text/tokenizer.h"

struct kiln_merge {
    int left, right, to; /* numbers of tokens */
};

enum { KILN_SUFFIX_ROOM = 32 };

struct kiln_pairs {
    bool bytes;
    kiln_splitter split;
    bool prefix_space;             /* a text that does not begin with a space gets one */
    bool fuse_unknown;             /* unknown characters side by side are one <unk> */
    bool whole_words;              /* a piece that is a token is that token, whatever the rules make of it */
    bool spaced;                   /* decoding puts a space between tokens, whatever they are */
    char suffix[KILN_SUFFIX_ROOM]; /* "": none */
    KILN_VEC(struct kiln_merge) merges;
    struct kiln_pair_slot *slots; /* pair to rule, open addressing */
    int capacity;
};

extern const struct kiln_tokens_kind kiln_tokens_byte_pairs, kiln_tokens_character_pairs;

/** Give a tokenizer of pairs its empty rules, as its kind has them. */
kiln_status kiln_pairs_create(kiln_tokenizer *t);
void kiln_pairs_destroy(struct kiln_pairs **p);

/** Learn a rule, which comes after all others. False when out of memory. One that is there already stays. */
bool kiln_pairs_add(struct kiln_pairs *p, struct kiln_merge merge);

/** The rule of a pair of tokens; -1 where there is none. */
int kiln_pairs_find(const struct kiln_pairs *p, int left, int right);

/** The character that stands for a byte, and the byte that one stands for: -1 for none. */
int32_t kiln_byte_character(unsigned char byte);
int kiln_character_byte(int32_t character);

/** Cut a text into pieces, in characters that stand for bytes if need be. */
kiln_status kiln_pairs_split(const struct kiln_pairs *p, const char *text, kiln_texts *pieces);

/** Learn rules of texts: params as in kiln_tokenizer_train. */
kiln_status kiln_pairs_train(kiln_tokenizer *t, const kiln_texts *texts, const kiln_tokenizer_params *params);

#endif
