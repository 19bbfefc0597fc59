/* report_group.c - a report's entries by operator and type. See report.h. */
#include <math.h>
#include <string.h>

#include "check/report.h"

static bool belongs(const struct check_group *g, const struct check_case *one)
{
    return g->op == one->op && g->type == one->type;
}

static void add_entry(struct check_group *g, const struct check_entry *e, bool new_shape)
{
    g->count[e->status]++;
    g->shapes += new_shape;
    g->share = fmax(g->share, e->share);
    g->ulp = fmax(g->ulp, e->ulp);
    g->slopes += e->slopes;
    g->slope_error = fmax(g->slope_error, e->slope_error);
}

/* Entries of a group follow one another, and those of a shape do. */
struct check_group *check_group_entries(const struct check_report *r, int *count)
{
    KILN_VEC(struct check_group) groups = {0};

    for (int i = 0; i < r->entry.count; i++) {
        const struct check_case *one = r->entry.data[i].one;
        const struct check_case *before = i ? r->entry.data[i - 1].one : NULL;
        const bool fresh = !groups.count || !belongs(&groups.data[groups.count - 1], one);
        if (fresh && !kiln_vec_push(&groups, (struct check_group){.op = one->op, .type = one->type})) {
            kiln_vec_finish(&groups);
            return NULL;
        }
        add_entry(&groups.data[groups.count - 1], &r->entry.data[i],
                  fresh || memcmp(before->n, one->n, sizeof one->n));
    }
    *count = groups.count;
    return groups.data;
}
