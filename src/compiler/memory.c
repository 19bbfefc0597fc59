/*
 * memory.c - scratch objects to offsets. Lifetimes count in waves, ends included, so two objects that share bytes are never
 * used in one wave, and reusing memory adds no barrier.
 *
 * Greedy by size: the largest object first, each at the lowest gap among those placed whose lifetime meets its own. Objects of
 * the prologue and of its scratch live apart, one after another.
 */
#include <stdlib.h>

#include "base/log.h"
#include "compiler/plan.h"

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static int larger_first(const void *a, const void *b)
{
    const struct kiln_object *x = *(struct kiln_object *const *)a, *y = *(struct kiln_object *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x < y ? -1 : x > y;
}

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
        if (p->offset >= at + aligned(o->bytes))
            break;
        const uint64_t end = p->offset + aligned(p->bytes);
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
            sum[w] += aligned(live[i]->bytes);
            most = sum[w] > most ? sum[w] : most;
        }
    free(sum);
    return most;
}

kiln_status kiln_place_memory(struct kiln_plan *plan)
{
    struct kiln_object **live = malloc((size_t)(plan->object.count + 1) * sizeof *live);
    struct kiln_object **placed = malloc((size_t)(plan->object.count + 1) * sizeof *placed);
    int count = 0, done = 0;
    for (int i = 0; live && placed && i < plan->object.count; i++) {
        struct kiln_object *o = &plan->object.data[i];
        if (o->kind == KILN_OBJECT_KEPT) {
            o->offset = plan->kept_bytes;
            plan->kept_bytes += aligned(o->bytes);
        } else if (o->kind == KILN_OBJECT_SCRATCH && o->last >= 0) {
            o->first = o->first == INT32_MAX ? 0 : o->first;
            live[count++] = o;
        }
    }
    if (live && placed) {
        plan->lower_bound = lower_bound_of(plan, live, count);
        qsort(live, (size_t)count, sizeof *live, larger_first);
        for (int i = 0; i < count; i++)
            place_object(placed, &done, live[i]);
        for (int i = 0; i < count; i++) {
            const uint64_t end = live[i]->offset + aligned(live[i]->bytes);
            plan->scratch_bytes = end > plan->scratch_bytes ? end : plan->scratch_bytes;
        }
    }
    const bool whole = live && placed;
    free(live);
    free(placed);
    return whole ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}
