/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chains of a packed ring as the referee remembers them: records by buffer id,
 * and copies of their descriptors (nodes). For referee_packed.c.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_PACKED_INTERNAL_H
#define VQSIM_REFEREE_PACKED_INTERNAL_H

#include "referee_internal.h"

/* All records and nodes are free. */
void referee_packed_pools_fill(struct vqsim_referee_queue *q);

/* The record that is in use for a buffer id, or REFEREE_NONE. */
uint16_t referee_packed_record_find(const struct vqsim_referee_queue *q, uint16_t id);

/* A record for this id. Returns REFEREE_NONE: as many chains as slots are in flight. */
uint16_t referee_packed_record_take(struct vqsim_referee_queue *q, uint16_t id);
void referee_packed_record_free(struct vqsim_referee_queue *q, uint16_t record);

/* Along the copy of a chain's descriptors; w says what is wanted. */
void referee_packed_walk(const struct vqsim_referee_queue *q, const struct referee_chain *chain,
			 struct referee_walk *w);

#endif
