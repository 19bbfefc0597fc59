/*
 * export.h - cases as ONNX models, each with its operands and with what the CPU makes of them: for other runtimes to run.
 *
 *   DIR/CASE/model.onnx      the case's results and their gradients, these where all can be written; '/' of its name is ';' in CASE
 *   DIR/CASE/in_NAME.npy     an input's values
 *   DIR/CASE/out_I.npy       the model's output I, as inference computes it
 *   DIR/refused.txt          of what cannot be written, with gradients or at all: the case, a tab, why
 */
#ifndef KILN_TOOLS_CHECK_EXPORT_H
#define KILN_TOOLS_CHECK_EXPORT_H

#include "check/case.h"

/**
 * Write the cases that the filter lets through; a line of text says how many there are and how many are refused.
 * Errors: ERROR_FILE; what running a case on the CPU returns; no case is one for being refused.
 */
kiln_status check_export(const struct check_filter *filter, const char *dir);

#endif
