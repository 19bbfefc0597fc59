/*
 * row.h - a row of `kiln bench`: a program that runs again and again on data that stays on the device.
 *
 * Rows are tables, one file a family (rows_*.c). The rows that tools/peers/torch.py has too bear its names, so that its output
 * compares.
 */
#ifndef KILN_TOOLS_BENCH_ROW_H
#define KILN_TOOLS_BENCH_ROW_H

#include <kiln/kiln.h>

#include "../classifier.h"
#include "../networks.h"
#include "../pictures.h"

struct bench_row;

/** What a row runs. */
struct bench_work {
    kiln_device *dev; /* a loan */
    kiln_graph *graph;
    kiln_tensor run[3]; /* the list, ended by none */
    bool train;
    bool scaled;           /* given: the loss of a step is scaled */
    int classes;           /* that its labels are below; 0 means 10 */
    double flops, bytes;   /* of a run, where the row's own do not say; 0: not what it is about */
    struct classifier net; /* of LeNet's rows: owns the graph */
};

typedef kiln_status bench_build(struct bench_work *w, const struct bench_row *row);

enum bench_kind {
    BENCH_OPERATOR,
    BENCH_MODEL,          /* a whole network: its memory is told, too */
    BENCH_PEAK_FMA,       /* measures the device itself: what rows with `flops` are a share of; */
    BENCH_PEAK_BANDWIDTH, /* likewise those with `bytes` */
    BENCH_REPLAY,         /* on the null device: processor time of the thread that calls */
    BENCH_PLAN,           /* planning for a batch that was not seen, each time a larger one; nothing runs */
};

/** A convolution of a picture network, at a batch of one. */
struct bench_conv {
    int filter, stride, in, out, picture, groups;
    char by; /* 0: forward; 'x', 'w': the gradient by the picture, by the filters */
};

struct bench_attention {
    int heads;
    bool causal, train;
};

struct bench_sequence {
    recurrent_layer *layer;
    bool by_steps, train;
};

/** c [batch, m, n] = a b, of which each may lie transposed. */
struct bench_product {
    int m, n, k, batch;
    bool transpose_a, transpose_b;
};

struct bench_resize {
    kiln_resize_params to;
    bool train;
};

struct bench_row {
    const char *name;
    bench_build *build;
    int64_t size; /* of the batch in rows of models; whatever its family says in others */
    int count;    /* runs a sample */
    enum bench_kind kind;
    double flops; /* of a run; 0: as many as the plan counts */
    double bytes; /* that a run must move; 0: not what the row is about */
    bool large;   /* for GPUs: it runs only where its whole name is given */
    union {
        picture_network *network;
        recurrent_layer *layer;
        struct bench_sequence sequence;
        struct bench_attention attention;
        struct bench_conv conv;
        struct bench_resize resize;
        struct bench_product product;
        bool half, train;
    } as;
};

/** A family's rows. */
struct bench_rows {
    const struct bench_row *row;
    int count;
};

extern const struct bench_rows bench_peaks, bench_replays, bench_models, bench_recurrent, bench_attention,
    bench_convs, bench_scaling, bench_products, bench_moves;

/** Row `index` of all families, in the order in which they run, peaks first; NULL past the last. */
const struct bench_row *bench_row_at(int index);

/** Whether its runs calculate: what others take is no share of what the device can do. */
bool bench_computes(const struct bench_row *row);

/* Parts of a row's graph. */

/** An input, F32 [rows, columns]. */
kiln_tensor bench_matrix(struct bench_work *w, const char *name, int64_t rows, int64_t columns);
/** Run `result` into a state: reading it back is no part of a row. */
kiln_status bench_keep(struct bench_work *w, kiln_tensor result);

#define BENCH_MIB (1024.0 * 1024.0)

#endif
