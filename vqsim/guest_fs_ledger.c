/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hash table of counts. A count that fell to 0 keeps its place until the table is made
 * anew, so that a search does not end early.
 */
#include <stdlib.h>
#include <string.h>

#include "guest_fs_internal.h"

#define ROOM_MIN 64u /* a power of two, as every size is */

static size_t place_of(const struct vqsim_fs_ledger *ledger, uint64_t node, uint64_t handle)
{
	uint64_t mixed = (node * 31 + handle) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(mixed >> 20) & (ledger->room - 1);
}

/* Its count, or a free one for it. The table is never full. */
static struct vqsim_fs_count *find(const struct vqsim_fs_ledger *ledger, uint64_t node,
				   uint64_t handle)
{
	size_t at = place_of(ledger, node, handle);

	while (ledger->counts[at].taken &&
	       (ledger->counts[at].node != node || ledger->counts[at].handle != handle))
		at = (at + 1) & (ledger->room - 1);
	return &ledger->counts[at];
}

static size_t used(const struct vqsim_fs_ledger *ledger)
{
	size_t count = 0;

	for (size_t i = 0; i < ledger->room; i++)
		count += ledger->counts[i].count > 0;
	return count;
}

/* Anew, with room for twice what is not 0. */
static bool grow(struct vqsim_fs_ledger *ledger)
{
	struct vqsim_fs_ledger grown = {.room = ROOM_MIN, .total = ledger->total};
	size_t count = used(ledger);

	while (grown.room < 4 * count)
		grown.room *= 2;
	grown.counts = calloc(grown.room, sizeof(*grown.counts));
	if (!grown.counts)
		return false;
	for (size_t i = 0; i < ledger->room; i++) {
		const struct vqsim_fs_count *old = &ledger->counts[i];

		if (old->count > 0)
			*find(&grown, old->node, old->handle) = *old;
	}
	grown.taken = count;
	free(ledger->counts);
	*ledger = grown;
	return true;
}

bool fs_ledger_add(struct vqsim_fs_ledger *ledger, uint64_t node, uint64_t handle)
{
	struct vqsim_fs_count *count;

	if (2 * (ledger->taken + 1) > ledger->room && !grow(ledger))
		return false;
	count = find(ledger, node, handle);
	if (!count->taken) {
		*count = (struct vqsim_fs_count){.node = node, .handle = handle, .taken = true};
		ledger->taken++;
	}
	count->count++;
	ledger->total++;
	return true;
}

void fs_ledger_take(struct vqsim_fs_ledger *ledger, uint64_t node, uint64_t handle, uint64_t count)
{
	struct vqsim_fs_count *found = ledger->room > 0 ? find(ledger, node, handle) : NULL;

	if (!found)
		return;
	if (count > found->count)
		count = found->count;
	found->count -= count;
	ledger->total -= count;
}

uint64_t fs_ledger_count(const struct vqsim_fs_ledger *ledger, uint64_t node, uint64_t handle)
{
	return ledger->room > 0 ? find(ledger, node, handle)->count : 0;
}

void fs_ledger_finish(struct vqsim_fs_ledger *ledger)
{
	free(ledger->counts);
	memset(ledger, 0, sizeof(*ledger));
}

uint64_t vqsim_fs_lookups(const struct vqsim_fs *fs, uint64_t node)
{
	return fs_ledger_count(&fs->lookups, node, 0);
}

uint64_t vqsim_fs_lookups_total(const struct vqsim_fs *fs)
{
	return fs->lookups.total;
}

uint64_t vqsim_fs_handles_total(const struct vqsim_fs *fs)
{
	return fs->handles.total;
}
