/*
 * team.glsl - workgroups that are one subgroup of eight lanes, a team, which hand values to each other by shuffles: on llvmpipe each is
 * one instruction, where memory that a workgroup shares takes barriers. All lanes must call, and all get a sum.
 */
const uint TEAM = 8u;                   /* lanes: as many as LANES */

vec4 kiln_shuffle(vec4 v, uint lane)
{
    vec4 four;
    [[unroll]] for (uint i = 0; i < 4; i++)
        four[i] = subgroupShuffle(v[i], lane);
    return four;
}

/* Over the four neighbours that a lane is one of, and over all. */
float kiln_four_sum(float value)
{
    value += subgroupShuffle(value, LANE ^ 1u);
    return value + subgroupShuffle(value, LANE ^ 2u);
}

float kiln_four_max(float value)
{
    value = max(value, subgroupShuffle(value, LANE ^ 1u));
    return max(value, subgroupShuffle(value, LANE ^ 2u));
}

float kiln_team_sum(float value)
{
    value = kiln_four_sum(value);
    return value + subgroupShuffle(value, LANE ^ 4u);
}

float kiln_team_max(float value)
{
    value = kiln_four_max(value);
    return max(value, subgroupShuffle(value, LANE ^ 4u));
}
