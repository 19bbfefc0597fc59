/* layers.c - the blocks that networks are made of, and the backbone that they share. */
#include "detect.h"

#include <stdio.h>

kiln_tensor unit(kiln_graph *g, kiln_tensor x, int filters, int size, int stride)
{
    const int pad = size / 2;
    x = kiln_nn_conv(g, x,
                     &(kiln_nn_conv_params){.filters = filters,
                                            .size = {size, size},
                                            .stride = {stride, stride},
                                            .pad = {{pad, pad}, {pad, pad}},
                                            .no_bias = true});
    return kiln_silu(g, kiln_nn_batch_norm(g, x, NULL));
}

kiln_tensor head(kiln_graph *g, kiln_tensor x, const char *name, int width, int outputs,
                 const kiln_array *bias)
{
    kiln_scope_open(g, name);
    x = unit(g, x, width, 3, 1);
    x = kiln_nn_conv(g, x,
                     &(kiln_nn_conv_params){.filters = outputs,
                                            .size = {1, 1},
                                            .init = {.kind = KILN_INIT_NORMAL, .scale = 0.01},
                                            .bias_init = {.kind = bias ? KILN_INIT_VALUES : KILN_INIT_ZEROS,
                                                          .values = bias}});
    kiln_scope_close(g);
    return x;
}

/* x and what two convolutions make of it (He 2016, Redmon 2018). */
static kiln_tensor residual(kiln_graph *g, kiln_tensor x, int filters)
{
    return kiln_add(g, x, unit(g, unit(g, x, filters / 2, 1, 1), filters, 3, 1));
}

void backbone(kiln_graph *g, kiln_tensor image, kiln_tensor level[LEVELS])
{
    static const struct {
        int filters, residuals;
    } stages[] = {{16, 0}, {32, 1}, {64, 2}, {128, 2}, {192, 1}}; /* each halves height and width */

    kiln_tensor x = image;
    for (int i = 0; i < COUNT(stages); i++) {
        char name[16];
        snprintf(name, sizeof name, "stage%d", i + 1);
        kiln_scope_open(g, name);
        x = unit(g, x, stages[i].filters, 3, 2);
        for (int k = 0; k < stages[i].residuals; k++)
            x = residual(g, x, stages[i].filters);
        kiln_scope_close(g);
        if (i >= COUNT(stages) - LEVELS)
            level[i - (COUNT(stages) - LEVELS)] = x;
    }
}

void pyramid(kiln_graph *g, kiln_tensor level[LEVELS], int width)
{
    kiln_scope_open(g, "pyramid");
    for (int i = LEVELS - 1; i >= 0; i--) {
        level[i] = unit(g, level[i], width, 1, 1);
        if (i < LEVELS - 1)
            level[i] =
                kiln_add(g, level[i], kiln_resize(g, level[i + 1], &(kiln_resize_params){.scale = {2, 2}}));
    }
    kiln_scope_close(g);
}

int stride_of(int level)
{
    return 8 << level;
}

kiln_tensor rows_of(kiln_graph *g, kiln_tensor map, int width)
{
    const int order[] = {0, 2, 3, 1};
    return kiln_reshape(g, kiln_transpose(g, map, order), KILN_SHAPE(0, KILN_REST, width));
}

kiln_tensor columns(kiln_graph *g, kiln_tensor rows, int first, int end)
{
    return kiln_slice(g, rows, -1, first, end, 1);
}
