/*
 * nms.c - non-maximum suppression: of boxes that overlap, those with the highest scores.
 *
 * The operator takes rows of candidates in the order of their scores, which a sort or top_k gives, with the places where they stood
 * before it, and returns the places of those that are kept.
 *
 * Lowering, by sizes alone:
 *
 *   mask   HARD: all pairs are compared at once, a bit each, then a workgroup a row goes through the bits
 *   pick   rows whose mask would be too large, and the soft methods: a workgroup a row takes the best of what is left
 *
 * Kernels: src/ops/nms_kernel.c, shaders/nms/, src/cpu/nms.c.   Tests: tests/ops/nms.c.
 */
#include "nms/nms.h"

#include <math.h>

#include <kiln/detection.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "device/caps.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"

/* The node ----------------------------------------------------------------------------------------------- */

enum { BOXES, SORTED, ORDER, CLASSES }; /* inputs */
enum { KEPT, SCORES, COUNTS, OUTPUTS };

struct nms {
    int64_t method, most, centres; /* most 0: all */
    double overlap, score, sigma;
};

static kiln_status misfit(kiln_graph *g, const kiln_node *n, const char *what, const kiln_shape *other)
{
    const kiln_shape boxes = kiln_tensor_shape(g, n->in[BOXES]);
    char a[96], b[96];
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "boxes %s and %s %s do not fit",
                          kiln_graph_shape_text(g, &boxes, a, sizeof a), what,
                          kiln_graph_shape_text(g, other, b, sizeof b));
}

/* Whether `rows` are boxes' axes without the last. */
static bool are_rows_of(const kiln_shape *rows, const kiln_shape *boxes)
{
    bool same = rows->rank == boxes->rank - 1 && rows->rank > 0;
    for (int i = 0; same && i < rows->rank; i++)
        same = rows->size[i] == boxes->size[i];
    return same && boxes->size[boxes->rank - 1] == 4;
}

/* boxes [R.., K, 4], scores [R.., K] in descending order, where they stood [R.., K], and, where there are, classes [R.., K] */
static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct nms *p = n->params;
    const kiln_spec boxes = kiln_tensor_spec(g, n->in[BOXES]), scores = kiln_tensor_spec(g, n->in[SORTED]);
    kiln_shape rows = scores.shape;
    if (!kiln_type_is_real(boxes.type) || !kiln_type_is_real(scores.type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "boxes are %s, scores %s, wanted reals",
                              kiln_type_name(boxes.type), kiln_type_name(scores.type));
    if (!are_rows_of(&scores.shape, &boxes.shape))
        return misfit(g, n, "scores", &scores.shape);
    if (n->inputs > CLASSES) {
        const kiln_spec classes = kiln_tensor_spec(g, n->in[CLASSES]);
        if (kiln_type_is_real(classes.type))
            return kiln_node_fail(g, n, KILN_ERROR_TYPE, "classes are %s, wanted integers",
                                  kiln_type_name(classes.type));
        if (!kiln_shape_equal(&classes.shape, &scores.shape))
            return misfit(g, n, "classes", &classes.shape);
    }
    if (p->most < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "most is %lld", (long long)p->most);
    rows.rank--;
    kiln_shape kept = scores.shape;
    kept.size[rows.rank] = p->most ? p->most : kept.size[rows.rank];
    out[KEPT] = (kiln_spec){KILN_I32, kept};
    out[SCORES] = (kiln_spec){KILN_F32, kept};
    out[COUNTS] = (kiln_spec){KILN_I32, rows};
    return KILN_OK;
}

static void no_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

/* Rows are apart; what is not there never counts. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const int last = kiln_tensor_shape(g, n->in[SORTED]).rank - 1;
    return input == SORTED && axis == last ? KILN_FILLED(-INFINITY) : KILN_IGNORED;
}

/* Dispatches --------------------------------------------------------------------------------------------- */

#define MASK_BYTES (UINT64_C(512) << 20) /* of all rows together, at the most */

static struct kiln_params_nms block_of(const kiln_plan *plan, const kiln_node *n)
{
    const struct nms *p = n->params;
    const kiln_shape scores = kiln_plan_spec(plan, n->in[SORTED]).shape;
    const kiln_shape kept = kiln_plan_spec(plan, n->out[KEPT]).shape;
    const int last = scores.rank - 1;
    struct kiln_params_nms block = {
        .rows = 1,
        .count = (uint32_t)scores.size[last],
        .keep = (uint32_t)kept.size[last],
        .overlap = (float)p->overlap,
        .score = (float)p->score,
    };
    for (int i = 0; i < last; i++)
        block.rows *= (uint32_t)scores.size[i];
    KILN_DIVISOR_SET(&block, words, (block.count + 31) / 32);
    KILN_DIVISOR_SET(&block, tiles, (block.count + KILN_NMS_TILE - 1) / KILN_NMS_TILE);
    KILN_REAL_SET(&block, sigma, p->sigma);
    return block;
}

static kiln_status dispatch(kiln_plan *plan, const kiln_node *n, const kiln_kernel *kernel,
                            const struct kiln_params_nms *block, const kiln_tensor *bind)
{
    const struct nms *p = n->params;
    kiln_dispatch d = {
        .kernel = kernel,
        .constants = {n->inputs > CLASSES, (uint32_t)p->centres, (uint32_t)p->method},
        .constant_count = 3,
        .block_size = sizeof *block,
    };
    for (int i = 0; i < kernel->bindings; i++)
        d.bind[i].value = bind[i];
    *(struct kiln_params_nms *)d.block.words = *block;
    return kiln_plan_dispatch(plan, &d);
}

static bool is_empty(const struct kiln_params_nms *p)
{
    return !p->rows || !p->count || !p->keep;
}

static kiln_status lower_nothing(kiln_plan *plan, const kiln_node *n)
{
    kiln_status status = kiln_plan_fill(plan, (kiln_binding){.value = n->out[KEPT]}, (uint32_t)KILN_NOWHERE);
    if (!status)
        status = kiln_plan_fill(plan, (kiln_binding){.value = n->out[SCORES]}, 0);
    return status ? status : kiln_plan_fill(plan, (kiln_binding){.value = n->out[COUNTS]}, 0);
}

static bool mask_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct nms *p = n->params;
    const struct kiln_params_nms block = block_of(plan, n);
    const uint64_t bytes = 4 * (uint64_t)block.count * block.words;
    return p->method == KILN_DECAY_HARD && block.words <= KILN_NMS_WORDS &&
           bytes + 4096 <= kiln_plan_caps(plan)->max_binding && bytes * block.rows <= MASK_BYTES;
}

static kiln_status mask_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_nms block = block_of(plan, n);
    if (is_empty(&block))
        return lower_nothing(plan, n);
    const kiln_tensor classes = n->inputs > CLASSES ? n->in[CLASSES] : KILN_NONE;
    const kiln_tensor mask =
        kiln_plan_temporary(plan, KILN_I32, (int64_t)block.rows * block.count * block.words);
    const kiln_status status = dispatch(plan, n, &kiln_kernel_nms_mask, &block,
                                        (const kiln_tensor[]){n->in[BOXES], n->in[SORTED], classes, mask});
    return status ? status
                  : dispatch(plan, n, &kiln_kernel_nms_scan, &block,
                             (const kiln_tensor[]){n->in[SORTED], mask, n->in[ORDER], n->out[KEPT],
                                                   n->out[SCORES], n->out[COUNTS]});
}

static kiln_status pick_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_nms block = block_of(plan, n);
    if (is_empty(&block))
        return lower_nothing(plan, n);
    const kiln_tensor classes = n->inputs > CLASSES ? n->in[CLASSES] : KILN_NONE;
    const kiln_tensor left = kiln_plan_temporary(plan, KILN_F32, (int64_t)block.rows * block.count);
    return dispatch(plan, n, &kiln_kernel_nms_pick, &block,
                    (const kiln_tensor[]){n->in[BOXES], n->in[SORTED], classes, n->in[ORDER], left,
                                          n->out[KEPT], n->out[SCORES], n->out[COUNTS]});
}

static const kiln_lowering lowerings[] = {{"mask", mask_accepts, mask_lower}, {"pick", NULL, pick_lower}};

static const kiln_field fields[] = {
    {"method", KILN_FIELD_I64, offsetof(struct nms, method), 1},
    {"most", KILN_FIELD_I64, offsetof(struct nms, most), 1},
    {"centres", KILN_FIELD_I64, offsetof(struct nms, centres), 1},
    {"overlap", KILN_FIELD_REAL, offsetof(struct nms, overlap), 1},
    {"score", KILN_FIELD_REAL, offsetof(struct nms, score), 1},
    {"sigma", KILN_FIELD_REAL, offsetof(struct nms, sigma), 1},
    {0},
};

const kiln_op kiln_op_nms = {
    .name = "nms",
    .inputs = 3,
    .outputs = OUTPUTS,
    .infer = infer,
    .grad = no_grad,
    .beyond = beyond,
    .lowerings = lowerings,
    .lowering_count = 2,
    .fields = fields,
};

/* Builders ----------------------------------------------------------------------------------------------- */

static double given(double value, double usual)
{
    return value == 0 ? usual : value == KILN_ZERO ? 0 : value;
}

/* Scores in descending order, the first `candidates` of them, and where they stand. */
static kiln_tensor sorted(kiln_graph *g, kiln_tensor scores, int64_t candidates, kiln_tensor *order)
{
    const kiln_shape shape = kiln_tensor_shape(g, scores);
    const int64_t count = shape.rank ? shape.size[shape.rank - 1] : 0;
    if (candidates > 0 && candidates < count)
        return kiln_top_k(g, scores, candidates, -1, NULL, order);
    const kiln_tensor values = kiln_sort(g, scores, -1, true, order);
    if (candidates <= 0 || count >= 0)
        return values;
    const kiln_tensor first =
        kiln_less(g, kiln_positions(g, values, -1), kiln_scalar(g, KILN_I32, (double)candidates));
    return kiln_where(g, first, values, kiln_scalar(g, KILN_F32, -INFINITY));
}

kiln_tensor kiln_nms_rows(kiln_graph *g, kiln_tensor boxes, kiln_tensor scores, kiln_tensor classes,
                          const kiln_nms_params *params, kiln_tensor *kept_scores, kiln_tensor *counts)
{
    const kiln_nms_params q = params ? *params : (kiln_nms_params){0};
    const struct nms p = {
        q.method, q.most, q.centres, given(q.overlap, 0.5), given(q.score, -INFINITY), given(q.sigma, 0.5)};
    const int rows = kiln_tensor_shape(g, boxes).rank - 2;
    kiln_tensor none, order;
    kept_scores = kept_scores ? kept_scores : &none;
    counts = counts ? counts : &none;
    *kept_scores = *counts = KILN_NONE;
    if (!boxes.id || !scores.id)
        return KILN_NONE;
    if (rows < 0 || q.candidates < 0) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "nms: boxes of rank %d, wanted 2 at least; candidates %lld",
                        rows + 2, (long long)q.candidates);
        return KILN_NONE;
    }
    const kiln_tensor values = sorted(g, scores, q.candidates, &order);
    const kiln_tensor in[] = {kiln_gather_batched(g, boxes, order, rows, rows), values, order,
                              classes.id ? kiln_gather_batched(g, classes, order, rows, rows) : KILN_NONE};
    if (!in[BOXES].id || !in[SORTED].id || (classes.id && !in[CLASSES].id))
        return KILN_NONE;
    const kiln_tensor kept = kiln_append(g, &kiln_op_nms, in, classes.id ? 4 : 3, &p, sizeof p);
    *kept_scores = kiln_node_output(g, kept, SCORES);
    *counts = kiln_node_output(g, kept, COUNTS);
    return kept;
}

kiln_tensor kiln_nms(kiln_graph *g, kiln_tensor boxes, kiln_tensor scores, kiln_tensor classes,
                     const kiln_nms_params *params, kiln_tensor *count)
{
    const int rank = kiln_tensor_shape(g, boxes).rank;
    kiln_tensor none;
    count = count ? count : &none;
    *count = KILN_NONE;
    if (boxes.id && rank != 2) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "nms: boxes of rank %d, wanted [N, 4]", rank);
        return KILN_NONE;
    }
    const kiln_tensor kept = kiln_nms_rows(g, boxes, scores, classes, params, NULL, count);
    return kiln_first(g, kept, *count, 0);
}

kiln_tensor kiln_nms_by_class(kiln_graph *g, kiln_tensor boxes, kiln_tensor scores,
                              const kiln_nms_params *params, kiln_tensor *count)
{
    const int rank = kiln_tensor_shape(g, boxes).rank;
    if (boxes.id && (rank != 3 || kiln_tensor_shape(g, scores).rank != 3)) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "nms: boxes of rank %d, scores of rank %d, wanted [B, N, 4], [B, C, N]", rank,
                        kiln_tensor_shape(g, scores).rank);
        boxes = KILN_NONE;
    }
    const kiln_tensor kept = kiln_nms_rows(g, boxes, scores, KILN_NONE, params, NULL, NULL);
    const kiln_tensor is_kept = kiln_less_equal(g, kiln_scalar(g, KILN_I32, 0), kept);
    const kiln_tensor where = kiln_non_zero(g, is_kept, 0, count);
    const kiln_tensor box = kiln_unsqueeze(g, kiln_gather_nd(g, kept, where, 0), 1);
    return kiln_concat(g, (const kiln_tensor[]){kiln_slice(g, where, 1, 0, 2, 1), box}, 2, 1);
}
