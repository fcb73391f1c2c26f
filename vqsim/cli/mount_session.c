/* SPDX-License-Identifier: BSD-3-Clause */
#include "mount_session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SLOTS       128u /* messages at a time; any number of locks may wait besides */
#define DRIVER_ROOM 4096u

static enum cli_exit open_fuse(struct mount_session *s)
{
	struct mount_guard_options guard = {
		.point = s->options->point,
		.source = s->options->tag,
		.max_read = FS_STACK_MAX_WRITE,
		.read_only = s->options->read_only,
	};
	int error;

	s->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (s->fuse_fd < 0) {
		cli_complain("cannot open /dev/fuse: %s; be root, or get the right to open it",
			     strerror(errno));
		return CLI_FAILED;
	}
	guard.fuse_fd = s->fuse_fd;
	error = mount_guard_start(&s->guard, &guard);
	if (error == 0)
		return CLI_OK;
	cli_complain("cannot start a process: %s", strerror(-error));
	return CLI_FAILED;
}

static enum cli_exit open_stack(struct mount_session *s)
{
	const struct mount_options *o = s->options;
	const struct fs_stack_options options = {
		.tree = o->tree,
		.path = o->path,
		.tag = o->tag,
		.features = o->features,
		.hidden_flags = o->writeback ? 0 : FUSE_WRITEBACK_CACHE,
		.memory = vqsim_fuse_bridge_memory(FS_STACK_MAX_WRITE, SLOTS),
		.data_room = DRIVER_ROOM,
		.queue_count = o->queue_count,
		.queue_size = o->queue_size,
		.read_only = o->read_only,
		.exclusive = o->exclusive,
		.no_referee = o->no_referee,
	};

	return fs_stack_open(&s->stack, &options);
}

static enum cli_exit make_bridge(struct mount_session *s)
{
	int error = vqsim_fuse_bridge_init(&s->bridge, &s->stack.fs, s->fuse_fd, FS_STACK_MAX_WRITE,
					   SLOTS);

	if (error)
		cli_complain("cannot set up the bridge: %s", strerror(-error));
	return error ? CLI_FAILED : CLI_OK;
}

enum cli_exit mount_session_open(struct mount_session *s, const struct mount_options *options)
{
	enum cli_exit status;
	int error;

	*s = (struct mount_session){.options = options, .fuse_fd = -1};
	status = open_fuse(s);
	if (status == CLI_OK)
		status = open_stack(s);
	if (status == CLI_OK)
		status = make_bridge(s);
	if (status != CLI_OK)
		return status;
	error = mount_guard_mount(&s->guard);
	if (error == 0)
		return CLI_OK;
	cli_complain("cannot mount on '%s': %s; be root, or run it below unshare -Urm",
		     options->point, strerror(-error));
	return CLI_FAILED;
}

/*
 * /dev/fuse first: whoever still waits for an answer gets an error, the guard included. Then the
 * session is ended as a driver would, if the kernel has begun one.
 */
void mount_session_close(struct mount_session *s)
{
	if (s->fuse_fd >= 0)
		close(s->fuse_fd);
	mount_guard_finish(&s->guard);
	fs_stack_close(&s->stack);
	vqsim_fuse_bridge_finish(&s->bridge);
}
