/*
 * bounds.h - how far a kernel's result may lie from its float64 reference.
 *
 * |got - want| <= roundings u m,   u = 2^-24, half an ulp of 1
 *
 * m is the magnitude of that element: |want|, and how much it answers to roundings of the operands. It is measured: the
 * reference runs again with every real operand off by a random rounding, and the largest answer of the elements around
 * is taken. So sums that cancel are held to the size of their terms, and others to their own.
 *
 * A sum of n terms rounds at each, in either direction: n roundings add up to about sqrt(n) of them (Higham and Mary
 * 2019). A row says how many roundings a kernel has apart from that, and how many per sqrt(n). Where each of t steps goes on from
 * what the last one rounded, sqrt(t) times as many.
 */
#ifndef KILN_TOOLS_CHECK_BOUNDS_H
#define KILN_TOOLS_CHECK_BOUNDS_H

#include <kiln/extend.h>

#define CHECK_ROUNDING 5.9604644775390625e-8 /* u */

struct check_operands;

struct check_bound {
    const char *kernel;  /* * and ? match */
    double fixed, terms; /* roundings, and per sqrt(n) of the sums; both 0: the same bits */
    double least;        /* magnitude of every element at the least: what cancels inside the kernel */
    const char *why;
    bool (*applies)(const kiln_dispatch *d);           /* NULL: to every dispatch */
    double (*cancels)(const struct check_operands *o); /* as least, by the values; NULL: nothing more */
    double (*steps)(const kiln_dispatch *d);           /* that go on from one another; NULL: one */
    size_t (*reach)(const kiln_dispatch *d); /* elements to each side that share roundings; NULL: a few */
};

/** The first row for the dispatch, or the one for all others. */
const struct check_bound *check_bound_of(const kiln_dispatch *d);

/** Roundings of a dispatch whose sums have n terms. The float32 reference accumulates in double: as if they were four. */
double check_roundings(const kiln_dispatch *d, double n, bool reference);

#endif
