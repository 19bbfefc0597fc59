/*
 * confusion.c - a confusion matrix as a map.
 *
 * A cell's tint says its share of the row, so that a rare class shows as clearly as a frequent one. Cells shrink as classes
 * grow in number; below the size of a number they stand without one.
 */
#include <kiln/draw.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "draw/canvas.h"

#define EDGE      24.0
#define HEAD      56.0 /* title, and the line below */
#define TEXT_SIZE 12.0
#define LONGEST   140.0 /* of a class's name */

enum { NOTHING = 0xf6f7f9 }; /* a cell that never happened */

struct map {
    struct kiln_canvas canvas;
    const kiln_confusion *counts;
    const char *const *names;
    const char *title;
    int classes;
    double cell, left, top, text;
    int every;   /* where cells are small, not every class has room for its name */
    bool aslant; /* names below do not fit their columns */
};

static uint64_t row_sum(const struct map *m, int row)
{
    uint64_t sum = 0;
    for (int i = 0; i < m->classes; i++)
        sum += kiln_confusion_count(m->counts, row, i);
    return sum;
}

/* White towards blue where right, towards orange where wrong. Returns how dark it is. */
static double choose_tint(struct map *m, bool right, double share)
{
    const double depth = right ? share : sqrt(share);

    kiln_canvas_tint(&m->canvas, right ? KILN_INK_BLUE : KILN_INK_WRONG, depth);
    return depth;
}

static void draw_count(struct map *m, uint64_t count, double x, double y, bool dark)
{
    char text[32];
    double width;

    snprintf(text, sizeof text, "%" PRIu64, count);
    kiln_canvas_font(&m->canvas, m->text, false);
    width = kiln_canvas_width(&m->canvas, text);
    if (width > m->cell - 6) /* large counts, smaller digits */
        kiln_canvas_font(&m->canvas, m->text * (m->cell - 6) / width, false);
    kiln_canvas_ink(&m->canvas, dark ? KILN_INK_PAPER : count ? KILN_INK_TITLE : KILN_INK_AXIS);
    kiln_canvas_text(&m->canvas, x + m->cell / 2, y + m->cell / 2 + m->text * 0.36, 0.5, text);
}

static void draw_cell(struct map *m, int t, int g, uint64_t row)
{
    const uint64_t count = kiln_confusion_count(m->counts, t, g);
    const double x = m->left + g * m->cell, y = m->top + t * m->cell, gap = m->cell > 12 ? 1 : 0;
    const double depth = choose_tint(m, t == g, row > 0 ? (double)count / (double)row : 0);

    if (count == 0)
        kiln_canvas_ink(&m->canvas, NOTHING);
    if (count > 0 || gap > 0) {
        kiln_canvas_round(&m->canvas, x + gap, y + gap, m->cell - 2 * gap, m->cell - 2 * gap, gap * 3);
        cairo_fill(m->canvas.cairo);
    }
    if (m->cell >= 22)
        draw_count(m, count, x, y, depth > 0.55);
}

static void draw_names(struct map *m)
{
    char number[16];

    kiln_canvas_font(&m->canvas, TEXT_SIZE, false);
    kiln_canvas_ink(&m->canvas, KILN_INK_TEXT);
    for (int i = 0; i < m->classes; i += m->every) {
        const char *name = kiln_canvas_name(m->names, i, number);
        const double middle = (i + 0.5) * m->cell;
        kiln_canvas_text(&m->canvas, m->left - 10, m->top + middle + 4.3, 1, name);
        cairo_save(m->canvas.cairo);
        cairo_translate(m->canvas.cairo, m->left + middle, m->top + m->classes * m->cell);
        if (m->aslant)
            cairo_rotate(m->canvas.cairo, -0.7);
        kiln_canvas_text(&m->canvas, m->aslant ? -6 : 0, m->aslant ? 14 : 18, m->aslant ? 1 : 0.5, name);
        cairo_restore(m->canvas.cairo);
    }
}

static void draw_head(struct map *m)
{
    char text[96];

    kiln_canvas_font(&m->canvas, 17, true);
    kiln_canvas_ink(&m->canvas, KILN_INK_TITLE);
    kiln_canvas_text(&m->canvas, EDGE, EDGE + 14, 0, m->title);
    kiln_canvas_font(&m->canvas, TEXT_SIZE, false);
    kiln_canvas_ink(&m->canvas, KILN_INK_TEXT);
    snprintf(text, sizeof text, "%.2f %% of %" PRIu64 " right", 100 * kiln_confusion_accuracy(m->counts),
             kiln_confusion_rows(m->counts));
    kiln_canvas_text(&m->canvas, EDGE, EDGE + 35, 0, text);
}

/* Width of the widest name, on a page that is only measured with. */
static double widest_name(struct map *m)
{
    char number[16];
    double width = 0;
    m->canvas.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    m->canvas.cairo = cairo_create(m->canvas.surface);

    kiln_canvas_font(&m->canvas, TEXT_SIZE, false);
    for (int i = 0; i < m->classes; i++)
        width = fmax(width, kiln_canvas_width(&m->canvas, kiln_canvas_name(m->names, i, number)));
    kiln_canvas_abandon(&m->canvas);
    return fmin(width, LONGEST);
}

kiln_status kiln_draw_confusion(const char *path, const kiln_confusion *c, const kiln_matrix_params *params)
{
    struct map m = {.counts = c, .classes = kiln_confusion_classes(c), .title = "Confusion matrix"};
    double names, side, below;
    kiln_status status;

    m.names = params ? params->names : NULL;
    m.title = params && params->title ? params->title : m.title;
    m.cell = m.classes <= 12 ? 46 : m.classes <= 30 ? 30 : fmax(2, floor(900.0 / m.classes));
    m.text = m.cell >= 40 ? 12.5 : 10;
    m.every = (int)ceil(16 / m.cell);
    names = widest_name(&m);
    m.aslant = names > m.cell * m.every - 4;
    below = m.aslant ? 12 + names * 0.66 : 24;
    side = m.classes * m.cell;
    m.left = EDGE + 24 + names + 10;
    m.top = EDGE + HEAD;
    if ((status = kiln_canvas_open(&m.canvas, path, ceil(fmax(m.left + side, 320) + EDGE),
                                   ceil(m.top + side + below + 20 + EDGE))))
        return status;

    draw_head(&m);
    for (int t = 0; t < m.classes; t++) {
        const uint64_t row = row_sum(&m, t);
        for (int g = 0; g < m.classes; g++)
            draw_cell(&m, t, g, row);
    }
    draw_names(&m);
    kiln_canvas_text(&m.canvas, m.left + side / 2, m.top + side + below + 18, 0.5, "guessed");
    kiln_canvas_text_up(&m.canvas, EDGE + 8, m.top + side / 2, "true");
    return kiln_canvas_close(&m.canvas);
}
