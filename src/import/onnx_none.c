/* onnx_none.c - when built without protobuf-c or onnx.proto. */
#include <kiln/import.h>

#include "base/log.h"

static kiln_status none(const char *path)
{
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: this kiln was built without ONNX (protobuf-c, onnx.proto)",
                     path);
}

kiln_status kiln_onnx_load(kiln_graph **graph, kiln_weights **weights, const char *path,
                           const kiln_onnx_params *params)
{
    (void)params;
    *graph = NULL;
    *weights = NULL;
    return none(path);
}

kiln_status kiln_onnx_load_tensor(kiln_array *out, const char *path)
{
    *out = (kiln_array){0};
    return none(path);
}

kiln_status kiln_onnx_save(const kiln_graph *graph, kiln_weights *weights, const char *path,
                           const kiln_onnx_save_params *params)
{
    (void)graph;
    (void)weights;
    (void)params;
    return none(path);
}
