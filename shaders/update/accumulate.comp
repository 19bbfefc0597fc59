#version 450
/*
 * accumulate - packed gradients added to the arena of gradients.
 *
 * bindings   0: table in    1: packed gradients in    2: arena
 * dispatch   one workgroup a row of the table
 */
#include "kiln.glsl"
#include "accumulate.h"

KILN_IN(0, uint, table);
KILN_IN(1, float, packed);
KILN_INOUT(2, float, arena);

void main()
{
    KILN_GROUP(group);
    const uint row = group * KILN_ROW_WORDS, count = table[row + KILN_ROW_COUNT];
    const uint to = table[row + KILN_ROW_PARAMETER], from = table[row + KILN_ROW_GRADIENT];
    for (uint i = LANE; i < count; i += LANES)
        arena[to + i] += packed[from + i];
}
