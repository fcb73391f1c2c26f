/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded random numbers (xoshiro256**) and the seeded content of a disk: the
 * same on every machine. Not for secrets.
 *
 * Threads: one for each struct random.
 */
#ifndef VQSIM_CLI_RANDOM_H
#define VQSIM_CLI_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct random {
	uint64_t state[4];
};

/* Any seed will do, also 0. */
void random_init(struct random *random, uint64_t seed);

uint64_t random_next(struct random *random);

/* A number below bound (> 0). */
uint64_t random_below(struct random *random, uint64_t bound);

/*
 * Fill size bytes (a multiple of 512) with what the sectors from first on have
 * under this seed; every sector differs from all others.
 */
void random_pattern(uint8_t *data, size_t size, uint64_t seed, uint64_t first);

#ifdef __cplusplus
}
#endif

#endif
