/* sizes.c - one program at many sizes: a ragged last batch, a picture's height and width, and the two errors of sizes. */
#include "expect.h"

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    static float pixels[7 * 2 * 24 * 24];
    float means[7];
    fill(pixels, sizeof pixels / sizeof *pixels, 6);

    TRY(kiln_graph_create(&g, NULL));
    const int64_t h = kiln_dim(g, "height"), width = kiln_dim(g, "width");
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, h, width));
    kiln_tensor weight = kiln_input(g, "weight", KILN_F32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor y = kiln_max_pool(g, x, &(kiln_pool_params){.size = {2, 2}});
    y = kiln_mul(g, kiln_mean(g, y, &(kiln_reduce_params){.axes = KILN_AXES(1, 2, 3)}), weight);
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}));
    const int sizes[][3] = {{7, 24, 24}, {7, 12, 18}, {3, 24, 24}, {1, 5, 7}, {7, 24, 24}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int n = sizes[i][0], rows = sizes[i][1], columns = sizes[i][2];
        float ones[7] = {1, 1, 1, 1, 1, 1, 1};
        double sum = 0;
        TRY(kiln_program_write(p, x, FLOATS(pixels, n, 2, rows, columns)));
        TRY(kiln_program_write(p, weight, FLOATS(ones, n)));
        TRY(kiln_program_run(p));
        kiln_array got = {.data = means, .bytes = sizeof means};
        TRY(kiln_program_read(p, y, &got));
        EXPECT(got.shape.rank == 1 && got.shape.size[0] == n);
        for (int c = 0; c < 2; c++)
            for (int r = 0; r + 1 < rows; r += 2)
                for (int k = 0; k + 1 < columns; k += 2) {
                    const float *at = pixels + (c * rows + r) * columns + k;
                    sum += fmax(fmax(at[0], at[1]), fmax(at[columns], at[columns + 1]));
                }
        EXPECT_NEAR(means[0], sum / (2 * (rows / 2) * (columns / 2)), 1e-5);
    }
    expect_quiet(1);
    EXPECT(kiln_program_write(p, x, FLOATS(pixels, 7, 3, 4, 4)) == KILN_ERROR_SHAPE);
    TRY(kiln_program_write(p, x, FLOATS(pixels, 2, 2, 24, 24)));
    EXPECT(kiln_program_run(p) == KILN_ERROR_SHAPE); /* weight still has 7 rows */
    expect_quiet(0);

    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
