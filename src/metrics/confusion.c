/*
 * confusion.c - the confusion matrix, and the scores that follow from it.
 *
 *   count[t, g]  rows of class t guessed as g:  TP_c = count[c, c],  TP_c + FN_c = row sum,  TP_c + FP_c = column sum
 *   rank[r]      rows whose target has r scores before it, in descending order: top-k is the sum of the first k / rows
 *
 * A batch is read twice: to check it, and to count it. So a bad row leaves the counts as they were.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/metrics.h>

#include "base/half.h"
#include "base/log.h"
#include "base/number.h"
#include "base/text.h"

enum { MAX_CLASSES = 65536, MAX_PRINTED = 20 };

struct kiln_confusion {
    int classes;
    uint64_t rows, scored;  /* of them, with scores */
    uint64_t *count, *rank; /* [classes, classes], [classes] */
};

kiln_status kiln_confusion_create(kiln_confusion **out, int classes)
{
    kiln_confusion *c = NULL;
    size_t cells;

    *out = NULL;
    if (classes < 1 || classes > MAX_CLASSES)
        return kiln_fail(KILN_ERROR_ARGUMENT, "confusion matrix: %d classes, wanted 1 to %d", classes,
                         MAX_CLASSES);
    if (kiln_size_mul((size_t)classes, (size_t)classes, &cells) && (c = calloc(1, sizeof *c))) {
        c->classes = classes;
        c->count = calloc(cells, sizeof *c->count);
        c->rank = calloc((size_t)classes, sizeof *c->rank);
    }
    if (!c || !c->count || !c->rank) {
        kiln_confusion_destroy(&c);
        return kiln_fail(KILN_ERROR_MEMORY, "confusion matrix: no memory for %d classes", classes);
    }
    *out = c;
    return KILN_OK;
}

void kiln_confusion_destroy(kiln_confusion **c)
{
    if (*c) {
        free((*c)->count);
        free((*c)->rank);
    }
    free(*c);
    *c = NULL;
}

void kiln_confusion_reset(kiln_confusion *c)
{
    const size_t classes = (size_t)c->classes;

    memset(c->count, 0, classes * classes * sizeof *c->count);
    memset(c->rank, 0, classes * sizeof *c->rank);
    c->rows = c->scored = 0;
}

/* Reading a batch ---------------------------------------------------------------------------------------- */

/* An element of any type. Integers past 2^53 are no classes, so that a double holds all that matters. */
/* clang-format off */
static double element(const kiln_array *a, size_t i)
{
    switch (a->type) {
    case KILN_F32: return ((const float *)a->data)[i];
    case KILN_F64: return ((const double *)a->data)[i];
    case KILN_F16: return kiln_half_to(((const uint16_t *)a->data)[i]);
    case KILN_BF16: return kiln_bf16_to(((const uint16_t *)a->data)[i]);
    case KILN_I64: return (double)((const int64_t *)a->data)[i];
    case KILN_I32: return ((const int32_t *)a->data)[i];
    case KILN_I16: return ((const int16_t *)a->data)[i];
    case KILN_I8: return ((const int8_t *)a->data)[i];
    case KILN_U64: return (double)((const uint64_t *)a->data)[i];
    case KILN_U32: return ((const uint32_t *)a->data)[i];
    case KILN_U16: return ((const uint16_t *)a->data)[i];
    case KILN_U8:
    case KILN_BOOL: return ((const uint8_t *)a->data)[i];
    }
    return NAN;
}
/* clang-format on */

/* The first of the largest of a row of scores. */
static int largest(const kiln_array *scores, size_t row, int classes)
{
    const size_t first = row * (size_t)classes;
    int best = 0;
    for (int i = 1; i < classes; i++)
        if (element(scores, first + (size_t)i) > element(scores, first + (size_t)best))
            best = i;
    return best;
}

/* The class that a row of [N, C] scores or [N] classes stands for. */
static int class_of(const kiln_array *a, size_t row, int classes)
{
    return a->shape.rank == 2 ? largest(a, row, classes) : (int)element(a, row);
}

/* How many scores come before the target's, in descending order. */
static int rank_of(const kiln_array *scores, size_t row, int classes, int target)
{
    const size_t first = row * (size_t)classes;
    const double own = element(scores, first + (size_t)target);
    int rank = 0;
    for (int i = 0; i < classes; i++) {
        const double other = element(scores, first + (size_t)i);
        rank += other > own || (other == own && i < target);
    }
    return rank;
}

/* Counting ----------------------------------------------------------------------------------------------- */

static kiln_status check_row(const kiln_array *a, const char *what, size_t row, int classes)
{
    if (a->shape.rank == 1) {
        const double x = element(a, row);
        return x >= 0 && x < classes
                   ? KILN_OK
                   : kiln_fail(KILN_ERROR_ARGUMENT, "confusion matrix: %s %zu is class %.0f, wanted 0 to %d",
                               what, row, x, classes - 1);
    }
    for (size_t i = 0; i < (size_t)classes; i++)
        if (isnan(element(a, row * (size_t)classes + i)))
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "confusion matrix: %s %zu has a score that is no number, of class %zu", what,
                             row, i);
    return KILN_OK;
}

static kiln_status check_batch(const kiln_confusion *c, const kiln_array *a, const char *what)
{
    const bool classes = a->shape.rank == 1, scores = a->shape.rank == 2 && a->shape.size[1] == c->classes;
    char text[96];
    kiln_status status = KILN_OK;

    if ((!classes && !scores) || a->shape.size[0] < 0)
        return kiln_fail(KILN_ERROR_SHAPE, "confusion matrix: %s is %s, wanted [N] classes or [N, %d] scores",
                         what, kiln_shape_text(&a->shape, text, sizeof text), c->classes);
    if (kiln_type_size(a->type) == 0 || (classes && kiln_type_is_real(a->type)))
        return kiln_fail(KILN_ERROR_TYPE, "confusion matrix: %s is %s, wanted %s", what,
                         kiln_type_name(a->type), classes ? "integer classes" : "scores");
    for (int64_t row = 0; row < a->shape.size[0] && !status; row++)
        status = check_row(a, what, (size_t)row, c->classes);
    return status;
}

kiln_status kiln_confusion_add(kiln_confusion *c, const kiln_array *guess, const kiln_array *target)
{
    kiln_status status = check_batch(c, guess, "guess");

    if (!status)
        status = check_batch(c, target, "target");
    if (status)
        return status;
    if (guess->shape.size[0] != target->shape.size[0])
        return kiln_fail(KILN_ERROR_SHAPE, "confusion matrix: %lld guesses, but %lld targets",
                         (long long)guess->shape.size[0], (long long)target->shape.size[0]);

    for (size_t row = 0; row < (size_t)guess->shape.size[0]; row++) {
        const int t = class_of(target, row, c->classes), g = class_of(guess, row, c->classes);
        c->count[(size_t)t * (size_t)c->classes + (size_t)g]++;
        c->rows++;
        if (guess->shape.rank == 2) {
            c->rank[rank_of(guess, row, c->classes, t)]++;
            c->scored++;
        }
    }
    return KILN_OK;
}

/* Questions ---------------------------------------------------------------------------------------------- */

static double ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

int kiln_confusion_classes(const kiln_confusion *c)
{
    return c->classes;
}

uint64_t kiln_confusion_rows(const kiln_confusion *c)
{
    return c->rows;
}

uint64_t kiln_confusion_count(const kiln_confusion *c, int target, int guess)
{
    const bool known = target >= 0 && target < c->classes && guess >= 0 && guess < c->classes;
    return known ? c->count[(size_t)target * (size_t)c->classes + (size_t)guess] : 0;
}

static uint64_t right(const kiln_confusion *c)
{
    uint64_t sum = 0;
    for (int i = 0; i < c->classes; i++)
        sum += kiln_confusion_count(c, i, i);
    return sum;
}

double kiln_confusion_accuracy(const kiln_confusion *c)
{
    return ratio(right(c), c->rows);
}

double kiln_confusion_top(const kiln_confusion *c, int k)
{
    uint64_t sum = 0;
    for (int i = 0; i < k && i < c->classes; i++)
        sum += c->rank[i];
    return ratio(sum, c->scored);
}

/* Rows of class i, and rows guessed as it. */
static uint64_t seen(const kiln_confusion *c, int i)
{
    uint64_t sum = 0;
    for (int g = 0; g < c->classes; g++)
        sum += kiln_confusion_count(c, i, g);
    return sum;
}

static uint64_t guessed(const kiln_confusion *c, int i)
{
    uint64_t sum = 0;
    for (int t = 0; t < c->classes; t++)
        sum += kiln_confusion_count(c, t, i);
    return sum;
}

kiln_score kiln_confusion_score(const kiln_confusion *c, int class_index)
{
    const uint64_t hits = kiln_confusion_count(c, class_index, class_index);
    const uint64_t of = seen(c, class_index), as = guessed(c, class_index);
    return (kiln_score){ratio(hits, as), ratio(hits, of), ratio(2 * hits, of + as), of};
}

/* The mean of scores, each with the weight that `by` gives its class. */
static kiln_score mean_score(const kiln_confusion *c, kiln_average by)
{
    kiln_score mean = {.support = c->rows};
    double weights = 0;

    for (int i = 0; i < c->classes; i++) {
        const kiln_score one = kiln_confusion_score(c, i);
        const bool occurs = one.support + guessed(c, i) > 0;
        const double weight = by == KILN_AVERAGE_WEIGHTED ? (double)one.support : occurs;
        mean.precision += weight * one.precision;
        mean.recall += weight * one.recall;
        mean.f1 += weight * one.f1;
        weights += weight;
    }
    weights = weights > 0 ? weights : 1;
    mean.precision /= weights;
    mean.recall /= weights;
    mean.f1 /= weights;
    return mean;
}

kiln_score kiln_confusion_average(const kiln_confusion *c, kiln_average by)
{
    const double accuracy = kiln_confusion_accuracy(c);

    if (by == KILN_AVERAGE_MICRO) /* each wrong row is one FP and one FN */
        return (kiln_score){accuracy, accuracy, accuracy, c->rows};
    return mean_score(c, by);
}

/* Printing ----------------------------------------------------------------------------------------------- */

struct printer {
    struct kiln_text line;
    void (*write)(void *user, const char *text);
    void *user;
};

static void end_line(struct printer *p)
{
    const bool failed = p->line.failed;

    kiln_text_add(&p->line, "\n");
    p->write(p->user, kiln_text_get(&p->line));
    kiln_text_finish(&p->line);
    p->line.failed = failed;
}

static void print_score(struct printer *p, const char *name, kiln_score s)
{
    kiln_text_add(&p->line, "%-16s %9.4f %9.4f %9.4f %9ju", name, s.precision, s.recall, s.f1,
                  (uintmax_t)s.support);
    end_line(p);
}

static void print_scores(struct printer *p, const kiln_confusion *c, const char *const *names)
{
    kiln_text_add(&p->line, "%-16s %9s %9s %9s %9s", "class", "precision", "recall", "f1", "support");
    end_line(p);
    for (int i = 0; i < c->classes; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        print_score(p, names ? names[i] : number, kiln_confusion_score(c, i));
    }
    end_line(p);
    print_score(p, "macro average", kiln_confusion_average(c, KILN_AVERAGE_MACRO));
    print_score(p, "weighted average", kiln_confusion_average(c, KILN_AVERAGE_WEIGHTED));
    kiln_text_add(&p->line, "%-16s %9.4f  of %ju rows", "accuracy", kiln_confusion_accuracy(c),
                  (uintmax_t)c->rows);
    end_line(p);
}

static void print_matrix(struct printer *p, const kiln_confusion *c, const char *const *names)
{
    end_line(p);
    kiln_text_add(&p->line, "%-16s", "true \\ guessed");
    for (int g = 0; g < c->classes; g++)
        kiln_text_add(&p->line, " %6d", g);
    end_line(p);
    for (int t = 0; t < c->classes; t++) {
        kiln_text_add(&p->line, "%2d %-13.13s", t, names ? names[t] : "");
        for (int g = 0; g < c->classes; g++)
            kiln_text_add(&p->line, " %6ju", (uintmax_t)kiln_confusion_count(c, t, g));
        end_line(p);
    }
}

kiln_status kiln_confusion_print(const kiln_confusion *c, const char *const *names,
                                 void (*write)(void *user, const char *text), void *user)
{
    struct printer p = {.write = write, .user = user};

    print_scores(&p, c, names);
    if (c->classes <= MAX_PRINTED)
        print_matrix(&p, c, names);
    return p.line.failed ? kiln_fail(KILN_ERROR_MEMORY, "confusion matrix: no memory to print it") : KILN_OK;
}
