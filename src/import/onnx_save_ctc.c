/*
 * onnx_save_ctc.c - connectionist temporal classification, of which ONNX has nothing, as a scan over the frames.
 *
 *   row'[s] = x[class of s] + log(exp row[s] + exp row[s - 1] + exp row[s - 2])
 *
 * with the last term where s may skip a blank. States are blank, label, blank, label, .., blank; before the first frame all is in
 * state 0. A frame beyond a sequence's own changes nothing; labels beyond its own are states above those that count, from which nothing
 * comes back.
 */
#include <math.h>

#include <kiln/control.h>
#include <kiln/indexing.h>

#include "import/onnx_save_row.h"

static kiln_tensor whole(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

/* log(exp a + exp b + exp c); that of nothing has no slope. */
static kiln_tensor log_sum(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor c)
{
    const kiln_tensor none = kiln_scalar(g, KILN_F32, -INFINITY), peak = kiln_max(g, kiln_max(g, a, b), c);
    const kiln_tensor nothing = kiln_equal(g, peak, none);
    const kiln_tensor base = kiln_stop_gradient(g, kiln_where(g, nothing, kiln_scalar(g, KILN_F32, 0), peak));
    const kiln_tensor all[] = {kiln_exp(g, kiln_sub(g, a, base)), kiln_exp(g, kiln_sub(g, b, base)),
                               kiln_exp(g, kiln_sub(g, c, base))};
    const kiln_tensor sum = kiln_where(g, nothing, kiln_scalar(g, KILN_F32, 1), kiln_add_all(g, all, 3));
    return kiln_where(g, nothing, none, kiln_add(g, base, kiln_log(g, sum)));
}

/* What a step reads besides a frame: of each state, [N, S]. */
struct states {
    kiln_tensor class; /* I32, within the classes */
    kiln_tensor known; /* BOOL: it is one of them */
    kiln_tensor skips; /* BOOL: the blank before it may be left out */
};

/* Blanks around the labels [N, L]: [N, 2 L + 1]. */
static struct states states_of(kiln_graph *g, kiln_tensor labels, int64_t blank, kiln_tensor classes)
{
    const int64_t two[] = {0, 2}, none[] = {0, 0};
    const kiln_tensor columns = kiln_unsqueeze(g, labels, 2),
                      blanks = kiln_add(g, kiln_mul(g, columns, whole(g, 0)), whole(g, blank));
    kiln_tensor class = kiln_flatten(g, kiln_concat(g, (const kiln_tensor[]){blanks, columns}, 2, 2), 1);
    class = kiln_pad(g, class, none, (const int64_t[]){0, 1}, (double)blank);
    const kiln_tensor before = kiln_slice(g, kiln_pad(g, class, two, none, (double)blank), 1, 0, -2, 1);
    return (struct states){
        .class = kiln_max(g, kiln_min(g, class, kiln_sub(g, classes, whole(g, 1))), whole(g, 0)),
        .known = kiln_and(g, kiln_less_equal(g, whole(g, 0), class), kiln_less(g, class, classes)),
        .skips = kiln_and(g, kiln_not_equal(g, class, whole(g, blank)), kiln_not_equal(g, class, before)),
    };
}

/* The row of states after a frame x [N, C]; `goes_on` [N, 1] where the sequence has it. */
static kiln_tensor advance(kiln_graph *g, kiln_tensor x, kiln_tensor sums, const struct states *s,
                           kiln_tensor goes_on)
{
    const int64_t two[] = {0, 2}, none[] = {0, 0};
    const kiln_tensor shifted = kiln_pad(g, sums, two, none, -INFINITY);
    const kiln_tensor below = kiln_slice(g, shifted, 1, 1, -1, 1),
                      lower = kiln_where(g, s->skips, kiln_slice(g, shifted, 1, 0, -2, 1),
                                         kiln_scalar(g, KILN_F32, -INFINITY));
    const kiln_tensor said =
        kiln_where(g, s->known, kiln_gather_elements(g, x, s->class, 1), kiln_scalar(g, KILN_F32, NAN));
    return kiln_where(g, goes_on, kiln_add(g, said, log_sum(g, sums, below, lower)), sums);
}

/* The row after all frames: x [T, N, C], frames [N, 1]. */
static kiln_tensor last_row(kiln_graph *g, kiln_tensor x, const struct states *s, kiln_tensor frames)
{
    const kiln_tensor time = kiln_sequence(g, KILN_I32, 0, 1, kiln_tensor_shape(g, x).size[0]);
    const kiln_tensor zero = kiln_cast(g, kiln_zeros_like(g, s->class), KILN_F32),
                      none = kiln_scalar(g, KILN_F32, -INFINITY);
    const kiln_tensor first =
        kiln_where(g, kiln_equal(g, kiln_positions(g, s->class, 1), whole(g, 0)), zero, none);
    kiln_graph *step = kiln_onnx_body_graph(g);
    kiln_tensor out = KILN_NONE;
    if (!step)
        return KILN_NONE;
    const kiln_tensor frame =
                          kiln_onnx_body_like(step, g, kiln_squeeze(g, kiln_slice(g, x, 0, 0, 1, 1), 0), "x"),
                      t = kiln_input(step, "t", KILN_I32, KILN_SCALAR),
                      sums = kiln_onnx_body_like(step, g, first, "row");
    const struct states inner = {kiln_onnx_body_like(step, g, s->class, "class"),
                                 kiln_onnx_body_like(step, g, s->known, "known"),
                                 kiln_onnx_body_like(step, g, s->skips, "skips")};
    const kiln_tensor length = kiln_onnx_body_like(step, g, frames, "frames");
    kiln_output(step, "next", advance(step, frame, sums, &inner, kiln_less(step, t, length)));
    kiln_scan(g, step,
              &(kiln_scan_params){
                  .each = {x, time}, .carry = {first}, .with = {s->class, s->known, s->skips, frames}},
              &out);
    kiln_graph_destroy(&step);
    return out;
}

/* 0 <= count <= most */
static kiln_tensor fits(kiln_graph *g, kiln_tensor count, kiln_tensor most)
{
    return kiln_and(g, kiln_less_equal(g, whole(g, 0), count), kiln_less_equal(g, count, most));
}

/* A row of lengths [2, N] as [N, 1]. */
static kiln_tensor lengths_of(kiln_graph *g, kiln_tensor lengths, int which)
{
    return kiln_unsqueeze(g, kiln_squeeze(g, kiln_slice(g, lengths, 0, which, which + 1, 1), 0), 1);
}

void kiln_onnx_compose_ctc(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor x = kiln_cast(g, in[0], KILN_F32), target = kiln_cast(g, in[1], KILN_I32),
                      lengths = kiln_cast(g, in[2], KILN_I32), none = kiln_scalar(g, KILN_F32, -INFINITY);
    const kiln_tensor frames = lengths_of(g, lengths, 0), labels = lengths_of(g, lengths, 1),
                      most = size_of_axis(g, target, 1);
    const struct states s = states_of(g, target, integer(n, "blank"), size_of_axis(g, x, 2));
    const kiln_tensor sums = last_row(g, x, &s, frames);
    const kiln_tensor count = kiln_max(g, kiln_min(g, labels, most), whole(g, 0)),
                      end = kiln_mul(g, count, whole(g, 2)),
                      before = kiln_max(g, kiln_sub(g, end, whole(g, 1)), whole(g, 0));
    const kiln_tensor label =
        kiln_where(g, kiln_less(g, whole(g, 0), count), kiln_gather_elements(g, sums, before, 1), none);
    const kiln_tensor total = log_sum(g, kiln_gather_elements(g, sums, end, 1), label, none);
    const kiln_tensor loss =
        kiln_where(g, kiln_equal(g, total, none),
                   kiln_scalar(g, KILN_F32, integer(n, "forgives") ? 0 : INFINITY), kiln_neg(g, total));
    const kiln_tensor good = kiln_and(g, fits(g, frames, size_of_axis(g, x, 0)), fits(g, labels, most));
    out[0] = kiln_cast(g, kiln_squeeze(g, kiln_where(g, good, loss, kiln_scalar(g, KILN_F32, NAN)), 1),
                       kiln_tensor_type(g, in[0]));
}
