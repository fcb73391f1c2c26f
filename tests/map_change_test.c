/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a queue owes to a change of the memory map: it is never served from what it
 * remembers of the old one, and it lets go of memory that is gone at the next look, in whatever
 * state it is, unless a request is still at work there.
 */
#include <endian.h>
#include <errno.h>

#include "devices/virtqueue.h"
#include "tests/support/bench.h"
#include "vqsim/faults.h"

/* One virtqueue alone, with a region that comes and goes beside that of the ring. */

#define BASE      UINT64_C(0x100000)
#define SPLIT     (VIRTQUEUE_FEATURES & ~VIRTIO_FEATURE(VIRTIO_F_RING_PACKED))
#define BASE_SIZE (256 * 1024u)
#define GONE      UINT64_C(0x800000)
#define GONE_SIZE 8192u
#define OTHER     UINT64_C(0x900000)

static uint8_t gone_bytes[GONE_SIZE] __attribute__((aligned(4096)));
static uint8_t other_bytes[GONE_SIZE] __attribute__((aligned(4096)));

struct lone {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
	struct virtio_device dev;
	struct virtqueue *vq;
	unsigned asked;    /* calls of memory_missing */
	unsigned released; /* regions */
	bool remove_other; /* by the next release */
};

static int refuse(void *transport, uint64_t gpa, uint64_t size, bool write)
{
	struct lone *l = transport;

	(void)gpa;
	(void)size;
	(void)write;
	l->asked++;
	return -EFAULT;
}

static const struct virtio_transport_ops transport_ops = {.memory_missing = refuse};

static void note_release(const struct guest_region *region)
{
	struct lone *l = region->opaque;

	l->released++;
	if (!l->remove_other)
		return;
	l->remove_other = false;
	assert_int_equal(guest_memory_remove(&l->memory.guest, OTHER, GONE_SIZE), 0);
}

static void add_region(struct lone *l, uint64_t gpa, uint8_t *bytes)
{
	const struct guest_region region = {
		.gpa = gpa,
		.size = GONE_SIZE,
		.hva = bytes,
		.fd = -1,
		.access = GUEST_READ_WRITE,
		.release = note_release,
		.opaque = l,
	};

	assert_int_equal(guest_memory_add(&l->memory.guest, &region), 0);
}

static void remove_gone(struct lone *l)
{
	assert_int_equal(guest_memory_remove(&l->memory.guest, GONE, GONE_SIZE), 0);
}

static int lone_setup(void **state)
{
	static const struct vqsim_region ring = {BASE, BASE_SIZE};
	static struct lone l;

	l = (struct lone){0};
	*state = &l;
	assert_int_equal(vqsim_memory_init(&l.memory, &ring, 1), 0);
	virtio_device_attach(&l.dev, &transport_ops, &l, &l.memory.guest);
	l.vq = virtqueue_create(&l.dev);
	assert_non_null(l.vq);
	assert_int_equal(vqsim_driver_init(&l.driver, &l.memory, 16, SPLIT), 0);
	add_region(&l, GONE, gone_bytes);
	assert_int_equal(virtqueue_start(l.vq, &l.driver.setup, SPLIT), 0);
	return 0;
}

static int lone_teardown(void **state)
{
	struct lone *l = *state;

	virtqueue_destroy(l->vq);
	vqsim_driver_finish(&l->driver);
	vqsim_memory_finish(&l->memory);
	return 0;
}

static void expose(struct lone *l, uint64_t gpa, bool write)
{
	const struct vqsim_element element = {gpa, 64, write};
	const struct vqsim_chain chain = {&element, 1, 1, 0};

	assert_true(vqsim_driver_add(&l->driver, &chain, l) >= 0);
	vqsim_driver_publish(&l->driver);
}

static void pop_and_push(struct lone *l, const void *expected)
{
	struct virtqueue_chain *chain = virtqueue_pop(l->vq);

	assert_non_null(chain);
	assert_ptr_equal(chain->iov[0].iov_base, expected);
	virtqueue_push(l->vq, chain, 0);
}

static void assert_refused(struct lone *l)
{
	assert_null(virtqueue_pop(l->vq));
	assert_int_equal(l->asked, 1);
	assert_int_equal(virtqueue_broken(l->vq), VIRTQUEUE_FAULT_UNMAPPED);
}

static void region_of_the_last_translation_is_not_used_when_it_is_gone(void **state)
{
	for (unsigned write = 0; write < 2; write++) {
		struct lone *l = *state;

		expose(l, GONE + 128, write);
		pop_and_push(l, gone_bytes + 128);
		remove_gone(l);
		expose(l, GONE + 128, write);
		assert_refused(l);
		lone_teardown(state);
		lone_setup(state);
	}
}

/* The driver exposed both before the change: the second is not taken with the first. */
static void region_that_goes_between_two_chains_is_not_used(void **state)
{
	struct lone *l = *state;

	expose(l, GONE, true);
	expose(l, GONE + 64, true);
	pop_and_push(l, gone_bytes);
	remove_gone(l);
	assert_refused(l);
}

/* A table in memory that is gone is not read, though its buffer is there. */
static void table_in_memory_that_is_gone_is_not_read(void **state)
{
	struct lone *l = *state;
	const struct vqsim_element element = {GONE, 64, false};
	struct vring_desc *table = vqsim_memory_at(&l->memory, BASE + 0x20000, 16);
	int head;

	expose(l, GONE, false);
	pop_and_push(l, gone_bytes);
	head = vqsim_driver_add(&l->driver, &(struct vqsim_chain){&element, 1, 1, 0}, l);
	assert_true(head >= 0);
	*table = (struct vring_desc){htole64(BASE + 0x30000), htole32(64), 0, 0};
	memcpy(gone_bytes, table, sizeof(*table));
	l->driver.ring.desc[head].len = htole32(sizeof(*table));
	l->driver.ring.desc[head].flags = htole16(VRING_DESC_F_INDIRECT);
	vqsim_driver_publish(&l->driver);
	remove_gone(l);
	assert_refused(l);
}

static void region_that_comes_back_elsewhere_is_used_where_it_is(void **state)
{
	struct lone *l = *state;

	expose(l, GONE, true);
	pop_and_push(l, gone_bytes);
	remove_gone(l);
	add_region(l, GONE, other_bytes);
	expose(l, GONE, true);
	pop_and_push(l, other_bytes);
	assert_int_equal(l->asked, 0);
	assert_int_equal(l->released, 1);
}

/* The release of one region removes another, in the middle of the queue's look at the map. */
static void change_from_within_a_release_is_seen(void **state)
{
	struct lone *l = *state;

	add_region(l, OTHER, other_bytes);
	expose(l, OTHER, true);
	pop_and_push(l, other_bytes);
	l->remove_other = true;
	remove_gone(l);
	assert_null(virtqueue_pop(l->vq));
	assert_int_equal(l->released, 1);
	expose(l, OTHER, true);
	assert_refused(l);
	assert_int_equal(l->released, 2);
}

/* Two changes with chains in flight: each keeps the map it was translated with, and no other. */
static void chains_keep_their_map_over_two_changes(void **state)
{
	struct virtqueue_chain *chains[3];
	struct lone *l = *state;

	expose(l, BASE, true);
	chains[0] = virtqueue_pop(l->vq);
	add_region(l, OTHER, other_bytes);
	expose(l, OTHER, true);
	chains[1] = virtqueue_pop(l->vq);
	assert_int_equal(guest_memory_remove(&l->memory.guest, OTHER, GONE_SIZE), 0);
	expose(l, BASE, true);
	chains[2] = virtqueue_pop(l->vq);
	for (unsigned i = 0; i < COUNT_OF(chains); i++)
		assert_non_null(chains[i]);

	virtqueue_push(l->vq, chains[0], 0);
	virtqueue_push(l->vq, chains[2], 0);
	assert_int_equal(l->released, 0);
	virtqueue_push(l->vq, chains[1], 0);
	assert_int_equal(l->released, 1);
	/* The queue and the memory have the present map, nobody has another. */
	assert_int_equal(l->memory.guest.map->refs, 2);
}

/* Whoever ends the queue gives back the maps that its chains keep. */
static void chains_that_never_come_back_keep_no_map(void **state)
{
	for (unsigned end = 0; end < 3; end++) {
		struct lone *l = *state;

		expose(l, GONE, true);
		expose(l, GONE + 64, true);
		assert_non_null(virtqueue_pop(l->vq));
		assert_non_null(virtqueue_pop(l->vq));
		remove_gone(l);
		assert_null(virtqueue_pop(l->vq));
		assert_int_equal(l->released, 0);
		if (end == 0)
			virtqueue_stop(l->vq, NULL);
		else if (end == 1)
			assert_int_equal(virtqueue_start(l->vq, &l->driver.setup, SPLIT), 0);
		else
			virtqueue_destroy(l->vq);
		assert_int_equal(l->released, 1);
		/* The memory has the present map, and the queue if it runs. */
		assert_int_equal(l->memory.guest.map->refs, end == 1 ? 2 : 1);
		if (end == 2)
			l->vq = NULL;
		lone_teardown(state);
		lone_setup(state);
	}
}

/* A whole device */

#define RING 4u

struct device {
	struct bench *bench;
	struct vqsim_faults *faults;
	struct vqsim_blk_request requests[RING];
	unsigned released;
};

static void note_device_release(const struct guest_region *region)
{
	++*(unsigned *)region->opaque;
}

static void make_device(struct device *d, enum bench_device kind)
{
	*d = (struct device){0};
	if (kind == BENCH_BLK)
		d->faults = vqsim_faults_create(bench_store_create(BENCH_DISK_SECTORS));
	d->bench = bench_create(&(struct bench_options){
		.device = kind,
		.queue_size = kind == BENCH_BLK ? RING : 16,
		.store = d->faults ? &d->faults->base : NULL,
	});
}

static void drop_device(struct device *d)
{
	if (d->faults)
		d->faults->let_go = VQSIM_FAULTS_ALL;
	for (unsigned i = 0; i < RING; i++)
		vqsim_blk_request_finish(&d->requests[i]);
	bench_destroy(d->bench);
}

static void add_extra(struct device *d)
{
	const struct guest_region region = {
		.gpa = UINT64_C(1) << 36,
		.size = GONE_SIZE,
		.hva = gone_bytes,
		.fd = -1,
		.access = GUEST_READ_WRITE,
		.release = note_device_release,
		.opaque = &d->released,
	};

	assert_int_equal(guest_memory_add(&d->bench->memory.guest, &region), 0);
	/* The queue has seen it. */
	vqsim_link_run(&d->bench->guest.link, 0, 1);
}

static void remove_extra(struct device *d)
{
	assert_int_equal(guest_memory_remove(&d->bench->memory.guest, UINT64_C(1) << 36, GONE_SIZE),
			 0);
}

/* One more call of progress is enough. */
static void assert_extra_is_let_go(struct device *d)
{
	d->released = 0;
	remove_extra(d);
	vqsim_link_run(&d->bench->guest.link, 0, 1);
	assert_int_equal(d->released, 1);
}

static void idle_queue_lets_go(void **state)
{
	struct device d;

	(void)state;
	for (enum bench_device kind = BENCH_NULL; kind <= BENCH_BLK; kind++) {
		make_device(&d, kind);
		add_extra(&d);
		assert_extra_is_let_go(&d);
		drop_device(&d);
	}
}

static void broken_queue_lets_go(void **state)
{
	struct device d;

	(void)state;
	for (enum bench_device kind = BENCH_NULL; kind <= BENCH_BLK; kind++) {
		struct vqsim_driver *driver;

		make_device(&d, kind);
		driver = &d.bench->guest.queues[0];
		add_extra(&d);
		driver->ring.avail->idx = htole16(driver->setup.size + 1);
		vqsim_link_run(&d.bench->guest.link, 0, 1);
		assert_true(vqsim_guest_needs_reset(&d.bench->guest));
		assert_extra_is_let_go(&d);
		drop_device(&d);
	}
}

/* What broke the queue is that its ring is gone; that was one change, and this is another. */
static void queue_without_a_ring_lets_go(void **state)
{
	struct device d;

	(void)state;
	for (enum bench_device kind = BENCH_NULL; kind <= BENCH_BLK; kind++) {
		make_device(&d, kind);
		add_extra(&d);
		assert_int_equal(vqsim_memory_hide(&d.bench->memory, BENCH_LOW), 0);
		vqsim_link_run(&d.bench->guest.link, 0, 1);
		assert_true(vqsim_guest_needs_reset(&d.bench->guest));
		assert_extra_is_let_go(&d);
		assert_int_equal(vqsim_memory_expose(&d.bench->memory, BENCH_LOW), 0);
		drop_device(&d);
	}
}

/* Indirect, so that each takes one descriptor: as many requests as the queue has slots. */
static void fill_queue(struct device *d, unsigned count)
{
	d->faults->hold = true;
	d->faults->let_go = 0;
	for (unsigned i = 0; i < count; i++) {
		struct vqsim_blk_request *r = &d->requests[i];

		assert_int_equal(vqsim_blk_request_init(&d->bench->blk, r, 512), 0);
		r->type = VIRTIO_BLK_T_IN;
		r->data_size = 512;
		r->indirect = true;
		assert_true(vqsim_blk_submit(&d->bench->blk, 0, r) >= 0);
	}
	vqsim_guest_publish(&d->bench->guest, 0);
	vqsim_link_run(&d->bench->guest.link, 0, 1);
}

/* The requests were taken before the region was there: none of them holds it. */
static void queue_with_requests_in_flight_lets_go(void **state)
{
	struct device d;

	(void)state;
	for (unsigned count = 1; count <= RING; count++) {
		make_device(&d, BENCH_BLK);
		fill_queue(&d, count);
		assert_int_equal(d.faults->held, count);
		add_extra(&d);
		assert_extra_is_let_go(&d);
		d.faults->let_go = VQSIM_FAULTS_ALL;
		vqsim_guest_settle(&d.bench->guest, 0);
		while (vqsim_blk_reap(&d.bench->blk, 0))
			;
		drop_device(&d);
	}
}

/* Taken while the region was there: the last of them gives it back, not one before. */
static void requests_in_flight_hold_what_they_may_use(void **state)
{
	struct device d;

	(void)state;
	make_device(&d, BENCH_BLK);
	add_extra(&d);
	fill_queue(&d, RING);
	remove_extra(&d);
	for (unsigned i = 0; i < RING; i++) {
		vqsim_link_run(&d.bench->guest.link, 0, 1);
		assert_int_equal(d.released, 0);
		d.faults->let_go = 1;
	}
	vqsim_guest_settle(&d.bench->guest, 0);
	assert_int_equal(d.released, 1);
	while (vqsim_blk_reap(&d.bench->blk, 0))
		;
	drop_device(&d);
}

/* The store has no room: the device takes no chain, and looks at the map all the same. */
static void queue_that_waits_for_the_store_lets_go(void **state)
{
	struct device d;

	(void)state;
	make_device(&d, BENCH_BLK);
	d.faults->busy_above = 1;
	fill_queue(&d, 3);
	assert_int_equal(d.faults->held, 1);
	add_extra(&d);
	assert_extra_is_let_go(&d);
	d.faults->let_go = VQSIM_FAULTS_ALL;
	d.faults->busy_above = 0;
	vqsim_guest_settle(&d.bench->guest, 0);
	while (vqsim_blk_reap(&d.bench->blk, 0))
		;
	drop_device(&d);
}

#define LONE(test) cmocka_unit_test_setup_teardown(test, lone_setup, lone_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LONE(region_of_the_last_translation_is_not_used_when_it_is_gone),
		LONE(region_that_goes_between_two_chains_is_not_used),
		LONE(table_in_memory_that_is_gone_is_not_read),
		LONE(region_that_comes_back_elsewhere_is_used_where_it_is),
		LONE(change_from_within_a_release_is_seen),
		LONE(chains_keep_their_map_over_two_changes),
		LONE(chains_that_never_come_back_keep_no_map),
		cmocka_unit_test(idle_queue_lets_go),
		cmocka_unit_test(broken_queue_lets_go),
		cmocka_unit_test(queue_without_a_ring_lets_go),
		cmocka_unit_test(queue_with_requests_in_flight_lets_go),
		cmocka_unit_test(requests_in_flight_hold_what_they_may_use),
		cmocka_unit_test(queue_that_waits_for_the_store_lets_go),
	};

	return cmocka_run_group_tests_name("map change", tests, NULL, NULL);
}
