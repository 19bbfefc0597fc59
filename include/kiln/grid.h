/*
 * grid.h - pictures and volumes sampled at any places: what spatial transformers warp by (Jaderberg et al. 2015).
 */
#ifndef KILN_GRID_H
#define KILN_GRID_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kiln_grid_mode {
    KILN_GRID_LINEAR,  /* between the elements around */
    KILN_GRID_NEAREST, /* halves to the even one */
    KILN_GRID_CUBIC,   /* Keys 1981, a = -0.75 */
} kiln_grid_mode;

/** What lies beyond x. */
typedef enum kiln_grid_padding {
    KILN_GRID_ZEROS,
    KILN_GRID_BORDER,     /* the outermost elements */
    KILN_GRID_REFLECTION, /* x again, mirrored at its edges, or at the outermost elements with align_corners */
} kiln_grid_padding;

typedef struct kiln_grid_params {
    kiln_grid_mode mode;
    kiln_grid_padding padding;
    bool align_corners; /* -1 and 1 are the outermost elements' centres; else x's edges */
    bool elements;      /* coordinates count elements instead, from 0 at the first one's centre */
} kiln_grid_params;

/**
 * x at the places of a grid, as PyTorch's grid_sample has it. Each place lists its coordinates from the last axis of x to the
 * first behind the channels, -1 to 1 over x; NaN lies far outside.
 *
 * Gradients by x and grid; of a place that is clamped or rounded there is none. The gradient by x adds what falls on an
 * element in the order of the places. A gradient by the grid has no gradient itself.
 *
 * Shape:   x [N, C, H, W], grid [N, H', W', 2], y [N, C, H', W']; or x [N, C, D, H, W], grid [N, D', H', W', 3] alike. Both of real
 *          types; y has x's.
 */
KILN_API kiln_tensor kiln_grid_sample(kiln_graph *g, kiln_tensor x, kiln_tensor grid,
                                      const kiln_grid_params *params);

/**
 * The grid that maps places by matrices:   grid[n, .., k] = theta[n, k] (place, 1)
 *
 * Shape:   theta [N, 2, 3] and sizes H', W', or [N, 3, 4] and D', H', W'; numbers or symbols. y [N, sizes, 2 or 3]. Gradient by theta.
 */
KILN_API kiln_tensor kiln_affine_grid(kiln_graph *g, kiln_tensor theta, const int64_t *size,
                                      bool align_corners);

#ifdef __cplusplus
}
#endif
#endif
