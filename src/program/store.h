/*
 * store.h - what weights and sessions are made of: named tensors, laid out in chunks, with a copy on each device.
 *
 * Layout. A parameter has a chunk and an element in it, the same in every arena (parameters, gradients, each optimizer's
 * state). States have chunks of their own, at 8 bytes an element so that float64 copies have the same layout. Each call
 * that adds tensors opens new chunks, so nothing ever moves and programs may bake the buffers.
 *
 * Copies. Every copy has a version; the newest holds the values. A program's run brings its device's copy up to date before
 * and, if it writes, makes it the newest after. The host's copy is one like the others and is given up for the first device's. Its
 * memory is the system's zeros until it is written, so that values which are lent to it take no room here.
 */
#ifndef KILN_PROGRAM_STORE_H
#define KILN_PROGRAM_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "compiler/convert.h"
#include "device/device.h"
#include "graph/graph.h"

#include <kiln/weights.h>

/** A tensor's values where they lie while the host's copy, the only one then, has none of them. */
struct kiln_lent {
    const void *data; /* NULL: not lent now */
    kiln_loan loan;
};

struct kiln_entry {
    const char *name;
    kiln_spec spec;
    kiln_init init; /* values are the store's */
    struct kiln_lent *lent;
    bool parameter;
    int chunk;
    uint64_t element; /* in its chunk; of a state: 8-byte elements */
};

/** The memory of one device (or the host: dev NULL), in one way of storing. */
struct kiln_copy {
    kiln_device *dev;
    enum kiln_storage storage;
    uint64_t version;
    kiln_ticket ticket;                   /* of the last submission that uses it */
    KILN_VEC(struct kiln_buffer *) arena; /* [arena + chunk * MOST_ARENAS]: see kiln_copy_arena */
    KILN_VEC(struct kiln_buffer *) state; /* by state chunk */
};

struct kiln_store_data {
    atomic_int references;
    pthread_mutex_t lock;
    uint64_t seed;
    kiln_store kind; /* which states it holds; sessions hold no parameters */
    struct kiln_arena memory;
    struct kiln_map names; /* -> entry */
    KILN_VEC(struct kiln_entry) entry;
    KILN_VEC(int) parameter;        /* entries, in order */
    KILN_VEC(uint64_t) chunk;       /* elements of each parameter chunk */
    KILN_VEC(uint64_t) state_chunk; /* 8-byte elements of each state chunk */
    KILN_VEC(const char *) arena;   /* 0 is "parameter" */
    KILN_VEC(struct kiln_copy *) copy;
    const void *owner; /* the plan for which the values were given up (give_up.c); NULL: they are here */
    /* of the newest copy: from 1, grows with each write. A copy of version 0 holds nothing */
    uint64_t version;
};

kiln_status kiln_store_create(struct kiln_store_data **out, const kiln_graph *g, uint64_t seed,
                              kiln_store kind);
/** Add what the graph declares and the store lacks. */
kiln_status kiln_store_add(struct kiln_store_data *s, const kiln_graph *g);
struct kiln_store_data *kiln_store_retain(struct kiln_store_data *s);
void kiln_store_release(struct kiln_store_data **s);

/** The entry of a name; NULL: none. */
const struct kiln_entry *kiln_store_find(const struct kiln_store_data *s, const char *name);
/** An arena's index; made if it is new and `make`; -1: none, or out of memory. */
int kiln_store_arena(struct kiln_store_data *s, const char *name, bool make);

/** The copy on a device, made if it is new. Its buffers exist for everything that the store holds now. */
kiln_status kiln_store_copy(struct kiln_store_data *s, kiln_device *dev, enum kiln_storage storage,
                            struct kiln_copy **out);
/** A buffer of a copy. */
struct kiln_buffer *kiln_copy_arena(const struct kiln_copy *c, int arena, int chunk);
/** Bring a copy up to date, and tell its version (at least 1). */
kiln_status kiln_store_refresh(struct kiln_store_data *s, struct kiln_copy *c, uint64_t *version);
/** A submission uses this copy; if it writes, the copy is the newest from now on. Returns the copy's version. */
uint64_t kiln_store_used(struct kiln_store_data *s, struct kiln_copy *c, kiln_ticket ticket, bool writes);
/** Wait for the last submission that uses this copy. */
kiln_status kiln_store_wait(struct kiln_store_data *s, const struct kiln_copy *c);

/** From now on the values are given up for this plan; false where they were before, be it for the same. */
bool kiln_store_claim(struct kiln_store_data *s, const void *plan);
/** Whether a plan, or any (NULL), may run with these weights. */
bool kiln_store_serves(struct kiln_store_data *s, const void *plan);
/** A plan ends: if the values were given up for it they serve nobody any more. */
void kiln_store_disown(struct kiln_store_data *s, const void *plan);

/** Read or write a tensor by arena (states: ignored) and entry, of any type that converts, on the newest copy. */
kiln_status kiln_store_get(struct kiln_store_data *s, int arena, const struct kiln_entry *e, void *to,
                           kiln_type type);
kiln_status kiln_store_set(struct kiln_store_data *s, int arena, const struct kiln_entry *e, const void *from,
                           kiln_type type);
/** Write a tensor of the first arena by lending its values (kiln_weights_lend). */
kiln_status kiln_store_lend(struct kiln_store_data *s, const struct kiln_entry *e,
                            const struct kiln_lent *lent, kiln_type type);
/** A chunk of an arena, as floats. */
kiln_status kiln_store_chunk(struct kiln_store_data *s, int arena, int chunk, float *to, const float *from);

/** Set every state back to its initial value. */
kiln_status kiln_store_reset(struct kiln_store_data *s);
/** Bytes on a device of everything the store holds. */
uint64_t kiln_store_bytes(const struct kiln_store_data *s, enum kiln_storage storage);

/** Draw a tensor's initial value into dense doubles (init.c). */
void kiln_init_draw(const char *name, const kiln_spec *spec, const kiln_init *init, uint64_t seed,
                    double *to);

#endif
