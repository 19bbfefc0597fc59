/*
 * lanes.glsl - results of many values each: a result is a workgroup's, or with COLUMNS a lane's, with TEAM_A_RESULT that of a workgroup
 * which is a team (team.glsl).
 *
 * FIRST and STEP walk its values; SUM and MAX join what its lanes found, and give it to all of them. KILN_RESULT(name, count)
 * declares the result's index and returns from main past the last of `count`.
 */
#ifdef COLUMNS
#define FIRST 0u
#define STEP 1u
#define SUM(value) (value)
#define MAX(value) (value)
#define KILN_RESULT(name, count)                                                                                     \
    KILN_GROUP(kiln_group);                                                                                          \
    const uint name = kiln_group * LANES + LANE;                                                                     \
    if (name >= (count))                                                                                             \
        return
#else
#define FIRST LANE
#define STEP LANES
#ifdef TEAM_A_RESULT
#include "team.glsl"
#define SUM(value) kiln_team_sum(value)
#define MAX(value) kiln_team_max(value)
#else
#include "group.glsl"
#define SUM(value) kiln_group_sum(value)
#define MAX(value) kiln_group_max(value)
#endif
#define KILN_RESULT(name, count) KILN_GROUP(name)
#endif
