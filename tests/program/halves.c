/* halves.c - F16 into programs and out of them, and kept between runs, on devices that store halves and on others. */
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
