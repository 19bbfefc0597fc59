/* row.c - all rows, one family behind the other. */
#include "row.h"

static const struct bench_rows *const families[] = {&bench_peaks,     &bench_replays,   &bench_models,
                                                    &bench_recurrent, &bench_attention, &bench_convs,
                                                    &bench_products,  &bench_moves,     &bench_scaling};

const struct bench_row *bench_row_at(int index)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (index < families[i]->count)
            return &families[i]->row[index];
        index -= families[i]->count;
    }
    return NULL;
}

bool bench_computes(const struct bench_row *row)
{
    return row->kind != BENCH_REPLAY && row->kind != BENCH_PLAN;
}

kiln_tensor bench_matrix(struct bench_work *w, const char *name, int64_t rows, int64_t columns)
{
    return kiln_input(w->graph, name, KILN_F32, KILN_SHAPE(rows, columns));
}

kiln_status bench_keep(struct bench_work *w, kiln_tensor result)
{
    kiln_graph *g = w->graph;
    const kiln_tensor kept =
        kiln_state(g, "kept", KILN_F32, kiln_tensor_shape(g, result), KILN_STORE_WEIGHTS);
    w->run[0] = kiln_assign(g, kept, result);
    return kiln_graph_status(g);
}
