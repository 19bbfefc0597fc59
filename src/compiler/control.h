/* control.h - what the expansions of loops and branches share: control.c, control_scan.c. */
#ifndef KILN_COMPILER_CONTROL_H
#define KILN_COMPILER_CONTROL_H

#include "compiler/body.h"

struct kiln_expansion {
    struct kiln_rewrite *r;
    bool *used; /* by value id of the old graph */
};

/** A value of the old graph in the new one. */
kiln_tensor kiln_expansion_value(const struct kiln_expansion *e, kiln_tensor t);
/** Its spec, wanted or not. */
kiln_spec kiln_expansion_spec(struct kiln_expansion *e, kiln_tensor t);

/** What a region carries, while it is put together. */
struct kiln_carries {
    kiln_tensor *initial, *next;
    int count;
};

bool kiln_carries_make(struct kiln_carries *c, int most);
void kiln_carries_free(struct kiln_carries *c);
void kiln_carries_add(struct kiln_carries *c, kiln_tensor initial);

/** An I32 scalar. */
kiln_tensor kiln_whole_number(kiln_graph *g, int64_t value);
/** Values one behind the other along axis 0; of one value itself. */
kiln_tensor kiln_joined(kiln_graph *g, const kiln_tensor *x, int64_t count);
/** Values of one shape, each a row of the result. */
kiln_tensor kiln_stacked(kiln_graph *g, const kiln_tensor *x, int64_t count);

kiln_status kiln_expand_scan(struct kiln_expansion *e, const kiln_node *n);

#endif
