/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notifications of whole devices, in both directions, on both ring formats, with and without
 * EVENT_IDX: each queue is told of its own requests, of every kind of them and no others; silence
 * holds for as long as it is wanted; a device that is kicked once serves all that was shown.
 * The referee holds each step against the rules; here is what takes several steps.
 */
#include <endian.h>
#include <stdio.h>

#include "tests/support/bench.h"

#define QUEUES    4u
#define SIZE      16u
#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)

struct style {
	const char *name;
	bool packed;
	bool events;
};

static const struct style styles[] = {
	{"split", false, false},
	{"split, EVENT_IDX", false, true},
	{"packed", true, false},
	{"packed, EVENT_IDX", true, true},
};

struct fixture {
	const struct style *style;
	char name[128];
	struct bench *bench;
	uint64_t gpa; /* of a buffer for requests to the null device */
};

static void make(struct fixture *f, enum bench_device device)
{
	f->bench = bench_create(&(struct bench_options){
		.device = device,
		.packed = f->style->packed,
		.without = f->style->events ? 0 : EVENT_IDX,
		.blk = {.queue_count = QUEUES},
	});
	f->gpa = vqsim_memory_alloc(&f->bench->memory, 64, 16);
}

static void drop(struct fixture *f)
{
	bench_destroy(f->bench);
}

static struct vqsim_link_queue *told(struct fixture *f, uint16_t queue)
{
	return &f->bench->guest.link.queues[queue];
}

/* Each queue by itself */

/*
 * One request alone on a queue: the device has asked for the kick, and tells this queue of it, and
 * no other.
 */
static void serve_alone(struct fixture *f, uint16_t queue, struct vqsim_blk_request *request)
{
	uint64_t before[QUEUES];

	for (uint16_t i = 0; i < QUEUES; i++)
		before[i] = told(f, i)->notifications;
	assert_true(vqsim_blk_submit(&f->bench->blk, queue, request) >= 0);
	assert_true(vqsim_guest_publish(&f->bench->guest, queue));
	assert_int_equal(vqsim_guest_run(&f->bench->guest, queue), VIRTIO_IDLE);
	assert_ptr_equal(vqsim_blk_reap(&f->bench->blk, queue), request);
	for (uint16_t i = 0; i < QUEUES; i++)
		assert_int_equal(told(f, i)->notifications, before[i] + (i == queue));
}

/*
 * NOTIF-13: cloud-hypervisor 223d0cf78, 1da37c7bb, DPDK 6b1db8106d; NOTIF-16: crosvm b90d7d607,
 * Firecracker ac5cd1b98; NOTIF-25: Firecracker 479a1beaf, cloud-hypervisor 21a9ae345.
 */
static void each_queue_is_told_of_its_own(void **state)
{
	static const struct {
		uint32_t type, size;
	} kinds[] = {
		{VIRTIO_BLK_T_IN, 512},    {VIRTIO_BLK_T_OUT, 512}, {VIRTIO_BLK_T_FLUSH, 0},
		{VIRTIO_BLK_T_GET_ID, 20}, {VIRTIO_BLK_T_IN, 511},  {99, 0},
	};
	struct fixture *f = *state;
	struct vqsim_blk_request request;

	make(f, BENCH_BLK);
	assert_int_equal(vqsim_blk_request_init(&f->bench->blk, &request, 512), 0);
	for (uint16_t queue = 0; queue < QUEUES; queue++)
		for (unsigned i = 0; i < 2 * SIZE; i++) {
			request.type = kinds[i % COUNT_OF(kinds)].type;
			request.data_size = kinds[i % COUNT_OF(kinds)].size;
			serve_alone(f, queue, &request);
		}
	vqsim_blk_request_finish(&request);
	drop(f);
}

/* Chains of the null device, one descriptor each */

static void add(struct fixture *f, unsigned count)
{
	const struct vqsim_element element = {f->gpa, 1, true};
	const struct vqsim_chain chain = {&element, 1, 1, 0};

	for (unsigned i = 0; i < count; i++)
		assert_true(vqsim_guest_add(&f->bench->guest, 0, &chain, f) >= 0);
}

static void reap(struct fixture *f, unsigned count)
{
	struct vqsim_used used;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(vqsim_guest_reap(&f->bench->guest, 0, &used), VQSIM_REAP_USED);
	assert_int_equal(vqsim_guest_reap(&f->bench->guest, 0, &used), VQSIM_REAP_NOTHING);
}

static void serve(struct fixture *f, unsigned count)
{
	add(f, count);
	vqsim_guest_publish(&f->bench->guest, 0);
	assert_int_equal(vqsim_guest_run(&f->bench->guest, 0), VIRTIO_IDLE);
	reap(f, count);
}

/* NOTIF-23: SPDK d03cac1310, no wrap of any counter breaks the silence, and no silence stays. */
static void silence_holds_while_counters_wrap(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	make(f, BENCH_NULL);
	before = told(f, 0)->notifications;
	vqsim_driver_set_notify(&f->bench->guest.queues[0], VQSIM_NOTIFY_NEVER);
	for (unsigned served = 0; served < 70000; served += 13)
		serve(f, 13);
	assert_int_equal(told(f, 0)->notifications, before);
	vqsim_driver_set_notify(&f->bench->guest.queues[0], VQSIM_NOTIFY_ALWAYS);
	serve(f, 1);
	assert_int_equal(told(f, 0)->notifications, before + 1);
	drop(f);
}

/* NOTIF-22: SPDK 7a3246bfb2, 29181903ce, shown in several steps; nobody kicks after the first. */
static void one_kick_is_enough_for_all_that_was_shown(void **state)
{
	struct fixture *f = *state;

	make(f, BENCH_NULL);
	for (unsigned shown = 1; shown <= SIZE; shown++) {
		for (unsigned i = 0; i < shown; i++) {
			add(f, 1);
			vqsim_driver_publish(&f->bench->guest.queues[0]);
		}
		vqsim_guest_kick(&f->bench->guest, 0);
		assert_int_equal(vqsim_guest_run(&f->bench->guest, 0), VIRTIO_IDLE);
		reap(f, shown);
	}
	drop(f);
}

/* What the device has asked for: the place of the chain that it wants to be kicked for. */
static uint16_t event_of(struct fixture *f)
{
	const struct vqsim_driver *driver = &f->bench->guest.queues[0];

	if (driver->is_packed)
		return le16toh(driver->packed.device->off_wrap);
	return le16toh(*driver->ring.avail_event);
}

/* As it would be after count chains of the first lap of the ring. */
static uint16_t event_after(struct fixture *f, unsigned count)
{
	return (uint16_t)(count | (f->style->packed ? 1u << 15 : 0));
}

/*
 * NOTIF-04: QEMU a3614c65cf, one of several chains is taken: the event does not run ahead of what
 * was taken, and when all are, it names the next one.
 */
static void event_follows_what_was_taken(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *device;

	make(f, BENCH_NULL);
	device = f->bench->device;
	serve(f, 2);
	assert_int_equal(event_of(f), event_after(f, 2));
	add(f, 4);
	vqsim_guest_publish(&f->bench->guest, 0);
	for (unsigned taken = 1; taken <= 4; taken++) {
		assert_int_equal(device->ops->progress(device, 0, 1), VIRTIO_WORK_LEFT);
		assert_in_range(event_of(f), event_after(f, 2), event_after(f, 2 + taken));
	}
	assert_int_equal(vqsim_guest_run(&f->bench->guest, 0), VIRTIO_IDLE);
	assert_int_equal(event_of(f), event_after(f, 6));
	reap(f, 4);
	drop(f);
}

struct subject {
	const char *name;
	void (*run)(void **state);
	bool events; /* with EVENT_IDX alone */
};

int main(void)
{
	static const struct subject subjects[] = {
		{"each_queue_is_told_of_its_own", each_queue_is_told_of_its_own, false},
		{"silence_holds_while_counters_wrap", silence_holds_while_counters_wrap, false},
		{"one_kick_is_enough_for_all_that_was_shown",
		 one_kick_is_enough_for_all_that_was_shown, false},
		{"event_follows_what_was_taken", event_follows_what_was_taken, true},
	};
	static struct fixture fixtures[COUNT_OF(subjects) * COUNT_OF(styles)];
	struct CMUnitTest tests[COUNT_OF(fixtures)];
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
		const struct subject *subject = &subjects[i / COUNT_OF(styles)];
		struct fixture *f = &fixtures[count];

		f->style = &styles[i % COUNT_OF(styles)];
		if (subject->events && !f->style->events)
			continue;
		snprintf(f->name, sizeof(f->name), "%s (%s)", subject->name, f->style->name);
		tests[count++] = (struct CMUnitTest){f->name, subject->run, NULL, NULL, f};
	}
	return bench_run("device notifications", tests, count);
}
