/* rows.c - the tables of cases: named apart, and wide enough. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "check/case.h"
#include "graph/graph.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/table.h"

enum { SHAPES = 8 }; /* of each operator and type at the least */

static struct check_cases all_cases(void)
{
    struct check_cases cases = {0};

    cr_assert(check_list(&(struct check_filter){0}, &cases));
    return cases;
}

Test(rows, name_each_case_once)
{
    struct check_cases cases = all_cases();
    struct kiln_map names = {0};

    for (int i = 0; i < cases.count; i++) {
        const char *name = cases.data[i].name;
        cr_expect(kiln_map_find(&names, name) < 0, "%s is there twice", name);
        cr_expect(strlen(name) + 1 < sizeof cases.data[i].name, "%s is cut off", name);
        cr_assert(kiln_map_put(&names, name, i));
    }
    kiln_map_finish(&names);
    free(cases.data);
}

static bool same_group(const struct check_case *a, const struct check_case *b)
{
    return !strcmp(a->op->name, b->op->name) && a->type == b->type;
}

/* Classes among the cases of the first one's operator and type, wherever they are listed. */
static int shapes_like(const struct check_cases *cases, const struct check_case *first)
{
    struct kiln_map shapes = {0};
    int count = 0;

    for (int i = 0; i < cases->count; i++) {
        const struct check_case *one = &cases->data[i];
        char sizes[sizeof one->name];
        if (!same_group(one, first))
            continue;
        snprintf(sizes, sizeof sizes, "%s", strchr(strchr(one->name, '/') + 1, '/') + 1);
        sizes[strcspn(sizes, "/")] = 0;
        if (kiln_map_find(&shapes, sizes) < 0)
            cr_assert(kiln_map_put(&shapes, sizes, count++));
    }
    kiln_map_finish(&shapes);
    return count;
}

Test(rows, give_each_operator_and_type_eight_shape_classes)
{
    struct check_cases cases = all_cases();

    for (int i = 0; i < cases.count; i++)
        if (!cases.data[i].op->large && (i == 0 || !same_group(&cases.data[i], &cases.data[i - 1]))) {
            const int shapes = shapes_like(&cases, &cases.data[i]);
            cr_expect(shapes >= SHAPES, "%s has %d shape classes", cases.data[i].name, shapes);
        }
    free(cases.data);
}

/* Which operators nodes of the case are, its gradients' among them. */
static void mark_operators(const kiln_graph *g, struct kiln_map *seen)
{
    for (int i = 0; i < g->node.count; i++) {
        const char *name = g->node.data[i]->op->name;
        if (kiln_map_find(seen, name) < 0)
            cr_assert(kiln_map_put(seen, name, 1));
    }
}

/* What no graph that is built has. */
static bool is_the_compilers(const kiln_op *op)
{
    return op == &kiln_op_chain || op == &kiln_op_conv_integer_last || op == &kiln_op_pool_last;
}

Test(rows, reach_every_operator)
{
    struct check_cases cases = all_cases();
    struct kiln_map seen = {0};

    for (int i = 0; i < cases.count; i++) {
        struct check_graph c;
        if (check_build(&c, &cases.data[i]))
            continue;
        mark_operators(c.g, &seen);
        kiln_graph_destroy(&c.g);
    }
    for (int i = 0; kiln_ops[i]; i++)
        cr_expect(is_the_compilers(kiln_ops[i]) || kiln_map_find(&seen, kiln_ops[i]->name) >= 0,
                  "no case has the operator %s", kiln_ops[i]->name);
    kiln_map_finish(&seen);
    free(cases.data);
}
