/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a virtqueue by itself: a device that keeps chains as long as
 * the test wants, under a transport that knows more memory than it tells.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtqueue.h"
#include "vqsim/driver.h"

#define BASE   UINT64_C(0x100000)
#define HIDDEN UINT64_C(0x800000)
#define SIZE   (256 * 1024)

struct bench {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
	struct virtio_device dev;
	struct virtqueue *vq;
	unsigned asked; /* calls of memory_missing */
	int answer;     /* what it returns */
	bool lie;       /* says 0 and adds nothing */
};

static int memory_missing(void *transport, uint64_t gpa, uint64_t size, bool write)
{
	struct bench *b = transport;

	(void)size;
	(void)write;
	b->asked++;
	if (b->answer == 0 && !b->lie && gpa >= HIDDEN)
		assert_int_equal(vqsim_memory_expose(&b->memory, 1), 0);
	return b->answer;
}

static const struct virtio_transport_ops transport_ops = {.memory_missing = memory_missing};

static void start(struct bench *b, uint16_t size, uint64_t features)
{
	assert_int_equal(vqsim_driver_init(&b->driver, &b->memory, size, features), 0);
	assert_int_equal(virtqueue_start(b->vq, &b->driver.setup, features), 0);
}

static int set_up(void **state)
{
	static const struct vqsim_region regions[] = {{BASE, 4 * SIZE}, {HIDDEN, SIZE}};
	static struct bench b;

	memset(&b, 0, sizeof(b));
	*state = &b;
	if (vqsim_memory_init(&b.memory, regions, 2))
		return -1;
	virtio_device_attach(&b.dev, &transport_ops, &b, &b.memory.guest);
	b.vq = virtqueue_create(&b.dev);
	return b.vq ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	virtqueue_destroy(b->vq);
	vqsim_driver_finish(&b->driver);
	vqsim_memory_finish(&b->memory);
	return 0;
}

/* A chain of count writable buffers of 8 bytes each at gpa. */
static void expose(struct bench *b, uint64_t gpa, uint16_t count)
{
	static struct vqsim_element elements[256];
	struct vqsim_chain chain = {elements, count, count, 0};

	for (uint16_t i = 0; i < count; i++)
		elements[i] = (struct vqsim_element){gpa + 8 * (uint64_t)i, 8, true};
	assert_true(vqsim_driver_add(&b->driver, &chain, b) >= 0);
	vqsim_driver_publish(&b->driver);
}

static void memory_that_is_missing_is_asked_for_and_then_used(void **state)
{
	struct bench *b = *state;
	struct virtqueue_chain *chain;

	start(b, 16, 0);
	assert_int_equal(vqsim_memory_hide(&b->memory, 1), 0);
	expose(b, HIDDEN + 64, 2);
	chain = virtqueue_pop(b->vq);
	assert_non_null(chain);
	assert_int_equal(b->asked, 1);
	assert_int_equal(chain->writable_size, 16);
	memset(chain->iov[0].iov_base, 0x5a, 8);
	assert_memory_equal(vqsim_memory_at(&b->memory, HIDDEN + 64, 8), "ZZZZZZZZ", 8);
	virtqueue_push(b->vq, chain, 16);
}

static void memory_that_is_refused_breaks_the_queue(void **state)
{
	struct bench *b = *state;

	start(b, 16, 0);
	assert_int_equal(vqsim_memory_hide(&b->memory, 1), 0);
	b->answer = -EFAULT;
	expose(b, HIDDEN, 1);
	assert_null(virtqueue_pop(b->vq));
	assert_int_equal(virtqueue_broken(b->vq), VIRTQUEUE_FAULT_UNMAPPED);
	/* It is not asked again: a broken queue takes nothing. */
	assert_null(virtqueue_pop(b->vq));
	assert_int_equal(b->asked, 1);
}

static void transport_that_promises_memory_and_adds_none_is_not_asked_for_ever(void **state)
{
	struct bench *b = *state;

	start(b, 16, 0);
	assert_int_equal(vqsim_memory_hide(&b->memory, 1), 0);
	b->lie = true;
	expose(b, HIDDEN, 1);
	assert_null(virtqueue_pop(b->vq));
	assert_int_equal(virtqueue_broken(b->vq), VIRTQUEUE_FAULT_UNMAPPED);
	assert_int_equal(b->asked, 1);
}

/* 65 chains of 13 segments: more than there are large blocks, of one segment more than fits inline. */
static void long_chains_wait_for_a_block_and_are_not_lost(void **state)
{
	struct bench *b = *state;
	struct virtqueue_chain *chains[65];
	uint16_t count = 0;

	start(b, 1024, VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned i = 0; i < 65; i++)
		expose(b, BASE + 4 * SIZE - 4096, VIRTQUEUE_INLINE_SEGMENTS + 1);
	while (count < 65 && (chains[count] = virtqueue_pop(b->vq)) != NULL)
		count++;
	assert_int_equal(count, 64);
	assert_int_equal(virtqueue_in_flight(b->vq), 64);
	assert_int_equal(virtqueue_broken(b->vq), VIRTQUEUE_OK);
	/* What waits for a block is no reason to look again. */
	assert_false(virtqueue_enable_kicks(b->vq));
	virtqueue_push(b->vq, chains[10], 0);
	chains[10] = virtqueue_pop(b->vq);
	assert_non_null(chains[10]);
	assert_int_equal(chains[10]->writable_count, VIRTQUEUE_INLINE_SEGMENTS + 1);
	for (unsigned i = 0; i < 64; i++)
		virtqueue_push(b->vq, chains[i], 0);
	assert_int_equal(virtqueue_in_flight(b->vq), 0);
}

static void what_was_taken_before_a_fault_is_still_answered(void **state)
{
	struct bench *b = *state;
	struct virtqueue_chain *good;
	struct vqsim_used used;

	start(b, 16, 0);
	expose(b, BASE + 4 * SIZE - 4096, 1);
	expose(b, UINT64_MAX - 4, 1);
	good = virtqueue_pop(b->vq);
	assert_non_null(good);
	assert_null(virtqueue_pop(b->vq));
	assert_int_equal(virtqueue_broken(b->vq), VIRTQUEUE_FAULT_UNMAPPED);
	virtqueue_push(b->vq, good, 8);
	assert_true(virtqueue_publish(b->vq));
	assert_int_equal(vqsim_driver_reap(&b->driver, &used), VQSIM_REAP_USED);
	assert_int_equal(used.len, 8);
	assert_int_equal(vqsim_driver_reap(&b->driver, &used), VQSIM_REAP_NOTHING);
}

static void queue_resumes_where_it_stopped(void **state)
{
	struct bench *b = *state;
	struct virtio_queue_state at;
	struct virtio_queue_setup setup;
	struct vqsim_used used;

	start(b, 4, 0);
	for (unsigned i = 0; i < 70000; i++) {
		expose(b, BASE + 4 * SIZE - 4096, 1);
		if (i % 1000 == 999) {
			virtqueue_stop(b->vq, &at);
			assert_false(virtqueue_started(b->vq));
			assert_int_equal(at.avail_index, (uint16_t)i);
			assert_int_equal(at.used_index, (uint16_t)i);
			setup = b->driver.setup;
			setup.resume = at;
			assert_int_equal(virtqueue_start(b->vq, &setup, 0), 0);
		}
		virtqueue_push(b->vq, virtqueue_pop(b->vq), 8);
		virtqueue_publish(b->vq);
		assert_int_equal(vqsim_driver_reap(&b->driver, &used), VQSIM_REAP_USED);
	}
}

static void impossible_start_is_refused(void **state)
{
	struct bench *b = *state;
	struct virtio_queue_setup good, bad;

	assert_int_equal(vqsim_driver_init(&b->driver, &b->memory, 8, 0), 0);
	good = b->driver.setup;

	bad = good;
	bad.size = 0;
	assert_int_equal(virtqueue_start(b->vq, &bad, 0), -EINVAL);
	bad.size = 6;
	assert_int_equal(virtqueue_start(b->vq, &bad, 0), -EINVAL);
	bad = good;
	bad.resume.avail_index = 9;
	assert_int_equal(virtqueue_start(b->vq, &bad, 0), -EINVAL);
	bad = good;
	bad.desc_gpa += 8;
	assert_int_equal(virtqueue_start(b->vq, &bad, 0), -EINVAL);
	bad = good;
	bad.device_gpa = BASE + 4 * SIZE - 4;
	assert_int_equal(virtqueue_start(b->vq, &bad, 0), -EFAULT);
	assert_false(virtqueue_started(b->vq));
	assert_null(virtqueue_pop(b->vq));
	assert_false(virtqueue_publish(b->vq));
	assert_false(virtqueue_enable_kicks(b->vq));
	/* Taken by 8 and used by none: a transport that recovers them may start like this. */
	good.resume.avail_index = 8;
	assert_int_equal(virtqueue_start(b->vq, &good, 0), 0);
}

static void ring_that_goes_away_breaks_the_queue(void **state)
{
	struct bench *b = *state;
	struct virtqueue_chain *chain;

	start(b, 16, 0);
	expose(b, HIDDEN, 1);
	expose(b, HIDDEN, 1);
	chain = virtqueue_pop(b->vq);
	assert_non_null(chain);
	assert_int_equal(vqsim_memory_hide(&b->memory, 0), 0);
	assert_null(virtqueue_pop(b->vq));
	assert_int_equal(virtqueue_broken(b->vq), VIRTQUEUE_FAULT_RING_UNMAPPED);
	/* Nothing is written to a ring that is not there. */
	virtqueue_push(b->vq, chain, 8);
	assert_false(virtqueue_publish(b->vq));
	assert_int_equal(le16toh(b->driver.ring.used->idx), 0);
}

/* Its region goes away twice; what the chain was translated to stays until the push. */
static void chain_keeps_its_memory_over_changes_of_the_map(void **state)
{
	struct bench *b = *state;
	struct virtqueue_chain *chain;
	struct guest_map *first;

	start(b, 16, 0);
	expose(b, HIDDEN, 1);
	chain = virtqueue_pop(b->vq);
	assert_non_null(chain);
	first = guest_memory_acquire(&b->memory.guest);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vqsim_memory_hide(&b->memory, 1), 0);
		assert_null(virtqueue_pop(b->vq));
		assert_int_equal(vqsim_memory_expose(&b->memory, 1), 0);
		assert_null(virtqueue_pop(b->vq));
	}
	/* Ours and the chain's. */
	assert_int_equal(first->refs, 2);
	virtqueue_push(b->vq, chain, 8);
	assert_int_equal(first->refs, 1);
	guest_map_release(first);
	/* The queue's and that of guest_memory. */
	assert_int_equal(b->memory.guest.map->refs, 2);
}

static void every_fault_has_a_name(void **state)
{
	(void)state;
	for (int fault = VIRTQUEUE_OK; fault <= VIRTQUEUE_FAULT_RING_UNMAPPED; fault++)
		assert_true(strlen(virtqueue_fault_name(fault)) > 5);
	assert_string_equal(virtqueue_fault_name(VIRTQUEUE_FAULT_RING_UNMAPPED + 1),
			    "unknown fault");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_that_is_missing_is_asked_for_and_then_used),
		TEST(memory_that_is_refused_breaks_the_queue),
		TEST(transport_that_promises_memory_and_adds_none_is_not_asked_for_ever),
		TEST(long_chains_wait_for_a_block_and_are_not_lost),
		TEST(what_was_taken_before_a_fault_is_still_answered),
		TEST(queue_resumes_where_it_stopped),
		TEST(impossible_start_is_refused),
		TEST(ring_that_goes_away_breaks_the_queue),
		TEST(chain_keeps_its_memory_over_changes_of_the_map),
		TEST(every_fault_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
