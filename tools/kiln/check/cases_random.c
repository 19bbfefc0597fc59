/* cases_random.c - what draws random numbers. */
#include "check/families.h"

/* a: the rate in percent */
static const struct check_attributes rates[] = {{"rate=0.3", {30}}, {"rate=0.9", {90}}, {0}};

static void dropout(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_dropout(c->g, x, (double)c->a[0] / 100));
}

static void dropout_mask(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    const kiln_tensor mask = kiln_cast(c->g, check_truth(c, check_shape_of(c)), c->type);
    check_result(c, kiln_dropout_mask(c->g, x, mask, (double)c->a[0] / 100));
}

const struct check_op check_random[] = {
    {.name = "dropout", .types = CHECK_REALS, .shapes = check_shapes, .attributes = rates, .build = dropout},
    {.name = "dropout_mask",
     .types = CHECK_REALS,
     .shapes = check_shapes,
     .attributes = rates,
     .build = dropout_mask},
    {0},
};
