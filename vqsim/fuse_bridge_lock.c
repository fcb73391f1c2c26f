/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks that wait. Any number of processes may wait for locks, each with a SETLKW in flight, and an
 * unlock must get past all of them. So only some are waited for in the device:
 *
 *     SETLKW --> fewer than lock_max are in the device: as it is
 *            '-> otherwise as SETLK -- EAGAIN --> parked, here, without a slot
 *                     ^                              |
 *                     '-- when locks may be free ----'
 *
 * Nobody can be parked who could have the lock: only messages of this kernel free any, and after
 * each of these all that are parked ask again, the first one first. So it is no matter
 * which of them wait in the device. What is lost is that a device finds no deadlock (EDEADLK)
 * in which a parked one takes part; that can be interrupted.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fuse_bridge_internal.h"

/* Descriptors that a lock needs, and at most any other message, if there are no indirect ones. */
#define LOCK_ELEMENTS    3u
#define MESSAGE_ELEMENTS 5u

struct vqsim_fuse_bridge_parked {
	struct vqsim_fuse_bridge_parked *next;
	uint64_t unique;
	uint32_t size;
	uint8_t message[];
};

uint16_t fuse_bridge_lock_max(const struct vqsim_guest *guest, uint16_t slots)
{
	uint32_t max = 0;

	/* With so many in the rings, one of these has room for a message besides. */
	for (uint16_t i = 1; i < guest->queue_count; i++) {
		uint16_t size = guest->queues[i].setup.size;

		if (size > MESSAGE_ELEMENTS)
			max += (size - MESSAGE_ELEMENTS) / LOCK_ELEMENTS;
	}
	return max < slots / 2u ? (uint16_t)max : slots / 2u;
}

static void set_opcode(uint8_t *message, uint32_t opcode)
{
	memcpy(message + offsetof(struct fuse_in_header, opcode), &opcode, sizeof(opcode));
}

void fuse_bridge_lock_choose(const struct vqsim_fuse_bridge *bridge,
			     struct vqsim_fuse_bridge_slot *slot)
{
	struct vqsim_fs_request *request = &slot->request;

	slot->trying = bridge->locks >= bridge->lock_max;
	request->args.opcode = slot->trying ? FUSE_SETLK : FUSE_SETLKW;
	set_opcode(request->in, request->args.opcode);
}

/* Whether locks may be free after it that were not before. */
static bool may_free(uint32_t opcode)
{
	return opcode == FUSE_SETLK || opcode == FUSE_SETLKW || opcode == FUSE_FLUSH ||
	       opcode == FUSE_RELEASE;
}

/* One that is refused again frees nothing: a flock that it was to change was lost the first time. */
void fuse_bridge_lock_sent(struct vqsim_fuse_bridge *bridge,
			   const struct vqsim_fuse_bridge_slot *slot)
{
	if (slot->header.opcode == FUSE_SETLKW && !slot->trying)
		bridge->locks++;
	if (may_free(slot->header.opcode) && !slot->again)
		bridge->stirred = true;
}

/* Returns false: no memory. */
static bool park(struct vqsim_fuse_bridge *bridge, const struct vqsim_fuse_bridge_slot *slot)
{
	uint32_t size = slot->header.len;
	struct vqsim_fuse_bridge_parked *parked = malloc(sizeof(*parked) + size);

	if (!parked)
		return false;
	parked->next = NULL;
	parked->unique = slot->header.unique;
	parked->size = size;
	memcpy(parked->message, slot->request.in, size);
	set_opcode(parked->message, FUSE_SETLKW);
	*bridge->parked_end = parked;
	bridge->parked_end = &parked->next;
	bridge->parked_count++;
	return true;
}

static bool tried_in_vain(const struct vqsim_fuse_bridge_slot *slot)
{
	return slot->trying && slot->request.used_len > 0 && slot->request.result.error == -EAGAIN;
}

bool fuse_bridge_lock_came(struct vqsim_fuse_bridge *bridge,
			   const struct vqsim_fuse_bridge_slot *slot)
{
	bool lock = slot->header.opcode == FUSE_SETLKW;
	bool in_vain = lock && tried_in_vain(slot);

	if (lock && !slot->trying)
		bridge->locks--;
	if (may_free(slot->header.opcode) && !(in_vain && slot->again))
		bridge->stirred = true;
	if (in_vain && !park(bridge, slot))
		fuse_bridge_write_error(bridge, slot->header.unique, -ENOLCK);
	return in_vain;
}

void fuse_bridge_lock_load(const struct vqsim_fuse_bridge *bridge,
			   struct vqsim_fuse_bridge_slot *slot)
{
	const struct vqsim_fuse_bridge_parked *parked = bridge->parked;

	memcpy(slot->request.in, parked->message, parked->size);
	fuse_bridge_prepare(bridge->fs, slot, parked->size);
	slot->again = true;
}

static void drop(struct vqsim_fuse_bridge *bridge, struct vqsim_fuse_bridge_parked **at)
{
	struct vqsim_fuse_bridge_parked *parked = *at;

	*at = parked->next;
	if (!parked->next)
		bridge->parked_end = at;
	bridge->parked_count--;
	free(parked);
}

void fuse_bridge_lock_drop_first(struct vqsim_fuse_bridge *bridge)
{
	drop(bridge, &bridge->parked);
}

bool fuse_bridge_lock_interrupt(struct vqsim_fuse_bridge *bridge, uint64_t unique)
{
	struct vqsim_fuse_bridge_parked **at = &bridge->parked;

	while (*at && (*at)->unique != unique)
		at = &(*at)->next;
	if (!*at)
		return false;
	drop(bridge, at);
	fuse_bridge_write_error(bridge, unique, -EINTR);
	return true;
}

void fuse_bridge_lock_finish(struct vqsim_fuse_bridge *bridge)
{
	while (bridge->parked)
		fuse_bridge_lock_drop_first(bridge);
}
