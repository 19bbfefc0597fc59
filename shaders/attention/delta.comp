#version 450
/*
 * attention_delta - rows[r] = lse[r] and rows[delta_at + r] = sum over c of dy[r, c] * y[r, c]
 *
 * bindings   0: y    1: dy    2: lse    3: rows
 * dispatch   a row a lane
 */
#include "kiln.glsl"
#include "attention.h"

KILN_CONSTANT(0, FLAGS);

KILN_IN(0, T, y);
KILN_IN(1, T, dy);
KILN_IN(2, float, lse);
KILN_OUT(3, float, rows);

void main()
{
    KILN_GROUP(group);
    const uint unit = group * LANES + LANE, heads = p.kv_heads * p.group;
    if (unit >= p.count * p.group * p.queries)
        return;
    const uint query = unit % p.queries, pair = unit / p.queries, head = p.first * p.group + pair;
    const uint from = (FLAGS & KILN_ATTENTION_ROWS_FIRST) != 0u
                          ? ((pair / heads * p.queries + query) * heads + pair % heads) * p.width
                          : unit * p.width;
    float sum = 0.0;
    for (uint c = from; c < from + p.width; c++)
        sum += float(dy[c]) * float(y[c]);
    const uint row = head * p.queries + query;
    rows[row] = lse[row];
    rows[p.delta_at + row] = sum;
}
