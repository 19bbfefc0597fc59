/* random.h - the counter behind every random draw of a graph. */
#ifndef KILN_GRAPH_RANDOM_H
#define KILN_GRAPH_RANDOM_H

#include <kiln/graph.h>

/**
 * {seed, step} as I32 [2]: a state "random" of the weights, as it stands before this run. The first call also attaches the
 * increment of step to every training program that reads it.
 */
kiln_tensor kiln_random_counter(kiln_graph *g);

/**
 * A stream for a node that draws, of a kind as "dropout": from the open scope's name, how often it was opened, and a counter, so
 * that a reopened scope, which shares its weights, does not share its draws.
 */
uint32_t kiln_random_stream(kiln_graph *g, const char *kind);

/** The name of that state, and the parameter init that stands for the seed of the weights. */
#define KILN_RANDOM_STATE "random"

#endif
