/*
 * scale.c - ticks at round numbers: 1, 2, 2.5 or 5 times a power of ten apart; on a logarithmic axis the powers of ten, with
 * their multiples by 2 and 5 where they are few, or every second, third, ... power where they are many.
 */
#include "draw/scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LARGEST 1e300 /* past here differences overflow */

/* Text --------------------------------------------------------------------------------------------------- */

/* "1e-05" -> "1e-5", "1e+06" -> "1e6" */
static void tidy_exponent(char *text)
{
    char *e = strchr(text, 'e'), *from, *to;

    if (!e)
        return;
    to = e + 1;
    from = to;
    if (*from == '-')
        to++;
    for (from++; *from == '0' && from[1]; from++)
        ;
    memmove(to, from, strlen(from) + 1);
}

static bool divides(double unit, double step)
{
    const double times = step / unit;
    return times > 0.99 && fabs(times - round(times)) < 1e-6;
}

/* As many digits as the step between ticks needs; thousands and millions by letter. */
static void write_tick(char *text, double value, double step)
{
    const double size = fabs(value) + step;
    const int power = (int)floor(log10(step) + 1e-9);
    const int decimals = power < 0 ? -power + !divides(pow(10, power), step) : !divides(1, step);

    if (fabs(value) < step * 1e-6)
        snprintf(text, KILN_SCALE_TEXT, "0");
    else if (size >= 1e9 || step < 1e-4)
        snprintf(text, KILN_SCALE_TEXT, "%.4g", value);
    else if (size >= 1e6 && divides(1e5, step))
        snprintf(text, KILN_SCALE_TEXT, "%gM", round(value / 1e4) / 100);
    else if (size >= 1e4 && divides(100, step))
        snprintf(text, KILN_SCALE_TEXT, "%gk", round(value / 10) / 100);
    else
        snprintf(text, KILN_SCALE_TEXT, "%.*f", decimals, value);
    tidy_exponent(text);
}

/* Linear ------------------------------------------------------------------------------------------------- */

/* The round number next above span / wanted. */
static double round_step(double span, int wanted, bool whole)
{
    static const double round_ones[] = {1, 2, 2.5, 5, 10};
    const double rough = span / wanted, unit = pow(10, floor(log10(rough)));
    double step = 10 * unit;

    for (int i = 4; i >= 0; i--)
        if (round_ones[i] * unit >= rough * 0.999)
            step = round_ones[i] * unit;
    if (whole && step < 1)
        step = 1;
    return whole && fabs(step - 2.5) < 0.1 ? 5 : step;
}

static void add_tick(struct kiln_scale *a, double value)
{
    if (a->count < KILN_SCALE_TICKS)
        a->tick[a->count++] = value;
}

/* Values closer than this are one: between them numbers have no digits left. */
static bool is_wide(const struct kiln_scale_params *r)
{
    return r->high - r->low > 1e-12 * fmax(fabs(r->low), fabs(r->high)) && r->high - r->low > 1e-290;
}

static void set_linear(struct kiln_scale *a, const struct kiln_scale_params *r)
{
    const double room = is_wide(r) ? 0 : fmax(fabs(r->low), 1) * 0.1; /* around a single value */
    const double low = r->low - room, high = r->high + room;
    const double step = round_step(high - low, r->wanted, r->whole);
    const double first = r->tight ? ceil(low / step - 1e-6) : floor(low / step + 1e-6);
    const double last = r->tight ? floor(high / step + 1e-6) : ceil(high / step - 1e-6);

    a->low = r->tight ? low : first * step;
    a->high = r->tight ? high : last * step;
    for (double i = first; i <= last && a->count < KILN_SCALE_TICKS; i++) {
        write_tick(a->text[a->count], i * step, step);
        add_tick(a, i * step);
    }
}

/* Logarithmic -------------------------------------------------------------------------------------------- */

static void write_power(char *text, double value)
{
    snprintf(text, KILN_SCALE_TEXT, value >= 1e-4 && value < 1e5 ? "%.6g" : "%.0e", value);
    tidy_exponent(text);
}

static void add_power(struct kiln_scale *a, double value)
{
    const double place = log10(value);

    if (place < a->low - 1e-9 || place > a->high + 1e-9 || a->count == KILN_SCALE_TICKS)
        return;
    write_power(a->text[a->count], value);
    add_tick(a, value);
}

/* The round number (1, 2 or 5 times a power) at or below a logarithm, or above it; as a logarithm. */
static double round_log(double x, bool up)
{
    static const double steps[] = {0, 0.30102999566398120, 0.69897000433601880, 1};
    const double power = floor(x);

    for (int i = 0; i < 4; i++) {
        const int at = up ? i : 3 - i;
        if (up ? power + steps[at] >= x - 1e-9 : power + steps[at] <= x + 1e-9)
            return power + steps[at];
    }
    return x;
}

static void set_log(struct kiln_scale *a, const struct kiln_scale_params *r)
{
    const double low = log10(r->low), high = log10(r->high);
    int every;
    bool between;

    a->log = true;
    a->low = round_log(low, false);
    a->high = round_log(high, true);
    if (a->high - a->low < 0.3)
        a->high = round_log(a->low + 0.3, true);
    every = (int)ceil((a->high - a->low) / (r->wanted + 1));
    between = a->high - a->low <= r->wanted / 2.0;
    for (double power = floor(a->low); power <= ceil(a->high); power += every) {
        add_power(a, pow(10, power));
        if (between) {
            add_power(a, 2 * pow(10, power));
            add_power(a, 5 * pow(10, power));
        }
    }
}

struct kiln_scale kiln_scale_of(const struct kiln_scale_params *range)
{
    struct kiln_scale a = {0};
    struct kiln_scale_params r = *range;

    if (!(r.low <= r.high)) {
        r.low = r.log ? 0.1 : 0;
        r.high = 1;
    }
    r.low = fmin(fmax(r.low, -LARGEST), LARGEST);
    r.high = fmin(fmax(r.high, -LARGEST), LARGEST);
    if (r.log)
        set_log(&a, &r);
    else
        set_linear(&a, &r);
    return a;
}

double kiln_scale_place(const struct kiln_scale *axis, double value)
{
    const double x = axis->log ? log10(value) : value;
    return (x - axis->low) / (axis->high - axis->low);
}
