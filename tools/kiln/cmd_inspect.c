/* cmd_inspect.c - kiln inspect: what a model takes and gives, what it has learned, and what a device would run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/device.h>
#include <kiln/extend.h>
#include <kiln/import.h>
#include <kiln/program.h>

#include "args.h"
#include "arrays.h"
#include "base/threads.h"
#include "commands.h"
#include "graph/graph.h"
#include "json.h"
#include "process.h"
#include "profile.h"

enum { MOST_SIZES = 64 };

struct options {
    const char *model, *device, *precision;
    struct args_list size;
    int64_t most_steps, most_size;
    bool plan, weights, json, run, give_up;
};

struct inspection {
    const struct options *o;
    kiln_graph *g;
    kiln_weights *weights;
    kiln_device *dev;
    kiln_program *program;
    kiln_size size[MOST_SIZES];
    int sizes;
    kiln_command_time *command;
    int commands;
    double seconds, first; /* from the file to a program that is planned; of its first run */
};

/* Sizes ------------------------------------------------------------------------------------------------------- */

static void add_size(struct inspection *s, int64_t symbol)
{
    const char *name = kiln_dim_name(s->g, symbol);
    for (int i = 0; i < s->sizes; i++)
        if (s->size[i].symbol == symbol)
            return;
    if (name && s->sizes < MOST_SIZES)
        s->size[s->sizes++] = (kiln_size){symbol, arrays_size(&s->o->size, name)};
}

static void choose_sizes(struct inspection *s)
{
    for (int i = 0; i < kiln_graph_input_count(s->g); i++) {
        const kiln_shape shape = kiln_tensor_shape(s->g, kiln_graph_input(s->g, i));
        for (int axis = 0; axis < shape.rank; axis++)
            if (shape.size[axis] < 0)
                add_size(s, shape.size[axis]);
    }
}

/* An array of zeros for an input. */
static kiln_status write_zeros(struct inspection *s, kiln_tensor input)
{
    kiln_array x = {.type = kiln_tensor_type(s->g, input), .shape = arrays_shape(s->g, input, &s->o->size)};
    x.data = calloc((size_t)kiln_shape_count(&x.shape) + 1, kiln_type_size(x.type));
    const kiln_status status = x.data ? kiln_program_write(s->program, input, &x) : KILN_ERROR_MEMORY;
    free(x.data);
    return status;
}

static kiln_status run(struct inspection *s)
{
    kiln_status status = KILN_OK;
    const double start = kiln_seconds();
    for (int i = 0; i < kiln_program_input_count(s->program) && !status; i++)
        status = write_zeros(s, kiln_program_input(s->program, i));
    if (!status)
        status = kiln_program_run(s->program);
    if (!status)
        status = kiln_program_wait(s->program);
    s->first = kiln_seconds() - start;
    return status;
}

static kiln_status plan(struct inspection *s)
{
    const double start = kiln_seconds();
    struct arrays none = {.command = "inspect",
                          .symbols = true,
                          .tell = true,
                          .most_steps = s->o->most_steps,
                          .most_size = s->o->most_size};
    kiln_status status = arrays_load(&none, &s->o->size, s->o->model, &s->g, &s->weights);
    if (!status)
        status = kiln_device_open(&s->dev, &(kiln_device_params){.name = s->o->device});
    if (status)
        return status;
    choose_sizes(s);
    kiln_program_params params = {
        .profile = true, .sizes = s->size, .size_count = s->sizes, .give_up = s->o->give_up};
    if ((status = arrays_precision("inspect", s->o->precision, &params.precision)))
        return status;
    if ((status = kiln_program_create(&s->program, s->dev, s->g, s->weights, &params)))
        return status;
    s->seconds = kiln_seconds() - start;
    s->command = profile_read(s->program, &s->commands);
    return s->command ? KILN_OK : KILN_ERROR_MEMORY;
}

/* Text ---------------------------------------------------------------------------------------------------------- */

static void print_tensor(const struct inspection *s, const char *what, kiln_tensor t)
{
    char shape[256];
    const kiln_shape own = kiln_tensor_shape(s->g, t);
    printf("%-8s %-32s %-5s %s\n", what, kiln_tensor_name(s->g, t), kiln_type_name(kiln_tensor_type(s->g, t)),
           kiln_graph_shape_text(s->g, &own, shape, sizeof shape));
}

/* Returns how many values the weights of that kind have in all. */
static int64_t print_weights(const struct inspection *s, bool parameters, bool each)
{
    int64_t total = 0;
    for (int i = 0; i < kiln_weights_count(s->weights); i++) {
        const char *name = kiln_weights_name(s->weights, i);
        kiln_type type;
        kiln_shape shape;
        char text[96];
        if (kiln_weights_is_parameter(s->weights, name) != parameters ||
            !kiln_weights_find(s->weights, name, &type, &shape))
            continue;
        total += kiln_shape_count(&shape);
        if (each)
            printf("%-8s %-32s %-5s %s\n", parameters ? "learned" : "state", name, kiln_type_name(type),
                   kiln_shape_text(&shape, text, sizeof text));
    }
    return total;
}

/* The file's values that are neither learned nor counted; returns how many bytes they have. Nameless ones came of computing. */
static int64_t each_constant(const struct inspection *s,
                             void (*tell)(void *user, const struct inspection *s, kiln_tensor t), void *user)
{
    int64_t bytes = 0;
    for (int i = 0; i < kiln_graph_node_count(s->g); i++) {
        const kiln_node *n = kiln_graph_node_at(s->g, i);
        if (strcmp(n->op->name, "constant") || !kiln_tensor_name(s->g, n->out[0])[0])
            continue;
        const kiln_shape shape = kiln_tensor_shape(s->g, n->out[0]);
        bytes += kiln_shape_count(&shape) * (int64_t)kiln_type_size(kiln_tensor_type(s->g, n->out[0]));
        if (tell)
            tell(user, s, n->out[0]);
    }
    return bytes;
}

static void print_constant(void *user, const struct inspection *s, kiln_tensor t)
{
    (void)user;
    print_tensor(s, "constant", t);
}

static double print_commands(const struct inspection *s)
{
    double flops = 0;
    printf("\n%s runs:\n%-40s %-20s %-20s %-16s %12s %12s\n", kiln_device_get_info(s->dev)->title, "node",
           "operator", "kernel", "variant", "MFLOP", "MB");
    for (int i = 0; i < s->commands; i++) {
        const kiln_command_time *c = &s->command[i];
        flops += c->flops;
        printf("%-40s %-20s %-20s %-16s %12.3f %12.3f\n", c->node, c->op ? c->op : "", c->kernel, c->variant,
               c->flops / 1e6, (double)c->bytes / 1e6);
    }
    return flops;
}

static void print_line(void *user, const char *text)
{
    (void)user;
    fputs(text, stdout);
}

static void print_text(const struct inspection *s, const kiln_program_memory *m)
{
    const bool each = s->o->weights;
    for (int i = 0; i < kiln_graph_input_count(s->g); i++)
        print_tensor(s, "input", kiln_graph_input(s->g, i));
    for (int i = 0; i < kiln_graph_output_count(s->g); i++)
        print_tensor(s, "output", kiln_graph_output(s->g, i));
    const int64_t learned = print_weights(s, true, each), states = print_weights(s, false, each),
                  constants = each_constant(s, each ? print_constant : NULL, NULL);
    const double flops = print_commands(s);
    printf("\n%s: %d commands, %.3f MFLOP", kiln_device_get_info(s->dev)->title, s->commands, flops / 1e6);
    for (int i = 0; i < s->sizes; i++)
        printf("%s%s = %lld", i ? ", " : "; at ", kiln_dim_name(s->g, s->size[i].symbol),
               (long long)s->size[i].value);
    printf("\n%lld learned values, %lld in states, %lld bytes of constants\n", (long long)learned,
           (long long)states, (long long)constants);
    if (s->o->run || s->o->give_up)
        printf("the first run takes %.3f s; ", s->first);
    printf("ready in %.3f s; the process takes %.1f MB, %.1f at its peak\n", s->seconds,
           process_memory("VmRSS") / 1e6, process_memory("VmHWM") / 1e6);
    printf(
        "memory: weights %.3f MB, scratch %.3f MB (at least %.3f), threads %.3f MB, constants %.3f MB, inputs and outputs %.3f MB\n",
        (double)m->weights / 1e6, (double)m->scratch / 1e6, (double)m->lower_bound / 1e6,
        (double)m->threads / 1e6, (double)m->constants / 1e6, (double)m->staging / 1e6);
    if (s->o->plan) {
        printf("\n");
        kiln_program_print(s->program, print_line, NULL);
    }
}

/* JSON ---------------------------------------------------------------------------------------------------------- */

static void json_tensor(struct json *j, const struct inspection *s, kiln_tensor t)
{
    char shape[256];
    const kiln_shape own = kiln_tensor_shape(s->g, t);
    json_open(j, NULL, '{');
    json_text(j, "name", kiln_tensor_name(s->g, t));
    json_text(j, "type", kiln_type_name(kiln_tensor_type(s->g, t)));
    json_text(j, "shape", kiln_graph_shape_text(s->g, &own, shape, sizeof shape));
    json_close(j);
}

static void json_constant(void *user, const struct inspection *s, kiln_tensor t)
{
    json_tensor(user, s, t);
}

static void json_commands(struct json *j, const struct inspection *s)
{
    json_open(j, "commands", '[');
    for (int i = 0; i < s->commands; i++) {
        const kiln_command_time *c = &s->command[i];
        json_open(j, NULL, '{');
        json_text(j, "node", c->node);
        json_text(j, "operator", c->op ? c->op : "");
        json_text(j, "kernel", c->kernel);
        json_text(j, "variant", c->variant);
        json_number(j, "flops", c->flops);
        json_number(j, "bytes", (double)c->bytes);
        json_close(j);
    }
    json_close(j);
}

static void print_json(const struct inspection *s, const kiln_program_memory *m)
{
    struct json j = {0};
    json_open(&j, NULL, '{');
    json_text(&j, "device", kiln_device_get_info(s->dev)->name);
    json_open(&j, "inputs", '[');
    for (int i = 0; i < kiln_graph_input_count(s->g); i++)
        json_tensor(&j, s, kiln_graph_input(s->g, i));
    json_close(&j);
    json_open(&j, "outputs", '[');
    for (int i = 0; i < kiln_graph_output_count(s->g); i++)
        json_tensor(&j, s, kiln_graph_output(s->g, i));
    json_close(&j);
    json_open(&j, "parameters", '[');
    for (int i = 0; i < kiln_graph_parameter_count(s->g); i++)
        json_tensor(&j, s, kiln_graph_parameter(s->g, i));
    json_close(&j);
    json_open(&j, "states", '[');
    for (int i = 0; i < kiln_weights_count(s->weights); i++)
        if (!kiln_weights_is_parameter(s->weights, kiln_weights_name(s->weights, i)))
            json_tensor(&j, s, kiln_find(s->g, kiln_weights_name(s->weights, i)));
    json_close(&j);
    json_open(&j, "constants", '[');
    each_constant(s, json_constant, &j);
    json_close(&j);
    json_commands(&j, s);
    json_open(&j, "memory", '{');
    json_number(&j, "weights", (double)m->weights);
    json_number(&j, "scratch", (double)m->scratch);
    json_number(&j, "scratch_at_least", (double)m->lower_bound);
    json_number(&j, "threads", (double)m->threads);
    json_number(&j, "constants", (double)m->constants);
    json_number(&j, "staging", (double)m->staging);
    json_number(&j, "process_mb", process_memory("VmRSS") / 1e6);
    json_number(&j, "process_peak_mb", process_memory("VmHWM") / 1e6);
    json_close(&j);
    json_number(&j, "ready_seconds", s->seconds);
    json_close(&j);
}

/* The command --------------------------------------------------------------------------------------------------- */

int cmd_inspect(int argc, char **argv)
{
    struct options o = {0};
    struct args_list operands = {0};
    const struct args args = {
        .command = "inspect",
        .operands = "MODEL.onnx",
        .least = 1,
        .most = 1,
        .given = &operands,
        .about =
            "Print a model's inputs and outputs, and what a device would run for it: operators, kernels, memory, arithmetic.",
        .options =
            (const struct args_option[]){
                {"size", "NAME=N", ARGS_LIST, &o.size, "the number that a symbolic size has (default: 1)"},
                {"most-steps", "N", ARGS_COUNT, &o.most_steps,
                 "how often a loop that data ends goes round at the most"},
                {"most-size", "N", ARGS_COUNT, &o.most_size,
                 "how large a size that data gives is at the most (default: as the model shows, or twice the largest input)"},
                {"weights", NULL, ARGS_FLAG, &o.weights, "list what was learned or counted, by name"},
                {"plan", NULL, ARGS_FLAG, &o.plan, "print the plan, a line a command"},
                {"run", NULL, ARGS_FLAG, &o.run,
                 "run it once, on zeros: it then has all the memory that it needs"},
                {"give-up", NULL, ARGS_FLAG, &o.give_up,
                 "likewise, and give up the weights that the plan has in its own form"},
                {"precision", "NAME", ARGS_TEXT, &o.precision, "as 'kiln run' takes it: f32, f16 or f64"},
                {"device", "NAME", ARGS_TEXT, &o.device, "as 'kiln devices' lists them"},
                {"json", NULL, ARGS_FLAG, &o.json, "print one JSON document"},
                {0}},
    };
    int code;
    if (!args_parse(&args, argc, argv, &code))
        return code;
    o.model = operands.item[0];

    struct inspection s = {.o = &o};
    kiln_program_memory memory;
    kiln_status status = plan(&s);
    if (!status && (o.run || o.give_up))
        status = run(&s);
    if (!status)
        status = kiln_program_memory_used(s.program, &memory);
    if (!status && o.json)
        print_json(&s, &memory);
    else if (!status)
        print_text(&s, &memory);
    free(s.command);
    kiln_program_destroy(&s.program);
    kiln_weights_destroy(&s.weights);
    kiln_graph_destroy(&s.g);
    kiln_device_close(&s.dev);
    return status ? ARGS_FAILED : ARGS_DONE;
}
