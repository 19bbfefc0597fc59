/*
 * onnx.c - any bytes as an ONNX model: a graph, or refused. The model lies in a folder with a file of data, w.bin, so that tensors
 * whose elements lie elsewhere are read as well.
 */
#include <sys/stat.h>

#include "import/onnx.h"

#include "fuzz/fuzz.h"

static char folder[64], model[96], data_file[96];

static void remove_folder(void)
{
    remove(data_file);
    remove(folder);
}

static void make_folder(void)
{
    static const unsigned char zeros[256];
    strcpy(folder, "/tmp/kiln-fuzz-XXXXXX");
    if (!mkdtemp(folder))
        abort();
    snprintf(model, sizeof model, "%s/model.onnx", folder);
    snprintf(data_file, sizeof data_file, "%s/w.bin", folder);
    FILE *file = fopen(data_file, "wb");
    if (!file || fwrite(zeros, 1, sizeof zeros, file) != sizeof zeros || fclose(file))
        abort();
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kiln_graph *g;
    kiln_weights *w;

    be_silent();
    if (!folder[0])
        make_folder();
    if (kiln_onnx_read(&g, &w, model, data, size, NULL))
        return 0;
    if (!g || !w || kiln_graph_status(g))
        abort();
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return 0;
}
