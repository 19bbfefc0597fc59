/*
 * random_choose.c - choices by scores, composed: what is kept, and the largest of it with Gumbel noise (Gumbel-max).
 *
 *   kept     with top_k the k largest; with top_p those of the sorted before which the probabilities do not reach p
 *   choice   the place of the largest score / temperature + noise among them, or of the `count` largest
 *
 * Tests: tests/ops/random_choose.c.
 */
#include <math.h>

#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/random.h"

/* Scores that are kept, -infinity in the place of others, and which classes they are; KILN_NONE: all, as they stand. */
struct kept {
    kiln_tensor score, class;
};

static bool check(kiln_graph *g, kiln_tensor scores, int64_t count, const kiln_choice_params *p)
{
    if (!scores.id)
        return false;
    const kiln_shape shape = kiln_tensor_shape(g, scores);
    const int64_t classes = shape.rank == 2 ? shape.size[1] : 0;
    const int64_t kept = p->top_k > 0 && p->top_k < classes ? p->top_k : classes;
    char a[96];
    if (shape.rank != 2 || !kiln_type_is_real(kiln_tensor_type(g, scores)))
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "multinomial: scores are %s %s, wanted reals [N, V]",
                        kiln_type_name(kiln_tensor_type(g, scores)),
                        kiln_graph_shape_text(g, &shape, a, sizeof a));
    else if (!(p->temperature >= 0) || !(p->top_p >= 0 && p->top_p <= 1) || p->top_k < 0)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "multinomial: temperature %g, top_k %lld, top_p %g, wanted 0 or more, p to 1",
                        p->temperature, (long long)p->top_k, p->top_p);
    else if (classes < 0 && (p->top_k > 0 || p->distinct))
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "multinomial: scores are %s, wanted [N, V] with V a number",
                        kiln_graph_shape_text(g, &shape, a, sizeof a));
    else if (count < 0 || (p->distinct && count > kept))
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "multinomial: %lld choices, none twice, of %lld",
                        (long long)count, (long long)kept);
    return !g->status;
}

static kiln_tensor cooled(kiln_graph *g, kiln_tensor scores, const kiln_choice_params *p)
{
    const kiln_tensor wide = kiln_cast(g, scores, KILN_F32);
    if (p->temperature_from.id)
        return kiln_div(g, wide, kiln_cast(g, p->temperature_from, KILN_F32));
    const bool own = p->temperature > 0 && p->temperature != (double)KILN_ZERO;
    return own ? kiln_scale(g, wide, 1 / p->temperature) : wide;
}

/* Sorted, a class is kept while the ones before it do not reach p. */
static kiln_tensor nucleus(kiln_graph *g, kiln_tensor sorted, double top_p)
{
    const kiln_cumulative_params before_it = {.exclusive = true};
    const kiln_tensor before = kiln_cumsum(g, kiln_softmax(g, sorted, 1), 1, &before_it);
    const kiln_tensor inside = kiln_less(g, before, kiln_scalar(g, KILN_F32, top_p));
    return kiln_where(g, inside, sorted, kiln_scalar(g, KILN_F32, -INFINITY));
}

static struct kept keep(kiln_graph *g, kiln_tensor scores, const kiln_choice_params *p)
{
    const int64_t classes = kiln_tensor_shape(g, scores).size[1];
    const bool few = p->top_k > 0 && p->top_k < classes;
    const bool sums = p->top_p > 0 && p->top_p < 1;
    struct kept kept = {scores, KILN_NONE};
    if (few)
        kept.score = kiln_top_k(g, scores, p->top_k, 1, NULL, &kept.class);
    else if (sums)
        kept.score = kiln_sort(g, scores, 1, true, &kept.class);
    if (sums)
        kept.score = nucleus(g, kept.score, p->top_p);
    return kept;
}

/* [N, count]: places of what is chosen among the kept. */
static kiln_tensor choose(kiln_graph *g, kiln_tensor score, int64_t count, const kiln_choice_params *p)
{
    const kiln_shape shape = kiln_tensor_shape(g, score);
    kiln_tensor place;
    if (p->distinct) {
        const kiln_tensor noise = kiln_random_gumbel_like(g, score, &p->random);
        kiln_top_k(g, kiln_add(g, score, noise), count, 1, NULL, &place);
        return place;
    }
    const kiln_tensor each =
        kiln_expand(g, kiln_unsqueeze(g, score, 1), KILN_SHAPE(shape.size[0], count, shape.size[1]));
    return kiln_argmax(g, kiln_add(g, each, kiln_random_gumbel_like(g, each, &p->random)), 2, false);
}

/* [N, count]: the largest, as often as asked for; the largest ones, if distinct. */
static kiln_tensor largest(kiln_graph *g, kiln_tensor score, int64_t count, const kiln_choice_params *p)
{
    kiln_tensor place;
    if (!p->distinct)
        return kiln_expand(g, kiln_argmax(g, score, 1, true),
                           KILN_SHAPE(kiln_tensor_shape(g, score).size[0], count));
    kiln_top_k(g, score, count, 1, NULL, &place);
    return place;
}

kiln_tensor kiln_multinomial(kiln_graph *g, kiln_tensor scores, int64_t count,
                             const kiln_choice_params *params)
{
    const kiln_choice_params p = params ? *params : (kiln_choice_params){0};
    if (!check(g, scores, count, &p))
        return KILN_NONE;
    const bool greedy = p.temperature == (double)KILN_ZERO && !p.temperature_from.id;
    if (greedy)
        return largest(g, scores, count, &p);
    const struct kept kept = keep(g, cooled(g, scores, &p), &p);
    const kiln_tensor place = choose(g, kept.score, count, &p);
    return kept.class.id ? kiln_gather_elements(g, kept.class, place, 1) : place;
}
