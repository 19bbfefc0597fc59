/*
 * cmd_train.c - kiln train: a network learns to name pictures, from data to a file that others can run. Somebody's ONNX model goes on
 * learning from what it knows.
 *
 * Of the training pictures 1 in 30 is held out to watch how well training goes; the test pictures are looked at once, at the
 * end.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kiln/extend.h>

#include "args.h"
#include "arrays.h"
#include "base/log.h"
#include "base/threads.h"
#include "classifier.h"
#include "commands.h"
#include "config.h"
#include "graph/graph.h"
#include "json.h"
#include "presets.h"
#include "results.h"
#include "train/feed.h"

struct options {
    struct args_list network, freeze, rates, size;
    struct picture_options picture;
    const char *data, *out, *device, *precision;
    int64_t epochs, batch, shift, scale_interval;
    double rate, decay, loss_scale, tune;
    uint64_t seed;
    bool flip, new_head, recompute, resume, json;
};

/* Everything a run holds. */
struct training {
    struct options o;
    kiln_device *dev;
    kiln_dataset *whole, *train, *watched, *test;
    struct classifier net;
    kiln_param_group group[2 * ARGS_MOST]; /* of --freeze, then of --rates */
    char pattern[ARGS_MOST][256];          /* of --rates */
    int groups;
    kiln_weights *weights;
    kiln_precision precision;
    kiln_program *learn, *grade;
    kiln_program_memory memory; /* of a step with a whole batch */
    struct results results;
    int shown; /* the class of the picture that is saved */
    double seconds;
    char path[8][1024];
};

/* What lies in the folder of results, as far as this build can make it. */
enum { CHECKPOINT, WEIGHTS, MODEL, LOG, CURVES, SHEET, CONFUSION, PICTURE };

/* A file that begins with '.' has the network's name before it. */
static const struct artifact {
    const char *file, *what;
    bool made;
} artifacts[] = {
    [CHECKPOINT] = {"checkpoint.safetensors", "all that --resume needs", KILN_HAVE_JSON},
    [WEIGHTS] = {".safetensors", "the trained weights", KILN_HAVE_JSON},
    [MODEL] = {".onnx", "the trained network, for 'kiln run' and others", KILN_HAVE_ONNX},
    [LOG] = {"log.csv", "loss and accuracy by step", true},
    [CURVES] = {"curves.png", "the same drawn", KILN_HAVE_CAIRO},
    [SHEET] = {"sheet.png", "test pictures, and what the network takes them for", KILN_HAVE_CAIRO},
    [CONFUSION] = {"confusion.png", "which class was taken for which", KILN_HAVE_CAIRO},
    [PICTURE] = {"picture.png", "a test picture, for 'kiln run'", KILN_HAVE_PNG},
};

enum { ARTIFACTS = sizeof artifacts / sizeof *artifacts };

/* The path of an artifact; NULL where this build cannot make it. A model holds its weights itself. */
static const char *path_of(const struct training *t, int artifact)
{
    const bool made = artifacts[artifact].made && !(artifact == WEIGHTS && t->net.model);
    return made ? t->path[artifact] : NULL;
}

static bool is_model(const struct training *t)
{
    return strcmp(t->o.network.item[0], "lenet") != 0;
}

/* Preparing ---------------------------------------------------------------------------------------------- */

/* What a network's files are called: lenet, or the model's file without folder and ending. */
static void name_network(const struct training *t, char *name, size_t bytes)
{
    const char *path = t->o.network.item[0], *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    snprintf(name, bytes, "%.*s", (int)(dot && dot > file ? dot - file : (ptrdiff_t)strlen(file)), file);
}

static bool is_same(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static kiln_status name_artifacts(struct training *t)
{
    char name[256];

    name_network(t, name, sizeof name);
    if (mkdir(t->o.out, 0777) && errno != EEXIST)
        return kiln_fail(KILN_ERROR_FILE, "%s: cannot make the folder: %s", t->o.out, strerror(errno));
    for (int i = 0; i < ARTIFACTS; i++) {
        const char *file = artifacts[i].file;
        const int length =
            snprintf(t->path[i], sizeof t->path[i], "%s/%s%s", t->o.out, file[0] == '.' ? name : "", file);
        if (length >= (int)sizeof t->path[i])
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: the name is too long", t->o.out);
    }
    if (is_model(t) && is_same(t->o.network.item[0], t->path[MODEL]))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s would be written over itself: --out another folder",
                         t->path[MODEL]);
    return KILN_OK;
}

/* Whether DIR/NAME is there. */
static bool is_there(const char *dir, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* Pictures as the model takes them, in folders of classes: of both sets, or of one, of which 1 in 5 pictures becomes the test set. */
static kiln_status open_folders(struct training *t)
{
    const char *dir = t->o.data;
    kiln_image_params as = {.shape = classifier_picture(&t->net)};
    const bool two = is_there(dir, "train") && is_there(dir, "test");
    char path[2][1200], text[96];
    kiln_dataset *all = NULL, *parts[2];
    kiln_status status;

    if (as.shape.size[1] < 0 || as.shape.size[2] < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "the model takes pictures %s: --size says how large, as --size %s=224",
                         kiln_graph_shape_text(t->net.model, &as.shape, text, sizeof text),
                         kiln_dim_name(t->net.model, as.shape.size[as.shape.size[1] < 0 ? 1 : 2]));
    if ((status = presets_take("train", &t->o.picture, &as)))
        return status;
    t->results.as = as;
    snprintf(path[0], sizeof path[0], two ? "%s/train" : "%s", dir);
    snprintf(path[1], sizeof path[1], "%s/test", dir);
    if (two) {
        status = kiln_image_folder_open(&t->whole, path[0], &as);
        return status ? status : kiln_image_folder_open(&t->test, path[1], &as);
    }
    status = kiln_image_folder_open(&all, path[0], &as);
    if (!status && !(status = kiln_dataset_split(parts, all, (const double[]){0.8, 0.2}, 2, 1))) {
        t->whole = parts[0];
        t->test = parts[1];
    }
    kiln_dataset_close(&all);
    return status;
}

static kiln_status open_sets(struct training *t)
{
    kiln_status status;

    if (t->o.data && is_model(t) && !is_there(t->o.data, "train-images-idx3-ubyte") &&
        !is_there(t->o.data, "train-images-idx3-ubyte.gz"))
        return open_folders(t);
    if (!presets_are_none(&t->o.picture))
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "options of pictures are for those in folders; these run from 0 to 1");
    if (t->o.data) {
        status = kiln_mnist_open(&t->whole, t->o.data, KILN_SPLIT_TRAIN);
        return status ? status : kiln_mnist_open(&t->test, t->o.data, KILN_SPLIT_TEST);
    }
    status = kiln_digits_open(&t->whole, &(kiln_digits_params){.rows = 12000, .seed = 1});
    return status ? status : kiln_digits_open(&t->test, &(kiln_digits_params){.rows = 2000, .seed = 2});
}

static kiln_status open_data(struct training *t)
{
    kiln_dataset *parts[2];
    kiln_status status = open_sets(t);

    if (!status)
        status = kiln_dataset_split(parts, t->whole, (const double[]){29.0 / 30, 1.0 / 30}, 2, 1);
    if (status)
        return status;
    t->train = parts[0];
    t->watched = parts[1];
    return kiln_dataset_set_params(t->train, &(kiln_dataset_params){.shuffle = true,
                                                                    .seed = t->o.seed,
                                                                    .augment = {.shift = (int)t->o.shift,
                                                                                .flip_x = t->o.flip}});
}

/* What learns, in the precision that was asked for, and what grades it: in float32, as the trained network will run. */
static kiln_status compile(struct training *t)
{
    const struct classifier *c = &t->net;
    const int64_t rows = kiln_dataset_rows(t->train);
    const kiln_size batch = {KILN_BATCH, t->o.batch < rows ? t->o.batch : rows};
    const kiln_program_params learn = {.train = true,
                                       .recompute = t->o.recompute,
                                       .sizes = &batch,
                                       .size_count = 1,
                                       .precision = t->precision,
                                       .run = KILN_RUN(c->step, c->loss, c->accuracy, c->scale)};
    const kiln_program_params grade = {.precision = t->precision == KILN_PRECISION_F64 ? KILN_PRECISION_F64
                                                                                       : KILN_PRECISION_F32,
                                       .run = KILN_RUN(c->accuracy, c->scores)};
    kiln_status status = kiln_program_create(&t->learn, t->dev, c->graph, t->weights, &learn);
    if (!status)
        status = kiln_program_memory_used(t->learn, &t->memory);
    return status ? status : kiln_program_create(&t->grade, t->dev, c->graph, t->weights, &grade);
}

static kiln_status build(struct training *t)
{
    const int64_t rows = kiln_dataset_rows(t->train), batches = (rows + t->o.batch - 1) / t->o.batch;
    const struct classifier_params params = {
        .image = kiln_dataset_column(t->train, kiln_dataset_find(t->train, "image"))->shape,
        .classes = kiln_dataset_column(t->train, kiln_dataset_find(t->train, "label"))->classes,
        .rate = t->o.rate,
        .steps = (double)(t->o.epochs * batches),
        .decay = t->o.decay,
        .loss_scale = t->o.loss_scale,
        .dynamic_scale = t->precision == KILN_PRECISION_F16 && t->o.loss_scale == 0,
        .scale_interval = (int)t->o.scale_interval,
        .new_head = t->o.new_head,
        .groups = t->group,
        .group_count = t->groups,
    };
    kiln_status status;

    if ((status = classifier_build(&t->net, &params)) ||
        (status = classifier_start(&t->net, t->o.seed, &t->weights)))
        return status;
    return compile(t);
}

/* Training ----------------------------------------------------------------------------------------------- */

/* Try the device's ways to compute a step on the first pictures; they come again. What the tuner found before is used without trying. */
static kiln_status tune(struct training *t)
{
    kiln_tune_report report;
    struct kiln_feed feed;
    kiln_batch batch;
    kiln_status status = kiln_feed_bind(&feed, t->learn, t->train);

    if (!status)
        status = kiln_dataset_next(t->train, t->o.batch, &batch);
    if (!status)
        status = kiln_feed_write(&feed, &batch);
    if (!status)
        status = kiln_program_tune(t->learn, &(kiln_tune_params){.budget = t->o.tune}, &report);
    kiln_dataset_rewind(t->train);
    if (!status)
        fprintf(stderr,
                "tuned in %.1f s: of %d classes of work another way won in %d; %d were known, %d left\n",
                report.seconds, report.tried, report.changed, report.known, report.left);
    return status;
}

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static bool go_on(void *user, const kiln_fit_info *info)
{
    (void)user;
    (void)info;
    return !interrupted;
}

static kiln_status learn(struct training *t)
{
    const struct options *o = &t->o;
    kiln_status status;

    signal(SIGINT, interrupt);
    status = kiln_fit(t->learn, t->train,
                      &(kiln_fit_params){.epochs = o->epochs,
                                         .batch = o->batch,
                                         .validation = t->watched,
                                         .grade = t->grade,
                                         .watch = t->net.accuracy,
                                         .checkpoint = path_of(t, CHECKPOINT),
                                         .resume = o->resume,
                                         .csv = t->path[LOG],
                                         .curves = path_of(t, CURVES),
                                         .call = go_on});
    signal(SIGINT, SIG_DFL);
    if (status == KILN_ERROR_STOPPED)
        fprintf(stderr, "kiln train: stopped; with --resume it goes on\n");
    return status;
}

static kiln_status read_weight(void *user, const char *name, kiln_array *dst)
{
    return kiln_weights_read(user, name, dst);
}

/* Write what the deployed network declares: no optimizer's state. */
static kiln_status save_weights(const struct training *t, const kiln_weights *declared)
{
    const int count = kiln_weights_count(declared);
    kiln_safetensors_entry *entries = calloc((size_t)count, sizeof *entries);
    kiln_status status;

    if (!entries)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to list %d tensors", t->path[WEIGHTS], count);
    for (int i = 0; i < count; i++) {
        kiln_safetensors_entry *e = &entries[i];
        *e = (kiln_safetensors_entry){.name = kiln_weights_name(declared, i),
                                      .read = read_weight,
                                      .user = t->weights};
        kiln_weights_find(declared, e->name, &e->type, &e->shape);
    }
    status = kiln_safetensors_save(t->path[WEIGHTS], entries, count, NULL, 0);
    free(entries);
    return status;
}

static kiln_status deploy(const struct training *t)
{
    kiln_weights *declared;
    kiln_status status = kiln_weights_create(&declared, t->net.deployed, NULL);

    if (!status && path_of(t, WEIGHTS))
        status = save_weights(t, declared);
    if (!status && path_of(t, MODEL))
        status = kiln_onnx_save(t->net.deployed, t->weights, t->path[MODEL], NULL);
    kiln_weights_destroy(&declared);
    return status;
}

static kiln_status show(struct training *t)
{
    kiln_status status = results_collect(&t->results, t->grade, &t->net, t->test);

    if (!status)
        status = deploy(t);
    if (!status && path_of(t, SHEET))
        status = results_draw_sheet(&t->results, t->test, t->path[SHEET]);
    if (!status && path_of(t, CONFUSION))
        status = results_draw_confusion(&t->results, t->test, t->path[CONFUSION]);
    if (!status && path_of(t, PICTURE))
        status = results_save_picture(&t->results, t->test, t->path[PICTURE], &t->shown);
    return status;
}

static kiln_status run(struct training *t)
{
    const double began = kiln_seconds();
    kiln_status status;

    if ((status = arrays_precision("train", t->o.precision, &t->precision)) || (status = name_artifacts(t)) ||
        (status = kiln_device_open(&t->dev, &(kiln_device_params){.name = t->o.device})) ||
        (is_model(t) && (status = classifier_read(&t->net, t->o.network.item[0], &t->o.size))) ||
        (status = open_data(t)) || (status = build(t)))
        return status;
    fprintf(stderr,
            "%s on %s: %" PRId64 " pictures to learn from, %" PRId64 " held out, %" PRId64 " to test: %s\n",
            t->o.network.item[0], kiln_device_get_info(t->dev)->title, kiln_dataset_rows(t->train),
            kiln_dataset_rows(t->watched), kiln_dataset_rows(t->test),
            t->o.data ? t->o.data : "generated digits, no handwriting");
    if (t->precision == KILN_PRECISION_F16 && !kiln_device_get_info(t->dev)->half)
        fprintf(stderr, "%s stores no halves: values are float32, and the loss is scaled all the same\n",
                kiln_device_get_info(t->dev)->name);
    if ((t->o.tune > 0 && (status = tune(t))) || (status = learn(t)) || (status = show(t)))
        return status;
    t->seconds = kiln_seconds() - began;
    return KILN_OK;
}

static void finish(struct training *t)
{
    results_finish(&t->results);
    kiln_program_destroy(&t->grade);
    kiln_program_destroy(&t->learn);
    kiln_weights_destroy(&t->weights);
    classifier_destroy(&t->net);
    kiln_dataset_close(&t->test);
    kiln_dataset_close(&t->watched);
    kiln_dataset_close(&t->train);
    kiln_dataset_close(&t->whole);
    kiln_device_close(&t->dev);
}

/* Saying what came of it --------------------------------------------------------------------------------- */

static void print_text(const struct training *t)
{
    printf("test accuracy %.2f %% on %s, in %.0f s\n", 100 * kiln_confusion_accuracy(t->results.confusion),
           t->o.data ? t->o.data : "generated digits", t->seconds);
    printf("a step takes %.1f MiB beside the weights' %.1f MiB\n",
           (double)(t->memory.scratch + t->memory.threads) / (1 << 20),
           (double)t->memory.weights / (1 << 20));
    for (int i = 0; i < ARTIFACTS; i++)
        if (path_of(t, i))
            printf("  %-32s  %s\n", t->path[i], artifacts[i].what);
}

static void print_json(const struct training *t)
{
    struct json j = {0};

    json_open(&j, NULL, '{');
    json_text(&j, "network", t->o.network.item[0]);
    json_text(&j, "data", t->o.data ? t->o.data : "generated");
    json_text(&j, "device", kiln_device_get_info(t->dev)->name);
    json_number(&j, "epochs", (double)t->o.epochs);
    json_number(&j, "test_accuracy", kiln_confusion_accuracy(t->results.confusion));
    json_number(&j, "seconds", t->seconds);
    json_number(&j, "step_bytes", (double)(t->memory.scratch + t->memory.threads));
    json_number(&j, "weights_bytes", (double)t->memory.weights);
    json_number(&j, "picture_class", t->shown);
    json_open(&j, "files", '[');
    for (int i = 0; i < ARTIFACTS; i++)
        if (path_of(t, i))
            json_text(&j, NULL, t->path[i]);
    json_close(&j);
    json_close(&j);
}

/* Patterns of --freeze, and of --rates with their factors. */
static bool take_groups(struct training *t)
{
    const struct options *o = &t->o;

    for (int i = 0; i < o->freeze.count; i++)
        t->group[t->groups++] = (kiln_param_group){.match = o->freeze.item[i], .frozen = true};
    for (int i = 0; i < o->rates.count; i++) {
        char *end;
        const char *number = arrays_split(o->rates.item[i], t->pattern[i], sizeof t->pattern[i]);
        const double rate = strtod(number, &end);
        if (!t->pattern[i][0] || end == number || *end || !(rate > 0)) {
            args_wrong("train", "--rates \"%s\": wanted PATTERN=X, a factor above 0", o->rates.item[i]);
            return false;
        }
        t->group[t->groups++] = (kiln_param_group){.match = t->pattern[i], .rate = rate};
    }
    return true;
}

/* Options that ask for what is not there are told. */
static bool fits_together(const struct training *t)
{
    const struct options *o = &t->o;

    if (is_model(t) && !arrays_ends_with(o->network.item[0], ".onnx"))
        args_wrong("train", "there is no network \"%s\", only lenet and ONNX models", o->network.item[0]);
    else if (!is_model(t) && o->new_head)
        args_wrong("train", "--head is of a model; lenet has no other");
    else if (o->scale_interval > INT32_MAX)
        args_wrong("train", "--scale-interval %" PRId64 " is too large", o->scale_interval);
    else
        return true;
    return false;
}

static bool parse(struct options *o, int argc, char **argv, int *code)
{
    const struct args args = {
        .command = "train",
        .operands = "lenet | MODEL.onnx",
        .least = 1,
        .most = 1,
        .given = &o->network,
        .about =
            "Train a network to name pictures, and write it to a folder with what shows how well it does it.\n"
            "A model goes on from what it has learned, on all its parameters or those that are left to learn.\n"
            "Ctrl-C stops after a step and keeps what was learned: --resume goes on.",
        .options =
            (const struct args_option[]){
                {"data", "DIR", ARGS_TEXT, &o->data,
                 "the files of MNIST or Fashion-MNIST; without it: generated digits. Of a model also pictures in "
                 "folders of classes, CLASS/NAME.png, or train/CLASS/.. and test/CLASS/.."},
                {"out", "DIR", ARGS_TEXT, &o->out, "the folder for the results (default: out)"},
                {"epochs", "N", ARGS_COUNT, &o->epochs, "passes over the pictures (default: 4)"},
                {"batch", "N", ARGS_COUNT, &o->batch, "pictures a step (default: 64)"},
                {"rate", "X", ARGS_NUMBER, &o->rate,
                 "the highest learning rate (default: 0.004, of a model 0.001)"},
                {"decay", "X", ARGS_NUMBER, &o->decay, "weight decay (default: 0.01)"},
                {"precision", "NAME", ARGS_TEXT, &o->precision,
                 "f32, or f16: activations and their gradients are stored as halves where the device can; weights, sums and the "
                 "optimizer stay float32. The loss is scaled: steps that overflow are left out and halve the scale. f64 on the CPU "
                 "(default: f32)"},
                {"recompute", NULL, ARGS_FLAG, &o->recompute,
                 "keep few activations for the backward pass and compute the others again: less memory, for up to one more forward "
                 "pass of time a step"},
                {"tune", "SECONDS", ARGS_NUMBER, &o->tune,
                 "first try the ways that the device has for a step, for so long, and use the fastest, which are remembered: less time, "
                 "other last bits"},
                {"loss-scale", "X", ARGS_NUMBER, &o->loss_scale,
                 "a fixed factor of the loss, best a power of two (default: none; with f16 65536 at first, as it proves)"},
                {"scale-interval", "N", ARGS_COUNT, &o->scale_interval,
                 "with f16: twice the scale behind so many steps without overflow (default: 2000)"},
                {"freeze", "PATTERN", ARGS_LIST, &o->freeze,
                 "parameters of such names stay as they are; * and ? match"},
                {"rates", "PATTERN=X", ARGS_LIST, &o->rates,
                 "those learn at X times the rate, as in 'conv*=0.1'"},
                {"head", NULL, ARGS_FLAG, &o->new_head,
                 "of a model: another last layer, of as many classes as the data has"},
                {"size", "NAME=N", ARGS_LIST, &o->size, "a size that a model leaves open"},
                PICTURE_OPTIONS(o->picture),
                {"shift", "N", ARGS_COUNT, &o->shift, "move pictures at random by up to N pixels"},
                {"flip", NULL, ARGS_FLAG, &o->flip, "mirror pictures at random: clothes, not digits"},
                {"seed", "N", ARGS_SEED, &o->seed, "other seeds, other starts and orders (default: 0)"},
                {"device", "NAME", ARGS_TEXT, &o->device, "as 'kiln devices' lists them"},
                {"resume", NULL, ARGS_FLAG, &o->resume, "go on from the checkpoint in the folder"},
                {"json", NULL, ARGS_FLAG, &o->json, "print the results as one JSON document"},
                {0}},
    };
    return args_parse(&args, argc, argv, code);
}

int cmd_train(int argc, char **argv)
{
    struct training t = {.o = {.out = "out", .epochs = 4, .batch = 64, .decay = 1e-2}};
    struct options *o = &t.o;
    kiln_status status;
    int code;

    if (!parse(o, argc, argv, &code))
        return code;
    if (!fits_together(&t) || !take_groups(&t))
        return ARGS_WRONG;
    if (o->rate == 0)
        o->rate = is_model(&t) ? 1e-3 : 4e-3;
    status = run(&t);
    if (!status && o->json)
        print_json(&t);
    else if (!status)
        print_text(&t);
    finish(&t);
    return status ? ARGS_FAILED : ARGS_DONE;
}
