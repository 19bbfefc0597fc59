/* onnx_save_row.h - what the writers of operators share (onnx_save_*.c). */
#ifndef KILN_IMPORT_ONNX_SAVE_ROW_H
#define KILN_IMPORT_ONNX_SAVE_ROW_H

#include "import/onnx_save.h"

typedef struct kiln_onnx_writer writer;
typedef struct kiln_onnx_writer_row row;

#define IN(...)                                                                     \
    (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]) \
    {                                                                               \
        __VA_ARGS__                                                                 \
    }

static inline const char *in(writer *w, const kiln_node *n, int i)
{
    return i < n->inputs ? kiln_onnx_name(w, n->in[i]) : "";
}

static inline const char *out(writer *w, const kiln_node *n)
{
    return kiln_onnx_name(w, n->out[0]);
}

static inline kiln_spec spec(writer *w, kiln_tensor t)
{
    return kiln_tensor_spec(w->g, t);
}

static inline int64_t integer(const kiln_node *n, const char *field)
{
    int64_t value = 0;
    kiln_node_integers(n, field, &value, 1);
    return value;
}

static inline double number(const kiln_node *n, const char *field)
{
    double value = 0;
    kiln_node_reals(n, field, &value, 1);
    return value;
}

/* A number of the type of n's first input. */
static inline const char *scalar(writer *w, const kiln_node *n, double value)
{
    return kiln_onnx_new_scalar(w, spec(w, n->in[0]).type, value);
}

/** The name of a list [size]: a constant, or taken from the shape of the input that has the symbol. */
const char *kiln_onnx_size_name(struct kiln_onnx_writer *w, const kiln_node *n, int64_t size);

/** Rows ended by {0}. */
extern const struct kiln_onnx_writer_row kiln_onnx_writer_attention[], kiln_onnx_writer_control[],
    kiln_onnx_writer_indexing[], kiln_onnx_writer_math[], kiln_onnx_writer_norm[];

#endif
