/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that write where they must not, read what they must not, or write bytes in the
 * wrong order.
 */
#include <endian.h>
#include <string.h>

#include "suite_wrong.h"
#include "wrong_chain.h"

extern const struct vqsim_wrong suite_wrong_memory[];

static const struct virtio_queue_setup *setup_of(const struct wrong_chain *chain)
{
	return &chain->wrap->setups[chain->queue];
}

/* Buffers */

static void mark_header(struct wrong_chain *chain)
{
	chain->elements[0].bytes[0]++;
}

static void mark_end_of_readable(struct wrong_chain *chain)
{
	const struct wrong_element *last = &chain->elements[chain->readable - 1];

	last->bytes[last->size - 1]++;
}

static void look_at_status(struct wrong_chain *chain)
{
	chain->kept = *chain->status;
}

static void status_if_unset(struct wrong_chain *chain)
{
	if (chain->kept != 0xff)
		*chain->status = (uint8_t)chain->kept;
}

static void error_if_set(struct wrong_chain *chain)
{
	if (*chain->status != 0 && chain->kept == 0x5a)
		*chain->status = 1;
}

static void look_at_data(struct wrong_chain *chain)
{
	chain->kept = chain->elements[chain->readable].bytes[0];
}

static void add_to_data(struct wrong_chain *chain)
{
	chain->elements[chain->readable].bytes[0] |= chain->kept;
}

/* Of the used entry or descriptor. */
static uint32_t used_len(const struct wrong_chain *chain)
{
	uint32_t len;

	memcpy(&len, chain->used + (chain->packed ? 8 : 4), sizeof(len));
	return le32toh(len);
}

static void set_used_len(struct wrong_chain *chain, uint32_t len)
{
	uint32_t raw = htole32(len);

	memcpy(chain->used + (chain->packed ? 8 : 4), &raw, sizeof(raw));
}

/* What is 0 already need not be counted. */
static void count_what_changed(struct wrong_chain *chain)
{
	if (chain->kept == 0 && used_len(chain) > 0)
		set_used_len(chain, used_len(chain) - 1);
}

/* Descriptors and driver area */

static void clear_len(const struct wrong_chain *chain, uint8_t *at)
{
	struct wrong_desc desc = wrong_desc_get(chain, at);

	desc.len = 0;
	wrong_desc_put(chain, at, &desc);
}

static void mark_head(struct wrong_chain *chain)
{
	if (!chain->packed)
		clear_len(chain, chain->ring[0]);
}

static void mark_last_of_ring(struct wrong_chain *chain)
{
	uint64_t last = setup_of(chain)->desc_gpa + 16 * (setup_of(chain)->size - UINT64_C(1));
	uint8_t *at = wrong_wrap_at(chain->wrap, last, 16);

	if (!chain->packed)
		at[14]++;
}

static void mark_table(struct wrong_chain *chain)
{
	if (chain->table)
		clear_len(chain, chain->table);
}

static void mark_behind_table(struct wrong_chain *chain)
{
	if (chain->table)
		chain->table[16 * (size_t)chain->entries]++;
}

static void mark_driver_area(struct wrong_chain *chain)
{
	uint8_t *area = wrong_wrap_at(chain->wrap, setup_of(chain)->driver_gpa, 4);

	area[0] ^= 1;
}

static void mark_avail_slot(struct wrong_chain *chain)
{
	uint8_t *area = wrong_wrap_at(chain->wrap, setup_of(chain)->driver_gpa, 6);

	if (!chain->packed)
		area[4] = 0xff;
}

static void mark_used_event(struct wrong_chain *chain)
{
	uint64_t offset = 4 + 2 * (uint64_t)setup_of(chain)->size;
	uint8_t *area = wrong_wrap_at(chain->wrap, setup_of(chain)->driver_gpa, offset + 2);

	if (!chain->packed)
		area[offset]++;
}

static uint8_t *avail_event(const struct wrong_chain *chain)
{
	uint64_t offset = 4 + 8 * (uint64_t)setup_of(chain)->size;
	uint8_t *ring = wrong_wrap_at(chain->wrap, setup_of(chain)->device_gpa, offset + 2);

	return ring + offset;
}

static void move_avail_event(struct wrong_chain *chain)
{
	if (!chain->packed)
		avail_event(chain)[0]++;
}

/* Used descriptors: calls is the slot of the last one, plus 1. */

static void revise_last(struct wrong_wrap *wrap, uint16_t queue)
{
	uint64_t gpa = wrap->setups[queue].desc_gpa + 16 * (wrap->calls - UINT64_C(1));
	uint8_t *desc = wrong_wrap_at(wrap, gpa, 16);

	desc[8]++;
}

static void remember_slot(struct wrong_chain *chain)
{
	uint8_t *ring = wrong_wrap_at(chain->wrap, setup_of(chain)->desc_gpa, 16);

	chain->wrap->calls = 1 + (unsigned)(chain->used - ring) / 16;
}

static void revise(struct wrong_chain *chain)
{
	if (chain->wrap->calls)
		revise_last(chain->wrap, chain->queue);
	chain->wrap->calls = 0;
}

/* What was used last is written again when there is nothing to do. */
static enum virtio_progress revise_when_idle(struct virtio_device *dev, uint16_t index,
					     uint32_t budget)
{
	static struct wrong_chain chain;
	struct wrong_wrap *wrap = wrong_wrap_of(dev);

	if (wrong_chain_gather(wrap, index, &chain, 1) == 0 && wrap->calls)
		revise_last(wrap, index);
	return wrong_chain_progress(dev, index, budget);
}

/* Bytes */

static void swap_bytes(uint8_t *bytes, unsigned size)
{
	for (unsigned i = 0; i < size / 2; i++) {
		uint8_t byte = bytes[i];

		bytes[i] = bytes[size - 1 - i];
		bytes[size - 1 - i] = byte;
	}
}

static void swap_id(struct wrong_chain *chain)
{
	if (chain->packed)
		swap_bytes(chain->used + 12, 2);
	else
		swap_bytes(chain->used, 4);
}

static void swap_len(struct wrong_chain *chain)
{
	swap_bytes(chain->used + (chain->packed ? 8 : 4), 4);
}

/* What it says is the available index. */
static void big_endian_event(struct wrong_chain *chain)
{
	const uint8_t *avail = wrong_wrap_at(chain->wrap, setup_of(chain)->driver_gpa, 4);

	if (chain->packed || !(chain->wrap->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)))
		return;
	avail_event(chain)[0] = avail[3];
	avail_event(chain)[1] = avail[2];
}

/* id and flags change places; and in a split ring id and len. */
static void swap_fields(struct wrong_chain *chain)
{
	uint8_t *first = chain->packed ? chain->used + 12 : chain->used, kept[4];
	unsigned size = chain->packed ? 2 : 4;

	memcpy(kept, first, size);
	memcpy(first, first + size, size);
	memcpy(first + size, kept, size);
}

/* The same hook on both formats: the clause of the one and of the other. */
#define BOTH(name, split_clause, packed_clause, words, ...)                               \
	{.test = name, CHAIN_HOOKS(__VA_ARGS__), .clause = split_clause, .wrong = words}, \
	{                                                                                 \
		.test = name, CHAIN_HOOKS(__VA_ARGS__), .clause = packed_clause,          \
		.wrong = words " (packed)"                                                \
	}

const struct vqsim_wrong suite_wrong_memory[] = {
	BOTH("memory_readable_stays", "SPLIT-D-03", "PACKED-D-04", "a header is marked as done",
	     .after = mark_header),
	BOTH("memory_readable_stays", "SPLIT-D-03", "PACKED-D-04", "the end of a header changes",
	     .after = mark_end_of_readable),
	BOTH("memory_out_data_stays", "SPLIT-D-03", "PACKED-D-04", "the end of the data changes",
	     .after = mark_end_of_readable),
	BOTH("memory_writable_is_not_read", "SPLIT-D-04", "PACKED-D-05",
	     "the status goes only where 0xff is", .before = look_at_status,
	     .after = status_if_unset),
	BOTH("memory_writable_is_not_read", "SPLIT-D-04", "PACKED-D-05",
	     "another error where 0x5a is", .before = look_at_status, .after = error_if_set),
	BOTH("memory_writable_is_not_read", "SPLIT-D-04", "PACKED-D-05",
	     "bits are only set in the data", .before = look_at_data, .after = add_to_data),
	BOTH("memory_writable_is_not_read", "SPLIT-D-04", "PACKED-D-05",
	     "what was 0 before is not counted", .before = look_at_data,
	     .after = count_what_changed),
	{.test = "memory_tables_stay",
	 CHAIN_AFTER(mark_head),
	 .clause = "SPLIT-D-06",
	 .wrong = "the head is marked as done"},
	{.test = "memory_tables_stay",
	 CHAIN_AFTER(mark_last_of_ring),
	 .clause = "SPLIT-D-06",
	 .wrong = "a descriptor that nobody exposed"},
	BOTH("memory_tables_stay", "SPLIT-D-06", "PACKED-DX-11", "a table is marked as done",
	     .after = mark_table),
	BOTH("memory_tables_stay", "SPLIT-D-06", "PACKED-DX-11", "an entry behind the table",
	     .after = mark_behind_table),
	BOTH("memory_driver_area_stays", "SPLIT-DX-05", "PACKED-DX-02", "the first byte changes",
	     .after = mark_driver_area),
	{.test = "memory_driver_area_stays",
	 CHAIN_AFTER(mark_avail_slot),
	 .clause = "SPLIT-DX-05",
	 .wrong = "a slot is marked as taken"},
	{.test = "memory_driver_area_stays",
	 CHAIN_AFTER(mark_used_event),
	 .clause = "SPLIT-DX-05",
	 .wrong = "used_event moves"},
	{.test = "memory_avail_event_stays",
	 CHAIN_AFTER(move_avail_event),
	 .clause = "SPLIT-DX-12",
	 .wrong = "avail_event moves"},
	{.test = "memory_used_stays_used",
	 CHAIN_HOOKS(.before = revise, .after = remember_slot),
	 .clause = "PACKED-D-07",
	 .wrong = "a length is revised with the next one"},
	{.test = "memory_used_stays_used",
	 .wrap_device = wrong_wrap_create,
	 .how =
		 &(const struct wrong_bend){
			 .ops = {.progress = revise_when_idle},
			 .how = &(const struct wrong_chain_hooks){.after = remember_slot}},
	 .clause = "PACKED-D-07",
	 .wrong = "a length is revised later"},
	BOTH("bytes_are_little_endian", "SPLIT-DX-10", "PACKED-DX-19", "a big-endian id",
	     .after = swap_id),
	BOTH("bytes_are_little_endian", "SPLIT-DX-10", "PACKED-DX-19", "a big-endian length",
	     .after = swap_len),
	BOTH("bytes_are_little_endian", "SPLIT-DX-10", "PACKED-DX-19", "fields in another order",
	     .after = swap_fields),
	{.test = "bytes_are_little_endian",
	 CHAIN_AFTER(big_endian_event),
	 .clause = "SPLIT-DX-10",
	 .wrong = "a big-endian avail_event"},
	{.test = NULL},
};
