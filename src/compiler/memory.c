/*
 * memory.c - scratch objects to offsets. Lifetimes count in waves, ends included, so two objects that share bytes are never
 * used in one wave, and reusing memory adds no barrier.
 *
 * Greedy: object by object, each at the lowest gap among those placed whose lifetime meets its own. The largest first, as a rule;
 * where that takes more than the lower bound, other orders are tried and the best is kept. Objects of the prologue and of its
 * scratch live apart, one after another.
 */
#include <stdlib.h>

#include "base/log.h"
#include "compiler/plan.h"

/* Orders -------------------------------------------------------------------------------------------------- */

static int sign(double x)
{
    return (x > 0) - (x < 0);
}

static double waves_of(const struct kiln_object *o)
{
    return (double)o->last - o->first + 1;
}

/* What a row says ranks first; then the larger, and of equals the one made first, so that a plan is always the same. */
static int ranked(const void *a, const void *b, double (*rank)(const struct kiln_object *o))
{
    const struct kiln_object *x = *(struct kiln_object *const *)a, *y = *(struct kiln_object *const *)b;
    const int by_rank = sign(rank(y) - rank(x)), by_size = sign((double)y->bytes - (double)x->bytes);
    return by_rank ? by_rank : by_size ? by_size : x < y ? -1 : x > y;
}

static double size_of(const struct kiln_object *o)
{
    return (double)o->bytes;
}

/* A value that is needed long lies in the way of many: it had better lie at an end. */
static double area_of(const struct kiln_object *o)
{
    return (double)o->bytes * waves_of(o);
}

/* As the run makes them. */
static double age_of(const struct kiln_object *o)
{
    return -(double)o->first;
}

static double end_of(const struct kiln_object *o)
{
    return (double)o->last;
}

static int larger_first(const void *a, const void *b)
{
    return ranked(a, b, size_of);
}

static int widest_first(const void *a, const void *b)
{
    return ranked(a, b, area_of);
}

static int longest_first(const void *a, const void *b)
{
    return ranked(a, b, waves_of);
}

static int earliest_first(const void *a, const void *b)
{
    return ranked(a, b, age_of);
}

static int latest_first(const void *a, const void *b)
{
    return ranked(a, b, end_of);
}

typedef int order_fn(const void *a, const void *b);

static order_fn *const orders[] = {larger_first, widest_first, longest_first, earliest_first, latest_first};

/* Placing ------------------------------------------------------------------------------------------------- */

static bool meet(const struct kiln_object *a, const struct kiln_object *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* placed[] is kept in order of offset. */
static void place_object(struct kiln_object **placed, int *count, struct kiln_object *o)
{
    uint64_t at = 0;
    for (int i = 0; i < *count; i++) {
        const struct kiln_object *p = placed[i];
        if (!meet(p, o))
            continue;
        if (p->offset >= at + kiln_aligned(o->bytes))
            break;
        const uint64_t end = p->offset + kiln_aligned(p->bytes);
        at = end > at ? end : at;
    }
    o->offset = at;
    int i = (*count)++;
    for (; i > 0 && placed[i - 1]->offset > at; i--)
        placed[i] = placed[i - 1];
    placed[i] = o;
}

static uint64_t lower_bound_of(const struct kiln_plan *plan, struct kiln_object *const *live, int count)
{
    uint64_t most = 0;
    const int waves =
        plan->waves > plan->prologue_waves ? plan->waves : plan->prologue_waves; /* variants' scratch */
    uint64_t *sum = calloc((size_t)waves + 2, sizeof *sum);
    for (int i = 0; sum && i < count; i++)
        for (int w = live[i]->first; w <= live[i]->last; w++) {
            sum[w] += kiln_aligned(live[i]->bytes);
            most = sum[w] > most ? sum[w] : most;
        }
    free(sum);
    return most;
}

/* Place all objects in an order; returns the bytes that they take. */
static uint64_t place_all(struct kiln_object **live, int count, struct kiln_object **placed, order_fn *order)
{
    uint64_t bytes = 0;
    int done = 0;
    qsort(live, (size_t)count, sizeof *live, order);
    for (int i = 0; i < count; i++)
        place_object(placed, &done, live[i]);
    for (int i = 0; i < count; i++) {
        const uint64_t end = live[i]->offset + kiln_aligned(live[i]->bytes);
        bytes = end > bytes ? end : bytes;
    }
    return bytes;
}

/* By the best of the orders, which are tried until one takes no more than it must. */
static uint64_t place_best(struct kiln_object **live, int count, struct kiln_object **placed, uint64_t least)
{
    uint64_t best = UINT64_MAX, now = 0;
    size_t which = 0, tried = 0;
    for (; tried < sizeof orders / sizeof *orders && best > least; tried++)
        if ((now = place_all(live, count, placed, orders[tried])) < best) {
            best = now;
            which = tried;
        }
    return which + 1 == tried ? best : place_all(live, count, placed, orders[which]);
}

kiln_status kiln_place_memory(struct kiln_plan *plan)
{
    struct kiln_object **live = malloc((size_t)(plan->object.count + 1) * sizeof *live);
    struct kiln_object **placed = malloc((size_t)(plan->object.count + 1) * sizeof *placed);
    int count = 0;
    for (int i = 0; live && placed && i < plan->object.count; i++) {
        struct kiln_object *o = &plan->object.data[i];
        if (o->kind == KILN_OBJECT_KEPT) {
            o->offset = plan->kept_bytes;
            plan->kept_bytes += kiln_aligned(o->bytes);
        } else if (o->kind == KILN_OBJECT_SCRATCH && o->last >= 0) {
            o->first = o->first == INT32_MAX ? 0 : o->first;
            live[count++] = o;
        }
    }
    if (live && placed) {
        plan->lower_bound = lower_bound_of(plan, live, count);
        plan->scratch_bytes = place_best(live, count, placed, plan->lower_bound);
    }
    const bool whole = live && placed;
    free(live);
    free(placed);
    return whole ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}
