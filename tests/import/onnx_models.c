/*
 * onnx_models.c - pretrained models that the project did not make, on pictures, speech and text whose answers are known; and the large
 * architectures of ONNX's light cases. Each on every device of the run.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "support/external.h"
#include "support/support.h"

static void ok(kiln_status status)
{
    cr_assert(status == KILN_OK, "%s", kiln_status_text(status));
}

/* Models --------------------------------------------------------------------------------------------------- */

static const char *path_of(const char *archive, const char *file)
{
    static char path[4][1024];
    static int next;
    const char *dir = kiln_test_external(archive);
    if (!dir)
        cr_skip("%s is not at hand", archive);
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s/%s", dir, archive, file);
    return path[next];
}

/* A model on a device. */
struct model {
    kiln_device *dev;
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *p;
};

static struct model open_as(const char *device, const char *path, const kiln_onnx_params *params,
                            kiln_precision precision)
{
    struct model m = {.dev = kiln_test_open(device)};
    cr_assert_eq(kiln_onnx_load(&m.g, &m.w, path, params), KILN_OK, "%s", path);
    ok(kiln_program_create(&m.p, m.dev, m.g, m.w, &(kiln_program_params){.precision = precision}));
    return m;
}

static struct model open_model(const char *device, const char *path, const kiln_onnx_params *params)
{
    return open_as(device, path, params, KILN_PRECISION_F32);
}

static void close_model(struct model *m)
{
    kiln_program_destroy(&m->p);
    kiln_weights_destroy(&m->w);
    kiln_graph_destroy(&m->g);
    kiln_test_close(&m->dev);
}

static void write_input(struct model *m, const char *name, const kiln_array *a)
{
    const kiln_tensor t = name ? kiln_find(m->g, name) : kiln_graph_input(m->g, 0);
    ok(kiln_program_write(m->p, t, a));
}

static void write_floats(struct model *m, const char *name, kiln_shape shape, float *values)
{
    write_input(m, name, &(kiln_array){.data = values, .shape = shape});
}

static void read_floats(struct model *m, int output, float *values, size_t count)
{
    ok(kiln_program_read(m->p, kiln_graph_output(m->g, output),
                         &(kiln_array){.data = values, .bytes = count * sizeof *values}));
}

/* Run it on a picture, made into what its first input wants. */
static void show(struct model *m, const char *path, kiln_image_params p)
{
    kiln_array picture;
    p.shape = kiln_tensor_shape(m->g, kiln_graph_input(m->g, 0));
    ok(kiln_image_load(&picture, path, &p));
    write_input(m, NULL, &picture);
    ok(kiln_program_run(m->p));
    kiln_array_free(&picture);
}

/* Digits --------------------------------------------------------------------------------------------------- */

static int largest(const float *x, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

/* The CNTK classifier of ONNX's model zoo, opset 7: it takes samples of 0 .. 255 and was published with a batch of 1. */
static void read_digits(struct model *m, kiln_dataset *digits, int rows)
{
    kiln_batch batch;
    float scores[64 * 10];
    ok(kiln_dataset_next(digits, rows, &batch));
    kiln_array image = batch.column[kiln_dataset_find(digits, "image")];
    const int32_t *label = batch.column[kiln_dataset_find(digits, "label")].data;
    for (int i = 0; i < rows * 28 * 28; i++)
        ((float *)image.data)[i] *= 255;
    write_input(m, NULL, &image);
    ok(kiln_program_run(m->p));
    read_floats(m, 0, scores, KILN_COUNT(scores));
    for (int i = 0; i < rows; i++)
        cr_expect(largest(scores + 10 * i, 10) == label[i], "digit %d is a %d, read as %d", i, label[i],
                  largest(scores + 10 * i, 10));
}

static void read_60_digits(const char *device, kiln_precision precision)
{
    const char *path = path_of("models", "mnist8/mnist-8.onnx");
    kiln_dataset *digits = NULL;
    ok(kiln_mnist_open(&digits, path_of("mnist", ""), KILN_SPLIT_TEST));
    for (int batch = 1; batch <= 60; batch += 59) {
        struct model m = open_as(device, path, &(kiln_onnx_params){.free_batch = batch > 1}, precision);
        kiln_dataset_rewind(digits);
        for (int first = 0; first < 60; first += batch)
            read_digits(&m, digits, batch);
        close_model(&m);
    }
    kiln_dataset_close(&digits);
}

Test(onnx_models, the_first_60_digits_are_read_right_one_at_a_time_and_all_at_once)
{
    for (int i = 0; kiln_test_device(i); i++)
        read_60_digits(kiln_test_device(i), KILN_PRECISION_F32);
}

Test(onnx_models, the_first_60_digits_are_read_right_in_halves)
{
    for (int i = 0; kiln_test_device(i); i++)
        read_60_digits(kiln_test_device(i), KILN_PRECISION_F16);
}

/* Persons and faces ---------------------------------------------------------------------------------------- */

struct box {
    float x0, y0, x1, y1, score;
};

static float area(struct box b)
{
    return fmaxf(0, b.x1 - b.x0) * fmaxf(0, b.y1 - b.y0);
}

/* Area of what two boxes share over that of both. */
static float overlap(struct box a, struct box b)
{
    const float both =
        area((struct box){fmaxf(a.x0, b.x0), fmaxf(a.y0, b.y0), fminf(a.x1, b.x1), fminf(a.y1, b.y1), 0});
    return both / (area(a) + area(b) - both);
}

static int by_score(const void *a, const void *b)
{
    const float x = ((const struct box *)a)->score, y = ((const struct box *)b)->score;
    return (x < y) - (x > y);
}

/* The best of those that overlap by more than 0.4; returns how many are left. */
static int suppress(struct box *b, int count)
{
    int kept = 0;
    qsort(b, (size_t)count, sizeof *b, by_score);
    for (int i = 0; i < count; i++) {
        bool own = true;
        for (int k = 0; k < kept; k++)
            own &= overlap(b[i], b[k]) <= 0.4f;
        if (own)
            b[kept++] = b[i];
    }
    return kept;
}

/* Each box that is known is found, at its place and as sure to a few hundredths, and no other. */
static void expect_boxes(const char *device, struct box *found, int count, const struct box *known,
                         int wanted)
{
    count = suppress(found, count);
    cr_expect(count == wanted, "%d found on %s, wanted %d", count, device, wanted);
    for (int k = 0; k < wanted; k++) {
        float best = 0, score = 0;
        for (int i = 0; i < count; i++)
            if (overlap(found[i], known[k]) > best) {
                best = overlap(found[i], known[k]);
                score = found[i].score;
            }
        cr_expect(best > 0.9f && fabsf(score - known[k].score) < 0.05f,
                  "box %d on %s: overlaps what is known by %g, with score %g for %g", k, device, (double)best,
                  (double)score, (double)known[k].score);
    }
}

/* As their authors' program finds them in 3.jpg, which is 500 wide and 335 high. */
static const struct box persons[] = {{41, 62, 178, 294, .90f},
                                     {160, 137, 257, 265, .79f},
                                     {230, 137, 324, 278, .78f},
                                     {288, 141, 483, 297, .90f}};

enum { CELLS = 22, WIDE = 500, HIGH = 335 };

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

static struct box box_around(float x, float y, float wide, float high, float score)
{
    return (struct box){(x - wide / 2) * WIDE, (y - high / 2) * HIGH, (x + wide / 2) * WIDE,
                        (y + high / 2) * HIGH, score};
}

/* Planes of cells: whether there is something, where its middle is, how large it is, and 80 classes, of which persons are 0. */
static int decode(const float *y, struct box *found)
{
    enum { PLANE = CELLS * CELLS };
    int count = 0;
    for (int i = 0; i < PLANE; i++) {
        const float score = powf(y[i], 0.6f) * powf(y[5 * PLANE + i], 0.4f);
        if (score > 0.65f)
            found[count++] = box_around(((float)(i % CELLS) + tanhf(y[PLANE + i])) / CELLS,
                                        ((float)(i / CELLS) + tanhf(y[2 * PLANE + i])) / CELLS,
                                        sigmoid(y[3 * PLANE + i]), sigmoid(y[4 * PLANE + i]), score);
    }
    return count;
}

/* A row a cell: middle and size in pixels of 352, whether there is something, and the classes. */
static int take_decoded(const float *y, struct box *found)
{
    int count = 0;
    for (const float *row = y; row < y + CELLS * CELLS * 85; row += 85) {
        const float score = powf(row[4], 0.6f) * powf(row[5], 0.4f);
        if (score > 0.65f)
            found[count++] = box_around(row[0] / 352, row[1] / 352, row[2] / 352, row[3] / 352, score);
    }
    return count;
}

static void find_persons(const char *device, const char *file, int (*take)(const float *, struct box *))
{
    static float y[85 * CELLS * CELLS];
    struct box found[CELLS * CELLS];
    struct model m = open_model(device, path_of("models", file), NULL);
    show(&m, path_of("models", "fastestdet/3.jpg"), (kiln_image_params){.bgr = true});
    read_floats(&m, 0, y, KILN_COUNT(y));
    expect_boxes(device, found, take(y, found), persons, KILN_COUNT(persons));
    close_model(&m);
}

Test(onnx_models, four_persons_are_found_in_a_picture)
{
    for (int i = 0; kiln_test_device(i); i++) {
        find_persons(kiln_test_device(i), "fastestdet/FastestDet.onnx", decode);
        find_persons(kiln_test_device(i), "fastestdet/FastestDet_ortext_opset16.onnx", take_decoded);
    }
}

enum { ANCHORS = 4420 };

static struct model look(const char *device, const char *file, float (*scores)[2])
{
    const float mean = 127, deviation = 128;
    struct model m = open_model(device, path_of("models", file), NULL);
    show(&m, path_of("models", "ultraface/4.jpg"),
         (kiln_image_params){
             .bytes = true, .mean = {mean, mean, mean}, .deviation = {deviation, deviation, deviation}});
    read_floats(&m, 0, scores[0], 2 * ANCHORS);
    return m;
}

/* The simplified export leaves the boxes relative to its anchors; its scores are the same. */
static void find_face(const char *device)
{
    static float scores[ANCHORS][2], simple[ANCHORS][2], boxes[ANCHORS][4];
    static struct box found[ANCHORS];
    const struct box face = {194, 56, 347, 270, 1}; /* in pixels of 450 x 431 */
    int count = 0;
    struct model m = look(device, "ultraface/version-RFB-320.onnx", scores);
    read_floats(&m, 1, boxes[0], 4 * ANCHORS);
    close_model(&m);
    m = look(device, "ultraface/version-RFB-320_simplified.onnx", simple);
    close_model(&m);
    for (int i = 0; i < ANCHORS; i++) {
        if (scores[i][1] > 0.7f)
            found[count++] = (struct box){boxes[i][0] * 450, boxes[i][1] * 431, boxes[i][2] * 450,
                                          boxes[i][3] * 431, scores[i][1]};
        cr_expect(fabsf(scores[i][1] - simple[i][1]) < 1e-5f, "anchor %d on %s: %g, and %g", i, device,
                  (double)scores[i][1], (double)simple[i][1]);
    }
    expect_boxes(device, found, count, &face, 1);
}

Test(onnx_models, one_face_is_found_in_a_picture_and_two_exports_agree)
{
    for (int i = 0; kiln_test_device(i); i++)
        find_face(kiln_test_device(i));
}

/* Sound ---------------------------------------------------------------------------------------------------- */

/* Samples of a WAV file of 16 bits and one channel, from -1 to 1; zeros behind its end. */
static void read_sound(const char *path, float *to, size_t count)
{
    struct kiln_file file;
    const size_t header = 44;
    ok(kiln_file_map(&file, path));
    cr_assert(file.size > header && !memcmp(file.data, "RIFF", 4), "%s", path);
    for (size_t i = 0; i < count; i++) {
        const unsigned char *s = (const unsigned char *)file.data + header + 2 * i;
        to[i] = header + 2 * i + 1 < file.size ? (float)(int16_t)(s[0] | s[1] << 8) / 32768 : 0;
    }
    kiln_file_unmap(&file);
}

enum { TAIL = 64, CHUNK = 512, CHUNKS = 160, STATE = 2 * 128 };

/* How sure each chunk is speech; a chunk comes behind the last samples of the one before it, and the state. */
static void hear(const char *device, const char *file, const float *sound, float *sure)
{
    int64_t rate = 16000;
    float state[STATE] = {0}, x[TAIL + CHUNK] = {0};
    const kiln_onnx_fixed fixed[] = {{.input = "input", .value.shape = KILN_SHAPE(1, TAIL + CHUNK)},
                                     {.input = "state", .value.shape = KILN_SHAPE(2, 1, 128)},
                                     {.input = "sr", .value = {.data = &rate, .type = KILN_I64}}};
    struct model m = open_model(device, path_of("models", file),
                                &(kiln_onnx_params){.fixed = fixed, .fixed_count = KILN_COUNT(fixed)});
    for (int i = 0; i < CHUNKS; i++) {
        memcpy(x, x + CHUNK, TAIL * sizeof *x);
        memcpy(x + TAIL, sound + i * CHUNK, CHUNK * sizeof *x);
        write_floats(&m, "input", KILN_SHAPE(1, TAIL + CHUNK), x);
        write_floats(&m, "state", KILN_SHAPE(2, 1, 128), state);
        ok(kiln_program_run(m.p));
        read_floats(&m, 0, &sure[i], 1);
        read_floats(&m, 1, state, STATE);
    }
    close_model(&m);
}

static void hear_speech(const char *device)
{
    static const char *const files[] = {"silero_vad/silero_vad.onnx", "silero_vad/silero_vad_16k_op15.onnx",
                                        "silero_vad/silero_vad_op18_ifless.onnx"};
    static float sound[CHUNKS * CHUNK], sure[3][CHUNKS];
    read_sound(path_of("models", "silero_vad/test.wav"), sound, KILN_COUNT(sound));
    for (int f = 0; f < 3; f++) {
        hear(device, files[f], sound, sure[f]);
        for (int i = 0; i < CHUNKS; i++) {
            const bool speech = (i >= 1 && i < 63) || (i >= 84 && i < 145) || i >= 156;
            cr_expect(speech == (sure[f][i] > 0.5f), "%s on %s, chunk %d: %g", files[f], device, i,
                      (double)sure[f][i]);
            /* rounding, that goes round with the state */
            cr_expect(fabsf(sure[f][i] - sure[0][i]) < 1e-4f, "%s on %s, chunk %d: %g, the first said %g",
                      files[f], device, i, (double)sure[f][i], (double)sure[0][i]);
        }
    }
}

Test(onnx_models, speech_is_told_from_silence_and_three_exports_agree)
{
    for (int i = 0; kiln_test_device(i); i++)
        hear_speech(kiln_test_device(i));
}

/* Streaming denoiser: spectra of frames of 512 samples, each 256 further, under the root of Hann's window. */
enum { FRAME = 512, HOP = 256, BINS = FRAME / 2 + 1, FRAMES = 60, CACHES = 3 };

static double window(int i)
{
    const double pi = 3.14159265358979323846;
    return sin(pi * i / FRAME);
}

/* Sums of cosines and sines of x, or back from them. */
static void transform(const float *x, float (*spectrum)[2])
{
    const double turn = 2 * 3.14159265358979323846 / FRAME;
    for (int k = 0; k < BINS; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < FRAME; i++) {
            re += x[i] * window(i) * cos(turn * (k * i % FRAME));
            im -= x[i] * window(i) * sin(turn * (k * i % FRAME));
        }
        spectrum[k][0] = (float)re;
        spectrum[k][1] = (float)im;
    }
}

static void add_back(float (*spectrum)[2], float *to)
{
    const double turn = 2 * 3.14159265358979323846 / FRAME;
    for (int i = 0; i < FRAME; i++) {
        double sum = 0;
        for (int k = 0; k < BINS; k++)
            sum += (k % (FRAME / 2) ? 2 : 1) * (spectrum[k][0] * cos(turn * (k * i % FRAME)) -
                                                spectrum[k][1] * sin(turn * (k * i % FRAME)));
        to[i] += (float)(sum / FRAME * window(i));
    }
}

static const kiln_shape cache_shape[CACHES] = {{5, {2, 1, 16, 16, 33}},
                                               {5, {2, 3, 1, 1, 16}},
                                               {4, {2, 1, 33, 16}}};
static const char *const cache_name[CACHES] = {"conv_cache", "tra_cache", "inter_cache"};

static void denoise(const char *device, const char *file, const float *noisy, float *clean)
{
    static float cache[CACHES][2 * 16 * 16 * 33];
    float spectrum[BINS][2];
    struct model m = open_model(device, path_of("models", file), NULL);
    memset(cache, 0, sizeof cache);
    memset(clean, 0, (FRAMES + 1) * HOP * sizeof *clean);
    for (int t = 0; t < FRAMES; t++) {
        transform(noisy + t * HOP, spectrum);
        write_floats(&m, "mix", KILN_SHAPE(1, BINS, 1, 2), spectrum[0]);
        for (int c = 0; c < CACHES; c++)
            write_floats(&m, cache_name[c], cache_shape[c], cache[c]);
        ok(kiln_program_run(m.p));
        read_floats(&m, 0, spectrum[0], sizeof spectrum / sizeof(float));
        for (int c = 0; c < CACHES; c++)
            read_floats(&m, 1 + c, cache[c], KILN_COUNT(cache[c]));
        add_back(spectrum, clean + t * HOP);
    }
    close_model(&m);
}

/* The file begins in the middle of the first frame, the sound before it mirrored. */
static void expect_clean(const char *device, const char *file)
{
    static float noisy[(FRAMES + 1) * HOP], clean[(FRAMES + 1) * HOP], wanted[(FRAMES - 1) * HOP];
    read_sound(path_of("models", "gtcrn/mix.wav"), noisy + HOP, FRAMES * HOP);
    read_sound(path_of("models", "gtcrn/enh.wav"), wanted, KILN_COUNT(wanted));
    for (int i = 0; i < HOP; i++)
        noisy[i] = noisy[2 * HOP - i];
    denoise(device, file, noisy, clean);
    float worst = 0, loudest = 0;
    for (size_t i = 0; i < KILN_COUNT(wanted); i++) {
        worst = fmaxf(worst, fabsf(clean[HOP + i] - wanted[i]));
        loudest = fmaxf(loudest, fabsf(wanted[i]));
    }
    cr_assert(loudest > 0.01f);
    /* the file's samples are cut to 16 bits: up to one of 1 / 32768, and a twentieth for rounding here */
    cr_expect(worst < 1.05f / 32768, "%s on %s: off by %g of 1 / 32768", file, device, (double)worst * 32768);
}

Test(onnx_models, speech_is_freed_of_noise_and_two_exports_agree)
{
    for (int i = 0; kiln_test_device(i); i++) {
        expect_clean(kiln_test_device(i), "gtcrn/gtcrn.onnx");
        expect_clean(kiln_test_device(i), "gtcrn/gtcrn_simple.onnx");
    }
}

/* A picture three times as large, and text ----------------------------------------------------------------- */

static void enlarge(const char *device)
{
    enum { SIDE = 672, EDGE = 30 }; /* the picture's edge is transparent, and shown as white or black */
    static float y[SIDE * SIDE];
    kiln_array wanted;
    double sum = 0;
    struct model m =
        open_model(device, path_of("models", "super_resolution/pytorch_super_resolution.onnx"), NULL);
    show(&m, path_of("models", "super_resolution/test_superresolution.png"),
         (kiln_image_params){.fit = KILN_IMAGE_CROP});
    read_floats(&m, 0, y, KILN_COUNT(y));
    ok(kiln_image_load(&wanted,
                       path_of("models", "super_resolution/test_superresolution.expected.opset18.png"),
                       &(kiln_image_params){.shape = KILN_SHAPE(1, SIDE, SIDE)}));
    for (int i = EDGE; i < SIDE - EDGE; i++)
        for (int j = EDGE; j < SIDE - EDGE; j++)
            sum += fabs((double)fminf(fmaxf(y[i * SIDE + j], 0), 1) -
                        ((const float *)wanted.data)[i * SIDE + j]);
    const double apart = sum / ((SIDE - 2 * EDGE) * (SIDE - 2 * EDGE));
    /* the picture was made smaller, and its samples rounded, by another program: 0.0029 is that program against ONNX Runtime */
    cr_expect(apart < 0.005, "%g apart on %s", apart, device);
    kiln_array_free(&wanted);
    close_model(&m);
}

Test(onnx_models, a_picture_is_enlarged_as_expected)
{
    for (int i = 0; kiln_test_device(i); i++)
        enlarge(kiln_test_device(i));
}

static void find_sentences(const char *device)
{
    kiln_npz *file = NULL;
    kiln_array text, wanted;
    ok(kiln_npz_open(&file, path_of("models", "byte_sb_bidi_lstm/io.npz")));
    ok(kiln_npz_load(file, "input", &text));
    ok(kiln_npz_load(file, "Add_26", &wanted));
    const size_t count = (size_t)kiln_shape_count(&wanted.shape);
    float *y = malloc(count * sizeof *y);
    struct model m = open_model(device, path_of("models", "byte_sb_bidi_lstm/model.onnx"), NULL);
    write_input(&m, NULL, &text);
    ok(kiln_program_run(m.p));
    read_floats(&m, 0, y, count);
    for (size_t i = 0; i < count; i++) /* 116 steps of rounding on values up to 10 */
        cr_expect(fabsf(y[i] - ((const float *)wanted.data)[i]) < 2e-5f, "element %zu on %s: %g, wanted %g",
                  i, device, (double)y[i], (double)((const float *)wanted.data)[i]);
    close_model(&m);
    free(y);
    kiln_array_free(&text);
    kiln_array_free(&wanted);
    kiln_npz_close(&file);
}

Test(onnx_models, ends_of_sentences_are_found_in_bytes)
{
    for (int i = 0; kiln_test_device(i); i++)
        find_sentences(kiln_test_device(i));
}

/* Large architectures with constant weights ------------------------------------------------------------------ */

static void run_light(const char *device, const char *name)
{
    char file[128];
    kiln_array want;
    float y[1000];
    enum { COUNT = 3 * 224 * 224 };
    float *x = malloc(COUNT * sizeof *x);
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)((double)i / COUNT);
    snprintf(file, sizeof file, "light_%s_output_0.pb", name);
    ok(kiln_onnx_load_tensor(&want, path_of("onnx_light_public", file)));
    snprintf(file, sizeof file, "light_%s.onnx", name);
    struct model m = open_model(device, path_of("onnx_light_public", file), NULL);
    write_floats(&m, NULL, KILN_SHAPE(1, 3, 224, 224), x);
    ok(kiln_program_run(m.p));
    kiln_shape shape;
    ok(kiln_program_shape(m.p, kiln_graph_output(m.g, 0), &shape));
    cr_assert(kiln_shape_equal(&shape, &want.shape), "%s", name);
    read_floats(&m, 0, y, KILN_COUNT(y));
    for (int i = 0; i < 1000; i++) { /* the bound of ONNX's runner */
        const double wanted = ((const float *)want.data)[i];
        cr_assert(fabs(y[i] - wanted) <= 1e-7 + 1e-3 * fabs(wanted), "%s on %s, class %d: %g, wanted %g",
                  name, device, i, (double)y[i], wanted);
    }
    close_model(&m);
    kiln_array_free(&want);
    free(x);
}

static void run_light_everywhere(const char *name)
{
    for (int i = 0; kiln_test_device(i); i++)
        run_light(kiln_test_device(i), name);
}

Test(onnx_models, alexnet_runs)
{
    run_light_everywhere("bvlc_alexnet");
}

Test(onnx_models, inception_runs)
{
    run_light_everywhere("inception_v1");
}

Test(onnx_models, resnet_of_50_layers_runs)
{
    run_light_everywhere("resnet50");
}

Test(onnx_models, shufflenet_runs)
{
    run_light_everywhere("shufflenet");
}

Test(onnx_models, squeezenet_runs)
{
    run_light_everywhere("squeezenet");
}

Test(onnx_models, vgg_of_19_layers_runs)
{
    run_light_everywhere("vgg19");
}
