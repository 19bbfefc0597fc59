/*
 * curves.c - a chart of lines.
 *
 *   title
 *   --- names ---            as many rows as they need: they never cover a line
 *   y |           | second   the margins are as wide as the numbers beside them
 *     +-----------+
 *           x
 *
 * A line of more points than the plot has columns is drawn by the first, least, greatest and last point of each column, which
 * looks the same and keeps files small.
 *
 * A line of many points is drawn pale, and over it its mean over a window of a hundredth to each side: the trend in the noise.
 */
#include <kiln/draw.h>

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "draw/canvas.h"
#include "draw/scale.h"

enum { WIDTH = 900, HEIGHT = 540, SMALLEST = 200, MOST_SERIES = 16, DOTS = 40, MANY = 400 };

#define EDGE       26.0 /* around everything */
#define GAP        10.0
#define TEXT_SIZE  12.5
#define TITLE_SIZE 18.0
#define LEGEND_ROW 22.0
#define SAMPLE     28.0 /* the piece of line before a name */

static const unsigned colours[] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7,
                                   0xe69f00, 0x56b4e9, 0x5b4a9e, 0x4a4f57};

struct chart {
    struct kiln_canvas canvas;
    const kiln_series *series;
    int count;
    const kiln_curves_params *params;
    struct kiln_scale x, y, second;
    bool has_second;
    double left, top, right, bottom; /* of the plot */
};

/* Ranges ------------------------------------------------------------------------------------------------- */

static bool is_shown(const kiln_series *s, int i, bool log)
{
    return isfinite(s->x[i]) && isfinite(s->y[i]) && (!log || s->y[i] > 0);
}

static void widen(struct kiln_scale_params *r, double value)
{
    r->low = fmin(r->low, value);
    r->high = fmax(r->high, value);
    r->whole = r->whole && value == floor(value);
}

static void measure(struct chart *c)
{
    struct kiln_scale_params x = {INFINITY, -INFINITY, .whole = true, .tight = true, .wanted = 8};
    struct kiln_scale_params y[2] = {{INFINITY, -INFINITY, .log = c->params->log, .wanted = 6},
                                     {INFINITY, -INFINITY, .wanted = 6}};

    for (int n = 0; n < c->count; n++) {
        const kiln_series *s = &c->series[n];
        c->has_second = c->has_second || s->second;
        for (int i = 0; i < s->count; i++) {
            if (!is_shown(s, i, c->params->log && !s->second))
                continue;
            widen(&x, s->x[i]);
            widen(&y[s->second], s->y[i]);
        }
    }
    y[0].whole = y[1].whole = false;
    c->x = kiln_scale_of(&x);
    c->y = kiln_scale_of(&y[0]);
    c->second = kiln_scale_of(&y[1]);
}

/* Legend ------------------------------------------------------------------------------------------------- */

static void draw_sample(struct chart *c, int n, double x, double y)
{
    cairo_t *cairo = c->canvas.cairo;

    kiln_canvas_ink(&c->canvas, colours[n % 8]);
    cairo_set_line_width(cairo, 2.4);
    if (c->series[n].second)
        cairo_set_dash(cairo, (const double[]){5, 5}, 2, 0);
    kiln_canvas_line(&c->canvas, x, y, x + SAMPLE - 6, y);
    cairo_set_dash(cairo, NULL, 0, 0);
}

/* Go through the names from left to right and from row to row; returns the height they take. */
static double lay_legend(struct chart *c, double top, bool draw)
{
    double x = EDGE, y = top;

    kiln_canvas_font(&c->canvas, TEXT_SIZE, false);
    for (int n = 0; n < c->count; n++) {
        const double width = SAMPLE + kiln_canvas_width(&c->canvas, c->series[n].name);
        if (x > EDGE && x + width > c->canvas.width - EDGE) {
            x = EDGE;
            y += LEGEND_ROW;
        }
        if (draw) {
            draw_sample(c, n, x + 1, y + LEGEND_ROW / 2);
            kiln_canvas_ink(&c->canvas, KILN_INK_TEXT);
            kiln_canvas_text(&c->canvas, x + SAMPLE, y + LEGEND_ROW / 2 + 4.5, 0, c->series[n].name);
        }
        x += width + 22;
    }
    return c->count > 0 ? y + LEGEND_ROW - top : 0;
}

static double lay_head(struct chart *c, bool draw)
{
    double y = EDGE;

    if (c->params->title) {
        kiln_canvas_font(&c->canvas, TITLE_SIZE, true);
        kiln_canvas_ink(&c->canvas, KILN_INK_TITLE);
        if (draw)
            kiln_canvas_text(&c->canvas, EDGE, y + 14, 0, c->params->title);
        y += 28;
    }
    return y + lay_legend(c, y, draw);
}

/* Layout and axes ---------------------------------------------------------------------------------------- */

static double widest(struct chart *c, const struct kiln_scale *a)
{
    double width = 0;
    for (int i = 0; i < a->count; i++)
        width = fmax(width, kiln_canvas_width(&c->canvas, a->text[i]));
    return width;
}

static void lay_out(struct chart *c)
{
    c->top = lay_head(c, false) + 16;
    kiln_canvas_font(&c->canvas, TEXT_SIZE, false);
    c->left = EDGE + widest(c, &c->y) + GAP + (c->params->y_label ? 24 : 0);
    c->right = c->canvas.width - EDGE;
    if (c->has_second)
        c->right -= widest(c, &c->second) + GAP + (c->params->second_label ? 24 : 0);
    c->bottom = c->canvas.height - EDGE - 18 - (c->params->x_label ? 22 : 0);
}

static double x_of(const struct chart *c, double value)
{
    const double inset = 8; /* so that the ends of lines are no part of the frame */
    return c->left + inset + kiln_scale_place(&c->x, value) * (c->right - c->left - 2 * inset);
}

static double y_of(const struct chart *c, const struct kiln_scale *a, double value)
{
    return c->bottom - kiln_scale_place(a, value) * (c->bottom - c->top);
}

/* A line of one point lies sharp on whole and a half. */
static double crisp(double x)
{
    return floor(x) + 0.5;
}

static void draw_grid(struct chart *c)
{
    cairo_set_line_width(c->canvas.cairo, 1);
    kiln_canvas_ink(&c->canvas, KILN_INK_GRID);
    for (int i = 0; i < c->y.count; i++) {
        const double y = crisp(y_of(c, &c->y, c->y.tick[i]));
        kiln_canvas_line(&c->canvas, c->left, y, c->right, y);
    }
    for (int i = 0; i < c->x.count; i++) {
        const double x = crisp(x_of(c, c->x.tick[i]));
        kiln_canvas_line(&c->canvas, x, c->top, x, c->bottom);
    }
    kiln_canvas_ink(&c->canvas, KILN_INK_AXIS);
    kiln_canvas_line(&c->canvas, c->left, crisp(c->bottom), c->right, crisp(c->bottom));
}

static void draw_numbers(struct chart *c)
{
    kiln_canvas_font(&c->canvas, TEXT_SIZE, false);
    kiln_canvas_ink(&c->canvas, KILN_INK_TEXT);
    for (int i = 0; i < c->y.count; i++)
        kiln_canvas_text(&c->canvas, c->left - GAP, y_of(c, &c->y, c->y.tick[i]) + 4.5, 1, c->y.text[i]);
    for (int i = 0; i < c->x.count; i++)
        kiln_canvas_text(&c->canvas, x_of(c, c->x.tick[i]), c->bottom + 19, 0.5, c->x.text[i]);
    for (int i = 0; c->has_second && i < c->second.count; i++)
        kiln_canvas_text(&c->canvas, c->right + GAP, y_of(c, &c->second, c->second.tick[i]) + 4.5, 0,
                         c->second.text[i]);

    kiln_canvas_text(&c->canvas, (c->left + c->right) / 2, c->canvas.height - EDGE + 4, 0.5,
                     c->params->x_label);
    kiln_canvas_text_up(&c->canvas, EDGE + 6, (c->top + c->bottom) / 2, c->params->y_label);
    if (c->has_second)
        kiln_canvas_text_up(&c->canvas, c->canvas.width - EDGE + 4, (c->top + c->bottom) / 2,
                            c->params->second_label);
}

/* Lines -------------------------------------------------------------------------------------------------- */

/* The points of one column of the plot, of which at most four are drawn. */
struct column {
    double at, first, low, high, last;
    int count;
};

/* Draw the column's points as part of the line; an empty one ends it. */
static void draw_column(cairo_t *cairo, const struct column *k)
{
    if (k->count > 0)
        cairo_line_to(cairo, k->at, k->first);
    if (k->count > 2) {
        cairo_line_to(cairo, k->at, k->low);
        cairo_line_to(cairo, k->at, k->high);
    }
    if (k->count > 1)
        cairo_line_to(cairo, k->at, k->last);
}

static void add_to_column(struct column *k, double x, double y)
{
    if (k->count == 0)
        *k = (struct column){.at = x, .first = y, .low = y, .high = y};
    k->low = fmin(k->low, y);
    k->high = fmax(k->high, y);
    k->last = y;
    k->count++;
}

static void draw_dot(cairo_t *cairo, double x, double y, double radius)
{
    cairo_new_sub_path(cairo);
    cairo_arc(cairo, x, y, radius, 0, 6.283185307179586);
}

/* A point between two gaps would have no line. */
static bool is_alone(const kiln_series *s, int i, bool log)
{
    const bool before = i > 0 && is_shown(s, i - 1, log), after = i + 1 < s->count && is_shown(s, i + 1, log);
    return !before && !after;
}

static void draw_dots(struct chart *c, const kiln_series *s, const struct kiln_scale *a)
{
    for (int i = 0; i < s->count; i++)
        if (is_shown(s, i, a->log) && (s->count <= DOTS || is_alone(s, i, a->log)))
            draw_dot(c->canvas.cairo, x_of(c, s->x[i]), y_of(c, a, s->y[i]), 3);
    cairo_fill(c->canvas.cairo);
}

static void stroke(struct chart *c, const kiln_series *s, double width)
{
    cairo_set_line_width(c->canvas.cairo, width);
    if (s->second)
        cairo_set_dash(c->canvas.cairo, (const double[]){6, 5}, 2, 0);
    cairo_stroke(c->canvas.cairo);
    cairo_set_dash(c->canvas.cairo, NULL, 0, 0);
}

/* The points' path, a column at a time. */
static void trace_points(struct chart *c, const kiln_series *s, const struct kiln_scale *a)
{
    cairo_t *cairo = c->canvas.cairo;
    struct column k = {0};

    for (int i = 0; i < s->count; i++) {
        const bool shown = is_shown(s, i, a->log);
        const double x = shown ? x_of(c, s->x[i]) : NAN;
        if (!(fabs(x - k.at) < 0.5)) {
            draw_column(cairo, &k);
            k.count = 0;
        }
        if (shown)
            add_to_column(&k, x, y_of(c, a, s->y[i]));
        else
            cairo_new_sub_path(cairo);
    }
    draw_column(cairo, &k);
}

/* The mean of the points around each, on the page: of logarithms where the axis has them. */
static void trace_mean(struct chart *c, const kiln_series *s, const struct kiln_scale *a)
{
    const int reach = s->count / 100, every = s->count / MANY;

    for (int i = 0; i < s->count; i += every) {
        double sum = 0, count = 0;
        for (int k = i - reach; k <= i + reach; k++) {
            if (k < 0 || k >= s->count || !is_shown(s, k, a->log))
                continue;
            sum += y_of(c, a, s->y[k]);
            count++;
        }
        if (is_shown(s, i, a->log))
            cairo_line_to(c->canvas.cairo, x_of(c, s->x[i]), sum / count);
        else
            cairo_new_sub_path(c->canvas.cairo);
    }
}

static void draw_line(struct chart *c, int n)
{
    const kiln_series *s = &c->series[n];
    const struct kiln_scale *a = s->second ? &c->second : &c->y;

    if (s->count >= MANY) {
        kiln_canvas_ink_pale(&c->canvas, colours[n % 8]);
        trace_points(c, s, a);
        stroke(c, s, 1);
        kiln_canvas_ink(&c->canvas, colours[n % 8]);
        trace_mean(c, s, a);
    } else {
        kiln_canvas_ink(&c->canvas, colours[n % 8]);
        trace_points(c, s, a);
    }
    stroke(c, s, 2.2);
    draw_dots(c, s, a);
}

/* Lines of many points first: the others lie over their noise. */
static void draw_lines(struct chart *c)
{
    for (int n = 0; n < c->count; n++)
        if (c->series[n].count >= MANY)
            draw_line(c, n);
    for (int n = 0; n < c->count; n++)
        if (c->series[n].count < MANY)
            draw_line(c, n);
}

kiln_status kiln_draw_curves(const char *path, const kiln_series *series, int count,
                             const kiln_curves_params *params)
{
    static const kiln_curves_params none;
    struct chart c = {.series = series, .count = count, .params = params ? params : &none};
    const int width = c.params->width ? c.params->width : WIDTH,
              height = c.params->height ? c.params->height : HEIGHT;
    kiln_status status;

    if (count < 0 || count > MOST_SERIES)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: a chart of %d lines, at most %d are told apart", path,
                         count, MOST_SERIES);
    if (width < SMALLEST || height < SMALLEST)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: a chart of %d x %d points, wanted at least %d", path,
                         width, height, SMALLEST);
    if ((status = kiln_canvas_open(&c.canvas, path, width, height)))
        return status;
    measure(&c);
    lay_out(&c);
    draw_grid(&c);
    draw_numbers(&c);
    lay_head(&c, true);
    draw_lines(&c);
    return kiln_canvas_close(&c.canvas);
}
