/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_stack.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <linux/virtio_ids.h>

#include "command_line.h"
#include "../../devices/fs/fs.h"

#define REGION_GPA (UINT64_C(1) << 30)

/* Rings, the driver's own request and what the allocator adds to them. */
#define RING_ELEMENT 64u
#define RING_EXTRA   8192u
#define DRIVER_EXTRA 32768u

bool fs_stack_parse_tree(const char *word, const char **path)
{
	*path = NULL;
	if (strcmp(word, "ram") == 0)
		return true;
	if (strncmp(word, "dir:", 4) == 0 && word[4] != '\0') {
		*path = word + 4;
		return true;
	}
	cli_complain("unknown tree '%s'; give dir:PATH or ram", word);
	return false;
}

bool fs_stack_parse_tag(const char *word, const char **tag)
{
	size_t size = strlen(word);

	*tag = word;
	if (size >= 1 && size <= FS_TAG_SIZE)
		return true;
	cli_complain("--tag cannot be '%s'; give 1 to %u bytes of UTF-8", word, FS_TAG_SIZE);
	return false;
}

/* Files of a tree in memory have the times of the clock on the wall, as programs expect. */
static uint64_t wall_clock(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int fs_stack_create_tree(struct fs_tree **tree, const char *path, bool read_only, bool exclusive)
{
	const struct fs_tree_ram_options ram = {
		.clock = wall_clock,
		.read_only = read_only,
		.trust_guest = true,
	};
	const struct fs_tree_dir_options dir = {
		.flags = (read_only ? FS_DIR_READ_ONLY : 0) | (exclusive ? FS_DIR_EXCLUSIVE : 0),
	};

	return path ? fs_tree_dir_create(tree, path, &dir) : fs_tree_ram_create(tree, &ram);
}

/* The device's limit is a power of two even if the ring is packed and smaller. */
static uint16_t queue_size_max(uint16_t size)
{
	uint16_t max = 1;

	while (max < size)
		max *= 2;
	return max;
}

static int make_device(struct fs_stack *stack, const struct fs_stack_options *o)
{
	const struct fuse_options fuse = {
		.max_write = FS_STACK_MAX_WRITE,
		.hidden_flags = o->hidden_flags,
	};
	const struct fs_options options = {
		.tag = o->tag,
		.request_queue_count = o->queue_count,
		.queue_size_max = queue_size_max(o->queue_size),
	};
	int error = fuse_session_create(&stack->session, &fuse, stack->tree);

	return error ? error : fs_create(&stack->device, &options, stack->session);
}

static int make_memory(struct fs_stack *stack, const struct fs_stack_options *o)
{
	uint64_t ring = (uint64_t)o->queue_size * RING_ELEMENT + RING_EXTRA;
	uint64_t driver = UINT64_C(2) * o->data_room + DRIVER_EXTRA;
	uint64_t size = (o->queue_count + 1u) * ring + driver + o->memory;
	const struct vqsim_region region = {.gpa = REGION_GPA,
					    .size = (size + 4095) & ~UINT64_C(4095)};

	return vqsim_memory_init(&stack->memory, &region, 1);
}

static int make_guest(struct fs_stack *stack, const struct fs_stack_options *o)
{
	struct vqsim_referee *referee = o->no_referee ? NULL : &stack->referee;
	int error = make_memory(stack, o);

	if (!error && referee)
		error = vqsim_referee_init(referee, &stack->memory);
	if (referee)
		referee->replay_hint = command_line();
	return error ? error
		     : vqsim_guest_init(&stack->guest, &stack->memory, stack->device, referee);
}

static enum cli_exit bring_up(struct fs_stack *stack, const struct fs_stack_options *o)
{
	const struct vqsim_guest_config config = {
		.features = o->features,
		.queue_count = o->queue_count + 1,
		.queue_size = o->queue_size,
	};
	enum vqsim_bring_up up = vqsim_guest_bring_up(&stack->guest, &config);

	if (up == VQSIM_UP)
		return CLI_OK;
	cli_complain("the device %s; give other --features or --queue-size",
		     up == VQSIM_REFUSED_FEATURES ? "refuses these features"
		     : up == VQSIM_REFUSED_QUEUE  ? "refuses these queues"
						  : "asked for a reset at DRIVER_OK");
	return CLI_FAILED;
}

/*
 * A kernel looks at permissions itself. What the file system of the host may do its own way, it
 * may; and it has files already.
 */
static int make_model(struct fs_stack *stack, const struct fs_stack_options *o)
{
	const struct vqsim_tree_options ram = {.freedom = VQSIM_TREE_TRUSTING};
	const struct vqsim_tree_options dir = {
		.freedom = VQSIM_TREE_TRUSTING | VQSIM_TREE_COARSE_CLOCK | VQSIM_TREE_DIR_NLINK |
			   VQSIM_TREE_HOST_POLICY | VQSIM_TREE_NO_XATTR | VQSIM_TREE_LATE_LISTINGS |
			   VQSIM_TREE_FREE_ATIME | VQSIM_TREE_IDS_LINGER | VQSIM_TREE_SIZE_LIMIT,
		.unknown = true,
	};
	int error;

	if (o->no_referee || o->remote || o->read_only || (o->path && !o->exclusive))
		return 0;
	error = vqsim_tree_init(&stack->model, &stack->referee, o->path ? &dir : &ram);
	if (error == 0)
		vqsim_tree_watch(&stack->model, &stack->fs);
	return error;
}

static enum cli_exit no_guest(int error)
{
	cli_complain("cannot set up the guest: %s; give less --queues or --queue-size",
		     strerror(-error));
	return CLI_FAILED;
}

static enum cli_exit open_tree(struct fs_stack *stack, const struct fs_stack_options *o)
{
	int error = fs_stack_create_tree(&stack->tree, o->path, o->read_only, o->exclusive);

	if (error) {
		cli_complain("cannot serve '%s': %s", o->tree, strerror(-error));
		return CLI_BAD;
	}
	error = make_device(stack, o);
	if (error == -EINVAL) {
		cli_complain("the device cannot have the tag '%s'; give UTF-8", o->tag);
		return CLI_BAD;
	}
	return error ? no_guest(error) : CLI_OK;
}

static enum cli_exit open_remote(struct fs_stack *stack, const struct fs_stack_options *o)
{
	enum cli_exit status = remote_device_open(&stack->remote, o->remote, VIRTIO_ID_FS,
						  o->queue_count + 1, o->queue_size);

	stack->device = stack->remote.device;
	return status;
}

enum cli_exit fs_stack_open(struct fs_stack *stack, const struct fs_stack_options *o)
{
	enum cli_exit status = o->remote ? open_remote(stack, o) : open_tree(stack, o);
	int error;

	if (status != CLI_OK)
		return status;
	error = make_guest(stack, o);
	if (error)
		return no_guest(error);
	status = bring_up(stack, o);
	if (status != CLI_OK)
		return status;
	error = vqsim_fs_init(&stack->fs, &stack->guest, o->data_room);
	if (!error)
		error = make_model(stack, o);
	return error ? no_guest(error) : CLI_OK;
}

void fs_stack_close(struct fs_stack *stack)
{
	if (stack->fs.minor > 0 && !vqsim_guest_needs_reset(&stack->guest))
		vqsim_fs_destroy(&stack->fs);
	vqsim_fs_finish(&stack->fs);
	vqsim_tree_finish(&stack->model);
	vqsim_guest_finish(&stack->guest);
	vqsim_referee_finish(&stack->referee);
	if (stack->device && stack->device != stack->remote.device)
		stack->device->ops->destroy(stack->device);
	remote_device_close(&stack->remote);
	vqsim_memory_finish(&stack->memory);
	if (stack->session)
		stack->session->ops->destroy(stack->session);
	if (stack->tree)
		stack->tree->ops->destroy(stack->tree);
}
