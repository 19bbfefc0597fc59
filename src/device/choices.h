/*
 * choices.h - what a tuner found fastest on a device: which variant of a kernel, which lowering of an operator, for a class of
 * sizes. Those who compile look here first; what is not there, or does not accept any longer, is chosen as usual.
 *
 * A class stands for dispatches of nearly equal work: the same kernel and operator codes, the same storage, and a parameter block
 * of which numbers below 64 are equal, larger ones to an eighth of their power of two.
 */
#ifndef KILN_DEVICE_CHOICES_H
#define KILN_DEVICE_CHOICES_H

#include <stdint.h>

#include <kiln/device.h>
#include <kiln/extend.h>

struct kiln_text;

enum kiln_choice_kind { KILN_CHOICE_VARIANT, KILN_CHOICE_LOWERING };

/** One choice. Texts are of letters, digits and _ , 63 at the most. */
struct kiln_choice {
    enum kiln_choice_kind kind;
    const char *of; /* the kernel, or the operator */
    uint64_t class;
    const char *name; /* the variant, or the lowering */
};

/** A table of choices. Threads: any. */
struct kiln_choices;

/** NULL: no memory. */
struct kiln_choices *kiln_choices_create(void);
void kiln_choices_destroy(struct kiln_choices **choices);

/** The name that was put for a class, a loan from the table; NULL: there is none, or no table. */
const char *kiln_choices_find(const struct kiln_choices *choices, enum kiln_choice_kind kind, const char *of,
                              uint64_t class);

/** Add a choice, or replace that for its class. Errors: ERROR_ARGUMENT for a text of other letters; ERROR_MEMORY. */
kiln_status kiln_choices_put(struct kiln_choices *choices, const struct kiln_choice *choice);

int kiln_choices_count(const struct kiln_choices *choices);

/** Append the choices, a line each, in the order in which their classes came; with `fresh` those alone that were put. */
void kiln_choices_print(const struct kiln_choices *choices, bool fresh, struct kiln_text *out);

/** Add such lines; false where a line is no choice, and the table stays as it was. What is read is not fresh. */
bool kiln_choices_parse(struct kiln_choices *choices, const char *text, size_t bytes);

/** Go on hashing with a number of a class: small ones as they are, large ones to an eighth of their power of two. */
uint64_t kiln_class_add(uint64_t class, uint64_t number);

/** The class of a dispatch among those of its kernel. */
uint64_t kiln_dispatch_class(const kiln_dispatch *d);

/* In a file (choices_file.c) ----------------------------------------------------------------------------- */

/** The path of the file for a device, in the cache folder (base/folder.h); NULL: there is none. Owns: free it. */
char *kiln_choices_path(const char *folder, const kiln_device_info *info);

/**
 * Add what a file holds. One that is damaged, of another driver or another version of the library is ignored with one line; no
 * path and no file are silent.
 */
void kiln_choices_load(struct kiln_choices *choices, const char *path, const kiln_device_info *info);

/**
 * Add what was put into the table to the file: what other processes added meanwhile stays. The file is replaced in one step.
 * Errors: ERROR_FILE with the path and the reason.
 */
kiln_status kiln_choices_save(const struct kiln_choices *choices, const char *path,
                              const kiln_device_info *info);

#endif
