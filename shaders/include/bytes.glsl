/*
 * bytes.glsl - a product of matrices of signed bytes, packed four to a word along the terms: as tiled.glsl, a workgroup of 128
 * computes 64 x 64 results through 8 KiB of shared memory, in slabs of 16 words. With -DDOT a word's four products are one
 * instruction of the device (SPV_KHR_integer_dot_product).
 *
 *   sum over k of (a[k] - za) * (b[k] - zb) = sum of a b - zb * sum of a - za * sum of b + depth * za * zb
 *
 * The shader defines, and then calls kiln_tile(rows, columns, words, depth) with the sizes behind the tile's first row and column
 * and the number of terms that zero points are taken from:
 *
 *   uint load_a(uint row, uint word)           row and word are in range; row counts from the tile's first
 *   uint load_b(uint word, uint column)
 *   int  zero_a(uint row), zero_b(uint column)
 *   void store_at(uint row, uint column, int sum)
 *
 * and A_ALONG_TERMS, B_ALONG_TERMS as in tiled.glsl; A_ZERO, B_ZERO: whether zero points may be other than 0.
 */
#define TILE 64u
#define SLAB 16u
#define TILE_LANES 128u
#define OWN_ROWS 8u
#define OWN_COLUMNS 4u

#ifdef DOT
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int kiln_packed_dot(uint a, uint b, spirv_literal int format);
#define kiln_dot(a, b) kiln_packed_dot(a, b, 0)
#else
int kiln_dot(uint a, uint b)
{
    const int x = int(a), y = int(b);
    return bitfieldExtract(x, 0, 8) * bitfieldExtract(y, 0, 8) + bitfieldExtract(x, 8, 8) * bitfieldExtract(y, 8, 8) +
           bitfieldExtract(x, 16, 8) * bitfieldExtract(y, 16, 8) + (x >> 24) * (y >> 24);
}
#endif

shared uint slab_a[SLAB][TILE];
shared uint slab_b[SLAB][TILE];

void kiln_load_slab(uint rows, uint columns, uint words, uint first)
{
    for (uint i = 0; i < TILE * SLAB / TILE_LANES; i++) {
        const uint at = i * TILE_LANES + LANE;
        const uint a_word = A_ALONG_TERMS ? at % SLAB : at / TILE, row = A_ALONG_TERMS ? at / SLAB : at % TILE;
        const uint b_word = B_ALONG_TERMS ? at % SLAB : at / TILE, column = B_ALONG_TERMS ? at / SLAB : at % TILE;
        slab_a[a_word][row] = row < rows && first + a_word < words ? load_a(row, first + a_word) : 0u;
        slab_b[b_word][column] = column < columns && first + b_word < words ? load_b(first + b_word, column) : 0u;
    }
}

void kiln_tile(uint rows, uint columns, uint words, uint depth)
{
    const uint row = LANE / (TILE / OWN_COLUMNS) * OWN_ROWS, column = LANE % (TILE / OWN_COLUMNS) * OWN_COLUMNS;
    ivec4 sum[OWN_ROWS], b_sum = ivec4(0);
    int a_sum[OWN_ROWS];
    [[unroll]] for (uint i = 0; i < OWN_ROWS; i++) {
        sum[i] = ivec4(0);
        a_sum[i] = 0;
    }

    for (uint first = 0; first < words; first += SLAB) {
        kiln_load_slab(rows, columns, words, first);
        barrier();
        for (uint k = 0; k < SLAB; k++) {
            const uint b0 = slab_b[k][column], b1 = slab_b[k][column + 1];
            const uint b2 = slab_b[k][column + 2], b3 = slab_b[k][column + 3];
            if (A_ZERO)
                b_sum += ivec4(kiln_dot(b0, KILN_BYTES_ONES), kiln_dot(b1, KILN_BYTES_ONES), kiln_dot(b2, KILN_BYTES_ONES),
                               kiln_dot(b3, KILN_BYTES_ONES));
            [[unroll]] for (uint i = 0; i < OWN_ROWS; i++) {
                const uint a = slab_a[k][row + i];
                sum[i] += ivec4(kiln_dot(a, b0), kiln_dot(a, b1), kiln_dot(a, b2), kiln_dot(a, b3));
                if (B_ZERO)
                    a_sum[i] += kiln_dot(a, KILN_BYTES_ONES);
            }
        }
        barrier();
    }

    int result[OWN_ROWS * OWN_COLUMNS];
    [[unroll]] for (uint j = 0; j < OWN_COLUMNS; j++) {
        const int zb = B_ZERO && column + j < columns ? zero_b(column + j) : 0;
        [[unroll]] for (uint i = 0; i < OWN_ROWS; i++) {
            const int za = A_ZERO && row + i < rows ? zero_a(row + i) : 0;
            result[i * OWN_COLUMNS + j] = sum[i][j] - zb * a_sum[i] - za * b_sum[j] + int(depth) * za * zb;
        }
    }
    [[dont_unroll]] for (uint at = 0; at < OWN_ROWS * OWN_COLUMNS; at++)
        if (row + at / OWN_COLUMNS < rows && column + at % OWN_COLUMNS < columns)
            store_at(row + at / OWN_COLUMNS, column + at % OWN_COLUMNS, result[at]);
}
