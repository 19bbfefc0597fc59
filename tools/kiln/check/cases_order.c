/* cases_order.c - sort, top-k, and places in sorted lists. */
#include "check/families.h"

/* Three axes, the middle one sorted; integers and halves repeat themselves in the longer ones. */
static const struct check_shape shapes[] = {
    {"1x1x1", "one number"},
    {"5x7x3", "short rows, inside"},
    {"3x64x1", "a lane an element"},
    {"2x65x1", "one past a lane each"},
    {"1x513x2", "one past half a workgroup"},
    {"2x2048x1", "a full workgroup"},
    {"1x2049x3", "one past a workgroup"},
    {"1x5003x1", "a row in parts"},
    {"200x4x1", "many rows"},
    {"3x0x2", "empty"},
    {0},
};

/* Rows that the CPU's threads share; differences would reorder so many. */
static const struct check_shape longer[] = {{"1x66001x1", "longer than a thread's row"}, {0}};

/* a: descending */
static const struct check_attributes ways[] = {{"ascending", {0}}, {"descending", {1}}, {0}};

static void sort(struct check_graph *c)
{
    kiln_tensor index;
    check_result(c, kiln_sort(c->g, check_operand(c, check_shape_of(c)), 1, c->a[0], &index));
    check_add(c, index);
}

static void argsort(struct check_graph *c)
{
    check_result(c, kiln_argsort(c->g, check_operand(c, check_shape_of(c)), 1, c->a[0]));
}

/* a: k, smallest, by position */
static const struct check_attributes firsts[] = {
    {"k=1", {1, 0, 0}},     {"k=3,smallest", {3, 1, 0}}, {"k=4,by_position", {4, 0, 1}},
    {"k=100", {100, 0, 0}}, {"k=600", {600, 0, 0}},      {0},
};

static bool has_so_many(const struct check_case *one)
{
    return one->a[0] <= one->n[1];
}

static void top_k(struct check_graph *c)
{
    const kiln_top_k_params p = {.smallest = c->a[1], .by_position = c->a[2]};
    kiln_tensor index;
    check_result(c, kiln_top_k(c->g, check_operand(c, check_shape_of(c)), c->a[0], 1, &p, &index));
    check_add(c, index);
}

/* Rows of lists, of values; one list serves all rows where there is one. */
static const struct check_shape lists[] = {
    {"1x1,1x1", "one number"},     {"1x7,5x13", "one list for all"},
    {"5x33,5x9", "a list a row"},  {"1x1000,1x257", "a long list"},
    {"3x2,3x1000", "many values"}, {"65x17,65x3", "many lists"},
    {"1x64,4x64", "whole blocks"}, {"1x0,3x4", "an empty list"},
    {"1x5,0x4", "no value"},       {0},
};

/* a: right */
static const struct check_attributes sides[] = {{"left", {0}}, {"right", {1}}, {0}};

static void search_sorted(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_shape list = n[0] == 1 ? KILN_SHAPE(n[1]) : KILN_SHAPE(n[0], n[1]);
    const kiln_tensor sorted = kiln_sort(c->g, check_operand(c, list), -1, false, NULL);
    check_result(c, kiln_search_sorted(c->g, sorted, check_operand(c, KILN_SHAPE(n[2], n[3])), c->a[0]));
}

/* How many of the list are less, or not greater. */
static void expect_search(const struct check_case *one, const struct check_values *v, double *y)
{
    const bool real = kiln_type_is_real(one->type);
    const double *list = real ? v->real[0] : v->whole[0], *x = real ? v->real[1] : v->whole[1];
    const int64_t *n = one->n;

    for (int64_t i = 0; i < n[2] * n[3]; i++) {
        const double *of = n[0] == 1 ? list : list + i / n[3] * n[1];
        y[i] = 0;
        for (int64_t k = 0; k < n[1]; k++)
            y[i] += of[k] < x[i] || (one->a[0] && of[k] == x[i]);
    }
}

const struct check_op check_order[] = {
    /* so far apart that a step of a difference changes no order */
    {.name = "sort",
     .types = CHECK_ANY,
     .shapes = shapes,
     .attributes = ways,
     .build = sort,
     .low = -100,
     .high = 100},
    {.name = "argsort",
     .types = CHECK_F32 | CHECK_I32 | CHECK_U8,
     .shapes = longer,
     .attributes = ways,
     .build = argsort},
    {.name = "argsort", .types = CHECK_ANY, .shapes = shapes, .attributes = ways, .build = argsort},
    {.name = "top_k",
     .types = CHECK_ANY,
     .shapes = shapes,
     .attributes = firsts,
     .fits = has_so_many,
     .build = top_k},
    {.name = "search_sorted",
     .types = CHECK_NUMERIC,
     .shapes = lists,
     .attributes = sides,
     .build = search_sorted,
     .expect = expect_search},
    {0},
};
