/* run_inputs.c - what a model is shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

/* Pictures -------------------------------------------------------------------------------------------------- */

static bool are_channels(int64_t size)
{
    return size == 1 || size == 3;
}

/* The layout that is asked for, or else the one in which the channels stand where they can. */
static kiln_status find_layout(const struct run_options *o, kiln_image_params *p)
{
    const int front = p->shape.rank - 3, back = p->shape.rank - 1;
    if (o->layout && strcmp(o->layout, "nchw") && strcmp(o->layout, "nhwc"))
        return run_wrong("--layout \"%s\": wanted nchw or nhwc", o->layout);
    const bool last =
        o->layout ? !strcmp(o->layout, "nhwc")
                  : front >= 0 && are_channels(p->shape.size[back]) && !are_channels(p->shape.size[front]);
    p->layout = last ? KILN_IMAGE_CHANNELS_LAST : KILN_IMAGE_CHANNELS_FIRST;
    return KILN_OK;
}

/* The first input that is a picture by its shape, the first of all if none is. */
static kiln_tensor picture_input(const kiln_graph *g)
{
    for (int i = 0; i < kiln_graph_input_count(g); i++) {
        const kiln_shape s = kiln_tensor_shape(g, kiln_graph_input(g, i));
        if (s.rank == 4 && (are_channels(s.size[1]) || are_channels(s.size[3])))
            return kiln_graph_input(g, i);
    }
    return kiln_graph_input(g, 0);
}

/* Write n pictures of one shape, one behind the other, along axis 0. */
static kiln_status write_stack(struct run *r, kiln_tensor input, const kiln_array *picture, int n)
{
    kiln_array all = picture[0];
    const size_t bytes = (size_t)kiln_shape_count(&all.shape) * kiln_type_size(all.type);
    if (n > 1 && all.shape.rank != 4)
        return run_wrong("%d pictures for an input without a batch", n);
    if (!(all.data = malloc((size_t)n * bytes + 1)))
        return KILN_ERROR_MEMORY;
    kiln_status status = KILN_OK;
    for (int i = 0; i < n && !status; i++) {
        if (kiln_shape_equal(&picture[i].shape, &picture[0].shape))
            memcpy((char *)all.data + (size_t)i * bytes, picture[i].data, bytes);
        else
            status =
                run_wrong("\"%s\" is of another size than \"%s\"", r->o->image.item[i], r->o->image.item[0]);
    }
    if (all.shape.rank == 4)
        all.shape.size[0] = n;
    all.bytes = (size_t)n * bytes;
    if (!status)
        status = kiln_program_write(r->program, input, &all);
    if (!status && r->reference)
        status = kiln_program_write(r->reference, input, &all);
    free(all.data);
    return status;
}

static kiln_status write_pictures(struct run *r)
{
    kiln_array picture[ARGS_MOST] = {{0}};
    const struct args_list *files = &r->o->image;
    const kiln_tensor input = picture_input(r->g);
    kiln_image_params p = {.shape = kiln_tensor_shape(r->g, input), .type = kiln_tensor_type(r->g, input)};
    kiln_status status = presets_take("run", &r->o->picture, &p);
    if (!status)
        status = find_layout(r->o, &p);
    if (!status && p.shape.rank == 4 && p.shape.size[0] >= 0 && p.shape.size[0] != files->count)
        status =
            run_wrong("%d picture%s for input \"%s\", which takes %lld at once", files->count,
                      files->count > 1 ? "s" : "", kiln_tensor_name(r->g, input), (long long)p.shape.size[0]);
    if (p.shape.rank == 4)
        p.shape.size[0] = 1;
    for (int i = 0; i < files->count && !status; i++)
        status = kiln_image_load(&picture[i], files->item[i], &p);
    if (!status)
        status = write_stack(r, input, picture, files->count);
    for (int i = 0; i < files->count; i++)
        kiln_array_free(&picture[i]);
    return status;
}

/* Made-up values --------------------------------------------------------------------------------------------- */

static bool is_given(const struct run *r, kiln_tensor input)
{
    bool given = r->o->image.count && picture_input(r->g).id == input.id;
    for (int i = 0; i < r->arrays.item.count; i++) {
        const struct arrays_item *item = &r->arrays.item.data[i];
        given = given || (!item->constant && arrays_input("run", r->g, item->name).id == input.id);
    }
    return given;
}

static kiln_status make_up(struct run *r, kiln_tensor input)
{
    const kiln_shape shape = arrays_shape(r->g, input, &r->o->size);
    if (!r->o->random)
        return run_wrong("input \"%s\" has no value: give --image FILE, --input %s=FILE or --random",
                         kiln_tensor_name(r->g, input), kiln_tensor_name(r->g, input));
    kiln_status status = arrays_make_up(r->program, r->g, input, shape, r->o->seed);
    if (!status && r->reference)
        status = arrays_make_up(r->reference, r->g, input, shape, r->o->seed);
    return status;
}

kiln_status run_write_inputs(struct run *r)
{
    kiln_status status = r->o->image.count ? write_pictures(r) : KILN_OK;
    if (!status)
        status = arrays_write(&r->arrays, r->program, r->g);
    if (!status && r->reference)
        status = arrays_write(&r->arrays, r->reference, r->g);
    for (int i = 0; !status && i < kiln_program_input_count(r->program); i++) {
        const kiln_tensor input = kiln_program_input(r->program, i);
        if (!is_given(r, input))
            status = make_up(r, input);
    }
    return status;
}
