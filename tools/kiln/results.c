/* results.c - a test set judged, and drawn. */
#include "results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { BATCH = 256, FIRST = 40, MISTAKES = 20, MOST_CLASSES = 64 };

/* Counting ----------------------------------------------------------------------------------------------- */

static int best_of(const float *scores, int classes)
{
    int best = 0;
    for (int i = 1; i < classes; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

static kiln_status judge(struct results *r, kiln_program *grade, const struct classifier *c,
                         const kiln_batch *batch, const int place[2], float *scores)
{
    const int classes = kiln_confusion_classes(r->confusion);
    kiln_array out = {.data = scores, .bytes = (size_t)(BATCH * classes) * sizeof *scores};
    const int32_t *label = batch->column[place[1]].data;
    kiln_status status;

    if ((status = kiln_program_write(grade, c->image, &batch->column[place[0]])) ||
        (status = kiln_program_write(grade, c->label, &batch->column[place[1]])) ||
        (status = kiln_program_run(grade)) || (status = kiln_program_read(grade, c->scores, &out)) ||
        (status = kiln_confusion_add(r->confusion, &out, &batch->column[place[1]])))
        return status;
    for (int64_t i = 0; i < batch->rows; i++, r->rows++) {
        r->guess[r->rows] = best_of(scores + i * classes, classes);
        r->label[r->rows] = label[i];
    }
    return KILN_OK;
}

static kiln_status collect(struct results *r, kiln_program *grade, const struct classifier *c,
                           kiln_dataset *test, float *scores)
{
    const int place[2] = {kiln_dataset_find(test, "image"), kiln_dataset_find(test, "label")};
    kiln_batch batch;
    kiln_status status;

    kiln_dataset_rewind(test);
    while (!(status = kiln_dataset_next(test, BATCH, &batch)) && batch.rows > 0)
        if ((status = judge(r, grade, c, &batch, place, scores)))
            break;
    return status;
}

kiln_status results_collect(struct results *r, kiln_program *grade, const struct classifier *c,
                            kiln_dataset *test)
{
    const int classes = kiln_dataset_column(test, kiln_dataset_find(test, "label"))->classes;
    const size_t rows = (size_t)kiln_dataset_rows(test);
    float *scores = calloc((size_t)(BATCH * classes), sizeof *scores);
    kiln_status status;

    r->guess = calloc(rows, sizeof *r->guess);
    r->label = calloc(rows, sizeof *r->label);
    if (!scores || !r->guess || !r->label)
        status = kiln_fail(KILN_ERROR_MEMORY, "no memory to judge %zu pictures", rows);
    else if (!(status = kiln_confusion_create(&r->confusion, classes)))
        status = collect(r, grade, c, test, scores);
    free(scores);
    return status;
}

void results_finish(struct results *r)
{
    kiln_confusion_destroy(&r->confusion);
    free(r->guess);
    free(r->label);
    *r = (struct results){0};
}

/* Drawing ------------------------------------------------------------------------------------------------ */

/* The pictures of a sheet. */
struct sheet {
    float *pixels;
    size_t room; /* numbers of a picture */
    char text[FIRST + MISTAKES][64];
    const char *captions[FIRST + MISTAKES];
    kiln_mark marks[FIRST + MISTAKES];
    int count;
};

static void name_class(const kiln_dataset *test, int index, char *text, size_t bytes)
{
    const char *name = kiln_dataset_class(test, index);
    if (name)
        snprintf(text, bytes, "%s", name);
    else
        snprintf(text, bytes, "%d", index);
}

/* A picture to be looked at. */
static kiln_status get_picture(const struct results *r, const kiln_dataset *test, int64_t row,
                               kiln_array *item)
{
    const int column = kiln_dataset_find(test, "image");
    const kiln_status status = kiln_dataset_get(test, row, column, item);
    if (!status)
        presets_undo(&r->as, &kiln_dataset_column(test, column)->shape, item->data);
    return status;
}

static kiln_status put(struct sheet *s, const struct results *r, const kiln_dataset *test, int64_t row)
{
    const int at = s->count++;
    const bool right = r->guess[row] == r->label[row];
    kiln_array item = {.data = s->pixels + (size_t)at * s->room, .bytes = s->room * sizeof(float)};
    char guess[24], label[24];

    name_class(test, r->guess[row], guess, sizeof guess);
    name_class(test, r->label[row], label, sizeof label);
    snprintf(s->text[at], sizeof s->text[at], right ? "%s" : "%s, is %s", guess, label);
    s->captions[at] = s->text[at];
    s->marks[at] = right ? KILN_MARK_RIGHT : KILN_MARK_WRONG;
    return get_picture(r, test, row, &item);
}

static kiln_status fill(struct sheet *s, const struct results *r, const kiln_dataset *test)
{
    kiln_status status = KILN_OK;
    int64_t row = 0;

    for (; row < r->rows && s->count < FIRST && !status; row++)
        status = put(s, r, test, row);
    for (; row < r->rows && s->count < FIRST + MISTAKES && !status; row++)
        if (r->guess[row] != r->label[row])
            status = put(s, r, test, row);
    return status;
}

kiln_status results_draw_sheet(const struct results *r, const kiln_dataset *test, const char *path)
{
    const kiln_shape *one = &kiln_dataset_column(test, kiln_dataset_find(test, "image"))->shape;
    struct sheet s = {.room = (size_t)kiln_shape_count(one)};
    kiln_status status;
    char title[96];

    if (!(s.pixels = calloc((FIRST + MISTAKES) * s.room, sizeof *s.pixels)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its pictures", path);
    if (!(status = fill(&s, r, test))) {
        const kiln_array pictures = {.data = s.pixels,
                                     .shape = KILN_SHAPE(s.count, one->size[0], one->size[1], one->size[2])};
        const int shown = s.count < FIRST ? s.count : FIRST;
        snprintf(title, sizeof title,
                 s.count > shown ? "The first %d test pictures, and %d mistakes"
                                 : "The first %d test pictures",
                 shown, s.count - shown);
        status = kiln_draw_sheet(
            path, &pictures,
            &(kiln_sheet_params){
                .title = title, .captions = s.captions, .marks = s.marks, .columns = 10, .high = 1});
    }
    free(s.pixels);
    return status;
}

kiln_status results_draw_confusion(const struct results *r, const kiln_dataset *test, const char *path)
{
    const int classes = kiln_confusion_classes(r->confusion);
    const char *names[MOST_CLASSES] = {0};
    bool named = classes <= MOST_CLASSES;

    for (int i = 0; i < classes && named; i++)
        named = (names[i] = kiln_dataset_class(test, i)) != NULL;
    return kiln_draw_confusion(path, r->confusion, &(kiln_matrix_params){.names = named ? names : NULL});
}

kiln_status results_save_picture(const struct results *r, const kiln_dataset *test, const char *path,
                                 int *label)
{
    const int column = kiln_dataset_find(test, "image");
    const size_t room = (size_t)kiln_shape_count(&kiln_dataset_column(test, column)->shape);
    float *pixels = calloc(room, sizeof *pixels);
    kiln_array item = {.data = pixels, .bytes = room * sizeof *pixels};
    int64_t row = 0;
    kiln_status status;

    if (!pixels)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for a picture", path);
    while (row + 1 < r->rows && r->guess[row] != r->label[row])
        row++;
    *label = r->label[row];
    if (!(status = get_picture(r, test, row, &item)))
        status = kiln_image_save_png(path, &item);
    free(pixels);
    return status;
}
