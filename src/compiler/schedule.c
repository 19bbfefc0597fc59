/*
 * schedule.c - steps into waves: no step of a wave touches bytes that another one of the wave writes, so one barrier between
 * two waves is all there is to order.
 *
 * A step's wave is one more than the last wave that it must follow: the writers of what it reads, and the readers and writers
 * of what it writes, as byte ranges of objects. What reads nothing but weights, constants and other such results, and writes
 * scratch, belongs to the prologue.
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
    int *head; /* by object */
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

static bool schedule_step(struct schedule *s, struct kiln_step *step)
{
    struct kiln_plan *plan = s->plan;
    step->wave = 0;
    for (int i = 0; i < step->touches; i++)
        if (step->touch[i].object >= 0 && step->touch[i].access != KILN_UNUSED) {
            const int wave = wave_after(s, &step->touch[i]);
            step->wave = wave > step->wave ? wave : step->wave;
        }
    for (int i = 0; i < step->touches; i++)
        if (step->touch[i].object >= 0) {
            use(plan, step->touch[i].object, step->wave);
            if (!remember(s, &step->touch[i], step->wave))
                return false;
        }
    if (step->scratch_object >= 0)
        use(plan, step->scratch_object, step->wave);
    plan->waves = step->wave + 1 > plan->waves ? step->wave + 1 : plan->waves;
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
    for (int i = 0; i < plan->step.count; i++) {
        struct kiln_step *s = &plan->step.data[i];
        s->prologue = true;
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

static void keep_results(struct kiln_plan *plan)
{
    for (int i = 0; i < plan->step.count; i++)
        for (int k = 0; k < plan->step.data[i].touches && plan->step.data[i].prologue; k++) {
            const struct kiln_touch *t = &plan->step.data[i].touch[k];
            if (t->object >= 0 && t->access == KILN_WRITE)
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

/* Prologue and body count their waves apart: they run in lists of their own. */
static bool schedule_part(struct schedule *s, bool prologue)
{
    for (int i = 0; i < s->plan->object.count; i++)
        s->head[i] = -1;
    s->access.count = 0;
    s->plan->waves = 0;
    for (int i = 0; i < s->plan->step.count; i++)
        if (s->plan->step.data[i].prologue == prologue && !schedule_step(s, &s->plan->step.data[i]))
            return false;
    return true;
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
        keep_results(plan);
        whole = schedule_part(&s, true);
        plan->prologue_waves = plan->waves;
        whole = whole && schedule_part(&s, false) && sort_steps(plan);
    }
    for (int i = 0; i < plan->object.count; i++)
        if (plan->object.data[i].result)
            plan->object.data[i].last = plan->waves;
    kiln_vec_finish(&s.access);
    free(s.head);
    free(settled);
    return whole ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}
