/*
 * onnx_exports.c - networks that PyTorch exported, with sizes left open: one program each, at several sizes in turn, against PyTorch's
 * outputs. tools/golden/exports.py writes tests/golden/exports and says how exports.safetensors is laid out; quantized.py adds one of them
 * in 8 bits, with ONNX Runtime's outputs.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/golden.h"
#include "support/support.h"

/* |got - want| over the largest |want| of that output: sums of up to 400 products in float32, each side in its own order. */
#define BOUND 1e-5
/* Of 8 bits: a step of the scores', where a sum in another order falls on the other side of a half. */
#define STEP (1. / 100)

enum { MOST_LESS = 12 }; /* the widest box is 13, and that of its mask more */

struct network {
    const char *name, *device;
    double bound;
    int64_t most_size; /* that data gives */
    kiln_safetensors *file;
    kiln_graph *g;
    kiln_program *p;
};

/* Input or output `index` at a setting of sizes. */
static bool find(const struct network *n, int setting, const char *what, int index, kiln_array *out)
{
    char name[96];
    snprintf(name, sizeof name, "%s/%d/%s%d", n->name, setting, what, index);
    return kiln_safetensors_find(n->file, name, out);
}

static void expect_output(const struct network *n, int setting, int index)
{
    const kiln_tensor t = kiln_graph_output(n->g, index);
    kiln_array want;
    kiln_shape shape;
    char got_text[96], want_text[96];
    double worst = 0, largest = 0;
    cr_assert(find(n, setting, "out", index, &want));
    cr_assert_eq(kiln_program_shape(n->p, t, &shape), KILN_OK);
    cr_assert(kiln_shape_equal(&shape, &want.shape), "%s %d on %s: output %d is %s, wanted %s", n->name,
              setting, n->device, index, kiln_shape_text(&shape, got_text, sizeof got_text),
              kiln_shape_text(&want.shape, want_text, sizeof want_text));
    const size_t count = (size_t)kiln_shape_count(&shape);
    kiln_array got = {.type = want.type, .bytes = count * kiln_type_size(want.type)};
    got.data = malloc(got.bytes + 1);
    cr_assert_not_null(got.data);
    cr_assert_eq(kiln_program_read(n->p, t, &got), KILN_OK);
    cr_assert_eq(got.type, want.type);
    double *x = kiln_test_doubles(&got), *y = kiln_test_doubles(&want);
    for (size_t i = 0; i < count; i++) {
        worst = fmax(worst, isnan(x[i] - y[i]) ? INFINITY : fabs(x[i] - y[i]));
        largest = fmax(largest, fabs(y[i]));
    }
    cr_expect(worst <= (kiln_type_is_real(want.type) ? n->bound * largest : 0),
              "%s %d on %s: output %d is off by %.2g of %.3g", n->name, setting, n->device, index, worst,
              largest);
    free(x);
    free(y);
    free(got.data);
}

static void run_setting(const struct network *n, int setting)
{
    kiln_array in;
    for (int i = 0; i < kiln_graph_input_count(n->g); i++) {
        cr_assert(find(n, setting, "in", i, &in), "%s/%d/in%d is not recorded", n->name, setting, i);
        cr_assert_eq(kiln_program_write(n->p, kiln_graph_input(n->g, i), &in), KILN_OK);
    }
    cr_assert_eq(kiln_program_run(n->p), KILN_OK, "%s %d on %s", n->name, setting, n->device);
    for (int i = 0; i < kiln_graph_output_count(n->g); i++)
        expect_output(n, setting, i);
}

static void open_network(struct network *n, kiln_device *dev)
{
    char path[1024];
    kiln_weights *w = NULL;
    snprintf(path, sizeof path, "%s/golden/exports/%s.onnx", getenv("KILN_TEST_ROOT"), n->name);
    cr_assert_eq(kiln_onnx_load(&n->g, &w, path, &(kiln_onnx_params){.most_size = n->most_size}), KILN_OK,
                 "%s", n->name);
    cr_assert_eq(kiln_program_create(&n->p, dev, n->g, w, NULL), KILN_OK, "%s on %s", n->name, n->device);
    kiln_weights_destroy(&w);
}

static void close_network(struct network *n)
{
    kiln_program_destroy(&n->p);
    kiln_graph_destroy(&n->g);
}

/* One program for all settings, and the first again, whose plan is still there. */
static void run_network(struct network n, const char *device)
{
    n.device = device;
    kiln_device *dev = kiln_test_open(device);
    kiln_array in;
    open_network(&n, dev);
    for (int k = 0; find(&n, k, "in", 0, &in); k++)
        run_setting(&n, k);
    run_setting(&n, 0);
    close_network(&n);
    kiln_test_close(&dev);
}

static void run_everywhere(const char *name)
{
    struct network n = {.name = name,
                        .bound = BOUND,
                        .file = kiln_golden_open("exports/exports.safetensors")};
    for (int i = 0; kiln_test_device(i); i++)
        run_network(n, kiln_test_device(i));
    kiln_safetensors_close(&n.file);
}

Test(onnx_exports, lstms_read_and_write_sequences_of_any_length)
{
    run_everywhere("seq2seq");
}

Test(onnx_exports, a_transformer_takes_any_lengths_with_padding)
{
    run_everywhere("transformer");
}

Test(onnx_exports, a_decoder_goes_on_from_caches_of_any_length)
{
    run_everywhere("step");
}

Test(onnx_exports, a_resnet_takes_batches_and_pictures_of_any_size)
{
    run_everywhere("resnet");
}

Test(onnx_exports, lists_grow_with_the_steps_of_a_loop_of_any_length)
{
    run_everywhere("lists");
}

/* Boxes that are made larger by a half and more, cut at the picture. */
Test(onnx_exports, masks_and_maps_take_the_sizes_of_boxes_that_data_gives)
{
    struct network n = {.name = "paste",
                        .bound = BOUND,
                        .most_size = 48,
                        .file = kiln_golden_open("exports/exports.safetensors")};
    for (int i = 0; kiln_test_device(i); i++)
        run_network(n, kiln_test_device(i));
    kiln_safetensors_close(&n.file);
}

/* Masks, points and scores. */
Test(onnx_exports, what_is_larger_than_was_said_is_not_a_number)
{
    struct network n = {.name = "paste",
                        .most_size = MOST_LESS,
                        .file = kiln_golden_open("exports/exports.safetensors")};
    kiln_device *dev = kiln_test_open("cpu");
    kiln_array in, want;
    open_network(&n, dev);
    for (int i = 0; i < 2; i++) {
        cr_assert(find(&n, 0, "in", i, &in));
        cr_assert_eq(kiln_program_write(n.p, kiln_graph_input(n.g, i), &in), KILN_OK);
    }
    cr_assert_eq(kiln_program_run(n.p), KILN_OK);
    for (int i = 0; i < 3; i++) {
        float got[4096];
        kiln_array to = {.data = got, .bytes = sizeof got};
        cr_assert(find(&n, 0, "out", i, &want));
        cr_assert_eq(kiln_program_read(n.p, kiln_graph_output(n.g, i), &to), KILN_OK);
        cr_assert(kiln_shape_equal(&to.shape, &want.shape));
        for (int64_t k = 0; k < kiln_shape_count(&want.shape); k++)
            cr_expect(isnan(got[k]), "output %d has %g", i, (double)got[k]);
    }
    close_network(&n);
    kiln_test_close(&dev);
    kiln_safetensors_close(&n.file);
}

Test(onnx_exports, sizes_of_data_are_refused_where_no_bound_is_said)
{
    char path[1024];
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    snprintf(path, sizeof path, "%s/golden/exports/paste.onnx", getenv("KILN_TEST_ROOT"));
    cr_expect_eq(kiln_onnx_load(&g, &w, path, NULL), KILN_ERROR_UNSUPPORTED);
    cr_expect_null(g);
}

/* Whether what comes up is as large as what went down depends on the size. */
Test(onnx_exports, a_unet_takes_pictures_of_any_size_that_fits)
{
    run_everywhere("unet");
}

Test(onnx_exports, a_unet_refuses_a_size_at_which_what_comes_up_is_smaller_than_what_went_down)
{
    static float pixels[3 * 20 * 24];
    struct network n = {.name = "unet",
                        .device = "cpu",
                        .file = kiln_golden_open("exports/exports.safetensors")};
    kiln_device *dev = kiln_test_open(n.device);
    open_network(&n, dev);
    const kiln_tensor image = kiln_graph_input(n.g, 0);
    for (int height = 18; height <= 20; height++) { /* a half of 18 and 19 is 9, and twice a quarter 8 */
        const kiln_array in = {.data = pixels, .shape = KILN_SHAPE(1, 3, height, 24)};
        cr_assert_eq(kiln_program_write(n.p, image, &in), KILN_OK);
        kiln_log_to(NULL, NULL, height == 20 ? KILN_LOG_WARNING : KILN_LOG_SILENT);
        const kiln_status status = kiln_program_run(n.p);
        cr_expect(status == (height == 20 ? KILN_OK : KILN_ERROR_SHAPE), "%d: %s", height,
                  kiln_status_text(status));
    }
    close_network(&n);
    kiln_safetensors_close(&n.file);
    kiln_test_close(&dev);
}

Test(onnx_exports, an_ssd_finds_its_first_twenty_boxes)
{
    run_everywhere("ssd");
}

Test(onnx_exports, heads_of_faster_rcnn_take_any_number_of_regions)
{
    run_everywhere("regions");
}

/* What is done for no region at all is another branch of the file. */
Test(onnx_exports, heads_of_faster_rcnn_find_nothing_in_no_region)
{
    struct network n = {.name = "regions",
                        .device = "cpu",
                        .bound = BOUND,
                        .file = kiln_golden_open("exports/exports.safetensors")};
    kiln_device *dev = kiln_test_open(n.device);
    kiln_array features;
    kiln_shape shape;
    float none[4] = {0};
    open_network(&n, dev);
    run_setting(&n, 0);
    cr_assert(find(&n, 0, "in", 0, &features));
    cr_assert_eq(kiln_program_write(n.p, kiln_graph_input(n.g, 0), &features), KILN_OK);
    cr_assert_eq(kiln_program_write(n.p, kiln_graph_input(n.g, 1),
                                    &(kiln_array){.data = none, .shape = KILN_SHAPE(0, 4)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(n.p), KILN_OK);
    for (int i = 0; i < kiln_graph_output_count(n.g); i++) {
        cr_assert_eq(kiln_program_shape(n.p, kiln_graph_output(n.g, i), &shape), KILN_OK);
        cr_expect_eq(shape.size[0], 0, "output %d has %lld rows", i, (long long)shape.size[0]);
    }
    run_setting(&n, 0);
    close_network(&n);
    kiln_safetensors_close(&n.file);
    kiln_test_close(&dev);
}

Test(onnx_exports, networks_run_in_8_bits_in_every_form)
{
    static const char *const names[] = {"resnet_qdq", "resnet_qdq_signed", "resnet_qoperator",
                                        "resnet_dynamic", "others_quantized"};
    struct network n = {.bound = STEP, .file = kiln_golden_open("exports/quantized.safetensors")};
    for (size_t k = 0; k < KILN_COUNT(names); k++)
        for (int i = 0; kiln_test_device(i); i++) {
            n.name = names[k];
            run_network(n, kiln_test_device(i));
        }
    kiln_safetensors_close(&n.file);
}
