/*
 * shapes.c - generated scenes: shapes and digits over textured grounds, with their boxes.
 *
 * A scene is planned first: what is where, of which size, turn and colour. Planning draws from a stream of the row's own, so that a
 * picture is drawn when it is read, from the plan made again. A shape is a list of lines: the outline of what is filled, or the strokes
 * of a digit; a pixel's share of ink follows from its distance to the nearest line.
 *
 * The ground blends two colours by noise of two grains, sometimes striped, and adds grain of its own to each pixel.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/digits.h"
#include "data/scenes.h"

enum {
    CIRCLE,
    SQUARE,
    TRIANGLE,
    STAR,
    DIGIT,
    MOST_OBJECTS = 32,
    LEAST_SIZE = 32,
    MOST_SIZE = 4096,
    CELLS = 17, /* of noise, with one to spare */
};

#define DEFAULT_ROWS 1000
#define PI           3.14159265358979323846

struct shape {
    uint32_t kind, digit, form; /* kind is at most DIGIT */
    float x, y, radius, turn;   /* in pixels */
    float pen;                  /* of a digit, half as wide as its strokes */
    float colour[3], shade;     /* of its left edge; how much brighter the right one is */
};

struct ground {
    float colour[2][3];
    float stripes, slope, phase; /* their share, and their waves */
    float grain;
    float noise[2][CELLS][CELLS];
    int cells[2];
};

struct plan {
    int count;
    struct shape shape[MOST_OBJECTS];
    struct ground ground;
    struct kiln_rng rng; /* goes on for the pixels */
};

static float between(struct kiln_rng *rng, double low, double high)
{
    return (float)(low + (high - low) * kiln_rng_uniform(rng));
}

/* Outlines ----------------------------------------------------------------------------------------------- */

/* A polygon around the origin, of radius 1 at even corners and `inner` at odd ones. */
static void add_polygon(struct kiln_lines *lines, int corners, double inner, double first)
{
    struct kiln_point from = {0};

    lines->count = 0;
    for (int i = 0; i <= corners; i++) {
        const double angle = first + 2 * PI * (i % corners) / corners, r = i % corners % 2 ? inner : 1;
        const struct kiln_point to = {(float)(r * cos(angle)), (float)(r * sin(angle))};
        if (i > 0)
            lines->line[lines->count++] = (struct kiln_line){from, to};
        from = to;
    }
}

/* Digits fill the unit square: here from -1 to 1 in height, and narrower. */
static struct kiln_point centred(struct kiln_point p)
{
    return (struct kiln_point){1.7f * (p.x - 0.5f), 2 * (p.y - 0.5f)};
}

static struct kiln_point placed(const struct shape *s, struct kiln_point p)
{
    const float c = cosf(s->turn), n = sinf(s->turn);
    return (struct kiln_point){s->x + s->radius * (c * p.x - n * p.y),
                               s->y + s->radius * (n * p.x + c * p.y)};
}

static void outline(const struct shape *s, struct kiln_lines *lines)
{
    static const struct {
        int corners;
        double inner;
    } polygons[] = {[CIRCLE] = {36, 1}, [SQUARE] = {4, 1}, [TRIANGLE] = {3, 1}, [STAR] = {10, 0.45}};

    if (s->kind == DIGIT)
        kiln_digit_lines(lines, s->digit, s->form);
    else
        add_polygon(lines, polygons[s->kind].corners, polygons[s->kind].inner, -PI / 2);
    for (int i = 0; i < lines->count; i++) {
        struct kiln_line *l = &lines->line[i];
        if (s->kind == DIGIT)
            *l = (struct kiln_line){centred(l->from), centred(l->to)};
        *l = (struct kiln_line){placed(s, l->from), placed(s, l->to)};
    }
}

static void box_of(const struct shape *s, const struct kiln_lines *lines, float *box)
{
    box[0] = box[1] = MOST_SIZE;
    box[2] = box[3] = 0;
    for (int i = 0; i < lines->count; i++) {
        const struct kiln_line *l = &lines->line[i];
        box[0] = fminf(box[0], fminf(l->from.x, l->to.x) - s->pen);
        box[1] = fminf(box[1], fminf(l->from.y, l->to.y) - s->pen);
        box[2] = fmaxf(box[2], fmaxf(l->from.x, l->to.x) + s->pen);
        box[3] = fmaxf(box[3], fmaxf(l->from.y, l->to.y) + s->pen);
    }
}

/* A line made ready for many points: where it begins, where it goes, 1 / length^2 (0 for a point). */
struct edge {
    float x, y, dx, dy, inverse;
};

static void make_edges(const struct kiln_lines *lines, struct edge *edges)
{
    for (int i = 0; i < lines->count; i++) {
        const struct kiln_point a = lines->line[i].from, b = lines->line[i].to;
        const float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
        edges[i] = (struct edge){a.x, a.y, dx, dy, length > 0 ? 1 / length : 0};
    }
}

/* The square of a point's distance from a line. */
static float apart(const struct edge *e, float x, float y)
{
    const float t = (x * e->dx + y * e->dy) * e->inverse, along = t < 0 ? 0 : t > 1 ? 1 : t;
    const float u = x - along * e->dx, v = y - along * e->dy;
    return u * u + v * v;
}

/* From 0 to 1. By comparisons, which become instructions; fminf is a call. */
static float share_of(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* How much of a pixel is ink: a pixel's width around the outline is between none and all. */
static float ink(const struct shape *s, const struct edge *edges, int count, struct kiln_point p)
{
    float nearest = (float)MOST_SIZE * MOST_SIZE, distance;
    bool inside = false;

    for (int i = 0; i < count; i++) {
        const float x = p.x - edges[i].x, y = p.y - edges[i].y, square = apart(&edges[i], x, y);
        nearest = square < nearest ? square : nearest;
        if ((y < 0) != (y < edges[i].dy) && x < y / edges[i].dy * edges[i].dx)
            inside = !inside;
    }
    distance = sqrtf(nearest);
    distance = s->kind == DIGIT ? s->pen - distance : inside ? distance : -distance;
    return share_of(distance + 0.5f);
}

/* Planning ----------------------------------------------------------------------------------------------- */

static uint32_t classes_of(const kiln_shapes_params *params)
{
    return params->each_digit ? DIGIT + 10 : DIGIT + 1;
}

static float luma(const float *colour)
{
    return 0.299f * colour[0] + 0.587f * colour[1] + 0.114f * colour[2];
}

static void draw_colour(struct kiln_rng *rng, float *colour)
{
    for (int c = 0; c < 3; c++)
        colour[c] = between(rng, 0, 255);
}

/* A colour that stands out from both of the ground's. */
static void draw_ink(struct kiln_rng *rng, const struct ground *g, float *colour)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        draw_colour(rng, colour);
        if (fabsf(luma(colour) - luma(g->colour[0])) > 45 && fabsf(luma(colour) - luma(g->colour[1])) > 45)
            return;
    }
    for (int c = 0; c < 3; c++)
        colour[c] = luma(g->colour[0]) + luma(g->colour[1]) > 255 ? 10 : 245;
}

static void plan_ground(struct ground *g, struct kiln_rng *rng)
{
    draw_colour(rng, g->colour[0]);
    for (int c = 0; c < 3; c++)
        g->colour[1][c] = fminf(fmaxf(g->colour[0][c] + between(rng, -70, 70), 0), 255);
    g->stripes = between(rng, -0.5, 0.5); /* less than 0: none */
    g->slope = between(rng, 0, PI);
    g->phase = between(rng, 6, 20);
    g->grain = between(rng, 2, 18);
    for (int k = 0; k < 2; k++) {
        g->cells[k] = (k ? 8 : 3) + (int)kiln_rng_below(rng, k ? 8 : 4);
        for (int i = 0; i < CELLS; i++)
            for (int j = 0; j < CELLS; j++)
                g->noise[k][i][j] = between(rng, 0, 1);
    }
}

static void plan_shape(struct shape *s, struct kiln_rng *rng, const struct ground *g,
                       const kiln_shapes_params *params)
{
    const uint32_t digit = kiln_rng_below(rng, 10), form = kiln_rng_below(rng, 6);
    const uint32_t kind = kiln_rng_below(rng, classes_of(params));
    const int size = params->size;

    *s = (struct shape){.kind = kind < DIGIT ? kind : DIGIT, .digit = digit, .form = form};
    s->form += digit == 1 && form % 3 == 0; /* its first form is a mere line, whose box has hardly a width */
    s->radius = (float)size * between(rng, 0.08, 0.2);
    s->turn = s->kind == DIGIT ? between(rng, -0.2, 0.2) : between(rng, 0, 2 * PI);
    s->pen = s->kind == DIGIT ? s->radius * between(rng, 0.11, 0.18) : 0;
    s->x = between(rng, 0, size);
    s->y = between(rng, 0, size);
    s->shade = between(rng, -40, 40);
    draw_ink(rng, g, s->colour);
}

/* The share of the smaller box that both cover. */
static float covered(const float *a, const float *b)
{
    const float width = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), height = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    const float smaller = fminf((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]));

    return width > 0 && height > 0 ? width * height / smaller : 0;
}

/* Whether a box lies in the picture and leaves the others in sight. */
static bool fits(const float *box, float boxes[][4], int count, int size)
{
    if (box[0] < 0 || box[1] < 0 || box[2] > (float)size || box[3] > (float)size)
        return false;
    for (int i = 0; i < count; i++)
        if (covered(box, boxes[i]) > 0.2f)
            return false;
    return true;
}

/* The plan of a row; boxes[] are its shapes'. */
static void plan_row(struct plan *p, float boxes[][4], int64_t row, const kiln_shapes_params *params)
{
    int wanted;

    kiln_rng_init(&p->rng, params->seed, kiln_rng_stream("shapes") + (uint64_t)row);
    plan_ground(&p->ground, &p->rng);
    wanted = 1 + (int)kiln_rng_below(&p->rng, (uint32_t)params->objects);
    p->count = 0;
    for (int attempt = 0; attempt < 12 * wanted && p->count < wanted; attempt++) {
        struct shape *s = &p->shape[p->count];
        struct kiln_lines lines;

        plan_shape(s, &p->rng, &p->ground, params);
        outline(s, &lines);
        box_of(s, &lines, boxes[p->count]);
        p->count += fits(boxes[p->count], boxes, p->count, params->size);
    }
}

/* Drawing ------------------------------------------------------------------------------------------------ */

static float smooth(float t)
{
    return t * t * (3 - 2 * t);
}

/* Noise of a grain in a row of pixels: its cells' corners, blended from the row of corners above and the one below; y is from 0 to 1. */
static void blend_row(const struct ground *g, int k, float y, float *corners)
{
    const float v = y * (float)g->cells[k], t = smooth(v - (float)(int)v);
    const float *above = g->noise[k][(int)v], *below = g->noise[k][(int)v + 1];

    for (int j = 0; j <= g->cells[k]; j++)
        corners[j] = above[j] + t * (below[j] - above[j]);
}

static float noise_at(const float *corners, int cells, float x)
{
    const float u = x * (float)cells;
    const int j = (int)u;
    return corners[j] + smooth(u - (float)j) * (corners[j + 1] - corners[j]);
}

/* From -1 to 1: one draw, where between() takes two. */
static float grain_at(struct kiln_rng *rng)
{
    return (float)(kiln_rng_next(rng) >> 8) * 0x1p-23f - 1;
}

static void draw_ground(struct plan *p, float *pixels, int size)
{
    const struct ground *g = &p->ground;
    const float across = g->phase * cosf(g->slope), down = g->phase * sinf(g->slope);

    for (int i = 0; i < size; i++) {
        const float y = (float)i / (float)size;
        float corners[2][CELLS];

        blend_row(g, 0, y, corners[0]);
        blend_row(g, 1, y, corners[1]);
        for (int j = 0; j < size; j++) {
            const float x = (float)j / (float)size, grain = g->grain * grain_at(&p->rng);
            const float wave =
                g->stripes > 0 ? g->stripes * sinf(2 * (float)PI * (across * x + down * y)) : 0;
            const float t = share_of(0.6f * noise_at(corners[0], g->cells[0], x) +
                                     0.4f * noise_at(corners[1], g->cells[1], x) + wave);

            for (int c = 0; c < 3; c++)
                pixels[(i * size + j) * 3 + c] =
                    g->colour[0][c] + t * (g->colour[1][c] - g->colour[0][c]) + grain;
        }
    }
}

static void draw_shape(const struct shape *s, const float *box, float *pixels, int size)
{
    const int left = (int)fmaxf(box[0] - 1, 0), right = (int)fminf(box[2] + 1, (float)(size - 1));
    const int top = (int)fmaxf(box[1] - 1, 0), bottom = (int)fminf(box[3] + 1, (float)(size - 1));
    struct edge edges[KILN_MOST_LINES];
    struct kiln_lines lines;

    outline(s, &lines);
    make_edges(&lines, edges);
    for (int i = top; i <= bottom; i++)
        for (int j = left; j <= right; j++) {
            const struct kiln_point p = {(float)j + 0.5f, (float)i + 0.5f};
            const float share = ink(s, edges, lines.count, p),
                        shade = s->shade * (p.x - box[0]) / (box[2] - box[0]);
            float *pixel = pixels + (i * size + j) * 3;

            for (int c = 0; c < 3; c++)
                pixel[c] += share * (s->colour[c] + shade - pixel[c]);
        }
}

static kiln_status draw_row(const struct kiln_scenes *s, int64_t row, struct kiln_picture *picture)
{
    const int size = s->list.data[row].width;
    const size_t count = (size_t)size * (size_t)size * 3;
    float *pixels = malloc(count * sizeof *pixels), boxes[MOST_OBJECTS + 1][4];
    struct plan *p = malloc(sizeof *p);
    kiln_status status = KILN_ERROR_MEMORY;

    if (pixels && p &&
        !(status = kiln_picture_alloc(picture, (size_t)size, (size_t)size, 3, 0, 0, "shapes"))) {
        plan_row(p, boxes, row, s->drawing);
        draw_ground(p, pixels, size);
        for (int i = 0; i < p->count; i++)
            draw_shape(&p->shape[i], boxes[i], pixels, size);
        for (size_t i = 0; i < count; i++)
            picture->samples[i] = (unsigned char)(255 * share_of(pixels[i] / 255) + 0.5f);
    } else if (!pixels || !p) {
        kiln_fail(status, "shapes: no memory to draw %d x %d pixels", size, size);
    }
    free(pixels);
    free(p);
    return status;
}

/* Opening ------------------------------------------------------------------------------------------------ */

static kiln_status add_row(struct kiln_scenes *s, struct plan *p, int64_t row,
                           const kiln_shapes_params *params)
{
    kiln_scene scene = {.id = row + 1, .width = params->size, .height = params->size};
    float boxes[MOST_OBJECTS + 1][4];
    kiln_scene_objects objects = {0};
    kiln_status status = KILN_OK;

    plan_row(p, boxes, row, params);
    for (int i = 0; i < p->count && !status; i++) {
        const struct shape *shape = &p->shape[i];
        const float *b = boxes[i];
        const kiln_scene_object object = {
            .box = {b[0], b[1], b[2], b[3]},
            .class_index =
                (int)(shape->kind + (params->each_digit && shape->kind == DIGIT ? shape->digit : 0)),
            .area = (b[2] - b[0]) * (b[3] - b[1]),
        };
        if (!kiln_vec_push(&objects, object))
            status = kiln_fail(KILN_ERROR_MEMORY, "shapes: out of memory");
    }
    if (!status)
        status = kiln_scenes_add(s, &scene, NULL, &objects);
    kiln_vec_finish(&objects);
    return status;
}

static kiln_status add_rows(struct kiln_scenes *s, const kiln_shapes_params *params)
{
    struct plan *p = malloc(sizeof *p);
    kiln_status status = KILN_OK;

    s->draw = draw_row;
    s->drawing = kiln_arena_copy(&s->source.arena, params, sizeof *params);
    if (!p || !s->drawing)
        status = kiln_fail(KILN_ERROR_MEMORY, "shapes: out of memory");
    for (int64_t row = 0; row < params->rows && !status; row++)
        status = add_row(s, p, row, params);
    free(p);
    return status;
}

static kiln_shapes_params filled_in(const kiln_shapes_params *params)
{
    kiln_shapes_params p = params ? *params : (kiln_shapes_params){0};

    p.rows = p.rows ? p.rows : DEFAULT_ROWS;
    p.size = p.size ? p.size : 128;
    p.objects = p.objects ? p.objects : 6;
    if (p.scene.image.shape.rank == 0)
        p.scene.image.shape = KILN_SHAPE(3, (int64_t)p.size, (int64_t)p.size);
    return p;
}

kiln_status kiln_shapes_open(kiln_dataset **out, const kiln_shapes_params *params)
{
    static const char *const names[] = {"circle", "square", "triangle", "star", "digit"},
                             *const digits[] = {"circle", "square", "triangle", "star", "0", "1", "2",
                                                "3",      "4",      "5",        "6",    "7", "8", "9"};
    const kiln_shapes_params p = filled_in(params);
    struct kiln_scenes *s;
    kiln_status status;

    *out = NULL;
    if (p.rows < 1 || p.size < LEAST_SIZE || p.size > MOST_SIZE || p.objects < 1 || p.objects > MOST_OBJECTS)
        return kiln_fail(
            KILN_ERROR_ARGUMENT,
            "shapes: %" PRId64
            " rows of %d pixels with up to %d objects, wanted rows, %d to %d pixels, 1 to %d objects",
            p.rows, p.size, p.objects, LEAST_SIZE, MOST_SIZE, MOST_OBJECTS);
    if (p.scene.classes)
        return kiln_fail(KILN_ERROR_ARGUMENT, "shapes: its classes are its own");
    if ((status = kiln_scenes_create(&s, &p.scene, "shapes")))
        return status;
    if ((status = add_rows(s, &p))) {
        kiln_source_release(&s->source);
        return status;
    }
    return kiln_scenes_open(out, s, p.each_digit ? digits : names, (int)classes_of(&p), "shapes");
}
