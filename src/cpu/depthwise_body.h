/*
 * depthwise_body.h - rows of a depthwise convolution by 3 x 3, once for each set of vector instructions. conv_depthwise_rows.c
 * includes it with these macros:
 *
 *   ROWS(name)       name with the set's suffix
 *   ROWS_TARGET      attribute of functions that use the set
 *   ROWS_LANES       floats of a vector
 *   ROWS_MOST        the most rows of results whose sums fit into registers beside the filter
 *   ROWS_EACH(X)     X(1) X(2) ... X(ROWS_MOST)
 *   ROWS_EVEN        0, 2, 4, ... 2 * ROWS_LANES - 2
 *   ROWS_ODD         1, 3, 5, ...
 *   ROWS_NEXT        1, 2, 3, ... ROWS_LANES
 */
#define vec    ROWS(vec)
#define mask   ROWS(mask)
#define loose  ROWS(loose)
#define INLINE static inline __attribute__((always_inline)) ROWS_TARGET

typedef float vec __attribute__((vector_size(4 * ROWS_LANES)));
typedef int32_t mask __attribute__((vector_size(4 * ROWS_LANES)));
typedef float loose __attribute__((vector_size(4 * ROWS_LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at)     (*(const loose *)(at))
#define EACH_SUM(i)  _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++)
#define EACH_LINE(r) _Pragma("GCC unroll 16") for (int r = 0; r < (rows - 1) * stride + 3; r++)

/* What a row of x gives to the filter's three columns; `first` and `last`: masks of the outer ones, NULL: all count. */
INLINE void ROWS(meet)(vec tap[3], const float *x, int stride, const int32_t *first, const int32_t *last)
{
    if (stride == 1) {
        tap[0] = LOAD(x), tap[1] = LOAD(x + 1), tap[2] = LOAD(x + 2);
    } else {
        const vec here = LOAD(x), after = LOAD(x + ROWS_LANES);
        tap[0] = __builtin_shufflevector(here, after, ROWS_EVEN);
        tap[1] = __builtin_shufflevector(here, after, ROWS_ODD);
        tap[2] = __builtin_shufflevector(tap[0], x[2 * ROWS_LANES] - (vec){0}, ROWS_NEXT);
    }
    if (first)
        tap[0] = (vec)((mask)tap[0] & *(const mask *)first);
    if (last)
        tap[2] = (vec)((mask)tap[2] & *(const mask *)last);
}

/* What a row of the filter adds to a sum. */
INLINE void ROWS(add)(vec *sum, const vec *filter, const vec *tap)
{
    *sum += filter[0] * tap[0];
    *sum += filter[1] * tap[1];
    *sum += filter[2] * tap[2];
}

INLINE void ROWS(take_steps)(vec *sum, int rows, const struct kiln_row_step *step, int steps)
{
    for (int s = 0; s < steps; s++)
        if (step[s].code == KILN_TILE_RELU)
            EACH_SUM(i)
                sum[i] = (vec)(~(sum[i] <= 0) & (mask)sum[i]); /* NaN passes */
        else if (step[s].code == KILN_TILE_ADD)
            EACH_SUM(i)
                sum[i] += step[s].number;
        else
            EACH_SUM(i)
                sum[i] *= step[s].number;
}

/* As much of a sum as there is room for. */
INLINE void ROWS(store_part)(float *y, size_t left, vec sum)
{
    float part[ROWS_LANES];
    *(loose *)part = sum;
    _Pragma("GCC unroll 4") for (size_t piece = ROWS_LANES / 2, at = 0; piece > 0; piece /= 2)
    {
        if (left & piece)
            memcpy(y + at, part + at, piece * sizeof *y);
        at += left & piece;
    }
}

/* So many columns of some rows of results, that meet the rows x. */
INLINE void ROWS(vector)(int rows, int stride, const struct rows *t, vec *sum, const float *const *x,
                         size_t column, const vec *filter, const int32_t *first, const int32_t *last)
{
    EACH_SUM(i) /* not to the first product: of two, the compiler would choose which one is rounded */
        sum[i] = (vec){0};
    EACH_LINE(r) {
        vec tap[3];
        ROWS(meet)(tap, x[r] + column * (size_t)stride, stride, first, last);
        EACH_SUM(i) {
            const int u = r - i * stride;
            if (u >= 0 && u < 3)
                ROWS(add)(&sum[i], filter + 3 * u, tap);
        }
    }
    ROWS(take_steps)(sum, rows, t->step, t->steps);
}

INLINE void ROWS(store)(float *y, size_t width, const vec *sum, int rows)
{
    EACH_SUM(i)
        *(loose *)(y + (size_t)i * width) = sum[i];
}

INLINE void ROWS(load_filter)(vec *filter, const float *w)
{
    _Pragma("GCC unroll 9") for (int k = 0; k < 9; k++) filter[k] = w[k] - (vec){0};
}

/*
 * Of rows that are no longer than a vector: what it writes beyond one is overwritten by the next, and nothing is written beyond the
 * plane, of which `left` floats are left.
 */
INLINE void ROWS(narrow)(int rows, int stride, const struct rows *t, float *y, size_t left,
                         const float *const *x, const float *w)
{
    vec filter[9], sum[ROWS_MOST];
    ROWS(load_filter)(filter, w);
    ROWS(vector)(rows, stride, t, sum, x, 0, filter, t->first, t->last);
    if (left >= (size_t)(rows - 1) * t->width + ROWS_LANES) {
        ROWS(store)(y, t->width, sum, rows);
        return;
    }
    EACH_SUM(i) {
        const size_t at = (size_t)i * t->width;
        if (left - at >= ROWS_LANES)
            *(loose *)(y + at) = sum[i];
        else
            ROWS(store_part)(y + at, left - at, sum[i]);
    }
}

/* Of longer ones: the last vector begins as far left as it must to end with the row. */
INLINE void ROWS(wide)(int rows, int stride, const struct rows *t, float *y, size_t left,
                       const float *const *x, const float *w)
{
    const size_t end = t->width - ROWS_LANES;
    vec filter[9], sum[ROWS_MOST];
    (void)left;
    ROWS(load_filter)(filter, w);
    ROWS(vector)(rows, stride, t, sum, x, 0, filter, t->first, NULL);
    ROWS(store)(y, t->width, sum, rows);
    for (size_t column = ROWS_LANES; column < end; column += ROWS_LANES) {
        ROWS(vector)(rows, stride, t, sum, x, column, filter, NULL, NULL);
        ROWS(store)(y + column, t->width, sum, rows);
    }
    ROWS(vector)(rows, stride, t, sum, x, end, filter, NULL, t->last);
    ROWS(store)(y + end, t->width, sum, rows);
}

#define BLOCK(name, n, stride)                                                                    \
    static ROWS_TARGET void ROWS(name##stride##_##n)(const struct rows *t, float *y, size_t left, \
                                                     const float *const *x, const float *w)       \
    {                                                                                             \
        ROWS(name)(n, stride, t, y, left, x, w);                                                  \
    }
#define EACH_BLOCK(n) BLOCK(narrow, n, 1) BLOCK(narrow, n, 2) BLOCK(wide, n, 1) BLOCK(wide, n, 2)
ROWS_EACH(EACH_BLOCK)
#undef BLOCK
#undef EACH_BLOCK

static const struct row_blocks ROWS(blocks) = {.lanes = ROWS_LANES,
                                               .most = ROWS_MOST,
#define EACH_BLOCK(n)                                                                                    \
    .narrow[0][n] = ROWS(narrow1_##n), .narrow[1][n] = ROWS(narrow2_##n), .wide[0][n] = ROWS(wide1_##n), \
    .wide[1][n] = ROWS(wide2_##n),
                                               ROWS_EACH(EACH_BLOCK)
#undef EACH_BLOCK
};

#undef vec
#undef mask
#undef loose
#undef INLINE
#undef LOAD
#undef EACH_SUM
#undef EACH_LINE
#undef ROWS
#undef ROWS_TARGET
#undef ROWS_LANES
#undef ROWS_MOST
#undef ROWS_EACH
#undef ROWS_EVEN
#undef ROWS_ODD
#undef ROWS_NEXT
