/* onnx_survey.h - what a model's file holds of kinds that kiln leaves out, and what it draws at random. */
#ifndef KILN_IMPORT_ONNX_SURVEY_H
#define KILN_IMPORT_ONNX_SURVEY_H

#include <kiln/base.h>

#include "base/text.h"

/** Zero-initialise; kiln_onnx_survey_finish. */
struct kiln_onnx_survey {
    /* "input \"x\": texts; ...": each thing of such a kind, as a message says it */
    struct kiln_text left_out;
    struct kiln_text random; /* the nodes whose results nobody can foretell */
};

/**
 * Read a model and say what of it is of a kind that kiln leaves out: texts, sequences, optional values, integers of less than
 * 8 bits (but for weights of 4) and reals of less than 16, classical machine learning (but for its linear models and what stands around
 * networks), files of pictures. What is refused for another reason is not listed: kiln_onnx_load says that.
 *
 * `inputs` are the values of the model's inputs, in order: a dropout draws only if they say that it learns.
 * Errors: ERROR_FILE for no model; ERROR_UNSUPPORTED for a kiln without protobuf-c.
 */
kiln_status kiln_onnx_look(struct kiln_onnx_survey *s, const char *path, const kiln_array *inputs, int count);

void kiln_onnx_survey_finish(struct kiln_onnx_survey *s);

#endif
