/*
 * onnx_body.h - graphs within nodes, while they are read: what they read of the graph around them, and what they give.
 *
 *   onnx_body.c       what is here
 *   onnx_if.c         If
 *   onnx_control.c    Scan
 *   onnx_loop.c       Loop, and those that count (onnx_loop_count.c)
 *
 * A body reads values of the graph around it by their names. What is known there is known in the body, too; the rest is listed
 * before the body is built, and becomes inputs of its own (kiln_scan_params.with). An axis that data counts comes in whole, and beside it
 * how many elements of it are there.
 */
#ifndef KILN_IMPORT_ONNX_BODY_H
#define KILN_IMPORT_ONNX_BODY_H

#include <kiln/control.h>

#include "import/onnx.h"

/* What bodies read ----------------------------------------------------------------------------------------------- */

/* A value of the graph around, and its name there: a function's input has another than its own. */
struct kiln_onnx_outer {
    const char *name;
    struct kiln_onnx_value *value;
};

/* Values of the graph around that bodies read: those that are computed, by the order in which they are given; and known ones. */
struct kiln_onnx_captured {
    struct kiln_onnx_outer item[KILN_BODY_VALUES];
    int count;
    int64_t size[KILN_BODY_VALUES]; /* of axes of these that data counts: given behind them, as I32 scalars */
    int sizes;
    KILN_VEC(struct kiln_onnx_outer) known; /* one may come again */
    bool refused, full, no_memory;
};

/** A value's name; "" where it has none. */
const char *kiln_onnx_info_name(const Onnx__ValueInfoProto *info);

/** List all that the body, and bodies within it, read of m's values. */
void kiln_onnx_capture(const struct kiln_onnx *m, struct kiln_onnx_captured *c, const Onnx__GraphProto *body);
/** Whether that went well, and which sizes data counts; else n is refused. */
bool kiln_onnx_has_captured(kiln_onnx_node *n, struct kiln_onnx_captured *c);
/** The list as it is given: values of the graph around, ended by none. */
void kiln_onnx_give(kiln_onnx_node *n, const struct kiln_onnx_captured *c, kiln_tensor *to);

/* Bodies ----------------------------------------------------------------------------------------------------------- */

/* A body that is being read, and who reads it. */
struct kiln_onnx_body {
    kiln_onnx_node *n;
    struct kiln_onnx m;
    const struct kiln_onnx_captured *c; /* whose sizes are, in the body: */
    int64_t size[KILN_BODY_VALUES];
};

/** Begin to read a body of n; false: out of memory. End by kiln_onnx_body_close, which accepts {0}. */
bool kiln_onnx_body_open(struct kiln_onnx_body *b, kiln_onnx_node *n, const Onnx__GraphProto *graph);
void kiln_onnx_body_close(struct kiln_onnx_body *b);

/** A type and shape of the graph around as one of the body. */
kiln_spec kiln_onnx_body_spec(const struct kiln_onnx_body *b, kiln_spec spec);
/** An input of the body. */
kiln_tensor kiln_onnx_body_declare(struct kiln_onnx_body *b, const char *name, kiln_spec spec);
/** Let a name mean this in the body: a tensor; a known item; input i of the file's, whose spec is known from what is given. */
struct kiln_onnx_value *kiln_onnx_body_mean(struct kiln_onnx_body *b, const char *name, kiln_tensor t);
void kiln_onnx_body_know(struct kiln_onnx_body *b, const char *name, kiln_spec spec,
                         struct kiln_onnx_item item);
kiln_tensor kiln_onnx_body_formal(struct kiln_onnx_body *b, size_t i, kiln_spec spec);
/** An input of the body lies between the same numbers as a value of the graph around, of which it is a part. */
void kiln_onnx_body_bound(struct kiln_onnx_body *b, kiln_tensor in, kiln_tensor around);
/** The values around: those captured as inputs, behind the body's own; the known ones as they are. */
void kiln_onnx_body_see(struct kiln_onnx_body *b, const struct kiln_onnx_captured *c);
void kiln_onnx_body_read(struct kiln_onnx_body *b);

/** What the file's body gives as output i; NULL where it makes none. */
struct kiln_onnx_value *kiln_onnx_body_result(const struct kiln_onnx_body *b, size_t i);
/** Output i of the file's body, or a value of it, becomes the next of the graph's. */
void kiln_onnx_body_put(struct kiln_onnx_body *b, size_t i);
void kiln_onnx_body_put_value(struct kiln_onnx_body *b, struct kiln_onnx_value *v, size_t i);
/** The same in two steps: a value of the body as a tensor, false, and refused, where it is none; and a tensor as the graph's output i. */
bool kiln_onnx_body_tensor(struct kiln_onnx_body *b, struct kiln_onnx_value *v, kiln_tensor *out);
void kiln_onnx_body_output(struct kiln_onnx_body *b, size_t i, kiln_tensor t);
/** How many steps a Loop makes at the most since what its body compares counts them, and exactly where it need not make fewer; else -1. */
int64_t kiln_onnx_counted_steps(struct kiln_onnx_body *b);
/** Whether reading went on; and whether all of the body could be built: else its node is refused. */
bool kiln_onnx_body_hand_on(struct kiln_onnx_body *b);
bool kiln_onnx_body_is_whole(struct kiln_onnx_body *b);

/** x with `part` behind it along a new axis 0; x may be KILN_NONE. */
kiln_tensor kiln_onnx_gathered(kiln_graph *g, kiln_tensor x, kiln_tensor part);

#endif
