/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Breakages. The referee judges a device by what the ring said when the driver
 * showed it, so a breakage is done before that, and from there until everything
 * is back (player_clean) a publish is followed by the run at once: the driver
 * writes no descriptor in between that a broken chain may run into.
 *
 * A device may do whatever a broken descriptor allows. So that it cannot be
 * taken for a fault, a descriptor that reaches guest memory in full is kept to
 * its chain's own buffers or is sent to the scratch area (tame).
 */
#include <endian.h>

#include "trace_internal.h"

static bool inside(uint64_t gpa, uint64_t size, uint64_t in_gpa, uint64_t in_size)
{
	uint64_t offset = gpa - in_gpa;

	return offset <= in_size && size <= in_size - offset;
}

/* Whether a device that looks at the regions can accept all of it. */
static bool mapped(const struct vqsim_player *player, uint64_t gpa, uint64_t size)
{
	const struct vqsim_memory *memory = &player->memory;

	if (size > UINT64_MAX - gpa)
		return false;
	for (unsigned i = 0; i < memory->count && size > 0; i++) {
		const struct vqsim_region *range = &memory->mappings[i].range;
		uint64_t offset = gpa - range->gpa, piece;

		if (offset >= range->size)
			continue;
		piece = range->size - offset < size ? range->size - offset : size;
		gpa += piece;
		size -= piece;
	}
	return size == 0;
}

static bool in_tables(const struct vqsim_player_slot *slot, uint64_t gpa, uint32_t len)
{
	return inside(gpa, len, slot->table_gpa,
		      VQSIM_PLAYER_ELEMENTS * sizeof(struct vring_desc)) ||
	       inside(gpa, len, PLAYER_TABLES_GPA, PLAYER_TABLES_SIZE);
}

/* Whatever is read as a table is never written: the referee reads it again afterwards. */
static bool harmless(const struct vqsim_player_slot *slot, uint64_t gpa, uint32_t len,
		     uint16_t flags)
{
	if (flags & VRING_DESC_F_INDIRECT)
		return in_tables(slot, gpa, len);
	for (unsigned i = 0; i < 2; i++)
		if (inside(gpa, len, slot->area[i].gpa, slot->area[i].size))
			return true;
	if (!(flags & VRING_DESC_F_WRITE) && in_tables(slot, gpa, len))
		return true;
	return inside(gpa, len, PLAYER_SCRATCH_GPA, PLAYER_SCRATCH_SIZE);
}

static void tame(const struct vqsim_player *player, const struct vqsim_player_slot *slot,
		 struct vring_desc *desc)
{
	bool table = le16toh(desc->flags) & VRING_DESC_F_INDIRECT;
	uint32_t size = table ? PLAYER_TABLES_SIZE : PLAYER_SCRATCH_SIZE;
	uint64_t gpa = le64toh(desc->addr), offset = gpa % size;
	uint32_t len = le32toh(desc->len);

	if (!mapped(player, gpa, len) || harmless(slot, gpa, len, le16toh(desc->flags)))
		return;
	if (len > size - offset)
		len = (uint32_t)(size - offset);
	desc->addr = htole64((table ? PLAYER_TABLES_GPA : PLAYER_SCRATCH_GPA) + offset);
	desc->len = htole32(len);
}

/* The ring's descriptor number at of the chain, or its last one. Broken chains included. */
static struct vring_desc *ring_desc(struct vqsim_player *player,
				    const struct vqsim_player_slot *slot, unsigned at)
{
	const struct vqsim_driver *driver = &player->guest.queues[slot->queue];
	struct vring_desc *desc = &driver->ring.desc[slot->head];

	for (; at > 0 && (le16toh(desc->flags) & VRING_DESC_F_NEXT); at--) {
		uint16_t next = le16toh(desc->next);

		if (next >= driver->setup.size)
			break;
		desc = &driver->ring.desc[next];
	}
	return desc;
}

/* Entry number at of the chain's own table, whether or not the chain has one. */
static struct vring_desc *table_desc(struct vqsim_player *player,
				     const struct vqsim_player_slot *slot, unsigned at)
{
	uint64_t gpa = slot->table_gpa + 16 * (uint64_t)(at % slot->count);

	return vqsim_memory_at(&player->memory, gpa, sizeof(struct vring_desc));
}

static void break_desc(struct vqsim_player *player, const struct vqsim_player_slot *slot,
		       struct vring_desc *desc, enum vqsim_break what, uint64_t value)
{
	switch (what) {
	case VQSIM_BREAK_ADDR:
		desc->addr = htole64(value);
		break;
	case VQSIM_BREAK_LEN:
		desc->len = htole32((uint32_t)value);
		break;
	case VQSIM_BREAK_FLAGS:
		desc->flags ^= htole16((uint16_t)value);
		break;
	default:
		desc->next = htole16((uint16_t)value);
		desc->flags |= htole16(VRING_DESC_F_NEXT);
		break;
	}
	tame(player, slot, desc);
}

/* What is written into the ring behind the driver's back is shown at once. */
static void show(struct vqsim_player *player, uint16_t queue)
{
	vqsim_referee_published(&player->referee, queue);
	vqsim_guest_kick(&player->guest, queue);
	vqsim_guest_run(&player->guest, queue);
	player_reap(player, queue);
}

static void break_ring(struct vqsim_player *player, const struct vqsim_player_slot *slot,
		       const struct vqsim_op *op)
{
	struct vqsim_driver *driver = &player->guest.queues[op->queue];
	struct vring_avail *avail = driver->ring.avail;
	uint16_t mask = driver->setup.size - 1;
	uint16_t index = driver->avail_index;

	switch (op->what) {
	case VQSIM_BREAK_SLOT:
		avail->ring[(uint16_t)(index - 1) & mask] = htole16((uint16_t)op->value);
		return;
	case VQSIM_BREAK_TWICE:
		avail->ring[index & mask] = htole16(slot->head);
		index++;
		break;
	case VQSIM_BREAK_INDEX:
		index += (uint16_t)op->value;
		break;
	}
	player->skewed = true;
	player_publish(player, op->queue);
	avail->idx = htole16(index);
	show(player, op->queue);
}

/* Bits that no standard defines, too: the device must not care (2.7.6). */
static void break_flags(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_driver *driver = &player->guest.queues[op->queue];

	driver->ring.avail->flags = htole16((uint16_t)op->value);
}

/* The chain to break: the last one, or one made for it. */
static struct vqsim_player_slot *victim(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_op chain = {
		.code = VQSIM_OP_CHAIN,
		.queue = op->queue,
		.what = 1 + VQSIM_BLK_IN,
		.layout = op->layout,
		.readable = 1,
		.writable = 2,
		.value = 16,
		.size = 65,
	};

	if (player->last[op->queue])
		return player->last[op->queue];
	return player_chain_add(player, &chain);
}

/* Chains that the device may see already were promised to be whole: they come back first. */
static void finish_shown(struct vqsim_player *player)
{
	for (uint16_t i = 0; i < player->guest.queue_count; i++) {
		vqsim_guest_run(&player->guest, i);
		player_reap(player, i);
	}
	if (player_blk_busy(player))
		player_settle(player);
}

void player_break(struct vqsim_player *player, const struct vqsim_op *op)
{
	enum vqsim_break what = op->what % VQSIM_BREAK_COUNT;
	struct vqsim_op ranged = *op;
	struct vqsim_player_slot *slot;

	ranged.what = (uint8_t)what;
	finish_shown(player);
	if (what == VQSIM_BREAK_AVAIL_FLAGS) {
		break_flags(player, op);
		return;
	}
	slot = victim(player, op);
	if (!slot)
		return;
	player->dirty = true;
	slot->exact = false;
	player->counts.broken++;
	if (what <= VQSIM_BREAK_NEXT)
		break_desc(player, slot, ring_desc(player, slot, op->at), what, op->value);
	else if (what <= VQSIM_BREAK_TABLE_NEXT)
		break_desc(player, slot, table_desc(player, slot, op->at),
			   what - VQSIM_BREAK_TABLE_ADDR, op->value);
	else
		break_ring(player, slot, &ranged);
}
