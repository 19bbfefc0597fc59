/* onnx_attention.c - attention's family: what tells positions apart. */
#include <kiln/attention.h>
#include <kiln/indexing.h>

#include "import/onnx.h"

enum { X, COSINE, SINE, POSITIONS };

/* A cache [N, L, pairs]; or [positions, pairs], of which the positions [N, L] say the rows. */
static kiln_tensor angles(kiln_onnx_node *n, int i)
{
    const kiln_tensor cache = kiln_onnx_in(n, i);
    return kiln_onnx_has(n, POSITIONS) ? kiln_gather(n->g, cache, kiln_onnx_in(n, POSITIONS), 0) : cache;
}

void kiln_onnx_build_rotary(kiln_onnx_node *n)
{
    const kiln_rotary_params params = {.heads = (int)kiln_onnx_int(n, "num_heads", 0),
                                       .size = (int)kiln_onnx_int(n, "rotary_embedding_dim", 0),
                                       .interleaved = kiln_onnx_int(n, "interleaved", 0) != 0};
    const kiln_tensor cosine = angles(n, COSINE), sine = angles(n, SINE);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_rotary(n->g, kiln_onnx_in(n, X), cosine, sine, &params));
}
