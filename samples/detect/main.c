/*
 * main.c - find things in pictures: a detector is trained, judged and run, on whatever device there is.
 *
 *   detect train                        learn generated shapes and digits: two minutes
 *   detect train --data FOLDER          learn what is annotated in a folder of your own (Pascal VOC's form, or COCO's)
 *   detect run PICTURE                  draw what is found
 *   detect eval                         say how well it does
 */
#include "detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: detect train [OPTION...]\n"
    "       detect run [OPTION...] PICTURE|FOLDER...\n"
    "       detect eval [OPTION...]\n"
    "       detect time [OPTION...]\n"
    "\n"
    "Train a network to find things in pictures, let it find them, say how well it does, or how long it takes.\n"
    "\n"
    "common\n"
    "  --model NAME      the model: NAME.safetensors and NAME.txt; default: detect\n"
    "  --data FOLDER     pictures in Pascal VOC's form, with lists of the splits in ImageSets/Main, or in COCO's,\n"
    "                    as SPLIT.json and a folder SPLIT of pictures; default: generated shapes and digits\n"
    "  --split NAME      the split to judge by; default: val in training, test in eval\n"
    "  --batch N         pictures at once; default: 16\n"
    "\n"
    "train, time\n"
    "  --network NAME    yolo, ssd, two-stage or windows; default: yolo\n"
    "  --size WxH        what pictures are brought to, multiples of 32; default: 128x128\n"
    "\n"
    "train\n"
    "  --epochs N        passes over the data; default: 8\n"
    "  --rows N          generated pictures; default: 2000\n"
    "  --rate R          of learning, at most; default: 0.002\n"
    "  --train NAME      the split to learn from; default: train\n"
    "  --flip-y          pictures may stand on their heads, as under a microscope\n"
    "  --stop N          stop after so many epochs of them all, as if interrupted\n"
    "  --resume          go on where an interrupted training stood (NAME.checkpoint)\n"
    "\n"
    "run, eval\n"
    "  --score S         show what is at least so sure; default: 0.4\n"
    "  --json FILE       what was found, in COCO's form of results\n"
    "  --out FOLDER      draw what was found into this folder, which is there; default: run draws beside the picture,\n"
    "                    PICTURE.found.png, eval does not draw\n"
    "\n"
    "run\n"
    "  --model NAME.onnx a detector of others: FastestDet or UltraFace\n"
    "  --kind NAME       how to read it: fastestdet, fastestdet-decoded, ultraface, ultraface-simplified; default: the\n"
    "                    first of them that its shapes fit\n"
    "  --names FILE      the names of its classes, a line each\n"
    "\n"
    "The device is that of the environment's KILN_DEVICE (kiln devices lists them), else the best GPU, else the CPU.\n";

struct command {
    const char *name;
    kiln_status (*run)(kiln_device *dev, const struct options *o);
};

static const struct command commands[] = {
    {"train", command_train}, {"run", command_run}, {"eval", command_eval}, {"time", command_time}};

/* Options ------------------------------------------------------------------------------------------------- */

enum kind { TEXT, COUNT_OF, REAL, SIZE, FLAG };

static const struct option {
    const char *name;
    enum kind kind;
    size_t at; /* in struct options */
} table[] = {
    {"--model", TEXT, offsetof(struct options, model)},
    {"--data", TEXT, offsetof(struct options, data)},
    {"--split", TEXT, offsetof(struct options, split)},
    {"--batch", COUNT_OF, offsetof(struct options, batch)},
    {"--network", TEXT, offsetof(struct options, network)},
    {"--size", SIZE, offsetof(struct options, size)},
    {"--epochs", COUNT_OF, offsetof(struct options, epochs)},
    {"--train", TEXT, offsetof(struct options, train)},
    {"--flip-y", FLAG, offsetof(struct options, flip_y)},
    {"--stop", COUNT_OF, offsetof(struct options, stop)},
    {"--rows", COUNT_OF, offsetof(struct options, rows)},
    {"--rate", REAL, offsetof(struct options, rate)},
    {"--resume", FLAG, offsetof(struct options, resume)},
    {"--score", REAL, offsetof(struct options, score)},
    {"--out", TEXT, offsetof(struct options, out)},
    {"--kind", TEXT, offsetof(struct options, kind)},
    {"--names", TEXT, offsetof(struct options, names)},
    {"--json", TEXT, offsetof(struct options, json)},
};

static bool read_size(const char *text, int size[2])
{
    char end;
    return sscanf(text, "%dx%d%c", &size[0], &size[1], &end) == 2 && size[0] > 0 && size[1] > 0 &&
           size[0] <= 4096 && size[1] <= 4096 && size[0] % 32 == 0 && size[1] % 32 == 0;
}

static bool read_real(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end && *value > 0 && *value < 1e6;
}

static bool read_count(const char *text, int *count)
{
    char *end;
    const long value = strtol(text, &end, 10);
    *count = (int)value;
    return end != text && !*end && value > 0 && value <= 100000000;
}

static bool read_value(enum kind kind, char *text, void *to)
{
    switch (kind) {
    case TEXT:
        *(const char **)to = text;
        return true;
    case COUNT_OF:
        return read_count(text, to);
    case REAL:
        return read_real(text, to);
    case SIZE:
        return read_size(text, to);
    case FLAG:
        break;
    }
    return false;
}

/* The option of that name. */
static const struct option *option_of(const char *name)
{
    for (int i = 0; i < COUNT(table); i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

/* Read what follows the command; what is no option is moved to the front of argv. False, and a line, for what is wrong. */
static bool read_options(struct options *o, int argc, char **argv)
{
    o->paths = argv;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2)) {
            argv[o->path_count++] = argv[i];
            continue;
        }
        const struct option *option = option_of(argv[i]);
        if (!option) {
            fprintf(stderr, "detect: no option %s; detect --help lists them\n", argv[i]);
            return false;
        }
        void *to = (char *)o + option->at;
        if (option->kind == FLAG) {
            *(bool *)to = true;
        } else if (++i >= argc || !read_value(option->kind, argv[i], to)) {
            fprintf(stderr, "detect: %s cannot be %s\n", option->name,
                    i < argc ? argv[i] : "without a value");
            return false;
        }
    }
    return true;
}

static const struct command *command_of(const char *name)
{
    for (int i = 0; i < COUNT(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    fprintf(stderr, "detect: no command \"%s\"; detect --help lists them\n", name);
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options = {.model = "detect",
                              .network = "yolo",
                              .train = "train",
                              .batch = 16,
                              .size = {128, 128},
                              .epochs = 8,
                              .rows = 2000,
                              .rate = 2e-3,
                              .score = 0.4};
    kiln_device *dev = NULL;
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(help, stdout);
        return 0;
    }
    if (argc < 2) {
        fputs(help, stderr);
        return 2;
    }
    const struct command *command = command_of(argv[1]);
    if (!command || !read_options(&options, argc - 2, argv + 2))
        return 2;
    if ((command->run == command_run) != (options.path_count > 0)) {
        fprintf(stderr, "detect: %s takes %s\n", command->name,
                options.path_count ? "no pictures" : "pictures or folders of them");
        return 2;
    }
    kiln_status status = kiln_device_open(&dev, NULL);
    if (!status)
        status = command->run(dev, &options);
    kiln_device_close(&dev);
    return status != KILN_OK;
}
