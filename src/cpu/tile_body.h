/*
 * tile_body.h - the tiles, once for each set of vector instructions. tile.c includes it with these macros:
 *
 *   TILE(name)       name with the set's suffix
 *   TILE_TARGET      attribute of functions that use the set
 *   TILE_LANES       floats of a vector
 *   TILE_VECTORS     vectors of a tile's row
 *   TILE_MOST        the most rows whose sums fit into registers
 *   TILE_ROWS(X)     X(1) X(2) ... X(TILE_MOST)
 *   TILE_NARROW      the tiles of half as many columns, or NULL
 */
#define vec    TILE(vec)
#define loose  TILE(loose)
#define mask   TILE(mask)
#define INLINE static inline __attribute__((always_inline)) TILE_TARGET

typedef float vec __attribute__((vector_size(4 * TILE_LANES)));
typedef int32_t mask __attribute__((vector_size(4 * TILE_LANES)));
typedef float loose __attribute__((vector_size(4 * TILE_LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at)         (*(const loose *)(at))
#define STORE(at, value) (*(loose *)(at) = (value))

#define AHEAD \
    12 /* terms that are asked for before they are read: where they lie apart no hardware looks ahead */

/* Unrolled before the compiler looks for registers: sums that a loop still indexes would pass through memory. */
#define EACH_ROW(i)    _Pragma("GCC unroll 16") for (int i = 0; i < rows; i++)
#define EACH_VECTOR(v) _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++)

/* What all tiles do with their sums, when all terms are in: to c, or added to what is there. */
INLINE void TILE(store)(int rows, vec sum[][TILE_VECTORS], float *c, size_t c_row, bool add)
{
    if (add)
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += LOAD(c + (size_t)i * c_row + v * TILE_LANES);
    EACH_ROW(i)
        EACH_VECTOR(v)
            STORE(c + (size_t)i * c_row + v * TILE_LANES, sum[i][v]);
}

INLINE void TILE(packed)(int rows, size_t depth, const float *a, size_t a_row, const float *b, size_t b_row,
                         float *c, size_t c_row, bool add)
{
    vec sum[TILE_MOST][TILE_VECTORS], row[TILE_VECTORS];
    EACH_ROW(i)
        EACH_VECTOR(v)
            sum[i][v] = (vec){0};
    for (size_t k = 0; k < depth; k++, a += a_row, b += b_row) {
        EACH_VECTOR(v)
            row[v] = LOAD(b + v * TILE_LANES);
        __builtin_prefetch(a + AHEAD * a_row);
        for (int v = 0; v < TILE_VECTORS * TILE_LANES; v += 16)
            __builtin_prefetch(b + AHEAD * b_row + v);
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += a[i] * row[v];
    }
    TILE(store)(rows, sum, c, c_row, add);
}

/*
 * Three rows to a pointer: what lies one or two rows behind it needs no register of its own. Each term asks for a line of the next
 * tile's rows.
 */
INLINE void TILE(lying)(int rows, size_t depth, const float *a, size_t a_row, const float *b, size_t b_row,
                        float *c, size_t c_row, bool add, const float *ahead, size_t ahead_row)
{
    vec sum[TILE_MOST][TILE_VECTORS], row[TILE_VECTORS];
    const float *three[(TILE_MOST + 2) / 3];
    EACH_ROW(i) {
        three[i / 3] = a + (size_t)(i / 3 * 3) * a_row;
        EACH_VECTOR(v)
            sum[i][v] = (vec){0};
    }
    for (size_t k = 0; k < depth; k++, b += b_row, ahead += ahead_row) {
        EACH_VECTOR(v)
            row[v] = LOAD(b + v * TILE_LANES);
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(a + ((size_t)rows + (k & 15)) * a_row + (k & ~(size_t)15));
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += three[i / 3][(size_t)(i % 3) * a_row + k] * row[v];
    }
    TILE(store)(rows, sum, c, c_row, add);
}

INLINE void TILE(taps)(int rows, size_t depth, const float *a, const int32_t *a_at, size_t a_row,
                       const float *b, const int32_t *b_at, float *c, size_t c_row)
{
    vec sum[TILE_MOST][TILE_VECTORS], row[TILE_VECTORS];
    EACH_ROW(i)
        EACH_VECTOR(v)
            sum[i][v] = (vec){0};
    for (size_t k = 0; k < depth; k++) {
        const float *column = a + a_at[k];
        EACH_VECTOR(v)
            row[v] = LOAD(b + b_at[k] + v * TILE_LANES);
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += column[(size_t)i * a_row] * row[v];
    }
    TILE(store)(rows, sum, c, c_row, false);
}

INLINE void TILE(take_step)(int rows, vec sum[][TILE_VECTORS], enum kiln_tile_code code, const float *number)
{
    EACH_VECTOR(v) {
        const vec other = LOAD(number + v * TILE_LANES);
        if (code == KILN_TILE_RELU)
            EACH_ROW(i)
                sum[i][v] = (vec)(~(sum[i][v] <= 0) & (mask)sum[i][v]); /* NaN passes */
        else if (code == KILN_TILE_ADD)
            EACH_ROW(i)
                sum[i][v] += other;
        else
            EACH_ROW(i)
                sum[i][v] *= other;
    }
}

INLINE void TILE(runs)(int rows, int step, size_t depth, const float *a, const int32_t *a_at, const float *b,
                       size_t b_row, float *c, size_t c_row, const float *ahead, size_t ahead_row,
                       const struct kiln_column_steps *steps, size_t column)
{
    vec sum[TILE_MOST][TILE_VECTORS], row[TILE_VECTORS];
    EACH_ROW(i)
        EACH_VECTOR(v)
            sum[i][v] = (vec){0};
    for (size_t k = 0; k < depth; k++, b += b_row, ahead += ahead_row) {
        const float *from = a + a_at[k];
        /* into the second cache: across pages no prefetcher follows */
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(ahead + 16, 0, 2);
        EACH_VECTOR(v)
            row[v] = LOAD(b + v * TILE_LANES);
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += from[i * step] * row[v];
    }
    for (int s = 0; s < steps->count; s++)
        TILE(take_step)(rows, sum, steps->code[s], steps->number[s] + column);
    TILE(store)(rows, sum, c, c_row, false);
}

INLINE void TILE(spots)(int rows, size_t depth, const float *const *a, const int32_t *at, const float *b,
                        size_t b_row, float *c, size_t c_row, bool add)
{
    vec sum[TILE_MOST][TILE_VECTORS], row[TILE_VECTORS];
    const float *spot[TILE_MOST];
    EACH_ROW(i) {
        spot[i] = a[i];
        EACH_VECTOR(v)
            sum[i][v] = (vec){0};
    }
    for (size_t k = 0; k < depth; k++, b += b_row) {
        const ptrdiff_t term = at[k];
        EACH_VECTOR(v)
            row[v] = LOAD(b + v * TILE_LANES);
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += spot[i][term] * row[v];
    }
    TILE(store)(rows, sum, c, c_row, add);
}

INLINE void TILE(finish)(int rows, vec sum[][TILE_VECTORS], const struct kiln_tile_step *step, size_t row,
                         size_t column)
{
    const float *at = step->at + row * step->row + (step->wide ? column : 0);
    if (step->code == KILN_TILE_RELU)
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] = (vec)(~(sum[i][v] <= 0) & (mask)sum[i][v]); /* NaN passes */
    else if (step->wide && step->code == KILN_TILE_ADD)
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += LOAD(at + (size_t)i * step->row + v * TILE_LANES);
    else if (step->wide)
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] *= LOAD(at + (size_t)i * step->row + v * TILE_LANES);
    else if (step->code == KILN_TILE_ADD)
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += at[(size_t)i * step->row];
    else
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] *= at[(size_t)i * step->row];
}

INLINE void TILE(finished)(int rows, size_t depth, const float *a, size_t a_row, const float *b,
                           const int32_t *b_at, float *c, size_t c_row, const struct kiln_tile_finish *finish,
                           size_t row, size_t column)
{
    vec sum[TILE_MOST][TILE_VECTORS], term[TILE_VECTORS];
    EACH_ROW(i)
        EACH_VECTOR(v)
            sum[i][v] = (vec){0};
    EACH_ROW(i) /* lines of results are asked for as early */
        for (int v = 0; v < TILE_VECTORS * TILE_LANES; v += 16)
            __builtin_prefetch(c + (size_t)i * c_row + v, 1);
    for (size_t k = 0; k < depth; k++, a += a_row) {
        const float *columns = b + b_at[k];
        EACH_VECTOR(v)
            term[v] = LOAD(columns + v * TILE_LANES);
        for (int v = 0; v < TILE_VECTORS * TILE_LANES; v += 16)
            __builtin_prefetch(columns + TILE_VECTORS * TILE_LANES + v);
        EACH_ROW(i)
            EACH_VECTOR(v)
                sum[i][v] += a[i] * term[v];
    }
    for (int s = 0; s < finish->steps; s++)
        TILE(finish)(rows, sum, &finish->step[s], row, column);
    TILE(store)(rows, sum, c, c_row, false);
}

#define RUNS(n, by)                                                                                    \
    static TILE_TARGET void TILE(runs##by##_##n)(size_t depth, const float *a, const int32_t *a_at,    \
                                                 const float *b, size_t b_row, float *c, size_t c_row, \
                                                 const float *ahead, size_t ahead_row,                 \
                                                 const struct kiln_column_steps *steps, size_t column) \
    {                                                                                                  \
        TILE(runs)(n, by, depth, a, a_at, b, b_row, c, c_row, ahead, ahead_row, steps, column);        \
    }
#define EACH(n)                                                                                            \
    static TILE_TARGET void TILE(spots##n)(size_t depth, const float *const *a, const int32_t *at,         \
                                           const float *b, size_t b_row, float *c, size_t c_row, bool add) \
    {                                                                                                      \
        TILE(spots)(n, depth, a, at, b, b_row, c, c_row, add);                                             \
    }                                                                                                      \
    static TILE_TARGET void TILE(lying##n)(size_t depth, const float *a, size_t a_row, const float *b,     \
                                           size_t b_row, float *c, size_t c_row, bool add,                 \
                                           const float *ahead, size_t ahead_row)                           \
    {                                                                                                      \
        TILE(lying)(n, depth, a, a_row, b, b_row, c, c_row, add, ahead, ahead_row);                        \
    }                                                                                                      \
    RUNS(n, 1)                                                                                             \
    RUNS(n, 2)                                                                                             \
    static TILE_TARGET void TILE(packed##n)(size_t depth, const float *a, size_t a_row, const float *b,    \
                                            size_t b_row, float *c, size_t c_row, bool add)                \
    {                                                                                                      \
        TILE(packed)(n, depth, a, a_row, b, b_row, c, c_row, add);                                         \
    }                                                                                                      \
    static TILE_TARGET void TILE(finished##n)(size_t depth, const float *a, size_t a_row, const float *b,  \
                                              const int32_t *b_at, float *c, size_t c_row,                 \
                                              const struct kiln_tile_finish *finish, size_t row,           \
                                              size_t column)                                               \
    {                                                                                                      \
        TILE(finished)(n, depth, a, a_row, b, b_at, c, c_row, finish, row, column);                        \
    }                                                                                                      \
    static TILE_TARGET void TILE(taps##n)(size_t depth, const float *a, const int32_t *a_at, size_t a_row, \
                                          const float *b, const int32_t *b_at, float *c, size_t c_row)     \
    {                                                                                                      \
        TILE(taps)(n, depth, a, a_at, a_row, b, b_at, c, c_row);                                           \
    }
TILE_ROWS(EACH)
#undef EACH
#undef RUNS

/* Halves are added until one lane is left. */
INLINE float TILE(total)(vec sum)
{
    float lane[TILE_LANES];
    STORE(lane, sum);
    for (int step = TILE_LANES / 2; step > 0; step /= 2)
        for (int i = 0; i < step; i++)
            lane[i] += lane[i + step];
    return lane[0];
}

static TILE_TARGET void TILE(dots)(size_t depth, size_t images, const float *const *a, size_t a_image,
                                   const float *const *b, size_t b_image, float *out)
{
    vec sum[KILN_DOTS_A][KILN_DOTS_B];
    for (int i = 0; i < KILN_DOTS_A; i++)
        for (int j = 0; j < KILN_DOTS_B; j++)
            sum[i][j] = (vec){0};

    for (size_t n = 0; n < images; n++)
        for (size_t k = 0; k < depth; k += TILE_LANES)
            for (int j = 0; j < KILN_DOTS_B; j++) {
                const vec other = LOAD(b[j] + n * b_image + k);
                for (int i = 0; i < KILN_DOTS_A; i++)
                    sum[i][j] += LOAD(a[i] + n * a_image + k) * other;
            }

    for (int i = 0; i < KILN_DOTS_A; i++)
        for (int j = 0; j < KILN_DOTS_B; j++)
            *out++ = TILE(total)(sum[i][j]);
}

static const struct kiln_tiles TILE(tiles) = {
    .rows = TILE_MOST,
    .columns = TILE_LANES * TILE_VECTORS,
#define EACH(n)                                                                               \
    .packed[n] = TILE(packed##n), .lying[n] = TILE(lying##n), .taps[n] = TILE(taps##n),       \
    .runs[0][n] = TILE(runs1_##n), .runs[1][n] = TILE(runs2_##n), .spots[n] = TILE(spots##n), \
    .finished[n] = TILE(finished##n),
    TILE_ROWS(EACH)
#undef EACH
        .dots = TILE(dots),
    .narrow = TILE_NARROW,
};

#undef vec
#undef loose
#undef mask
#undef INLINE
#undef LOAD
#undef STORE
#undef AHEAD
#undef EACH_ROW
#undef EACH_VECTOR
#undef TILE
#undef TILE_TARGET
#undef TILE_LANES
#undef TILE_VECTORS
#undef TILE_MOST
#undef TILE_ROWS
#undef TILE_NARROW
