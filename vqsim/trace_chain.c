/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chains of VQSIM_OP_CHAIN. Both directions are cut evenly from an area:
 *
 *     area | ..start | piece | piece | piece |..slack |
 *
 * A piece that does not fit any more starts again at the beginning, so that a
 * chain can have more bytes than the memory behind it. All readable bytes have
 * the same value, so that this changes nothing of what a device reads.
 */
#include <endian.h>
#include <string.h>

#include "trace_internal.h"
#include "../devices/null/null.h"

#define OWN_READABLE 128u
#define OWN_WRITABLE 256u
#define LARGE_SIZE   4096u

/* Half of the window around a border of two regions. */
#define CROSSING_HALF 128u

/* More bytes than this are not looked at one by one. */
#define CHECKED_MAX 4096u

/* What is before the status is told from the status by this. */
#define STATUS_UNSET 0xff

/* The header of a block request. Written into the readable bytes of a raw chain. */
struct header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

static const uint32_t header_types[VQSIM_BLK_KIND_COUNT] = {
	[VQSIM_BLK_IN] = VIRTIO_BLK_T_IN,
	[VQSIM_BLK_OUT] = VIRTIO_BLK_T_OUT,
	[VQSIM_BLK_FLUSH] = VIRTIO_BLK_T_FLUSH,
	[VQSIM_BLK_GET_ID] = VIRTIO_BLK_T_GET_ID,
	[VQSIM_BLK_DISCARD] = VIRTIO_BLK_T_DISCARD,
	[VQSIM_BLK_WRITE_ZEROES] = VIRTIO_BLK_T_WRITE_ZEROES,
	[VQSIM_BLK_UNKNOWN] = 0x7f,
};

static void own_memory(struct vqsim_player *player, struct vqsim_player_slot *slot)
{
	struct vqsim_memory *memory = &player->memory;

	if (slot->ready)
		return;
	slot->own[0] = (struct vqsim_player_area){.size = OWN_READABLE};
	slot->own[1] = (struct vqsim_player_area){.size = OWN_WRITABLE};
	slot->own[0].gpa = vqsim_memory_alloc_in(memory, 0, OWN_READABLE, 8);
	slot->own[1].gpa = vqsim_memory_alloc_in(memory, 0, OWN_WRITABLE, 8);
	slot->table_gpa = vqsim_memory_alloc_in(memory, 0, VQSIM_PLAYER_ELEMENTS * 16, 16);
	slot->ready = true;
}

static struct vqsim_player_slot *slot_find(struct vqsim_player *player)
{
	for (unsigned i = 0; i < VQSIM_PLAYER_SLOTS; i++)
		if (!player->slots[i].busy)
			return &player->slots[i];
	return NULL;
}

/* One chain at a time in each of the places that are not a chain's own. */
static uint8_t place_choose(const struct vqsim_player *player, uint8_t wanted)
{
	for (unsigned i = 0; i < VQSIM_PLAYER_SLOTS; i++)
		if (player->slots[i].busy && player->slots[i].place == wanted)
			return VQSIM_OWN;
	return wanted % VQSIM_PLACE_COUNT;
}

static struct vqsim_player_area area_crossing(uint64_t border, uint32_t total)
{
	uint32_t half = total / 2 < CROSSING_HALF ? total / 2 : CROSSING_HALF;

	return (struct vqsim_player_area){
		.gpa = border - CROSSING_HALF,
		.size = 2 * CROSSING_HALF,
		.start = CROSSING_HALF - half,
	};
}

/* The last bytes of the last region; total of them if they fit. */
static struct vqsim_player_area area_edge(uint32_t total, uint32_t size, uint32_t from_end)
{
	struct vqsim_player_area area = {.gpa = PLAYER_END_GPA - from_end - size, .size = size};

	area.start = total < size ? size - total : 0;
	return area;
}

static void areas_choose(struct vqsim_player_slot *slot)
{
	slot->area[0] = slot->own[0];
	slot->area[1] = slot->own[1];
	switch (slot->place) {
	case VQSIM_CROSSING:
		slot->area[0] = area_crossing(PLAYER_MIDDLE_GPA, slot->readable_size);
		slot->area[1] = area_crossing(PLAYER_EAST_GPA, slot->writable_size);
		break;
	case VQSIM_EDGE:
		/* Only one direction can be last. */
		slot->area[0] = area_edge(slot->readable_size, OWN_READABLE, OWN_WRITABLE);
		slot->area[1] = area_edge(slot->writable_size, OWN_WRITABLE, 0);
		break;
	case VQSIM_LARGE:
		slot->area[0] = (struct vqsim_player_area){
			.gpa = PLAYER_EAST_GPA + 1024,
			.size = LARGE_SIZE,
		};
		slot->area[1] = (struct vqsim_player_area){
			.gpa = PLAYER_EAST_GPA + 1024 + LARGE_SIZE,
			.size = LARGE_SIZE,
		};
		break;
	}
}

/* Cut total bytes into count elements. Returns the bytes that they have. */
static uint32_t elements_lay(struct vqsim_element *elements, unsigned count, uint32_t total,
			     const struct vqsim_player_area *area, bool write)
{
	uint32_t offset = area->start, sum = 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t len = i + 1 < count ? total / count : total - total / count * (count - 1);

		if (len > area->size)
			len = area->size;
		if (offset + len > area->size)
			offset = 0;
		elements[i] = (struct vqsim_element){
			.gpa = area->gpa + offset,
			.len = len,
			.write = write,
		};
		offset += len;
		sum += len;
	}
	return sum;
}

static void shape(const struct vqsim_player *player, struct vqsim_player_slot *slot,
		  const struct vqsim_op *op)
{
	unsigned readable = op->readable, writable = op->writable;

	if (readable > VQSIM_PLAYER_ELEMENTS)
		readable = VQSIM_PLAYER_ELEMENTS;
	if (writable > VQSIM_PLAYER_ELEMENTS - readable)
		writable = VQSIM_PLAYER_ELEMENTS - readable;
	if (readable + writable == 0)
		readable = 1;
	slot->readable_count = (uint16_t)readable;
	slot->count = (uint16_t)(readable + writable);
	slot->place = place_choose(player, op->place);
	slot->readable_size = (uint32_t)(op->value & 0xfffff);
	slot->writable_size = op->size & 0xfffff;
	areas_choose(slot);
	slot->readable_size =
		elements_lay(slot->elements, readable, slot->readable_size, &slot->area[0], false);
	slot->writable_size = elements_lay(slot->elements + readable, writable, slot->writable_size,
					   &slot->area[1], true);
}

/* Bytes of an area, wherever the regions that it crosses are. */
static void area_set(struct vqsim_player *player, uint64_t gpa, uint32_t size, uint8_t value)
{
	for (uint32_t i = 0; i < size; i++)
		*(uint8_t *)vqsim_memory_at(&player->memory, gpa + i, 1) = value;
}

static void area_fill(struct vqsim_player *player, const struct vqsim_player_area *area,
		      uint8_t value)
{
	void *bytes = vqsim_memory_find(&player->memory, area->gpa, area->size);

	if (bytes)
		memset(bytes, value, area->size);
	else
		area_set(player, area->gpa, area->size, value);
}

/* The header goes over the first readable bytes, in as many pieces as they are. */
static void header_write(struct vqsim_player *player, const struct vqsim_player_slot *slot,
			 const struct vqsim_op *op)
{
	struct header header = {
		.type = htole32(header_types[(op->what - 1u) % VQSIM_BLK_KIND_COUNT]),
		.sector = htole64(op->count),
	};
	const uint8_t *bytes = (const uint8_t *)&header;
	uint32_t done = 0;

	for (unsigned i = 0; i < slot->readable_count && done < sizeof(header); i++)
		for (uint32_t j = 0; j < slot->elements[i].len && done < sizeof(header); j++)
			area_set(player, slot->elements[i].gpa + j, 1, bytes[done++]);
}

static uint8_t byte_at(const struct vqsim_player *player, uint64_t gpa)
{
	return *(const uint8_t *)vqsim_memory_at(&player->memory, gpa, 1);
}

/* The number of bytes from gpa on, up to size, that are value, value + step and so on. */
static uint32_t bytes_good(const struct vqsim_player *player, uint64_t gpa, uint32_t size,
			   uint8_t value, uint8_t step)
{
	const uint8_t *bytes = vqsim_memory_find(&player->memory, gpa, size);
	uint32_t i = 0;

	if (bytes)
		while (i < size && bytes[i] == (uint8_t)(value + i * step))
			i++;
	else
		while (i < size && byte_at(player, gpa + i) == (uint8_t)(value + i * step))
			i++;
	return i;
}

/* Buffers of a chain that was lost with its queue are the driver's again (2.6.1). */
static void check_lost(struct vqsim_player *player, struct vqsim_player_slot *slot)
{
	uint32_t good;

	if (slot->lost && !player->dirty) {
		good = bytes_good(player, slot->own[1].gpa, OWN_WRITABLE, PLAYER_LOST, 0);
		if (good < OWN_WRITABLE)
			vqsim_referee_violation(&player->referee, VQSIM_RULE_QUEUE_RESET_USED,
						slot->queue,
						"byte %u of a buffer was written after the reset "
						"of its queue",
						good);
	}
	slot->lost = false;
}

static uint64_t status_gpa(const struct vqsim_player_slot *slot)
{
	unsigned last = slot->count - 1u;

	while (slot->elements[last].len == 0)
		last--;
	return slot->elements[last].gpa + slot->elements[last].len - 1;
}

static void content_prepare(struct vqsim_player *player, struct vqsim_player_slot *slot,
			    const struct vqsim_op *op)
{
	check_lost(player, slot);
	slot->fill = (uint8_t)(0x84 + 8 * (slot - player->slots));
	area_fill(player, &slot->area[0], slot->fill);
	area_fill(player, &slot->area[1], PLAYER_PREFILL);
	if (player->store && op->what)
		header_write(player, slot, op);
	if (slot->writable_size > 0)
		area_set(player, status_gpa(slot), 1, STATUS_UNSET);
}

static uint16_t direct_count(const struct vqsim_player *player,
			     const struct vqsim_player_slot *slot, uint8_t layout)
{
	if (!(player->guest.features & VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)))
		return slot->count;
	/* A pointer to a table that was used may be taken for a buffer (trace_break.c). */
	if (player->packed && player->skewed)
		return slot->count;
	if (layout % VQSIM_LAYOUT_COUNT == VQSIM_INDIRECT)
		return 0;
	if (layout % VQSIM_LAYOUT_COUNT == VQSIM_MIXED && slot->count > 1)
		return player->packed ? 0 : 1;
	return slot->count;
}

struct vqsim_player_slot *player_chain_add(struct vqsim_player *player, const struct vqsim_op *op)
{
	struct vqsim_player_slot *slot = slot_find(player);
	uint16_t first = (uint16_t)player->guest.queues[op->queue].avail_index;
	struct vqsim_chain chain;
	int head;

	if (!slot || player_blk_busy(player))
		return NULL;
	own_memory(player, slot);
	shape(player, slot, op);
	chain = (struct vqsim_chain){
		.elements = slot->elements,
		.count = slot->count,
		.direct = direct_count(player, slot, op->layout),
		.table_gpa = slot->table_gpa,
	};
	head = vqsim_guest_add(&player->guest, op->queue, &chain, slot);
	if (head < 0)
		return NULL;
	content_prepare(player, slot, op);
	slot->busy = slot->pending = true;
	slot->exact = !player->dirty;
	slot->queue = op->queue;
	slot->head = (uint16_t)head;
	slot->first = first;
	slot->ring_count = (uint16_t)(chain.direct + (chain.direct < chain.count));
	player->last[op->queue] = slot;
	if (player->store)
		player_blk_spoil(player);
	return slot;
}

/* The answer of a null device that fills (devices/null/null.h). */
static uint32_t null_len(const struct vqsim_player_slot *slot)
{
	if (slot->readable_size < NULL_HEADER_SIZE && slot->writable_size > 1)
		return 0;
	return slot->writable_size;
}

void player_chain_published(struct vqsim_player *player, uint16_t queue)
{
	player->last[queue] = NULL;
	for (unsigned i = 0; i < VQSIM_PLAYER_SLOTS; i++) {
		struct vqsim_player_slot *slot = &player->slots[i];

		if (!slot->busy || !slot->pending || slot->queue != queue)
			continue;
		slot->pending = false;
		if (player->dirty)
			slot->exact = false;
		else if (!player->store)
			vqsim_referee_expect_len(&player->referee, queue, slot->head,
						 null_len(slot));
	}
}

/*
 * Every byte of the data counts on from the one that the header has. From the last piece to the
 * first: those that start again at the beginning of the area lie over those before them.
 */
static void check_filled(struct vqsim_player *player, const struct vqsim_player_slot *slot)
{
	uint64_t covered = 0; /* up to here by the rounds after this one */
	uint64_t round_end = 0, next = 0;
	uint32_t at = slot->writable_size;

	for (unsigned i = slot->count; i-- > slot->readable_count;) {
		const struct vqsim_element *e = &slot->elements[i];
		/* The last byte is the status. */
		uint32_t end = at == slot->writable_size && e->len > 0 ? e->len - 1 : e->len;
		uint32_t start = 0;

		if (e->gpa + e->len > next) {
			covered = round_end > covered ? round_end : covered;
			round_end = e->gpa + e->len;
		}
		next = e->gpa;
		at -= e->len;
		if (covered > e->gpa)
			start = covered - e->gpa < end ? (uint32_t)(covered - e->gpa) : end;
		start += bytes_good(player, e->gpa + start, end - start,
				    (uint8_t)(slot->fill + at + start), 1);
		if (start < end) {
			vqsim_referee_violation(&player->referee, VQSIM_RULE_DATA, slot->queue,
						"byte %u of descriptor %u was not filled", start,
						i);
			return;
		}
	}
}

/* What follows the last piece in its area belongs to nobody. */
static void check_slack(struct vqsim_player *player, const struct vqsim_player_slot *slot)
{
	const struct vqsim_player_area *area = &slot->area[1];
	uint32_t end = area->start + slot->writable_size;
	uint32_t good;

	if (end >= area->size)
		return;
	good = bytes_good(player, area->gpa + end, area->size - end, PLAYER_PREFILL, 0);
	if (good < area->size - end)
		vqsim_referee_violation(&player->referee, VQSIM_RULE_FOOTPRINT, slot->queue,
					"byte %u behind the chain with head %u was written", good,
					slot->head);
}

static void check_status(struct vqsim_player *player, const struct vqsim_player_slot *slot)
{
	uint8_t status = byte_at(player, status_gpa(slot));
	uint8_t most = VIRTIO_BLK_S_UNSUPP;

	if (!player->store)
		most = slot->readable_size < NULL_HEADER_SIZE ? NULL_STATUS_BAD_HEADER
							      : NULL_STATUS_OK;
	if (status > most)
		vqsim_referee_violation(&player->referee, VQSIM_RULE_STATUS, slot->queue,
					"status %u of the chain with head %u", status, slot->head);
}

static void check_answer(struct vqsim_player *player, const struct vqsim_player_slot *slot)
{
	if (!slot->exact || player->dirty || slot->writable_size == 0)
		return;
	check_status(player, slot);
	if (slot->writable_size > CHECKED_MAX)
		return;
	check_slack(player, slot);
	if (!player->store && slot->readable_size >= NULL_HEADER_SIZE)
		check_filled(player, slot);
}

void player_chain_reap(struct vqsim_player *player, uint16_t queue)
{
	struct vqsim_used used;
	enum vqsim_reap reap;

	while ((reap = vqsim_guest_reap(&player->guest, queue, &used)) != VQSIM_REAP_NOTHING) {
		struct vqsim_player_slot *slot = used.token;

		if (reap == VQSIM_REAP_BOGUS)
			continue;
		check_answer(player, slot);
		slot->busy = false;
		player->counts.completed++;
	}
}

/* Nobody is to write there: that is seen when the slot is used again, or at the reset. */
static void lose(struct vqsim_player *player, struct vqsim_player_slot *slot)
{
	slot->busy = slot->pending = false;
	area_fill(player, &slot->own[1], PLAYER_LOST);
	slot->lost = true;
}

void player_chain_lose(struct vqsim_player *player, uint16_t queue)
{
	player->last[queue] = NULL;
	for (unsigned i = 0; i < VQSIM_PLAYER_SLOTS; i++)
		if (player->slots[i].busy && player->slots[i].queue == queue)
			lose(player, &player->slots[i]);
}

void player_chain_forget(struct vqsim_player *player)
{
	for (unsigned i = 0; i < VQSIM_PLAYER_SLOTS; i++) {
		check_lost(player, &player->slots[i]);
		player->slots[i].busy = false;
		player->slots[i].ready = false;
	}
	memset(player->last, 0, sizeof(player->last));
}
