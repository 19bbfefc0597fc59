/*
 * roi.h - boxes cut out of maps and brought to high x wide bins, and the way back.
 *
 *   roi         y[r, c, b] = of x[image[r], c], what bin b of box r makes of it
 *   roi_grad    dx[n, c, e] = sum over the boxes of map n, in their order, of what their bins hand to element e
 *
 * Modes. AVERAGE is the mean of grid x grid samples of a bin, each interpolated; LARGEST the largest weight * x of the samples'
 * cells, with its place in the map and its weight if PLACED; CELLS the largest of a bin's whole cells, with its place.
 *
 * Along an axis a box begins at low = scale * corner, or half a cell before with HALF_PIXEL, and has size = high - low, at least 1
 * without. grid is `samples`, or ceil(size / bins). These are rounded to float32 at each operation, in doubles too: grid is the
 * same on all devices. Sample s of all lies at low + (s + 1/2) size / (bins grid); s / grid is its bin.
 *
 * A dispatch does a part: boxes [first_roi, + rois), channels [first_channel, + channels), maps [first_image, + images) of
 * all_images, rows [first_row, + rows) of dx. roi leaves boxes of other maps alone; those of none, whose y is 0, are done with
 * map 0. ONTO adds to what dx holds. Elements are counted as if all were bound; NAME_first, modulo 2^32, is added.
 *
 * bindings   roi:      0: x     1: boxes    2: image    3: y out     4: place out    5: weight out
 *            roi_grad: 0: dx in and out    1: boxes    2: image    3: dy    4: place    5: weight
 * constants  0: mode    1: flags
 * units      roi: elements of y; roi_grad: elements of dx
 */
#include "interface.h"
#include "divide.h"

#define KILN_ROI_AVERAGE 0u
#define KILN_ROI_LARGEST 1u
#define KILN_ROI_CELLS   2u

#define KILN_ROI_HALF_PIXEL 1u
#define KILN_ROI_PLACED     2u
#define KILN_ROI_ONTO       4u

#define KILN_ROI_NOWHERE  0x80000000u  /* a bin of nothing */
#define KILN_ROI_MOST     1048576u     /* samples of a bin along an axis */
#define KILN_ROI_FARTHEST 32767        /* cells from the map's first that a corner of CELLS may lie */

KILN_PARAMS(roi)
{
    uint rois, channels, images, rows;
    uint first_roi, first_channel, first_image, first_row;
    uint all_channels, all_images, h, w, high;
    KILN_DIVISOR(wide);
    KILN_DIVISOR(bins);     /* high * wide */
    KILN_DIVISOR(blocks);   /* of KILN_ROI_CHANNELS channels */
    uint samples;
    KILN_REAL(scale);
    uint x_first, y_first, box_first, image_first;
}
KILN_PARAMS_END;

#define KILN_ROI_CHANNELS 4u    /* that an invocation does, with one look at the box */
