/*
 * record.c - what somebody else needs to make the same run: the weights at the beginning (start.safetensors) and every batch in
 * order (batches.safetensors), those of the check pairs too. tools/peers/translate.py makes it with PyTorch.
 *
 *   train.STEP.source, .lengths, .given, .wanted, .counts      of step 1, 2, ..
 *   check.BATCH.source ..
 */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 5 };

/* Room for one more. */
static bool grow(struct recording *r)
{
    if (r->count + COLUMNS <= r->room)
        return true;
    const int room = 2 * r->room + 64;
    kiln_safetensors_entry *entries = realloc(r->entries, (size_t)room * sizeof *entries);
    if (!entries)
        return false;
    r->entries = entries;
    r->room = room;
    return true;
}

static kiln_status add(struct recording *r, const char *name, const int32_t *data, kiln_shape shape)
{
    const size_t bytes = (size_t)kiln_shape_count(&shape) * sizeof *data, length = strlen(name) + 1;
    char *copy = malloc(bytes + length); /* values, then the name */
    if (!copy)
        return KILN_ERROR_MEMORY;
    memcpy(copy, data, bytes);
    memcpy(copy + bytes, name, length);
    r->entries[r->count++] =
        (kiln_safetensors_entry){.name = copy + bytes, .type = KILN_I32, .shape = shape, .data = copy};
    return KILN_OK;
}

kiln_status record_batch(struct recording *r, const char *kind, const struct batches *b, int64_t number)
{
    const struct {
        const char *name;
        const int32_t *data;
        kiln_shape shape;
    } columns[COLUMNS] = {{"source", b->source, KILN_SHAPE(b->size, b->sources)},
                          {"lengths", b->lengths, KILN_SHAPE(b->size)},
                          {"given", b->given, KILN_SHAPE(b->size, b->targets)},
                          {"wanted", b->wanted, KILN_SHAPE(b->size, b->targets)},
                          {"counts", b->counts, KILN_SHAPE(b->size)}};
    kiln_status status = grow(r) ? KILN_OK : KILN_ERROR_MEMORY;
    for (int i = 0; i < COLUMNS && !status; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%lld.%s", kind, (long long)number, columns[i].name);
        status = add(r, name, columns[i].data, columns[i].shape);
    }
    return status;
}

kiln_status save_recording(struct recording *r, const char *dir)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/batches.safetensors", dir);
    return kiln_safetensors_save(path, r->entries, r->count, NULL, 0);
}

void free_recording(struct recording *r)
{
    for (int i = 0; i < r->count; i++)
        free((void *)(uintptr_t)r->entries[i].data);
    free(r->entries);
    *r = (struct recording){0};
}
