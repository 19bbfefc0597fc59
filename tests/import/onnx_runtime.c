/*
 * onnx_runtime.c - pretrained models on made-up inputs, against what ONNX Runtime computed: tests/golden/models.safetensors, written
 * by tools/golden/models.py, which says how it is laid out. The models are those of kiln_test_external("models").
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/external.h"
#include "support/golden.h"
#include "support/support.h"

/*
 * |got - want| over the largest |want| of that output. Both sum in float32, each in its own order: networks of up to 150 layers, sums
 * of up to 2,304 products, errors of some 1e-6 that later layers scale with their values.
 */
#define BOUND 2e-5

enum { MOST = 8 };

struct model {
    const char *name;
    kiln_safetensors *file;
    kiln_array in[MOST];
    int inputs;
    kiln_graph *g;
    kiln_weights *w;
};

static bool find(const struct model *m, const char *part, int index, kiln_array *out)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s%d", m->name, part, index);
    return kiln_safetensors_find(m->file, name, out);
}

/* A hash of i, from 0 to 1. */
static double uniform(uint32_t i)
{
    uint32_t h = i * 2654435761u;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    return (h >> 8) / 0x1p24;
}

static kiln_array made_up(const kiln_array *shape, const kiln_array *range)
{
    const double low = ((const double *)range->data)[0], high = ((const double *)range->data)[1];
    kiln_array a = {.type = KILN_F32, .shape = kiln_shape_of((int)shape->shape.size[0], shape->data)};
    const int64_t count = kiln_shape_count(&a.shape);
    float *values = a.data = malloc((size_t)count * sizeof *values);
    cr_assert_not_null(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(low + (high - low) * uniform((uint32_t)i));
    return a;
}

static void make_inputs(struct model *m)
{
    kiln_array a, range;
    for (m->inputs = 0; m->inputs < MOST; m->inputs++) {
        if (find(m, "in", m->inputs, &a)) {
            const size_t bytes = (size_t)kiln_shape_count(&a.shape) * kiln_type_size(a.type);
            m->in[m->inputs] = a;
            m->in[m->inputs].data = memcpy(malloc(bytes), a.data, bytes);
        } else if (find(m, "shape", m->inputs, &a) && find(m, "range", m->inputs, &range)) {
            m->in[m->inputs] = made_up(&a, &range);
        } else {
            break;
        }
    }
}

/* A number, as the rate of speech, of which no other value makes sense with these shapes. */
static bool is_fixed(const kiln_array *a)
{
    return a->shape.rank == 0;
}

/* With the shapes of its inputs given: what the speech models do depends on them. */
static void load(struct model *m, const char *dir)
{
    char path[1024];
    kiln_onnx_fixed shape[MOST];
    for (int i = 0; i < m->inputs; i++) {
        shape[i] = (kiln_onnx_fixed){.index = i, .value = m->in[i]};
        if (!is_fixed(&m->in[i]))
            shape[i].value.data = NULL;
    }
    snprintf(path, sizeof path, "%s/models/%s", dir, kiln_safetensors_note(m->file, m->name));
    cr_assert_eq(kiln_onnx_load(&m->g, &m->w, path,
                                &(kiln_onnx_params){.fixed = shape, .fixed_count = m->inputs}),
                 KILN_OK, "%s", path);
}

static void expect_output(const struct model *m, kiln_program *p, int index, const char *device)
{
    const kiln_tensor t = kiln_graph_output(m->g, index);
    const int64_t stride = ((const int64_t *)kiln_golden_find(m->file, m->name, "stride").data)[index];
    kiln_array want;
    kiln_shape shape;
    double worst = 0, largest = 0;
    cr_assert(find(m, "out", index, &want));
    cr_assert_eq(kiln_program_shape(p, t, &shape), KILN_OK);
    const size_t bytes = (size_t)kiln_shape_count(&shape) * sizeof(float);
    float *got = malloc(bytes + 1);
    cr_assert_not_null(got);
    cr_assert_eq(kiln_program_read(p, t, &(kiln_array){.data = got, .bytes = bytes}), KILN_OK);
    cr_assert_eq((kiln_shape_count(&shape) + stride - 1) / stride, want.shape.size[0], "%s: output %d",
                 m->name, index);
    for (int64_t i = 0; i < want.shape.size[0]; i++) {
        const double y = ((const float *)want.data)[i];
        worst = fmax(worst, isnan(got[i * stride] - y) ? INFINITY : fabs(got[i * stride] - y));
        largest = fmax(largest, fabs(y));
    }
    cr_expect(worst <= BOUND * largest, "%s on %s: output %d is off by %.2g of %.3g", m->name, device, index,
              worst, largest);
    free(got);
}

static void expect_same_as_recorded(const struct model *m, const char *device)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_program *p = NULL;
    cr_assert_eq(kiln_program_create(&p, dev, m->g, m->w, NULL), KILN_OK, "%s on %s", m->name, device);
    for (int i = 0, own = 0; i < m->inputs; i++)
        if (!is_fixed(&m->in[i]))
            cr_assert_eq(kiln_program_write(p, kiln_graph_input(m->g, own++), &m->in[i]), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK, "%s on %s", m->name, device);
    for (int i = 0; i < kiln_graph_output_count(m->g); i++)
        expect_output(m, p, i, device);
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
}

static void expect(const char *name)
{
    struct model m = {.name = name};
    const char *dir = kiln_test_external("models");
    if (!dir)
        cr_skip("models is not at hand");
    m.file = kiln_golden_open("models.safetensors");
    make_inputs(&m);
    load(&m, dir);
    for (int i = 0; kiln_test_device(i); i++)
        expect_same_as_recorded(&m, kiln_test_device(i));
    for (int i = 0; i < m.inputs; i++)
        free(m.in[i].data);
    kiln_weights_destroy(&m.w);
    kiln_graph_destroy(&m.g);
    kiln_safetensors_close(&m.file);
}

Test(onnx_runtime, reads_digits_alike)
{
    expect("mnist");
}

Test(onnx_runtime, detects_objects_alike)
{
    expect("detector");
    expect("decoded");
}

Test(onnx_runtime, detects_faces_alike)
{
    expect("faces");
    expect("faces_simple");
}

Test(onnx_runtime, hears_speech_alike)
{
    expect("speech");
    expect("speech_16k");
    expect("speech_ifless");
}

Test(onnx_runtime, enlarges_pictures_alike)
{
    expect("enlarged");
}

Test(onnx_runtime, finds_sentences_alike)
{
    expect("sentences");
}

Test(onnx_runtime, takes_noise_from_speech_alike)
{
    expect("denoised");
    expect("denoised_simple");
}

Test(onnx_runtime, cuts_people_out_alike)
{
    expect("portrait");
}
