/* bits.c - bits of one type as those of another: every half there is, words there and back, refusals. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

enum { HALVES = 1 << 16 };

/* Whether 16-bit words of those types are the same after `there` and back, but for the payload of NaN, which quiets. */
static void expect_halves(kiln_type real, uint16_t infinite)
{
    kiln_graph *g = NULL;
    uint16_t *x = malloc(HALVES * sizeof *x);
    int64_t *got = malloc(HALVES * sizeof *got);
    cr_assert(x && got);
    for (int i = 0; i < HALVES; i++)
        x[i] = (uint16_t)i;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor in = kiln_input(g, "x", KILN_U16, KILN_SHAPE(HALVES));
    const kiln_tensor y = kiln_bitcast(g, kiln_bitcast(g, in, real), KILN_I16);
    cr_expect_eq(kiln_tensor_type(g, y), KILN_I16);
    const kiln_array values[] = {{.data = x, .type = KILN_U16, .shape = KILN_SHAPE(HALVES)}};
    for (int k = 0; kiln_test_device(k); k++) {
        int wrong = 0;
        kiln_test_run(g, y, kiln_test_device(k), values, got);
        for (int i = 0; i < HALVES; i++) {
            const bool nan = (i & 0x7fff) > infinite;
            wrong += nan ? (got[i] & 0x7fff) <= infinite : got[i] != (int16_t)x[i];
        }
        cr_expect_eq(wrong, 0, "%s: %d of %s are off", kiln_test_device(k), wrong, kiln_type_name(real));
    }
    kiln_graph_destroy(&g);
    free(x);
    free(got);
}

Test(bits, every_half_comes_back)
{
    expect_halves(KILN_F16, 0x7c00);
    expect_halves(KILN_BF16, 0x7f80);
}

Test(bits, reals_are_words_and_words_reals)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor words = kiln_bitcast(g, x, KILN_I32);
    const kiln_tensor back = kiln_bitcast(g, words, KILN_F32);
    float reals[] = {0, -0.0f, 1, -2.5f, 1e-3f, 3e38f, 7};
    const int64_t want[] = {0,          INT32_MIN,  0x3f800000, (int32_t)0xc0200000,
                            0x3a83126f, 0x7f61b1e6, 0x40e00000};
    const kiln_array in[] = {{.data = reals, .shape = KILN_SHAPE(7)}};
    for (int k = 0; kiln_test_device(k); k++) {
        int64_t got[7];
        double again[7];
        kiln_test_run(g, words, kiln_test_device(k), in, got);
        for (int i = 0; i < 7; i++)
            cr_expect_eq(got[i], want[i], "%s: %g is %llx", kiln_test_device(k), reals[i], (long long)got[i]);
        kiln_test_run(g, back, kiln_test_device(k), in, again);
        for (int i = 0; i < 7; i++)
            cr_expect_eq(again[i], reals[i]);
    }
    kiln_graph_destroy(&g);
}

static kiln_tensor there_and_back(kiln_graph *g, const void *one_case)
{
    const kiln_tensor x = kiln_test_input(g, *(const kiln_shape *)one_case);
    return kiln_bitcast(g, kiln_bitcast(g, x, KILN_U32), KILN_F32);
}

Test(bits, agree_on_every_device)
{
    const kiln_shape shapes[] = {KILN_SCALAR,      KILN_SHAPE(1),     KILN_SHAPE(65),
                                 KILN_SHAPE(0, 3), KILN_SHAPE(7, 11), KILN_SHAPE(300000)};
    for (size_t i = 0; i < KILN_COUNT(shapes); i++)
        kiln_expect_devices_agree(there_and_back, &shapes[i], false, 1e-12, "the same bits");
}

Test(bits, are_of_types_of_one_size)
{
    const kiln_type types[][2] = {{KILN_F32, KILN_I16}, {KILN_F64, KILN_I64}, {KILN_I64, KILN_F64}};
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (size_t i = 0; i < KILN_COUNT(types); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        cr_expect_eq(kiln_bitcast(g, kiln_input(g, "x", types[i][0], KILN_SHAPE(2)), types[i][1]).id, 0);
        cr_expect(strstr(kiln_graph_error(g), "types of one size") != NULL, "%s", kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
