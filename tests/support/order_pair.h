/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver and a virtqueue with IN_ORDER between which a test stands as the device:
 * it exposes, takes, completes and reaps chains by their number, in whatever order it wants,
 * and looks at the used entries as they stand in the ring.
 *
 * Failures end the cmocka test. Threads: one.
 */
#ifndef TESTS_SUPPORT_ORDER_PAIR_H
#define TESTS_SUPPORT_ORDER_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtqueue.h"
#include "vqsim/driver.h"

#define ORDER_BASE   UINT64_C(0x100000) /* ring, and buffers unless told otherwise */
#define ORDER_APART  UINT64_C(0x800000) /* a second region, for buffers */
#define ORDER_SIZE   (512 * 1024u)      /* of each */
#define ORDER_BUFFER 8u                 /* bytes of each buffer */
#define ORDER_MAX    128u               /* chains that have a number */

struct order_pair {
	struct vqsim_memory memory;
	struct vqsim_memory_mark empty;
	struct vqsim_driver driver;
	struct virtio_device dev;
	struct virtqueue *vq;
	bool packed;
	uint64_t buffers; /* gpa of what the next chains have */

	/* Of chain number i. */
	uint8_t tokens[ORDER_MAX];
	int ids[ORDER_MAX];
	uint16_t lengths[ORDER_MAX]; /* buffers */
	uint32_t sizes[ORDER_MAX];   /* writable bytes */
	struct virtqueue_chain *chains[ORDER_MAX];

	/* What order_mark_unused saw. */
	struct vring_packed_desc before[ORDER_MAX];
};

/* Set-up and tear-down of a test, *state being the pair. */
int order_set_up_split(void **state);
int order_set_up_packed(void **state);
int order_tear_down(void **state);

#define BOTH_FORMATS(test)                                                          \
	{#test " (split)", test, order_set_up_split, order_tear_down, NULL},        \
	{                                                                           \
#test " (packed)", test, order_set_up_packed, order_tear_down, NULL \
	}

/* A fresh ring, with VERSION_1, IN_ORDER, the format, and more. At first, or after order_finish. */
void order_start(struct order_pair *p, uint16_t size, uint64_t more);
void order_finish(struct order_pair *p);

/* Expose chain number i: of count writable buffers, or of one that is readable. */
void order_expose(struct order_pair *p, unsigned i, uint16_t count);
void order_expose_readable(struct order_pair *p, unsigned i);

/* Take chains 0 to count - 1, which are the next ones. */
void order_pop(struct order_pair *p, unsigned count);

/* Chain i is done: all bytes were written, or all but one. */
uint32_t order_written(const struct order_pair *p, unsigned i, bool full);
void order_push(struct order_pair *p, unsigned i, bool full);

/* The driver takes back count chains, and there are no more. */
void order_reap(struct order_pair *p, unsigned count);

/*
 * The ring of a queue that was started for this test. Place i is where the entry
 * of chain number i belongs, if none is skipped.
 */
void order_mark_unused(struct order_pair *p);
void order_assert_untouched(const struct order_pair *p, unsigned place);
void order_assert_entry(const struct order_pair *p, unsigned place, unsigned chain, uint32_t len);
void order_assert_shown(struct order_pair *p, unsigned count);

/* EVENT_IDX: the driver wants to hear of this used index, or slot, counted from the start. */
void order_want(struct order_pair *p, unsigned event);

/* Random steps of both sides; the driver must see the order and the lengths that it should. */
void order_random(struct order_pair *p, unsigned steps, uint32_t seed);

#endif
