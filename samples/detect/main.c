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
#include <string.h>

#include "../options.h"

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

static bool read_size(const char *text, int size[2])
{
    char end;
    return sscanf(text, "%dx%d%c", &size[0], &size[1], &end) == 2 && size[0] > 0 && size[1] > 0 &&
           size[0] <= 4096 && size[1] <= 4096 && size[0] % 32 == 0 && size[1] % 32 == 0;
}

/* Read a command line: o->paths[0] is the command then, pictures and folders follow it. False, and a line, for what is wrong. */
static bool take_options(struct options *o, bool *asks, int argc, char **argv)
{
    const char *size = NULL;
    const struct option table[] = {
        {"--help", OPTION_FLAG, asks},
        {"--model", OPTION_TEXT, &o->model},
        {"--data", OPTION_TEXT, &o->data},
        {"--split", OPTION_TEXT, &o->split},
        {"--batch", OPTION_INT, &o->batch, .least = 1},
        {"--network", OPTION_TEXT, &o->network},
        {"--size", OPTION_TEXT, &size},
        {"--epochs", OPTION_INT, &o->epochs, .least = 1},
        {"--train", OPTION_TEXT, &o->train},
        {"--flip-y", OPTION_FLAG, &o->flip_y},
        {"--stop", OPTION_INT, &o->stop, .least = 1},
        {"--rows", OPTION_INT, &o->rows, .least = 1},
        {"--rate", OPTION_REAL, &o->rate, .least = 1e-9},
        {"--resume", OPTION_FLAG, &o->resume},
        {"--score", OPTION_REAL, &o->score},
        {"--out", OPTION_TEXT, &o->out},
        {"--kind", OPTION_TEXT, &o->kind},
        {"--names", OPTION_TEXT, &o->names},
        {"--json", OPTION_TEXT, &o->json},
        {0},
    };

    o->paths = argv + 1;
    o->path_count = argc - 1;
    if (!read_options("detect", table, &o->path_count, o->paths))
        return false;
    if (!size || read_size(size, o->size))
        return true;
    fprintf(stderr, "detect: --size wants WxH, multiples of 32 up to 4096, not %s\n", size);
    return false;
}

static const struct command *command_of(const char *name)
{
    for (int i = 0; i < COUNT(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    fprintf(stderr, "detect: there is no command %s; see detect --help\n", name);
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
    bool asks = false;

    if (!take_options(&options, &asks, argc, argv))
        return 2;
    if (asks || !options.path_count) {
        fputs(help, asks ? stdout : stderr);
        return asks ? 0 : 2;
    }
    const struct command *command = command_of(options.paths[0]);
    if (!command)
        return 2;
    options.paths++;
    options.path_count--;
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
