/*
 * give_up.c - weights that a program keeps in a form of its own, given up in the one in which they came.
 *
 * The prologue packs weights for the kernels. What no step of the body reads then lies there for later only: to be read, saved,
 * trained, or packed for other sizes. A program that was told to do without returns that memory to the system, page by page, where
 * the device's memory is the host's.
 */
#include "base/file.h"
#include "base/log.h"
#include "program/program.h"

/* The end of what the body touches of a chunk from `at` on, or where it touches it next: the first of both beyond `at`. */
static uint64_t next_border(const struct kiln_plan *plan, int chunk, uint64_t at, bool *touched)
{
    uint64_t border = UINT64_MAX;
    *touched = false;
    for (int i = 0; i < plan->step.count; i++) {
        const struct kiln_step *s = &plan->step.data[i];
        for (int k = 0; k < s->touches && !s->prologue; k++) {
            const struct kiln_touch *t = &s->touch[k];
            const struct kiln_object *o = t->object < 0 ? NULL : &plan->object.data[t->object];
            if (!o || o->kind != KILN_OBJECT_ARENA || o->index || o->chunk != chunk)
                continue;
            const uint64_t first = t->offset, end = t->offset + t->bytes;
            if (first <= at && at < end) {
                *touched = true;
                return end;
            }
            border = first > at && first < border ? first : border;
        }
    }
    return border;
}

static void give_up_chunk(struct kiln_program *p, const struct kiln_plan *plan, int chunk)
{
    struct kiln_buffer *b = kiln_copy_arena(p->weights_copy, 0, chunk);
    for (uint64_t at = 0; b && b->map && at < b->bytes;) {
        bool touched;
        const uint64_t border = next_border(plan, chunk, at, &touched),
                       end = border < b->bytes ? border : b->bytes;
        if (!touched)
            kiln_pages_forget((const unsigned char *)b->map + at, (size_t)(end - at));
        at = end;
    }
}

kiln_status kiln_program_give_up(kiln_program *p, const struct kiln_ready *r)
{
    struct kiln_store_data *s = p->weights->store;
    if (!kiln_store_claim(s, r))
        return KILN_OK;
    const kiln_status status = kiln_store_wait(s, p->weights_copy);
    for (int k = 0; k < s->chunk.count && !status; k++)
        give_up_chunk(p, r->plan, k);
    return status;
}

kiln_status kiln_program_has_weights(const kiln_program *p, const struct kiln_ready *r)
{
    return kiln_store_serves(p->weights->store, r)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_ARGUMENT,
                           "program: the weights were given up for %s, which alone runs with them",
                           p->give_up ? "the first run's sizes" : "another program");
}
