/*
 * canvas.h - a page of points to draw on with cairo, which becomes a file whole or not at all.
 *
 *   if ((status = kiln_canvas_open(&canvas, path, width, height)))
 *       return status;
 *   ... cairo calls on canvas.cairo, whose errors stick ...
 *   return kiln_canvas_close(&canvas);
 */
#ifndef KILN_DRAW_CANVAS_H
#define KILN_DRAW_CANVAS_H

#include <cairo.h>

#include <kiln/base.h>

#include "base/file.h"

/* Ink. The lines' colours are Okabe and Ito's, which colour-blind readers tell apart. */
enum {
    KILN_INK_TITLE = 0x202124,
    KILN_INK_TEXT = 0x4a4f57,
    KILN_INK_AXIS = 0xa3a9b2,
    KILN_INK_GRID = 0xe8eaed,
    KILN_INK_PAPER = 0xffffff,
    KILN_INK_RIGHT = 0x009e73,
    KILN_INK_WRONG = 0xd55e00,
    KILN_INK_BLUE = 0x0072b2,
};

struct kiln_canvas {
    cairo_t *cairo;
    cairo_surface_t *surface;
    struct kiln_writer writer;
    const char *path;
    double width, height;
    bool vector; /* .svg */
};

/** Start a white page. Errors: logged; the canvas is {0} then. */
kiln_status kiln_canvas_open(struct kiln_canvas *c, const char *path, double width, double height);

/** Write the file, and close. */
kiln_status kiln_canvas_close(struct kiln_canvas *c);

/** A file without a page: close the canvas without writing. */
void kiln_canvas_abandon(struct kiln_canvas *c);

/** Set the colour, 0xRRGGBB; pale lets most of what lies below through. */
void kiln_canvas_ink(struct kiln_canvas *c, unsigned colour);
void kiln_canvas_ink_pale(struct kiln_canvas *c, unsigned colour);

/** Set the colour between paper, at depth 0, and `colour`, at 1. */
void kiln_canvas_tint(struct kiln_canvas *c, unsigned colour, double depth);

/** Size of the next texts, and whether they are bold. */
void kiln_canvas_font(struct kiln_canvas *c, double size, bool bold);

/** The name of a row, a column or a class; its number where there is none. */
const char *kiln_canvas_name(const char *const *names, int i, char number[16]);

/** Width of a text; 0 for NULL. */
double kiln_canvas_width(struct kiln_canvas *c, const char *text);

/**
 * Write a text in the current colour on the base line y. x is the place of its left end (align 0), its middle (0.5) or its
 * right end (1). Bytes that are no UTF-8 become "?". NULL is no text.
 */
void kiln_canvas_text(struct kiln_canvas *c, double x, double y, double align, const char *text);

/** The same, upwards (turned by a quarter to the left), centred at y. */
void kiln_canvas_text_up(struct kiln_canvas *c, double x, double y, const char *text);

/** The same, shortened with an ellipsis to `room` points and centred. */
void kiln_canvas_text_within(struct kiln_canvas *c, double x, double y, double room, const char *text);

/** A path around a rectangle with round corners. */
void kiln_canvas_round(struct kiln_canvas *c, double x, double y, double width, double height, double radius);

/** Draw a line from one point to another. */
void kiln_canvas_line(struct kiln_canvas *c, double x0, double y0, double x1, double y1);

#endif
