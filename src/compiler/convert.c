/* convert.c - see convert.h. Equal types are copied; the rest goes through double or a 64-bit integer. */
#include "compiler/convert.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

enum kiln_storage kiln_storage_of(const struct kiln_caps *caps, bool f64)
{
    if (f64)
        return KILN_STORAGE_DOUBLE;
    if (caps->backend == KILN_BACKEND_CPU)
        return KILN_STORAGE_BYTES;
    return caps->storage16 ? KILN_STORAGE_HALF : KILN_STORAGE_SINGLE;
}

kiln_type kiln_storage_type(kiln_type type, enum kiln_storage storage)
{
    if (storage == KILN_STORAGE_BYTES && (type == KILN_I8 || type == KILN_U8))
        return type;
    if (!kiln_type_is_real(type))
        return kiln_type_is_unsigned(type) ? KILN_U32 : KILN_I32;
    if (storage == KILN_STORAGE_DOUBLE)
        return KILN_F64;
    return storage == KILN_STORAGE_HALF && type == KILN_F16 ? KILN_F16 : KILN_F32;
}

size_t kiln_storage_size(kiln_type type, enum kiln_storage storage)
{
    return kiln_type_size(kiln_storage_type(type, storage));
}

uint64_t kiln_storage_bytes(const kiln_spec *spec, enum kiln_storage storage)
{
    const uint64_t bytes = (uint64_t)kiln_shape_count(&spec->shape) * kiln_storage_size(spec->type, storage);
    return (bytes + 3) / 4 * 4;
}

static double real_at(const void *data, kiln_type type, size_t i)
{
    switch (type) {
    case KILN_F64:
        return ((const double *)data)[i];
    case KILN_F32:
        return ((const float *)data)[i];
    case KILN_F16:
        return kiln_half_to(((const uint16_t *)data)[i]);
    default:
        return kiln_bf16_to(((const uint16_t *)data)[i]);
    }
}

static void set_real(void *data, kiln_type type, size_t i, double value)
{
    switch (type) {
    case KILN_F64:
        ((double *)data)[i] = value;
        break;
    case KILN_F32:
        ((float *)data)[i] = (float)value;
        break;
    case KILN_F16:
        ((uint16_t *)data)[i] = kiln_half_from((float)value);
        break;
    default:
        ((uint16_t *)data)[i] = kiln_bf16_from((float)value);
    }
}

static int64_t integer_at(const void *data, kiln_type type, size_t i)
{
    switch (type) {
    case KILN_I64:
        return ((const int64_t *)data)[i];
    case KILN_U64:
        return ((const uint64_t *)data)[i] > INT64_MAX ? INT64_MAX : (int64_t)((const uint64_t *)data)[i];
    case KILN_I32:
        return ((const int32_t *)data)[i];
    case KILN_U32:
        return ((const uint32_t *)data)[i];
    case KILN_I16:
        return ((const int16_t *)data)[i];
    case KILN_U16:
        return ((const uint16_t *)data)[i];
    case KILN_I8:
        return ((const int8_t *)data)[i];
    case KILN_BOOL:
        return ((const uint8_t *)data)[i] != 0;
    default:
        return ((const uint8_t *)data)[i];
    }
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void set_integer(void *data, kiln_type type, size_t i, int64_t value)
{
    switch (type) {
    case KILN_I64:
        ((int64_t *)data)[i] = value;
        break;
    case KILN_U64:
        ((uint64_t *)data)[i] = value < 0 ? 0 : (uint64_t)value;
        break;
    case KILN_I32:
        ((int32_t *)data)[i] = (int32_t)clamp(value, INT32_MIN, INT32_MAX);
        break;
    case KILN_U32:
        ((uint32_t *)data)[i] = (uint32_t)clamp(value, 0, UINT32_MAX);
        break;
    case KILN_I16:
        ((int16_t *)data)[i] = (int16_t)clamp(value, INT16_MIN, INT16_MAX);
        break;
    case KILN_U16:
        ((uint16_t *)data)[i] = (uint16_t)clamp(value, 0, UINT16_MAX);
        break;
    case KILN_I8:
        ((int8_t *)data)[i] = (int8_t)clamp(value, INT8_MIN, INT8_MAX);
        break;
    case KILN_BOOL:
        ((uint8_t *)data)[i] = value != 0;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)clamp(value, 0, UINT8_MAX);
    }
}

static int64_t truncate_real(double value)
{
    if (isnan(value))
        return 0;
    return value >= 9.2e18 ? INT64_MAX : value <= -9.2e18 ? INT64_MIN : (int64_t)value;
}

void kiln_convert(void *to, kiln_type to_type, const void *from, kiln_type from_type, size_t count)
{
    const bool from_real = kiln_type_is_real(from_type), to_real = kiln_type_is_real(to_type);
    if (to_type == from_type) {
        memcpy(to, from, count * kiln_type_size(to_type));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (from_real && to_real)
            set_real(to, to_type, i, real_at(from, from_type, i));
        else if (from_real)
            set_integer(to, to_type, i, truncate_real(real_at(from, from_type, i)));
        else if (to_real)
            set_real(to, to_type, i, (double)integer_at(from, from_type, i));
        else
            set_integer(to, to_type, i, integer_at(from, from_type, i));
    }
}

void kiln_round_to(double *values, kiln_type type, size_t count)
{
    uint16_t narrow;
    for (size_t i = 0; i < count && (type == KILN_F16 || type == KILN_BF16); i++) {
        set_real(&narrow, type, 0, values[i]);
        values[i] = real_at(&narrow, type, 0);
    }
}
