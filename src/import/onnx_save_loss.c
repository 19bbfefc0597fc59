/* onnx_save_loss.c - losses that ONNX has. */
#include "import/onnx.h"
#include "import/onnx_save_row.h"

static void write_cross_entropy(writer *w, const kiln_node *n, const row *r)
{
    if (number(n, "smoothing") != 0 || integer(n, "axis") != 1)
        kiln_onnx_write_composed(w, n, kiln_onnx_compose_cross_entropy);
    else
        kiln_onnx_put_text(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), in(w, n, 1))),
                           "reduction", "none");
}

const row kiln_onnx_writer_loss[] = {
    {"cross_entropy", "SoftmaxCrossEntropyLoss", write_cross_entropy, 0},
    {0},
};
