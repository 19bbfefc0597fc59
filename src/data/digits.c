/*
 * digits.c - generated digits, for machines that have no data at hand.
 *
 * A digit is a few strokes: smooth curves (Catmull-Rom splines) or straight lines through control points in a unit square.
 * Each row draws one of its class's forms and distorts it:
 *
 *   points   jittered one by one, bent by two slow sine waves, then scaled, slanted, turned and shifted
 *   pen      a radius for the whole, thinning towards one side, softer or harder at its border
 *   ground   a level, a slope, noise, and specks and scratches that belong to no digit
 *
 * The ink of a pixel is 1 - (d - radius) / softness, clipped, where d is its distance to the nearest line segment. Every
 * number is drawn from Philox by seed and row, so rows are the same everywhere, whatever is read first.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "base/rng.h"
#include "data/digits.h"
#include "data/source.h"

enum {
    SIDE = 28,
    PIXELS = SIDE * SIDE,
    CLASSES = 10,
    MAX_POINTS = 10,
    MAX_STROKES = 3,
    MAX_FORMS = 3,
    STEPS = 6
};

#define DEFAULT_ROWS 10000
#define PI           3.14159265358979323846

/* Forms -------------------------------------------------------------------------------------------------- */

struct stroke {
    int count;
    bool straight; /* lines from point to point; else one curve through all */
    struct kiln_point point[MAX_POINTS];
};

struct form {
    struct stroke stroke[MAX_STROKES];
};

/* clang-format off */
static const struct form forms[CLASSES][MAX_FORMS] = {
    {   {{{ 9, false, {{.50f,.05f}, {.27f,.18f}, {.20f,.50f}, {.28f,.83f}, {.50f,.95f}, {.72f,.83f}, {.80f,.50f}, {.72f,.17f},
                       {.50f,.05f}} }}},
        {{{ 9, false, {{.62f,.08f}, {.36f,.14f}, {.20f,.42f}, {.22f,.78f}, {.45f,.94f}, {.70f,.80f}, {.80f,.48f}, {.74f,.20f},
                       {.50f,.06f}} }}} },
    {   {{{ 2, true,  {{.50f,.05f}, {.50f,.95f}} }}},
        {{{ 3, true,  {{.32f,.25f}, {.53f,.05f}, {.53f,.95f}} }}},
        {{{ 3, true,  {{.33f,.24f}, {.52f,.05f}, {.52f,.95f}} }, { 2, true, {{.30f,.95f}, {.74f,.95f}} }}} },
    {   {{{ 6, false, {{.24f,.25f}, {.42f,.06f}, {.68f,.12f}, {.72f,.36f}, {.48f,.68f}, {.22f,.94f}} }, { 2, true, {{.22f,.94f},
                       {.80f,.94f}} }}},
        {{{ 9, false, {{.25f,.22f}, {.48f,.05f}, {.72f,.20f}, {.64f,.50f}, {.36f,.86f}, {.22f,.84f}, {.30f,.74f}, {.55f,.88f},
                       {.82f,.90f}} }}} },
    {   {{{ 9, false, {{.24f,.14f}, {.50f,.05f}, {.72f,.20f}, {.62f,.42f}, {.44f,.48f}, {.70f,.56f}, {.76f,.78f}, {.52f,.95f},
                       {.22f,.86f}} }}},
        {{{ 3, true,  {{.24f,.07f}, {.74f,.07f}, {.46f,.42f}} }, { 5, false, {{.46f,.42f}, {.72f,.52f}, {.77f,.76f}, {.52f,.95f},
                       {.22f,.85f}} }}} },
    {   {{{ 3, true,  {{.32f,.06f}, {.20f,.58f}, {.82f,.58f}} }, { 2, true, {{.66f,.10f}, {.64f,.95f}} }}},
        {{{ 4, true,  {{.66f,.95f}, {.66f,.05f}, {.18f,.66f}, {.86f,.66f}} }}},
        {{{ 5, false, {{.24f,.08f}, {.22f,.40f}, {.40f,.54f}, {.62f,.44f}, {.74f,.16f}} }, { 2, true, {{.75f,.08f}, {.66f,.95f}} }}} },
    {   {{{ 3, true,  {{.76f,.06f}, {.32f,.06f}, {.27f,.44f}} }, { 6, false, {{.27f,.44f}, {.52f,.37f}, {.76f,.52f}, {.75f,.80f},
                       {.50f,.95f}, {.22f,.86f}} }}},
        {{{ 7, false, {{.34f,.10f}, {.30f,.42f}, {.55f,.40f}, {.74f,.58f}, {.68f,.84f}, {.44f,.95f}, {.22f,.84f}} },
                       { 2, true, {{.34f,.09f}, {.76f,.06f}} }}} },
    {   {{{10, false, {{.66f,.06f}, {.40f,.22f}, {.25f,.55f}, {.28f,.84f}, {.50f,.95f}, {.72f,.82f}, {.70f,.58f}, {.50f,.49f},
                       {.32f,.60f}, {.28f,.76f}} }}},
        {{{10, false, {{.72f,.14f}, {.52f,.06f}, {.30f,.28f}, {.22f,.62f}, {.34f,.90f}, {.60f,.93f}, {.76f,.74f}, {.62f,.52f},
                       {.38f,.55f}, {.25f,.70f}} }}} },
    {   {{{ 3, true,  {{.20f,.07f}, {.78f,.07f}, {.42f,.95f}} }}},
        {{{ 3, true,  {{.20f,.08f}, {.78f,.08f}, {.44f,.95f}} }, { 2, true, {{.34f,.50f}, {.74f,.48f}} }}},
        {{{ 6, false, {{.20f,.16f}, {.34f,.07f}, {.56f,.12f}, {.78f,.07f}, {.56f,.45f}, {.46f,.95f}} }}} },
    {   {{{10, false, {{.70f,.16f}, {.46f,.05f}, {.27f,.20f}, {.38f,.42f}, {.66f,.58f}, {.75f,.80f}, {.50f,.95f}, {.25f,.80f},
                       {.36f,.56f}, {.70f,.16f}} }}},
        {{{ 7, false, {{.50f,.48f}, {.28f,.36f}, {.32f,.11f}, {.50f,.05f}, {.68f,.11f}, {.72f,.36f}, {.50f,.48f}} },
          { 7, false, {{.50f,.48f}, {.24f,.60f}, {.26f,.86f}, {.50f,.95f}, {.74f,.86f}, {.76f,.60f}, {.50f,.48f}} }}} },
    {   {{{ 9, false, {{.72f,.22f}, {.52f,.06f}, {.28f,.18f}, {.27f,.40f}, {.48f,.50f}, {.70f,.38f}, {.73f,.20f}, {.70f,.60f},
                       {.58f,.95f}} }}},
        {{{ 7, false, {{.72f,.24f}, {.50f,.05f}, {.26f,.22f}, {.32f,.44f}, {.52f,.48f}, {.70f,.36f}, {.73f,.14f}} },
                       { 2, true, {{.73f,.12f}, {.70f,.95f}} }}},
        {{{10, false, {{.73f,.20f}, {.52f,.06f}, {.28f,.18f}, {.28f,.42f}, {.50f,.50f}, {.70f,.36f}, {.74f,.22f}, {.74f,.64f},
                       {.58f,.94f}, {.28f,.88f}} }}} },
};
/* clang-format on */

/* Strokes as lines --------------------------------------------------------------------------------------- */

/* Catmull-Rom between b and c; a and d are their neighbours. */
static float spline(float a, float b, float c, float d, float t)
{
    return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

/* Visit the lines that a stroke is made of. */
static void walk(const struct stroke *stroke, void (*visit)(void *user, struct kiln_line line), void *user)
{
    const int last = stroke->count - 1, steps = stroke->straight ? 1 : STEPS;

    for (int i = 0; i < last; i++) {
        const struct kiln_point b = stroke->point[i], c = stroke->point[i + 1];
        const struct kiln_point a = stroke->point[i > 0 ? i - 1 : 0],
                                d = stroke->point[i + 2 > last ? last : i + 2];
        struct kiln_point from = b;

        for (int step = 1; step <= steps; step++) {
            const float t = (float)step / (float)steps;
            const struct kiln_point to = step == steps ? c
                                                       : (struct kiln_point){spline(a.x, b.x, c.x, d.x, t),
                                                                             spline(a.y, b.y, c.y, d.y, t)};
            visit(user, (struct kiln_line){from, to});
            from = to;
        }
    }
}

static uint32_t kinds_of(uint32_t digit)
{
    uint32_t kinds = 0;

    while (kinds < MAX_FORMS && forms[digit][kinds].stroke[0].count > 0)
        kinds++;
    return kinds;
}

static void append_line(void *user, struct kiln_line line)
{
    struct kiln_lines *lines = user;
    lines->line[lines->count++] = line;
}

void kiln_digit_lines(struct kiln_lines *lines, uint32_t digit, uint32_t form)
{
    lines->count = 0;
    for (int i = 0; i < MAX_STROKES; i++)
        walk(&forms[digit][form % kinds_of(digit)].stroke[i], append_line, lines);
}

/* Drawing lines ------------------------------------------------------------------------------------------ */

/* The sheet: how far each pixel lies from the nearest ink, up to what matters. */
struct sheet {
    float distance[PIXELS];
};

/* Lines farther away than this leave no ink. */
static const float far = 4;

static int pixel_at(float x)
{
    return x < 0 ? 0 : x > SIDE - 1 ? SIDE - 1 : (int)x;
}

/* In pixels. */
static void draw_line(void *user, struct kiln_line line)
{
    const struct kiln_point a = line.from, b = line.to;
    struct sheet *s = user;
    const int top = pixel_at(fminf(a.y, b.y) - far), bottom = pixel_at(fmaxf(a.y, b.y) + far);
    const int left = pixel_at(fminf(a.x, b.x) - far), right = pixel_at(fmaxf(a.x, b.x) + far);

    for (int i = top; i <= bottom; i++)
        for (int j = left; j <= right; j++) {
            const float d = kiln_line_distance(&line, (struct kiln_point){(float)j + 0.5f, (float)i + 0.5f});
            s->distance[i * SIDE + j] = fminf(s->distance[i * SIDE + j], d);
        }
}

/* Distortion --------------------------------------------------------------------------------------------- */

static float between(struct kiln_rng *rng, double low, double high)
{
    return (float)(low + (high - low) * kiln_rng_uniform(rng));
}

static float around(struct kiln_rng *rng, double deviation)
{
    return (float)(deviation * kiln_rng_normal(rng));
}

/* From the unit square to pixels: x' = xx x + xy y + x0, after a bend. */
struct warp {
    float xx, xy, yx, yy, x0, y0;
    float bend, phase[2], wave[2];
};

static struct warp warp_draw(struct kiln_rng *rng)
{
    const float width = between(rng, 12, 18), height = between(rng, 16, 21);
    const float slant = around(rng, 0.15), turn = around(rng, 0.1);
    struct warp w;

    w.xx = width * cosf(turn);
    w.yx = width * sinf(turn);
    w.xy = height * (-sinf(turn) - slant * cosf(turn));
    w.yy = height * (cosf(turn) - slant * sinf(turn));
    w.x0 = SIDE / 2.0f + around(rng, 0.9);
    w.y0 = SIDE / 2.0f + around(rng, 0.9);
    w.bend = around(rng, 0.035);
    for (int i = 0; i < 2; i++) {
        w.phase[i] = between(rng, 0, 2 * PI);
        w.wave[i] = between(rng, 3, 7);
    }
    return w;
}

static struct kiln_point warp_point(const struct warp *w, struct kiln_point p)
{
    const float x = p.x - 0.5f + w->bend * sinf(w->wave[0] * p.y + w->phase[0]);
    const float y = p.y - 0.5f + w->bend * sinf(w->wave[1] * p.x + w->phase[1]);
    return (struct kiln_point){w->xx * x + w->xy * y + w->x0, w->yx * x + w->yy * y + w->y0};
}

static void draw_form(struct sheet *s, const struct form *form, struct kiln_rng *rng)
{
    const struct warp warp = warp_draw(rng);

    for (int i = 0; i < MAX_STROKES; i++) {
        struct stroke stroke = form->stroke[i];
        for (int j = 0; j < stroke.count; j++) {
            const struct kiln_point p = {stroke.point[j].x + around(rng, 0.018),
                                         stroke.point[j].y + around(rng, 0.018)};
            stroke.point[j] = warp_point(&warp, p);
        }
        walk(&stroke, draw_line, s);
    }
}

/* Short lines that belong to no digit. */
static void draw_scratches(struct sheet *s, struct kiln_rng *rng)
{
    const uint32_t count = kiln_rng_below(rng, 3);

    for (uint32_t i = 0; i < count; i++) {
        const struct kiln_point a = {between(rng, 0, SIDE), between(rng, 0, SIDE)};
        draw_line(s, (struct kiln_line){a, {a.x + around(rng, 2), a.y + around(rng, 2)}});
    }
}

/* Ink and ground ----------------------------------------------------------------------------------------- */

static struct sheet empty_sheet(void)
{
    struct sheet s;

    for (int i = 0; i < PIXELS; i++)
        s.distance[i] = far;
    return s;
}

static float ink(float distance, float radius, float softness)
{
    return fminf(fmaxf(1 - (distance - radius) / softness, 0), 1);
}

static void develop(const struct sheet *digit, const struct sheet *scratches, struct kiln_rng *rng,
                    unsigned char *pixels)
{
    const float radius = between(rng, 0.6, 1.5), softness = between(rng, 0.7, 1.4),
                thinning = around(rng, 0.012);
    const float strength = between(rng, 0.65, 1), level = between(rng, 0, 0.15), slope = around(rng, 0.004);
    const float noise = between(rng, 0.01, 0.06), faint = between(rng, 0.3, 0.7);

    for (int i = 0; i < PIXELS; i++) {
        const float ground = level + slope * (float)(i / SIDE - SIDE / 2) + around(rng, noise);
        const float width = radius * (1 + thinning * (float)(i % SIDE - SIDE / 2));
        const float mark = fmaxf(strength * ink(digit->distance[i], width, softness),
                                 faint * ink(scratches->distance[i], 0.3f, 0.7f));
        const float value = ground + (1 - ground) * mark;
        pixels[i] = (unsigned char)(255 * fminf(fmaxf(value, 0), 1) + 0.5f);
    }
}

static unsigned char render(uint64_t seed, int64_t row, unsigned char *pixels)
{
    struct sheet digit = empty_sheet(), scratches = empty_sheet();
    struct kiln_rng rng;
    uint32_t label;

    kiln_rng_init(&rng, seed, kiln_rng_stream("digits") + (uint64_t)row);
    label = kiln_rng_below(&rng, CLASSES);
    draw_form(&digit, &forms[label][kiln_rng_below(&rng, kinds_of(label))], &rng);
    draw_scratches(&scratches, &rng);
    develop(&digit, &scratches, &rng, pixels);
    return (unsigned char)label;
}

/* The dataset -------------------------------------------------------------------------------------------- */

struct digits {
    struct kiln_source source;
    unsigned char *pixels, *labels;
};

static kiln_status digits_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const struct digits *d = (const struct digits *)source;
    float *to = item;

    if (column == 1) {
        *(int32_t *)item = d->labels[row];
        return KILN_OK;
    }
    for (int i = 0; i < PIXELS; i++)
        to[i] = (float)d->pixels[row * PIXELS + i] / 255;
    return KILN_OK;
}

static void digits_close(struct kiln_source *source)
{
    struct digits *d = (struct digits *)source;
    free(d->pixels);
    free(d->labels);
}

static const struct kiln_source_ops digits_ops = {.read = digits_read, .close = digits_close};

static kiln_status draw_all(struct digits *d, int64_t rows, uint64_t seed)
{
    size_t bytes;

    if (rows < 1 || !kiln_size_mul((size_t)rows, PIXELS, &bytes))
        return kiln_fail(KILN_ERROR_ARGUMENT, "digits: %" PRId64 " rows, wanted at least 1", rows);
    d->pixels = malloc(bytes);
    d->labels = malloc((size_t)rows);
    if (!d->pixels || !d->labels)
        return kiln_fail(KILN_ERROR_MEMORY, "digits: no memory for %" PRId64 " rows", rows);
    for (int64_t row = 0; row < rows; row++)
        d->labels[row] = render(seed, row, d->pixels + row * PIXELS);
    d->source.rows = rows;
    return kiln_source_set_pictures(&d->source, KILN_SHAPE(1, SIDE, SIDE), CLASSES, NULL);
}

kiln_status kiln_digits_open(kiln_dataset **out, const kiln_digits_params *params)
{
    const kiln_digits_params p = params ? *params : (kiln_digits_params){0};
    struct digits *d = kiln_source_create(sizeof *d, &digits_ops);
    kiln_status status;

    *out = NULL;
    if (!d)
        return KILN_ERROR_MEMORY;
    if ((status = draw_all(d, p.rows ? p.rows : DEFAULT_ROWS, p.seed))) {
        kiln_source_release(&d->source);
        return status;
    }
    return kiln_dataset_create(out, &d->source, "digits");
}
