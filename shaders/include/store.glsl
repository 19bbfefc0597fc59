/*
 * store.glsl - the results of an invocation, rows * columns values: store(i, j, value) is called for each.
 *
 * What a store takes is long: index arithmetic, and an epilogue where there is one. It stands in a loop over a copy of the
 * results, so that drivers compile it once, while the results themselves stay in registers.
 */
#define KILN_STORE_ALL(rows, columns, value)                                                                         \
    {                                                                                                                \
        float kiln_result[rows * columns];                                                                           \
        [[unroll]] for (uint i = 0; i < rows; i++)                                                                   \
            [[unroll]] for (uint j = 0; j < columns; j++)                                                            \
                kiln_result[i * columns + j] = value;                                                                \
        [[dont_unroll]] for (uint at = 0; at < rows * columns; at++)                                                 \
            store(at / columns, at % columns, kiln_result[at]);                                                      \
    }
