/*
 * augment.c - random shifts and mirror images, in place.
 *
 * Each plane is mirrored first and shifted then. A shift walks the rows in the direction from which it takes them, so that
 * none is overwritten before it was read.
 */
#include "data/augment.h"

#include <string.h>

#include "base/rng.h"

struct plane {
    char *data;
    int64_t height, width;
    size_t size; /* bytes of an element */
};

static int64_t draw_shift(struct kiln_rng *rng, int reach)
{
    return (int64_t)kiln_rng_below(rng, 2 * (uint32_t)reach + 1) - reach;
}

struct kiln_warp kiln_warp_draw(const kiln_augment *augment, uint64_t seed, int64_t epoch, int64_t row)
{
    struct kiln_rng rng;
    struct kiln_warp warp = {.repeat_edge = augment->repeat_edge};

    if (augment->shift == 0 && !augment->flip_x && !augment->flip_y)
        return warp;
    kiln_rng_init(&rng, seed, kiln_rng_stream("augment") + ((uint64_t)epoch << 32) + (uint64_t)row);
    warp.down = draw_shift(&rng, augment->shift);
    warp.right = draw_shift(&rng, augment->shift);
    warp.flip_x = kiln_rng_below(&rng, 2) && augment->flip_x;
    warp.flip_y = kiln_rng_below(&rng, 2) && augment->flip_y;
    return warp;
}

static void swap(char *a, char *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const char kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static void mirror_x(const struct plane *p)
{
    for (int64_t i = 0; i < p->height; i++)
        for (int64_t j = 0; j < p->width / 2; j++)
            swap(p->data + (size_t)(i * p->width + j) * p->size,
                 p->data + (size_t)(i * p->width + p->width - 1 - j) * p->size, p->size);
}

static void mirror_y(const struct plane *p)
{
    const size_t bytes = (size_t)p->width * p->size;

    for (int64_t i = 0; i < p->height / 2; i++)
        swap(p->data + (size_t)i * bytes, p->data + (size_t)(p->height - 1 - i) * bytes, bytes);
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* to[j] = from[j + right]; the rest repeats what is beside it, or is 0. The rows may be the same. */
static void move_row(const struct plane *p, char *to, const char *from, int64_t right, bool repeat_edge)
{
    const int64_t by =
        clamp(right, repeat_edge ? 1 - p->width : -p->width, repeat_edge ? p->width - 1 : p->width);
    const int64_t start = by < 0 ? -by : 0, end = by > 0 ? p->width - by : p->width;

    memmove(to + (size_t)start * p->size, from + (size_t)(start + by) * p->size,
            (size_t)(end - start) * p->size);
    if (!repeat_edge) {
        memset(to, 0, (size_t)start * p->size);
        memset(to + (size_t)end * p->size, 0, (size_t)(p->width - end) * p->size);
        return;
    }
    for (int64_t j = 0; j < start; j++)
        memcpy(to + (size_t)j * p->size, to + (size_t)start * p->size, p->size);
    for (int64_t j = end; j < p->width; j++)
        memcpy(to + (size_t)j * p->size, to + (size_t)(end - 1) * p->size, p->size);
}

static void shift(const struct plane *p, const struct kiln_warp *warp)
{
    const size_t bytes = (size_t)p->width * p->size;

    for (int64_t step = 0; step < p->height; step++) {
        const int64_t i = warp->down >= 0 ? step : p->height - 1 - step;
        const int64_t from = clamp(i + warp->down, 0, p->height - 1);

        if (from != i + warp->down && !warp->repeat_edge)
            memset(p->data + (size_t)i * bytes, 0, bytes);
        else
            move_row(p, p->data + (size_t)i * bytes, p->data + (size_t)from * bytes, warp->right,
                     warp->repeat_edge);
    }
}

void kiln_warp_apply(const struct kiln_warp *warp, const kiln_column *column, void *item)
{
    struct plane p = {.data = item, .size = kiln_type_size(column->type)};

    if (column->shape.rank != 3)
        return;
    p.height = column->shape.size[1];
    p.width = column->shape.size[2];
    for (int64_t c = 0; c < column->shape.size[0]; c++) {
        if (warp->flip_x)
            mirror_x(&p);
        if (warp->flip_y)
            mirror_y(&p);
        if (warp->down != 0 || warp->right != 0)
            shift(&p, warp);
        p.data += (size_t)(p.height * p.width) * p.size;
    }
}
