/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The new root is a file system in memory:
 *
 *   /tree           the directory that is served, with what is mounted in it
 *   /proc/self/fd   a dir tree goes by it
 *
 * It is put together on /proc, the one directory that is sure to be there and that no tree
 * comes from; a descriptor from before a mount still leads below it.
 */
#define _GNU_SOURCE
#include "sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STAGE "/proc"

/* Mount what fd is open on also on target, which is made for it. */
static int bind(int fd, const char *target, unsigned long flags)
{
	if (mkdir(target, 0555) < 0 || fchdir(fd) < 0 ||
	    mount(".", target, NULL, MS_BIND | flags, NULL) < 0)
		return -errno;
	return 0;
}

/* MS_REC: a mount that is in the directory stays one, so that it is known not to belong to it. */
static int bind_directory(int fd, bool read_only)
{
	int error = bind(fd, STAGE SANDBOX_DIRECTORY, MS_REC);

	if (error || !read_only)
		return error;
	if (mount(NULL, STAGE SANDBOX_DIRECTORY, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return -errno;
	return 0;
}

static int bind_descriptors(int fd)
{
	if (mkdir(STAGE "/proc", 0555) < 0 || mkdir(STAGE "/proc/self", 0555) < 0)
		return -errno;
	return bind(fd, STAGE "/proc/self/fd", 0);
}

/* pivot_root of a directory onto itself puts the old root on top of the new one. */
static int make_it_root(void)
{
	if (mount(NULL, STAGE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
		  NULL) < 0 ||
	    chdir(STAGE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int fill_stage(int directory_fd, int proc_fd, bool read_only)
{
	int error;

	if (mount("vqsim", STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=0555") <
	    0)
		return -errno;
	error = proc_fd >= 0 ? bind_descriptors(proc_fd) : 0;
	if (!error && directory_fd >= 0)
		error = bind_directory(directory_fd, read_only);
	if (!error)
		error = make_it_root();
	if (error)
		umount2(STAGE, MNT_DETACH);
	return error;
}

/* What the host mounts later is to be seen, but nothing of ours by the host. */
static int stop_sharing(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

static int open_path(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int sandbox_enter_mounts(const char *directory, bool read_only)
{
	int directory_fd = directory ? open_path(directory) : -1;
	int proc_fd = directory ? open_path("/proc/self/fd") : -1;
	int error = stop_sharing();

	if (!error && directory && directory_fd < 0)
		error = directory_fd;
	if (!error && directory && proc_fd < 0)
		error = proc_fd;
	if (!error)
		error = fill_stage(directory_fd, proc_fd, read_only);
	if (directory_fd >= 0)
		close(directory_fd);
	if (proc_fd >= 0)
		close(proc_fd);
	return error;
}
