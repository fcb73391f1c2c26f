/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a ring is worth a look when a rule is broken: the slots around the
 * device's position or around the one that is wrong, as guest memory has them.
 */
#include <endian.h>

#include "picture_internal.h"
#include "referee_internal.h"

/* What the driver wrote into an available slot; bytes are those that the device may write. */
static void draw_avail(const struct vqsim_referee_queue *q, struct referee_row *row, uint16_t slot)
{
	uint16_t head = le16toh(q->avail->ring[slot]);
	struct referee_cell *cell = referee_cell_add(row, slot);
	const struct referee_chain *chain = head < q->setup.size ? &q->chains[head] : NULL;

	referee_cell_text(cell, "head %u", head);
	if (!chain || chain->slot != slot)
		return;
	if (chain->state == REFEREE_CHAIN_AVAILABLE)
		cell->state = chain->run == q->runs ? REFEREE_CELL_EXPOSED : REFEREE_CELL_IN_FLIGHT;
	else if (chain->state == REFEREE_CHAIN_USED)
		cell->state = REFEREE_CELL_USED;
	if (chain->state == REFEREE_CHAIN_AVAILABLE)
		referee_cell_text(cell, "%llu bytes", (unsigned long long)chain->writable);
}

static void draw_used(const struct vqsim_referee_queue *q, struct referee_row *row, uint16_t index)
{
	uint16_t slot = index & (q->setup.size - 1);
	const struct vring_used_elem *entry = &q->used->ring[slot];
	struct referee_cell *cell = referee_cell_add(row, slot);

	referee_cell_text(cell, "id %u", le32toh(entry->id));
	referee_cell_text(cell, "len %u", le32toh(entry->len));
	if ((uint16_t)(index - q->reaped) < (uint16_t)(le16toh(q->used->idx) - q->reaped))
		cell->state = REFEREE_CELL_USED;
}

void referee_split_draw(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
			struct referee_picture *picture)
{
	uint32_t cells = q->setup.size < REFEREE_CELLS ? q->setup.size : REFEREE_CELLS;
	struct referee_row *avail = referee_row_add(picture, "available ring"),
			   *entries = referee_row_add(picture, "used ring");
	uint16_t around = q->used_seen & (q->setup.size - 1), first;

	if (referee->marked_slot >= 0)
		around = (uint16_t)referee->marked_slot;
	first = around & ~(REFEREE_CELLS - 1u);
	for (uint32_t i = 0; i < cells; i++) {
		uint16_t slot = first + i;

		draw_avail(q, avail, slot);
		draw_used(q, entries, q->reaped + ((slot - q->reaped) & (q->setup.size - 1)));
	}
	referee_row_text(avail, "flags %u, idx %u, used_event %u", le16toh(q->avail->flags),
			 le16toh(q->avail->idx), le16toh(*q->used_event));
	referee_row_text(entries, "flags %u, idx %u, avail_event %u", le16toh(q->used->flags),
			 le16toh(q->used->idx), le16toh(*q->avail_event));
	referee_row_pointer(avail, q->avail_seen & (q->setup.size - 1), "next of the driver");
	referee_row_pointer(entries, q->used_seen & (q->setup.size - 1), "next of the device");
	if (referee->marked_slot >= 0)
		referee_row_mark(referee->marked_part ? entries : avail, referee->marked_slot);
}

static enum referee_cell_state packed_state(const struct vqsim_referee_queue *q, uint32_t slot)
{
	const struct referee_packed *p = &q->packed;
	uint32_t size = q->setup.size;
	uint32_t ahead = (slot + size - p->used.slot) % size;

	if (p->used.position + ahead < p->avail_at_run)
		return REFEREE_CELL_IN_FLIGHT;
	if (p->used.position + ahead < p->avail.position)
		return REFEREE_CELL_EXPOSED;
	return size - ahead <= p->used.position - p->reaped ? REFEREE_CELL_USED : REFEREE_CELL_FREE;
}

static void draw_packed(const struct vqsim_referee_queue *q, struct referee_row *row, uint32_t slot)
{
	const struct vring_packed_desc *desc = &q->packed.ring[slot];
	struct referee_cell *cell = referee_cell_add(row, slot);
	uint16_t flags = le16toh(desc->flags);

	cell->state = packed_state(q, slot);
	referee_cell_text(cell, "id %u", le16toh(desc->id));
	referee_cell_text(cell, "len %u", le32toh(desc->len));
	referee_cell_text(cell, "A %u U %u", flags >> VRING_PACKED_DESC_F_AVAIL & 1,
			  flags >> VRING_PACKED_DESC_F_USED & 1);
	referee_cell_text(cell, "%s%s%s", flags & VRING_DESC_F_NEXT ? "NEXT " : "",
			  flags & VRING_DESC_F_WRITE ? "WR " : "",
			  flags & VRING_DESC_F_INDIRECT ? "IND" : "");
}

void referee_packed_draw(const struct vqsim_referee *referee, const struct vqsim_referee_queue *q,
			 struct referee_picture *picture)
{
	const struct referee_packed *p = &q->packed;
	uint32_t size = q->setup.size, around = p->used.slot;
	uint32_t cells = size < REFEREE_CELLS ? size : REFEREE_CELLS, first = 0;
	struct referee_row *row = referee_row_add(picture, "descriptor ring");

	if (referee->marked_slot >= 0)
		around = (uint32_t)referee->marked_slot;
	if (size > cells)
		first = (around + size - cells / 2) % size;
	for (uint32_t i = 0; i < cells; i++)
		draw_packed(q, row, (first + i) % size);
	referee_row_text(row, "driver area: flags %u, off %u, wrap %u; device area: %u, %u, %u",
			 le16toh(p->driver->flags), le16toh(p->driver->off_wrap) & 0x7fff,
			 le16toh(p->driver->off_wrap) >> 15, le16toh(p->device->flags),
			 le16toh(p->device->off_wrap) & 0x7fff, le16toh(p->device->off_wrap) >> 15);
	referee_row_pointer(row, p->used.slot,
			    p->used.wrap ? "next of the device, wrap 1"
					 : "next of the device, wrap 0");
	referee_row_pointer(row, p->avail.slot,
			    p->avail.wrap ? "next of the driver, wrap 1"
					  : "next of the driver, wrap 0");
	referee_row_mark(row, referee->marked_slot);
}
