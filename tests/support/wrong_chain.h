/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that is wrong in how it takes a chain or what it writes around it: it stands
 * around a good one, sees each chain that waits in a ring of either format before the good one
 * does, and again when it has been used and the driver has not seen it. For devices that answer
 * at once; with IN_ORDER, where a used entry may be left out, everything passes through.
 *
 *     static void refuse_pieces(struct wrong_chain *chain)
 *     {
 *         if (chain->elements[0].size < 16)
 *             wrong_chain_refuse(chain);
 *     }
 *
 *     {.test = "...", CHAIN_AFTER(refuse_pieces), .clause = "SPLIT-D-01", ...},
 *
 * Threads: one.
 */
#ifndef TESTS_SUPPORT_WRONG_CHAIN_H
#define TESTS_SUPPORT_WRONG_CHAIN_H

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY /* its legacy helpers are not C++ */
#endif
#include <linux/virtio_ring.h>

#include "wrong_wrap.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WRONG_CHAIN_ELEMENTS 260u

/* A descriptor, of whatever format, in the byte order of the host. */
struct wrong_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t link; /* split: next; packed: id */
};

struct wrong_element {
	uint8_t *desc;  /* 16 bytes in the ring or in the table */
	uint8_t *bytes; /* NULL: it is empty, or in no one region */
	uint32_t size;
	bool write;
};

struct wrong_chain {
	struct wrong_wrap *wrap;
	uint16_t queue;
	bool packed;
	unsigned count;
	struct wrong_element elements[WRONG_CHAIN_ELEMENTS];
	unsigned readable; /* elements */
	unsigned ring_count;
	uint8_t *ring[WRONG_CHAIN_ELEMENTS]; /* its descriptors there */
	uint8_t *table;                      /* NULL: none */
	uint32_t entries;
	uint8_t *status; /* the last writable byte; NULL: none */
	uint8_t *used;   /* the entry of the used ring, or the used descriptor */

	/* Of the hooks: 0 before the first, kept from before to after. */
	uint64_t kept;
};

/* Both may be NULL. */
struct wrong_chain_hooks {
	void (*before)(struct wrong_chain *chain);
	void (*after)(struct wrong_chain *chain);
};

/* To be bent to: .ops = {.progress = wrong_chain_progress}, .how = a struct wrong_chain_hooks. */
enum virtio_progress wrong_chain_progress(struct virtio_device *dev, uint16_t index,
					  uint32_t budget);

/*
 * The chains that wait on a queue, at most max of them; none with IN_ORDER. They stay where they
 * are. Returns how many.
 */
unsigned wrong_chain_gather(struct wrong_wrap *wrap, uint16_t index, struct wrong_chain *chains,
			    unsigned max);

struct wrong_desc wrong_desc_get(const struct wrong_chain *chain, const uint8_t *at);
void wrong_desc_put(const struct wrong_chain *chain, uint8_t *at, const struct wrong_desc *desc);

/* Of the descriptor in the ring that points to the table, or is just the last one. */
struct wrong_desc wrong_chain_last(const struct wrong_chain *chain);

/* For after: what was served is said to be an error. */
void wrong_chain_refuse(struct wrong_chain *chain);

#define CHAIN_HOOKS(...)                                                    \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.progress = wrong_chain_progress},                  \
		.how = &(const struct wrong_chain_hooks){__VA_ARGS__},      \
	}

#define CHAIN_AFTER(hook) CHAIN_HOOKS(.after = hook)

#ifdef __cplusplus
}
#endif

#endif
