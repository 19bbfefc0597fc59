/*
 * rng.h - counter-based random numbers: what is drawn depends on seed, stream and position alone.
 *
 * Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) turns a counter of 128
 * bits and a key of 64 into 128 random bits; the same on every device. Here the key is the seed, and the
 * counter is the stream and the position in it, so streams of one seed never overlap.
 */
#ifndef KILN_BASE_RNG_H
#define KILN_BASE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** One block: out = Philox 4x32-10 of counter under key. */
void kiln_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/** A position in a stream. Plain data: a copy draws on alike, and a saved one resumes bit for bit. */
struct kiln_rng {
    uint64_t seed, stream;
    uint64_t position; /* of the next block */
    uint32_t block[4]; /* the current one, of which the first `used` are drawn */
    int used;
    bool has_spare; /* normal numbers come in pairs */
    double spare;
};

void kiln_rng_init(struct kiln_rng *r, uint64_t seed, uint64_t stream);

/** 32 random bits. */
uint32_t kiln_rng_next(struct kiln_rng *r);

/** Uniform in [0, 1), in steps of 2^-53. */
double kiln_rng_uniform(struct kiln_rng *r);

/** Normal with mean 0 and deviation 1. */
double kiln_rng_normal(struct kiln_rng *r);

/** Uniform in 0 .. n - 1, without bias; 0 where n is 0. */
uint32_t kiln_rng_below(struct kiln_rng *r, uint32_t n);

/** Put the items in random order. count is at most 2^32 - 1. */
void kiln_rng_shuffle(struct kiln_rng *r, uint32_t *items, size_t count);

/** The stream of a name. */
uint64_t kiln_rng_stream(const char *name);

#endif
