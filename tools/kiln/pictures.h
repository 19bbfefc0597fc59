/*
 * pictures.h - networks of pictures that `kiln bench` times, layer for layer those of tools/peers/networks.py: scores
 * [N, classes] of pictures [N, 3, H, W], or of each pixel.
 */
#ifndef KILN_TOOLS_PICTURES_H
#define KILN_TOOLS_PICTURES_H

#include <kiln/kiln.h>

typedef kiln_tensor picture_network(kiln_graph *g, kiln_tensor image);

/** He et al. 2016: 18 and 50 layers for 1000 classes of large pictures, 20 for 10 classes of 32 x 32. */
picture_network resnet18, resnet50, resnet20;
/** Simonyan and Zisserman 2015. */
picture_network vgg16;
/** Howard et al. 2017, Sandler et al. 2018. */
picture_network mobilenet_v1, mobilenet_v2;
/** Iandola et al. 2016, version 1.1. */
picture_network squeezenet;
/** Ronneberger et al. 2015, of widths 16 to 128: scores of 4 classes for each pixel, [N, 4, H, W]. */
picture_network unet;

#endif
