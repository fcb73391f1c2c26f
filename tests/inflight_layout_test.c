/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands in an inflight area, field by field: where the vhost-user protocol puts it, what a
 * queue writes there when it takes and uses chains, and how large the area is.
 */
#include <endian.h>

#include "tests/support/inflight_queue.h"

/* The protocol gives structures, so a compiler's offsets for them are what everybody uses. */
static void fields_are_where_the_protocol_puts_them(void **state)
{
	static const struct {
		size_t ours, offset;
	} rows[] = {
		{offsetof(struct inflight_split, features), 0},
		{offsetof(struct inflight_split, version), 8},
		{offsetof(struct inflight_split, desc_num), 10},
		{offsetof(struct inflight_split, last_batch_head), 12},
		{offsetof(struct inflight_split, used_idx), 14},
		{sizeof(struct inflight_split), 16},

		{offsetof(struct inflight_split_entry, inflight), 0},
		{offsetof(struct inflight_split_entry, next), 6},
		{offsetof(struct inflight_split_entry, counter), 8},
		{sizeof(struct inflight_split_entry), 16},

		{offsetof(struct inflight_packed, features), 0},
		{offsetof(struct inflight_packed, version), 8},
		{offsetof(struct inflight_packed, desc_num), 10},
		{offsetof(struct inflight_packed, free_head), 12},
		{offsetof(struct inflight_packed, old_free_head), 14},
		{offsetof(struct inflight_packed, position.used_idx), 16},
		{offsetof(struct inflight_packed, position.old_used_idx), 18},
		{offsetof(struct inflight_packed, position.used_wrap_counter), 20},
		{offsetof(struct inflight_packed, position.old_used_wrap_counter), 21},
		{sizeof(struct inflight_packed), 32},

		{offsetof(struct inflight_packed_entry, inflight), 0},
		{offsetof(struct inflight_packed_entry, next), 2},
		{offsetof(struct inflight_packed_entry, last), 4},
		{offsetof(struct inflight_packed_entry, num), 6},
		{offsetof(struct inflight_packed_entry, counter), 8},
		{offsetof(struct inflight_packed_entry, id), 16},
		{offsetof(struct inflight_packed_entry, flags), 18},
		{offsetof(struct inflight_packed_entry, len), 20},
		{offsetof(struct inflight_packed_entry, addr), 24},
		{sizeof(struct inflight_packed_entry), 32},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(rows[i].ours, rows[i].offset);
}

/* Of a queue of that size, in the files that DPDK and libvhost-user make. */
static void area_is_as_large_as_others_make_it(void **state)
{
	static const struct {
		uint16_t size;
		size_t split, packed;
	} rows[] = {
		{1, 64, 64},
		{2, 64, 128},
		{3, 64, 128},
		{4, 128, 192},
		{5, 128, 192},
		{7, 128, 256},
		{8, 192, 320},
		{128, 2112, 4160},
		{256, 4160, 8256},
		{1024, 16448, 32832},
		{32768, 524352, 1048640},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(inflight_area_size(false, rows[i].size), rows[i].split);
		assert_int_equal(inflight_area_size(true, rows[i].size), rows[i].packed);
	}
}

static void split_area_is_begun_at_the_start(void **state)
{
	const struct virtio_queue_state at = {.avail_index = 7, .used_index = 7};
	struct inflight_queue *q = *state;

	inflight_queue_boot(q, 4, 0);
	memset(q->area, 0xee, q->area_size);
	inflight_forget(q->area);
	assert_int_equal(inflight_queue_start_at(q, at), 0);
	assert_int_equal(q->split->features, 0);
	assert_int_equal(q->split->version, 1);
	assert_int_equal(q->split->desc_num, 4);
	assert_int_equal(q->split->used_idx, 7);
	for (uint16_t i = 0; i < 4; i++)
		assert_int_equal(inflight_queue_split(q, i)->inflight, 0);
}

static void split_chain_is_noted_from_the_pop_to_the_publish(void **state)
{
	struct inflight_queue *q = *state;
	struct virtqueue_chain *chains[3];
	uint16_t heads[3];

	inflight_queue_boot(q, 4, 0);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 3; i++)
		heads[i] = inflight_queue_expose(q, 1);
	assert_int_equal(inflight_queue_split(q, heads[0])->inflight, 0);
	for (unsigned i = 0; i < 3; i++) {
		chains[i] = inflight_queue_pop(q);
		assert_int_equal(inflight_queue_split(q, heads[i])->inflight, 1);
		assert_int_equal(inflight_queue_split(q, heads[i])->counter, i);
	}
	virtqueue_push(q->vq, chains[2], 16);
	virtqueue_push(q->vq, chains[0], 16);
	/* Neither ring nor area says more than before. */
	assert_int_equal(inflight_queue_split(q, heads[2])->inflight, 1);
	assert_int_equal(q->split->used_idx, 0);
	virtqueue_publish(q->vq);
	assert_int_equal(inflight_queue_split(q, heads[0])->inflight, 0);
	assert_int_equal(inflight_queue_split(q, heads[1])->inflight, 1);
	assert_int_equal(inflight_queue_split(q, heads[2])->inflight, 0);
	assert_int_equal(q->split->last_batch_head, heads[0]);
	assert_int_equal(inflight_queue_split(q, heads[0])->next, heads[2]);
	assert_int_equal(q->split->used_idx, 2);
	virtqueue_push(q->vq, chains[1], 16);
	virtqueue_publish(q->vq);
	assert_int_equal(q->split->last_batch_head, heads[1]);
	assert_int_equal(inflight_queue_split(q, heads[1])->next, heads[0]);
	assert_int_equal(q->split->used_idx, 3);
}

static void packed_area_is_begun_at_the_start(void **state)
{
	const struct virtio_queue_state at = {.avail_index = 2, .used_index = 2};
	struct inflight_queue *q = *state;

	inflight_queue_boot(q, 3, PACKED);
	memset(q->area, 0xee, q->area_size);
	inflight_forget(q->area);
	assert_int_equal(inflight_queue_start_at(q, at), 0);
	assert_int_equal(q->packed->features, 0);
	assert_int_equal(q->packed->version, 1);
	assert_int_equal(q->packed->desc_num, 3);
	assert_int_equal(q->packed->free_head, 0);
	assert_int_equal(q->packed->old_free_head, 0);
	assert_int_equal(q->packed->position.used_idx, 2);
	assert_int_equal(q->packed->position.old_used_idx, 2);
	assert_int_equal(q->packed->position.used_wrap_counter, 0);
	assert_int_equal(q->packed->position.old_used_wrap_counter, 0);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(inflight_queue_packed(q, i)->inflight, 0);
		assert_int_equal(inflight_queue_packed(q, i)->next, i + 1);
	}
}

/* Entry number index is a copy of descriptor number slot. */
static void assert_copied(struct inflight_queue *q, uint16_t index, uint16_t slot)
{
	const struct inflight_packed_entry *entry = inflight_queue_packed(q, index);
	const struct vring_packed_desc *desc = &q->driver.packed.desc[slot];

	assert_int_equal(entry->addr, desc->addr);
	assert_int_equal(entry->len, desc->len);
	assert_int_equal(entry->id, desc->id);
	assert_int_equal(entry->flags, desc->flags);
}

static void packed_chain_is_noted_from_the_pop_to_the_publish(void **state)
{
	struct inflight_queue *q = *state;
	struct virtqueue_chain *two, *one;

	inflight_queue_boot(q, 4, PACKED);
	inflight_queue_start(q);
	inflight_queue_expose(q, 2);
	inflight_queue_expose(q, 1);
	two = inflight_queue_pop(q);
	assert_int_equal(inflight_queue_packed(q, 0)->inflight, 1);
	assert_int_equal(inflight_queue_packed(q, 0)->num, 2);
	assert_int_equal(inflight_queue_packed(q, 0)->last, 1);
	assert_int_equal(inflight_queue_packed(q, 0)->counter, 0);
	assert_copied(q, 0, 0);
	assert_copied(q, 1, 1);
	assert_int_equal(q->packed->free_head, 2);
	assert_int_equal(q->packed->old_free_head, 2);
	one = inflight_queue_pop(q);
	assert_int_equal(inflight_queue_packed(q, 2)->inflight, 1);
	assert_int_equal(inflight_queue_packed(q, 2)->num, 1);
	assert_int_equal(inflight_queue_packed(q, 2)->last, 2);
	assert_int_equal(inflight_queue_packed(q, 2)->counter, 1);
	assert_copied(q, 2, 2);

	virtqueue_push(q->vq, one, 16);
	assert_int_equal(inflight_queue_packed(q, 2)->inflight, 1);
	assert_int_equal(q->packed->position.used_idx, 0);
	virtqueue_publish(q->vq);
	assert_int_equal(inflight_queue_packed(q, 2)->inflight, 0);
	assert_int_equal(q->packed->free_head, 2);
	assert_int_equal(q->packed->old_free_head, 2);
	assert_int_equal(inflight_queue_packed(q, 2)->next, 3);
	assert_int_equal(q->packed->position.used_idx, 1);
	assert_int_equal(q->packed->position.old_used_idx, 1);

	virtqueue_push(q->vq, two, 32);
	virtqueue_publish(q->vq);
	assert_int_equal(inflight_queue_packed(q, 0)->inflight, 0);
	assert_int_equal(q->packed->free_head, 0);
	assert_int_equal(inflight_queue_packed(q, 1)->next, 2);
	assert_int_equal(q->packed->position.used_idx, 3);
	assert_int_equal(q->packed->position.used_wrap_counter, 1);
}

static void packed_position_takes_its_wrap_counter_along(void **state)
{
	struct inflight_queue *q = *state;

	inflight_queue_boot(q, 3, PACKED);
	inflight_queue_start(q);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t name = inflight_queue_expose(q, 2);

		virtqueue_push(q->vq, inflight_queue_pop(q), 0);
		virtqueue_publish(q->vq);
		inflight_queue_reap(q, name);
	}
	assert_int_equal(q->packed->position.used_idx, 1);
	assert_int_equal(q->packed->position.old_used_idx, 1);
	assert_int_equal(q->packed->position.used_wrap_counter, 0);
	assert_int_equal(q->packed->position.old_used_wrap_counter, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, inflight_queue_setup, inflight_queue_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_where_the_protocol_puts_them),
		cmocka_unit_test(area_is_as_large_as_others_make_it),
		TEST(split_area_is_begun_at_the_start),
		TEST(split_chain_is_noted_from_the_pop_to_the_publish),
		TEST(packed_area_is_begun_at_the_start),
		TEST(packed_chain_is_noted_from_the_pop_to_the_publish),
		TEST(packed_position_takes_its_wrap_counter_along),
	};

	return cmocka_run_group_tests_name("inflight_layout_test", tests, NULL, NULL);
}
