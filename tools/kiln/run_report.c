/* run_report.c - what came of a run: text, JSON, files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compiler/convert.h"
#include "json.h"
#include "run.h"

/* Classes --------------------------------------------------------------------------------------------------- */

struct class {
    int64_t index;
    double score, share; /* as the model gave it, and as a probability */
};

/* Of pictures: how many rows of how many classes the first output has; the best of each row come first. */
struct classes {
    struct class *item;
    int64_t rows, count;
};

static int by_score(const void *a, const void *b)
{
    const struct class *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : (x->index > y->index) - (x->index < y->index);
}

/* Scores that are no probabilities become some by softmax. */
static void share_out(struct class *classes, int64_t count)
{
    double sum = 0, peak = -INFINITY;
    bool shares = true;
    for (int64_t i = 0; i < count; i++) {
        peak = fmax(peak, classes[i].score);
        sum += classes[i].score;
        shares = shares && classes[i].score >= 0;
    }
    shares = shares && fabs(sum - 1) < 1e-3;
    for (int64_t i = 0; i < count; i++)
        classes[i].share = shares ? classes[i].score : exp(classes[i].score - peak);
    sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += classes[i].share;
    for (int64_t i = 0; i < count; i++)
        classes[i].share /= sum;
}

/* [N, C], where sizes of 1 may follow, is scores of C classes; so is [C]. */
static bool has_classes(const kiln_array *a, struct classes *c)
{
    const kiln_shape *s = &a->shape;
    const int axis = s->rank > 1;
    bool fits = kiln_type_is_real(a->type) && s->rank > 0 && s->size[axis] > 1;
    for (int i = axis + 1; i < s->rank; i++)
        fits = fits && s->size[i] == 1;
    c->rows = fits && axis ? s->size[0] : 1;
    c->count = fits ? s->size[axis] : 0;
    return fits && c->rows > 0;
}

static void rank_classes(const struct run *r, struct classes *c)
{
    const bool wanted = r->results > 0 && (r->o->image.count || r->o->labels);
    *c = (struct classes){0};
    if (!wanted || !has_classes(&r->result[0], c))
        return;
    const size_t count = (size_t)(c->rows * c->count);
    double *score = malloc(count * sizeof *score);
    c->item = calloc(count, sizeof *c->item);
    if (score && c->item)
        kiln_convert(score, KILN_F64, r->result[0].data, r->result[0].type, count);
    for (int64_t row = 0; score && c->item && row < c->rows; row++) {
        struct class *item = c->item + row * c->count;
        for (int64_t i = 0; i < c->count; i++)
            item[i] = (struct class){.index = i, .score = score[row * c->count + i]};
        share_out(item, c->count);
        qsort(item, (size_t)c->count, sizeof *item, by_score);
    }
    free(score);
}

/* Line `index` of the labels; "" where there is none. Returns its length. */
static int label_of(const struct kiln_file *labels, int64_t index, const char **label)
{
    const char *at = labels->data, *end = at ? at + labels->size : NULL;
    for (; at && at < end && index > 0; at++)
        index -= *at == '\n';
    const char *stop = at;
    while (stop && stop < end && *stop != '\n' && *stop != '\r')
        stop++;
    *label = at ? at : "";
    return at ? (int)(stop - at) : 0;
}

/* Text ------------------------------------------------------------------------------------------------------ */

static void print_times(const struct run *r)
{
    if (r->o->repeat)
        printf("loaded in %.3f ms; first run %.3f ms, then %.3f ms (median of %lld), at best %.3f ms\n",
               r->load * 1e3, r->first * 1e3, r->median * 1e3, (long long)r->o->repeat, r->least * 1e3);
}

static void print_check(const struct run *r)
{
    for (int i = 0; r->check && i < r->results; i++) {
        const struct run_check *c = &r->check[i];
        printf("%s  %s: off by %.3g at the most, of values up to %.3g; the bound is %.3g\n",
               kiln_tensor_name(r->g, kiln_graph_output(r->g, i)), c->fits ? "agrees" : "DIFFERS", c->error,
               c->largest, c->bound);
    }
}

static void print_classes(const struct run *r, const struct classes *c, const struct kiln_file *labels)
{
    for (int64_t row = 0; row < c->rows; row++) {
        if (c->rows > 1)
            printf("%s\n", row < r->o->image.count ? r->o->image.item[row] : "");
        for (int64_t i = 0; i < c->count && i < r->o->top; i++) {
            const struct class *item = &c->item[row * c->count + i];
            const char *label;
            const int length = label_of(labels, item->index, &label);
            printf("%6.2f %%  %4lld%s%.*s\n", 100 * item->share, (long long)item->index, length ? "  " : "",
                   length, label);
        }
    }
}

static void print_outputs(const struct run *r)
{
    for (int i = 0; i < r->results; i++) {
        const kiln_array *a = &r->result[i];
        const int64_t count = kiln_shape_count(&a->shape), shown = count < 8 ? count : 8;
        double value[8];
        char shape[96];
        printf("%s  %s %s ", kiln_tensor_name(r->g, kiln_graph_output(r->g, i)), kiln_type_name(a->type),
               kiln_shape_text(&a->shape, shape, sizeof shape));
        kiln_convert(value, KILN_F64, a->data, a->type, (size_t)shown);
        for (int64_t k = 0; k < shown; k++)
            printf(" %g", value[k]);
        printf("%s\n", count > shown ? " ..." : "");
    }
}

/* JSON ------------------------------------------------------------------------------------------------------- */

static void json_class(struct json *j, const struct class *c, const struct kiln_file *labels)
{
    char text[256];
    const char *label;
    const int length = label_of(labels, c->index, &label);
    snprintf(text, sizeof text, "%.*s", length, label);
    json_open(j, NULL, '{');
    json_number(j, "class", (double)c->index);
    json_text(j, "label", text);
    json_number(j, "score", c->score);
    json_number(j, "share", c->share);
    json_close(j);
}

/* A list of the best; of several pictures a list of lists. */
static void json_classes(struct json *j, const struct run *r, const struct classes *c,
                         const struct kiln_file *labels)
{
    json_open(j, "classes", '[');
    for (int64_t row = 0; c->item && row < c->rows; row++) {
        if (c->rows > 1)
            json_open(j, NULL, '[');
        for (int64_t i = 0; i < c->count && i < r->o->top; i++)
            json_class(j, &c->item[row * c->count + i], labels);
        if (c->rows > 1)
            json_close(j);
    }
    json_close(j);
}

static void json_outputs(struct json *j, const struct run *r)
{
    char shape[96];
    json_open(j, "outputs", '[');
    for (int i = 0; i < r->results; i++) {
        json_open(j, NULL, '{');
        json_text(j, "name", kiln_tensor_name(r->g, kiln_graph_output(r->g, i)));
        json_text(j, "type", kiln_type_name(r->result[i].type));
        json_text(j, "shape", kiln_shape_text(&r->result[i].shape, shape, sizeof shape));
        if (r->check) {
            json_number(j, "error", r->check[i].error);
            json_number(j, "largest", r->check[i].largest);
            json_number(j, "bound", r->check[i].bound);
            json_bool(j, "agrees", r->check[i].fits);
        }
        json_close(j);
    }
    json_close(j);
}

static void print_json(const struct run *r, const struct classes *c, const struct kiln_file *labels)
{
    struct json j = {0};
    json_open(&j, NULL, '{');
    json_text(&j, "device", kiln_device_get_info(r->dev)->name);
    json_number(&j, "load_seconds", r->load);
    json_number(&j, "first_seconds", r->first);
    if (r->o->repeat) {
        json_number(&j, "seconds", r->median);
        json_number(&j, "least_seconds", r->least);
    }
    json_classes(&j, r, c, labels);
    json_outputs(&j, r);
    json_close(&j);
}

/* Files ------------------------------------------------------------------------------------------------------ */

static kiln_status save_all(const struct run *r, const char *path)
{
    const char **names = calloc((size_t)r->results + 1, sizeof *names);
    for (int i = 0; names && i < r->results; i++)
        names[i] = kiln_tensor_name(r->g, kiln_graph_output(r->g, i));
    const kiln_status status = names ? kiln_npz_save(path, names, r->result, r->results) : KILN_ERROR_MEMORY;
    free(names);
    return status;
}

static kiln_status save_output(const struct run *r, const char *item)
{
    char name[256];
    const char *path = arrays_split(item, name, sizeof name);
    int found = name[0] ? -1 : 0;
    if (!name[0] && arrays_ends_with(path, ".npz"))
        return save_all(r, path);
    for (int k = 0; k < r->results; k++)
        if (!strcmp(kiln_tensor_name(r->g, kiln_graph_output(r->g, k)), name))
            found = k;
    return found < 0 ? run_wrong("the model has no output \"%s\"; 'kiln inspect' lists them", name)
                     : kiln_npy_save(path, &r->result[found]);
}

kiln_status run_report(const struct run *r)
{
    struct kiln_file labels = {0};
    struct classes classes;
    kiln_status status = r->o->labels ? kiln_file_map(&labels, r->o->labels) : KILN_OK;
    for (int i = 0; !status && i < r->o->output.count; i++)
        status = save_output(r, r->o->output.item[i]);
    if (!status && r->o->profile)
        status = run_write_trace(r);
    rank_classes(r, &classes);
    if (!status && r->o->json)
        print_json(r, &classes, &labels);
    else if (!status) {
        if (classes.item)
            print_classes(r, &classes, &labels);
        else
            print_outputs(r);
        print_check(r);
        print_times(r);
    }
    free(classes.item);
    kiln_file_unmap(&labels);
    return status;
}
