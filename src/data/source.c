/* source.c - what all sources share: life, item sizes, the columns of labelled pictures. */
#include "data/source.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/number.h"

void *kiln_source_create(size_t bytes, const struct kiln_source_ops *ops)
{
    struct kiln_source *source = calloc(1, bytes);

    if (!source) {
        kiln_fail(KILN_ERROR_MEMORY, "dataset: out of memory");
        return NULL;
    }
    source->ops = ops;
    atomic_init(&source->references, 1);
    return source;
}

void kiln_source_release(struct kiln_source *source)
{
    if (!source || atomic_fetch_sub(&source->references, 1) > 1)
        return;
    source->ops->close(source);
    kiln_arena_finish(&source->arena);
    free(source);
}

size_t kiln_source_item_bytes(const struct kiln_source *source, int column)
{
    const kiln_column *c = &source->column[column];
    return (size_t)kiln_shape_count(&c->shape) * kiln_type_size(c->type);
}

/* "0", "1", ... */
static const char *const *number_classes(struct kiln_source *source, int classes)
{
    const char **names = kiln_arena_alloc(&source->arena, (size_t)classes * sizeof *names);
    char text[16];

    for (int i = 0; names && i < classes; i++) {
        snprintf(text, sizeof text, "%d", i);
        if (!(names[i] = kiln_arena_text(&source->arena, text)))
            return NULL;
    }
    return names;
}

kiln_status kiln_source_set_pictures(struct kiln_source *source, kiln_shape image, int classes,
                                     const char *const *class_name)
{
    source->columns = 2;
    source->column[0] = (kiln_column){.name = "image", .type = KILN_F32, .shape = image};
    source->column[1] = (kiln_column){.name = "label", .type = KILN_I32, .classes = classes};
    source->classes = classes;
    source->class_name = class_name ? class_name : number_classes(source, classes);
    return source->class_name ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "dataset: out of memory");
}
