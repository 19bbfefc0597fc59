/* compare.c - see compare.h. */
#include "check/compare.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "check/bounds.h"

static float as_stored(double value, kiln_type type)
{
    return type == KILN_F16 ? kiln_half_to(kiln_half_from((float)value)) : (float)value;
}

/* How far apart; infinite where one is no number or infinite and the other, as it would be stored, is not so. */
static double difference(float got, double want, kiln_type type)
{
    if (isfinite(got) && isfinite(want))
        return fabs(got - want);
    return got == as_stored(want, type) || (isnan(got) && isnan(want)) ? 0 : INFINITY;
}

/* The last place of a number of so many binary digits. */
static double ulp_of(double magnitude, int digits)
{
    int exponent;

    (void)frexp(fmax(magnitude, FLT_MIN), &exponent);
    return ldexp(1, exponent - digits);
}

static double largest_of(const double *values, size_t count)
{
    double largest = FLT_MIN;

    for (size_t k = 0; k < count; k++)
        if (isfinite(values[k]))
            largest = fmax(largest, fabs(values[k]));
    return largest;
}

/* A half is rounded to the nearest at the end. */
static double storage_bound(const struct check_operands *o, int i, double want)
{
    return o->stored[i] == KILN_F16 ? fmax(0x1p-11 * fabs(want), 0x1p-25) : 0;
}

static float stored_real(const struct check_operands *o, int i, size_t k)
{
    return o->stored[i] == KILN_F16 ? kiln_half_to(((const uint16_t *)o->device.data[i])[k])
                                    : ((const float *)o->device.data[i])[k];
}

static void compare_reals(const struct check_operands *o, int i, double roundings, struct check_distance *out)
{
    const double *want = o->exact.at[i], *magnitude = o->magnitude[i];
    const size_t count = o->elements[i];
    const double scale = largest_of(want, count);

    for (size_t k = 0; k < count; k++) {
        const float got = stored_real(o, i, k);
        const double apart = difference(got, want[k], o->stored[i]);
        /* results below the normal numbers may be zero, where anything is computed */
        const double bound =
            roundings * CHECK_ROUNDING * magnitude[k] + (roundings > 0 ? storage_bound(o, i, want[k]) : 0);
        const double share = apart == 0 || (bound > 0 && apart <= FLT_MIN) ? 0 : apart / bound;
        if (!(share <= 1) && !out->what[0])
            snprintf(out->what, sizeof out->what,
                     "binding %d, element %zu of %zu is %.9g, wanted %.9g +- %.2g", i, k, count, got, want[k],
                     bound);
        out->share = fmax(out->share, share);
        out->error = fmax(out->error, apart / scale);
        out->ulp = fmax(out->ulp, apart / ulp_of(magnitude[k], o->stored[i] == KILN_F16 ? 11 : 24));
    }
}

static int stored_integer(const struct check_operands *o, int i, size_t k)
{
    const void *data = o->device.data[i];
    return o->stored[i] == KILN_U8   ? ((const uint8_t *)data)[k]
           : o->stored[i] == KILN_I8 ? ((const int8_t *)data)[k]
                                     : ((const int32_t *)data)[k];
}

static void compare_integers(const struct check_operands *o, int i, struct check_distance *out)
{
    const int32_t *want = o->single.at[i];
    const size_t count = o->elements[i];

    for (size_t k = 0; k < count && !out->what[0]; k++)
        if (stored_integer(o, i, k) != want[k]) {
            out->share = out->error = out->ulp = INFINITY;
            snprintf(out->what, sizeof out->what, "binding %d, element %zu of %zu is %d, wanted %d", i, k,
                     count, stored_integer(o, i, k), (int)want[k]);
        }
}

static void compare_runs(const struct check_operands *o, int i, struct check_distance *out)
{
    if (memcmp(o->device.data[i], o->device.again[i], o->device.bytes[i]) == 0 || out->what[0])
        return;
    out->share = INFINITY;
    snprintf(out->what, sizeof out->what, "binding %d differs from run to run", i);
}

static void compare_ends(const struct check_operands *o, int i, struct check_distance *out)
{
    if (!o->beyond[i] || out->what[0])
        return;
    out->share = INFINITY;
    snprintf(out->what, sizeof out->what, "something is written beyond the end of binding %d", i);
}

void check_compare(const struct check_operands *o, double roundings, struct check_distance *out)
{
    *out = (struct check_distance){0};
    for (int i = 0; i < o->count; i++) {
        if (!check_is_result(o, i))
            continue;
        if (o->real[i])
            compare_reals(o, i, roundings, out);
        else
            compare_integers(o, i, out);
        compare_runs(o, i, out);
        compare_ends(o, i, out);
    }
}
