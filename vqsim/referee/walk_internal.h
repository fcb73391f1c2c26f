/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What both readings of a ring have in common: guest memory as the device may
 * reach it, and the buffers of one chain as they add up. Private to the referee.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_WALK_INTERNAL_H
#define VQSIM_REFEREE_WALK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vqsim_memory;
struct vqsim_referee;
struct referee_handed;
struct referee_exposed;

#define REFEREE_HASH_SEED UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t referee_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0xff51afd7ed558ccd);
	return hash ^ (hash >> 32);
}

uint64_t referee_hash_bytes(uint64_t hash, const void *bytes, size_t size);

/* One walk along one chain. */
struct referee_walk {
	struct vqsim_referee *referee;
	bool want_readable; /* hash readable bytes too */
	bool only_hash;     /* the second walk: what may be done with the chain is known */
	bool want_writable; /* hash the first writable bytes: they are to stay */
	struct referee_handed *handed;   /* NULL, or who gets the writable buffers */
	struct referee_exposed *exposed; /* NULL, or who is told what the device may touch */

	uint32_t count; /* descriptors */
	uint32_t readable_hashed;
	uint32_t writable_hashed;
	bool writable_seen;

	uint64_t hash; /* of descriptors */
	uint64_t readable_hash;
	uint64_t writable_hash;
	uint64_t size;
	uint64_t writable; /* bytes; the most that a lenient device may have written */
	bool malformed;
	bool tables; /* there was an indirect table */
};

/* One buffer of the chain. */
void referee_walk_buffer(struct referee_walk *walk, uint64_t gpa, uint32_t size, bool write);

/* A table of an indirect descriptor, of size bytes: whether a device may refuse it. */
bool referee_table_malformed(const struct referee_walk *walk, uint64_t gpa, uint32_t size);

/* Whether the device may reach [gpa, gpa + size); regions may follow each other. */
bool referee_reachable(const struct vqsim_memory *memory, uint64_t gpa, uint64_t size);

/* Copy out of guest memory, over regions that follow each other. Returns whether all is there. */
bool referee_copy_out(const struct vqsim_memory *memory, uint64_t gpa, void *to, size_t size);

#endif
