/*
 * program.h - a run list of a graph, compiled for a device with weights. A training step is a program too.
 *
 * The first run with a set of input sizes plans, records and bakes; later runs with the same sizes replay.
 */
#ifndef KILN_PROGRAM_H
#define KILN_PROGRAM_H

#include <kiln/device.h>
#include <kiln/graph.h>
#include <kiln/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_program kiln_program;

typedef enum kiln_precision {
    KILN_PRECISION_F32,
    KILN_PRECISION_F64, /* on the CPU only: every real in double, by the reference kernels */
    /**
     * Where kiln_device_info.half: what matmuls, convolutions and attention read and give lies in memory as halves,
     * and so does what activations, normalization, softmax, pooling, resizing, dropout and moving make of it, and what flows back
     * through all these where the program trains: activations and their gradients take half the memory. Kernels compute and sum in
     * float32, each such value is rounded to a half where it is stored (11 bits, up to 65504), and those of a fused chain are not.
     * Float32 stay: inputs, results, states, parameters and the optimizer's state (half copies of parameters are made once, and
     * again when the weights change, so in each step of training), gradients of parameters, losses, what is computed of parameters
     * alone, sums, powers, exponentials, quotients, recurrent layers, what a loop repeats. On other
     * devices, as the CPU, it is KILN_PRECISION_F32. To train, scale the loss: kiln_minimize_params.dynamic_scale (train.h)
     */
    KILN_PRECISION_F16,
} kiln_precision;

/** Whether plans use what a tuner found fastest on the device (tune.h), in this process or before it. */
typedef enum kiln_tuned {
    KILN_TUNED_USUAL, /* programs that predict do; those that train do not: who tunes must not change the bits of a training */
    KILN_TUNED_ALWAYS,
    KILN_TUNED_NEVER,
} kiln_tuned;

/** The number that a symbol of the graph has. */
typedef struct kiln_size {
    int64_t symbol; /* KILN_BATCH or a kiln_dim */
    int64_t value;
} kiln_size;

/**
 * An application's own device buffer in the place of an input or output (Vulkan: a VkBuffer bound to memory). Elements lie in
 * it as the device keeps them: reals as floats, but F16 as halves where kiln_device_info.half; integers and BOOL as words of
 * 32 bits.
 */
typedef struct kiln_program_buffer {
    kiln_tensor tensor;
    void *buffer;           /* VkBuffer, with storage and transfer usage */
    uint64_t offset, bytes; /* offset a multiple of 256 */
} kiln_program_buffer;

/** Values to compute and effects to perform: KILN_RUN(step, loss). */
#ifndef __cplusplus
#define KILN_RUN(...) ((const kiln_tensor[]){__VA_ARGS__, {0, 0}})
#endif

typedef struct kiln_program_params {
    const kiln_tensor *run; /* ended by KILN_NONE; NULL: every kiln_output and no effect */
    bool train;             /* dropout drops, batch normalization uses the batch and updates its statistics */
    /* where it trains: keep only some of the values that the backward pass reads, and compute the rest again in front of it, a
     * stretch of the network at a time. The memory of what lies between falls towards the square root's, for up to one more
     * forward pass of time; a network of a few layers has nothing to gain. Results keep their bits, those of KILN_PRECISION_F16
     * agree within its rounding, as other values are stored (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost,
     * arXiv:1604.06174) */
    bool recompute;
    kiln_precision precision;
    kiln_session *session; /* where KILN_STORE_SESSION states live; needed if the list reads one */
    uint64_t budget;       /* bytes of device memory that weights and plan may take together; 0: no limit */
    /* plan for these sizes at once, so that a budget is refused before any data comes */
    const kiln_size *sizes;
    int size_count;
    const kiln_program_buffer *buffers; /* own buffers of inputs and outputs; their sizes must be known */
    int buffer_count;
    bool profile; /* time each command (kiln_program_profile) */
    /* with the first run, give up what its plan does not read of the weights once it has packed them: memory of the host goes
     * back to the system. From then on the weights can neither be read, written nor saved, and only this program runs with
     * them, with the sizes of that run; no other may be under way with them meanwhile. No kernel is chosen that wants the weights
     * in a form larger than they are */
    bool give_up;
    kiln_tuned tuned; /* results with other choices agree within the kernels' rounding, not bit for bit */
} kiln_program_params;

/**
 * Compile. What the list does not need is not compiled, and its inputs need not be written.
 *
 * Memory:  a program that predicts keeps weights in a second form, packed or transformed, where kernels are faster by it. All
 *          second forms together take at most as many bytes as the parameters of the list, or 16 MiB where these are fewer, on
 *          Vulkan devices 112 MiB; but for what packing rounds up, to 32 columns of a matrix. Where forms that are larger than what
 *          they are made of wanted more, those whose weights are used least often in a run give way to smaller ones. The same list,
 *          sizes and kind of processor give the same forms.
 * Owns:    the program keeps device, weights and session alive, and a copy of what it needs of the graph.
 * Errors:  the graph's failure; ERROR_ARGUMENT for a parameter or state that weights or session lack, by name, or a program that
 *          trains and gives up its weights; ERROR_SHAPE where a parameter has another shape there; ERROR_MEMORY where the budget is
 *          too small, with the need stated; ERROR_UNSUPPORTED for float64 off the CPU.
 */
KILN_API kiln_status kiln_program_create(kiln_program **out, kiln_device *dev, const kiln_graph *g,
                                         kiln_weights *w, const kiln_program_params *params);
KILN_API void kiln_program_destroy(kiln_program **p);

/**
 * Give an input its values for the next and all later runs. The data is copied before the call returns, into one of two
 * slots, so that the next batch can be written while a run is under way.
 * Shape:   the input's, where a symbol takes any size of 0 or more. Types must be equal (F64 goes into F32, I32 into I64
 *          and back where the values fit).
 * Errors:  ERROR_ARGUMENT for what is no input of the list, too few bytes, or an integer that the type or 32 bits cannot hold;
 *          ERROR_SHAPE for another shape or type; ERROR_MEMORY. The input keeps its values then.
 */
KILN_API kiln_status kiln_program_write(kiln_program *p, kiln_tensor input, const kiln_array *src);

/**
 * Run the list. Returns as soon as the device has the work; kiln_program_read and kiln_program_wait wait for it.
 * Errors: ERROR_ARGUMENT naming an input that was never written; ERROR_SHAPE where two inputs give a symbol two sizes,
 *         naming both; ERROR_MEMORY; ERROR_DEVICE.
 */
KILN_API kiln_status kiln_program_run(kiln_program *p);

/** Wait for the last run. Errors: ERROR_DEVICE where it was lost. */
KILN_API kiln_status kiln_program_wait(kiln_program *p);

/**
 * Copy a value of the list out as the last run computed it. dst->data and dst->bytes say where it may go, dst->type and
 * dst->shape are set (of F64 in double: set dst->type = KILN_F64 to receive doubles; other types come as they are).
 * Errors: ERROR_ARGUMENT if t is not in the list or nothing ran; ERROR_SHAPE if dst is too small.
 */
KILN_API kiln_status kiln_program_read(kiln_program *p, kiln_tensor t, kiln_array *dst);

/**
 * Shape of a value of the list in the last run. Where a size depends on data (kiln_dim_bounded) it is that of the elements that
 * are there, and this waits for the run; kiln_program_read gives those and no others. Errors: as of kiln_program_read.
 */
KILN_API kiln_status kiln_program_shape(const kiln_program *p, kiln_tensor t, kiln_shape *shape);

/** The values of the run list that are not effects, and their names; for tools such as kiln_fit. */
KILN_API int kiln_program_result_count(const kiln_program *p);
KILN_API kiln_tensor kiln_program_result(const kiln_program *p, int index);
/** The inputs that the list needs. */
KILN_API int kiln_program_input_count(const kiln_program *p);
KILN_API kiln_tensor kiln_program_input(const kiln_program *p, int index);
/** Name and declared spec of an input or result. Loans. */
KILN_API const char *kiln_program_tensor_name(const kiln_program *p, kiln_tensor t);
KILN_API kiln_type kiln_program_tensor_type(const kiln_program *p, kiln_tensor t);
KILN_API kiln_shape kiln_program_tensor_shape(const kiln_program *p, kiln_tensor t);
/** The weights and the device that the program works on. Loans. */
KILN_API kiln_weights *kiln_program_weights(const kiln_program *p);
KILN_API kiln_device *kiln_program_device(const kiln_program *p);

/** Device memory of the newest plan, in bytes. */
typedef struct kiln_program_memory {
    uint64_t weights;     /* parameters, states, optimizer state, gradients */
    uint64_t scratch;     /* values that live within a run */
    uint64_t lower_bound; /* the largest sum of values that live at one time: scratch can not be less */
    uint64_t staging;     /* inputs and outputs, both slots */
    uint64_t constants;
    uint64_t threads; /* scratch of the CPU's threads, which all programs of a device share */
} kiln_program_memory;

/** Errors: ERROR_ARGUMENT before anything was planned. */
KILN_API kiln_status kiln_program_memory_used(const kiln_program *p, kiln_program_memory *out);

/** Print the newest plan's commands, a line each: the prologue's, if it has one, and the body's. The same program prints the
 *  same text. */
KILN_API kiln_status kiln_program_print(const kiln_program *p, void (*write)(void *user, const char *text),
                                        void *user);

/**
 * One command of the newest plan and when it ran last: how many seconds after the first one began, and for how long; 0 before the
 * first run, and on a device that cannot tell. In a loop the last turn counts.
 */
typedef struct kiln_command_time {
    const char *op;   /* the operator's name; a loan, as the others */
    const char *node; /* the name of the node that it is for, with its scopes; "" where it has none */
    const char *kernel;
    const char *variant;
    double begin, seconds;
    double flops;   /* estimate */
    uint64_t bytes; /* bound memory */
} kiln_command_time;

/** Fill up to `room` entries and return how many commands there are; -1 where the program was created without profile,
 * or nothing was planned yet. */
KILN_API int kiln_program_profile(const kiln_program *p, kiln_command_time *out, int room);

/* Gradient checking -------------------------------------------------------------------------------------------- */

typedef struct kiln_check_params {
    /* values of the graph's inputs, in order of declaration; sizes fix the symbols */
    const kiln_array *inputs;
    int input_count;
    bool train;       /* check the training mode */
    double step;      /* of the central difference, relative to max(1, |p|); 0 means 1e-5 */
    double tolerance; /* relative error per tensor; 0 means 1e-6 */
    int samples;      /* elements checked of each tensor; 0 means up to 16 */
    uint64_t seed;    /* of the choice of elements */
    char *worst;      /* receives the name of the worst tensor; may be NULL */
    size_t worst_bytes;
    double *error; /* receives its relative error; may be NULL */
} kiln_check_params;

/**
 * Compare the gradient of a scalar loss by every parameter it depends on with central differences, in float64 on the CPU.
 * Errors: ERROR_ARGUMENT with a line naming the tensor, the element and both values where they differ.
 */
KILN_API kiln_status kiln_check_gradient(const kiln_graph *g, kiln_weights *w, kiln_tensor loss,
                                         const kiln_check_params *params);

#ifdef __cplusplus
}
#endif
#endif
