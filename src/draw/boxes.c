/*
 * boxes.c - a picture with boxes on it: what a detector found, each with its class and score, and what is there, dashed.
 *
 * A box is drawn twice, a wide dark line below a narrower one of its class's colour, so that it shows on every ground. Its text
 * stands on a plate of that colour, above the box, or where that lies outside the picture, in it. The highest scores are drawn last.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/draw.h>

#include "base/log.h"
#include "draw/canvas.h"

enum { TEXT = 128, LEAST_SIDE = 640, PIXELS = 2 }; /* pixels: of the result's longer side; to a point */

struct page {
    struct kiln_canvas canvas;
    const kiln_array *picture;
    const kiln_boxes_params *params;
    int width, height, channels; /* of the picture */
    double scale;                /* points to a pixel of it */
    double font, line;
};

/* Colours ------------------------------------------------------------------------------------------------ */

/* Of a hue, by turns of the golden angle, so that neighbours lie far apart. */
static unsigned turned(int n)
{
    static const double shift[3] = {0, 2 / 3.0, 1 / 3.0};
    const double hue = fmod(0.15 + n * 0.61803398874989485, 1);
    unsigned colour = 0;

    for (int c = 0; c < 3; c++) {
        const double wave = 0.5 + 0.5 * cos(6.283185307179586 * (hue + shift[c]));
        colour = colour << 8 | (unsigned)(40 + 200 * wave);
    }
    return colour;
}

unsigned kiln_class_colour(int class_index)
{
    static const unsigned okabe_ito[] = {0xe69f00, 0x56b4e9, 0x009e73, 0xf0e442,
                                         0x0072b2, 0xd55e00, 0xcc79a7};
    const int count = (int)(sizeof okabe_ito / sizeof *okabe_ito);

    return class_index < 0       ? KILN_INK_AXIS
           : class_index < count ? okabe_ito[class_index]
                                 : turned(class_index);
}

static bool is_light(unsigned colour)
{
    return 0.299 * (colour >> 16 & 255) + 0.587 * (colour >> 8 & 255) + 0.114 * (colour & 255) > 140;
}

/* The picture -------------------------------------------------------------------------------------------- */

static kiln_status check(struct page *p, const char *path)
{
    const kiln_shape *s = &p->picture->shape;
    const int skip = s->rank == 4 && s->size[0] == 1, rank = s->rank - skip;
    const int64_t *size = s->size + skip;
    const int first = rank == 3 && p->picture->type == KILN_F32; /* place of the height */
    const int64_t channels = rank == 2 ? 1 : rank == 3 ? size[first ? 0 : 2] : 0;
    char text[96];

    if ((p->picture->type != KILN_U8 && p->picture->type != KILN_F32) || (channels != 1 && channels != 3) ||
        kiln_shape_count(s) < 1 || kiln_shape_count(s) > INT32_MAX || !p->picture->data)
        return kiln_fail(KILN_ERROR_SHAPE,
                         "%s: wanted u8 [H, W, 1 or 3] or f32 [1 or 3, H, W] to draw on, got %s %s", path,
                         kiln_type_name(p->picture->type), kiln_shape_text(s, text, sizeof text));
    p->height = (int)size[first];
    p->width = (int)size[first + 1];
    p->channels = (int)channels;
    return KILN_OK;
}

static unsigned sample(const struct page *p, int c, int y, int x)
{
    const size_t plane = (size_t)p->height * (size_t)p->width, at = (size_t)y * (size_t)p->width + (size_t)x;
    const size_t channel = p->channels == 1 ? 0 : (size_t)c;

    if (p->picture->type == KILN_U8)
        return ((const unsigned char *)p->picture->data)[at * (size_t)p->channels + channel];
    const double value = (double)((const float *)p->picture->data)[channel * plane + at];
    return value > 0 ? (unsigned)(fmin(value, 1) * 255 + 0.5) : 0;
}

static void draw_picture(struct page *p)
{
    cairo_t *cairo = p->canvas.cairo;
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, p->width, p->height);
    unsigned char *data = cairo_image_surface_get_data(image);
    const int stride = cairo_image_surface_get_stride(image);

    for (int y = 0; data && y < p->height; y++) {
        uint32_t *row = (uint32_t *)(void *)(data + (size_t)y * (size_t)stride);
        for (int x = 0; x < p->width; x++)
            row[x] = sample(p, 0, y, x) << 16 | sample(p, 1, y, x) << 8 | sample(p, 2, y, x);
    }
    cairo_surface_mark_dirty(image);
    cairo_save(cairo);
    cairo_scale(cairo, p->canvas.width / p->width, p->canvas.height / p->height);
    cairo_set_source_surface(cairo, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cairo),
                             p->scale * PIXELS >= 2 ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
    cairo_pattern_set_extend(cairo_get_source(cairo), CAIRO_EXTEND_PAD);
    cairo_paint(cairo);
    cairo_restore(cairo);
    cairo_surface_destroy(image);
}

/* Boxes -------------------------------------------------------------------------------------------------- */

static void outline(struct page *p, const float *box, unsigned colour, const double *dash)
{
    cairo_t *cairo = p->canvas.cairo;
    const double x = (double)box[0] * p->scale, y = (double)box[1] * p->scale;

    cairo_rectangle(cairo, x, y, (double)(box[2] - box[0]) * p->scale, (double)(box[3] - box[1]) * p->scale);
    cairo_set_dash(cairo, dash, dash ? 2 : 0, 0);
    kiln_canvas_ink(&p->canvas, KILN_INK_TITLE);
    cairo_set_line_width(cairo, p->line * 1.9);
    cairo_stroke_preserve(cairo);
    kiln_canvas_ink(&p->canvas, colour);
    cairo_set_line_width(cairo, p->line);
    cairo_stroke(cairo);
    cairo_set_dash(cairo, NULL, 0, 0);
}

static bool in_range(const float *box)
{
    for (int i = 0; i < 4; i++)
        if (!(fabsf(box[i]) < 1e6f))
            return false;
    return box[0] <= box[2] && box[1] <= box[3];
}

static const char *label_of(const struct page *p, const kiln_detection *d, char *text)
{
    const bool named = p->params->names && d->class_index >= 0 && d->class_index < p->params->classes &&
                       p->params->names[d->class_index];

    if (named)
        snprintf(text, TEXT, "%.100s %.2f", p->params->names[d->class_index], (double)d->score);
    else
        snprintf(text, TEXT, "%d %.2f", d->class_index, (double)d->score);
    return text;
}

/* The plate lies on the box's upper border, moved into the picture. */
static void draw_label(struct page *p, const kiln_detection *d)
{
    char text[TEXT];
    const unsigned colour = kiln_class_colour(d->class_index);
    const double width = kiln_canvas_width(&p->canvas, label_of(p, d, text)) + p->font * 0.6,
                 height = p->font * 1.3;
    const double above = (double)d->box[1] * p->scale - p->line / 2 - height;
    const double left = (double)d->box[0] * p->scale - p->line / 2;
    const double x = fmax(fmin(left, p->canvas.width - width), 0);
    const double y = fmin(fmax(above >= 0 ? above : above + height + p->line, 0), p->canvas.height - height);

    kiln_canvas_round(&p->canvas, x, y, width, height, p->font * 0.2);
    kiln_canvas_ink(&p->canvas, colour);
    cairo_fill(p->canvas.cairo);
    kiln_canvas_ink(&p->canvas, is_light(colour) ? KILN_INK_TITLE : KILN_INK_PAPER);
    kiln_canvas_text(&p->canvas, x + p->font * 0.3, y + p->font, 0, text);
}

static int by_score(const void *a, const void *b)
{
    const kiln_detection *x = *(const kiln_detection *const *)a, *y = *(const kiln_detection *const *)b;
    return x->score != y->score ? (x->score < y->score ? -1 : 1) : x < y ? -1 : x > y;
}

/* All outlines first, so that none crosses a text. */
static void draw_found(struct page *p, const kiln_detection **order, int count)
{
    for (int i = 0; i < count; i++)
        outline(p, order[i]->box, kiln_class_colour(order[i]->class_index), NULL);
    kiln_canvas_font(&p->canvas, p->font, true);
    for (int i = 0; i < count && !p->params->no_text; i++)
        draw_label(p, order[i]);
}

static void draw_there(struct page *p)
{
    const double dash[2] = {3 * p->line, 2.5 * p->line};

    for (int i = 0; i < p->params->object_count; i++)
        if (in_range(p->params->objects[i].box))
            outline(p, p->params->objects[i].box, KILN_INK_PAPER, dash);
}

static int collect(const kiln_detection *found, int count, const kiln_detection **order)
{
    int kept = 0;

    for (int i = 0; i < count; i++)
        if (in_range(found[i].box) && isfinite(found[i].score))
            order[kept++] = &found[i];
    if (kept > 1)
        qsort(order, (size_t)kept, sizeof *order, by_score);
    return kept;
}

kiln_status kiln_draw_boxes(const char *path, const kiln_array *picture, const kiln_detection *found,
                            int count, const kiln_boxes_params *params)
{
    static const kiln_boxes_params none;
    struct page p = {.picture = picture, .params = params ? params : &none};
    const kiln_detection **order;
    kiln_status status = check(&p, path);
    double longer, zoom;

    if (status)
        return status;
    longer = fmax(p.width, p.height);
    zoom = p.params->zoom > 0 ? p.params->zoom : fmax(ceil(LEAST_SIDE / longer), 1);
    p.scale = zoom / PIXELS;
    p.font = fmin(fmax(longer * p.scale / 45, 6.5), 13);
    p.line = p.font / 6;
    if (!(order = malloc(((size_t)(count > 0 ? count : 0) + 1) * sizeof *order)))
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to draw %d boxes", path, count);
    if (!(status = kiln_canvas_open(&p.canvas, path, p.width * p.scale, p.height * p.scale))) {
        draw_picture(&p);
        draw_there(&p);
        draw_found(&p, order, collect(found, count, order));
        status = kiln_canvas_close(&p.canvas);
    }
    free(order);
    return status;
}
