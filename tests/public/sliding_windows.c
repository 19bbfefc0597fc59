/*
 * sliding_windows.c - a classifier of crops, applied to a whole picture by convolution (Sermanet et al., "OverFeat", 2014), says of every
 * window what it says of the crop, at two sizes of pictures, with one set of weights.
 */
#include "expect.h"

enum { SIDE = 16, STEP = 2, CLASSES = 5, MOST = 40, FEATURES = 12, LAST = 4 };

/* [N, 1, h, w] -> [N, FEATURES, (h - 8) / 2, (w - 8) / 2]: of a crop of SIDE, LAST x LAST. */
static kiln_tensor features(kiln_graph *g, kiln_tensor x)
{
    kiln_tensor y = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 8, .size = {5, 5}, .name = "first"});
    y = kiln_max_pool(g, kiln_relu(g, y), &(kiln_pool_params){.size = {2, 2}, .stride = {2, 2}});
    y = kiln_nn_conv(g, y, &(kiln_nn_conv_params){.filters = FEATURES, .size = {3, 3}, .name = "second"});
    return kiln_relu(g, y);
}

static kiln_tensor head(kiln_graph *g)
{
    return kiln_parameter(g, "head", KILN_SHAPE(CLASSES, FEATURES * LAST * LAST), NULL);
}

/* As it is trained: rows of features times the head. */
static kiln_tensor classify(kiln_graph *g, kiln_tensor crops)
{
    const kiln_tensor rows =
        kiln_reshape(g, features(g, crops), KILN_SHAPE(KILN_BATCH, FEATURES * LAST * LAST));
    return kiln_matmul(g, rows, head(g), &(kiln_matmul_params){.transpose_b = true});
}

/* As it slides: the head is a filter as large as a crop's features. */
static kiln_tensor slide(kiln_graph *g, kiln_tensor picture)
{
    const kiln_tensor filters = kiln_reshape(g, head(g), KILN_SHAPE(CLASSES, FEATURES, LAST, LAST));
    return kiln_conv(g, features(g, picture), filters, KILN_NONE, NULL);
}

static void check_picture(kiln_program *crop_by_crop, kiln_program *at_once, const kiln_tensor *of,
                          const float *picture, int64_t height, int64_t width)
{
    const int64_t down = (height - SIDE) / STEP + 1, across = (width - SIDE) / STEP + 1,
                  windows = down * across;
    static float crops[13 * 13 * SIDE * SIDE], one[13 * 13 * CLASSES], other[13 * 13 * CLASSES];
    kiln_array got = {.data = other, .bytes = sizeof other};
    float *to = crops;

    for (int64_t n = 0; n < windows; n++)
        for (int64_t i = 0; i < SIDE; i++, to += SIDE)
            memcpy(to, picture + (n / across * STEP + i) * width + n % across * STEP, SIDE * sizeof *to);
    TRY(kiln_program_write(crop_by_crop, of[0], FLOATS(crops, windows, 1, SIDE, SIDE)));
    TRY(kiln_program_run(crop_by_crop));
    TRY(kiln_program_read(crop_by_crop, of[1], INTO(one)));
    TRY(kiln_program_write(at_once, of[2], FLOATS((float *)(uintptr_t)picture, 1, 1, height, width)));
    TRY(kiln_program_run(at_once));
    TRY(kiln_program_read(at_once, of[3], &got));
    EXPECT(got.shape.rank == 4 && got.shape.size[2] == down && got.shape.size[3] == across);
    for (int64_t n = 0; n < windows; n++)
        for (int64_t c = 0; c < CLASSES; c++)
            EXPECT_NEAR(other[c * windows + n], one[n * CLASSES + c],
                        1e-5); /* 192 products, added in another order */
}

static void run(const char *device)
{
    static const int64_t sizes[][2] = {{16, 16}, {40, 32}, {33, 40}};
    static float picture[MOST * MOST];
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *crop_by_crop = NULL, *at_once = NULL;
    kiln_tensor of[4]; /* crops and their classes, a picture and its windows' */

    fill(picture, MOST * MOST, 11);
    TRY(kiln_graph_create(&g, NULL));
    of[0] = kiln_input(g, "crops", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, SIDE, SIDE));
    of[1] = classify(g, of[0]);
    of[2] = kiln_input(g, "picture", KILN_F32, KILN_SHAPE(1, 1, kiln_dim(g, "height"), kiln_dim(g, "width")));
    of[3] = slide(g, of[2]);
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_program_create(&crop_by_crop, dev, g, w, &(kiln_program_params){.run = KILN_RUN(of[1])}));
    TRY(kiln_program_create(&at_once, dev, g, w, &(kiln_program_params){.run = KILN_RUN(of[3])}));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_picture(crop_by_crop, at_once, of, picture, sizes[i][0], sizes[i][1]);

    kiln_program_destroy(&crop_by_crop);
    kiln_program_destroy(&at_once);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
