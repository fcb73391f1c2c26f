/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx, syncfs, close_range */
#endif
#include "mount_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT_MODE "40000"

enum guard_order {
	GUARD_MOUNT = 'm',
	GUARD_UNMOUNT = 'u',
};

/* The guard's own knowledge. */
struct watch {
	const struct mount_guard_options *options;
	int socket;
	bool mounted;
	struct statx id; /* of the mount; nobody is asked for it but the kernel */
};

/* What is mounted there, without a word to the server, who may be dead. */
static int look(const char *point, struct statx *found)
{
	const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;

	return statx(AT_FDCWD, point, flags, STATX_MNT_ID, found) < 0 ? -errno : 0;
}

/* Somebody else may have unmounted it, and have mounted something in its place. */
static bool is_there(const struct watch *watch)
{
	struct statx now;

	return watch->mounted && look(watch->options->point, &now) == 0 &&
	       now.stx_mnt_id == watch->id.stx_mnt_id &&
	       now.stx_dev_major == watch->id.stx_dev_major &&
	       now.stx_dev_minor == watch->id.stx_dev_minor;
}

static int do_mount(struct watch *watch)
{
	const struct mount_guard_options *o = watch->options;
	unsigned long flags = MS_NOSUID | MS_NODEV | (o->read_only ? MS_RDONLY : 0);
	char text[160];
	int error;

	snprintf(text, sizeof(text),
		 "fd=%d,rootmode=" ROOT_MODE ",user_id=%u,group_id=%u,allow_other,"
		 "default_permissions,max_read=%" PRIu32,
		 o->fuse_fd, (unsigned)getuid(), (unsigned)getgid(), o->max_read);
	error = mount(o->source, o->point, "fuse.vqsim", flags, text) < 0 ? -errno : 0;
	/* Only the server's descriptor is to keep the connection alive. */
	close(o->fuse_fd);
	if (error)
		return error;
	error = look(o->point, &watch->id);
	watch->mounted = !error;
	if (error)
		umount2(o->point, UMOUNT_NOFOLLOW | MNT_DETACH);
	return error;
}

/* Files that are open would be cut off from what was written to them. */
static void write_back(const char *point)
{
	int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

static int do_unmount(struct watch *watch)
{
	const char *point = watch->options->point;
	int error = 0;

	if (!is_there(watch))
		return 0;
	if (umount2(point, UMOUNT_NOFOLLOW) < 0)
		error = -errno;
	if (error == -EBUSY) {
		write_back(point);
		umount2(point, UMOUNT_NOFOLLOW | MNT_DETACH);
	}
	if (!error || error == -EBUSY)
		watch->mounted = false;
	return error;
}

static void watch_server(struct watch *watch)
{
	char order;
	int result;

	while (read(watch->socket, &order, 1) == 1) {
		result = order == GUARD_MOUNT ? do_mount(watch) : do_unmount(watch);
		if (write(watch->socket, &result, sizeof(result)) != sizeof(result))
			break;
	}
	/* The server has ended: whatever is left must go, busy or not. */
	if (is_there(watch))
		umount2(watch->options->point, UMOUNT_NOFOLLOW | MNT_DETACH);
}

/* Keep only the standard streams' places, the socket and /dev/fuse open. */
static void close_others(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low > 3)
		close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

/* It holds no pipe open that somebody waits for the end of. */
static void drop_streams(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

/* Its own session, so that what is sent to the terminal's processes ends only the server. */
static __attribute__((noreturn)) void be_guard(const struct mount_guard_options *options,
					       int socket)
{
	struct watch watch = {.options = options, .socket = socket};

	setsid();
	close_others(socket, options->fuse_fd);
	drop_streams();
	if (chdir("/") == 0)
		watch_server(&watch);
	_exit(0);
}

int mount_guard_start(struct mount_guard *guard, const struct mount_guard_options *options)
{
	int sockets[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	guard->pid = fork();
	if (guard->pid == 0)
		be_guard(options, sockets[1]);
	error = guard->pid < 0 ? -errno : 0;
	close(sockets[1]);
	if (error)
		close(sockets[0]);
	else
		guard->socket = sockets[0];
	return error;
}

static void give_order(struct mount_guard *guard, char order)
{
	/* A guard that is gone shows when its answer is read. */
	(void)!send(guard->socket, &order, 1, MSG_NOSIGNAL);
}

int mount_guard_answer(struct mount_guard *guard)
{
	int answer;
	ssize_t size;

	do {
		size = read(guard->socket, &answer, sizeof(answer));
	} while (size < 0 && errno == EINTR);
	return size == sizeof(answer) ? answer : -EPIPE;
}

int mount_guard_mount(struct mount_guard *guard)
{
	give_order(guard, GUARD_MOUNT);
	return mount_guard_answer(guard);
}

void mount_guard_unmount(struct mount_guard *guard)
{
	give_order(guard, GUARD_UNMOUNT);
}

void mount_guard_finish(struct mount_guard *guard)
{
	if (guard->pid <= 0)
		return;
	close(guard->socket);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	memset(guard, 0, sizeof(*guard));
}
