/* translator.c - texts in, texts out: numbers, one run of the decoder, one wait, and words again. */
#include "translate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

kiln_status open_translator(struct translator *t, kiln_device *dev, struct trained *trained,
                            const struct choice *choice)
{
    *t = (struct translator){.trained = trained};
    const kiln_status status = make_decoder(&t->decoder, trained->model, &trained->config, choice);
    return status ? status
                  : kiln_program_create(&t->program, dev, t->decoder.graph, trained->weights,
                                        &(kiln_program_params){
                                            .run = KILN_RUN(t->decoder.tokens, t->decoder.score)});
}

void close_translator(struct translator *t)
{
    kiln_program_destroy(&t->program);
    kiln_graph_destroy(&t->decoder.graph);
}

static kiln_status write_ints(kiln_program *p, kiln_tensor input, int32_t *data, kiln_shape shape)
{
    return kiln_program_write(p, input, &(kiln_array){.data = data, .type = KILN_I32, .shape = shape});
}

/* Texts as rows of one length, a multiple of 8: so there are few sizes to plan for. */
static kiln_status write_texts(struct translator *t, const char *const *texts, int64_t count)
{
    const struct config *c = &t->trained->config;
    kiln_array *ids = calloc((size_t)count, sizeof *ids);
    int32_t *lengths = calloc((size_t)count, sizeof *lengths), *rows = NULL;
    int64_t size = 8;
    kiln_status status = ids && lengths ? KILN_OK : KILN_ERROR_MEMORY;
    for (int64_t i = 0; i < count && !status; i++) {
        status = kiln_tokenizer_encode(t->trained->source, texts[i],
                                       &(kiln_encode_params){.end = true, .most = c->longest}, &ids[i]);
        lengths[i] = status ? 0 : (int32_t)ids[i].shape.size[0];
        size = lengths[i] > size ? (lengths[i] + 7) / 8 * 8 : size;
    }
    if (!status && !(rows = calloc((size_t)(count * size), sizeof *rows)))
        status = KILN_ERROR_MEMORY;
    for (int64_t i = 0; i < count && !status; i++)
        memcpy(rows + i * size, ids[i].data, (size_t)lengths[i] * sizeof *rows);
    if (!status)
        status = write_ints(t->program, t->decoder.source, rows, KILN_SHAPE(count, size));
    if (!status)
        status = write_ints(t->program, t->decoder.lengths, lengths, KILN_SHAPE(count));
    for (int64_t i = 0; ids && i < count; i++)
        kiln_array_free(&ids[i]);
    free(ids);
    free(lengths);
    free(rows);
    return status;
}

/* Draws only where the program has them; each call others. */
static kiln_status write_draws(struct translator *t)
{
    int32_t draws[2] = {++t->seed, 0};
    for (int i = 0; i < kiln_program_input_count(t->program); i++)
        if (kiln_program_input(t->program, i).id == t->decoder.draws.id)
            return write_ints(t->program, t->decoder.draws, draws, KILN_SHAPE(2));
    return KILN_OK;
}

static kiln_status read_texts(struct translator *t, const int32_t *tokens, int64_t count, char **out)
{
    const struct config *c = &t->trained->config;
    kiln_status status = KILN_OK;
    for (int64_t i = 0; i < count && !status; i++) {
        const int32_t *row = tokens + i * c->longest;
        int64_t length = 0;
        while (length < c->longest && row[length] != c->end)
            length++;
        t->tokens += length + (length < c->longest);
        status = kiln_tokenizer_decode(t->trained->target, row, length, &out[i]);
    }
    return status;
}

kiln_status translate(struct translator *t, const char *const *texts, int64_t count, char **out)
{
    const size_t room = (size_t)(count * t->trained->config.longest) * sizeof(int32_t);
    kiln_device *dev = kiln_program_device(t->program);
    const kiln_device_counts before = kiln_device_get_counts(dev);
    const double began = now();
    int32_t *tokens = malloc(room);
    kiln_status status = KILN_ERROR_MEMORY;
    memset(out, 0, (size_t)count * sizeof *out);
    t->tokens = 0;
    if (!tokens)
        return status;
    TRY(status = write_texts(t, texts, count));
    TRY(status = write_draws(t));
    TRY(status = kiln_program_run(t->program));
    TRY(status =
            kiln_program_read(t->program, t->decoder.tokens, &(kiln_array){.data = tokens, .bytes = room}));
    t->waits = (int64_t)(kiln_device_get_counts(dev).waits - before.waits);
    status = read_texts(t, tokens, count, out);
    t->seconds = now() - began;
out:
    free(tokens);
    return status;
}
