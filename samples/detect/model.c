/* model.c - a network with its weights and programs: made, saved, loaded, and asked what is in pictures. */
#include "detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double least_score = 0.01; /* of what is found */

enum { NAME_BYTES = 64 }; /* of a line with the name of a class */

static const struct network *const networks[] = {&yolo_network, &ssd_network, &two_stage_network,
                                                 &windows_network};

const struct network *network_of(const char *name)
{
    for (int i = 0; i < COUNT(networks); i++)
        if (!strcmp(networks[i]->name, name))
            return networks[i];
    fprintf(stderr, "detect: no network \"%s\"; there are", name);
    for (int i = 0; i < COUNT(networks); i++)
        fprintf(stderr, " %s", networks[i]->name);
    fprintf(stderr, "\n");
    return NULL;
}

static char *copy_of(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

/* Of each place's best class: suppression of what finds the same thing, on the device. */
static void suppress(struct model *m)
{
    kiln_graph *g = m->graph;
    const kiln_reduce_params classes = {.axes = KILN_AXES(2)};
    const kiln_tensor score = kiln_reduce_max(g, m->findings.scores, &classes),
                      class = kiln_argmax(g, m->findings.scores, 2, false);
    const kiln_nms_params nms = {
        .overlap = m->overlap, .score = least_score, .candidates = 1000, .most = MOST_FOUND};
    const kiln_tensor place = kiln_nms_rows(g, m->findings.boxes, score, class, &nms, &m->scores, NULL);
    m->boxes = kiln_gather_batched(g, m->findings.boxes, place, 1, 1);
    m->classes = kiln_gather_batched(g, class, place, 1, 1);
}

struct findings network_build(kiln_graph *g, const struct network *network, const struct task *t,
                              struct batch *batch)
{
    *batch = (struct batch){.image = kiln_input(g, "image", KILN_F32,
                                                KILN_SHAPE(KILN_BATCH, 3, t->height, t->width)),
                            .boxes = kiln_input(g, "boxes", KILN_F32, KILN_SHAPE(KILN_BATCH, t->most, 4)),
                            .labels = kiln_input(g, "labels", KILN_I32, KILN_SHAPE(KILN_BATCH, t->most)),
                            .count = kiln_input(g, "count", KILN_I32, KILN_SHAPE(KILN_BATCH))};
    const struct findings found = network->build(g, t, batch);
    kiln_name(g, found.loss, "loss");
    return found;
}

kiln_status model_finish(struct model *m, kiln_device *dev)
{
    suppress(m);
    return kiln_program_create(&m->find, dev, m->graph, m->weights,
                               &(kiln_program_params){.run = KILN_RUN(m->boxes, m->scores, m->classes)});
}

kiln_status model_create(struct model *m, kiln_device *dev, const char *network, const struct task *task,
                         const char *const *class_names)
{
    *m = (struct model){.network = network_of(network),
                        .task = *task,
                        .image = image_params(task->width, task->height),
                        .overlap = 0.6,
                        .precision = -1};
    kiln_status status;
    if (!m->network)
        return KILN_ERROR_ARGUMENT;
    for (int i = 0; i < task->classes; i++) {
        if (strlen(class_names[i]) >= NAME_BYTES - 1 || strpbrk(class_names[i], "\r\n")) {
            fprintf(stderr, "detect: a class's name is no line of at most %d bytes: %s\n", NAME_BYTES - 2,
                    class_names[i]);
            return KILN_ERROR_ARGUMENT;
        }
        if (!(m->class[i] = copy_of(class_names[i])))
            return KILN_ERROR_MEMORY;
    }
    if ((status = kiln_graph_create(&m->graph, &(kiln_graph_params){.name = network})))
        return status;
    m->findings = network_build(m->graph, m->network, task, &m->batch);
    if ((status = kiln_weights_create(&m->weights, m->graph, &(kiln_weights_params){.seed = 1})))
        return status;
    return model_finish(m, dev);
}

void model_free(struct model *m)
{
    kiln_program_destroy(&m->find);
    kiln_weights_destroy(&m->weights);
    kiln_graph_destroy(&m->graph);
    for (int i = 0; i < MOST_CLASSES; i++)
        free(m->class[i]);
    *m = (struct model){0};
}

/* Files --------------------------------------------------------------------------------------------------- */

static FILE *open_text(const char *name, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.txt", name);
    FILE *file = fopen(path, mode);
    if (!file)
        fprintf(stderr, "detect: %s cannot be opened\n", path);
    return file;
}

/* What the network itself needs, without what its optimizer has besides. */
static kiln_status save_weights(const struct model *m, const char *path)
{
    kiln_weights *own = NULL;
    kiln_status status = kiln_weights_create(&own, m->graph, NULL);
    for (int i = 0; !status && i < kiln_weights_count(own); i++)
        status = kiln_weights_copy(own, m->weights, kiln_weights_name(own, i));
    if (!status)
        status = kiln_weights_save(own, path);
    kiln_weights_destroy(&own);
    return status;
}

kiln_status model_save(const struct model *m, const char *name)
{
    char path[4096];
    FILE *file = open_text(name, "w");
    if (!file)
        return KILN_ERROR_FILE;
    fprintf(file, "network %s\nprecision %.6f\nheight %d\nwidth %d\nboxes %d\nclasses %d\n", m->network->name,
            m->precision, m->task.height, m->task.width, m->task.most, m->task.classes);
    for (int i = 0; i < m->task.classes; i++)
        fprintf(file, "%s\n", m->class[i]);
    if (fclose(file))
        return KILN_ERROR_FILE;
    snprintf(path, sizeof path, "%s.safetensors", name);
    return save_weights(m, path);
}

/* The next line of a file, without its end, in `line`. */
static bool read_line(FILE *file, char *line, int bytes)
{
    if (!fgets(line, bytes, file))
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

struct description {
    char network[32];
    double precision;
    struct task task;
    char class[MOST_CLASSES][NAME_BYTES];
};

static bool read_description(FILE *file, struct description *d)
{
    char line[NAME_BYTES];
    struct task *t = &d->task;
    if (fscanf(file, "network %31s precision %lf height %d width %d boxes %d classes %d", d->network,
               &d->precision, &t->height, &t->width, &t->most, &t->classes) != 6)
        return false;
    if (t->height < 32 || t->width < 32 || t->height > 4096 || t->width > 4096 || t->most < 1 ||
        t->most > 4096 || t->classes < 1 || t->classes > MOST_CLASSES || !read_line(file, line, sizeof line))
        return false;
    for (int i = 0; i < t->classes; i++)
        if (!read_line(file, d->class[i], sizeof d->class[i]))
            return false;
    return true;
}

double saved_precision(const char *name)
{
    char path[4096];
    struct description d = {.precision = -1};
    snprintf(path, sizeof path, "%s.txt", name);
    FILE *file = fopen(path, "r");
    if (file && !read_description(file, &d))
        d.precision = -1;
    if (file)
        fclose(file);
    return d.precision;
}

/* Lines of a file, or numbers where there is none. */
kiln_status name_classes(struct model *m, const char *path)
{
    char line[NAME_BYTES];
    FILE *file = path ? fopen(path, "r") : NULL;
    bool whole = !path || file;
    for (int i = 0; i < m->task.classes && whole; i++) {
        snprintf(line, sizeof line, "class %d", i);
        whole = (!file || read_line(file, line, sizeof line)) && (m->class[i] = copy_of(line));
    }
    if (file)
        fclose(file);
    if (!whole)
        fprintf(stderr, "detect: %s does not name %d classes\n", path, m->task.classes);
    return whole ? KILN_OK : KILN_ERROR_FILE;
}

bool ends_with(const char *text, const char *end)
{
    const size_t bytes = strlen(text), tail = strlen(end);
    return bytes >= tail && !strcmp(text + bytes - tail, end);
}

kiln_status model_load(struct model *m, kiln_device *dev, const struct options *o)
{
    const char *class[MOST_CLASSES];
    char path[4096];
    struct description d;
    *m = (struct model){0};
    if (ends_with(o->model, ".onnx"))
        return onnx_load(m, dev, o);
    FILE *file = open_text(o->model, "r");
    if (!file)
        return KILN_ERROR_FILE;
    const bool whole = read_description(file, &d);
    fclose(file);
    if (!whole) {
        fprintf(stderr, "detect: %s.txt does not describe a model\n", o->model);
        return KILN_ERROR_FILE;
    }
    for (int i = 0; i < d.task.classes; i++)
        class[i] = d.class[i];
    const kiln_status status = model_create(m, dev, d.network, &d.task, class);
    if (status)
        return status;
    snprintf(path, sizeof path, "%s.safetensors", o->model);
    return kiln_weights_load(m->weights, path, NULL);
}

/* Finding ------------------------------------------------------------------------------------------------- */

/* What the program has read of one picture; places beyond what is kept have no score. */
static void list(struct found *f, float (*box)[4], const float *score, const int32_t *class)
{
    for (f->count = 0; f->count < MOST_FOUND && score[f->count] > 0; f->count++) {
        kiln_detection *d = &f->list[f->count];
        *d = (kiln_detection){.class_index = class[f->count], .score = score[f->count]};
        memcpy(d->box, box[f->count], sizeof d->box);
    }
}

kiln_status model_find(struct model *m, const kiln_array *images, struct found *found)
{
    const size_t pictures = (size_t)images->shape.size[0], n = pictures * MOST_FOUND;
    float(*boxes)[4] = malloc(n * sizeof *boxes), *scores = malloc(n * sizeof *scores);
    int32_t *classes = malloc(n * sizeof *classes);
    kiln_status status = KILN_ERROR_MEMORY;
    if (!boxes || !scores || !classes)
        goto out;
    TRY(status = kiln_program_write(m->find, m->batch.image, images));
    TRY(status = kiln_program_run(m->find));
    TRY(status =
            kiln_program_read(m->find, m->boxes, &(kiln_array){.data = boxes, .bytes = n * sizeof *boxes}));
    TRY(status = kiln_program_read(m->find, m->scores,
                                   &(kiln_array){.data = scores, .bytes = n * sizeof *scores}));
    TRY(status = kiln_program_read(m->find, m->classes,
                                   &(kiln_array){.data = classes, .bytes = n * sizeof *classes}));
    for (size_t i = 0; i < pictures; i++)
        list(&found[i], boxes + i * MOST_FOUND, scores + i * MOST_FOUND, classes + i * MOST_FOUND);
out:
    free(boxes);
    free(scores);
    free(classes);
    return status;
}
