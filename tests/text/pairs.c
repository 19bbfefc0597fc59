/*
 * pairs.c - byte-pair encoding against Hugging Face's `tokenizers`: tests/golden/tokenizers, written by tools/golden/text.py.
 */
#include "text/pairs.h"

#include "base/json.h"
#include "config.h"
#include "data/files.h"

static void enter(void)
{
    if (!KILN_HAVE_JSON)
        cr_skip("kiln was built without JSON");
    enter_folder();
}

TestSuite(pairs, .init = enter, .fini = leave_folder);

/* The path of a golden; good until the next call. */
static const char *golden(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/golden/tokenizers/%s", getenv("KILN_TEST_ROOT"), name);
    return path;
}

static kiln_tokenizer *loaded(const char *name)
{
    char file[64];
    kiln_tokenizer *t;

    snprintf(file, sizeof file, "%s.json", name);
    cr_assert_eq(kiln_tokenizer_load(&t, golden(file)), KILN_OK, "%s", lines.newest);
    return t;
}

static void expect_case(const kiln_tokenizer *t, const char *name, const struct kiln_json *item)
{
    const char *text = kiln_json_text(kiln_json_find(item, "text"));
    const char *decoded = kiln_json_text(kiln_json_find(item, "decoded"));
    const struct kiln_json *wanted = kiln_json_first(kiln_json_find(item, "ids"));
    kiln_array ids;
    char *back;

    cr_assert_eq(kiln_tokenizer_encode(t, text, NULL, &ids), KILN_OK, "%s", lines.newest);
    for (int64_t i = 0; i < ids.shape.size[0]; i++, wanted = kiln_json_next(wanted)) {
        int64_t id = -1;
        kiln_json_whole(wanted, &id);
        cr_expect_eq(((int32_t *)ids.data)[i], id, "%s, \"%s\": %d is not %d at %d", name, text,
                     ((int32_t *)ids.data)[i], (int)id, (int)i);
    }
    cr_expect_null(wanted, "%s, \"%s\": more is wanted", name, text);
    if (decoded) {
        cr_assert_eq(kiln_tokenizer_decode(t, ids.data, ids.shape.size[0], &back), KILN_OK);
        cr_expect_str_eq(back, decoded, "%s, \"%s\": \"%s\"", name, text, back);
        free(back);
    }
    kiln_array_free(&ids);
}

/* What `tokenizers` made of all texts, by the tokenizer of that name. */
static void expect_cases(const kiln_tokenizer *t, const char *name)
{
    struct kiln_json *root;
    int count = 0;

    cr_assert_eq(kiln_json_open(&root, golden("cases.json")), KILN_OK);
    for (const struct kiln_json *i = kiln_json_first(root); i; i = kiln_json_next(i)) {
        if (strcmp(kiln_json_text(kiln_json_find(i, "tokenizer")), name) != 0)
            continue;
        expect_case(t, name, i);
        count++;
    }
    cr_expect_gt(count, 20);
    kiln_json_close(&root);
}

static const char *const names[] = {"bytes", "bytes_prefix", "characters", "lower"};

Test(pairs, encoding_and_decoding_agree_with_tokenizers)
{
    for (int i = 0; i < 4; i++) {
        kiln_tokenizer *t = loaded(names[i]);
        expect_cases(t, names[i]);
        kiln_tokenizer_destroy(&t);
    }
}

Test(pairs, what_was_saved_is_loaded)
{
    for (int i = 0; i < 4; i++) {
        kiln_tokenizer *t = loaded(names[i]), *again;

        cr_assert_eq(kiln_tokenizer_save(t, in_folder("t.json")), KILN_OK);
        kiln_tokenizer_destroy(&t);
        cr_assert_eq(kiln_tokenizer_load(&again, in_folder("t.json")), KILN_OK, "%s", lines.newest);
        expect_cases(again, names[i]);
        kiln_tokenizer_destroy(&again);
    }
}

Test(pairs, two_files_hold_the_same)
{
    kiln_tokenizer *t = loaded("bytes"), *again;

    cr_assert_eq(kiln_tokenizer_save_merges(t, in_folder("vocab.json"), in_folder("merges.txt")), KILN_OK);
    kiln_tokenizer_destroy(&t);
    cr_assert_eq(kiln_tokenizer_load_merges(&again, in_folder("vocab.json"), in_folder("merges.txt"),
                                            KILN_TOKENS_BYTE_PAIRS),
                 KILN_OK, "%s", lines.newest);
    expect_cases(again, "bytes");
    kiln_tokenizer_destroy(&again);
}

/* Learning ----------------------------------------------------------------------------------------------- */

static kiln_tokenizer *learned(kiln_tokens by, int64_t size)
{
    kiln_texts *texts;
    kiln_tokenizer *t;

    cr_assert_eq(kiln_texts_load(&texts, golden("corpus.txt"), NULL), KILN_OK);
    cr_assert_eq(kiln_tokenizer_train(&t, texts, &(kiln_tokenizer_params){.by = by, .size = size}), KILN_OK,
                 "%s", lines.newest);
    kiln_texts_destroy(&texts);
    return t;
}

Test(pairs, of_bytes_the_same_rules_are_learned)
{
    kiln_tokenizer *t = learned(KILN_TOKENS_BYTE_PAIRS, 420), *wanted = loaded("bytes");
    const kiln_vocabulary *v = kiln_tokenizer_vocabulary(t), *w = kiln_tokenizer_vocabulary(wanted);

    cr_assert_eq(kiln_vocabulary_size(v), 420);
    for (int i = 0; i < 420; i++)
        cr_expect_str_eq(kiln_vocabulary_token(v, i), kiln_vocabulary_token(w, i), "token %d", i);
    cr_assert_eq(t->pairs->merges.count, wanted->pairs->merges.count);
    for (int i = 0; i < t->pairs->merges.count; i++)
        cr_expect_arr_eq(&t->pairs->merges.data[i], &wanted->pairs->merges.data[i],
                         sizeof(struct kiln_merge));
    expect_cases(t, "bytes");
    kiln_tokenizer_destroy(&wanted);
    kiln_tokenizer_destroy(&t);
}

/* What a rule makes, spelled out. */
static void expect_same_rules(const kiln_tokenizer *a, const kiln_tokenizer *b)
{
    cr_assert_eq(a->pairs->merges.count, b->pairs->merges.count);
    for (int i = 0; i < a->pairs->merges.count; i++) {
        const struct kiln_merge *x = &a->pairs->merges.data[i], *y = &b->pairs->merges.data[i];
        cr_expect_str_eq(kiln_vocabulary_token(a->vocabulary, x->left),
                         kiln_vocabulary_token(b->vocabulary, y->left));
        cr_expect_str_eq(kiln_vocabulary_token(a->vocabulary, x->right),
                         kiln_vocabulary_token(b->vocabulary, y->right));
    }
}

Test(pairs, learning_twice_gives_the_same)
{
    for (int by = KILN_TOKENS_BYTE_PAIRS; by <= KILN_TOKENS_CHARACTER_PAIRS; by++) {
        kiln_tokenizer *t = learned((kiln_tokens)by, 0), *again = learned((kiln_tokens)by, 0);
        expect_same_rules(t, again);
        kiln_tokenizer_destroy(&again);
        kiln_tokenizer_destroy(&t);
    }
}

/* The definition, word for word: count all pairs anew, merge the most frequent, of equal ones the least. */
static void merge_plainly(int *token, int *count, int left, int right, int to)
{
    int n = 0;

    for (int i = 0; i < *count; i++, n++) {
        const bool pair = i + 1 < *count && token[i] == left && token[i + 1] == right;
        token[n] = pair ? to : token[i];
        i += pair;
    }
    *count = n;
}

static void best_plainly(const int *token, int count, int ids, int *counts, int *best)
{
    memset(counts, 0, (size_t)ids * (size_t)ids * sizeof *counts);
    for (int i = 0; i + 1 < count; i++)
        counts[token[i] * ids + token[i + 1]]++;
    *best = 0;
    for (int i = 1; i < ids * ids; i++)
        if (counts[i] > counts[*best])
            *best = i;
}

Test(pairs, rules_are_those_of_the_plain_definition)
{
    enum { IDS = 60, LENGTH = 400 };
    static int token[LENGTH], counts[IDS * IDS];
    char text[LENGTH + 1] = {0};
    int count = LENGTH, best;
    uint32_t seed = 7;
    kiln_texts *texts;
    kiln_tokenizer *t;

    for (int i = 0; i < LENGTH; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (char)('a' + (seed >> 24) % 3 * ((seed >> 20) % 2));
    }
    cr_assert_eq(kiln_texts_create(&texts), KILN_OK);
    cr_assert_eq(kiln_texts_add(texts, text), KILN_OK);
    cr_assert_eq(kiln_tokenizer_train(
                     &t, texts,
                     &(kiln_tokenizer_params){.by = KILN_TOKENS_BYTE_PAIRS, .size = 256 + 40, .bare = true}),
                 KILN_OK);
    for (int i = 0; i < LENGTH; i++)
        token[i] = text[i] - 'a';
    for (int i = 0; i < t->pairs->merges.count; i++) {
        const struct kiln_merge *rule = &t->pairs->merges.data[i];
        const int a = kiln_vocabulary_find(t->vocabulary, "a");
        const int left = rule->left < 256 ? rule->left - a : rule->left - 256 + 3;
        const int right = rule->right < 256 ? rule->right - a : rule->right - 256 + 3;

        best_plainly(token, count, IDS, counts, &best);
        cr_assert(best == left * IDS + right, "rule %d: %d %d, wanted %d %d", i, left, right, best / IDS,
                  best % IDS);
        merge_plainly(token, &count, left, right, 3 + i);
    }
    cr_expect_eq(t->pairs->merges.count, 40);
    kiln_texts_destroy(&texts);
    kiln_tokenizer_destroy(&t);
}

Test(pairs, every_text_comes_back_of_bytes)
{
    kiln_tokenizer *t = learned(KILN_TOKENS_BYTE_PAIRS, 300);
    char text[200] = {0}, *back;
    uint32_t seed = 1;
    kiln_array ids;

    for (int round = 0; round < 200; round++) {
        size_t bytes = 0;
        while (bytes < 190) {
            seed = seed * 1664525u + 1013904223u;
            bytes += kiln_utf8_write(text + bytes, (int32_t)(seed >> 8) % (round % 2 ? 0x11000 : 0x300));
        }
        text[bytes] = '\0';
        cr_assert_eq(kiln_tokenizer_encode(t, text, NULL, &ids), KILN_OK);
        cr_assert_eq(kiln_tokenizer_decode(t, ids.data, ids.shape.size[0], &back), KILN_OK);
        cr_expect_str_eq(back, text);
        free(back);
        kiln_array_free(&ids);
    }
    kiln_tokenizer_destroy(&t);
}

/* Odd ends ----------------------------------------------------------------------------------------------- */

Test(pairs, bytes_that_are_no_text_are_replaced)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"a\xC3", "a\xEF\xBF\xBD"},
        {"\xE2\x82x", "\xEF\xBF\xBDx"},
        {"\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xC3\xA9", "\xC3\xA9"},
    };
    kiln_tokenizer *t = learned(KILN_TOKENS_BYTE_PAIRS, 260);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t ids[8];
        int count = 0;
        char *text;

        for (const char *byte = cases[i].bytes; *byte; byte++) {
            char token[5] = {0};
            kiln_utf8_write(token, kiln_byte_character((unsigned char)*byte));
            ids[count++] = kiln_vocabulary_find(kiln_tokenizer_vocabulary(t), token);
        }
        cr_assert_eq(kiln_tokenizer_decode(t, ids, count, &text), KILN_OK);
        cr_expect_str_eq(text, cases[i].text, "case %zu: %s", i, text);
        free(text);
    }
    kiln_tokenizer_destroy(&t);
}

Test(pairs, each_byte_has_one_character)
{
    for (int byte = 0; byte < 256; byte++)
        cr_expect_eq(kiln_character_byte(kiln_byte_character((unsigned char)byte)), byte);
    cr_expect_eq(kiln_byte_character(' '), 0x120);
    cr_expect_eq(kiln_byte_character('\n'), 0x10A);
    cr_expect_eq(kiln_byte_character(0xAD), 0x143);
    cr_expect_eq(kiln_character_byte(0x144), -1);
    cr_expect_eq(kiln_character_byte(' '), -1);
}

Test(pairs, a_word_of_a_million_characters_is_no_trouble)
{
    enum { LENGTH = 1000000 };
    kiln_tokenizer *t = learned(KILN_TOKENS_BYTE_PAIRS, 420);
    char *text = malloc(LENGTH + 1), *back;
    kiln_array ids;

    memset(text, 'a', LENGTH);
    text[LENGTH] = '\0';
    cr_assert_eq(kiln_tokenizer_encode(t, text, NULL, &ids), KILN_OK);
    cr_assert_eq(kiln_tokenizer_decode(t, ids.data, ids.shape.size[0], &back), KILN_OK);
    cr_expect_eq(strcmp(text, back), 0);
    kiln_array_free(&ids);
    free(back);
    free(text);
    kiln_tokenizer_destroy(&t);
}

Test(pairs, bad_files_end_in_one_line)
{
    static const struct {
        kiln_status status;
        const char *json, *reason;
    } bad[] = {
        {KILN_ERROR_FILE, "{", "bad:1:"},
        {KILN_ERROR_FILE, "{}", "the model is \"BPE\", wanted BPE with"},
        {KILN_ERROR_UNSUPPORTED, "{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "Unigram"},
        {KILN_ERROR_UNSUPPORTED, "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{},\"merges\":[]}}",
         "WordPiece"},
        {KILN_ERROR_FILE, "{\"model\":{\"vocab\":{\"a\":1},\"merges\":[]}}", "has number 1, wanted 0"},
        {KILN_ERROR_FILE, "{\"model\":{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
         "has number 0, wanted 1"},
        {KILN_ERROR_FILE, "{\"model\":{\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", "token 0"},
        {KILN_ERROR_FILE, "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", "merge 0"},
        {KILN_ERROR_FILE, "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", "wanted two tokens"},
        {KILN_ERROR_FILE, "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", "wanted two tokens"},
        {KILN_ERROR_FILE, "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"u\"}}", "\"u\""},
        {KILN_ERROR_FILE, "{\"added_tokens\":[{\"content\":\"m\"}],\"model\":{\"vocab\":{},\"merges\":[]}}",
         "\"m\""},
        {KILN_ERROR_UNSUPPORTED,
         "{\"normalizer\":{\"type\":\"NFKC\"},\"model\":{\"vocab\":{},\"merges\":[]}}", "NFKC"},
        {KILN_ERROR_UNSUPPORTED,
         "{\"pre_tokenizer\":{\"type\":\"Metaspace\"},\"model\":{\"vocab\":{},\"merges\":[]}}", "Metaspace"},
        {KILN_ERROR_UNSUPPORTED, "{\"model\":{\"vocab\":{},\"merges\":[],\"byte_fallback\":true}}", "bytes"},
        {KILN_ERROR_UNSUPPORTED,
         "{\"model\":{\"vocab\":{},\"merges\":[],\"continuing_subword_prefix\":\"##\"}}", "##"},
        {KILN_ERROR_UNSUPPORTED, "{\"model\":{\"vocab\":{},\"merges\":[],\"dropout\":0.1}}", "0.1"},
    };
    kiln_tokenizer *t = NULL;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_file("bad", bad[i].json, strlen(bad[i].json));
        expect_failure(kiln_tokenizer_load(&t, in_folder("bad")), bad[i].status, t, "bad", bad[i].reason);
    }
    put_file("vocab", "{\"a\":0,\"b\":1,\"ab\":2}", 20);
    put_file("merges", "#version: 0.2\na b\na b c\n", 24);
    expect_failure(kiln_tokenizer_load_merges(&t, in_folder("vocab"), in_folder("merges"),
                                              KILN_TOKENS_BYTE_PAIRS),
                   KILN_ERROR_FILE, t, "merges", "line 3");
    expect_failure(kiln_tokenizer_load_merges(&t, in_folder("vocab"), in_folder("merges"), KILN_TOKENS_WORDS),
                   KILN_ERROR_ARGUMENT, t, "merges", "kind 0");
}
