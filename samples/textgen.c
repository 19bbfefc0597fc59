/*
 * textgen.c - a network learns to write, a character at a time: windows along a text, a recurrent layer, sampling on the device.
 *
 * usage: textgen [FILE] [options]      without a file it learns sums in words that it makes up itself
 */
#include <kiln/kiln.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static const char help[] =
    "usage: textgen [FILE] [options]      learn to write like the text in FILE, or sums in words\n"
    "\n"
    "learning:  --cell rnn|lstm|gru (lstm)  --units 128  --length 64 (characters of a window)  --batch 32\n"
    "           --steps 1000  --rate 0.002  --every 200 (validation)  --seed 1  --ordered (windows in the text's order)\n"
    "           --from START.safetensors (weights)  --out FILE.safetensors (textgen.safetensors)\n"
    "           --csv FILE.csv  --picture FILE.png (the losses)\n"
    "writing:   --write 300 (characters)  --start TEXT  --temperature 0.7\n";

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

enum { WIDTH = 64, MOST_LOSSES = 1000 };

struct options {
    const char *file, *cell, *from, *out, *csv, *picture, *start;
    int units, length, batch, steps, every, seed, write;
    double rate, temperature;
    bool ordered, help;
};

/* The network -------------------------------------------------------------------------------------------- */

/* text [N, T] and the states before it -> scores of each next character [N, T, V], and the states behind it. */
static kiln_tensor network(kiln_graph *g, const struct options *o, int letters, kiln_tensor text,
                           kiln_recurrent_states *states)
{
    const kiln_nn_recurrent_params cells = {.units = o->units,
                                            .cell = {.batch_first = true, .initial = *states},
                                            .name = "cells"};
    kiln_tensor x =
        kiln_nn_embedding(g, text,
                          &(kiln_nn_embedding_params){.count = letters, .width = WIDTH, .name = "letters"});

    *states = (kiln_recurrent_states){{0}};
    x = !strcmp(o->cell, "rnn")   ? kiln_nn_rnn(g, x, &cells, states)
        : !strcmp(o->cell, "gru") ? kiln_nn_gru(g, x, &cells, states)
                                  : kiln_nn_lstm(g, x, &cells, states);
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = letters, .name = "scores"});
}

/* Writing: one loop of the device ------------------------------------------------------------------------ */

static kiln_tensor state_input(kiln_graph *g, const char *name, const struct options *o)
{
    return kiln_input(g, name, KILN_F32, KILN_SHAPE(1, 1, o->units));
}

/* A step: draws and scores of the next character, states -> that character; what the step after it gets. */
static kiln_graph *step_of(const struct options *o, int letters)
{
    const bool lstm = !strcmp(o->cell, "lstm");
    kiln_graph *g = NULL;
    int32_t next[] = {0, 1};

    if (kiln_graph_create(&g, &(kiln_graph_params){.name = "step"}))
        return NULL;
    const kiln_tensor draws = kiln_input(g, "draws", KILN_I32, KILN_SHAPE(2));
    const kiln_tensor scores = kiln_input(g, "scores", KILN_F32, KILN_SHAPE(1, letters));
    kiln_recurrent_states states = {.h = state_input(g, "h", o)};
    if (lstm)
        states.c = state_input(g, "c", o);
    const kiln_choice_params choice = {.temperature = o->temperature > 0 ? o->temperature : KILN_ZERO,
                                       .random = {.source = draws}};
    const kiln_tensor letter = kiln_multinomial(g, scores, 1, &choice); /* [1, 1] */
    const kiln_tensor after = network(g, o, letters, letter, &states);
    kiln_output(g, "letter", letter);
    kiln_output(
        g, "draws_next",
        kiln_add(g, draws,
                 kiln_constant(g, &(kiln_array){.data = next, .type = KILN_I32, .shape = KILN_SHAPE(2)})));
    kiln_output(g, "scores_next", kiln_squeeze(g, after, 1));
    kiln_output(g, "h_next", states.h);
    if (lstm)
        kiln_output(g, "c_next", states.c);
    return g;
}

/* The beginning [1, S] of a text -> what comes next, [write, 1, 1]. */
static kiln_tensor writer(kiln_graph *g, const kiln_graph *step, const struct options *o, int letters,
                          kiln_tensor start, kiln_tensor draws)
{
    kiln_recurrent_states states = {{0}};
    const kiln_tensor scores = network(g, o, letters, start, &states); /* [1, S, V] */
    const kiln_tensor last = kiln_squeeze(g, kiln_slice(g, scores, 1, -1, KILN_END, 1), 1);
    kiln_tensor out[8];

    kiln_scan(g, step, &(kiln_scan_params){.carry = {draws, last, states.h, states.c}, .length = o->write},
              out);
    return out[0];
}

static kiln_status write_text(kiln_device *dev, kiln_weights *weights, const kiln_tokenizer *letters,
                              const struct options *o)
{
    const kiln_vocabulary *known = kiln_tokenizer_vocabulary(letters);
    const int count = kiln_vocabulary_size(known);
    const char *begin = o->start                                 ? o->start
                        : kiln_vocabulary_find(known, "\n") >= 0 ? "\n"
                                                                 : kiln_vocabulary_token(known, 0);
    const int64_t most = o->write;
    int32_t *ids = malloc((size_t)most * sizeof *ids), seed[] = {o->seed, 0};
    kiln_graph *g = NULL, *step = step_of(o, count);
    kiln_program *program = NULL;
    kiln_array start = {0};
    char *text = NULL;
    kiln_status status = ids && step ? KILN_OK : KILN_ERROR_MEMORY;

    if (status || (status = kiln_tokenizer_encode(letters, begin, NULL, &start)) ||
        (status = kiln_graph_create(&g, NULL)))
        goto out;
    if (start.shape.size[0] == 0) {
        fprintf(stderr, "textgen: no character of --start %s is in the text\n", begin);
        status = KILN_ERROR_ARGUMENT;
        goto out;
    }
    start.shape = KILN_SHAPE(1, start.shape.size[0]);
    const kiln_tensor given = kiln_input(g, "start", KILN_I32, start.shape);
    const kiln_tensor draws = kiln_input(g, "draws", KILN_I32, KILN_SHAPE(2));
    const kiln_tensor written = writer(g, step, o, count, given, draws);
    if ((status = kiln_program_create(&program, dev, g, weights,
                                      &(kiln_program_params){.run = KILN_RUN(written)})) ||
        (status = kiln_program_write(program, given, &start)) ||
        (status = kiln_program_write(
             program, draws, &(kiln_array){.data = seed, .type = KILN_I32, .shape = KILN_SHAPE(2)})) ||
        (status = kiln_program_run(program)) ||
        (status = kiln_program_read(program, written,
                                    &(kiln_array){.data = ids, .bytes = (size_t)most * sizeof *ids})) ||
        (status = kiln_tokenizer_decode(letters, ids, most, &text)))
        goto out;
    printf("%s%s\n", begin, text);
out:
    free(text);
    free(ids);
    kiln_array_free(&start);
    kiln_program_destroy(&program);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&step);
    return status;
}

/* Data --------------------------------------------------------------------------------------------------- */

/* "seven plus eight is fifteen." and others of its kind, some 60 thousand characters. */
static kiln_status make_sums(kiln_texts **out)
{
    static const char *const numbers[] = {"zero",    "one",     "two",       "three",    "four",
                                          "five",    "six",     "seven",     "eight",    "nine",
                                          "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                          "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
                                          "twenty"};
    enum { LINES = 2000 };
    char *text = malloc(LINES * 64), *to = text;
    uint32_t state = 1;
    kiln_status status = kiln_texts_create(out);

    for (int i = 0; i < LINES && text; i++) {
        state = state * 1664525u + 1013904223u;
        const int a = (int)(state >> 24) % 11, b = (int)(state >> 16 & 255) % 11;
        to += a >= b && state >> 15 & 1
                  ? sprintf(to, "%s minus %s is %s.\n", numbers[a], numbers[b], numbers[a - b])
                  : sprintf(to, "%s plus %s is %s.\n", numbers[a], numbers[b], numbers[a + b]);
    }
    if (!status)
        status = text ? kiln_texts_add(*out, text) : KILN_ERROR_MEMORY;
    free(text);
    return status;
}

struct data {
    kiln_tokenizer *letters;
    kiln_dataset *train, *check; /* the last tenth of the text checks */
};

static kiln_status open_windows(kiln_dataset **out, const kiln_array *ids, int64_t first, int64_t count,
                                int64_t length)
{
    const kiln_array part = {(int32_t *)ids->data + first, 0, KILN_I32, KILN_SHAPE(count)};
    const kiln_window windows[] = {{"text", 0, length}, {"next", 1, length}};

    return kiln_windows_open(out, &part, windows, 2, &(kiln_windows_params){.stride = length});
}

static kiln_status open_data(struct data *d, const struct options *o)
{
    const int64_t length = o->length;
    kiln_texts *texts = NULL;
    kiln_array ids = {0};
    kiln_status status =
        o->file ? kiln_texts_load(&texts, o->file, &(kiln_texts_params){.whole = true}) : make_sums(&texts);

    if (!status)
        status = kiln_tokenizer_train(&d->letters, texts,
                                      &(kiln_tokenizer_params){.by = KILN_TOKENS_CHARACTERS, .bare = true});
    if (!status)
        status = kiln_tokenizer_encode(d->letters, kiln_texts_get(texts, 0), NULL, &ids);
    const int64_t all = status ? 0 : ids.shape.size[0], learned = all - all / 10;
    if (!status && !(status = open_windows(&d->train, &ids, 0, learned, length)))
        status = open_windows(&d->check, &ids, learned, all - learned, length);
    if (!status)
        status = kiln_dataset_set_params(d->train, &(kiln_dataset_params){.shuffle = !o->ordered,
                                                                          .seed = (uint64_t)o->seed,
                                                                          .drop_last = true});
    kiln_array_free(&ids);
    kiln_texts_destroy(&texts);
    return status;
}

static void close_data(struct data *d)
{
    kiln_dataset_close(&d->train);
    kiln_dataset_close(&d->check);
    kiln_tokenizer_destroy(&d->letters);
}

/* Learning ----------------------------------------------------------------------------------------------- */

/* The losses so far, for the file and the picture. */
struct record {
    kiln_csv *csv;
    double step[MOST_LOSSES], loss[MOST_LOSSES], validation[MOST_LOSSES];
    int count;
};

static kiln_status keep(struct record *r, double step, double loss, double validation)
{
    const double row[] = {step, loss, validation};

    printf("step %.0f: loss %.4f, validation %.4f (%.3f bits a character)\n", step, loss, validation,
           validation / log(2));
    fflush(stdout);
    if (r->count < MOST_LOSSES) {
        r->step[r->count] = step;
        r->loss[r->count] = loss;
        r->validation[r->count++] = validation;
    }
    return r->csv ? kiln_csv_add(r->csv, row) : KILN_OK;
}

static kiln_status next_batch(kiln_dataset *data, const struct options *o, kiln_batch *batch)
{
    kiln_status status = kiln_dataset_next(data, o->batch, batch);
    if (!status && batch->rows == 0) /* an epoch has ended: on with the next */
        status = kiln_dataset_next(data, o->batch, batch);
    return status;
}

static kiln_status learn(kiln_device *dev, kiln_weights *weights, kiln_graph *g, const kiln_tensor *values,
                         const struct data *d, const struct options *o, struct record *r)
{
    const kiln_tensor text = values[0], next = values[1], loss = values[2], step = values[3];
    kiln_program *program = NULL, *grade = NULL;
    kiln_batch batch;
    float now = 0;
    double validation;
    kiln_status status;

    if ((status = kiln_program_create(&program, dev, g, weights,
                                      &(kiln_program_params){.train = true, .run = KILN_RUN(step, loss)})) ||
        (status =
             kiln_program_create(&grade, dev, g, weights, &(kiln_program_params){.run = KILN_RUN(loss)})))
        goto out;
    for (int i = 1; i <= o->steps && !status; i++) {
        if ((status = next_batch(d->train, o, &batch)) ||
            (status = kiln_program_write(program, text, &batch.column[0])) ||
            (status = kiln_program_write(program, next, &batch.column[1])) ||
            (status = kiln_program_run(program)))
            break;
        if (i % o->every && i != o->steps)
            continue;
        if (!(status = kiln_program_read(program, loss, &(kiln_array){.data = &now, .bytes = sizeof now})) &&
            !(status = kiln_evaluate(grade, d->check, loss, &validation)))
            status = keep(r, i, (double)now, validation);
    }
out:
    kiln_program_destroy(&grade);
    kiln_program_destroy(&program);
    return status;
}

static kiln_status run(const struct options *o)
{
    static const char *const names[] = {"step", "loss", "validation"};
    kiln_device *dev = NULL;
    kiln_graph *g = NULL;
    kiln_weights *weights = NULL;
    struct data d = {0};
    struct record r = {0};
    kiln_recurrent_states states = {{0}};
    kiln_status status = KILN_ERROR_FILE;

    TRY(status = kiln_device_open(&dev, NULL));
    TRY(status = open_data(&d, o));
    TRY(status = kiln_graph_create(&g, NULL));
    const int letters = kiln_vocabulary_size(kiln_tokenizer_vocabulary(d.letters));
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, o->length);
    const kiln_tensor text = kiln_input(g, "text", KILN_I32, shape),
                      next = kiln_input(g, "next", KILN_I32, shape);
    const kiln_tensor scores = network(g, o, letters, text, &states);
    const kiln_tensor loss = kiln_cross_entropy_with(g, scores, next, &(kiln_class_loss_params){.axis = -1});
    const kiln_tensor step =
        kiln_minimize(g, loss, &(kiln_minimize_params){.by = KILN_ADAM, .rate = o->rate, .clip_norm = 5});
    TRY(status = kiln_weights_create(&weights, g, &(kiln_weights_params){.seed = (uint64_t)o->seed}));
    if (o->from)
        TRY(status = kiln_weights_load(weights, o->from, &(kiln_load_params){.partial = true}));
    if (o->csv)
        TRY(status = kiln_csv_open(&r.csv, o->csv, names, 3, NULL));
    printf("%s of %d units, %d characters, %lld windows\n", o->cell, o->units, letters,
           (long long)kiln_dataset_rows(d.train));
    TRY(status = learn(dev, weights, g, (const kiln_tensor[]){text, next, loss, step}, &d, o, &r));
    TRY(status = kiln_weights_save(weights, o->out));
    if (o->picture && r.count > 0)
        TRY(status = kiln_draw_curves(
                o->picture,
                (const kiln_series[]){{"training batch", r.step, r.loss, r.count, false},
                                      {"validation", r.step, r.validation, r.count, false}},
                2,
                &(kiln_curves_params){.title = o->cell, .x_label = "step", .y_label = "nats a character"}));
    if (o->write > 0)
        TRY(status = write_text(dev, weights, d.letters, o));
out:
    kiln_csv_close(&r.csv);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&g);
    close_data(&d);
    kiln_device_close(&dev);
    return status;
}

/* Options ------------------------------------------------------------------------------------------------ */

static bool take_options(struct options *o, int count, char **words)
{
    const struct option table[] = {
        {"--help", OPTION_FLAG, &o->help},
        {"--cell", OPTION_TEXT, &o->cell},
        {"--from", OPTION_TEXT, &o->from},
        {"--out", OPTION_TEXT, &o->out},
        {"--csv", OPTION_TEXT, &o->csv},
        {"--picture", OPTION_TEXT, &o->picture},
        {"--start", OPTION_TEXT, &o->start},
        {"--units", OPTION_INT, &o->units, .least = 1},
        {"--length", OPTION_INT, &o->length, .least = 1},
        {"--batch", OPTION_INT, &o->batch, .least = 1},
        {"--steps", OPTION_INT, &o->steps},
        {"--rate", OPTION_REAL, &o->rate, .least = 1e-9},
        {"--every", OPTION_INT, &o->every, .least = 1},
        {"--seed", OPTION_INT, &o->seed},
        {"--write", OPTION_INT, &o->write},
        {"--temperature", OPTION_REAL, &o->temperature},
        {"--ordered", OPTION_FLAG, &o->ordered},
        {0},
    };

    if (!read_options("textgen", table, &count, words))
        return false;
    if (count > 1) {
        fprintf(stderr, "textgen: it learns from one file, and %s is another\n", words[1]);
        return false;
    }
    o->file = count ? words[0] : NULL;
    if (!strcmp(o->cell, "rnn") || !strcmp(o->cell, "lstm") || !strcmp(o->cell, "gru"))
        return true;
    fprintf(stderr, "textgen: --cell is rnn, lstm or gru, not %s\n", o->cell);
    return false;
}

int main(int argc, char **argv)
{
    struct options o = {.cell = "lstm",
                        .out = "textgen.safetensors",
                        .units = 128,
                        .length = 64,
                        .batch = 32,
                        .steps = 1000,
                        .rate = 0.002,
                        .every = 200,
                        .seed = 1,
                        .write = 300,
                        .temperature = 0.7};

    if (!take_options(&o, argc - 1, argv + 1))
        return 2;
    if (o.help) {
        fputs(help, stdout);
        return 0;
    }
    return run(&o) != KILN_OK;
}
