/* nms.c - the meaning of nms_mask (units: boxes), nms_scan and nms_pick (units: rows). */
#include "nms/nms.h"

#include <kiln/indexing.h>

#include <math.h>

#include "cpu/reference.h"

/* Of floats in every build: what decides is the same everywhere. */
struct corners {
    float x1, y1, x2, y2;
};

static float least(float a, float b)
{
    return a < b ? a : b;
}

static float most(float a, float b)
{
    return a > b ? a : b;
}

static struct corners ordered(float x1, float y1, float x2, float y2)
{
    return (struct corners){least(x1, x2), least(y1, y2), most(x1, x2), most(y1, y2)};
}

static struct corners corners_of(const real *boxes, size_t i, bool centres)
{
    const float a = (float)boxes[4 * i], b = (float)boxes[4 * i + 1], c = (float)boxes[4 * i + 2],
                d = (float)boxes[4 * i + 3];
    return centres ? ordered(a - 0.5f * c, b - 0.5f * d, a + 0.5f * c, b + 0.5f * d) : ordered(a, b, c, d);
}

static float area_of(const struct corners *a)
{
    return (a->x2 - a->x1) * (a->y2 - a->y1);
}

static float intersection_of(const struct corners *a, const struct corners *b)
{
    const float w = most(least(a->x2, b->x2) - most(a->x1, b->x1), 0),
                h = most(least(a->y2, b->y2) - most(a->y1, b->y1), 0);
    return w * h;
}

static float union_of(const struct corners *a, const struct corners *b, float intersection)
{
    const float both = area_of(a) + area_of(b);
    return both - intersection;
}

static bool suppresses(const struct kiln_params_nms *p, const struct corners *a, const struct corners *b)
{
    const float intersection = intersection_of(a, b);
    return intersection > p->overlap * union_of(a, b, intersection);
}

static bool is_candidate(const struct kiln_params_nms *p, real score)
{
    return (float)score > p->score;
}

/* Class of a box, where classes are bound. */
static int32_t class_of(const void *classes, size_t i)
{
    return classes ? ((const int32_t *)classes)[i] : 0;
}

void KILN_REFERENCE(nms_mask)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    const struct kiln_params_nms *p = block;
    const real *boxes = (const real *)m->at[0] + p->first[0], *scores = (const real *)m->at[1] + p->first[1];
    const int32_t *classes = constants[0] ? (const int32_t *)m->at[2] + p->first[2] : NULL;

    for (size_t e = first; e < first + count; e++) {
        const size_t row = e / p->count * p->count, i = e - row;
        uint32_t *mask = (uint32_t *)m->at[3] + p->first[3] + e * p->words;
        if (!is_candidate(p, scores[e]))
            continue;
        const struct corners box = corners_of(boxes, e, constants[1]);
        for (size_t w = i / 32; w < p->words; w++)
            mask[w] = 0;
        for (size_t j = i + 1; j < p->count; j++) {
            const struct corners other = corners_of(boxes, row + j, constants[1]);
            if (class_of(classes, row + j) == class_of(classes, e) && suppresses(p, &box, &other))
                mask[j / 32] |= UINT32_C(1) << j % 32;
        }
    }
}

/* Where the results of a row go, and how many there are so far. */
struct kept {
    int32_t *box;
    real *score;
    uint32_t count, room;
};

static void keep(struct kept *k, size_t box, real score)
{
    k->box[k->count] = (int32_t)box;
    k->score[k->count++] = score;
}

static void close_row(const struct kept *k, const int32_t *order, uint32_t *count)
{
    *count = k->count;
    for (uint32_t i = 0; i < k->count; i++)
        k->box[i] = order[k->box[i]];
    for (uint32_t i = k->count; i < k->room; i++) {
        k->box[i] = KILN_NOWHERE;
        k->score[i] = 0;
    }
}

/* Whether a kept box suppresses box i of the row. */
static bool is_masked(const struct kiln_params_nms *p, const uint32_t *mask, const struct kept *k, size_t i)
{
    for (uint32_t a = 0; a < k->count; a++)
        if (mask[(size_t)k->box[a] * p->words + i / 32] >> i % 32 & 1)
            return true;
    return false;
}

void KILN_REFERENCE(nms_scan)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_nms *p = block;
    for (size_t r = first; r < first + count; r++) {
        const real *scores = (const real *)m->at[0] + p->first[0] + r * p->count;
        const uint32_t *mask = (const uint32_t *)m->at[1] + p->first[1] + r * p->count * p->words;
        const int32_t *order = (const int32_t *)m->at[2] + p->first[2] + r * p->count;
        struct kept k = {.box = (int32_t *)m->at[3] + p->first[3] + r * p->keep,
                         .score = (real *)m->at[4] + p->first[4] + r * p->keep,
                         .room = p->keep};
        for (size_t i = 0; i < p->count && k.count < p->keep; i++)
            if (is_candidate(p, scores[i]) && !is_masked(p, mask, &k, i))
                keep(&k, i, scores[i]);
        close_row(&k, order, (uint32_t *)m->at[5] + p->first[5] + r);
    }
}

/* What a score becomes beside box a, which was picked. */
static real decayed(const struct kiln_params_nms *p, uint32_t method, real score, const struct corners *a,
                    const struct corners *b)
{
    const bool overlap = suppresses(p, a, b);
    if (method == KILN_DECAY_HARD || (method == KILN_DECAY_LINEAR && !overlap))
        return overlap ? -INFINITY : score;
    const float intersection = intersection_of(a, b);
    const double iou = intersection > 0 ? (double)intersection / union_of(a, b, intersection) : 0;
    return (real)(score *
                  (method == KILN_DECAY_LINEAR ? 1 - iou : exp(-iou * iou / KILN_REAL_GET(p, sigma))));
}

void KILN_REFERENCE(nms_pick)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    const struct kiln_params_nms *p = block;
    for (size_t r = first; r < first + count; r++) {
        const size_t before = r * p->count;
        const real *boxes = (const real *)m->at[0] + p->first[0] + 4 * before;
        const real *scores = (const real *)m->at[1] + p->first[1] + before;
        const int32_t *classes = constants[0] ? (const int32_t *)m->at[2] + p->first[2] + before : NULL;
        const int32_t *order = (const int32_t *)m->at[3] + p->first[3] + before;
        real *left = (real *)m->at[4] + p->first[4] + before;
        struct kept k = {.box = (int32_t *)m->at[5] + p->first[5] + r * p->keep,
                         .score = (real *)m->at[6] + p->first[6] + r * p->keep,
                         .room = p->keep};
        for (size_t i = 0; i < p->count; i++)
            left[i] = is_candidate(p, scores[i]) ? scores[i] : (real)-INFINITY;
        for (;;) {
            size_t best = 0;
            for (size_t i = 1; i < p->count; i++)
                best = left[i] > left[best] ? i : best;
            if (k.count == p->keep || !is_candidate(p, left[best]))
                break;
            keep(&k, best, left[best]);
            const struct corners box = corners_of(boxes, best, constants[1]);
            left[best] = -INFINITY;
            for (size_t i = 0; i < p->count; i++) {
                const struct corners other = corners_of(boxes, i, constants[1]);
                if (is_candidate(p, left[i]) && class_of(classes, i) == class_of(classes, best))
                    left[i] = decayed(p, constants[2], left[i], &box, &other);
            }
        }
        close_row(&k, order, (uint32_t *)m->at[7] + p->first[7] + r);
    }
}
