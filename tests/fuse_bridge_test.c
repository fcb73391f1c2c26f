/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bridge between the messages of a kernel and a file-system device. The kernel is the
 * other end of a socket here, which keeps messages apart as /dev/fuse does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/fs/fs.h"
#include "devices/fs/fuse.h"
#include "vqsim/fuse_bridge.h"

#define MAX_WRITE   8192u
#define SLOTS       3u
#define QUEUES      2u /* for requests */
#define MESSAGE_MAX 16384u

/* A session that gives the same answer to everything. */
struct parrot {
	struct fs_session base;
	struct fs_session_queue queue;
	struct fuse_out_header header; /* len 0: no answer; unique is that of the message */
	bool other_unique;
};

struct stage {
	struct fs_tree *tree;
	struct fs_session *session;
	struct parrot parrot;
	struct virtio_device *device;
	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct vqsim_guest guest;
	struct vqsim_fs fs;
	struct vqsim_fuse_bridge bridge;
	int kernel; /* the kernel's end */
	uint64_t unique;
	unsigned violations;
	enum vqsim_rule rule; /* of the last one */

	/* The reply that was received last. */
	struct {
		struct fuse_out_header header;
		uint8_t payload[MESSAGE_MAX];
	} reply;
};

static struct fs_session_queue *parrot_open(struct fs_session *session, enum fs_queue_kind kind,
					    uint16_t depth)
{
	struct parrot *parrot = (struct parrot *)session;

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
	const struct parrot *parrot = (struct parrot *)queue->session;
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
	struct stage *stage = opaque;

	stage->violations++;
	stage->rule = violation->rule;
}

static void make_guest(struct stage *stage, struct fs_session *session)
{
	const struct fs_options options = {.tag = "bridge", .request_queue_count = QUEUES};
	const struct vqsim_region region = {.gpa = 0x10000, .size = 1 << 20};
	const struct vqsim_guest_config config = {.features = ~VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
						  .queue_size = 16};

	assert_int_equal(fs_create(&stage->device, &options, session), 0);
	assert_int_equal(vqsim_memory_init(&stage->memory, &region, 1), 0);
	assert_int_equal(vqsim_referee_init(&stage->referee, &stage->memory), 0);
	stage->referee.sink = note_violation;
	stage->referee.opaque = stage;
	assert_int_equal(
		vqsim_guest_init(&stage->guest, &stage->memory, stage->device, &stage->referee), 0);
	assert_int_equal(vqsim_guest_bring_up(&stage->guest, &config), VQSIM_UP);
}

static void make_bridge(struct stage *stage)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets), 0);
	stage->kernel = sockets[0];
	assert_int_equal(vqsim_fs_init(&stage->fs, &stage->guest, 4096), 0);
	assert_int_equal(
		vqsim_fuse_bridge_init(&stage->bridge, &stage->fs, sockets[1], MAX_WRITE, SLOTS),
		0);
}

static int set_up(void **state)
{
	struct stage *stage = test_calloc(1, sizeof(*stage));

	assert_int_equal(fs_tree_ram_create(&stage->tree, NULL), 0);
	assert_int_equal(fuse_session_create(&stage->session, NULL, stage->tree), 0);
	make_guest(stage, stage->session);
	make_bridge(stage);
	*state = stage;
	return 0;
}

static int set_up_parrot(void **state)
{
	struct stage *stage = test_calloc(1, sizeof(*stage));

	stage->parrot.base.ops = &parrot_ops;
	make_guest(stage, &stage->parrot.base);
	make_bridge(stage);
	*state = stage;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *stage = *state;
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

/* The kernel's side */

/* Send a message; its unique number is returned. */
static uint64_t ask(struct stage *stage, uint32_t opcode, uint64_t node, const void *args,
		    size_t size)
{
	uint8_t message[MESSAGE_MAX];
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

/* Whether a reply is there; it is in stage->reply then. */
static bool answered(struct stage *stage)
{
	ssize_t size = recv(stage->kernel, &stage->reply, sizeof(stage->reply), 0);

	if (size < 0)
		return false;
	assert_int_equal(size, stage->reply.header.len);
	return true;
}

/* Ask, let it travel, and take the reply to it. */
static int32_t call(struct stage *stage, uint32_t opcode, uint64_t node, const void *args,
		    size_t size)
{
	uint64_t unique = ask(stage, opcode, node, args, size);

	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(answered(stage));
	assert_int_equal(stage->reply.header.unique, unique);
	return stage->reply.header.error;
}

static void begin(struct stage *stage)
{
	const struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_FLOCK_LOCKS,
	};

	assert_int_equal(call(stage, FUSE_INIT, 0, &in, sizeof(in)), 0);
}

/* A new file in the root; its node, and the handle that it is open with. */
static uint64_t create(struct stage *stage, uint64_t *handle)
{
	struct {
		struct fuse_create_in in;
		char name[8];
	} args = {.in = {.flags = O_RDWR, .mode = S_IFREG | 0644}, .name = "file"};
	struct fuse_entry_out entry;
	struct fuse_open_out open;

	assert_int_equal(call(stage, FUSE_CREATE, FUSE_ROOT_ID, &args, sizeof(args.in) + 5), 0);
	memcpy(&entry, stage->reply.payload, sizeof(entry));
	memcpy(&open, stage->reply.payload + sizeof(entry), sizeof(open));
	*handle = open.fh;
	return entry.nodeid;
}

static void a_file_that_is_written_is_read_again(void **state)
{
	struct stage *stage = *state;
	struct {
		struct fuse_write_in in;
		uint8_t data[3000];
	} args = {.in = {.size = sizeof(args.data), .flags = O_RDWR}};
	uint64_t node;

	begin(stage);
	node = create(stage, &args.in.fh);
	memset(args.data, 'x', sizeof(args.data));
	assert_int_equal(call(stage, FUSE_WRITE, node, &args, sizeof(args)), 0);
	assert_int_equal(call(stage, FUSE_READ, node, &args.in, sizeof(args.in)), 0);
	assert_int_equal(stage->reply.header.len, sizeof(stage->reply.header) + sizeof(args.data));
	assert_memory_equal(stage->reply.payload, args.data, sizeof(args.data));
	assert_int_equal(stage->bridge.bytes, 2 * sizeof(args.data));
	assert_int_equal(stage->bridge.requests, 4);
	assert_int_equal(stage->violations, 0);
}

static void init_allows_no_more_than_the_slots_hold(void **state)
{
	struct stage *stage = *state;
	struct fuse_init_out out;

	begin(stage);
	memcpy(&out, stage->reply.payload, sizeof(out));
	assert_int_equal(out.max_write, MAX_WRITE);
	assert_int_equal(out.max_pages, MAX_WRITE / 4096);
}

static void requests_go_in_turn_to_the_request_queues_and_forget_to_hiprio(void **state)
{
	struct stage *stage = *state;
	const struct fuse_forget_in forget = {.nlookup = 1};
	const struct fuse_getattr_in in = {0};
	uint64_t node, handle;

	begin(stage);
	node = create(stage, &handle);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(call(stage, FUSE_GETATTR, node, &in, sizeof(in)), 0);
	assert_int_equal(stage->guest.link.queues[0].kicks, 0);
	assert_int_equal(stage->guest.link.queues[1].kicks, 3);
	assert_int_equal(stage->guest.link.queues[2].kicks, 3);
	ask(stage, FUSE_FORGET, node, &forget, sizeof(forget));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_false(answered(stage));
	assert_int_equal(stage->guest.link.queues[0].kicks, 1);
	assert_int_equal(stage->guest.link.queues[2].kicks, 3);
}

static void more_messages_than_slots_are_all_answered(void **state)
{
	struct stage *stage = *state;
	const struct fuse_getattr_in in = {0};
	unsigned count = 0;

	begin(stage);
	for (unsigned i = 0; i < 4 * SLOTS; i++)
		ask(stage, FUSE_GETATTR, FUSE_ROOT_ID, &in, sizeof(in));
	for (unsigned i = 0; i < 4; i++) {
		vqsim_fuse_bridge_step(&stage->bridge);
		while (answered(stage))
			count++;
	}
	assert_int_equal(count, 4 * SLOTS);
	assert_int_equal(stage->violations, 0);
}

static uint64_t ask_lock(struct stage *stage, uint64_t node, uint64_t handle, uint64_t owner)
{
	const struct fuse_lk_in in = {
		.fh = handle,
		.owner = owner,
		.lk = {.type = F_WRLCK, .end = INT64_MAX},
		.lk_flags = FUSE_LK_FLOCK,
	};

	return ask(stage, FUSE_SETLKW, node, &in, sizeof(in));
}

static void a_lock_that_waits_holds_up_nobody_and_can_be_interrupted(void **state)
{
	struct stage *stage = *state;
	struct pollfd fds[QUEUES + 2];
	struct fuse_interrupt_in interrupt;
	uint64_t node, handle, unique;
	int timeout;

	begin(stage);
	node = create(stage, &handle);
	ask_lock(stage, node, handle, 1);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(answered(stage));
	assert_int_equal(stage->reply.header.error, 0);
	interrupt.unique = ask_lock(stage, node, handle, 2);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_false(answered(stage));

	/* Both the kernel and the device are waited for, without a limit. */
	assert_int_equal(vqsim_fuse_bridge_wait(&stage->bridge, fds, QUEUES + 2, &timeout), 2);
	assert_int_equal(fds[0].fd, stage->bridge.fd);
	assert_int_equal(timeout, -1);

	unique = ask(stage, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(answered(stage));
	assert_int_equal(stage->reply.header.unique, unique);

	ask(stage, FUSE_INTERRUPT, 0, &interrupt, sizeof(interrupt));
	vqsim_fuse_bridge_step(&stage->bridge);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(answered(stage));
	assert_int_equal(stage->reply.header.unique, interrupt.unique);
	assert_int_equal(stage->reply.header.error, -EINTR);
	assert_int_equal(stage->violations, 0);
}

static void while_no_slot_is_free_nothing_is_read(void **state)
{
	struct stage *stage = *state;
	struct pollfd fds[QUEUES + 2];
	uint64_t node, handle;
	int timeout;

	begin(stage);
	node = create(stage, &handle);
	for (unsigned i = 0; i <= SLOTS; i++)
		ask_lock(stage, node, handle, i + 1);
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(answered(stage));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_false(answered(stage));
	assert_int_equal(stage->bridge.in_flight, SLOTS);
	assert_int_equal(vqsim_fuse_bridge_wait(&stage->bridge, fds, QUEUES + 2, &timeout), QUEUES);
	assert_int_not_equal(fds[0].fd, stage->bridge.fd);
}

static void a_kernel_that_is_gone_ends_the_bridge(void **state)
{
	struct stage *stage = *state;

	begin(stage);
	close(stage->kernel);
	stage->kernel = -1;
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(stage->bridge.over);
	assert_int_equal(stage->bridge.error, 0);
}

static void what_is_no_message_ends_the_bridge(void **state)
{
	struct stage *stage = *state;
	const struct fuse_in_header header = {.len = 1000, .opcode = FUSE_STATFS};

	assert_int_equal(send(stage->kernel, &header, sizeof(header), 0), sizeof(header));
	vqsim_fuse_bridge_step(&stage->bridge);
	assert_true(stage->bridge.over);
	assert_int_equal(stage->bridge.error, -EPROTO);
}

/* A device whose answers are wrong */

/* The violation is recorded, and whoever asked gets an error all the same. */
static void expect_caught(struct stage *stage, uint32_t opcode, enum vqsim_rule rule)
{
	const struct fuse_read_in in = {.size = 8};

	assert_int_equal(call(stage, opcode, FUSE_ROOT_ID, &in, sizeof(in)), -EIO);
	assert_int_equal(stage->reply.header.len, sizeof(stage->reply.header));
	assert_int_equal(stage->violations, 1);
	assert_int_equal(stage->rule, rule);
}

static void a_message_without_a_reply_is_caught(void **state)
{
	struct stage *stage = *state;

	expect_caught(stage, FUSE_STATFS, VQSIM_RULE_FS_REPLY);
}

static void a_reply_to_something_else_is_caught(void **state)
{
	struct stage *stage = *state;

	stage->parrot.header.len = sizeof(struct fuse_out_header);
	stage->parrot.other_unique = true;
	expect_caught(stage, FUSE_ACCESS, VQSIM_RULE_FS_REPLY);
}

static void a_reply_of_the_wrong_size_is_caught(void **state)
{
	struct stage *stage = *state;

	stage->parrot.header.len = sizeof(struct fuse_out_header) + 8;
	expect_caught(stage, FUSE_GETATTR, VQSIM_RULE_FS_PAYLOAD);
}

static void an_error_that_is_none_is_caught(void **state)
{
	struct stage *stage = *state;

	stage->parrot.header.len = sizeof(struct fuse_out_header);
	stage->parrot.header.error = 5;
	expect_caught(stage, FUSE_ACCESS, VQSIM_RULE_FS_REPLY);
}

int main(void)
{
#define TEST(name)        cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_PARROT(name) cmocka_unit_test_setup_teardown(name, set_up_parrot, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_written_is_read_again),
		TEST(init_allows_no_more_than_the_slots_hold),
		TEST(requests_go_in_turn_to_the_request_queues_and_forget_to_hiprio),
		TEST(more_messages_than_slots_are_all_answered),
		TEST(a_lock_that_waits_holds_up_nobody_and_can_be_interrupted),
		TEST(while_no_slot_is_free_nothing_is_read),
		TEST(a_kernel_that_is_gone_ends_the_bridge),
		TEST(what_is_no_message_ends_the_bridge),
		TEST_PARROT(a_message_without_a_reply_is_caught),
		TEST_PARROT(a_reply_to_something_else_is_caught),
		TEST_PARROT(a_reply_of_the_wrong_size_is_caught),
		TEST_PARROT(an_error_that_is_none_is_caught),
	};

	return cmocka_run_group_tests_name("fuse_bridge", tests, NULL, NULL);
}
