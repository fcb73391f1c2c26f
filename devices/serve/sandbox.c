/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* unshare */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "sandbox_internal.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* What a dir tree needs to act for every user of a guest, and to find files by their handles. */
#define FILE_CAPABILITIES                                                                      \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) | \
	 BIT(CAP_FSETID) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_MKNOD) | BIT(CAP_SETFCAP))

static int get_capabilities(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static bool may_make_namespaces(void)
{
	struct __user_cap_data_struct data[2];

	return get_capabilities(data) == 0 && (data[0].effective & BIT(CAP_SYS_ADMIN));
}

/* Users */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* This user alone is somebody in there. An ordinary one may map his group only without setgroups. */
static int map_ids(uid_t uid, gid_t gid)
{
	char map[64];
	int error = write_file("/proc/self/setgroups", "deny");

	snprintf(map, sizeof(map), "%u %u 1", (unsigned)uid, (unsigned)uid);
	if (!error)
		error = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", (unsigned)gid, (unsigned)gid);
	return error ? error : write_file("/proc/self/gid_map", map);
}

/*
 * fork(2) with flags of its own, because unshare(2) would change what later children of this
 * process are born into. The C library is not told, and goes on to believe that its main thread
 * has the id that it had here: normal mutexes and threads do not mind.
 */
static pid_t fork_into(int flags)
{
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

/* In the new process. A parent that is gone by now is not noticed. */
static int begin(struct sandbox *sandbox, int flags, uid_t uid, gid_t gid)
{
	if (flags & CLONE_NEWPID)
		sandbox->parts |= SANDBOX_PROCESSES;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	if (!(flags & CLONE_NEWUSER))
		return 0;
	sandbox->parts |= SANDBOX_USERS;
	return map_ids(uid, gid);
}

pid_t sandbox_fork(struct sandbox *sandbox)
{
	bool other_user = !sandbox->directory && !may_make_namespaces();
	int flags = other_user ? CLONE_NEWPID | CLONE_NEWUSER : CLONE_NEWPID;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t pid = fork_into(flags);

	if (pid < 0) {
		flags = 0;
		pid = fork();
	}
	if (pid < 0)
		return -errno;
	return pid > 0 ? pid : begin(sandbox, flags, uid, gid);
}

static void enter(struct sandbox *sandbox, int flag, enum sandbox_part part)
{
	if (unshare(flag) == 0)
		sandbox->parts |= part;
}

int sandbox_isolate(struct sandbox *sandbox, const char **directory)
{
	*directory = sandbox->directory;
	enter(sandbox, CLONE_NEWNET, SANDBOX_NETWORK);
	enter(sandbox, CLONE_NEWIPC, SANDBOX_IPC);
	if (unshare(CLONE_NEWNS) < 0)
		return 0;
	if (sandbox_enter_mounts(sandbox->directory, sandbox->read_only) != 0)
		return 0;
	sandbox->parts |= SANDBOX_MOUNTS;
	if (sandbox->directory)
		*directory = SANDBOX_DIRECTORY;
	return 0;
}

/* Capabilities */

/* What is out of the bounding set does not come back, whatever is executed. */
static int drop_bounds(uint64_t keep)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

int sandbox_drop_capabilities(bool files)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	uint64_t keep = files ? FILE_CAPABILITIES : 0;
	int error = get_capabilities(data);

	if (!error && (data[0].effective & BIT(CAP_SETPCAP)))
		error = drop_bounds(keep);
	if (error)
		return error;
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective &= (uint32_t)(keep >> (32 * i));
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int sandbox_seal(struct sandbox *sandbox)
{
	bool files = sandbox->directory != NULL;
	int error = sandbox_drop_capabilities(files);

	if (error)
		return error;
	sandbox->parts |= SANDBOX_CAPABILITIES;
	if (files && !(sandbox->parts & SANDBOX_MOUNTS) &&
	    sandbox_keep_files(sandbox->directory, sandbox->read_only) == 0)
		sandbox->parts |= SANDBOX_FILES;
	error = sandbox_bar_calls(files);
	if (!error)
		sandbox->parts |= SANDBOX_SYSTEM_CALLS;
	return error;
}

/* Telling */

static const char *const part_names[] = {
	"users", "processes", "mounts", "network", "ipc", "capabilities", "system calls", "files",
};

static size_t list_parts(unsigned parts, const char *before, char *text, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; i < sizeof(part_names) / sizeof(part_names[0]); i++) {
		if (!(parts & (1u << i)) || used >= size)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s", before, part_names[i]);
		before = ", ";
	}
	return used;
}

void sandbox_tell(const struct sandbox *sandbox, char *text, size_t size)
{
	const unsigned all = SANDBOX_PROCESSES | SANDBOX_MOUNTS | SANDBOX_NETWORK | SANDBOX_IPC |
			     SANDBOX_CAPABILITIES | SANDBOX_SYSTEM_CALLS;
	size_t used = list_parts(sandbox->parts, "", text, size);

	if (used < size)
		list_parts(all & ~sandbox->parts, "; not allowed here: ", text + used, size - used);
}
