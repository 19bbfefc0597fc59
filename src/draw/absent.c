/* absent.c - what stands for drawing in a kiln without cairo. */
#include <kiln/draw.h>

#include "base/log.h"

static kiln_status refuse(const char *path)
{
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: this kiln was built without cairo, and so draws nothing",
                     path);
}

kiln_status kiln_draw_curves(const char *path, const kiln_series *series, int count,
                             const kiln_curves_params *params)
{
    (void)series, (void)count, (void)params;
    return refuse(path);
}

kiln_status kiln_draw_sheet(const char *path, const kiln_array *pictures, const kiln_sheet_params *params)
{
    (void)pictures, (void)params;
    return refuse(path);
}

unsigned kiln_class_colour(int class_index)
{
    return 0x404040u + 0x353535u * (unsigned)(class_index & 3);
}

kiln_status kiln_draw_boxes(const char *path, const kiln_array *picture, const kiln_detection *found,
                            int count, const kiln_boxes_params *params)
{
    (void)picture, (void)found, (void)count, (void)params;
    return refuse(path);
}

kiln_status kiln_draw_confusion(const char *path, const kiln_confusion *c, const kiln_matrix_params *params)
{
    (void)c, (void)params;
    return refuse(path);
}

kiln_status kiln_draw_heat(const char *path, const kiln_array *values, const kiln_heat_params *params)
{
    (void)values, (void)params;
    return refuse(path);
}
