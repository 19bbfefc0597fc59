/*
 * arrange.h - pictures arranged anew: borders that go on as the picture does, channels as blocks of places.
 *
 * Elements only move, in any type; reals have gradients, and gradients of these again.
 */
#ifndef KILN_ARRANGE_H
#define KILN_ARRANGE_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What stands beside x, of a b c d. kiln_pad in ops.h surrounds with a constant. */
typedef enum kiln_border {
    KILN_BORDER_EDGE,      /* a a a | a b c d | d d d */
    KILN_BORDER_REFLECT,   /* d c b | a b c d | c b a */
    KILN_BORDER_SYMMETRIC, /* c b a | a b c d | d c b */
    KILN_BORDER_WRAP,      /* b c d | a b c d | a b c */
} kiln_border;

/**
 * Surround x by itself: before[i] and after[i] elements on each axis (x's rank of them, none negative). There may be more of them
 * than x has: it then goes on in the same way. An axis that gets any has at least one element.
 */
KILN_API kiln_tensor kiln_pad_border(kiln_graph *g, kiln_tensor x, const int64_t *before,
                                     const int64_t *after, kiln_border border);

/**
 * Channels become places: each block of size x size places is taken from as many channels.
 *
 * Shape:   x [N, C b b, H, W], C known; y [N, C, H b, W b].
 * pixel_shuffle: y[n, c, h b + i, w b + j] = x[n, (c b + i) b + j, h, w], as PyTorch's and ONNX's mode CRD;
 * depth_to_space: y[n, c, h b + i, w b + j] = x[n, (i b + j) C + c, h, w], as ONNX's mode DCR.
 */
KILN_API kiln_tensor kiln_pixel_shuffle(kiln_graph *g, kiln_tensor x, int size);
KILN_API kiln_tensor kiln_depth_to_space(kiln_graph *g, kiln_tensor x, int size);
/** The ways back. x [N, C, H b, W b], C known; y [N, C b b, H, W]. */
KILN_API kiln_tensor kiln_pixel_unshuffle(kiln_graph *g, kiln_tensor x, int size);
KILN_API kiln_tensor kiln_space_to_depth(kiln_graph *g, kiln_tensor x, int size);

#ifdef __cplusplus
}
#endif
#endif
