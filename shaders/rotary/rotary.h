/*
 * rotary.h - pairs of elements turned by an angle of their position: of row r of x [rows, depth], with cosine c and sine s,
 *
 *   y[r, a] = x[r, a] c - x[r, b] s,   y[r, b] = x[r, b] c + x[r, a] s
 *
 * for pair i of turned / 2, with a = 2 i and b = 2 i + 1 with INTERLEAVED, else a = i and b = i + turned / 2; with INVERSE by
 * -s. Elements from `turned` on stay as they are.
 *
 * Row r is of position l and batch n: with r = (n * outer + o) * inner + l, or with ROWS_FIRST (n * outer + l) * inner + o.
 * c = cosine[(first_batch + n) * table_batch + l * turned / 2 + i], likewise s.
 *
 * bindings   0: x    1: cosine    2: sine    3: y
 * constants  0: flags
 * units      rows
 */
#include "interface.h"
#include "divide.h"

#define KILN_ROTARY_INTERLEAVED 1u
#define KILN_ROTARY_INVERSE     2u
#define KILN_ROTARY_ROWS_FIRST  4u

KILN_PARAMS(rotary)
{
    uint rows, turned;
    KILN_DIVISOR(depth);
    KILN_DIVISOR(inner);
    KILN_DIVISOR(outer);
    uint table_batch;   /* elements of the table from one batch to the next; 0: all have one table */
    uint first_batch;
}
KILN_PARAMS_END;
