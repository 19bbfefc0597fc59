/* own_operator.c - an application's own operator, y = x |x|: shape rule, gradient, SPIR-V and C, from then on like any other. */
#include "own_operator.h"
#include "expect.h"

static const uint32_t words[] = {
#include "own_operator.inc"
};

/* The kernel: a contract, its reference for float and double, one variant for GPUs. */
static uint64_t units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_signed_square *)d->block.words)->count;
}

static void reference_f32(const void *block, const uint32_t *c, const kiln_memory *m, size_t first,
                          size_t count)
{
    (void)block, (void)c;
    for (size_t i = first; i < first + count; i++)
        ((float *)m->at[1])[i] = ((const float *)m->at[0])[i] * fabsf(((const float *)m->at[0])[i]);
}

static void reference_f64(const void *block, const uint32_t *c, const kiln_memory *m, size_t first,
                          size_t count)
{
    (void)block, (void)c;
    for (size_t i = first; i < first + count; i++)
        ((double *)m->at[1])[i] = ((const double *)m->at[0])[i] * fabs(((const double *)m->at[0])[i]);
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

static const kiln_spirv spirv = {words, sizeof words / sizeof *words};
static const kiln_variant gpu = {.name = "own", .groups = groups, .spirv = &spirv, .lanes = 64};
static const kiln_variant *const gpu_list[] = {&gpu, NULL};
static const kiln_kernel kernel = {.name = "signed_square",
                                   .block_size = sizeof(struct kiln_params_signed_square),
                                   .bindings = 2,
                                   .access = {KILN_READ, KILN_WRITE},
                                   .units = units,
                                   .reference = reference_f32,
                                   .reference_f64 = reference_f64,
                                   .gpu = gpu_list};

/* The operator. */
static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    return out[0].type == KILN_F32 ? KILN_OK : kiln_node_fail(g, n, KILN_ERROR_TYPE, "wants f32");
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_mul(g, dy[0], kiln_scale(g, kiln_abs(g, n->in[0]), 2));
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]);
    const struct kiln_params_signed_square block = {(uint32_t)kiln_shape_count(&x.shape)};
    kiln_dispatch d = {.kernel = &kernel,
                       .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
                       .block_size = sizeof block};
    memcpy(d.block.bytes, &block, sizeof block);
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_lowering lowerings[] = {{.name = "own", .lower = lower}};
static const kiln_op signed_square = {.name = "signed_square",
                                      .inputs = 1,
                                      .outputs = 1,
                                      .infer = infer,
                                      .grad = grad,
                                      .lowerings = lowerings,
                                      .lowering_count = 1};

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    float x[300], y[300], slope[300];
    fill(x, 300, 11);
    const kiln_init init = {.kind = KILN_INIT_VALUES, .values = FLOATS(x, 300)};

    TRY(kiln_graph_create(&g, NULL));
    kiln_tensor in = kiln_parameter(g, "x", KILN_SHAPE(300), &init), dx;
    kiln_tensor out = kiln_append(g, &signed_square, &in, 1, NULL, 0),
                loss = kiln_sum(g, kiln_tanh(g, out), NULL);
    kiln_gradient(g, loss, KILN_NONE, &in, 1, &dx);
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(out, dx)}));
    TRY(kiln_program_run(p));
    TRY(kiln_program_read(p, out, INTO(y)));
    TRY(kiln_program_read(p, dx, INTO(slope)));
    for (int i = 0; i < 300; i++) {
        const double v = x[i] * fabs(x[i]), t = tanh(v);
        EXPECT_NEAR(y[i], v, 1e-6);
        EXPECT_NEAR(slope[i], (1 - t * t) * 2 * fabs(x[i]), 1e-5);
    }
    TRY(kiln_check_gradient(g, w, loss, NULL));

    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
