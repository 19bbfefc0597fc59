/* resize.c - bilinear resizing: for each row of the result first the rows, then the columns that it is made of. */
#include "data/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Source pixels of an axis: `length` of them from `start`, among `size`. */
struct axis {
    double start, length;
    size_t size, to;
};

static double reach(const struct axis *a)
{
    return fmax(1, a->length / (double)a->to);
}

/* Weights that one result can have at most. */
static size_t most_taps(const struct axis *a)
{
    return (size_t)(2 * reach(a)) + 3;
}

static void weigh(const struct axis *a, size_t i, float *weight, struct kiln_taps *taps)
{
    const double r = reach(a), center = a->start + ((double)i + 0.5) * a->length / (double)a->to;
    const double low = fmax(floor(center - r), 0), high = fmin(ceil(center + r), (double)a->size);
    double sum = 0;

    taps->first = (size_t)low;
    taps->count = (size_t)(high - low);
    taps->weight = weight;
    for (size_t k = 0; k < taps->count; k++)
        sum += weight[k] = (float)fmax(0, 1 - fabs((double)(taps->first + k) + 0.5 - center) / r);
    for (size_t k = 0; k < taps->count; k++)
        weight[k] = (float)(weight[k] / sum);
}

static float *weigh_all(const struct axis *a, struct kiln_taps *taps, float *weights)
{
    for (size_t i = 0; i < a->to; i++)
        weigh(a, i, weights + i * most_taps(a), &taps[i]);
    return weights + a->to * most_taps(a);
}

kiln_status kiln_resize_init(struct kiln_resize *r, const struct kiln_picture *from, struct kiln_box box,
                             size_t height, size_t width)
{
    const struct axis rows = {box.top, box.height, from->height, height};
    const struct axis columns = {box.left, box.width, from->width, width};

    *r = (struct kiln_resize){.from = from, .height = height, .width = width};
    r->rows = calloc(height, sizeof *r->rows);
    r->columns = calloc(width, sizeof *r->columns);
    r->weights = calloc(height * most_taps(&rows) + width * most_taps(&columns), sizeof *r->weights);
    r->line = calloc(from->width * from->channels, sizeof *r->line);
    if (!r->rows || !r->columns || !r->weights || !r->line) {
        kiln_resize_finish(r);
        return kiln_fail(KILN_ERROR_MEMORY, "picture: no memory to resize it to %zu x %zu", height, width);
    }
    weigh_all(&columns, r->columns, weigh_all(&rows, r->rows, r->weights));
    return KILN_OK;
}

void kiln_resize_finish(struct kiln_resize *r)
{
    free(r->rows);
    free(r->columns);
    free(r->weights);
    free(r->line);
    *r = (struct kiln_resize){0};
}

static void combine_rows(struct kiln_resize *r, const struct kiln_taps *taps)
{
    const size_t count = r->from->width * r->from->channels;

    memset(r->line, 0, count * sizeof *r->line);
    for (size_t k = 0; k < taps->count; k++) {
        const unsigned char *row = r->from->samples + (taps->first + k) * count;
        const float weight = taps->weight[k];
        if (weight > 0)
            for (size_t j = 0; j < count; j++)
                r->line[j] += weight * row[j];
    }
}

void kiln_resize_row(struct kiln_resize *r, size_t i, float *to)
{
    const size_t channels = r->from->channels;

    combine_rows(r, &r->rows[i]);
    for (size_t j = 0; j < r->width; j++) {
        const struct kiln_taps *taps = &r->columns[j];
        for (size_t c = 0; c < channels; c++) {
            const float *from = r->line + taps->first * channels + c;
            float sum = 0;
            for (size_t k = 0; k < taps->count; k++)
                sum += taps->weight[k] * from[k * channels];
            to[j * channels + c] = sum;
        }
    }
}
