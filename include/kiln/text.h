/*
 * text.h - text as networks read it: UTF-8, lists of texts, vocabularies, and tokenizers between texts and numbers.
 *
 *   kiln_texts_load(&lines, "train.en");                                   one text a line
 *   kiln_tokenizer_train(&words, lines, &(kiln_tokenizer_params){.by = KILN_TOKENS_WORDS, .lower = true});
 *   kiln_tokenizer_encode(words, "A man, a plan.", &(kiln_encode_params){.eos = true}, &ids);
 *   kiln_tokenizer_decode(words, ids.data, ids.shape.size[0], &text);      "a man, a plan."
 *
 * Texts are UTF-8 and end with a zero, so none holds the character U+0000. Whatever comes from outside is checked once, on its
 * way in; a byte that is no UTF-8 ends in one line that says which and where. All results are the same on every machine: classes
 * of characters come from a table of this library, not from the locale.
 */
#ifndef KILN_TEXT_H
#define KILN_TEXT_H

#include <kiln/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Characters --------------------------------------------------------------------------------------------- */

/**
 * The character at *text, which moves past it; 0 at the end, -1 at a byte that begins no UTF-8 character (RFC 3629: no overlong
 * forms, no surrogates, at most U+10FFFF), where *text stays.
 */
KILN_API int32_t kiln_utf8_next(const char **text);

/** Write a character as 1 to 4 bytes, without an ending zero, and return how many; 0 for 0 and what is no character. */
KILN_API size_t kiln_utf8_write(char to[4], int32_t character);

/** How many characters a text has, up to its first fault if it has one. */
KILN_API int64_t kiln_utf8_length(const char *text);

/** Errors: ERROR_FILE and one line, "WHAT: byte 0x.. at .. begins no UTF-8 character", for the first fault of a text. */
KILN_API kiln_status kiln_utf8_check(const char *text, const char *what);

/** What a character is (Unicode 14): general categories, White_Space, and \w of regular expressions (UTS 18). */
typedef enum kiln_character_kind {
    KILN_LETTER = 1,
    KILN_MARK = 2,
    KILN_NUMBER = 4,
    KILN_PUNCTUATION = 8,
    KILN_SYMBOL = 16,
    KILN_SPACE = 32,
    KILN_WORD = 64, /* letters, marks, digits, what joins words as _ does */
} kiln_character_kind;

/** Bits of kiln_character_kind; 0 for control characters, private and unassigned ones. */
KILN_API unsigned kiln_character_kinds(int32_t character);

/** The lower case where that is one character, else the character itself. */
KILN_API int32_t kiln_character_lower(int32_t character);

/* Lists of texts ----------------------------------------------------------------------------------------- */

/** Texts in order, each ended by a zero. */
typedef struct kiln_texts kiln_texts;

KILN_API kiln_status kiln_texts_create(kiln_texts **out);
KILN_API void kiln_texts_destroy(kiln_texts **t);

/** Append a copy. Errors: ERROR_FILE where it is no UTF-8, as kiln_utf8_check. */
KILN_API kiln_status kiln_texts_add(kiln_texts *t, const char *text);

KILN_API int64_t kiln_texts_count(const kiln_texts *t);

/** A text by its place, 0 .. count - 1; NULL beyond. A loan until the next kiln_texts_add. */
KILN_API const char *kiln_texts_get(const kiln_texts *t, int64_t i);

typedef struct kiln_texts_params {
    /* of lines of columns parted by tabs take one, 1 the first; 0: whole lines */
    int column;
    bool whole; /* the file is one text */
} kiln_texts_params;

/**
 * Read a file, a text a line. A byte order mark and carriage returns before newlines are left out.
 * Errors:  the file's; ERROR_FILE naming the line of a byte that is no UTF-8, or that has no such column.
 */
KILN_API kiln_status kiln_texts_load(kiln_texts **out, const char *path, const kiln_texts_params *params);

/** Write them, one a line, in one step: at `path` lies the old file or the whole new one. */
KILN_API kiln_status kiln_texts_save(const kiln_texts *t, const char *path);

/**
 * Append the words of a text to a list: runs of letters, marks and digits, and whatever else stands apart by itself. Within a word
 * stay a hyphen and an apostrophe between letters and a point or comma between digits; such an apostrophe ends its word:
 * "L'ami d'en-haut paya 3.50 $..." is L' ami d' en-haut paya 3.50 $ ... (a run of one sign is one word).
 */
KILN_API kiln_status kiln_words_split(kiln_texts *words, const char *text);

/**
 * The text that words make, set as in print: no space before a closing sign, behind an opening one, behind an apostrophe
 * that ends a word; quotation marks " open and close by turns. What kiln_words_split apart loses are runs of spaces, and spaces at
 * such places.
 * Owns: *text is yours: free() it.
 */
KILN_API kiln_status kiln_words_join(const kiln_texts *words, char **text);

/* Vocabularies ------------------------------------------------------------------------------------------- */

/** Tokens, numbered from 0, each with how often it was counted. */
typedef struct kiln_vocabulary kiln_vocabulary;

/** Tokens with a meaning of their own: to fill up short rows, for what is not in the vocabulary, to begin and to end a text. */
typedef enum kiln_special {
    KILN_SPECIAL_PAD,
    KILN_SPECIAL_UNKNOWN,
    KILN_SPECIAL_BEGIN,
    KILN_SPECIAL_END,
    KILN_SPECIALS, /* how many there are */
} kiln_special;

/** An empty vocabulary; unless `bare`, its first are <pad> 0, <unk> 1, <bos> 2 and <eos> 3. */
KILN_API kiln_status kiln_vocabulary_create(kiln_vocabulary **out, bool bare);
KILN_API void kiln_vocabulary_destroy(kiln_vocabulary **v);

/** Count a token so many times more; a new one gets the next number. Errors: an empty token, or one that is no UTF-8. */
KILN_API kiln_status kiln_vocabulary_add(kiln_vocabulary *v, const char *token, int64_t count);

/**
 * Number anew: special tokens first, as they were, then the others from the most frequent, equal ones by their bytes; only those
 * counted at least `minimum` times, and at most `most` tokens in all (0: no limit).
 */
KILN_API kiln_status kiln_vocabulary_order(kiln_vocabulary *v, int64_t minimum, int64_t most);

KILN_API int kiln_vocabulary_size(const kiln_vocabulary *v);

/** The number of a token; -1 where it has none. */
KILN_API int kiln_vocabulary_find(const kiln_vocabulary *v, const char *token);

/** A token by its number; NULL beyond. A loan until the vocabulary changes. */
KILN_API const char *kiln_vocabulary_token(const kiln_vocabulary *v, int id);

/** How often a token was counted; 0 beyond. */
KILN_API int64_t kiln_vocabulary_count(const kiln_vocabulary *v, int id);

/** The number of a special token; -1 where it has none. */
KILN_API int kiln_vocabulary_special(const kiln_vocabulary *v, kiln_special which);

/** Let a token be a special one, instead of another; it is added if need be. */
KILN_API kiln_status kiln_vocabulary_set_special(kiln_vocabulary *v, kiln_special which, const char *token);

/**
 * A text file of a line a token: token, tab, count, and behind another tab what is special about it: pad, unk, bos or eos. In a
 * token a tab, a newline, a carriage return and a backslash are \t, \n, \r and \\.
 * Errors of load: the file's; ERROR_FILE naming the line of a token that is empty, twice there, or no UTF-8, or a count that is none.
 */
KILN_API kiln_status kiln_vocabulary_load(kiln_vocabulary **out, const char *path);
KILN_API kiln_status kiln_vocabulary_save(const kiln_vocabulary *v, const char *path);

/* Tokenizers --------------------------------------------------------------------------------------------- */

/** Turns texts into numbers and back. It does not change once it is there: any number of threads may use it. */
typedef struct kiln_tokenizer kiln_tokenizer;

typedef enum kiln_tokens {
    KILN_TOKENS_WORDS,      /* kiln_words_split and kiln_words_join */
    KILN_TOKENS_CHARACTERS, /* each character, spaces and newlines too */
    /* byte pairs as GPT-2 has them: every text can be told in them, and comes back as it was (Radford et al. 2019) */
    KILN_TOKENS_BYTE_PAIRS,
    /* pairs of characters, </w> at the ends of words (Sennrich et al. 2016); decoding sets a space between words and signs */
    KILN_TOKENS_CHARACTER_PAIRS,
} kiln_tokens;

typedef struct kiln_tokenizer_params {
    kiln_tokens by;
    bool lower;      /* texts come to lower case first */
    bool bare;       /* no special tokens: what is not in the vocabulary is left out */
    int64_t size;    /* at most so many tokens, with the special ones; 0: no limit, of pairs 8,000 */
    int64_t minimum; /* only words, characters or pairs that occur so often; 0 means 1 */
} kiln_tokenizer_params;

/**
 * Learn a vocabulary of texts.
 *
 * Of pairs: the characters, or all 256 bytes, come first, in their order; then the most frequent pair of neighbours is made a token
 * until there are as many as wanted, of equally frequent ones that of the smaller numbers. Pairs never reach over the pieces into
 * which a text is cut first: \w+|[^\w\s]+ for characters, for bytes the expression of GPT-2. Rules and numbers are those that
 * Hugging Face's `tokenizers` learns of the same texts.
 */
KILN_API kiln_status kiln_tokenizer_train(kiln_tokenizer **out, const kiln_texts *texts,
                                          const kiln_tokenizer_params *params);

/**
 * Read what kiln_tokenizer_save wrote, or a tokenizer.json of `tokenizers` with a BPE model, the pre-tokenizer ByteLevel, Whitespace,
 * WhitespaceSplit or none, and the normalizer Lowercase or none. Tokens of well-known names (<pad>, [UNK], <s>, <|endoftext|>,
 * ...) become the special ones; a post-processor is not used: see kiln_encode_params.
 * Errors:  the file's; ERROR_FILE for what is no tokenizer; ERROR_UNSUPPORTED, by name, for other models and steps, and in a kiln
 *          without JSON.
 */
KILN_API kiln_status kiln_tokenizer_load(kiln_tokenizer **out, const char *path);

/**
 * Write it in one step. Of pairs: a tokenizer.json, which `tokenizers` reads. Of words and characters: a line "kiln tokenizer words",
 * with " lower" where texts are lowered, then the lines of kiln_vocabulary_save.
 */
KILN_API kiln_status kiln_tokenizer_save(const kiln_tokenizer *t, const char *path);

/**
 * Read and write a tokenizer of pairs as vocab.json (tokens to numbers) and merges.txt (a rule a line, "left right"), the form of
 * GPT-2 and of older models. The files do not say what is paired: `by` does.
 */
KILN_API kiln_status kiln_tokenizer_load_merges(kiln_tokenizer **out, const char *vocabulary,
                                                const char *merges, kiln_tokens by);
KILN_API kiln_status kiln_tokenizer_save_merges(const kiln_tokenizer *t, const char *vocabulary,
                                                const char *merges);

KILN_API void kiln_tokenizer_destroy(kiln_tokenizer **t);

/** Its tokens and their numbers. A loan. */
KILN_API const kiln_vocabulary *kiln_tokenizer_vocabulary(const kiln_tokenizer *t);

typedef struct kiln_encode_params {
    bool begin, end; /* put the special tokens that begin and end a text around it */
    int64_t most;    /* cut to so many tokens, those two counted in and kept; 0: no limit */
} kiln_encode_params;

/**
 * The numbers of a text's tokens.
 *
 * Shape:   ids I32 [count].
 * Owns:    ids->data is yours: kiln_array_free(ids). It is {0} on failure.
 * Errors:  a text that is no UTF-8; `begin` or `end` of a tokenizer that has no such token.
 */
KILN_API kiln_status kiln_tokenizer_encode(const kiln_tokenizer *t, const char *text,
                                           const kiln_encode_params *params, kiln_array *ids);

/**
 * The text of tokens, without the special ones <pad>, <bos> and <eos>; it stops at the first <eos>.
 * Owns: *text is yours: free() it; NULL on failure. Errors: a number outside the vocabulary.
 */
KILN_API kiln_status kiln_tokenizer_decode(const kiln_tokenizer *t, const int32_t *ids, int64_t count,
                                           char **text);

/** Numbers of many texts: those of text i are ids[first[i]] .. ids[first[i + 1] - 1]. {0} holds none. */
typedef struct kiln_sequences {
    int64_t rows;
    int32_t *ids;
    int64_t *first; /* rows + 1 of them */
} kiln_sequences;

/** Encode every text of a list. Owns: out is yours: kiln_sequences_free. Errors: those of kiln_tokenizer_encode. */
KILN_API kiln_status kiln_tokenizer_encode_all(const kiln_tokenizer *t, const kiln_texts *texts,
                                               const kiln_encode_params *params, kiln_sequences *out);

KILN_API void kiln_sequences_free(kiln_sequences *s);

/* Generated pairs ---------------------------------------------------------------------------------------- */

typedef struct kiln_dates_params {
    int64_t rows;  /* 0 means 10,000 */
    uint64_t seed; /* other seeds, other rows */
    bool unseen; /* of the days that no other rows have, one in sixteen: to judge what learned from others */
} kiln_dates_params;

/**
 * Append dates as people write them in English, German, French, Spanish, Italian, Dutch and Portuguese ("Mittwoch, den 3. März
 * 2021", "3/9/21"), and the same as ISO 8601 has them ("2021-03-03"), days of 1900 to 2099; for machines that have no data at
 * hand. No text has two readings. Row i depends on seed, i and `unseen` alone.
 */
KILN_API kiln_status kiln_dates_generate(kiln_texts *written, kiln_texts *iso,
                                         const kiln_dates_params *params);

#ifdef __cplusplus
}
#endif
#endif
