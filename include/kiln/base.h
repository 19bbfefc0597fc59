/*
 * base.h - status, element types, shapes and arrays; the rules of the house, stated once.
 *
 * Results     A call that can fail returns kiln_status and sets its outputs to NULL on failure; one log line, at the
 *             place that knows, says what was wanted and what came. Graph builders return a tensor instead and fail
 *             stickily: see graph.h.
 * Params      Every params struct may be NULL or {0}: zero always means the documented default. A real number whose
 *             default is not zero takes KILN_ZERO to mean zero. Params are read during the call only.
 * Ownership   kiln_x_create, _open and _load give you a reference; kiln_x_destroy(&x) or _close(&x) takes it back,
 *             stores NULL and accepts NULL. Getters lend: what they return lives as long as its parent. A program
 *             keeps its device and weights alive itself, so objects may be destroyed in any order.
 * Threads     A graph, a program, a session or a dataset is used by one thread at a time; a device by any number;
 *             weights by any number of programs that only read them, or by one that writes.
 * Logging     One callback for the process: see log.h. The library never exits, aborts or prints by any other way.
 */
#ifndef KILN_BASE_H
#define KILN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define KILN_API
#else
#define KILN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Status ------------------------------------------------------------------------------------------------- */

#define KILN_STATUS(X)                           \
    X(OK, "success")                             \
    X(ERROR_ARGUMENT, "argument out of range")   \
    X(ERROR_SHAPE, "shapes do not fit")          \
    X(ERROR_TYPE, "element types do not fit")    \
    X(ERROR_MEMORY, "out of memory")             \
    X(ERROR_DEVICE, "device failed or was lost") \
    X(ERROR_FILE, "file missing or malformed")   \
    X(ERROR_UNSUPPORTED, "not supported here")   \
    X(ERROR_STOPPED, "stopped by the caller")

/** The outcome of a call. KILN_OK is 0, so `if (status)` reads as "if it failed". */
typedef enum kiln_status {
#define X(name, text) KILN_##name,
    KILN_STATUS(X)
#undef X
} kiln_status;

/** What a status means, in a few words. Never NULL. */
KILN_API const char *kiln_status_text(kiln_status status);

/** The real number that means zero where zero means "the default". */
#define KILN_ZERO 1e-30

/* Element types ------------------------------------------------------------------------------------------ */

/*       name  text    bytes */
#define KILN_TYPE(X)   \
    X(F32, "f32", 4)   \
    X(F64, "f64", 8)   \
    X(F16, "f16", 2)   \
    X(BF16, "bf16", 2) \
    X(I64, "i64", 8)   \
    X(I32, "i32", 4)   \
    X(I16, "i16", 2)   \
    X(I8, "i8", 1)     \
    X(U64, "u64", 8)   \
    X(U32, "u32", 4)   \
    X(U16, "u16", 2)   \
    X(U8, "u8", 1)     \
    X(BOOL, "bool", 1)

/** The logical type of an element. How a device stores it is the compiler's choice. */
typedef enum kiln_type {
#define X(name, text, bytes) KILN_##name,
    KILN_TYPE(X)
#undef X
} kiln_type;

/** Bytes of one element in a kiln_array, files and messages. 0 for a value that is no type. */
KILN_API size_t kiln_type_size(kiln_type type);

/** "f32", "i64", ... Never NULL. */
KILN_API const char *kiln_type_name(kiln_type type);

/** True for F32, F64, F16 and BF16. */
KILN_API bool kiln_type_is_real(kiln_type type);

/** True for U64, U32, U16 and U8. */
KILN_API bool kiln_type_is_unsigned(kiln_type type);

/* Shapes ------------------------------------------------------------------------------------------------- */

#define KILN_MAX_RANK 8

/** A dimension known only when data arrives. Others come from kiln_dim(g, name). */
#define KILN_BATCH (-1)

/**
 * Rank and sizes of a tensor; a scalar has rank 0. A negative size is a symbol of the graph, or an expression of
 * symbols, that each run gives a number (see kiln_dim in graph.h).
 */
typedef struct kiln_shape {
    int rank;
    int64_t size[KILN_MAX_RANK];
} kiln_shape;

/** KILN_SHAPE(2, 3) is a shape of rank 2, KILN_SCALAR one of rank 0. */
#ifdef __cplusplus
#define KILN_SHAPE(...)                                                             \
    (kiln_shape_of((int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                   (const int64_t[]){__VA_ARGS__}))
#define KILN_SCALAR (kiln_shape_of(0, NULL))
#else
#define KILN_SHAPE(...)                                                                    \
    ((kiln_shape){.rank = (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                  .size = {__VA_ARGS__}})
#define KILN_SCALAR ((kiln_shape){.rank = 0})
#endif

/** A shape from `rank` sizes; rank is clamped to 0..KILN_MAX_RANK. */
KILN_API kiln_shape kiln_shape_of(int rank, const int64_t *size);

/** Product of the sizes; 1 for a scalar, -1 where a size is symbolic or the product overflows. */
KILN_API int64_t kiln_shape_count(const kiln_shape *shape);

/** Equal rank and sizes; a symbol equals only itself. */
KILN_API bool kiln_shape_equal(const kiln_shape *a, const kiln_shape *b);

/** Write "[2, 3]" or "[]" (symbols as "?") into text of `bytes` bytes, always ended; returns text. */
KILN_API char *kiln_shape_text(const kiln_shape *shape, char *text, size_t bytes);

/* Arrays ------------------------------------------------------------------------------------------------- */

/**
 * A view of the caller's own memory: dense, row-major.
 *
 * As a source, data, type and shape say what is there. As a destination (kiln_program_read), data and bytes say
 * where it may go, and type and shape are set to what came; bytes 0 means the shape says it.
 */
typedef struct kiln_array {
    void *data;
    size_t bytes;   /* room at data; 0: as many as type and shape need */
    kiln_type type; /* F32 by default */
    kiln_shape shape;
} kiln_array;

/** Bytes of an array's values. Errors: ERROR_ARGUMENT (logged) for a type that is none, a symbolic size or an overflow. */
KILN_API kiln_status kiln_array_size(const kiln_array *a, size_t *bytes);

/** Free the memory of an array that the library filled and you own (kiln_npy_load); a is {0} again. Accepts {0}. */
KILN_API void kiln_array_free(kiln_array *a);

#ifdef __cplusplus
}
#endif
#endif
