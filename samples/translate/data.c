/* data.c - pairs of sentences: read or generated, turned into numbers, and dealt out in batches of about one length. */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
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

static kiln_status read_part(struct pairs *p, const struct source *from, const char *part)
{
    kiln_texts **const to[] = {&p->source, &p->target};
    const char *const languages[] = {from->from, from->to};
    kiln_status status = KILN_OK;
    char path[1024];
    for (int i = 0; i < 2 && !status; i++) {
        snprintf(path, sizeof path, "%s/%s.%s", from->data, part, languages[i]);
        status = kiln_texts_load(to[i], path, NULL);
    }
    if (!status && kiln_texts_count(p->source) != kiln_texts_count(p->target)) {
        fprintf(stderr, "translate: %s/%s: %lld lines of %s, %lld of %s\n", from->data, part,
                (long long)kiln_texts_count(p->source), from->from, (long long)kiln_texts_count(p->target),
                from->to);
        status = KILN_ERROR_FILE;
    }
    return status;
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
    const kiln_status status =
        kiln_tokenizer_encode_all(d->source, p->source, &(kiln_encode_params){.end = true, .most = longest},
                                  &p->ids[0]);
    return status ? status
                  : kiln_tokenizer_encode_all(
                        d->target, p->target,
                        &(kiln_encode_params){.begin = true, .end = true, .most = longest + 1}, &p->ids[1]);
}

void free_pairs(struct pairs *p)
{
    kiln_texts_destroy(&p->source);
    kiln_texts_destroy(&p->target);
    kiln_sequences_free(&p->ids[0]);
    kiln_sequences_free(&p->ids[1]);
}

void free_data(struct data *d)
{
    free_pairs(&d->train);
    free_pairs(&d->check);
    free_pairs(&d->test);
    kiln_tokenizer_destroy(&d->source);
    kiln_tokenizer_destroy(&d->target);
}

/* Batches ------------------------------------------------------------------------------------------------ */

static int64_t length_of(const kiln_sequences *s, int64_t row)
{
    return s->first[row + 1] - s->first[row];
}

/* Lengths are padded to multiples of 4, so that there are few sizes of a batch. */
static int64_t padded(int64_t length)
{
    return (length + 3) / 4 * 4;
}

static uint32_t draw(uint64_t *state, int64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % (uint64_t)below);
}

static void shuffle(int64_t *items, int64_t count, uint64_t *state)
{
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = draw(state, i + 1), item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}

/* A pair's place among all: by padded lengths, then as they were. */
struct place {
    int64_t source, target, at, pair;
};

static int by_lengths(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    const int64_t d = x->target != y->target   ? x->target - y->target
                      : x->source != y->source ? x->source - y->source
                                               : x->at - y->at;
    return d < 0 ? -1 : d > 0;
}

/* The order of an epoch: pairs shuffled, then by length, cut into batches, batches shuffled. */
static kiln_status deal(struct batches *b)
{
    const int64_t rows = b->pairs->ids[0].rows;
    struct place *places = malloc((size_t)rows * sizeof *places);
    uint64_t state = b->seed * 1000003u + (uint64_t)b->epoch;
    if (!places)
        return KILN_ERROR_MEMORY;
    for (int64_t i = 0; i < rows; i++)
        b->order[i] = i;
    if (b->shuffled)
        shuffle(b->order, rows, &state);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t pair = b->order[i];
        places[i] = (struct place){padded(length_of(&b->pairs->ids[0], pair)),
                                   padded(length_of(&b->pairs->ids[1], pair) - 1), i, pair};
    }
    qsort(places, (size_t)rows, sizeof *places, by_lengths);
    for (int64_t i = 0; i < rows; i++)
        b->order[i] = places[i].pair;
    free(places);
    for (int64_t i = 0; i < b->count; i++)
        b->batch[i] = i;
    if (b->shuffled)
        shuffle(b->batch, b->count, &state);
    b->next = 0;
    return KILN_OK;
}

kiln_status open_batches(struct batches *b, const struct pairs *pairs, int rows, bool shuffled, uint64_t seed)
{
    const int64_t all = pairs->ids[0].rows;
    int64_t longest = 0;
    for (int64_t i = 0; i < all; i++)
        for (int side = 0; side < 2; side++)
            longest = length_of(&pairs->ids[side], i) > longest ? length_of(&pairs->ids[side], i) : longest;
    rows = rows < all ? rows : (int)all;
    *b = (struct batches){.pairs = pairs, .rows = rows, .shuffled = shuffled, .seed = seed};
    if (all == 0) {
        fprintf(stderr, "translate: there are no pairs\n");
        return KILN_ERROR_ARGUMENT;
    }
    const size_t room = (size_t)rows * (size_t)padded(longest) * sizeof(int32_t);
    b->count = shuffled ? all / rows : (all + rows - 1) / rows;
    b->order = malloc((size_t)all * sizeof *b->order);
    b->batch = malloc((size_t)b->count * sizeof *b->batch);
    b->source = malloc(room);
    b->given = malloc(room);
    b->wanted = malloc(room);
    b->lengths = malloc((size_t)rows * sizeof *b->lengths);
    b->counts = malloc((size_t)rows * sizeof *b->counts);
    if (!b->order || !b->batch || !b->source || !b->given || !b->wanted || !b->lengths || !b->counts)
        return KILN_ERROR_MEMORY;
    return deal(b);
}

int64_t batch_pair(const struct batches *b, int64_t row)
{
    return b->order[b->batch[b->next - 1] * b->rows + row];
}

/* `count` of a pair's numbers, from its `skip`th on, into a row of zeros, which is padding. */
static void fill(int32_t *row, int64_t room, const kiln_sequences *s, int64_t pair, int64_t skip,
                 int64_t count)
{
    memset(row, 0, (size_t)room * sizeof *row);
    memcpy(row, s->ids + s->first[pair] + skip, (size_t)count * sizeof *row);
}

void next_batch(struct batches *b)
{
    const kiln_sequences *ids = b->pairs->ids;
    b->size = 0;
    if (b->next == b->count) {
        b->epoch++;
        (void)deal(b); /* that of the epoch before where memory is short */
        return;
    }
    const int64_t first = b->batch[b->next++] * b->rows;
    b->size = ids[0].rows - first < b->rows ? ids[0].rows - first : b->rows;
    b->sources = b->targets = 1;
    for (int64_t i = 0; i < b->size; i++) {
        b->lengths[i] = (int32_t)length_of(&ids[0], b->order[first + i]);
        b->counts[i] = (int32_t)length_of(&ids[1], b->order[first + i]) - 1;
        b->sources = padded(b->lengths[i]) > b->sources ? padded(b->lengths[i]) : b->sources;
        b->targets = padded(b->counts[i]) > b->targets ? padded(b->counts[i]) : b->targets;
    }
    for (int64_t i = 0; i < b->size; i++) {
        const int64_t pair = b->order[first + i];
        fill(b->source + i * b->sources, b->sources, &ids[0], pair, 0, b->lengths[i]);
        fill(b->given + i * b->targets, b->targets, &ids[1], pair, 0, b->counts[i]);
        fill(b->wanted + i * b->targets, b->targets, &ids[1], pair, 1, b->counts[i]);
    }
}

kiln_status write_batch(kiln_program *p, const struct net *net, const struct batches *b)
{
    const struct {
        kiln_tensor input;
        int32_t *data;
        kiln_shape shape;
    } inputs[] = {
        {net->source, b->source, KILN_SHAPE(b->size, b->sources)},
        {net->lengths, b->lengths, KILN_SHAPE(b->size)},
        {net->given, b->given, KILN_SHAPE(b->size, b->targets)},
        {net->wanted, b->wanted, KILN_SHAPE(b->size, b->targets)},
        {net->counts, b->counts, KILN_SHAPE(b->size)},
    };
    kiln_status status = KILN_OK;
    for (int i = 0; i < 5 && !status; i++)
        status = kiln_program_write(
            p, inputs[i].input,
            &(kiln_array){.data = inputs[i].data, .type = KILN_I32, .shape = inputs[i].shape});
    return status;
}

void close_batches(struct batches *b)
{
    free(b->order);
    free(b->batch);
    free(b->source);
    free(b->lengths);
    free(b->given);
    free(b->wanted);
    free(b->counts);
    *b = (struct batches){0};
}
