/*
 * npz_g2p.c - letters to phonemes: a sequence-to-sequence GRU with weights that others learned, as a .npz file of their names.
 *
 * A word is read to its end, letters and then a mark; from the state that is left the other GRU says a phoneme a step, each of which it
 * reads in the next. All of it is one program: the steps of speaking are a scan whose body chooses what the next one reads.
 */
#include <stdio.h>
#include <string.h>

#include "support/external.h"
#include "support/support.h"

/* The marks of both alphabets come first: padding, what is unknown, and the end, before which phonemes have a beginning. */
enum {
    UNITS = 256,
    LETTERS = 29,
    FIRST_LETTER = 3,
    WORD_END = 2,
    BEGIN = 2,
    SPEECH_END = 3,
    FIRST_PHONEME = 4
};
enum { WORDS = 40, LONGEST = 24, STEPS = 20 };

static const char *const phonemes[] = {"AA0", "AA1", "AA2", "AE0", "AE1", "AE2", "AH0", "AH1", "AH2", "AO0",
                                       "AO1", "AO2", "AW0", "AW1", "AW2", "AY0", "AY1", "AY2", "B",   "CH",
                                       "D",   "DH",  "EH0", "EH1", "EH2", "ER0", "ER1", "ER2", "EY0", "EY1",
                                       "EY2", "F",   "G",   "HH",  "IH0", "IH1", "IH2", "IY0", "IY1", "IY2",
                                       "JH",  "K",   "L",   "M",   "N",   "NG",  "OW0", "OW1", "OW2", "OY0",
                                       "OY1", "OY2", "P",   "R",   "S",   "SH",  "T",   "TH",  "UH0", "UH1",
                                       "UH2", "UW",  "UW0", "UW1", "UW2", "V",   "W",   "Y",   "Z",   "ZH"};

enum { SYMBOLS = FIRST_PHONEME + (int)KILN_COUNT(phonemes) };

/* The network ------------------------------------------------------------------------------------------------------ */

/* A parameter "SIDE_NAME". */
static kiln_tensor weight(kiln_graph *g, const char *side, const char *name, kiln_shape shape)
{
    char text[32];
    snprintf(text, sizeof text, "%s_%s", side, name);
    return kiln_parameter(g, text, shape, NULL);
}

/* States [T, N, UNITS] of a side's GRU over symbols [T, N]; the last one [1, N, UNITS] is its memory of all of them. */
static kiln_tensor listen(kiln_graph *g, const char *side, int64_t symbols, kiln_tensor text,
                          const kiln_recurrent_params *params, kiln_tensor *last)
{
    const kiln_tensor x = kiln_embedding(g, weight(g, side, "emb", KILN_SHAPE(symbols, UNITS)), text, NULL);
    const kiln_recurrent_weights w = {.input = weight(g, side, "w_ih", KILN_SHAPE(3 * UNITS, UNITS)),
                                      .hidden = weight(g, side, "w_hh", KILN_SHAPE(3 * UNITS, UNITS)),
                                      .input_bias = weight(g, side, "b_ih", KILN_SHAPE(3 * UNITS)),
                                      .hidden_bias = weight(g, side, "b_hh", KILN_SHAPE(3 * UNITS))};
    kiln_recurrent_states states;
    const kiln_tensor y = kiln_gru(g, x, &w, params, &states);
    *last = states.h;
    return y;
}

/* A step of speaking: from what was said last, [N], and the state, what is said next. */
static kiln_graph *speech(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor said = kiln_input(g, "said", KILN_I32, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor state = kiln_input(g, "state", KILN_F32, KILN_SHAPE(1, KILN_BATCH, UNITS));
    kiln_tensor next;
    kiln_tensor y = listen(g, "dec", SYMBOLS, kiln_unsqueeze(g, said, 0),
                           &(kiln_recurrent_params){.initial.h = state}, &next);
    y = kiln_matmul(g, kiln_squeeze(g, y, 0), kiln_parameter(g, "fc_w", KILN_SHAPE(SYMBOLS, UNITS), NULL),
                    &(kiln_matmul_params){.transpose_b = true});
    y = kiln_add(g, y, kiln_parameter(g, "fc_b", KILN_SHAPE(SYMBOLS), NULL));
    const kiln_tensor best = kiln_argmax(g, y, 1, false);
    kiln_output(g, "phoneme", best);
    kiln_output(g, "saying", best);
    kiln_output(g, "state_after", next);
    return g;
}

/* Phonemes [STEPS, N] of words [T, N] that have `lengths` [N] letters. */
static kiln_tensor pronounce(kiln_graph *g, kiln_tensor words, kiln_tensor lengths)
{
    kiln_graph *step = speech();
    kiln_scan_params p = {.length = STEPS};
    kiln_tensor out[3];
    listen(g, "enc", LETTERS, words, &(kiln_recurrent_params){.lengths = lengths}, &p.carry[1]);
    p.carry[0] = kiln_expand(g, kiln_scalar(g, KILN_I32, BEGIN), KILN_SHAPE(KILN_BATCH));
    kiln_scan(g, step, &p, out);
    kiln_graph_destroy(&step);
    return out[0];
}

/* Words ------------------------------------------------------------------------------------------------------------ */

struct golden {
    char phonemes[WORDS][128], word[WORDS][LONGEST];
    int32_t letters[LONGEST][WORDS], lengths[WORDS];
};

/* Lines "WORD<tab>PHONEME PHONEME ..". */
static void read_golden(struct golden *golden, const char *path)
{
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL, "%s is missing", path);
    for (int i = 0; i < WORDS; i++) {
        cr_assert_eq(fscanf(f, "%23s\t%127[^\n]\n", golden->word[i], golden->phonemes[i]), 2);
        const int length = (int)strlen(golden->word[i]);
        cr_assert(length < LONGEST);
        for (int k = 0; k < length; k++)
            golden->letters[k][i] = FIRST_LETTER + golden->word[i][k] - 'a';
        golden->letters[length][i] = WORD_END;
        golden->lengths[i] = length + 1;
    }
    cr_assert_eq(fgetc(f), EOF);
    fclose(f);
}

static void spell(int32_t said[STEPS][WORDS], int word, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = 0;
    for (int k = 0; k < STEPS && said[k][word] != SPEECH_END && used < bytes; k++) {
        const int at = said[k][word] - FIRST_PHONEME;
        const char *name = at >= 0 && at < (int)KILN_COUNT(phonemes) ? phonemes[at] : "?";
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", k ? " " : "", name);
    }
}

static void pronounce_on(const char *device, const char *weights, const struct golden *golden)
{
    static int32_t said[STEPS][WORDS];
    kiln_device *dev = kiln_test_open(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    char text[128];
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor words = kiln_input(g, "words", KILN_I32, KILN_SHAPE(LONGEST, KILN_BATCH)),
                      lengths = kiln_input(g, "lengths", KILN_I32, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor speaking = pronounce(g, words, lengths);
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_weights_load_npz(w, weights, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(speaking)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_write(p, words,
                                    &(kiln_array){.data = (void *)(uintptr_t)golden->letters,
                                                  .type = KILN_I32,
                                                  .shape = KILN_SHAPE(LONGEST, WORDS)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_write(p, lengths,
                                    &(kiln_array){.data = (void *)(uintptr_t)golden->lengths,
                                                  .type = KILN_I32,
                                                  .shape = KILN_SHAPE(WORDS)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_read(p, speaking, &(kiln_array){.data = said, .bytes = sizeof said}), KILN_OK);
    for (int i = 0; i < WORDS; i++) {
        spell(said, i, text, sizeof text);
        cr_expect(strcmp(text, golden->phonemes[i]) == 0, "%s: \"%s\" is \"%s\", wanted \"%s\"", device,
                  golden->word[i], text, golden->phonemes[i]);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

Test(npz_g2p, forty_words_are_pronounced_as_by_those_who_learned_it)
{
    static struct golden golden;
    const char *dir = kiln_test_external("models");
    char path[1200], weights[1200];
    if (!dir)
        cr_skip("models is not at hand");
    snprintf(path, sizeof path, "%s/models/g2p/golden_words.tsv", dir);
    snprintf(weights, sizeof weights, "%s/models/g2p/checkpoint20.npz", dir);
    read_golden(&golden, path);
    for (int i = 0; kiln_test_device(i); i++)
        pronounce_on(kiln_test_device(i), weights, &golden);
}
