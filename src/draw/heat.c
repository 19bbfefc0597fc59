/*
 * heat.c - a matrix as a map with names on both sides.
 *
 * A cell's tint grows with its value, from white to blue; beside the map a scale says which is which. A column's name stands
 * upright above it if it is no wider than the column, else aslant; where a quarter of them is wider, all are aslant.
 */
#include <kiln/draw.h>

#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "draw/canvas.h"

#define EDGE      24.0
#define HEAD      34.0 /* title */
#define TEXT_SIZE 12.0
#define LONGEST   160.0 /* of a name */
#define SCALE     64.0  /* room of the scale at the right */
#define ASLANT    0.9   /* radians */

struct map {
    struct kiln_canvas canvas;
    const float *values;
    int rows, columns;
    const kiln_heat_params *p;
    double low, high;
    double cell, left, top;
    double row_room, column_room; /* of names */
    int wide;                     /* columns whose names do not fit */
};

static double widest(struct map *m, const char *const *names, int count)
{
    char number[16];
    double width = 0;
    for (int i = 0; i < count; i++)
        width = fmax(width, kiln_canvas_width(&m->canvas, kiln_canvas_name(names, i, number)));
    return fmin(width, LONGEST);
}

static bool is_wide(struct map *m, const char *name)
{
    return kiln_canvas_width(&m->canvas, name) > m->cell - 4;
}

/* Names are measured on a page that is only measured with. */
static void measure(struct map *m)
{
    m->canvas.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    m->canvas.cairo = cairo_create(m->canvas.surface);
    kiln_canvas_font(&m->canvas, TEXT_SIZE, false);
    m->row_room = widest(m, m->p->rows, m->rows);
    m->column_room = widest(m, m->p->columns, m->columns);
    const int most = m->rows > m->columns ? m->rows : m->columns;
    m->cell = m->p->cell > 0 ? m->p->cell : most <= 40 ? 24 : fmax(2, floor(960.0 / most));
    for (int c = 0; c < m->columns; c++) {
        char number[16];
        m->wide += is_wide(m, kiln_canvas_name(m->p->columns, c, number));
    }
    kiln_canvas_abandon(&m->canvas);

    m->column_room = m->wide ? m->column_room * sin(ASLANT) + 10 : TEXT_SIZE;
    m->left = EDGE + (m->p->row_label ? 24 : 0) + m->row_room + 8;
    m->top = EDGE + (m->p->title ? HEAD : 0) + (m->p->column_label ? 22 : 0) + m->column_room + 8;
}

static void find_range(struct map *m)
{
    m->low = m->p->low;
    m->high = m->p->high;
    if (m->low != m->high)
        return;
    m->low = INFINITY;
    m->high = -INFINITY;
    for (int i = 0; i < m->rows * m->columns; i++)
        if (isfinite(m->values[i])) {
            m->low = fmin(m->low, (double)m->values[i]);
            m->high = fmax(m->high, (double)m->values[i]);
        }
    if (m->low > m->high) /* there is no number */
        m->low = m->high = 0;
}

/* From white to blue; what is no number is grey. */
static void choose_tint(struct map *m, double value)
{
    const double share = m->high > m->low ? (value - m->low) / (m->high - m->low) : 1;
    const double depth = fmin(1, fmax(0, share));
    if (isnan(value))
        kiln_canvas_ink(&m->canvas, KILN_INK_GRID);
    else
        kiln_canvas_tint(&m->canvas, KILN_INK_BLUE, depth);
}

static void draw_cells(struct map *m)
{
    cairo_t *cairo = m->canvas.cairo;
    for (int r = 0; r < m->rows; r++)
        for (int c = 0; c < m->columns; c++) {
            choose_tint(m, (double)m->values[r * m->columns + c]);
            cairo_rectangle(cairo, m->left + c * m->cell, m->top + r * m->cell, m->cell, m->cell);
            cairo_fill(cairo);
        }
    kiln_canvas_ink(&m->canvas, KILN_INK_AXIS);
    cairo_set_line_width(cairo, 1);
    cairo_rectangle(cairo, m->left, m->top, m->columns * m->cell, m->rows * m->cell);
    cairo_stroke(cairo);
}

static void draw_column_name(struct map *m, double middle, const char *name)
{
    const bool aslant = 4 * m->wide >= m->columns || is_wide(m, name);
    cairo_save(m->canvas.cairo);
    cairo_translate(m->canvas.cairo, middle + (aslant ? 4 : 0), m->top - 7);
    if (aslant)
        cairo_rotate(m->canvas.cairo, -ASLANT);
    kiln_canvas_text(&m->canvas, 0, 0, aslant ? 0 : 0.5, name);
    cairo_restore(m->canvas.cairo);
}

static void draw_names(struct map *m)
{
    const int every = (int)ceil((TEXT_SIZE + 1) / m->cell); /* where cells are small, not each has room */
    char number[16];
    kiln_canvas_font(&m->canvas, TEXT_SIZE, false);
    kiln_canvas_ink(&m->canvas, KILN_INK_TITLE);
    for (int r = 0; r < m->rows; r += every)
        kiln_canvas_text(&m->canvas, m->left - 8, m->top + (r + 0.5) * m->cell + 4.3, 1,
                         kiln_canvas_name(m->p->rows, r, number));
    for (int c = 0; c < m->columns; c += every)
        draw_column_name(m, m->left + (c + 0.5) * m->cell, kiln_canvas_name(m->p->columns, c, number));
}

static void draw_labels(struct map *m)
{
    const double middle = m->left + m->columns * m->cell / 2;
    kiln_canvas_font(&m->canvas, 17, true);
    kiln_canvas_ink(&m->canvas, KILN_INK_TITLE);
    kiln_canvas_text(&m->canvas, EDGE, EDGE + 14, 0, m->p->title);
    kiln_canvas_font(&m->canvas, TEXT_SIZE, false);
    kiln_canvas_ink(&m->canvas, KILN_INK_TEXT);
    kiln_canvas_text(&m->canvas, middle, EDGE + (m->p->title ? HEAD : 0) + 10, 0.5, m->p->column_label);
    if (m->p->row_label)
        kiln_canvas_text_up(&m->canvas, EDGE + 8, m->top + m->rows * m->cell / 2, m->p->row_label);
}

/* A bar of all tints with the least and the greatest value. */
static void draw_scale(struct map *m)
{
    enum { STEPS = 32 };
    const double x = m->left + m->columns * m->cell + 20, height = fmin(m->rows * m->cell, 160);
    char text[32];
    for (int i = 0; i < STEPS; i++) {
        choose_tint(m, m->low + (m->high - m->low) * (STEPS - 1 - i) / (STEPS - 1));
        cairo_rectangle(m->canvas.cairo, x, m->top + i * height / STEPS, 12, height / STEPS + 0.5);
        cairo_fill(m->canvas.cairo);
    }
    kiln_canvas_ink(&m->canvas, KILN_INK_TEXT);
    kiln_canvas_font(&m->canvas, TEXT_SIZE - 1, false);
    snprintf(text, sizeof text, "%.3g", m->high);
    kiln_canvas_text(&m->canvas, x + 18, m->top + 9, 0, text);
    snprintf(text, sizeof text, "%.3g", m->low);
    kiln_canvas_text(&m->canvas, x + 18, m->top + height, 0, text);
}

kiln_status kiln_draw_heat(const char *path, const kiln_array *values, const kiln_heat_params *params)
{
    const kiln_heat_params none = {0};
    struct map m = {.values = values->data, .p = params ? params : &none};
    kiln_status status;
    if (values->shape.rank != 2 || kiln_shape_count(&values->shape) < 1 ||
        kiln_shape_count(&values->shape) > 1 << 24)
        return kiln_fail(KILN_ERROR_SHAPE, "%s: a map is of rank 2 and has a cell at least", path);
    if (values->type != KILN_F32)
        return kiln_fail(KILN_ERROR_TYPE, "%s: a map of %s, wanted f32", path, kiln_type_name(values->type));
    m.rows = (int)values->shape.size[0];
    m.columns = (int)values->shape.size[1];
    find_range(&m);
    measure(&m);
    const double width = m.left + m.columns * m.cell + fmax(SCALE, m.wide ? m.column_room : 0) + EDGE;
    if ((status = kiln_canvas_open(&m.canvas, path, ceil(width), ceil(m.top + m.rows * m.cell + EDGE))))
        return status;
    draw_cells(&m);
    draw_names(&m);
    draw_labels(&m);
    draw_scale(&m);
    return kiln_canvas_close(&m.canvas);
}
