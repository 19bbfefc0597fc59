/* case.c - the product of rows, types, shapes and attributes. See case.h. */
#include "check/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/vec.h"

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

static void name_case(struct check_case *one, const char *attributes)
{
    snprintf(one->name, sizeof one->name, "%s/%s/%s%s%s", one->op->name, kiln_type_name(one->type),
             one->shape->sizes, attributes ? "/" : "", attributes ? attributes : "");
}

static bool matches(const char *pattern, const char *text)
{
    return !pattern || kiln_text_match(pattern, text);
}

static bool add_case(const struct check_filter *filter, const struct check_op *op, kiln_type type,
                     const struct check_shape *shape, const struct check_attributes *with,
                     struct check_cases *out)
{
    struct check_case one = {.op = op, .shape = shape, .type = type};

    if ((one.sizes = parse_sizes(shape->sizes, one.n)) < 0) {
        (void)kiln_fail(KILN_ERROR_ARGUMENT, "check: \"%s\" of %s is no shape", shape->sizes, op->name);
        return true;
    }
    if (with)
        memcpy(one.a, with->a, sizeof one.a);
    name_case(&one, with ? with->text : NULL);
    if ((op->fits && !op->fits(&one)) || !matches(filter->name, one.name))
        return true;
    return kiln_vec_push(out, one);
}

static bool add_type(const struct check_filter *filter, const struct check_op *op, kiln_type type,
                     struct check_cases *out)
{
    bool room = true;

    for (const struct check_shape *shape = op->shapes; shape->sizes && room; shape++) {
        if (!op->attributes)
            room = add_case(filter, op, type, shape, NULL, out);
        for (const struct check_attributes *with = op->attributes; with && with->text && room; with++)
            room = add_case(filter, op, type, shape, with, out);
    }
    return room;
}

static bool add_op(const struct check_filter *filter, const struct check_op *op, struct check_cases *out)
{
    bool room = true;

    for (kiln_type type = 0; kiln_type_size(type) > 0 && room; type++)
        if (op->types >> type & 1 && matches(filter->type, kiln_type_name(type)))
            room = add_type(filter, op, type, out);
    return room;
}

bool check_list(const struct check_filter *filter, struct check_cases *out)
{
    bool room = true;

    for (int f = 0; check_families[f]; f++)
        for (const struct check_op *op = check_families[f]; op->name && room; op++)
            if (matches(filter->op, op->name))
                room = add_op(filter, op, out);
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
