/* named.h - what a layer declared, by name. */
#ifndef KILN_TESTS_NN_NAMED_H
#define KILN_TESTS_NN_NAMED_H

#include "support/support.h"

static inline void expect_named(const kiln_graph *g, const char *name, kiln_shape want)
{
    char a[96], b[96];
    const kiln_tensor t = kiln_find(g, name);
    const kiln_shape got = kiln_tensor_shape(g, t);
    cr_expect_neq(t.id, 0, "%s is not declared", name);
    cr_expect(kiln_shape_equal(&got, &want), "%s is %s, wanted %s", name, kiln_shape_text(&got, a, sizeof a),
              kiln_shape_text(&want, b, sizeof b));
}

#endif
