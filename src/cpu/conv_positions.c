/*
 * conv_positions.c - see conv_positions.h. Sums in the order of their terms, in tiles of registers.
 */
#include "cpu/conv_positions.h"

#include <string.h>

#include "base/number.h"
#include "cpu/simd.h"
#include "cpu/turn.h"

#define BLOCK KILN_PACKED_COLUMNS
#define TURN  8 /* terms of a sum that take as long as turning its result */

bool kiln_positions_suit_columns(size_t run, size_t depth)
{
    const size_t rest = run % KILN_TILE_COLUMNS, lost = rest ? KILN_TILE_COLUMNS - rest : 0;
    return run >= KILN_TILE_COLUMNS && lost * depth <= TURN * run;
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
            tiles->runs[kiln_least(p->run - t, high)](p->depth, x + t, p->at, filters + j, BLOCK,
                                                      out + t * BLOCK + j, BLOCK, ahead->at, ahead->row,
                                                      steps, j);
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

#define LANES         8
#define EACH_EIGHT(i) _Pragma("GCC unroll 8") for (int i = 0; i < LANES; i++)

typedef kiln_eight lanes;
typedef int32_t lane_masks __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at) (*(const loose *)(at))

/* A step on eight filters' results at `place` and behind it, the first filter being o. */
KILN_INLINE void take_step(lanes *row, const struct kiln_tile_step *step, size_t o, size_t place)
{
    const float *at = step->at + o * step->row + (step->wide ? place : 0);
    if (step->code == KILN_TILE_RELU)
        EACH_EIGHT(i)
            row[i] = (lanes)(~(row[i] <= 0) & (lane_masks)row[i]); /* NaN passes */
    else if (step->wide && step->code == KILN_TILE_ADD)
        EACH_EIGHT(i)
            row[i] += LOAD(at + (size_t)i * step->row);
    else if (step->wide)
        EACH_EIGHT(i)
            row[i] *= LOAD(at + (size_t)i * step->row);
    else if (step->code == KILN_TILE_ADD)
        EACH_EIGHT(i)
            row[i] += at[(size_t)i * step->row];
    else
        EACH_EIGHT(i)
            row[i] *= at[(size_t)i * step->row];
}

/* Eight filters' results at `count` positions, eight at the least, become rows, `plane` apart, finished. */
KILN_INLINE void turn_body(float *y, size_t plane, const float *out, size_t count,
                           const struct kiln_tile_finish *finish, size_t o, size_t place)
{
    for (size_t t = 0; t < count; t += LANES) {
        const size_t at = t + LANES > count ? count - LANES : t; /* the last ones are done twice */
        lanes row[LANES];
        EACH_EIGHT(i)
            row[i] = LOAD(out + (at + (size_t)i) * BLOCK);
        kiln_turn_eight(row);
        for (int s = 0; s < finish->steps; s++)
            take_step(row, &finish->step[s], o, place + at);
        EACH_EIGHT(i)
            *(loose *)(y + (size_t)i * plane + at) = row[i];
    }
}

static void turn(float *y, size_t plane, const float *out, size_t count,
                 const struct kiln_tile_finish *finish, size_t o, size_t place);
KILN_CLONES(turn,
            (float *y, size_t plane, const float *out, size_t count, const struct kiln_tile_finish *finish,
             size_t o, size_t place),
            (y, plane, out, count, finish, o, place))

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
    for (; o < end; o += LANES, out += LANES) {
        float *y = p->y + (o - p->first) * p->plane;
        const size_t filters = kiln_least(end - o, LANES), flat = p->flat + o * p->plane + p->place;
        if (filters == LANES && p->count >= LANES)
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
