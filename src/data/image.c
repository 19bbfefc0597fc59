/*
 * image.c - from a picture file to the values that a network takes.
 *
 *   file -> samples of 8 bits (png.c, jpeg.c) -> resized row by row (resize.c) -> gray or RGB, scaled, in its layout
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "data/picture.h"
#include "data/resize.h"

static const size_t max_pixels = (size_t)64 << 20;

/* Pictures ----------------------------------------------------------------------------------------------- */

kiln_status kiln_picture_alloc(struct kiln_picture *p, size_t height, size_t width, size_t channels,
                               size_t least, size_t size, const char *path)
{
    if (height < 1 || width < 1 || height > max_pixels / width)
        return kiln_fail(KILN_ERROR_FILE, "%s: a picture of %zu x %zu, wanted 1 to %zu pixels", path, height,
                         width, max_pixels);
    if (size < least)
        return kiln_fail(KILN_ERROR_FILE, "%s: %zu bytes cannot hold its %zu x %zu pixels", path, size,
                         height, width);
    if (!(p->samples = malloc(height * width * channels)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its %zu x %zu pixels", path, height, width);
    p->height = height;
    p->width = width;
    p->channels = channels;
    return KILN_OK;
}

void kiln_picture_free(struct kiln_picture *p)
{
    free(p->samples);
    *p = (struct kiln_picture){0};
}

static bool begins(const struct kiln_file *file, const char *bytes, size_t count)
{
    return file->size >= count && memcmp(file->data, bytes, count) == 0;
}

kiln_status kiln_picture_load(struct kiln_picture *p, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    *p = (struct kiln_picture){0};
    if (status)
        return status;
    if (begins(&file, "\x89PNG\r\n\x1a\n", 8))
        status = kiln_png_decode(p, &file, path);
    else if (begins(&file, "\xff\xd8\xff", 3))
        status = kiln_jpeg_decode(p, &file, path);
    else
        status = kiln_fail(KILN_ERROR_FILE, "%s: %zu bytes that are neither PNG nor JPEG", path, file.size);
    kiln_file_unmap(&file);
    if (status)
        kiln_picture_free(p);
    return status;
}

/* Targets ------------------------------------------------------------------------------------------------ */

/* A size that is given, or `own` where it is free. */
static size_t size_or(int64_t size, size_t own)
{
    return size < 0 ? own : (size_t)size;
}

kiln_status kiln_image_target_of(struct kiln_image_target *target, const kiln_image_params *params,
                                 const struct kiln_picture *p)
{
    const kiln_shape *s = &params->shape;
    const int64_t any[] = {-1, -1, -1}, *size = s->rank == 0 ? any : s->size + (s->rank == 4);
    const int channels = params->layout == KILN_IMAGE_CHANNELS_LAST ? 2 : 0, height = channels ? 0 : 1;
    char text[96];

    if ((s->rank != 0 && s->rank != 3 && s->rank != 4) ||
        (s->rank == 4 && s->size[0] >= 0 && s->size[0] != 1))
        return kiln_fail(KILN_ERROR_SHAPE,
                         "picture: wanted a shape of three sizes, or four of which the first is 1, "
                         "got %s",
                         kiln_shape_text(s, text, sizeof text));
    target->params = *params;
    target->channels = size_or(size[channels], p ? p->channels : 3);
    target->height = size_or(size[height], p ? p->height : 0);
    target->width = size_or(size[height + 1], p ? p->width : 0);
    if (target->channels != 1 && target->channels != 3)
        return kiln_fail(KILN_ERROR_SHAPE, "picture: %zu channels in %s, wanted 1 or 3", target->channels,
                         kiln_shape_text(s, text, sizeof text));
    if (target->height < 1 || target->width < 1 || target->height > max_pixels / target->width)
        return kiln_fail(KILN_ERROR_SHAPE, "picture: %zu x %zu pixels of %s, wanted 1 to %zu", target->height,
                         target->width, kiln_shape_text(s, text, sizeof text), max_pixels);
    if (params->type != KILN_F32 && params->type != KILN_U8)
        return kiln_fail(KILN_ERROR_TYPE, "picture: wanted as %s, it can be f32 or u8",
                         kiln_type_name(params->type));
    return KILN_OK;
}

/* Rendering ---------------------------------------------------------------------------------------------- */

/* Which part of the picture shows, and where. */
struct frame {
    struct kiln_box box;
    size_t top, left, height, width;
};

static struct frame frame_of(size_t height, size_t width, const struct kiln_image_target *t)
{
    const double down = (double)t->height / (double)height, across = (double)t->width / (double)width;
    struct frame f = {{0, 0, (double)height, (double)width}, 0, 0, t->height, t->width};

    if (t->params.fit == KILN_IMAGE_CROP) {
        const double scale = fmax(down, across);
        const double keep = t->params.keep > 0 && t->params.keep < 1 ? (double)t->params.keep : 1;
        f.box.height = (double)t->height / scale * keep;
        f.box.width = (double)t->width / scale * keep;
        f.box.top = ((double)height - f.box.height) / 2;
        f.box.left = ((double)width - f.box.width) / 2;
    } else if (t->params.fit == KILN_IMAGE_LETTERBOX) {
        const double scale = fmin(down, across);
        f.height = (size_t)fmin(fmax(floor(scale * (double)height + 0.5), 1), (double)t->height);
        f.width = (size_t)fmin(fmax(floor(scale * (double)width + 0.5), 1), (double)t->width);
        f.top = (t->height - f.height) / 2;
        f.left = (t->width - f.width) / 2;
    }
    return f;
}

kiln_placing kiln_image_placing(const kiln_image_params *params, int width, int height)
{
    const struct kiln_picture p = {.height = (size_t)height, .width = (size_t)width, .channels = 3};
    struct kiln_image_target target;
    kiln_placing to = {.width = width, .height = height};
    struct frame f;

    if (width < 1 || height < 1 ||
        kiln_image_target_of(&target, params ? params : &(kiln_image_params){0}, &p))
        return to;
    f = frame_of(p.height, p.width, &target);
    to.across = (double)f.width / f.box.width;
    to.down = (double)f.height / f.box.height;
    to.left = (double)f.left - f.box.left * to.across;
    to.top = (double)f.top - f.box.top * to.down;
    return to;
}

void kiln_box_place(const kiln_placing *placing, const float *box, float *to)
{
    for (int i = 0; i < 4; i += 2) {
        to[i] = (float)(placing->left + placing->across * (double)box[i]);
        to[i + 1] = (float)(placing->top + placing->down * (double)box[i + 1]);
    }
}

static double into(double x, double end)
{
    return fmin(fmax(x, 0), end);
}

void kiln_box_unplace(const kiln_placing *placing, const float *box, float *to)
{
    for (int i = 0; i < 4; i += 2) {
        to[i] = (float)into(((double)box[i] - placing->left) / placing->across, placing->width);
        to[i + 1] = (float)into(((double)box[i + 1] - placing->top) / placing->down, placing->height);
    }
}

/* Store a sample, from 0 to 255, as the value of channel c at row i, column j. */
static void put(const struct kiln_image_target *t, void *to, size_t c, size_t i, size_t j, float sample)
{
    const kiln_image_params *p = &t->params;
    const size_t at = p->layout == KILN_IMAGE_CHANNELS_LAST ? (i * t->width + j) * t->channels + c
                                                            : (c * t->height + i) * t->width + j;
    const float deviation = p->deviation[c] == 0 ? 1 : p->deviation[c];

    if (p->type == KILN_U8)
        ((unsigned char *)to)[at] = (unsigned char)fminf(fmaxf(sample + 0.5f, 0), 255);
    else
        ((float *)to)[at] = ((p->bytes ? sample : sample / 255) - p->mean[c]) / deviation;
}

static void put_pixel(const struct kiln_image_target *t, void *to, size_t i, size_t j, const float *from,
                      size_t channels)
{
    if (t->channels == 1) {
        put(t, to, 0, i, j, channels == 1 ? from[0] : 0.299f * from[0] + 0.587f * from[1] + 0.114f * from[2]);
        return;
    }
    for (size_t c = 0; c < 3; c++)
        put(t, to, c, i, j, from[channels == 1 ? 0 : t->params.bgr ? 2 - c : c]);
}

float kiln_picture_bars(const struct kiln_image_target *target)
{
    const kiln_image_params *p = &target->params;
    return p->bars * (p->bytes || p->type == KILN_U8 ? 1 : 255);
}

void kiln_picture_store(const struct kiln_image_target *target, const float *samples, void *to)
{
    for (size_t i = 0; i < target->height; i++)
        for (size_t j = 0; j < target->width; j++)
            put_pixel(target, to, i, j, samples + (i * target->width + j) * 3, 3);
}

static void put_bars(const struct kiln_image_target *t, void *to)
{
    const float bars = kiln_picture_bars(t);
    const float pixel[3] = {bars, bars, bars};

    for (size_t i = 0; i < t->height; i++)
        for (size_t j = 0; j < t->width; j++)
            put_pixel(t, to, i, j, pixel, 3);
}

kiln_status kiln_picture_render(const struct kiln_picture *p, const struct kiln_image_target *target,
                                void *to)
{
    const struct frame f = frame_of(p->height, p->width, target);
    struct kiln_resize r;
    float *row = calloc(f.width * p->channels, sizeof *row);
    kiln_status status = kiln_resize_init(&r, p, f.box, f.height, f.width);

    if (!row && !status)
        status = kiln_fail(KILN_ERROR_MEMORY, "picture: out of memory");
    if (!status && (f.height < target->height || f.width < target->width))
        put_bars(target, to);
    for (size_t i = 0; i < f.height && !status; i++) {
        kiln_resize_row(&r, i, row);
        for (size_t j = 0; j < f.width; j++)
            put_pixel(target, to, f.top + i, f.left + j, row + j * p->channels, p->channels);
    }
    kiln_resize_finish(&r);
    free(row);
    return status;
}

/* Loading ------------------------------------------------------------------------------------------------ */

static kiln_shape shape_of(const struct kiln_image_target *t)
{
    const int64_t c = (int64_t)t->channels, h = (int64_t)t->height, w = (int64_t)t->width;
    const bool last = t->params.layout == KILN_IMAGE_CHANNELS_LAST;

    if (t->params.shape.rank == 3)
        return last ? KILN_SHAPE(h, w, c) : KILN_SHAPE(c, h, w);
    return last ? KILN_SHAPE(1, h, w, c) : KILN_SHAPE(1, c, h, w);
}

static kiln_status render_new(kiln_array *out, const struct kiln_picture *p,
                              const struct kiln_image_target *target)
{
    kiln_array a = {.type = target->params.type, .shape = shape_of(target)};
    kiln_status status;

    a.bytes = (size_t)kiln_shape_count(&a.shape) * kiln_type_size(a.type);
    if (!(a.data = malloc(a.bytes)))
        return kiln_fail(KILN_ERROR_MEMORY, "picture: no memory for %zu bytes", a.bytes);
    if ((status = kiln_picture_render(p, target, a.data)))
        free(a.data);
    else
        *out = a;
    return status;
}

kiln_status kiln_image_load(kiln_array *picture, const char *path, const kiln_image_params *params)
{
    const kiln_image_params p = params ? *params : (kiln_image_params){0};
    struct kiln_image_target target;
    struct kiln_picture decoded;
    kiln_status status = kiln_picture_load(&decoded, path);

    *picture = (kiln_array){0};
    if (!status && !(status = kiln_image_target_of(&target, &p, &decoded)))
        status = render_new(picture, &decoded, &target);
    kiln_picture_free(&decoded);
    return status;
}
