#version 450
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : enable
#extension GL_KHR_shader_subgroup_arithmetic : enable
#extension GL_KHR_shader_subgroup_ballot : enable
#extension GL_KHR_shader_subgroup_shuffle : enable
#extension GL_KHR_shader_subgroup_shuffle_relative : enable
#extension GL_KHR_shader_subgroup_clustered : enable
/*
 * subgroup - who stands where in a subgroup, and one kind of what its lanes do together (truth.h).
 *
 * words      0: lanes of the subgroup    1: its number    2: the lane's    3 to 7: results
 * variants   -DVOTE, -DARITHMETIC, -DBALLOT, -DSHUFFLE, -DRELATIVE, -DCLUSTERED: a driver may lack the others
 */
#include "kiln.glsl"
#include "truth.h"

KILN_IN(0, uint, x);
KILN_OUT(1, uint, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE, at = i * KILN_TRUTH_WORDS, v = x[i];

    y[at] = gl_SubgroupSize;
    y[at + 1] = group * LANES + gl_SubgroupID;
    y[at + 2] = gl_SubgroupInvocationID;
#ifdef VOTE
    y[at + 3] = uint(subgroupAny(v > 240u));
    y[at + 4] = uint(subgroupAll(v > 15u));
    y[at + 5] = uint(subgroupAllEqual(v));
    y[at + 6] = uint(subgroupAllEqual(7u));
#endif
#ifdef ARITHMETIC
    y[at + 3] = subgroupAdd(v);
    y[at + 4] = subgroupMin(v);
    y[at + 5] = subgroupMax(v);
    y[at + 6] = subgroupExclusiveAdd(v);
    y[at + 7] = floatBitsToUint(subgroupAdd(float(v)));
#endif
#ifdef BALLOT
    const uvec4 odd = subgroupBallot((v & 1u) != 0u);
    y[at + 3] = subgroupBallotBitCount(odd);
    y[at + 4] = subgroupBallotExclusiveBitCount(odd);
    y[at + 5] = subgroupBroadcastFirst(v);
    y[at + 6] = uint(subgroupInverseBallot(odd));
    y[at + 7] = subgroupBallotFindMSB(odd | uvec4(1u, 0u, 0u, 0u));
#endif
#ifdef SHUFFLE
    y[at + 3] = subgroupShuffle(v, (gl_SubgroupInvocationID * 5u + 3u) % gl_SubgroupSize);
    y[at + 4] = subgroupShuffleXor(v, 1u);
    y[at + 5] = subgroupShuffleXor(v, gl_SubgroupSize / 2u);
#endif
#ifdef RELATIVE
    y[at + 3] = subgroupShuffleUp(v, 1u);
    y[at + 4] = subgroupShuffleDown(v, 1u);
#endif
#ifdef CLUSTERED
    y[at + 3] = subgroupClusteredAdd(v, 2u);
    y[at + 4] = subgroupClusteredMax(v, 4u);
#endif
}
