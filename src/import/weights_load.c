/*
 * weights_load.c - weights from a file's tensors.
 *
 * Every tensor of the file is compared with the store before the first is written, so that a file that does not fit changes
 * nothing. A name "ARENA/parameter" that the store lacks fits if the parameter does: writing it makes the arena, and so a
 * checkpoint may be loaded before its optimizer is there.
 */
#include "import/weights_load.h"

#include <string.h>

#include "base/log.h"

/* The tensor that must agree with one of the file: it itself, or the parameter behind an arena's name. */
static bool find_counterpart(const kiln_weights *w, const char *name, kiln_type *type, kiln_shape *shape)
{
    bool found = kiln_weights_find(w, name, type, shape);

    for (const char *slash = strchr(name, '/'); !found && slash; slash = strchr(slash + 1, '/'))
        found = kiln_weights_is_parameter(w, slash + 1) && kiln_weights_find(w, slash + 1, type, shape);
    return found;
}

static kiln_status check_tensor(const kiln_weights *w, const struct kiln_weights_source *from, int i)
{
    const char *name = from->name(from->user, i);
    kiln_array x;
    kiln_type type;
    kiln_shape shape;
    char wanted[96], got[96];

    if (!find_counterpart(w, name, &type, &shape))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: has a tensor \"%s\", the weights have none of that name",
                         from->path, name);
    const kiln_status status = from->get(from->user, i, &x);
    if (status)
        return status;
    if (!kiln_shape_equal(&shape, &x.shape))
        return kiln_fail(KILN_ERROR_SHAPE, "%s: \"%s\" is %s, the weights want %s", from->path, name,
                         kiln_shape_text(&x.shape, got, sizeof got),
                         kiln_shape_text(&shape, wanted, sizeof wanted));
    if (type != x.type && !(kiln_type_is_real(type) && kiln_type_is_real(x.type)))
        return kiln_fail(KILN_ERROR_TYPE, "%s: \"%s\" is %s, the weights want %s", from->path, name,
                         kiln_type_name(x.type), kiln_type_name(type));
    return KILN_OK;
}

static kiln_status check_presence(const kiln_weights *w, const struct kiln_weights_source *from)
{
    for (int i = 0; i < kiln_weights_count(w); i++)
        if (!from->has(from->user, kiln_weights_name(w, i)))
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: lacks \"%s\", which the weights have", from->path,
                             kiln_weights_name(w, i));
    return KILN_OK;
}

/* Whether a tensor of the file is passed over. */
static bool is_skipped(const kiln_weights *w, const char *name, bool partial)
{
    kiln_type type;
    kiln_shape shape;
    return partial && !find_counterpart(w, name, &type, &shape);
}

static kiln_status check_all(const kiln_weights *w, const struct kiln_weights_source *from, bool partial)
{
    kiln_status status = partial ? KILN_OK : check_presence(w, from);

    for (int i = 0; i < from->count && !status; i++)
        if (!is_skipped(w, from->name(from->user, i), partial))
            status = check_tensor(w, from, i);
    return status;
}

kiln_status kiln_weights_load_source(kiln_weights *w, const struct kiln_weights_source *from,
                                     const kiln_load_params *params)
{
    const bool partial = params && params->partial;
    kiln_status status = check_all(w, from, partial);

    for (int i = 0; i < from->count && !status; i++) {
        const char *name = from->name(from->user, i);
        kiln_array x;
        if (is_skipped(w, name, partial))
            continue;
        status = from->get(from->user, i, &x);
        if (!status)
            status = kiln_weights_write(w, name, &x);
    }
    return status;
}
