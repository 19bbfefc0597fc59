/* halves.c - F16 into programs and out of them, and kept between runs, on devices that store halves and on others. */
#include <math.h>

#include <kiln/kiln.h>

#include "base/half.h"
#include "support/support.h"

/* A program of g's outputs on a device, with a session. */
struct rig {
    kiln_device *dev;
    kiln_weights *w;
    kiln_session *s;
    kiln_program *p;
};

static struct rig rig_open(const kiln_graph *g, const kiln_tensor *run, const char *device)
{
    struct rig r = {.dev = kiln_test_open(device)};
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    cr_assert_eq(kiln_weights_create(&r.w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_session_create(&r.s, g), KILN_OK);
    const kiln_program_params params = {.run = run, .session = r.s, .train = true};
    cr_assert_eq(kiln_program_create(&r.p, r.dev, g, r.w, &params), KILN_OK);
    return r;
}

static void rig_close(struct rig *r)
{
    kiln_program_destroy(&r->p);
    kiln_session_destroy(&r->s);
    kiln_weights_destroy(&r->w);
    kiln_test_close(&r->dev);
}

static void write_halves(struct rig *r, kiln_tensor x, const uint16_t *values, int64_t count)
{
    const kiln_array array = {.type = KILN_F16,
                              .shape = KILN_SHAPE(count),
                              .data = (void *)(uintptr_t)values};
    cr_assert_eq(kiln_program_write(r->p, x, &array), KILN_OK);
    cr_assert_eq(kiln_program_run(r->p), KILN_OK);
}

/* Signed zero, a subnormal, the smallest and largest normal ones, infinities, a NaN. */
static const uint16_t special[] = {0x0000, 0x8000, 0x3c00, 0xc200, 0x0001, 0x83ff,
                                   0x0400, 0x7bff, 0xfc00, 0x7c00, 0x7e00};

Test(halves, pass_through_a_program_bit_for_bit)
{
    const int64_t count = KILN_COUNT(special); /* odd */
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(KILN_BATCH));
        const kiln_tensor y = kiln_concat(g, (const kiln_tensor[]){x, x}, 2, 0);
        struct rig r = rig_open(g, KILN_RUN(y), kiln_test_device(i));
        uint16_t got[2 * KILN_COUNT(special)];
        double wide[2 * KILN_COUNT(special)];
        kiln_array halves = {.type = KILN_F16, .data = got, .bytes = sizeof got};
        kiln_array doubles = {.type = KILN_F64, .data = wide, .bytes = sizeof wide};
        write_halves(&r, x, special, count);
        cr_assert_eq(kiln_program_read(r.p, y, &halves), KILN_OK);
        cr_assert_eq(kiln_program_read(r.p, y, &doubles), KILN_OK);
        for (int k = 0; k < 2 * count; k++)
            cr_expect_eq(got[k], special[k % count], "%s: element %d is %x", kiln_test_device(i), k, got[k]);
        cr_expect_eq(wide[4], 0x1p-24);
        rig_close(&r);
        kiln_graph_destroy(&g);
    }
}

/* 1 + 2^-12 is no half: whoever reads it gets 1, however the device keeps it. */
Test(halves, are_rounded_when_they_are_read)
{
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(1)), y = kiln_shift(g, x, 0x1p-12);
        struct rig r = rig_open(g, KILN_RUN(y), kiln_test_device(i));
        const uint16_t one = 0x3c00;
        double got = 0;
        write_halves(&r, x, &one, 1);
        cr_assert_eq(kiln_program_read(r.p, y, &(kiln_array){.type = KILN_F64, .data = &got}), KILN_OK);
        cr_expect_eq(got, 1, "%s: %.9g", kiln_test_device(i), got);
        rig_close(&r);
        kiln_graph_destroy(&g);
    }
}

/* A state of three halves grows by x in every run; a session moves from device to device with what it holds. */
Test(halves, are_kept_in_a_session)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(3));
    const kiln_tensor sum = kiln_state(g, "sum", KILN_F16, KILN_SHAPE(3), KILN_STORE_SESSION);
    const kiln_tensor next = kiln_add(g, sum, x), keep = kiln_assign(g, sum, next);
    const uint16_t step[] = {0x3c00, 0x3800, 0xbc00};
    for (int i = 0; kiln_test_device(i); i++) {
        struct rig r = rig_open(g, KILN_RUN(next, keep), kiln_test_device(i));
        float got[3];
        for (int run = 0; run < 3; run++)
            write_halves(&r, x, step, 3);
        uint16_t last[3];
        cr_assert_eq(kiln_program_read(r.p, next, &(kiln_array){.type = KILN_F16, .data = last}), KILN_OK);
        for (int k = 0; k < 3; k++)
            got[k] = kiln_half_to(last[k]);
        cr_expect(got[0] == 3 && got[1] == 1.5f && got[2] == -3, "%s: %g %g %g", kiln_test_device(i), got[0],
                  got[1], got[2]);
        rig_close(&r);
    }
    kiln_graph_destroy(&g);
}

/* Precision ------------------------------------------------------------------------------------------------ */

enum { BATCH = 2, SIDE = 9, WIDTH = 4, CLASSES = 5 };

/* What halves pass through: convolution, norms, activations, pooling, joining, moving, a mean, attention. */
static kiln_tensor network(kiln_graph *g, kiln_tensor x)
{
    x = kiln_relu(g,
                  kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = WIDTH, .size = {3, 3}, .same = true}));
    x = kiln_nn_batch_norm(g, x, NULL);
    const kiln_tensor y = kiln_sigmoid(
                          g, kiln_max_pool(g, x, &(kiln_pool_params){.size = {3, 3}, .stride = {1, 1}})),
                      z = kiln_average_pool(g, x, &(kiln_pool_params){.size = {3, 3}, .stride = {1, 1}});
    x = kiln_concat(g, (const kiln_tensor[]){y, kiln_exp(g, kiln_tanh(g, z)), kiln_mul(g, y, y)}, 3, 1);
    const kiln_tensor mean = kiln_mean(g, x, &(kiln_reduce_params){.axes = KILN_AXES(2, 3), .keep = true});
    x = kiln_transpose(g, kiln_reshape(g, kiln_mul(g, x, mean), KILN_SHAPE(BATCH, 3 * WIDTH, 49)),
                       (const int[]){0, 2, 1});
    x = kiln_nn_layer_norm(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 8}), NULL);
    x = kiln_nn_encoder_layer(g, x, &(kiln_nn_transformer_params){.attention = {.heads = 2}, .hidden = 16});
    x = kiln_mean(g, x, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    return kiln_softmax(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = CLASSES}), 1);
}

static void classify(const kiln_graph *g, kiln_tensor x, kiln_tensor y, kiln_device *dev, kiln_weights *w,
                     kiln_precision precision, float got[BATCH * CLASSES])
{
    float values[BATCH * 3 * SIDE * SIDE];
    for (size_t i = 0; i < KILN_COUNT(values); i++)
        values[i] = (float)(i * 37 % 101) / 50 - 1;
    kiln_program *p = NULL;
    const kiln_program_params params = {.run = KILN_RUN(y), .precision = precision};
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &params), KILN_OK);
    const kiln_array in = {.type = KILN_F32, .shape = KILN_SHAPE(BATCH, 3, SIDE, SIDE), .data = values};
    cr_assert_eq(kiln_program_write(p, x, &in), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    kiln_array out = {.type = KILN_F32, .data = got, .bytes = BATCH * CLASSES * sizeof *got};
    cr_assert_eq(kiln_program_read(p, y, &out), KILN_OK);
    kiln_program_destroy(&p);
}

/* A value is off by up to 2^-11 of itself where it is stored; a class's share of 1 behind some 30 such values, whose errors fall
 * either way, by 2^-11 times the root of 30, 6 at the most. Where nothing is stored so the bits are those of float32. */
Test(halves, of_a_precision_give_what_floats_give_but_for_rounding)
{
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(BATCH, 3, SIDE, SIDE)),
                          y = network(g, x);
        cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
        cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        float want[BATCH * CLASSES], got[BATCH * CLASSES], apart = 0;
        classify(g, x, y, dev, w, KILN_PRECISION_F32, want);
        classify(g, x, y, dev, w, KILN_PRECISION_F16, got);
        for (int k = 0; k < BATCH * CLASSES; k++)
            apart = fmaxf(apart, fabsf(got[k] - want[k]));
        cr_expect(apart <= 6 * 0x1p-11f, "%s: %g apart", kiln_test_device(i), apart);
        cr_expect_eq(apart > 0, kiln_device_get_info(dev)->half, "%s: %g apart", kiln_test_device(i), apart);
        kiln_test_close(&dev);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
}

/* A half joined with so many floats: all of them, and what they become, are halves. 1 and 0.5 are exact. */
Test(halves, are_made_of_however_many_values_are_joined)
{
    enum { MANY = 40, SIZE = 8 };
    static float ones[SIZE * SIZE], got[(MANY + 1) * SIZE];
    for (int i = 0; i < SIZE * SIZE; i++)
        ones[i] = i % (SIZE + 1) ? 0 : 1; /* the identity */
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(SIZE, SIZE));
        kiln_tensor part[MANY + 1];
        part[0] = kiln_slice(g, kiln_matmul(g, x, x, NULL), 0, 0, 1, 1);
        for (int i = 1; i <= MANY; i++) {
            const int64_t row = i % SIZE;
            part[i] = kiln_scale(g, kiln_slice(g, x, 0, row, row + 1, 1), 0.5);
        }
        const kiln_tensor y = kiln_concat(g, part, MANY + 1, 0);
        kiln_weights *w = NULL;
        kiln_program *p = NULL;
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
        cr_assert_eq(kiln_program_create(&p, dev, g, w,
                                         &(kiln_program_params){.run = KILN_RUN(y),
                                                                .precision = KILN_PRECISION_F16}),
                     KILN_OK);
        cr_assert_eq(kiln_program_write(p, x, &(kiln_array){.data = ones, .shape = KILN_SHAPE(SIZE, SIZE)}),
                     KILN_OK);
        cr_assert_eq(kiln_program_run(p), KILN_OK);
        cr_assert_eq(kiln_program_read(p, y, &(kiln_array){.data = got, .bytes = sizeof got}), KILN_OK);
        for (int i = 0; i <= MANY; i++)
            for (int k = 0; k < SIZE; k++)
                cr_expect_eq(got[i * SIZE + k], i == 0 ? k == 0 : 0.5f * (float)(i % SIZE == k),
                             "%s: row %d, column %d is %g", kiln_test_device(d), i, k,
                             (double)got[i * SIZE + k]);
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
        kiln_test_close(&dev);
    }
}
