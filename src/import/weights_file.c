/*
 * weights_file.c - weights to and from safetensors.
 *
 * Loading compares every tensor of the file with the store before it writes the first, so that a file that does not fit
 * changes nothing. A name "ARENA/parameter" that the store lacks fits if the parameter does: writing it makes the arena,
 * and so a checkpoint may be loaded before its optimizer is there.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/import.h>
#include <kiln/weights.h>

#include "base/log.h"
#include "import/safetensors.h"

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

/* The tensor that must agree with one of the file: it itself, or the parameter behind an arena's name. */
static bool find_counterpart(const kiln_weights *w, const char *name, kiln_type *type, kiln_shape *shape)
{
    bool found = kiln_weights_find(w, name, type, shape);

    for (const char *slash = strchr(name, '/'); !found && slash; slash = strchr(slash + 1, '/'))
        found = kiln_weights_is_parameter(w, slash + 1) && kiln_weights_find(w, slash + 1, type, shape);
    return found;
}

static kiln_status check_tensor(const kiln_weights *w, const kiln_safetensors *file, const char *name)
{
    kiln_array view;
    kiln_type type;
    kiln_shape shape;
    char wanted[96], got[96];

    kiln_safetensors_find(file, name, &view);
    if (!find_counterpart(w, name, &type, &shape))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: has a tensor \"%s\", the weights have none of that name",
                         kiln_safetensors_path(file), name);
    if (!kiln_shape_equal(&shape, &view.shape))
        return kiln_fail(KILN_ERROR_SHAPE, "%s: \"%s\" is %s, the weights want %s",
                         kiln_safetensors_path(file), name, kiln_shape_text(&view.shape, got, sizeof got),
                         kiln_shape_text(&shape, wanted, sizeof wanted));
    if (type != view.type && !(kiln_type_is_real(type) && kiln_type_is_real(view.type)))
        return kiln_fail(KILN_ERROR_TYPE, "%s: \"%s\" is %s, the weights want %s",
                         kiln_safetensors_path(file), name, kiln_type_name(view.type), kiln_type_name(type));
    return KILN_OK;
}

static kiln_status check_presence(const kiln_weights *w, const kiln_safetensors *file)
{
    kiln_array view;

    for (int i = 0; i < kiln_weights_count(w); i++)
        if (!kiln_safetensors_find(file, kiln_weights_name(w, i), &view))
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: lacks \"%s\", which the weights have",
                             kiln_safetensors_path(file), kiln_weights_name(w, i));
    return KILN_OK;
}

/* Whether a tensor of the file is passed over. */
static bool is_skipped(const kiln_weights *w, const char *name, bool partial)
{
    kiln_type type;
    kiln_shape shape;
    return partial && !find_counterpart(w, name, &type, &shape);
}

static kiln_status check_all(const kiln_weights *w, const kiln_safetensors *file, bool partial)
{
    kiln_status status = partial ? KILN_OK : check_presence(w, file);

    for (int i = 0; i < kiln_safetensors_count(file) && !status; i++) {
        const char *name = kiln_safetensors_name(file, i);
        if (!is_skipped(w, name, partial))
            status = check_tensor(w, file, name);
    }
    return status;
}

kiln_status kiln_weights_load_from(kiln_weights *w, const kiln_safetensors *file,
                                   const kiln_load_params *params)
{
    const bool partial = params && params->partial;
    kiln_status status = check_all(w, file, partial);

    for (int i = 0; i < kiln_safetensors_count(file) && !status; i++) {
        const char *name = kiln_safetensors_name(file, i);
        kiln_array view;
        kiln_safetensors_find(file, name, &view);
        if (!is_skipped(w, name, partial))
            status = kiln_weights_write(w, name, &view);
    }
    return status;
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
