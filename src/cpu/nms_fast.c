/*
 * nms_fast.c - suppression by vectors: a candidate against 32 others at once, and what is kept by words of the mask.
 *
 * Compiled without fused arithmetic: what decides rounds as everywhere else (nms.h).
 */
#include <kiln/indexing.h>

#include "cpu/simd.h"
#include "device/variants.h"
#include "nms/nms.h"

#define NMS_WORD 32

/* 32 boxes side by side, x1 <= x2 and y1 <= y2. */
struct word {
    float x1[NMS_WORD], y1[NMS_WORD], x2[NMS_WORD], y2[NMS_WORD], area[NMS_WORD];
    int32_t class_of[NMS_WORD];
};

static const struct kiln_params_nms *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_nms *)d->block.words;
}

static bool is_candidate(const struct kiln_params_nms *p, float score)
{
    return score > p->score;
}

KILN_INLINE float least(float a, float b)
{
    return a < b ? a : b;
}

KILN_INLINE float most(float a, float b)
{
    return a > b ? a : b;
}

/* Which of the others box i of `a` suppresses, if it is of their class. */
KILN_INLINE void compare_body(const struct word *a, int i, const struct word *others, float overlap,
                              uint32_t *bits)
{
    uint32_t found = 0;
    for (int b = 0; b < NMS_WORD; b++) {
        const float w = most(least(a->x2[i], others->x2[b]) - most(a->x1[i], others->x1[b]), 0),
                    h = most(least(a->y2[i], others->y2[b]) - most(a->y1[i], others->y1[b]), 0);
        const float intersection = w * h, both = a->area[i] + others->area[b], all = both - intersection;
        const uint32_t suppressed = (intersection > overlap * all) & (a->class_of[i] == others->class_of[b]);
        found |= suppressed << b;
    }
    *bits = found;
}

static void compare(const struct word *a, int i, const struct word *others, float overlap, uint32_t *bits);
KILN_CLONES(compare, (const struct word *a, int i, const struct word *others, float overlap, uint32_t *bits),
            (a, i, others, overlap, bits))

/* The boxes from `first` on, `count` of them; the rest are left. */
static void load(const kiln_dispatch *d, const kiln_memory *m, size_t first, uint32_t count, struct word *to)
{
    const float *box = (const float *)m->at[0] + block_of(d)->first[0] + 4 * first;
    const int32_t *classes =
        d->constants[0] ? (const int32_t *)m->at[2] + block_of(d)->first[2] + first : NULL;
    for (uint32_t b = 0; b < count; b++, box += 4) {
        const bool centres = d->constants[1];
        const float x = centres ? box[0] - 0.5f * box[2] : box[0],
                    y = centres ? box[1] - 0.5f * box[3] : box[1];
        const float u = centres ? box[0] + 0.5f * box[2] : box[2],
                    v = centres ? box[1] + 0.5f * box[3] : box[3];
        to->x1[b] = least(x, u);
        to->y1[b] = least(y, v);
        to->x2[b] = most(x, u);
        to->y2[b] = most(y, v);
        to->area[b] = (to->x2[b] - to->x1[b]) * (to->y2[b] - to->y1[b]);
        to->class_of[b] = classes ? classes[b] : 0;
    }
}

/* Of a row of them, in word w. */
static uint32_t boxes_in(const kiln_dispatch *d, uint32_t w)
{
    const uint32_t left = block_of(d)->count - NMS_WORD * w;
    return left < NMS_WORD ? left : NMS_WORD;
}

static uint64_t word_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (uint64_t)block_of(d)->rows * block_of(d)->words;
}

/* A unit is a word of candidates, against their own word and all behind it. */
static void run_masks(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_nms *p = block_of(d);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / p->words * p->count;
        const uint32_t own = (uint32_t)(unit % p->words), candidates = boxes_in(d, own);
        const size_t begin = row + NMS_WORD * (size_t)own;
        const float *scores = (const float *)m->at[1] + p->first[1] + begin;
        uint32_t *mask = (uint32_t *)m->at[3] + p->first[3] + begin * p->words;
        struct word a = {0}, others = {0};
        load(d, m, begin, candidates, &a);
        for (uint32_t w = own; w < p->words; w++) {
            const uint32_t there = boxes_in(d, w),
                           real = there < NMS_WORD ? (UINT32_C(1) << there) - 1 : UINT32_MAX;
            load(d, m, row + NMS_WORD * (size_t)w, there, &others);
            for (uint32_t i = 0; i < candidates; i++) {
                if (!is_candidate(p, scores[i]))
                    continue;
                uint32_t bits;
                compare(&a, (int)i, &others, p->overlap, &bits);
                bits &= w == own ? real & ~(UINT32_MAX >> (NMS_WORD - 1 - i)) : real;
                mask[(size_t)i * p->words + w] = bits;
            }
        }
    }
}

/* A unit is a row: what is kept marks what it suppresses, word by word. */
static void run_scans(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_nms *p = block_of(d);
    for (size_t row = first; row < first + count; row++) {
        const float *scores = (const float *)m->at[0] + p->first[0] + row * p->count;
        const uint32_t *mask = (const uint32_t *)m->at[1] + p->first[1] + row * p->count * p->words;
        const int32_t *order = (const int32_t *)m->at[2] + p->first[2] + row * p->count;
        int32_t *kept = (int32_t *)m->at[3] + p->first[3] + row * p->keep;
        float *kept_scores = (float *)m->at[4] + p->first[4] + row * p->keep;
        uint32_t suppressed[KILN_NMS_WORDS] = {0}, total = 0;
        for (uint32_t i = 0; i < p->count && total < p->keep; i++) {
            if (!is_candidate(p, scores[i]) || suppressed[i / NMS_WORD] >> i % NMS_WORD & 1)
                continue;
            kept[total] = order[i];
            kept_scores[total++] = scores[i];
            const uint32_t *own = mask + (size_t)i * p->words;
            for (uint32_t w = i / NMS_WORD; w < p->words; w++)
                suppressed[w] |= own[w];
        }
        ((uint32_t *)m->at[5] + p->first[5])[row] = total;
        for (; total < p->keep; total++) {
            kept[total] = KILN_NOWHERE;
            kept_scores[total] = 0;
        }
    }
}

const kiln_variant kiln_cpu_nms_mask_words = {.name = "words", .run = run_masks, .groups = word_units};
const kiln_variant kiln_cpu_nms_scan_rows = {.name = "rows", .run = run_scans};
