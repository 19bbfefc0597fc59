/*
 * einsum.c - sums of products by an equation: operands meet two by two, by matmul where they share an axis that is summed, else by
 * a product; an axis is summed as soon as nothing that follows has it.
 *
 * Tests: tests/ops/algebra.c.
 */
#include <ctype.h>
#include <string.h>

#include <kiln/algebra.h>
#include <kiln/elementwise.h>
#include <kiln/extend.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>
#include <kiln/reduce.h>

#include "graph/graph.h"

enum {
    MOST_OPERANDS = 64,
    DOTS = 128, /* labels from here on are axes of "...", the last one first; below they are letters */
};

/* A tensor whose axes have labels. */
struct term {
    kiln_tensor t;
    int rank;
    int label[KILN_MAX_RANK];
};

struct equation {
    kiln_graph *g;
    const char *text;
    struct term in[MOST_OPERANDS], out;
    int count, dots; /* dots: axes of "..." */
};

static bool fail(struct equation *e, const char *what)
{
    kiln_graph_fail(e->g, KILN_ERROR_ARGUMENT, "einsum: \"%s\" %s", e->text, what);
    return false;
}

/* Reading ------------------------------------------------------------------------------------------------ */

static bool add_label(struct equation *e, struct term *t, int label)
{
    if (t->rank == KILN_MAX_RANK)
        return fail(e, "has too many axes");
    t->label[t->rank++] = label;
    return true;
}

/* One term, of `dots` axes for "..."; *text is left at what ends it. */
static bool read_term(struct equation *e, const char **text, struct term *t, int dots)
{
    bool dotted = false;
    const char *p = *text;
    for (t->rank = 0; *p && *p != ',' && *p != '-'; p++) {
        if (*p == ' ')
            continue;
        if (isalpha((unsigned char)*p)) {
            if (!add_label(e, t, (unsigned char)*p))
                return false;
            continue;
        }
        if (strncmp(p, "...", 3) || dotted)
            return fail(e, "is no equation");
        dotted = true;
        p += 2;
        for (int i = dots - 1; i >= 0; i--)
            if (!add_label(e, t, DOTS + i))
                return false;
    }
    *text = p;
    return true;
}

/* How many axes "..." stands for in a term whose operand has that rank; -1 where there is none. */
static int dots_of(const char *term, int rank)
{
    int letters = 0;
    bool dotted = false;
    for (; *term && *term != ',' && *term != '-'; term++) {
        letters += isalpha((unsigned char)*term) != 0;
        dotted = dotted || *term == '.';
    }
    return dotted ? rank - letters : -1;
}

static int find(const struct term *t, int label)
{
    for (int i = 0; i < t->rank; i++)
        if (t->label[i] == label)
            return i;
    return -1;
}

/* Without "->": "...", then what occurs once. */
static bool imply_result(struct equation *e)
{
    int seen[DOTS] = {0};
    for (int i = 0; i < e->count; i++)
        for (int k = 0; k < e->in[i].rank; k++)
            if (e->in[i].label[k] < DOTS)
                seen[e->in[i].label[k]]++;
    for (int i = e->dots - 1; i >= 0; i--)
        if (!add_label(e, &e->out, DOTS + i))
            return false;
    for (int label = 0; label < DOTS; label++)
        if (seen[label] == 1 && !add_label(e, &e->out, label))
            return false;
    return true;
}

static bool check_result(struct equation *e)
{
    for (int i = 0; i < e->out.rank; i++) {
        bool found = false;
        for (int k = 0; k < e->count; k++)
            found = found || find(&e->in[k], e->out.label[i]) >= 0;
        if (!found || find(&e->out, e->out.label[i]) != i)
            return fail(e, "has an axis in its result twice, or one that no operand has");
    }
    return true;
}

static bool read_operand(struct equation *e, const char **text, kiln_tensor x)
{
    struct term *t = &e->in[e->count];
    const int rank = kiln_tensor_shape(e->g, x).rank;
    if (e->count && *(*text)++ != ',')
        return fail(e, "has fewer terms than operands");
    const int dots = dots_of(*text, rank);
    if (!read_term(e, text, t, dots))
        return false;
    if (t->rank != rank)
        return fail(e, "does not fit the rank of an operand");
    t->t = x;
    e->dots = dots > e->dots ? dots : e->dots;
    e->count++;
    return true;
}

static bool read_equation(struct equation *e, const kiln_tensor *x, int count)
{
    const char *text = e->text;
    for (int i = 0; i < count; i++)
        if (!read_operand(e, &text, x[i]))
            return false;
    if (!*text)
        return imply_result(e) && check_result(e);
    if (strncmp(text, "->", 2))
        return fail(e, "has more terms than operands");
    text += 2;
    if (!read_term(e, &text, &e->out, e->dots))
        return false;
    return *text ? fail(e, "has two results") : check_result(e);
}

/* Axes --------------------------------------------------------------------------------------------------- */

static int64_t size_at(const struct equation *e, const struct term *t, int axis)
{
    return kiln_tensor_shape(e->g, t->t).size[axis];
}

static void drop_label(struct term *t, int axis)
{
    memmove(&t->label[axis], &t->label[axis + 1], (size_t)(t->rank - axis - 1) * sizeof *t->label);
    t->rank--;
}

static void sum_axis(struct equation *e, struct term *t, int axis)
{
    t->t = kiln_sum(e->g, t->t, &(kiln_reduce_params){.axes = KILN_AXES(axis)});
    drop_label(t, axis);
}

/* Two axes of one label become their diagonal. */
static void take_diagonal(struct equation *e, struct term *t, int first, int second)
{
    kiln_graph *g = e->g;
    kiln_tensor a = kiln_positions(g, t->t, first), b = kiln_positions(g, t->t, second);
    for (int i = first + 1; i < t->rank; i++)
        a = kiln_unsqueeze(g, a, -1);
    for (int i = second + 1; i < t->rank; i++)
        b = kiln_unsqueeze(g, b, -1);
    const kiln_tensor zero = kiln_cast(g, kiln_scalar(g, KILN_I32, 0), kiln_tensor_type(g, t->t));
    t->t = kiln_where(g, kiln_equal(g, a, b), t->t, zero);
    sum_axis(e, t, second);
}

static void take_diagonals(struct equation *e, struct term *t)
{
    for (int i = t->rank - 1; i > 0; i--)
        if (find(t, t->label[i]) < i)
            take_diagonal(e, t, find(t, t->label[i]), i);
}

/* Whether the result, or an operand from `next` on, has the label. */
static bool is_wanted(const struct equation *e, int label, int next)
{
    bool wanted = find(&e->out, label) >= 0;
    for (int i = next; i < e->count; i++)
        wanted = wanted || find(&e->in[i], label) >= 0;
    return wanted;
}

/* Axes in the order of the labels, all of which t has. */
static void arrange(struct equation *e, struct term *t, const int *label)
{
    int order[KILN_MAX_RANK];
    bool moved = false;
    for (int i = 0; i < t->rank; i++) {
        order[i] = find(t, label[i]);
        moved = moved || order[i] != i;
    }
    if (moved)
        t->t = kiln_transpose(e->g, t->t, order);
    memcpy(t->label, label, (size_t)t->rank * sizeof *label);
}

/* An axis of size 1 that meets a larger one broadcasts: it goes. */
static void drop_ones(struct equation *e, struct term *t, const struct term *other)
{
    for (int i = t->rank - 1; i >= 0; i--) {
        const int at = find(other, t->label[i]);
        if (at < 0 || size_at(e, t, i) != 1 || size_at(e, other, at) == 1)
            continue;
        t->t = kiln_squeeze(e->g, t->t, i);
        drop_label(t, i);
    }
}

/* Pairs -------------------------------------------------------------------------------------------------- */

/* Labels of a pair, by who has them: both and what follows, one alone, both alone. */
struct pair {
    struct term batch, left, right, summed;
};

static void put(struct term *t, int label)
{
    t->label[t->rank++] = label;
}

static struct pair sort_out(const struct equation *e, const struct term *a, const struct term *b, int next)
{
    struct pair p = {{KILN_NONE, 0, {0}}};
    for (int i = 0; i < a->rank; i++) {
        const bool shared = find(b, a->label[i]) >= 0;
        put(!shared ? &p.left : is_wanted(e, a->label[i], next) ? &p.batch : &p.summed, a->label[i]);
    }
    for (int i = 0; i < b->rank; i++)
        if (find(a, b->label[i]) < 0)
            put(&p.right, b->label[i]);
    return p;
}

/* x in a shape of which sizes may be 0, which kiln_reshape takes for those of x. */
static kiln_tensor shaped(kiln_graph *g, kiln_tensor x, kiln_shape shape)
{
    for (int i = 0; i < shape.rank; i++)
        if (!shape.size[i])
            return kiln_reshape_to(g, x, kiln_expand(g, kiln_scalar(g, KILN_F32, 0), shape));
    return kiln_reshape(g, x, shape);
}

/* t as [batch, rows, columns], each of which may be several axes. */
static kiln_tensor as_matrices(struct equation *e, struct term *t, const struct term *batch,
                               const struct term *rows, const struct term *columns)
{
    const struct term *part[] = {batch, rows, columns};
    kiln_shape shape = {.rank = 3};
    int label[KILN_MAX_RANK], count = 0;
    for (int i = 0; i < 3; i++) {
        shape.size[i] = 1;
        for (int k = 0; k < part[i]->rank; k++) {
            label[count++] = part[i]->label[k];
            shape.size[i] = kiln_dim_mul(e->g, shape.size[i], size_at(e, t, find(t, part[i]->label[k])));
        }
    }
    arrange(e, t, label);
    return shaped(e->g, t->t, shape);
}

static void multiply_matrices(struct equation *e, struct term *a, struct term *b, const struct pair *p)
{
    const struct term *part[] = {&p->batch, &p->left, &p->right};
    struct term y = {.rank = 0};
    kiln_shape shape = {0};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < part[i]->rank; k++) {
            const struct term *from = i == 2 ? b : a;
            shape.size[shape.rank++] = size_at(e, from, find(from, part[i]->label[k]));
            put(&y, part[i]->label[k]);
        }
    const kiln_tensor x = as_matrices(e, a, &p->batch, &p->left, &p->summed),
                      w = as_matrices(e, b, &p->batch, &p->summed, &p->right);
    y.t = shaped(e->g, kiln_matmul(e->g, x, w, NULL), shape);
    *a = y;
}

/* t with an axis of size 1 for each label of `all` that it lacks, in their order. */
static kiln_tensor spread(struct equation *e, struct term *t, const struct term *all)
{
    int label[KILN_MAX_RANK], count = 0;
    for (int i = 0; i < all->rank; i++)
        if (find(t, all->label[i]) >= 0)
            label[count++] = all->label[i];
    arrange(e, t, label);
    kiln_tensor y = t->t;
    for (int i = 0; i < all->rank; i++)
        if (find(t, all->label[i]) < 0)
            y = kiln_unsqueeze(e->g, y, i);
    return y;
}

static void multiply_elements(struct equation *e, struct term *a, struct term *b, const struct pair *p)
{
    const struct term *part[] = {&p->batch, &p->left, &p->right, &p->summed};
    struct term all = {.rank = 0};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < part[i]->rank; k++)
            put(&all, part[i]->label[k]);
    all.t = kiln_mul(e->g, spread(e, a, &all), spread(e, b, &all));
    *a = all;
    for (int i = 0; i < p->summed.rank; i++)
        sum_axis(e, a, a->rank - 1);
}

/* Labels that only t has, and that are not wanted any more, are summed over. */
static void sum_alone(struct equation *e, struct term *t, const struct term *other, int next)
{
    for (int i = t->rank - 1; i >= 0; i--)
        if (!is_wanted(e, t->label[i], next) && (!other || find(other, t->label[i]) < 0))
            sum_axis(e, t, i);
}

/* a becomes what it and operand i make together. */
static bool meet(struct equation *e, struct term *a, int i)
{
    struct term *b = &e->in[i];
    sum_alone(e, a, b, i + 1);
    sum_alone(e, b, a, i + 1);
    drop_ones(e, a, b);
    drop_ones(e, b, a);
    const struct pair p = sort_out(e, a, b, i + 1);
    if (p.batch.rank + p.left.rank + p.right.rank + p.summed.rank > KILN_MAX_RANK)
        return fail(e, "has too many axes");
    if (p.summed.rank && kiln_type_is_real(kiln_tensor_type(e->g, a->t)))
        multiply_matrices(e, a, b, &p);
    else
        multiply_elements(e, a, b, &p);
    return true;
}

kiln_tensor kiln_einsum(kiln_graph *g, const char *equation, const kiln_tensor *x, int count)
{
    struct equation e = {.g = g, .text = equation};
    for (int i = 0; i < count; i++)
        if (!x[i].id)
            return KILN_NONE;
    if (count < 1 || count > MOST_OPERANDS || !read_equation(&e, x, count)) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "einsum: %d operands", count);
        return KILN_NONE;
    }
    for (int i = 0; i < count; i++)
        take_diagonals(&e, &e.in[i]);
    struct term y = e.in[0];
    for (int i = 1; i < count; i++)
        if (!meet(&e, &y, i))
            return KILN_NONE;
    sum_alone(&e, &y, NULL, count);
    arrange(&e, &y, e.out.label);
    return y.t;
}
