/*
 * jpeg.c - JPEG by libjpeg-turbo.
 *
 * Its errors leave by longjmp; the two functions that catch them keep everything in one struct, so that no local variable
 * is at stake. Warnings mean that data is missing or wrong, a few harmless ones apart, and count as errors: a training run
 * should not learn from gray halves of pictures.
 */
#include "base/log.h"
#include "config.h"
#include "data/picture.h"

#if KILN_HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    PIXELS_A_BYTE = 512, /* at most: a bit for each block of 8 x 8 */
    MAX_SCANS = 100,     /* of a progressive file; each goes over all blocks again */
};

struct decoder {
    struct jpeg_decompress_struct info; /* first: what the callbacks get */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
};

static void leave(j_common_ptr info)
{
    struct decoder *d = (struct decoder *)info;
    info->err->format_message(info, d->message);
    longjmp(d->jump, 1);
}

static void judge(j_common_ptr info, int level)
{
    const int code = info->err->msg_code;
    const bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR ||
                          code == JWRN_ADOBE_XFORM || code == JWRN_BOGUS_ICC;
    if (level < 0 && !harmless)
        leave(info);
}

static void say_nothing(j_common_ptr info)
{
    (void)info;
}

static void count_scans(j_common_ptr info)
{
    struct decoder *d = (struct decoder *)info;

    if (d->info.input_scan_number <= MAX_SCANS)
        return;
    snprintf(d->message, sizeof d->message, "more than %d scans", MAX_SCANS);
    longjmp(d->jump, 1);
}

static bool start(struct decoder *d, const struct kiln_file *file)
{
    d->info.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = leave;
    d->errors.emit_message = judge;
    d->errors.output_message = say_nothing;
    d->progress.progress_monitor = count_scans;
    if (setjmp(d->jump))
        return false;
    jpeg_create_decompress(&d->info);
    d->info.progress = &d->progress;
    jpeg_mem_src(&d->info, file->data, (unsigned long)file->size);
    jpeg_read_header(&d->info, TRUE);
    return true;
}

static bool read_rows(struct decoder *d, struct kiln_picture *p)
{
    if (setjmp(d->jump))
        return false;
    d->info.out_color_space = p->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&d->info);
    while (d->info.output_scanline < d->info.output_height) {
        JSAMPROW row = p->samples + d->info.output_scanline * p->width * p->channels;
        jpeg_read_scanlines(&d->info, &row, 1);
    }
    return true;
}

static kiln_status decode(struct decoder *d, struct kiln_picture *p, const struct kiln_file *file,
                          const char *path)
{
    kiln_status status;

    if (!start(d, file))
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged JPEG: %s", path, d->message);
    if (d->info.num_components != 1 && d->info.num_components != 3)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: a JPEG of %d channels, wanted 1 or 3", path,
                         d->info.num_components);
    if (d->info.arith_code)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: a JPEG with arithmetic coding", path);
    if ((status = kiln_picture_alloc(
             p, d->info.image_height, d->info.image_width, (size_t)d->info.num_components,
             (size_t)d->info.image_height * d->info.image_width / PIXELS_A_BYTE, file->size, path)))
        return status;
    if (!read_rows(d, p))
        return kiln_fail(KILN_ERROR_FILE, "%s: damaged JPEG: %s", path, d->message);
    return KILN_OK;
}

kiln_status kiln_jpeg_decode(struct kiln_picture *p, const struct kiln_file *file, const char *path)
{
    struct decoder d = {0};
    const kiln_status status = decode(&d, p, file, path);

    jpeg_destroy_decompress(&d.info); /* accepts what was not created */
    return status;
}

#else

kiln_status kiln_jpeg_decode(struct kiln_picture *p, const struct kiln_file *file, const char *path)
{
    (void)p, (void)file;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: is a JPEG, and this kiln was built without libjpeg", path);
}

#endif
