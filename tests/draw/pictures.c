/* pictures.c - charts, sheets and matrices: the right size and ink, and no input that breaks them. */
#include <kiln/draw.h>

#include <math.h>

#include "look.h"

TestSuite(draw, .init = enter_folder, .fini = leave_folder);

static void expect_svg(const char *path)
{
    size_t bytes;
    unsigned char *text = get_file(path, &bytes);
    cr_expect(strncmp((char *)text, "<?xml", 5) == 0 && strstr((char *)text, "</svg>"), "%s", path);
    free(text);
}

/* Charts ------------------------------------------------------------------------------------------------- */

static double x[1000], y[1000], z[1000];

static kiln_status draw_chart(const char *path, int count)
{
    const kiln_series series[] = {{"loss", x, y, count, false}, {"accuracy", x, z, count, true}};

    for (int i = 0; i < count; i++) {
        x[i] = i;
        y[i] = exp(-i / 100.0);
        z[i] = 1 - y[i];
    }
    return kiln_draw_curves(path, series, 2,
                            &(kiln_curves_params){.title = "t", .second_label = "right", .log = true});
}

Test(draw, a_chart_shows_each_line_in_its_colour)
{
    cairo_surface_t *s;

    cr_assert_eq(draw_chart(in_folder("c.png"), 20), KILN_OK);
    s = open_png(in_folder("c.png"));
    cr_expect_eq(cairo_image_surface_get_width(s), 1800);
    cr_expect_eq(cairo_image_surface_get_height(s), 1080);
    cr_expect_gt(count_ink(s, 0x0072b2), 2000);
    cr_expect_gt(count_ink(s, 0xd55e00), 2000);
    cr_expect_eq(pixel(s, 0, 0), 0xffffff);
    cairo_surface_destroy(s);
    cr_assert_eq(draw_chart(in_folder("c.svg"), 1000), KILN_OK);
    expect_svg(in_folder("c.svg"));
}

Test(draw, a_chart_of_a_million_points_is_a_small_file)
{
    enum { MANY = 1000000 };
    double *many = malloc(2 * MANY * sizeof *many);
    const kiln_series series = {"noise", many, many + MANY, MANY, false};
    size_t bytes;

    for (int i = 0; i < MANY; i++) {
        many[i] = i;
        many[MANY + i] = sin(i * 12.9898) + cos(i * 1e-5);
    }
    cr_assert_eq(kiln_draw_curves(in_folder("m.svg"), &series, 1, NULL), KILN_OK);
    free(get_file(in_folder("m.svg"), &bytes));
    cr_expect_lt(bytes, 400000);
    free(many);
}

Test(draw, numbers_that_are_none_leave_gaps)
{
    double strange[] = {NAN, 1, INFINITY, -1e308, 1e308, 0, -INFINITY, 5e-324},
           steps[] = {0, 1, 2, 3, NAN, 5, 6, 7};
    const kiln_series series[] = {{"a\xff\xc0name", steps, strange, 8, false},
                                  {NULL, strange, strange, 8, true},
                                  {"none", NULL, NULL, 0, false}};

    for (int log = 0; log < 2; log++) {
        cr_expect_eq(kiln_draw_curves(in_folder("g.png"), series, 3, &(kiln_curves_params){.log = log}),
                     KILN_OK);
        for (int i = 0; i < 8; i++) {
            const kiln_series one = {"one", &steps[i], &strange[i], 1, false};
            cr_expect_eq(kiln_draw_curves(in_folder("g.png"), &one, 1, &(kiln_curves_params){.log = log}),
                         KILN_OK);
        }
    }
    cr_expect_eq(kiln_draw_curves(in_folder("g.png"), NULL, 0, NULL), KILN_OK);
    cr_expect_eq(lines.count, 0, "%s", lines.newest);
}

/* Sheets ------------------------------------------------------------------------------------------------- */

Test(draw, a_sheet_shows_pixels_as_squares)
{
    uint8_t pixels[2 * 3 * 2 * 2] = {255,    0, 0, 0, /**/ 0, 255, 0, 0, /**/ 0, 0, 255, 0,
                                     /**/ 9, 9, 9, 9, 9,      9,   9, 9, 9,      9, 9,   9};
    const kiln_mark marks[] = {KILN_MARK_RIGHT, KILN_MARK_WRONG};
    const char *const captions[] = {"a caption that is far too long", NULL};
    const kiln_array pictures = {.data = pixels, .type = KILN_U8, .shape = KILN_SHAPE(2, 3, 2, 2)};
    cairo_surface_t *s;

    cr_assert_eq(kiln_draw_sheet(in_folder("s.png"), &pictures,
                                 &(kiln_sheet_params){.scale = 20, .marks = marks, .captions = captions}),
                 KILN_OK);
    s = open_png(in_folder("s.png"));
    cr_expect_eq(cairo_image_surface_get_width(s), 2 * (2 * 24 + 2 * 40 + 14));
    cr_expect_eq(pixel(s, 50, 50), 0xff0000);
    cr_expect_eq(pixel(s, 100, 70), 0x00ff00);
    cr_expect_eq(pixel(s, 50, 125), 0x0000ff);
    cr_expect_eq(pixel(s, 100, 125), 0x000000);
    cr_expect(count_ink(s, 0x009e73) > 500 && count_ink(s, 0xd55e00) > 500);
    cairo_surface_destroy(s);
    cr_assert_eq(kiln_draw_sheet(in_folder("s.svg"), &pictures, NULL), KILN_OK);
    expect_svg(in_folder("s.svg"));
}

Test(draw, real_pictures_run_from_least_to_greatest)
{
    float pixels[] = {-1, 0, NAN, 3};
    const kiln_array picture = {.data = pixels, .shape = KILN_SHAPE(1, 2, 2)};
    cairo_surface_t *s;

    cr_assert_eq(kiln_draw_sheet(in_folder("r.png"), &picture, &(kiln_sheet_params){.scale = 20}), KILN_OK);
    s = open_png(in_folder("r.png"));
    cr_expect_eq(pixel(s, 50, 50), 0x000000);
    cr_expect_eq(pixel(s, 100, 50), 0x404040);
    cr_expect_eq(pixel(s, 50, 100), 0x000000, "what is no number is black");
    cr_expect_eq(pixel(s, 100, 100), 0xffffff);
    cairo_surface_destroy(s);
}

/* Matrices ----------------------------------------------------------------------------------------------- */

Test(draw, a_matrix_is_blue_where_right_and_orange_where_wrong)
{
    int32_t target[] = {0, 1, 2}, guess[] = {0, 1, 0};
    const kiln_array t = {.data = target, .type = KILN_I32, .shape = KILN_SHAPE(3)};
    const kiln_array g = {.data = guess, .type = KILN_I32, .shape = KILN_SHAPE(3)};
    kiln_confusion *c;
    cairo_surface_t *s;

    cr_assert_eq(kiln_confusion_create(&c, 3), KILN_OK);
    cr_assert_eq(kiln_draw_confusion(in_folder("m.png"), c, NULL), KILN_OK, "an empty one");
    cr_assert_eq(kiln_confusion_add(c, &g, &t), KILN_OK);
    cr_assert_eq(kiln_draw_confusion(in_folder("m.png"), c, NULL), KILN_OK);
    s = open_png(in_folder("m.png"));
    cr_expect_gt(count_ink(s, 0x0072b2), 2 * 5000);
    cr_expect_gt(count_ink(s, 0xd55e00), 5000);
    cairo_surface_destroy(s);
    kiln_confusion_destroy(&c);
}

Test(draw, a_matrix_of_many_classes_still_fits)
{
    kiln_confusion *c;

    cr_assert_eq(kiln_confusion_create(&c, 400), KILN_OK);
    cr_expect_eq(kiln_draw_confusion(in_folder("m.png"), c, NULL), KILN_OK);
    kiln_confusion_destroy(&c);
    cr_assert_eq(kiln_confusion_create(&c, 20000), KILN_OK);
    cr_expect_eq(kiln_draw_confusion(in_folder("m.png"), c, NULL), KILN_ERROR_ARGUMENT);
    expect_line("a side has 1 to 32767", "too many classes");
    kiln_confusion_destroy(&c);
}

/* Heat --------------------------------------------------------------------------------------------------- */

Test(draw, a_map_is_white_where_least_and_blue_where_greatest)
{
    float cells[] = {0, 0.25f, 1, NAN, 0, 1};
    const char *const rows[] = {"first", NULL}, *const columns[] = {"a", "a long name of a column", "\xff"};
    const kiln_array values = {.data = cells, .shape = KILN_SHAPE(2, 3)};
    cairo_surface_t *s;

    cr_assert_eq(kiln_draw_heat(in_folder("h.png"), &values, &(kiln_heat_params){.cell = 40}), KILN_OK);
    s = open_png(in_folder("h.png"));
    const int blue = count_ink(s, 0x0072b2), pale = count_ink(s, 0xbfdcec), grey = count_ink(s, 0xe8eaed);
    cr_expect(blue > 2 * 6000 && blue < 2 * 6400 + 400, "%d are blue", blue);
    cr_expect(pale > 6000 && pale < 6500, "%d are a quarter blue", pale);
    cr_expect(grey > 6000 && grey < 6500, "%d are grey", grey);
    cairo_surface_destroy(s);
    const kiln_heat_params named = {.title = "title",
                                    .row_label = "rows",
                                    .column_label = "columns",
                                    .rows = rows,
                                    .columns = columns,
                                    .high = 2};
    cr_assert_eq(kiln_draw_heat(in_folder("h.png"), &values, &named), KILN_OK);
    s = open_png(in_folder("h.png"));
    int half = 0; /* 1 of 2: each channel half way, rounded either way */
    for (unsigned i = 0; i < 8; i++)
        half += count_ink(s, 0x7fb8d8 + ((i & 1) << 16) + ((i >> 1 & 1) << 8) + (i >> 2));
    cr_expect(half > 1000, "%d are half blue", half);
    cairo_surface_destroy(s);
    cr_assert_eq(kiln_draw_heat(in_folder("h.svg"), &values, &named), KILN_OK);
    expect_svg(in_folder("h.svg"));
}

Test(draw, a_map_has_rows_and_columns_of_floats)
{
    static float cells[4];
    const kiln_array none = {.data = cells, .shape = KILN_SHAPE(0, 2)},
                     row = {.data = cells, .shape = KILN_SHAPE(4)},
                     wide = {.data = cells, .type = KILN_F64, .shape = KILN_SHAPE(1, 2)};
    cr_expect_eq(kiln_draw_heat(in_folder("x.png"), &none, NULL), KILN_ERROR_SHAPE);
    expect_line("has a cell at least", "no rows");
    cr_expect_eq(kiln_draw_heat(in_folder("x.png"), &row, NULL), KILN_ERROR_SHAPE);
    expect_line("a map is of rank 2", "a row");
    cr_expect_eq(kiln_draw_heat(in_folder("x.png"), &wide, NULL), KILN_ERROR_TYPE);
    expect_line("a map of f64", "doubles");
    cr_expect_eq(count_files(), 0);
}

/* Refusals ----------------------------------------------------------------------------------------------- */

static void expect_sheet_refused(kiln_type type, kiln_shape shape, kiln_status status, const char *line)
{
    static float pixels[16];
    const kiln_array pictures = {.data = pixels, .type = type, .shape = shape};
    cr_expect_eq(kiln_draw_sheet(in_folder("x.png"), &pictures, NULL), status, "%s", line);
    expect_line(line, line);
}

Test(draw, refuses_what_cannot_be_drawn)
{
    const kiln_series none[17] = {{0}};

    expect_sheet_refused(KILN_F64, KILN_SHAPE(1, 2, 2), KILN_ERROR_TYPE, "pictures of f64");
    expect_sheet_refused(KILN_F32, KILN_SHAPE(2, 2), KILN_ERROR_SHAPE, "pictures of shape [2, 2]");
    expect_sheet_refused(KILN_F32, KILN_SHAPE(1, 2, 2, 2), KILN_ERROR_SHAPE, "wanted [N, 1 or 3, H, W]");
    expect_sheet_refused(KILN_F32, KILN_SHAPE(0, 2, 2), KILN_ERROR_SHAPE, "size 0");
    expect_sheet_refused(KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 2), KILN_ERROR_SHAPE, "size 0");
    cr_expect_eq(kiln_draw_curves(in_folder("x.png"), none, 17, NULL), KILN_ERROR_ARGUMENT);
    expect_line("a chart of 17 lines", "too many lines");
    cr_expect_eq(kiln_draw_curves(in_folder("x.png"), none, 1, &(kiln_curves_params){.width = 100}),
                 KILN_ERROR_ARGUMENT);
    expect_line("100 x 540", "too small");
    cr_expect_eq(kiln_draw_curves(in_folder("x.png"), none, 1, &(kiln_curves_params){.width = 100000}),
                 KILN_ERROR_ARGUMENT);
    expect_line("200000 x 1080 pixels", "too large");
    cr_expect_eq(kiln_draw_curves(in_folder("x.jpg"), none, 1, NULL), KILN_ERROR_ARGUMENT);
    expect_line("draws .png and .svg", "another format");
    cr_expect_eq(kiln_draw_curves(in_folder("none/x.png"), none, 1, NULL), KILN_ERROR_FILE);
    expect_line("No such file", "no folder");
    cr_expect_eq(count_files(), 0);
}

Test(draw, a_full_disk_leaves_the_old_picture)
{
    static const char *const names[] = {"c.png", "c.svg"};

    for (int i = 0; i < 2; i++) {
        put_file(in_folder(names[i]), "old", 3);
        lines.count = 0;
        limit_file_size(1000);
        cr_expect_eq(draw_chart(in_folder(names[i]), 1000), KILN_ERROR_FILE);
        limit_file_size(RLIM_INFINITY);
        expect_line("cannot write", names[i]);
    }
    cr_expect_eq(count_files(), 2);
}
