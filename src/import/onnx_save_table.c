/*
 * onnx_save_table.c - kiln operator -> the row that writes it, in its family's file. Of what only a kernel needs there is none.
 */
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* What is another value: of by_mode that of a mode. */
static void write_alias(writer *w, const kiln_node *n, const row *r)
{
    kiln_onnx_write(w, "Identity", out(w, n), IN(in(w, n, r->reads ? 0 : kiln_onnx_mode_input(w))));
}

static const row aliases[] = {
    {"batch_norm", NULL, write_alias, 1},
    {"by_mode", NULL, write_alias, 0},
    {"stop_gradient", NULL, write_alias, 1},
    {0},
};

const struct kiln_onnx_writer_row *kiln_onnx_writer_row_of(const char *op)
{
    static const row *const families[] = {aliases,
                                          kiln_onnx_writer_attention,
                                          kiln_onnx_writer_composed,
                                          kiln_onnx_writer_control,
                                          kiln_onnx_writer_gradient,
                                          kiln_onnx_writer_gradient_attention,
                                          kiln_onnx_writer_gradient_grid,
                                          kiln_onnx_writer_gradient_indexing,
                                          kiln_onnx_writer_gradient_norm,
                                          kiln_onnx_writer_gradient_pool,
                                          kiln_onnx_writer_gradient_recurrent,
                                          kiln_onnx_writer_indexing,
                                          kiln_onnx_writer_layout,
                                          kiln_onnx_writer_loss,
                                          kiln_onnx_writer_math,
                                          kiln_onnx_writer_matrix,
                                          kiln_onnx_writer_norm,
                                          kiln_onnx_writer_pool,
                                          kiln_onnx_writer_reduce,
                                          kiln_onnx_writer_resize,
                                          kiln_onnx_writer_roi,
                                          kiln_onnx_writer_step};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const row *r = families[i]; r->op; r++)
            if (!strcmp(r->op, op))
                return r;
    return NULL;
}
