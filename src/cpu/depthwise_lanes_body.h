/*
 * depthwise_lanes_body.h - depthwise sums of vectors of filters, once for each set of vector instructions. depthwise_lanes.c includes
 * it with these macros:
 *
 *   SUMS(name)       name with the set's suffix
 *   SUMS_TARGET      attribute of functions that use the set
 *   SUMS_LANES       floats of a vector
 */
#define vec    SUMS(vec)
#define loose  SUMS(loose)
#define mask   SUMS(mask)
#define INLINE static inline __attribute__((always_inline)) SUMS_TARGET

typedef float vec __attribute__((vector_size(4 * SUMS_LANES)));
typedef int32_t mask __attribute__((vector_size(4 * SUMS_LANES)));
typedef float loose __attribute__((vector_size(4 * SUMS_LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at)    (*(const loose *)(at))
#define EACH_TAP(v) _Pragma("GCC unroll 3") for (int v = 0; v < 3; v++)
#define EACH_SUM(i) _Pragma("GCC unroll 8") for (int i = 0; i < columns; i++)
#define EACH_X(c)   _Pragma("GCC unroll 17") for (int c = 0; c < (columns - 1) * stride + 3; c++)

/* What a row of x adds to the sums; `first` and `last`: its first or last column is zeros. */
INLINE void SUMS(add_row)(int columns, int stride, vec *sum, const float *x, const vec *tap, bool first,
                          bool last)
{
    EACH_X(c) {
        if ((c == 0 && first) || (c == (columns - 1) * stride + 2 && last))
            continue;
        vec here = LOAD(x + c * KILN_TILE_COLUMNS);
        KILN_KEEP(here);
        EACH_SUM(i)
            if (c - i * stride >= 0 && c - i * stride < 3)
                sum[i] += tap[c - i * stride] * here;
    }
}

INLINE void SUMS(finish)(int columns, vec *sum, const struct kiln_column_steps *steps, size_t filter)
{
    for (int s = 0; s < steps->count; s++) {
        const vec number = LOAD(steps->number[s] + filter);
        if (steps->code[s] == KILN_TILE_RELU)
            EACH_SUM(i)
                sum[i] = (vec)(~(sum[i] <= 0) & (mask)sum[i]); /* NaN passes */
        else if (steps->code[s] == KILN_TILE_ADD)
            EACH_SUM(i)
                sum[i] += number;
        else
            EACH_SUM(i)
                sum[i] *= number;
    }
}

INLINE void SUMS(row)(int columns, int stride, const struct kiln_lanes *t, const float *const *line,
                      vec tap[3][3], size_t times, size_t j, float *y)
{
    for (size_t n = 0; n < times; n++) {
        const size_t at = n * (size_t)columns * KILN_TILE_COLUMNS;
        vec sum[KILN_LANES_MOST];
        EACH_SUM(i)
            sum[i] = (vec){0};
        EACH_TAP(u)
            if (line[u])
                SUMS(add_row)
        (columns, stride, sum, line[u] + t->from + at * (size_t)stride + j, tap[u], n == 0 && t->first,
         n + 1 == times && t->last);
        SUMS(finish)(columns, sum, t->steps, j);
        EACH_SUM(i)
            *(loose *)(y + at + j + i * KILN_TILE_COLUMNS) = sum[i];
    }
}

INLINE void SUMS(rows)(int columns, int stride, const struct kiln_lanes *t, size_t rows, size_t times,
                       float *y)
{
    for (size_t j = 0; j < t->filters; j += SUMS_LANES) {
        vec tap[3][3];
        EACH_TAP(u)
            EACH_TAP(v)
                tap[u][v] = LOAD(t->filter + (u * 3 + v) * KILN_TILE_COLUMNS + j);
        for (size_t i = 0; i < rows; i++)
            SUMS(row)(columns, stride, t, t->line + i * (size_t)stride, tap, times, j, y + i * t->y_row);
    }
}

#define EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define DEFINE(n)                                                                                           \
    static SUMS_TARGET void SUMS(plain##n)(const struct kiln_lanes *t, size_t rows, size_t times, float *y) \
    {                                                                                                       \
        SUMS(rows)(n, 1, t, rows, times, y);                                                                \
    }                                                                                                       \
    static SUMS_TARGET void SUMS(strided##n)(const struct kiln_lanes *t, size_t rows, size_t times,         \
                                             float *y)                                                      \
    {                                                                                                       \
        SUMS(rows)(n, 2, t, rows, times, y);                                                                \
    }
EACH(DEFINE)
#undef DEFINE

static const struct kiln_lanes_sums SUMS(sums) = {
#define ENTRY(n) .run[0][n] = SUMS(plain##n), .run[1][n] = SUMS(strided##n),
    EACH(ENTRY)
#undef ENTRY
};

#undef vec
#undef loose
#undef mask
#undef INLINE
#undef LOAD
#undef EACH_TAP
#undef EACH_SUM
#undef EACH_X
#undef EACH
#undef SUMS
#undef SUMS_TARGET
#undef SUMS_LANES
