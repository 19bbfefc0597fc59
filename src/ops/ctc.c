/*
 * ctc.c - connectionist temporal classification: the loss, its gradient, and how both become dispatches.
 *
 *   loss[n] = - log sum over alignments of the product over frames of exp x[t, n, class]
 *   dx[t, n, c] = - (share of the alignments, weighed so, that are at class c in frame t) dy[n]
 *
 * Lowering. The rows of all alignments' beginnings go through time in one dispatch, a workgroup (CPU: thread) a sequence; they
 * are kept only if the gradient wants them. The gradient runs the same kernel from the end, and a second one joins both, frame by
 * frame. Where x or the rows are beyond what a binding may cover, time is cut into windows, and a state goes from one to the next.
 *
 * Kernels: src/ops/ctc_kernel.c, shaders/ctc/, src/cpu/ctc.c, src/cpu/ctc_fast.c.   Tests: tests/ops/ctc.c.
 */
#include "ctc/ctc.h"

#include <kiln/elementwise.h>
#include <kiln/losses.h>
#include <kiln/ops.h>

#include "device/caps.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/loss.h"

struct ctc {
    int32_t blank, forgives;
};

/* Inputs of both, and the gradient's own. */
enum { IN_X, IN_TARGET, IN_LENGTHS, IN_ALPHA, IN_DY };

/* Nodes -------------------------------------------------------------------------------------------------- */

static kiln_status check(kiln_graph *g, const kiln_node *n)
{
    const struct ctc *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[IN_X]), target = kiln_tensor_spec(g, n->in[IN_TARGET]),
                    lengths = kiln_tensor_spec(g, n->in[IN_LENGTHS]);
    char a[96], b[96];
    if (!kiln_type_is_real(x.type) || kiln_type_is_real(target.type) || target.type == KILN_BOOL)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s and target %s, wanted reals and class numbers",
                              kiln_type_name(x.type), kiln_type_name(target.type));
    if (x.shape.rank != 3 || target.shape.rank != 2 || x.shape.size[1] != target.shape.size[0])
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is %s and target %s, wanted [T, N, C] and [N, S]",
                              kiln_graph_shape_text(g, &x.shape, a, sizeof a),
                              kiln_graph_shape_text(g, &target.shape, b, sizeof b));
    if (lengths.shape.size[1] != x.shape.size[1])
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is %s, so frames and labels have another N",
                              kiln_graph_shape_text(g, &x.shape, a, sizeof a));
    if (p->blank < 0 || (x.shape.size[2] >= 0 && p->blank >= x.shape.size[2]))
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "class %d is blank, x is %s", p->blank,
                              kiln_graph_shape_text(g, &x.shape, a, sizeof a));
    return KILN_OK;
}

/* The losses, and the rows of alpha, [T, N, 2 S + 1]. */
static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[IN_X]);
    const kiln_status status = check(g, n);
    if (status)
        return status;
    const int64_t labels = kiln_tensor_shape(g, n->in[IN_TARGET]).size[1];
    const int64_t states = kiln_dim_add(g, kiln_dim_mul(g, labels, 2), 1);
    out[0] = (kiln_spec){x.type, KILN_SHAPE(x.shape.size[1])};
    out[1] = (kiln_spec){KILN_F32, KILN_SHAPE(x.shape.size[0], x.shape.size[1], states)};
    return KILN_OK;
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[IN_X]);
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor in[] = {n->in[IN_X], n->in[IN_TARGET], n->in[IN_LENGTHS], n->out[1], dy[0]};
    dx[0] = kiln_append(g, &kiln_op_ctc_grad, in, 5, n->params, n->params_size);
}

/* Sequences apart. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)n;
    const int sequences[] = {1, 0, 1, 1, 0};
    return axis == sequences[input] ? KILN_IGNORED : KILN_REFUSED;
}

/* Lowering ----------------------------------------------------------------------------------------------- */

/* A node on its way to dispatches. */
struct work {
    kiln_plan *plan;
    const kiln_node *node;
    int64_t frames, sequences, classes, labels, states;
    kiln_tensor x, target, lengths;
    kiln_tensor state; /* from one window to the next */
};

static kiln_tensor if_any(kiln_tensor t, int64_t elements)
{
    return elements > 0 ? t : KILN_NONE;
}

static struct work work_of(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[IN_X]).shape,
                     target = kiln_plan_spec(plan, n->in[IN_TARGET]).shape;
    const int64_t states = 2 * target.size[1] + 1;
    return (struct work){
        .plan = plan,
        .node = n,
        .frames = x.size[0],
        .sequences = x.size[1],
        .classes = x.size[2],
        .labels = target.size[1],
        .states = states,
        .x = n->in[IN_X],
        .target = if_any(n->in[IN_TARGET], kiln_shape_count(&target)),
        .lengths = n->in[IN_LENGTHS],
        .state = kiln_plan_temporary(plan, KILN_F32, x.size[1] * (states + 1)),
    };
}

static kiln_dispatch dispatch_of(const struct work *w, const kiln_kernel *kernel)
{
    const struct ctc *p = w->node->params;
    kiln_dispatch d = {.kernel = kernel, .block_size = sizeof(struct kiln_params_ctc)};
    *(struct kiln_params_ctc *)d.block.words = (struct kiln_params_ctc){
        .frames = (uint32_t)w->frames,
        .sequences = (uint32_t)w->sequences,
        .classes = (uint32_t)w->classes,
        .labels = (uint32_t)w->labels,
        .blank = (uint32_t)p->blank,
        .how = p->forgives ? KILN_CTC_FORGIVE : 0,
    };
    return d;
}

/* Bind frames [first, first + count) of t, `width` elements each; returns how many elements behind the binding's beginning. */
static uint32_t bind_frames(const struct work *w, kiln_tensor t, int64_t first, int64_t count, int64_t width,
                            kiln_binding *bind)
{
    const int64_t skip = first * width, rest = skip % 128;
    const uint64_t element = kiln_plan_element(w->plan, t);
    *bind = (kiln_binding){if_any(t, count * width), (uint64_t)(skip - rest) * element,
                           (uint64_t)(rest + count * width) * element};
    return (uint32_t)rest;
}

/* Frames of which neither x nor rows are beyond a binding. */
static int64_t window_of(const struct work *w, bool keeps)
{
    const int64_t bytes = (int64_t)kiln_plan_caps(w->plan)->max_binding;
    const int64_t x = w->sequences * w->classes, rows = keeps ? w->sequences * w->states : 0;
    const int64_t element = (int64_t)kiln_plan_element(w->plan, w->x),
                  wide = (int64_t)kiln_plan_element(w->plan, w->state);
    int64_t most = w->frames > 0 ? w->frames : 1;
    if (x > 0 && (bytes / element - 127) / x < most)
        most = (bytes / element - 127) / x;
    if (rows > 0 && (bytes / wide - 127) / rows < most)
        most = (bytes / wide - 127) / rows;
    return most > 1 ? most : 1;
}

/* All frames, forth or back; rows and loss may be KILN_NONE. */
static kiln_status run_rows(const struct work *w, bool back, kiln_tensor rows, kiln_tensor loss)
{
    const int64_t window = window_of(w, rows.id != 0), n = w->sequences;
    const int64_t windows = w->frames > window ? (w->frames + window - 1) / window : 1;
    kiln_status status = KILN_OK;
    for (int64_t i = 0; i < windows && !status; i++) {
        const int64_t first = (back ? windows - 1 - i : i) * window, left = w->frames - first;
        const int64_t count = left < window ? left : window;
        const bool ends = loss.id && i + 1 == windows;
        kiln_dispatch d = dispatch_of(w, &kiln_kernel_ctc);
        struct kiln_params_ctc *b = (struct kiln_params_ctc *)d.block.words;
        d.bind[1].value = w->target;
        d.bind[2].value = w->lengths;
        d.bind[3].value = w->state;
        b->x_skip = bind_frames(w, w->x, first, count, n * w->classes, &d.bind[0]);
        if (rows.id)
            b->row_skip = bind_frames(w, rows, first, count, n * w->states, &d.bind[4]);
        if (ends)
            d.bind[5].value = loss;
        b->first = (uint32_t)first;
        b->count = (uint32_t)count;
        b->how |= (back ? KILN_CTC_BACK : 0) | (rows.id ? KILN_CTC_KEEPS : 0) | (ends ? KILN_CTC_ENDS : 0);
        status = kiln_plan_dispatch(w->plan, &d);
    }
    return status;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct work w = work_of(plan, n);
    return w.sequences
               ? run_rows(&w, false, kiln_plan_used(plan, n->out[1]) ? n->out[1] : KILN_NONE, n->out[0])
               : KILN_OK;
}

static kiln_status link_labels(const struct work *w, kiln_tensor links)
{
    kiln_dispatch d = dispatch_of(w, &kiln_kernel_ctc_links);
    const kiln_status status = kiln_plan_fill(w->plan, (kiln_binding){.value = links}, 0);
    if (status || !w->target.id)
        return status;
    d.bind[0].value = w->target;
    d.bind[1].value = w->lengths;
    d.bind[2].value = links;
    ((struct kiln_params_ctc *)d.block.words)->count = (uint32_t)w->sequences;
    return kiln_plan_dispatch(w->plan, &d);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct work w = work_of(plan, n);
    if (w.frames * w.sequences * w.classes == 0)
        return KILN_OK;
    const kiln_tensor beta = kiln_plan_temporary(plan, KILN_F32, w.frames * w.sequences * w.states);
    const kiln_tensor links = kiln_plan_temporary(plan, KILN_I32, w.sequences * (w.classes + w.labels));
    kiln_status status = run_rows(&w, true, beta, KILN_NONE);
    if (!status)
        status = link_labels(&w, links);
    if (status)
        return status;
    kiln_dispatch d = dispatch_of(&w, &kiln_kernel_ctc_grad);
    const kiln_tensor bound[] = {w.x,  w.target,     w.lengths, links, n->in[IN_ALPHA],
                                 beta, n->in[IN_DY], n->out[0]};
    for (int i = 0; i < 8; i++)
        d.bind[i].value = bound[i];
    ((struct kiln_params_ctc *)d.block.words)->count = (uint32_t)w.frames;
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_field fields[] = {
    {"blank", KILN_FIELD_INT, offsetof(struct ctc, blank), 1},
    {"forgives", KILN_FIELD_INT, offsetof(struct ctc, forgives), 1},
    {0},
};

const kiln_op kiln_op_ctc = {
    .name = "ctc",
    .inputs = 3,
    .outputs = 2,
    .infer = infer,
    .beyond = beyond,
    .grad = grad,
    .lowerings = (const kiln_lowering[]){{.name = "rows", .lower = lower}},
    .lowering_count = 1,
    .fields = fields,
};

const kiln_op kiln_op_ctc_grad = {
    .name = "ctc_grad",
    .inputs = 5,
    .outputs = 1,
    .infer = grad_infer,
    .beyond = beyond,
    .lowerings = (const kiln_lowering[]){{.name = "both_ways", .lower = grad_lower}},
    .lowering_count = 1,
    .fields = fields,
};

/* The loss ----------------------------------------------------------------------------------------------- */

/* T for each sequence. */
static kiln_tensor all_frames(kiln_graph *g, kiln_tensor x, kiln_tensor labels)
{
    return kiln_mul(g, kiln_ones_like(g, labels), kiln_cast(g, kiln_count_of(g, x, KILN_AXES(0)), KILN_I32));
}

/* [2, N]: frames, then labels. */
static kiln_tensor lengths_of(kiln_graph *g, kiln_tensor x, kiln_tensor frames, kiln_tensor labels)
{
    const kiln_tensor own = kiln_cast(g, labels, KILN_I32);
    const kiln_tensor both[] = {frames.id ? kiln_cast(g, frames, KILN_I32) : all_frames(g, x, own), own};
    const kiln_tensor rows[] = {kiln_unsqueeze(g, both[0], 0), kiln_unsqueeze(g, both[1], 0)};
    return kiln_concat(g, rows, 2, 0);
}

kiln_tensor kiln_ctc_loss(kiln_graph *g, kiln_tensor x, kiln_tensor target, kiln_tensor frames,
                          kiln_tensor labels, const kiln_ctc_params *params)
{
    const kiln_ctc_params p = params ? *params : (kiln_ctc_params){0};
    if (!x.id || !target.id || !labels.id)
        return KILN_NONE;
    if (kiln_tensor_shape(g, labels).rank != 1 || (frames.id && kiln_tensor_shape(g, frames).rank != 1)) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "ctc: frames and labels are lengths, wanted [N]");
        return KILN_NONE;
    }
    const struct ctc own = {p.blank, p.forgives};
    const kiln_tensor said = p.logits ? kiln_log_softmax(g, x, 2) : x;
    const kiln_tensor in[] = {said, target, lengths_of(g, x, frames, labels)};
    const kiln_tensor each = kiln_append(g, &kiln_op_ctc, in, 3, &own, sizeof own);
    if (!each.id || p.reduction != KILN_LOSS_MEAN)
        return kiln_loss_reduce(g, each, p.reduction);
    const kiln_tensor least = kiln_clip(g, kiln_cast(g, labels, kiln_tensor_type(g, each)), 1, 0x1p31);
    return kiln_mean(g, kiln_div(g, each, least), NULL);
}
