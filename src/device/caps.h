/* caps.h - what a device can do: limits and features, as probed and then clamped by KILN_LIMITS. */
#ifndef KILN_DEVICE_CAPS_H
#define KILN_DEVICE_CAPS_H

#include <kiln/device.h>

/** Operations of a subgroup, by Vulkan's bits. */
enum {
    KILN_SUBGROUP_VOTE = 2,
    KILN_SUBGROUP_ARITHMETIC = 4,
    KILN_SUBGROUP_BALLOT = 8,
    KILN_SUBGROUP_SHUFFLE = 16,
    KILN_SUBGROUP_SHUFFLE_RELATIVE = 32,
    KILN_SUBGROUP_CLUSTERED = 64,
};

struct kiln_caps {
    kiln_backend backend;
    bool software; /* a driver that runs on the CPU: no shared-memory tiles, texel reads pay */
    bool unrolls;  /* compiles long unrolled shaders, for which drivers on the CPU need minutes and gigabytes:
                     `kiln check` does not force these there, though it does other variants of GPUs */
    bool idle;     /* records, and at the most compiles, but runs nothing */
    bool folds_constants; /* operator codes given as specialization constants cost nothing: fuse chains */
    bool f64;             /* has the double build of the references: the CPU */
    uint32_t vendor;      /* PCI id; 0 on the CPU */

    uint64_t max_binding;     /* bytes one binding may cover */
    uint64_t max_allocation;  /* bytes of one device allocation */
    uint64_t memory;          /* bytes in all; 0 unknown */
    uint64_t budget;          /* bytes that live buffers may take together; 0: as many as the backend gives */
    uint64_t max_texels;      /* elements of a texel buffer; 0: none */
    uint32_t alignment;       /* of binding offsets and of placed values, at least 256 */
    uint32_t max_groups;      /* workgroups an axis */
    uint32_t max_invocations; /* of a workgroup */
    uint32_t max_shared;      /* bytes of shared memory of a workgroup */
    uint32_t max_bindings;    /* storage buffers a stage */
    uint64_t max_rounds; /* of all loops of an invocation together: llvmpipe leaves them there for good */
    uint32_t subgroup;   /* lanes; 0: unknown or untrusted */
    /* what lanes of a subgroup do together in a compute shader: KILN_SUBGROUP_VOTE | ... */
    uint32_t subgroup_ops;
    uint32_t threads; /* of the CPU device */
    double slice;     /* seconds one submission may take by estimate */

    bool storage16; /* buffers of 2-byte elements, so that halves are stored as such; the CPU stores floats */
    bool storage8;  /* buffers of 1-byte elements */
    bool half;      /* 16-bit arithmetic */
    bool int64;     /* integers of 64 bits */
    bool dot;       /* dot products of four packed bytes in one instruction */
    /* shaders may ask that NaN, infinity and -0 be kept: a compiler may else assume there are none */
    bool nan;
    bool timestamps;
    bool coop; /* matrix units: products of halves that a subgroup holds together, summed in floats */
    /* a driver on the CPU: shaders that play such units run there, so that what is built on them is checked */
    bool coop_emulated;
    uint32_t coop_size[3]; /* rows, columns and terms of one such product */
};

/**
 * Clamp caps by the text of KILN_LIMITS: parts separated by commas, each lowering what it names and raising
 * nothing.
 *
 *   floor        the portability floor, optional features hidden
 *   tiny         the floor, and below any device: 1 MiB ranges, 64 groups an axis, 0.1 ms a submission, no
 *                texels: what tests use so that windows, folding and slicing run
 *   gpu          a driver on the CPU is taken for a GPU: what tests use so that the kernels and splits that GPUs get run there
 *   name=value   max_binding, max_allocation, max_texels, max_groups, max_invocations, max_shared,
 *                max_bindings, max_rounds, memory (the budget, too), slice_us; sizes may end in K, M or G
 *
 * Errors: ERROR_ARGUMENT naming the part that is not understood; caps are then half clamped.
 */
kiln_status kiln_caps_limit(struct kiln_caps *caps, const char *limits);

/**
 * Hide the optional features that the text of KILN_MASK, or a device's mask file, names, separated by commas or white
 * space: storage16, storage8, half, int64, dot, nan, subgroup, timestamps, coop. Hiding what is not there changes nothing.
 *
 * Errors: ERROR_ARGUMENT naming the part that is no feature, after `source`; caps are then half masked.
 */
kiln_status kiln_caps_mask(struct kiln_caps *caps, const char *source, const char *names);

#endif
