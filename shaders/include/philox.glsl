/* philox.glsl - Philox 4x32-10 (Salmon et al. 2011): 128 random bits of a counter under a key, as base/rng.h. */
uvec4 kiln_philox(uvec4 counter, uvec2 key)
{
    for (uint round = 0u; round < 10u; round++) {
        uint high_x, low_x, high_z, low_z;
        umulExtended(counter.x, 0xd2511f53u, high_x, low_x);
        umulExtended(counter.z, 0xcd9e8d57u, high_z, low_z);
        counter = uvec4(high_z ^ counter.y ^ key.x, low_z, high_x ^ counter.w ^ key.y, low_x);
        key += uvec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return counter;
}
