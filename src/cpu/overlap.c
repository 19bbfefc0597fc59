/* overlap.c - the meaning of overlap (units: pairs) and overlap_grad (units: boxes). x and y are indices 0 and 1. */
#include "overlap/overlap.h"

#include <math.h>

#include "cpu/reference.h"

static const double turns = 0.40528473456935109; /* 4 / pi^2 */

struct pair {
    double size_a[2], size_b[2], both[2], hull[2], apart[2];
    double intersection, all, iou; /* all: the area of the union */
    double turn, alpha;            /* CIOU: the difference of the angles, and its weight */
};

static double quotient(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double area_of(const double *size)
{
    return size[0] * size[1];
}

static double squares_of(const double *size)
{
    return size[0] * size[0] + size[1] * size[1];
}

static struct pair pair_of(uint32_t kind, const real *a, const real *b)
{
    struct pair q = {0};
    for (int i = 0; i < 2; i++) {
        const double a1 = a[i], a2 = a[2 + i], b1 = b[i], b2 = b[2 + i];
        q.size_a[i] = fmax(a2 - a1, 0);
        q.size_b[i] = fmax(b2 - b1, 0);
        q.both[i] = fmax(fmin(a2, b2) - fmax(a1, b1), 0);
        q.hull[i] = fmax(fmax(a2, b2) - fmin(a1, b1), 0);
        q.apart[i] = (a1 + a2 - b1 - b2) / 2;
    }
    q.intersection = area_of(q.both);
    q.all = area_of(q.size_a) + area_of(q.size_b) - q.intersection;
    q.iou = quotient(q.intersection, q.all);
    if (kind == KILN_OVERLAP_CIOU) {
        q.turn = atan2(q.size_a[0], q.size_a[1]) - atan2(q.size_b[0], q.size_b[1]);
        const double v = turns * q.turn * q.turn;
        q.alpha = quotient(v, 1 - q.iou + v);
    }
    return q;
}

static double overlap_of(uint32_t kind, const real *a, const real *b)
{
    const struct pair q = pair_of(kind, a, b);
    if (kind == KILN_OVERLAP_IOU)
        return q.iou;
    if (kind == KILN_OVERLAP_GIOU)
        return q.iou - quotient(area_of(q.hull) - q.all, area_of(q.hull));
    return q.iou - quotient(squares_of(q.apart), squares_of(q.hull)) - q.alpha * turns * q.turn * q.turn;
}

void KILN_REFERENCE(overlap)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    const struct kiln_params_overlap *p = block;
    const real *a = (const real *)m->at[0] + p->first[0], *b = (const real *)m->at[1] + p->first[1];
    real *y = (real *)m->at[2] + p->first[2];

    for (size_t e = first; e < first + count; e++) {
        const size_t j = e % p->m, i = e / p->m % p->n, row = e / p->m / p->n;
        y[row * p->y_row + i * p->y_n + j * p->y_m] =
            (real)overlap_of(constants[0], &a[4 * (row * p->n_step + i)], &b[4 * (row * p->m_step + j)]);
    }
}

/* What goes to a where the less of a and b counts. */
static double share_of_less(double a, double b)
{
    return a < b ? 1 : a == b ? 0.5 : 0;
}

/* Add g times the slope of f by the corners of a. */
static void add_slope(uint32_t kind, const real *a, const real *b, double g, double *d)
{
    const struct pair q = pair_of(kind, a, b);
    const double hull = area_of(q.hull), diagonal = squares_of(q.hull), apart = squares_of(q.apart);
    const double by_all = kind == KILN_OVERLAP_GIOU ? quotient(1, hull) : 0;
    const double by_intersection = quotient(1 + q.iou, q.all) - by_all,
                 by_area = by_all - quotient(q.iou, q.all);
    const double by_angle = -2 * turns * q.alpha * q.turn;

    for (int i = 0; i < 2; i++) {
        const double angle = quotient(q.size_a[!i], squares_of(q.size_a)) * (i ? -1 : 1);
        const double by_size = q.size_a[i] > 0 ? by_area * q.size_a[!i] + by_angle * angle : 0;
        const double by_common = q.both[i] > 0 ? by_intersection * q.both[!i] : 0;
        double by_hull = 0, by_centre = 0;
        if (kind == KILN_OVERLAP_GIOU)
            by_hull = -quotient(quotient(q.all, hull), hull) * q.hull[!i];
        if (kind >= KILN_OVERLAP_DIOU) {
            by_hull = 2 * quotient(quotient(apart, diagonal), diagonal) * q.hull[i];
            by_centre = -quotient(q.apart[i], diagonal);
        }
        by_hull = q.hull[i] > 0 ? by_hull : 0;
        d[i] += g * (by_centre - by_size - by_common * share_of_less(b[i], a[i]) -
                     by_hull * share_of_less(a[i], b[i]));
        d[2 + i] += g * (by_centre + by_size + by_common * share_of_less(a[2 + i], b[2 + i]) +
                         by_hull * share_of_less(b[2 + i], a[2 + i]));
    }
}

void KILN_REFERENCE(overlap_grad)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                  size_t first, size_t count)
{
    const struct kiln_params_overlap *p = block;
    const real *dy = (const real *)m->at[0] + p->first[0], *own = (const real *)m->at[1] + p->first[1],
               *other = (const real *)m->at[2] + p->first[2];

    for (size_t e = first; e < first + count; e++) {
        const size_t row = e / p->n, i = e % p->n;
        double sum[4] = {0};
        for (size_t j = 0; j < p->m; j++) {
            const double g = dy[row * p->y_row + i * p->y_n + j * p->y_m];
            if (g != 0)
                add_slope(constants[0], &own[4 * (row * p->n_step + i)], &other[4 * (row * p->m_step + j)], g,
                          sum);
        }
        for (int k = 0; k < 4; k++)
            ((real *)m->at[3] + p->first[3])[4 * e + k] = (real)sum[k];
    }
}
