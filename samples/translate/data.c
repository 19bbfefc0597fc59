/* data.c - pairs of sentences: read or generated, and turned into numbers, a dataset whose batches are of about one length. */
#include "translate.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Reading ------------------------------------------------------------------------------------------------ */

static kiln_status make_texts(struct pairs *p)
{
    kiln_status status = kiln_texts_create(&p->source);
    return status ? status : kiln_texts_create(&p->target);
}

static kiln_status generate(struct pairs *p, int64_t rows, uint64_t seed, bool unseen)
{
    kiln_status status = make_texts(p);
    return status ? status
                  : kiln_dates_generate(p->source, p->target,
                                        &(kiln_dates_params){.rows = rows, .seed = seed, .unseen = unseen});
}

/* A file of two columns: of twenty lines one is to watch by, and one to judge by. */
static kiln_status read_table(struct data *d, const struct source *from)
{
    struct pairs all = {0};
    struct pairs *const parts[] = {&d->train, &d->check, &d->test};
    kiln_status status = kiln_texts_load(&all.source, from->data, &(kiln_texts_params){.column = 1});
    if (!status)
        status = kiln_texts_load(&all.target, from->data, &(kiln_texts_params){.column = 2});
    for (int i = 0; i < 3 && !status; i++)
        status = make_texts(parts[i]);
    const int64_t count = status ? 0 : kiln_texts_count(all.source);
    for (int64_t i = 0; i < count && (!from->rows || i < from->rows) && !status; i++) {
        struct pairs *p = parts[i % 20 == 7 ? 1 : i % 20 == 17 ? 2 : 0];
        if (!(status = kiln_texts_add(p->source, kiln_texts_get(all.source, i))))
            status = kiln_texts_add(p->target, kiln_texts_get(all.target, i));
    }
    free_pairs(&all);
    return status;
}

/* The first rows of a list in place of the whole; 0: all. */
static kiln_status shorten(kiln_texts **list, int64_t rows)
{
    kiln_texts *first = NULL;
    if (rows == 0 || rows >= kiln_texts_count(*list))
        return KILN_OK;
    kiln_status status = kiln_texts_create(&first);
    for (int64_t i = 0; i < rows && !status; i++)
        status = kiln_texts_add(first, kiln_texts_get(*list, i));
    kiln_texts_destroy(list);
    *list = first;
    return status;
}

static kiln_status read_part(struct pairs *p, const struct source *from, const char *part)
{
    kiln_texts **const to[] = {&p->source, &p->target};
    const char *const languages[] = {from->from, from->to};
    int64_t lines[2];
    kiln_status status = KILN_OK;
    char path[1024];
    for (int i = 0; i < 2 && !status; i++) {
        snprintf(path, sizeof path, "%s/%s.%s", from->data, part, languages[i]);
        if (!(status = kiln_texts_load(to[i], path, NULL))) {
            lines[i] = kiln_texts_count(*to[i]);
            status = shorten(to[i], from->rows);
        }
    }
    if (status || lines[0] == lines[1])
        return status;
    fprintf(stderr, "translate: %s/%s: %lld lines of %s, %lld of %s\n", from->data, part, (long long)lines[0],
            from->from, (long long)lines[1], from->to);
    return KILN_ERROR_FILE;
}

kiln_status read_pairs(struct data *d, const struct source *from)
{
    struct stat what;
    kiln_status status;
    if (!strcmp(from->data, "dates")) {
        const int64_t rows = from->rows ? from->rows : 20000;
        status = generate(&d->train, rows, 1, false);
        if (!status)
            status = generate(&d->check, rows < 500 ? rows : 500, 2, false);
        return status ? status : generate(&d->test, rows < 1000 ? rows : 1000, 3, true);
    }
    if (stat(from->data, &what) || !S_ISDIR(what.st_mode))
        return read_table(d, from);
    if ((status = read_part(&d->train, from, "train")) || (status = read_part(&d->check, from, "val")))
        return status;
    return read_part(&d->test, from, "test_2016_flickr");
}

kiln_status train_tokenizers(struct data *d, const struct source *from)
{
    const kiln_tokenizer_params params = {.by = from->pairs        ? KILN_TOKENS_BYTE_PAIRS
                                                : from->characters ? KILN_TOKENS_CHARACTERS
                                                                   : KILN_TOKENS_WORDS,
                                          .size = from->pairs,
                                          .lower = from->lower,
                                          .minimum = from->minimum};
    const kiln_status status = kiln_tokenizer_train(&d->source, d->train.source, &params);
    return status ? status : kiln_tokenizer_train(&d->target, d->train.target, &params);
}

kiln_status number_pairs(const struct data *d, struct pairs *p, int longest)
{
    const kiln_encode_params ends = {.end = true, .most = longest}, begins = {.begin = true, .most = longest};
    kiln_status status = kiln_tokenizer_encode_all(d->source, p->source, &ends, &p->ids[0]);
    if (!status)
        status = kiln_tokenizer_encode_all(d->target, p->target, &begins, &p->ids[1]);
    if (!status)
        status = kiln_tokenizer_encode_all(d->target, p->target, &ends, &p->ids[2]);
    if (status)
        return status;
    const kiln_named_sequences columns[] = {{"source", &p->ids[0]},
                                            {"given", &p->ids[1]},
                                            {"wanted", &p->ids[2]}};
    return kiln_sequences_open(&p->rows, columns, 3, &(kiln_sequences_params){.borrow = true, .multiple = 4});
}

void free_pairs(struct pairs *p)
{
    kiln_dataset_close(&p->rows);
    for (int i = 0; i < 3; i++)
        kiln_sequences_free(&p->ids[i]);
    kiln_texts_destroy(&p->source);
    kiln_texts_destroy(&p->target);
}

void free_data(struct data *d)
{
    free_pairs(&d->train);
    free_pairs(&d->check);
    free_pairs(&d->test);
    kiln_tokenizer_destroy(&d->source);
    kiln_tokenizer_destroy(&d->target);
}

kiln_status write_batch(kiln_program *p, const kiln_batch *batch)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_program_input_count(p); i++) {
        const kiln_tensor input = kiln_program_input(p, i);
        for (int c = 0; c < batch->columns && !status; c++)
            if (!strcmp(batch->name[c], kiln_program_tensor_name(p, input)))
                status = kiln_program_write(p, input, &batch->column[c]);
    }
    return status;
}
