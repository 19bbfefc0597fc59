/* onnx_save_reduce.c - reductions, and where their extremes are. */
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

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
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_find);
        return;
    }
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, wide, IN(in(w, n, 0)));
    kiln_onnx_put_int(w, o, "axis", axes[0]);
    kiln_onnx_put_int(w, o, "keepdims", integer(n, "keep"));
    kiln_onnx_put_int(w, o, "select_last_index", !strncmp(r->op, "find_last", strlen("find_last")));
    cast(w, wide, out(w, n), KILN_I32);
}

/* mean, and mean((x - mean)^2) */
static void write_moments(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    reduce(w, n, "ReduceMean", in(w, n, 0), out(w, n), true);
    const char *off = kiln_onnx_step(w, "Sub", IN(in(w, n, 0), out(w, n)));
    reduce(w, n, "ReduceMean", kiln_onnx_step(w, "Mul", IN(off, off)), kiln_onnx_name(w, n->out[1]), true);
}

const row kiln_onnx_writer_reduce[] = {
    {"all", "ReduceMin", write_truth, 0},
    {"any", "ReduceMax", write_truth, 0},
    {"find_last_max", "ArgMax", write_find, 0},
    {"find_last_min", "ArgMin", write_find, 0},
    {"find_max", "ArgMax", write_find, 0},
    {"find_min", "ArgMin", write_find, 0},
    {"log_sum", "ReduceLogSum", write_reduce, 0},
    {"log_sum_exp", "ReduceLogSumExp", write_reduce, 0},
    {"mean", "ReduceMean", write_reduce, 0},
    {"moments", NULL, write_moments, 0, .lacks = HALVES},
    {"product", "ReduceProd", write_reduce, 0},
    {"reduce_l1", "ReduceL1", write_reduce, 0},
    {"reduce_l2", "ReduceL2", write_reduce, 0},
    {"reduce_max", "ReduceMax", write_reduce, 0, .lacks = IS_I16 | IS_U16},
    {"reduce_min", "ReduceMin", write_reduce, 0, .lacks = IS_I16 | IS_U16},
    {"sum", "ReduceSum", write_reduce, 0},
    {"sum_square", "ReduceSumSquare", write_reduce, 0},
    {0},
};
