/* networks.h - the networks that `kiln train` and `kiln bench` know by name. */
#ifndef KILN_TOOLS_NETWORKS_H
#define KILN_TOOLS_NETWORKS_H

#include <kiln/kiln.h>

/** LeNet-5 with relu and max pooling (after LeCun et al. 1998): scores [N, classes] of pictures [N, C, H, W]. */
kiln_tensor lenet(kiln_graph *g, kiln_tensor image, int classes);

/** Scores of the symbols at each step of a text [N, T], one-hot, by a recurrent layer of `width`: [N T, symbols]. */
typedef kiln_tensor recurrent_layer(kiln_graph *g, kiln_tensor x, const kiln_nn_recurrent_params *params,
                                    kiln_recurrent_states *last);
kiln_tensor characters(kiln_graph *g, kiln_tensor text, recurrent_layer *layer, int symbols, int width);

/** ViT-Tiny (Dosovitskiy et al. 2021): scores [N, classes] of pictures [N, 3, 224, 224], by 16 x 16 patches. */
kiln_tensor vision_transformer(kiln_graph *g, kiln_tensor picture, int classes);

/**
 * A Transformer of two encoder and two decoder layers, width 128: scores [N T, symbols] of what follows each symbol of `target`
 * [N, T], given `source` [N, S].
 */
kiln_tensor translator(kiln_graph *g, kiln_tensor source, kiln_tensor target, int symbols);

#endif
