/*
 * conv_positions.c - see conv_positions.h. Sums in the order of their terms, in tiles of registers.
 */
#include "cpu/conv_positions.h"

#include <string.h>

#include "base/number.h"
#include "cpu/simd.h"
#include "cpu/turn.h"

#define BLOCK KILN_PACKED_COLUMNS
#define SHORT 8 /* terms of a sum that take as long as turning its result */

bool kiln_positions_suit_columns(size_t run, size_t depth)
{
    const size_t rest = run % KILN_TILE_COLUMNS, lost = rest ? KILN_TILE_COLUMNS - rest : 0;
    return run >= KILN_TILE_COLUMNS && lost * depth <= SHORT * run;
}

/* Positions as rows -------------------------------------------------------------------------------------- */

/* Filters come from memory. While a block is multiplied, the tiles together ask for the next one, each for its share. */
struct ahead {
    const float *at;
    size_t row;
};

/* Positions that lie behind one another, in tiles of about one height. */
static void multiply_run(const struct kiln_positions *p, const struct kiln_tiles *tiles, const float *x,
                         const float *filters, size_t columns, float *out, struct ahead *ahead,
                         const struct kiln_column_steps *steps)
{
    const size_t high = kiln_parts(p->run, kiln_parts(p->run, (size_t)tiles->rows));
    for (size_t t = 0; t < p->run; t += high)
        for (size_t j = 0; j < columns; j += (size_t)tiles->columns, ahead->at += p->depth * ahead->row)
            tiles->runs[p->step - 1][kiln_least(p->run - t, high)](p->depth, x + t * p->step, p->at,
                                                                   filters + j, BLOCK, out + t * BLOCK + j,
                                                                   BLOCK, ahead->at, ahead->row, steps, j);
}

void kiln_positions_multiply(const struct kiln_positions *p, size_t o, const struct kiln_column_steps *steps)
{
    const size_t columns = kiln_least(p->end - o, BLOCK);
    const struct kiln_tiles *tiles = kiln_tiles_across(p->tiles, columns);
    const size_t calls = p->count / p->run * kiln_parts(p->run, (size_t)tiles->rows) *
                         kiln_parts(columns, (size_t)tiles->columns);
    const float *filters = p->packed + o * p->depth;
    struct ahead ahead = {filters + p->depth * BLOCK, kiln_parts(BLOCK, calls)};
    for (size_t t = 0; t < p->count; t += p->run)
        multiply_run(p, tiles, p->x + t / p->run * p->x_run, filters, columns, p->out + t * BLOCK, &ahead,
                     steps);
}

/* A step's numbers for filters from o on, zeros beyond the last. */
static void lay_numbers(float to[KILN_TILE_COLUMNS], const struct kiln_tile_step *step, size_t o,
                        size_t filters)
{
    for (size_t i = 0; i < KILN_TILE_COLUMNS; i++)
        to[i] = step->row ? 0 : *step->at;
    if (step->row)
        memcpy(to, step->at + o, filters * sizeof *to);
}

struct kiln_tile_finish kiln_positions_lead(const struct kiln_tile_finish *finish, size_t o, size_t filters,
                                            struct kiln_column_steps *lead)
{
    struct kiln_tile_finish rest = {.all = finish->all};
    int s = 0;
    for (; s < finish->steps && !finish->step[s].wide; s++) {
        const struct kiln_tile_step *step = &finish->step[s];
        lead->code[s] = step->code;
        if (step->code != KILN_TILE_RELU)
            lay_numbers(lead->number[s], step, o, filters);
    }
    lead->count = s;
    for (; s < finish->steps; s++)
        rest.step[rest.steps++] = finish->step[s];
    return rest;
}

#define TURN(name) name##_plain
#define TURN_TARGET
#define TURN_LANES  8
#define TURN_VECTOR kiln_eight
#define TURN_SQUARE kiln_turn_eight
#include "cpu/conv_turn_body.h"

#if KILN_HAVE_AVX2
#define TURN(name)  name##_avx2
#define TURN_TARGET KILN_TARGET_AVX2
#define TURN_LANES  8
#define TURN_VECTOR kiln_eight
#define TURN_SQUARE kiln_turn_eight
#include "cpu/conv_turn_body.h"

#define TURN(name)  name##_avx512
#define TURN_TARGET KILN_TARGET_AVX512
#define TURN_LANES  16
#define TURN_VECTOR kiln_sixteen
#define TURN_SQUARE kiln_turn_sixteen
#include "cpu/conv_turn_body.h"
#endif

typedef void turn_square(float *y, size_t plane, const float *out, size_t count,
                         const struct kiln_tile_finish *finish, size_t o, size_t place);

/* What turns up to so many filters at so many positions at a time, and at how many: *lanes, which there are of both; NULL: too few. */
static turn_square *turn_for(size_t filters, size_t count, size_t *lanes)
{
    const size_t both = kiln_least(filters, count);
    *lanes = 8;
#if KILN_HAVE_AVX2
    if (both >= 16 && kiln_has_avx512()) {
        *lanes = 16;
        return turn_avx512;
    }
    if (both >= 8 && kiln_has_avx2())
        return turn_avx2;
#endif
    return both >= 8 ? turn_plain : NULL;
}

/* A step on filter o's result at `place`. */
static float one_step(float value, const struct kiln_tile_step *step, size_t o, size_t place)
{
    if (step->code == KILN_TILE_RELU)
        return value <= 0 ? 0 : value; /* NaN passes */
    const float other = step->at[o * step->row + (step->wide ? place : 0)];
    return step->code == KILN_TILE_ADD ? value + other : value * other;
}

/* Where there are fewer than eight of either. */
static void turn_few(float *y, size_t plane, const float *out, size_t count,
                     const struct kiln_tile_finish *finish, size_t o, size_t filters, size_t place)
{
    for (size_t i = 0; i < filters; i++)
        for (size_t t = 0; t < count; t++) {
            float value = out[t * BLOCK + i];
            for (int s = 0; s < finish->steps; s++)
                value = one_step(value, &finish->step[s], o + i, place + t);
            y[i * plane + t] = value;
        }
}

void kiln_positions_turn(const struct kiln_positions *p, size_t o, const struct kiln_tile_finish *rest)
{
    const size_t end = kiln_least(o + BLOCK, p->end);
    const float *out = p->out;
    for (size_t lanes; o < end; o += lanes, out += lanes) {
        turn_square *const turn = turn_for(end - o, p->count, &lanes);
        float *y = p->y + (o - p->first) * p->plane;
        const size_t filters = kiln_least(end - o, lanes), flat = p->flat + o * p->plane + p->place;
        if (turn)
            turn(y, p->plane, out, p->count, rest, o, p->place);
        else
            turn_few(y, p->plane, out, p->count, rest, o, filters, p->place);
        for (size_t i = 0; i < filters && !rest->all; i++)
            kiln_row_epilogue_run(p->epilogue, y + i * p->plane, flat + i * p->plane, 0, o + i, p->count);
    }
}

void kiln_positions_as_rows(const struct kiln_positions *p)
{
    for (size_t o = p->first; o < p->end; o += BLOCK) {
        struct kiln_column_steps lead;
        const struct kiln_tile_finish rest =
            kiln_positions_lead(p->finish, o, kiln_least(p->end - o, BLOCK), &lead);
        kiln_positions_multiply(p, o, &lead);
        kiln_positions_turn(p, o, &rest);
    }
}

/* Positions as columns ----------------------------------------------------------------------------------- */

/* All filters at a tile of columns, of which the first is position `at`; x is what it meets. */
static void write_tile(const struct kiln_positions *p, const struct kiln_tiles *tiles, const float *x,
                       size_t at)
{
    for (size_t o = p->first, next; o < p->end; o = next) {
        next = kiln_least((o / BLOCK + 1) * BLOCK, p->end);
        const float *packed = p->packed + o / BLOCK * BLOCK * p->depth + o % BLOCK;
        float *y = p->y + (o - p->first) * p->plane + at;
        const size_t filters = next - o, high = kiln_parts(filters, kiln_parts(filters, (size_t)tiles->rows));
        for (size_t i = 0; i < filters; i += high)
            tiles->finished[kiln_least(filters - i, high)](p->depth, packed + i, BLOCK, x, p->at,
                                                           y + i * p->plane, p->plane, p->finish, o + i,
                                                           p->place + at);
    }
}

void kiln_positions_as_columns(const struct kiln_positions *p)
{
    for (size_t t = 0; t < p->count; t += p->run) {
        const float *from = p->x + t / p->run * p->x_run;
        for (size_t j = 0; j < p->run; j += (size_t)p->tiles->columns) {
            const struct kiln_tiles *tiles = kiln_tiles_across(p->tiles, p->run - j);
            const size_t here = (size_t)tiles->columns, column = j + here > p->run ? p->run - here : j;
            write_tile(p, tiles, from + column, t + column);
        }
    }
    for (size_t o = p->first; o < p->end && !p->finish->all; o++)
        kiln_row_epilogue_run(p->epilogue, p->y + (o - p->first) * p->plane,
                              p->flat + o * p->plane + p->place, 0, o, p->count);
}
