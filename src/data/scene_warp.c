/*
 * scene_warp.c - pictures with boxes, changed at random.
 *
 *   row -> views: which picture, how large, where, mirrored, in which colours   (one, or the four of a mosaic)
 *       -> a canvas of samples, bars where no view is; the boxes of each view, moved likewise and cut at its cell
 *       -> the image
 *
 * All is drawn before the first file is read, from a stream of seed, epoch and row. Views lie at whole pixels and are mirrored and
 * scaled along the axes alone, so that boxes stay tight.
 */
#include "data/scene_warp.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/number.h"
#include "base/rng.h"
#include "data/resize.h"

enum { MOSAIC = 4 };

#define PI 3.14159265358979323846

/* Of pixels: left, top, right, bottom. */
struct cell {
    int left, top, right, bottom;
};

/* rgb' = m rgb + add. */
struct colours {
    float m[3][3], add;
};

struct view {
    int64_t row;                  /* of the source */
    struct cell cell;             /* what is shown lies in here */
    int left, top, width, height; /* where the whole picture would lie */
    bool flip_x, flip_y;
    struct colours colours;
};

struct drawing {
    const struct kiln_scenes *s;
    const kiln_augment *a;
    struct kiln_rng rng;
    int width, height; /* of the image */
};

/* Drawing lots ------------------------------------------------------------------------------------------- */

static double between(struct kiln_rng *rng, double low, double high)
{
    return low + (high - low) * kiln_rng_uniform(rng);
}

/* A factor from 1 / low to high, as often above 1 as below where both are alike. */
static double factor(struct kiln_rng *rng, float low, float high)
{
    return exp(between(rng, -log(fmax((double)low, 1)), log(fmax((double)high, 1))));
}

/* A whole number from low to high, both included. */
static int whole(struct kiln_rng *rng, int low, int high)
{
    return low + (int)kiln_rng_below(rng, (uint32_t)(high - low) + 1);
}

static void multiply(double a[3][3], double b[3][3], double out[3][3])
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            out[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j];
}

/* Saturation and hue scale and turn the colour's plane of YIQ, whose first axis is luma; contrast is around the middle. */
static void draw_colours(struct drawing *d, struct colours *c)
{
    double to_yiq[3][3] = {{0.299, 0.587, 0.114},
                           {0.595716, -0.274453, -0.321263},
                           {0.211456, -0.522591, 0.311135}};
    double to_rgb[3][3] = {{1, 0.9563, 0.6210}, {1, -0.2721, -0.6474}, {1, -1.1070, 1.7046}};
    const kiln_augment *a = d->a;
    const double bright = between(&d->rng, 1 - (double)a->brightness, 1 + (double)a->brightness);
    const double contrast = between(&d->rng, 1 - (double)a->contrast, 1 + (double)a->contrast);
    const double strong = between(&d->rng, 1 - (double)a->saturation, 1 + (double)a->saturation);
    const double turn = 2 * PI * between(&d->rng, -(double)a->hue, (double)a->hue);
    double plane[3][3] = {{1, 0, 0},
                          {0, strong * cos(turn), -strong * sin(turn)},
                          {0, strong * sin(turn), strong * cos(turn)}};
    const bool still = strong == 1 && turn == 0; /* exactly nothing, not what rounding leaves of it */
    double half[3][3], all[3][3];

    multiply(plane, to_yiq, half);
    multiply(to_rgb, half, all);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            c->m[i][j] = (float)(bright * contrast * (still ? i == j : all[i][j]));
    c->add = (float)(bright * (1 - contrast) * 127.5);
}

/* Views -------------------------------------------------------------------------------------------------- */

static bool resizes(const kiln_augment *a)
{
    return a->smaller > 1 || a->larger > 1 || a->stretch > 1;
}

/* A file may tell sizes that its picture has not: they stay within an int. */
static int whole_size(double size)
{
    return (int)fmin(fmax(floor(size + 0.5), 1), 0x1p30);
}

/* How large the picture is drawn: as it would be made to fit, times `scale`, times what is drawn. */
static void draw_size(struct drawing *d, struct view *v, double scale)
{
    const kiln_scene *scene = &d->s->list.data[v->row];
    const kiln_placing fit = kiln_image_placing(&d->s->target.params, scene->width, scene->height);
    const double zoom = scale * factor(&d->rng, d->a->smaller, d->a->larger);
    const double stretch = sqrt(factor(&d->rng, d->a->stretch, d->a->stretch));

    v->width = whole_size(fit.across * scene->width * zoom * stretch);
    v->height = whole_size(fit.down * scene->height * zoom / stretch);
}

static void draw_looks(struct drawing *d, struct view *v)
{
    v->flip_x = kiln_rng_below(&d->rng, 2) && d->a->flip_x;
    v->flip_y = kiln_rng_below(&d->rng, 2) && d->a->flip_y;
    draw_colours(d, &v->colours);
}

/* Anywhere: what is larger than the image shows a part of itself, what is smaller lies in it. */
static int draw_place(struct kiln_rng *rng, int size, int room)
{
    return room > size ? whole(rng, 0, room - size) : -whole(rng, 0, size - room);
}

static void draw_single(struct drawing *d, struct view *v)
{
    const int reach = d->a->shift;

    v->cell = (struct cell){0, 0, d->width, d->height};
    draw_size(d, v, 1);
    draw_looks(d, v);
    v->left = resizes(d->a) ? draw_place(&d->rng, v->width, d->width) : (d->width - v->width) / 2;
    v->top = resizes(d->a) ? draw_place(&d->rng, v->height, d->height) : (d->height - v->height) / 2;
    v->left += whole(&d->rng, -reach, reach);
    v->top += whole(&d->rng, -reach, reach);
}

/* Along one axis of a cell: any part of what is larger; what is smaller keeps to the point where the four meet. */
static int place_in_cell(struct kiln_rng *rng, int size, int from, int to, bool meets_at_end)
{
    return size > to - from ? from - whole(rng, 0, size - (to - from)) : meets_at_end ? to - size : from;
}

/* Four pictures around a point near the middle, each between half as large and as large as it would be alone. */
static void draw_mosaic(struct drawing *d, struct view *views, const struct kiln_draw *draw)
{
    const int x = (int)(d->width * between(&d->rng, 0.3, 0.7)),
              y = (int)(d->height * between(&d->rng, 0.3, 0.7));
    const int turn = (int)kiln_rng_below(&d->rng, MOSAIC);

    for (int i = 0; i < MOSAIC; i++) {
        struct view *v = &views[i];
        const bool right = (i + turn) % MOSAIC % 2, below = (i + turn) % MOSAIC / 2;
        const uint32_t other = kiln_rng_below(&d->rng, (uint32_t)draw->rows);

        if (i > 0)
            v->row = draw->pick ? draw->pick[other] : other;
        v->cell = (struct cell){right ? x : 0, below ? y : 0, right ? d->width : x, below ? d->height : y};
        draw_size(d, v, between(&d->rng, 0.5, 1));
        draw_looks(d, v);
        v->left = place_in_cell(&d->rng, v->width, v->cell.left, v->cell.right, !right);
        v->top = place_in_cell(&d->rng, v->height, v->cell.top, v->cell.bottom, !below);
    }
}

/* The views of a row; how many. */
static int draw_views(struct drawing *d, const struct kiln_draw *draw, int64_t row, struct view *views)
{
    kiln_rng_init(&d->rng, draw->seed,
                  kiln_rng_stream("augment") + ((uint64_t)draw->epoch << 32) + (uint64_t)row);
    views[0].row = row;
    if (kiln_rng_uniform(&d->rng) < (double)d->a->mosaic) {
        draw_mosaic(d, views, draw);
        return MOSAIC;
    }
    draw_single(d, views);
    return 1;
}

/* What of its cell a view fills. */
static struct cell shown(const struct view *v)
{
    const struct cell *c = &v->cell;

    return (struct cell){v->left > c->left ? v->left : c->left, v->top > c->top ? v->top : c->top,
                         v->left + v->width < c->right ? v->left + v->width : c->right,
                         v->top + v->height < c->bottom ? v->top + v->height : c->bottom};
}

/* Boxes -------------------------------------------------------------------------------------------------- */

/* Where a view puts a box. */
static void move_box(const struct view *v, const kiln_scene *scene, const float *box, float *to)
{
    const kiln_placing placing = {.left = v->flip_x ? v->left + v->width : v->left,
                                  .top = v->flip_y ? v->top + v->height : v->top,
                                  .across = (v->flip_x ? -1.0 : 1.0) * v->width / scene->width,
                                  .down = (v->flip_y ? -1.0 : 1.0) * v->height / scene->height};
    float moved[4];

    kiln_box_place(&placing, box, moved);
    for (int i = 0; i < 2; i++) {
        to[i] = fminf(moved[i], moved[i + 2]);
        to[i + 2] = fmaxf(moved[i], moved[i + 2]);
    }
}

static bool stays(const struct kiln_thing *thing, float area, double visible)
{
    const float *b = thing->box;
    return b[2] - b[0] >= 1 && b[3] - b[1] >= 1 && (double)kiln_thing_area(thing) >= visible * (double)area;
}

static kiln_status add_things(const struct drawing *d, const struct view *v, kiln_things *things)
{
    const kiln_scene *scene = &d->s->list.data[v->row];
    const struct cell c = shown(v);
    const double visible = kiln_real_or((double)d->a->visible, 0.3);

    for (int i = 0; i < scene->count; i++) {
        struct kiln_thing thing = {.label = scene->objects[i].class_index};
        float area;

        if (!kiln_scene_object_shows(&scene->objects[i], &d->s->params))
            continue;
        move_box(v, scene, scene->objects[i].box, thing.box);
        area = kiln_thing_area(&thing);
        if (!kiln_thing_clip(&thing, (float)c.left, (float)c.top, (float)c.right, (float)c.bottom) ||
            !stays(&thing, area, visible))
            continue;
        if (!kiln_vec_push(things, thing))
            return kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory for %d boxes", scene->count);
    }
    return KILN_OK;
}

/* Samples ------------------------------------------------------------------------------------------------ */

static void put_sample(const struct colours *k, const float *from, size_t channels, float *to)
{
    const float r = from[0], g = from[channels == 1 ? 0 : 1], b = from[channels == 1 ? 0 : 2];

    for (int c = 0; c < 3; c++) {
        const float x = k->m[c][0] * r + k->m[c][1] * g + k->m[c][2] * b + k->add;
        to[c] = x < 0 ? 0 : x > 255 ? 255 : x; /* fminf is a call */
    }
}

/* The part of the picture that is seen in a cell. */
static struct kiln_box part_of(const struct view *v, const struct cell *c, const struct kiln_picture *p)
{
    const double across = (double)p->width / v->width, down = (double)p->height / v->height;
    const int left = v->flip_x ? v->left + v->width - c->right : c->left - v->left;
    const int top = v->flip_y ? v->top + v->height - c->bottom : c->top - v->top;

    return (struct kiln_box){.left = left * across,
                             .top = top * down,
                             .width = (c->right - c->left) * across,
                             .height = (c->bottom - c->top) * down};
}

static kiln_status put_picture(const struct drawing *d, const struct view *v, const struct kiln_picture *p,
                               float *canvas)
{
    const struct cell c = shown(v);
    const size_t width = (size_t)(c.right - c.left), height = (size_t)(c.bottom - c.top);
    struct kiln_resize r;
    kiln_status status = kiln_resize_init(&r, p, part_of(v, &c, p), height, width);
    float *line = calloc(width * p->channels, sizeof *line);

    if (!line && !status)
        status = kiln_fail(KILN_ERROR_MEMORY, "picture: out of memory");
    for (size_t i = 0; i < height && !status; i++) {
        const size_t y = (size_t)c.top + (v->flip_y ? height - 1 - i : i);
        kiln_resize_row(&r, i, line);
        for (size_t j = 0; j < width; j++) {
            const size_t x = (size_t)c.left + (v->flip_x ? width - 1 - j : j);
            put_sample(&v->colours, line + j * p->channels, p->channels,
                       canvas + (y * (size_t)d->width + x) * 3);
        }
    }
    kiln_resize_finish(&r);
    free(line);
    return status;
}

static kiln_status draw_view(const struct drawing *d, const struct view *v, float *canvas)
{
    const struct cell c = shown(v);
    struct kiln_picture picture = {0};
    kiln_status status;

    if (c.left >= c.right || c.top >= c.bottom)
        return KILN_OK;
    if (!(status = kiln_scenes_picture(d->s, v->row, &picture)))
        status = put_picture(d, v, &picture, canvas);
    kiln_picture_free(&picture);
    return status;
}

/* The whole ---------------------------------------------------------------------------------------------- */

kiln_status kiln_scene_warp(const struct kiln_scenes *s, const struct kiln_draw *draw, int64_t row,
                            void *image, kiln_things *things)
{
    struct drawing d = {
        .s = s, .a = draw->augment, .width = (int)s->target.width, .height = (int)s->target.height};
    const size_t samples = s->target.height * s->target.width * 3;
    float *canvas = malloc(samples * sizeof *canvas);
    struct view views[MOSAIC];
    const int count = draw_views(&d, draw, row, views);
    const float bars = kiln_picture_bars(&s->target);
    kiln_status status =
        canvas ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "picture: no memory for %zu samples", samples);

    for (size_t i = 0; canvas && i < samples; i++)
        canvas[i] = bars;
    for (int i = 0; i < count && !status; i++)
        if (!(status = draw_view(&d, &views[i], canvas)))
            status = add_things(&d, &views[i], things);
    if (!status)
        kiln_picture_store(&s->target, canvas, image);
    free(canvas);
    return status;
}
