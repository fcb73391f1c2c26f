/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device of a case: making it, bringing it up, letting go of it, and what a case
 * asks of a block device.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "suite_internal.h"

#define PATTERN_STEP 8192u

/* Calls of progress beyond one for each chain, as in guest.c. */
#define RUN_CALLS_SPARE 16u

/* Bits 24..40 are the ring's and the transport's; the rest belongs to the device type (2.2). */
#define DEVICE_FEATURES (((UINT64_C(1) << 24) - 1) | UINT64_C(0xfffc000000000000))

/* What comes before the question of the case: its clauses are not to blame. */
#define SET_UP_EXPECT(suite, condition, ...) \
	SUITE_EXPECT_CLAUSE(suite, VQSIM_SUITE_BRING_UP, condition, __VA_ARGS__)

static const char *const up_words[] = {
	[VQSIM_UP] = "is up",
	[VQSIM_REFUSED_FEATURES] = "refuses the features",
	[VQSIM_REFUSED_QUEUE] = "refuses a queue",
	[VQSIM_BROKEN] = "asks for a reset at DRIVER_OK",
};

uint8_t vqsim_suite_pattern(uint64_t offset)
{
	return (uint8_t)(offset * 3 + (offset >> 9) * 89 + (offset >> 8) * 7 + 1);
}

/* In steps of 3 from one multiple of 256 to the next. */
void vqsim_suite_pattern_fill(uint64_t offset, uint8_t *bytes, uint32_t size)
{
	uint8_t value = 0;

	for (uint32_t i = 0; i < size; i++) {
		if (i == 0 || (offset + i) % 256 == 0)
			value = vqsim_suite_pattern(offset + i);
		bytes[i] = value;
		value += 3;
	}
}

bool vqsim_suite_offers(const struct vqsim_suite *suite, unsigned bit)
{
	return suite->offered & VIRTIO_FEATURE(bit);
}

bool vqsim_suite_has(const struct vqsim_suite *suite, unsigned bit)
{
	return suite->guest.features & VIRTIO_FEATURE(bit);
}

void suite_drop_requests(struct vqsim_suite *suite)
{
	while (suite->requests) {
		struct vqsim_suite_request *request = suite->requests;

		suite->requests = request->next;
		vqsim_blk_request_finish(&request->request);
		free(request);
	}
}

/* The rings are gone: what was in flight is lost, and its memory may be given out again. */
static void forget_requests(struct vqsim_suite *suite)
{
	for (struct vqsim_suite_request *r = suite->requests; r; r = r->next)
		vqsim_blk_request_finish(&r->request);
	suite->io_count = 0;
	suite_fs_down(suite);
}

void suite_drop_device(struct vqsim_suite *suite)
{
	if (!suite->has_device)
		return;
	/* A device cannot be reset while its store holds on to requests. */
	if (suite->subject->ops->hold)
		suite->subject->ops->hold(suite->instance, false);
	suite_fs_down(suite);
	vqsim_guest_finish(&suite->guest);
	forget_requests(suite);
	vqsim_disk_finish(&suite->disk);
	suite->has_disk = false;
	if (suite->has_tree)
		vqsim_tree_finish(&suite->tree);
	suite->has_tree = false;
	suite->subject->ops->destroy(suite->instance);
	suite->has_device = false;
}

static void make_disk(struct vqsim_suite *suite)
{
	uint64_t size;

	vqsim_blk_init(&suite->blk, &suite->guest, NULL);
	size = suite->blk.capacity * VQSIM_DISK_SECTOR;
	SET_UP_EXPECT(suite, size > 0 && size <= VQSIM_SUITE_DISK_MAX,
		      "the capacity is from 1 sector to %u bytes (it is %" PRIu64 " sectors)",
		      VQSIM_SUITE_DISK_MAX, suite->blk.capacity);
	suite->pattern_size = size < VQSIM_SUITE_PATTERN_SIZE ? size : VQSIM_SUITE_PATTERN_SIZE;
	if (suite->facts.forgets)
		return;
	SET_UP_EXPECT(suite, vqsim_disk_init(&suite->disk, &suite->referee, size) == 0,
		      "a model of the disk (the host is out of memory)");
	suite->has_disk = true;
}

static void make_tree(struct vqsim_suite *suite)
{
	SET_UP_EXPECT(suite, vqsim_tree_init(&suite->tree, &suite->referee, suite->facts.tree) == 0,
		      "a model of the files (the host is out of memory)");
	suite->has_tree = true;
}

static uint16_t fs_queues(const struct vqsim_suite *suite)
{
	uint16_t has = suite->guest.link.transport.queue_count;

	if (!suite->is_fs)
		return 0;
	return has == suite->point.queue_count + SUITE_FS_QUEUES - 1 ? SUITE_FS_QUEUES - 1
								     : SUITE_FS_QUEUES;
}

void vqsim_suite_remake(struct vqsim_suite *suite, const struct vqsim_subject_options *options)
{
	const struct vqsim_subject_ops *ops = suite->subject->ops;
	int error;

	suite_drop_device(suite);
	error = ops->create(suite->subject, options, &suite->device, &suite->instance);
	if (error == -ENOTSUP)
		vqsim_suite_not_observable(suite, "the subject makes no such device");
	SET_UP_EXPECT(suite, error == 0, "the subject makes a device (%s)", strerror(-error));
	error = vqsim_guest_init(&suite->guest, &suite->memory, suite->device, &suite->referee);
	if (error)
		ops->destroy(suite->instance);
	SET_UP_EXPECT(suite, error == 0, "a guest for the device (%s)", strerror(-error));
	suite->has_device = true;
	if (ops->facts)
		ops->facts(suite->instance, &suite->facts);
	suite->offered = virtio_transport_features(&suite->guest.link.transport);
	suite->is_blk = suite->device->ops->device_id == VIRTIO_ID_BLOCK;
	suite->is_fs = suite->device->ops->device_id == VIRTIO_ID_FS;
	suite->fs_queues = fs_queues(suite);
	if (suite->is_blk) {
		make_disk(suite);
		suite_lay_pattern(suite);
	}
	if (suite->is_fs && suite->facts.tree)
		make_tree(suite);
}

uint16_t vqsim_suite_queue(const struct vqsim_suite *suite, unsigned number)
{
	return (uint16_t)(number + suite->fs_queues);
}

struct vqsim_guest_config vqsim_suite_config(const struct vqsim_suite *suite)
{
	uint64_t reset = suite->is_fs && suite->fs_queues < SUITE_FS_QUEUES
				 ? VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET)
				 : 0;

	return (struct vqsim_guest_config){
		.features = vqsim_point_features(&suite->point) | DEVICE_FEATURES | reset,
		.queue_count = suite->point.queue_count + suite->fs_queues,
		.queue_size = suite->point.queue_size,
	};
}

void vqsim_suite_must_come_up(struct vqsim_suite *suite, const char *clause,
			      const struct vqsim_guest_config *config)
{
	uint16_t has = suite->guest.link.transport.queue_count;
	enum vqsim_bring_up up;

	SUITE_EXPECT_CLAUSE(suite, clause, config->queue_count <= has,
			    "a device with %u queues as asked for (it has %u)", config->queue_count,
			    has);
	vqsim_guest_reset(&suite->guest);
	forget_requests(suite);
	up = vqsim_guest_bring_up(&suite->guest, config);
	SUITE_EXPECT_CLAUSE(suite, clause, up == VQSIM_UP,
			    "the device comes up with features 0x%" PRIx64
			    " and %u queues of %u (it %s)",
			    config->features & suite->offered, config->queue_count,
			    config->queue_size, up_words[up]);
	if (suite->is_blk)
		vqsim_blk_init(&suite->blk, &suite->guest, suite->has_disk ? &suite->disk : NULL);
	if (suite->is_fs)
		suite_fs_up(suite);
}

void vqsim_suite_up_with(struct vqsim_suite *suite, const struct vqsim_guest_config *config)
{
	vqsim_suite_must_come_up(suite, VQSIM_SUITE_BRING_UP, config);
}

void vqsim_suite_up(struct vqsim_suite *suite)
{
	struct vqsim_guest_config config = vqsim_suite_config(suite);

	vqsim_suite_up_with(suite, &config);
}

void vqsim_suite_up_size(struct vqsim_suite *suite, uint16_t queue_size)
{
	struct vqsim_guest_config config = vqsim_suite_config(suite);

	config.queue_size = queue_size;
	vqsim_suite_up_with(suite, &config);
}

void vqsim_suite_up_without(struct vqsim_suite *suite, uint64_t features)
{
	struct vqsim_guest_config config = vqsim_suite_config(suite);

	config.features &= ~features;
	vqsim_suite_up_with(suite, &config);
}

/* Both sides go on where someone left a split ring: nothing is in flight, and kicks are wanted. */
static void go_on_at(struct vqsim_driver *driver, uint16_t index)
{
	driver->setup.resume.avail_index = driver->setup.resume.used_index = index;
	driver->avail_index = driver->published_index = driver->kicked_index = index;
	driver->used_index = index;
	driver->ring.avail->idx = driver->ring.used->idx = htole16(index);
	if (!(driver->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)))
		return;
	*driver->ring.used_event = *driver->ring.avail_event = htole16(index);
}

void vqsim_suite_prepare(struct vqsim_suite *suite, uint16_t index)
{
	struct vqsim_guest_config config = vqsim_suite_config(suite);
	struct vqsim_guest *guest = &suite->guest;
	struct vqsim_driver *driver = &guest->queues[0];

	if (suite->is_fs)
		vqsim_suite_not_applicable(suite, "no request is good before a session begins");
	vqsim_guest_reset(guest);
	forget_requests(suite);
	SET_UP_EXPECT(suite, vqsim_guest_negotiate(guest, config.features) == VQSIM_UP,
		      "the features are accepted");
	guest->mark = vqsim_memory_mark(&suite->memory);
	SET_UP_EXPECT(
		suite,
		vqsim_driver_init(driver, &suite->memory, config.queue_size, guest->features) == 0,
		"a ring (the host is out of memory)");
	guest->queue_count = 1;
	if (!driver->is_packed)
		go_on_at(driver, index);
	SET_UP_EXPECT(suite,
		      vqsim_referee_set_up(&suite->referee, guest->features, &driver->setup, 1) ==
			      0,
		      "a referee of it (the host is out of memory)");
	SET_UP_EXPECT(suite,
		      virtio_transport_enable_queue(&guest->link.transport, 0, &driver->setup) == 0,
		      "the queue is accepted");
}

void vqsim_suite_driver_ok(struct vqsim_suite *suite)
{
	struct vqsim_link *link = &suite->guest.link;

	vqsim_referee_before_driver_ok(&suite->referee, 0, link->queues[0].notifications);
	virtio_transport_write_status(&link->transport, virtio_transport_status(&link->transport) |
								VIRTIO_CONFIG_S_DRIVER_OK);
	SET_UP_EXPECT(suite, !vqsim_guest_needs_reset(&suite->guest),
		      "the device comes up with a queue of %u", suite->guest.queues[0].setup.size);
}

/* No hook reaches the disk: a life of the device before the first one of the case does it. */
static void write_pattern(struct vqsim_suite *suite)
{
	const struct vqsim_guest_config config = {.features = DEVICE_FEATURES, .queue_count = 1};
	uint8_t data[PATTERN_STEP];

	if (vqsim_suite_offers(suite, VIRTIO_BLK_F_RO))
		vqsim_suite_not_observable(suite, "a read-only disk that the subject cannot poke");
	vqsim_suite_up_with(suite, &config);
	for (uint64_t at = 0; at < suite->pattern_size; at += PATTERN_STEP) {
		vqsim_suite_pattern_fill(at, data, PATTERN_STEP);
		vqsim_suite_write(suite, at / VQSIM_DISK_SECTOR, data, PATTERN_STEP);
	}
	vqsim_suite_flush(suite);
	vqsim_guest_reset(&suite->guest);
	forget_requests(suite);
}

static void poke_pattern(struct vqsim_suite *suite)
{
	static uint8_t data[VQSIM_SUITE_PATTERN_SIZE];
	int error;

	vqsim_suite_pattern_fill(0, data, sizeof(data));
	error = suite->subject->ops->poke(suite->instance, 0, data, suite->pattern_size);
	SET_UP_EXPECT(suite, error == 0, "the subject pokes its store (%s)", strerror(-error));
	vqsim_disk_know(&suite->disk, 0, data, suite->pattern_size);
}

void suite_lay_pattern(struct vqsim_suite *suite)
{
	if (suite->subject->ops->poke)
		poke_pattern(suite);
	else if (!suite->facts.forgets)
		write_pattern(suite);
}

void vqsim_suite_settle(struct vqsim_suite *suite, uint16_t queue)
{
	enum virtio_progress progress = VIRTIO_WAITING;

	vqsim_guest_publish(&suite->guest, queue);
	for (unsigned i = 0; i < VQSIM_SUITE_ROUNDS_MAX; i++) {
		progress = vqsim_guest_run(&suite->guest, queue);
		if (progress != VIRTIO_WAITING)
			break;
		vqsim_link_wait(&suite->guest.link, queue);
	}
	SUITE_EXPECT(suite, progress != VIRTIO_WAITING, "queue %u comes to rest", queue);
}

enum virtio_progress vqsim_suite_work(struct vqsim_suite *suite, uint16_t queue)
{
	struct vqsim_guest *guest = &suite->guest;
	enum virtio_progress progress = VIRTIO_WAITING;

	vqsim_guest_publish(guest, queue);
	vqsim_referee_before_run(&suite->referee, queue);
	for (unsigned i = 0; i < VQSIM_SUITE_ROUNDS_MAX && progress == VIRTIO_WAITING; i++) {
		progress = vqsim_link_run(&guest->link, queue,
					  guest->queues[queue].setup.size + RUN_CALLS_SPARE);
		if (progress == VIRTIO_WAITING)
			vqsim_link_wait(&guest->link, queue);
	}
	return progress;
}

void vqsim_suite_judge(struct vqsim_suite *suite, uint16_t queue, enum virtio_progress progress)
{
	struct vqsim_link *link = &suite->guest.link;

	vqsim_referee_ran(&suite->referee, queue, progress, link->queues[queue].notifications,
			  virtio_transport_status(&link->transport), link->config_notifications);
}

struct vqsim_blk_request *vqsim_suite_request(struct vqsim_suite *suite, uint32_t data_room)
{
	struct vqsim_suite_request *request = calloc(1, sizeof(*request));

	if (!request || vqsim_blk_request_init(&suite->blk, &request->request, data_room) != 0) {
		free(request);
		SET_UP_EXPECT(suite, false, "room for a request (the host is out of memory)");
		return NULL;
	}
	request->next = suite->requests;
	suite->requests = request;
	request->request.indirect = suite->point.indirect;
	return &request->request;
}

int vqsim_suite_do(struct vqsim_suite *suite, uint16_t queue, struct vqsim_blk_request *request,
		   uint32_t type, uint64_t sector, uint32_t data_size)
{
	int status;

	request->type = type;
	request->sector = sector;
	request->data_size = data_size;
	status = vqsim_blk_do(&suite->blk, queue, request);
	SUITE_EXPECT(suite, status >= 0,
		     "a request of type %" PRIu32 " at sector %" PRIu64 " comes back", type,
		     sector);
	return status;
}

static void do_ok(struct vqsim_suite *suite, struct vqsim_blk_request *request, uint32_t type,
		  uint64_t sector, uint32_t size)
{
	int status = vqsim_suite_do(suite, 0, request, type, sector, size);

	SUITE_EXPECT(suite, status == VIRTIO_BLK_S_OK,
		     "a good request of type %" PRIu32 " at sector %" PRIu64
		     " gets status 0 (it got %d)",
		     type, sector, status);
}

void vqsim_suite_write(struct vqsim_suite *suite, uint64_t sector, const void *data, uint32_t size)
{
	struct vqsim_blk_request *request = vqsim_suite_request(suite, size);

	memcpy(request->out_data, data, size);
	do_ok(suite, request, VIRTIO_BLK_T_OUT, sector, size);
}

void vqsim_suite_read(struct vqsim_suite *suite, uint64_t sector, void *data, uint32_t size)
{
	struct vqsim_blk_request *request = vqsim_suite_request(suite, size);

	do_ok(suite, request, VIRTIO_BLK_T_IN, sector, size);
	memcpy(data, request->in_data, size);
}

void vqsim_suite_flush(struct vqsim_suite *suite)
{
	do_ok(suite, vqsim_suite_request(suite, 0), VIRTIO_BLK_T_FLUSH, 0, 0);
}

uint64_t vqsim_suite_config_field(struct vqsim_suite *suite, uint32_t offset, uint32_t size)
{
	uint8_t bytes[8] = {0};
	uint64_t value = 0;
	int error = virtio_transport_config_read(&suite->guest.link.transport, offset, bytes, size);

	SUITE_EXPECT(suite, error == 0,
		     "bytes %" PRIu32 "..%" PRIu32 " of the config space are there", offset,
		     offset + size - 1);
	for (uint32_t i = size; i-- > 0;)
		value = value << 8 | bytes[i];
	return value;
}
