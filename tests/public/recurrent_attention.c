/*
 * recurrent_attention.c - one cell, a GRU with additive attention (Bahdanau, Cho and Bengio 2015), scanned over whole sequences to
 * learn, and called a step at a time by a beam search in a session to decode. It learns to write words backwards.
 *
 * The lengths of source and target are symbols; words of a batch have lengths of their own. The gradient of it all is checked
 * against finite differences in float64.
 */
#include "expect.h"

enum {
    LETTERS = 6,
    START = LETTERS, /* before the first letter of an answer */
    END,             /* behind its last */
    TOKENS,
    LETTER_SIZE = 8,
    UNITS = 24,
    BATCH = 32,
    LONGEST = 5,
    STEPS = 500,
    WORDS = 2, /* that are decoded at a time, ... */
    BEAMS = 3, /* ... each with so many beams */
};

/* The cells ---------------------------------------------------------------------------------------------- */

static kiln_tensor gate(kiln_graph *g, const char *name, kiln_tensor x)
{
    return kiln_nn_dense(
        g, x, &(kiln_nn_dense_params){.units = UNITS, .name = name, .init = {.kind = KILN_INIT_XAVIER}});
}

static kiln_tensor pair(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return kiln_concat(g, (kiln_tensor[]){a, b}, 2, 1);
}

/* h' = (1 - z) tanh(W [x, r h]) + z h */
static kiln_tensor gru(kiln_graph *g, kiln_tensor x, kiln_tensor h)
{
    const kiln_tensor both = pair(g, x, h);
    const kiln_tensor r = kiln_sigmoid(g, gate(g, "reset", both)),
                      z = kiln_sigmoid(g, gate(g, "update", both));
    const kiln_tensor n = kiln_tanh(g, gate(g, "new", pair(g, x, kiln_mul(g, r, h))));
    return kiln_add(g, n, kiln_mul(g, z, kiln_sub(g, h, n)));
}

static kiln_tensor letters(kiln_graph *g, kiln_tensor token)
{
    const kiln_tensor table =
        kiln_parameter(g, "letters", KILN_SHAPE(TOKENS, LETTER_SIZE), &(kiln_init){.kind = KILN_INIT_NORMAL});
    return kiln_gather(g, table, token, 0);
}

/* token [B], there [B, 1], h [B, H] -> h twice: what memory holds, and what goes on; as it was where there is no letter */
static kiln_graph *make_encoder(void)
{
    kiln_graph *g = NULL;
    TRY(kiln_graph_create(&g, &(kiln_graph_params){.name = "encoder"}));
    const kiln_tensor token = kiln_input(g, "token", KILN_I32, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor there = kiln_input(g, "there", KILN_BOOL, KILN_SHAPE(KILN_BATCH, 1));
    const kiln_tensor h = kiln_input(g, "h", KILN_F32, KILN_SHAPE(KILN_BATCH, UNITS));
    kiln_scope_open(g, "encoder");
    const kiln_tensor next = kiln_where(g, there, gru(g, letters(g, token), h), h);
    kiln_scope_close(g);
    kiln_output(g, "memory", next);
    kiln_output(g, "next", next);
    return g;
}

/* token [B], h [B, H], memory [B, S, H], there [B, S] -> scores [B, V], h [B, H] */
static kiln_graph *make_cell(void)
{
    kiln_graph *g = NULL;
    TRY(kiln_graph_create(&g, &(kiln_graph_params){.name = "cell"}));
    const int64_t source = kiln_dim(g, "source");
    const kiln_tensor token = kiln_input(g, "token", KILN_I32, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor h = kiln_input(g, "h", KILN_F32, KILN_SHAPE(KILN_BATCH, UNITS));
    const kiln_tensor memory = kiln_input(g, "memory", KILN_F32, KILN_SHAPE(KILN_BATCH, source, UNITS));
    const kiln_tensor there = kiln_input(g, "there", KILN_BOOL, KILN_SHAPE(KILN_BATCH, source));

    kiln_scope_open(g, "decoder");
    /* a = softmax over the source of v . tanh(W h + U memory), where there is a letter; context = a memory */
    const kiln_tensor keys = gate(g, "keys", memory), query = kiln_unsqueeze(g, gate(g, "query", h), 1);
    const kiln_tensor v =
        kiln_parameter(g, "v", KILN_SHAPE(UNITS, 1), &(kiln_init){.kind = KILN_INIT_XAVIER});
    const kiln_tensor energy =
        kiln_squeeze(g, kiln_matmul(g, kiln_tanh(g, kiln_add(g, keys, query)), v, NULL), 2);
    const kiln_tensor seen = kiln_where(g, there, energy, kiln_scalar(g, KILN_F32, -1e9));
    const kiln_tensor weight = kiln_unsqueeze(g, kiln_softmax(g, seen, 1), 1);
    const kiln_tensor context = kiln_squeeze(g, kiln_matmul(g, weight, memory, NULL), 1);

    const kiln_tensor next = gru(g, pair(g, letters(g, token), context), h);
    const kiln_tensor scores =
        kiln_nn_dense(g, pair(g, next, context), &(kiln_nn_dense_params){.units = TOKENS, .name = "scores"});
    kiln_scope_close(g);
    kiln_output(g, "scores", scores);
    kiln_output(g, "next", next);
    return g;
}

/* Learning ----------------------------------------------------------------------------------------------- */

/* Where column s of [B, S] is below the row's length. */
static kiln_tensor below(kiln_graph *g, kiln_tensor like, kiln_tensor lengths)
{
    const kiln_tensor ones = kiln_ones_like(g, like);
    const kiln_tensor position = kiln_cumsum(g, ones, 1, &(kiln_cumulative_params){.exclusive = true});
    return kiln_less(g, position, kiln_unsqueeze(g, lengths, 1));
}

struct model {
    kiln_graph *g, *encoder, *cell;
    kiln_tensor source, lengths, given, wanted; /* [B, S], [B], [B, T], [B, T] */
    kiln_tensor memory, last, there, loss;      /* [B, S, H], [B, H], [B, S], [] */
};

static void encode(struct model *m, kiln_graph *g, int64_t rows, int64_t longest)
{
    kiln_tensor out[2];
    m->source = kiln_input(g, "source", KILN_I32, KILN_SHAPE(rows, longest));
    m->lengths = kiln_input(g, "lengths", KILN_I32, KILN_SHAPE(rows));
    m->there = below(g, m->source, m->lengths);
    const kiln_tensor zeros = kiln_constant(g, FLOATS((float[UNITS]){0}, 1, UNITS));
    const kiln_tensor column = kiln_unsqueeze(g, kiln_cast(g, m->lengths, KILN_F32), 1);
    const kiln_tensor h = kiln_mul(g, column, zeros); /* [B, H] */
    kiln_scan(
        g, m->encoder,
        &(kiln_scan_params){.each = {m->source, kiln_unsqueeze(g, m->there, 2)}, .carry = {h}, .axis = 1},
        out);
    m->memory = out[0];
    m->last = out[1];
}

/* The mean over the letters of all answers, the END behind each included. */
static void grade(struct model *m, kiln_graph *g)
{
    kiln_tensor out[2];
    const int64_t target = kiln_dim(g, "target");
    m->given = kiln_input(g, "given", KILN_I32, KILN_SHAPE(KILN_BATCH, target));
    m->wanted = kiln_input(g, "wanted", KILN_I32, KILN_SHAPE(KILN_BATCH, target));
    kiln_scan(
        g, m->cell,
        &(kiln_scan_params){.each = {m->given}, .carry = {m->last}, .with = {m->memory, m->there}, .axis = 1},
        out);
    const kiln_tensor each =
        kiln_cross_entropy_each(g, kiln_reshape(g, out[0], KILN_SHAPE(KILN_REST, TOKENS)),
                                kiln_reshape(g, m->wanted, KILN_SHAPE(KILN_REST)));
    const kiln_tensor long_enough = below(g, m->wanted, kiln_add(g, m->lengths, kiln_scalar(g, KILN_I32, 1)));
    const kiln_tensor counts = kiln_reshape_to(g, kiln_cast(g, long_enough, KILN_F32), each);
    m->loss = kiln_div(g, kiln_sum(g, kiln_mul(g, each, counts), NULL), kiln_sum(g, counts, NULL));
}

static struct model make_model(void)
{
    struct model m = {.encoder = make_encoder(), .cell = make_cell()};
    TRY(kiln_graph_create(&m.g, NULL));
    encode(&m, m.g, KILN_BATCH, kiln_dim(m.g, "source"));
    grade(&m, m.g);
    kiln_output(m.g, "loss", m.loss);
    return m;
}

/* Words ----------------------------------------------------------------------------------------------------- */

struct words {
    int32_t source[BATCH * LONGEST], lengths[BATCH], given[BATCH * (LONGEST + 1)],
        wanted[BATCH * (LONGEST + 1)];
};

static uint32_t draw(uint32_t *state, uint32_t below_this)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 16) % below_this;
}

/* `count` words of up to `longest` letters, and their answers. */
static void draw_words(struct words *w, int count, int longest, uint32_t *state)
{
    memset(w, 0, sizeof *w);
    for (int n = 0; n < count; n++) {
        int32_t *source = w->source + n * longest, *given = w->given + n * (longest + 1),
                *wanted = w->wanted + n * (longest + 1);
        const int length = w->lengths[n] = 1 + (int)draw(state, (uint32_t)longest);
        for (int i = 0; i < length; i++)
            source[i] = (int32_t)draw(state, LETTERS);
        given[0] = START;
        for (int i = 0; i < length; i++)
            given[i + 1] = wanted[i] = source[length - 1 - i];
        wanted[length] = END;
    }
}

static void check_gradient(const struct model *m, uint32_t *state)
{
    static struct words w;
    const int rows = 3, longest = 4;
    kiln_weights *weights = NULL;
    double error = 1;
    draw_words(&w, rows, longest, state);
    const kiln_array inputs[] = {*INTS(w.source, rows, longest), *INTS(w.lengths, rows),
                                 *INTS(w.given, rows, longest + 1), *INTS(w.wanted, rows, longest + 1)};
    TRY(kiln_weights_create(&weights, m->g, NULL));
    EXPECT(kiln_check_gradient(m->g, weights, m->loss,
                               &(kiln_check_params){.inputs = inputs, .input_count = 4, .error = &error}) ==
           KILN_OK);
    EXPECT(error < 1e-6);
    kiln_weights_destroy(&weights);
}

static double learn(const struct model *m, kiln_tensor step, kiln_device *dev, kiln_weights *weights,
                    uint32_t *state)
{
    kiln_program *p = NULL;
    static struct words w;
    double recent = 10;
    TRY(kiln_program_create(&p, dev, m->g, weights,
                            &(kiln_program_params){.run = KILN_RUN(step, m->loss), .train = true}));
    for (int i = 0; i < STEPS; i++) {
        const int longest = 2 + i % (LONGEST - 1); /* sizes change from batch to batch */
        draw_words(&w, BATCH, longest, state);
        TRY(kiln_program_write(p, m->source, INTS(w.source, BATCH, longest)));
        TRY(kiln_program_write(p, m->lengths, INTS(w.lengths, BATCH)));
        TRY(kiln_program_write(p, m->given, INTS(w.given, BATCH, longest + 1)));
        TRY(kiln_program_write(p, m->wanted, INTS(w.wanted, BATCH, longest + 1)));
        TRY(kiln_program_run(p));
        if (i % 10 == 9)
            recent += 0.2 * (read_scalar(p, m->loss) - recent);
    }
    kiln_program_destroy(&p);
    return recent;
}

/* Decoding -------------------------------------------------------------------------------------------------- */

struct decoder {
    struct model m; /* its encoder and cell, in a graph of their own */
    kiln_tensor begin, go_on, token, parent;
};

static kiln_tensor session_state(kiln_graph *g, const char *name, kiln_type type, kiln_shape shape)
{
    return kiln_state(g, name, type, shape, KILN_STORE_SESSION);
}

/* A word's row for each of its beams. */
static kiln_tensor for_beams(kiln_graph *g, kiln_tensor x)
{
    int32_t row[WORDS * BEAMS];
    for (int i = 0; i < WORDS * BEAMS; i++)
        row[i] = i / BEAMS;
    return kiln_gather(g, x, kiln_constant(g, INTS(row, WORDS * BEAMS)), 0);
}

static kiln_tensor begin(struct decoder *d, kiln_graph *g, const kiln_tensor states[5])
{
    int32_t start[WORDS * BEAMS];
    float sums[WORDS * BEAMS];
    for (int i = 0; i < WORDS * BEAMS; i++) {
        start[i] = START;
        sums[i] = i % BEAMS ? -INFINITY : 0; /* the beams of a word are alike yet: only one counts */
    }
    const kiln_tensor effects[] = {
        kiln_assign(g, states[0], kiln_constant(g, INTS(start, WORDS * BEAMS))),
        kiln_assign(g, states[1], for_beams(g, d->m.last)),
        kiln_assign(g, states[2], for_beams(g, d->m.memory)),
        kiln_assign(g, states[3], for_beams(g, d->m.there)),
        kiln_assign(g, states[4], kiln_constant(g, FLOATS(sums, WORDS, BEAMS))),
    };
    return kiln_group(g, effects, 5);
}

static struct decoder make_decoder(const struct model *m)
{
    struct decoder d = {.m = *m};
    kiln_graph *g = NULL;
    kiln_tensor out[2];
    const int rows = WORDS * BEAMS;
    TRY(kiln_graph_create(&g, NULL));
    d.m.g = g;
    const kiln_tensor states[] = {
        session_state(g, "token", KILN_I32, KILN_SHAPE(rows)),
        session_state(g, "h", KILN_F32, KILN_SHAPE(rows, UNITS)),
        session_state(g, "memory", KILN_F32, KILN_SHAPE(rows, LONGEST, UNITS)),
        session_state(g, "there", KILN_BOOL, KILN_SHAPE(rows, LONGEST)),
        session_state(g, "score", KILN_F32, KILN_SHAPE(WORDS, BEAMS)),
    };
    kiln_call(g, m->cell, states, out); /* before what begins: it reads what the session holds */
    const kiln_beam beam =
        kiln_beam_step(g, out[0], states[4], &(kiln_beam_params){.last = states[0], .end = END});
    const kiln_tensor effects[] = {
        kiln_assign(g, states[0], beam.token),
        kiln_assign(g, states[1], kiln_gather(g, out[1], beam.parent, 0)),
        kiln_assign(g, states[4], beam.score),
    };
    d.go_on = kiln_group(g, effects, 3);
    d.token = beam.token;
    d.parent = beam.parent;
    encode(&d.m, g, WORDS, LONGEST);
    d.begin = begin(&d, g, states);
    return d;
}

/* Follow the best beam of a word back through the parents. */
static void read_back(int32_t token[][WORDS * BEAMS], int32_t parent[][WORDS * BEAMS], int word,
                      int32_t *answer)
{
    int row = word * BEAMS;
    for (int t = LONGEST; t >= 0; t--) {
        answer[t] = token[t][row];
        row = parent[t][row];
    }
}

/* How many of the letters and ENDs of `rounds` pairs of words are wrong. */
static int count_mistakes(const struct decoder *d, kiln_device *dev, kiln_weights *weights, int rounds,
                          uint32_t *state)
{
    kiln_session *session = NULL;
    kiln_program *begins = NULL, *goes_on = NULL;
    static struct words w;
    int mistakes = 0;
    TRY(kiln_session_create(&session, d->m.g));
    TRY(kiln_program_create(&begins, dev, d->m.g, weights,
                            &(kiln_program_params){.run = KILN_RUN(d->begin), .session = session}));
    TRY(kiln_program_create(&goes_on, dev, d->m.g, weights,
                            &(kiln_program_params){.run = KILN_RUN(d->go_on, d->token, d->parent),
                                                   .session = session}));
    for (int round = 0; round < rounds; round++) {
        int32_t token[LONGEST + 1][WORDS * BEAMS], parent[LONGEST + 1][WORDS * BEAMS], answer[LONGEST + 1];
        draw_words(&w, WORDS, LONGEST, state);
        TRY(kiln_program_write(begins, d->m.source, INTS(w.source, WORDS, LONGEST)));
        TRY(kiln_program_write(begins, d->m.lengths, INTS(w.lengths, WORDS)));
        TRY(kiln_program_run(begins));
        for (int t = 0; t <= LONGEST; t++) {
            TRY(kiln_program_run(goes_on));
            TRY(kiln_program_read(goes_on, d->token, INTO(token[t])));
            TRY(kiln_program_read(goes_on, d->parent, INTO(parent[t])));
        }
        for (int n = 0; n < WORDS; n++) {
            read_back(token, parent, n, answer);
            for (int t = 0; t <= w.lengths[n]; t++)
                mistakes += answer[t] != w.wanted[n * (LONGEST + 1) + t];
        }
    }
    kiln_program_destroy(&begins);
    kiln_program_destroy(&goes_on);
    kiln_session_destroy(&session);
    return mistakes;
}

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    kiln_weights *weights = NULL;
    uint32_t state = 1;
    struct model m = make_model();
    check_gradient(&m, &state);
    const kiln_tensor rate = kiln_schedule_cosine(m.g, kiln_step(m.g, NULL), 0.01, 0.0005, STEPS);
    const kiln_tensor step =
        kiln_minimize(m.g, m.loss,
                      &(kiln_minimize_params){.by = KILN_ADAM, .rate_from = rate, .clip_norm = 1});
    TRY(kiln_weights_create(&weights, m.g, &(kiln_weights_params){.seed = 5}));
    const double loss = learn(&m, step, dev, weights, &state);
    struct decoder d = make_decoder(&m);
    const int mistakes = count_mistakes(&d, dev, weights, 20, &state);
    printf("%s: loss %.4f, %d mistakes\n", device, loss, mistakes);
    EXPECT(loss < 0.05);
    EXPECT(mistakes <= 2);

    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&d.m.g);
    kiln_graph_destroy(&m.g);
    kiln_graph_destroy(&m.encoder);
    kiln_graph_destroy(&m.cell);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
