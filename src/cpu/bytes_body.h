/*
 * bytes_body.h - the tile of bytes_tile.c, once for each set of vector instructions:
 *
 *   BYTES(name)           name with the set's suffix
 *   BYTES_TARGET          attribute of functions that use the set
 *   BYTES_LANES           words of a vector
 *   BYTES_VECTORS         vectors of a tile's row
 *   BYTES_MOST            the most rows whose sums fit into registers
 *   BYTES_EACH(X)         X(1) X(2) ... X(BYTES_MOST)
 *   BYTES_DOT(sum, a, b)  sum + the dot product in each word
 *   BYTES_QUADS           whether words hold four bytes, b's unsigned; else two numbers of 16 bits
 */
#define vec    BYTES(vec)
#define uvec   BYTES(uvec)
#define loose  BYTES(loose)
#define INLINE static inline __attribute__((always_inline)) BYTES_TARGET

typedef int32_t vec __attribute__((vector_size(4 * BYTES_LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * BYTES_LANES)));
typedef int32_t loose __attribute__((vector_size(4 * BYTES_LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at)         (*(const loose *)(at))
#define STORE(at, value) (*(loose *)(at) = (value))

INLINE void BYTES(tile)(int rows, size_t depth, const int32_t *a, size_t a_row, const int32_t *b, int32_t *c)
{
    vec sum[BYTES_MOST][BYTES_VECTORS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < BYTES_VECTORS; v++)
            sum[i][v] = LOAD(c + i * KILN_BYTES_COLUMNS + v * BYTES_LANES);
    for (size_t k = 0; k < depth; k++, b += KILN_BYTES_COLUMNS) {
        vec column[BYTES_VECTORS];
        for (int v = 0; v < BYTES_VECTORS; v++)
            column[v] = LOAD(b + v * BYTES_LANES);
        for (int i = 0; i < rows; i++) {
            const vec word = (vec){0} + a[(size_t)i * a_row + k];
            for (int v = 0; v < BYTES_VECTORS; v++)
                sum[i][v] = BYTES_DOT(sum[i][v], word, column[v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < BYTES_VECTORS; v++)
            STORE(c + i * KILN_BYTES_COLUMNS + v * BYTES_LANES, sum[i][v]);
}

#define EACH(n)                                                                                             \
    static BYTES_TARGET void BYTES(tile##n)(size_t depth, const int32_t *a, size_t a_row, const int32_t *b, \
                                            int32_t *c)                                                     \
    {                                                                                                       \
        BYTES(tile)(n, depth, a, a_row, b, c);                                                              \
    }
BYTES_EACH(EACH)
#undef EACH

static BYTES_TARGET int32_t BYTES(sum)(size_t depth, const int32_t *a)
{
    const vec ones = (vec){0} + (BYTES_QUADS ? 0x01010101 : 0x00010001);
    vec sums = {0}, rest = {0};
    size_t k = 0;
    int32_t total = 0;
    for (; k + BYTES_LANES <= depth; k += BYTES_LANES)
        sums = BYTES_DOT(sums, LOAD(a + k), ones);
    for (int i = 0; k < depth; k++)
        rest[i++] = a[k];
    sums = BYTES_DOT(sums, rest, ones);
    for (int i = 0; i < BYTES_LANES; i++)
        total += sums[i];
    return total;
}

static const struct kiln_bytes_tiles BYTES(tiles) = {.quads = BYTES_QUADS,
                                                     .rows = BYTES_MOST,
                                                     .columns = BYTES_LANES * BYTES_VECTORS,
                                                     .sum = BYTES(sum),
#define EACH(n) .tile[n] = BYTES(tile##n),
                                                     BYTES_EACH(EACH)
#undef EACH
};

#undef vec
#undef uvec
#undef loose
#undef INLINE
#undef LOAD
#undef STORE
#undef BYTES
#undef BYTES_TARGET
#undef BYTES_LANES
#undef BYTES_VECTORS
#undef BYTES_MOST
#undef BYTES_EACH
#undef BYTES_DOT
#undef BYTES_QUADS
