/*
 * onnx.c - any bytes as an ONNX model: a graph, or refused; what was read is looked at, and written again. The model lies in a folder with
 * a file of data, w.bin, so that tensors whose elements lie elsewhere are read as well. How it is read depends on its length.
 */
#include "import/onnx.h"
#include "import/onnx_survey.h"

#include "fuzz/fuzz.h"

static char folder[64], model[96], data_file[96], written[96];

static const kiln_onnx_fixed shaped = {.value = {.shape = {.rank = 2, .size = {2, 3}}}};
static const kiln_onnx_size sizes[] = {{"N", 2}, {"batch", 3}, {"t", 4}, {"x.0", 1}, {"x.1", 5}};

/* The ways to read a model: as it is, to train it, at given sizes, with a given shape. */
static const kiln_onnx_params ways[] = {
    {.most_steps = 0},
    {.train = true, .free_batch = true, .most_steps = 8, .most_size = 8},
    {.sizes = sizes, .size_count = (int)(sizeof sizes / sizeof *sizes), .most_steps = 8},
    {.fixed = &shaped, .fixed_count = 1},
};

static void remove_folder(void)
{
    remove(data_file);
    remove(model);
    remove(written);
    remove(folder);
}

static void make_folder(void)
{
    static const unsigned char zeros[256];
    make_folder_at(folder);
    snprintf(model, sizeof model, "%s/model.onnx", folder);
    snprintf(data_file, sizeof data_file, "%s/w.bin", folder);
    snprintf(written, sizeof written, "%s/written.onnx", folder);
    put_file(data_file, zeros, sizeof zeros);
    atexit(remove_folder);
}

static void look(void)
{
    struct kiln_onnx_survey survey = {{0}};
    kiln_onnx_look(&survey, model, NULL, 0);
    kiln_onnx_survey_finish(&survey);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t way = size % (sizeof ways / sizeof *ways);
    kiln_graph *g;
    kiln_weights *w;

    be_silent();
    if (!folder[0])
        make_folder();
    if (way == 3) {
        put_file(model, data, size);
        look();
    }
    if (kiln_onnx_read(&g, &w, model, data, size, &ways[way]))
        return 0;
    if (!g || !w || kiln_graph_status(g))
        abort();
    if (way < 3)
        kiln_onnx_save(g, w, written, NULL);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return 0;
}
