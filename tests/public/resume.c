/* resume.c - saved and loaded, training goes on bit for bit: weights, optimizer state, steps, running statistics, random
 * streams. */
#include "expect.h"

#include <unistd.h>

enum { STEPS = 4 };

struct net {
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *learn;
    kiln_tensor x, y, step;
};

static struct net make(kiln_device *dev)
{
    struct net n = {0};
    TRY(kiln_graph_create(&n.g, NULL));
    n.x = kiln_input(n.g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 6, 6));
    n.y = kiln_input(n.g, "y", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_tensor h =
        kiln_nn_conv(n.g, n.x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}, .name = "conv"});
    h = kiln_relu(n.g, kiln_nn_batch_norm(n.g, h, &(kiln_nn_batch_norm_params){.name = "norm"}));
    h = kiln_dropout(n.g, kiln_flatten(n.g, h, 1), 0.5);
    h = kiln_nn_dense(n.g, h, &(kiln_nn_dense_params){.units = 3, .name = "out"});
    kiln_tensor loss = kiln_cross_entropy(n.g, h, n.y);
    kiln_tensor at = kiln_step(n.g, NULL);
    n.step = kiln_minimize(n.g, loss,
                           &(kiln_minimize_params){.by = KILN_ADAM,
                                                   .rate_from = kiln_schedule_cosine(n.g, at, 0.01, 0, 20)});
    TRY(kiln_weights_create(&n.w, n.g, &(kiln_weights_params){.seed = 9}));
    TRY(kiln_program_create(&n.learn, dev, n.g, n.w,
                            &(kiln_program_params){.run = KILN_RUN(n.step), .train = true}));
    return n;
}

static void train(struct net *n, int first, int count)
{
    float x[5 * 72];
    int32_t y[5] = {0, 1, 2, 1, 0};
    for (int i = first; i < first + count; i++) {
        fill(x, 5 * 72, (uint32_t)i + 20);
        TRY(kiln_program_write(n->learn, n->x, FLOATS(x, 5, 2, 6, 6)));
        TRY(kiln_program_write(n->learn, n->y, INTS(y, 5)));
        TRY(kiln_program_run(n->learn));
    }
}

static void destroy(struct net *n)
{
    kiln_program_destroy(&n->learn);
    kiln_weights_destroy(&n->w);
    kiln_graph_destroy(&n->g);
}

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    struct net straight = make(dev), first = make(dev), second = make(dev);
    char path[64];
    snprintf(path, sizeof path, "/tmp/kiln_resume_%ld.safetensors", (long)getpid());

    train(&straight, 0, 2 * STEPS);
    train(&first, 0, STEPS);
    TRY(kiln_weights_save(first.w, path));
    TRY(kiln_weights_load(second.w, path, NULL));
    train(&second, STEPS, STEPS);
    EXPECT(kiln_weights_count(straight.w) > 12); /* parameters, two moments of each, states */
    for (int i = 0; i < kiln_weights_count(straight.w); i++) {
        static char a[1 << 16], b[1 << 16];
        kiln_array to_a = {.data = a, .bytes = sizeof a}, to_b = {.data = b, .bytes = sizeof b};
        const char *name = kiln_weights_name(straight.w, i);
        TRY(kiln_weights_read(straight.w, name, &to_a));
        TRY(kiln_weights_read(second.w, name, &to_b));
        if (memcmp(a, b, (size_t)kiln_shape_count(&to_a.shape) * kiln_type_size(to_a.type))) {
            fprintf(stderr, "%s: \"%s\" differs\n", device, name);
            expect_failures++;
        }
    }

    unlink(path);
    destroy(&straight);
    destroy(&first);
    destroy(&second);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
