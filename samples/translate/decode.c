/*
 * decode.c - from a source to the tokens of its translation: the encoder, then one loop that the device repeats until every
 * sentence has ended, and the choice of the best beam. The host writes a source, runs, and waits once for the tokens.
 *
 * A step carries R = N beams rows: the last token [R], all tokens so far [R, longest], the sums of logarithms [N, beams], the
 * source of draws [2], and what the model carries. A beam that goes on takes the model's values of its parent along.
 */
#include "translate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOKEN, TEXT, SCORE, DRAWS, OF_MODEL }; /* the first carries */

struct search {
    const struct model *model;
    const struct config *config;
    const struct choice *choice;
    int beams;
};

static kiln_tensor whole(kiln_graph *g, double value)
{
    return kiln_scalar(g, KILN_I32, value);
}

/* A value of the loop as the body's input: the same type and sizes, rows and sources being symbols of the body's own. */
static kiln_tensor body_input(kiln_graph *body, const kiln_graph *g, kiln_tensor t, kiln_tensor like_rows,
                              kiln_tensor like_source, int index)
{
    kiln_shape shape = kiln_tensor_shape(g, t);
    const int64_t rows = kiln_tensor_shape(g, like_rows).size[0],
                  source = kiln_tensor_shape(g, like_source).size[1];
    char name[24];
    for (int i = 0; i < shape.rank; i++)
        shape.size[i] = shape.size[i] == rows     ? kiln_dim(body, "rows")
                        : shape.size[i] == source ? kiln_dim(body, "source")
                        : shape.size[i] < 0       ? KILN_BATCH
                                                  : shape.size[i];
    snprintf(name, sizeof name, "x%d", index);
    return kiln_input(body, name, kiln_tensor_type(g, t), shape);
}

/* One more token for each row, by chance; the next step draws others. */
static void draw(kiln_graph *g, const struct search *s, kiln_tensor scores, struct values *all)
{
    const kiln_sample sample =
        kiln_sample_step(g, scores, kiln_squeeze(g, all->of[SCORE], 1),
                         &(kiln_sample_params){.choice = {.temperature = s->choice->temperature,
                                                          .top_k = s->choice->top_k,
                                                          .top_p = s->choice->top_p,
                                                          .random = {.source = all->of[DRAWS]}},
                                               .last = all->of[TOKEN],
                                               .end = s->config->end});
    int32_t next[] = {0, 1};
    const kiln_tensor one =
        kiln_constant(g, &(kiln_array){.data = next, .type = KILN_I32, .shape = KILN_SHAPE(2)});
    all->of[TOKEN] = sample.token;
    all->of[SCORE] = kiln_unsqueeze(g, sample.score, 1);
    all->of[DRAWS] = kiln_add(g, all->of[DRAWS], one);
}

/* One more token for each row, the best of all beams' continuations. */
static void extend(kiln_graph *g, const struct search *s, kiln_tensor scores, struct values *all)
{
    const kiln_beam beam = kiln_beam_step(g, scores, all->of[SCORE],
                                          &(kiln_beam_params){.last = all->of[TOKEN], .end = s->config->end});
    all->of[TOKEN] = beam.token;
    all->of[SCORE] = beam.score;
    if (s->beams == 1) /* each row goes on by itself */
        return;
    all->of[TEXT] = kiln_gather(g, all->of[TEXT], beam.parent, 0);
    for (int i = OF_MODEL; i < all->count; i++)
        all->of[i] = kiln_gather(g, all->of[i], beam.parent, 0);
}

/* The inputs of a loop's body: the number of the step, the carries, what the model sees; its outputs: whether to go on, the carries. */
static kiln_graph *make_body(const kiln_graph *g, const struct search *s, const struct values *all,
                             const struct values *seen, kiln_tensor source)
{
    kiln_graph *body = NULL;
    struct values own = {.count = all->count}, look = {.count = seen->count}, model;
    if (kiln_graph_create(&body, &(kiln_graph_params){.name = "step"}))
        return NULL;
    const kiln_tensor at = kiln_input(body, "step", KILN_I32, KILN_SCALAR);
    for (int i = 0; i < all->count; i++)
        own.of[i] = body_input(body, g, all->of[i], all->of[TOKEN], source, i);
    for (int i = 0; i < seen->count; i++)
        look.of[i] = body_input(body, g, seen->of[i], all->of[TOKEN], source, all->count + i);

    model.count = all->count - OF_MODEL;
    for (int i = 0; i < model.count; i++)
        model.of[i] = own.of[OF_MODEL + i];
    const kiln_tensor scores = s->model->step(body, s->config, own.of[TOKEN], at, &look, &model);
    for (int i = 0; i < model.count; i++)
        own.of[OF_MODEL + i] = model.of[i];
    if (s->choice->temperature > 0)
        draw(body, s, scores, &own);
    else
        extend(body, s, scores, &own);
    own.of[TEXT] = kiln_put_at(body, own.of[TEXT], kiln_unsqueeze(body, own.of[TOKEN], 1), 1, at);

    const kiln_tensor goes_on = kiln_not_equal(body, own.of[TOKEN], whole(body, s->config->end));
    kiln_output(body, "goes_on", kiln_any(body, goes_on, NULL));
    for (int i = 0; i < own.count; i++) {
        char name[24];
        snprintf(name, sizeof name, "y%d", i);
        kiln_output(body, name, own.of[i]);
    }
    return body;
}

/* What the first step gets; rows of beams lie side by side. */
static struct values begin(kiln_graph *g, const struct search *s, const struct values *first,
                           kiln_tensor lengths, kiln_tensor draws)
{
    struct values all = {.count = OF_MODEL + first->count};
    float sums[64];
    for (int i = 0; i < s->beams; i++)
        sums[i] = i ? -INFINITY : 0; /* the beams of a sentence are alike yet: one of them counts */
    const kiln_tensor zero = kiln_zeros_like(g, lengths); /* [N] */
    const kiln_tensor rows = s->beams > 1 ? kiln_repeat(g, zero, s->beams, 0) : zero;
    const int64_t count = kiln_tensor_shape(g, rows).size[0];
    const kiln_tensor one = kiln_constant(g, &(kiln_array){.data = sums, .shape = KILN_SHAPE(1, s->beams)});
    all.of[TOKEN] = kiln_add(g, rows, whole(g, s->config->begin));
    all.of[TEXT] = kiln_expand(g, whole(g, s->config->end), KILN_SHAPE(count, s->config->longest));
    all.of[SCORE] = kiln_add(g, kiln_cast(g, kiln_unsqueeze(g, zero, 1), KILN_F32), one);
    all.of[DRAWS] = draws;
    for (int i = 0; i < first->count; i++)
        all.of[OF_MODEL + i] = s->beams > 1 ? kiln_repeat(g, first->of[i], s->beams, 0) : first->of[i];
    return all;
}

/* The beam whose sum, divided for its length, is best. */
static void take_best(struct decoder *d, const struct search *s, kiln_tensor text, kiln_tensor score)
{
    kiln_graph *g = d->graph;
    if (s->beams == 1) {
        d->tokens = text;
        d->score = kiln_squeeze(g, score, 1);
        return;
    }
    const kiln_tensor there =
        kiln_cast(g, kiln_not_equal(g, text, whole(g, s->config->end)), KILN_F32); /* [R, longest] */
    const kiln_tensor tokens = kiln_sum(g, there, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    const kiln_tensor longer = kiln_add(g, tokens, kiln_scalar(g, KILN_F32, 6)), /* the end is a token, too */
        part = kiln_div(g, longer, kiln_scalar(g, KILN_F32, 6));
    const kiln_tensor by = kiln_pow(g, part, kiln_scalar(g, KILN_F32, s->choice->penalty));
    const kiln_tensor best = kiln_argmax(g, kiln_div(g, score, kiln_reshape_to(g, by, score)), 1, true);
    const kiln_tensor first = kiln_mul(g, kiln_positions(g, score, 0), whole(g, s->beams));
    d->score = kiln_squeeze(g, kiln_gather_elements(g, score, best, 1), 1);
    d->tokens = kiln_gather(g, text, kiln_add(g, first, kiln_squeeze(g, best, 1)), 0);
}

static void search(struct decoder *d, const struct search *s)
{
    kiln_graph *g = d->graph;
    struct values seen, first;
    kiln_tensor out[16 + OF_MODEL + 1];
    s->model->encode(g, s->config, d->source, d->lengths, &seen, &first);
    const struct values all = begin(g, s, &first, d->lengths, d->draws);

    if (s->beams > 1)
        for (int i = 0; i < seen.count; i++)
            seen.of[i] = kiln_repeat(g, seen.of[i], s->beams, 0);
    kiln_graph *body = make_body(g, s, &all, &seen, d->source);
    if (!body || kiln_graph_status(body))
        goto out;
    kiln_loop_params loop = {.bound = s->config->longest};
    memcpy(loop.carry, all.of, (size_t)all.count * sizeof *all.of);
    memcpy(loop.with, seen.of, (size_t)seen.count * sizeof *seen.of);
    kiln_loop(g, body, &loop, out);
    take_best(d, s, out[1 + TEXT], out[1 + SCORE]);
    kiln_output(g, "tokens", d->tokens);
    kiln_output(g, "score", d->score);
out:
    kiln_graph_destroy(&body);
}

kiln_status make_decoder(struct decoder *d, const struct model *model, const struct config *config,
                         const struct choice *choice)
{
    const bool several = choice->beams > 1 && !(choice->temperature > 0);
    const struct search s = {model, config, choice, several ? choice->beams : 1};
    kiln_graph *g = NULL;
    kiln_status status = kiln_graph_create(&g, &(kiln_graph_params){.name = "decoder"});
    *d = (struct decoder){.graph = g};
    if (status)
        return status;
    d->source = kiln_input(g, "source", KILN_I32, KILN_SHAPE(KILN_BATCH, kiln_dim(g, "source")));
    d->lengths = kiln_input(g, "source_length", KILN_I32, KILN_SHAPE(KILN_BATCH));
    int32_t none[2] = {0};
    d->draws = choice->temperature > 0
                   ? kiln_input(g, "draws", KILN_I32, KILN_SHAPE(2))
                   : kiln_constant(g, &(kiln_array){.data = none, .type = KILN_I32, .shape = KILN_SHAPE(2)});
    search(d, &s);
    if (kiln_graph_status(g) == KILN_OK && !d->tokens.id)
        return KILN_ERROR_ARGUMENT;
    return kiln_graph_status(g);
}
