/* convert.h - elements from one type to another on the host: arrays to storage and back. */
#ifndef KILN_COMPILER_CONVERT_H
#define KILN_COMPILER_CONVERT_H

#include <kiln/extend.h>

#include "device/caps.h"

/** Convert count elements. Integers that do not fit are clamped; reals become integers by dropping the fraction. */
void kiln_convert(void *to, kiln_type to_type, const void *from, kiln_type from_type, size_t count);

/** Round doubles to what F16 or BF16 holds; other types leave them as they are. */
void kiln_round_to(double *values, kiln_type type, size_t count);

/**
 * How values lie in memory, decided by a program's precision and its device alone. Integers and truth values are 32-bit words,
 * U32 for the unsigned ones, I32 for the others, but I8 and U8 on the CPU.
 */
enum kiln_storage {
    KILN_STORAGE_BYTES,  /* I8 and U8 as such, reals as F32: the CPU */
    KILN_STORAGE_SINGLE, /* reals as F32: F16 and BF16 are widened */
    KILN_STORAGE_HALF,   /* F16 as such, other reals as F32 */
    KILN_STORAGE_DOUBLE, /* reals as F64 */
};

enum kiln_storage kiln_storage_of(const struct kiln_caps *caps, bool f64);
/** The type that storage holds an element of a logical type in. */
kiln_type kiln_storage_type(kiln_type type, enum kiln_storage storage);
/** Bytes that an element of this logical type takes in storage. */
size_t kiln_storage_size(kiln_type type, enum kiln_storage storage);
/** Bytes of a value in storage, in whole words: what an odd number of halves or bytes leaves of the last means nothing. */
uint64_t kiln_storage_bytes(const kiln_spec *spec, enum kiln_storage storage);

#endif
