/* main.c - translate between languages: the commands and their options. The device is that of KILN_DEVICE, or the best. */
#include "translate.h"

#include <stdio.h>
#include <string.h>

#include "../options.h"

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
    const char *command; /* NULL: none */
    char **words;        /* behind it: what is no option */
    int count;
    bool help;
};

/* Read a command line; false, and a line, where something is wrong. */
static bool take_options(struct options *o, int argc, char **argv)
{
    struct training *t = &o->training;
    struct config *c = &t->config;
    const struct option table[] = {
        {"--help", OPTION_FLAG, &o->help},
        {"--model", OPTION_TEXT, &o->model},
        {"--data", OPTION_TEXT, &t->source.data},
        {"--from", OPTION_TEXT, &t->source.from},
        {"--to", OPTION_TEXT, &t->source.to},
        {"--rows", OPTION_LONG, &t->source.rows},
        {"--characters", OPTION_FLAG, &t->source.characters},
        {"--words", OPTION_FLAG, &t->source.words},
        {"--pairs", OPTION_LONG, &t->source.pairs},
        {"--lower", OPTION_FLAG, &t->source.lower},
        {"--minimum", OPTION_LONG, &t->source.minimum},
        {"--out", OPTION_TEXT, &t->dir},
        {"--width", OPTION_INT, &c->width, .least = 1},
        {"--layers", OPTION_INT, &c->layers, .least = 1},
        {"--heads", OPTION_INT, &c->heads, .least = 1},
        {"--hidden", OPTION_INT, &c->hidden, .least = 1},
        {"--dropout", OPTION_REAL, &c->dropout},
        {"--longest", OPTION_INT, &c->longest, .least = 1},
        {"--steps", OPTION_LONG, &t->steps},
        {"--batch", OPTION_INT, &t->rows, .least = 1},
        {"--rate", OPTION_REAL, &t->rate, .least = 1e-9},
        {"--warm", OPTION_REAL, &t->warm},
        {"--smoothing", OPTION_REAL, &t->smoothing},
        {"--every", OPTION_LONG, &t->every, .least = 1},
        {"--minutes", OPTION_REAL, &t->minutes},
        {"--seed", OPTION_LONG, &t->seed},
        {"--record", OPTION_FLAG, &t->record},
        {"--beams", OPTION_INT, &t->choice.beams},
        {"--penalty", OPTION_REAL, &t->choice.penalty},
        {"--temperature", OPTION_REAL, &t->choice.temperature},
        {"--top-k", OPTION_INT, &t->choice.top_k},
        {"--top-p", OPTION_REAL, &t->choice.top_p},
        {"--file", OPTION_TEXT, &o->file},
        {"--picture", OPTION_TEXT, &o->picture},
        {"--target", OPTION_TEXT, &o->target},
        {0},
    };
    int count = argc - 1;

    if (!read_options("translate", table, &count, argv + 1))
        return false;
    o->command = count ? argv[1] : NULL;
    o->words = argv + 2;
    o->count = count - 1;
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
    if (!fits(c))
        fprintf(stderr,
                "translate: wanted an even width that %d heads divide, and 1 to 6 layers, not %d and %d\n",
                c->heads, c->width, c->layers);
    else if (t->steps < 1 && t->minutes <= 0)
        fprintf(stderr, "translate: --steps 0 wants --minutes M\n");
    else if (c->dropout >= 1 || t->smoothing >= 1)
        fprintf(stderr, "translate: wanted --dropout and --smoothing below 1, not %g and %g\n", c->dropout,
                t->smoothing);
    else if (t->choice.beams > 64)
        fprintf(stderr, "translate: wanted at most 64 --beams, not %d\n", t->choice.beams);
    else
        return true;
    return false;
}

static int fail(const char *wanted)
{
    fprintf(stderr, "translate: %s; see translate --help\n", wanted);
    return 2;
}

static int run_command(struct options *o)
{
    const char *command = o->command;
    const struct training *t = &o->training;
    if (!strcmp(command, "train"))
        return o->count ? fail("train takes options alone") : train(t) != KILN_OK;
    if (!strcmp(command, "run"))
        return o->count < 1 ? fail("run wants a model's folder")
                            : run(o->words[0], (const char *const *)o->words + 1, o->count - 1, o->file,
                                  &t->choice) != KILN_OK;
    if (!strcmp(command, "test"))
        return o->count != 1 ? fail("test wants a model's folder")
                             : test(o->words[0], &t->source, &t->choice) != KILN_OK;
    if (!strcmp(command, "map"))
        return o->count != 2 || !o->picture
                   ? fail("map wants a model's folder, a text and --picture")
                   : draw_map(o->words[0], o->words[1], o->target, o->picture) != KILN_OK;
    if (!strcmp(command, "export"))
        return o->count != 2 ? fail("export wants a model's folder and a file")
                             : save_onnx(o->words[0], o->words[1], &t->choice) != KILN_OK;
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
    if (!take_options(&o, argc, argv))
        return 2;
    if (o.help) {
        fputs(help, stdout);
        return 0;
    }
    if (!o.command)
        return fail("a command is missing");
    return complete(&o) ? run_command(&o) : 2;
}
