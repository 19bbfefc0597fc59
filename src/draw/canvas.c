/*
 * canvas.c - a page, its file, and text on it.
 *
 * Cairo hands the encoded file to a callback, which hands it to a kiln_writer: the old file stays until all is written.
 */
#include "draw/canvas.h"

#include <cairo-svg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"

enum { PIXELS = 2, LARGEST = 32767 }; /* pixels to a point; pixels of a side that cairo can draw */

/* The file ----------------------------------------------------------------------------------------------- */

static cairo_status_t add_bytes(void *user, const unsigned char *data, unsigned length)
{
    return kiln_writer_add(user, data, length) ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static bool ends_in(const char *path, const char *ending)
{
    const size_t length = strlen(path), tail = strlen(ending);
    return length > tail && strcmp(path + length - tail, ending) == 0;
}

static void start_page(struct kiln_canvas *c)
{
    if (c->vector) {
        c->surface = cairo_svg_surface_create_for_stream(add_bytes, &c->writer, c->width, c->height);
        c->cairo = cairo_create(c->surface);
    } else {
        c->surface =
            cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)c->width * PIXELS, (int)c->height * PIXELS);
        c->cairo = cairo_create(c->surface);
        cairo_scale(c->cairo, PIXELS, PIXELS);
    }
    kiln_canvas_ink(c, KILN_INK_PAPER);
    cairo_paint(c->cairo);
    cairo_set_line_cap(c->cairo, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(c->cairo, CAIRO_LINE_JOIN_ROUND);
}

kiln_status kiln_canvas_open(struct kiln_canvas *c, const char *path, double width, double height)
{
    const int pixels = ends_in(path, ".svg") ? 1 : PIXELS;
    kiln_status status;

    *c =
        (struct kiln_canvas){.path = path, .width = (int)width, .height = (int)height, .vector = pixels == 1};
    if (!c->vector && !ends_in(path, ".png"))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: draws .png and .svg, the ending says neither", path);
    if (!(width >= 1 && height >= 1 && width * pixels <= LARGEST && height * pixels <= LARGEST))
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: a picture of %.0f x %.0f pixels, a side has 1 to %d", path,
                         width * pixels, height * pixels, LARGEST);
    if ((status = kiln_writer_open(&c->writer, path)))
        return status;
    start_page(c);
    return KILN_OK;
}

void kiln_canvas_abandon(struct kiln_canvas *c)
{
    if (c->cairo)
        cairo_destroy(c->cairo);
    if (c->surface)
        cairo_surface_destroy(c->surface); /* an .svg is written here at the latest: before its writer goes */
    kiln_writer_abandon(&c->writer);
    c->cairo = NULL;
    c->surface = NULL;
}

static kiln_status status_of(cairo_status_t status)
{
    return status == CAIRO_STATUS_NO_MEMORY ? KILN_ERROR_MEMORY : KILN_ERROR_FILE;
}

kiln_status kiln_canvas_close(struct kiln_canvas *c)
{
    cairo_status_t drawn = cairo_status(c->cairo);
    kiln_status status;

    cairo_surface_flush(c->surface);
    if (!drawn && !c->vector)
        drawn = cairo_surface_write_to_png_stream(c->surface, add_bytes, &c->writer);
    if (!drawn && c->vector)
        cairo_surface_finish(c->surface);
    if (!drawn)
        drawn = cairo_surface_status(c->surface);

    if (drawn && !c->writer.status)
        status = kiln_fail(status_of(drawn), "%s: cannot draw: %s", c->path, cairo_status_to_string(drawn));
    else
        status = kiln_writer_commit(&c->writer); /* or what it failed with before, and logged */
    kiln_canvas_abandon(c);
    return status;
}

/* Ink and lines ------------------------------------------------------------------------------------------ */

static void set_ink(struct kiln_canvas *c, unsigned colour, double cover)
{
    cairo_set_source_rgba(c->cairo, (colour >> 16 & 255) / 255.0, (colour >> 8 & 255) / 255.0,
                          (colour & 255) / 255.0, cover);
}

void kiln_canvas_ink(struct kiln_canvas *c, unsigned colour)
{
    set_ink(c, colour, 1);
}

void kiln_canvas_ink_pale(struct kiln_canvas *c, unsigned colour)
{
    set_ink(c, colour, 0.3);
}

static double towards(unsigned ink, double depth)
{
    return 1 - depth * (1 - (ink & 255) / 255.0);
}

void kiln_canvas_tint(struct kiln_canvas *c, unsigned colour, double depth)
{
    cairo_set_source_rgb(c->cairo, towards(colour >> 16, depth), towards(colour >> 8, depth),
                         towards(colour, depth));
}

const char *kiln_canvas_name(const char *const *names, int i, char number[16])
{
    snprintf(number, 16, "%d", i);
    return names && names[i] ? names[i] : number;
}

void kiln_canvas_line(struct kiln_canvas *c, double x0, double y0, double x1, double y1)
{
    cairo_move_to(c->cairo, x0, y0);
    cairo_line_to(c->cairo, x1, y1);
    cairo_stroke(c->cairo);
}

void kiln_canvas_round(struct kiln_canvas *c, double x, double y, double width, double height, double radius)
{
    const double quarter = 1.57079632679489662, r = radius;

    cairo_new_sub_path(c->cairo);
    cairo_arc(c->cairo, x + width - r, y + r, r, -quarter, 0);
    cairo_arc(c->cairo, x + width - r, y + height - r, r, 0, quarter);
    cairo_arc(c->cairo, x + r, y + height - r, r, quarter, 2 * quarter);
    cairo_arc(c->cairo, x + r, y + r, r, 2 * quarter, 3 * quarter);
    cairo_close_path(c->cairo);
}

/* Text --------------------------------------------------------------------------------------------------- */

enum { TEXT_BYTES = 256 };

void kiln_canvas_font(struct kiln_canvas *c, double size, bool bold)
{
    cairo_select_font_face(c->cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c->cairo, size);
}

/* Cairo refuses the whole page for one bad byte: copy what is text, up to TEXT_BYTES. */
static const char *clean(char *copy, const char *text)
{
    size_t count = 0;

    while (*text && count < TEXT_BYTES - 4) {
        const size_t bytes = kiln_utf8_bytes(text, 4); /* a zero ends it before */
        if (bytes == 0)
            copy[count++] = '?';
        for (size_t i = 0; i < bytes; i++)
            copy[count++] = text[i];
        text += bytes ? bytes : 1;
    }
    copy[count] = '\0';
    return copy;
}

static double advance(struct kiln_canvas *c, const char *cleaned)
{
    cairo_text_extents_t extents;
    cairo_text_extents(c->cairo, cleaned, &extents);
    return extents.x_advance;
}

double kiln_canvas_width(struct kiln_canvas *c, const char *text)
{
    char copy[TEXT_BYTES];
    return text ? advance(c, clean(copy, text)) : 0;
}

void kiln_canvas_text(struct kiln_canvas *c, double x, double y, double align, const char *text)
{
    char copy[TEXT_BYTES];

    if (!text)
        return;
    clean(copy, text);
    cairo_move_to(c->cairo, x - align * advance(c, copy), y);
    cairo_show_text(c->cairo, copy);
    cairo_new_path(c->cairo);
}

void kiln_canvas_text_up(struct kiln_canvas *c, double x, double y, const char *text)
{
    cairo_save(c->cairo);
    cairo_translate(c->cairo, x, y);
    cairo_rotate(c->cairo, -1.57079632679489662);
    kiln_canvas_text(c, 0, 0, 0.5, text);
    cairo_restore(c->cairo);
}

void kiln_canvas_text_within(struct kiln_canvas *c, double x, double y, double room, const char *text)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    char copy[TEXT_BYTES + sizeof ellipsis];
    size_t count;

    if (!text)
        return;
    count = strlen(clean(copy, text));
    while (count > 0 && advance(c, copy) > room) {
        do
            count--;
        while (count > 0 && ((unsigned char)copy[count] & 0xc0) == 0x80);
        memcpy(copy + count, ellipsis, sizeof ellipsis);
    }
    kiln_canvas_text(c, x, y, 0.5, copy);
}
