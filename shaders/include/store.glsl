/* store.glsl - the results of an invocation without an epilogue: store(i, j, value, false) for each of rows * columns. */
#define KILN_STORE_PLAIN(rows, columns, value)                                                                       \
    [[unroll]] for (uint i = 0; i < rows; i++)                                                                       \
        [[unroll]] for (uint j = 0; j < columns; j++)                                                                \
            store(i, j, value, false)
#ifndef KILN_STORE_ALL
#define KILN_STORE_ALL(rows, columns, value) KILN_STORE_PLAIN(rows, columns, value)
#endif
