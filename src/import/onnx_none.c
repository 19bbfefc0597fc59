/* onnx_none.c - when built without protobuf-c or onnx.proto. */
#include <kiln/import.h>

#include "base/log.h"
#include "import/onnx_survey.h"

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

kiln_status kiln_onnx_look(struct kiln_onnx_survey *s, const char *path, const kiln_array *inputs, int count)
{
    (void)s;
    (void)inputs;
    (void)count;
    return none(path);
}

void kiln_onnx_survey_finish(struct kiln_onnx_survey *s)
{
    kiln_text_finish(&s->left_out);
    kiln_text_finish(&s->random);
}

kiln_tensor kiln_onnx_beyond(const kiln_graph *graph)
{
    (void)graph;
    return KILN_NONE;
}
