/*
 * operands.h - the bindings of one dispatch on the host: as it finds them, what should come out, and what did.
 *
 * They lie apart from the plan's memory, so that runs do not see each other's results.
 */
#ifndef KILN_TOOLS_CHECK_OPERANDS_H
#define KILN_TOOLS_CHECK_OPERANDS_H

#include "compiler/plan.h"
#include "recorder/single.h"

struct check_operands {
    const kiln_dispatch *dispatch;
    const struct kiln_touch *touch;
    int count;
    struct kiln_pool *pool; /* that the references share; NULL: none */
    bool real[KILN_MAX_BINDINGS];
    kiln_type stored[KILN_MAX_BINDINGS];  /* on the device; the references see words of 4 bytes, or doubles */
    size_t elements[KILN_MAX_BINDINGS];   /* 0: nothing bound */
    void *found[KILN_MAX_BINDINGS];       /* before the dispatch, as stored */
    kiln_memory single;                   /* after it, by the float32 reference */
    kiln_memory exact;                    /* by the float64 reference: reals as double */
    double *magnitude[KILN_MAX_BINDINGS]; /* of each element of a real result (bounds.h) */
    struct kiln_single device;            /* by the device, twice */
    bool beyond[KILN_MAX_BINDINGS];       /* what the device wrote behind it */
    bool large;                           /* beyond CHECK_LARGE: magnitudes are those of the whole result */
    bool epilogue;                        /* of the dispatch's node */
    bool doubted;                         /* magnitudes have been measured once more */
};

enum { CHECK_LARGE = 64 << 20 }; /* bytes of all bindings */

/** Copy the bindings of a step, for the references too if `compared`: binding i begins at memory(user, touch). Errors: ERROR_MEMORY. */
kiln_status check_operands_take(struct check_operands *o, const kiln_graph *g, const struct kiln_step *s,
                                unsigned char *(*memory)(void *user, const struct kiln_touch *t), void *user,
                                bool compared);
void check_operands_finish(struct check_operands *o);

/** Compute what should come out: by the references, and the magnitudes. Errors: ERROR_MEMORY. */
kiln_status check_operands_compute(struct check_operands *o);

/**
 * A result is off: measure the magnitudes by more runs, and without what an epilogue cuts off, as a sum that an activation hides rounds
 * like those around it. Not `changed`: they are as good as can be. Errors: ERROR_MEMORY.
 */
kiln_status check_operands_doubt(struct check_operands *o, bool *changed);

/** Whether binding i is a result with elements. */
bool check_is_result(const struct check_operands *o, int i);

/** Put the device's arrays back to what the dispatch found. */
void check_operands_reset(struct check_operands *o);

/** Terms of the dispatch's sums, by its arithmetic and its operands. */
double check_terms_of(const struct check_operands *o);

#endif
