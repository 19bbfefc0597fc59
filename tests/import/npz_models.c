/* npz_models.c - weights that PyTorch learned, as .npz files with its names, in networks of the same names. */
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

enum { CLASSES = 10, EACH = 20, IN_CLASS = 1000 };

/* How many of the first pictures of each class get their class. */
static int count_right(kiln_program *p, kiln_tensor image, kiln_tensor guess, kiln_dataset *ds)
{
    int32_t found[EACH];
    int right = 0;
    kiln_batch b;
    for (int row = 0; row < CLASSES * IN_CLASS; row += EACH) {
        ok(kiln_dataset_next(ds, EACH, &b));
        if (row % IN_CLASS)
            continue;
        ok(kiln_program_write(p, image, &b.column[0]));
        ok(kiln_program_run(p));
        ok(kiln_program_read(p, guess, &(kiln_array){.data = found, .bytes = sizeof found}));
        for (int i = 0; i < EACH; i++)
            right += found[i] == row / IN_CLASS;
    }
    return right;
}

Test(npz_models, resnet_20_knows_160_of_200_pictures)
{
    const char *dir = kiln_test_external("models");
    const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
    kiln_image_params as = {.shape = KILN_SHAPE(3, 32, 32)};
    kiln_device *dev = kiln_test_open("cpu");
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_dataset *ds = NULL;
    char path[1200];
    if (!dir)
        cr_skip("models is not at hand");
    ok(kiln_graph_create(&g, NULL));
    const kiln_tensor image = kiln_input(g, "image", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 32, 32));
    const kiln_tensor guess = kiln_argmax(g, resnet20(g, image), 1, false);
    ok(kiln_weights_create(&w, g, NULL));
    snprintf(path, sizeof path, "%s/models/resnet_cifar10/resnet20-12fca82f.npz", dir);
    ok(kiln_weights_load_npz(w, path, NULL));
    ok(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(guess)}));

    if (!(dir = kiln_test_external("cifar10-jpeg")))
        cr_skip("cifar10-jpeg is not at hand");
    snprintf(path, sizeof path, "%s/cifar10-jpeg/test", dir);
    memcpy(as.mean, mean, sizeof mean);
    memcpy(as.deviation, deviation, sizeof deviation);
    ok(kiln_image_folder_open(&ds, path, &as));
    const int right = count_right(p, image, guess, ds);
    cr_expect(right >= 158 && right <= 162,
              "%d of 200, wanted 160, or two more or less by another JPEG decoder", right);

    kiln_dataset_close(&ds);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
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
