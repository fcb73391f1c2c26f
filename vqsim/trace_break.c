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
#include <string.h>

#include "breakage.h"
#include "trace_internal.h"

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

/* The flags that say where a chain of a packed ring begins and ends. */
#define PLACING (F_AVAIL | F_USED | VRING_DESC_F_NEXT)

/* Header, data and status of a chain that a row of the table is about. */
#define ROW_ELEMENTS 3u

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
static bool harmless_in(const struct vqsim_player_slot *slot, uint64_t gpa, uint32_t len,
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

/* slot NULL: in the chain of any of them. */
static bool harmless(const struct vqsim_player *player, const struct vqsim_player_slot *slot,
		     uint64_t gpa, uint32_t len, uint16_t flags)
{
	if (slot)
		return harmless_in(slot, gpa, len, flags);
	for (unsigned i = 0; i < VQSIM_PLAYER_SLOTS; i++)
		if (player->slots[i].ready && harmless_in(&player->slots[i], gpa, len, flags))
			return true;
	return false;
}

/* A descriptor in the order of the host; of a packed ring link is the id. */
struct desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags;
	uint16_t link;
};

/* Where one stands: 16 bytes of a ring or a table. The last two fields change places. */
struct spot {
	uint8_t *at;
	bool packed;
	bool table;
	uint16_t *kept; /* flags that the driver has not written yet, NULL: they are there */
};

static struct desc desc_load(const struct spot *spot)
{
	struct vring_desc raw;
	struct desc desc;

	memcpy(&raw, spot->at, sizeof(raw));
	desc = (struct desc){
		.gpa = le64toh(raw.addr),
		.len = le32toh(raw.len),
		.flags = le16toh(spot->packed ? raw.next : raw.flags),
		.link = le16toh(spot->packed ? raw.flags : raw.next),
	};
	if (spot->kept)
		desc.flags = *spot->kept;
	return desc;
}

static void desc_store(const struct spot *spot, const struct desc *desc)
{
	const struct vring_desc raw = {
		.addr = htole64(desc->gpa),
		.len = htole32(desc->len),
		.flags = htole16(spot->packed ? desc->link : desc->flags),
		.next = htole16(spot->packed ? desc->flags : desc->link),
	};

	memcpy(spot->at, &raw, sizeof(raw));
	if (spot->kept)
		*spot->kept = desc->flags;
}

/* In a packed table no flag but WRITE means anything (2.8.7). */
static void tame(const struct vqsim_player *player, const struct vqsim_player_slot *slot,
		 const struct spot *spot)
{
	struct desc desc = desc_load(spot);
	uint16_t flags = desc.flags;
	uint64_t offset;
	uint32_t size;

	if (spot->packed && spot->table)
		flags &= VRING_DESC_F_WRITE;
	if (!mapped(player, desc.gpa, desc.len) ||
	    harmless(player, slot, desc.gpa, desc.len, flags))
		return;
	size = flags & VRING_DESC_F_INDIRECT ? PLAYER_TABLES_SIZE : PLAYER_SCRATCH_SIZE;
	offset = desc.gpa % size;
	if (desc.len > size - offset)
		desc.len = (uint32_t)(size - offset);
	desc.gpa = flags & VRING_DESC_F_INDIRECT ? PLAYER_TABLES_GPA : PLAYER_SCRATCH_GPA;
	desc.gpa += offset;
	desc_store(spot, &desc);
}

static struct spot packed_spot(struct vqsim_driver *driver, uint32_t position)
{
	uint32_t slot = position % driver->setup.size;
	struct spot spot = {.at = (uint8_t *)&driver->packed.desc[slot], .packed = true};

	if (driver->unpublished > 0 && slot == driver->published_index)
		spot.kept = &driver->head_flags;
	return spot;
}

/* The ring's descriptor number at of the chain, or its last one. Broken chains included. */
static struct spot ring_spot(struct vqsim_player *player, const struct vqsim_player_slot *slot,
			     unsigned at)
{
	struct vqsim_driver *driver = &player->guest.queues[slot->queue];
	struct vring_desc *desc;

	if (driver->is_packed)
		return packed_spot(
			driver, slot->first + (at < slot->ring_count ? at : slot->ring_count - 1u));
	desc = &driver->ring.desc[slot->head];
	for (; at > 0 && (le16toh(desc->flags) & VRING_DESC_F_NEXT); at--) {
		uint16_t next = le16toh(desc->next);

		if (next >= driver->setup.size)
			break;
		desc = &driver->ring.desc[next];
	}
	return (struct spot){.at = (uint8_t *)desc};
}

/* Entry number at of the chain's own table, whether or not the chain has one. */
static struct spot table_spot(struct vqsim_player *player, const struct vqsim_player_slot *slot,
			      unsigned at)
{
	uint64_t gpa = slot->table_gpa + 16 * (uint64_t)(at % slot->count);

	return (struct spot){
		.at = vqsim_memory_at(&player->memory, gpa, sizeof(struct vring_desc)),
		.packed = player->guest.queues[slot->queue].is_packed,
		.table = true,
	};
}

static bool skewed(const struct vqsim_player *player, uint16_t queue)
{
	return player->skewed >> queue & 1;
}

/*
 * What a device left in used slots is no buffer of the driver's any more. It is within
 * reach of a list that does not end where it should. In a ring in which nobody knows where
 * the device stands it may have left it in a list that is not published, too.
 */
static void tame_stale(struct vqsim_player *player, uint16_t queue,
		       const struct vqsim_player_slot *slot)
{
	struct vqsim_driver *driver = &player->guest.queues[queue];
	bool lost = skewed(player, queue);
	uint32_t size = driver->setup.size;

	for (uint32_t i = lost ? 0 : driver->unpublished; driver->is_packed && i < size; i++) {
		struct spot spot = packed_spot(driver, driver->published_index + i);

		tame(player, lost ? NULL : slot, &spot);
	}
}

/* No list begins but in what is to be published: it may run into what the same run leaves. */
static void cut_stale(struct vqsim_driver *driver)
{
	for (uint32_t i = driver->unpublished; driver->is_packed && i < driver->setup.size; i++) {
		struct spot spot = packed_spot(driver, driver->published_index + i);
		struct desc desc = desc_load(&spot);

		desc.flags &= (uint16_t)~VRING_DESC_F_NEXT;
		desc_store(&spot, &desc);
	}
}

void player_tame(struct vqsim_player *player, uint16_t queue, bool publish)
{
	if (!skewed(player, queue) || !player_live(player, queue))
		return;
	tame_stale(player, queue, NULL);
	if (publish)
		cut_stale(&player->guest.queues[queue]);
}

static void skew(struct vqsim_player *player, uint16_t queue)
{
	player->skewed |= 1u << queue;
}

static void break_desc(struct vqsim_player *player, const struct vqsim_player_slot *slot,
		       const struct spot *spot, enum vqsim_break what, uint64_t value)
{
	struct desc desc = desc_load(spot), was = desc;

	switch (what) {
	case VQSIM_BREAK_ADDR:
		desc.gpa = value;
		break;
	case VQSIM_BREAK_LEN:
		desc.len = (uint32_t)value;
		break;
	case VQSIM_BREAK_FLAGS:
		desc.flags ^= (uint16_t)value;
		break;
	default:
		desc.link = (uint16_t)value;
		if (!spot->packed)
			desc.flags |= VRING_DESC_F_NEXT;
		break;
	}
	desc_store(spot, &desc);
	tame(player, slot, spot);
	if (spot->packed && !spot->table &&
	    (desc.link != was.link || ((desc.flags ^ was.flags) & PLACING)))
		skew(player, slot->queue);
}

/* What is written into the ring behind the driver's back is shown at once. */
static void show(struct vqsim_player *player, uint16_t queue)
{
	vqsim_referee_published(&player->referee, queue);
	vqsim_guest_kick(&player->guest, queue);
	player_run(player, queue);
	player_reap(player, queue);
}

static void break_split(struct vqsim_player *player, const struct vqsim_player_slot *slot,
			const struct vqsim_op *op)
{
	struct vqsim_driver *driver = &player->guest.queues[op->queue];
	struct vring_avail *avail = driver->ring.avail;
	uint16_t mask = driver->setup.size - 1;
	uint16_t index = (uint16_t)driver->avail_index;

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
	skew(player, op->queue);
	player_publish(player, op->queue);
	avail->idx = htole16(index);
	show(player, op->queue);
}

/*
 * Expose slots from the driver's next one on, as they stand, for the lap that they are in. The
 * last one ends its list.
 */
static void expose(struct vqsim_driver *driver, uint32_t count)
{
	uint32_t position = driver->avail_index;
	bool wrap = driver->avail_wrap;

	for (uint32_t i = 0; i < count; i++) {
		struct spot spot = packed_spot(driver, position);
		struct desc desc = desc_load(&spot);

		desc.flags &= (uint16_t) ~(F_AVAIL | F_USED);
		desc.flags |= wrap ? F_AVAIL : F_USED;
		if (i + 1 == count)
			desc.flags &= (uint16_t)~VRING_DESC_F_NEXT;
		desc_store(&spot, &desc);
		if (++position == driver->setup.size) {
			position = 0;
			wrap = !wrap;
		}
	}
}

/* The chain once more in the slots that follow, if they are free. */
static void copy_behind(struct vqsim_player *player, const struct vqsim_player_slot *slot)
{
	struct vqsim_driver *driver = &player->guest.queues[slot->queue];

	if (driver->free_count < slot->ring_count)
		return;
	for (uint16_t i = 0; i < slot->ring_count; i++) {
		struct spot from = ring_spot(player, slot, i);
		struct spot to = packed_spot(driver, driver->avail_index + i);
		struct desc desc = desc_load(&from);

		desc_store(&to, &desc);
	}
	expose(driver, slot->ring_count);
}

static void break_packed(struct vqsim_player *player, const struct vqsim_player_slot *slot,
			 const struct vqsim_op *op)
{
	struct vqsim_driver *driver = &player->guest.queues[op->queue];
	struct spot last = ring_spot(player, slot, slot->ring_count - 1u);
	uint32_t count;

	switch (op->what) {
	case VQSIM_BREAK_SLOT:
		break_desc(player, slot, &last, VQSIM_BREAK_NEXT, op->value);
		return;
	case VQSIM_BREAK_TWICE:
		copy_behind(player, slot);
		break;
	case VQSIM_BREAK_INDEX:
		count = 1 + (uint32_t)(op->value % driver->setup.size);
		expose(driver, count < driver->free_count ? count : driver->free_count);
		break;
	}
	skew(player, op->queue);
	player_publish(player, op->queue);
	show(player, op->queue);
}

/* Bits and values that no standard defines, too: the device must not care (2.7.6, 2.8.10). */
static void break_flags(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_driver *driver = &player->guest.queues[op->queue];

	if (!driver->is_packed) {
		driver->ring.avail->flags = htole16((uint16_t)op->value);
		return;
	}
	driver->packed.driver->off_wrap = htole16((uint16_t)op->value);
	driver->packed.driver->flags = htole16((uint16_t)(op->value >> 16));
}

/* From here on nothing is known of what comes back. */
static void doubt(struct vqsim_player *player, struct vqsim_player_slot *slot)
{
	player->dirty = true;
	slot->exact = false;
	/* What is broken may point to where they are. */
	for (unsigned i = 0; i < VQSIM_PLAYER_SLOTS; i++)
		player->slots[i].lost = false;
	player->counts.broken++;
}

/* The last chain that was added to a queue, or NULL: all are published, or over. */
static struct vqsim_player_slot *last_added(const struct vqsim_player *player, uint16_t queue)
{
	struct vqsim_player_slot *last = player->last[queue];

	return last && last->pending && last->queue == queue ? last : NULL;
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

	struct vqsim_player_slot *last = last_added(player, op->queue);

	return last ? last : player_chain_add(player, &chain);
}

/* Chains that the device may see already were promised to be whole: they come back first. */
static void finish_shown(struct vqsim_player *player)
{
	player_calm(player);
	for (uint16_t i = 0; i < player->guest.queue_count; i++) {
		player_run(player, i);
		player_reap(player, i);
	}
	if (player_blk_busy(player))
		player_settle(player);
}

/*
 * In a packed ring a broken list may run into what the device left there: of what it used in the
 * same run nothing can be said, so no other chain is exposed together with it.
 */
static void leave_alone(struct vqsim_player *player, uint16_t queue)
{
	struct vqsim_player_slot *last = last_added(player, queue);

	if (!last || !player->packed || last->ring_count == player->guest.queues[queue].unpublished)
		return;
	player_publish(player, queue);
	finish_shown(player);
}

static void break_chain(struct vqsim_player *player, struct vqsim_player_slot *slot,
			const struct vqsim_op *op)
{
	struct spot spot;

	doubt(player, slot);
	tame_stale(player, slot->queue, slot);
	if (op->what <= VQSIM_BREAK_NEXT) {
		spot = ring_spot(player, slot, op->at);
		break_desc(player, slot, &spot, op->what, op->value);
	} else if (op->what <= VQSIM_BREAK_TABLE_NEXT) {
		spot = table_spot(player, slot, op->at);
		break_desc(player, slot, &spot, op->what - VQSIM_BREAK_TABLE_ADDR, op->value);
	} else if (player->guest.queues[op->queue].is_packed) {
		break_packed(player, slot, op);
	} else {
		break_split(player, slot, op);
	}
}

void player_break(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_op ranged = *op;
	struct vqsim_player_slot *slot;

	ranged.what = op->what % VQSIM_BREAK_COUNT;
	finish_shown(player);
	if (ranged.what == VQSIM_BREAK_AVAIL_FLAGS) {
		break_flags(player, op);
		return;
	}
	leave_alone(player, op->queue);
	slot = victim(player, op);
	if (slot)
		break_chain(player, slot, &ranged);
}

/* What tells both sides of a packed ring where the next chain stands, and its name. */
struct placing {
	uint16_t flags[ROW_ELEMENTS];
	uint16_t id;
	uint32_t avail_index; /* split: the driver follows an index that was broken */
};

static struct placing placing_of(struct vqsim_player *player, const struct vqsim_player_slot *slot)
{
	struct vqsim_driver *driver = &player->guest.queues[slot->queue];
	struct placing placing = {.avail_index = driver->avail_index};

	for (uint16_t i = 0; driver->is_packed && i < slot->ring_count; i++) {
		struct spot spot = ring_spot(player, slot, i);
		struct desc desc = desc_load(&spot);

		placing.flags[i] = desc.flags & PLACING;
		placing.id = desc.link;
	}
	return placing;
}

/* The driver has published; the referee looks after the breakage. */
static void break_row(struct vqsim_player *player, const struct vqsim_player_slot *slot,
		      const struct vqsim_breakage *row)
{
	struct vqsim_driver *driver = &player->guest.queues[slot->queue];
	const struct vqsim_break_target target = {
		.driver = driver,
		.first = driver->is_packed ? slot->first : slot->head,
		.count = slot->count,
		.table_gpa = row->table ? slot->table_gpa : 0,
		.hole_gpa = PLAYER_HOLE_GPA,
		.edge_gpa = PLAYER_END_GPA,
	};
	struct placing before = placing_of(player, slot), after;

	vqsim_breakage_apply(row, &target);
	after = placing_of(player, slot);
	if (memcmp(&before, &after, sizeof(before)) != 0)
		skew(player, slot->queue);
}

void player_breakage(struct vqsim_player *player, const struct vqsim_op *op)
{
	const struct vqsim_breakage *row = &vqsim_breakages[op->value % vqsim_breakage_count];
	struct vqsim_op chain = {
		.code = VQSIM_OP_CHAIN,
		.queue = op->queue,
		.what = 1 + VQSIM_BLK_IN,
		.layout = row->table ? VQSIM_INDIRECT : VQSIM_DIRECT,
		.readable = 1,
		.writable = ROW_ELEMENTS - 1,
		.value = 16,
		.size = 65,
	};
	struct vqsim_player_slot *slot;

	if (!vqsim_breakage_applies(row, &player->guest))
		return;
	player_publish(player, op->queue);
	finish_shown(player);
	slot = player_chain_add(player, &chain);
	if (!slot)
		return;
	doubt(player, slot);
	player->last[op->queue] = NULL;
	slot->pending = false;
	vqsim_driver_publish(&player->guest.queues[op->queue]);
	tame_stale(player, slot->queue, slot);
	break_row(player, slot, row);
	show(player, op->queue);
}
