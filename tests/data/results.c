/* results.c - COCO's format of results: what is written reads back, and what is refused. */
#include <math.h>
#include <unistd.h>

#include <kiln/scenes.h>

#include "config.h"
#include "files.h"

TestSuite(results, .init = enter_folder, .fini = leave_folder);

Test(results, read_back_as_they_were_written)
{
    static const kiln_result some[] = {
        {.image_id = 42, .category_id = 18, .box = {258.15f, 41.29f, 606.41f, 285.07f}, .score = 0.236f},
        {.image_id = 9007199254740992, .category_id = 1, .box = {0, 0, 1, 1}, .score = 1},
        {.image_id = -1, .category_id = 0, .box = {-3.5f, 2, 4.25f, 8}, .score = 1e-9f},
    };
    kiln_result *back;
    int64_t count;

    if (!KILN_HAVE_JSON)
        cr_skip("this kiln has no cJSON");
    cr_assert_eq(kiln_results_save(in_folder("r.json"), some, 3), KILN_OK);
    cr_assert_eq(kiln_results_load(&back, &count, in_folder("r.json")), KILN_OK, "%s", lines.newest);
    cr_assert_eq(count, 3);
    for (int i = 0; i < 3; i++) {
        cr_expect(back[i].image_id == some[i].image_id && back[i].category_id == some[i].category_id);
        cr_expect_eq(back[i].score, some[i].score);
        for (int k = 0; k < 4; k++) /* the far corners are sums of what was rounded */
            cr_expect_float_eq(back[i].box[k], some[i].box[k], k < 2 ? 0 : 1e-4);
    }
    kiln_results_free(&back);
    cr_expect_null(back);
    cr_assert_eq(kiln_results_save(in_folder("r.json"), NULL, 0), KILN_OK);
    cr_assert_eq(kiln_results_load(&back, &count, in_folder("r.json")), KILN_OK);
    cr_expect(count == 0 && !back);
}

Test(results, are_written_as_the_evaluator_reads_them)
{
    const kiln_result one = {
        .image_id = 42, .category_id = 18, .box = {258.5f, 41.25f, 606.5f, 285.25f}, .score = 0.1f};
    size_t bytes;
    unsigned char *text;

    cr_assert_eq(kiln_results_save(in_folder("r.json"), &one, 1), KILN_OK);
    text = get_file("r.json", &bytes);
    cr_expect_str_eq(
        (char *)text,
        "[\n{\"image_id\":42,\"category_id\":18,\"bbox\":[258.5,41.25,348,244],\"score\":0.1}\n]\n");
    free(text);
}

Test(results, without_numbers_are_not_written)
{
    const kiln_result bad[] = {{.score = NAN}, {.box = {0, INFINITY, 0, 0}}};

    cr_expect_eq(kiln_results_save(in_folder("r.json"), &bad[0], 1), KILN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(lines.newest, "the score of result 0"));
    cr_expect_eq(kiln_results_save(in_folder("r.json"), &bad[1], 1), KILN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(lines.newest, "the box of result 0"));
    cr_expect_neq(access(in_folder("r.json"), F_OK), 0);
}

Test(results, name_the_one_that_does_not_fit)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"{}", "wanted a list"},
        {"[{}", "r.json:1:"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], \"score\": 1}, {}]",
         "result 1 has no whole number"},
        {"[{\"image_id\": 1, \"bbox\": [1, 2, 3, 4], \"score\": 1}]", "\"category_id\""},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3], \"score\": 1}]", "\"bbox\" of [x"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4, 5], \"score\": 1}]",
         "four numbers alone"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1e99, 2, 3, 4], \"score\": 1}]", "in range"},
        {"[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]}]", "\"score\""},
    };
    kiln_result *back;
    int64_t count;

    if (!KILN_HAVE_JSON)
        cr_skip("this kiln has no cJSON");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kiln_status status;
        put_file("r.json", bad[i].text, strlen(bad[i].text));
        status = kiln_results_load(&back, &count, in_folder("r.json"));
        expect_failure(status, KILN_ERROR_FILE, back, "r.json", bad[i].reason);
    }
}
