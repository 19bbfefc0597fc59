/* onnx_case.h - one of ONNX's backend cases: a folder with model.onnx and test_data_set_0/{input,output}_N.pb. */
#ifndef KILN_TESTS_IMPORT_ONNX_CASE_H
#define KILN_TESTS_IMPORT_ONNX_CASE_H

#include <stddef.h>

#include <kiln/kiln.h>

/**
 * Load the case's model, run it on its inputs and compare its outputs, as the upstream runner does: equal type and shape, and
 * |got - want| <= 1e-7 + 1e-3 |want|. KILN_OK, or why not, in a line.
 *
 * A model whose shapes are inputs is read with those inputs fixed to the case's values. With `copy`, the model is saved to that
 * path after loading, and what is run is loaded from there.
 */
kiln_status kiln_onnx_case_run(kiln_device *dev, const char *dir, const char *copy, char *why, size_t bytes);

#endif
