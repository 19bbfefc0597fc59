/* eval.c - what a model is worth: average precision on pictures whose boxes are known. */
#include "detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kiln_status results_add(struct results *r, int64_t image, int64_t category, const kiln_detection *found)
{
    if (r->count == r->room) {
        const int64_t room = r->room ? 2 * r->room : 256;
        kiln_result *list = realloc(r->list, (size_t)room * sizeof *list);
        if (!list)
            return KILN_ERROR_MEMORY;
        r->list = list;
        r->room = room;
    }
    kiln_result *to = &r->list[r->count++];
    *to = (kiln_result){.image_id = image, .category_id = category, .score = found->score};
    memcpy(to->box, found->box, sizeof to->box);
    return KILN_OK;
}

/* Measuring under way. */
struct measuring {
    struct model *model;
    kiln_dataset *data;
    kiln_detection_score *score;
    const struct options *options;
    struct results *results; /* NULL: not wanted, nor drawings */
    struct found *found;     /* in a batch */
};

/* Draw a picture as the network saw it, what is there dashed: OUT/ID.found.png. */
static kiln_status draw(const struct measuring *m, const kiln_scene *scene, const kiln_array *images,
                        int64_t row, const struct found *found)
{
    enum { MOST = 256 };
    kiln_scene_object objects[MOST];
    char path[4096];
    const kiln_image_params *as = &m->model->image;
    const kiln_placing placing = kiln_image_placing(as, scene->width, scene->height);
    const int count = scene->count < MOST ? scene->count : MOST;
    const int64_t pixels = kiln_shape_count(&as->shape);
    int sure = 0;
    for (int i = 0; i < count; i++) {
        objects[i] = scene->objects[i];
        kiln_box_place(&placing, objects[i].box, objects[i].box);
    }
    while (sure < found->count && (double)found->list[sure].score >= m->options->score)
        sure++;
    snprintf(path, sizeof path, "%s/%lld.found.png", m->options->out, (long long)scene->id);
    return kiln_draw_boxes(path,
                           &(kiln_array){.data = (float *)images->data + row * pixels, .shape = as->shape},
                           found->list, sure,
                           &(kiln_boxes_params){.names = (const char *const *)m->model->class,
                                                .classes = m->model->task.classes,
                                                .objects = objects,
                                                .object_count = count});
}

/* Count one picture: what was found goes back to the pixels of the picture itself. */
static kiln_status count(const struct measuring *m, const kiln_scene *scene, struct found *found)
{
    const kiln_placing placing = kiln_image_placing(&m->model->image, scene->width, scene->height);
    kiln_status status = KILN_OK;
    for (int i = 0; i < found->count; i++)
        kiln_box_unplace(&placing, found->list[i].box, found->list[i].box);
    for (int i = 0; i < found->count && m->results && !status; i++)
        status = results_add(m->results, scene->id,
                             kiln_dataset_class_id(m->data, found->list[i].class_index), &found->list[i]);
    return status
               ? status
               : kiln_detection_score_add(m->score, scene->objects, scene->count, found->list, found->count);
}

static kiln_status count_batch(const struct measuring *m, int64_t first, const kiln_batch *batch)
{
    const kiln_array *images = &batch->column[kiln_dataset_find(m->data, "image")];
    kiln_scene scene;
    kiln_status status = model_find(m->model, images, m->found);
    for (int64_t i = 0; i < batch->rows && !status; i++) {
        status = kiln_dataset_scene(m->data, first + i, &scene);
        if (!status && m->results && m->options->out)
            status = draw(m, &scene, images, i, &m->found[i]);
        if (!status)
            status = count(m, &scene, &m->found[i]);
    }
    return status;
}

static void print(void *user, const char *text)
{
    fputs(text, user);
}

kiln_status measure(struct model *model, kiln_dataset *data, const struct options *o, struct results *results,
                    struct precision *p)
{
    struct measuring m = {.model = model,
                          .data = data,
                          .options = o,
                          .results = results,
                          .found = malloc((size_t)o->batch * sizeof *m.found)};
    kiln_batch batch;
    int64_t first = 0;
    kiln_status status = KILN_ERROR_MEMORY;
    if (!m.found)
        goto out;
    TRY(status = kiln_detection_score_create(&m.score, model->task.classes, NULL));
    for (;;) {
        TRY(status = kiln_dataset_next(data, o->batch, &batch));
        if (!batch.rows)
            break;
        TRY(status = count_batch(&m, first, &batch));
        first += batch.rows;
    }
    p->at_half = kiln_detection_score_precision(m.score, &(kiln_score_query){.overlap = 0.5});
    p->mean = kiln_detection_score_precision(m.score, NULL);
    if (results)
        status = kiln_detection_score_print(m.score, (const char *const *)model->class, print, stdout);
out:
    kiln_detection_score_destroy(&m.score);
    free(m.found);
    return status;
}

kiln_status command_eval(kiln_device *dev, const struct options *o)
{
    struct model m;
    struct precision p;
    struct results results = {0};
    kiln_dataset *data = NULL;
    kiln_status status = model_load(&m, dev, o);
    if (!status)
        status = open_data(&data, o, o->split ? o->split : "test", &m.task, &m);
    if (!status)
        status = measure(&m, data, o, &results, &p);
    if (!status && o->json)
        status = kiln_results_save(o->json, results.list, results.count);
    if (!status)
        printf("%s: mAP@0.5 %.3f, mAP@0.5:0.95 %.3f of %d pictures\n", o->model, p.at_half, p.mean,
               (int)kiln_dataset_rows(data));
    free(results.list);
    kiln_dataset_close(&data);
    model_free(&m);
    return status;
}
