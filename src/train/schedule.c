/*
 * schedule.c - rates that follow the step: scalars of the program, so that nothing is recorded again when
 * they change.
 */
#include <math.h>

#include <kiln/ops.h>
#include <kiln/train.h>

static kiln_tensor real(kiln_graph *g, double value)
{
    return kiln_scalar(g, KILN_F32, value);
}

/* A quotient of whole numbers may come out just below a whole one: half a step more does not reach the next.
 * */
kiln_tensor kiln_schedule_step(kiln_graph *g, kiln_tensor step, double rate, double every, double factor)
{
    const kiln_tensor safe = every == floor(every) ? kiln_shift(g, step, 0.5) : step;
    const kiln_tensor drops = kiln_floor(g, kiln_div(g, safe, real(g, every)));
    return kiln_scale(g, kiln_pow(g, real(g, factor), drops), rate);
}

kiln_tensor kiln_schedule_inverse(kiln_graph *g, kiln_tensor step, double rate, double decay)
{
    return kiln_div(g, real(g, rate), kiln_shift(g, kiln_scale(g, step, decay), 1));
}

kiln_tensor kiln_schedule_exponential(kiln_graph *g, kiln_tensor step, double rate, double factor)
{
    return kiln_scale(g, kiln_pow(g, real(g, factor), step), rate);
}

kiln_tensor kiln_schedule_cosine(kiln_graph *g, kiln_tensor step, double rate, double last, double total)
{
    const double pi = 3.14159265358979323846;
    const kiln_tensor way = kiln_div(g, kiln_min(g, step, real(g, total)), real(g, total));
    const kiln_tensor wave = kiln_shift(g, kiln_cos(g, kiln_scale(g, way, pi)), 1);
    return kiln_shift(g, kiln_scale(g, wave, (rate - last) / 2), last);
}

kiln_tensor kiln_schedule_warm_up(kiln_graph *g, kiln_tensor step, kiln_tensor rate_from, double warm)
{
    const kiln_tensor share = kiln_div(g, kiln_shift(g, step, 1), real(g, warm));
    return kiln_mul(g, rate_from, kiln_min(g, real(g, 1), share));
}
