/*
 * onnx_fold_element.c - one element of what is computed while reading: integers wrap in int64, a size may be a symbol of the graph, reals are
 * computed in double and rounded to their type.
 */
#include <math.h>

#include "import/onnx.h"

static int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t power(int64_t a, int64_t b)
{
    uint64_t y = b < 0 ? 0 : 1;
    for (uint64_t factor = (uint64_t)a; b > 0; b >>= 1, factor *= factor)
        y *= b & 1 ? factor : 1;
    return (int64_t)y;
}

/* Towards zero, as C does; modulo takes the divisor's sign, and fmod (KILN_ONNX_REST) the dividend's. */
static int64_t divide(int64_t a, int64_t b, bool modulo)
{
    if (b == 0 || b == -1)
        return modulo || b == 0 ? 0 : (int64_t)(0 - (uint64_t)a);
    const int64_t rest = a % b;
    return !modulo ? a / b : rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* Of two numbers that are less, equal or greater; where one is NaN they are none of it. */
static bool compare(enum kiln_onnx_operation op, bool less, bool equal, bool greater)
{
    switch (op) {
    case KILN_ONNX_EQUAL:
        return equal;
    case KILN_ONNX_NOT_EQUAL:
        return !equal;
    case KILN_ONNX_LESS:
        return less;
    case KILN_ONNX_LESS_EQUAL:
        return less || equal;
    case KILN_ONNX_GREATER:
        return greater;
    default:
        return greater || equal;
    }
}

static bool compute_int(enum kiln_onnx_operation op, int64_t a, int64_t b, int64_t *y)
{
    switch (op) {
    case KILN_ONNX_SAME:
    case KILN_ONNX_FLOOR:
    case KILN_ONNX_CEIL:
        *y = a;
        return true;
    case KILN_ONNX_NEG:
        *y = (int64_t)(0 - (uint64_t)a);
        return true;
    case KILN_ONNX_ABS:
        *y = a < 0 ? (int64_t)(0 - (uint64_t)a) : a;
        return true;
    case KILN_ONNX_RELU:
        *y = a > 0 ? a : 0;
        return true;
    case KILN_ONNX_NOT:
        *y = !a;
        return true;
    case KILN_ONNX_ADD:
        *y = wrap_add(a, b);
        return true;
    case KILN_ONNX_SUB:
        *y = (int64_t)((uint64_t)a - (uint64_t)b);
        return true;
    case KILN_ONNX_MUL:
        *y = (int64_t)((uint64_t)a * (uint64_t)b);
        return true;
    case KILN_ONNX_DIV:
        *y = divide(a, b, false);
        return true;
    case KILN_ONNX_MOD:
        *y = divide(a, b, true);
        return true;
    case KILN_ONNX_REST:
        *y = b == 0 || b == -1 ? 0 : a % b;
        return true;
    case KILN_ONNX_POW:
        *y = power(a, b);
        return true;
    case KILN_ONNX_MIN:
        *y = a < b ? a : b;
        return true;
    case KILN_ONNX_MAX:
        *y = a > b ? a : b;
        return true;
    case KILN_ONNX_AND:
        *y = a && b;
        return true;
    case KILN_ONNX_OR:
        *y = a || b;
        return true;
    case KILN_ONNX_EQUAL:
    case KILN_ONNX_NOT_EQUAL:
    case KILN_ONNX_LESS:
    case KILN_ONNX_LESS_EQUAL:
    case KILN_ONNX_GREATER:
    case KILN_ONNX_GREATER_EQUAL:
        *y = compare(op, (a < b), a == b, (a > b));
        return true;
    case KILN_ONNX_RECIPROCAL:
    case KILN_ONNX_SQRT:
        break;
    }
    return false;
}

static bool compute_real(enum kiln_onnx_operation op, double a, double b, struct kiln_onnx_item *y)
{
    switch (op) {
    case KILN_ONNX_SAME:
        y->r = a;
        return true;
    case KILN_ONNX_NEG:
        y->r = -a;
        return true;
    case KILN_ONNX_ABS:
        y->r = fabs(a);
        return true;
    case KILN_ONNX_FLOOR:
        y->r = floor(a);
        return true;
    case KILN_ONNX_CEIL:
        y->r = ceil(a);
        return true;
    case KILN_ONNX_RECIPROCAL:
        y->r = 1 / a;
        return true;
    case KILN_ONNX_SQRT:
        y->r = sqrt(a);
        return true;
    case KILN_ONNX_RELU:
        y->r = a < 0 ? 0 : a;
        return true;
    case KILN_ONNX_ADD:
        y->r = a + b;
        return true;
    case KILN_ONNX_SUB:
        y->r = a - b;
        return true;
    case KILN_ONNX_MUL:
        y->r = a * b;
        return true;
    case KILN_ONNX_DIV:
        y->r = a / b;
        return true;
    case KILN_ONNX_REST:
        y->r = fmod(a, b);
        return true;
    case KILN_ONNX_POW:
        y->r = pow(a, b);
        return true;
    case KILN_ONNX_MIN:
        y->r = isnan(a) || a < b ? a : b;
        return true;
    case KILN_ONNX_MAX:
        y->r = isnan(a) || a > b ? a : b;
        return true;
    case KILN_ONNX_EQUAL:
    case KILN_ONNX_NOT_EQUAL:
    case KILN_ONNX_LESS:
    case KILN_ONNX_LESS_EQUAL:
    case KILN_ONNX_GREATER:
    case KILN_ONNX_GREATER_EQUAL:
        y->i = compare(op, (a < b), a == b, (a > b));
        return true;
    case KILN_ONNX_NOT:
    case KILN_ONNX_AND:
    case KILN_ONNX_OR:
    case KILN_ONNX_MOD:
        break;
    }
    return false;
}

/* Sizes of which one or both are symbols: what stays a size of the graph. */
static bool compute_size(kiln_graph *g, enum kiln_onnx_operation op, struct kiln_onnx_item a,
                         struct kiln_onnx_item b, struct kiln_onnx_item *y)
{
    if (op == KILN_ONNX_ADD && !a.symbol) {
        const struct kiln_onnx_item swapped = a;
        a = b;
        b = swapped;
    }
    const bool alike = a.symbol && b.symbol && a.i == b.i;
    const bool number = !b.symbol, negative = (!a.symbol && a.i < 0) || (number && b.i < 0);
    *y = (struct kiln_onnx_item){.symbol = true};
    if (op == KILN_ONNX_SAME || ((op == KILN_ONNX_MIN || op == KILN_ONNX_MAX) && alike))
        *y = a;
    else if (op == KILN_ONNX_EQUAL && (alike || negative)) /* no size is negative */
        *y = (struct kiln_onnx_item){.i = alike};
    else if ((op == KILN_ONNX_ADD || op == KILN_ONNX_SUB) && number && b.i < 0 && b.i > INT64_MIN)
        y->i = (op == KILN_ONNX_ADD ? kiln_dim_sub : kiln_dim_add)(g, a.i, -b.i);
    else if (negative)
        return false;
    else if (op == KILN_ONNX_ADD)
        y->i = kiln_dim_add(g, a.i, b.i);
    else if (op == KILN_ONNX_SUB)
        y->i = kiln_dim_sub(g, a.i, b.i);
    else if (op == KILN_ONNX_MUL)
        y->i = kiln_dim_mul(g, a.i, b.i);
    else if (op == KILN_ONNX_DIV && !(number && b.i == 0))
        y->i = kiln_dim_div(g, a.i, b.i);
    else
        return false;
    y->symbol = y->symbol && y->i < 0;
    return true;
}

struct kiln_onnx_item kiln_onnx_fold_rounded(kiln_type type, struct kiln_onnx_item item)
{
    item.r = type == KILN_F32 ? (double)(float)item.r : item.r;
    item.i = type == KILN_I32 && !item.symbol ? (int64_t)(int32_t)(uint32_t)item.i : item.i;
    return item;
}

/* A size among reals: sums, differences and products with whole numbers stay sizes. */
static bool compute_real_size(kiln_graph *g, enum kiln_onnx_operation op, struct kiln_onnx_item a,
                              struct kiln_onnx_item b, struct kiln_onnx_item *y)
{
    const bool whole = (a.symbol || (fabs(a.r) < 0x1p52 && a.r == floor(a.r))) &&
                       (b.symbol || (fabs(b.r) < 0x1p52 && b.r == floor(b.r)));
    const bool same = op == KILN_ONNX_FLOOR || op == KILN_ONNX_CEIL;
    if (!whole || op == KILN_ONNX_DIV)
        return false;
    a.i = a.symbol ? a.i : (int64_t)a.r;
    b.i = b.symbol ? b.i : (int64_t)b.r;
    if (!compute_size(g, same ? KILN_ONNX_SAME : op, a, b, y))
        return false;
    y->r = (double)y->i;
    return true;
}

bool kiln_onnx_fold_element(kiln_onnx_node *n, kiln_type type, struct kiln_onnx_item a,
                            struct kiln_onnx_item b, struct kiln_onnx_item *y)
{
    const enum kiln_onnx_operation op = n->row->operation == KILN_ONNX_MOD && kiln_onnx_int(n, "fmod", 0)
                                            ? KILN_ONNX_REST
                                            : n->row->operation;
    *y = (struct kiln_onnx_item){0};
    const bool size = a.symbol || b.symbol, real = kiln_type_is_real(type);
    if (size   ? !(real ? compute_real_size : compute_size)(n->g, op, a, b, y)
        : real ? !compute_real(op, a.r, b.r, y)
               : !compute_int(op, a.i, b.i, &y->i))
        return false;
    *y = kiln_onnx_fold_rounded(op >= KILN_ONNX_EQUAL ? KILN_BOOL : type, *y);
    return true;
}

bool kiln_onnx_fold_takes(kiln_type type)
{
    return type == KILN_F32 || type == KILN_F64 || type == KILN_I64 || type == KILN_I32 || type == KILN_BOOL;
}
