/*
 * run_onnx.c - somebody's ONNX classifier says what is in a picture, on whatever GPU there is.
 *
 * usage: run_onnx MODEL.onnx PICTURE.png      samples from 0 to 1; a model that wants others says so in its description
 */
#include <kiln/kiln.h>

#include <stdio.h>
#include <string.h>

#define TRY(call)              \
    do {                       \
        if ((call) != KILN_OK) \
            goto out;          \
    } while (0)

int main(int argc, char **argv)
{
    kiln_device *dev = NULL;
    kiln_graph *net = NULL;
    kiln_weights *weights = NULL;
    kiln_program *program = NULL;
    kiln_array picture = {0};
    int32_t class;
    float score;
    int code = 1;

    if (argc != 3) {
        const bool asked = argc > 1 && !strcmp(argv[1], "--help");
        fprintf(asked ? stdout : stderr, "usage: run_onnx MODEL.onnx PICTURE.png\n");
        return asked ? 0 : 2;
    }
    TRY(kiln_device_open(&dev, NULL));
    TRY(kiln_onnx_load(&net, &weights, argv[1], NULL));
    kiln_tensor image = kiln_graph_input(net, 0), output = kiln_graph_output(net, 0);
    TRY(kiln_image_load(&picture, argv[2], &(kiln_image_params){.shape = kiln_tensor_shape(net, image)}));

    /* The model is a graph like any other: what the device should find out besides is added to it. */
    kiln_tensor best = kiln_argmax(net, kiln_flatten(net, output, 0), 1, false);
    kiln_tensor most = kiln_reduce_max(net, output, NULL);
    TRY(kiln_program_create(&program, dev, net, weights,
                            &(kiln_program_params){.run = KILN_RUN(best, most)}));

    TRY(kiln_program_write(program, image, &picture));
    TRY(kiln_program_run(program));
    TRY(kiln_program_read(program, best, &(kiln_array){.data = &class, .bytes = sizeof class}));
    TRY(kiln_program_read(program, most, &(kiln_array){.data = &score, .bytes = sizeof score}));
    printf("%s: class %d, score %.4f\n", argv[2], (int)class, (double)score);
    code = 0;

out:
    kiln_array_free(&picture);
    kiln_program_destroy(&program);
    kiln_weights_destroy(&weights);
    kiln_graph_destroy(&net);
    kiln_device_close(&dev);
    return code;
}
