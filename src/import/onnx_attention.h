/* onnx_attention.h - what attention is asked for while it is read: the standard's, and grouped queries of ONNX Runtime's own domain. */
#ifndef KILN_IMPORT_ONNX_ATTENTION_H
#define KILN_IMPORT_ONNX_ATTENTION_H

#include "import/onnx.h"

struct kiln_onnx_attention {
    int64_t heads, kv_heads;
    kiln_tensor q, k, v; /* with heads as an axis; of rank 3 as they came, where the heads need no axis */
    kiln_tensor mask;    /* BOOL or real; KILN_NONE: none */
    kiln_tensor lengths; /* KILN_NONE: all keys count */
    kiln_tensor offset;  /* I32, [] or [N]; KILN_NONE: 0 */
    kiln_tensor sink;    /* [] or [heads]: an exponential more in each sum; KILN_NONE: none */
    double scale, softcap;
    int64_t left, right; /* of the window; -1: as far as there is */
    kiln_type precision; /* of the softmax */
    int64_t shows;
    bool causal, last; /* last: the queries are the last of the keys, so that the offset need not be known */
    bool rows;         /* q, k and v came with their heads within rows */
    bool stepwise;
};

/** What came before, input `past`, where it is there, and x behind it, along axis 2. */
kiln_tensor kiln_onnx_behind(kiln_onnx_node *n, int past, kiln_tensor x);

/** Input i as a mask: BOOL or of q's type, as long as queries and keys. */
void kiln_onnx_take_mask(kiln_onnx_node *n, struct kiln_onnx_attention *a, int i);

/** Keys and values are as many, and of the queries' batch; each may be none. */
void kiln_onnx_agree_operands(kiln_graph *g, kiln_tensor q, kiln_tensor *k, kiln_tensor *v);
/** A mask's sizes are those of the batch, the queries and the keys. */
kiln_tensor kiln_onnx_mask_agreed(kiln_graph *g, kiln_tensor q, kiln_tensor k, kiln_tensor mask);

/** Output 0: attention as a whole, of operands with an axis of heads where there is a sink. Changes *a. */
void kiln_onnx_attend(kiln_onnx_node *n, struct kiln_onnx_attention *a);

#endif
