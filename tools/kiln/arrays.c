/* arrays.c - see arrays.h. */
#include "arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text), b = strlen(end);
    return a >= b && !strcmp(text + a - b, end);
}

const char *arrays_split(const char *item, char *name, size_t bytes)
{
    const char *sign = strchr(item, '=');
    snprintf(name, bytes, "%.*s", sign ? (int)(sign - item) : 0, item);
    return sign ? sign + 1 : item;
}

kiln_status arrays_write(kiln_program *program, const kiln_graph *g, const char *command, const char *item)
{
    char name[256];
    const char *path = arrays_split(item, name, sizeof name);
    kiln_array array;
    kiln_tensor input = name[0] ? KILN_NONE : kiln_graph_input(g, 0);
    for (int i = 0; i < kiln_graph_input_count(g); i++)
        if (!strcmp(kiln_tensor_name(g, kiln_graph_input(g, i)), name))
            input = kiln_graph_input(g, i);
    if (!input.id) {
        fprintf(stderr, "kiln %s: the model has no input \"%s\"; 'kiln inspect' lists them\n", command, name);
        return KILN_ERROR_ARGUMENT;
    }
    kiln_status status =
        ends_with(path, ".pb") ? kiln_onnx_load_tensor(&array, path) : kiln_npy_load(&array, path);
    if (!status)
        status = kiln_program_write(program, input, &array);
    kiln_array_free(&array);
    return status;
}

int64_t arrays_size(const struct args_list *sizes, const char *symbol)
{
    const size_t length = strlen(symbol);
    for (int i = 0; i < sizes->count; i++)
        if (!strncmp(sizes->item[i], symbol, length) && sizes->item[i][length] == '=')
            return strtoll(sizes->item[i] + length + 1, NULL, 10);
    return 1;
}
