/* weights_npz.c - weights from the arrays of a .npz file, by their names. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "import/weights_load.h"

struct arrays {
    kiln_npz *file;
    kiln_array *array; /* of the file's, read when they are first wanted; {0} till then */
    int count;
};

static const char *name_of(const void *user, int i)
{
    return kiln_npz_name(((const struct arrays *)user)->file, i);
}

static bool has(const void *user, const char *name)
{
    const struct arrays *a = user;
    for (int i = 0; i < a->count; i++)
        if (!strcmp(kiln_npz_name(a->file, i), name))
            return true;
    return false;
}

static kiln_status get(const void *user, int i, kiln_array *out)
{
    const struct arrays *a = user;
    const kiln_status status =
        a->array[i].data ? KILN_OK : kiln_npz_load(a->file, kiln_npz_name(a->file, i), &a->array[i]);
    *out = a->array[i];
    return status;
}

kiln_status kiln_weights_load_npz(kiln_weights *w, const char *path, const kiln_load_params *params)
{
    struct arrays a = {0};
    kiln_status status = kiln_npz_open(&a.file, path);

    if (status)
        return status;
    a.count = kiln_npz_count(a.file);
    a.array = calloc((size_t)a.count + 1, sizeof *a.array);
    const struct kiln_weights_source from = {
        .path = path, .count = a.count, .user = &a, .name = name_of, .has = has, .get = get};
    status = a.array ? kiln_weights_load_source(w, &from, params)
                     : kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list its arrays", path);
    for (int i = 0; a.array && i < a.count; i++)
        kiln_array_free(&a.array[i]);
    free(a.array);
    kiln_npz_close(&a.file);
    return status;
}
