/*
 * attention_lines.h - a block of scores by vectors: lines are others, lanes are own rows side by side (as the tiles of a product
 * leave them), and what turns products into weights in place.
 */
#ifndef KILN_CPU_ATTENTION_LINES_H
#define KILN_CPU_ATTENTION_LINES_H

#include <stdint.h>

#include "cpu/attention.h"

enum { KILN_MOST_LANES = 32 }; /* KILN_TILE_COLUMNS */

/** A block: `lines` lines of `lanes` lanes, value (line, lane) at [line * lanes + lane]. */
struct kiln_lines {
    const struct kiln_params_attention *p;
    uint32_t flags;
    const struct kiln_head *head;
    bool lanes_are_keys; /* and lines queries; else the other way round */
    size_t lanes, lines;
    size_t own, other; /* the query or key of lane 0, of line 0 */
    const float *bias; /* with BIASED */
    const uint32_t *mask;
    const uint32_t *counter; /* with DROPPED: seed, step, threshold */
};

/** Whether some of the block is masked, biased or capped: then kiln_lines_mask, else `scale` is all. */
bool kiln_lines_are_special(const struct kiln_lines *b);

/** Whether no lane sees any line. */
bool kiln_lines_are_unseen(const struct kiln_lines *b);

/** Products to scores with scale, cap and mask. `rest`, where given, gets what the cap leaves of the gradient: 1 - (s / cap)^2. */
void kiln_lines_mask(const struct kiln_lines *b, float *score, float *rest);

/**
 * Scores times scale to exp(score - peak), where peak is each lane's largest so far: raised first, `ratio` is by what sums below
 * the old one are to be multiplied, and sum, which is, grows by the lane's weights. A lane that has seen nothing has 0.
 */
void kiln_lines_raise(size_t lanes, size_t lines, float scale, float *score, float *peak, float *sum,
                      float *ratio);

/** Scores times scale to probabilities; lse is of the queries, by lanes or by lines; infinity where they are 0. */
void kiln_lines_probability(const struct kiln_lines *b, float scale, float *score, const float *lse);

/** Probabilities to weights: score *= pull - delta, and *= rest where it is given; delta as lse. */
void kiln_lines_weigh(const struct kiln_lines *b, float *score, const float *pull, const float *rest,
                      const float *delta);

/** Values times what dropout keeps, all of them where the threshold is 0. */
void kiln_lines_drop(const struct kiln_lines *b, float *value);

/** value[column * lanes + lane] *= ratio[lane]. */
void kiln_lines_rescale(size_t lanes, size_t columns, float *value, const float *ratio);

#endif
