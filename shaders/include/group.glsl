/*
 * group.glsl - sums and maxima over a workgroup, by a tree in shared memory: the same order on every device, no subgroup
 * operations. LANES must be a power of two. Every invocation must call; all get the result.
 */
shared float kiln_group_slot[LANES];

#define KILN_GROUP_TREE(combine)                                                                                     \
    barrier();                                                                                                       \
    kiln_group_slot[LANE] = value;                                                                                   \
    barrier();                                                                                                       \
    for (uint step = LANES / 2; step > 0; step /= 2) {                                                               \
        if (LANE < step)                                                                                             \
            kiln_group_slot[LANE] = combine(kiln_group_slot[LANE], kiln_group_slot[LANE + step]);                    \
        barrier();                                                                                                   \
    }                                                                                                                \
    return kiln_group_slot[0]

float kiln_plus(float a, float b) { return a + b; }

float kiln_group_sum(float value) { KILN_GROUP_TREE(kiln_plus); }
float kiln_group_max(float value) { KILN_GROUP_TREE(kiln_max); }
