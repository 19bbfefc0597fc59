/* run_check.c - outputs against those of the CPU in float64, by the reference of each kernel. */
#include <math.h>
#include <stdlib.h>

#include "compiler/convert.h"
#include "run.h"

/* Integers count as they are; of reals |got - want|, NaN alike being no difference. */
static double distance(double got, double want)
{
    if (got == want || (isnan(got) && isnan(want)))
        return 0;
    return isfinite(got) && isfinite(want) ? fabs(got - want) : INFINITY;
}

static kiln_status compare_output(struct run *r, int i)
{
    struct run_check *c = &r->check[i];
    const kiln_array *result = &r->result[i];
    const size_t count = (size_t)kiln_shape_count(&result->shape);
    const bool real = kiln_type_is_real(result->type);
    kiln_array want;
    kiln_status status =
        arrays_result(r->reference, kiln_graph_output(r->g, i), real ? KILN_F64 : result->type, &want);
    if (status || !kiln_shape_equal(&want.shape, &result->shape)) {
        c->error = INFINITY;
        kiln_array_free(&want);
        return status;
    }
    double *values = malloc((2 * count + 1) * sizeof *values);
    status = values ? KILN_OK : KILN_ERROR_MEMORY;
    if (!status) {
        kiln_convert(values, KILN_F64, result->data, result->type, count);
        kiln_convert(values + count, KILN_F64, want.data, want.type, count);
        for (size_t k = 0; k < count; k++) {
            c->error = fmax(c->error, distance(values[k], values[count + k]));
            c->largest = isfinite(values[count + k]) ? fmax(c->largest, fabs(values[count + k])) : c->largest;
        }
        c->bound = real ? r->o->tolerance * c->largest : 0;
        c->fits = c->error <= c->bound;
    }
    free(values);
    kiln_array_free(&want);
    return status;
}

kiln_status run_compare(struct run *r)
{
    kiln_status status = kiln_program_run(r->reference);
    r->check = calloc((size_t)r->results + 1, sizeof *r->check);
    for (int i = 0; !status && i < r->results; i++)
        status = r->check ? compare_output(r, i) : KILN_ERROR_MEMORY;
    return status;
}

bool run_fits(const struct run *r)
{
    bool fits = true;
    for (int i = 0; r->check && i < r->results; i++)
        fits = fits && r->check[i].fits;
    return fits;
}
