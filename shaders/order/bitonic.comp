#version 450
/*
 * bitonic - order for parts that fit shared memory.
 *
 * dispatch   a part a workgroup; p.padded <= CAPACITY
 */
#include "order.glsl"

KILN_TUNING(0, CAPACITY, 2048);

#include "bitonic.glsl"

void main()
{
    KILN_GROUP(unit);
    const uint row = unit / p.parts, first = unit % p.parts * p.part;
    const uint count = min(p.part, p.cols - first);
    for (uint c = LANE; c < p.padded; c += LANES) {
        key[c] = c < count ? key_at(row, first + c) : 0xffffffffu;
        from[c] = c;
    }
    sort_keys(p.padded);
    for (uint place = LANE; place < min(p.keep, count); place += LANES)
        put(row, unit % p.parts * p.keep + place, first + from[place], key[place]);
}
