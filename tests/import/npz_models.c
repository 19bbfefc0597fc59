/* npz_models.c - weights that PyTorch learned, as .npz files with its names, in networks of the same names. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/external.h"
#include "support/support.h"

static void ok(kiln_status status)
{
    cr_assert(status == KILN_OK, "%s", kiln_status_text(status));
}

/* A parameter or state "PREFIX.NAME". */
static const char *named(const char *prefix, const char *name)
{
    static char text[4][64];
    static int turn;
    char *to = text[turn++ % 4];
    snprintf(to, sizeof text[0], "%s.%s", prefix, name);
    return to;
}

static kiln_tensor conv(kiln_graph *g, kiln_tensor x, const char *name, int64_t filters, int stride)
{
    const kiln_shape filter = KILN_SHAPE(filters, kiln_tensor_shape(g, x).size[1], 3, 3);
    return kiln_conv(g, x, kiln_parameter(g, named(name, "weight"), filter, NULL), KILN_NONE,
                     &(kiln_conv_params){.pad = {{1, 1}, {1, 1}}, .stride = {stride, stride}});
}

static kiln_tensor norm(kiln_graph *g, kiln_tensor x, const char *name)
{
    const kiln_shape channels = KILN_SHAPE(kiln_tensor_shape(g, x).size[1]);
    const kiln_tensor scale = kiln_parameter(g, named(name, "weight"), channels, NULL),
                      bias = kiln_parameter(g, named(name, "bias"), channels, NULL);
    const kiln_tensor mean =
                          kiln_state(g, named(name, "running_mean"), KILN_F32, channels, KILN_STORE_WEIGHTS),
                      variance =
                          kiln_state(g, named(name, "running_var"), KILN_F32, channels, KILN_STORE_WEIGHTS);
    return kiln_batch_norm(g, x, scale, bias, mean, variance, NULL);
}

/* Where maps shrink, every second row and column, and channels of zeros on both sides (He 2015, option A). */
static kiln_tensor shortcut(kiln_graph *g, kiln_tensor x, int64_t filters, int stride)
{
    const int64_t more = (filters - kiln_tensor_shape(g, x).size[1]) / 2, sides[4] = {0, more, 0, 0};
    if (stride == 1)
        return x;
    x = kiln_slice(g, kiln_slice(g, x, 2, 0, KILN_END, 2), 3, 0, KILN_END, 2);
    return kiln_pad(g, x, sides, sides, 0);
}

static kiln_tensor block(kiln_graph *g, kiln_tensor x, int64_t filters, int stride)
{
    kiln_tensor y = kiln_relu(g, norm(g, conv(g, x, "conv1", filters, stride), "bn1"));
    y = norm(g, conv(g, y, "conv2", filters, 1), "bn2");
    return kiln_relu(g, kiln_add(g, y, shortcut(g, x, filters, stride)));
}

static kiln_tensor resnet20(kiln_graph *g, kiln_tensor x)
{
    char name[32];
    x = kiln_relu(g, norm(g, conv(g, x, "conv1", 16, 1), "bn1"));
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "layer%d.%d", i / 3 + 1, i % 3);
        kiln_scope_open(g, name);
        x = block(g, x, 16 << i / 3, i == 3 || i == 6 ? 2 : 1);
        kiln_scope_close(g);
    }
    x = kiln_flatten(g, kiln_global_average_pool(g, x), 1);
    x = kiln_matmul(g, x, kiln_parameter(g, "linear.weight", KILN_SHAPE(10, 64), NULL),
                    &(kiln_matmul_params){.transpose_b = true});
    return kiln_add(g, x, kiln_parameter(g, "linear.bias", KILN_SHAPE(10), NULL));
}

enum { CLASSES = 10, EACH = 20, IN_CLASS = 1000, PICTURES = CLASSES * EACH };

/* The network with what it learned, and the first pictures of each class. */
struct classifier {
    kiln_graph *g;
    kiln_weights *w;
    kiln_tensor image, sure;
    float picture[PICTURES][3 * 32 * 32];
};

static void keep_pictures(struct classifier *c, kiln_dataset *ds)
{
    kiln_batch b;
    for (int row = 0; row < CLASSES * IN_CLASS; row += EACH) {
        ok(kiln_dataset_next(ds, EACH, &b));
        if (row % IN_CLASS == 0)
            memcpy(c->picture[row / IN_CLASS * EACH], b.column[0].data, EACH * sizeof *c->picture);
    }
}

static void open_pictures(struct classifier *c, const char *dir)
{
    const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
    kiln_image_params as = {.shape = KILN_SHAPE(3, 32, 32)};
    kiln_dataset *ds = NULL;
    char path[1200];
    snprintf(path, sizeof path, "%s/cifar10-jpeg/test", dir);
    memcpy(as.mean, mean, sizeof mean);
    memcpy(as.deviation, deviation, sizeof deviation);
    ok(kiln_image_folder_open(&ds, path, &as));
    keep_pictures(c, ds);
    kiln_dataset_close(&ds);
}

static struct classifier *open_classifier(void)
{
    static struct classifier c;
    char path[1200];
    const char *dir = NULL;
    if (!kiln_test_external("cifar10-jpeg") || !(dir = kiln_test_external("models")))
        cr_skip("models and cifar10-jpeg are not at hand");
    ok(kiln_graph_create(&c.g, NULL));
    c.image = kiln_input(c.g, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 32, 32));
    c.sure = kiln_softmax(c.g, resnet20(c.g, c.image), 1);
    ok(kiln_weights_create(&c.w, c.g, NULL));
    snprintf(path, sizeof path, "%s/models/resnet_cifar10/resnet20-12fca82f.npz", dir);
    ok(kiln_weights_load_npz(c.w, path, NULL));
    open_pictures(&c, kiln_test_external("cifar10-jpeg"));
    return &c;
}

static void close_classifier(struct classifier *c)
{
    kiln_weights_destroy(&c->w);
    kiln_graph_destroy(&c->g);
}

/* How sure it is of each class, of each picture. */
static void classify(const struct classifier *c, const char *device, kiln_precision precision,
                     float (*sure)[CLASSES])
{
    kiln_device *dev = kiln_test_open(device);
    kiln_program *p = NULL;
    ok(kiln_program_create(&p, dev, c->g, c->w,
                           &(kiln_program_params){.run = KILN_RUN(c->sure), .precision = precision}));
    for (int i = 0; i < PICTURES; i += EACH) {
        ok(kiln_program_write(p, c->image,
                              &(kiln_array){.data = (void *)(uintptr_t)c->picture[i],
                                            .shape = KILN_SHAPE(EACH, 3, 32, 32)}));
        ok(kiln_program_run(p));
        ok(kiln_program_read(p, c->sure, &(kiln_array){.data = sure[i], .bytes = EACH * sizeof *sure}));
    }
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

static int best_of(const float *sure)
{
    int best = 0;
    for (int i = 1; i < CLASSES; i++)
        best = sure[i] > sure[best] ? i : best;
    return best;
}

Test(npz_models, resnet_20_knows_160_of_200_pictures)
{
    static float sure[PICTURES][CLASSES];
    struct classifier *c = open_classifier();
    int right = 0;
    classify(c, "cpu", KILN_PRECISION_F32, sure);
    for (int i = 0; i < PICTURES; i++)
        right += best_of(sure[i]) == i / EACH;
    cr_expect(right >= 158 && right <= 162,
              "%d of 200, wanted 160, or two more or less by another JPEG decoder", right);
    close_classifier(c);
}

/*
 * 20 layers of values in 11 bits: each rounds by 2^-12 of what it holds, and errors of that size add up like a walk at random, to some
 * 2^-9 of the largest score, which is about 20: a hundredth or two between scores, where a probability changes by a quarter of that at
 * the most. The bound is four times what comes of it.
 */
#define HALVES 0.02f

static void expect_alike(const char *device, float (*halves)[CLASSES], float (*floats)[CLASSES])
{
    kiln_device *dev = kiln_test_open(device);
    const bool has_halves = kiln_device_get_info(dev)->half;
    float worst = 0;
    kiln_test_close(&dev);
    for (int i = 0; i < PICTURES; i++) {
        const int best = best_of(floats[i]), other = best_of(halves[i]);
        for (int k = 0; k < CLASSES; k++)
            worst = fmaxf(worst, fabsf(halves[i][k] - floats[i][k]));
        cr_expect(best == other || floats[i][best] - floats[i][other] < 2 * HALVES,
                  "picture %d on %s: %d in halves, %d in floats", i, device, other, best);
    }
    cr_expect(worst < HALVES, "%s: a probability differs by %g", device, (double)worst);
    cr_expect(worst > 0 || !has_halves, "%s: nothing was in halves", device);
}

Test(npz_models, resnet_20_in_halves_says_the_same_on_every_device)
{
    static float floats[PICTURES][CLASSES], halves[PICTURES][CLASSES];
    struct classifier *c = open_classifier();
    classify(c, "cpu", KILN_PRECISION_F32, floats);
    for (int d = 0; kiln_test_device(d); d++) {
        classify(c, kiln_test_device(d), KILN_PRECISION_F16, halves);
        expect_alike(kiln_test_device(d), halves, floats);
    }
    close_classifier(c);
}

Test(npz_models, what_does_not_fit_changes_nothing)
{
    float values[2] = {3, 4}, got[2] = {0};
    char path[64];
    const char *names[] = {"a", "b"};
    const kiln_array arrays[] = {{.data = values, .bytes = sizeof values, .shape = KILN_SHAPE(2)},
                                 {.data = values, .bytes = sizeof *values, .shape = KILN_SHAPE(1)}};
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    snprintf(path, sizeof path, "/tmp/kiln_npz_models_%d.npz", (int)getpid());
    ok(kiln_graph_create(&g, NULL));
    kiln_parameter(g, "a", KILN_SHAPE(2), &(kiln_init){.kind = KILN_INIT_ZEROS});
    kiln_parameter(g, "b", KILN_SHAPE(2), &(kiln_init){.kind = KILN_INIT_ZEROS});
    ok(kiln_weights_create(&w, g, NULL));
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    ok(kiln_npz_save(path, names, arrays, 2));
    cr_expect(kiln_weights_load_npz(w, path, NULL) == KILN_ERROR_SHAPE);
    ok(kiln_weights_read(w, "a", &(kiln_array){.data = got, .bytes = sizeof got}));
    cr_expect(got[0] == 0 && got[1] == 0);
    ok(kiln_npz_save(path, names, arrays, 1));
    cr_expect(kiln_weights_load_npz(w, path, NULL) == KILN_ERROR_ARGUMENT);
    ok(kiln_weights_load_npz(w, path, &(kiln_load_params){.partial = true}));
    ok(kiln_weights_read(w, "a", &(kiln_array){.data = got, .bytes = sizeof got}));
    cr_expect(got[0] == 3 && got[1] == 4);
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

/* An optimizer's moments come before the optimizer does. */
Test(npz_models, a_file_brings_arenas_of_known_parameters)
{
    float values[2] = {3, 4}, got[2] = {0};
    char path[64];
    const char *names[] = {"optimizer.m/a", "optimizer.m/b"};
    const kiln_array moment = {.data = values, .bytes = sizeof values, .shape = KILN_SHAPE(2)},
                     shorter[] = {{.data = got, .bytes = sizeof *got, .shape = KILN_SHAPE(1)}},
                     both[] = {moment, moment};
    const kiln_load_params partial = {.partial = true};
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_type type;
    kiln_shape shape;
    snprintf(path, sizeof path, "/tmp/kiln_npz_arena_%d.npz", (int)getpid());
    ok(kiln_graph_create(&g, NULL));
    kiln_parameter(g, "a", KILN_SHAPE(2), NULL);
    ok(kiln_weights_create(&w, g, NULL));
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    ok(kiln_npz_save(path, names, shorter, 1));
    cr_expect(kiln_weights_load_npz(w, path, &partial) == KILN_ERROR_SHAPE);
    ok(kiln_npz_save(path, names, both, 2));
    ok(kiln_weights_load_npz(w, path, &partial));
    ok(kiln_weights_read(w, "optimizer.m/a", &(kiln_array){.data = got, .bytes = sizeof got}));
    cr_expect(got[0] == 3 && got[1] == 4);
    cr_expect(kiln_weights_find(w, "optimizer.m/b", &type, &shape) == false, "b is no parameter");
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}
