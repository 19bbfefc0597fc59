/* check_onnx.h - kiln check --onnx: every one of ONNX's backend cases in some folders, on a device. */
#ifndef KILN_TOOLS_CHECK_ONNX_H
#define KILN_TOOLS_CHECK_ONNX_H

#include "args.h"
#include "check/case.h"

struct check_onnx_options {
    const struct args_list *folders;
    const char *device;                /* as kiln_device_params.name */
    const struct check_filter *filter; /* its name, names and part */
    double limit;                      /* seconds that a case may take */
    bool fail_fast, json;
    const char *junit; /* a file; NULL: none */
};

/**
 * Run them and print a line each: passed, failed or n/a, and why; the totals come last. They run in a process of their own: a case
 * that crashes or takes longer than the limit has failed, and the others go on in another. Or one JSON document,
 *
 *   {"device": {"name", "title", "driver"}, "kiln", "seconds",
 *    "cases": [{"name", "path", "status": "pass" | "fail" | "n/a", "took", "why"}],
 *    "passed", "failed", "not_applicable"}
 *
 * Returns the exit status: ARGS_FAILED where a case fails, or there is none.
 */
int check_onnx(const struct check_onnx_options *options);

#endif
