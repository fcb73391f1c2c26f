/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge_stage.h"

static struct fs_session_queue *parrot_open(struct fs_session *session, enum fs_queue_kind kind,
					    uint16_t depth)
{
	struct bridge_parrot *parrot = (struct bridge_parrot *)session;

	(void)kind;
	(void)depth;
	parrot->queue.session = session;
	return &parrot->queue;
}

static void parrot_close(struct fs_session_queue *queue)
{
	(void)queue;
}

static enum fs_submit parrot_submit(struct fs_session_queue *queue, struct fs_request *request)
{
	const struct bridge_parrot *parrot = (struct bridge_parrot *)queue->session;
	struct fuse_out_header header = parrot->header;
	uint8_t zeroes[64] = {0};
	struct fuse_in_header in;

	iov_window_read(&request->in, &in, sizeof(in));
	header.unique = in.unique + parrot->other_unique;
	memcpy(zeroes, &header, sizeof(header));
	request->reply_size = iov_window_write(&request->out, zeroes, header.len);
	return FS_DONE;
}

static void parrot_reset(struct fs_session *session)
{
	(void)session;
}

static const struct fs_session_ops parrot_ops = {
	.name = "parrot",
	.queue_open = parrot_open,
	.queue_close = parrot_close,
	.submit = parrot_submit,
	.reset = parrot_reset,
	.destroy = parrot_reset,
};

static void note_violation(void *opaque, const struct vqsim_violation *violation)
{
	struct bridge_stage *stage = opaque;

	stage->violations++;
	stage->rule = violation->rule;
}

static void make_guest(struct bridge_stage *stage, struct fs_session *session)
{
	const struct fs_options options = {.tag = "bridge", .request_queue_count = BRIDGE_QUEUES};
	const struct vqsim_region region = {.gpa = 0x10000, .size = 4 << 20};
	const struct vqsim_guest_config config = {.features = ~VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
						  .queue_size = BRIDGE_QUEUE_SIZE};

	assert_int_equal(fs_create(&stage->device, &options, session), 0);
	assert_int_equal(vqsim_memory_init(&stage->memory, &region, 1), 0);
	assert_int_equal(vqsim_referee_init(&stage->referee, &stage->memory), 0);
	stage->referee.sink = note_violation;
	stage->referee.opaque = stage;
	assert_int_equal(
		vqsim_guest_init(&stage->guest, &stage->memory, stage->device, &stage->referee), 0);
	assert_int_equal(vqsim_guest_bring_up(&stage->guest, &config), VQSIM_UP);
}

static void make_bridge(struct bridge_stage *stage, uint16_t slots)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets), 0);
	stage->kernel = sockets[0];
	assert_int_equal(vqsim_fs_init(&stage->fs, &stage->guest, 4096), 0);
	assert_int_equal(vqsim_fuse_bridge_init(&stage->bridge, &stage->fs, sockets[1],
						BRIDGE_MAX_WRITE, slots),
			 0);
}

static void set_up(void **state, uint16_t slots)
{
	struct bridge_stage *stage = test_calloc(1, sizeof(*stage));

	assert_int_equal(fs_tree_ram_create(&stage->tree, NULL), 0);
	assert_int_equal(fuse_session_create(&stage->session, NULL, stage->tree), 0);
	make_guest(stage, stage->session);
	make_bridge(stage, slots);
	*state = stage;
}

int bridge_set_up(void **state)
{
	set_up(state, BRIDGE_SLOTS);
	return 0;
}

int bridge_set_up_wide(void **state)
{
	set_up(state, BRIDGE_QUEUES * BRIDGE_QUEUE_SIZE + 8);
	return 0;
}

struct bridge_stage *bridge_stage_create(struct fs_session *session)
{
	struct bridge_stage *stage = test_calloc(1, sizeof(*stage));

	make_guest(stage, session);
	make_bridge(stage, BRIDGE_SLOTS);
	return stage;
}

int bridge_set_up_parrot(void **state)
{
	struct bridge_stage *stage = test_calloc(1, sizeof(*stage));

	stage->parrot.base.ops = &parrot_ops;
	make_guest(stage, &stage->parrot.base);
	make_bridge(stage, BRIDGE_SLOTS);
	*state = stage;
	return 0;
}

int bridge_tear_down(void **state)
{
	struct bridge_stage *stage = *state;
	int fd = stage->bridge.fd;

	vqsim_fuse_bridge_finish(&stage->bridge);
	vqsim_fs_finish(&stage->fs);
	vqsim_guest_finish(&stage->guest);
	vqsim_referee_finish(&stage->referee);
	stage->device->ops->destroy(stage->device);
	vqsim_memory_finish(&stage->memory);
	if (stage->session)
		stage->session->ops->destroy(stage->session);
	if (stage->tree)
		stage->tree->ops->destroy(stage->tree);
	close(fd);
	if (stage->kernel >= 0)
		close(stage->kernel);
	test_free(stage);
	return 0;
}

uint64_t bridge_ask(struct bridge_stage *stage, uint32_t opcode, uint64_t node, const void *args,
		    size_t size)
{
	uint8_t message[BRIDGE_MESSAGE_MAX];
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + size), .opcode = opcode, .nodeid = node};

	stage->unique += 2;
	header.unique = stage->unique;
	memcpy(message, &header, sizeof(header));
	if (size > 0)
		memcpy(message + sizeof(header), args, size);
	assert_int_equal(send(stage->kernel, message, header.len, 0), header.len);
	return header.unique;
}

bool bridge_answered(struct bridge_stage *stage)
{
	ssize_t size = recv(stage->kernel, &stage->reply, sizeof(stage->reply), 0);

	if (size < 0)
		return false;
	assert_int_equal(size, stage->reply.header.len);
	return true;
}

int32_t bridge_call(struct bridge_stage *stage, uint32_t opcode, uint64_t node, const void *args,
		    size_t size)
{
	uint64_t unique = bridge_ask(stage, opcode, node, args, size);

	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(bridge_answered(stage));
	assert_int_equal(stage->reply.header.unique, unique);
	return stage->reply.header.error;
}

void bridge_begin(struct bridge_stage *stage)
{
	const struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_FLOCK_LOCKS,
	};

	assert_int_equal(bridge_call(stage, FUSE_INIT, 0, &in, sizeof(in)), 0);
}

uint64_t bridge_create(struct bridge_stage *stage, uint64_t *handle)
{
	struct {
		struct fuse_create_in in;
		char name[8];
	} args = {.in = {.flags = O_RDWR, .mode = S_IFREG | 0644}, .name = "file"};
	struct fuse_entry_out entry;
	struct fuse_open_out open;

	assert_int_equal(bridge_call(stage, FUSE_CREATE, FUSE_ROOT_ID, &args, sizeof(args.in) + 5),
			 0);
	memcpy(&entry, stage->reply.payload, sizeof(entry));
	memcpy(&open, stage->reply.payload + sizeof(entry), sizeof(open));
	*handle = open.fh;
	return entry.nodeid;
}

uint64_t bridge_ask_lock(struct bridge_stage *stage, uint64_t node, uint64_t handle, uint64_t owner)
{
	const struct fuse_lk_in in = {
		.fh = handle,
		.owner = owner,
		.lk = {.type = F_WRLCK, .end = INT64_MAX},
		.lk_flags = FUSE_LK_FLOCK,
	};

	return bridge_ask(stage, FUSE_SETLKW, node, &in, sizeof(in));
}
