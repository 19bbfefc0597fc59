/*
 * bitonic.glsl - Batcher's bitonic sort (1968) of (key, position) in shared memory, the least first.
 *
 * Positions differ, so that no two elements are equal and the network, which is not stable, has one outcome.
 */
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

/* The first `count`, a power of two. Every invocation must call. */
void sort_keys(uint count)
{
    for (uint run = 2u; run <= count; run *= 2u)
        for (uint distance = run / 2u; distance > 0u; distance /= 2u) {
            barrier();
            for (uint pair = LANE; pair < count / 2u; pair += LANES)
                exchange(pair, distance, run);
        }
    barrier();
}
