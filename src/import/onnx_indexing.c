/* onnx_indexing.c - operators that read and write at places that data names, order, accumulate, select, and make values of places. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx.h"

/* The axis that an attribute gives, of input 0. */
static int axis_of(kiln_onnx_node *n, int64_t otherwise)
{
    return kiln_onnx_axis(n, kiln_onnx_int(n, "axis", otherwise), kiln_onnx_spec(n, 0).shape.rank);
}

/* Input i as a known whole number, or what it is where it is left out; refuses. */
static int64_t whole_of(kiln_onnx_node *n, int i, const char *what, int64_t otherwise)
{
    double value = (double)otherwise;
    if (kiln_onnx_has(n, i) && !kiln_onnx_number(n, i, &value))
        kiln_onnx_refuse(n, "%s must be one number that is known before anything runs", what);
    if (!(value >= INT32_MIN && value <= INT32_MAX))
        kiln_onnx_refuse(n, "%s is %g", what, value);
    return n->refused ? otherwise : (int64_t)value;
}

/* Places are words in kiln; in ONNX they are I64. */
static void out_places(kiln_onnx_node *n, int i, kiln_tensor t)
{
    if (kiln_onnx_wants(n, i))
        kiln_onnx_out(n, i, kiln_cast(n->g, t, KILN_I64));
}

/* Gather and scatter ------------------------------------------------------------------------------------- */

bool kiln_onnx_lie_between(kiln_onnx_node *n, int i, int64_t low, int64_t size, const int64_t *but)
{
    const kiln_spec index = kiln_onnx_spec(n, i);
    const struct kiln_onnx_item *at =
        size >= 0 && !kiln_type_is_real(index.type) ? kiln_onnx_items(n->m, n->in[i]) : NULL;
    for (int64_t k = 0; at && k < kiln_shape_count(&index.shape); k++)
        if (!at[k].symbol && (at[k].i < low || at[k].i >= size) && !(but && at[k].i == *but)) {
            kiln_onnx_refuse(n, "index %lld of %lld", (long long)at[k].i, (long long)size);
            return false;
        }
    return true;
}

bool kiln_onnx_lie_on(kiln_onnx_node *n, int i, int of, int axis)
{
    const kiln_shape x = kiln_onnx_spec(n, of).shape;
    const int64_t size = axis < x.rank ? x.size[axis] : -1;
    return kiln_onnx_lie_between(n, i, -size, size, NULL);
}

void kiln_onnx_build_gather(kiln_onnx_node *n)
{
    const int axis = axis_of(n, 0);
    if (!n->refused && kiln_onnx_lie_on(n, 1, 0, axis))
        kiln_onnx_out(n, 0, kiln_gather(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), axis));
}

/* The first axis but one of which the index has fewer elements than x; -1 where there is none. */
static int shorter_axis(kiln_graph *g, kiln_tensor x, const kiln_shape *index, int but)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    for (int i = 0; i < shape.rank && i < index->rank; i++)
        if (i != but && index->size[i] >= 0 && index->size[i] < shape.size[i])
            return i;
    return -1;
}

void kiln_onnx_build_gather_elements(kiln_onnx_node *n)
{
    const int axis = axis_of(n, 0);
    const kiln_shape index = kiln_onnx_spec(n, 1).shape;
    kiln_tensor x = kiln_onnx_in(n, 0);
    for (int i; !n->refused && (i = shorter_axis(n->g, x, &index, axis)) >= 0;)
        x = kiln_slice(n->g, x, i, 0, index.size[i], 1);
    if (n->refused)
        return;
    kiln_tensor at = kiln_onnx_in(n, 1);
    kiln_onnx_agree(n->g, &x, &at, axis);
    kiln_onnx_out(n, 0, kiln_gather_elements(n->g, x, at, axis));
}

void kiln_onnx_build_gather_nd(kiln_onnx_node *n)
{
    const int64_t batch = kiln_onnx_int(n, "batch_dims", 0);
    if (batch < 0 || batch > KILN_MAX_RANK)
        kiln_onnx_refuse(n, "batch_dims is %lld", (long long)batch);
    else
        kiln_onnx_out(n, 0, kiln_gather_nd(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), (int)batch));
}

/* How an update meets what is at its place, by the standard's name for it. */
static kiln_scatter_params meeting(kiln_onnx_node *n)
{
    static const char *const names[] = {[KILN_SCATTER_SET] = "none",
                                        [KILN_SCATTER_ADD] = "add",
                                        [KILN_SCATTER_MUL] = "mul",
                                        [KILN_SCATTER_MIN] = "min",
                                        [KILN_SCATTER_MAX] = "max"};
    const char *name = kiln_onnx_text(n, "reduction", "none");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return (kiln_scatter_params){.kind = (kiln_scatter_kind)i};
    kiln_onnx_refuse(n, "reduction %s", name);
    return (kiln_scatter_params){0};
}

/* Only the part of x that the index has elements for changes. */
static kiln_tensor scatter_within(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates,
                                  int axis, const kiln_scatter_params *p)
{
    const kiln_shape shape = kiln_tensor_shape(g, index);
    const int i = shorter_axis(g, x, &shape, axis);
    if (i < 0)
        return kiln_scatter_elements(g, x, index, updates, axis, p);
    const kiln_tensor first = kiln_slice(g, x, i, 0, shape.size[i], 1);
    const kiln_tensor parts[] = {scatter_within(g, first, index, updates, axis, p),
                                 kiln_slice(g, x, i, shape.size[i], KILN_END, 1)};
    return kiln_concat(g, parts, 2, i);
}

void kiln_onnx_build_scatter_elements(kiln_onnx_node *n)
{
    const int axis = axis_of(n, 0);
    const kiln_scatter_params p = meeting(n);
    if (!n->refused)
        kiln_onnx_out(
            n, 0, scatter_within(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), axis, &p));
}

void kiln_onnx_build_scatter_nd(kiln_onnx_node *n)
{
    const kiln_scatter_params p = meeting(n);
    if (!n->refused)
        kiln_onnx_out(n, 0,
                      kiln_scatter_nd(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), &p));
}

/* Where no place is given, each sequence begins. */
void kiln_onnx_build_tensor_scatter(kiln_onnx_node *n)
{
    const char *mode = kiln_onnx_text(n, "mode", "linear");
    const int axis = axis_of(n, -2);
    const kiln_tensor cache = kiln_onnx_in(n, 0), updates = kiln_onnx_in(n, 1);
    if (strcmp(mode, "linear") && strcmp(mode, "circular"))
        kiln_onnx_refuse(n, "mode %s", mode);
    if (n->refused)
        return;
    const kiln_tensor at = kiln_onnx_has(n, 2)
                               ? kiln_onnx_in(n, 2)
                               : kiln_expand(n->g, kiln_scalar(n->g, KILN_I32, 0),
                                             KILN_SHAPE(kiln_tensor_shape(n->g, cache).size[0]));
    kiln_onnx_out(n, 0, kiln_tensor_scatter(n->g, cache, updates, at, axis, !strcmp(mode, "circular")));
}

/* values: off and on. */
void kiln_onnx_build_one_hot(kiln_onnx_node *n)
{
    const int64_t depth = whole_of(n, 1, "depth", 0);
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", -1), kiln_onnx_spec(n, 0).shape.rank + 1);
    const kiln_tensor index = kiln_onnx_in(n, 0), values = kiln_onnx_in(n, 2);
    if (!n->refused && depth < 1)
        kiln_onnx_refuse(n, "depth is %lld", (long long)depth);
    if (n->refused)
        return;
    const kiln_tensor off = kiln_squeeze(n->g, kiln_slice(n->g, values, 0, 0, 1, 1), 0),
                      on = kiln_squeeze(n->g, kiln_slice(n->g, values, 0, 1, 2, 1), 0);
    kiln_onnx_out(n, 0, kiln_one_hot_between(n->g, index, depth, axis, off, on));
}

/* Order, and what accumulates ---------------------------------------------------------------------------- */

/* Whether k is all of an axis, whose size is not known. */
static bool wants_all(kiln_onnx_node *n, int axis)
{
    const struct kiln_onnx_item *k = kiln_onnx_has(n, 1) ? kiln_onnx_items(n->m, n->in[1]) : NULL;
    return !n->refused && k && k->symbol && k->i == kiln_onnx_spec(n, 0).shape.size[axis];
}

/* All of the axis in order, or as many as k can be, and of them the first k where k is not NONE. */
static void build_sort(kiln_onnx_node *n, int axis, kiln_tensor k)
{
    const kiln_top_k_params p = {.smallest = !kiln_onnx_int(n, "largest", 1)};
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const int64_t all = kiln_dim_most(n->g, kiln_tensor_shape(n->g, x).size[axis]),
                  most = k.id ? kiln_onnx_most_among(n->m, k, all) : all;
    kiln_tensor places, values = most < all ? kiln_top_k(n->g, x, most, axis, &p, &places)
                                            : kiln_sort(n->g, x, axis, !p.smallest, &places);
    if (k.id) {
        k = kiln_cast(n->g, k, KILN_I32);
        values = kiln_first(n->g, values, k, axis);
        places = kiln_first(n->g, places, k, axis);
    }
    kiln_onnx_out(n, 0, values);
    out_places(n, 1, places);
}

/* k is an attribute in the first opset; a run may compute it, as the smaller of a number and of how many boxes there are. */
void kiln_onnx_build_top_k(kiln_onnx_node *n)
{
    const int axis = axis_of(n, -1);
    const bool all = wants_all(n, axis);
    if (!n->refused && (all || (n->opset >= 10 && kiln_onnx_is_computed(n, 1)))) {
        build_sort(n, axis, all ? KILN_NONE : kiln_onnx_scalar(n, 1));
        return;
    }
    const int64_t k = n->opset < 10 ? kiln_onnx_int(n, "k", 0) : whole_of(n, 1, "k", 0);
    const kiln_top_k_params p = {.smallest = !kiln_onnx_int(n, "largest", 1)};
    const kiln_tensor x = kiln_onnx_in(n, 0);
    kiln_tensor places;
    if (n->refused)
        return;
    kiln_onnx_out(n, 0, kiln_top_k(n->g, x, k, axis, &p, &places));
    out_places(n, 1, places);
}

void kiln_onnx_build_cumulative(kiln_onnx_node *n)
{
    const kiln_cumulative_params p = {.exclusive = kiln_onnx_int(n, "exclusive", 0) != 0,
                                      .reverse = kiln_onnx_int(n, "reverse", 0) != 0};
    const int axis = kiln_onnx_axis(n, whole_of(n, 1, "the axis", 0), kiln_onnx_spec(n, 0).shape.rank);
    const kiln_tensor x = kiln_onnx_in(n, 0);
    if (!n->refused)
        kiln_onnx_out(n, 0, (strcmp(n->row->name, "CumSum") ? kiln_cumprod : kiln_cumsum)(n->g, x, axis, &p));
}

/* Selection: sizes that data decides --------------------------------------------------------------------- */

/* [rank, S], where kiln has a row for each. */
void kiln_onnx_build_non_zero(kiln_onnx_node *n)
{
    const kiln_tensor places = kiln_non_zero(n->g, kiln_onnx_in(n, 0), 0, NULL);
    out_places(n, 0, kiln_transpose(n->g, places, (const int[]){1, 0}));
}

/* A condition may be shorter than the axis. */
void kiln_onnx_build_compress(kiln_onnx_node *n)
{
    const bool flat = !kiln_onnx_has_attribute(n, "axis");
    const int axis = flat ? 0 : axis_of(n, 0);
    kiln_tensor x = kiln_onnx_in(n, 0);
    const kiln_tensor condition = kiln_onnx_in(n, 1);
    if (n->refused)
        return;
    if (flat)
        x = kiln_reshape(n->g, x, KILN_SHAPE(KILN_REST));
    const int64_t size = kiln_tensor_shape(n->g, x).size[axis],
                  given = kiln_tensor_shape(n->g, condition).size[0];
    if (given >= 0 && given < size)
        x = kiln_slice(n->g, x, axis, 0, given, 1);
    kiln_onnx_out(n, 0, kiln_compress(n->g, x, condition, axis));
}

void kiln_onnx_build_unique(kiln_onnx_node *n)
{
    const bool along = kiln_onnx_has_attribute(n, "axis");
    const kiln_unique_params p = {.along = along,
                                  .axis = along ? axis_of(n, 0) : 0,
                                  .by_appearance = !kiln_onnx_int(n, "sorted", 1)};
    const kiln_tensor x = kiln_onnx_in(n, 0);
    kiln_unique_parts parts;
    if (n->refused)
        return;
    kiln_onnx_out(n, 0, kiln_unique(n->g, x, &p, &parts));
    out_places(n, 1, parts.first);
    out_places(n, 2, parts.inverse);
    out_places(n, 3, parts.counts);
}

/* Values made of their places ---------------------------------------------------------------------------- */

void kiln_onnx_build_eye_like(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const int64_t k = kiln_onnx_int(n, "k", 0);
    kiln_type type = x.type;
    if (kiln_onnx_has_attribute(n, "dtype") && !kiln_onnx_type(kiln_onnx_int(n, "dtype", 0), &type))
        kiln_onnx_refuse(n, "a type that is not supported");
    if (x.shape.rank != 2 || k < INT_MIN || k > INT_MAX)
        kiln_onnx_refuse(n, "diagonal %lld of a tensor of rank %d", (long long)k, x.shape.rank);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_eye(n->g, type, x.shape.size[0], x.shape.size[1], (int)k));
}

void kiln_onnx_build_triangular(kiln_onnx_node *n)
{
    const int k = (int)whole_of(n, 1, "the diagonal", 0);
    const bool upper = kiln_onnx_int(n, "upper", 1) != 0;
    const kiln_tensor x = kiln_onnx_in(n, 0);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_triangular(n->g, x, k, upper));
}

/* Arrangements ------------------------------------------------------------------------------------------- */

/* In the first opset a number of tiles along one axis. */
/* x again and again along an axis, as often as a symbol says. */
static kiln_tensor tiled_by_symbol(kiln_graph *g, kiln_tensor x, int axis, int64_t times)
{
    const kiln_tensor apart = kiln_unsqueeze(g, x, axis);
    kiln_shape wide = kiln_tensor_shape(g, apart), y = kiln_tensor_shape(g, x);
    wide.size[axis] = times;
    y.size[axis] = kiln_dim_mul(g, times, y.size[axis]);
    return kiln_reshape(g, kiln_expand(g, apart, wide), y);
}

void kiln_onnx_build_tile(kiln_onnx_node *n)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    int64_t times[KILN_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct kiln_onnx_list list;
    if (n->opset < 6) {
        const int64_t tiles = whole_of(n, 1, "tiles", 1);
        times[kiln_onnx_axis(n, whole_of(n, 2, "the axis", 0), rank)] = tiles;
    } else if (kiln_onnx_list(n, "repeats", 6, 1, &list)) {
        if (list.count != rank)
            kiln_onnx_refuse(n, "%d repeats of %d axes", list.count, rank);
        for (int i = 0; i < list.count && !n->refused; i++)
            times[i] = list.item[i].i;
    }
    kiln_tensor x = n->refused ? KILN_NONE : kiln_onnx_in(n, 0);
    for (int i = 0; i < rank && !n->refused; i++) {
        const bool symbol = n->opset >= 6 && list.item[i].symbol;
        if (!symbol && (times[i] < 0 || times[i] > KILN_ONNX_MOST_SIZE))
            kiln_onnx_refuse(n, "an axis repeated %lld times", (long long)times[i]);
        else if (symbol) {
            x = tiled_by_symbol(n->g, x, i, times[i]);
            times[i] = 1;
        }
    }
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_tile(n->g, x, times));
}

void kiln_onnx_build_reverse_sequence(kiln_onnx_node *n)
{
    const int64_t time = kiln_onnx_int(n, "time_axis", 0), batch = kiln_onnx_int(n, "batch_axis", 1);
    if ((time != 0 && time != 1) || batch != 1 - time)
        kiln_onnx_refuse(n, "time axis %lld and batch axis %lld, wanted the first two", (long long)time,
                         (long long)batch);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_reverse_sequence(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), (int)time));
}
