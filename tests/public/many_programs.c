/* many_programs.c - many programs on one device from many threads, reading one set of weights, with uploads of the next batch
 * written while a run is under way. */
#include "expect.h"

#include <pthread.h>

enum { THREADS = 4, RUNS = 20 };

struct job {
    kiln_device *dev;
    kiln_graph *g;
    kiln_weights *w;
    kiln_tensor x, y;
    int index;
};

static void *work(void *user)
{
    const struct job *j = user;
    kiln_program *p = NULL;
    float x[RUNS][16], y[16];
    TRY(kiln_program_create(&p, j->dev, j->g, j->w, &(kiln_program_params){.run = KILN_RUN(j->y)}));
    for (int i = 0; i < RUNS; i++)
        fill(x[i], 16, (uint32_t)(100 * j->index + i));
    TRY(kiln_program_write(p, j->x, FLOATS(x[0], 4, 4)));
    for (int i = 0; i < RUNS; i++) {
        TRY(kiln_program_run(p));
        if (i + 1 < RUNS)
            TRY(kiln_program_write(p, j->x, FLOATS(x[i + 1], 4, 4))); /* while run i computes */
        TRY(kiln_program_read(p, j->y, INTO(y)));
        for (int k = 0; k < 16; k++)
            EXPECT_NEAR(y[k], 3 * x[i][k] + 1, 1e-6);
    }
    kiln_program_destroy(&p);
    return NULL;
}

static void run(const char *device)
{
    struct job job = {.dev = expect_device(device)}, jobs[THREADS];
    pthread_t thread[THREADS];
    const float eye[16] = {3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3};
    const kiln_init init = {.kind = KILN_INIT_VALUES, .values = FLOATS((void *)(uintptr_t)eye, 4, 4)};

    TRY(kiln_graph_create(&job.g, NULL));
    job.x = kiln_input(job.g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4));
    job.y = kiln_matmul(job.g, job.x, kiln_parameter(job.g, "w", KILN_SHAPE(4, 4), &init), NULL);
    job.y = kiln_shift(job.g, job.y, 1);
    TRY(kiln_weights_create(&job.w, job.g, NULL));
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = job;
        jobs[i].index = i;
        pthread_create(&thread[i], NULL, work, &jobs[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);

    kiln_weights_destroy(&job.w);
    kiln_graph_destroy(&job.g);
    kiln_device_close(&job.dev);
}

int main(void)
{
    return expect_on_devices(run);
}
