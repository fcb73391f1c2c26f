/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong in the plainest thing there is: which chain they are done with.
 */
#include <endian.h>

#include "suite_wrong.h"
#include "wrong_rows.h"

extern const struct vqsim_wrong suite_wrong_smoke[];

/* Split: no chain begins at that descriptor; packed: nothing that is available has this id. */
static void another_id(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++) {
		struct wrong_ring_entry *entry = &ring->entries[i];

		if (entry->elem)
			entry->elem->id = htole32((le32toh(entry->elem->id) + 1) % ring->size);
		else
			entry->desc->id = htole16((uint16_t)(le16toh(entry->desc->id) + 1));
	}
}

static void beyond_the_ring(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (ring->entries[i].elem)
			ring->entries[i].elem->id = htole32(ring->size);
}

/* That of the last element counts (2.8.6). */
static void id_of_first_element(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (ring->entries[i].desc)
			ring->entries[i].desc->id = ring->entries[i].was.desc.id;
}

static void slot_for_id(struct wrong_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (ring->entries[i].desc)
			ring->entries[i].desc->id = htole16(ring->entries[i].slot);
}

const struct vqsim_wrong suite_wrong_smoke[] = {
	{.test = "one_request",
	 RING(another_id),
	 .clause = "SPLIT-DX-02",
	 .wrong = "the descriptor behind the head"},
	{.test = "one_request",
	 RING(beyond_the_ring),
	 .clause = "SPLIT-DX-02",
	 .wrong = "a head that no ring has"},
	{.test = "one_request",
	 RING(another_id),
	 .clause = "PACKED-DX-08",
	 .wrong = "an id that is not available"},
	{.test = "one_request",
	 RING(id_of_first_element),
	 .clause = "PACKED-DX-08",
	 .wrong = "the id of the first element"},
	{.test = "one_request",
	 RING(slot_for_id),
	 .clause = "PACKED-DX-08",
	 .wrong = "the slot in place of the id"},
	{.test = NULL},
};
