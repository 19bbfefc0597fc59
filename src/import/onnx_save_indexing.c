/* onnx_save_indexing.c - what reads and writes at places that data names, orders, accumulates and selects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/indexing.h>

#include "base/log.h"
#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* Values beside ------------------------------------------------------------------------------------------ */

/* Output k of n, from one of another type. */
static void write_as(writer *w, const kiln_node *n, int k, const char *from)
{
    cast(w, from, kiln_onnx_name(w, n->out[k]), spec(w, n->out[k]).type);
}

/* A list [size of an axis of input i]. */
static const char *size_of(writer *w, const kiln_node *n, int i, int64_t axis)
{
    const kiln_shape shape = spec(w, n->in[i]).shape;
    if (shape.size[axis] >= 0)
        return kiln_onnx_new_list(w, &shape.size[axis], 1);
    return kiln_onnx_step(w, "Gather",
                          IN(kiln_onnx_step(w, "Shape", IN(in(w, n, i))), kiln_onnx_new_list(w, &axis, 1)));
}

/* The one element of a list as a scalar. */
static const char *element(writer *w, const char *list)
{
    return kiln_onnx_step(w, "Squeeze", IN(list));
}

static bool is_needed(writer *w, const kiln_node *n, int k)
{
    return w->needed[n->out[k].id];
}

/* Places that are none ----------------------------------------------------------------------------------- */

static bool holds_nowhere(writer *w, kiln_tensor t)
{
    const kiln_spec s = spec(w, t);
    const int64_t count = kiln_shape_count(&s.shape);
    if (s.type != KILN_I32 || count < 1)
        return false;
    int32_t *index = calloc((size_t)count, sizeof *index);
    kiln_array values = {.data = index, .bytes = (size_t)count * sizeof *index};
    if (!index) {
        w->status = kiln_fail(KILN_ERROR_MEMORY, "ONNX: no memory for indices");
        return false;
    }
    bool found = false;
    if (!kiln_constant_read(w->g, t, &values))
        for (int64_t i = 0; i < count && !found; i++)
            found = index[i] == KILN_NOWHERE;
    free(index);
    return found;
}

/* Whether an index may name no place: of kiln's own operators some say so; what a model is given does not. */
static bool may_be_nowhere(writer *w, kiln_tensor t, int depth)
{
    static const char *const sources[] = {"claim", "nms"};
    const kiln_node *n = kiln_node_of(w->g, t);
    const kiln_type type = spec(w, t).type;
    if (kiln_type_is_real(type) || type == KILN_BOOL || depth > 16)
        return false;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (!strcmp(n->op->name, sources[i]))
            return true;
    if (!strcmp(n->op->name, "constant"))
        return holds_nowhere(w, t);
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i].id && may_be_nowhere(w, n->in[i], depth + 1))
            return true;
    return false;
}

/* Written in another way, if the index may name no place. */
static bool write_guarded(writer *w, const kiln_node *n)
{
    const bool guarded = may_be_nowhere(w, n->in[1], 0);
    if (guarded)
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_gather);
    return guarded;
}

/* Gather and scatter ------------------------------------------------------------------------------------- */

/* ONNX gathers along the axis behind batches by tuples of one. */
static void write_gather(writer *w, const kiln_node *n, const row *r)
{
    const int64_t axis = integer(n, "axis"), batch = integer(n, "batch"), last = -1;
    if (write_guarded(w, n))
        return;
    const bool alone = batch == 0;
    if (!alone && axis != batch) {
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_gather_moved);
        return;
    }
    const char *index =
        alone ? in(w, n, 1)
              : kiln_onnx_step(w, "Unsqueeze",
                               IN(cast(w, in(w, n, 1), NULL, KILN_I64), kiln_onnx_new_list(w, &last, 1)));
    Onnx__NodeProto *o = kiln_onnx_write(w, alone ? r->onnx : "GatherND", out(w, n), IN(in(w, n, 0), index));
    kiln_onnx_put_int(w, o, alone ? "axis" : "batch_dims", alone ? axis : batch);
}

static void write_gather_elements(writer *w, const kiln_node *n, const row *r)
{
    if (!write_guarded(w, n))
        kiln_onnx_put_int(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), in(w, n, 1))), "axis",
                          integer(n, "axis"));
}

/* Tuples are of 64-bit integers. */
static void write_gather_nd(writer *w, const kiln_node *n, const row *r)
{
    if (write_guarded(w, n))
        return;
    Onnx__NodeProto *o =
        kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), cast(w, in(w, n, 1), NULL, KILN_I64)));
    kiln_onnx_put_int(w, o, "batch_dims", integer(n, "batch"));
}

static void put_reduction(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    static const char *const names[] = {[KILN_SCATTER_SET] = "none",
                                        [KILN_SCATTER_ADD] = "add",
                                        [KILN_SCATTER_MUL] = "mul",
                                        [KILN_SCATTER_MIN] = "min",
                                        [KILN_SCATTER_MAX] = "max"};
    const int64_t kind = integer(n, "kind");
    if (kind < KILN_SCATTER_MIN || kiln_onnx_writer_needs(w, n, 18))
        kiln_onnx_put_text(w, o, "reduction", names[kind]);
}

static void write_scatter_elements(writer *w, const kiln_node *n, const row *r)
{
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), in(w, n, 1), in(w, n, 2)));
    kiln_onnx_put_int(w, o, "axis", integer(n, "axis"));
    put_reduction(w, o, n);
}

static void write_scatter_nd(writer *w, const kiln_node *n, const row *r)
{
    put_reduction(w,
                  kiln_onnx_write(w, r->onnx, out(w, n),
                                  IN(in(w, n, 0), cast(w, in(w, n, 1), NULL, KILN_I64), in(w, n, 2))),
                  n);
}

/* Order, and what accumulates ---------------------------------------------------------------------------- */

/* A sort is the first of an order, as many as there are. */
static void write_order(writer *w, const kiln_node *n, const row *r)
{
    const int64_t axis = integer(n, "axis"), k = integer(n, "k");
    const char *count = strcmp(r->op, "sort") ? kiln_onnx_new_list(w, &k, 1) : size_of(w, n, 0, axis);
    const char *places = kiln_onnx_new_name(w);
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), count));
    kiln_onnx_put_output(w, o, places);
    kiln_onnx_put_int(w, o, "axis", axis);
    kiln_onnx_put_int(w, o, "largest", integer(n, "descending"));
    if (is_needed(w, n, 1))
        write_as(w, n, 1, places);
}

static void write_cumsum(writer *w, const kiln_node *n, const row *r)
{
    enum { EXCLUSIVE = 1, REVERSE = 2 };
    const int64_t how = integer(n, "how");
    if (how & ~(EXCLUSIVE | REVERSE))
        kiln_onnx_writer_refuse(w, n, "ONNX has nothing like it");
    Onnx__NodeProto *o =
        kiln_onnx_write(w, r->onnx, out(w, n),
                        IN(in(w, n, 0), kiln_onnx_new_scalar(w, KILN_I64, (double)integer(n, "axis"))));
    kiln_onnx_put_int(w, o, "exclusive", (how & EXCLUSIVE) != 0);
    kiln_onnx_put_int(w, o, "reverse", (how & REVERSE) != 0);
}

/* Sizes that data decides -------------------------------------------------------------------------------- */

static void write_non_zero(writer *w, const kiln_node *n, const row *r)
{
    const int64_t turned[] = {1, 0}, first = 0;
    const int64_t bound = integer(n, "bound");
    const char *rows = kiln_onnx_new_name(w);
    kiln_onnx_put_ints(w,
                       kiln_onnx_write(w, "Transpose", rows, IN(kiln_onnx_step(w, r->onnx, IN(in(w, n, 0))))),
                       "perm", turned, 2);
    if (bound)
        rows = kiln_onnx_step(w, "Slice",
                              IN(rows, kiln_onnx_new_list(w, &first, 1), kiln_onnx_size_name(w, n, bound),
                                 kiln_onnx_new_list(w, &first, 1)));
    write_as(w, n, 0, rows);
    if (is_needed(w, n, 1))
        write_as(w, n, 1,
                 element(w, kiln_onnx_step(w, "Gather",
                                           IN(kiln_onnx_step(w, "Shape", IN(rows)),
                                              kiln_onnx_new_list(w, &first, 1)))));
}

/* Values; where each first stands, which each is, how often it occurs; how many there are. */
static void write_unique(writer *w, const kiln_node *n, const row *r)
{
    enum { PARTS = 4 };
    const char *part[PARTS];
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0)));
    kiln_onnx_put_int(w, o, "axis", 0);
    for (int i = 1; i < PARTS; i++) {
        part[i] = kiln_onnx_new_name(w);
        kiln_onnx_put_output(w, o, part[i]);
    }
    for (int i = 1; i < PARTS; i++)
        if (is_needed(w, n, i))
            write_as(w, n, i, part[i]);
    if (is_needed(w, n, PARTS))
        write_as(w, n, PARTS, element(w, kiln_onnx_step(w, "Shape", IN(part[1]))));
}

/* Less than none is none: ONNX would count a negative end from behind. */
static void write_first(writer *w, const kiln_node *n, const row *r)
{
    const int64_t zero = 0, one = 1, axis = integer(n, "axis");
    const char *none = kiln_onnx_new_scalar(w, spec(w, n->in[1]).type, 0);
    const char *begin = kiln_onnx_new_list(w, &zero, 1), *along = kiln_onnx_new_list(w, &axis, 1);
    const char *count = kiln_onnx_step(w, "Max", IN(in(w, n, 1), none)),
               *end = kiln_onnx_step(w, "Reshape", IN(count, kiln_onnx_new_list(w, &one, 1)));
    kiln_onnx_write(w, r->onnx, out(w, n),
                    IN(in(w, n, 0), cast(w, begin, NULL, KILN_I32), end, cast(w, along, NULL, KILN_I32)));
}

/* As many as there may be: what is not there is `fill`. */
static void write_whole(writer *w, const kiln_node *n, const row *r)
{
    const int64_t axis = integer(n, "axis"), none[KILN_MAX_RANK] = {0};
    const int rank = spec(w, n->in[0]).shape.rank;
    const char *size = kiln_onnx_size_name(w, n, spec(w, n->out[0]).shape.size[axis]);
    const char *parts[] = {kiln_onnx_new_list(w, none, rank + (int)axis),
                           kiln_onnx_step(w, "Sub", IN(size, size_of(w, n, 0, axis))),
                           kiln_onnx_new_list(w, none, rank - 1 - (int)axis)};
    const char *pads = kiln_onnx_new_name(w);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", pads, 3, parts), "axis", 0);
    kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), pads, scalar(w, n, number(n, "fill"))));
}

/* Values made of their places ---------------------------------------------------------------------------- */

/* start + delta i for i below a size: a list of one. */
static void write_places(writer *w, const kiln_node *n, const char *size, double start, double delta)
{
    const kiln_type type = spec(w, n->out[0]).type;
    const char *i = kiln_onnx_step(w, "Range",
                                   IN(kiln_onnx_new_scalar(w, KILN_I64, 0), element(w, size),
                                      kiln_onnx_new_scalar(w, KILN_I64, 1)));
    i = cast(w, i, NULL, type);
    if (delta != 1)
        i = kiln_onnx_step(w, "Mul", IN(i, kiln_onnx_new_scalar(w, type, delta)));
    kiln_onnx_write(w, "Add", out(w, n), IN(i, kiln_onnx_new_scalar(w, type, start)));
}

static void write_sequence(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    write_places(w, n, kiln_onnx_size_name(w, n, spec(w, n->out[0]).shape.size[0]), number(n, "start"),
                 number(n, "delta"));
}

static void write_positions(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    write_places(w, n, size_of(w, n, 0, integer(n, "axis")), 0, 1);
}

/* How many elements along axes. */
static void write_count_of(writer *w, const kiln_node *n, const row *r)
{
    const int64_t axes = integer(n, "axes"), one = 1;
    const char *product = kiln_onnx_new_list(w, &one, 1);
    (void)r;
    for (int64_t i = 0; i < KILN_MAX_RANK; i++)
        if (axes >> i & 1)
            product = kiln_onnx_step(w, "Mul", IN(product, size_of(w, n, 0, i)));
    cast(w, element(w, product), out(w, n), KILN_F32);
}

/* Numbers that are drawn --------------------------------------------------------------------------------- */

/* Of a value's shape. */
static const char *drawn(writer *w, const kiln_node *n, const char *onnx, const char *first, double a,
                         const char *second, double b)
{
    const char *name = kiln_onnx_new_name(w);
    Onnx__NodeProto *o = kiln_onnx_write(w, onnx, name, IN(in(w, n, 1)));
    kiln_onnx_put_int(w, o, "dtype", kiln_onnx_type_of(KILN_F32));
    kiln_onnx_put_real(w, o, first, a);
    kiln_onnx_put_real(w, o, second, b);
    return name;
}

/* Gumbel's distribution: - log(- log u). Whole numbers, and bits, are uniform ones rounded down. */
static void write_random(writer *w, const kiln_node *n, const row *r)
{
    enum { BITS, WHOLE, UNIFORM, NORMAL, GUMBEL };
    const double a = number(n, "a"), b = number(n, "b"), low = (double)integer(n, "low"),
                 count = (double)integer(n, "count");
    const int64_t code = integer(n, "code");
    const char *x;
    (void)r;
    if (code == NORMAL)
        x = drawn(w, n, "RandomNormalLike", "mean", a, "scale", b);
    else if (code == UNIFORM)
        x = drawn(w, n, "RandomUniformLike", "low", a, "high", a + b);
    else if (code == GUMBEL) {
        const char *u = drawn(w, n, "RandomUniformLike", "low", 1e-7, "high", 1 - 1e-7);
        x = kiln_onnx_step(w, "Neg", IN(kiln_onnx_step(w, "Log", IN(u))));
        x = kiln_onnx_step(w, "Neg", IN(kiln_onnx_step(w, "Log", IN(x))));
    } else {
        const double from = code == WHOLE ? low : INT32_MIN, values = code == WHOLE ? count : 4294967040.0;
        x = kiln_onnx_step(w, "Floor",
                           IN(drawn(w, n, "RandomUniformLike", "low", from, "high", from + values)));
    }
    cast(w, cast(w, x, NULL, kiln_type_is_real(spec(w, n->out[0]).type) ? KILN_F32 : KILN_I64), out(w, n),
         spec(w, n->out[0]).type);
}

/* The first node that is written of those that draw from n's stream: the others, gradients, take what it keeps. */
static const kiln_node *drawer(writer *w, const kiln_node *n)
{
    for (int i = 0; i < kiln_graph_node_count(w->g); i++) {
        const kiln_node *other = kiln_graph_node_at(w->g, i);
        if (!strcmp(other->op->name, "dropout") && w->needed[other->out[0].id] &&
            integer(other, "stream") == integer(n, "stream"))
            return other;
    }
    return n;
}

const char *kiln_onnx_kept_name(writer *w, const kiln_node *n)
{
    char text[256];
    snprintf(text, sizeof text, "%s.kept", out(w, n));
    const char *name = kiln_arena_text(&w->arena, text);
    w->full = w->full || !name;
    return name;
}

static void write_dropout(writer *w, const kiln_node *n, const row *r)
{
    const kiln_node *first = drawer(w, n);
    const char *mask = kiln_onnx_kept_name(w, first);
    const double rate = number(n, "rate");
    if (first != n) {
        const char *scaled = kiln_onnx_step(w, "Mul", IN(in(w, n, 0), scalar(w, n, 1 / (1 - rate))));
        kiln_onnx_write(w, "Where", out(w, n), IN(mask, scaled, scalar(w, n, 0)));
        return;
    }
    const char *inputs[] = {in(w, n, 0), kiln_onnx_new_scalar(w, KILN_F32, rate),
                            kiln_onnx_new_scalar(w, KILN_BOOL, 1)};
    kiln_onnx_put_output(w, kiln_onnx_write(w, r->onnx, out(w, n), 3, inputs), mask);
}

/* The table ---------------------------------------------------------------------------------------------- */

const row kiln_onnx_writer_indexing[] = {
    {"count_of", NULL, write_count_of, 0},
    {"cumsum", "CumSum", write_cumsum, 0},
    {"dropout", "Dropout", write_dropout, 1},
    {"first", "Slice", write_first, 0},
    {"gather", "Gather", write_gather, 0},
    {"gather_elements", "GatherElements", write_gather_elements, 0},
    {"gather_nd", "GatherND", write_gather_nd, 0},
    {"non_zero", "NonZero", write_non_zero, 0},
    {"positions", NULL, write_positions, 0},
    {"random", NULL, write_random, 2},
    {"scatter_elements", "ScatterElements", write_scatter_elements, 0},
    {"scatter_nd", "ScatterND", write_scatter_nd, 0},
    {"sequence", NULL, write_sequence, 0},
    {"sort", "TopK", write_order, 0, .lacks = SMALL | IS_U32 | IS_BOOL},
    {"top_k", "TopK", write_order, 0, .lacks = SMALL | IS_U32 | IS_BOOL},
    {"unique", "Unique", write_unique, 0},
    {"whole", "Pad", write_whole, 0},
    {0},
};
