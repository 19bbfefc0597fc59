/*
 * results.c - what a detector found, in COCO's format of results.
 *
 *   [{"image_id": 42, "category_id": 18, "bbox": [x, y, width, height], "score": 0.236}, ..]
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include <kiln/scenes.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/vec.h"

/* Writing ------------------------------------------------------------------------------------------------ */

static kiln_status check_result(const kiln_result *r, int64_t place, const char *path)
{
    for (int i = 0; i < 4; i++)
        if (!isfinite(r->box[i]))
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: the box of result %" PRId64 " is of no finite numbers",
                             path, place);
    return isfinite(r->score)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_ARGUMENT, "%s: the score of result %" PRId64 " is no finite number",
                           path, place);
}

static void add_result(struct kiln_text *to, const kiln_result *r)
{
    const float sides[4] = {r->box[0], r->box[1], r->box[2] - r->box[0], r->box[3] - r->box[1]};

    kiln_text_add(to, "{\"image_id\":%" PRId64 ",\"category_id\":%" PRId64 ",\"bbox\":[", r->image_id,
                  r->category_id);
    for (int i = 0; i < 4; i++) {
        kiln_text_add(to, i ? "," : "");
        kiln_json_add_float(to, sides[i]);
    }
    kiln_text_add(to, "],\"score\":");
    kiln_json_add_float(to, r->score);
    kiln_text_add(to, "}");
}

kiln_status kiln_results_save(const char *path, const kiln_result *results, int64_t count)
{
    struct kiln_writer writer;
    kiln_status status = kiln_writer_open(&writer, path);

    kiln_writer_add(&writer, "[", 1);
    for (int64_t i = 0; i < count && !status; i++) {
        struct kiln_text line = {0};
        if ((status = check_result(&results[i], i, path)))
            break;
        add_result(&line, &results[i]);
        kiln_writer_add(&writer, i ? ",\n" : "\n", i ? 2 : 1);
        status = line.failed ? kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to write it", path)
                             : kiln_writer_add(&writer, line.data, line.count);
        kiln_text_finish(&line);
    }
    kiln_writer_add(&writer, "\n]\n", 3);
    if (!status)
        return kiln_writer_commit(&writer);
    kiln_writer_abandon(&writer);
    return status;
}

/* Reading ------------------------------------------------------------------------------------------------ */

static kiln_status lacks(const char *path, int64_t place, const char *what)
{
    return kiln_fail(KILN_ERROR_FILE, "%s: result %" PRId64 " has no %s", path, place, what);
}

static kiln_status read_result(const struct kiln_json *item, kiln_result *r, int64_t place, const char *path)
{
    const struct kiln_json *box = kiln_json_find(item, "bbox"), *side = kiln_json_first(box);
    double number[4], score;

    if (!kiln_json_whole(kiln_json_find(item, "image_id"), &r->image_id))
        return lacks(path, place, "whole number \"image_id\"");
    if (!kiln_json_whole(kiln_json_find(item, "category_id"), &r->category_id))
        return lacks(path, place, "whole number \"category_id\"");
    if (!kiln_json_number(kiln_json_find(item, "score"), &score) || !isfinite((float)score))
        return lacks(path, place, "number \"score\"");
    for (int i = 0; i < 4; i++, side = kiln_json_next(side)) {
        if (!kiln_json_is_array(box) || !kiln_json_number(side, &number[i]))
            return lacks(path, place, "\"bbox\" of [x, y, width, height]");
        r->box[i] = (float)(i < 2 ? number[i] : number[i - 2] + number[i]);
        if (!isfinite(r->box[i]))
            return lacks(path, place, "\"bbox\" of numbers in range");
    }
    r->score = (float)score;
    return side ? lacks(path, place, "\"bbox\" of four numbers alone") : KILN_OK;
}

kiln_status kiln_results_load(kiln_result **results, int64_t *count, const char *path)
{
    KILN_VEC(kiln_result) list = {0};
    struct kiln_json *root;
    kiln_status status = kiln_json_open(&root, path);

    *results = NULL;
    *count = 0;
    if (!status && !kiln_json_is_array(root))
        status = kiln_fail(KILN_ERROR_FILE, "%s: wanted a list of results", path);
    for (const struct kiln_json *item = kiln_json_first(root); item && !status; item = kiln_json_next(item)) {
        kiln_result r = {0};
        if (!(status = read_result(item, &r, list.count, path)) && !kiln_vec_push(&list, r))
            status = kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its results", path);
    }
    kiln_json_close(&root);
    if (status) {
        kiln_vec_finish(&list);
        return status;
    }
    *results = list.data;
    *count = list.count;
    return KILN_OK;
}

void kiln_results_free(kiln_result **results)
{
    free(*results);
    *results = NULL;
}
