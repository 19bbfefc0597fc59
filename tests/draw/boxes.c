/* boxes.c - boxes on a picture: where their lines are, in which colours, with which text; and no input that breaks them. */
#include <kiln/draw.h>

#include <math.h>

#include "look.h"

enum { WIDTH = 64, HEIGHT = 48, ZOOM = 10 };

static unsigned char grey[HEIGHT][WIDTH][3];

static kiln_array make_grey(unsigned char value)
{
    memset(grey, value, sizeof grey);
    return (kiln_array){.data = grey, .type = KILN_U8, .shape = KILN_SHAPE(HEIGHT, WIDTH, 3)};
}

TestSuite(draw_boxes, .init = enter_folder, .fini = leave_folder);

Test(draw_boxes, lie_where_they_are_in_the_colour_of_their_class)
{
    const kiln_detection found[] = {{.box = {10, 20, 30, 40}, .class_index = 1, .score = 0.9f},
                                    {.box = {40, 10, 60, 30}, .class_index = 9, .score = 0.8f}};
    const kiln_array picture = make_grey(100);
    cairo_surface_t *s;

    cr_assert_eq(kiln_draw_boxes(in_folder("b.png"), &picture, found, 2,
                                 &(kiln_boxes_params){.no_text = true}),
                 KILN_OK);
    s = open_png(in_folder("b.png"));
    cr_expect_eq(cairo_image_surface_get_width(s), WIDTH * ZOOM);
    cr_expect_eq(cairo_image_surface_get_height(s), HEIGHT * ZOOM);
    for (int i = 0; i < 2; i++) {
        const float *b = found[i].box;
        const unsigned colour = kiln_class_colour(found[i].class_index);
        const int x = (int)(b[0] + b[2]) / 2 * ZOOM, y = (int)(b[1] + b[3]) / 2 * ZOOM;
        cr_expect_eq(pixel(s, (int)b[0] * ZOOM, y), colour);
        cr_expect_eq(pixel(s, (int)b[2] * ZOOM, y), colour);
        cr_expect_eq(pixel(s, x, (int)b[1] * ZOOM), colour);
        cr_expect_eq(pixel(s, x, (int)b[3] * ZOOM), colour);
        cr_expect_eq(pixel(s, x, y), 0x646464, "its inside stays as it is");
        cr_expect_eq(pixel(s, (int)b[0] * ZOOM - 10, y), 0x646464);
    }
    cairo_surface_destroy(s);
}

/* Pixels of a box's colour, most of them its plate's. */
static int plate_of(const kiln_detection *d, const char *const *names)
{
    const kiln_array picture = make_grey(255);
    cairo_surface_t *s;
    int count;

    cr_assert_eq(kiln_draw_boxes(in_folder("t.png"), &picture, d, 1,
                                 &(kiln_boxes_params){.names = names, .classes = 3}),
                 KILN_OK, "%s", lines.newest);
    s = open_png(in_folder("t.png"));
    count = count_ink(s, kiln_class_colour(d->class_index));
    cairo_surface_destroy(s);
    return count;
}

Test(draw_boxes, have_their_text_in_the_picture)
{
    static const char *const names[] = {"dog", NULL, "m\xc3\xbcll \xff"};
    const kiln_detection corners[] = {{.box = {0, 0, 5, 5}, .score = 0.5f},
                                      {.box = {60, 0, 64, 5}, .class_index = 1},
                                      {.box = {0, 44, 5, 48}, .class_index = 2, .score = -1},
                                      {.box = {60, 44, 64, 48}, .class_index = 3, .score = 1e9f}};
    for (int i = 0; i < 4; i++) {
        kiln_detection middle = corners[i];
        const float centre[4] = {30, 22, 34, 26};
        int there, here;

        memcpy(middle.box, centre, sizeof centre);
        there = plate_of(&middle, names);
        here = plate_of(&corners[i], names);
        cr_expect(there > 500 && here > there * 3 / 4, "the plate of box %d is cut off: %d of %d pixels", i,
                  here, there);
    }
}

Test(draw_boxes, show_what_is_there_dashed)
{
    const kiln_scene_object object = {.box = {10, 10, 50, 40}};
    const kiln_array picture = make_grey(0);
    cairo_surface_t *s;
    int white = 0, black = 0;

    cr_assert_eq(kiln_draw_boxes(in_folder("d.png"), &picture, NULL, 0,
                                 &(kiln_boxes_params){.objects = &object, .object_count = 1}),
                 KILN_OK);
    s = open_png(in_folder("d.png"));
    for (int x = 100; x <= 500; x++) {
        white += pixel(s, x, 100) == 0xffffff;
        black += pixel(s, x, 100) != 0xffffff;
    }
    cr_expect(white > 100 && black > 50, "%d and %d", white, black);
    cairo_surface_destroy(s);
}

Test(draw_boxes, take_pictures_as_they_are_saved_and_as_datasets_hold_them)
{
    float planes[3][HEIGHT][WIDTH] = {{{0}}};
    const kiln_array f32 = {.data = planes, .shape = KILN_SHAPE(1, 3, HEIGHT, WIDTH)};
    const kiln_array luma = {.data = planes, .shape = KILN_SHAPE(HEIGHT, WIDTH)};
    cairo_surface_t *s;

    planes[0][0][0] = 1;
    planes[2][47][63] = 2;
    planes[1][20][20] = NAN;
    cr_assert_eq(kiln_draw_boxes(in_folder("f.png"), &f32, NULL, 0, NULL), KILN_OK);
    s = open_png(in_folder("f.png"));
    cr_expect_eq(pixel(s, 5, 5), 0xff0000);
    cr_expect_eq(pixel(s, 635, 475), 0x0000ff);
    cr_expect_eq(pixel(s, 205, 205), 0);
    cairo_surface_destroy(s);
    cr_assert_eq(kiln_draw_boxes(in_folder("f.png"), &luma, NULL, 0, &(kiln_boxes_params){.zoom = 2}),
                 KILN_OK);
    s = open_png(in_folder("f.png"));
    cr_expect_eq(cairo_image_surface_get_width(s), 2 * WIDTH);
    cr_expect_eq(pixel(s, 0, 0), 0xffffff);
    cairo_surface_destroy(s);
}

Test(draw_boxes, that_are_none_are_not_drawn)
{
    const kiln_detection bad[] = {{.box = {0, 0, NAN, 5}, .score = 1},
                                  {.box = {0, 0, INFINITY, 5}, .score = 1},
                                  {.box = {5, 5, 2, 2}, .score = 1},
                                  {.box = {5, 5, 20, 20}, .score = NAN}};
    const kiln_array picture = make_grey(50),
                     strange = {.data = grey, .type = KILN_U8, .shape = KILN_SHAPE(2, 2, 2)};
    cairo_surface_t *s;

    cr_assert_eq(kiln_draw_boxes(in_folder("n.png"), &picture, bad, 4, NULL), KILN_OK);
    s = open_png(in_folder("n.png"));
    cr_expect_eq(count_ink(s, 0x323232), WIDTH * HEIGHT * ZOOM * ZOOM);
    cairo_surface_destroy(s);
    cr_expect_eq(kiln_draw_boxes(in_folder("n.png"), &strange, NULL, 0, NULL), KILN_ERROR_SHAPE);
    cr_expect_eq(kiln_draw_boxes(in_folder("n.gif"), &picture, NULL, 0, NULL), KILN_ERROR_ARGUMENT);
}

Test(draw_boxes, colours_of_classes_differ)
{
    for (int a = 0; a < 80; a++)
        for (int b = 0; b < a; b++)
            cr_expect_neq(kiln_class_colour(a), kiln_class_colour(b), "%d and %d", a, b);
}
