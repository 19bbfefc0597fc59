/* feed.c - columns to inputs, results to numbers. */
#include "train/feed.h"

#include "base/log.h"
#include "base/text.h"

static kiln_status fail_missing(const char *input, const kiln_dataset *data)
{
    struct kiln_text has = {0};

    for (int i = 0; i < kiln_dataset_columns(data); i++)
        kiln_text_add(&has, "%s\"%s\"", i ? ", " : "", kiln_dataset_column(data, i)->name);
    kiln_fail(KILN_ERROR_ARGUMENT, "dataset: the program wants a column \"%s\", there are %s", input,
              kiln_text_get(&has));
    kiln_text_finish(&has);
    return KILN_ERROR_ARGUMENT;
}

kiln_status kiln_feed_bind(struct kiln_feed *f, kiln_program *program, const kiln_dataset *data)
{
    *f = (struct kiln_feed){.program = program, .count = kiln_program_input_count(program)};
    if (f->count > KILN_MAX_COLUMNS)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "dataset: the program has %d inputs, a dataset at most %d columns", f->count,
                         KILN_MAX_COLUMNS);
    for (int i = 0; i < f->count; i++) {
        const char *name;
        f->input[i] = kiln_program_input(program, i);
        name = kiln_program_tensor_name(program, f->input[i]);
        f->column[i] = kiln_dataset_find(data, name);
        if (f->column[i] < 0)
            return fail_missing(name, data);
    }
    return KILN_OK;
}

kiln_status kiln_feed_write(const struct kiln_feed *f, const kiln_batch *batch)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < f->count && !status; i++)
        status = kiln_program_write(f->program, f->input[i], &batch->column[f->column[i]]);
    return status;
}

kiln_status kiln_feed_run(const struct kiln_feed *f, const kiln_batch *batch)
{
    const kiln_status status = kiln_feed_write(f, batch);
    return status ? status : kiln_program_run(f->program);
}

bool kiln_feed_is_scalar(const kiln_program *program, kiln_tensor t)
{
    const kiln_shape shape = kiln_program_tensor_shape(program, t);
    return kiln_shape_count(&shape) == 1;
}

kiln_status kiln_feed_read(kiln_program *program, kiln_tensor t, double *value)
{
    union {
        double real;
        int64_t wide;
        int32_t whole;
        uint8_t truth;
    } raw;
    kiln_array to = {.data = &raw, .bytes = sizeof raw, .type = KILN_F64}; /* reals of any width convert */
    kiln_status status = kiln_program_read(program, t, &to);

    if (status)
        return status;
    if (to.type != KILN_F64 && to.type != KILN_I64 && to.type != KILN_I32 && to.type != KILN_BOOL)
        return kiln_fail(KILN_ERROR_TYPE, "\"%s\": cannot show a scalar of type %s",
                         kiln_program_tensor_name(program, t), kiln_type_name(to.type));
    *value = to.type == KILN_F64   ? raw.real
             : to.type == KILN_I64 ? (double)raw.wide
             : to.type == KILN_I32 ? raw.whole
                                   : raw.truth;
    return KILN_OK;
}
