/*
 * walk.glsl - a walk in equal steps over values that lie in runs: without a division a step, whose index arithmetic would take longer than
 * memory does, and as many loads on their way as the shader asks for before it uses the first.
 */
struct kiln_walk {
    uint at, rest, run;         /* the element; which of its run's, and of which run */
};

struct kiln_pace {
    uint values;                /* of a run */
    uint at, rest, runs;        /* that a step goes further, ... */
    uint turn;                  /* ... and elements more where it ends beyond its run */
};

/* Steps of `step` values, which lie `unit` elements apart, in runs that begin `apart` values from one another. */
kiln_pace kiln_pace_of(uint length, uint apart, uint unit, uint step)
{
    const uint runs = step / length, rest = step - runs * length;
    return kiln_pace(length, (runs * apart + rest) * unit, rest, runs, (apart - length) * unit);
}

/* At value t from `start` on. */
kiln_walk kiln_walk_at(uint start, uint t, uint length, uint apart, uint unit)
{
    const uint run = t / length, rest = t - run * length;
    return kiln_walk(start + (run * apart + rest) * unit, rest, run);
}

void kiln_step(inout kiln_walk w, kiln_pace pace)
{
    w.at += pace.at;
    w.rest += pace.rest;
    w.run += pace.runs;
    if (w.rest >= pace.values) {
        w.rest -= pace.values;
        w.at += pace.turn;
        w.run++;
    }
}
