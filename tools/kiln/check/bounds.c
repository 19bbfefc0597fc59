/* bounds.c - see bounds.h. */
#include "check/bounds.h"

#include <math.h>

#include "base/text.h"
#include "chain/codes.h"
#include "check/operands.h"
#include "conv/conv_winograd.h"
#include "cumulative/codes.h"
#include "grid/grid.h"
#include "recurrent/recurrent.h"
#include "scatter/codes.h"

/* A step or two round beyond what the operands' roundings stand for. Kernels were seen at a third of this. */
static const struct check_bound usual = {NULL, 4, 2, 0, "some steps, and sums"};

#define MOVES(kernel)                                   \
    {                                                   \
        kernel, 0, 0, 0, "moves values, or counts them" \
    }

/* Step words follow constant 0 in a chain and in the epilogue of a product. */
static bool has_step(const kiln_dispatch *d, uint32_t code)
{
    for (int i = 1; i <= KILN_CHAIN_STEPS && i < d->constant_count; i++)
        if ((d->constants[i] & 255) == code)
            return true;
    return false;
}

static bool rounds_to_f16(const kiln_dispatch *d)
{
    return has_step(d, KILN_STEP_TO_F16);
}

static bool rounds_to_bf16(const kiln_dispatch *d)
{
    return has_step(d, KILN_STEP_TO_BF16);
}

#define ROUNDS(kernel)                                                                                   \
    {kernel, 0x1p17, 2, 0, "steps round to BF16, half an ulp of which is 2^16 of ours", rounds_to_bf16}, \
    {                                                                                                    \
        kernel, 0x1p14, 2, 0x1p-14, "steps round to F16, half an ulp of which is 2^13 of ours",          \
            rounds_to_f16                                                                                \
    }

static bool only_sets(const kiln_dispatch *d)
{
    return d->constants[0] == KILN_MEET_SET;
}

static bool transforms_filters(const kiln_dispatch *d)
{
    return ((const struct kiln_params_conv_winograd *)d->block.words)->taps;
}

/* The four rows of a tile. */
static size_t tile(const kiln_dispatch *d)
{
    return (size_t)4 * ((const struct kiln_params_conv_winograd *)d->block.words)->ow;
}

static bool is_product(const kiln_dispatch *d)
{
    return d->constants[0] == KILN_CUMULATE_PROD_F;
}

/* The largest mean over its deviation: bindings 4 and 5 of normalize. */
static double means(const struct check_operands *o)
{
    const double *mean = o->exact.at[4], *inverse = o->exact.at[5];
    double largest = 0;

    for (size_t k = 0; mean && inverse && k < o->elements[4] && k < o->elements[5]; k++)
        largest = fmax(largest, fabs(mean[k] * inverse[k]));
    return isfinite(largest) ? largest : 0;
}

/* Of a recurrent dispatch. */
static double steps(const kiln_dispatch *d)
{
    return ((const struct kiln_params_recurrent *)d->block.words)->steps;
}

/* The longest axis that coordinates lie on. */
static double longest(const struct check_operands *o)
{
    const struct kiln_params_grid *p = (const struct kiln_params_grid *)o->dispatch->block.words;
    return fmax(p->d, fmax(p->h, p->w));
}

static double largest_of(const struct check_operands *o, int binding)
{
    const double *value = o->exact.at[binding];
    double largest = 0;

    for (size_t k = 0; value && k < o->elements[binding]; k++)
        largest = fmax(largest, fabs(value[k]));
    return largest;
}

/* What one element of x has to do with a coordinate: its own part, and dy's. */
static double pulls(const struct check_operands *o)
{
    return longest(o) / 2 * largest_of(o, 0) * largest_of(o, 3);
}

static const struct check_bound rows[] = {
    MOVES("compact"),
    MOVES("border"),
    MOVES("claim"),
    MOVES("copy"),
    MOVES("gather"),
    MOVES("index_fold"),
    MOVES("nms_mask"),
    MOVES("nms_scan"),
    MOVES("order*"),
    MOVES("place"),
    MOVES("radix*"),
    MOVES("search"),
    MOVES("unique*"),
    MOVES("window"),
    ROUNDS("chain*"),
    ROUNDS("conv*"),
    ROUNDS("matmul"),
    {"conv", 8, 2, 0, "a sum rounds before the bias that may take most of it away"},
    {"conv_winograd", 4, 62, 0,
     "what the last place of a tile adds up has 31 times the norm of the products it stands for",
     transforms_filters, .reach = tile},
    {"conv_grad_winograd", 4, 48, 0,
     "what the last place of a filter adds up has 24 times the norm of the products it stands for"},
    {"cross_entropy", 4, 2, 1,
     "takes the logarithm of 1 and more, which rounds as 1 does however small it is"},
    {"cross_entropy_grad", 4, 2, 1, "a share near 1 less 1"},
    {"ctc", 24, 2, 0, "a row rounds at every frame, of which there are some hundred: about their root"},
    {"ctc_grad", 24, 2, 0, "an exponent of three terms rounds at each, and once more less the largest"},
    {"cumulate", 181, 2, 0, "every factor of up to 8192 rounds: twice their root", is_product},
    {"cumulate", 24, 2, 0, "an element stands behind four of its lane, seven of lanes, and blocks"},
    {"grid_sample_grad", 4, 2, 0, "slopes of neighbours cancel, all of them where they are one element",
     .cancels = pulls},
    {"grid_taps", 4, 2, 0, "a place rounds as the last element's does, and a weight is what is left of it",
     .cancels = longest},
    {"normalize", 4, 2, 0, "divides by deviations what a rounded mean was taken from", .cancels = means},
    {"normalize*", 8, 4, 0, "sums of such quotients"},
    {"random", 8, 2, 4, "a logarithm, a root and a sine of a few units, added to a mean"},
    {"recurrent*", 8, 2, 0, "every step rounds a squashing a gate, of a few ulps each", .steps = steps},
    {"roi*", 12, 4, 0,
     "a sample's place is rounded 8 times, and what it takes of its cells is what is left of that"},
    {"scatter*", 0, 0, 0, "moves values", only_sets},
    {"scatter*", 36, 2, 0, "a place may get 256 in a row, whatever they are on average"},
};

const struct check_bound *check_bound_of(const kiln_dispatch *d)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (kiln_text_match(rows[i].kernel, d->kernel->name) && (!rows[i].applies || rows[i].applies(d)))
            return &rows[i];
    return &usual;
}

double check_roundings(const kiln_dispatch *d, double n, bool reference)
{
    const struct check_bound *bound = check_bound_of(d);
    const double steps = bound->steps ? fmax(1, bound->steps(d)) : 1;

    return (bound->fixed + bound->terms * (reference ? 2 : sqrt(n))) * sqrt(steps);
}
