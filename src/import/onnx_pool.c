/* onnx_pool.c - pooling, of windows and of regions. */
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx.h"

bool kiln_onnx_take_pool(kiln_onnx_node *n, kiln_pool_params *p)
{
    int sizes;
    const int64_t *size = kiln_onnx_ints(n, "kernel_shape", &sizes);
    struct kiln_onnx_window w;
    if (sizes != kiln_onnx_spec(n, 0).shape.rank - 2)
        kiln_onnx_refuse(n, "kernel_shape has %d values, x rank %d", sizes, kiln_onnx_spec(n, 0).shape.rank);
    if (n->refused || !kiln_onnx_take_window(n, size, &w))
        return false;
    *p = (kiln_pool_params){.same = w.same,
                            .ceil = kiln_onnx_int(n, "ceil_mode", 0) != 0,
                            .count_pad = kiln_onnx_int(n, "count_include_pad", 0) != 0};
    memcpy(p->size, w.size, sizeof p->size);
    memcpy(p->stride, w.stride, sizeof p->stride);
    memcpy(p->dilation, w.dilation, sizeof p->dilation);
    memcpy(p->pad, w.pad, sizeof p->pad);
    return !n->refused;
}

/* Whole numbers are pooled as reals: up to 24 bits they pass unchanged. */
static kiln_tensor real_in(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    return kiln_type_is_real(kiln_onnx_spec(n, 0).type) ? x : kiln_cast(n->g, x, KILN_F32);
}

static void real_out(kiln_onnx_node *n, kiln_tensor y)
{
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    kiln_onnx_out(n, 0, kiln_type_is_real(type) ? y : kiln_cast(n->g, y, type));
}

/* Where the first element of each plane of [N, C, sizes] lies in the whole, I32: ONNX counts from there, kiln within planes. */
static kiln_tensor planes(kiln_onnx_node *n, kiln_tensor x, const kiln_shape *shape)
{
    int64_t plane = 1;
    for (int i = 2; i < shape->rank; i++)
        plane = shape->size[i] < 0 ? -1 : plane * shape->size[i];
    if (plane < 0 || shape->size[1] < 0 || plane > INT32_MAX) {
        kiln_onnx_refuse(n, "places in planes of unknown size");
        return KILN_NONE;
    }
    const kiln_tensor channels = kiln_scalar(n->g, KILN_I32, (double)shape->size[1]);
    const kiln_tensor first = kiln_mul(n->g, kiln_unsqueeze(n->g, kiln_positions(n->g, x, 0), 1), channels);
    kiln_tensor at = kiln_add(n->g, first, kiln_positions(n->g, x, 1));
    for (int i = 2; i < shape->rank; i++)
        at = kiln_unsqueeze(n->g, at, -1);
    return kiln_mul(n->g, at, kiln_scalar(n->g, KILN_I32, (double)plane));
}

void kiln_onnx_build_max_pool(kiln_onnx_node *n)
{
    const kiln_shape shape = kiln_onnx_spec(n, 0).shape;
    kiln_pool_params p;
    kiln_tensor index;
    if (!kiln_onnx_take_pool(n, &p))
        return;
    const kiln_tensor x = real_in(n);
    if (n->outputs < 2 || !n->out[1]) {
        real_out(n, kiln_max_pool(n->g, x, &p));
        return;
    }
    p.column_major = kiln_onnx_int(n, "storage_order", 0) != 0;
    real_out(n, kiln_max_pool_index(n->g, x, &p, &index));
    kiln_onnx_out(n, 1, kiln_cast(n->g, kiln_add(n->g, index, planes(n, x, &shape)), KILN_I64));
}

/* y with zeros behind each axis, or cut, to the shape that input 2 lists. */
static kiln_tensor to_shape(kiln_onnx_node *n, kiln_tensor y)
{
    const kiln_shape shape = kiln_tensor_shape(n->g, y);
    struct kiln_onnx_list list;
    kiln_shape wanted;
    if (!kiln_onnx_list(n, "output_shape", 1, 2, &list) || !kiln_onnx_shape(n, &list, &wanted))
        return y;
    if (wanted.rank != shape.rank)
        kiln_onnx_refuse(n, "output_shape has %d sizes, x rank %d", wanted.rank, shape.rank);
    for (int i = 2; i < shape.rank && !n->refused; i++) {
        int64_t before[KILN_MAX_RANK] = {0}, after[KILN_MAX_RANK] = {0};
        after[i] = wanted.size[i] - shape.size[i];
        if (wanted.size[i] < 0 || shape.size[i] < 0)
            kiln_onnx_refuse(n, "the size of axis %d is not known", i);
        else
            y = after[i] < 0 ? kiln_slice(n->g, y, i, 0, wanted.size[i], 1)
                             : kiln_pad(n->g, y, before, after, 0);
    }
    return y;
}

/* Indices are of the shape that follows from the window. */
void kiln_onnx_build_max_unpool(kiln_onnx_node *n)
{
    kiln_shape shape = kiln_onnx_spec(n, 0).shape;
    kiln_pool_params p;
    if (!kiln_onnx_take_pool(n, &p))
        return;
    for (int i = 2; i < shape.rank; i++)
        if (shape.size[i] >= 0)
            shape.size[i] =
                (shape.size[i] - 1) * p.stride[i - 2] - p.pad[i - 2][0] - p.pad[i - 2][1] + p.size[i - 2];
    const kiln_tensor x = kiln_onnx_in(n, 0), at = planes(n, x, &shape);
    if (n->refused)
        return;
    const kiln_tensor index = kiln_sub(n->g, kiln_cast(n->g, kiln_onnx_in(n, 1), KILN_I32), at);
    const kiln_tensor y = kiln_max_unpool(n->g, x, index, &p, NULL);
    kiln_onnx_out(n, 0, kiln_onnx_has(n, 2) ? to_shape(n, y) : y);
}

void kiln_onnx_build_average_pool(kiln_onnx_node *n)
{
    kiln_pool_params p;
    if (kiln_onnx_take_pool(n, &p))
        real_out(n, kiln_average_pool(n->g, real_in(n), &p));
}

void kiln_onnx_build_lp_pool(kiln_onnx_node *n)
{
    kiln_pool_params p;
    const double power = (double)kiln_onnx_int(n, "p", 2);
    if (kiln_onnx_take_pool(n, &p))
        real_out(n, kiln_lp_pool(n->g, real_in(n), power, &p));
}

void kiln_onnx_build_global_pool(kiln_onnx_node *n)
{
    real_out(n, n->row->unary(n->g, real_in(n)));
}

void kiln_onnx_build_global_lp_pool(kiln_onnx_node *n)
{
    real_out(n, kiln_global_lp_pool(n->g, real_in(n), (double)kiln_onnx_int(n, "p", 2)));
}

static void take_bins(kiln_onnx_node *n, kiln_roi_params *p, int64_t high, int64_t wide)
{
    if (high < 1 || wide < 1 || high > INT16_MAX || wide > INT16_MAX)
        kiln_onnx_refuse(n, "%lld x %lld bins", (long long)high, (long long)wide);
    p->size[0] = (int)high;
    p->size[1] = (int)wide;
    p->scale = kiln_onnx_real(n, "spatial_scale", 1);
}

/* Before opset 16 there was no half pixel. */
void kiln_onnx_build_roi_align(kiln_onnx_node *n)
{
    const char *mode = kiln_onnx_text(n, "mode", "avg"),
               *places = kiln_onnx_text(n, "coordinate_transformation_mode",
                                        n->opset < 16 ? "output_half_pixel" : "half_pixel");
    const int64_t samples = kiln_onnx_int(n, "sampling_ratio", 0);
    kiln_roi_params p = {.half_pixel = !strcmp(places, "half_pixel"), .largest = !strcmp(mode, "max")};
    if ((!p.largest && strcmp(mode, "avg")) || (!p.half_pixel && strcmp(places, "output_half_pixel")))
        kiln_onnx_refuse(n, "mode %s, coordinates %s", mode, places);
    if (samples < 0 || samples > INT16_MAX)
        kiln_onnx_refuse(n, "sampling_ratio %lld", (long long)samples);
    p.samples = (int)samples;
    take_bins(n, &p, kiln_onnx_int(n, "output_height", 1), kiln_onnx_int(n, "output_width", 1));
    if (!n->refused)
        kiln_onnx_out(n, 0,
                      kiln_roi_align(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), &p));
}

/* Boxes are [R, 5], the number of their map before the corners. */
void kiln_onnx_build_roi_pool(kiln_onnx_node *n)
{
    int sizes;
    const int64_t *size = kiln_onnx_ints(n, "pooled_shape", &sizes);
    kiln_roi_params p = {.scale = 1};
    if (sizes != 2 || kiln_onnx_spec(n, 1).shape.rank != 2)
        kiln_onnx_refuse(n, "pooled_shape has %d values, wanted 2; boxes rank %d, wanted 2", sizes,
                         kiln_onnx_spec(n, 1).shape.rank);
    if (n->refused)
        return;
    take_bins(n, &p, size[0], size[1]);
    if (n->refused)
        return;
    const kiln_tensor rows = kiln_onnx_in(n, 1), boxes = kiln_slice(n->g, rows, 1, 1, 5, 1),
                      map = kiln_squeeze(n->g, kiln_slice(n->g, rows, 1, 0, 1, 1), 1);
    kiln_onnx_out(n, 0,
                  kiln_roi_pool(n->g, kiln_onnx_in(n, 0), boxes, kiln_cast(n->g, map, KILN_I32), &p, NULL));
}
