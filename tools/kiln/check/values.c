/* values.c - see values.h. */
#include "check/values.h"

#include <math.h>
#include <stdlib.h>

#include <kiln/extend.h>

#include "base/log.h"
#include "base/rng.h"
#include "compiler/convert.h"

uint64_t check_seed_of(const struct check_case *one, uint64_t seed)
{
    return seed ^ kiln_rng_stream(one->name);
}

double check_element(const kiln_array *a, size_t i)
{
    double value;

    kiln_convert(&value, KILN_F64, (const char *)a->data + i * kiln_type_size(a->type), a->type, 1);
    return value;
}

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "check: no memory for a case's values");
}

/* Drawn by the input's place among the inputs. */
void check_draw_input(const struct check_graph *c, int i, uint64_t seed, int64_t *values)
{
    const struct check_input *in = &c->input[i];
    const kiln_shape shape = kiln_tensor_shape(c->g, in->tensor);
    struct kiln_rng rng;

    kiln_rng_init(&rng, seed, (uint64_t)i);
    for (int64_t k = 0; k < kiln_shape_count(&shape); k++)
        values[k] = (int64_t)floor(in->low + (in->high - in->low) * kiln_rng_uniform(&rng));
}

kiln_status check_input_values(const struct check_graph *c, int i, uint64_t seed, kiln_array *out)
{
    const kiln_tensor in = c->input[i].tensor;
    const kiln_spec spec = kiln_tensor_spec(c->g, in);
    const size_t count = (size_t)kiln_shape_count(&spec.shape);
    int64_t *values = malloc((count + 1) * sizeof *values);
    kiln_status status;

    *out = (kiln_array){.type = spec.type, .shape = spec.shape};
    out->data = malloc((count + 1) * sizeof *values);
    status = values && out->data ? KILN_OK : out_of_memory();
    if (!status) {
        check_draw_input(c, i, seed, values);
        kiln_convert(out->data, out->type, values, KILN_I64, count);
    }
    free(values);
    return status;
}

static kiln_status write_input(kiln_program *program, const struct check_graph *c, int i, uint64_t seed)
{
    kiln_array values;
    kiln_status status = check_input_values(c, i, seed, &values);

    if (!status)
        status = kiln_program_write(program, c->input[i].tensor, &values);
    kiln_array_free(&values);
    return status;
}

/* A program that needs only some results needs only some inputs. */
static bool needs(const kiln_program *program, kiln_tensor input)
{
    for (int i = 0; i < kiln_program_input_count(program); i++)
        if (kiln_program_input(program, i).id == input.id)
            return true;
    return false;
}

kiln_status check_write_inputs(kiln_program *program, const struct check_graph *c, uint64_t seed)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < c->inputs && !status; i++)
        if (needs(program, c->input[i].tensor))
            status = write_input(program, c, i, seed);
    return status;
}

kiln_status check_copy_states(kiln_weights *from, kiln_weights *to)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < kiln_weights_count(from) && !status; i++)
        if (!kiln_weights_is_parameter(from, kiln_weights_name(from, i)))
            status = kiln_weights_copy(to, from, kiln_weights_name(from, i));
    return status;
}
