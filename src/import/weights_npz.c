/* weights_npz.c - weights from the arrays of a .npz file, by their names: all are read and checked before one is written. */
#include <stdlib.h>
#include <string.h>

#include <kiln/import.h>

#include "base/log.h"

struct arrays {
    const char *path;
    kiln_npz *file;
    kiln_array *array; /* of the file's; {0} where it is passed over */
    int count;
};

static bool has(const struct arrays *a, const char *name)
{
    for (int i = 0; i < a->count; i++)
        if (!strcmp(kiln_npz_name(a->file, i), name))
            return true;
    return false;
}

static kiln_status check_presence(const struct arrays *a, const kiln_weights *w)
{
    for (int i = 0; i < kiln_weights_count(w); i++)
        if (!has(a, kiln_weights_name(w, i)))
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: lacks \"%s\", which the weights have", a->path,
                             kiln_weights_name(w, i));
    return KILN_OK;
}

/* Array i, read, if the weights have a tensor of its name. */
static kiln_status take(struct arrays *a, const kiln_weights *w, int i, bool partial)
{
    const char *name = kiln_npz_name(a->file, i);
    kiln_type type;
    kiln_shape shape;
    char wanted[96], got[96];

    if (!kiln_weights_find(w, name, &type, &shape))
        return partial ? KILN_OK
                       : kiln_fail(KILN_ERROR_ARGUMENT,
                                   "%s: has an array \"%s\", the weights have no tensor of that name",
                                   a->path, name);
    const kiln_status status = kiln_npz_load(a->file, name, &a->array[i]);
    const kiln_array *x = &a->array[i];
    if (status)
        return status;
    if (!kiln_shape_equal(&shape, &x->shape))
        return kiln_fail(KILN_ERROR_SHAPE, "%s: \"%s\" is %s, the weights want %s", a->path, name,
                         kiln_shape_text(&x->shape, got, sizeof got),
                         kiln_shape_text(&shape, wanted, sizeof wanted));
    if (type != x->type && !(kiln_type_is_real(type) && kiln_type_is_real(x->type)))
        return kiln_fail(KILN_ERROR_TYPE, "%s: \"%s\" is %s, the weights want %s", a->path, name,
                         kiln_type_name(x->type), kiln_type_name(type));
    return KILN_OK;
}

static kiln_status load(struct arrays *a, kiln_weights *w, bool partial)
{
    kiln_status status = partial ? KILN_OK : check_presence(a, w);

    for (int i = 0; i < a->count && !status; i++)
        status = take(a, w, i, partial);
    for (int i = 0; i < a->count && !status; i++)
        if (a->array[i].data)
            status = kiln_weights_write(w, kiln_npz_name(a->file, i), &a->array[i]);
    return status;
}

kiln_status kiln_weights_load_npz(kiln_weights *w, const char *path, const kiln_load_params *params)
{
    struct arrays a = {.path = path};
    kiln_status status = kiln_npz_open(&a.file, path);

    if (status)
        return status;
    a.count = kiln_npz_count(a.file);
    a.array = calloc((size_t)a.count + 1, sizeof *a.array);
    status = a.array ? load(&a, w, params && params->partial)
                     : kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list its arrays", path);
    for (int i = 0; a.array && i < a.count; i++)
        kiln_array_free(&a.array[i]);
    free(a.array);
    kiln_npz_close(&a.file);
    return status;
}
