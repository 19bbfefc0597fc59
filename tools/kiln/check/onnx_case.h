/*
 * onnx_case.h - one of ONNX's backend cases: a model, inputs, and what must come out.
 *
 * A case is a folder with model.onnx and test_data_set_N/{input,output}_K.pb; or, in the light form, NAME.onnx with
 * NAME_output_0.pb beside it and maybe NAME_data.json that has the tolerances, whose input is arange(n).reshape(shape) / n.
 */
#ifndef KILN_TOOLS_CHECK_ONNX_CASE_H
#define KILN_TOOLS_CHECK_ONNX_CASE_H

#include <kiln/kiln.h>

#include "base/arena.h"
#include "base/vec.h"
#include "check/run.h"

struct check_onnx_case {
    const char *name; /* of the folder, or NAME */
    const char *path; /* of the folder, or of NAME.onnx without its end */
    bool light;       /* of the second form */
    double rtol, atol;
};

/** Cases in the order of their paths. Zero-initialise; check_onnx_finish. */
struct check_onnx_cases {
    KILN_VEC(struct check_onnx_case) item;
    struct kiln_arena arena;
};

struct check_onnx_outcome {
    enum check_status status; /* CHECK_INAPPLICABLE: of a kind that kiln leaves out, or random */
    double took;              /* seconds */
    char why[512];            /* not passed; else "" */
};

/** Append all cases in a folder and the folders in it. Errors: ERROR_FILE where there is no such folder; ERROR_MEMORY. */
kiln_status check_onnx_find(struct check_onnx_cases *cases, const char *folder);

void check_onnx_finish(struct check_onnx_cases *cases);

/**
 * Load the case's model, run it on the inputs of each of its data sets and compare the outputs, as the upstream runner does: equal
 * type and shape, and |got - want| <= atol + rtol |want|, by default 1e-7 and 1e-3.
 *
 * A model whose shapes are inputs is read with those inputs fixed to the case's values. With `copy`, the model is saved to that
 * path after loading, and what is run is loaded from there.
 */
void check_onnx_run(struct check_onnx_outcome *out, kiln_device *dev, const struct check_onnx_case *one,
                    const char *copy);

#endif
