/* shape.c - the arithmetic of shapes that every family shares: broadcasting and axes. */
#include "graph/graph.h"

int kiln_axis_of(int axis, int rank)
{
    if (axis < 0)
        axis += rank;
    return axis >= 0 && axis < rank ? axis : -1;
}

/* A size of 1 stretches; a symbol fits only itself. */
static bool broadcast_size(int64_t a, int64_t b, int64_t *out)
{
    *out = a == 1 ? b : a;
    return a == b || a == 1 || b == 1;
}

bool kiln_shape_broadcast(const kiln_shape *a, const kiln_shape *b, kiln_shape *out)
{
    const kiln_shape x = *a, y = *b; /* out may be one of them */
    const int rank = x.rank > y.rank ? x.rank : y.rank;
    *out = (kiln_shape){.rank = rank};
    for (int i = 1; i <= rank; i++) {
        const int64_t from_x = i <= x.rank ? x.size[x.rank - i] : 1,
                      from_y = i <= y.rank ? y.size[y.rank - i] : 1;
        if (!broadcast_size(from_x, from_y, &out->size[rank - i]))
            return false;
    }
    return true;
}
