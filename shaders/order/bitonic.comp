#version 450
/*
 * bitonic - order for parts that fit shared memory: Batcher's bitonic sort (1968) of (key, position).
 *
 * Positions differ, so that no two elements are equal and the network, which is not stable, has one outcome.
 *
 * dispatch   a part a workgroup; p.padded <= CAPACITY
 */
#include "order.glsl"

KILN_TUNING(0, CAPACITY, 2048);

shared uint key[CAPACITY];
shared uint from[CAPACITY];

/* Elements i and i + distance of a block of 2 * distance; of a block that descends the later comes first. */
void exchange(uint pair, uint distance, uint run)
{
    const uint i = 2u * distance * (pair / distance) + pair % distance, k = i + distance;
    const bool down = (i & run) != 0u;
    const bool after = key[i] > key[k] || (key[i] == key[k] && from[i] > from[k]);
    if (after != down) {
        const uint a = key[i], b = from[i];
        key[i] = key[k], from[i] = from[k];
        key[k] = a, from[k] = b;
    }
}

void main()
{
    KILN_GROUP(unit);
    const uint row = unit / p.parts, first = unit % p.parts * p.part;
    const uint count = min(p.part, p.cols - first);
    for (uint c = LANE; c < p.padded; c += LANES) {
        key[c] = c < count ? key_at(row, first + c) : 0xffffffffu;
        from[c] = c;
    }
    for (uint run = 2u; run <= p.padded; run *= 2u)
        for (uint distance = run / 2u; distance > 0u; distance /= 2u) {
            barrier();
            for (uint pair = LANE; pair < p.padded / 2u; pair += LANES)
                exchange(pair, distance, run);
        }
    barrier();
    for (uint place = LANE; place < min(p.keep, count); place += LANES)
        put(row, unit % p.parts * p.keep + place, first + from[place], key[place]);
}
