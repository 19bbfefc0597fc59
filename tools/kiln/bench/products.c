/* products.c - the matrix products of plans, and rows that time one. */
#include "products.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../json.h"
#include "base/log.h"
#include "matmul/matmul.h"
#include "matmul/matmul_packed.h"
#include "ops/kernels.h"
#include "program/program.h"

/* Of plans ---------------------------------------------------------------------------------------------------- */

static struct bench_product product_of(const struct kiln_params_matmul *p)
{
    return (struct bench_product){.m = (int)p->m,
                                  .n = (int)p->n,
                                  .k = (int)p->k,
                                  .batch = (int)p->batch,
                                  .transpose_a = p->a_k != 1 && p->k > 1 && p->m > 1,
                                  .transpose_b = p->b_n != 1 && p->n > 1 && p->k > 1};
}

/* By a matrix that is packed, of which nobody knows any more how it lay: as layers keep it. */
static struct bench_product packed_product_of(const struct kiln_params_matmul_packed *p)
{
    return (struct bench_product){.m = (int)p->m,
                                  .n = (int)p->n,
                                  .k = (int)p->k,
                                  .batch = 1,
                                  .transpose_a = p->a_k != 1 && p->k > 1 && p->m > 1,
                                  .transpose_b = p->n > 1 && p->k > 1};
}

/* The product that a step is; false where it is none. */
static bool find_product(const struct kiln_step *s, struct bench_product *p)
{
    const kiln_kernel *kernel = s->kind == KILN_COMMAND_DISPATCH ? s->dispatch->kernel : NULL;
    if (kernel == &kiln_kernel_matmul)
        *p = product_of((const struct kiln_params_matmul *)s->dispatch->block.words);
    else if (kernel == &kiln_kernel_matmul_packed)
        *p = packed_product_of((const struct kiln_params_matmul_packed *)s->dispatch->block.words);
    return kernel == &kiln_kernel_matmul || kernel == &kiln_kernel_matmul_packed;
}

static bool is_known(const struct bench_products *known, const struct bench_product *p)
{
    for (int i = 0; i < known->count; i++) {
        const struct bench_product *q = &known->shape[i];
        if (p->m == q->m && p->n == q->n && p->k == q->k && p->batch == q->batch &&
            p->transpose_a == q->transpose_a && p->transpose_b == q->transpose_b)
            return true;
    }
    return false;
}

static void print_product(const struct bench_product *p, const struct bench_row *row, bool json)
{
    struct json j = {.line = true};
    char shape[64], batch[16] = "";
    if (p->batch > 1)
        snprintf(batch, sizeof batch, "x%d", p->batch);
    snprintf(shape, sizeof shape, "%dx%dx%d%s/%c%c", p->m, p->n, p->k, batch, p->transpose_a ? 't' : 'n',
             p->transpose_b ? 't' : 'n');
    if (!json) {
        printf("%-32s  in \"%s\"\n", shape, row->name);
        return;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "product", shape);
    json_text(&j, "row", row->name);
    json_close(&j);
}

static kiln_status add(struct bench_products *known, const struct bench_product *p)
{
    struct bench_product *more = realloc(known->shape, ((size_t)known->count + 1) * sizeof *more);
    if (!more)
        return kiln_fail(KILN_ERROR_MEMORY, "no memory for %d products", known->count + 1);
    known->shape = more;
    known->shape[known->count++] = *p;
    return KILN_OK;
}

kiln_status bench_products_print(const struct bench *b, const struct bench_row *row,
                                 struct bench_products *known)
{
    const kiln_program_params params = {.sizes = &(kiln_size){KILN_BATCH, row->size}, .size_count = 1};
    struct bench_open_row open;
    kiln_program *p = NULL;
    kiln_status status = bench_open(&open, b->dev, row, b->precision);
    if (!status)
        status = bench_program(&open, params, &p);
    const struct kiln_plan *plan = status ? NULL : p->ready.data[0]->plan;

    for (int i = 0; plan && i < plan->step.count && !status; i++) {
        struct bench_product found;
        if (find_product(&plan->step.data[i], &found) && !is_known(known, &found) &&
            !(status = add(known, &found)))
            print_product(&found, row, known->json);
    }
    kiln_program_destroy(&p);
    bench_close(&open);
    return status;
}

/* As rows ----------------------------------------------------------------------------------------------------- */

static kiln_status build(struct bench_work *w, const struct bench_row *row)
{
    const struct bench_product *p = &row->as.product;
    const kiln_matmul_params params = {.transpose_a = p->transpose_a, .transpose_b = p->transpose_b};
    const kiln_shape a = p->transpose_a ? KILN_SHAPE(p->batch, p->k, p->m) : KILN_SHAPE(p->batch, p->m, p->k);
    const kiln_shape b = p->transpose_b ? KILN_SHAPE(p->batch, p->n, p->k) : KILN_SHAPE(p->batch, p->k, p->n);
    return bench_keep(w, kiln_matmul(w->graph, kiln_input(w->graph, "a", KILN_F32, a),
                                     kiln_input(w->graph, "b", KILN_F32, b), &params));
}

/* The shape that a text says; false where it is none. */
static bool read_shape(const char *text, struct bench_product *p, char kind[3])
{
    int end = 0, more = 0;
    if (sscanf(text, "%dx%dx%d%n", &p->m, &p->n, &p->k, &end) != 3)
        return false;
    if (text[end] == 'x' && sscanf(text + end, "x%d%n", &p->batch, &more) != 1)
        return false;
    end += more;
    more = 0;
    if (text[end] && (sscanf(text + end, "/%2[nt]%n", kind, &more) != 1 || more != 3 || text[end + more]))
        return false;
    return p->m > 0 && p->n > 0 && p->k > 0 && p->batch > 0;
}

bool bench_products_row(const char *text, struct bench_row *out)
{
    struct bench_product p = {.batch = 1};
    char kind[3] = "nn";

    if (!read_shape(text, &p, kind))
        return false;
    p.transpose_a = kind[0] == 't';
    p.transpose_b = kind[1] == 't';
    const double flops = 2.0 * p.m * p.n * p.k * p.batch;
    *out = (struct bench_row){.name = text,
                              .build = build,
                              .count = flops > 1e8   ? 1
                                       : flops > 1e5 ? (int)(2e8 / flops)
                                                     : 2000,
                              .flops = flops,
                              .as.product = p};
    return true;
}
