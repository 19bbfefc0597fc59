/*
 * onnx_counted.c - sizes that a run computes: in lists of sizes, between the ends of a slice, and where a file says that they are numbers.
 *
 * A run has room for as many elements as the model shows that there may be (onnx_interval.c), else for as many as
 * kiln_onnx_params.most_size says. Where it computes more, in the body of a loop too, the model's outputs are no numbers, so that nobody
 * takes what was cut off for a result.
 */
#include <math.h>
#include <string.h>

#include <kiln/indexing.h>

#include "base/log.h"
#include "import/onnx.h"

enum {
    MOST_KNOWN = 64,      /* elements of a constant that is read back */
    MOST_SHOWN = 1 << 14, /* that nobody has to say: what has two such axes is large */
};

struct kiln_onnx_counted {
    kiln_tensor from; /* element `at` of it */
    int64_t at, size;
    struct kiln_onnx_counted *next;
};

/* Where an element comes from ------------------------------------------------------------------------------- */

static bool is_made_by(const kiln_node *n, const char *op)
{
    return !strcmp(n->op->name, op);
}

static bool keeps_elements(const kiln_graph *g, const kiln_node *n)
{
    static const char *const ops[] = {"reshape", "flatten", "unsqueeze", "squeeze", NULL};
    const bool cast = is_made_by(n, "cast_integer") && !kiln_type_is_real(kiln_tensor_type(g, n->in[0])) &&
                      kiln_tensor_type(g, n->in[0]) != KILN_BOOL;
    bool keeps = cast;
    for (int i = 0; ops[i]; i++)
        keeps |= is_made_by(n, ops[i]);
    return keeps;
}

/* The part of a concatenation along its only axis that element *at lies in. */
static kiln_tensor part_of(const kiln_graph *g, const kiln_node *n, int64_t *at)
{
    for (int i = 0; i < n->inputs && kiln_tensor_shape(g, n->out[0]).rank == 1; i++) {
        const int64_t size = kiln_tensor_shape(g, n->in[i]).size[0];
        if (size < 0)
            break;
        if (*at < size)
            return n->in[i];
        *at -= size;
    }
    return KILN_NONE;
}

static void trace(const kiln_graph *g, kiln_tensor *t, int64_t *at)
{
    for (;;) {
        const kiln_node *n = kiln_node_of(g, *t);
        const kiln_tensor from = keeps_elements(g, n)      ? n->in[0]
                                 : is_made_by(n, "concat") ? part_of(g, n, at)
                                                           : KILN_NONE;
        if (!from.id)
            return;
        *t = from;
    }
}

/* An element that is a number, or the size of an axis, after all. */
static bool is_known(const kiln_graph *g, kiln_tensor t, int64_t at, struct kiln_onnx_item *out)
{
    const kiln_node *n = kiln_node_of(g, t), *count = n;
    const kiln_spec spec = kiln_tensor_spec(g, t);
    int32_t value[MOST_KNOWN];
    int64_t wide[MOST_KNOWN];
    kiln_array array = {.data = spec.type == KILN_I64 ? (void *)wide : (void *)value, .bytes = sizeof wide};
    if (is_made_by(n, "cast_integer"))
        count = kiln_node_of(g, n->in[0]);
    const kiln_shape counted =
        is_made_by(count, "count_of") ? kiln_tensor_shape(g, count->in[0]) : spec.shape;
    if (count != n && is_made_by(count, "count_of") && counted.rank == 1) {
        *out = (struct kiln_onnx_item){.i = counted.size[0], .symbol = counted.size[0] < 0};
        return true;
    }
    if (!is_made_by(n, "constant") || (spec.type != KILN_I64 && spec.type != KILN_I32) ||
        kiln_shape_count(&spec.shape) > MOST_KNOWN || kiln_constant_read(g, t, &array))
        return false;
    *out = (struct kiln_onnx_item){.i = spec.type == KILN_I64 ? wide[at] : value[at]};
    return true;
}

/* Lists of sizes -------------------------------------------------------------------------------------------- */

static kiln_tensor number(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

static kiln_tensor element_of(kiln_graph *g, kiln_tensor t, int64_t at)
{
    const kiln_tensor flat = kiln_reshape(g, t, KILN_SHAPE(KILN_REST));
    const kiln_shape shape = kiln_tensor_shape(g, flat);
    const kiln_tensor one = shape.size[0] == 1 ? flat : kiln_slice(g, flat, 0, at, at + 1, 1);
    return kiln_cast(g, kiln_reshape(g, one, KILN_SCALAR), KILN_I32);
}

/* What is computed in float32 may be rounded up from its exact end: a box as large as its picture. */
double kiln_onnx_most_of(struct kiln_onnx *m, kiln_tensor count)
{
    const struct kiln_onnx_interval y = kiln_onnx_interval_of(m, count);
    const double most = fmax(y.most, 0);
    return y.rounded ? floor(most * (1 + 1e-5)) + 1 : most;
}

int64_t kiln_onnx_most_among(struct kiln_onnx *m, kiln_tensor count, int64_t all)
{
    const struct kiln_onnx_interval y = kiln_onnx_interval_of(m, count);
    return !y.rounded && y.most < (double)all ? (int64_t)fmax(y.most, 0) : all;
}

/* For how large a size, which `count` is, there is room; 0, and refused, where nothing says it. */
static int64_t room_for(kiln_onnx_node *n, const char *name, int i, kiln_tensor count)
{
    struct kiln_onnx *m = n->m;
    const double most = fmax(kiln_onnx_most_of(m, count), 1);
    const int64_t said = m->params.most_size, guess = m->params.guess_size ? 2 * m->largest : 0;
    const bool shown = most <= (double)(said > 0 ? said : MOST_SHOWN);
    const int64_t room = shown ? (int64_t)most : said > 0 ? said : guess <= MOST_SHOWN ? guess : 0;
    if (!room) {
        kiln_onnx_refuse(
            n,
            "data gives %s, input \"%s\", and nothing in the model bounds it: kiln_onnx_params.most_size (kiln's "
            "--most-size) says how large a size is at the most",
            name, n->in[i]->name);
        return 0;
    }
    kiln_log_line(KILN_LOG_INFO, "%s: data gives a size of %s \"%s\", at most %lld%s", m->path, n->row->name,
                  n->proto->name ? n->proto->name : "", (long long)room,
                  shown      ? " as the model shows"
                  : said > 0 ? ", as is said"
                             : ", twice the largest input, as the model shows nothing");
    return room;
}

/* A size that element `at` of t is, the same one whenever it is asked for. */
static struct kiln_onnx_item size_of(kiln_onnx_node *n, const char *name, int i, kiln_tensor t, int64_t at)
{
    struct kiln_onnx *m = n->m;
    struct kiln_onnx_item item = {0};
    trace(n->g, &t, &at);
    if (is_known(n->g, t, at, &item))
        return item;
    for (const struct kiln_onnx_counted *c = m->counted; c; c = c->next)
        if (c->from.id == t.id && c->at == at)
            return (struct kiln_onnx_item){.i = c->size, .symbol = true};
    struct kiln_onnx_counted *c = kiln_onnx_alloc(m, sizeof *c);
    if (!c)
        return item;
    *c = (struct kiln_onnx_counted){.from = t, .at = at, .next = m->counted};
    const kiln_tensor count = kiln_max(n->g, element_of(n->g, t, at), number(n->g, 0));
    const int64_t room = room_for(n, name, i, count);
    if (!room)
        return item;
    c->size = kiln_dim_bounded(n->g, count, room);
    m->counted = c;
    const kiln_tensor fits = kiln_less_equal(n->g, count, number(n->g, room));
    kiln_onnx_note_beyond(m, kiln_where(n->g, fits, number(n->g, 0), count));
    return (struct kiln_onnx_item){.i = c->size, .symbol = true};
}

bool kiln_onnx_sizes(kiln_onnx_node *n, const char *name, int since, int i, struct kiln_onnx_list *out)
{
    const kiln_spec spec = kiln_onnx_has(n, i) ? kiln_onnx_spec(n, i) : (kiln_spec){0};
    const bool computed = n->opset >= since && kiln_onnx_has(n, i) && !n->in[i]->known && !n->in[i]->sequence;
    const int64_t count = kiln_shape_count(&spec.shape);
    if (!computed || kiln_type_is_real(spec.type) || spec.type == KILN_BOOL || spec.shape.rank > 1 ||
        count < 0 || count > KILN_MAX_RANK)
        return kiln_onnx_list(n, name, since, i, out);
    const kiln_tensor t = kiln_onnx_in(n, i);
    *out = (struct kiln_onnx_list){.given = true, .count = (int)count};
    out->item = kiln_onnx_new_items(n->m, count);
    for (int k = 0; k < count && t.id && out->item && !n->refused; k++)
        out->item[k] = size_of(n, name, i, t, k);
    return out->item && t.id && !n->refused;
}

/* What is added to `low` to get `high`, where that is how high was made; KILN_NONE where it is not. */
static kiln_tensor known_distance(const kiln_graph *g, kiln_tensor low, kiln_tensor high)
{
    int64_t low_at = 0, high_at = 0;
    trace(g, &low, &low_at);
    trace(g, &high, &high_at);
    const kiln_node *sum = kiln_node_of(g, high);
    if (!is_made_by(sum, "add") || kiln_tensor_shape(g, sum->in[0]).rank ||
        kiln_tensor_shape(g, sum->in[1]).rank)
        return KILN_NONE;
    for (int i = 0; i < 2; i++) {
        kiln_tensor part = sum->in[i];
        int64_t at = 0;
        trace(g, &part, &at);
        if (part.id == low.id && at == low_at)
            return sum->in[1 - i];
    }
    return KILN_NONE;
}

static kiln_tensor within_reach(kiln_graph *g, kiln_tensor place)
{
    const int64_t far = INT32_MAX / 2; /* so that differences stay far from overflow */
    return kiln_min(g, kiln_max(g, place, number(g, -far)), number(g, far));
}

bool kiln_onnx_size_counted(kiln_onnx_node *n, kiln_tensor count, struct kiln_onnx_item *size)
{
    if (!count.id)
        return false;
    *size = size_of(n, "a length", 1, count, 0);
    size->i = size->symbol || size->i > 0 ? size->i : 0;
    return !n->refused;
}

bool kiln_onnx_size_between(kiln_onnx_node *n, kiln_tensor low, kiln_tensor high, int64_t step, int64_t *size)
{
    kiln_graph *g = n->g;
    if (!low.id || !high.id) {
        kiln_onnx_refuse(n, "an end that is no integer");
        return false;
    }
    const kiln_tensor known = known_distance(g, low, high);
    kiln_tensor count =
        known.id ? kiln_cast(g, known, KILN_I32) : kiln_sub(g, within_reach(g, high), within_reach(g, low));
    if (step != 1)
        count =
            kiln_div(g, kiln_add(g, kiln_max(g, count, number(g, 0)), number(g, step - 1)), number(g, step));
    struct kiln_onnx_item item;
    if (!kiln_onnx_size_counted(n, count, &item))
        return false;
    *size = item.i;
    return true;
}

static const char beyond_name[] = "kiln.beyond";

kiln_tensor kiln_onnx_beyond(const kiln_graph *graph)
{
    const kiln_tensor t = kiln_find(graph, beyond_name);
    const bool ours = t.id && kiln_tensor_type(graph, t) == KILN_I32 && !kiln_tensor_shape(graph, t).rank;
    return ours ? t : KILN_NONE;
}

void kiln_onnx_name_beyond(struct kiln_onnx *m)
{
    if (m->beyond.id && !kiln_find(m->g, beyond_name).id)
        kiln_name(m->g, m->beyond, beyond_name);
}

void kiln_onnx_note_beyond(struct kiln_onnx *m, kiln_tensor beyond)
{
    m->beyond = m->beyond.id ? kiln_max(m->g, m->beyond, beyond) : beyond;
}

void kiln_onnx_note_beyond_in_steps(struct kiln_onnx *m, kiln_tensor beyond)
{
    const kiln_tensor largest = kiln_reduce_max(m->g, beyond, NULL);
    kiln_onnx_note_beyond(m, kiln_max(m->g, largest, number(m->g, 0))); /* where there is no step */
}

kiln_tensor kiln_onnx_within(struct kiln_onnx *m, kiln_tensor y)
{
    const kiln_type type = y.id ? kiln_tensor_type(m->g, y) : KILN_I32;
    if (!m->beyond.id || !kiln_type_is_real(type))
        return y;
    const kiln_tensor fits = kiln_equal(m->g, m->beyond, number(m->g, 0));
    return kiln_where(m->g, fits, y, kiln_scalar(m->g, type, NAN));
}

/* Slices between places that a run computes ----------------------------------------------------------------- */

/* A place of a slice, counted from the end where it is negative, within an axis of `size`. */
static kiln_tensor place_within(struct kiln_onnx *m, kiln_tensor place, kiln_tensor size)
{
    kiln_graph *g = m->g;
    const kiln_tensor zero = number(g, 0);
    if (kiln_onnx_interval_of(m, place).least < 0)
        place = kiln_where(g, kiln_less(g, place, zero), kiln_add(g, place, size), place);
    return kiln_min(g, kiln_max(g, place, zero), size);
}

/* x's slices at `count` places from `first` on; those beyond the axis are its last. */
static kiln_tensor slices_from(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor first, int64_t count)
{
    const kiln_tensor zero = number(g, 0), size = kiln_onnx_axis_size(g, x, axis);
    const kiln_tensor last = kiln_max(g, kiln_sub(g, size, number(g, 1)), zero);
    const kiln_tensor place = kiln_add(g, kiln_sequence(g, KILN_I32, 0, 1, count), first);
    return kiln_gather(g, x, kiln_min(g, place, last), axis);
}

kiln_tensor kiln_onnx_slice_between(struct kiln_onnx *m, kiln_tensor x, int axis, kiln_tensor first,
                                    kiln_tensor end)
{
    kiln_graph *g = m->g;
    const int64_t all = kiln_tensor_shape(g, x).size[axis], room = kiln_dim_most(g, all);
    const kiln_tensor size = kiln_onnx_axis_size(g, x, axis);
    if (room == 0)
        return x;
    first = place_within(m, first, size);
    end = place_within(m, end, size);
    const kiln_tensor count = kiln_max(g, kiln_sub(g, end, first), number(g, 0));
    return slices_from(g, x, axis, first, kiln_dim_bounded(g, count, kiln_onnx_most_among(m, count, room)));
}

/* Element `at` of input i, as a place. */
static kiln_tensor place_of(kiln_onnx_node *n, int i, int64_t at)
{
    const struct kiln_onnx_item *item = kiln_onnx_items(n->m, n->in[i]);
    if (item && !item[at].symbol) {
        const int64_t far = INT32_MAX / 2, place = item[at].i;
        return number(n->g, place > far ? far : place < -far ? -far : place);
    }
    return item ? kiln_onnx_size_value(n->g, item[at].i, KILN_I32) : element_of(n->g, kiln_onnx_in(n, i), at);
}

bool kiln_onnx_places_are_computed(kiln_onnx_node *n)
{
    return n->opset >= 10 && ((kiln_onnx_has(n, 1) && !n->in[1]->known && !n->in[1]->sequence) ||
                              (kiln_onnx_has(n, 2) && !n->in[2]->known && !n->in[2]->sequence));
}

void kiln_onnx_build_slice_computed(kiln_onnx_node *n)
{
    const kiln_spec first = kiln_onnx_spec(n, 1), end = kiln_onnx_spec(n, 2);
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    struct kiln_onnx_list axes, steps;
    if (!kiln_onnx_list(n, "axes", 10, 3, &axes) || !kiln_onnx_list(n, "steps", 10, 4, &steps))
        return;
    const int64_t count = first.shape.rank == 1 ? first.shape.size[0] : -1;
    if (count < 0 || count > rank || end.shape.rank != 1 || end.shape.size[0] != count ||
        (axes.given && axes.count != count) || (steps.given && steps.count != count))
        kiln_onnx_refuse(n, "as many starts, ends, axes and steps as one another were wanted");
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int64_t i = 0; i < count && y.id && !n->refused; i++) {
        const int axis = kiln_onnx_axis(n, axes.given ? axes.item[i].i : i, rank);
        if (steps.given && (steps.item[i].symbol || steps.item[i].i != 1))
            kiln_onnx_refuse(n, "data says where it begins or ends, which is supported for steps of 1 alone");
        if (!n->refused)
            y = kiln_onnx_slice_between(n->m, y, axis, place_of(n, 1, i), place_of(n, 2, i));
    }
    if (!n->refused)
        kiln_onnx_out(n, 0, y);
}

/* Sizes that a file says are numbers ------------------------------------------------------------------------- */

/* x with `size` slices along an axis that data counts. A model in which there are fewer is wrong, and gets what is no number. */
static kiln_tensor with_number(kiln_graph *g, kiln_tensor x, int axis, int64_t size)
{
    const kiln_spec spec = kiln_tensor_spec(g, x);
    const kiln_tensor there = kiln_onnx_axis_size(g, x, axis);
    const kiln_tensor y = slices_from(g, x, axis, number(g, 0), size);
    const kiln_tensor other =
        kiln_type_is_real(spec.type) ? kiln_scalar(g, spec.type, NAN) : kiln_scalar(g, spec.type, 0);
    return kiln_where(g, kiln_equal(g, there, number(g, size)), y, other);
}

void kiln_onnx_fix_counts(kiln_graph *g, kiln_tensor *a, kiln_tensor *b, int but)
{
    const kiln_shape x = kiln_tensor_shape(g, *a), y = kiln_tensor_shape(g, *b);
    for (int i = 0; i < x.rank && i < y.rank && x.rank == y.rank; i++) {
        if (i == but)
            continue;
        if (x.size[i] >= 0 && kiln_dim_is_counted(g, y.size[i]))
            *b = with_number(g, *b, i, x.size[i]);
        else if (y.size[i] >= 0 && kiln_dim_is_counted(g, x.size[i]))
            *a = with_number(g, *a, i, y.size[i]);
    }
}
