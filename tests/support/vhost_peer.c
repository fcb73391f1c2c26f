/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* memfd_create */
#include "vhost_peer.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define WAIT_MS 20000

void peer_init(struct vhost_peer *peer, int socket)
{
	memset(peer, 0, sizeof(*peer));
	peer->socket = socket;
	peer->memory_fd = memfd_create("vhost-peer", MFD_CLOEXEC);
	assert_true(peer->memory_fd >= 0);
	assert_int_equal(ftruncate(peer->memory_fd, PEER_SIZE), 0);
	peer->memory =
		mmap(NULL, PEER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, peer->memory_fd, 0);
	assert_ptr_not_equal(peer->memory, MAP_FAILED);
	for (unsigned i = 0; i < PEER_QUEUES; i++) {
		peer->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		peer->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(peer->kick[i] >= 0 && peer->call[i] >= 0);
	}
}

void peer_finish(struct vhost_peer *peer)
{
	if (!peer->memory)
		return;
	if (peer->socket >= 0)
		close(peer->socket);
	munmap(peer->memory, PEER_SIZE);
	close(peer->memory_fd);
	for (unsigned i = 0; i < PEER_QUEUES; i++) {
		close(peer->kick[i]);
		close(peer->call[i]);
	}
	memset(peer, 0, sizeof(*peer));
}

bool peer_send_bytes(struct vhost_peer *peer, const void *bytes, size_t size, const int *fds,
		     unsigned fd_count)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = {0};
	struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr head = {.msg_iov = &piece, .msg_iovlen = 1};

	assert_true(fd_count <= 64);
	if (fd_count > 0) {
		struct cmsghdr *part;

		head.msg_control = control;
		head.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		part = CMSG_FIRSTHDR(&head);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
	}
	return sendmsg(peer->socket, &head, MSG_NOSIGNAL) == (ssize_t)size;
}

bool peer_send(struct vhost_peer *peer, const struct peer_message *message)
{
	uint8_t bytes[sizeof(struct vhost_user_header) + 4096] = {0};
	struct vhost_user_header header = {
		.request = message->request,
		.flags = message->flags ? message->flags : VHOST_USER_VERSION,
		.size = message->size,
	};

	assert_true(message->size <= 4096);
	memcpy(bytes, &header, sizeof(header));
	if (message->payload)
		memcpy(bytes + sizeof(header), message->payload, message->size);
	return peer_send_bytes(peer, bytes, sizeof(header) + message->size, message->fds,
			       message->fd_count);
}

/* Read exactly size bytes. Returns false: the connection is closed. */
static bool read_whole(struct vhost_peer *peer, void *to, size_t size, int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec piece = {.iov_base = to, .iov_len = size};
	struct msghdr head = {.msg_iov = &piece,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes)};
	struct pollfd ready = {.fd = peer->socket, .events = POLLIN};
	ssize_t got;

	while (poll(&ready, 1, WAIT_MS) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_not_equal(ready.revents, 0);
	got = recvmsg(peer->socket, &head, MSG_WAITALL | MSG_CMSG_CLOEXEC);
	if (got <= 0)
		return false;
	assert_int_equal(got, size);
	if (head.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&head)), sizeof(*fd));
	return true;
}

static bool readable(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, 0) > 0;
}

enum peer_answer peer_receive(struct vhost_peer *peer, struct peer_reply *reply)
{
	int ignored = -1;

	reply->fd = -1;
	if (peer->pump) {
		peer->pump(peer->opaque);
		if (!readable(peer->socket))
			return PEER_NOTHING;
	}
	if (!read_whole(peer, &reply->header, sizeof(reply->header), &reply->fd))
		return PEER_CLOSED;
	assert_int_equal(reply->header.flags, VHOST_USER_VERSION | VHOST_USER_REPLY);
	assert_true(reply->header.size <= sizeof(reply->payload));
	if (reply->header.size > 0)
		assert_true(read_whole(peer, reply->payload, reply->header.size, &ignored));
	return PEER_REPLY;
}

/* The reply to request, of size bytes. */
static void receive_reply(struct vhost_peer *peer, uint32_t request, void *payload, uint32_t size)
{
	struct peer_reply reply;

	assert_int_equal(peer_receive(peer, &reply), PEER_REPLY);
	assert_int_equal(reply.header.request, request);
	assert_int_equal(reply.header.size, size);
	assert_int_equal(reply.fd, -1);
	memcpy(payload, reply.payload, size);
}

uint64_t peer_ask(struct vhost_peer *peer, uint32_t request)
{
	uint64_t value;

	assert_true(peer_send(peer, &(struct peer_message){.request = request}));
	receive_reply(peer, request, &value, sizeof(value));
	return value;
}

uint64_t peer_tell(struct vhost_peer *peer, uint32_t request, const void *payload, uint32_t size,
		   int fd)
{
	const struct peer_message message = {
		.request = request,
		.flags = VHOST_USER_VERSION | (peer->acknowledged ? VHOST_USER_NEED_REPLY : 0),
		.size = size,
		.payload = payload,
		.fds = &fd,
		.fd_count = fd >= 0,
	};
	struct peer_reply reply;
	uint64_t value = 0;

	if (peer->may_close) {
		if (peer_send(peer, &message) && peer->acknowledged &&
		    peer_receive(peer, &reply) == PEER_CLOSED)
			return UINT64_MAX;
		return 0;
	}
	assert_true(peer_send(peer, &message));
	if (peer->acknowledged)
		receive_reply(peer, request, &value, sizeof(value));
	else if (peer->pump)
		peer->pump(peer->opaque);
	return value;
}

uint64_t peer_tell_u64(struct vhost_peer *peer, uint32_t request, uint64_t value)
{
	return peer_tell(peer, request, &value, sizeof(value), -1);
}

uint64_t peer_tell_state(struct vhost_peer *peer, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state state = {index, num};

	return peer_tell(peer, request, &state, sizeof(state), -1);
}

uint64_t peer_tell_fd(struct vhost_peer *peer, uint32_t request, uint32_t index, int fd)
{
	uint64_t value = index | (fd < 0 ? VHOST_USER_NO_FD : 0);

	return peer_tell(peer, request, &value, sizeof(value), fd);
}

uint32_t peer_stop(struct vhost_peer *peer, uint32_t index)
{
	struct vhost_user_vring_state state = {index, 0};

	assert_true(peer_send(peer, &(struct peer_message){.request = VHOST_USER_GET_VRING_BASE,
							   .size = sizeof(state),
							   .payload = &state}));
	receive_reply(peer, VHOST_USER_GET_VRING_BASE, &state, sizeof(state));
	assert_int_equal(state.index, index);
	return state.num;
}

struct vhost_user_region peer_region(void)
{
	return (struct vhost_user_region){
		.guest_address = PEER_GUEST, .size = PEER_SIZE, .user_address = PEER_USER};
}

uint64_t peer_share_memory(struct vhost_peer *peer)
{
	struct vhost_user_memory table = {.count = 1, .regions = {peer_region()}};

	return peer_tell(peer, VHOST_USER_SET_MEM_TABLE, &table,
			 offsetof(struct vhost_user_memory, regions[1]), peer->memory_fd);
}

void peer_negotiate(struct vhost_peer *peer, uint64_t features, uint64_t protocol)
{
	uint64_t wanted = features | UINT64_C(1) << VIRTIO_F_VERSION_1 |
			  UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES;

	assert_int_equal(wanted & ~peer_ask(peer, VHOST_USER_GET_FEATURES), 0);
	assert_int_equal(protocol & ~peer_ask(peer, VHOST_USER_GET_PROTOCOL_FEATURES), 0);
	peer_tell_u64(peer, VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
	peer->acknowledged = protocol & PEER_PROTOCOL(REPLY_ACK);
	assert_int_equal(peer_tell(peer, VHOST_USER_SET_OWNER, NULL, 0, -1), 0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_FEATURES, wanted), 0);
}

void peer_start_ring(struct vhost_peer *peer, uint32_t index, uint32_t base)
{
	const uint64_t ring = PEER_USER + PEER_RING(index);
	const struct vhost_user_vring_addr address = {
		.index = index,
		.descriptor = ring,
		.available = ring + 0x1000,
		.used = ring + 0x2000,
	};

	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_CALL, index, peer->call[index]),
			 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_NUM, index, PEER_ENTRIES), 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_BASE, index, base), 0);
	assert_int_equal(peer_tell(peer, VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1),
			 0);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_KICK, index, peer->kick[index]),
			 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, index, 1), 0);
}

void peer_set_up(struct vhost_peer *peer)
{
	peer_negotiate(peer, 0, PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(CONFIG));
	assert_int_equal(peer_share_memory(peer), 0);
	peer_start_ring(peer, 0, 0);
}

static struct vring_avail *avail_of(struct vhost_peer *peer, uint32_t index)
{
	return (void *)(peer->memory + PEER_RING(index) + 0x1000);
}

static struct vring_used *used_of(struct vhost_peer *peer, uint32_t index)
{
	return (void *)(peer->memory + PEER_RING(index) + 0x2000);
}

void peer_expose(struct vhost_peer *peer, uint32_t index)
{
	struct vring_desc *desc = (void *)(peer->memory + PEER_RING(index));
	uint8_t *buffers = peer->memory + PEER_RING(index) + 0x3000;
	uint64_t gpa = PEER_GUEST + PEER_RING(index) + 0x3000;
	struct vring_avail *avail = avail_of(peer, index);
	const uint64_t one = 1;
	uint16_t next = le16toh(avail->idx);

	memset(buffers, 0, 16);
	memset(buffers + 16, 0xee, 513);
	desc[0] = (struct vring_desc){htole64(gpa), htole32(16), htole16(VRING_DESC_F_NEXT),
				      htole16(1)};
	desc[1] = (struct vring_desc){htole64(gpa + 16), htole32(513), htole16(VRING_DESC_F_WRITE),
				      0};
	avail->ring[next % PEER_ENTRIES] = 0;
	__atomic_store_n(&avail->idx, htole16((uint16_t)(next + 1)), __ATOMIC_RELEASE);
	assert_int_equal(write(peer->kick[index], &one, sizeof(one)), sizeof(one));
}

bool peer_used(struct vhost_peer *peer, uint32_t index)
{
	struct vring_used *used = used_of(peer, index);

	if (le16toh(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE)) == peer->used[index])
		return false;
	peer->used[index]++;
	assert_int_equal(le16toh(used->idx), peer->used[index]);
	return true;
}

void peer_read_sector(struct vhost_peer *peer, uint32_t index)
{
	struct pollfd called = {.fd = peer->call[index], .events = POLLIN};

	peer_expose(peer, index);
	if (peer->pump)
		peer->pump(peer->opaque);
	assert_int_equal(poll(&called, 1, WAIT_MS), 1);
	assert_int_equal(peer_calls(peer, index), 1);
	assert_true(peer_used(peer, index));
	assert_int_equal(peer->memory[PEER_RING(index) + 0x3000 + 16 + 512], VIRTIO_BLK_S_OK);
}

uint64_t peer_calls(struct vhost_peer *peer, uint32_t index)
{
	uint64_t count = 0;

	return read(peer->call[index], &count, sizeof(count)) == sizeof(count) ? count : 0;
}
