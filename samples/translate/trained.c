/* trained.c - a model's folder: model.safetensors with weights and, as notes, sizes; source.tokens and target.tokens. */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The sizes of a model by name, for both ways. */
struct field {
    const char *key;
    int *at;
};

enum { FIELDS = 9 };

static void list_fields(struct config *c, struct field list[FIELDS])
{
    const struct field all[FIELDS] = {{"width", &c->width},     {"layers", &c->layers},
                                      {"heads", &c->heads},     {"hidden", &c->hidden},
                                      {"sources", &c->sources}, {"targets", &c->targets},
                                      {"begin", &c->begin},     {"end", &c->end},
                                      {"longest", &c->longest}};
    memcpy(list, all, sizeof all);
}

static const char *path_in(char path[1024], const char *dir, const char *name)
{
    snprintf(path, 1024, "%s/%s", dir, name);
    return path;
}

kiln_status save_trained(const struct trained *t, const char *dir)
{
    struct config c = t->config;
    struct field fields[FIELDS];
    char path[1024], number[FIELDS][16];
    kiln_note notes[FIELDS + 1] = {{"model", t->model->name}};
    list_fields(&c, fields);
    for (int i = 0; i < FIELDS; i++) {
        snprintf(number[i], sizeof number[i], "%d", *fields[i].at);
        notes[i + 1] = (kiln_note){fields[i].key, number[i]};
    }
    (void)mkdir(dir, 0777); /* where it cannot be, the first file says so */
    kiln_status status = kiln_tokenizer_save(t->source, path_in(path, dir, "source.tokens"));
    if (!status)
        status = kiln_tokenizer_save(t->target, path_in(path, dir, "target.tokens"));
    if (!status)
        status =
            kiln_weights_save_noted(t->weights, path_in(path, dir, "model.safetensors"), notes, FIELDS + 1);
    return status;
}

/* Sizes from the notes. */
static kiln_status read_notes(struct trained *t, const kiln_safetensors *file, const char *path)
{
    const char *name = kiln_safetensors_note(file, "model");
    struct field fields[FIELDS];
    list_fields(&t->config, fields);
    for (int i = 0; i < FIELDS; i++) {
        const char *text = kiln_safetensors_note(file, fields[i].key);
        const long value = text ? strtol(text, NULL, 10) : 0;
        if (!name || value < 1 || value > 1 << 20) {
            fprintf(stderr, "translate: %s: no model of this sample: its %s is missing\n", path,
                    fields[i].key);
            return KILN_ERROR_FILE;
        }
        *fields[i].at = (int)value;
    }
    if (!fits(&t->config)) {
        fprintf(stderr, "translate: %s: no model has such sizes\n", path);
        return KILN_ERROR_FILE;
    }
    t->model = find_model(name);
    return t->model ? KILN_OK : KILN_ERROR_FILE;
}

kiln_status load_trained(struct trained *t, const char *dir)
{
    char path[1024];
    kiln_safetensors *file = NULL;
    struct net net = {.graph = NULL};
    *t = (struct trained){.model = NULL};
    kiln_status status = kiln_safetensors_open(&file, path_in(path, dir, "model.safetensors"));
    if (!status)
        status = read_notes(t, file, path);
    if (!status)
        status = make_net(&net, t->model, &t->config, 0);
    if (!status)
        status = kiln_weights_create(&t->weights, net.graph, NULL);
    if (!status)
        status = kiln_weights_load_from(t->weights, file, &(kiln_load_params){.partial = true});
    if (!status)
        status = kiln_tokenizer_load(&t->source, path_in(path, dir, "source.tokens"));
    if (!status)
        status = kiln_tokenizer_load(&t->target, path_in(path, dir, "target.tokens"));
    if (status)
        free_trained(t);
    kiln_graph_destroy(&net.graph);
    kiln_safetensors_close(&file);
    return status;
}

void free_trained(struct trained *t)
{
    kiln_weights_destroy(&t->weights);
    kiln_tokenizer_destroy(&t->source);
    kiln_tokenizer_destroy(&t->target);
}
