/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_player.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "fs_scratch.h"
#include "round.h"

#define SECTORS     64u
#define OPS_MAX     64u
#define BIT(number) (UINT64_C(1) << (number))

static __attribute__((noreturn)) void broken(const char *rule)
{
	fprintf(stderr, "vhost_user: %s\n", rule);
	abort();
}

static void must(bool holds, const char *rule)
{
	if (!holds)
		broken(rule);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Frontends come and go */

static void come(struct fuzz_vhost_player *player)
{
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0,
	     "no socket pair");
	player->server = pair[0];
	player->socket = pair[1];
	player->memory_fd = memfd_create("vhost-fuzz", MFD_CLOEXEC);
	must(ftruncate(player->memory_fd, FUZZ_VHOST_MEMORY) == 0, "no memory file");
	player->memory = mmap(NULL, FUZZ_VHOST_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED,
			      player->memory_fd, 0);
	must(player->memory != MAP_FAILED, "no memory");
	player->areas_fd = -1;
	player->channel = -1;
	player->features = BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	player->protocol = 0;
	for (unsigned i = 0; i < FUZZ_VHOST_RINGS; i++)
		player->rings[i] = (struct fuzz_vhost_ring){
			.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.wrap = true,
		};
}

static void hang_up(struct fuzz_vhost_player *player)
{
	if (player->server < 0)
		return;
	vhost_user_receiver_drop(&player->receiver);
	vhost_user_session_close(&player->session);
	close_fd(&player->server);
	player->gone++;
}

static void go(struct fuzz_vhost_player *player)
{
	hang_up(player);
	/* The empty map is held as the present one, and in reserve. */
	must(player->session.region_count == 0 &&
		     player->session.memory.map == player->session.memory.none &&
		     player->session.memory.none->refs == 2,
	     "memory of a frontend that is gone is still held");
	must(!player->session.log.base && !player->session.inflight.base,
	     "an area of a frontend that is gone is still mapped");
	munmap(player->memory, FUZZ_VHOST_MEMORY);
	close(player->memory_fd);
	close(player->socket);
	close_fd(&player->areas_fd);
	close_fd(&player->channel);
	for (unsigned i = 0; i < FUZZ_VHOST_RINGS; i++) {
		close(player->rings[i].kick);
		close(player->rings[i].call);
	}
}

/* The server's side */

/* Returns whether there may be more. */
static bool take_message(struct fuzz_vhost_player *player)
{
	enum vhost_user_receipt receipt = vhost_user_receive(&player->receiver, player->server);
	struct vhost_user_message reply;
	enum vhost_user_answer answer;
	int error = 0;

	if (receipt == VHOST_USER_LATER)
		return false;
	if (receipt != VHOST_USER_RECEIVED) {
		hang_up(player);
		return false;
	}
	answer = vhost_user_session_take(&player->session, &player->receiver.message, &reply);
	if (answer == VHOST_USER_REPLIED) {
		error = vhost_user_send(player->server, &reply);
		vhost_user_close_fds(&reply);
	}
	if (answer == VHOST_USER_HANG_UP || error)
		hang_up(player);
	return player->server >= 0;
}

static void take_messages(struct fuzz_vhost_player *player)
{
	while (player->server >= 0 && take_message(player))
		;
	vhost_user_session_flush(&player->session);
}

/* The frontend's side */

/* Replies, of which only the inflight areas and the base are kept. */
static void read_replies(struct fuzz_vhost_player *player)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct vhost_user_message reply;
	struct iovec head = {&reply.header, sizeof(reply.header)};
	struct msghdr with = {.msg_iov = &head,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes)};

	while (recvmsg(player->socket, &with, MSG_CMSG_CLOEXEC) == (ssize_t)head.iov_len) {
		must(reply.header.flags == (VHOST_USER_VERSION | VHOST_USER_REPLY) &&
			     reply.header.size <= VHOST_USER_PAYLOAD_MAX,
		     "a reply that is none");
		if (reply.header.size > 0)
			must(read(player->socket, reply.payload.bytes, reply.header.size) ==
				     (ssize_t)reply.header.size,
			     "a reply that is cut");
		if (with.msg_controllen >= CMSG_LEN(sizeof(int))) {
			close_fd(&player->areas_fd);
			memcpy(&player->areas_fd, CMSG_DATA(CMSG_FIRSTHDR(&with)), sizeof(int));
		}
		if (reply.header.request == VHOST_USER_GET_VRING_BASE)
			player->rings[reply.payload.state.index % FUZZ_VHOST_RINGS].base =
				reply.payload.state.num;
		with.msg_controllen = sizeof(control.bytes);
	}
}

/* A descriptor of a kind, the caller's, -1: none. */
static int make_fd(struct fuzz_vhost_player *player, const struct fuzz_vhost_op *op)
{
	int pair[2] = {-1, -1};

	switch ((op->fd & 15) % FUZZ_VHOST_FD_KINDS) {
	case FUZZ_VHOST_FD_RIGHT:
		return fuzz_vhost_right_fd(player, op->request, op->ring % FUZZ_VHOST_RINGS);
	case FUZZ_VHOST_FD_MEMORY:
		return dup(player->memory_fd);
	case FUZZ_VHOST_FD_COUNTER:
		return dup(player->rings[0].call);
	case FUZZ_VHOST_FD_PIPE:
		must(pipe2(pair, O_CLOEXEC) == 0, "no pipe");
		close(pair[op->value % 2]);
		return pair[1 - op->value % 2];
	case FUZZ_VHOST_FD_SOCKET:
		must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "no sockets");
		close(pair[0]);
		return pair[1];
	case FUZZ_VHOST_FD_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case FUZZ_VHOST_FD_FOLDER:
		return open("/", O_PATH | O_CLOEXEC);
	case FUZZ_VHOST_FD_AREAS:
		return player->areas_fd >= 0 ? dup(player->areas_fd) : -1;
	default:
		return -1;
	}
}

static void send_bytes(struct fuzz_vhost_player *player, const void *bytes, size_t size,
		       const struct fuzz_vhost_op *op)
{
	char control[CMSG_SPACE(17 * sizeof(int))] = {0};
	struct iovec piece = {(void *)(uintptr_t)bytes, size};
	struct msghdr head = {.msg_iov = &piece, .msg_iovlen = 1};
	int fd = make_fd(player, op);
	unsigned count = fd >= 0 ? 1u + (op->fd >> 4) : 0;
	struct cmsghdr *part;

	if (count > 0) {
		head.msg_control = control;
		head.msg_controllen = CMSG_SPACE(count * sizeof(int));
		part = CMSG_FIRSTHDR(&head);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (unsigned i = 0; i < count; i++)
			memcpy(CMSG_DATA(part) + i * sizeof(int), &fd, sizeof(int));
	}
	/* It may be closed, or full: then nothing more arrives. */
	sendmsg(player->socket, &head, MSG_NOSIGNAL);
	close_fd(&fd);
}

static void say(struct fuzz_vhost_player *player, const struct fuzz_vhost_op *op)
{
	struct vhost_user_message message = {0};
	unsigned width = op->width % 9, at = op->at % (VHOST_USER_PAYLOAD_MAX - 8);
	uint32_t size = fuzz_vhost_payload(player, op->request, op->ring % FUZZ_VHOST_RINGS,
					   message.payload.bytes);
	struct {
		struct vhost_user_header header;
		uint8_t payload[VHOST_USER_PAYLOAD_MAX + INT8_MAX];
	} bytes = {0};

	memcpy(message.payload.bytes + at, &op->value, width);
	if (op->size >= 0 || size >= (uint32_t)-op->size)
		size += (uint32_t)op->size;
	bytes.header =
		(struct vhost_user_header){op->request, VHOST_USER_VERSION ^ op->flags, size};
	memcpy(bytes.payload, message.payload.bytes, VHOST_USER_PAYLOAD_MAX);
	send_bytes(player, &bytes, sizeof(bytes.header) + size, op);
	take_messages(player);
	read_replies(player);
}

/* A right message as if it had come: without the socket, because nearly every input has many. */
static void say_right(struct fuzz_vhost_player *player, uint8_t request, uint8_t ring)
{
	struct vhost_user_message message = {0}, reply;
	int fd = fuzz_vhost_right_fd(player, request, ring);

	message.fds[0] = fd;
	message.fd_count = fd >= 0;
	message.header = (struct vhost_user_header){
		request, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
		fuzz_vhost_payload(player, request, ring, message.payload.bytes)};
	if (player->server < 0) {
		vhost_user_close_fds(&message);
		return;
	}
	switch (vhost_user_session_take(&player->session, &message, &reply)) {
	case VHOST_USER_REPLIED:
		if (reply.fd_count > 0) {
			close_fd(&player->areas_fd);
			player->areas_fd = reply.fds[0];
		}
		break;
	case VHOST_USER_HANG_UP:
		hang_up(player);
		break;
	case VHOST_USER_SILENT:
		break;
	}
}

static void set_up(struct fuzz_vhost_player *player, uint8_t flags, uint8_t ring)
{
	static const uint8_t requests[] = {
		VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_NUM,  VHOST_USER_SET_VRING_BASE,
		VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_ENABLE,
	};
	static const uint8_t features[] = {VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX,
					   VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER,
					   VHOST_F_LOG_ALL};
	uint64_t all = VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_STATUS + 1) - 1;

	player->protocol =
		all & ~(BIT(2) | BIT(4) | BIT(6) | BIT(7) | BIT(8) | BIT(10) | BIT(11) | BIT(14));
	if (!(flags & FUZZ_VHOST_STATUS))
		player->protocol &= ~BIT(VHOST_USER_PROTOCOL_F_STATUS);
	player->features = BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	for (unsigned i = 0; i < sizeof(features); i++)
		player->features |= (flags & (1u << i)) ? BIT(features[i]) : 0;
	if (player->rings[ring].base == 0 && (flags & FUZZ_VHOST_PACKED))
		player->rings[ring].base = 0x80008000;
	say_right(player, VHOST_USER_SET_PROTOCOL_FEATURES, 0);
	if (flags & FUZZ_VHOST_LOG)
		say_right(player, VHOST_USER_SET_LOG_BASE, 0);
	say_right(player, VHOST_USER_SET_FEATURES, 0);
	say_right(player, VHOST_USER_SET_MEM_TABLE, 0);
	if (flags & FUZZ_VHOST_INFLIGHT) {
		say_right(player, VHOST_USER_GET_INFLIGHT_FD, 0);
		say_right(player, VHOST_USER_SET_INFLIGHT_FD, 0);
	}
	if (flags & FUZZ_VHOST_STATUS)
		say_right(player, VHOST_USER_SET_STATUS, 0);
	for (unsigned i = 0; i < sizeof(requests); i++)
		say_right(player, requests[i], ring);
}

/* Rings */

static bool is_packed(const struct fuzz_vhost_player *player)
{
	return player->features & BIT(VIRTIO_F_RING_PACKED);
}

static void put_packed(struct fuzz_vhost_ring *ring, struct vring_packed_desc *desc, uint64_t gpa,
		       uint32_t size, uint16_t flags)
{
	uint16_t turn =
		ring->wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED;

	desc[ring->next] = (struct vring_packed_desc){htole64(gpa), htole32(size), 0,
						      htole16((uint16_t)(flags | turn))};
	ring->next = (ring->next + 1u) % FUZZ_VHOST_ENTRIES;
	ring->wrap ^= ring->next == 0;
}

/* A request of a type in the low byte of value, at most 64 KiB long by the next two. */
static void expose(struct fuzz_vhost_player *player, uint8_t index, uint64_t value)
{
	struct fuzz_vhost_ring *ring = &player->rings[index];
	uint8_t *at = player->memory + FUZZ_VHOST_RING(index);
	struct vring_avail *avail = (void *)(at + 0x1000);
	uint64_t gpa = FUZZ_VHOST_GUEST + FUZZ_VHOST_RING(index) + 0x3000;
	uint32_t size = 513 + (uint32_t)(value >> 8 & 0xffff);
	uint16_t write = value % 256 == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
	struct vring_desc *desc = (void *)at;
	const uint64_t one = 1;

	memset(at + 0x3000, 0, 16);
	at[0x3000] = (uint8_t)value;
	if (is_packed(player)) {
		put_packed(ring, (void *)at, gpa, 16, VRING_DESC_F_NEXT);
		put_packed(ring, (void *)at, gpa + 16, size, write);
	} else {
		uint16_t head = 2u * (ring->next % (FUZZ_VHOST_ENTRIES / 2));

		desc[head] = (struct vring_desc){htole64(gpa), htole32(16),
						 htole16(VRING_DESC_F_NEXT), htole16(head + 1u)};
		desc[head + 1] =
			(struct vring_desc){htole64(gpa + 16), htole32(size), htole16(write), 0};
		avail->ring[ring->next++ % FUZZ_VHOST_ENTRIES] = htole16(head);
		__atomic_store_n(&avail->idx, htole16(ring->next), __ATOMIC_RELEASE);
	}
	must(eventfd_write(ring->kick, one) == 0 || errno == EAGAIN, "no kick");
}

static void run(struct fuzz_vhost_player *player, uint8_t ring, uint32_t budget)
{
	eventfd_t calls;

	vhost_user_queue_kick(&player->session, ring);
	vhost_user_queue_run(&player->session, ring, budget);
	if (eventfd_read(player->rings[ring].call, &calls) == 0)
		player->completed += calls;
}

static void resize(struct fuzz_vhost_player *player, uint64_t sectors)
{
	must(player->store->ops->resize(player->store, sectors * BLK_SECTOR_SIZE) == 0,
	     "no memory for a disk");
	blk_capacity_changed(player->device);
	vhost_user_session_flush(&player->session);
}

/* A file that has shrunk is not ours to write to: its size comes back first. */
static void cut(struct fuzz_vhost_player *player, uint64_t size)
{
	must(ftruncate(player->memory_fd, (off_t)size) == 0, "no truncation");
	for (uint8_t i = 0; i < FUZZ_VHOST_RINGS; i++)
		run(player, i, 4);
	if (__atomic_load_n(&player->session.memory_lost, __ATOMIC_RELAXED))
		hang_up(player);
	must(ftruncate(player->memory_fd, FUZZ_VHOST_MEMORY) == 0, "no extension");
}

static void play_one(struct fuzz_vhost_player *player, const struct fuzz_vhost_op *op)
{
	uint8_t ring = op->ring % FUZZ_VHOST_RINGS;

	switch (op->code % FUZZ_VHOST_CODES) {
	case FUZZ_VHOST_SET_UP:
		set_up(player, op->flags, ring);
		break;
	case FUZZ_VHOST_MESSAGE:
		say(player, op);
		break;
	case FUZZ_VHOST_BYTES:
		send_bytes(player, &op->value, op->at % 9, op);
		take_messages(player);
		read_replies(player);
		break;
	case FUZZ_VHOST_EXPOSE:
		expose(player, ring, op->value);
		break;
	case FUZZ_VHOST_POKE:
		memcpy(player->memory + (FUZZ_VHOST_RING(ring) + op->request * 0x40u + op->at) %
						(FUZZ_VHOST_MEMORY - 8),
		       &op->value, op->width % 9);
		break;
	case FUZZ_VHOST_RUN:
		run(player, ring, 1u + op->at);
		break;
	case FUZZ_VHOST_CUT:
		cut(player, op->at * 1024u);
		break;
	case FUZZ_VHOST_RESIZE:
		resize(player, 1u + op->at);
		break;
	default:
		go(player);
		come(player);
	}
}

/* The next frontend is one that behaves. */
static void check_served(struct fuzz_vhost_player *player)
{
	uint64_t before = player->completed;

	resize(player, SECTORS);
	come(player);
	set_up(player, 0, 0);
	expose(player, 0, VIRTIO_BLK_T_IN);
	run(player, 0, 4);
	must(player->completed == before + 1 &&
		     player->memory[FUZZ_VHOST_RING(0) + 0x3000 + 16 + 512] == VIRTIO_BLK_S_OK,
	     "the next frontend is not served");
	player->completed = before;
	go(player);
}

static void print_op(const struct fuzz_vhost_op *op)
{
	static const char *const codes[] = {"set up", "message", "bytes",  "expose", "poke",
					    "run",    "cut",     "resize", "gone"};

	printf("  %-7s request %u fd %#x flags %#x ring %u size %+d at %u width %u value "
	       "%#" PRIx64 "\n",
	       codes[op->code % FUZZ_VHOST_CODES], op->request, op->fd, op->flags, op->ring,
	       op->size, op->at, op->width, op->value);
}

void fuzz_vhost_play(struct fuzz_vhost_player *player, const uint8_t *data, size_t size,
		     bool verbose)
{
	int free_fd = fuzz_scratch_free_fd();
	struct fuzz_vhost_op op;

	come(player);
	for (unsigned i = 0; i < OPS_MAX && size >= sizeof(op); i++) {
		memcpy(&op, data, sizeof(op));
		data += sizeof(op);
		size -= sizeof(op);
		if (verbose)
			print_op(&op);
		play_one(player, &op);
		if (player->server < 0) {
			go(player);
			come(player);
		}
	}
	go(player);
	check_served(player);
	must(fuzz_scratch_free_fd() == free_fd, "a descriptor is left open");
}

void fuzz_vhost_player_init(struct fuzz_vhost_player *player)
{
	const struct blk_options options = {.queue_count = FUZZ_VHOST_RINGS, .queue_size_max = 64};

	memset(player, 0, sizeof(*player));
	signal(SIGPIPE, SIG_IGN);
	fuzz_must("store", blk_store_ram_create(&player->store, SECTORS * BLK_SECTOR_SIZE));
	fuzz_must("block device", blk_create(&player->device, &options, player->store));
	fuzz_must("session", vhost_user_session_init(&player->session, player->device, 0,
						     &(struct vhost_user_hooks){0}));
}

void fuzz_vhost_player_finish(struct fuzz_vhost_player *player)
{
	vhost_user_session_finish(&player->session);
	player->device->ops->destroy(player->device);
	player->store->ops->destroy(player->store);
}
