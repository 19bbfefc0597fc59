/*
 * record.c - what somebody else needs to make the same run: the weights at the beginning (start.safetensors) and every batch in
 * order (batches.safetensors), those of the check pairs too. tools/peers/translate.py makes it with PyTorch.
 *
 *   train.STEP.source, .source_length, .given, .wanted, .wanted_length      of step 1, 2, ..
 *   check.BATCH.source ..
 */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more batch. */
static bool grow(struct recording *r)
{
    if (r->count + KILN_MAX_COLUMNS <= r->room)
        return true;
    const int room = 2 * r->room + 64;
    kiln_safetensors_entry *entries = realloc(r->entries, (size_t)room * sizeof *entries);
    if (!entries)
        return false;
    r->entries = entries;
    r->room = room;
    return true;
}

static kiln_status add(struct recording *r, const char *name, const kiln_array *a)
{
    const size_t length = strlen(name) + 1;
    char *copy = malloc(a->bytes + length); /* values, then the name */
    if (!copy)
        return KILN_ERROR_MEMORY;
    memcpy(copy, a->data, a->bytes);
    memcpy(copy + a->bytes, name, length);
    r->entries[r->count++] =
        (kiln_safetensors_entry){.name = copy + a->bytes, .type = a->type, .shape = a->shape, .data = copy};
    return KILN_OK;
}

kiln_status record_batch(struct recording *r, const char *kind, const kiln_batch *batch, int64_t number)
{
    kiln_status status = grow(r) ? KILN_OK : KILN_ERROR_MEMORY;
    for (int i = 0; i < batch->columns && !status; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%lld.%s", kind, (long long)number, batch->name[i]);
        status = add(r, name, &batch->column[i]);
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
