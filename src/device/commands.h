/*
 * commands.h - a flat list of commands: what a device executes, as plain data.
 *
 * The recorder writes it, the hazard verifier checks it, a backend bakes it. Commands between two barriers
 * may run in any order or at once; a barrier makes every write before it visible to everything after it.
 *
 * What stands between a repeat and its end runs several times; they nest, and both are barriers. A repeat with a
 * flag, a word in memory, is over as soon as that is 0 before a turn. A backend on the host looks. Others run all
 * turns, of which those beyond do nothing: there each dispatch inside takes its groups from memory, where another
 * one put zeros.
 */
#ifndef KILN_DEVICE_COMMANDS_H
#define KILN_DEVICE_COMMANDS_H

#include <kiln/extend.h>

struct kiln_buffer;

/** Bytes of a buffer; the buffer is an index into the list's table. */
struct kiln_span {
    int buffer; /* -1: unbound */
    uint64_t offset, bytes;
};

enum kiln_command_kind {
    KILN_COMMAND_DISPATCH,
    KILN_COMMAND_COPY,
    KILN_COMMAND_FILL,
    KILN_COMMAND_BARRIER,
    KILN_COMMAND_REPEAT,
    KILN_COMMAND_END,
};
enum { KILN_COMMAND_KINDS = KILN_COMMAND_END + 1 };

struct kiln_command {
    enum kiln_command_kind kind;
    const char *label; /* the operator's name, for prints and profiles; a loan from the list */
    const char *node;  /* the node's, or NULL; as above */
    union {
        struct kiln_dispatch_command {
            /* kernel, variant, block, constants; its bind[] is not used here */
            const kiln_dispatch *dispatch;
            struct kiln_span bind[KILN_MAX_BINDINGS];
            struct kiln_span scratch;  /* extra binding of variants that ask for it */
            uint32_t groups[3];        /* on a GPU: x, y, z, none above the device's limit */
            struct kiln_span indirect; /* three words that say instead, none above these; bytes 0: none */
            uint64_t first, count;     /* first group and number of groups (CPU: units of work) */
            double flops;              /* estimate */
        } dispatch;
        struct {
            struct kiln_span from, to;
        } copy; /* equal sizes, multiples of 2 bytes */
        struct {
            struct kiln_span to; /* multiples of 4 bytes */
            uint32_t value;
        } fill;
        struct {
            uint64_t count;        /* turns at the most */
            struct kiln_span flag; /* a word; bytes 0: none */
        } repeat;
    } as;
};

struct kiln_commands {
    struct kiln_command *command;
    int count;
    struct kiln_buffer **buffer;    /* loans: must outlive what is baked from the list */
    const char *const *buffer_name; /* for prints: "weights", "scratch", "input.image" */
    int buffer_count;
    const char *name; /* of the segment: "body", "in", "out" */
};

/** Bytes that a dispatch moves, by estimate. */
double kiln_traffic(const struct kiln_dispatch_command *c);

/**
 * Whether the list is well formed and within the device's limits: what kiln_bake checks for every backend.
 *
 * Errors: ERROR_ARGUMENT for spans outside their buffer, sizes that do not fit, or work without code;
 *         ERROR_UNSUPPORTED for what exceeds a limit. The line names the segment, the command and both
 *         numbers.
 */
kiln_status kiln_commands_check(const struct kiln_commands *list, const kiln_caps *caps);

#endif
