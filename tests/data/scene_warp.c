/*
 * scene_warp.c - pictures with boxes, changed at random: what lies in a box before lies in it after.
 *
 * The scenes are rectangles of one pure colour a class on black: red, green, blue. Bars are white.
 */
#include <math.h>

#include <kiln/scenes.h>

#include "files.h"

enum { ROWS = 6, WIDTH = 60, HEIGHT = 40, SIDE = 48, MOST = 16 };

static const struct {
    int row, label, left, top, right, bottom; /* of pixels, the last one outside */
} rectangles[] = {
    {0, 0, 2, 3, 20, 30},   {0, 1, 30, 5, 55, 18},  {1, 2, 5, 5, 50, 35},
    {2, 1, 0, 0, 12, 40},   {2, 1, 20, 10, 34, 20}, {2, 0, 40, 0, 60, 9},
    {3, 0, 10, 25, 29, 39}, {4, 2, 44, 4, 58, 36},  {4, 1, 4, 24, 30, 38},
};

static void put_scene(int row)
{
    static unsigned char pixels[HEIGHT][WIDTH][3];
    const kiln_array a = {.data = pixels, .type = KILN_U8, .shape = KILN_SHAPE(HEIGHT, WIDTH, 3)};
    char name[32], text[4096];
    int used = snprintf(text, sizeof text, "<annotation><size><width>%d</width><height>%d</height></size>",
                        WIDTH, HEIGHT);

    memset(pixels, 0, sizeof pixels);
    for (size_t i = 0; i < sizeof rectangles / sizeof *rectangles; i++) {
        if (rectangles[i].row != row)
            continue;
        for (int y = rectangles[i].top; y < rectangles[i].bottom; y++)
            for (int x = rectangles[i].left; x < rectangles[i].right; x++)
                pixels[y][x][rectangles[i].label] = 255;
        used += snprintf(
            text + used, sizeof text - (size_t)used,
            "<object><name>%d</name><bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax>"
            "</bndbox></object>",
            rectangles[i].label, rectangles[i].left + 1, rectangles[i].top + 1, rectangles[i].right,
            rectangles[i].bottom);
    }
    snprintf(text + used, sizeof text - (size_t)used, "</annotation>");
    snprintf(name, sizeof name, "%d.png", row);
    cr_assert_eq(kiln_image_save_png(in_folder(name), &a), KILN_OK);
    snprintf(name, sizeof name, "%d.xml", row);
    put_file(name, text, strlen(text));
}

static kiln_dataset *open_scenes(kiln_image_fit fit)
{
    const kiln_scene_params params = {.image = {.shape = KILN_SHAPE(3, SIDE, SIDE), .fit = fit, .bars = 1},
                                      .most = MOST};
    kiln_dataset *ds;

    for (int row = 0; row < ROWS; row++)
        put_scene(row);
    cr_assert_eq(kiln_voc_open(&ds, folder, NULL, &params), KILN_OK, "%s", lines.newest);
    return ds;
}

/* The row of a batch. */
struct row {
    const float *image, *boxes;
    const int32_t *labels;
    int count;
};

static struct row row_of(const kiln_batch *b, int64_t i)
{
    return (struct row){.image = (const float *)b->column[0].data + i * 3 * SIDE * SIDE,
                        .boxes = (const float *)b->column[1].data + i * MOST * 4,
                        .labels = (const int32_t *)b->column[2].data + i * MOST,
                        .count = ((const int32_t *)b->column[3].data)[i]};
}

/* The class whose colour a pixel has, nearly; -1: none. */
static int class_at(const struct row *r, int y, int x)
{
    float v[3];
    int best;

    for (int c = 0; c < 3; c++)
        v[c] = r->image[(c * SIDE + y) * SIDE + x];
    best = v[0] > v[1] && v[0] > v[2] ? 0 : v[1] > v[2] ? 1 : 2;
    return v[best] > 0.9f && v[(best + 1) % 3] < 0.1f && v[(best + 2) % 3] < 0.1f ? best : -1;
}

/* Whether a pixel's centre lies in a box of the class, or no more than `margin` outside. */
static bool covered(const struct row *r, int label, int y, int x, float margin)
{
    const float u = (float)x + 0.5f, v = (float)y + 0.5f;

    for (int i = 0; i < r->count; i++) {
        const float *b = r->boxes + 4 * i;
        if (r->labels[i] == label && u > b[0] - margin && u < b[2] + margin && v > b[1] - margin &&
            v < b[3] + margin)
            return true;
    }
    return false;
}

/* Inside a box, a pixel away from its border, all is of its class; what is of a class lies in a box of it. Pixels counted. */
static int check_row(const struct row *r, bool all_kept)
{
    int inside = 0;

    for (int i = 0; i < r->count; i++) {
        const float *b = r->boxes + 4 * i;
        cr_expect(b[0] >= 0 && b[1] >= 0 && b[2] <= SIDE && b[3] <= SIDE && b[2] - b[0] >= 1 &&
                  b[3] - b[1] >= 1);
        for (int y = (int)ceilf(b[1] + 1); y < (int)(b[3] - 1); y++)
            for (int x = (int)ceilf(b[0] + 1); x < (int)(b[2] - 1); x++, inside++)
                cr_assert_eq(class_at(r, y, x), r->labels[i], "box %d at (%d, %d)", i, x, y);
    }
    for (int y = 0; y < SIDE && all_kept; y++)
        for (int x = 0; x < SIDE; x++)
            if (class_at(r, y, x) >= 0)
                cr_assert(covered(r, class_at(r, y, x), y, x, 0.51f), "(%d, %d) is in no box", x, y);
    return inside;
}

/* Twenty epochs with these changes. */
static void check_augment(kiln_image_fit fit, kiln_augment augment, bool all_kept)
{
    kiln_dataset *ds = open_scenes(fit);
    kiln_batch b;
    int inside = 0, boxes = 0;

    cr_assert_eq(
        kiln_dataset_set_params(ds, &(kiln_dataset_params){.shuffle = true, .seed = 7, .augment = augment}),
        KILN_OK, "%s", lines.newest);
    for (int epoch = 0; epoch < 20; epoch++)
        while (!kiln_dataset_next(ds, 4, &b) && b.rows > 0)
            for (int64_t i = 0; i < b.rows; i++) {
                const struct row r = row_of(&b, i);
                inside += check_row(&r, all_kept);
                boxes += r.count;
            }
    cr_expect(inside > 2000 && boxes > 60, "%d pixels in %d boxes", inside, boxes);
    kiln_dataset_close(&ds);
}

TestSuite(scene_warp, .init = enter_folder, .fini = leave_folder);

Test(scene_warp, boxes_follow_every_change)
{
    static const kiln_image_fit fits[] = {KILN_IMAGE_STRETCH, KILN_IMAGE_CROP, KILN_IMAGE_LETTERBOX};
    static const kiln_augment changes[] = {
        {.flip_x = true},
        {.flip_y = true},
        {.shift = 9, .visible = KILN_ZERO},
        {.smaller = 2, .visible = KILN_ZERO},
        {.larger = 2.5f, .visible = KILN_ZERO},
        {.stretch = 1.5f, .visible = KILN_ZERO},
        {.smaller = 1.5f,
         .larger = 2,
         .stretch = 1.3f,
         .flip_x = true,
         .flip_y = true,
         .shift = 3,
         .visible = KILN_ZERO},
    };

    for (size_t f = 0; f < 3; f++)
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
            check_augment(fits[f], changes[i], false);
}

Test(scene_warp, boxes_follow_into_mosaics)
{
    check_augment(KILN_IMAGE_LETTERBOX, (kiln_augment){.mosaic = 1, .visible = KILN_ZERO}, false);
    check_augment(
        KILN_IMAGE_LETTERBOX,
        (kiln_augment){.mosaic = 0.5f, .flip_x = true, .larger = 1.5f, .smaller = 1.5f, .visible = KILN_ZERO},
        false);
}

Test(scene_warp, nothing_of_a_class_lies_outside_its_boxes)
{
    check_augment(KILN_IMAGE_STRETCH, (kiln_augment){.flip_x = true, .flip_y = true, .shift = 4}, false);
    check_augment(KILN_IMAGE_STRETCH, (kiln_augment){.flip_x = true, .flip_y = true}, true);
    check_augment(KILN_IMAGE_LETTERBOX, (kiln_augment){.smaller = 2}, true);
}

/* All batches of two epochs, one after another. */
static void record_epochs(kiln_dataset *ds, int64_t batch_size, float *images, float *boxes)
{
    kiln_batch b;

    kiln_dataset_seek(ds, (kiln_dataset_place){0, 0});
    for (int epoch = 0; epoch < 2; epoch++)
        while (!kiln_dataset_next(ds, batch_size, &b) && b.rows > 0) {
            memcpy(images, b.column[0].data, b.column[0].bytes);
            memcpy(boxes, b.column[1].data, b.column[1].bytes);
            images += b.column[0].bytes / sizeof *images;
            boxes += b.column[1].bytes / sizeof *boxes;
        }
}

Test(scene_warp, rows_depend_on_seed_epoch_and_row_alone)
{
    enum { IMAGES = ROWS * 3 * SIDE * SIDE, BOXES = ROWS * MOST * 4 };
    static float images[3][2 * IMAGES], boxes[3][2 * BOXES];
    const kiln_augment all = {
        .mosaic = 0.5f, .flip_x = true, .larger = 2, .smaller = 2, .hue = 0.1f, .contrast = 0.2f};
    kiln_dataset_params params = {.seed = 5, .augment = all};
    kiln_dataset *ds = open_scenes(KILN_IMAGE_LETTERBOX);

    cr_assert_eq(kiln_dataset_set_params(ds, &params), KILN_OK);
    record_epochs(ds, 6, images[0], boxes[0]);
    record_epochs(ds, 1, images[1], boxes[1]);
    cr_expect_eq(memcmp(images[0], images[1], sizeof images[0]), 0);
    cr_expect_eq(memcmp(boxes[0], boxes[1], sizeof boxes[0]), 0);
    cr_expect_neq(memcmp(images[0], images[0] + IMAGES, IMAGES * sizeof(float)), 0);
    for (int threads = 1; threads <= 5; threads += 2) {
        params.threads = threads;
        cr_assert_eq(kiln_dataset_set_params(ds, &params), KILN_OK);
        memset(images[1], 0, sizeof images[1]);
        record_epochs(ds, 3, images[1], boxes[1]);
        cr_expect_eq(memcmp(images[0], images[1], sizeof images[0]), 0, "%d threads", threads);
        cr_expect_eq(memcmp(boxes[0], boxes[1], sizeof boxes[0]), 0, "%d threads", threads);
    }
    params.seed = 6;
    cr_assert_eq(kiln_dataset_set_params(ds, &params), KILN_OK);
    record_epochs(ds, 4, images[2], boxes[2]);
    cr_expect_neq(memcmp(images[0], images[2], sizeof images[0]), 0);
    kiln_dataset_close(&ds);
}

/* The mirror image of a row, left and right. */
static void mirror(const float *image, float *to)
{
    for (int i = 0; i < 3 * SIDE; i++)
        for (int x = 0; x < SIDE; x++)
            to[i * SIDE + x] = image[i * SIDE + SIDE - 1 - x];
}

Test(scene_warp, a_row_is_as_it_was_or_mirrored_and_nothing_else)
{
    enum { PIXELS = 3 * SIDE * SIDE };
    static float plain[ROWS * PIXELS], mirrored[PIXELS];
    kiln_dataset *ds = open_scenes(KILN_IMAGE_LETTERBOX);
    int seen[2] = {0};
    kiln_batch b;

    cr_assert_eq(kiln_dataset_next(ds, ROWS, &b), KILN_OK);
    memcpy(plain, b.column[0].data, sizeof plain);
    cr_assert_eq(kiln_dataset_set_params(ds, &(kiln_dataset_params){.augment = {.flip_x = true}}), KILN_OK);
    for (int epoch = 0; epoch < 8; epoch++)
        while (!kiln_dataset_next(ds, ROWS, &b) && b.rows > 0)
            for (int64_t i = 0; i < b.rows; i++) {
                const struct row r = row_of(&b, i);
                const bool same = memcmp(r.image, plain + i * PIXELS, PIXELS * sizeof(float)) == 0;

                mirror(r.image, mirrored);
                cr_assert(same || memcmp(mirrored, plain + i * PIXELS, sizeof mirrored) == 0, "row %d",
                          (int)i);
                seen[same]++;
            }
    cr_expect(seen[0] > 5 && seen[1] > 5, "%d and %d", seen[0], seen[1]);
    kiln_dataset_close(&ds);
}

Test(scene_warp, a_mosaic_shows_rows_of_its_own_dataset_alone)
{
    kiln_dataset *all = open_scenes(KILN_IMAGE_LETTERBOX), *green;
    kiln_batch b;
    int most = 0;

    cr_assert_eq(kiln_dataset_slice(&green, all, 3, 1), KILN_OK); /* one red rectangle */
    cr_assert_eq(kiln_dataset_set_params(green, &(kiln_dataset_params){.augment = {.mosaic = 1}}), KILN_OK);
    for (int epoch = 0; epoch < 40; epoch++)
        while (!kiln_dataset_next(green, 1, &b) && b.rows > 0) {
            const struct row r = row_of(&b, 0);
            most = r.count > most ? r.count : most;
            for (int i = 0; i < r.count; i++)
                cr_assert_eq(r.labels[i], 0);
        }
    cr_expect(most >= 3 && most <= 4, "%d", most);
    kiln_dataset_close(&green);
    kiln_dataset_close(&all);
}

Test(scene_warp, boxes_that_are_hardly_seen_are_dropped)
{
    kiln_dataset *ds = open_scenes(KILN_IMAGE_STRETCH);
    kiln_batch b;
    int kept[2] = {0};

    for (int whole = 0; whole < 2; whole++) {
        const kiln_augment augment = {.larger = 3, .visible = whole ? 1 : KILN_ZERO};
        cr_assert_eq(kiln_dataset_set_params(ds, &(kiln_dataset_params){.augment = augment}), KILN_OK);
        for (int epoch = 0; epoch < 30; epoch++)
            while (!kiln_dataset_next(ds, ROWS, &b) && b.rows > 0)
                for (int64_t i = 0; i < b.rows; i++) {
                    const struct row r = row_of(&b, i);
                    kept[whole] += r.count;
                    if (whole && i == 3 && r.count == 1) /* 19 x 14 of 60 x 40, made square */
                        cr_expect_float_eq((r.boxes[2] - r.boxes[0]) / (r.boxes[3] - r.boxes[1]),
                                           19 / 60.0 / (14 / 40.0), 0.1,
                                           "a whole box keeps its proportions, up to whole pixels");
                }
    }
    cr_expect(kept[1] > 0 && kept[1] < kept[0] - 50, "%d of %d", kept[1], kept[0]);
    kiln_dataset_close(&ds);
}

/* Grey scenes, to see colours. */
static void check_colours(kiln_augment augment, float low, float high, bool varies)
{
    unsigned char pixels[8][8][3];
    const kiln_array a = {.data = pixels, .type = KILN_U8, .shape = KILN_SHAPE(8, 8, 3)};
    static const char text[] =
        "<annotation><size><width>8</width><height>8</height></size><object><name>a</name><bndbox>"
        "<xmin>1</xmin><ymin>1</ymin><xmax>8</xmax><ymax>8</ymax></bndbox></object></annotation>";
    const kiln_scene_params params = {.image = {.shape = {.rank = 3, .size = {3, 8, 8}}}};
    float least = 2, most = -1;
    kiln_dataset *ds;
    kiln_batch b;

    memset(pixels, 102, sizeof pixels);
    cr_assert_eq(kiln_image_save_png(in_folder("a.png"), &a), KILN_OK);
    put_file("a.xml", text, strlen(text));
    cr_assert_eq(kiln_voc_open(&ds, folder, NULL, &params), KILN_OK);
    cr_assert_eq(kiln_dataset_set_params(ds, &(kiln_dataset_params){.augment = augment}), KILN_OK);
    for (int epoch = 0; epoch < 50; epoch++)
        while (!kiln_dataset_next(ds, 1, &b) && b.rows > 0)
            for (int i = 0; i < 192; i++) {
                least = fminf(least, ((const float *)b.column[0].data)[i]);
                most = fmaxf(most, ((const float *)b.column[0].data)[i]);
            }
    cr_expect(least >= low - 1e-3f && most <= high + 1e-3f, "%g to %g, wanted %g to %g", (double)least,
              (double)most, (double)low, (double)high);
    cr_expect_eq(most - least > (high - low) / 2, varies);
    kiln_dataset_close(&ds);
}

Test(scene_warp, colours_change_as_far_as_they_may)
{
    check_colours((kiln_augment){.brightness = 0.5f}, 0.2f, 0.6f, true);
    check_colours((kiln_augment){.contrast = 0.5f}, 0.35f, 0.45f, true);
    check_colours((kiln_augment){.saturation = 1}, 0.4f, 0.401f, false); /* grey has none */
    check_colours((kiln_augment){.hue = 0.5f}, 0.4f, 0.401f, false);
}

Test(scene_warp, what_cannot_be_is_refused)
{
    static const struct {
        kiln_augment augment;
        const char *reason;
    } bad[] = {
        {{.mosaic = 1.5f}, "mosaic 1.5, wanted 0 to 1"},
        {{.smaller = -1}, "smaller -1"},
        {{.hue = 0.6f}, "hue 0.6"},
        {{.visible = NAN}, "visible"},
        {{.shift = 1, .repeat_edge = true}, "do not repeat their edges"},
    };
    kiln_dataset *ds = open_scenes(KILN_IMAGE_STRETCH), *digits;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const kiln_status status =
            kiln_dataset_set_params(ds, &(kiln_dataset_params){.augment = bad[i].augment});
        expect_failure(status, KILN_ERROR_ARGUMENT, NULL, "dataset", bad[i].reason);
    }
    cr_assert_eq(kiln_digits_open(&digits, &(kiln_digits_params){.rows = 2}), KILN_OK);
    expect_failure(kiln_dataset_set_params(ds, &(kiln_dataset_params){.threads = 65}), KILN_ERROR_ARGUMENT,
                   NULL, "dataset", "65 threads");
    expect_failure(kiln_dataset_set_params(digits, &(kiln_dataset_params){.augment = {.mosaic = 1}}),
                   KILN_ERROR_ARGUMENT, NULL, "dataset", "mosaic is for pictures with boxes");
    kiln_dataset_close(&digits);
    kiln_dataset_close(&ds);
}
