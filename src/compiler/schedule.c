/*
 * schedule.c - steps into waves: no step of a wave touches bytes that another one of the wave writes, so one barrier between
 * two waves is all there is to order.
 *
 * A step's wave is one more than the last wave that it must follow: the writers of what it reads, and the readers and writers
 * of what it writes, as byte ranges of objects. What reads nothing but weights, constants and other such results, and writes
 * scratch, belongs to the prologue.
 *
 * What is computed again for the backward pass comes no sooner than all that stands before it, or it would be kept as long as what
 * it is there to spare. Nor does a step of the prologue, which runs once: what it makes on the way to what is kept, as scaled filters
 * that are then packed, would all live at one time.
 *
 * A region counts as one step that touches all that its steps touch. These have waves of their own, which nothing else shares:
 * in the end a wave becomes its steps and then its regions one after another. What is touched inside a region and outside lives
 * through the whole of it, since the next turn may look for it; what is touched inside alone begins anew with each turn.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/plan.h"

/* The touches of one object so far: an intrusive list by index. */
struct access {
    uint64_t offset, end;
    int wave, next;
    bool write;
};

struct schedule {
    struct kiln_plan *plan;
    KILN_VEC(struct access) access;
    int *head;  /* by object */
    int latest; /* the last wave so far */
};

static bool overlaps(const struct access *a, const struct kiln_touch *t)
{
    return a->offset < t->offset + t->bytes && t->offset < a->end;
}

static int wave_after(const struct schedule *s, const struct kiln_touch *t)
{
    int wave = 0;
    for (int i = s->head[t->object]; i >= 0; i = s->access.data[i].next) {
        const struct access *a = &s->access.data[i];
        if ((a->write || t->access != KILN_READ) && a->wave >= wave && overlaps(a, t))
            wave = a->wave + 1;
    }
    return wave;
}

static bool remember(struct schedule *s, const struct kiln_touch *t, int wave)
{
    const struct access a = {t->offset, t->offset + t->bytes, wave, s->head[t->object],
                             t->access != KILN_READ};
    if (!kiln_vec_push(&s->access, a))
        return false;
    s->head[t->object] = s->access.count - 1;
    return true;
}

static void use(struct kiln_plan *plan, int object, int wave)
{
    struct kiln_object *o = &plan->object.data[object];
    o->first = wave < o->first ? wave : o->first;
    o->last = wave > o->last ? wave : o->last;
}

/* The step behind the item that begins with step `at`: behind the end of a region. */
static int behind(const struct kiln_plan *plan, int at)
{
    int depth = 0;
    do {
        const enum kiln_command_kind kind = plan->step.data[at++].kind;
        depth += (kind == KILN_COMMAND_REPEAT) - (kind == KILN_COMMAND_END);
    } while (depth);
    return at;
}

/* The wave of the item [at, end), a step or a region. */
static bool schedule_item(struct schedule *s, int at, int end)
{
    struct kiln_step *step = s->plan->step.data;
    const bool again = step[at].node && step[at].node->pass == KILN_PASS_AGAIN;
    step[at].wave = again || step[at].prologue ? s->latest : 0;
    for (int i = at; i < end; i++)
        for (int k = 0; k < step[i].touches; k++)
            if (step[i].touch[k].object >= 0 && step[i].touch[k].access != KILN_UNUSED) {
                const int wave = wave_after(s, &step[i].touch[k]);
                step[at].wave = wave > step[at].wave ? wave : step[at].wave;
            }
    for (int i = at; i < end; i++)
        for (int k = 0; k < step[i].touches; k++)
            if (step[i].touch[k].object >= 0 && !remember(s, &step[i].touch[k], step[at].wave))
                return false;
    s->latest = step[at].wave > s->latest ? step[at].wave : s->latest;
    return true;
}

/* Prologue ----------------------------------------------------------------------------------------------- */

/* Which objects the prologue may read: what no step of this plan writes, and what only the prologue writes. */
static void find_prologue(struct kiln_plan *plan, bool *settled)
{
    for (int i = 0; i < plan->object.count; i++)
        settled[i] = plan->object.data[i].kind == KILN_OBJECT_CONSTANT ||
                     plan->object.data[i].kind == KILN_OBJECT_ARENA ||
                     plan->object.data[i].kind == KILN_OBJECT_STATES;
    for (int i = 0; i < plan->step.count; i++)
        for (int k = 0; k < plan->step.data[i].touches; k++) {
            const struct kiln_touch *t = &plan->step.data[i].touch[k];
            if (t->object >= 0 && t->access != KILN_READ)
                settled[t->object] = false;
        }
    for (int i = 0, depth = 0; i < plan->step.count; i++) {
        struct kiln_step *s = &plan->step.data[i];
        depth += s->kind == KILN_COMMAND_REPEAT;
        s->prologue = !depth;
        depth -= s->kind == KILN_COMMAND_END;
        for (int k = 0; k < s->touches; k++) {
            const struct kiln_touch *t = &s->touch[k];
            if (t->object < 0)
                continue;
            const struct kiln_object *o = &plan->object.data[t->object];
            s->prologue &= t->access == KILN_READ ? settled[t->object]
                                                  : o->kind == KILN_OBJECT_SCRATCH && t->access == KILN_WRITE;
        }
        for (int k = 0; k < s->touches && s->prologue; k++)
            if (s->touch[k].object >= 0 && s->touch[k].access == KILN_WRITE)
                settled[s->touch[k].object] = true;
    }
}

/* An object that a body step writes too (a part of a packed one) is no prologue's: its steps go back to the body. */
static void keep_whole(struct kiln_plan *plan, bool *shared)
{
    for (bool changed = true; changed;) {
        changed = false;
        memset(shared, 0, (size_t)plan->object.count * sizeof *shared);
        for (int i = 0; i < plan->step.count; i++)
            for (int k = 0; k < plan->step.data[i].touches && !plan->step.data[i].prologue; k++) {
                const struct kiln_touch *t = &plan->step.data[i].touch[k];
                if (t->object >= 0 && t->access != KILN_READ)
                    shared[t->object] = true;
            }
        for (int i = 0; i < plan->step.count; i++)
            for (int k = 0; k < plan->step.data[i].touches && plan->step.data[i].prologue; k++)
                if (plan->step.data[i].touch[k].object >= 0 && shared[plan->step.data[i].touch[k].object]) {
                    plan->step.data[i].prologue = false;
                    changed = true;
                }
    }
}

/* What the prologue writes and the body reads, or is a result, is kept; the rest lives on the way there. */
static void keep_results(struct kiln_plan *plan, bool *read)
{
    memset(read, 0, (size_t)plan->object.count * sizeof *read);
    for (int i = 0; i < plan->step.count; i++)
        for (int k = 0; k < plan->step.data[i].touches && !plan->step.data[i].prologue; k++)
            if (plan->step.data[i].touch[k].object >= 0)
                read[plan->step.data[i].touch[k].object] = true;
    for (int i = 0; i < plan->step.count; i++)
        for (int k = 0; k < plan->step.data[i].touches && plan->step.data[i].prologue; k++) {
            const struct kiln_touch *t = &plan->step.data[i].touch[k];
            if (t->object >= 0 && t->access == KILN_WRITE &&
                (read[t->object] || plan->object.data[t->object].result))
                plan->object.data[t->object].kind = KILN_OBJECT_KEPT;
        }
}

/* Order -------------------------------------------------------------------------------------------------- */

static int compare_steps(const void *a, const void *b)
{
    const struct kiln_step *x = *(const struct kiln_step *const *)a, *y = *(const struct kiln_step *const *)b;
    if (x->prologue != y->prologue)
        return x->prologue ? -1 : 1;
    if (x->wave != y->wave)
        return x->wave < y->wave ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool sort_steps(struct kiln_plan *plan)
{
    const size_t count = (size_t)plan->step.count;
    const struct kiln_step **order = malloc((count + 1) * sizeof *order);
    struct kiln_step *sorted = malloc((count + 1) * sizeof *sorted);
    for (size_t i = 0; order && i < count; i++)
        order[i] = &plan->step.data[i];
    if (order && sorted && count) {
        qsort(order, count, sizeof *order, compare_steps);
        for (size_t i = 0; i < count; i++)
            sorted[i] = *order[i];
        memcpy(plan->step.data, sorted, count * sizeof *sorted);
    }
    const bool whole = order && sorted;
    free(order);
    free(sorted);
    return whole;
}

/* Waves -------------------------------------------------------------------------------------------------- */

static bool schedule_range(struct schedule *s, int first, int last, bool prologue, int *waves);

static void shift(struct kiln_step *step, int first, int last, int by)
{
    for (int i = first; i < last; i++)
        step[i].wave += by;
}

/* Make the items' waves, of which there are `count`, into ones that no region shares with anything. next[w] is where the next
 * region of wave w begins, room for count + 1. Returns how many waves there are then. */
static int spread(const struct schedule *s, int first, int last, bool prologue, int count, int *next)
{
    struct kiln_step *step = s->plan->step.data;
    int *begin = next + count + 1;
    for (int i = first, end; i < last; i = end) {
        end = behind(s->plan, i);
        if (step[i].prologue != prologue)
            continue;
        if (step[i].kind != KILN_COMMAND_REPEAT)
            next[step[i].wave] = 1; /* steps share one wave */
        else
            begin[step[i].wave + 1] += step[end - 1].wave + 1;
    }
    for (int w = 0; w < count; w++) {
        begin[w + 1] += begin[w] + next[w];
        next[w] += begin[w];
    }
    for (int i = first, end; i < last; i = end) {
        end = behind(s->plan, i);
        if (step[i].prologue != prologue)
            continue;
        const int wave = step[i].wave;
        step[i].wave = step[i].kind == KILN_COMMAND_REPEAT ? next[wave] : begin[wave];
        shift(step, i + 1, end, next[wave]);
        if (end > i + 1)
            next[wave] = step[end - 1].wave + 1;
    }
    return begin[count];
}

/* The insides of the regions in [first, last), with waves from 0; the end's is the last one. */
static bool schedule_regions(struct schedule *s, int first, int last)
{
    bool whole = true;
    for (int i = first, end; i < last && whole; i = end) {
        int waves;
        end = behind(s->plan, i);
        if (s->plan->step.data[i].kind != KILN_COMMAND_REPEAT)
            continue;
        whole = schedule_range(s, i + 1, end - 1, false, &waves);
        s->plan->step.data[end - 1].wave = waves ? waves - 1 : 0;
    }
    return whole;
}

/* Waves from 0 for the steps of the prologue or the body in [first, last). */
static bool schedule_range(struct schedule *s, int first, int last, bool prologue, int *waves)
{
    int count = 0;
    for (int i = 0; i < s->plan->object.count; i++)
        s->head[i] = -1;
    s->access.count = 0;
    s->latest = 0;
    for (int i = first, end; i < last; i = end) {
        end = behind(s->plan, i);
        if (s->plan->step.data[i].prologue != prologue)
            continue;
        if (!schedule_item(s, i, end))
            return false;
        count = s->plan->step.data[i].wave + 1 > count ? s->plan->step.data[i].wave + 1 : count;
    }
    int *next = calloc(2 * (size_t)(count + 1), sizeof *next);
    const bool whole = next && (prologue || schedule_regions(s, first, last));
    if (whole)
        *waves = spread(s, first, last, prologue, count, next);
    free(next);
    return whole;
}

/* Lifetimes ---------------------------------------------------------------------------------------------- */

static void use_step(struct kiln_plan *plan, const struct kiln_step *s)
{
    for (int k = 0; k < s->touches; k++)
        if (s->touch[k].object >= 0)
            use(plan, s->touch[k].object, s->wave);
    if (s->scratch_object >= 0)
        use(plan, s->scratch_object, s->wave);
}

static void count_touches(const struct kiln_plan *plan, int first, int last, int by, int *touches)
{
    for (int i = first; i < last; i++)
        for (int k = 0; k < plan->step.data[i].touches; k++)
            if (plan->step.data[i].touch[k].object >= 0)
                touches[plan->step.data[i].touch[k].object] += by;
}

/* What is touched in a region and outside too: `all` counts touches, `inside` is zeros. */
static void live_through(struct kiln_plan *plan, int at, const int *all, int *inside)
{
    const int end = behind(plan, at);
    const int first = plan->step.data[at].wave, last = plan->step.data[end - 1].wave;
    count_touches(plan, at, end, 1, inside);
    for (int i = at; i < end; i++)
        for (int k = 0; k < plan->step.data[i].touches; k++) {
            const int object = plan->step.data[i].touch[k].object;
            if (object >= 0 && (inside[object] < all[object] || plan->object.data[object].result)) {
                use(plan, object, first);
                use(plan, object, last);
            }
        }
    count_touches(plan, at, end, -1, inside);
}

static bool find_lifetimes(struct kiln_plan *plan)
{
    int *all = calloc((size_t)plan->object.count + 1, sizeof *all);
    int *inside = calloc((size_t)plan->object.count + 1, sizeof *inside);
    const bool whole = all && inside;
    if (whole)
        count_touches(plan, 0, plan->step.count, 1, all);
    for (int i = 0; whole && i < plan->step.count; i++) {
        use_step(plan, &plan->step.data[i]);
        if (plan->step.data[i].kind == KILN_COMMAND_REPEAT)
            live_through(plan, i, all, inside);
    }
    free(all);
    free(inside);
    return whole;
}

kiln_status kiln_schedule(struct kiln_plan *plan)
{
    struct schedule s = {.plan = plan};
    s.head = malloc((size_t)(plan->object.count + 1) * sizeof *s.head);
    bool *settled = calloc((size_t)plan->object.count + 1, sizeof *settled);
    bool whole = s.head && settled;
    if (whole) {
        find_prologue(plan, settled);
        keep_whole(plan, settled);
        keep_results(plan, settled);
        whole = schedule_range(&s, 0, plan->step.count, true, &plan->prologue_waves) &&
                schedule_range(&s, 0, plan->step.count, false, &plan->waves) && sort_steps(plan) &&
                find_lifetimes(plan);
    }
    for (int i = 0; i < plan->object.count; i++)
        if (plan->object.data[i].result)
            plan->object.data[i].last = plan->waves;
    kiln_vec_finish(&s.access);
    free(s.head);
    free(settled);
    return whole ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}
