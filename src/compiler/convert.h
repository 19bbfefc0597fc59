/* convert.h - elements from one type to another on the host: arrays to storage and back. */
#ifndef KILN_COMPILER_CONVERT_H
#define KILN_COMPILER_CONVERT_H

#include <kiln/base.h>

/** Convert count elements. Integers that do not fit are clamped; reals become integers by dropping the fraction. */
void kiln_convert(void *to, kiln_type to_type, const void *from, kiln_type from_type, size_t count);

/** The type that storage holds an element of a logical type in: F64 or F32 for reals, I32 for all others. */
kiln_type kiln_storage_type(kiln_type type, bool f64);

#endif
