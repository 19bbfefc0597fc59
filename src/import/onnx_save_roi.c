/*
 * onnx_save_roi.c - what ONNX lacks of regions of interest: where the largest of a bin stands, and the gradients.
 *
 * A loop visits a sample, or a cell, of all bins of all boxes at once, as many times as the largest of them needs. shaders/roi/roi.h says
 * where these are; here sample (a, b) of bin (i, j) of box r is element [r, i, j], and maps are rows of channels, [N H W, C].
 *
 *   AVERAGE          the gradient adds weight * dy to the four cells of each sample
 *   LARGEST, CELLS   the loop keeps the largest of what it meets with its place and weight; the gradient adds weight * dy to that place
 */
#include <math.h>

#include <kiln/control.h>
#include <kiln/indexing.h>

#include "import/onnx_save_row.h"

enum { AVERAGE, LARGEST, CELLS };
enum { MOST_GRID = 1 << 20, FARTHEST = 32767, NOT_MET = -2 };

static kiln_tensor real(kiln_graph *g, double value)
{
    return kiln_scalar(g, KILN_F32, value);
}

static kiln_tensor whole(kiln_graph *g, double value)
{
    return kiln_scalar(g, KILN_I32, value);
}

static kiln_tensor all_of(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor c)
{
    return kiln_and(g, kiln_and(g, a, b), c);
}

/* Boxes along an axis ------------------------------------------------------------------------------------ */

/* Of each box and bin, [R, bins]: the first sample or cell, and how many; [R, 1]: from one to the next, and whether the box is finite. */
struct side {
    kiln_tensor first, count, step, fine;
};

static kiln_tensor column(kiln_graph *g, kiln_tensor boxes, int i)
{
    return kiln_slice(g, boxes, 1, i, i + 1, 1);
}

static kiln_tensor is_finite(kiln_graph *g, kiln_tensor x)
{
    return kiln_less(g, kiln_abs(g, x), real(g, INFINITY));
}

/* Halves away from 0. */
static kiln_tensor cell_of(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor way = kiln_floor(g, kiln_shift(g, kiln_abs(g, x), 0.5));
    return kiln_clip(g, kiln_where(g, kiln_less(g, x, real(g, 0)), kiln_neg(g, way), way), -FARTHEST,
                     FARTHEST);
}

/* ceil(size / bins), exactly: a quotient may be rounded over a whole number. */
static kiln_tensor grid_of(kiln_graph *g, kiln_tensor size, int64_t bins)
{
    const double n = (double)bins;
    const kiln_tensor k = kiln_clip(g, kiln_ceil(g, kiln_scale(g, size, 1 / n)), 0, MOST_GRID);
    const kiln_tensor fewer = kiln_shift(g, k, -1), more = kiln_clip(g, kiln_shift(g, k, 1), 0, MOST_GRID);
    const kiln_tensor much = kiln_less_equal(g, size, kiln_scale(g, fewer, n)),
                      little = kiln_less(g, kiln_scale(g, k, n), size);
    return kiln_where(g, kiln_and(g, kiln_less(g, real(g, 0), k), much), fewer,
                      kiln_where(g, little, more, k));
}

/* Cells floor(b size / bins) to ceil((b + 1) size / bins) - 1, of those that the map has. */
static void take_cells(kiln_graph *g, kiln_tensor low, kiln_tensor high, int64_t bins, kiln_tensor cells,
                       struct side *s)
{
    const kiln_tensor begin = kiln_cast(g, cell_of(g, low), KILN_I32),
                      end = kiln_cast(g, cell_of(g, high), KILN_I32),
                      bin = kiln_sequence(g, KILN_I32, 0, 1, bins), n = whole(g, (double)bins),
                      one = whole(g, 1);
    const kiln_tensor size = kiln_max(g, kiln_add(g, kiln_sub(g, end, begin), one), one);
    const kiln_tensor above = kiln_add(g, kiln_mul(g, kiln_add(g, bin, one), size), kiln_sub(g, n, one));
    const kiln_tensor edges[] = {kiln_div(g, kiln_mul(g, bin, size), n), kiln_div(g, above, n)};
    kiln_tensor edge[2];
    for (int i = 0; i < 2; i++)
        edge[i] = kiln_min(g, kiln_max(g, kiln_add(g, begin, edges[i]), whole(g, 0)), cells);
    s->first = kiln_cast(g, edge[0], KILN_F32);
    s->count = kiln_sub(g, edge[1], edge[0]);
    s->step = kiln_ones_like(g, low);
}

static void take_samples(kiln_graph *g, const kiln_node *n, kiln_tensor low, kiln_tensor high, int64_t bins,
                         struct side *s)
{
    const int64_t samples = integer(n, "samples");
    kiln_tensor size = kiln_sub(g, high, low);
    s->fine = kiln_and(g, s->fine, is_finite(g, size));
    size =
        kiln_where(g, s->fine, integer(n, "half_pixel") ? size : kiln_max(g, size, real(g, 1)), real(g, 0));
    low = kiln_where(g, s->fine, low, real(g, 0));
    const kiln_tensor grid =
        samples ? kiln_shift(g, kiln_zeros_like(g, size), (double)samples) : grid_of(g, size, bins);
    const kiln_tensor most = kiln_scale(g, kiln_max(g, grid, real(g, 1)), (double)bins);
    s->step = kiln_div(g, size, most);
    const kiln_tensor before = kiln_mul(g, kiln_sequence(g, KILN_F32, 0, 1, bins), grid);
    s->first = kiln_add(g, low, kiln_mul(g, kiln_shift(g, before, 0.5), s->step));
    s->count = kiln_cast(g, kiln_expand_to(g, grid, before), KILN_I32);
}

/* Axis 0 is across: boxes list it first. */
static struct side side_of(kiln_graph *g, const kiln_node *n, kiln_tensor boxes, int axis, kiln_tensor cells)
{
    const double scale = number(n, "scale"), half = integer(n, "half_pixel") ? 0.5 : 0;
    int64_t size[2] = {0};
    kiln_node_integers(n, "size", size, 2);
    const kiln_tensor low = kiln_shift(g, kiln_scale(g, column(g, boxes, axis), scale), -half),
                      high = kiln_shift(g, kiln_scale(g, column(g, boxes, axis + 2), scale), -half);
    struct side s = {.fine = is_finite(g, low)};
    if (integer(n, "mode") == CELLS) {
        s.fine = kiln_and(g, s.fine, is_finite(g, kiln_sub(g, high, low)));
        take_cells(g, kiln_where(g, s.fine, low, real(g, 0)), kiln_where(g, s.fine, high, real(g, 0)),
                   size[1 - axis], cells, &s);
    } else {
        take_samples(g, n, low, high, size[1 - axis], &s);
    }
    return s;
}

/* A step ------------------------------------------------------------------------------------------------- */

/* All that a step reads: both sides, across first; the map of each box, and whether it and the box are any, [R, 1, 1]; sizes of the
 * maps; how many steps there are across. */
struct visit {
    struct side side[2];
    kiln_tensor map, fine, cells[2], across;
};

/* The most that any bin has, 0 of no boxes. */
static kiln_tensor most_of(kiln_graph *g, kiln_tensor count)
{
    const kiln_tensor all[] = {kiln_reshape(g, count, KILN_SHAPE(KILN_REST)),
                               kiln_sequence(g, KILN_I32, 0, 1, 1)};
    return kiln_reduce_max(g, kiln_concat(g, all, 2, 0), NULL);
}

static struct visit visit_of(kiln_graph *g, const kiln_node *n, kiln_tensor maps, kiln_tensor boxes,
                             kiln_tensor image)
{
    struct visit v;
    const kiln_tensor at = kiln_cast(g, image, KILN_I32), all = size_of_axis(g, maps, 0);
    for (int i = 0; i < 2; i++) {
        v.cells[i] = size_of_axis(g, maps, 3 - i);
        v.side[i] = side_of(g, n, as_float(g, boxes), i, v.cells[i]);
    }
    const kiln_tensor there = kiln_and(g, kiln_less_equal(g, whole(g, 0), at), kiln_less(g, at, all));
    v.map = kiln_reshape(g, kiln_where(g, there, at, whole(g, 0)), KILN_SHAPE(KILN_REST, 1, 1));
    v.fine = kiln_reshape(g, all_of(g, kiln_unsqueeze(g, there, 1), v.side[0].fine, v.side[1].fine),
                          KILN_SHAPE(KILN_REST, 1, 1));
    v.across = most_of(g, v.side[0].count);
    return v;
}

/* What stands in the visited place along an axis: up to two cells of each bin and their shares, [R, bins]. */
struct taps {
    kiln_tensor cell[2], share[2], there, inside;
};

static struct taps taps_of(kiln_graph *g, const struct side *s, kiln_tensor step, kiln_tensor cells,
                           bool whole_cells)
{
    const kiln_tensor place = kiln_add(g, s->first, kiln_mul(g, kiln_cast(g, step, KILN_F32), s->step)),
                      most = kiln_cast(g, cells, KILN_F32);
    struct taps t = {.there = kiln_less(g, step, s->count)};
    if (whole_cells) {
        t.inside = t.there;
        t.cell[0] = kiln_cast(g, place, KILN_I32);
        t.share[0] = kiln_ones_like(g, place);
        return t;
    }
    t.inside = kiln_and(g, kiln_less_equal(g, real(g, -1), place), kiln_less_equal(g, place, most));
    const kiln_tensor last = kiln_shift(g, most, -1), at = kiln_min(g, kiln_max(g, place, real(g, 0)), last),
                      low = kiln_floor(g, at);
    t.share[1] = kiln_sub(g, at, low);
    t.share[0] = one_less(g, t.share[1]);
    t.cell[0] = kiln_cast(g, low, KILN_I32);
    t.cell[1] = kiln_cast(g, kiln_min(g, kiln_shift(g, low, 1), last), KILN_I32);
    return t;
}

/* What is met at [R, down, across]: elements of their map and shares of them; whether it is a place of the bin, and one in the map. */
struct met {
    int count;
    kiln_tensor element[4], share[4], there, inside;
};

static struct met met_by(kiln_graph *g, const struct visit *v, kiln_tensor step, bool whole_cells)
{
    const kiln_tensor one = whole(g, 1), across = kiln_max(g, v->across, one);
    const struct taps i = taps_of(g, &v->side[1], kiln_div(g, step, across), v->cells[1], whole_cells),
                      j = taps_of(g, &v->side[0], kiln_mod(g, step, across), v->cells[0], whole_cells);
    const int each = whole_cells ? 1 : 2;
    struct met m = {
        .count = each * each,
        .there = all_of(g, kiln_unsqueeze(g, i.there, 2), kiln_unsqueeze(g, j.there, 1), v->fine),
        .inside = kiln_and(g, kiln_unsqueeze(g, i.inside, 2), kiln_unsqueeze(g, j.inside, 1)),
    };
    for (int k = 0; k < m.count; k++) {
        const kiln_tensor begins = kiln_mul(g, kiln_unsqueeze(g, i.cell[k / each], 2), v->cells[0]);
        m.element[k] = kiln_add(g, begins, kiln_unsqueeze(g, j.cell[k % each], 1));
        m.share[k] =
            kiln_mul(g, kiln_unsqueeze(g, i.share[k / each], 2), kiln_unsqueeze(g, j.share[k % each], 1));
    }
    return m;
}

/* Element of a map as a row of all maps. */
static kiln_tensor row_of(kiln_graph *g, const struct visit *v, kiln_tensor element)
{
    return kiln_add(g, element, kiln_mul(g, v->map, kiln_mul(g, v->cells[0], v->cells[1])));
}

/* The loop ----------------------------------------------------------------------------------------------- */

enum { MOST_CARRIES = 3 };

struct visits {
    kiln_graph *g, *body;
    struct visit inner; /* as the body sees it */
    kiln_loop_params p;
    kiln_tensor step, carry[MOST_CARRIES]; /* of the body */
    int carries, with;
};

static kiln_tensor give(struct visits *l, kiln_tensor t)
{
    char name[16] = "with_";
    name[4] = (char)('a' + l->with);
    l->p.with[l->with++] = t;
    return kiln_onnx_body_like(l->body, l->g, t, name);
}

/* Begin a loop with these carries, and let it see what a visit reads. False: no memory. */
static bool begin(struct visits *l, kiln_graph *g, const struct visit *v, const kiln_tensor *carry,
                  int carries)
{
    static const char *const names[MOST_CARRIES] = {"value", "place", "weight"};
    *l = (struct visits){.g = g, .carries = carries, .p = {.bound = INT32_MAX}};
    if (!(l->body = kiln_onnx_body_graph(g)))
        return false;
    l->p.trips = kiln_mul(g, v->across, most_of(g, v->side[1].count));
    l->step = kiln_input(l->body, "step", KILN_I32, KILN_SCALAR);
    for (int i = 0; i < carries; i++) {
        l->p.carry[i] = carry[i];
        l->carry[i] = kiln_onnx_body_like(l->body, g, carry[i], names[i]);
    }
    l->inner = (struct visit){.map = give(l, v->map), .fine = give(l, v->fine), .across = give(l, v->across)};
    for (int i = 0; i < 2; i++) {
        l->inner.cells[i] = give(l, v->cells[i]);
        l->inner.side[i].first = give(l, v->side[i].first);
        l->inner.side[i].count = give(l, v->side[i].count);
        l->inner.side[i].step = give(l, v->side[i].step);
    }
    return true;
}

static void run(struct visits *l, const kiln_tensor *next, kiln_tensor *out)
{
    static const char *const names[MOST_CARRIES] = {"next_value", "next_place", "next_weight"};
    kiln_tensor results[1 + MOST_CARRIES];
    kiln_output(l->body, "goes_on", kiln_scalar(l->body, KILN_BOOL, 1));
    for (int i = 0; i < l->carries; i++)
        kiln_output(l->body, names[i], next[i]);
    kiln_loop(l->g, l->body, &l->p, results);
    for (int i = 0; i < l->carries; i++)
        out[i] = results[1 + i];
    kiln_graph_destroy(&l->body);
}

/* Channels ----------------------------------------------------------------------------------------------- */

/* [N, C, H, W] as [N, H, W, C], and back. */
static kiln_tensor channels_last(kiln_graph *g, kiln_tensor x)
{
    return kiln_transpose(g, x, (const int[]){0, 2, 3, 1});
}

static kiln_tensor channels_first(kiln_graph *g, kiln_tensor x)
{
    return kiln_transpose(g, x, (const int[]){0, 3, 1, 2});
}

static kiln_tensor rows_of(kiln_graph *g, kiln_tensor x)
{
    return kiln_reshape(g, channels_last(g, x), KILN_SHAPE(KILN_REST, kiln_tensor_shape(g, x).size[1]));
}

/* The largest -------------------------------------------------------------------------------------------- */

/* The larger of what was met before and this: value, place and weight, [R, down, across, C]; `there` [R, down, across, 1]. */
static void meet(kiln_graph *g, kiln_tensor *best, kiln_tensor value, kiln_tensor place, kiln_tensor weight,
                 kiln_tensor there)
{
    const kiln_tensor larger =
                          kiln_or(g, kiln_less(g, best[0], value),
                                  kiln_and(g, kiln_is_nan(g, value), kiln_not(g, kiln_is_nan(g, best[0])))),
                      first = kiln_equal(g, best[1], whole(g, NOT_MET));
    const kiln_tensor take = kiln_and(g, there, kiln_or(g, first, larger));
    best[0] = kiln_where(g, take, value, best[0]);
    best[1] = kiln_where(g, take, place, best[1]);
    best[2] = kiln_where(g, take, weight, best[2]);
}

/* The larger of before and what a step meets; of a sample outside a 0 of no place. */
static void meet_all(kiln_graph *g, const struct visit *v, const struct met *m, kiln_tensor maps,
                     kiln_tensor *best)
{
    const kiln_tensor inside = kiln_unsqueeze(g, kiln_and(g, m->there, m->inside), 3),
                      outside = kiln_unsqueeze(g, kiln_and(g, m->there, kiln_not(g, m->inside)), 3);
    meet(g, best, real(g, 0), whole(g, KILN_NOWHERE), real(g, 0), outside);
    for (int k = 0; k < m->count; k++) {
        const kiln_tensor element = kiln_where(g, m->inside, m->element[k], whole(g, 0)),
                          weight = kiln_unsqueeze(g, m->share[k], 3);
        const kiln_tensor value = kiln_mul(g, weight, kiln_gather(g, maps, row_of(g, v, element), 0));
        meet(g, best, value, kiln_unsqueeze(g, element, 3), weight, inside);
    }
}

/* y, and for its gradient where it stands and how much of that it is. */
void kiln_onnx_compose_roi_places(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_shape x = kiln_tensor_shape(g, in[0]);
    const int64_t boxes = kiln_tensor_shape(g, in[1]).size[0];
    const bool cells = integer(n, "mode") == CELLS;
    int64_t size[2] = {0};
    kiln_node_integers(n, "size", size, 2);
    const kiln_shape all = KILN_SHAPE(boxes, size[0], size[1], x.size[1]);
    const struct visit v = visit_of(g, n, in[0], in[1], in[2]);
    const kiln_tensor none[] = {kiln_expand(g, real(g, 0), all), kiln_expand(g, whole(g, NOT_MET), all),
                                kiln_expand(g, real(g, 0), all)};
    struct visits l;
    kiln_tensor best[MOST_CARRIES];
    if (!begin(&l, g, &v, none, MOST_CARRIES))
        return;
    const kiln_tensor maps = give(&l, rows_of(g, as_float(g, in[0])));
    const struct met m = met_by(l.body, &l.inner, l.step, cells);
    for (int i = 0; i < MOST_CARRIES; i++)
        best[i] = l.carry[i];
    meet_all(l.body, &l.inner, &m, maps, best);
    run(&l, best, best);
    const kiln_tensor unmet = kiln_equal(g, best[1], whole(g, NOT_MET));
    out[0] = kiln_cast(g, channels_first(g, best[0]), kiln_tensor_type(g, in[0]));
    out[1] = channels_first(g, kiln_where(g, unmet, whole(g, KILN_NOWHERE), best[1]));
    out[2] = channels_first(g, best[2]);
}

/* dy goes to places of the maps of its boxes, counted through all elements of dx. */
static kiln_tensor to_places(kiln_graph *g, const kiln_tensor *in)
{
    const kiln_shape flat = KILN_SHAPE(KILN_REST);
    const kiln_tensor place = kiln_cast(g, in[3], KILN_I32), like = as_float(g, in[5]);
    const kiln_tensor volume = kiln_mul(g, size_of_axis(g, like, 2), size_of_axis(g, like, 3)),
                      map = kiln_reshape(g, kiln_cast(g, in[2], KILN_I32), KILN_SHAPE(KILN_REST, 1, 1, 1)),
                      channel = kiln_reshape(g, kiln_positions(g, in[0], 1), KILN_SHAPE(1, KILN_REST, 1, 1));
    const kiln_tensor plane = kiln_add(g, kiln_mul(g, map, size_of_axis(g, like, 1)), channel);
    const kiln_tensor at = kiln_where(g, kiln_less(g, place, whole(g, 0)), whole(g, KILN_NOWHERE),
                                      kiln_add(g, kiln_mul(g, plane, volume), place));
    kiln_tensor pull = as_float(g, in[0]);
    if (in[4].id)
        pull = kiln_mul(g, pull, as_float(g, in[4]));
    const kiln_tensor zeros = kiln_reshape(g, kiln_zeros_like(g, like), flat);
    const kiln_tensor dx = kiln_scatter(g, zeros, kiln_reshape(g, at, flat), kiln_reshape(g, pull, flat), 0,
                                        &(kiln_scatter_params){.kind = KILN_SCATTER_ADD});
    return kiln_reshape_to(g, dx, like);
}

/* The mean's gradient ------------------------------------------------------------------------------------ */

/* A bin's pull by how many samples it has: [R, down, across, C]. */
static kiln_tensor pull_of(kiln_graph *g, const struct visit *v, kiln_tensor dy)
{
    const kiln_tensor samples = kiln_mul(g, kiln_unsqueeze(g, kiln_cast(g, v->side[1].count, KILN_F32), 2),
                                         kiln_unsqueeze(g, kiln_cast(g, v->side[0].count, KILN_F32), 1));
    return kiln_div(g, channels_last(g, as_float(g, dy)),
                    kiln_unsqueeze(g, kiln_max(g, samples, real(g, 1)), 3));
}

static kiln_tensor to_samples(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    const struct visit v = visit_of(g, n, in[5], in[1], in[2]);
    const kiln_tensor like = as_float(g, in[5]), zeros = kiln_zeros_like(g, rows_of(g, like));
    struct visits l;
    kiln_tensor at[4], part[4], dx;
    if (!begin(&l, g, &v, &zeros, 1))
        return KILN_NONE;
    const kiln_tensor pull = give(&l, pull_of(g, &v, in[0]));
    const struct met m = met_by(l.body, &l.inner, l.step, false);
    const kiln_tensor counts = kiln_and(l.body, m.there, m.inside);
    for (int k = 0; k < m.count; k++) {
        const kiln_tensor element = row_of(l.body, &l.inner, m.element[k]);
        at[k] = kiln_unsqueeze(l.body, kiln_where(l.body, counts, element, whole(l.body, KILN_NOWHERE)), 0);
        part[k] = kiln_unsqueeze(l.body, kiln_mul(l.body, kiln_unsqueeze(l.body, m.share[k], 3), pull), 0);
    }
    dx = kiln_scatter(l.body, l.carry[0], kiln_concat(l.body, at, m.count, 0),
                      kiln_concat(l.body, part, m.count, 0), 0,
                      &(kiln_scatter_params){.kind = KILN_SCATTER_ADD});
    run(&l, &dx, &dx);
    return channels_first(g, kiln_reshape_to(g, dx, channels_last(g, like)));
}

/* Inputs: dy, boxes, image, place, weight, and x for its shape. */
static void compose_gradient(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    out[0] = integer(n, "mode") == AVERAGE ? to_samples(g, n, in) : to_places(g, in);
    out[0] = kiln_cast(g, out[0], kiln_tensor_type(g, in[0]));
}

const row kiln_onnx_writer_roi[] = {
    {"roi_grad", .compose = compose_gradient},
    {0},
};
