/*
 * determinant.c - determinants: by formulas, or by elimination, one column a step of a scan.
 *
 * The rows that have served as pivots stay where they are and are marked. The sign of a pivot among the rows that are left is
 * that of its place among them. The column that is done leaves at the front and zeros enter at the end, so that each step
 * looks at the first column.
 *
 * Tests: tests/ops/algebra.c.
 */
#include <kiln/algebra.h>
#include <kiln/control.h>
#include <kiln/elementwise.h>
#include <kiln/extend.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>
#include <kiln/reduce.h>

#include "graph/graph.h"

/* Element (i, j) of x [B, M, M]: [B]. */
static kiln_tensor element(kiln_graph *g, kiln_tensor x, int i, int j)
{
    const kiln_tensor row = kiln_squeeze(g, kiln_slice(g, x, 1, i, i + 1, 1), 1);
    return kiln_squeeze(g, kiln_slice(g, row, 1, j, j + 1, 1), 1);
}

/* Of rows i, i + 1 and columns j, k. */
static kiln_tensor minor_of(kiln_graph *g, kiln_tensor x, int i, int j, int k)
{
    return kiln_sub(g, kiln_mul(g, element(g, x, i, j), element(g, x, i + 1, k)),
                    kiln_mul(g, element(g, x, i, k), element(g, x, i + 1, j)));
}

static kiln_tensor by_formula(kiln_graph *g, kiln_tensor x, int64_t size)
{
    if (size == 1)
        return element(g, x, 0, 0);
    if (size == 2)
        return minor_of(g, x, 0, 0, 1);
    const kiln_tensor a = kiln_mul(g, element(g, x, 0, 0), minor_of(g, x, 1, 1, 2)),
                      b = kiln_mul(g, element(g, x, 0, 1), minor_of(g, x, 1, 0, 2)),
                      c = kiln_mul(g, element(g, x, 0, 2), minor_of(g, x, 1, 0, 1));
    return kiln_add(g, kiln_sub(g, a, b), c);
}

/*
 * One step: x [B, M, M], left [B, M] (1 for a row that has not served), result [B].
 * at is 1 at the pivot's row; its row times (column / pivot) is taken from the rows that are left.
 */
static kiln_graph *elimination(kiln_graph *g, kiln_type type, int64_t size)
{
    kiln_graph *body = NULL;
    if (kiln_graph_create(&body, &(kiln_graph_params){.name = "elimination"})) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "determinant: out of memory");
        return NULL;
    }
    const kiln_reduce_params row = {.axes = KILN_AXES(1), .keep = true}, flat = {.axes = KILN_AXES(1)};
    const kiln_tensor x = kiln_input(body, "x", type, KILN_SHAPE(KILN_BATCH, size, size)),
                      left = kiln_input(body, "left", type, KILN_SHAPE(KILN_BATCH, size)),
                      result = kiln_input(body, "result", type, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor zero = kiln_scalar(body, type, 0);
    const kiln_tensor column = kiln_squeeze(body, kiln_slice(body, x, 2, 0, 1, 1), 2);
    const kiln_tensor free_row = kiln_greater(body, left, zero);
    const kiln_tensor weight =
        kiln_where(body, free_row, kiln_abs(body, column), kiln_scalar(body, type, -1));
    const kiln_tensor place = kiln_argmax(body, weight, 1, true), rows = kiln_positions(body, left, 1);
    const kiln_tensor at = kiln_cast(body, kiln_equal(body, rows, place), type),
                      above = kiln_cast(body, kiln_less(body, rows, place), type);
    const kiln_tensor pivot = kiln_sum(body, kiln_mul(body, column, at), &row);
    const kiln_tensor earlier = kiln_sum(body, kiln_mul(body, left, above), &flat);
    const kiln_tensor odd = kiln_mod(body, earlier, kiln_scalar(body, type, 2));
    const kiln_tensor sign = kiln_shift(body, kiln_scale(body, odd, -2), 1);
    const kiln_tensor safe =
        kiln_where(body, kiln_equal(body, pivot, zero), kiln_scalar(body, type, 1), pivot);
    const kiln_tensor others = kiln_sub(body, left, at);
    const kiln_tensor factor = kiln_mul(body, kiln_div(body, column, safe), others); /* [B, M] */
    const kiln_tensor pivot_row =
        kiln_sum(body, kiln_mul(body, x, kiln_unsqueeze(body, at, 2)), &row); /* [B, 1, M] */
    const kiln_tensor rest = kiln_sub(body, x, kiln_mul(body, kiln_unsqueeze(body, factor, 2), pivot_row));
    const int64_t none[3] = {0}, one[3] = {0, 0, 1};
    kiln_output(body, "next", kiln_pad(body, kiln_slice(body, rest, 2, 1, KILN_END, 1), none, one, 0));
    kiln_output(body, "others", others);
    kiln_output(body, "product", kiln_mul(body, kiln_mul(body, result, sign), kiln_squeeze(body, pivot, 1)));
    return body;
}

static kiln_tensor by_elimination(kiln_graph *g, kiln_tensor x, int64_t size)
{
    const kiln_reduce_params column = {.axes = KILN_AXES(2)}, both = {.axes = KILN_AXES(1, 2)};
    const kiln_tensor ones = kiln_ones_like(g, x);
    kiln_scan_params p = {.length = size};
    kiln_graph *body = elimination(g, kiln_tensor_type(g, x), size);
    kiln_tensor out[3] = {KILN_NONE};
    if (!body)
        return KILN_NONE;
    p.carry[0] = x;
    p.carry[1] = kiln_reduce_max(g, ones, &column);
    p.carry[2] = kiln_reduce_max(g, ones, &both);
    kiln_scan(g, body, &p, out);
    kiln_graph_destroy(&body);
    return out[2];
}

kiln_tensor kiln_determinant(kiln_graph *g, kiln_tensor x)
{
    const kiln_spec spec = kiln_tensor_spec(g, x);
    const int rank = spec.shape.rank;
    const int64_t size = rank < 2 ? -1 : spec.shape.size[rank - 1];
    char text[96];
    if (!x.id)
        return KILN_NONE;
    if (size < 1 || spec.shape.size[rank - 2] != size || !kiln_type_is_real(spec.type)) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "determinant: x is %s %s, wanted reals [.., M, M], M known",
                        kiln_type_name(spec.type), kiln_graph_shape_text(g, &spec.shape, text, sizeof text));
        return KILN_NONE;
    }
    const kiln_type work = spec.type == KILN_F64 ? KILN_F64 : KILN_F32;
    const kiln_tensor all = kiln_reshape(g, kiln_cast(g, x, work), KILN_SHAPE(KILN_REST, size, size));
    const kiln_tensor y = size <= 3 ? by_formula(g, all, size) : by_elimination(g, all, size);
    return kiln_reshape(g, kiln_cast(g, y, spec.type), kiln_shape_of(rank - 2, spec.shape.size));
}
