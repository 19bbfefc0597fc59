/* values.h - a case's values: the same in every program that is made of it. */
#ifndef KILN_TOOLS_CHECK_VALUES_H
#define KILN_TOOLS_CHECK_VALUES_H

#include "check/case.h"

/** The seed of a case's values, by the run's seed and the case's name. */
uint64_t check_seed_of(const struct check_case *one, uint64_t seed);

/** Element i of an array of any type. */
double check_element(const kiln_array *a, size_t i);

/** The whole numbers of input i. */
void check_draw_input(const struct check_graph *c, int i, uint64_t seed, int64_t *values);

/** The same as an array of its type and shape. Owns: out->data is yours: give it to kiln_array_free. */
kiln_status check_input_values(const struct check_graph *c, int i, uint64_t seed, kiln_array *out);

/** Write whole numbers to the inputs of a program of the case. */
kiln_status check_write_inputs(kiln_program *program, const struct check_graph *c, uint64_t seed);

/** Copy the states from weights that no program has run on: counters of random draws, running statistics. */
kiln_status check_copy_states(kiln_weights *from, kiln_weights *to);

#endif
