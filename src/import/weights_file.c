/* weights_file.c - weights to and from safetensors. */
#include <stdlib.h>

#include "base/log.h"
#include "import/safetensors.h"
#include "import/weights_load.h"

/* Saving ------------------------------------------------------------------------------------------------- */

static kiln_status read_weight(void *user, const char *name, kiln_array *dst)
{
    return kiln_weights_read(user, name, dst);
}

static kiln_status list_weights(kiln_weights *w, const char *path, kiln_safetensors_entry *entries, int count)
{
    for (int i = 0; entries && i < count; i++) {
        kiln_safetensors_entry *entry = &entries[i];
        *entry = (kiln_safetensors_entry){.name = kiln_weights_name(w, i), .read = read_weight, .user = w};
        if (!entry->name)
            return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list %d tensors", path, count);
        kiln_weights_find(w, entry->name, &entry->type, &entry->shape);
    }
    return entries ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list %d tensors", path, count);
}

kiln_status kiln_weights_save_noted(kiln_weights *w, const char *path, const kiln_note *notes, int note_count)
{
    const int count = kiln_weights_count(w);
    kiln_safetensors_entry *entries = calloc((size_t)count + 1, sizeof *entries);
    kiln_status status = list_weights(w, path, entries, count);

    if (!status)
        status = kiln_safetensors_save(path, entries, count, notes, note_count);
    free(entries);
    return status;
}

kiln_status kiln_weights_save(kiln_weights *w, const char *path)
{
    return kiln_weights_save_noted(w, path, NULL, 0);
}

/* Loading ------------------------------------------------------------------------------------------------ */

static const char *name_of(const void *user, int i)
{
    return kiln_safetensors_name(user, i);
}

static bool has(const void *user, const char *name)
{
    kiln_array view;
    return kiln_safetensors_find(user, name, &view);
}

static kiln_status get(const void *user, int i, kiln_array *out)
{
    kiln_safetensors_find(user, name_of(user, i), out);
    return KILN_OK;
}

kiln_status kiln_weights_load_from(kiln_weights *w, const kiln_safetensors *file,
                                   const kiln_load_params *params)
{
    const struct kiln_weights_source from = {.path = kiln_safetensors_path(file),
                                             .count = kiln_safetensors_count(file),
                                             .user = file,
                                             .name = name_of,
                                             .has = has,
                                             .get = get};
    return kiln_weights_load_source(w, &from, params);
}

kiln_status kiln_weights_load(kiln_weights *w, const char *path, const kiln_load_params *params)
{
    kiln_safetensors *file;
    kiln_status status = kiln_safetensors_open(&file, path);

    if (!status)
        status = kiln_weights_load_from(w, file, params);
    kiln_safetensors_close(&file);
    return status;
}
