/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The start of a queue, and its start anew on a changed map: a ring that is not there is asked
 * for, what an earlier backend left in it does not count, and no change of the map is missed.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "devices/virtqueue.h"
#include "tests/support/bench.h"

#define SIZE      16u
#define PART_SIZE 4096u

/* A region for each part of the ring, and one for buffers. */
enum part {
	DESC,
	AVAIL,
	USED,
	BUFFERS,
	PARTS,
};

static const uint64_t part_gpa[PARTS] = {0x10000, 0x20000, 0x30000, 0x40000};

struct fixture {
	struct guest_memory memory;
	struct virtio_device dev;
	struct virtqueue *vq;
	struct virtio_queue_setup setup;

	/* How memory_missing answers, and what it was asked. */
	bool refuses;
	bool removes_buffers; /* while it adds a part of the ring */
	unsigned asked[PARTS];
	bool asked_to_write[PARTS];
};

static uint8_t bytes[PARTS][PART_SIZE] __attribute__((aligned(PART_SIZE)));

static void add_part(struct fixture *f, enum part part)
{
	const struct guest_region region = {
		.gpa = part_gpa[part],
		.size = PART_SIZE,
		.hva = bytes[part],
		.fd = -1,
		.access = GUEST_READ_WRITE,
	};

	assert_int_equal(guest_memory_add(&f->memory, &region), 0);
}

static void remove_part(struct fixture *f, enum part part)
{
	assert_int_equal(guest_memory_remove(&f->memory, part_gpa[part], PART_SIZE), 0);
}

static int memory_missing(void *transport, uint64_t gpa, uint64_t size, bool write)
{
	struct fixture *f = transport;
	unsigned part = 0;

	while (part < PARTS && gpa - part_gpa[part] >= PART_SIZE)
		part++;
	assert_true(part < PARTS && size > 0 && size <= PART_SIZE - (gpa - part_gpa[part]));
	f->asked[part]++;
	f->asked_to_write[part] |= write;
	if (f->refuses)
		return -EFAULT;
	add_part(f, part);
	if (f->removes_buffers)
		remove_part(f, BUFFERS);
	f->removes_buffers = false;
	return 0;
}

static const struct virtio_transport_ops transport_ops = {.memory_missing = memory_missing};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	memset(bytes, 0, sizeof(bytes));
	*state = &f;
	assert_int_equal(guest_memory_init(&f.memory), 0);
	for (unsigned i = 0; i < PARTS; i++)
		add_part(&f, i);
	virtio_device_attach(&f.dev, &transport_ops, &f, &f.memory);
	f.vq = virtqueue_create(&f.dev);
	assert_non_null(f.vq);
	f.setup = (struct virtio_queue_setup){
		.size = SIZE,
		.desc_gpa = part_gpa[DESC],
		.driver_gpa = part_gpa[AVAIL],
		.device_gpa = part_gpa[USED],
		.resume = VIRTIO_QUEUE_STATE_FRESH,
	};
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtqueue_destroy(f->vq);
	guest_memory_finish(&f->memory);
	return 0;
}

static int start(struct fixture *f)
{
	return virtqueue_start(f->vq, &f->setup,
			       VIRTQUEUE_FEATURES & ~VIRTIO_FEATURE(VIRTIO_F_RING_PACKED));
}

/* One more chain of one writable buffer. */
static void expose(struct fixture *f)
{
	struct vring_desc *desc = (void *)bytes[DESC];
	struct vring_avail *avail = (void *)bytes[AVAIL];
	uint16_t index = le16toh(avail->idx), slot = index % SIZE;

	(void)f;
	desc[slot] = (struct vring_desc){
		.addr = htole64(part_gpa[BUFFERS]),
		.len = htole32(64),
		.flags = htole16(VRING_DESC_F_WRITE),
	};
	avail->ring[slot] = htole16(slot);
	avail->idx = htole16(index + 1);
}

static void assert_serves(struct fixture *f)
{
	struct virtqueue_chain *chain;

	expose(f);
	chain = virtqueue_pop(f->vq);
	assert_non_null(chain);
	assert_ptr_equal(chain->iov[0].iov_base, bytes[BUFFERS]);
	virtqueue_push(f->vq, chain, 0);
	virtqueue_publish(f->vq);
	assert_int_equal(((struct vring_used *)(void *)bytes[USED])->idx,
			 ((struct vring_avail *)(void *)bytes[AVAIL])->idx);
}

/* Asked for what is missing, once, and for nothing else; only the used ring is written. */
static void assert_asked(const struct fixture *f, unsigned missing)
{
	for (unsigned part = 0; part < PARTS; part++) {
		assert_int_equal(f->asked[part], missing >> part & 1);
		assert_int_equal(f->asked_to_write[part], part == USED && missing >> part & 1);
	}
}

/* Memory that is missing */

/* Every set of parts of the ring. */
static void ring_that_is_missing_is_asked_for_at_the_start(void **state)
{
	for (unsigned missing = 0; missing < 1u << BUFFERS; missing++) {
		struct fixture *f = *state;

		for (unsigned part = 0; part < BUFFERS; part++)
			if (missing >> part & 1)
				remove_part(f, part);
		assert_int_equal(start(f), 0);
		assert_asked(f, missing);
		assert_serves(f);
		teardown(state);
		setup(state);
	}
}

static void ring_that_went_away_is_asked_for(void **state)
{
	for (unsigned missing = 1; missing < 1u << BUFFERS; missing++) {
		struct fixture *f = *state;

		assert_int_equal(start(f), 0);
		assert_serves(f);
		for (unsigned part = 0; part < BUFFERS; part++)
			if (missing >> part & 1)
				remove_part(f, part);
		assert_serves(f);
		assert_asked(f, missing);
		assert_int_equal(virtqueue_broken(f->vq), VIRTQUEUE_OK);
		teardown(state);
		setup(state);
	}
}

static void ring_that_is_refused_does_not_start(void **state)
{
	struct fixture *f = *state;

	for (unsigned part = 0; part < BUFFERS; part++) {
		f->refuses = true;
		remove_part(f, part);
		assert_int_equal(start(f), -EFAULT);
		assert_true(f->asked[part] > 0);
		assert_false(virtqueue_started(f->vq));
		assert_null(virtqueue_pop(f->vq));
		f->refuses = false;
		add_part(f, part);
	}
	assert_int_equal(start(f), 0);
	assert_serves(f);
}

static void ring_that_went_away_and_is_refused_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	for (unsigned part = 0; part < BUFFERS; part++) {
		assert_int_equal(start(f), 0);
		assert_serves(f);
		f->refuses = true;
		remove_part(f, part);
		expose(f);
		assert_null(virtqueue_pop(f->vq));
		assert_true(f->asked[part] > 0);
		assert_int_equal(virtqueue_broken(f->vq), VIRTQUEUE_FAULT_RING_UNMAPPED);
		assert_false(virtqueue_publish(f->vq));
		f->refuses = false;
		add_part(f, part);
		f->setup.resume.avail_index = f->setup.resume.used_index =
			le16toh(((struct vring_used *)(void *)bytes[USED])->idx);
		((struct vring_avail *)(void *)bytes[AVAIL])->idx =
			((struct vring_used *)(void *)bytes[USED])->idx;
	}
}

/* Changes in the middle */

/* The ring is found with a map that is newer than the one the start began with. */
static void change_while_the_ring_is_asked_for_is_seen(void **state)
{
	for (enum part part = DESC; part < BUFFERS; part++) {
		struct fixture *f = *state;

		remove_part(f, part);
		f->removes_buffers = true;
		assert_int_equal(start(f), 0);
		assert_asked(f, 1u << part);
		f->refuses = true;
		expose(f);
		assert_null(virtqueue_pop(f->vq));
		assert_int_equal(f->asked[BUFFERS], 1);
		assert_int_equal(virtqueue_broken(f->vq), VIRTQUEUE_FAULT_UNMAPPED);
		teardown(state);
		setup(state);
	}
}

/* A thread that removes the buffers at some moment of each start. */
#define STARTS 30000u
#define AWAKE  20000u /* looks before the processor is given to others */

struct remover {
	struct fixture *f;
	unsigned go, done; /* atomic: the start that it may disturb, that it has disturbed */
};

static void dawdle(unsigned spins)
{
	while (spins-- > 0)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void wait_until(const unsigned *number, unsigned value)
{
	for (unsigned i = 1; __atomic_load_n(number, __ATOMIC_ACQUIRE) < value; i++)
		if (i % AWAKE == 0)
			sched_yield();
}

static void *remove_buffers(void *opaque)
{
	struct remover *r = opaque;

	for (unsigned i = 1; i <= STARTS; i++) {
		wait_until(&r->go, i);
		dawdle(i * 7 % 601);
		guest_memory_remove(&r->f->memory, part_gpa[BUFFERS], PART_SIZE);
		__atomic_store_n(&r->done, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Whenever it comes, the queue knows afterwards that the buffers are gone. */
static void removal_on_another_thread_is_seen_by_a_start(void **state)
{
	struct fixture *f = *state;
	struct remover r = {.f = f};
	unsigned served = 0, failed = 0;
	pthread_t thread;

	f->refuses = true;
	expose(f);
	assert_int_equal(pthread_create(&thread, NULL, remove_buffers, &r), 0);
	for (unsigned i = 1; i <= STARTS; i++) {
		__atomic_store_n(&r.go, i, __ATOMIC_RELEASE);
		dawdle(i * 13 % 4001);
		failed += start(f) != 0;
		wait_until(&r.done, i);
		served += virtqueue_pop(f->vq) != NULL;
		virtqueue_stop(f->vq, NULL);
		add_part(f, BUFFERS);
	}
	pthread_join(thread, NULL);
	assert_int_equal(failed, 0);
	assert_int_equal(served, 0);
}

/* What is in the used ring */

static void flags_of_an_earlier_backend_do_not_stay(void **state)
{
	struct fixture *f = *state;
	struct vring_used *used = (void *)bytes[USED];
	struct vring_avail *avail = (void *)bytes[AVAIL];

	used->flags = htole16(VRING_USED_F_NO_NOTIFY);
	used->idx = avail->idx = htole16(5);
	f->setup.resume.avail_index = f->setup.resume.used_index = 5;
	assert_int_equal(start(f), 0);
	assert_int_equal(used->flags, 0);
	assert_int_equal(le16toh(used->idx), 5);
	assert_serves(f);
}

/* RING-40: ubiblk PR 507, an index that the driver clears just after it gave the address. */
static void index_of_an_earlier_life_does_not_count(void **state)
{
	struct fixture *f = *state;
	struct vring_used *used = (void *)bytes[USED];

	used->idx = htole16(0x1235);
	assert_int_equal(start(f), 0);
	used->idx = 0;
	used->ring[0].len = htole32(77);
	assert_serves(f);
	assert_int_equal(le16toh(used->idx), 1);
	assert_int_equal(used->ring[0].len, 0);
}

/* A whole device that starts over such flags: the driver's next request is announced by a kick. */
static void driver_kicks_after_a_resume(void **state)
{
	(void)state;
	for (enum bench_device kind = BENCH_NULL; kind <= BENCH_BLK; kind++) {
		struct bench *bench = bench_create(&(struct bench_options){
			.device = kind, .without = VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)});
		struct virtio_queue_setup ring = bench_ring(bench, SIZE, 5);
		struct vring_used *used;
		uint64_t kicks;

		bench_set_up_at(bench, &ring);
		used = vqsim_memory_at(&bench->memory, ring.device_gpa, 4);
		used->flags = htole16(VRING_USED_F_NO_NOTIFY);
		assert_true(bench_driver_ok(bench));
		kicks = bench->guest.link.queues[0].kicks;
		assert_int_equal(used->flags, 0);
		bench_good_request(bench);
		assert_true(bench->guest.link.queues[0].kicks > kicks);
		bench_destroy(bench);
	}
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(ring_that_is_missing_is_asked_for_at_the_start),
		WITH(ring_that_went_away_is_asked_for),
		WITH(ring_that_is_refused_does_not_start),
		WITH(ring_that_went_away_and_is_refused_breaks_the_queue),
		WITH(change_while_the_ring_is_asked_for_is_seen),
		WITH(removal_on_another_thread_is_seen_by_a_start),
		WITH(flags_of_an_earlier_backend_do_not_stay),
		WITH(index_of_an_earlier_life_does_not_count),
		cmocka_unit_test(driver_kicks_after_a_resume),
	};

	return cmocka_run_group_tests_name("queue start", tests, NULL, NULL);
}
