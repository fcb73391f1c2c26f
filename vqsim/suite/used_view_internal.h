/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device wrote into a ring, read by a case itself, without driver and referee:
 * the used entries of a queue from where the driver stands, one after the other.
 *
 * Threads: one.
 */
#ifndef VQSIM_SUITE_USED_VIEW_INTERNAL_H
#define VQSIM_SUITE_USED_VIEW_INTERNAL_H

#include "suite.h"

/* Of a packed descriptor. */
#define USED_VIEW_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_VIEW_USED  (1u << VRING_PACKED_DESC_F_USED)

struct used_view {
	const struct vqsim_driver *driver;
	uint32_t at; /* split: used index, free-running; packed: slot */
	bool wrap;   /* packed: the device's wrap counter there */
};

struct used_entry {
	uint32_t id;
	uint32_t len;   /* packed: 0 without WRITE (2.8.4) */
	uint16_t flags; /* packed, as they stand there */
};

/* Start at the next entry that the driver will reap. */
void used_view_start(struct used_view *view, const struct vqsim_driver *driver);

/* The entry there. Returns false: there is none (yet). */
bool used_view_entry(const struct used_view *view, struct used_entry *entry);

/* Go on behind the entry that stands for this io; in a batch it is called for each of them. */
void used_view_pass(struct used_view *view, const struct vqsim_suite_io *io);

/* Split: entries from here to the used index; below 0: beyond it. */
int used_view_left(const struct used_view *view);

/* Packed: the descriptor there. */
const struct vring_packed_desc *used_view_desc(const struct used_view *view);

/* Descriptors of the ring that an io takes. */
uint16_t used_view_slots(const struct vqsim_suite_io *io);

/* Which of ios the entry names; count: none of them. */
unsigned used_view_which(const struct used_entry *entry, const struct vqsim_suite_io *ios,
			 unsigned count);

#endif
