/* control_scan.h - the gradient rule of scan (control_scan_grad.c). */
#ifndef KILN_OPS_CONTROL_SCAN_H
#define KILN_OPS_CONTROL_SCAN_H

#include <kiln/extend.h>

void kiln_scan_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx);

#endif
