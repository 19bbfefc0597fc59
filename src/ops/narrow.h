/*
 * narrow.h - integers narrower than a word.
 *
 * A device computes them as words; sums and products of words, brought back to the narrow type, are those of that type, since
 * both wrap.
 */
#ifndef KILN_OPS_NARROW_H
#define KILN_OPS_NARROW_H

#include <kiln/base.h>

static inline bool kiln_is_narrow(kiln_type type)
{
    return !kiln_type_is_real(type) && type != KILN_BOOL && kiln_type_size(type) < 4;
}

#endif
