/*
 * conv_winograd_out.h - the parameters of conv_winograd_out: from products of transformed tiles (conv_winograd_in.h) to what
 * conv_winograd.h's convolution gives.
 *
 *   y[n, o, tile t] = A^T m[., o, t] A
 *
 * m is [places, rows, columns]; its first `filters` rows and images * down * across columns count.
 *
 * bindings   0: m    1: y    2, 3: operands of the epilogue
 * constants  0 to 4: the epilogue's
 */
#include "epilogue.h"
#include "interface.h"

KILN_PARAMS(conv_winograd_out)
{
    uint tile; /* 4 or 2 */
    uint images, filters, rows;
    uint oh, ow;
    uint down, across, columns;
    KILN_EPILOGUE;
}
KILN_PARAMS_END;
