/*
 * average_precision.c - how well a detector does, as the evaluators of COCO (pycocotools) and Pascal VOC count it.
 *
 *   add     within a picture and class: detections by descending score each take the object they overlap most that is still free; what
 *           became of each is kept, for every overlap and range of areas: right, wrong, or not counted
 *   ask     over all pictures: by descending score, precision and recall of the best n for every n; from them the average
 *
 * Sorting is stable, so that of equal scores the one that was added first comes first, as there.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/metrics.h>

#include "base/log.h"
#include "base/number.h"
#include "base/text.h"
#include "base/vec.h"

enum { OVERLAPS = 10, AREAS = 4, MOST = 100, RECALLS = KILN_RECALLS };

/* What became of a detection, a bit for each overlap. */
struct record {
    float score;
    int rank;                              /* among those of its picture and class */
    uint16_t right[AREAS], ignored[AREAS]; /* of neither: wrong */
};

typedef KILN_VEC(struct record) record_list;

struct kiln_detection_score {
    kiln_detection_score_params params;
    int classes, overlaps;
    double overlap[OVERLAPS];
    record_list *found;         /* of each class, as they were added */
    uint64_t (*objects)[AREAS]; /* of each class, those that count */
};

/* Life --------------------------------------------------------------------------------------------------- */

kiln_status kiln_detection_score_create(kiln_detection_score **out, int classes,
                                        const kiln_detection_score_params *params)
{
    const kiln_detection_score_params p = params ? *params : (kiln_detection_score_params){0};
    kiln_detection_score *s = NULL;

    *out = NULL;
    if (classes < 1 || classes > 65536 || !(p.overlap >= 0 && p.overlap <= 1))
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "detections: %d classes at an overlap of %g, wanted 1 to 65536 classes, and 0 to 1",
                         classes, p.overlap);
    if (!(s = calloc(1, sizeof *s)) || !(s->found = calloc((size_t)classes, sizeof *s->found)) ||
        !(s->objects = calloc((size_t)classes, sizeof *s->objects))) {
        kiln_detection_score_destroy(&s);
        return kiln_fail(KILN_ERROR_MEMORY, "detections: no memory for %d classes", classes);
    }
    s->params = p;
    s->classes = classes;
    s->overlaps = p.by == KILN_SCORE_COCO ? OVERLAPS : 1;
    s->overlap[0] = p.by == KILN_SCORE_COCO ? 0.5 : kiln_real_or(p.overlap, 0.5);
    for (int t = 1; t < s->overlaps; t++)
        s->overlap[t] =
            t == OVERLAPS - 1 ? 0.95 : t * ((0.95 - 0.5) / 9) + 0.5; /* bit for bit numpy's linspace */
    *out = s;
    return KILN_OK;
}

void kiln_detection_score_reset(kiln_detection_score *s)
{
    for (int c = 0; c < s->classes; c++)
        s->found[c].count = 0;
    memset(s->objects, 0, (size_t)s->classes * sizeof *s->objects);
}

void kiln_detection_score_destroy(kiln_detection_score **score)
{
    kiln_detection_score *s = *score;

    *score = NULL;
    if (!s)
        return;
    for (int c = 0; s->found && c < s->classes; c++)
        kiln_vec_finish(&s->found[c]);
    free(s->found);
    free(s->objects);
    free(s);
}

/* Areas -------------------------------------------------------------------------------------------------- */

/* COCO's: small up to 32 x 32, medium from there to 96 x 96, large from there on; both ends belong to a range. */
static bool within(int area, double pixels)
{
    static const double least[AREAS] = {0, 0, 32 * 32, 96 * 96}, most[AREAS] = {1e10, 32 * 32, 96 * 96, 1e10};
    return pixels >= least[area] && pixels <= most[area];
}

static double area_of(const float *box)
{
    return ((double)box[2] - (double)box[0]) * ((double)box[3] - (double)box[1]);
}

/* COCO: a crowd is overlapped as far as the detection lies in it. */
static double overlap_of(const float *found, const kiln_scene_object *object, bool coco)
{
    const double width =
        fmin((double)found[2], (double)object->box[2]) - fmax((double)found[0], (double)object->box[0]);
    const double height =
        fmin((double)found[3], (double)object->box[3]) - fmax((double)found[1], (double)object->box[1]);
    const double both = width > 0 && height > 0 ? width * height : 0;
    const double all = object->crowd && coco ? area_of(found) : area_of(found) + area_of(object->box) - both;

    return all > 0 ? both / all : 0;
}

/* Matching within a picture and class -------------------------------------------------------------------- */

/* What takes part: objects of the class, detections of the class by descending score. */
struct match {
    KILN_VEC(const kiln_scene_object *) objects;
    KILN_VEC(const kiln_detection *) found;
    double *overlap; /* [detections, objects] */
    bool *ignored, *taken;
    int *order; /* of the objects: those that count first */
};

/* By descending score; of equal ones the first first. */
static int by_score(const void *a, const void *b)
{
    const kiln_detection *x = *(const kiln_detection *const *)a, *y = *(const kiln_detection *const *)b;
    return x->score != y->score ? (x->score > y->score ? -1 : 1) : x < y ? -1 : x > y;
}

/* The objects and detections of a class; of these, the best that count. */
static bool collect(struct match *m, int class_index, const kiln_scene_object *objects, int object_count,
                    const kiln_detection *found, int found_count, bool coco)
{
    m->objects.count = m->found.count = 0;
    for (int i = 0; i < object_count; i++)
        if (objects[i].class_index == class_index && !kiln_vec_push(&m->objects, &objects[i]))
            return false;
    for (int i = 0; i < found_count; i++)
        if (found[i].class_index == class_index && !kiln_vec_push(&m->found, &found[i]))
            return false;
    if (m->found.count > 1)
        qsort(m->found.data, (size_t)m->found.count, sizeof *m->found.data, by_score);
    m->found.count = coco && m->found.count > MOST ? MOST : m->found.count;
    return true;
}

static void match_empty(struct match *m)
{
    free(m->overlap);
    free(m->ignored);
    free(m->taken);
    free(m->order);
    m->overlap = NULL;
    m->ignored = m->taken = NULL;
    m->order = NULL;
}

static void match_finish(struct match *m)
{
    kiln_vec_finish(&m->objects);
    kiln_vec_finish(&m->found);
    match_empty(m);
}

/* Their overlaps, and room for what becomes of them. */
static bool measure(struct match *m, bool coco)
{
    const size_t objects = (size_t)m->objects.count;
    size_t pairs;

    match_empty(m);
    if (!kiln_size_mul((size_t)m->found.count, objects, &pairs))
        return false;
    m->overlap = calloc(pairs + 1, sizeof *m->overlap);
    m->ignored = calloc(objects + 1, sizeof *m->ignored);
    m->taken = calloc(objects + 1, sizeof *m->taken);
    m->order = calloc(objects + 1, sizeof *m->order);
    if (!m->overlap || !m->ignored || !m->taken || !m->order)
        return false;
    for (int d = 0; d < m->found.count; d++)
        for (int o = 0; o < m->objects.count; o++)
            m->overlap[(size_t)d * objects + (size_t)o] =
                overlap_of(m->found.data[d]->box, m->objects.data[o], coco);
    return true;
}

/* Which objects do not count in a range of areas; those that do come first in the order. Returns how many do. */
static int order_objects(struct match *m, int area)
{
    int counted = 0, rest;

    for (int o = 0; o < m->objects.count; o++) {
        const kiln_scene_object *object = m->objects.data[o];
        m->ignored[o] = object->crowd || object->difficult || !within(area, (double)object->area);
        counted += !m->ignored[o];
    }
    rest = counted;
    for (int o = 0, first = 0; o < m->objects.count; o++)
        m->order[m->ignored[o] ? rest++ : first++] = o;
    return counted;
}

/* COCO: the free object that the detection overlaps most, the last of equal ones; one that counts before one that does not. -1: none. */
static int best_free(const struct match *m, int d, double overlap)
{
    const size_t objects = (size_t)m->objects.count;
    double best = fmin(overlap, 1 - 1e-10);
    int found = -1;

    for (int i = 0; i < m->objects.count; i++) {
        const int o = m->order[i];
        const double here = m->overlap[(size_t)d * objects + (size_t)o];

        if (m->taken[o] && !m->objects.data[o]->crowd)
            continue;
        if (found >= 0 && !m->ignored[found] && m->ignored[o])
            break;
        if (here < best)
            continue;
        best = here;
        found = o;
    }
    return found;
}

static void match_coco(struct match *m, int area, int t, double overlap, struct record *records)
{
    memset(m->taken, 0, (size_t)m->objects.count);
    for (int d = 0; d < m->found.count; d++) {
        const int o = best_free(m, d, overlap);
        const bool ignored = o >= 0 ? m->ignored[o] : !within(area, area_of(m->found.data[d]->box));

        if (o >= 0)
            m->taken[o] = true;
        records[d].right[area] |= (uint16_t)((o >= 0 && !ignored) << t);
        records[d].ignored[area] |= (uint16_t)(ignored << t);
    }
}

/* VOC: the object that the detection overlaps most, the first of equal ones; if that is taken, it is wrong. */
static void match_voc(struct match *m, double overlap, struct record *records)
{
    memset(m->taken, 0, (size_t)m->objects.count);
    for (int d = 0; d < m->found.count; d++) {
        const double *row = m->overlap + (size_t)d * (size_t)m->objects.count;
        int best = 0;

        for (int o = 1; o < m->objects.count; o++)
            best = row[o] > row[best] ? o : best;
        if (m->objects.count == 0 || !(row[best] > overlap))
            continue;
        if (m->ignored[best]) {
            records[d].ignored[0] = 1;
        } else if (!m->taken[best]) {
            records[d].right[0] = 1;
            m->taken[best] = true;
        }
    }
}

static kiln_status match_class(kiln_detection_score *s, struct match *m, int class_index)
{
    record_list *all = &s->found[class_index];
    const bool coco = s->params.by == KILN_SCORE_COCO;
    struct record *first;

    if (!measure(m, coco) || !kiln_vec_reserve(all, all->count + m->found.count))
        return kiln_fail(KILN_ERROR_MEMORY, "detections: no memory for %d more", m->found.count);
    first = m->found.count > 0 ? all->data + all->count : NULL;
    all->count += m->found.count;
    for (int d = 0; d < m->found.count; d++)
        first[d] = (struct record){.score = m->found.data[d]->score, .rank = d};
    for (int a = 0; a < (coco ? AREAS : 1); a++) {
        s->objects[class_index][a] += (uint64_t)order_objects(m, a);
        for (int t = 0; t < s->overlaps && coco; t++)
            match_coco(m, a, t, s->overlap[t], first);
        if (!coco)
            match_voc(m, s->overlap[0], first);
    }
    return KILN_OK;
}

/* Adding ------------------------------------------------------------------------------------------------- */

static kiln_status check_boxes(const kiln_detection_score *s, const kiln_scene_object *objects,
                               int object_count, const kiln_detection *found, int found_count)
{
    for (int i = 0; i < object_count; i++)
        if (objects[i].class_index < 0 || objects[i].class_index >= s->classes)
            return kiln_fail(KILN_ERROR_ARGUMENT, "detections: object %d is of class %d, there are %d", i,
                             objects[i].class_index, s->classes);
    for (int i = 0; i < found_count; i++) {
        if (found[i].class_index < 0 || found[i].class_index >= s->classes)
            return kiln_fail(KILN_ERROR_ARGUMENT, "detections: detection %d is of class %d, there are %d", i,
                             found[i].class_index, s->classes);
        if (!isfinite(found[i].score))
            return kiln_fail(KILN_ERROR_ARGUMENT, "detections: the score of detection %d is no finite number",
                             i);
    }
    return KILN_OK;
}

kiln_status kiln_detection_score_add(kiln_detection_score *s, const kiln_scene_object *objects,
                                     int object_count, const kiln_detection *found, int found_count)
{
    const bool coco = s->params.by == KILN_SCORE_COCO;
    struct match m = {0};
    kiln_status status = check_boxes(s, objects, object_count, found, found_count);

    for (int c = 0; c < s->classes && !status; c++) {
        if (!collect(&m, c, objects, object_count, found, found_count, coco))
            status = kiln_fail(KILN_ERROR_MEMORY, "detections: out of memory");
        else if (m.objects.count > 0 || m.found.count > 0)
            status = match_class(s, &m, c);
    }
    match_finish(&m);
    return status;
}

/* Curves ------------------------------------------------------------------------------------------------- */

/* What is asked, with every default filled in. */
struct question {
    int area, most;
    int overlap; /* a place among the overlaps */
};

/* A detection's place in the order of scores. */
struct place {
    float score;
    int at;
};

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score ? -1 : 1) : x->at - y->at;
}

/* Precision and recall of the best 1, 2, .. that count; precision made to fall. */
struct curve {
    int count;
    double *precision, *recall;
};

static void curve_finish(struct curve *c)
{
    free(c->precision);
    free(c->recall);
    *c = (struct curve){0};
}

static struct place *sort_records(const record_list *all, int most, int *count)
{
    struct place *places = malloc(((size_t)all->count + 1) * sizeof *places);

    *count = 0;
    for (int i = 0; places && i < all->count; i++)
        if (all->data[i].rank < most)
            places[(*count)++] = (struct place){all->data[i].score, i};
    if (places && *count > 1)
        qsort(places, (size_t)*count, sizeof *places, by_place);
    return places;
}

/* numpy.spacing(1), which pycocotools adds so as not to divide by zero. */
static const double little = 2.220446049250313e-16;

/* Of the class's detections at `places`, the best first. */
static bool draw_curve(const kiln_detection_score *s, int class_index, const struct question *q,
                       const struct place *places, int count, struct curve *c)
{
    const record_list *all = &s->found[class_index];
    const double objects = (double)s->objects[class_index][q->area];
    double right = 0, wrong = 0;

    *c = (struct curve){0};
    c->precision = malloc(((size_t)count + 1) * sizeof *c->precision);
    c->recall = malloc(((size_t)count + 1) * sizeof *c->recall);
    if (!c->precision || !c->recall) {
        curve_finish(c);
        return false;
    }
    for (int i = 0; i < count; i++) {
        const struct record *r = &all->data[places[i].at];
        const bool hit = r->right[q->area] >> q->overlap & 1, ignored = r->ignored[q->area] >> q->overlap & 1;

        right += hit;
        wrong += !hit && !ignored;
        c->recall[c->count] = right / objects;
        c->precision[c->count++] = right / (right + wrong + little);
    }
    for (int i = c->count - 1; i > 0; i--)
        c->precision[i - 1] = fmax(c->precision[i - 1], c->precision[i]);
    return true;
}

/* Precision at the first point whose recall is not below `recall`; 0 where none is. */
static double precision_at(const struct curve *c, double recall)
{
    int low = 0, high = c->count;

    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (c->recall[middle] < recall)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->count ? c->precision[low] : 0;
}

static double recall_point(int i, int last)
{
    return i == last ? 1 : i * (1.0 / last);
}

/* The area under the curve, as `by` has it. */
static double average(const struct curve *c, kiln_score_by by)
{
    const int last = by == KILN_SCORE_VOC_2007 ? 10 : RECALLS - 1;
    double sum = 0, before = 0;

    if (by == KILN_SCORE_VOC) {
        for (int i = 0; i < c->count; i++) {
            sum += (c->recall[i] - before) * c->precision[i];
            before = c->recall[i];
        }
        return sum;
    }
    for (int i = 0; i <= last; i++)
        sum += precision_at(c, recall_point(i, last));
    return sum / (last + 1);
}

/* Asking ------------------------------------------------------------------------------------------------- */

/* -1: what is asked was not counted. */
static int find_overlap(const kiln_detection_score *s, double overlap)
{
    for (int t = 0; t < s->overlaps; t++)
        if (fabs(s->overlap[t] - overlap) < 1e-6)
            return t;
    kiln_warn("detections: an overlap of %g was not counted", overlap);
    return -1;
}

/* One number of a curve: its average, or the recall at its end. */
static double number_of(const kiln_detection_score *s, const struct curve *c, bool recall)
{
    return !recall ? average(c, s->params.by) : c->count > 0 ? c->recall[c->count - 1] : 0;
}

/* Add up a class's numbers over the overlaps first .. last - 1; false, and nothing, when out of memory. */
static bool add_class(const kiln_detection_score *s, int class_index, struct question q, int first, int last,
                      bool recall, double *sum)
{
    int count;
    struct place *places = sort_records(&s->found[class_index], q.most, &count);
    bool fits = places != NULL;

    for (q.overlap = first; q.overlap < last && fits; q.overlap++) {
        struct curve c;
        fits = draw_curve(s, class_index, &q, places, count, &c);
        *sum += fits ? number_of(s, &c, recall) : 0;
        curve_finish(&c);
    }
    free(places);
    return fits;
}

static double ask(const kiln_detection_score *s, const kiln_score_query *query, bool recall)
{
    const kiln_score_query w = query ? *query : (kiln_score_query){0};
    const struct question q = {.area = (int)w.area, .most = w.most > 0 ? w.most : MOST};
    const struct question all = {.area = 0, .most = INT32_MAX};
    const int first = w.overlap > 0 ? find_overlap(s, w.overlap) : 0;
    const int last = w.overlap > 0 ? first + 1 : s->overlaps;
    double sum = 0;
    int count = 0;

    if (first < 0 || w.class_number < 0 || w.class_number > s->classes)
        return -1;
    for (int c = 0; c < s->classes; c++) {
        const struct question *asked = s->params.by == KILN_SCORE_COCO ? &q : &all;
        if ((w.class_number && c != w.class_number - 1) || s->objects[c][asked->area] == 0)
            continue;
        if (!add_class(s, c, *asked, first, last, recall, &sum))
            return kiln_warn("detections: out of memory"), -1;
        count += last - first;
    }
    return count > 0 ? sum / count : -1;
}

double kiln_detection_score_precision(const kiln_detection_score *s, const kiln_score_query *query)
{
    return ask(s, query, false);
}

double kiln_detection_score_recall(const kiln_detection_score *s, const kiln_score_query *query)
{
    return ask(s, query, true);
}

kiln_status kiln_detection_score_curve(const kiln_detection_score *s, const kiln_score_query *query,
                                       double precision[KILN_RECALLS])
{
    const kiln_score_query w = query ? *query : (kiln_score_query){0};
    const bool coco = s->params.by == KILN_SCORE_COCO;
    struct question q = {.area = coco ? (int)w.area : 0,
                         .most = !coco        ? INT32_MAX
                                 : w.most > 0 ? w.most
                                              : MOST};
    struct curve c;

    memset(precision, 0, RECALLS * sizeof *precision);
    q.overlap = w.overlap > 0 ? find_overlap(s, w.overlap) : 0;
    if (q.overlap < 0 || w.class_number < 1 || w.class_number > s->classes)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "detections: a curve of class %d at an overlap of %g, there are %d classes",
                         w.class_number, w.overlap, s->classes);
    if (s->objects[w.class_number - 1][q.area] == 0)
        return KILN_OK;
    int count;
    struct place *places = sort_records(&s->found[w.class_number - 1], q.most, &count);
    const bool fits = places && draw_curve(s, w.class_number - 1, &q, places, count, &c);
    free(places);
    if (!fits)
        return kiln_fail(KILN_ERROR_MEMORY, "detections: out of memory");
    for (int i = 0; i < RECALLS; i++)
        precision[i] = precision_at(&c, recall_point(i, RECALLS - 1));
    curve_finish(&c);
    return KILN_OK;
}

/* Printing ----------------------------------------------------------------------------------------------- */

struct printer {
    struct kiln_text line;
    void (*write)(void *user, const char *text);
    void *user;
    bool failed;
};

static void end_line(struct printer *p)
{
    kiln_text_add(&p->line, "\n");
    p->failed = p->failed || p->line.failed;
    p->write(p->user, kiln_text_get(&p->line));
    kiln_text_finish(&p->line);
}

static void print_coco(struct printer *p, const kiln_detection_score *s)
{
    static const struct {
        const char *what, *overlap, *area;
        bool recall;
        kiln_score_query query;
    } rows[] = {
        {"average precision", "0.50:0.95", "all", false, {0}},
        {"average precision", "0.50", "all", false, {.overlap = 0.5}},
        {"average precision", "0.75", "all", false, {.overlap = 0.75}},
        {"average precision", "0.50:0.95", "small", false, {.area = KILN_AREA_SMALL}},
        {"average precision", "0.50:0.95", "medium", false, {.area = KILN_AREA_MEDIUM}},
        {"average precision", "0.50:0.95", "large", false, {.area = KILN_AREA_LARGE}},
        {"average recall", "0.50:0.95", "all", true, {.most = 1}},
        {"average recall", "0.50:0.95", "all", true, {.most = 10}},
        {"average recall", "0.50:0.95", "all", true, {.most = 100}},
        {"average recall", "0.50:0.95", "small", true, {.area = KILN_AREA_SMALL}},
        {"average recall", "0.50:0.95", "medium", true, {.area = KILN_AREA_MEDIUM}},
        {"average recall", "0.50:0.95", "large", true, {.area = KILN_AREA_LARGE}},
    };

    kiln_text_add(&p->line, "%-18s %-10s %-7s %5s %8s", "", "overlap", "area", "most", "");
    end_line(p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kiln_text_add(&p->line, "%-18s %-10s %-7s %5d %8.4f", rows[i].what, rows[i].overlap, rows[i].area,
                      rows[i].query.most ? rows[i].query.most : MOST,
                      rows[i].recall ? kiln_detection_score_recall(s, &rows[i].query)
                                     : kiln_detection_score_precision(s, &rows[i].query));
        end_line(p);
    }
    end_line(p);
}

static void print_row(struct printer *p, const kiln_detection_score *s, const char *name, int class_number)
{
    const bool coco = s->params.by == KILN_SCORE_COCO;
    uint64_t objects = 0;

    for (int c = 0; c < s->classes; c++)
        objects += class_number == 0 || c == class_number - 1 ? s->objects[c][0] : 0;
    kiln_text_add(&p->line, "%-18.18s %9ju", name, (uintmax_t)objects);
    if (coco)
        kiln_text_add(&p->line, " %10.4f",
                      kiln_detection_score_precision(s, &(kiln_score_query){.class_number = class_number}));
    kiln_text_add(&p->line, " %8.4f",
                  kiln_detection_score_precision(s, &(kiln_score_query){.overlap = s->overlap[0],
                                                                        .class_number = class_number}));
    end_line(p);
}

static void print_classes(struct printer *p, const kiln_detection_score *s, const char *const *names)
{
    kiln_text_add(&p->line, "%-18s %9s", "class", "objects");
    if (s->params.by == KILN_SCORE_COCO)
        kiln_text_add(&p->line, " %10s", "0.50:0.95");
    kiln_text_add(&p->line, " %8.2f", s->overlap[0]);
    end_line(p);
    for (int c = 0; c < s->classes; c++) {
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        print_row(p, s, names ? names[c] : number, c + 1);
    }
    print_row(p, s, "mean", 0);
}

kiln_status kiln_detection_score_print(const kiln_detection_score *s, const char *const *names,
                                       void (*write)(void *user, const char *text), void *user)
{
    struct printer p = {.write = write, .user = user};

    if (s->params.by == KILN_SCORE_COCO)
        print_coco(&p, s);
    print_classes(&p, s, names);
    return p.failed ? kiln_fail(KILN_ERROR_MEMORY, "detections: no memory to print them") : KILN_OK;
}
