/* image.c - pictures: decoding, resizing, layouts and scales, saving, and files that are none. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "files.h"

/* red, green, blue, white over a row of 0, 50, 100, 150 gray */
static unsigned char colors[2 * 4 * 3] = {255, 0, 0, 0,  255, 0,  0,   0,   255, 255, 255, 255,
                                          0,   0, 0, 50, 50,  50, 100, 100, 100, 150, 150, 150};

static void put_colors(void)
{
    const kiln_array a = {.data = colors, .type = KILN_U8, .shape = KILN_SHAPE(2, 4, 3)};
    cr_assert_eq(kiln_image_save_png(in_folder("colors.png"), &a), KILN_OK);
}

/* A gray picture of so many pixels, at most 4096. */
static void put_gray(const char *name, int64_t height, int64_t width, const unsigned char *pixels)
{
    const kiln_array a = {.data = (void *)(uintptr_t)pixels,
                          .type = KILN_U8,
                          .shape = KILN_SHAPE(height, width)};
    cr_assert_eq(kiln_image_save_png(in_folder(name), &a), KILN_OK);
}

static kiln_array load(const char *name, kiln_image_params params)
{
    kiln_array a;
    cr_assert_eq(kiln_image_load(&a, in_folder(name), &params), KILN_OK, "%s", lines.newest);
    return a;
}

static void expect_values(kiln_array a, const float *wanted, size_t count)
{
    cr_assert_eq(a.bytes, count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        cr_expect_float_eq(((const float *)a.data)[i], wanted[i], 1e-5 + 1e-6 * fabsf(wanted[i]),
                           "value %zu is %g, wanted %g", i, ((const float *)a.data)[i], wanted[i]);
    kiln_array_free(&a);
}

static void expect_refused(const char *name, kiln_status wanted, const char *reason)
{
    kiln_array a = {.data = colors};
    const kiln_status status = kiln_image_load(&a, in_folder(name), NULL);

    expect_failure(status, wanted, a.data, name, reason);
    cr_expect(a.bytes == 0 && a.shape.rank == 0);
}

TestSuite(image, .init = enter_folder, .fini = leave_folder);

/* Any kind ----------------------------------------------------------------------------------------------- */

Test(image, refuses_what_is_no_picture)
{
    expect_refused("none.png", KILN_ERROR_FILE, "No such file");
    put_file("empty.png", "", 0);
    expect_refused("empty.png", KILN_ERROR_FILE, "0 bytes that are neither");
    put_file("text.jpg", "This is a text.", 15);
    expect_refused("text.jpg", KILN_ERROR_FILE, "neither PNG nor JPEG");
    make_folder("folder.png");
    expect_refused("folder.png", KILN_ERROR_FILE, "wanted a file");
}

/* Values ------------------------------------------------------------------------------------------------- */

Test(image, comes_in_its_own_size_as_values_from_0_to_1)
{
    float wanted[24];
    kiln_array a;

    for (int i = 0; i < 24; i++)
        wanted[i] = (float)colors[i % 8 * 3 + i / 8] / 255;
    put_colors();
    cr_assert_eq(kiln_image_load(&a, in_folder("colors.png"), NULL), KILN_OK);
    cr_expect(a.type == KILN_F32 && a.shape.rank == 4 && a.shape.size[0] == 1 && a.shape.size[1] == 3 &&
              a.shape.size[2] == 2 && a.shape.size[3] == 4);
    cr_expect_eq(memcmp(a.data, wanted, sizeof wanted), 0, "the same bits as byte / 255");
    expect_values(a, wanted, 24);
}

Test(image, comes_in_the_layout_order_and_scale_that_is_asked_for)
{
    const kiln_shape own = {0};
    float wanted[24];

    put_colors();
    for (int i = 0; i < 24; i++)
        wanted[i] = (float)colors[i];
    expect_values(load("colors.png", (kiln_image_params){.layout = KILN_IMAGE_CHANNELS_LAST, .bytes = true}),
                  wanted, 24);
    for (int i = 0; i < 24; i++)
        wanted[i] = ((float)colors[i / 3 * 3 + 2 - i % 3] / 255 - 0.1f * (float)(i % 3)) / (float)(1 + i % 3);
    expect_values(load("colors.png", (kiln_image_params){.shape = own,
                                                         .layout = KILN_IMAGE_CHANNELS_LAST,
                                                         .bgr = true,
                                                         .mean = {0, 0.1f, 0.2f},
                                                         .deviation = {0, 2, 3}}),
                  wanted, 24);
}

Test(image, turns_gray_by_luma_and_gray_into_equal_channels)
{
    const float luma[] = {0.299f, 0.587f, 0.114f, 1, 0, 50 / 255.0f, 100 / 255.0f, 150 / 255.0f};
    const unsigned char pixels[] = {10, 20};
    const float equal[] = {10, 20, 10, 20, 10, 20};

    put_colors();
    expect_values(load("colors.png", (kiln_image_params){.shape = KILN_SHAPE(1, 1, -1, -1)}), luma, 8);
    put_gray("gray.png", 1, 2, pixels);
    expect_values(load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(3, -1, -1), .bytes = true}), equal,
                  6);
}

Test(image, comes_as_bytes)
{
    kiln_array a;

    put_colors();
    a = load("colors.png", (kiln_image_params){.type = KILN_U8, .layout = KILN_IMAGE_CHANNELS_LAST});
    cr_expect(a.type == KILN_U8 && a.bytes == 24 && memcmp(a.data, colors, 24) == 0);
    kiln_array_free(&a);
}

Test(image, refuses_shapes_that_are_none_of_a_picture)
{
    const kiln_image_params bad[] = {
        {.shape = KILN_SHAPE(8, 8)},
        {.shape = KILN_SHAPE(2, 3, 8, 8)},
        {.shape = KILN_SHAPE(2, 8, 8)},
        {.shape = KILN_SHAPE(1, 3, 0, 8)},
        {.shape = KILN_SHAPE(1, 1, 3, 8, 8)},
        {.type = KILN_F64},
        {.shape = KILN_SHAPE(3, 1 << 20, 1 << 20)},
    };
    kiln_array a;

    put_colors();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const kiln_status status = kiln_image_load(&a, in_folder("colors.png"), &bad[i]);
        cr_expect(status == KILN_ERROR_SHAPE || status == KILN_ERROR_TYPE, "shape %zu", i);
        expect_failure(status, status, a.data, "picture", "wanted");
    }
}

/* Resizing ----------------------------------------------------------------------------------------------- */

Test(image, grows_by_lines_between_pixel_centers)
{
    const unsigned char pixels[] = {0, 100};
    const float wanted[] = {0, 25, 75, 100};

    put_gray("gray.png", 1, 2, pixels);
    expect_values(load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, 1, 4), .bytes = true}), wanted,
                  4);
}

/* Computed by hand: half the size, so weights 1 3 3 1 over four pixels, cut off at the borders. */
Test(image, shrinks_by_means_over_all_that_a_pixel_covers)
{
    const unsigned char pixels[] = {0, 0, 80, 160, 240, 240};
    const float wanted[] = {80 / 7.0f, (3 * 80 + 3 * 160 + 240) / 8.0f, (160 + 3 * 240 + 3 * 240) / 7.0f};

    put_gray("gray.png", 1, 6, pixels);
    expect_values(load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, 1, 3), .bytes = true}), wanted,
                  3);
    put_gray("gray.png", 6, 1, pixels);
    expect_values(load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, 3, 1), .bytes = true}), wanted,
                  3);
}

Test(image, keeps_an_even_picture_even_at_any_size)
{
    static unsigned char pixels[37 * 53];
    const int64_t sizes[][2] = {{1, 1}, {5, 111}, {37, 53}, {100, 7}, {224, 224}};

    memset(pixels, 77, sizeof pixels);
    put_gray("gray.png", 37, 53, pixels);
    for (int k = 0; k < 5; k++) {
        kiln_array a =
            load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, sizes[k][0], sizes[k][1]),
                                                 .bytes = true,
                                                 .fit = k % 2 ? KILN_IMAGE_CROP : KILN_IMAGE_STRETCH});
        for (int64_t i = 0; i < sizes[k][0] * sizes[k][1]; i++)
            cr_assert_float_eq(((const float *)a.data)[i], 77, 1e-3);
        kiln_array_free(&a);
    }
}

Test(image, crops_the_middle_or_shows_all_between_bars)
{
    const unsigned char pixels[] = {10, 20, 30, 40, 50, 60, 70, 80};
    const float crop[] = {20, 30, 60, 70}, box[] = {9, 9, 9, 9, 10, 20, 30, 40, 50, 60, 70, 80, 9, 9, 9, 9};

    put_gray("gray.png", 2, 4, pixels);
    expect_values(load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, 2, 2),
                                                       .bytes = true,
                                                       .fit = KILN_IMAGE_CROP}),
                  crop, 4);
    expect_values(load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, 4, 4),
                                                       .bytes = true,
                                                       .fit = KILN_IMAGE_LETTERBOX,
                                                       .bars = 9}),
                  box, 16);
}

Test(image, scales_the_bars_of_a_letterbox_like_the_picture)
{
    const unsigned char pixels[] = {255, 255};
    const float wanted[] = {1, 1, 1, 1};
    kiln_array a;

    put_gray("gray.png", 1, 2, pixels);
    expect_values(load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, 2, 2),
                                                       .fit = KILN_IMAGE_LETTERBOX,
                                                       .bars = 0.5f,
                                                       .mean = {0.25f}}),
                  (float[]){0.75f, 0.75f, 0.25f, 0.25f}, 4);
    a = load("gray.png", (kiln_image_params){.shape = KILN_SHAPE(1, 1, 4)});
    expect_values(a, wanted, 4);
}

/* PNG ---------------------------------------------------------------------------------------------------- */

Test(image, saves_floats_as_they_lie_in_datasets)
{
    const float gray[] = {0, 0.5f, 1, 2, -1, NAN}, wanted[] = {0, 128, 255, 255, 0, 0};
    const kiln_array a = {.data = (void *)(uintptr_t)gray, .shape = KILN_SHAPE(1, 1, 2, 3)};

    cr_assert_eq(kiln_image_save_png(in_folder("gray.png"), &a), KILN_OK);
    expect_values(load("gray.png", (kiln_image_params){.bytes = true}), wanted, 6);
}

Test(image, refuses_to_save_what_is_no_picture)
{
    const kiln_array bad[] = {
        {.data = colors, .type = KILN_I32, .shape = KILN_SHAPE(2, 3)},
        {.data = colors, .type = KILN_U8, .shape = KILN_SHAPE(3, 2, 4)},
        {.data = colors, .shape = KILN_SHAPE(2, 1, 2)},
        {.data = colors, .type = KILN_U8, .shape = KILN_SHAPE(24)},
        {.type = KILN_U8, .shape = KILN_SHAPE(2, 2)},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const kiln_status status = kiln_image_save_png(in_folder("bad.png"), &bad[i]);
        expect_failure(status, KILN_ERROR_SHAPE, NULL, "bad.png", "wanted u8");
    }
    cr_expect_neq(access(in_folder("bad.png"), F_OK), 0);
    cr_expect_eq(kiln_image_save_png(in_folder("none/bad.png"), &(kiln_array){.data = colors,
                                                                              .type = KILN_U8,
                                                                              .shape = KILN_SHAPE(2, 2)}),
                 KILN_ERROR_FILE);
    cr_expect_eq(lines.count, 1);
}

Test(image, lays_what_is_transparent_over_white)
{
    const unsigned char pixels[] = {0, 0, 0, 0, 10, 20, 30, 255};
    const float wanted[] = {255, 255, 255, 10, 20, 30};
    png_image image = {.version = PNG_IMAGE_VERSION, .width = 2, .height = 1, .format = PNG_FORMAT_RGBA};

    cr_assert(png_image_write_to_file(&image, in_folder("clear.png"), 0, pixels, 0, NULL));
    expect_values(load("clear.png", (kiln_image_params){.bytes = true, .layout = KILN_IMAGE_CHANNELS_LAST}),
                  wanted, 6);
}

Test(image, refuses_a_png_that_is_cut_off_anywhere)
{
    size_t bytes;
    unsigned char *data;

    put_colors();
    data = get_file("colors.png", &bytes);
    for (size_t size = 8; size + 12 < bytes; size++) { /* the end mark alone may be missing */
        put_file("cut.png", data, size);
        expect_refused("cut.png", KILN_ERROR_FILE, "damaged PNG");
    }
    free(data);
}

static void put_number(unsigned char *at, unsigned long value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

Test(image, takes_no_memory_for_a_png_that_lies_about_its_size)
{
    size_t bytes;
    unsigned char *data;

    put_colors();
    data = get_file("colors.png", &bytes);
    put_number(data + 16, 8192);
    put_number(data + 20, 8192);
    put_number(data + 29, crc32(0, data + 12, 17));
    put_file("lie.png", data, bytes);
    expect_refused("lie.png", KILN_ERROR_FILE, "cannot hold its 8192 x 8192");
    put_number(data + 16, 100000);
    put_number(data + 20, 100000);
    put_number(data + 29, crc32(0, data + 12, 17));
    put_file("lie.png", data, bytes);
    expect_refused("lie.png", KILN_ERROR_FILE, "100000 x 100000");
    put_number(data + 16, 0);
    put_number(data + 29, crc32(0, data + 12, 17));
    put_file("lie.png", data, bytes);
    expect_refused("lie.png", KILN_ERROR_FILE, "damaged PNG");
    free(data);
}

Test(image, survives_any_single_wrong_byte_of_a_png)
{
    size_t bytes;
    unsigned char *data;

    put_colors();
    data = get_file("colors.png", &bytes);
    for (size_t i = 0; i < bytes; i++) {
        kiln_array a;
        data[i] ^= 0xff;
        put_file("wrong.png", data, bytes);
        data[i] ^= 0xff;
        lines.count = 0;
        const kiln_status status = kiln_image_load(&a, in_folder("wrong.png"), NULL);
        cr_expect_eq(lines.count, status != KILN_OK, "byte %zu", i);
        kiln_array_free(&a);
    }
    free(data);
}

/* JPEG --------------------------------------------------------------------------------------------------- */

/* A slope from dark to bright; gray, or red alone. */
static void put_jpeg(const char *name, int size, int channels, bool progressive)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(in_folder(name), "wb");

    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_stdio_dest(&info, file);
    info.image_width = info.image_height = (JDIMENSION)size;
    info.input_components = channels;
    info.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 95, TRUE);
    if (progressive)
        jpeg_simple_progression(&info);
    jpeg_start_compress(&info, TRUE);
    for (int i = 0; i < size; i++) {
        unsigned char row[4 * 256] = {0};
        for (int j = 0; j < size; j++)
            row[j * channels] = (unsigned char)(i * 255 / size);
        jpeg_write_scanlines(&info, &(JSAMPROW){row}, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    fclose(file);
}

Test(image, reads_jpegs_gray_and_colored_and_progressive)
{
    for (int kind = 0; kind < 4; kind++) {
        const int channels = kind % 2 ? 3 : 1;
        kiln_array a;

        put_jpeg("slope.jpg", 64, channels, kind / 2);
        a = load("slope.jpg", (kiln_image_params){.bytes = true});
        cr_expect_eq(a.shape.size[1], channels);
        for (int i = 0; i < 64; i++)
            cr_expect_float_eq(((const float *)a.data)[i * 64 + 5], (float)(i * 255 / 64), 6);
        if (channels == 3)
            cr_expect_lt(((const float *)a.data)[2 * 4096 + 4000], 12);
        kiln_array_free(&a);
    }
}

Test(image, refuses_a_jpeg_that_is_cut_off)
{
    size_t bytes;
    unsigned char *data;

    for (int kind = 0; kind < 2; kind++) {
        put_jpeg("slope.jpg", 128, 3, kind);
        data = get_file("slope.jpg", &bytes);
        for (size_t size = 3; size + 8 < bytes; size += 29) {
            put_file("cut.jpg", data, size);
            expect_refused("cut.jpg", KILN_ERROR_FILE, "JPEG");
        }
        free(data);
    }
}

/* Where the frame header of that file lies: 2 bytes marker, 2 length, 1 precision, 2 height, 2 width. */
static unsigned char *frame_of(unsigned char *data, size_t bytes)
{
    for (size_t i = 0; i + 9 < bytes; i++)
        if (data[i] == 0xff && (data[i + 1] == 0xc0 || data[i + 1] == 0xc2))
            return data + i;
    return NULL;
}

Test(image, takes_no_memory_for_a_jpeg_that_lies_about_its_size)
{
    size_t bytes;
    unsigned char *data, *frame;

    put_jpeg("slope.jpg", 64, 3, false);
    data = get_file("slope.jpg", &bytes);
    cr_assert_not_null(frame = frame_of(data, bytes));
    memset(frame + 5, 0x1f, 4);
    put_file("lie.jpg", data, bytes);
    expect_refused("lie.jpg", KILN_ERROR_FILE, "cannot hold its 7967 x 7967");
    memset(frame + 5, 0xef, 4);
    put_file("lie.jpg", data, bytes);
    expect_refused("lie.jpg", KILN_ERROR_FILE, "61423 x 61423");
    memset(frame + 5, 0, 4);
    put_file("lie.jpg", data, bytes);
    expect_refused("lie.jpg", KILN_ERROR_FILE, "damaged JPEG");
    free(data);
}

Test(image, refuses_jpegs_of_other_kinds)
{
    put_jpeg("ink.jpg", 16, 4, false);
    expect_refused("ink.jpg", KILN_ERROR_UNSUPPORTED, "4 channels");
}

Test(image, survives_wrong_bytes_in_a_jpeg)
{
    size_t bytes;
    unsigned char *data;

    put_jpeg("slope.jpg", 32, 3, true);
    data = get_file("slope.jpg", &bytes);
    for (size_t i = 0; i < bytes; i++) {
        kiln_array a;
        data[i] ^= 0xa5;
        put_file("wrong.jpg", data, bytes);
        data[i] ^= 0xa5;
        lines.count = 0;
        const kiln_status status = kiln_image_load(&a, in_folder("wrong.jpg"), NULL);
        cr_expect_eq(lines.count, status != KILN_OK, "byte %zu", i);
        kiln_array_free(&a);
    }
    free(data);
}
