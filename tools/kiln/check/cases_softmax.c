/* cases_softmax.c - softmax and its logarithm. */
#include "check/families.h"

/* Three axes. */
static const struct check_shape shapes[] = {
    {"1x1x1", "one number"},
    {"3x5x10", "short rows"},
    {"3x129x4", "one past a block"},
    {"2x2x1000", "columns that lanes do not divide"},
    {"65x7x3", "many rows"},
    {"1x1x5003", "one long row"},
    {"4x64x16", "whole vectors"},
    {"0x3x5", "no rows"},
    {0},
};

static const struct check_attributes axes[] = {{"axis=0", {0}}, {"axis=1", {1}}, {"axis=-1", {-1}}, {0}};

static void along(struct check_graph *c)
{
    check_result(c, c->one->op->call.along(c->g, check_operand(c, check_shape_of(c)), (int)c->a[0]));
}

#define ALONG(op)                                                                                \
    {                                                                                            \
        .name = #op, .types = CHECK_REALS, .shapes = shapes, .attributes = axes, .build = along, \
        .call.along = kiln_##op, .low = -20, .high = 20                                          \
    }

const struct check_op check_softmax[] = {
    ALONG(softmax),
    ALONG(log_softmax),
    {0},
};
