/*
 * import.h - models: ONNX; and files of tensors: safetensors, and NumPy's .npy and .npz.
 *
 * Whatever a file says is checked before it is believed: sizes are multiplied without overflow and compared with the bytes
 * that are there, so that no header makes a reader allocate more than the file can fill. What is written replaces the old
 * file in one step: it stays whole until the new one is on the disk.
 *
 * Values lie in files as this machine has them in memory: little-endian.
 */
#ifndef KILN_IMPORT_H
#define KILN_IMPORT_H

#include <kiln/base.h>
#include <kiln/graph.h>
#include <kiln/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ONNX, read --------------------------------------------------------------------------------------------- */

/** An input whose value is given while the model is read, and becomes a constant: one that says a shape, for instance. */
typedef struct kiln_onnx_fixed {
    const char *input; /* NULL: by its place, `index`, among the inputs that are no initializers */
    int index;
    /* of the input's type; data NULL: it stays an input, of which only the shape is given */
    kiln_array value;
} kiln_onnx_fixed;

/** A size that the file names, or leaves out ("INPUT.AXIS"), given while the model is read. */
typedef struct kiln_onnx_size {
    const char *name;
    int64_t value;
} kiln_onnx_size;

typedef struct kiln_onnx_params {
    /* Dropout and BatchNormalization learn in programs that train; else they do as the file says */
    bool train;
    bool free_batch; /* axis 0 of every input is KILN_BATCH, whatever size the file gives it */
    const kiln_onnx_fixed *fixed;
    int fixed_count;
    const kiln_onnx_size *sizes;
    int size_count;
    /* of a Loop that data ends, other than by counting, which is refused where this is 0 */
    int64_t most_steps;
    /* how large a size is at the most that data gives, as that of a Resize to a box. 0: as large as the model shows that it can be,
     * as where boxes are cut at a picture, and refused where it does not. All real outputs of a run that has a larger one are NaN
     * (kiln_onnx_beyond) */
    int64_t most_size;
    bool guess_size; /* where it is 0 and the model shows nothing: twice the largest size of an input */
} kiln_onnx_params;

/**
 * Read a model of opset 1 to 27: a graph, and weights that hold the file's values.
 *
 * Inputs, outputs and the values between keep their names (kiln_find). Sizes that the file names become symbols of those
 * names, "batch" KILN_BATCH; sizes that it leaves out become symbols "INPUT.AXIS". Symbols that an operator wants to be equal are taken to
 * be: a run in which they differ fails where it is planned. F32 initializers that feed the weights of
 * convolution, matrix products and normalization are parameters, running statistics are states, all others are constants, and
 * within the bodies of If, Loop and Scan (control.h) all are.
 *
 * What a ZipMap would make lists of maps of, as classifiers of scikit-learn end with it, is given as it is: [N, classes], the columns in
 * the order of its labels.
 *
 * Functions of the model's own are opened where they are called. Data in other files is read where it lies, within the model's
 * folder alone; sparse tensors become dense. Sequences are lists that the reading keeps: places in them must be known, a loop may append
 * to one that begins empty, and none is an input or an output.
 *
 * Owns:    *graph and *weights are yours; both are NULL on failure. The model's file is not needed any more. Weights in other files
 *          stay there (kiln_weights_lend) until a device has them: nobody must write to such a file before a program's first run;
 *          replacing it is fine.
 * Errors:  ERROR_FILE for a damaged model, a function that calls itself, or data that is missing, short, or outside the folder;
 *          ERROR_UNSUPPORTED naming, in one line, every node, input and initializer that cannot be had and why, or for a kiln
 *          without protobuf-c.
 */
KILN_API kiln_status kiln_onnx_load(kiln_graph **graph, kiln_weights **weights, const char *path,
                                    const kiln_onnx_params *params);

/**
 * Of a graph that was read: how large a size was in a run that there was no room for, the largest, and 0 where there was room for all;
 * an I32 scalar. KILN_NONE where data gives no size.
 */
KILN_API kiln_tensor kiln_onnx_beyond(const kiln_graph *graph);

/**
 * Read a tensor on its own (TensorProto, the .pb files of ONNX's test cases).
 * Owns: out->data is yours: give it to kiln_array_free. Errors: as above; out is {0} then.
 */
KILN_API kiln_status kiln_onnx_load_tensor(kiln_array *out, const char *path);

/* ONNX, written ------------------------------------------------------------------------------------------ */

/** A text to keep in a file. */
typedef struct kiln_note {
    const char *key, *text;
} kiln_note;

typedef struct kiln_onnx_save_params {
    const kiln_tensor *outputs; /* values and effects, ended by KILN_NONE; NULL: every kiln_output */
    int opset;                  /* 17 to 27; 0 means 17, or the first that has what the network needs */
    bool train;       /* as a step of training computes it: by the batch's statistics, and dropout drops */
    const char *name; /* of the graph; NULL: "kiln" */
    const char *producer; /* NULL: "kiln" */
    const kiln_note *metadata;
    int metadata_count;
} kiln_onnx_save_params;

/**
 * Write what the outputs need as an ONNX file, as inference computes it: dropout is gone, batch normalization uses the running
 * statistics. Outputs may be gradients (kiln_gradient), so that loss and gradients are a step of training. Of an output that is an effect
 * (kiln_minimize, kiln_assign) all that it stores is written: each parameter, state and tensor of an optimizer is an input NAME with what
 * it holds as default, and an output NAME.next behind the others. With `train` what is assigned by itself (running statistics) is, too.
 * Loops and branches keep their bodies. Names are kept, symbols become named sizes; what no node after it needs is
 * left out. At `path` lies the old file or the whole new one.
 *
 * Errors:  ERROR_UNSUPPORTED naming, in one line, every node that ONNX has nothing for, or for more than 2 GiB; ERROR_FILE.
 */
KILN_API kiln_status kiln_onnx_save(const kiln_graph *graph, kiln_weights *weights, const char *path,
                                    const kiln_onnx_save_params *params);

/* safetensors, read -------------------------------------------------------------------------------------- */

/**
 * A file of named tensors: 8 bytes that hold the length of a header, the header (JSON: type, shape and place of each
 * tensor, and notes), and the values, without a gap.
 */
typedef struct kiln_safetensors kiln_safetensors;

/**
 * See a file's tensors, without reading their values yet.
 *
 * Owns:    the file stays mapped until kiln_safetensors_close: it may be replaced meanwhile, but not shortened.
 * Threads: any number may read an open file.
 * Errors:  ERROR_FILE naming the tensor where the header is damaged, two tensors have one name, or a place does not fit its
 *          shape, its neighbours or the file; ERROR_UNSUPPORTED for a type or rank that kiln lacks, or a kiln without JSON.
 */
KILN_API kiln_status kiln_safetensors_open(kiln_safetensors **out, const char *path);
KILN_API void kiln_safetensors_close(kiln_safetensors **file);

/** How many tensors there are, and the name of each, in the order of their places in the file. Loans. */
KILN_API int kiln_safetensors_count(const kiln_safetensors *file);
KILN_API const char *kiln_safetensors_name(const kiln_safetensors *file, int index);

/** A view of a tensor's values in the file, which must not be written to; false, and {0}, if there is none. A loan. */
KILN_API bool kiln_safetensors_find(const kiln_safetensors *file, const char *name, kiln_array *view);

/** The text noted under a key (of "__metadata__"); NULL if there is none. A loan. */
KILN_API const char *kiln_safetensors_note(const kiln_safetensors *file, const char *key);

/* safetensors, written ----------------------------------------------------------------------------------- */

/** A tensor to write: its values, or who has them. */
typedef struct kiln_safetensors_entry {
    const char *name;
    kiln_type type;
    kiln_shape shape;
    const void *data; /* NULL: read is asked when its turn comes, so that one tensor is in memory at a time */
    /* fills dst->data, of type and shape */
    kiln_status (*read)(void *user, const char *name, kiln_array *dst);
    void *user;
} kiln_safetensors_entry;

/**
 * Write tensors and notes. The same entries give the same bytes. Wide types come first, otherwise the order is kept, and each
 * tensor lies at a multiple of its element's size.
 *
 * Errors:  ERROR_ARGUMENT for two entries of one name or a size that is symbolic; ERROR_FILE where it cannot be written;
 *          what read returns.
 */
KILN_API kiln_status kiln_safetensors_save(const char *path, const kiln_safetensors_entry *entries, int count,
                                           const kiln_note *notes, int note_count);

/* Weights and notes in one file: a checkpoint ------------------------------------------------------------ */

/** As kiln_weights_save, with notes: where training stood. */
KILN_API kiln_status kiln_weights_save_noted(kiln_weights *w, const char *path, const kiln_note *notes,
                                             int note_count);

/** As kiln_weights_load, from an open file, whose notes may have been looked at first. */
KILN_API kiln_status kiln_weights_load_from(kiln_weights *w, const kiln_safetensors *file,
                                            const kiln_load_params *params);

/* .npy and .npz ------------------------------------------------------------------------------------------ */

/**
 * Read a .npy file of format 1 to 3. Columns first becomes rows first, big-endian becomes little-endian; elements of two
 * bytes without a type ("V2") are BF16.
 *
 * Owns:    out->data is yours: give it to kiln_array_free.
 * Errors:  ERROR_FILE for a damaged header or more or fewer bytes than it promises; ERROR_UNSUPPORTED for a type (complex
 *          numbers, texts, objects) or a rank that kiln lacks. out is {0} then.
 */
KILN_API kiln_status kiln_npy_load(kiln_array *out, const char *path);

/** Write a .npy file of format 1. Errors: ERROR_ARGUMENT for a size that is symbolic; ERROR_FILE. */
KILN_API kiln_status kiln_npy_save(const char *path, const kiln_array *src);

/** A .npz file: a ZIP archive of .npy files. */
typedef struct kiln_npz kiln_npz;

/**
 * Open an archive and check its directory. What in it is no .npy is passed over.
 *
 * Owns:    the file stays mapped until kiln_npz_close.
 * Errors:  ERROR_FILE for a damaged directory; ERROR_UNSUPPORTED for ZIP64, which archives of less than 4 GiB do not need,
 *          encrypted members, or a kiln without zlib.
 */
KILN_API kiln_status kiln_npz_open(kiln_npz **out, const char *path);
KILN_API void kiln_npz_close(kiln_npz **file);

/** How many arrays there are, and the name of each, without ".npy". Loans. */
KILN_API int kiln_npz_count(const kiln_npz *file);
KILN_API const char *kiln_npz_name(const kiln_npz *file, int index);

/**
 * Read one array, stored or deflated, and check its sum.
 * Owns: out->data is yours, as of kiln_npy_load. Errors: ERROR_ARGUMENT for an unknown name; else as kiln_npy_load.
 */
KILN_API kiln_status kiln_npz_load(const kiln_npz *file, const char *name, kiln_array *out);

/**
 * Read weights from a .npz file's arrays, by name; nothing changes if one does not fit. PyTorch's names are those that a network
 * of the same names has: "layer1.0.conv1.weight", "bn1.running_mean".
 * Errors: as kiln_weights_load, and of the file.
 */
KILN_API kiln_status kiln_weights_load_npz(kiln_weights *w, const char *path, const kiln_load_params *params);

/** Write arrays, stored. Errors: ERROR_ARGUMENT for two of one name; ERROR_UNSUPPORTED from 4 GiB on; ERROR_FILE. */
KILN_API kiln_status kiln_npz_save(const char *path, const char *const *names, const kiln_array *arrays,
                                   int count);

#ifdef __cplusplus
}
#endif
#endif
