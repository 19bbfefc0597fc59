/*
 * search.h - the parameters of search: how many elements of a sorted list come before each value, in the order of sort.
 *
 *   y[r, i] = how many of list[r, ..] are less than x[r, i]; with `right`, or equal to it
 *
 * where list is [lists, entries], one list for all rows or one a row; x and y [rows, cols]. NaN counts as larger than everything.
 *
 * bindings   0: list    1: x    2: y
 * constants  0: key code (order/codes.h)    1: right
 * units      elements of x
 */
#include "interface.h"
#include "divide.h"
#include "../order/codes.h"

KILN_PARAMS(search) {
    uint rows, lists, entries;
    KILN_DIVISOR(cols);
} KILN_PARAMS_END;
