/*
 * conv_turn_body.h - results of filters side by side become planes, finished, once for each number of lanes. conv_positions.c includes
 * it with these macros:
 *
 *   TURN(name)       name with the suffix
 *   TURN_TARGET      attribute of functions that use the vectors
 *   TURN_LANES       filters and positions of a square
 *   TURN_VECTOR      a vector of so many floats
 *   TURN_SQUARE      what makes columns of so many rows
 */
#define lanes  TURN(lanes)
#define masks  TURN(masks)
#define loose  TURN(loose)
#define INLINE static inline __attribute__((always_inline)) TURN_TARGET

typedef TURN_VECTOR lanes;
typedef int32_t masks __attribute__((vector_size(4 * TURN_LANES)));
typedef float loose __attribute__((vector_size(4 * TURN_LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at)    (*(const loose *)(at))
#define EACH_ROW(i) _Pragma("GCC unroll 16") for (int i = 0; i < TURN_LANES; i++)

/* A step on that many filters' results at `place` and behind it, the first filter being o. */
INLINE void TURN(take_step)(lanes *row, const struct kiln_tile_step *step, size_t o, size_t place)
{
    const float *at = step->at + o * step->row + (step->wide ? place : 0);
    if (step->code == KILN_TILE_RELU)
        EACH_ROW(i)
            row[i] = (lanes)(~(row[i] <= 0) & (masks)row[i]); /* NaN passes */
    else if (step->wide && step->code == KILN_TILE_ADD)
        EACH_ROW(i)
            row[i] += LOAD(at + (size_t)i * step->row);
    else if (step->wide)
        EACH_ROW(i)
            row[i] *= LOAD(at + (size_t)i * step->row);
    else if (step->code == KILN_TILE_ADD)
        EACH_ROW(i)
            row[i] += at[(size_t)i * step->row];
    else
        EACH_ROW(i)
            row[i] *= at[(size_t)i * step->row];
}

/* That many filters' results at `count` positions, as many at the least, become rows, `plane` apart, finished. */
TURN_TARGET static void TURN(turn)(float *y, size_t plane, const float *out, size_t count,
                                   const struct kiln_tile_finish *finish, size_t o, size_t place)
{
    const size_t begin = (uintptr_t)y / sizeof *y % TURN_LANES, head = begin ? TURN_LANES - begin : 0;
    for (size_t t = 0, next; t < count; t = next) {
        const size_t at = t + TURN_LANES > count ? count - TURN_LANES : t; /* the last ones are done twice */
        next = t > 0 || head == 0 ? t + TURN_LANES
                                  : head; /* and some of the first, so that stores lie in lines */
        lanes row[TURN_LANES];
        EACH_ROW(i)
            row[i] = LOAD(out + (at + (size_t)i) * BLOCK);
        TURN_SQUARE(row);
        for (int s = 0; s < finish->steps; s++)
            TURN(take_step)(row, &finish->step[s], o, place + at);
        EACH_ROW(i)
            *(loose *)(y + (size_t)i * plane + at) = row[i];
    }
}

#undef lanes
#undef masks
#undef loose
#undef INLINE
#undef LOAD
#undef EACH_ROW
#undef TURN
#undef TURN_TARGET
#undef TURN_LANES
#undef TURN_VECTOR
#undef TURN_SQUARE
