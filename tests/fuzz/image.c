/* image.c - any bytes as a picture: decoded and made into what a network takes, or refused. */
#include <kiln/data.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    kiln_array picture;

    be_silent();
    for (kiln_image_fit fit = KILN_IMAGE_STRETCH; fit <= KILN_IMAGE_LETTERBOX; fit++) {
        const kiln_image_params params = {.shape = KILN_SHAPE(fit == KILN_IMAGE_CROP ? 1 : 3, 9, 16),
                                          .fit = fit,
                                          .type = fit == KILN_IMAGE_CROP ? KILN_U8 : KILN_F32};
        if (!kiln_image_load(&picture, path, &params))
            touch(picture.data, picture.bytes);
        kiln_array_free(&picture);
    }
    return 0;
}
