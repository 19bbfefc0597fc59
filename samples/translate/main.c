/* main.c - translate between languages: the commands and their options. The device is that of KILN_DEVICE, or the best. */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: translate train [--data dates|FILE.tsv|DIR] [options]     learn, and say how good it is\n"
    "       translate run DIR [TEXT ...] [options]                    translate texts, or what is typed\n"
    "       translate run DIR --file FILE [options]                   a text a line\n"
    "       translate test DIR [--data ...] [options]                 translate the test pairs\n"
    "       translate map DIR TEXT --picture OUT.png [--target TEXT]  what each token looks at\n"
    "       translate export DIR OUT.onnx [options]                   the model with its search as an ONNX file\n"
    "\n"
    "Without --data it learns dates as people write them, and gives them as ISO has them. FILE.tsv holds a pair a line, parted by\n"
    "a tab; DIR holds train.LANGUAGE, val.LANGUAGE and test_2016_flickr.LANGUAGE, as Multi30k has them.\n"
    "\n"
    "training:   --model lstm|gru|transformer (transformer)   --out DIR (translate.model)\n"
    "            --from en --to de (of a folder)   --rows N (pairs at the most)   --lower\n"
    "            --words | --characters | --pairs N (byte pairs, N of each language)   --minimum N (that occur so often)\n"
    "            --width 128 --layers 2 --heads 4 --hidden 256 --dropout 0.1 --longest 48\n"
    "            --steps 3000 --batch 64 --rate 0.002 --warm 200 --smoothing 0.1 --every 500 --minutes M --seed 1\n"
    "            (--steps 0 --minutes M: as many steps as there is time for)\n"
    "            --record (in the folder: starting weights and every batch, for tools/peers/translate.py)\n"
    "decoding:   --beams N (1: the best token at each step)   --penalty 0.6 (for length)\n"
    "            --temperature T --top-k K --top-p P (by chance)\n";

struct options {
    struct training training;
    const char *model, *file, *picture, *target;
    const char *word[256]; /* what is no option */
    int words;
    bool help;
};

enum kind { TEXT, WHOLE, LONG, REAL, FLAG, SEED };

struct option {
    const char *name;
    enum kind kind;
    void *at;
};

enum { OPTIONS = 40 };

static int list_options(struct options *o, struct option list[OPTIONS])
{
    struct training *t = &o->training;
    struct config *c = &t->config;
    const struct option all[] = {
        {"--help", FLAG, &o->help},
        {"--model", TEXT, &o->model},
        {"--data", TEXT, &t->source.data},
        {"--from", TEXT, &t->source.from},
        {"--to", TEXT, &t->source.to},
        {"--rows", LONG, &t->source.rows},
        {"--characters", FLAG, &t->source.characters},
        {"--words", FLAG, &t->source.words},
        {"--pairs", LONG, &t->source.pairs},
        {"--lower", FLAG, &t->source.lower},
        {"--minimum", LONG, &t->source.minimum},
        {"--out", TEXT, &t->dir},
        {"--width", WHOLE, &c->width},
        {"--layers", WHOLE, &c->layers},
        {"--heads", WHOLE, &c->heads},
        {"--hidden", WHOLE, &c->hidden},
        {"--dropout", REAL, &c->dropout},
        {"--longest", WHOLE, &c->longest},
        {"--steps", LONG, &t->steps},
        {"--batch", WHOLE, &t->rows},
        {"--rate", REAL, &t->rate},
        {"--warm", REAL, &t->warm},
        {"--smoothing", REAL, &t->smoothing},
        {"--every", LONG, &t->every},
        {"--minutes", REAL, &t->minutes},
        {"--seed", SEED, &t->seed},
        {"--record", FLAG, &t->record},
        {"--beams", WHOLE, &t->choice.beams},
        {"--penalty", REAL, &t->choice.penalty},
        {"--temperature", REAL, &t->choice.temperature},
        {"--top-k", WHOLE, &t->choice.top_k},
        {"--top-p", REAL, &t->choice.top_p},
        {"--file", TEXT, &o->file},
        {"--picture", TEXT, &o->picture},
        {"--target", TEXT, &o->target},
    };
    memcpy(list, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

static bool set_option(const struct option *option, const char *value)
{
    char *end = NULL;
    const double number = strtod(value, &end);
    if (option->kind == TEXT)
        *(const char **)option->at = value;
    else if (!*value || *end || number < 0 || number > 1e9 ||
             (option->kind != REAL && number != (double)(long)number))
        return false;
    else if (option->kind == WHOLE)
        *(int *)option->at = (int)number;
    else if (option->kind == LONG)
        *(int64_t *)option->at = (int64_t)number;
    else if (option->kind == SEED)
        *(uint64_t *)option->at = (uint64_t)number;
    else
        *(double *)option->at = number;
    return true;
}

/* Options and words behind the command; false, and a line, where one is wrong. */
static bool read_options(struct options *o, int argc, char **argv)
{
    struct option list[OPTIONS];
    const int count = list_options(o, list);
    for (int i = 2; i < argc; i++) {
        int k = 0;
        if (strncmp(argv[i], "--", 2)) {
            if (o->words < 256)
                o->word[o->words++] = argv[i];
            continue;
        }
        while (k < count && strcmp(list[k].name, argv[i]))
            k++;
        if (k == count) {
            fprintf(stderr, "translate: there is no option %s; see translate --help\n", argv[i]);
            return false;
        }
        if (list[k].kind == FLAG) {
            *(bool *)list[k].at = true;
        } else if (++i == argc || !set_option(&list[k], argv[i])) {
            fprintf(stderr, "translate: %s wants a %s\n", list[k].name,
                    list[k].kind == TEXT ? "text" : "number");
            return false;
        }
    }
    return true;
}

/* What --model, --characters and the like leave open. */
static bool complete(struct options *o)
{
    struct training *t = &o->training;
    const struct config *c = &t->config;
    if (!(t->model = find_model(o->model)))
        return false;
    t->source.characters =
        t->source.characters || (!strcmp(t->source.data, "dates") && !t->source.words && !t->source.pairs);
    if (fits(c) && t->rows >= 1 && (t->steps >= 1 || t->minutes > 0) && t->every >= 1 && c->dropout < 1 &&
        t->smoothing < 1 && t->choice.beams <= 64)
        return true;
    fprintf(
        stderr,
        "translate: wanted an even width that is a multiple of the heads, 1 to 6 layers, at most 64 beams, "
        "rows and steps of at least 1, dropout and smoothing below 1\n");
    return false;
}

static int fail(const char *wanted)
{
    fprintf(stderr, "translate: %s; see translate --help\n", wanted);
    return 2;
}

static int run_command(const char *command, struct options *o)
{
    const struct training *t = &o->training;
    if (!strcmp(command, "train"))
        return o->words ? fail("train takes options alone") : train(t) != KILN_OK;
    if (!strcmp(command, "run"))
        return o->words < 1 ? fail("run wants a model's folder")
                            : run(o->word[0], o->word + 1, o->words - 1, o->file, &t->choice) != KILN_OK;
    if (!strcmp(command, "test"))
        return o->words != 1 ? fail("test wants a model's folder")
                             : test(o->word[0], &t->source, &t->choice) != KILN_OK;
    if (!strcmp(command, "map"))
        return o->words != 2 || !o->picture
                   ? fail("map wants a model's folder, a text and --picture")
                   : draw_map(o->word[0], o->word[1], o->target, o->picture) != KILN_OK;
    if (!strcmp(command, "export"))
        return o->words != 2 ? fail("export wants a model's folder and a file")
                             : save_onnx(o->word[0], o->word[1], &t->choice) != KILN_OK;
    return fail("the commands are train, run, test, map and export");
}

int main(int argc, char **argv)
{
    struct options o = {
        .model = "transformer",
        .training =
            {.config = {.width = 128, .layers = 2, .heads = 4, .hidden = 256, .dropout = 0.1, .longest = 48},
             .source = {.data = "dates", .from = "en", .to = "de"},
             .dir = "translate.model",
             .steps = 3000,
             .every = 500,
             .rows = 64,
             .rate = 0.002,
             .warm = 200,
             .smoothing = 0.1,
             .seed = 1,
             .choice = {.penalty = 0.6}},
    };
    if (argc > 1 && !strcmp(argv[1], "--help"))
        o.help = true;
    else if (argc < 2)
        return fail("a command is missing");
    else if (!read_options(&o, argc, argv))
        return 2;
    if (o.help) {
        fputs(help, stdout);
        return 0;
    }
    return complete(&o) ? run_command(argv[1], &o) : 2;
}
