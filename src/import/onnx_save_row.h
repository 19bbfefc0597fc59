/* onnx_save_row.h - what the writers of operators share (onnx_save_*.c). */
#ifndef KILN_IMPORT_ONNX_SAVE_ROW_H
#define KILN_IMPORT_ONNX_SAVE_ROW_H

#include "import/onnx.h"
#include "import/onnx_save.h"

typedef struct kiln_onnx_writer writer;
typedef struct kiln_onnx_writer_row row;

#define IN(...)                                                                     \
    (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]) \
    {                                                                               \
        __VA_ARGS__                                                                 \
    }

/* Sets of types. */
enum {
#define X(name, text, bytes) IS_##name = 1 << KILN_##name,
    KILN_TYPE(X)
#undef X
        HALVES = IS_F16 | IS_BF16,
    SMALL = IS_I8 | IS_I16 | IS_U8 | IS_U16,
    NATURALS = IS_U8 | IS_U16 | IS_U32
};

static inline const char *in(writer *w, const kiln_node *n, int i)
{
    return i < n->inputs ? kiln_onnx_name(w, n->in[i]) : "";
}

static inline const char *out(writer *w, const kiln_node *n)
{
    return kiln_onnx_name(w, n->out[0]);
}

/* As the value is written: one of a type that an operator lacks is computed in a wider one. */
static inline kiln_spec spec(writer *w, kiln_tensor t)
{
    kiln_spec s = kiln_tensor_spec(w->g, t);
    if (w->widens && s.type == w->narrow)
        s.type = w->wide;
    return s;
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

/** A value as one of that type: a name, `to` or, where that is NULL, a new one. */
static inline const char *cast(writer *w, const char *from, const char *to, kiln_type type)
{
    to = to ? to : kiln_onnx_new_name(w);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Cast", to, IN(from)), "to", kiln_onnx_type_of(type));
    return to;
}

/** Of what is composed: halves are added up as floats. */
static inline kiln_tensor as_float(kiln_graph *g, kiln_tensor t)
{
    return t.id ? kiln_cast(g, t, KILN_F32) : t;
}

/** 1 - x */
static inline kiln_tensor one_less(kiln_graph *g, kiln_tensor x)
{
    return kiln_shift(g, kiln_neg(g, x), 1);
}

/** The size of an axis, an I32 scalar. */
static inline kiln_tensor size_of_axis(kiln_graph *g, kiln_tensor x, int axis)
{
    return kiln_cast(g, kiln_count_of(g, x, KILN_AXES(axis)), KILN_I32);
}

/** Axes behind the channels. */
static inline int axes_behind(writer *w, const kiln_node *n)
{
    return spec(w, n->out[0]).shape.rank - 2;
}

/** A param that has a number for each of those axes, as an attribute. */
static inline void put_field(writer *w, Onnx__NodeProto *o, const kiln_node *n, const char *field,
                             const char *name)
{
    int64_t value[3] = {0};
    kiln_node_integers(n, field, value, 3);
    kiln_onnx_put_ints(w, o, name, value, axes_behind(w, n));
}

/* before and after per axis, as ONNX lists them: all before, then all after. */
static inline void put_pads(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    int64_t pad[6] = {0}, pads[6];
    const int axes = axes_behind(w, n);
    kiln_node_integers(n, "pad", pad, 6);
    for (int i = 0; i < 2 * axes; i++)
        pads[i] = i < axes ? pad[2 * i] : pad[2 * (i - axes) + 1];
    kiln_onnx_put_ints(w, o, "pads", pads, 2 * axes);
}

/** Of windows. */
static inline void put_padding(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    if (integer(n, "same"))
        kiln_onnx_put_text(w, o, "auto_pad",
                           integer(n, "same") == KILN_SAME_UPPER ? "SAME_UPPER" : "SAME_LOWER");
    else
        put_pads(w, o, n);
}

/** Window o of y adaptive ones over x elements: its first, and the one behind its last. */
static inline int64_t kiln_onnx_window_begin(int64_t o, int64_t x, int64_t y)
{
    return o * x / y;
}

static inline int64_t kiln_onnx_window_end(int64_t o, int64_t x, int64_t y)
{
    return ((o + 1) * x + y - 1) / y;
}

/** The element of an axis of `size` at place i of the axis with a border, whose places before it are negative. */
int64_t kiln_onnx_border_place(int64_t kind, int64_t size, int64_t i);

/** The name of a list [size]: a constant, or taken from the shape of the input that has the symbol. */
const char *kiln_onnx_size_name(struct kiln_onnx_writer *w, const kiln_node *n, int64_t size);
/** The same of sizes, some of which may be symbols. */
const char *kiln_onnx_sizes_name(struct kiln_onnx_writer *w, const kiln_node *n, const kiln_shape *shape);

/** What a node keeps of what it drops, as its gradient reads it: a name that follows from that of its output. */
const char *kiln_onnx_kept_name(struct kiln_onnx_writer *w, const kiln_node *n);

/** A node of all inputs whose one attribute is the axis. */
void kiln_onnx_write_axis(struct kiln_onnx_writer *w, const kiln_node *n,
                          const struct kiln_onnx_writer_row *row);

/** A graph for a body that is composed; NULL, and g fails, without memory. */
kiln_graph *kiln_onnx_body_graph(kiln_graph *g);
/** An input of it, of a shape of the graph around: its symbols become symbols of the body. */
kiln_tensor kiln_onnx_body_input(kiln_graph *body, kiln_type type, kiln_shape shape, const char *name);
/** An input like a value of the graph around. */
kiln_tensor kiln_onnx_body_like(kiln_graph *body, const kiln_graph *g, kiln_tensor t, const char *name);

/** What kiln_onnx_write_composed takes, for rows that compose at times. */
kiln_onnx_compose_fn kiln_onnx_compose_adaptive_pool, kiln_onnx_compose_cross_entropy, kiln_onnx_compose_ctc,
    kiln_onnx_compose_find, kiln_onnx_compose_gather, kiln_onnx_compose_gather_moved,
    kiln_onnx_compose_overlap, kiln_onnx_compose_roi_places, kiln_onnx_compose_shift;

/** Rows ended by {0}. */
extern const struct kiln_onnx_writer_row kiln_onnx_writer_attention[], kiln_onnx_writer_composed[],
    kiln_onnx_writer_control[], kiln_onnx_writer_gradient[], kiln_onnx_writer_gradient_attention[],
    kiln_onnx_writer_gradient_grid[], kiln_onnx_writer_gradient_indexing[], kiln_onnx_writer_gradient_norm[],
    kiln_onnx_writer_gradient_pool[], kiln_onnx_writer_gradient_recurrent[], kiln_onnx_writer_indexing[],
    kiln_onnx_writer_layout[], kiln_onnx_writer_loss[], kiln_onnx_writer_math[], kiln_onnx_writer_matrix[],
    kiln_onnx_writer_norm[], kiln_onnx_writer_pool[], kiln_onnx_writer_reduce[], kiln_onnx_writer_resize[],
    kiln_onnx_writer_roi[], kiln_onnx_writer_step[];

#endif
