/* SPDX-License-Identifier: BSD-3-Clause */
#include "random.h"

#include <string.h>

/* splitmix64: spreads any seed, and two seeds that are neighbours, over all bits. */
static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

void random_init(struct random *random, uint64_t seed)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		random->state[i] = splitmix(&seed);
}

uint64_t random_next(struct random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

/* The bias of the remainder is below bound / 2^64: of no consequence for a workload. */
uint64_t random_below(struct random *random, uint64_t bound)
{
	return random_next(random) % bound;
}

void random_pattern(uint8_t *data, size_t size, uint64_t seed, uint64_t first)
{
	uint64_t state = 0, word;
	size_t at;

	for (at = 0; at < size; at += sizeof(word)) {
		if (at % 512 == 0) {
			state = first + at / 512;
			state = splitmix(&state) ^ seed;
		}
		word = splitmix(&state);
		memcpy(data + at, &word, sizeof(word));
	}
}
