/*
 * matmul.c - the meaning of matmul, of matmul_packed and of split_sum. Units: rows of c, counted through all matrices; the same;
 * elements of y.
 */
#include "matmul/matmul.h"

#include "cpu/epilogue.h"
#include "cpu/reference.h"
#include "matmul/matmul_packed.h"
#include "matmul/pack_columns.h"
#include "matmul/split_sum.h"

void KILN_REFERENCE(matmul)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_matmul *p = block;
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 3);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t batch = unit / p->m, row = unit % p->m;
        const real *a = (const real *)m->at[0] + p->a_first + KILN_MATRIX_AT(*p, a, batch) + row * p->a_m;
        const real *b = (const real *)m->at[1] + p->b_first + KILN_MATRIX_AT(*p, b, batch);
        const size_t c = p->c_first + batch * p->c_batch + row * p->c_m;

        for (size_t n = 0; n < p->n; n++) {
            double sum = 0;
            for (size_t k = 0; k < p->k; k++)
                sum += (double)a[k * p->a_k] * (double)b[k * p->b_k + n * p->b_n];
            ((real *)m->at[2])[c + n] = epilogue_apply(&e, (real)sum, c + n, row, n);
        }
    }
}

void KILN_REFERENCE(matmul_packed)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    const struct kiln_params_matmul_packed *p = block;
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 3);
    for (size_t row = first; row < first + count; row++)
        for (size_t n = 0; n < p->n; n++) {
            const real *a = (const real *)m->at[0] + row * p->a_m;
            const real *b = (const real *)m->at[1] + n / KILN_PACKED_COLUMNS * p->k * KILN_PACKED_COLUMNS;
            double sum = 0;
            for (size_t k = 0; k < p->k; k++)
                sum += (double)a[k * p->a_k] * (double)b[k * KILN_PACKED_COLUMNS + n % KILN_PACKED_COLUMNS];
            ((real *)m->at[2])[row * p->n + n] =
                epilogue_apply(&e, (real)sum, row * p->n + n, row % p->rows, n);
        }
}

void KILN_REFERENCE(split_sum)(const void *block, const uint32_t *constants, const kiln_memory *m,
                               size_t first, size_t count)
{
    const struct kiln_params_split_sum *p = block;
    const struct epilogue e = epilogue_of(constants, p->immediate, m, 2);
    const real *x = m->at[0];
    real *y = m->at[1];
    for (size_t i = first; i < first + count; i++) {
        double sum = 0;
        for (size_t s = 0; s < p->splits; s++)
            sum += (double)x[s * p->part + i];
        y[i] =
            epilogue_apply(&e, (real)sum, i, i / p->row_length % p->rows, i / p->column_length % p->columns);
    }
}
