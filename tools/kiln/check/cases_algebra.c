/* cases_algebra.c - sums of products by equations, determinants, windows as columns, windows that bend. */
#include "check/families.h"

/* Letters i, j, k, b. */
static const struct check_shape letters[] = {
    {"1x1x1x1", "ones"},  {"3x5x7x2", "primes"},          {"17x9x33x1", "one past tiles"},
    {"2x3x4x0", "empty"}, {"1x257x1x3", "long sums"},     {"65x2x65x2", "large results"},
    {"2x2x2x64", "many"}, {"4x0x5x2", "sums of nothing"}, {0},
};

enum equation { PRODUCT, BATCHED, OUTER, ELEMENTS, SUM };

static const struct check_attributes equations[] = {{"ij,jk->ik", {PRODUCT}}, {"bij,bkj->bik", {BATCHED}},
                                                    {"i,k->ki", {OUTER}},     {"bij,ij->ib", {ELEMENTS}},
                                                    {"bij->j", {SUM}},        {0}};

static void einsum(struct check_graph *c)
{
    const int64_t i = c->n[0], j = c->n[1], k = c->n[2], b = c->n[3];
    const struct {
        const char *equation;
        kiln_shape a, b;
    } forms[] =
        {
            [PRODUCT] = {"ij,jk->ik", KILN_SHAPE(i, j), KILN_SHAPE(j, k)},
            [BATCHED] = {"bij,bkj->bik", KILN_SHAPE(b, i, j), KILN_SHAPE(b, k, j)},
            [OUTER] = {"i,k->ki", KILN_SHAPE(i), KILN_SHAPE(k)},
            [ELEMENTS] = {"bij,ij->ib", KILN_SHAPE(b, i, j), KILN_SHAPE(i, j)},
            [SUM] = {"bij->j", KILN_SHAPE(b, i, j), KILN_SCALAR},
        },
      *f = &forms[c->a[0]];
    kiln_tensor x[2] = {check_operand(c, f->a)};
    if (c->a[0] != SUM)
        x[1] = check_operand(c, f->b);
    check_result(c, kiln_einsum(c->g, f->equation, x, c->a[0] == SUM ? 1 : 2));
}

/* Batch and size. */
static const struct check_shape squares[] = {
    {"1x1", "one number"},
    {"7x2", "by the formula"},
    {"257x3", "by the larger formula"},
    {"1x4", "the least that is eliminated"},
    {"65x5", "one past a block"},
    {"3x7", "primes"},
    {"0x4", "none"},
    {"2x12", "many steps"},
    {0},
};

/* Well away from singular: the identity's share is larger than the rest's. */
static void determinant(struct check_graph *c)
{
    const int64_t size = c->n[1];
    const kiln_tensor x = check_operand_in(c, KILN_SHAPE(c->n[0], size, size), -0.1, 0.1);
    const kiln_tensor one = kiln_eye(c->g, c->type, size, size, 0);
    check_result(c, kiln_determinant(c->g, kiln_add(c->g, x, one)));
}

/* N, C, H, W, window. */
static const struct check_shape pictures[] = {
    {"1x1x1x1x1x1", "ones"},
    {"2x3x5x7x2x3", "primes"},
    {"1x1x9x9x9x9", "one window"},
    {"3x2x17x9x3x3", "one past tiles"},
    {"0x2x4x4x2x2", "none"},
    {"1x5x1x65x1x4", "one row"},
    {"17x1x4x4x2x2", "many pictures"},
    {"1x2x33x31x3x2", "large pictures"},
    {0},
};

static const struct check_attributes windows[] = {
    {"plain", {1, 0, 1}}, {"pad=1", {1, 1, 1}}, {"stride=2,pad=1", {2, 1, 1}}, {0}};

static kiln_fold_params window_of(const struct check_graph *c)
{
    return (kiln_fold_params){.size = {(int)c->n[4], (int)c->n[5]},
                              .stride = {(int)c->a[0], (int)c->a[0]},
                              .pad = {{(int)c->a[1], (int)c->a[1]}, {(int)c->a[1], (int)c->a[1]}}};
}

static void unfold(struct check_graph *c)
{
    const kiln_fold_params p = window_of(c);
    check_result(c, kiln_unfold(c->g, check_operand(c, kiln_shape_of(4, c->n)), &p));
}

static void fold(struct check_graph *c)
{
    const kiln_fold_params p = window_of(c);
    int64_t count = 1;
    for (int i = 0; i < 2; i++)
        count *= (c->n[2 + i] + 2 * c->a[1] - c->n[4 + i]) / c->a[0] + 1;
    const kiln_tensor x = check_operand(c, KILN_SHAPE(c->n[0], c->n[1] * c->n[4] * c->n[5], count));
    check_result(c, kiln_fold(c->g, x, c->n + 2, 2, &p));
}

static const struct check_attributes bends[] = {
    {"plain", {1, 0}}, {"mask", {1, 1}}, {"stride=2,mask", {2, 1}}, {0}};

/* Offsets stay between elements, where the slope is one. */
static void deform_conv(struct check_graph *c)
{
    const kiln_conv_params p = {.stride = {(int)c->a[0], (int)c->a[0]}};
    const int64_t places = c->n[4] * c->n[5], rows = (c->n[2] - c->n[4]) / c->a[0] + 1,
                  columns = (c->n[3] - c->n[5]) / c->a[0] + 1;
    const kiln_tensor x = check_operand(c, kiln_shape_of(4, c->n)),
                      w = check_operand(c, KILN_SHAPE(3, c->n[1], c->n[4], c->n[5])),
                      offset = check_real_in(c, KILN_SHAPE(c->n[0], 2 * places, rows, columns), 0.1, 0.9);
    const kiln_tensor mask =
        c->a[1] ? check_operand_in(c, KILN_SHAPE(c->n[0], places, rows, columns), 0.5, 1) : KILN_NONE;
    check_result(c, kiln_deform_conv(c->g, x, w, KILN_NONE, offset, mask, 1, &p));
}

const struct check_op check_algebra[] = {
    {.name = "einsum", .types = CHECK_REALS, .shapes = letters, .attributes = equations, .build = einsum},
    {.name = "determinant", .types = CHECK_F32, .shapes = squares, .build = determinant},
    {.name = "unfold", .types = CHECK_REALS, .shapes = pictures, .attributes = windows, .build = unfold},
    {.name = "fold", .types = CHECK_REALS, .shapes = pictures, .attributes = windows, .build = fold},
    {.name = "deform_conv",
     .types = CHECK_REALS,
     .shapes = pictures,
     .attributes = bends,
     .build = deform_conv},
    {0},
};
