/*
 * epilogue_fast.c - epilogues on whole rows of results. The usual ones, sums and products with operands or numbers and relu, go
 * through all steps in registers; all others run through the chain's blocks.
 */
#include "cpu/epilogue_fast.h"

#include <string.h>

#include "cpu/simd.h"

static void fill(float *row, const void *word)
{
    for (int i = 0; i < KILN_CHAIN_BLOCK; i++)
        memcpy(&row[i], word, sizeof *row);
}

/* A step on the value so far, register `value`; false where it is none of the usual ones. */
static bool read_step(uint32_t word, uint32_t value, const uint32_t *immediate, struct kiln_row_step *to)
{
    const uint32_t code = word & 0xff, a = word >> 8 & 0xff, b = word >> 16 & 0xff,
                   other = a == value ? b : a;
    *to = (struct kiln_row_step){.code = code == KILN_STEP_ADD_F   ? KILN_TILE_ADD
                                         : code == KILN_STEP_MUL_F ? KILN_TILE_MUL
                                                                   : KILN_TILE_RELU,
                                 .operand = -1};
    if (code == KILN_STEP_RELU_F)
        return a == value;
    if ((code != KILN_STEP_ADD_F && code != KILN_STEP_MUL_F) || (a != value && b != value))
        return false;
    if (other >= 1 && other <= KILN_EPILOGUE_OPERANDS)
        to->operand = (int)other - 1;
    else if (other >= KILN_REGISTER_IMMEDIATE)
        memcpy(&to->number, &immediate[2 * (other - KILN_REGISTER_IMMEDIATE)], sizeof to->number);
    else /* the value itself, or one before it */
        return false;
    return true;
}

static bool find_usual(struct kiln_row_epilogue *e, const uint32_t *immediate)
{
    bool usual = e->steps == 0 || e->result == KILN_REGISTER_STEP + e->steps - 1;
    for (int i = 0; i < e->steps && usual; i++)
        usual = read_step(e->step[i], i ? KILN_REGISTER_STEP + (uint32_t)i - 1 : 0, immediate, &e->row[i]);
    return usual;
}

void kiln_row_epilogue_init(struct kiln_row_epilogue *e, const uint32_t *constants, const uint32_t *immediate,
                            void *const *operands, bool channels)
{
    const uint32_t head = constants[0];
    e->step = constants + 1;
    e->steps = (int)(head >> 8 & 0xff);
    e->result = (int)(head >> 24);
    e->channels = channels;
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++) {
        e->walk[i] = head >> (16 + 4 * i) & 15;
        e->operand[i] = i + 1 < (int)(head & 15) ? operands[i] : NULL;
    }
    e->usual = find_usual(e, immediate);
    if (e->usual)
        return;

    memset(e->registers, 0, sizeof e->registers);
    float(*room)[KILN_CHAIN_BLOCK] = e->room;
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
        e->registers[1 + i] = *room++;
    for (int i = 0; i < KILN_EPILOGUE_STEPS; i++)
        e->registers[KILN_REGISTER_STEP + i] = *room++;
    for (int i = 0; i < KILN_EPILOGUE_IMMEDIATES; i++) {
        e->registers[KILN_REGISTER_IMMEDIATE + i] = *room++;
        fill(e->registers[KILN_REGISTER_IMMEDIATE + i], &immediate[2 * i]);
    }
}

#define LANES   8
#define VECTORS 8 /* that go through all steps in registers */

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int lane_masks __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at)       (*(const loose *)(at))
#define EACH_VECTOR(i) _Pragma("GCC unroll 8") for (int i = 0; i < vectors; i++)

/* A step on so many vectors. */
KILN_INLINE void take_step(lanes *c, int vectors, enum kiln_tile_code code, const float *from, float number)
{
    if (code == KILN_TILE_RELU)
        EACH_VECTOR(i)
            c[i] = (lanes)(~(c[i] <= 0) & (lane_masks)c[i]); /* NaN passes */
    else if (code == KILN_TILE_ADD && from)
        EACH_VECTOR(i)
            c[i] += LOAD(from + i * LANES);
    else if (code == KILN_TILE_ADD)
        EACH_VECTOR(i)
            c[i] += number;
    else if (from)
        EACH_VECTOR(i)
            c[i] *= LOAD(from + i * LANES);
    else
        EACH_VECTOR(i)
            c[i] *= number;
}

/* All steps on so many vectors of results x from `at` on; from[s] holds the operands of step s, NULL: its number is. */
KILN_INLINE void take_vectors(float *c, const float *x, size_t at, int vectors,
                              const struct kiln_row_step *step, const float *const *from, int steps)
{
    lanes value[VECTORS];
    EACH_VECTOR(i)
        value[i] = LOAD(x + at + (size_t)i * LANES);
    for (int s = 0; s < steps; s++)
        take_step(value, vectors, step[s].code, from[s] ? from[s] + at : NULL, step[s].number);
    EACH_VECTOR(i)
        *(loose *)(c + at + (size_t)i * LANES) = value[i];
}

KILN_INLINE void take_one(float *c, const float *x, size_t at, const struct kiln_row_step *step,
                          const float *const *from, int steps)
{
    float value = x[at];
    for (int s = 0; s < steps; s++) {
        const float other = from[s] ? from[s][at] : step[s].number;
        if (step[s].code == KILN_TILE_RELU)
            value = value <= 0 ? 0 : value;
        else
            value = step[s].code == KILN_TILE_ADD ? value + other : value * other;
    }
    c[at] = value;
}

KILN_INLINE void take_steps(float *c, const float *x, const struct kiln_row_step *step,
                            const float *const *from, int steps, size_t count)
{
    size_t at = 0;
    for (; at + VECTORS * LANES <= count; at += VECTORS * LANES)
        take_vectors(c, x, at, VECTORS, step, from, steps);
    for (; at + VECTORS / 2 * LANES <= count; at += VECTORS / 2 * LANES)
        take_vectors(c, x, at, VECTORS / 2, step, from, steps);
    for (; at + LANES <= count; at += LANES)
        take_vectors(c, x, at, 1, step, from, steps);
    for (; at < count; at++)
        take_one(c, x, at, step, from, steps);
}

/* Rows c_row and x_row apart; the operands of step s move on by ahead[s]. */
KILN_INLINE void take_rows_body(float *c, size_t c_row, const float *x, size_t x_row,
                                const struct kiln_row_step *step, const float **from, const size_t *ahead,
                                int steps, size_t rows, size_t count)
{
    for (size_t i = 0; i < rows; i++, c += c_row, x += x_row) {
        take_steps(c, x, step, from, steps, count);
        for (int s = 0; s < steps; s++)
            if (ahead[s])
                from[s] += ahead[s];
    }
}

static void take_rows(float *c, size_t c_row, const float *x, size_t x_row, const struct kiln_row_step *step,
                      const float **from, const size_t *ahead, int steps, size_t rows, size_t count);
KILN_CLONES(take_rows,
            (float *c, size_t c_row, const float *x, size_t x_row, const struct kiln_row_step *step,
             const float **from, const size_t *ahead, int steps, size_t rows, size_t count),
            (c, c_row, x, x_row, step, from, ahead, steps, rows, count))

/* Operand i for the results from `flat` on; *one: it is the same for all of them. */
static const float *operand_at(const struct kiln_row_epilogue *e, int i, size_t flat, size_t row,
                               size_t column, bool *one)
{
    *one = e->walk[i] == KILN_WALK_SCALAR || e->walk[i] == KILN_WALK_ROW ||
           (e->walk[i] == KILN_WALK_COLUMN && e->channels);
    return e->operand[i] + (e->walk[i] == KILN_WALK_FLAT     ? flat
                            : e->walk[i] == KILN_WALK_SCALAR ? 0
                            : e->walk[i] == KILN_WALK_ROW    ? row
                                                             : column);
}

static void run_usual(struct kiln_row_epilogue *e, float *c, size_t c_row, const float *x, size_t x_row,
                      size_t flat, size_t row, size_t column, size_t rows, size_t count)
{
    const float *from[KILN_EPILOGUE_STEPS] = {0};
    size_t ahead[KILN_EPILOGUE_STEPS] = {0};
    bool one;
    for (int s = 0; s < e->steps; s++) {
        const int operand = e->row[s].operand;
        if (operand < 0)
            continue;
        from[s] = operand_at(e, operand, flat, row, column, &one);
        if (one)
            e->row[s].number = *from[s], from[s] = NULL;
        else if (e->walk[operand] == KILN_WALK_FLAT)
            ahead[s] = c_row;
    }
    take_rows(c, c_row, x, x_row, e->row, from, ahead, e->steps, rows, count);
}

/* Let register 1 + i hold its operand for `count` results. */
static void place_operand(struct kiln_row_epilogue *e, int i, size_t flat, size_t row, size_t column,
                          size_t count)
{
    bool one;
    const float *from = operand_at(e, i, flat, row, column, &one);
    if (one)
        fill(e->registers[1 + i], from);
    else
        memcpy(e->registers[1 + i], from, count * sizeof *from);
}

void kiln_row_epilogue_run(struct kiln_row_epilogue *e, float *c, size_t flat, size_t row, size_t column,
                           size_t count)
{
    if (e->steps == 0)
        return;
    if (e->usual) {
        run_usual(e, c, 0, c, 0, flat, row, column, 1, count);
        return;
    }
    for (size_t done = 0; done < count; done += KILN_CHAIN_BLOCK) {
        const size_t part = count - done < KILN_CHAIN_BLOCK ? count - done : KILN_CHAIN_BLOCK;
        e->registers[0] = c + done;
        for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
            if (e->operand[i])
                place_operand(e, i, flat + done, row, column + (e->channels ? 0 : done), part);
        kiln_chain_run_f32(e->step, e->steps, e->registers, (int)part);
        memcpy(c + done, e->registers[e->result], part * sizeof *c);
    }
}

const struct kiln_row_step *kiln_row_epilogue_numbers(struct kiln_row_epilogue *e, size_t column)
{
    for (int s = 0; s < e->steps && e->usual; s++) {
        bool one = true;
        if (e->row[s].operand >= 0)
            e->row[s].number = *operand_at(e, e->row[s].operand, 0, 0, column, &one);
        if (!one)
            return NULL;
    }
    return e->usual ? e->row : NULL;
}

/* Whether an operand's value changes from row to row, and within none. */
static bool walks_rows(const struct kiln_row_epilogue *e)
{
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
        if (e->operand[i] && e->walk[i] == KILN_WALK_ROW)
            return true;
    return false;
}

/* Rows of `count` values: by vectors, as what memcpy becomes where it knows no size takes longer to begin than a short row does. */
KILN_INLINE void copy_rows_body(float *to, size_t to_row, const float *from, size_t from_row, size_t rows,
                                size_t count)
{
    for (size_t i = 0; i < rows; i++, to += to_row, from += from_row) {
        size_t at = 0;
        for (; at + LANES <= count; at += LANES)
            *(loose *)(to + at) = LOAD(from + at);
        for (; at < count; at++)
            to[at] = from[at];
    }
}

static void copy_rows(float *to, size_t to_row, const float *from, size_t from_row, size_t rows,
                      size_t count);
KILN_CLONES(copy_rows,
            (float *to, size_t to_row, const float *from, size_t from_row, size_t rows, size_t count),
            (to, to_row, from, from_row, rows, count))

/* Short rows by the chain's blocks: as many at a time as a block holds. What is the same for all rows is there from the first on. */
static void run_gathered(struct kiln_row_epilogue *e, float *c, size_t c_row, const float *x, size_t x_row,
                         size_t flat, size_t column, size_t rows, size_t count)
{
    const size_t most = KILN_CHAIN_BLOCK / count;
    for (size_t first = 0; first < rows; first += most, c += most * c_row, x += most * x_row) {
        const size_t here = rows - first < most ? rows - first : most;
        bool one;
        e->registers[0] = x_row == count ? (float *)(uintptr_t)x : e->gathered; /* which is only read */
        if (x_row != count)
            copy_rows(e->gathered, count, x, x_row, here, count);
        for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++) {
            const float *from = e->operand[i] ? operand_at(e, i, flat, 0, column, &one) : NULL;
            if (from && e->walk[i] == KILN_WALK_FLAT)
                copy_rows(e->registers[1 + i], count, from + first * c_row, c_row, here, count);
            else if (from && first == 0 && one)
                fill(e->registers[1 + i], from);
            else if (from && first == 0)
                copy_rows(e->registers[1 + i], count, from, 0, here, count);
        }
        kiln_chain_run_f32(e->step, e->steps, e->registers, (int)(here * count));
        copy_rows(c, c_row, e->registers[e->result], count, here, count);
    }
}

void kiln_row_epilogue_rows(struct kiln_row_epilogue *e, float *c, size_t c_row, const float *x, size_t x_row,
                            size_t flat, size_t row, size_t column, size_t rows, size_t count)
{
    const bool alike = !walks_rows(e);
    if (e->steps == 0 && x == c)
        return;
    if (alike && e->usual)
        run_usual(e, c, c_row, x, x_row, flat, row, column, rows, count);
    else if (alike && count <= KILN_CHAIN_BLOCK / 2)
        run_gathered(e, c, c_row, x, x_row, flat, column, rows, count);
    else
        for (size_t i = 0; i < rows; i++) {
            if (x != c)
                memcpy(c + i * c_row, x + i * x_row, count * sizeof *c);
            kiln_row_epilogue_run(e, c + i * c_row, flat + i * c_row, row + i, column, count);
        }
}

struct kiln_tile_finish kiln_row_epilogue_finish(const struct kiln_row_epilogue *e, size_t flat, size_t plane)
{
    _Static_assert(KILN_TILE_STEPS >= KILN_EPILOGUE_STEPS, "a tile takes every step");
    struct kiln_tile_finish finish = {.all = e->usual, .steps = e->usual ? e->steps : 0};
    for (int s = 0; s < finish.steps; s++) {
        const struct kiln_row_step *row = &e->row[s];
        struct kiln_tile_step *to = &finish.step[s];
        bool one = true;
        *to = (struct kiln_tile_step){.code = row->code, .at = &row->number};
        if (row->operand < 0)
            continue;
        to->at = operand_at(e, row->operand, flat, 0, 0, &one);
        to->wide = !one;
        to->row = e->walk[row->operand] == KILN_WALK_SCALAR ? 0 : one ? 1 : plane;
    }
    return finish;
}
