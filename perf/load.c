/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_SIZE  (UINT64_C(1) << 20)
#define STATUS_UNSET 0xffu
#define BUDGET       256u

static __attribute__((noreturn)) void die(const struct perf_load *load, const char *what)
{
	fprintf(stderr, "perf: %s: %s\n", load->subject->name, what);
	exit(1);
}

static void init_buffer(struct perf_load *load, unsigned index, uint64_t data)
{
	struct perf_buffer *buffer = &load->buffers[index];
	uint64_t header = vqsim_memory_alloc(&load->memory, PERF_HEADER_SIZE, 16);
	uint64_t status = vqsim_memory_alloc(&load->memory, 1, 1);

	buffer->elements[0] = (struct vqsim_element){header, PERF_HEADER_SIZE, false};
	buffer->elements[1] = (struct vqsim_element){data, PERF_DATA_SIZE, true};
	buffer->elements[2] = (struct vqsim_element){status, 1, true};
	buffer->chain = (struct vqsim_chain){buffer->elements, 3, 3, 0};
	buffer->header = vqsim_memory_at(&load->memory, header, PERF_HEADER_SIZE);
	buffer->status = vqsim_memory_at(&load->memory, status, 1);
	buffer->sector = index * (PERF_DATA_SIZE / 512u);
}

/*
 * Headers and status bytes lie together, apart from the data, as those of a real
 * driver do; beside page-aligned data they would all fall into one set of the cache.
 */
static void init_buffers(struct perf_load *load)
{
	uint64_t data = vqsim_memory_alloc(&load->memory, PERF_BUFFERS * PERF_DATA_SIZE, 4096);

	for (unsigned i = 0; i < PERF_BUFFERS; i++)
		init_buffer(load, i, data + i * PERF_DATA_SIZE);
}

int perf_one_mapping(struct vqsim_memory *memory)
{
	const struct vqsim_mapping *mapping = &memory->mappings[0];
	const struct guest_region region = {
		.gpa = mapping->range.gpa,
		.size = mapping->range.size,
		.hva = mapping->driver,
		.fd = -1,
		.access = GUEST_READ_WRITE,
	};
	int error = guest_memory_remove(&memory->guest, region.gpa, region.size);

	return error ? error : guest_memory_add(&memory->guest, &region);
}

void perf_load_init(struct perf_load *load, const struct perf_subject *subject, bool refereed)
{
	const struct vqsim_region region = {.gpa = UINT64_C(1) << 30, .size = MEMORY_SIZE};
	const struct vqsim_guest_config config = {
		.features = subject->features,
		.queue_size = PERF_QUEUE_SIZE,
	};

	memset(load, 0, sizeof(*load));
	load->subject = subject;
	load->used_len = subject->used_len;
	load->refereed = refereed;
	if (subject->create(&load->device, &load->store) != 0)
		die(load, "cannot make the device");
	if (vqsim_memory_init(&load->memory, &region, 1) != 0 ||
	    (!refereed && perf_one_mapping(&load->memory) != 0) ||
	    (refereed && vqsim_referee_init(&load->referee, &load->memory) != 0) ||
	    vqsim_guest_init(&load->guest, &load->memory, load->device,
			     refereed ? &load->referee : NULL) != 0)
		die(load, "cannot make the guest");
	if (vqsim_guest_bring_up(&load->guest, &config) != VQSIM_UP)
		die(load, "the device did not come up");
	/* What is not offered is not taken, and the figures would be those of another subject. */
	if (subject->features & ~load->guest.features)
		die(load, "the device does not offer all features of the subject");
	vqsim_driver_set_notify(&load->guest.queues[0], VQSIM_NOTIFY_NEVER);
	init_buffers(load);
}

void perf_load_finish(struct perf_load *load)
{
	if (load->refereed && load->referee.violations > 0)
		die(load, "the referee saw violations");
	vqsim_guest_finish(&load->guest);
	vqsim_referee_finish(&load->referee);
	load->device->ops->destroy(load->device);
	if (load->store)
		load->store->ops->destroy(load->store);
	vqsim_memory_finish(&load->memory);
}

__attribute__((noinline)) enum virtio_progress perf_device_progress(struct virtio_device *device,
								    uint16_t queue)
{
	return device->ops->progress(device, queue, BUDGET);
}

/* Fill in a header as a block driver does. */
static inline void prepare(struct perf_buffer *buffer)
{
	buffer->header->type = htole32(VIRTIO_BLK_T_IN);
	buffer->header->ioprio = 0;
	buffer->header->sector = htole64(buffer->sector);
	*buffer->status = STATUS_UNSET;
}

static inline void check(const struct perf_load *load, const struct perf_buffer *buffer,
			 enum vqsim_reap reap, const struct vqsim_used *used)
{
	if (reap != VQSIM_REAP_USED)
		die(load, "a request did not come back");
	if (used->token != buffer || used->len != load->used_len || *buffer->status != 0)
		die(load, "a wrong answer");
}

static inline struct perf_buffer *buffer_at(struct perf_load *load, unsigned number)
{
	return &load->buffers[number % PERF_BUFFERS];
}

/* One batch with the driver and the device alone. */
static void run_bare(struct perf_load *load, unsigned first, unsigned end)
{
	struct vqsim_driver *driver = &load->guest.queues[0];
	struct vqsim_used used;

	for (unsigned i = first; i != end; i++) {
		struct perf_buffer *buffer = buffer_at(load, i);

		prepare(buffer);
		if (vqsim_driver_add(driver, &buffer->chain, buffer) < 0)
			die(load, "the ring is full");
	}
	vqsim_driver_publish(driver);
	perf_device_progress(load->device, 0);
	for (unsigned i = first; i != end; i++)
		check(load, buffer_at(load, i), vqsim_driver_reap(driver, &used), &used);
}

/* The same through the guest, which tells the referee of each step. */
static void run_refereed(struct perf_load *load, unsigned first, unsigned end)
{
	struct vqsim_guest *guest = &load->guest;
	struct vqsim_used used;

	for (unsigned i = first; i != end; i++) {
		struct perf_buffer *buffer = buffer_at(load, i);

		prepare(buffer);
		if (vqsim_guest_add(guest, 0, &buffer->chain, buffer) < 0)
			die(load, "the ring is full");
	}
	vqsim_guest_publish(guest, 0);
	vqsim_guest_run(guest, 0);
	for (unsigned i = first; i != end; i++)
		check(load, buffer_at(load, i), vqsim_guest_reap(guest, 0, &used), &used);
}

void perf_load_run(struct perf_load *load, unsigned batch, unsigned requests)
{
	for (unsigned first = 0; first < requests; first += batch)
		if (load->refereed)
			run_refereed(load, first, first + batch);
		else
			run_bare(load, first, first + batch);
}
