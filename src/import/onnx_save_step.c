/*
 * onnx_save_step.c - what a step stores, an optimizer above all: each tensor "NAME" that an effect changes is an input of the file, with its
 * value as default, and what it becomes an output "NAME.next". So whoever hands outputs back as inputs trains.
 *
 *   assign, group      a state's next value
 *   accumulate         "gradient/NAME", which gradients of several runs are added to
 *   update             a parameter, and the optimizer's own "OPTIMIZER.m/NAME" and "OPTIMIZER.v/NAME": shaders/update/update.h
 *   pack, count_infinite   what lies between a gradient and the optimizer
 */
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

enum { STEP = 64 };                            /* elements between what is packed: kiln_pack */
enum { RATE, C1, C2, UNSCALE, GO, PLAIN = 3 }; /* the scalars that are packed */
enum { PACKED, SCALARS, FIRST };               /* inputs of an update */

/* Tensors that are stored -------------------------------------------------------------------------------- */

static struct kiln_onnx_stored *find(writer *w, const char *name)
{
    for (int i = 0; i < w->stored.count; i++)
        if (!strcmp(w->stored.data[i].name, name))
            return &w->stored.data[i];
    return NULL;
}

/* "FIRST" "SECOND" "THIRD"; NULL out of memory. */
static const char *joined(writer *w, const char *first, const char *second, const char *third)
{
    struct kiln_text text = {0};
    kiln_text_add(&text, "%s%s%s", first, second, third);
    const char *name = text.failed ? NULL : kiln_arena_text(&w->arena, kiln_text_get(&text));
    kiln_text_finish(&text);
    w->full = w->full || !name;
    return name;
}

/* What the tensor holds by now, where node n stores it; it becomes an input of the file. NULL out of memory. */
static struct kiln_onnx_stored *stored(writer *w, const kiln_node *n, const char *name, const kiln_spec *spec)
{
    struct kiln_onnx_stored *s = find(w, name);
    const char *next = s ? NULL : joined(w, name, ".next", "");
    if (s || !next)
        return s;
    if (kiln_find(w->g, next).id)
        kiln_onnx_writer_refuse(w, n, "what it stores is called as a value is, NAME.next");
    kiln_onnx_put_input(w, name, spec);
    w->full = w->full || !kiln_vec_push(&w->stored, ((struct kiln_onnx_stored){name, next, name, *spec}));
    return w->full ? NULL : &w->stored.data[w->stored.count - 1];
}

/* A tensor of an arena, for that parameter: what the weights hold, or zeros. */
static struct kiln_onnx_stored *in_arena(writer *w, const kiln_node *n, const char *arena,
                                         kiln_tensor parameter)
{
    const kiln_spec spec = kiln_tensor_spec(w->g, parameter);
    const char *name = joined(w, arena, "/", kiln_tensor_name(w->g, parameter));
    if (!name || find(w, name))
        return name ? find(w, name) : NULL;
    kiln_array values = {.type = spec.type, .shape = spec.shape};
    values.data = kiln_onnx_new_tensor(w, name, spec.type, &spec.shape);
    values.bytes = (size_t)kiln_shape_count(&spec.shape) * kiln_type_size(spec.type);
    if (values.data && values.bytes && kiln_weights_find(w->weights, name, NULL, NULL))
        w->status = kiln_weights_read(w->weights, name, &values);
    else if (values.data)
        memset(values.data, 0, values.bytes);
    return stored(w, n, name, &spec);
}

void kiln_onnx_put_stored(writer *w)
{
    for (int i = 0; i < w->stored.count; i++) {
        const struct kiln_onnx_stored *s = &w->stored.data[i];
        kiln_onnx_write(w, "Identity", s->next, IN(s->value));
        kiln_onnx_put_result(w, s->next, &s->spec);
    }
}

/* A body's effects would be stored by each step. */
static bool can_store(writer *w, const kiln_node *n)
{
    if (w->within)
        kiln_onnx_writer_refuse(w, n, "a body stores it");
    return !w->within;
}

static void write_assign(writer *w, const kiln_node *n, const row *r)
{
    const kiln_spec own = kiln_tensor_spec(w->g, n->in[0]);
    struct kiln_onnx_stored *s = can_store(w, n) ? stored(w, n, in(w, n, 0), &own) : NULL;
    (void)r;
    if (s)
        s->value = in(w, n, 1);
}

static void write_group(writer *w, const kiln_node *n, const row *r)
{
    (void)w;
    (void)n;
    (void)r;
}

/* What is packed ----------------------------------------------------------------------------------------- */

static int64_t count_of(const writer *w, kiln_tensor t)
{
    const kiln_shape shape = kiln_tensor_shape(w->g, t);
    return kiln_shape_count(&shape);
}

/* The element behind t where it begins at `first`, and where the next one begins. */
static int64_t next_of(const writer *w, kiln_tensor t, int64_t first)
{
    return (first + count_of(w, t) + STEP - 1) / STEP * STEP;
}

static const char *zeros_of(writer *w, int64_t count)
{
    const char *name = kiln_onnx_new_name(w);
    float *values = kiln_onnx_new_tensor(w, name, KILN_F32, &KILN_SHAPE(count));
    if (values)
        memset(values, 0, (size_t)count * sizeof *values);
    return name;
}

/* Zeros lie between. */
static void write_pack(writer *w, const kiln_node *n, const row *r)
{
    const char **part = kiln_arena_alloc(&w->arena, 2 * (size_t)n->inputs * sizeof *part);
    const char *flat = kiln_onnx_new_list(w, (const int64_t[]){-1}, 1);
    int parts = 0;
    (void)r;
    w->full = w->full || !part;
    for (int i = 0; i < n->inputs && part; i++) {
        const int64_t gap = next_of(w, n->in[i], 0) - count_of(w, n->in[i]);
        part[parts++] = kiln_onnx_step(w, "Reshape", IN(in(w, n, i), flat));
        if (gap && i < n->inputs - 1)
            part[parts++] = zeros_of(w, gap);
    }
    if (part)
        kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", out(w, n), parts, part), "axis", 0);
}

/* A graph on inputs of a type ---------------------------------------------------------------------------- */

/* Of values of the file: a graph that is written behind what computes them. */
struct piece {
    kiln_graph *g;
    const char *name[8];
    int inputs;
};

static bool begin(struct piece *p, writer *w)
{
    *p = (struct piece){0};
    w->status = kiln_graph_create(&p->g, NULL);
    return !w->status;
}

static kiln_tensor give(struct piece *p, const char *name, kiln_shape shape)
{
    char own[16] = "in_";
    own[3] = (char)('a' + p->inputs);
    p->name[p->inputs++] = name;
    return kiln_input(p->g, own, KILN_F32, shape);
}

/* Write it: names of its outputs. */
static void end(struct piece *p, writer *w, const kiln_tensor *outputs, const char **names, int count)
{
    writer inner;
    if (kiln_graph_status(p->g)) {
        w->status = kiln_graph_status(p->g);
    } else {
        if (kiln_onnx_open_inner(&inner, w, p->g, false)) {
            for (int i = 0; i < p->inputs; i++)
                kiln_onnx_call_input(&inner, i, p->name[i]);
            kiln_onnx_write_graph(&inner, outputs, names, count);
        }
        kiln_onnx_close_inner(&inner, w);
    }
    kiln_graph_destroy(&p->g);
}

/* Gradients ---------------------------------------------------------------------------------------------- */

/* Where an effect finds gradients: packed, or in the arena. */
struct gradients {
    const char *packed;
    int64_t size, at; /* of what is packed, and where the next parameter's begins */
};

static struct gradients gradients_of(writer *w, const kiln_node *n)
{
    const bool packed = n->in[PACKED].id;
    return (struct gradients){.packed = packed ? in(w, n, PACKED) : NULL,
                              .size = packed ? count_of(w, n->in[PACKED]) : 0};
}

/* That of a parameter, the next one: of its shape. */
static kiln_tensor take_gradient(struct piece *p, writer *w, const kiln_node *n, struct gradients *from,
                                 kiln_tensor parameter)
{
    const kiln_shape shape = kiln_tensor_shape(w->g, parameter);
    if (!from->packed) {
        const struct kiln_onnx_stored *s = in_arena(w, n, "gradient", parameter);
        return give(p, s ? s->value : "", shape);
    }
    const int64_t first = from->at;
    from->at = next_of(w, parameter, first);
    const kiln_tensor all = give(p, from->packed, KILN_SHAPE(from->size));
    return kiln_reshape(p->g, kiln_slice(p->g, all, 0, first, first + count_of(w, parameter), 1), shape);
}

static void write_accumulate(writer *w, const kiln_node *n, const row *r)
{
    struct gradients from = gradients_of(w, n);
    (void)r;
    if (!can_store(w, n))
        return;
    for (int i = 1; i < n->inputs && !w->status && !w->full; i++) {
        struct kiln_onnx_stored *s = in_arena(w, n, "gradient", n->in[i]);
        struct piece p;
        const char *sum = NULL;
        if (!s || !begin(&p, w))
            return;
        const kiln_tensor before = give(&p, s->value, s->spec.shape),
                          next = kiln_add(p.g, before, take_gradient(&p, w, n, &from, n->in[i]));
        end(&p, w, &next, &sum, 1);
        s->value = sum;
    }
}

/* A number of each parameter's gradient, added up: a name. `scalars`: what an update is given, or NULL. */
static const char *sum_over(writer *w, const kiln_node *n, int first, const char *scalars,
                            kiln_tensor (*number_of)(kiln_graph *g, kiln_tensor gradient, kiln_tensor scalars,
                                                     const kiln_node *n))
{
    struct gradients from = gradients_of(w, n);
    const char **part = kiln_arena_alloc(&w->arena, (size_t)n->inputs * sizeof *part);
    w->full = w->full || !part;
    for (int i = first; i < n->inputs && !w->full && !w->status; i++) {
        struct piece p;
        if (!begin(&p, w))
            break;
        const kiln_tensor own = take_gradient(&p, w, n, &from, n->in[i]),
                          given = scalars ? give(&p, scalars, kiln_tensor_shape(w->g, n->in[SCALARS]))
                                          : KILN_NONE,
                          y = number_of(p.g, own, given, n);
        part[i - first] = NULL;
        end(&p, w, &y, &part[i - first], 1);
    }
    return w->full || w->status ? "" : kiln_onnx_step(w, "Sum", n->inputs - first, part);
}

static kiln_tensor infinite_in(kiln_graph *g, kiln_tensor gradient, kiln_tensor scalars, const kiln_node *n)
{
    const kiln_tensor nothing = kiln_sub(g, gradient, gradient); /* 0, or NaN */
    (void)scalars;
    (void)n;
    return kiln_sum(g, kiln_cast(g, kiln_is_nan(g, nothing), KILN_F32), NULL);
}

/* All in the first of the rows, whose sum is what is read. */
static void write_count_infinite(writer *w, const kiln_node *n, const row *r)
{
    const int64_t rows = count_of(w, n->out[0]);
    (void)r;
    if (!can_store(w, n))
        return;
    const char *count = sum_over(w, n, 1, NULL, infinite_in),
               *one = kiln_onnx_new_list(w, (const int64_t[]){1}, 1);
    const char *all[] = {kiln_onnx_step(w, "Reshape", IN(count, one)), zeros_of(w, rows - 1)};
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", out(w, n), 2, all), "axis", 0);
}

/* The optimizer ------------------------------------------------------------------------------------------ */

static kiln_tensor scalar_at(kiln_graph *g, kiln_tensor scalars, int i)
{
    return kiln_reshape(g, kiln_slice(g, scalars, 0, i * STEP, i * STEP + 1, 1), KILN_SCALAR);
}

static bool is_guarded(kiln_graph *g, kiln_tensor scalars)
{
    return kiln_tensor_shape(g, scalars).size[0] > PLAIN * STEP;
}

/* Brought down, and cut off. */
static kiln_tensor limited(kiln_graph *g, kiln_tensor gradient, kiln_tensor scalars,
                           const kiln_update_rule *rule)
{
    if (is_guarded(g, scalars))
        gradient = kiln_mul(g, gradient, scalar_at(g, scalars, UNSCALE));
    return rule->clip > 0 ? kiln_clip(g, gradient, -rule->clip, rule->clip) : gradient;
}

static kiln_tensor squares_in(kiln_graph *g, kiln_tensor gradient, kiln_tensor scalars, const kiln_node *n)
{
    kiln_update_rule rule;
    kiln_update_rule_of(n, &rule);
    return kiln_sum(g, kiln_square(g, limited(g, gradient, scalars, &rule)), NULL);
}

/* min(1, limit / (norm + 1e-6)): a name. */
static const char *factor_of(writer *w, const kiln_node *n, const kiln_update_rule *rule)
{
    const char *squares = sum_over(w, n, FIRST, in(w, n, SCALARS), squares_in), *factor = NULL;
    struct piece p;
    if (w->status || !begin(&p, w))
        return "";
    const kiln_tensor norm = kiln_shift(p.g, kiln_sqrt(p.g, give(&p, squares, KILN_SCALAR)), 1e-6),
                      ratio = kiln_div(p.g, kiln_scalar(p.g, KILN_F32, rule->clip_norm), norm),
                      y = kiln_min(p.g, ratio, kiln_scalar(p.g, KILN_F32, 1));
    end(&p, w, &y, &factor, 1);
    return factor;
}

/* beta x + rest y */
static kiln_tensor blend(kiln_graph *g, kiln_tensor x, double beta, kiln_tensor y, double rest)
{
    return kiln_add(g, kiln_scale(g, x, beta), kiln_scale(g, y, rest));
}

/* What a parameter is moved by, before the rate; state[k] becomes what it is behind the step. */
static kiln_tensor direction(kiln_graph *g, kiln_tensor gradient, kiln_tensor scalars,
                             const kiln_update_rule *rule, kiln_tensor *state)
{
    const int moments = rule->by == KILN_ADAM || rule->by == KILN_ADAMW,
              adaptive = moments || rule->by == KILN_RMSPROP;
    kiln_tensor way = gradient;
    if (rule->by == KILN_SGD)
        return way;
    if (rule->by != KILN_RMSPROP)
        way = state[0] = blend(g, state[0], rule->beta1, gradient, rule->rest1);
    if (rule->by == KILN_NESTEROV)
        way = kiln_add(g, gradient, kiln_scale(g, way, rule->beta1));
    if (!adaptive)
        return way;
    kiln_tensor *v = &state[moments];
    *v = blend(g, *v, rule->beta2, kiln_square(g, gradient), rule->rest2);
    const kiln_tensor root = kiln_div(g, kiln_sqrt(g, *v), kiln_sqrt(g, scalar_at(g, scalars, C2)));
    return kiln_div(g, way, kiln_shift(g, root, rule->epsilon));
}

/* x[0] is the parameter, the others are its states, as many as `count` says together: what they become. */
static void step(kiln_graph *g, kiln_tensor gradient, kiln_tensor scalars, const kiln_update_rule *rule,
                 int i, kiln_tensor *x, int count)
{
    const bool moments = rule->by == KILN_ADAM || rule->by == KILN_ADAMW;
    const kiln_tensor rate = kiln_scale(g, scalar_at(g, scalars, RATE), rule->rate[i]),
                      before[] = {x[0], x[1], x[2]};
    if (rule->decay[i] != 0 && rule->by == KILN_ADAMW)
        x[0] = kiln_sub(g, x[0], kiln_mul(g, x[0], kiln_scale(g, rate, rule->decay[i])));
    else if (rule->decay[i] != 0)
        gradient = kiln_add(g, gradient, kiln_scale(g, x[0], rule->decay[i]));
    const kiln_tensor pace = moments ? kiln_div(g, rate, scalar_at(g, scalars, C1)) : rate;
    x[0] = kiln_sub(g, x[0], kiln_mul(g, pace, direction(g, gradient, scalars, rule, x + 1)));
    const kiln_tensor go = is_guarded(g, scalars)
                               ? kiln_less(g, kiln_scalar(g, KILN_F32, 0), scalar_at(g, scalars, GO))
                               : KILN_NONE;
    for (int k = 0; k < count && go.id; k++)
        x[k] = kiln_where(g, go, x[k], before[k]);
}

/* Parameter i of the node, by `factor` or "". */
static void write_step(writer *w, const kiln_node *n, const kiln_update_rule *rule, struct gradients *from,
                       const char *factor, int i)
{
    const kiln_tensor parameter = n->in[FIRST + i];
    const kiln_spec spec = kiln_tensor_spec(w->g, parameter);
    const char *held[3] = {in(w, n, FIRST + i)}, *next[3] = {NULL};
    kiln_tensor x[3] = {{0, 0}};
    struct piece p;
    int count = 1;
    if (!stored(w, n, held[0], &spec) || !begin(&p, w))
        return;
    const char *ending;
    for (int k = 0; (ending = kiln_optimizer_state(rule->by, k)) && !w->full; k++) {
        const char *arena = joined(w, rule->name, ending, "");
        const struct kiln_onnx_stored *s = arena ? in_arena(w, n, arena, parameter) : NULL;
        held[count++] = s ? s->name : "";
    }
    for (int k = 0; k < count && !w->full; k++)
        x[k] = give(&p, find(w, held[k])->value, spec.shape);
    kiln_tensor gradient = take_gradient(&p, w, n, from, parameter);
    const kiln_tensor scalars = give(&p, in(w, n, SCALARS), kiln_tensor_shape(w->g, n->in[SCALARS]));
    gradient = limited(p.g, gradient, scalars, rule);
    if (factor[0])
        gradient = kiln_mul(p.g, gradient, give(&p, factor, KILN_SCALAR));
    step(p.g, gradient, scalars, rule, i, x, count);
    end(&p, w, x, next, count);
    for (int k = 0; k < count && !w->full; k++)
        find(w, held[k])->value = next[k];
}

/* What the arena has gathered is used up. */
static void clear_gradients(writer *w, const kiln_node *n)
{
    for (int i = FIRST; i < n->inputs && !w->full; i++) {
        struct kiln_onnx_stored *s = in_arena(w, n, "gradient", n->in[i]);
        if (s)
            s->value = kiln_onnx_step(w, "Sub", IN(s->value, s->value));
    }
}

static void write_update(writer *w, const kiln_node *n, const row *r)
{
    struct gradients from = gradients_of(w, n);
    kiln_update_rule rule;
    (void)r;
    if (!can_store(w, n) || !kiln_update_rule_of(n, &rule))
        return;
    const char *factor = rule.clip_norm > 0 ? factor_of(w, n, &rule) : "";
    for (int i = 0; i < n->inputs - FIRST && !w->status && !w->full; i++)
        write_step(w, n, &rule, &from, factor, i);
    if (!n->in[PACKED].id)
        clear_gradients(w, n);
}

const row kiln_onnx_writer_step[] = {
    {"accumulate", NULL, write_accumulate, 0},
    {"assign", NULL, write_assign, 0},
    {"count_infinite", NULL, write_count_infinite, 1},
    {"group", NULL, write_group, 0},
    {"pack", NULL, write_pack, 0},
    {"update", NULL, write_update, 0},
    {0},
};
