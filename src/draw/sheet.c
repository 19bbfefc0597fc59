/*
 * sheet.c - pictures side by side, each with a caption and a mark.
 *
 * A picture's pixels stay squares: they are repeated here rather than smoothed by a viewer.
 */
#include <kiln/draw.h>

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "draw/canvas.h"

#define EDGE         24.0
#define GAP          14.0 /* between tiles */
#define TITLE_ROW    34.0
#define CAPTION_ROW  20.0
#define CAPTION_SIZE 12.0
#define FRAME        2.5
#define TILE         96 /* points, about, of a picture whose scale is not given */

enum { PIXELS = 2 }; /* to a point, as on the canvas */

struct sheet {
    struct kiln_canvas canvas;
    const kiln_array *pictures;
    const kiln_sheet_params *params;
    int count, channels, height, width, columns, rows, scale;
    double low, high, tile_width, tile_height;
};

/* What is asked for -------------------------------------------------------------------------------------- */

static kiln_status check(struct sheet *s, const char *path)
{
    const kiln_shape *shape = &s->pictures->shape;
    const bool coloured = shape->rank == 4;
    char text[96];
    size_t bytes;

    if (s->pictures->type != KILN_F32 && s->pictures->type != KILN_U8)
        return kiln_fail(KILN_ERROR_TYPE, "%s: pictures of %s, wanted f32 or u8", path,
                         kiln_type_name(s->pictures->type));
    for (int i = 0; i < shape->rank && i < KILN_MAX_RANK; i++)
        if (shape->size[i] < 1 || shape->size[i] > 1 << 20)
            return kiln_fail(KILN_ERROR_SHAPE, "%s: pictures of shape %s, whose size %d cannot be drawn",
                             path, kiln_shape_text(shape, text, sizeof text), i);
    if ((shape->rank != 3 && !coloured) || (coloured && shape->size[1] != 1 && shape->size[1] != 3))
        return kiln_fail(KILN_ERROR_SHAPE, "%s: pictures of shape %s, wanted [N, 1 or 3, H, W] or [N, H, W]",
                         path, kiln_shape_text(shape, text, sizeof text));
    s->count = (int)shape->size[0];
    s->channels = coloured ? (int)shape->size[1] : 1;
    s->height = (int)shape->size[shape->rank - 2];
    s->width = (int)shape->size[shape->rank - 1];
    return kiln_array_size(s->pictures, &bytes);
}

static double value_at(const struct sheet *s, size_t i)
{
    return s->pictures->type == KILN_U8 ? ((const uint8_t *)s->pictures->data)[i]
                                        : ((const float *)s->pictures->data)[i];
}

/* Which values are black and white. */
static void measure(struct sheet *s)
{
    const size_t total = (size_t)kiln_shape_count(&s->pictures->shape);

    s->low = s->params->low;
    s->high = s->params->high;
    if (s->pictures->type == KILN_U8) {
        s->low = 0;
        s->high = 255;
    } else if (s->low == 0 && s->high == 0) {
        s->low = INFINITY;
        s->high = -INFINITY;
        for (size_t i = 0; i < total; i++) {
            const double x = value_at(s, i);
            s->low = isfinite(x) ? fmin(s->low, x) : s->low;
            s->high = isfinite(x) ? fmax(s->high, x) : s->high;
        }
    }
    if (!(s->high > s->low)) /* one grey, or no number at all */
        s->high = s->low + 1;
}

/* A little wider than high; a few columns more or less if the last row is full then. */
static int choose_columns(int count)
{
    static const int tries[] = {0, 1, -1, 2};
    const int columns = (int)ceil(sqrt(count * 1.6));

    for (int i = 0; i < 4; i++)
        if (columns + tries[i] > 0 && count % (columns + tries[i]) == 0)
            return columns + tries[i];
    return columns;
}

static void lay_out(struct sheet *s)
{
    const int chosen = TILE / (s->width > s->height ? s->width : s->height);

    s->scale = s->params->scale > 0 ? s->params->scale : chosen > 0 ? chosen : 1;
    s->columns = s->params->columns > 0 ? s->params->columns : choose_columns(s->count);
    s->columns = s->columns < s->count ? s->columns : s->count;
    s->rows = (s->count - 1) / s->columns + 1;
    s->tile_width = (double)s->width * s->scale;
    s->tile_height = (double)s->height * s->scale + (s->params->captions ? CAPTION_ROW : 0);
}

/* Pixels ------------------------------------------------------------------------------------------------- */

static unsigned level(const struct sheet *s, double x)
{
    const double share = (x - s->low) / (s->high - s->low);
    return share > 0 ? (unsigned)(fmin(share, 1) * 255 + 0.5) : 0; /* black too where it is no number */
}

static uint32_t pixel(const struct sheet *s, int n, int y, int x)
{
    const size_t plane = (size_t)s->height * (size_t)s->width;
    const size_t first = (size_t)n * (size_t)s->channels * plane + (size_t)y * (size_t)s->width + (size_t)x;
    const size_t step = s->channels == 3 ? plane : 0;
    const unsigned red = level(s, value_at(s, first)), green = level(s, value_at(s, first + step));

    return red << 16 | green << 8 | level(s, value_at(s, first + 2 * step));
}

/* A picture as an image of its size on the page. */
static cairo_surface_t *make_image(const struct sheet *s, int n)
{
    const int zoom = s->scale * PIXELS;
    cairo_surface_t *image =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, s->width * zoom, s->height * zoom);
    unsigned char *data = cairo_image_surface_get_data(image);
    const int stride = cairo_image_surface_get_stride(image);

    for (int y = 0; data && y < s->height * zoom; y++) {
        uint32_t *row = (uint32_t *)(void *)(data + (size_t)y * (size_t)stride);
        for (int x = 0; x < s->width * zoom; x++)
            row[x] = pixel(s, n, y / zoom, x / zoom);
    }
    cairo_surface_mark_dirty(image);
    return image;
}

static void draw_picture(struct sheet *s, int n, double x, double y)
{
    cairo_t *cairo = s->canvas.cairo;
    cairo_surface_t *image = make_image(s, n);

    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, 1.0 / PIXELS, 1.0 / PIXELS);
    cairo_set_source_surface(cairo, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
    cairo_paint(cairo);
    cairo_restore(cairo);
    cairo_surface_destroy(image);
}

/* Tiles -------------------------------------------------------------------------------------------------- */

static void draw_frame(struct sheet *s, kiln_mark mark, double x, double y)
{
    const double width = mark ? FRAME : 1, out = mark ? FRAME / 2 + 1 : 0.5;

    kiln_canvas_ink(&s->canvas, mark == KILN_MARK_RIGHT ? KILN_INK_RIGHT
                                : mark                  ? KILN_INK_WRONG
                                                        : KILN_INK_GRID);
    cairo_set_line_width(s->canvas.cairo, width);
    kiln_canvas_round(&s->canvas, x - out, y - out, s->tile_width + 2 * out,
                      (double)s->height * s->scale + 2 * out, mark ? 3 : 0.5);
    cairo_stroke(s->canvas.cairo);
}

/* A tick or a cross on a disc, at the upper right corner. */
static void draw_mark(struct sheet *s, kiln_mark mark, double x, double y)
{
    cairo_t *cairo = s->canvas.cairo;

    cairo_new_sub_path(cairo);
    cairo_arc(cairo, x, y, 8, 0, 6.283185307179586);
    cairo_fill_preserve(cairo);
    kiln_canvas_ink(&s->canvas, KILN_INK_PAPER);
    cairo_set_line_width(cairo, 1.5);
    cairo_stroke(cairo);
    cairo_set_line_width(cairo, 1.8);
    if (mark == KILN_MARK_RIGHT) {
        cairo_move_to(cairo, x - 3.4, y + 0.3);
        cairo_line_to(cairo, x - 1, y + 2.8);
        cairo_line_to(cairo, x + 3.6, y - 2.6);
    } else {
        cairo_move_to(cairo, x - 2.7, y - 2.7);
        cairo_line_to(cairo, x + 2.7, y + 2.7);
        cairo_move_to(cairo, x + 2.7, y - 2.7);
        cairo_line_to(cairo, x - 2.7, y + 2.7);
    }
    cairo_stroke(cairo);
}

static void draw_tile(struct sheet *s, int n, double x, double y)
{
    const kiln_mark mark = s->params->marks ? s->params->marks[n] : KILN_MARK_NONE;
    const double height = (double)s->height * s->scale;

    draw_picture(s, n, x, y);
    draw_frame(s, mark, x, y);
    if (mark) {
        kiln_canvas_ink(&s->canvas, mark == KILN_MARK_RIGHT ? KILN_INK_RIGHT : KILN_INK_WRONG);
        draw_mark(s, mark, x + s->tile_width - 1, y + 1);
    }
    if (s->params->captions) {
        kiln_canvas_font(&s->canvas, CAPTION_SIZE, mark == KILN_MARK_WRONG);
        kiln_canvas_ink(&s->canvas, mark == KILN_MARK_WRONG ? KILN_INK_WRONG : KILN_INK_TEXT);
        kiln_canvas_text_within(&s->canvas, x + s->tile_width / 2, y + height + 17, s->tile_width + GAP - 4,
                                s->params->captions[n]);
    }
}

static kiln_status draw(struct sheet *s, const char *path)
{
    const double head = EDGE + (s->params->title ? TITLE_ROW : 0);
    const double width = 2 * EDGE + s->columns * (s->tile_width + GAP) - GAP;
    const double height = head + s->rows * (s->tile_height + GAP) - GAP + EDGE;
    kiln_status status = kiln_canvas_open(&s->canvas, path, width, height);

    if (status)
        return status;
    kiln_canvas_font(&s->canvas, 17, true);
    kiln_canvas_ink(&s->canvas, KILN_INK_TITLE);
    kiln_canvas_text(&s->canvas, EDGE, EDGE + 14, 0, s->params->title);
    for (int n = 0; n < s->count; n++)
        draw_tile(s, n, EDGE + n % s->columns * (s->tile_width + GAP),
                  head + n / s->columns * (s->tile_height + GAP));
    return kiln_canvas_close(&s->canvas);
}

kiln_status kiln_draw_sheet(const char *path, const kiln_array *pictures, const kiln_sheet_params *params)
{
    static const kiln_sheet_params none;
    struct sheet s = {.pictures = pictures, .params = params ? params : &none};
    kiln_status status = check(&s, path);

    if (status)
        return status;
    measure(&s);
    lay_out(&s);
    return draw(&s, path);
}
