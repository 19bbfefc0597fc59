/* tokenizer.c - words and characters to numbers and back. */
#include <criterion/criterion.h>

#include <kiln/text.h>

#include "data/files.h"

TestSuite(tokenizer, .init = enter_folder, .fini = leave_folder);

static kiln_texts *corpus(void)
{
    kiln_texts *t;

    cr_assert_eq(kiln_texts_create(&t), KILN_OK);
    cr_assert_eq(kiln_texts_add(t, "The dog, the man."), KILN_OK);
    cr_assert_eq(kiln_texts_add(t, "A dog runs."), KILN_OK);
    return t;
}

static kiln_tokenizer *trained(kiln_tokenizer_params params)
{
    kiln_texts *texts = corpus();
    kiln_tokenizer *t;

    cr_assert_eq(kiln_tokenizer_train(&t, texts, &params), KILN_OK, "%s", lines.newest);
    kiln_texts_destroy(&texts);
    return t;
}

static void expect_ids(const kiln_tokenizer *t, const char *text, kiln_encode_params params,
                       const int32_t *wanted, int64_t count)
{
    kiln_array ids;

    cr_assert_eq(kiln_tokenizer_encode(t, text, &params, &ids), KILN_OK, "%s", lines.newest);
    cr_assert(ids.type == KILN_I32 && ids.shape.rank == 1 && ids.shape.size[0] == count, "%s: %lld tokens",
              text, (long long)ids.shape.size[0]);
    for (int64_t i = 0; i < count; i++)
        cr_expect_eq(((int32_t *)ids.data)[i], wanted[i], "%s: %d at %lld", text, ((int32_t *)ids.data)[i],
                     (long long)i);
    kiln_array_free(&ids);
}

static void expect_text(const kiln_tokenizer *t, const int32_t *ids, int64_t count, const char *wanted)
{
    char *text;

    cr_assert_eq(kiln_tokenizer_decode(t, ids, count, &text), KILN_OK, "%s", lines.newest);
    cr_expect_str_eq(text, wanted);
    free(text);
}

Test(tokenizer, words_are_numbered_by_how_often_they_are)
{
    kiln_tokenizer *t = trained((kiln_tokenizer_params){.lower = true});

    /* <pad> <unk> <bos> <eos> . dog the "," a man runs */
    cr_expect_eq(kiln_vocabulary_size(kiln_tokenizer_vocabulary(t)), 11);
    expect_ids(t, "The CAT runs.", (kiln_encode_params){.begin = true, .end = true},
               (const int32_t[]){2, 6, 1, 10, 4, 3}, 6);
    expect_ids(t, "the dog the dog the dog", (kiln_encode_params){.end = true, .most = 4},
               (const int32_t[]){6, 5, 6, 3}, 4);
    expect_ids(t, "", (kiln_encode_params){0}, NULL, 0);
    expect_text(t, (const int32_t[]){2, 6, 5, 7, 8, 9, 4, 3, 0, 5}, 10, "the dog, a man.");
    kiln_tokenizer_destroy(&t);
}

Test(tokenizer, characters_come_back_as_they_were)
{
    kiln_tokenizer *t = trained((kiln_tokenizer_params){.by = KILN_TOKENS_CHARACTERS, .bare = true});
    const char *text = "man runs, dog. A The";
    kiln_array ids;

    cr_assert_eq(kiln_tokenizer_encode(t, text, NULL, &ids), KILN_OK);
    cr_expect_eq(ids.shape.size[0], kiln_utf8_length(text));
    expect_text(t, ids.data, ids.shape.size[0], text);
    kiln_array_free(&ids);
    cr_assert_eq(kiln_tokenizer_encode(t, "xmx", NULL, &ids), KILN_OK);
    cr_expect_eq(ids.shape.size[0], 1, "without <unk> what is unknown is left out");
    kiln_array_free(&ids);
    cr_expect_eq(kiln_tokenizer_encode(t, "m", &(kiln_encode_params){.end = true}, &ids),
                 KILN_ERROR_ARGUMENT);
    kiln_tokenizer_destroy(&t);
}

Test(tokenizer, what_was_saved_is_loaded)
{
    for (int i = 0; i < 4; i++) {
        kiln_tokenizer *t = trained((kiln_tokenizer_params){.by = (kiln_tokens)(i / 2), .lower = i % 2}),
                       *again;
        kiln_array ids, same;

        cr_assert_eq(kiln_tokenizer_save(t, in_folder("t")), KILN_OK);
        cr_assert_eq(kiln_tokenizer_load(&again, in_folder("t")), KILN_OK, "%s", lines.newest);
        cr_assert_eq(kiln_tokenizer_encode(t, "A dog, the MAN\n.", NULL, &ids), KILN_OK);
        cr_assert_eq(kiln_tokenizer_encode(again, "A dog, the MAN\n.", NULL, &same), KILN_OK);
        cr_assert_eq(ids.shape.size[0], same.shape.size[0]);
        cr_expect_arr_eq(ids.data, same.data, ids.bytes);
        kiln_array_free(&ids);
        kiln_array_free(&same);
        kiln_tokenizer_destroy(&again);
        kiln_tokenizer_destroy(&t);
    }
}

Test(tokenizer, many_texts_lie_one_behind_the_other)
{
    kiln_tokenizer *t = trained((kiln_tokenizer_params){.lower = true});
    kiln_texts *texts = corpus();
    kiln_sequences s;

    cr_assert_eq(kiln_tokenizer_encode_all(t, texts, &(kiln_encode_params){.end = true}, &s), KILN_OK);
    cr_expect(s.rows == 2 && s.first[0] == 0 && s.first[1] == 7 && s.first[2] == 12);
    cr_expect(s.ids[6] == 3 && s.ids[7] == 8 && s.ids[11] == 3);
    kiln_sequences_free(&s);
    cr_expect_null(s.ids);
    kiln_texts_destroy(&texts);
    kiln_tokenizer_destroy(&t);
}

Test(tokenizer, bad_arguments_and_files_are_refused)
{
    kiln_tokenizer *t = trained((kiln_tokenizer_params){0}), *none = NULL;
    kiln_texts *texts = corpus();
    kiln_array ids;
    char *text;

    cr_expect_eq(kiln_tokenizer_encode(t, "\xFF", NULL, &ids), KILN_ERROR_FILE);
    cr_expect_null(ids.data);
    cr_expect_eq(kiln_tokenizer_decode(t, (const int32_t[]){99}, 1, &text), KILN_ERROR_ARGUMENT);
    cr_expect_null(text);
    cr_expect_eq(kiln_tokenizer_encode(t, "a", &(kiln_encode_params){.begin = true, .end = true, .most = 1},
                                       &ids),
                 KILN_ERROR_ARGUMENT);
    lines.count = 0;
    expect_failure(kiln_tokenizer_train(&none, texts, &(kiln_tokenizer_params){.by = (kiln_tokens)99}),
                   KILN_ERROR_ARGUMENT, none, "tokenizer", "kind 99");
    put_file("bad", "kiln tokenizer wordz\na\t1\n", 25);
    expect_failure(kiln_tokenizer_load(&none, in_folder("bad")), KILN_ERROR_FILE, none, "bad",
                   "is no tokenizer");
    put_file("bad", "", 0);
    expect_failure(kiln_tokenizer_load(&none, in_folder("bad")), KILN_ERROR_FILE, none, "bad",
                   "is no tokenizer");
    put_file("bad", "kiln tokenizer words\na\t1\nb\n", 27);
    expect_failure(kiln_tokenizer_load(&none, in_folder("bad")), KILN_ERROR_FILE, none, "bad", "line 3");
    kiln_texts_destroy(&texts);
    kiln_tokenizer_destroy(&t);
}
