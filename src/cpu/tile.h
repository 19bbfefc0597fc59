/*
 * tile.h - the innermost loops of matmul and convolution: a tile of results in vector registers, for the
 * vector instructions that the machine has.
 *
 * The order in which a sum's terms are added does not depend on the tile's size, so results do not depend
 * on how work is cut.
 */
#ifndef KILN_CPU_TILE_H
#define KILN_CPU_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KILN_TILE_STEPS   4  /* of a finish, at most */
#define KILN_TILE_ROWS    12 /* the largest tile of any machine */
#define KILN_TILE_COLUMNS 32
#define KILN_TILE_STEP    2 /* between rows that lie behind one another, at most */

/** Both operands in runs of a tile's rows and columns: c[i, j] = sum over k of a[k * a_row + i] * b[k * b_row + j], added where `add`. */
typedef void kiln_tile_packed(size_t depth, const float *a, size_t a_row, const float *b, size_t b_row,
                              float *c, size_t c_row, bool add);

/**
 * The same with a's rows where they lie, a_row apart, their terms one behind the other: a[i * a_row + k]. A line is asked for with
 * each term, `ahead_row` floats behind the last one.
 */
typedef void kiln_tile_rows(size_t depth, const float *a, size_t a_row, const float *b, size_t b_row,
                            float *c, size_t c_row, bool add, const float *ahead, size_t ahead_row);

/**
 * Both operands found by tables: c[i, j] = sum over k of a[a_at[k] + i * a_row] * b[b_at[k] + j]. The
 * tile's columns are consecutive floats at any alignment.
 */
typedef void kiln_tile_taps(size_t depth, const float *a, const int32_t *a_at, size_t a_row, const float *b,
                            const int32_t *b_at, float *c, size_t c_row);

enum kiln_tile_code { KILN_TILE_ADD, KILN_TILE_MUL, KILN_TILE_RELU };

/** Steps on results in registers, with a number for each column. */
struct kiln_column_steps {
    int count;
    enum kiln_tile_code code[KILN_TILE_STEPS];
    float number[KILN_TILE_STEPS][KILN_TILE_COLUMNS];
};

/**
 * Rows that lie behind one another, a step apart, found by a table: c[i, j] = sum over k of a[a_at[k] + i * step] * b[k * b_row + j],
 * finished by steps whose columns begin with `column`. Two lines are asked for with each term, `ahead_row` floats behind the last ones.
 */
typedef void kiln_tile_runs(size_t depth, const float *a, const int32_t *a_at, const float *b, size_t b_row,
                            float *c, size_t c_row, const float *ahead, size_t ahead_row,
                            const struct kiln_column_steps *steps, size_t column);

/** What is done to a tile's results in registers: steps on the result so far. */
struct kiln_tile_finish {
    bool all; /* that there is to do: else there are no steps here */
    int steps;
    struct kiln_tile_step {
        enum kiln_tile_code code;
        bool wide;       /* there is an operand for each result, else one for each row */
        const float *at; /* the first row's, in the first column; relu reads none */
        size_t row;      /* between rows; 0: one number for all */
    } step[KILN_TILE_STEPS];
};

/**
 * Rows in panels, columns found by a table, results finished: c[i, j] = sum over k of a[k * a_row + i] * b[b_at[k] + j], in row
 * `row` + i and column `column` + j of what `finish` knows. The next tile's columns are asked for.
 */
typedef void kiln_tile_finished(size_t depth, const float *a, size_t a_row, const float *b,
                                const int32_t *b_at, float *c, size_t c_row,
                                const struct kiln_tile_finish *finish, size_t row, size_t column);

/**
 * Rows that lie anywhere, their terms found by a table: c[i, j] = sum over k of a[i][at[k]] * b[k * b_row + j], added where `add`.
 */
typedef void kiln_tile_spots(size_t depth, const float *const *a, const int32_t *at, const float *b,
                             size_t b_row, float *c, size_t c_row, bool add);

/**
 * Rows of a times rows of b, each in `images` runs of `depth` floats, a multiple of KILN_DOTS_DEPTH, that
 * begin a_image and b_image apart: sum[i * KILN_DOTS_B + j] = sum over n and k of a[i][n * a_image + k] *
 * b[j][n * b_image + k].
 */
typedef void kiln_tile_dots(size_t depth, size_t images, const float *const *a, size_t a_image,
                            const float *const *b, size_t b_image, float *sum);

#define KILN_DOTS_A     3 /* rows of a tile of dots */
#define KILN_DOTS_B     4
#define KILN_DOTS_DEPTH 16

struct kiln_tiles {
    int rows, columns;                            /* of the largest tile; columns are those of every tile */
    kiln_tile_packed *packed[KILN_TILE_ROWS + 1]; /* by rows */
    kiln_tile_rows *lying[KILN_TILE_ROWS + 1];
    kiln_tile_taps *taps[KILN_TILE_ROWS + 1];
    kiln_tile_runs *runs[KILN_TILE_STEP][KILN_TILE_ROWS + 1]; /* by step - 1 and rows */
    kiln_tile_spots *spots[KILN_TILE_ROWS + 1];
    kiln_tile_finished *finished[KILN_TILE_ROWS + 1];
    kiln_tile_dots *dots;
    const struct kiln_tiles *narrow; /* as many rows, half as many columns; NULL: none */
};

/** The tiles for this machine (cpu.h). */
const struct kiln_tiles *kiln_tiles_get(void);

/** The narrowest of them that takes so many columns at once, or else the widest. */
static inline const struct kiln_tiles *kiln_tiles_across(const struct kiln_tiles *tiles, size_t columns)
{
    while (tiles->narrow && columns <= (size_t)tiles->narrow->columns)
        tiles = tiles->narrow;
    return tiles;
}

#endif
