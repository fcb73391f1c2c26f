/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing a device up and down (virtio 1.3, 2.1, 2.2, 2.4 and 3.1.1), against a
 * device that only notes what it is asked.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/guest.h"

#define V1      VIRTIO_FEATURE(VIRTIO_F_VERSION_1)
#define OPTION  VIRTIO_FEATURE(3)
#define UNWISE  VIRTIO_FEATURE(4)
#define UNKNOWN VIRTIO_FEATURE(50)
#define PACKED  VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
/* SR_IOV, NOTIF_CONFIG_DATA, ADMIN_VQ */
#define PCI_ONLY (VIRTIO_FEATURE(37) | VIRTIO_FEATURE(39) | VIRTIO_FEATURE(41))

#define QUEUES 3u

/* Where a device can find out that it cannot go on. */
enum step {
	NOWHERE,
	AT_FEATURES,
	AT_SET_FEATURES,
	AT_START,
	AT_KICK,
	AT_PROGRESS,
};

struct device {
	struct virtio_device dev;
	uint64_t offer, taken;
	int start_error;
	unsigned starts, kicks, rounds, resets;
	unsigned slow_reset;           /* rounds of progress that a reset takes */
	unsigned waits;                /* rounds of progress that end with VIRTIO_WAITING */
	unsigned per_queue[QUEUES];    /* rounds of each */
	enum step broken_at;           /* where the device asks for a reset */
	enum virtio_progress progress; /* what progress says */
	uint8_t status_at_features;    /* status when the features came */
	struct vqsim_guest *guest;
};

static struct device *device_of(struct virtio_device *dev)
{
	return (struct device *)dev;
}

static void reach(struct virtio_device *dev, enum step step)
{
	if (device_of(dev)->broken_at == step)
		dev->transport_ops->needs_reset(dev->transport);
}

static uint64_t features(struct virtio_device *dev)
{
	reach(dev, AT_FEATURES);
	return device_of(dev)->offer;
}

static int set_features(struct virtio_device *dev, uint64_t taken)
{
	struct device *device = device_of(dev);

	device->status_at_features = virtio_transport_status(&device->guest->link.transport);
	device->taken = taken;
	reach(dev, AT_SET_FEATURES);
	return taken & UNWISE ? -EINVAL : 0;
}

static uint16_t queue_count(struct virtio_device *dev)
{
	(void)dev;
	return QUEUES;
}

static uint16_t queue_size_max(struct virtio_device *dev, uint16_t index)
{
	(void)dev;
	return (uint16_t)(16 << index);
}

static int queue_start(struct virtio_device *dev, uint16_t index,
		       const struct virtio_queue_setup *setup)
{
	(void)index;
	(void)setup;
	device_of(dev)->starts++;
	reach(dev, AT_START);
	return device_of(dev)->start_error;
}

static enum virtio_completion reset(struct virtio_device *dev)
{
	struct device *device = device_of(dev);

	device->resets++;
	return device->rounds < device->slow_reset ? VIRTIO_PENDING : VIRTIO_DONE;
}

static void kick(struct virtio_device *dev, uint16_t index, uint32_t data)
{
	assert_int_equal(index, data);
	device_of(dev)->kicks++;
	reach(dev, AT_KICK);
}

static enum virtio_progress progress(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	struct device *device = device_of(dev);

	assert_true(budget > 0);
	reach(dev, AT_PROGRESS);
	device->rounds++;
	if (device->per_queue[index]++ < device->waits)
		return VIRTIO_WAITING;
	return device->progress;
}

static const struct virtio_device_ops ops = {
	.name = "note",
	.features = features,
	.set_features = set_features,
	.queue_count = queue_count,
	.queue_size_max = queue_size_max,
	.queue_start = queue_start,
	.reset = reset,
	.kick = kick,
	.progress = progress,
};

struct fixture {
	struct vqsim_memory memory;
	struct vqsim_guest guest;
	struct device device;
};

static int set_up(void **state)
{
	static const struct vqsim_region region = {.gpa = 0x1000, .size = 0x10000};
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.device.dev.ops = &ops;
	f.device.offer = V1 | OPTION;
	f.device.guest = &f.guest;
	*state = &f;
	if (vqsim_memory_init(&f.memory, &region, 1) != 0)
		return -1;
	return vqsim_guest_init(&f.guest, &f.memory, &f.device.dev, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vqsim_guest_finish(&f->guest);
	vqsim_memory_finish(&f->memory);
	return 0;
}

static uint8_t status(const struct fixture *f)
{
	return virtio_transport_status(&f->guest.link.transport);
}

static enum vqsim_bring_up bring_up(struct fixture *f, uint64_t wanted, uint16_t queue_size)
{
	struct vqsim_guest_config config = {.features = wanted, .queue_size = queue_size};

	return vqsim_guest_bring_up(&f->guest, &config);
}

static void a_device_that_is_up_has_all_four_bits_and_its_queues_live(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bring_up(f, OPTION, 0), VQSIM_UP);
	assert_int_equal(status(f), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					    VIRTIO_CONFIG_S_FEATURES_OK |
					    VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(f->device.starts, QUEUES);
	assert_int_equal(f->guest.queue_count, QUEUES);
	for (uint16_t i = 0; i < QUEUES; i++)
		assert_int_equal(f->guest.queues[i].setup.size, 16 << i);
}

static void features_come_after_driver_and_before_features_ok(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(vqsim_guest_negotiate(&f->guest, OPTION), VQSIM_UP);
	assert_int_equal(f->device.status_at_features,
			 VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	assert_int_equal(f->device.starts, 0);
}

static void what_is_taken_is_offered_and_wanted_and_within_our_means(void **state)
{
	static const struct {
		uint64_t offer, wanted, taken;
	} cases[] = {
		{V1 | OPTION, OPTION, V1 | OPTION},
		{V1 | OPTION, 0, V1},
		{V1, ~UINT64_C(0), V1},
		{V1 | UNKNOWN, OPTION, V1},
		{V1 | PACKED, VQSIM_FEATURES_SPLIT, V1},
		{V1 | PACKED, ~UINT64_C(0), V1 | PACKED},
		{V1 | PCI_ONLY, ~UINT64_C(0), V1},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->device.offer = cases[i].offer;
		assert_int_equal(bring_up(f, cases[i].wanted, 0), VQSIM_UP);
		assert_int_equal(f->device.taken, cases[i].taken);
		/* Features of the transport are none of the device's business. */
		assert_int_equal(f->guest.features & ~VIRTIO_TRANSPORT_FEATURES, cases[i].taken);
		assert_int_equal(f->guest.features & VIRTIO_TRANSPORT_FEATURES,
				 cases[i].wanted & VIRTIO_TRANSPORT_FEATURES);
	}
}

static void a_refusal_of_the_features_is_answered_by_failed(void **state)
{
	static const uint64_t offers[] = {V1 | UNWISE, OPTION};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		f->device.offer = offers[i];
		assert_int_equal(bring_up(f, UNWISE | OPTION, 0), VQSIM_REFUSED_FEATURES);
		assert_int_equal(status(f), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
						    VIRTIO_CONFIG_S_FAILED);
		assert_int_equal(f->device.starts, 0);
	}
}

static void a_queue_that_cannot_be_enabled_is_answered_by_failed(void **state)
{
	static const uint16_t sizes[] = {32, 7}; /* above the maximum of queue 0; no power of two */
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(bring_up(f, 0, sizes[i]), VQSIM_REFUSED_QUEUE);
		assert_true(status(f) & VIRTIO_CONFIG_S_FAILED);
		assert_false(status(f) & VIRTIO_CONFIG_S_DRIVER_OK);
		assert_int_equal(f->memory.allocation_count, 0);
	}
	assert_int_equal(bring_up(f, 0, 16), VQSIM_UP);
}

static void a_queue_that_does_not_start_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	f->device.start_error = -EFAULT;
	assert_int_equal(bring_up(f, 0, 0), VQSIM_BROKEN);
	assert_true(vqsim_guest_needs_reset(&f->guest));
	assert_int_equal(f->guest.link.config_notifications, 1);

	f->device.start_error = 0;
	assert_int_equal(bring_up(f, 0, 0), VQSIM_UP);
	assert_false(vqsim_guest_needs_reset(&f->guest));
}

static void a_reset_takes_the_rounds_it_needs_and_gives_the_memory_back(void **state)
{
	struct fixture *f = *state;
	uint64_t kept = vqsim_memory_alloc(&f->memory, 8, 8);

	assert_int_equal(bring_up(f, 0, 0), VQSIM_UP);
	vqsim_memory_alloc(&f->memory, 100, 8);
	f->device.slow_reset = 10;
	vqsim_guest_reset(&f->guest);

	assert_int_equal(status(f), 0);
	assert_in_range(f->device.rounds, 10, 10 + QUEUES);
	assert_int_equal(f->memory.allocation_count, 1);
	assert_int_equal(f->memory.allocations[0].gpa, kept);
	assert_int_equal(f->guest.queue_count, 0);
}

static void only_a_live_queue_is_kicked_and_run(void **state)
{
	struct fixture *f = *state;

	vqsim_link_kick(&f->guest.link, 0, 0);
	vqsim_link_kick(&f->guest.link, QUEUES, QUEUES);
	assert_int_equal(vqsim_link_run(&f->guest.link, 0, 5), VIRTIO_IDLE);
	assert_int_equal(f->device.kicks + f->device.rounds, 0);

	bring_up(f, 0, 0);
	vqsim_guest_kick(&f->guest, 1);
	assert_int_equal(f->device.kicks, 1);
	assert_int_equal(f->guest.link.queues[1].kicks, 1);
	vqsim_guest_run(&f->guest, 1);
	assert_int_equal(f->device.rounds, 1);
}

static void publishing_kicks_when_the_device_asks_for_it(void **state)
{
	static const struct vqsim_element element = {.gpa = 0x1000, .len = 1};
	static const struct vqsim_chain chain = {.elements = &element, .count = 1, .direct = 1};
	struct fixture *f = *state;

	bring_up(f, 0, 0);
	vqsim_guest_add(&f->guest, 0, &chain, f);
	assert_true(vqsim_guest_publish(&f->guest, 0));
	assert_int_equal(f->device.kicks, 1);

	f->guest.queues[0].ring.used->flags = VRING_USED_F_NO_NOTIFY;
	vqsim_guest_add(&f->guest, 0, &chain, f);
	assert_false(vqsim_guest_publish(&f->guest, 0));
	assert_int_equal(f->device.kicks, 1);
}

static void a_device_that_never_comes_to_an_end_is_stopped(void **state)
{
	struct fixture *f = *state;

	bring_up(f, 0, 0);
	f->device.progress = VIRTIO_WORK_LEFT;
	assert_int_equal(vqsim_guest_run(&f->guest, 0), VIRTIO_WORK_LEFT);
	/* Enough for one chain in each call, and then some. */
	assert_in_range(f->device.rounds, 16, 64);
}

static void a_reset_that_is_needed_is_seen_at_every_step(void **state)
{
	static const struct {
		enum step step;
		enum vqsim_bring_up result;
	} cases[] = {
		{AT_FEATURES, VQSIM_BROKEN}, {AT_SET_FEATURES, VQSIM_BROKEN},
		{AT_START, VQSIM_BROKEN},    {AT_KICK, VQSIM_UP},
		{AT_PROGRESS, VQSIM_UP},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->device.broken_at = cases[i].step;
		assert_int_equal(bring_up(f, 0, 0), cases[i].result);
		if (cases[i].result == VQSIM_UP) {
			assert_false(vqsim_guest_needs_reset(&f->guest));
			vqsim_guest_kick(&f->guest, 2);
			vqsim_guest_run(&f->guest, 2);
		}
		assert_true(vqsim_guest_needs_reset(&f->guest));
		f->device.broken_at = NOWHERE;
		assert_int_equal(bring_up(f, 0, 0), VQSIM_UP);
		assert_false(vqsim_guest_needs_reset(&f->guest));
	}
}

static void one_guest_after_the_other_drives_a_device(void **state)
{
	static const struct vqsim_region region = {.gpa = 0x40000, .size = 0x20000};
	struct fixture *f = *state;
	struct vqsim_guest_config config = {.queue_count = 2};
	struct vqsim_memory memory;
	struct vqsim_guest second;

	assert_int_equal(bring_up(f, OPTION, 0), VQSIM_UP);
	vqsim_guest_finish(&f->guest);
	assert_int_equal(vqsim_memory_init(&memory, &region, 1), 0);
	assert_int_equal(vqsim_guest_init(&second, &memory, &f->device.dev, NULL), 0);
	f->device.guest = &second;

	assert_int_equal(vqsim_guest_bring_up(&second, &config), VQSIM_UP);
	assert_int_equal(f->device.taken, V1);
	assert_ptr_equal(f->device.dev.memory, &memory.guest);
	assert_int_equal(f->device.starts, QUEUES + 2);
	vqsim_guest_finish(&second);
	vqsim_memory_finish(&memory);
}

static void all_queues_take_turns_until_none_waits(void **state)
{
	struct fixture *f = *state;

	bring_up(f, 0, 0);
	f->device.waits = 3;
	assert_int_equal(vqsim_guest_run_all(&f->guest), VIRTIO_WAITING);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(f->device.per_queue[i], 1);
	vqsim_guest_settle_all(&f->guest);
	assert_int_equal(vqsim_guest_run_all(&f->guest), VIRTIO_IDLE);
}

#define on_a_device(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_a_device(a_device_that_is_up_has_all_four_bits_and_its_queues_live),
		on_a_device(features_come_after_driver_and_before_features_ok),
		on_a_device(what_is_taken_is_offered_and_wanted_and_within_our_means),
		on_a_device(a_refusal_of_the_features_is_answered_by_failed),
		on_a_device(a_queue_that_cannot_be_enabled_is_answered_by_failed),
		on_a_device(a_queue_that_does_not_start_breaks_the_device),
		on_a_device(a_reset_takes_the_rounds_it_needs_and_gives_the_memory_back),
		on_a_device(only_a_live_queue_is_kicked_and_run),
		on_a_device(publishing_kicks_when_the_device_asks_for_it),
		on_a_device(a_device_that_never_comes_to_an_end_is_stopped),
		on_a_device(a_reset_that_is_needed_is_seen_at_every_step),
		on_a_device(one_guest_after_the_other_drives_a_device),
		on_a_device(all_queues_take_turns_until_none_waits),
	};

	return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
