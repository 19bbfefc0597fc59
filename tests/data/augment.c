/* augment.c - random shifts and mirror images: which pixel comes from where, and that a draw can be had again. */
#include "data/augment.h"

#include <string.h>

#include <criterion/criterion.h>

static const kiln_column picture = {.name = "image",
                                    .type = KILN_U8,
                                    .shape = {.rank = 3, .size = {2, 3, 4}}};

static int clamp(int x, int high)
{
    return x < 0 ? 0 : x > high ? high : x;
}

/* Pixel (i, j) of plane c after a warp of the picture whose pixels are 1, 2, 3, ... */
static int wanted(const struct kiln_warp *w, int c, int i, int j)
{
    int y = i + (int)w->down, x = j + (int)w->right;

    if ((y < 0 || y > 2 || x < 0 || x > 3) && !w->repeat_edge)
        return 0;
    y = clamp(y, 2);
    x = clamp(x, 3);
    return 1 + (c * 3 + (w->flip_y ? 2 - y : y)) * 4 + (w->flip_x ? 3 - x : x);
}

static void expect_warp(const struct kiln_warp *w)
{
    unsigned char x[24];
    bool right = true;

    for (int i = 0; i < 24; i++)
        x[i] = (unsigned char)(i + 1);
    kiln_warp_apply(w, &picture, x);
    for (int i = 0; i < 24; i++)
        right = right && x[i] == wanted(w, i / 12, i / 4 % 3, i % 4);
    cr_expect(right, "down %d, right %d, flips %d %d, edge %d", (int)w->down, (int)w->right, w->flip_x,
              w->flip_y, w->repeat_edge);
}

Test(augment, moves_and_mirrors_every_pixel_as_it_says)
{
    for (int down = -5; down <= 5; down++)
        for (int right = -5; right <= 5; right++)
            for (int flags = 0; flags < 8; flags++)
                expect_warp(&(struct kiln_warp){.down = down,
                                                .right = right,
                                                .flip_x = flags & 1,
                                                .flip_y = flags & 2,
                                                .repeat_edge = flags & 4});
}

Test(augment, leaves_columns_alone_that_are_no_pictures)
{
    const kiln_column row = {.name = "x", .shape = {.rank = 1, .size = {4}}};
    float x[4] = {1, 2, 3, 4}, before[4];

    memcpy(before, x, sizeof x);
    kiln_warp_apply(&(struct kiln_warp){.down = 1, .flip_x = true}, &row, x);
    cr_expect_eq(memcmp(x, before, sizeof x), 0);
}

Test(augment, draws_from_seed_epoch_and_row_within_its_reach)
{
    const kiln_augment all = {.shift = 2, .flip_x = true};
    bool seen[5][5] = {{0}}, flipped[2] = {0};
    int places = 0;

    for (int row = 0; row < 500; row++) {
        const struct kiln_warp a = kiln_warp_draw(&all, 3, 1, row), b = kiln_warp_draw(&all, 3, 1, row);
        cr_assert(a.down >= -2 && a.down <= 2 && a.right >= -2 && a.right <= 2 && !a.flip_y);
        cr_assert(a.down == b.down && a.right == b.right && a.flip_x == b.flip_x);
        places += !seen[a.down + 2][a.right + 2];
        seen[a.down + 2][a.right + 2] = flipped[a.flip_x] = true;
    }
    cr_expect_eq(places, 25);
    cr_expect(flipped[0] && flipped[1]);
    cr_expect(kiln_warp_draw(&(kiln_augment){0}, 3, 1, 0).down == 0);
}
