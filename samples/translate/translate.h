/*
 * translate.h - what the parts of the sample share.
 *
 *   main.c          the commands and their options
 *   data.c          pairs of sentences, and tokenizers of them
 *   lstm.c gru.c transformer.c    the three models, on one interface
 *   model.c         a model's graph to learn with
 *   decode.c        a source to the tokens of its translation, in one run of the device: greedy, by beam, by chance
 *   trained.c       a trained model's folder
 *   translator.c    texts to texts
 *   learn.c judge.c training; the translations of test pairs
 *   record.c        a run for somebody else to repeat
 *   run.c map.c     a trained model at work; what it looks at
 *
 * Letters: N sentences, S tokens of the longest source, T of the longest target, W the width, V tokens of the target language.
 */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include <kiln/kiln.h>

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

/* Models ------------------------------------------------------------------------------------------------- */

/* How large a model is; saved with its weights. */
struct config {
    int width, layers, heads, hidden; /* the Transformer's heads, and hidden units of its dense layers */
    double dropout;
    int sources, targets; /* tokens of both vocabularies */
    int begin, end;       /* of a target */
    int longest;          /* tokens that are decoded at the most */
};

/* Values that go together, in an order that the model knows. */
struct values {
    kiln_tensor of[16];
    int count;
};

struct model {
    const char *name;
    /* source [N, S], lengths [N] -> what every step of a decoder sees, and what it carries in its first one */
    void (*encode)(kiln_graph *g, const struct config *c, kiln_tensor source, kiln_tensor lengths,
                   struct values *seen, struct values *carried);
    /* All steps at once: given [N, T] -> scores [N, T, V] of what comes behind each. *map, unless map is NULL, is how much each
     * step looked at each source, [N, T, S]; KILN_NONE of a model that has no attention. */
    kiln_tensor (*teach)(kiln_graph *g, const struct config *c, kiln_tensor given, const struct values *seen,
                         const struct values *carried, kiln_tensor *map);
    /* One step: token [N], at [] (the number of the step) -> scores [N, V]; `carried` becomes what the next step gets. */
    kiln_tensor (*step)(kiln_graph *g, const struct config *c, kiln_tensor token, kiln_tensor at,
                        const struct values *seen, struct values *carried);
};

extern const struct model lstm, gru, transformer;

/* Whether a model can be that large: an even width that is a multiple of the heads, 1 to 6 layers. */
bool fits(const struct config *c);

/* The model of that name; NULL, and a line, if there is none. */
const struct model *find_model(const char *name);

/* Rows of a table that the scope has under that name. */
kiln_tensor embed(kiln_graph *g, const char *name, kiln_tensor tokens, int count, const struct config *c);
/* A dense layer of that name, Xavier's weights. */
kiln_tensor dense(kiln_graph *g, const char *name, kiln_tensor x, int units);

/* A model as graphs, over one set of weights. */
struct net {
    kiln_graph *graph;
    kiln_tensor source, lengths; /* I32 [N, S], [N] */
    kiln_tensor given;           /* I32 [N, T] with the beginning */
    kiln_tensor map;             /* [N, T, S] or KILN_NONE */
    kiln_tensor loss, grade;     /* with smoothing, to learn; without */
};

kiln_status make_net(struct net *net, const struct model *model, const struct config *config,
                     double smoothing);

/* Decoding ----------------------------------------------------------------------------------------------- */

struct choice {
    int beams;          /* 0 or 1: the best token at each step */
    double penalty;     /* a beam's score is divided by ((5 + tokens) / 6)^penalty (Wu et al. 2016) */
    double temperature; /* above 0: by chance, of one beam */
    int top_k;
    double top_p;
};

/* A graph of its own: a source to the tokens of its translation. All steps are one loop of the device's. */
struct decoder {
    kiln_graph *graph;
    kiln_tensor source, lengths; /* I32 [N, S], [N] */
    kiln_tensor draws;           /* I32 [2], where tokens are drawn: a seed, and 0 */
    kiln_tensor tokens;          /* I32 [N, longest]: behind the last there is the end */
    kiln_tensor score;           /* [N]: the sum of logarithms of probabilities */
};

kiln_status make_decoder(struct decoder *d, const struct model *model, const struct config *config,
                         const struct choice *choice);

/* Data --------------------------------------------------------------------------------------------------- */

/* Sentence i of one language is translated by sentence i of the other. */
struct pairs {
    kiln_texts *source, *target;
    kiln_sequences ids[3]; /* of the source; of the target, with its beginning; with its end */
    kiln_dataset *rows;    /* the same as columns: source, given, wanted, and the length of each */
};

struct data {
    struct pairs train, check, test; /* to learn from, to watch learning by, to judge by */
    kiln_tokenizer *source, *target;
};

/* Where from: "dates", a TSV file of two columns, or a folder in Multi30k's form with languages FROM and TO. */
struct source {
    const char *data, *from, *to;
    int64_t rows;           /* of generated dates, or at the most of a file's; 0: 20,000, or all */
    bool characters, words; /* what tokens are: words unless it is said, characters of dates */
    int64_t pairs;          /* tokens are byte pairs, so many of each language; 0: they are not */
    int64_t minimum;        /* words that occur so often at the least */
    bool lower;
};

kiln_status read_pairs(struct data *d, const struct source *from);
/* Learn tokenizers of what is to be learned from. */
kiln_status train_tokenizers(struct data *d, const struct source *from);
/* Turn pairs into numbers, and make their dataset; those longer than `longest` tokens on a side are cut. */
kiln_status number_pairs(const struct data *d, struct pairs *p, int longest);
void free_pairs(struct pairs *p);
void free_data(struct data *d);

/* Write a batch into the inputs of the same names. */
kiln_status write_batch(kiln_program *p, const kiln_batch *batch);

/* Commands ----------------------------------------------------------------------------------------------- */

/* A model in its folder: weights and sizes in model.safetensors, tokenizers beside them. */
struct trained {
    const struct model *model;
    struct config config;
    kiln_tokenizer *source, *target;
    kiln_weights *weights;
};

kiln_status save_trained(const struct trained *t, const char *dir);
kiln_status load_trained(struct trained *t, const char *dir);
void free_trained(struct trained *t);

/* Batches in order, for somebody else to make the same run. */
struct recording {
    kiln_safetensors_entry *entries;
    int count, room;
};

kiln_status record_batch(struct recording *r, const char *kind, const kiln_batch *batch, int64_t number);
kiln_status save_recording(struct recording *r, const char *dir);
void free_recording(struct recording *r);

struct training {
    const struct model *model;
    struct config config; /* vocabularies' sizes are filled in */
    struct source source;
    const char *dir;
    int64_t steps, every; /* batches in all, and from one look at the validation loss to the next */
    double minutes;       /* stop after so many; 0: never */
    int rows;             /* of a batch */
    double rate, warm, smoothing;
    uint64_t seed;
    bool record;          /* keep in the folder what another implementation needs to make the same run */
    struct choice choice; /* how the test is decoded */
};

kiln_status train(const struct training *t);

/* Translate texts, a batch of them at a time. */
struct translator {
    struct trained *trained;
    struct decoder decoder;
    kiln_program *program;
    int32_t seed;
    /* of the newest call */
    int64_t tokens, waits;
    double seconds;
};

kiln_status open_translator(struct translator *t, kiln_device *dev, struct trained *trained,
                            const struct choice *choice);
/* out gets a text for each of texts[0 .. count - 1], which are yours to free. */
kiln_status translate(struct translator *t, const char *const *texts, int64_t count, char **out);
void close_translator(struct translator *t);

struct score {
    int64_t rows, exact;
    int64_t tokens, waits;
    double seconds;
    kiln_bleu bleu;
    double chrf;
    kiln_texts *found; /* the translations, while they are judged */
};

/* Translate all sources and compare. */
kiln_status judge(kiln_device *dev, struct trained *trained, const struct pairs *pairs,
                  const struct choice *choice, struct score *score);
void print_score(const struct score *s);

/* Translate `count` texts, or the lines of a file, or what is typed. */
kiln_status run(const char *dir, const char *const *texts, int count, const char *file,
                const struct choice *choice);
kiln_status test(const char *dir, const struct source *source, const struct choice *choice);
kiln_status save_onnx(const char *dir, const char *path, const struct choice *choice);
/* target NULL: the model's own translation. */
kiln_status draw_map(const char *dir, const char *text, const char *target, const char *path);

#endif
