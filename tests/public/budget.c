/* budget.c - a memory budget is refused before anything runs, with the need stated. */
#include "expect.h"

static char said[512];

static void listen(void *user, kiln_log_level level, const char *text)
{
    (void)user, (void)level;
    snprintf(said, sizeof said, "%s", text);
}

static void run(const char *device)
{
    kiln_device *dev = expect_device(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_program_memory memory;
    const kiln_size sizes[] = {{KILN_BATCH, 256}};

    TRY(kiln_graph_create(&g, NULL));
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 300));
    kiln_tensor y = kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 500, .name = "dense"});
    TRY(kiln_weights_create(&w, g, NULL));
    kiln_program_params params = {.run = KILN_RUN(y), .sizes = sizes, .size_count = 1, .budget = 1 << 20};
    kiln_log_to(listen, NULL, KILN_LOG_ERROR);
    EXPECT(kiln_program_create(&p, dev, g, w, &params) == KILN_ERROR_MEMORY);
    EXPECT(p == NULL && strstr(said, "budget is 1048576") != NULL);
    params.budget = 16 << 20;
    TRY(kiln_program_create(&p, dev, g, w, &params));
    TRY(kiln_program_memory_used(p, &memory));
    EXPECT(memory.weights >= 4 * (300 * 500 + 500) && memory.scratch >= 4 * 256 * 500);
    EXPECT(memory.scratch <= 1.15 * (double)memory.lower_bound);

    expect_quiet(0);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

int main(void)
{
    return expect_on_devices(run);
}
