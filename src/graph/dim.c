/*
 * dim.c - sizes that are not known yet: symbols, expressions of symbols, and counts of data, as negative numbers.
 *
 * Size -1 - i is expression i of the graph's table. Expressions are shared: the same operation on the same sizes is the
 * same number, so equal expressions compare equal.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "graph/graph.h"

#define MOST_OFFSET \
    (INT64_C(1) << 20) /* that is joined with others: products and sums of some stay far from overflow */

static int64_t new_dim(kiln_graph *g, struct kiln_dim_expression e)
{
    for (int i = 0; i < g->dim.count; i++) {
        const struct kiln_dim_expression *o = &g->dim.data[i];
        if (o->op == e.op &&
            (e.op == KILN_DIM_SYMBOL ? !strcmp(o->name, e.name) : o->a == e.a && o->b == e.b))
            return -1 - i;
    }
    if (e.op == KILN_DIM_SYMBOL)
        e.name = kiln_arena_text(&g->arena, e.name);
    if (kiln_vec_push(&g->dim, e))
        return -g->dim.count;
    kiln_graph_fail(g, KILN_ERROR_MEMORY, "size: out of memory");
    return 0;
}

int64_t kiln_dim(kiln_graph *g, const char *name)
{
    return new_dim(g, (struct kiln_dim_expression){.op = KILN_DIM_SYMBOL, .name = name});
}

const struct kiln_dim_expression *kiln_dim_expression_of(const kiln_graph *g, int64_t size)
{
    return size < 0 && -1 - size < g->dim.count ? &g->dim.data[-1 - size] : NULL;
}

bool kiln_dim_is_symbol(const kiln_graph *g, int64_t size)
{
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, size);
    return e && e->op == KILN_DIM_SYMBOL;
}

/* a op b for numbers; negative where there is no such size. */
static int64_t compute(kiln_dim_op op, int64_t a, int64_t b)
{
    switch (op) {
    case KILN_DIM_ADD:
        return a > INT64_MAX - b ? -1 : a + b;
    case KILN_DIM_SUB:
        return a - b;
    case KILN_DIM_MUL:
        return b && a > INT64_MAX / b ? -1 : a * b;
    case KILN_DIM_DIV:
        return b ? a / b : -1;
    case KILN_DIM_CEIL_DIV:
        return b ? a / b + (a % b != 0) : -1;
    default:
        return -1;
    }
}

static const char *const signs[] = {"", "+", "-", "*", "/", "ceil/", ""};

/* The unit laws, so that x * 1 and x + 0 stay x. */
static bool trivial(kiln_dim_op op, int64_t a, int64_t b, int64_t *out)
{
    const bool sum = op == KILN_DIM_ADD || op == KILN_DIM_SUB, product = !sum;
    *out = a;
    if ((sum && b == 0) || (product && b == 1))
        return true;
    *out = op == KILN_DIM_SUB ? 0 : b;
    return (op == KILN_DIM_SUB && a == b) || (op == KILN_DIM_ADD && a == 0) || (op == KILN_DIM_MUL && a == 1);
}

static int64_t combine(kiln_graph *g, kiln_dim_op op, int64_t a, int64_t b)
{
    int64_t result;
    if (g->status)
        return 0;
    if (a >= 0 && b >= 0) {
        if ((result = compute(op, a, b)) < 0) {
            kiln_graph_fail(g, KILN_ERROR_SHAPE, "size %lld %s %lld is none", (long long)a, signs[op],
                            (long long)b);
            return 0;
        }
        return result;
    }
    if (trivial(op, a, b, &result))
        return result;
    if ((op == KILN_DIM_ADD || op == KILN_DIM_MUL) && a > b) {
        const int64_t swap = a;
        a = b;
        b = swap;
    }
    return new_dim(g, (struct kiln_dim_expression){.op = op, .a = a, .b = b});
}

/* x as a base and an offset: offsets are kept as numbers behind a sum or a difference. */
static int64_t base_of(const kiln_graph *g, int64_t x, int64_t *offset)
{
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, x);
    const bool more = e && e->op == KILN_DIM_ADD && e->b > 0, less = e && e->op == KILN_DIM_SUB && e->b > 0;
    *offset = more ? e->b : less ? -e->b : 0;
    return more || less ? e->a : x;
}

/*
 * x + offset in its one form, so that paths on which a size shrinks and grows alike end at equal sizes: offsets add up, and what
 * is added to a quotient is added before dividing: x / d + c is (x + c d) / d.
 */
static int64_t shifted(kiln_graph *g, int64_t x, int64_t offset)
{
    int64_t own;
    x = base_of(g, x, &own);
    offset += own;
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, x);
    if (offset && e && e->op == KILN_DIM_DIV && e->b > 0 && e->b <= MOST_OFFSET) {
        const int64_t by = e->b;
        return kiln_dim_div(g, shifted(g, e->a, offset * by), by);
    }
    return combine(g, offset < 0 ? KILN_DIM_SUB : KILN_DIM_ADD, x, offset < 0 ? -offset : offset);
}

/* Whether b is an offset of a that cannot overflow, whatever it is added to. */
static bool is_offset(int64_t a, int64_t b)
{
    return a < 0 && b >= 0 && b <= MOST_OFFSET;
}

int64_t kiln_dim_add(kiln_graph *g, int64_t a, int64_t b)
{
    return is_offset(a, b)   ? shifted(g, a, b)
           : is_offset(b, a) ? shifted(g, b, a)
                             : combine(g, KILN_DIM_ADD, a, b);
}

/* a - b, where the two differ by an offset that is known and not negative. */
static bool offset_between(const kiln_graph *g, int64_t a, int64_t b, int64_t *difference)
{
    int64_t more, less;
    if (base_of(g, a, &more) != base_of(g, b, &less) || more < less || (less < 0 && more > INT64_MAX + less))
        return false;
    *difference = more - less;
    return true;
}

/*
 * The same of quotients by one number, whose offsets are before dividing: (x + c d) / d is x / d + c, rounding down, as sizes are
 * never negative. An offset between them that is no multiple of d may make either of two differences.
 */
static bool quotients_apart(const kiln_graph *g, int64_t a, int64_t b, int64_t *difference)
{
    const struct kiln_dim_expression *from = kiln_dim_expression_of(g, a),
                                     *less = kiln_dim_expression_of(g, b);
    if (!from || !less || from->op != KILN_DIM_DIV || less->op != KILN_DIM_DIV || from->b != less->b ||
        from->b < 1 || !offset_between(g, from->a, less->a, difference) || *difference % from->b)
        return false;
    *difference /= from->b;
    return true;
}

/* What slices at the end of a symbolic size leave: a number, where the two differ by one, and of x - (x - y) and (x + y) - x y. */
int64_t kiln_dim_sub(kiln_graph *g, int64_t a, int64_t b)
{
    const struct kiln_dim_expression *from = kiln_dim_expression_of(g, a),
                                     *less = kiln_dim_expression_of(g, b);
    int64_t difference;
    if (less && less->op == KILN_DIM_SUB && less->a == a)
        return less->b;
    if (from && from->op == KILN_DIM_ADD && (from->a == b || from->b == b))
        return from->a == b ? from->b : from->a;
    if (from && less && (offset_between(g, a, b, &difference) || quotients_apart(g, a, b, &difference)))
        return difference;
    return is_offset(a, b) ? shifted(g, a, -b) : combine(g, KILN_DIM_SUB, a, b);
}

int64_t kiln_dim_mul(kiln_graph *g, int64_t a, int64_t b)
{
    return combine(g, KILN_DIM_MUL, a, b);
}

/* (x * b) / b is x: what reshaping back and forth at a symbolic batch leaves. x / a / b is x / (a b). */
int64_t kiln_dim_div(kiln_graph *g, int64_t a, int64_t b)
{
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, a);
    if (e && e->op == KILN_DIM_MUL && b > 0 && e->b % b == 0 && e->b > 0)
        return kiln_dim_mul(g, e->a, e->b / b);
    if (e && e->op == KILN_DIM_MUL && b < 0 && (e->a == b || e->b == b))
        return e->a == b ? e->b : e->a;
    if (e && e->op == KILN_DIM_DIV && b > 0 && b <= MOST_OFFSET && e->b > 0 && e->b <= MOST_OFFSET)
        return kiln_dim_div(g, e->a, e->b * b);
    return combine(g, KILN_DIM_DIV, a, b);
}

int64_t kiln_dim_ceil_div(kiln_graph *g, int64_t a, int64_t b)
{
    return combine(g, KILN_DIM_CEIL_DIV, a, b);
}

int64_t kiln_dim_apply(kiln_graph *g, kiln_dim_op op, int64_t a, int64_t b)
{
    static int64_t (*const make[])(kiln_graph *, int64_t, int64_t) = {
        [KILN_DIM_ADD] = kiln_dim_add, [KILN_DIM_SUB] = kiln_dim_sub,           [KILN_DIM_MUL] = kiln_dim_mul,
        [KILN_DIM_DIV] = kiln_dim_div, [KILN_DIM_CEIL_DIV] = kiln_dim_ceil_div,
    };
    return make[op](g, a, b);
}

int64_t kiln_dim_product(kiln_graph *g, const int64_t *size, int count)
{
    int64_t total = 1;
    for (int symbols = 0; symbols < 2; symbols++)
        for (int i = 0; i < count; i++)
            if ((size[i] < 0) == symbols)
                total = kiln_dim_mul(g, total, size[i]);
    return total;
}

int64_t kiln_dim_value(const kiln_graph *g, int64_t size, int64_t (*lookup)(void *user, int64_t symbol),
                       void *user)
{
    if (size >= 0)
        return size;
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, size);
    if (!e)
        return -1;
    if (e->op == KILN_DIM_SYMBOL)
        return lookup(user, size);
    const int64_t a = kiln_dim_value(g, e->a, lookup, user);
    if (e->op == KILN_DIM_BOUNDED) {
        const int64_t count = lookup(user, size);
        return count >= 0 && count < a ? count : a;
    }
    const int64_t b = kiln_dim_value(g, e->b, lookup, user);
    return a < 0 || b < 0 ? -1 : compute(e->op, a, b);
}

bool kiln_dim_read(const kiln_graph *g, int64_t size, kiln_dim_parts *out)
{
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, size);
    *out = (kiln_dim_parts){0};
    if (!e)
        return false;
    *out = (kiln_dim_parts){.op = e->op, .a = e->a, .b = e->b};
    if (e->op == KILN_DIM_BOUNDED) {
        out->b = 0;
        out->count = (kiln_tensor){g->tag, e->b > 0 ? (uint32_t)e->b : 0};
    }
    return true;
}

/* Counts ------------------------------------------------------------------------------------------------- */

int64_t kiln_dim_bounded(kiln_graph *g, kiln_tensor count, int64_t bound)
{
    const struct kiln_value *v = kiln_graph_value(g, count);
    if (g->status)
        return 0;
    if (!v || v->spec.type != KILN_I32 || v->spec.shape.rank) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "size: wanted an i32 scalar of this graph for its count");
        return 0;
    }
    return new_dim(g, (struct kiln_dim_expression){.op = KILN_DIM_BOUNDED, .a = bound, .b = count.id});
}

/* The outputs of the node come next. */
int64_t kiln_dim_counted_by(kiln_graph *g, const kiln_node *n, int output, int64_t bound)
{
    (void)n;
    const int64_t id = (int64_t)g->value.count + 1 + output;
    return new_dim(g, (struct kiln_dim_expression){.op = KILN_DIM_BOUNDED, .a = bound, .b = id});
}

void kiln_dim_counts(const kiln_graph *g, int64_t size, void (*found)(void *user, uint32_t id), void *user)
{
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, size);
    if (!e || e->op == KILN_DIM_SYMBOL)
        return;
    kiln_dim_counts(g, e->a, found, user);
    if (e->op != KILN_DIM_BOUNDED)
        kiln_dim_counts(g, e->b, found, user);
    else
        found(user, e->b > 0 ? (uint32_t)e->b : 0);
}

static void note(void *user, uint32_t id)
{
    (void)id;
    *(bool *)user = true;
}

bool kiln_dim_is_counted(const kiln_graph *g, int64_t size)
{
    bool counted = false;
    kiln_dim_counts(g, size, note, &counted);
    return counted;
}

int64_t kiln_dim_most(kiln_graph *g, int64_t size)
{
    if (!kiln_dim_is_counted(g, size))
        return size;
    const struct kiln_dim_expression e = *kiln_dim_expression_of(g, size); /* the table may move */
    const int64_t a = kiln_dim_most(g, e.a);
    return e.op == KILN_DIM_BOUNDED ? a : kiln_dim_apply(g, e.op, a, kiln_dim_most(g, e.b));
}

bool kiln_graph_is_counted(const kiln_graph *g)
{
    bool counted = false;
    for (int i = 0; i < g->dim.count; i++)
        counted |= g->dim.data[i].op == KILN_DIM_BOUNDED;
    return counted;
}

int64_t kiln_dim_resolve(kiln_graph *g, int64_t size, int64_t (*lookup)(void *user, int64_t symbol),
                         void *user)
{
    const struct kiln_dim_expression *found = kiln_dim_expression_of(g, size);
    if (!found)
        return size;
    struct kiln_dim_expression e = *found; /* the table may move */
    const int64_t known = e.op == KILN_DIM_SYMBOL ? lookup(user, size) : -1;
    if (e.op == KILN_DIM_SYMBOL)
        return known >= 0 ? known : size;
    e.a = kiln_dim_resolve(g, e.a, lookup, user);
    if (e.op == KILN_DIM_BOUNDED)
        return new_dim(g, e);
    e.b = kiln_dim_resolve(g, e.b, lookup, user);
    return kiln_dim_apply(g, e.op, e.a, e.b);
}

char *kiln_dim_text(const kiln_graph *g, int64_t size, char *text, size_t bytes)
{
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, size);
    char a[64], b[64];
    if (size >= 0)
        snprintf(text, bytes, "%lld", (long long)size);
    else if (!e)
        snprintf(text, bytes, "?");
    else if (e->op == KILN_DIM_SYMBOL)
        snprintf(text, bytes, "%s", e->name);
    else if (e->op == KILN_DIM_BOUNDED)
        snprintf(text, bytes, "<=%s", kiln_dim_text(g, e->a, a, sizeof a));
    else
        snprintf(text, bytes, "(%s %s %s)", kiln_dim_text(g, e->a, a, sizeof a), signs[e->op],
                 kiln_dim_text(g, e->b, b, sizeof b));
    return text;
}

char *kiln_graph_shape_text(const kiln_graph *g, const kiln_shape *shape, char *text, size_t bytes)
{
    size_t used = 0;
    char size[64];
    for (int i = 0; i < shape->rank && used < bytes; i++) {
        const int more = snprintf(text + used, bytes - used, "%s%s", i ? ", " : "[",
                                  kiln_dim_text(g, shape->size[i], size, sizeof size));
        used += more > 0 ? (size_t)more : 0;
    }
    if (used < bytes)
        snprintf(text + used, bytes - used, shape->rank ? "]" : "[]");
    return text;
}
