/* case.c - the product of rows, types, shapes and attributes. See case.h. */
#include "check/case.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/text.h"
#include "base/vec.h"

enum { DRAWN_SHAPES = 2, LARGEST_DRAWN = 1 << 14 };

/* Single cases --------------------------------------------------------------------------------------------- */

/* The numbers in a shape's text; -1 where it is none. */
static int parse_sizes(const char *text, int64_t n[CHECK_SIZES])
{
    int count = 0;

    while (count < CHECK_SIZES && *text >= '0' && *text <= '9') {
        char *end;
        n[count++] = strtoll(text, &end, 10);
        if (!*end)
            return count;
        if (*end != 'x' && *end != ',')
            break;
        text = end + 1;
    }
    return -1;
}

static bool matches(const char *pattern, const char *text)
{
    return !pattern || kiln_text_match(pattern, text);
}

bool check_is_wanted(const struct check_filter *filter, const char *name)
{
    return matches(filter->name, name) && (!filter->names || kiln_map_find(filter->names, name) >= 0);
}

/* What is under way. */
struct listing {
    const struct check_filter *filter;
    struct check_cases *out;
    const struct check_op *op;
    kiln_type type;
    bool drawn;
};

static bool add_case(const struct listing *l, const struct check_shape *shape,
                     const struct check_attributes *with)
{
    struct check_case one = {.op = l->op, .why = shape->why, .type = l->type, .drawn = l->drawn};

    if ((one.sizes = parse_sizes(shape->sizes, one.n)) < 0) {
        (void)kiln_fail(KILN_ERROR_ARGUMENT, "check: \"%s\" of %s is no shape", shape->sizes, l->op->name);
        return true;
    }
    if (with)
        memcpy(one.a, with->a, sizeof one.a);
    snprintf(one.name, sizeof one.name, "%s/%s/%s%s%s", l->op->name, kiln_type_name(l->type), shape->sizes,
             with ? "/" : "", with ? with->text : "");
    if ((l->op->fits && !l->op->fits(&one)) || !check_is_wanted(l->filter, one.name))
        return true;
    return kiln_vec_push(l->out, one);
}

static bool add_shape(const struct listing *l, const struct check_shape *shape)
{
    bool room = true;

    if (!l->op->attributes)
        return add_case(l, shape, NULL);
    for (const struct check_attributes *with = l->op->attributes; with->text && room; with++)
        room = add_case(l, shape, with);
    return room;
}

/* Random shapes -------------------------------------------------------------------------------------------- */

/* Each size from 1 to twice what it was, less where they would become many elements. */
static void draw_sizes(struct kiln_rng *rng, const char *text, char *to, size_t bytes)
{
    int64_t n[CHECK_SIZES], product = 1;
    const int count = parse_sizes(text, n);
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        const int64_t most = 2 * n[i] < LARGEST_DRAWN / product ? 2 * n[i] : LARGEST_DRAWN / product;
        const int64_t size = 1 + (most > 1 ? kiln_rng_below(rng, (uint32_t)most) : 0);
        text += strcspn(text, "x,");
        length += (size_t)snprintf(to + length, bytes - length, "%" PRId64 "%.1s", size, text);
        text += *text != 0;
        product *= size;
    }
}

static int shapes_of(const struct check_op *op)
{
    int count = 0;

    while (op->shapes[count].sizes)
        count++;
    return count;
}

/* By name, so that the same seed gives the same shapes whatever else is listed. */
static bool add_drawn(const struct listing *l)
{
    struct kiln_rng rng;
    bool room = true;

    kiln_rng_init(&rng, l->filter->seed, kiln_rng_stream(l->op->name));
    for (int i = 0; i < DRAWN_SHAPES && room; i++) {
        char sizes[24 * CHECK_SIZES] = "";
        const uint32_t like = kiln_rng_below(&rng, (uint32_t)shapes_of(l->op));
        draw_sizes(&rng, l->op->shapes[like].sizes, sizes, sizeof sizes);
        room = add_shape(l, &(struct check_shape){sizes, "random sizes"});
    }
    return room;
}

bool check_is_misfit(const struct check_case *one, kiln_status status)
{
    return one->drawn && (status == KILN_ERROR_SHAPE || status == KILN_ERROR_ARGUMENT);
}

/* Parts ---------------------------------------------------------------------------------------------------- */

/* Where a case stands among those of its operator and type; what is kept does not depend on the others' order. */
static uint64_t key_of(const struct check_filter *filter, const struct check_case *one)
{
    return kiln_hash(kiln_rng_stream(one->name), &filter->seed, sizeof filter->seed);
}

/* Keep the share of the cases from `first` on with the least keys. */
static void keep_share(const struct check_filter *filter, struct check_cases *out, int first)
{
    const int count = out->count - first, wanted = (int)ceil(filter->share * count);
    int kept = 0;
    bool *keep = calloc((size_t)count + 1, sizeof *keep);

    for (int i = 0; keep && i < count; i++) {
        const uint64_t key = key_of(filter, &out->data[first + i]);
        int before = 0;
        for (int k = 0; k < count; k++)
            before += key_of(filter, &out->data[first + k]) < key;
        keep[i] = before < wanted;
    }
    for (int i = 0; keep && i < count; i++)
        if (keep[i])
            out->data[first + kept++] = out->data[first + i];
    out->count = first + kept;
    free(keep);
}

static void keep_part(const struct check_filter *filter, struct check_cases *out)
{
    int kept = 0;

    for (int i = filter->part - 1; i < out->count; i += filter->parts)
        out->data[kept++] = out->data[i];
    out->count = kept;
}

/* All ------------------------------------------------------------------------------------------------------ */

static bool add_type(struct listing *l)
{
    const int first = l->out->count;
    bool room = true;

    l->drawn = false;
    for (const struct check_shape *shape = l->op->shapes; shape->sizes && room; shape++)
        room = add_shape(l, shape);
    l->drawn = true;
    if (l->filter->seed && !l->op->large && room)
        room = add_drawn(l);
    if (l->filter->share > 0)
        keep_share(l->filter, l->out, first);
    return room;
}

static bool add_op(struct listing *l)
{
    bool room = true;

    for (l->type = 0; kiln_type_size(l->type) > 0 && room; l->type++)
        if (l->op->types >> l->type & 1 && matches(l->filter->type, kiln_type_name(l->type)))
            room = add_type(l);
    return room;
}

bool check_is_part(const struct check_filter *f)
{
    return !f->op && !f->type && !f->name && !f->names && !f->families && f->share <= 0;
}

bool check_is_whole(const struct check_filter *f)
{
    return check_is_part(f) && !f->parts;
}

bool check_list(const struct check_filter *filter, struct check_cases *out)
{
    const struct check_op *const *families = filter->families ? filter->families : check_families;
    struct listing l = {.filter = filter, .out = out};
    bool room = true;

    for (int f = 0; families[f]; f++)
        for (l.op = families[f]; l.op->name && room; l.op++)
            if (matches(filter->op, l.op->name) && !(l.op->large && filter->share > 0))
                room = add_op(&l);
    if (filter->parts)
        keep_part(filter, out);
    return room;
}

kiln_status check_build(struct check_graph *c, const struct check_case *one)
{
    kiln_status status;

    *c = (struct check_graph){.one = one, .type = one->type, .n = one->n, .a = one->a};
    if ((status = kiln_graph_create(&c->g, &(kiln_graph_params){.name = one->name})))
        return status;
    one->op->build(c);
    if ((status = kiln_graph_status(c->g)))
        kiln_graph_destroy(&c->g);
    return status;
}
