/* assign.c - the meaning of claim, a picture a unit: the largest overlap that is left, over and over. */
#include "assign/claim.h"

#include "cpu/reference.h"

/* An element of a binding whose first one is NAME_first. */
static ptrdiff_t at(uint32_t first, size_t element)
{
    return (ptrdiff_t)(int32_t)(first + (uint32_t)element);
}

/* The first of the largest overlaps above 0 of a box with anchors that are left. */
static uint32_t best_of(const real *overlap, const int32_t *owner, uint32_t anchors)
{
    uint32_t best = KILN_CLAIM_NO_ANCHOR;
    for (uint32_t a = 0; a < anchors; a++)
        if (owner[a] < 0 && overlap[a] > (best == KILN_CLAIM_NO_ANCHOR ? 0 : overlap[best]))
            best = a;
    return best;
}

/* The box that overlaps its best anchor most. */
static uint32_t first_to_choose(const struct kiln_params_claim *p, const real *overlap, const uint32_t *best)
{
    uint32_t first = KILN_CLAIM_NO_ANCHOR;
    double most = 0;
    for (uint32_t t = 0; t < p->truths; t++) {
        const double here = best[t] == KILN_CLAIM_NO_ANCHOR ? 0 : overlap[(size_t)t * p->anchors + best[t]];
        if (here > most) {
            most = here;
            first = t;
        }
    }
    return first;
}

static void claim(const struct kiln_params_claim *p, const real *overlap, int32_t *owner, uint32_t *best)
{
    for (uint32_t a = 0; a < p->anchors; a++)
        owner[a] = -1;
    for (uint32_t t = 0; t < p->truths; t++)
        best[t] = best_of(overlap + (size_t)t * p->anchors, owner, p->anchors);
    for (uint32_t t; (t = first_to_choose(p, overlap, best)) != KILN_CLAIM_NO_ANCHOR;) {
        const uint32_t anchor = best[t];
        owner[anchor] = (int32_t)t;
        best[t] = KILN_CLAIM_NO_ANCHOR;
        for (uint32_t other = 0; other < p->truths; other++)
            if (best[other] == anchor)
                best[other] = best_of(overlap + (size_t)other * p->anchors, owner, p->anchors);
    }
}

void KILN_REFERENCE(claim)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                           size_t count)
{
    const struct kiln_params_claim *p = block;
    (void)constants;
    for (size_t n = p->first_image + first; n < p->first_image + first + count; n++)
        claim(p, (const real *)m->at[0] + at(p->overlap_first, n * p->truths * p->anchors),
              (int32_t *)m->at[1] + at(p->owner_first, n * p->anchors),
              (uint32_t *)m->at[2] + at(p->best_first, n * p->truths));
}
