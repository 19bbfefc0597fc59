/* two_sessions.c - two conversations with one model in two threads: each session has its own running sum. */
#include "expect.h"

#include <pthread.h>

struct conversation {
    kiln_device *dev;
    kiln_graph *g;
    kiln_weights *w;
    kiln_tensor x, sum, keep;
    float step, last;
};

static void *talk(void *user)
{
    struct conversation *c = user;
    kiln_session *session = NULL;
    kiln_program *p = NULL;
    TRY(kiln_session_create(&session, c->g));
    TRY(kiln_program_create(&p, c->dev, c->g, c->w,
                            &(kiln_program_params){.run = KILN_RUN(c->keep, c->sum), .session = session}));
    for (int i = 0; i < 50; i++) {
        TRY(kiln_program_write(p, c->x, FLOATS(&c->step, 1)));
        TRY(kiln_program_run(p));
    }
    c->last = read_scalar(p, c->sum);
    TRY(kiln_session_reset(session));
    TRY(kiln_program_run(p));
    EXPECT_NEAR(read_scalar(p, c->sum), 2 * c->step, 1e-6);
    kiln_program_destroy(&p);
    kiln_session_destroy(&session);
    return NULL;
}

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    struct conversation a = {.dev = dev, .step = 1}, b;
    pthread_t thread;
    const float two[] = {2};
    const kiln_init init = {.kind = KILN_INIT_VALUES, .values = FLOATS((void *)(uintptr_t)two, 1)};

    TRY(kiln_graph_create(&a.g, NULL));
    a.x = kiln_input(a.g, "x", KILN_F32, KILN_SHAPE(1));
    kiln_tensor scale = kiln_parameter(a.g, "scale", KILN_SHAPE(1), &init);
    kiln_tensor state = kiln_state(a.g, "sum", KILN_F32, KILN_SHAPE(1), KILN_STORE_SESSION);
    a.sum = kiln_add(a.g, state, kiln_mul(a.g, a.x, scale));
    a.keep = kiln_assign(a.g, state, a.sum);
    TRY(kiln_weights_create(&a.w, a.g, NULL));
    b = a;
    b.step = 10;
    pthread_create(&thread, NULL, talk, &b);
    talk(&a);
    pthread_join(thread, NULL);
    EXPECT_NEAR(a.last, 100, 1e-6);
    EXPECT_NEAR(b.last, 1000, 1e-6);

    kiln_weights_destroy(&a.w);
    kiln_graph_destroy(&a.g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
