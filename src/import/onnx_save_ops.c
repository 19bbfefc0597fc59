/* onnx_save_ops.c - kiln operator -> ONNX nodes, a row each. Of operators that only training needs there is none. */
#include <math.h>
#include <string.h>

#include <kiln/grid.h>
#include <kiln/resize.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* What is another value in inference: the second of by_mode, the first of the others. */
static void write_alias(writer *w, const kiln_node *n, const row *r)
{
    kiln_onnx_write(w, "Identity", out(w, n), IN(in(w, n, r->reads == 2 ? 1 : 0)));
}

/* Matrices and images ------------------------------------------------------------------------------------ */

/* Axes behind the channels. */
static int axes_behind(writer *w, const kiln_node *n)
{
    return spec(w, n->out[0]).shape.rank - 2;
}

/* before and after per axis, as ONNX lists them: all before, then all after. */
static void put_pads(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    int64_t pad[6] = {0}, pads[6];
    const int axes = axes_behind(w, n);
    kiln_node_integers(n, "pad", pad, 6);
    for (int i = 0; i < 2 * axes; i++)
        pads[i] = i < axes ? pad[2 * i] : pad[2 * (i - axes) + 1];
    kiln_onnx_put_ints(w, o, "pads", pads, 2 * axes);
}

static void put_padding(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    if (integer(n, "same"))
        kiln_onnx_put_text(w, o, "auto_pad",
                           integer(n, "same") == KILN_SAME_UPPER ? "SAME_UPPER" : "SAME_LOWER");
    else
        put_pads(w, o, n);
}

static void put_field(writer *w, Onnx__NodeProto *o, const kiln_node *n, const char *field, const char *name)
{
    int64_t value[3] = {0};
    kiln_node_integers(n, field, value, 3);
    kiln_onnx_put_ints(w, o, name, value, axes_behind(w, n));
}

/* What every kind of convolution has. */
static void put_conv(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    const kiln_shape filter = spec(w, n->in[1]).shape;
    kiln_onnx_put_ints(w, o, "kernel_shape", &filter.size[2], axes_behind(w, n));
    put_field(w, o, n, "stride", "strides");
    put_field(w, o, n, "dilation", "dilations");
    kiln_onnx_put_int(w, o, "group", integer(n, "groups"));
    put_padding(w, o, n);
}

/* Of a shape that follows another value's: what is missing behind it. */
static void put_following(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, filter = spec(w, n->in[1]).shape,
                     y = spec(w, n->out[0]).shape;
    int64_t stride[3], dilation[3], pad[6], behind[3] = {0};
    kiln_node_integers(n, "stride", stride, 3);
    kiln_node_integers(n, "dilation", dilation, 3);
    kiln_node_integers(n, "pad", pad, 6);
    if (integer(n, "same")) {
        kiln_onnx_put_ints(w, o, "output_shape", &y.size[2], x.rank - 2);
        return;
    }
    for (int i = 0; i < x.rank - 2; i++) {
        const int64_t window = (filter.size[2 + i] - 1) * dilation[i] + 1;
        behind[i] = y.size[2 + i] - stride[i] * (x.size[2 + i] - 1) - window + pad[2 * i] + pad[2 * i + 1];
        if (x.size[2 + i] < 0 || y.size[2 + i] < 0)
            kiln_onnx_writer_refuse(w, n, "its shape follows another value, and sizes are symbols");
        else if (behind[i] >= stride[i] && behind[i] >= dilation[i])
            kiln_onnx_writer_refuse(w, n, "its shape is larger than that of any convolution's input");
    }
    kiln_onnx_put_ints(w, o, "output_padding", behind, x.rank - 2);
}

void kiln_onnx_write_conv(writer *w, const kiln_node *n, const char *bias, const char *name)
{
    const bool transposed = !strcmp(n->op->name, "conv_transpose");
    Onnx__NodeProto *o = kiln_onnx_write(w, transposed ? "ConvTranspose" : "Conv", name, bias[0] ? 3 : 2,
                                         (const char *[]){in(w, n, 0), in(w, n, 1), bias});
    put_conv(w, o, n);
    if (transposed && n->inputs > 2 && n->in[2].id)
        put_following(w, o, n);
    else if (transposed)
        put_field(w, o, n, "output_pad", "output_padding");
}

static void write_conv(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write_conv(w, n, "", out(w, n));
}

/* The name of operand i with its last two axes swapped. */
static const char *swapped(writer *w, const kiln_node *n, int i)
{
    const int rank = spec(w, n->in[i]).shape.rank;
    int64_t order[KILN_MAX_RANK];
    const char *name = kiln_onnx_new_name(w);
    for (int k = 0; k < rank; k++)
        order[k] = k < rank - 2 ? k : k == rank - 2 ? rank - 1 : rank - 2;
    kiln_onnx_put_ints(w, kiln_onnx_write(w, "Transpose", name, IN(in(w, n, i))), "perm", order, rank);
    return name;
}

/* Gemm where it can be one: both of rank 2, and a bias to add or an operand to transpose; else MatMul. */
void kiln_onnx_write_matmul(writer *w, const kiln_node *n, const char *bias, const char *name)
{
    const bool turn_a = integer(n, "transpose_a"), turn_b = integer(n, "transpose_b");
    const bool flat = spec(w, n->in[0]).shape.rank == 2 && spec(w, n->in[1]).shape.rank == 2;
    if (flat && (bias[0] || turn_a || turn_b)) {
        Onnx__NodeProto *o = kiln_onnx_write(w, "Gemm", name, bias[0] ? 3 : 2,
                                             (const char *[]){in(w, n, 0), in(w, n, 1), bias});
        kiln_onnx_put_int(w, o, "transA", turn_a);
        kiln_onnx_put_int(w, o, "transB", turn_b);
        return;
    }
    kiln_onnx_write(w, "MatMul", name,
                    IN(turn_a ? swapped(w, n, 0) : in(w, n, 0), turn_b ? swapped(w, n, 1) : in(w, n, 1)));
}

static void write_matmul(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write_matmul(w, n, "", out(w, n));
}

/* Small integers; the zero points are inputs 2 and 3. */

static void write_conv_integer(writer *w, const kiln_node *n, const row *r)
{
    put_conv(w,
             kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), in(w, n, 1), in(w, n, 2), in(w, n, 3))),
             n);
}

static void write_matmul_integer(writer *w, const kiln_node *n, const row *r)
{
    const bool turn_a = integer(n, "transpose_a"), turn_b = integer(n, "transpose_b");
    const kiln_shape zero = n->inputs > 2 && n->in[2].id ? spec(w, n->in[2]).shape : KILN_SCALAR;
    if (spec(w, n->in[0]).shape.rank > 2 && kiln_shape_count(&zero) != 1)
        kiln_onnx_writer_refuse(w, n, "a zero point for each row of stacked matrices");
    kiln_onnx_write(w, r->onnx, out(w, n),
                    IN(turn_a ? swapped(w, n, 0) : in(w, n, 0), turn_b ? swapped(w, n, 1) : in(w, n, 1),
                       in(w, n, 2), in(w, n, 3)));
}

/* Whether windows divide x's sizes evenly, so that they are windows of a size. */
static bool has_even_windows(writer *w, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    for (int i = 2; i < x.rank; i++)
        if (x.size[i] < 0 || y.size[i] < 1 || x.size[i] % y.size[i])
            return false;
    return true;
}

static void put_even_windows(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t size[KILN_MAX_RANK];
    for (int i = 2; i < x.rank; i++)
        size[i - 2] = x.size[i] / y.size[i];
    kiln_onnx_put_ints(w, o, "kernel_shape", size, x.rank - 2);
    kiln_onnx_put_ints(w, o, "strides", size, x.rank - 2);
}

/* Whether a last window that begins behind x is left out, which ONNX's rule of shapes knows since opset 22. */
static bool leaves_window_out(writer *w, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t size[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, pad[3][2] = {{0}};
    kiln_node_integers(n, "size", size, 3);
    kiln_node_integers(n, "stride", stride, 3);
    kiln_node_integers(n, "dilation", dilation, 3);
    kiln_node_integers(n, "pad", pad[0], 6);
    for (int i = 0; i + 2 < x.rank && integer(n, "ceil"); i++) {
        const int64_t room = x.size[i + 2] + pad[i][0] + pad[i][1] - dilation[i] * (size[i] - 1) - 1;
        if (x.size[i + 2] >= 0 && y.size[i + 2] < (room + stride[i] - 1) / stride[i] + 1)
            return true;
    }
    return false;
}

/* ONNX counts places through the whole tensor, kiln through each map. */
static void write_places(writer *w, const kiln_node *n, const char *places)
{
    const kiln_shape x = spec(w, n->in[0]).shape;
    const char *map = NULL;
    for (int i = 2; i < x.rank; i++) {
        const char *size = kiln_onnx_size_name(w, n, x.size[i]);
        map = map ? kiln_onnx_step(w, "Mul", IN(map, size)) : size;
    }
    const char *rest = kiln_onnx_new_name(w);
    kiln_onnx_write(w, "Mod", rest, IN(places, map));
    cast(w, rest, kiln_onnx_name(w, n->out[1]), KILN_I32);
}

/* A sum, of what is not negative, is a norm. */
static void write_pool(writer *w, const kiln_node *n, const row *r)
{
    enum { MAX, MEAN, MEAN_PADDED, SUM };
    static const char *const names[] = {"MaxPool", "AveragePool", "AveragePool", "LpPool"};
    const int64_t mode = integer(n, "mode");
    int64_t dilation[3] = {1, 1, 1};
    (void)r;
    kiln_node_integers(n, "dilation", dilation, 3);
    if (integer(n, "adaptive") && !has_even_windows(w, n)) {
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_adaptive_pool);
        return;
    }
    if (leaves_window_out(w, n))
        kiln_onnx_writer_needs(w, n, 22);
    const char *places = n->outputs > 1 ? kiln_onnx_new_name(w) : NULL;
    Onnx__NodeProto *o = kiln_onnx_write(w, names[mode], out(w, n), IN(in(w, n, 0)));
    if (places) {
        kiln_onnx_put_output(w, o, places);
        kiln_onnx_put_int(w, o, "storage_order", integer(n, "column_major"));
        write_places(w, n, places);
    }
    if (integer(n, "adaptive")) {
        put_even_windows(w, o, n);
        return;
    }
    put_field(w, o, n, "size", "kernel_shape");
    put_field(w, o, n, "stride", "strides");
    put_padding(w, o, n);
    if (integer(n, "ceil") && (mode != SUM || kiln_onnx_writer_needs(w, n, 18)))
        kiln_onnx_put_int(w, o, "ceil_mode", 1);
    if (mode == MEAN_PADDED)
        kiln_onnx_put_int(w, o, "count_include_pad", 1);
    if (mode == SUM)
        kiln_onnx_put_int(w, o, "p", 1);
    bool dilated = false;
    for (int i = 0; i < axes_behind(w, n); i++)
        dilated |= dilation[i] != 1;
    if (dilated && kiln_onnx_writer_needs(w, n, mode == MAX ? 17 : mode == SUM ? 18 : 19))
        kiln_onnx_put_ints(w, o, "dilations", dilation, axes_behind(w, n));
}

/* The maps' numbers in another type. */
static const char *maps_as(writer *w, const kiln_node *n, kiln_type type)
{
    return cast(w, in(w, n, 2), NULL, type);
}

static Onnx__NodeProto *write_roi_pool(writer *w, const kiln_node *n, const int64_t *size)
{
    const char *column = kiln_onnx_step(w, "Unsqueeze",
                                        IN(maps_as(w, n, spec(w, n->in[1]).type),
                                           kiln_onnx_new_list(w, (const int64_t[]){1}, 1)));
    const char *boxes = kiln_onnx_new_name(w);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", boxes, IN(column, in(w, n, 1))), "axis", 1);
    Onnx__NodeProto *o = kiln_onnx_write(w, "MaxRoiPool", out(w, n), IN(in(w, n, 0), boxes));
    kiln_onnx_put_ints(w, o, "pooled_shape", size, 2);
    return o;
}

static Onnx__NodeProto *write_roi_align(writer *w, const kiln_node *n, const int64_t *size, bool largest)
{
    Onnx__NodeProto *o =
        kiln_onnx_write(w, "RoiAlign", out(w, n), IN(in(w, n, 0), in(w, n, 1), maps_as(w, n, KILN_I64)));
    kiln_onnx_put_int(w, o, "output_height", size[0]);
    kiln_onnx_put_int(w, o, "output_width", size[1]);
    kiln_onnx_put_int(w, o, "sampling_ratio", integer(n, "samples"));
    kiln_onnx_put_text(w, o, "mode", largest ? "max" : "avg");
    kiln_onnx_put_text(w, o, "coordinate_transformation_mode",
                       integer(n, "half_pixel") ? "half_pixel" : "output_half_pixel");
    return o;
}

static void write_roi(writer *w, const kiln_node *n, const row *r)
{
    enum { AVERAGE, LARGEST, CELLS };
    const int64_t mode = integer(n, "mode");
    int64_t size[2] = {0};
    (void)r;
    kiln_node_integers(n, "size", size, 2);
    for (int i = 1; i < n->outputs; i++)
        if (w->needed[n->out[i].id])
            kiln_onnx_writer_refuse(w, n, "the places of the largest are for its gradient alone");
    Onnx__NodeProto *o =
        mode == CELLS ? write_roi_pool(w, n, size) : write_roi_align(w, n, size, mode == LARGEST);
    kiln_onnx_put_real(w, o, "spatial_scale", number(n, "scale"));
}

/* Reductions and probabilities --------------------------------------------------------------------------- */

static void write_axis(writer *w, const kiln_node *n, const row *r)
{
    const char *names[256];
    for (int i = 0; i < n->inputs && i < 256; i++)
        names[i] = in(w, n, i);
    if (n->inputs > 256)
        kiln_onnx_writer_refuse(w, n, "more than 256 inputs");
    else
        kiln_onnx_put_int(w, kiln_onnx_write(w, r->onnx, out(w, n), n->inputs, names), "axis",
                          integer(n, "axis"));
}

/* The axes of a mask; returns how many. */
static int axes_of(const kiln_node *n, int64_t *axes)
{
    const int64_t mask = integer(n, "axes");
    int count = 0;
    for (int i = 0; i < KILN_MAX_RANK; i++)
        if (mask >> i & 1)
            axes[count++] = i;
    return count;
}

/* A reduction: its axes are an input of ReduceSum, and since opset 18 of all. */
static void reduce(writer *w, const kiln_node *n, const char *onnx, const char *from, const char *to,
                   bool keep)
{
    int64_t axes[KILN_MAX_RANK];
    int count = axes_of(n, axes);
    const bool input = w->opset >= 18 || !strcmp(onnx, "ReduceSum");
    if (count == 0) { /* ONNX would take all: take one that is there for that */
        axes[count++] = spec(w, n->in[0]).shape.rank;
        from = kiln_onnx_step(w, "Unsqueeze", IN(from, kiln_onnx_new_list(w, axes, 1)));
        keep = false;
    }
    Onnx__NodeProto *o = input ? kiln_onnx_write(w, onnx, to, IN(from, kiln_onnx_new_list(w, axes, count)))
                               : kiln_onnx_write(w, onnx, to, IN(from));
    if (!input)
        kiln_onnx_put_ints(w, o, "axes", axes, count);
    kiln_onnx_put_int(w, o, "keepdims", keep);
}

static void write_reduce(writer *w, const kiln_node *n, const row *r)
{
    reduce(w, n, r->onnx, in(w, n, 0), out(w, n), integer(n, "keep"));
}

/* The extremes of truth have types in ONNX from opset 20 on: before, those of numbers. */
static void write_truth(writer *w, const kiln_node *n, const row *r)
{
    const char *extreme = kiln_onnx_new_name(w);
    reduce(w, n, r->onnx, cast(w, in(w, n, 0), NULL, KILN_I32), extreme, integer(n, "keep"));
    cast(w, extreme, out(w, n), KILN_BOOL);
}

static void write_find(writer *w, const kiln_node *n, const row *r)
{
    int64_t axes[KILN_MAX_RANK];
    const char *wide = kiln_onnx_new_name(w);
    if (axes_of(n, axes) != 1) {
        kiln_onnx_writer_refuse(w, n, "the place of the largest over several axes");
        return;
    }
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, wide, IN(in(w, n, 0)));
    kiln_onnx_put_int(w, o, "axis", axes[0]);
    kiln_onnx_put_int(w, o, "keepdims", integer(n, "keep"));
    kiln_onnx_put_int(w, o, "select_last_index", !strncmp(r->op, "find_last", strlen("find_last")));
    cast(w, wide, out(w, n), KILN_I32);
}

static void write_cross_entropy(writer *w, const kiln_node *n, const row *r)
{
    if (number(n, "smoothing") != 0 || integer(n, "axis") != 1)
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_cross_entropy);
    else
        kiln_onnx_put_text(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), in(w, n, 1))),
                           "reduction", "none");
}

/* mean, and mean((x - mean)^2) */
static void write_moments(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    reduce(w, n, "ReduceMean", in(w, n, 0), out(w, n), true);
    const char *off = kiln_onnx_step(w, "Sub", IN(in(w, n, 0), out(w, n)));
    reduce(w, n, "ReduceMean", kiln_onnx_step(w, "Mul", IN(off, off)), kiln_onnx_name(w, n->out[1]), true);
}

/* Shapes ------------------------------------------------------------------------------------------------- */

/* Taken from the shape of an input that is written, or of one that only then is. */
static const char *size_of_input(writer *w, int64_t size, bool written)
{
    for (int i = 0; i < kiln_graph_input_count(w->g); i++) {
        const kiln_tensor input = kiln_graph_input(w->g, i);
        const kiln_shape shape = kiln_tensor_shape(w->g, input);
        int64_t axis = 0;
        while (axis < shape.rank && shape.size[axis] != size)
            axis++;
        if (w->needed[input.id] != written || axis == shape.rank)
            continue;
        const kiln_spec own = kiln_tensor_spec(w->g, input);
        if (!written)
            kiln_onnx_put_input(w, kiln_onnx_name(w, input), &own);
        w->needed[input.id] = true;
        return kiln_onnx_step(w, "Gather",
                              IN(kiln_onnx_step(w, "Shape", IN(kiln_onnx_name(w, input))),
                                 kiln_onnx_new_list(w, &axis, 1)));
    }
    return NULL;
}

/* As many as a value counts. */
static const char *size_counted(writer *w, const kiln_node *n, kiln_tensor count)
{
    const int64_t one = 1;
    if (!count.id || !w->needed[count.id])
        kiln_onnx_writer_refuse(w, n, "its size is counted by what is not written");
    const char *wide = cast(w, kiln_onnx_name(w, count), NULL, KILN_I64);
    return kiln_onnx_step(w, "Reshape", IN(wide, kiln_onnx_new_list(w, &one, 1)));
}

/* a op b; sizes are not negative, so that division rounds down. */
static const char *size_computed(writer *w, const kiln_node *n, const kiln_dim_parts *e)
{
    static const char *const onnx[] = {
        [KILN_DIM_ADD] = "Add", [KILN_DIM_SUB] = "Sub",      [KILN_DIM_MUL] = "Mul",
        [KILN_DIM_DIV] = "Div", [KILN_DIM_CEIL_DIV] = "Div",
    };
    const int64_t one = 1;
    const char *a = kiln_onnx_size_name(w, n, e->a), *b = kiln_onnx_size_name(w, n, e->b);
    if (e->op == KILN_DIM_CEIL_DIV) {
        const char *less = kiln_onnx_step(w, "Sub", IN(b, kiln_onnx_new_list(w, &one, 1)));
        a = kiln_onnx_step(w, "Add", IN(a, less));
    }
    return kiln_onnx_step(w, onnx[e->op], IN(a, b));
}

const char *kiln_onnx_size_name(writer *w, const kiln_node *n, int64_t size)
{
    kiln_dim_parts e;
    if (size >= 0)
        return kiln_onnx_new_list(w, &size, 1);
    const char *of_input = size_of_input(w, size, true);
    const bool symbol = !kiln_dim_read(w->g, size, &e) || e.op == KILN_DIM_SYMBOL;
    if (!of_input && symbol && !w->within)
        of_input = size_of_input(w, size, false);
    if (of_input)
        return of_input;
    if (symbol) {
        kiln_onnx_writer_refuse(w, n, "no input that is written has its size");
        return "";
    }
    return e.op == KILN_DIM_BOUNDED ? size_counted(w, n, e.count) : size_computed(w, n, &e);
}

/* The name of a list of sizes, some of which are symbols. */
static const char *sizes_name(writer *w, const kiln_node *n, const kiln_shape *shape)
{
    const char *parts[KILN_MAX_RANK], *name = kiln_onnx_new_name(w);
    for (int i = 0; i < shape->rank; i++)
        parts[i] = kiln_onnx_size_name(w, n, shape->size[i]);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", name, shape->rank, parts), "axis", 0);
    return name;
}

/* Reshape's own words: 0 for x's size of that axis, -1 for what is left. */
static void write_reshape(writer *w, const kiln_node *n, const row *r)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t target[KILN_MAX_RANK];
    int left = 0;
    bool plain = true;
    for (int i = 0; i < y.rank; i++) {
        const bool copied = i < x.rank && x.size[i] == y.size[i];
        target[i] = y.size[i] > 0 ? y.size[i] : copied ? 0 : -1;
        left += target[i] == -1;
        plain = plain && (y.size[i] != 0 || copied);
    }
    plain = plain && left <= 1;
    const char *shape = plain ? kiln_onnx_new_list(w, target, y.rank) : sizes_name(w, n, &y);
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), shape));
    if (!plain)
        kiln_onnx_put_int(w, o, "allowzero", 1);
}

/* Expand leaves an axis alone where it is told 1. */
static void write_expand(writer *w, const kiln_node *n, const row *r)
{
    const kiln_shape x = spec(w, n->in[0]).shape, y = spec(w, n->out[0]).shape;
    int64_t target[KILN_MAX_RANK];
    bool plain = true;
    for (int i = 0; i < y.rank; i++) {
        const int own = i - (y.rank - x.rank);
        const bool same = own >= 0 && x.size[own] == y.size[i];
        target[i] = same ? 1 : y.size[i];
        plain = plain && (same || y.size[i] >= 0);
    }
    const char *shape = plain ? kiln_onnx_new_list(w, target, y.rank) : sizes_name(w, n, &y);
    kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), shape));
}

static void write_filled(writer *w, const kiln_node *n, const row *r)
{
    const kiln_spec y = spec(w, n->out[0]);
    const char *value = kiln_onnx_new_scalar(w, y.type, !strcmp(r->op, "ones_like"));
    kiln_onnx_write(w, "Expand", out(w, n), IN(value, kiln_onnx_step(w, "Shape", IN(in(w, n, 0)))));
}

static void write_transpose(writer *w, const kiln_node *n, const row *r)
{
    const int rank = spec(w, n->in[0]).shape.rank;
    int64_t order[KILN_MAX_RANK];
    kiln_node_integers(n, "order", order, KILN_MAX_RANK);
    for (int i = 0; i < rank; i++)
        order[i] += order[i] < 0 ? rank : 0;
    kiln_onnx_put_ints(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0))), "perm", order, rank);
}

static void write_slice(writer *w, const kiln_node *n, const row *r)
{
    const int64_t axis = integer(n, "axis"), first = integer(n, "first"), step = integer(n, "step");
    const int64_t given = integer(n, "end"), end = given == KILN_END && step < 0 ? -INT64_MAX : given;
    kiln_onnx_write(w, r->onnx, out(w, n),
                    IN(in(w, n, 0), kiln_onnx_new_list(w, &first, 1), kiln_onnx_new_list(w, &end, 1),
                       kiln_onnx_new_list(w, &axis, 1), kiln_onnx_new_list(w, &step, 1)));
}

static void write_pad(writer *w, const kiln_node *n, const row *r)
{
    const int rank = spec(w, n->in[0]).shape.rank;
    int64_t before[KILN_MAX_RANK], after[KILN_MAX_RANK], pads[2 * KILN_MAX_RANK];
    kiln_node_integers(n, "before", before, KILN_MAX_RANK);
    kiln_node_integers(n, "after", after, KILN_MAX_RANK);
    memcpy(pads, before, (size_t)rank * sizeof *pads);
    memcpy(pads + rank, after, (size_t)rank * sizeof *pads);
    kiln_onnx_write(w, r->onnx, out(w, n),
                    IN(in(w, n, 0), kiln_onnx_new_list(w, pads, 2 * rank), scalar(w, n, number(n, "value"))));
}

/* Resizing ----------------------------------------------------------------------------------------------- */

/* A resize node's params; by axes of x. */
struct resized {
    int64_t axes, size[KILN_MAX_RANK], up[KILN_MAX_RANK], down[KILN_MAX_RANK], asked[KILN_MAX_RANK];
    double crop[KILN_MAX_RANK][2];
};

static struct resized resized_of(const kiln_node *n)
{
    struct resized p = {.axes = integer(n, "axes")};
    kiln_node_integers(n, "size", p.size, KILN_MAX_RANK);
    kiln_node_integers(n, "up", p.up, KILN_MAX_RANK);
    kiln_node_integers(n, "down", p.down, KILN_MAX_RANK);
    kiln_node_integers(n, "asked", p.asked, KILN_MAX_RANK);
    kiln_node_reals(n, "crop", &p.crop[0][0], 2 * KILN_MAX_RANK);
    return p;
}

/* The name of a list of floats that a function of the axis gives. */
static const char *floats_name(writer *w, const struct resized *p, int count, int rank,
                               float (*value)(const struct resized *p, int i, int rank))
{
    const char *name = kiln_onnx_new_name(w);
    float *data = kiln_onnx_new_tensor(w, name, KILN_F32, &KILN_SHAPE(count));
    for (int i = 0; data && i < count; i++)
        data[i] = value(p, i, rank);
    return name;
}

static float scale_of(const struct resized *p, int i, int rank)
{
    (void)rank;
    return p->axes >> i & 1 ? (float)((double)p->up[i] / (double)p->down[i]) : 1;
}

/* All beginnings, then all ends. */
static float region_of(const struct resized *p, int i, int rank)
{
    return p->axes >> i % rank & 1 ? (float)p->crop[i % rank][i / rank] : (float)(i / rank);
}

/* Whether y's sizes are given, and say all that the scales do; by scales alone: false. */
static bool is_by_size(writer *w, const kiln_node *n, const struct resized *p)
{
    const kiln_shape x = spec(w, n->in[0]).shape;
    bool by_size = false, exact = true;
    for (int i = 0; i < x.rank; i++) {
        const bool resized = p->axes >> i & 1;
        by_size |= resized && p->size[i];
        exact &= !resized || p->size[i] || (x.size[i] >= 0 && x.size[i] * p->up[i] % p->down[i] == 0);
    }
    if (by_size && !exact)
        kiln_onnx_writer_refuse(w, n, "some axes by size, some by a scale that leaves a rest");
    return by_size;
}

/* The sizes that were asked for, of the resized axes, of which ONNX then keeps the aspect. */
static Onnx__NodeProto *write_by_aspect(writer *w, const kiln_node *n, const struct resized *p)
{
    int64_t axes[KILN_MAX_RANK], sizes[KILN_MAX_RANK];
    int count = 0;
    if (integer(n, "places") == KILN_RESIZE_CROP)
        kiln_onnx_writer_refuse(w, n, "keeps the aspect of a part");
    for (int i = 0; i < KILN_MAX_RANK; i++)
        if (p->axes >> i & 1) {
            axes[count] = i;
            sizes[count++] = p->asked[i];
        }
    Onnx__NodeProto *o =
        kiln_onnx_write(w, "Resize", out(w, n), IN(in(w, n, 0), "", "", kiln_onnx_new_list(w, sizes, count)));
    kiln_onnx_put_ints(w, o, "axes", axes, count);
    kiln_onnx_put_text(w, o, "keep_aspect_ratio_policy",
                       integer(n, "aspect") == KILN_RESIZE_NOT_LARGER ? "not_larger" : "not_smaller");
    return o;
}

static Onnx__NodeProto *write_by_numbers(writer *w, const kiln_node *n, const struct resized *p)
{
    const kiln_shape y = spec(w, n->out[0]).shape;
    const bool crop = integer(n, "places") == KILN_RESIZE_CROP;
    const char *region = crop ? floats_name(w, p, 2 * y.rank, y.rank, region_of) : "";
    if (is_by_size(w, n, p))
        return kiln_onnx_write(w, "Resize", out(w, n), IN(in(w, n, 0), region, "", sizes_name(w, n, &y)));
    return kiln_onnx_write(w, "Resize", out(w, n),
                           IN(in(w, n, 0), region, floats_name(w, p, y.rank, y.rank, scale_of)));
}

static void put_places(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    static const struct {
        const char *name;
        int since;
    } places[] = {{"half_pixel", 0},         {"half_pixel_symmetric", 19},
                  {"pytorch_half_pixel", 0}, {"", 0},
                  {"align_corners", 0},      {"asymmetric", 0},
                  {"tf_crop_and_resize", 0}};
    const int64_t place = integer(n, "places");
    const bool late = integer(n, "antialias") || integer(n, "aspect");
    if (!places[place].name[0])
        kiln_onnx_writer_refuse(w, n, "ONNX has no such places any more");
    else
        kiln_onnx_writer_needs(w, n, places[place].since > 18 || !late ? places[place].since : 18);
    kiln_onnx_put_text(w, o, "coordinate_transformation_mode", places[place].name);
    if (integer(n, "antialias"))
        kiln_onnx_put_int(w, o, "antialias", 1);
}

static void write_resize(writer *w, const kiln_node *n, const row *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const struct resized p = resized_of(n);
    Onnx__NodeProto *o = integer(n, "aspect") ? write_by_aspect(w, n, &p) : write_by_numbers(w, n, &p);
    (void)r;
    kiln_onnx_put_text(w, o, "mode", modes[integer(n, "mode")]);
    kiln_onnx_put_text(w, o, "nearest_mode", roundings[integer(n, "rounding")]);
    kiln_onnx_put_real(w, o, "cubic_coeff_a", number(n, "cubic"));
    kiln_onnx_put_real(w, o, "extrapolation_value", number(n, "outside"));
    kiln_onnx_put_int(w, o, "exclude_outside", integer(n, "exclude_outside"));
    put_places(w, o, n);
}

/* The border as a list of places, one an element of the axis: what ONNX lacks, or ONNX Runtime refuses. */
static const char *border_places(writer *w, int64_t kind, int64_t size, int64_t before, int64_t total)
{
    enum { EDGE, REFLECT, SYMMETRIC, WRAP };
    const char *name = kiln_onnx_new_name(w);
    int64_t *at = kiln_onnx_new_tensor(w, name, KILN_I64, &KILN_SHAPE(total));
    const int64_t period = kind == WRAP ? size : kind == SYMMETRIC ? 2 * size : size > 1 ? 2 * size - 2 : 1;
    for (int64_t i = 0; at && i < total; i++) {
        int64_t place = (i - before) % period;
        place += place < 0 ? period : 0;
        at[i] = kind == EDGE   ? (i < before          ? 0
                                  : i - before < size ? i - before
                                                      : size - 1)
                : place < size ? place
                               : period - place - (kind == SYMMETRIC);
    }
    return name;
}

/* An axis a node. */
static void write_border(writer *w, const kiln_node *n, const row *r)
{
    enum { EDGE, REFLECT, SYMMETRIC, WRAP };
    static const char *const modes[] = {[EDGE] = "edge", [REFLECT] = "reflect", [WRAP] = "wrap"};
    const int rank = spec(w, n->in[0]).shape.rank;
    const int64_t kind = integer(n, "kind"), axis = integer(n, "axis"), before = integer(n, "before"),
                  after = integer(n, "after"), size = spec(w, n->in[0]).shape.size[axis];
    const bool beyond = kind == REFLECT && size >= 0 && (before >= size || after >= size);
    int64_t pads[2 * KILN_MAX_RANK] = {0};
    pads[axis] = before;
    pads[rank + axis] = after;
    if (size > 0 && (beyond || kind == SYMMETRIC || (kind == WRAP && w->opset < 19))) {
        const char *places = border_places(w, kind, size, before, before + size + after);
        kiln_onnx_put_int(w, kiln_onnx_write(w, "Gather", out(w, n), IN(in(w, n, 0), places)), "axis", axis);
    } else if (kind == SYMMETRIC)
        kiln_onnx_writer_refuse(w, n, "a symmetric border of a symbolic size");
    else if (kind != WRAP || kiln_onnx_writer_needs(w, n, 19))
        kiln_onnx_put_text(
            w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), kiln_onnx_new_list(w, pads, 2 * rank))),
            "mode", modes[kind]);
}

/* Places that count elements as ones from -1 to 1 between x's edges, (2 e + 1) / size - 1, the last axis first. */
static const char *between_edges(writer *w, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape;
    const kiln_type type = spec(w, n->in[1]).type;
    const char *size[KILN_MAX_RANK], *all = kiln_onnx_new_name(w), *one = kiln_onnx_new_scalar(w, type, 1);
    for (int i = 0; i < axes_behind(w, n); i++)
        size[i] = kiln_onnx_size_name(w, n, x.size[x.rank - 1 - i]);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", all, axes_behind(w, n), size), "axis", 0);
    const char *twice = kiln_onnx_step(w, "Mul", IN(in(w, n, 1), kiln_onnx_new_scalar(w, type, 2)));
    const char *from = kiln_onnx_step(w, "Add", IN(twice, one));
    return kiln_onnx_step(w, "Sub", IN(kiln_onnx_step(w, "Div", IN(from, cast(w, all, NULL, type))), one));
}

/* Before opset 20 the modes had other names, and pictures alone were sampled. */
static void write_grid_sample(writer *w, const kiln_node *n, const row *r)
{
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const old_modes[] = {"bilinear", "nearest", "bicubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const int64_t mode = integer(n, "mode"), elements = integer(n, "elements");
    if (elements && integer(n, "padding") == KILN_GRID_REFLECTION && integer(n, "align_corners"))
        kiln_onnx_writer_refuse(w, n, "coordinates that count elements, mirrored at the centres of the last");
    if (axes_behind(w, n) > 2 && !kiln_onnx_writer_needs(w, n, 20))
        return;
    const char *grid = elements ? between_edges(w, n) : in(w, n, 1);
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), grid));
    kiln_onnx_put_text(w, o, "mode", w->opset < 20 ? old_modes[mode] : modes[mode]);
    kiln_onnx_put_text(w, o, "padding_mode", paddings[integer(n, "padding")]);
    kiln_onnx_put_int(w, o, "align_corners", !elements && integer(n, "align_corners"));
}

/* The table ---------------------------------------------------------------------------------------------- */

static const row rows[] = {
    {"all", "ReduceMin", write_truth, 0},
    {"any", "ReduceMax", write_truth, 0},
    {"border", "Pad", write_border, 0},
    {"by_mode", NULL, write_alias, 2},
    {"concat", "Concat", write_axis, 0},
    {"conv", "Conv", write_conv, 0},
    {"conv_integer", "ConvInteger", write_conv_integer, 0},
    {"conv_transpose", "ConvTranspose", write_conv, 0},
    {"cross_entropy", "SoftmaxCrossEntropyLoss", write_cross_entropy, 0},
    {"expand", "Expand", write_expand, 0},
    {"expand_to", "Expand", write_expand, 1},
    {"find_last_max", "ArgMax", write_find, 0},
    {"find_last_min", "ArgMin", write_find, 0},
    {"find_max", "ArgMax", write_find, 0},
    {"find_min", "ArgMin", write_find, 0},
    {"flatten", "Reshape", write_reshape, 0},
    {"grid_sample", "GridSample", write_grid_sample, 0},
    {"log_softmax", "LogSoftmax", write_axis, 0},
    {"log_sum", "ReduceLogSum", write_reduce, 0},
    {"log_sum_exp", "ReduceLogSumExp", write_reduce, 0},
    {"matmul", "MatMul", write_matmul, 0},
    {"matmul_integer", "MatMulInteger", write_matmul_integer, 0},
    {"mean", "ReduceMean", write_reduce, 0},
    {"moments", NULL, write_moments, 0, .lacks = HALVES},
    {"ones_like", NULL, write_filled, 0},
    {"pad", "Pad", write_pad, 0},
    {"pool", NULL, write_pool, 0},
    {"pool_index", NULL, write_pool, 0},
    {"product", "ReduceProd", write_reduce, 0},
    {"reduce_l1", "ReduceL1", write_reduce, 0},
    {"reduce_l2", "ReduceL2", write_reduce, 0},
    {"reduce_max", "ReduceMax", write_reduce, 0, .lacks = IS_I16 | IS_U16},
    {"reduce_min", "ReduceMin", write_reduce, 0, .lacks = IS_I16 | IS_U16},
    {"reshape", "Reshape", write_reshape, 0},
    {"reshape_to", "Reshape", write_reshape, 1},
    {"resize", "Resize", write_resize, 0},
    {"roi", NULL, write_roi, 0, .lacks = HALVES},
    {"slice", "Slice", write_slice, 0},
    {"softmax", "Softmax", write_axis, 0},
    {"squeeze", "Reshape", write_reshape, 0},
    {"stop_gradient", NULL, write_alias, 1},
    {"sum", "ReduceSum", write_reduce, 0},
    {"sum_square", "ReduceSumSquare", write_reduce, 0},
    {"transpose", "Transpose", write_transpose, 0},
    {"unsqueeze", "Reshape", write_reshape, 0},
    {"zeros_like", NULL, write_filled, 0},
};

const struct kiln_onnx_writer_row *kiln_onnx_writer_row_of(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].op, op))
            return &rows[i];
    static const row *const families[] = {kiln_onnx_writer_attention, kiln_onnx_writer_composed,
                                          kiln_onnx_writer_control,   kiln_onnx_writer_indexing,
                                          kiln_onnx_writer_math,      kiln_onnx_writer_norm};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const row *r = families[i]; r->op; r++)
            if (!strcmp(r->op, op))
                return r;
    return NULL;
}
