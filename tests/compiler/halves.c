/* halves.c - F16 takes two bytes where the device stores them, and kernels that do not take halves get floats. */
#include <kiln/extend.h>

#include "compiler/plans.h"

/* Storage -------------------------------------------------------------------------------------------------- */

static const struct kiln_object *input_object(const struct kiln_plan *plan)
{
    for (int i = 0; i < plan->object.count; i++)
        if (plan->object.data[i].kind == KILN_OBJECT_INPUT)
            return &plan->object.data[i];
    return NULL;
}

/* A value between two kernels, and an input, of 4096 * 33 and an odd number of elements. */
static kiln_tensor two_kernels(kiln_graph *g, kiln_type type)
{
    const kiln_tensor x = kiln_input(g, "x", type, KILN_SHAPE(4096, 33));
    return kiln_sum(g, kiln_softmax(g, x, 1), &(kiln_reduce_params){.axes = KILN_AXES(0)});
}

Test(halves, take_half_the_memory_where_the_device_stores_them)
{
    static const struct {
        const char *device, *limits;
        kiln_type type;
        uint64_t element;
    } cases[] = {
        {"null", "", KILN_F16, 2},      {"null", "", KILN_F32, 4},  {"null", "", KILN_BF16, 4},
        {"null", "floor", KILN_F16, 4}, {"cpu", "", KILN_F16, 4},   {"null", "tiny", KILN_F16, 4},
        {"null", "", KILN_I8, 4},       {"null", "", KILN_BOOL, 4}, {"cpu", "", KILN_I8, 1},
        {"cpu", "", KILN_U8, 1},        {"cpu", "", KILN_I16, 4},   {"cpu", "", KILN_BOOL, 4},
    };
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        setenv("KILN_LIMITS", cases[i].limits, 1);
        kiln_graph *g = plan_graph();
        const kiln_tensor y = kiln_type_is_real(cases[i].type)
                                  ? two_kernels(g, cases[i].type)
                                  : kiln_input(g, "x", cases[i].type, KILN_SHAPE(4096, 33));
        struct planned d = plan_on(kiln_test_open(cases[i].device), g, KILN_RUN(y), false);
        const uint64_t bytes = 4096 * 33 * cases[i].element;
        cr_expect_eq(input_object(d.plan)->bytes, bytes, "case %zu", i);
        if (kiln_type_is_real(cases[i].type)) /* the softmax, and the parts of its sums, which are floats */
            cr_expect(d.plan->scratch_bytes >= bytes && d.plan->scratch_bytes < bytes + bytes / 4,
                      "case %zu: %llu bytes of scratch", i, (unsigned long long)d.plan->scratch_bytes);
        planned_finish(&d);
        kiln_graph_destroy(&g);
    }
}

Test(halves, an_odd_number_of_them_ends_in_a_whole_word)
{
    setenv("KILN_LIMITS", "", 1);
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(7));
    struct planned d = plan_of(g, KILN_RUN(kiln_relu(g, x)), false);
    cr_expect_eq(input_object(d.plan)->bytes, 16);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

/* Conversions ---------------------------------------------------------------------------------------------- */

/* A kernel of {a, b, y}, of which a test says what takes halves. */
static const uint32_t no_words[1];
static const kiln_spirv no_spirv = {no_words, 1};
static const kiln_variant plain = {.name = "plain", .spirv = &no_spirv},
                          both = {.name = "both", .spirv = &no_spirv, .half = &no_spirv};
static const kiln_variant *const plain_list[] = {&plain, NULL}, *const both_list[] = {&plain, &both, NULL};

static uint64_t one(const kiln_dispatch *d)
{
    (void)d;
    return 1;
}

static void nothing(const void *block, const uint32_t *c, const kiln_memory *m, size_t first, size_t count)
{
    (void)block, (void)c, (void)m, (void)first, (void)count;
}

static kiln_kernel kernel = {.name = "kernel",
                             .bindings = 3,
                             .access = {KILN_READ, KILN_READ, KILN_WRITE},
                             .units = one,
                             .reference = nothing};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    memcpy(&out[0].type, n->params, sizeof out[0].type);
    return KILN_OK;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    return kiln_plan_dispatch(
        plan, &(kiln_dispatch){.kernel = &kernel,
                               .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}}});
}

static const kiln_op op = {.name = "op",
                           .inputs = 2,
                           .outputs = 1,
                           .infer = infer,
                           .lowerings = (const kiln_lowering[]){{.name = "one", .lower = lower}},
                           .lowering_count = 1};

/* What one dispatch became. */
struct outcome {
    uint32_t halves; /* that the kernel itself got */
    int before, after;
};

static struct outcome plan_operator(kiln_type a, kiln_type b, kiln_type y)
{
    struct outcome o = {0};
    bool seen = false;
    kiln_graph *g = plan_graph();
    const kiln_tensor in[] = {kiln_input(g, "a", a, KILN_SHAPE(99)), kiln_input(g, "b", b, KILN_SHAPE(99))};
    struct planned d = plan_of(g, KILN_RUN(kiln_append(g, &op, in, 2, &y, sizeof y)), false);
    for (int i = 0; i < d.plan->step.count; i++) {
        const kiln_dispatch *step = d.plan->step.data[i].dispatch;
        if (step->kernel == &kernel) {
            seen = true;
            o.halves = step->halves;
            for (int k = 0; k < 3; k++)
                cr_expect_eq(step->element[k], step->halves >> k & 1 ? 2 : 4);
        } else {
            cr_expect_str_eq(step->kernel->name, "chain");
            ++*(seen ? &o.after : &o.before);
        }
    }
    planned_finish(&d);
    kiln_graph_destroy(&g);
    return o;
}

static const struct conversion_case {
    uint32_t halves, mixed;
    bool variant;
    kiln_type a, b, y;
    struct outcome want;
    const char *why;
} conversions[] = {
    {7, 0, true, KILN_F16, KILN_F16, KILN_F16, {7, 0, 0}, "all are halves"},
    {7, 0, true, KILN_F32, KILN_F32, KILN_F32, {0, 0, 0}, "none is"},
    {5, 0, true, KILN_F16, KILN_I32, KILN_F16, {5, 0, 0}, "an integer beside them"},
    {7, 0, true, KILN_F16, KILN_I32, KILN_F16, {5, 0, 0}, "an integer where a half might be"},
    {7,
     0,
     true,
     KILN_F16,
     KILN_F32,
     KILN_F16,
     {0, 2, 1},
     "a float among them; y is read before it is written"},
    {0, 7, true, KILN_F16, KILN_F32, KILN_F16, {5, 0, 0}, "a float among those that may mix"},
    {3, 4, true, KILN_F16, KILN_F16, KILN_F32, {3, 0, 0}, "a float that may be one"},
    {3,
     4,
     true,
     KILN_F32,
     KILN_F32,
     KILN_F16,
     {0, 1, 1},
     "a half that may be one, beside floats that may not"},
    {3, 4, true, KILN_F16, KILN_F32, KILN_F16, {0, 2, 1}, "a float among the inputs"},
    {3, 0, true, KILN_F16, KILN_F16, KILN_F16, {3, 1, 1}, "a result that the contract keeps in floats"},
    {0, 0, true, KILN_F16, KILN_F16, KILN_F16, {0, 3, 1}, "a contract that knows no halves"},
    {7, 0, false, KILN_F16, KILN_F16, KILN_F16, {0, 3, 1}, "no variant for them"},
};

Test(halves, are_floats_for_a_kernel_that_does_not_take_them)
{
    setenv("KILN_LIMITS", "", 1);
    for (size_t i = 0; i < KILN_COUNT(conversions); i++) {
        const struct conversion_case *c = &conversions[i];
        kernel.halves = c->halves;
        kernel.mixed = c->mixed;
        kernel.gpu = c->variant ? both_list : plain_list;
        const struct outcome o = plan_operator(c->a, c->b, c->y);
        cr_expect_eq(o.halves, c->want.halves, "%s: halves %x", c->why, o.halves);
        cr_expect_eq(o.before, c->want.before, "%s: %d copies before it", c->why, o.before);
        cr_expect_eq(o.after, c->want.after, "%s: %d copies behind it", c->why, o.after);
    }
}

/* Windows -------------------------------------------------------------------------------------------------- */

static kiln_tensor product(kiln_graph *g)
{
    const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(900, 1000));
    return kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 700}));
}

static kiln_tensor batches(kiln_graph *g)
{
    const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(9, 320, 304));
    return kiln_matmul(g, x, x, &(kiln_matmul_params){.transpose_b = true});
}

static kiln_tensor images(kiln_graph *g)
{
    const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(140, 3, 47, 48));
    const kiln_tensor y = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}});
    return kiln_max_pool(g, kiln_relu(g, y), &(kiln_pool_params){.size = {2, 2}});
}

static kiln_tensor rows(kiln_graph *g)
{
    const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(6001, 121));
    const kiln_tensor y = kiln_log_softmax(g, x, 1),
                      wide = kiln_expand(g, kiln_unsqueeze(g, y, 1), KILN_SHAPE(6001, 2, 121));
    return kiln_mean(g, kiln_transpose(g, wide, (const int[]){2, 0, 1}),
                     &(kiln_reduce_params){.axes = KILN_AXES(2)});
}

static void expect_windows(const struct kiln_plan *plan, const char *why)
{
    int cut = 0;
    for (int i = 0; i < plan->step.count; i++) {
        const struct kiln_step *s = &plan->step.data[i];
        for (int k = 0; k < s->touches && s->kind == KILN_COMMAND_DISPATCH; k++) {
            if (s->touch[k].object < 0)
                continue;
            const bool half = s->dispatch->halves >> k & 1;
            cr_expect_leq(s->touch[k].bytes, 1 << 20, "%s: %s binds %llu bytes", why,
                          s->dispatch->kernel->name, (unsigned long long)s->touch[k].bytes);
            cr_expect_eq(s->touch[k].offset % 256, 0, "%s: %s binds from byte %llu on", why,
                         s->dispatch->kernel->name, (unsigned long long)s->touch[k].offset);
            cut += half && s->touch[k].bytes < plan->object.data[s->touch[k].object].bytes;
        }
    }
    cr_expect_gt(cut, 0, "%s: no halves were cut", why);
}

Test(halves, beyond_a_binding_are_bound_in_windows_of_whole_words)
{
    static kiln_tensor (*const cases[])(kiln_graph * g) = {product, batches, images, rows};
    static const char *const why[] = {"a product", "batches", "images", "rows"};
    setenv("KILN_LIMITS", "max_binding=1M", 1);
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_graph *g = plan_graph();
        struct planned d = plan_of(g, KILN_RUN(cases[i](g)), false);
        expect_windows(d.plan, why[i]);
        planned_finish(&d);
        kiln_graph_destroy(&g);
    }
}

/* Weights -------------------------------------------------------------------------------------------------- */

Test(halves, of_weights_are_made_in_the_prologue)
{
    setenv("KILN_LIMITS", "", 1);
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F16, KILN_SHAPE(8, 64));
    const kiln_tensor y = kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 32});
    cr_expect_eq(kiln_tensor_type(g, y), KILN_F16);
    struct planned d = plan_of(g, KILN_RUN(y), false);
    int casts = 0;
    for (int i = 0; i < d.plan->step.count; i++)
        casts +=
            d.plan->step.data[i].prologue && !strcmp(d.plan->step.data[i].dispatch->kernel->name, "chain");
    cr_expect_eq(casts, 2, "weight and bias");
    cr_expect_eq(d.plan->kept_bytes, 2 * 32 * 64 + 256);
    cr_expect_eq(count_dispatches(d.plan, NULL), 3);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

/* Precision ------------------------------------------------------------------------------------------------ */

/* Two convolutions with pooling between them, and a classifier. */
static kiln_tensor small_network(kiln_graph *g, kiln_tensor x)
{
    x = kiln_relu(g, kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 16, .size = {3, 3}, .same = true}));
    x = kiln_max_pool(g, x, &(kiln_pool_params){.size = {2, 2}, .stride = {2, 2}});
    x = kiln_relu(g, kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 16, .size = {3, 3}, .same = true}));
    return kiln_softmax(g, kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 10}), 1);
}

static uint64_t scratch_of(kiln_precision precision, const char *limits, int *halves)
{
    setenv("KILN_LIMITS", limits, 1);
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(8, 16, 32, 32)), y = small_network(g, x);
    struct planned d = {.dev = kiln_test_open("null")};
    cr_assert_eq(kiln_weights_create(&d.w, g, NULL), KILN_OK);
    const kiln_program_params params = {.run = KILN_RUN(y), .precision = precision};
    cr_assert_eq(kiln_program_create(&d.p, d.dev, g, d.w, &params), KILN_OK);
    d.plan = d.p->ready.data[0]->plan;
    cr_expect_eq(kiln_program_tensor_type(d.p, y), KILN_F32);
    cr_expect_eq(count_nodes(d.plan, "chain"), 0, "what follows a convolution is its epilogue still");
    *halves = 0;
    for (int i = 0; i < d.plan->graph->value.count; i++)
        *halves += d.plan->graph->value.data[i].spec.type == KILN_F16;
    const uint64_t bytes = d.plan->lower_bound;
    planned_finish(&d);
    kiln_graph_destroy(&g);
    return bytes;
}

/* The most that lives at once is the first convolution's result and the half copy of x, of one size; in floats x needs no copy,
 * and the result and the pooled one do: 1 + 1 halves of its elements for 1 + 1/4 floats, 4/5 of the bytes. */
Test(halves, are_what_a_program_of_that_precision_stores)
{
    int halves, none;
    const uint64_t floats = scratch_of(KILN_PRECISION_F32, "", &none),
                   narrow = scratch_of(KILN_PRECISION_F16, "", &halves);
    cr_expect_eq(none, 0);
    cr_expect_geq(halves, 8, "x, three weights, two convolutions, pooling, and it flat");
    cr_expect(narrow <= floats * 4 / 5 + 4096, "%llu bytes for %llu", (unsigned long long)narrow,
              (unsigned long long)floats);
    const uint64_t floor_floats = scratch_of(KILN_PRECISION_F32, "floor", &none);
    cr_expect_eq(scratch_of(KILN_PRECISION_F16, "floor", &halves), floor_floats);
    cr_expect_eq(halves, 0, "without 16-bit storage it is float32");
}
