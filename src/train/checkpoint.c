/*
 * checkpoint.c - training saved whole, and gone on with.
 *
 * A checkpoint is a safetensors file: the tensors are all those of the weights, and notes say where training stood.
 * What decides the bits to come and cannot be restored, as the batch size, is noted too and must agree.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kiln/import.h>
#include <kiln/tune.h>

#include "base/log.h"
#include "base/text.h"
#include "train/fit.h"

enum { KEPT = 5, AGREED = 4, TEXTS = 5, NOTES = KEPT + AGREED + TEXTS };

/* The version of what the notes mean. */
static const char *const version = "1";

/* A whole number in the notes. */
struct number {
    const char *key;
    int64_t *at;
};

static void list_kept(struct kiln_stand *s, struct number out[KEPT])
{
    const struct number list[KEPT] = {{"fit.epoch", &s->epoch},
                                      {"fit.step", &s->step},
                                      {"fit.stale", &s->stale},
                                      {"fit.place.epoch", &s->place.epoch},
                                      {"fit.place.row", &s->place.row}};
    memcpy(out, list, sizeof list);
}

/* What must be the same when training goes on. */
struct terms {
    int64_t batch, rows, seed, columns;
};

static struct terms terms_of(const struct kiln_fit *f)
{
    return (struct terms){.batch = f->params.batch,
                          .rows = kiln_dataset_rows(f->data),
                          .seed = (int64_t)kiln_dataset_get_params(f->data).seed,
                          .columns = kiln_fit_columns(f)};
}

static void list_agreed(struct terms *t, struct number out[AGREED])
{
    const struct number list[AGREED] = {{"fit.batch", &t->batch},
                                        {"fit.rows", &t->rows},
                                        {"fit.seed", &t->seed},
                                        {"fit.columns", &t->columns}};
    memcpy(out, list, sizeof list);
}

/* Saving ------------------------------------------------------------------------------------------------- */

static void add_numbers(kiln_note *notes, const struct number *list, int count, char (*texts)[32])
{
    for (int i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "%" PRId64, *list[i].at);
        notes[i] = (kiln_note){list[i].key, texts[i]};
    }
}

static kiln_status save(struct kiln_fit *f, const char *curve, const char *choices)
{
    struct terms terms = terms_of(f);
    struct number kept[KEPT], agreed[AGREED];
    char texts[KEPT + AGREED][32], seconds[32], best[32];
    kiln_note notes[NOTES];

    list_kept(&f->stand, kept);
    list_agreed(&terms, agreed);
    add_numbers(notes, kept, KEPT, texts);
    add_numbers(notes + KEPT, agreed, AGREED, texts + KEPT);
    snprintf(seconds, sizeof seconds, "%.6g", kiln_fit_seconds(f));
    snprintf(best, sizeof best, "%.17g", f->stand.best);
    const kiln_note last[TEXTS] = {{"fit.choices", choices},
                                   {"fit.version", version},
                                   {"fit.seconds", seconds},
                                   {"fit.best", best},
                                   {"fit.curve", curve}};
    memcpy(notes + KEPT + AGREED, last, sizeof last);
    return kiln_weights_save_noted(kiln_program_weights(f->learn), f->params.checkpoint, notes, NOTES);
}

kiln_status kiln_checkpoint_save(struct kiln_fit *f)
{
    struct kiln_text curve = {0};
    kiln_status status;

    if (!f->params.checkpoint)
        return KILN_OK;
    char *choices = kiln_program_choices(f->learn);
    for (int i = 0; i < f->stand.rows.count; i++)
        kiln_text_add(&curve, "%s%.9g", i ? " " : "", f->stand.rows.data[i]);
    status = curve.failed || !choices
                 ? kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for the curve", f->params.checkpoint)
                 : save(f, kiln_text_get(&curve), choices);
    kiln_text_finish(&curve);
    free(choices);
    return status;
}

/* Resuming ----------------------------------------------------------------------------------------------- */

static kiln_status fail_note(const struct kiln_fit *f, const char *key, const char *text)
{
    return kiln_fail(KILN_ERROR_FILE, "%s: is no checkpoint that can be gone on with: %s is \"%.40s\"",
                     f->params.checkpoint, key, text ? text : "missing");
}

static kiln_status read_whole(const struct kiln_fit *f, const kiln_safetensors *file, const char *key,
                              int64_t *to)
{
    const char *text = kiln_safetensors_note(file, key);
    char *end;

    errno = 0;
    *to = text ? strtoll(text, &end, 10) : 0;
    return !text || errno || end == text || *end ? fail_note(f, key, text) : KILN_OK;
}

static kiln_status read_real(const struct kiln_fit *f, const kiln_safetensors *file, const char *key,
                             double *to)
{
    const char *text = kiln_safetensors_note(file, key);
    char *end;

    *to = text ? strtod(text, &end) : 0;
    return !text || end == text || *end ? fail_note(f, key, text) : KILN_OK;
}

static kiln_status read_kept(const struct kiln_fit *f, const kiln_safetensors *file, struct kiln_stand *to)
{
    struct number kept[KEPT];
    kiln_status status = KILN_OK;

    list_kept(to, kept);
    for (int i = 0; i < KEPT && !status; i++) {
        status = read_whole(f, file, kept[i].key, kept[i].at);
        if (!status && *kept[i].at < 0)
            status = fail_note(f, kept[i].key, "negative");
    }
    if (!status)
        status = read_real(f, file, "fit.seconds", &to->seconds);
    return status ? status : read_real(f, file, "fit.best", &to->best);
}

static kiln_status read_curve(const struct kiln_fit *f, const kiln_safetensors *file, struct kiln_stand *to)
{
    const char *text = kiln_safetensors_note(file, "fit.curve");
    char *end;

    for (; text && *text; text = end + (*end == ' ')) {
        const double value = strtod(text, &end);
        if (end == text)
            return fail_note(f, "fit.curve", text);
        if (!kiln_vec_push(&to->rows, value))
            return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for the curve", f->params.checkpoint);
    }
    if (!text || to->rows.count % kiln_fit_columns(f))
        return fail_note(f, "fit.curve", text ? "torn" : NULL);
    return KILN_OK;
}

static kiln_status check_agreed(const struct kiln_fit *f, const kiln_safetensors *file)
{
    struct terms now = terms_of(f);
    struct number agreed[AGREED];
    kiln_status status = KILN_OK;

    list_agreed(&now, agreed);
    for (int i = 0; i < AGREED && !status; i++) {
        int64_t then;
        status = read_whole(f, file, agreed[i].key, &then);
        if (!status && then != *agreed[i].at)
            status = kiln_fail(KILN_ERROR_ARGUMENT, "%s: was made with %s %" PRId64 ", now it is %" PRId64,
                               f->params.checkpoint, agreed[i].key + strlen("fit."), then, *agreed[i].at);
    }
    return status;
}

/* Kernels as before, whatever a tuner found meanwhile: other ones round otherwise. */
static kiln_status resume_choices(struct kiln_fit *f, const kiln_safetensors *file)
{
    const char *choices = kiln_safetensors_note(file, "fit.choices");
    const kiln_status status = choices ? kiln_program_choose(f->learn, choices) : KILN_OK;
    return status == KILN_ERROR_ARGUMENT ? fail_note(f, "fit.choices", choices) : status;
}

static kiln_status resume(struct kiln_fit *f, const kiln_safetensors *file, struct kiln_stand *stand)
{
    const char *made = kiln_safetensors_note(file, "fit.version");
    kiln_status status;

    if (!made || strcmp(made, version) != 0)
        return fail_note(f, "fit.version", made);
    if ((status = check_agreed(f, file)) || (status = read_kept(f, file, stand)) ||
        (status = read_curve(f, file, stand)) || (status = resume_choices(f, file)) ||
        (status = kiln_weights_load_from(kiln_program_weights(f->learn), file, NULL)))
        return status;
    return kiln_dataset_seek(f->data, stand->place);
}

kiln_status kiln_checkpoint_resume(struct kiln_fit *f)
{
    struct kiln_stand stand = {0};
    kiln_safetensors *file;
    kiln_status status;

    if (access(f->params.checkpoint, F_OK) && errno == ENOENT) {
        kiln_log_line(KILN_LOG_INFO, "%s: not there, training begins anew", f->params.checkpoint);
        return KILN_OK;
    }
    if ((status = kiln_safetensors_open(&file, f->params.checkpoint)))
        return status;
    if ((status = resume(f, file, &stand)))
        kiln_vec_finish(&stand.rows);
    else
        f->stand = stand;
    kiln_safetensors_close(&file);
    return status;
}
