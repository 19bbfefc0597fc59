/*
 * decode.c - a step of decoding, composed: log-probabilities, sums, the best of all continuations, or one that is drawn.
 *
 *   c[n, w V + v] = score[n, w] + log softmax(scores[n W + w])[v],  of a sequence that has ended 0 for `end` and -infinity else
 */
#include <math.h>
#include <stdlib.h>

#include <kiln/decode.h>
#include <kiln/extend.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

static bool check(kiln_graph *g, kiln_tensor scores, kiln_tensor score, const kiln_beam_params *p)
{
    const kiln_shape x = kiln_tensor_shape(g, scores), s = kiln_tensor_shape(g, score);
    char a[96], b[96];
    if (kiln_graph_status(g))
        return false;
    if (x.rank != 2 || s.rank != 2 || x.size[1] <= 0 || s.size[1] <= 0)
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "beam step: scores %s and sums %s, wanted [N W, V] and [N, W] with numbers W and V",
                        kiln_shape_text(&x, a, sizeof a), kiln_shape_text(&s, b, sizeof b));
    else if (p->last.id && (p->end < 0 || p->end >= x.size[1]))
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "beam step: token %d ends a sequence, there are %lld", p->end,
                        (long long)x.size[1]);
    return !kiln_graph_status(g);
}

/* [V]: 0 at `end`, -infinity elsewhere. */
static kiln_tensor end_alone(kiln_graph *g, int64_t tokens, int end)
{
    float *values = malloc((size_t)tokens * sizeof *values);
    for (int64_t i = 0; values && i < tokens; i++)
        values[i] = i == end ? 0 : -INFINITY;
    if (!values)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "beam step: out of memory");
    const kiln_tensor t =
        values ? kiln_constant(g, &(kiln_array){.data = values, .shape = KILN_SHAPE(tokens)}) : KILN_NONE;
    free(values);
    return t;
}

static kiln_tensor log_probabilities(kiln_graph *g, kiln_tensor scores, const kiln_beam_params *p)
{
    const int64_t tokens = kiln_tensor_shape(g, scores).size[1];
    const kiln_tensor y = kiln_log_softmax(g, scores, 1);
    if (!p->last.id)
        return y;
    const kiln_tensor ended = kiln_equal(g, p->last, kiln_scalar(g, KILN_I32, p->end));
    return kiln_where(g, kiln_unsqueeze(g, ended, 1), end_alone(g, tokens, p->end), y);
}

/* [N, 1]: n times `width`. */
static kiln_tensor first_rows(kiln_graph *g, kiln_tensor score, int64_t width)
{
    const kiln_tensor column = kiln_slice(g, score, 1, 0, 1, 1);
    const kiln_tensor ones = kiln_cast(g, kiln_ones_like(g, column), KILN_I32);
    const kiln_tensor n = kiln_cumsum(g, ones, 0, &(kiln_cumulative_params){.exclusive = true});
    return kiln_mul(g, n, kiln_scalar(g, KILN_I32, (double)width));
}

kiln_beam kiln_beam_step(kiln_graph *g, kiln_tensor scores, kiln_tensor score, const kiln_beam_params *params)
{
    static const kiln_beam_params usual;
    const kiln_beam_params *p = params ? params : &usual;
    kiln_beam beam = {KILN_NONE, KILN_NONE, KILN_NONE};
    if (!check(g, scores, score, p))
        return beam;
    const kiln_shape x = kiln_tensor_shape(g, scores), s = kiln_tensor_shape(g, score);
    const int64_t tokens = x.size[1], width = s.size[1];
    const kiln_tensor column =
        kiln_reshape(g, score, KILN_SHAPE(x.size[0], 1)); /* N W is the scores' size, symbol or not */
    const kiln_tensor sums = kiln_add(g, log_probabilities(g, scores, p), column);
    const kiln_tensor count = kiln_scalar(g, KILN_I32, (double)tokens);
    kiln_tensor index;
    beam.score =
        kiln_top_k(g, kiln_reshape(g, sums, KILN_SHAPE(s.size[0], width * tokens)), width, 1, NULL, &index);
    const kiln_tensor from = kiln_div(g, index, count); /* [N, W]: of the sequence's beams */
    beam.token = kiln_reshape(g, kiln_sub(g, index, kiln_mul(g, from, count)), KILN_SHAPE(x.size[0]));
    beam.parent = kiln_reshape(g, kiln_add(g, from, first_rows(g, score, width)), KILN_SHAPE(x.size[0]));
    return beam;
}

/* Sampling ------------------------------------------------------------------------------------------------ */

kiln_sample kiln_sample_step(kiln_graph *g, kiln_tensor scores, kiln_tensor score,
                             const kiln_sample_params *params)
{
    static const kiln_sample_params usual;
    const kiln_sample_params *p = params ? params : &usual;
    const kiln_tensor drawn = kiln_multinomial(g, scores, 1, &p->choice); /* [N, 1] */
    kiln_sample sample = {KILN_NONE, KILN_NONE};
    if (!drawn.id)
        return sample;
    const int64_t tokens = kiln_tensor_shape(g, scores).size[1];
    if (p->last.id && (p->end < 0 || (tokens >= 0 && p->end >= tokens))) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "sample step: token %d ends a sequence, there are %lld",
                        p->end, (long long)tokens);
        return sample;
    }
    sample.token = kiln_squeeze(g, drawn, 1);
    sample.score = kiln_squeeze(g, kiln_gather_elements(g, kiln_log_softmax(g, scores, 1), drawn, 1), 1);
    if (p->last.id) {
        const kiln_tensor end = kiln_scalar(g, KILN_I32, p->end), ended = kiln_equal(g, p->last, end);
        sample.token = kiln_where(g, ended, end, sample.token);
        sample.score =
            kiln_where(g, ended, kiln_scalar(g, kiln_tensor_type(g, sample.score), 0), sample.score);
    }
    if (score.id)
        sample.score = kiln_add(g, score, sample.score);
    return sample;
}
