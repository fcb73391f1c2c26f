/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of one queue, on both ring formats: set up once and not moved after that, stopped under
 * load, resumed with chains that were waiting, dead without a ring, and given from one driver to
 * another that wants something else.
 */
#include <endian.h>
#include <errno.h>

#include "devices/virtqueue.h"
#include "tests/support/bench.h"

#define PACKED VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENTS VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define BASE   UINT64_C(0x100000)
#define SIZE   8u

/* A queue alone, and a driver of it. */

struct lone {
	struct vqsim_memory memory;
	struct vqsim_driver driver;
	struct virtio_device dev;
	struct virtqueue *vq;
	uint64_t features;
	uint64_t gpa;
};

static int setup(void **state)
{
	static const struct vqsim_region region = {BASE, 256 * 1024};
	static struct lone l;

	l = (struct lone){.features = 0};
	*state = &l;
	assert_int_equal(vqsim_memory_init(&l.memory, &region, 1), 0);
	virtio_device_attach(&l.dev, NULL, NULL, &l.memory.guest);
	l.vq = virtqueue_create(&l.dev);
	assert_non_null(l.vq);
	l.gpa = vqsim_memory_alloc(&l.memory, 64, 16);
	return 0;
}

static int teardown(void **state)
{
	struct lone *l = *state;

	virtqueue_destroy(l->vq);
	vqsim_driver_finish(&l->driver);
	assert_null(vqsim_memory_check(&l->memory, NULL));
	vqsim_memory_finish(&l->memory);
	return 0;
}

/* A driver comes, with a ring in memory of its own. */
static void boot(struct lone *l, uint64_t features)
{
	vqsim_driver_finish(&l->driver);
	l->features = features;
	assert_int_equal(vqsim_driver_init(&l->driver, &l->memory, SIZE, features), 0);
	assert_int_equal(virtqueue_start(l->vq, &l->driver.setup, features), 0);
}

static void resume(struct lone *l, const struct virtio_queue_state *at)
{
	struct virtio_queue_setup s = l->driver.setup;

	s.resume = *at;
	assert_int_equal(virtqueue_start(l->vq, &s, l->features), 0);
}

static void expose(struct lone *l, unsigned count)
{
	const struct vqsim_element element = {l->gpa, 16, true};
	const struct vqsim_chain chain = {&element, 1, 1, 0};

	for (unsigned i = 0; i < count; i++)
		assert_true(vqsim_driver_add(&l->driver, &chain, l) >= 0);
	vqsim_driver_publish(&l->driver);
}

/* The device takes and uses count chains, and the driver gets them back. */
static void serve(struct lone *l, unsigned count)
{
	struct virtqueue_chain *chains[SIZE];
	struct vqsim_used used;

	for (unsigned i = 0; i < count; i++) {
		chains[i] = virtqueue_pop(l->vq);
		assert_non_null(chains[i]);
	}
	for (unsigned i = 0; i < count; i++)
		virtqueue_push(l->vq, chains[i], 16);
	/* This driver wants to hear of each batch. */
	assert_int_equal(virtqueue_publish(l->vq), count > 0);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(vqsim_driver_reap(&l->driver, &used), VQSIM_REAP_USED);
		assert_int_equal(used.len, 16);
	}
	assert_int_equal(vqsim_driver_reap(&l->driver, &used), VQSIM_REAP_NOTHING);
}

static void assert_dead(struct lone *l)
{
	struct vqsim_used used;

	assert_false(virtqueue_started(l->vq));
	assert_null(virtqueue_pop(l->vq));
	assert_false(virtqueue_enable_kicks(l->vq));
	assert_false(virtqueue_publish(l->vq));
	assert_int_equal(virtqueue_in_flight(l->vq), 0);
	assert_int_equal(vqsim_driver_reap(&l->driver, &used), VQSIM_REAP_NOTHING);
}

/*
 * LIFE-04: rust-vmm d951283, neither a queue that was never started, nor one that was stopped, nor
 * one that was started with a ring that cannot be takes the chains that are there.
 */
static void queue_without_a_ring_takes_nothing(void **state)
{
	static const uint64_t formats[] = {0, EVENTS, PACKED, PACKED | EVENTS};
	struct lone *l = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		struct virtio_queue_setup bad;

		vqsim_driver_finish(&l->driver);
		assert_int_equal(vqsim_driver_init(&l->driver, &l->memory, SIZE, formats[i]), 0);
		expose(l, 2);
		assert_dead(l);
		boot(l, formats[i]);
		expose(l, 3);
		serve(l, 3);
		expose(l, 3);
		virtqueue_stop(l->vq, NULL);
		assert_dead(l);
		bad = l->driver.setup;
		bad.device_gpa = 0;
		assert_int_equal(virtqueue_start(l->vq, &bad, formats[i]), -EFAULT);
		assert_dead(l);
	}
}

/*
 * NOTIF-20: Firecracker 0899ee515, rust-vmm vhost 8c00b88, cloud-hypervisor c2137e33a, yc-libvhost
 * 394645f, shown and kicked before the queue was started; NOTIF-22: SPDK 7a3246bfb2, in steps.
 */
static void chains_shown_before_the_start_are_taken(void **state)
{
	static const uint64_t formats[] = {0, EVENTS, PACKED, PACKED | EVENTS};
	struct lone *l = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++)
		for (unsigned shown = 1; shown <= SIZE; shown++) {
			vqsim_driver_finish(&l->driver);
			assert_int_equal(
				vqsim_driver_init(&l->driver, &l->memory, SIZE, formats[i]), 0);
			for (unsigned n = 0; n < shown; n++)
				expose(l, 1);
			assert_int_equal(virtqueue_start(l->vq, &l->driver.setup, formats[i]), 0);
			serve(l, shown);
		}
}

/*
 * LIFE-22: yc-libvhost 6c7867c, what is reported is what was taken, not what was seen; LIFE-28:
 * cloud-hypervisor 03dd24978, aef0a43b5, propolis 3f6d599e, chains that were waiting are taken
 * after the resume, though the driver's index is far ahead.
 */
static void stop_under_load_says_what_was_taken(void **state)
{
	static const uint64_t formats[] = {0, PACKED};
	struct lone *l = *state;

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		boot(l, formats[i]);
		for (unsigned taken = 0; taken <= 5; taken++) {
			struct virtio_queue_state at;
			uint32_t before = l->driver.used_index;

			expose(l, 5);
			serve(l, taken);
			virtqueue_stop(l->vq, &at);
			assert_int_equal(at.avail_index, l->driver.used_index);
			assert_int_equal(at.used_index, l->driver.used_index);
			if (!formats[i])
				assert_int_equal(at.used_index - before, taken);
			resume(l, &at);
			serve(l, 5 - taken);
		}
	}
}

/* LIFE-29: rust-vmm vhost 1713135, 958cdec, 8a4ba9d, virtiofsd ee50078, stopped and continued at
 * any place, and then another driver with another kind of ring. */
static void one_driver_after_another(void **state)
{
	static const uint64_t drivers[] = {0, PACKED | EVENTS, EVENTS, PACKED, EVENTS,
					   0, PACKED | EVENTS, PACKED};
	struct lone *l = *state;

	for (size_t i = 0; i < COUNT_OF(drivers); i++) {
		boot(l, drivers[i]);
		for (unsigned n = 0; n < 3 * SIZE; n++) {
			struct virtio_queue_state at;

			expose(l, 1 + n % SIZE);
			serve(l, 1 + n % SIZE);
			virtqueue_stop(l->vq, &at);
			resume(l, &at);
		}
		/* The last one leaves in the middle of something. */
		expose(l, 3);
		assert_non_null(virtqueue_pop(l->vq));
		virtqueue_stop(l->vq, NULL);
	}
}

/* A queue of a device */

static bool refused(struct bench *bench, const struct virtio_queue_setup *s)
{
	struct virtio_transport *transport = &bench->guest.link.transport;

	return virtio_transport_enable_queue(transport, 0, s) == -EBUSY;
}

/* A ring of another size elsewhere, the same one made larger, and one that lies nowhere. */
static void try_to_move(struct bench *bench, const struct virtio_queue_setup *now, uint64_t gpa)
{
	struct virtio_queue_setup other = *now;

	other.size = 64;
	assert_true(refused(bench, &other));
	other.desc_gpa = gpa;
	other.driver_gpa = gpa + 2048;
	other.device_gpa = gpa + 3072;
	assert_true(refused(bench, &other));
	other = *now;
	other.desc_gpa = UINT64_C(1) << 50;
	assert_true(refused(bench, &other));
}

/* Often enough that a ring of any of the sizes goes round. */
static void assert_serves(struct bench *bench)
{
	for (unsigned i = 0; i < 64; i++)
		bench_good_request(bench);
}

static void assert_untouched(struct bench *bench, uint64_t gpa)
{
	static const uint8_t zeroes[4096];

	assert_memory_equal(vqsim_memory_at(&bench->memory, gpa, 4096), zeroes, 4096);
}

/*
 * LIFE-13: CVE-2026-5747, LIFE-14: crosvm 9df3eb7ef, TOCTOU-07: crosvm 83ff1c996, size and
 * addresses are taken once: what is written after that is refused, before DRIVER_OK and after it.
 */
static void queue_that_is_enabled_cannot_be_moved(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct bench *bench = bench_create(&(struct bench_options){
			.device = i % 2 ? BENCH_BLK : BENCH_NULL, .packed = i / 2});
		uint64_t gpa = vqsim_memory_alloc(&bench->memory, 4096, 16);

		bench_good_request(bench);
		try_to_move(bench, &bench->guest.queues[0].setup, gpa);
		assert_serves(bench);
		assert_untouched(bench, gpa);
		bench_destroy(bench);
	}
}

static void queue_that_is_set_up_cannot_be_moved_before_driver_ok(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct bench *bench =
			bench_create(&(struct bench_options){.device = i ? BENCH_BLK : BENCH_NULL});
		struct virtio_queue_setup ring = bench_ring(bench, SIZE, 0);
		uint64_t gpa = vqsim_memory_alloc(&bench->memory, 4096, 16);

		bench_set_up_at(bench, &ring);
		try_to_move(bench, &ring, gpa);
		assert_true(bench_driver_ok(bench));
		assert_serves(bench);
		assert_untouched(bench, gpa);
		bench_destroy(bench);
	}
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(queue_without_a_ring_takes_nothing),
		WITH(chains_shown_before_the_start_are_taken),
		WITH(stop_under_load_says_what_was_taken),
		WITH(one_driver_after_another),
		cmocka_unit_test(queue_that_is_enabled_cannot_be_moved),
		cmocka_unit_test(queue_that_is_set_up_cannot_be_moved_before_driver_ok),
	};

	return cmocka_run_group_tests_name("queue life", tests, NULL, NULL);
}
