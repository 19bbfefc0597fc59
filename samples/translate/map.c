/* map.c - what each token of a translation looks at in its source, as a picture. */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 512 }; /* tokens, less one */

struct map {
    struct trained trained;
    kiln_device *dev;
    struct net net;
    kiln_program *program;
    char *found;                      /* the model's own translation */
    kiln_array source, target;        /* numbers: with the end; with the beginning and the end */
    char *rows[MOST], *columns[MOST]; /* tokens as text */
};

/* The texts' numbers; without a target the model translates. */
static kiln_status number(struct map *m, const char *text, const char *target)
{
    const int longest = m->trained.config.longest;
    struct translator t = {.trained = NULL};
    kiln_status status = KILN_OK;
    if (!target) {
        status = open_translator(&t, m->dev, &m->trained, &(struct choice){.beams = 4, .penalty = 0.6});
        if (!status)
            status = translate(&t, &text, 1, &m->found);
        close_translator(&t);
        target = m->found;
    }
    if (!status)
        status = kiln_tokenizer_encode(m->trained.source, text,
                                       &(kiln_encode_params){.end = true, .most = longest}, &m->source);
    return status
               ? status
               : kiln_tokenizer_encode(m->trained.target, target,
                                       &(kiln_encode_params){.begin = true, .end = true, .most = longest + 1},
                                       &m->target);
}

/* One teaching step without learning: how much each target token, as it was chosen, looked at each source token. */
static kiln_status look(struct map *m, float *map, size_t room)
{
    const int64_t sources = m->source.shape.size[0], targets = m->target.shape.size[0] - 1;
    int32_t length = (int32_t)sources;
    kiln_status status = make_net(&m->net, m->trained.model, &m->trained.config, 0);
    if (!status && !m->net.map.id) {
        fprintf(stderr, "translate: a model of kind %s has no attention to look at\n",
                m->trained.model->name);
        status = KILN_ERROR_ARGUMENT;
    }
    if (!status)
        status = kiln_program_create(&m->program, m->dev, m->net.graph, m->trained.weights,
                                     &(kiln_program_params){.run = KILN_RUN(m->net.map)});
    const struct {
        kiln_tensor input;
        void *data;
        kiln_shape shape;
    } inputs[] = {{m->net.source, m->source.data, KILN_SHAPE(1, sources)},
                  {m->net.lengths, &length, KILN_SHAPE(1)},
                  {m->net.given, m->target.data, KILN_SHAPE(1, targets)}};
    for (int i = 0; i < 3 && !status; i++)
        status = kiln_program_write(
            m->program, inputs[i].input,
            &(kiln_array){.data = inputs[i].data, .type = KILN_I32, .shape = inputs[i].shape});
    if (!status)
        status = kiln_program_run(m->program);
    return status ? status
                  : kiln_program_read(m->program, m->net.map, &(kiln_array){.data = map, .bytes = room});
}

/* What each token says, without the space before a word; special ones say nothing, and stand by their names. */
static kiln_status label(char **labels, const kiln_tokenizer *t, const int32_t *ids, int64_t count)
{
    kiln_status status = KILN_OK;
    for (int64_t i = 0; i < count && !status; i++) {
        const char *name = kiln_vocabulary_token(kiln_tokenizer_vocabulary(t), ids[i]);
        if ((status = kiln_tokenizer_decode(t, ids + i, 1, &labels[i])))
            break;
        if (labels[i][0] == ' ' && labels[i][1])
            memmove(labels[i], labels[i] + 1, strlen(labels[i]));
        if (*labels[i])
            continue;
        char *copy = realloc(labels[i], strlen(name) + 1);
        if (copy)
            labels[i] = strcpy(copy, name);
    }
    return status;
}

static kiln_status draw(struct map *m, float *map, const char *path)
{
    const int64_t sources = m->source.shape.size[0], targets = m->target.shape.size[0] - 1;
    kiln_status status = label(m->columns, m->trained.source, m->source.data, sources);
    if (!status)
        status = label(m->rows, m->trained.target, (const int32_t *)m->target.data + 1, targets);
    return status ? status
                  : kiln_draw_heat(path, &(kiln_array){.data = map, .shape = KILN_SHAPE(targets, sources)},
                                   &(kiln_heat_params){.title = "What each token looks at",
                                                       .row_label = "translation",
                                                       .column_label = "source",
                                                       .rows = (const char *const *)m->rows,
                                                       .columns = (const char *const *)m->columns,
                                                       .high = 1});
}

static kiln_status check_sizes(const struct map *m)
{
    if (m->source.shape.size[0] < MOST && m->target.shape.size[0] < MOST)
        return KILN_OK;
    fprintf(stderr, "translate: a map shows fewer than %d tokens\n", MOST);
    return KILN_ERROR_ARGUMENT;
}

kiln_status draw_map(const char *dir, const char *text, const char *target, const char *path)
{
    struct map m = {.found = NULL};
    float *map = NULL;
    kiln_status status;
    TRY(status = load_trained(&m.trained, dir));
    TRY(status = kiln_device_open(&m.dev, NULL));
    TRY(status = number(&m, text, target));
    TRY(status = check_sizes(&m));
    const size_t room = (size_t)(m.source.shape.size[0] * m.target.shape.size[0]) * sizeof *map;
    map = malloc(room);
    TRY(status = map ? KILN_OK : KILN_ERROR_MEMORY);
    TRY(status = look(&m, map, room));
    TRY(status = draw(&m, map, path));
    printf("%s: %s\n", path, target ? target : m.found);
out:
    for (int i = 0; i < MOST; i++) {
        free(m.rows[i]);
        free(m.columns[i]);
    }
    free(map);
    free(m.found);
    kiln_array_free(&m.source);
    kiln_array_free(&m.target);
    kiln_program_destroy(&m.program);
    kiln_graph_destroy(&m.net.graph);
    free_trained(&m.trained);
    kiln_device_close(&m.dev);
    return status;
}
