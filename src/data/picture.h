/* picture.h - a decoded picture, its decoders, and the way from it to the values that a network takes. */
#ifndef KILN_DATA_PICTURE_H
#define KILN_DATA_PICTURE_H

#include <kiln/data.h>

#include "base/file.h"

/** Samples of 8 bits, [height, width, channels]; gray or red, green, blue. {0} is none. */
struct kiln_picture {
    size_t height, width, channels;
    unsigned char *samples;
};

/** What a picture is made into: params with every size known. */
struct kiln_image_target {
    kiln_image_params params;
    size_t height, width, channels;
};

/**
 * Make room for a picture of that size. `least` is the smallest file that could hold it, `size` the one that claims it:
 * a header that lies gets no memory.
 */
kiln_status kiln_picture_alloc(struct kiln_picture *p, size_t height, size_t width, size_t channels,
                               size_t least, size_t size, const char *path);

/** Free the samples; {0} again. */
void kiln_picture_free(struct kiln_picture *p);

/** Decode a file that begins like a PNG, or a JPEG. */
kiln_status kiln_png_decode(struct kiln_picture *p, const struct kiln_file *file, const char *path);
kiln_status kiln_jpeg_decode(struct kiln_picture *p, const struct kiln_file *file, const char *path);

/** Decode the picture at `path`, whichever it is. */
kiln_status kiln_picture_load(struct kiln_picture *p, const char *path);

/** Take the sizes from params, and the free ones from the picture; NULL: none may be free but channels, which are 3 then. */
kiln_status kiln_image_target_of(struct kiln_image_target *target, const kiln_image_params *params,
                                 const struct kiln_picture *p);

/** Resize, convert and scale a picture into channels * height * width values at `to`. */
kiln_status kiln_picture_render(const struct kiln_picture *p, const struct kiln_image_target *target,
                                void *to);

/** The bars of a letterbox, as a sample from 0 to 255. */
float kiln_picture_bars(const struct kiln_image_target *target);

/** Convert and scale samples [height, width, 3], from 0 to 255, that are of the target's size already. */
void kiln_picture_store(const struct kiln_image_target *target, const float *samples, void *to);

#endif
