/* onnx.c - any bytes as an ONNX model: a graph, or refused. */
#include "import/onnx.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kiln_graph *g;
    kiln_weights *w;

    be_silent();
    if (kiln_onnx_read(&g, &w, "fuzz", data, size, NULL))
        return 0;
    if (!g || !w || kiln_graph_status(g))
        abort();
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return 0;
}
