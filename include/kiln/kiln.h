/*
 * kiln.h - all of kiln, in reading order.
 *
 * A graph says what to compute, weights hold what was learned, a device is where, a program runs a list of the graph's values
 * and effects. The rules of the house (results, ownership, threads) stand at the top of base.h.
 */
#ifndef KILN_KILN_H
#define KILN_KILN_H

#include <kiln/base.h>
#include <kiln/log.h>

#include <kiln/device.h>

#include <kiln/algebra.h>
#include <kiln/arrange.h>
#include <kiln/assign.h>
#include <kiln/attention.h>
#include <kiln/control.h>
#include <kiln/conv.h>
#include <kiln/decode.h>
#include <kiln/detection.h>
#include <kiln/elementwise.h>
#include <kiln/fold.h>
#include <kiln/graph.h>
#include <kiln/grid.h>
#include <kiln/indexing.h>
#include <kiln/losses.h>
#include <kiln/nn.h>
#include <kiln/norm.h>
#include <kiln/ops.h>
#include <kiln/pool.h>
#include <kiln/quantize.h>
#include <kiln/random.h>
#include <kiln/recurrent.h>
#include <kiln/reduce.h>
#include <kiln/resize.h>
#include <kiln/roi.h>

#include <kiln/program.h>
#include <kiln/tune.h>
#include <kiln/weights.h>

#include <kiln/data.h>
#include <kiln/metrics.h>
#include <kiln/scenes.h>
#include <kiln/text.h>
#include <kiln/train.h>

#include <kiln/draw.h>
#include <kiln/import.h>

#include <kiln/extend.h>

#endif
