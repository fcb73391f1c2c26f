/* SPDX-License-Identifier: BSD-3-Clause */
#include "kept_guest.h"

#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_blk.h>

#define BASE        UINT64_C(0x40000000)
#define MEMORY_SIZE UINT64_C(0x100000)
#define SECTOR_SIZE 512u
#define PATIENCE_NS UINT64_C(20000000000)

/* The buffers of one request, and a table for them. */
struct request {
	struct virtio_blk_outhdr header;
	uint8_t data[SECTOR_SIZE];
	uint8_t status;
	uint8_t padding[15];
	struct vring_desc table[3];
};

uint64_t kept_guest_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Life */

void kept_guest_init(struct kept_guest *guest, const struct kept_options *options)
{
	static const struct vqsim_region region = {BASE, MEMORY_SIZE};

	memset(guest, 0, sizeof(*guest));
	guest->options = *options;
	guest->options.features |=
		VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);
	guest->inflight_fd = -1;
	vqsim_schedule_seed(&guest->schedule, options->seed);
	assert_int_equal(vqsim_memory_init(&guest->memory, &region, 1), 0);
	for (unsigned i = 0; i < options->queues; i++) {
		struct kept_queue *queue = &guest->queues[i];

		assert_int_equal(vqsim_driver_init(&queue->driver, &guest->memory, KEPT_RING_SIZE,
						   guest->options.features),
				 0);
		for (unsigned j = 0; j < KEPT_SLOTS; j++)
			queue->slots[j].gpa =
				vqsim_memory_alloc(&guest->memory, sizeof(struct request), 16);
	}
}

void kept_guest_finish(struct kept_guest *guest)
{
	kept_guest_disconnect(guest);
	for (unsigned i = 0; i < guest->options.queues; i++)
		vqsim_driver_finish(&guest->queues[i].driver);
	assert_null(vqsim_memory_check(&guest->memory, NULL));
	vqsim_memory_finish(&guest->memory);
	if (guest->inflight_fd >= 0)
		close(guest->inflight_fd);
}

/* Connection */

static uint64_t user_of(const struct kept_guest *guest, uint64_t gpa)
{
	return (uintptr_t)guest->memory.mappings[0].driver + (gpa - BASE);
}

static void share_memory(struct kept_guest *guest)
{
	const struct vhost_user_memory table = {
		.count = 1,
		.regions = {{
			.guest_address = BASE,
			.size = MEMORY_SIZE,
			.user_address = user_of(guest, BASE),
			.mmap_offset = guest->memory.mappings[0].fd_offset,
		}},
	};

	assert_int_equal(peer_tell(&guest->peer, VHOST_USER_SET_MEM_TABLE, &table,
				   offsetof(struct vhost_user_memory, regions[1]),
				   guest->memory.fd),
			 0);
}

/* The first backend makes the areas, and all after it find them as it left them. */
static void share_areas(struct kept_guest *guest)
{
	struct vhost_user_inflight *areas = &guest->inflight;
	struct peer_reply reply;

	if (guest->inflight_fd < 0) {
		areas->queue_count = (uint16_t)guest->options.queues;
		areas->queue_size = KEPT_RING_SIZE;
		assert_true(peer_send(&guest->peer, &(struct peer_message){
							    .request = VHOST_USER_GET_INFLIGHT_FD,
							    .size = VHOST_USER_INFLIGHT_SIZE,
							    .payload = areas,
						    }));
		assert_int_equal(peer_receive(&guest->peer, &reply), PEER_REPLY);
		memcpy(areas, reply.payload, VHOST_USER_INFLIGHT_SIZE);
		guest->inflight_fd = reply.fd;
		assert_true(reply.fd >= 0 && areas->mmap_size > 0);
	}
	assert_int_equal(peer_tell(&guest->peer, VHOST_USER_SET_INFLIGHT_FD, areas,
				   VHOST_USER_INFLIGHT_SIZE, guest->inflight_fd),
			 0);
}

/*
 * The base is what a frontend can know that has lost its backend: of a split ring the used index;
 * of a packed one, nothing.
 */
static uint32_t base_of(const struct vqsim_driver *driver)
{
	if (driver->is_packed)
		return 1u << 15 | 1u << 31;
	return le16toh(__atomic_load_n(&driver->ring.used->idx, __ATOMIC_ACQUIRE));
}

static void start_ring(struct kept_guest *guest, uint32_t index)
{
	const struct vqsim_driver *driver = &guest->queues[index].driver;
	struct vhost_peer *peer = &guest->peer;
	const struct vhost_user_vring_addr address = {
		.index = index,
		.descriptor = user_of(guest, driver->setup.desc_gpa),
		.available = user_of(guest, driver->setup.driver_gpa),
		.used = user_of(guest, driver->setup.device_gpa),
	};

	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_CALL, index, peer->call[index]),
			 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_NUM, index, KEPT_RING_SIZE), 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_BASE, index, base_of(driver)),
			 0);
	assert_int_equal(peer_tell(peer, VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1),
			 0);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_KICK, index, peer->kick[index]),
			 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, index, 1), 0);
}

void kept_guest_connect(struct kept_guest *guest, int socket)
{
	peer_init(&guest->peer, socket);
	guest->connected = true;
	peer_negotiate(&guest->peer, guest->options.features,
		       PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(INFLIGHT_SHMFD) |
			       PEER_PROTOCOL(MQ));
	share_memory(guest);
	share_areas(guest);
	for (uint32_t i = 0; i < guest->options.queues; i++)
		start_ring(guest, i);
}

void kept_guest_stop(struct kept_guest *guest)
{
	assert_int_equal(kept_guest_in_flight(guest), 0);
	for (uint32_t i = 0; i < guest->options.queues; i++) {
		uint32_t base = peer_stop(&guest->peer, i);

		if (!guest->queues[i].driver.is_packed)
			assert_int_equal(base, base_of(&guest->queues[i].driver));
	}
}

void kept_guest_disconnect(struct kept_guest *guest)
{
	if (guest->connected)
		peer_finish(&guest->peer);
	guest->connected = false;
}

/* Requests */

static struct request *request_of(struct kept_guest *guest, const struct kept_slot *slot)
{
	return vqsim_memory_at(&guest->memory, slot->gpa, sizeof(struct request));
}

/* Of the queue's share, one that nobody works on: there are more of them than slots. */
static uint32_t idle_sector(struct kept_guest *guest, unsigned queue)
{
	uint32_t share = KEPT_SECTORS / guest->options.queues;
	uint32_t first = queue * share;
	uint32_t at = vqsim_schedule_choose(&guest->schedule, share);

	while (guest->busy[first + at])
		at = (at + 1) % share;
	return first + at;
}

static void fill(struct request *request, uint64_t stamp)
{
	for (unsigned i = 0; i < SECTOR_SIZE; i += sizeof(stamp))
		memcpy(request->data + i, &stamp, sizeof(stamp));
}

static void prepare(struct kept_guest *guest, unsigned queue, struct kept_slot *slot)
{
	struct request *request = request_of(guest, slot);
	unsigned what = vqsim_schedule_choose(&guest->schedule, 16);

	slot->type = what == 0 ? VIRTIO_BLK_T_FLUSH : what < 6 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	slot->sector = 0;
	if (slot->type != VIRTIO_BLK_T_FLUSH) {
		slot->sector = idle_sector(guest, queue);
		guest->busy[slot->sector] = true;
	}
	slot->stamp = slot->type == VIRTIO_BLK_T_OUT ? ++guest->stamp : 0;
	fill(request, slot->type == VIRTIO_BLK_T_OUT ? slot->stamp : UINT64_MAX);
	request->header = (struct virtio_blk_outhdr){
		.type = htole32(slot->type),
		.sector = htole64(slot->sector),
	};
	request->status = 0xff;
}

/* Returns false: the ring is full. */
static bool expose(struct kept_guest *guest, unsigned queue, struct kept_slot *slot)
{
	struct vqsim_element elements[] = {
		{slot->gpa + offsetof(struct request, header), 16, false},
		{slot->gpa + offsetof(struct request, data), SECTOR_SIZE, false},
		{slot->gpa + offsetof(struct request, status), 1, true},
	};
	struct vqsim_chain chain = {elements, 3, 3, slot->gpa + offsetof(struct request, table)};
	struct vqsim_driver *driver = &guest->queues[queue].driver;

	if (driver->free_count < chain.count)
		return false;
	prepare(guest, queue, slot);
	elements[1].write = slot->type == VIRTIO_BLK_T_IN;
	if (slot->type == VIRTIO_BLK_T_FLUSH) {
		elements[1] = elements[2];
		chain.count = chain.direct = 2;
	}
	if (guest->options.features & VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC))
		chain.direct = 0;
	assert_true(vqsim_driver_add(driver, &chain, slot) >= 0);
	slot->in_flight = true;
	return true;
}

static void check_answer(struct kept_guest *guest, const struct kept_slot *slot, uint32_t len)
{
	struct request *request = request_of(guest, slot), expected;

	assert_int_equal(request->status, VIRTIO_BLK_S_OK);
	assert_int_equal(len, slot->type == VIRTIO_BLK_T_IN ? SECTOR_SIZE + 1 : 1);
	if (slot->type != VIRTIO_BLK_T_IN || guest->content[slot->sector] == 0)
		return;
	fill(&expected, guest->content[slot->sector]);
	assert_memory_equal(request->data, expected.data, SECTOR_SIZE);
}

/* Returns whether anything came back. */
static bool reap(struct kept_guest *guest, unsigned queue)
{
	struct vqsim_driver *driver = &guest->queues[queue].driver;
	struct vqsim_used used;
	enum vqsim_reap result;
	bool any = false;

	while ((result = vqsim_driver_reap(driver, &used)) != VQSIM_REAP_NOTHING) {
		struct kept_slot *slot = used.token;

		/* Neither a name that is not in flight, nor one for the second time. */
		assert_int_equal(result, VQSIM_REAP_USED);
		assert_true(slot->in_flight);
		check_answer(guest, slot, used.len);
		slot->in_flight = false;
		if (slot->type == VIRTIO_BLK_T_OUT)
			guest->content[slot->sector] = slot->stamp;
		if (slot->type != VIRTIO_BLK_T_FLUSH)
			guest->busy[slot->sector] = false;
		guest->completed++;
		any = true;
	}
	return any;
}

static void fill_ring(struct kept_guest *guest, unsigned queue)
{
	struct vqsim_driver *driver = &guest->queues[queue].driver;
	const uint64_t one = 1;
	bool any = false;

	for (unsigned i = 0; i < KEPT_SLOTS; i++) {
		struct kept_slot *slot = &guest->queues[queue].slots[i];

		if (!slot->in_flight && expose(guest, queue, slot))
			any = true;
	}
	if (any && vqsim_driver_publish(driver))
		assert_int_equal(write(guest->peer.kick[queue], &one, sizeof(one)), sizeof(one));
}

/* Wait for a notification of any queue. Returns whether one came before the deadline. */
static bool wait_for_call(struct kept_guest *guest, uint64_t deadline)
{
	struct pollfd calls[PEER_QUEUES];
	uint64_t now = kept_guest_now();
	int ms = now < deadline ? (int)((deadline - now + 999999) / 1000000) : 0;
	int ready;

	for (unsigned i = 0; i < guest->options.queues; i++)
		calls[i] = (struct pollfd){.fd = guest->peer.call[i], .events = POLLIN};
	ready = poll(calls, guest->options.queues, ms);
	assert_true(ready >= 0);
	for (unsigned i = 0; i < guest->options.queues; i++)
		peer_calls(&guest->peer, i);
	return ready > 0;
}

void kept_guest_step(struct kept_guest *guest, bool more, uint64_t deadline)
{
	uint64_t patience = kept_guest_now() + PATIENCE_NS;
	bool any = false;

	for (unsigned i = 0; i < guest->options.queues; i++) {
		any |= reap(guest, i);
		if (more)
			fill_ring(guest, i);
		/* 2.7.14: look again after asking for a notification. */
		any |= vqsim_driver_set_notify(&guest->queues[i].driver, VQSIM_NOTIFY_ALWAYS);
	}
	if (any || kept_guest_in_flight(guest) == 0)
		return;
	if (!wait_for_call(guest, deadline < patience ? deadline : patience) &&
	    deadline >= patience)
		fail_msg("%u requests or their notification are lost", kept_guest_in_flight(guest));
}

unsigned kept_guest_in_flight(const struct kept_guest *guest)
{
	unsigned count = 0;

	for (unsigned i = 0; i < guest->options.queues; i++)
		count += guest->queues[i].driver.in_flight;
	return count;
}

void kept_guest_check(const struct kept_guest *guest, const char *path)
{
	FILE *file = fopen(path, "r");
	struct request is, expected;

	assert_non_null(file);
	for (unsigned i = 0; i < KEPT_SECTORS; i++) {
		assert_int_equal(fread(is.data, SECTOR_SIZE, 1, file), 1);
		if (guest->content[i] == 0)
			continue;
		fill(&expected, guest->content[i]);
		assert_memory_equal(is.data, expected.data, SECTOR_SIZE);
	}
	fclose(file);
}
