/* png.c - PNG by libpng's simplified interface, which turns every kind of file into 8 bits of gray or RGB. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config.h"
#include "data/picture.h"

#if KILN_HAVE_PNG
#include <png.h>

enum { DEFLATE_RATIO = 1032 }; /* more is not possible */

static kiln_status decode(png_image *image, struct kiln_picture *p, const struct kiln_file *file,
                          const char *path)
{
    const png_color white = {255, 255, 255};
    const bool color = image->format & PNG_FORMAT_FLAG_COLOR;
    const size_t bits = (size_t)image->width * image->height;
    kiln_status status;

    if ((status = kiln_picture_alloc(p, image->height, image->width, color ? 3 : 1, bits / 8 / DEFLATE_RATIO,
                                     file->size, path)))
        return status;
    image->format = color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    if (!png_image_finish_read(image, &white, p->samples, 0, NULL))
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged PNG: %s", path, image->message);
    return KILN_OK;
}

kiln_status kiln_png_decode(struct kiln_picture *p, const struct kiln_file *file, const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    kiln_status status;

    if (png_image_begin_read_from_memory(&image, file->data, file->size))
        status = decode(&image, p, file, path);
    else
        status = kiln_fail(KILN_ERROR_FILE, "%s: damaged PNG: %s", path, image.message);
    png_image_free(&image);
    return status;
}

/* Writing ------------------------------------------------------------------------------------------------ */

/* Where the sample of a channel and pixel lies: [H, W, C] of bytes or [C, H, W] of floats. */
struct layout {
    const kiln_array *array;
    size_t height, width, channels;
};

static unsigned char sample(const struct layout *l, size_t pixel, size_t channel)
{
    if (l->array->type == KILN_U8)
        return ((const unsigned char *)l->array->data)[pixel * l->channels + channel];
    const float x = ((const float *)l->array->data)[channel * l->height * l->width + pixel];
    return (unsigned char)(255 * fminf(fmaxf(x, 0), 1) + 0.5f);
}

/* Height, width and channels of what may be saved. */
static kiln_status layout_of(struct layout *l, const kiln_array *picture, const char *path)
{
    const kiln_shape *s = &picture->shape;
    const int skip = s->rank == 4 && s->size[0] == 1, rank = s->rank - skip;
    const int64_t *size = s->size + skip;
    const int first = rank == 3 && picture->type == KILN_F32; /* place of the height */
    const int64_t channels = rank == 2 ? 1 : rank == 3 ? size[first ? 0 : 2] : 0;
    char text[96];

    if ((picture->type != KILN_U8 && picture->type != KILN_F32) || (channels != 1 && channels != 3) ||
        kiln_shape_count(s) < 1 || kiln_shape_count(s) > INT32_MAX || !picture->data)
        return kiln_fail(KILN_ERROR_SHAPE,
                         "%s: wanted u8 [H, W, 1 or 3] or f32 [1 or 3, H, W] to save, got %s %s", path,
                         kiln_type_name(picture->type), kiln_shape_text(s, text, sizeof text));
    *l = (struct layout){picture, (size_t)size[first], (size_t)size[first + 1], (size_t)channels};
    return KILN_OK;
}

static kiln_status encode(const struct layout *l, const unsigned char *samples, void **png, size_t *bytes,
                          const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)l->width,
                       .height = (png_uint_32)l->height,
                       .format = l->channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);

    if (!(*png = malloc(size)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to write it", path);
    if (!png_image_write_to_memory(&image, *png, &size, 0, samples, 0, NULL))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: cannot make it a PNG: %s", path, image.message);
    *bytes = size;
    return KILN_OK;
}

static kiln_status write_file(const char *path, const void *data, size_t bytes)
{
    struct kiln_writer w;

    kiln_writer_open(&w, path);
    kiln_writer_add(&w, data, bytes);
    return kiln_writer_commit(&w);
}

kiln_status kiln_image_save_png(const char *path, const kiln_array *picture)
{
    unsigned char *samples = NULL;
    void *png = NULL;
    struct layout l = {0};
    size_t bytes = 0;
    kiln_status status = layout_of(&l, picture, path);

    if (status)
        return status;
    if (!(samples = malloc(l.height * l.width * l.channels)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to write it", path);
    for (size_t i = 0; i < l.height * l.width; i++)
        for (size_t c = 0; c < l.channels; c++)
            samples[i * l.channels + c] = sample(&l, i, c);
    if (!(status = encode(&l, samples, &png, &bytes, path)))
        status = write_file(path, png, bytes);
    free(png);
    free(samples);
    return status;
}

#else

kiln_status kiln_png_decode(struct kiln_picture *p, const struct kiln_file *file, const char *path)
{
    (void)p, (void)file;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: is a PNG, and this kiln was built without libpng", path);
}

kiln_status kiln_image_save_png(const char *path, const kiln_array *picture)
{
    (void)picture;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: wanted a PNG, but this kiln was built without libpng",
                     path);
}

#endif
