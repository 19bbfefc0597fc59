/*
 * replay_allocates.c - a plan that runs again allocates nothing, once both slots of its inputs were written: a plain program, which
 * counts what its malloc is asked for. That takes glibc, and no sanitizer that brings a malloc of its own; elsewhere it says so and passes.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <kiln/kiln.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(SANITIZED)
#define COUNTS 1
#else
#define COUNTS 0
#endif

static atomic_long allocations;

#if COUNTS
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *at, size_t bytes);

void *malloc(size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, bytes);
}

void *realloc(void *at, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(at, bytes);
}
#endif

enum { BATCH = 4, RUNS = 5 };

struct net {
    kiln_graph *g;
    kiln_tensor x, step, loss;
    kiln_weights *w;
    kiln_device *dev;
    kiln_program *p;
};

/* A step of training: convolution, batch normalization, pooling, a dense layer, Adam. */
static kiln_status open_net(struct net *n, const char *device)
{
    kiln_graph *g;
    kiln_status status = kiln_graph_create(&n->g, NULL);
    if (status)
        return status;
    g = n->g;
    n->x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 8, 8));
    kiln_tensor y = kiln_nn_conv(g, n->x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}});
    y = kiln_max_pool(g, kiln_relu(g, kiln_nn_batch_norm(g, y, NULL)), &(kiln_pool_params){.size = {2, 2}});
    y = kiln_nn_dense(g, kiln_flatten(g, y, 1), &(kiln_nn_dense_params){.units = 3});
    n->loss = kiln_mean(g, kiln_square(g, y), NULL);
    n->step = kiln_minimize(g, n->loss, &(kiln_minimize_params){.by = KILN_ADAM});
    if (!(status = kiln_weights_create(&n->w, g, NULL)) &&
        !(status = kiln_device_open(&n->dev, &(kiln_device_params){.name = device})))
        status =
            kiln_program_create(&n->p, n->dev, g, n->w,
                                &(kiln_program_params){.run = KILN_RUN(n->step, n->loss), .train = true});
    return status;
}

static void close_net(struct net *n)
{
    kiln_program_destroy(&n->p);
    kiln_device_close(&n->dev);
    kiln_weights_destroy(&n->w);
    kiln_graph_destroy(&n->g);
}

/* A batch in, a step, its loss out. */
static kiln_status turn(struct net *n)
{
    static float picture[BATCH * 64];
    float loss;
    kiln_status status =
        kiln_program_write(n->p, n->x, &(kiln_array){.data = picture, .shape = KILN_SHAPE(BATCH, 1, 8, 8)});
    if (!status)
        status = kiln_program_run(n->p);
    if (!status)
        status = kiln_program_read(n->p, n->loss, &(kiln_array){.data = &loss, .bytes = sizeof loss});
    return status;
}

static int failures_on(const char *device)
{
    struct net n = {0};
    kiln_status status = open_net(&n, device);
    for (int slot = 0; slot < 2 && !status; slot++)
        status = turn(&n);
    const long before = atomic_load(&allocations);
    for (int i = 0; i < RUNS && !status; i++)
        status = turn(&n);
    const long more = atomic_load(&allocations) - before;
    close_net(&n);
    if (status || more)
        printf("%s: %s, and %ld allocations in %d runs after the first two\n", device,
               kiln_status_text(status), more, RUNS);
    return status || more;
}

int main(void)
{
    if (!COUNTS)
        puts("nothing is counted here: no glibc, or a sanitizer's malloc");
    return failures_on("null") + failures_on("cpu") ? EXIT_FAILURE : EXIT_SUCCESS;
}
