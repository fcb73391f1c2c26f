/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On whose behalf. If this process may change its ids, what makes a file or asks for
 * permission (ACCESS) is done as the caller: effective user and group, supplementary
 * groups, and none of the capabilities of files unless the caller is user 0. So owners,
 * groups, inherited SGID bits and what becomes of a SGID bit that is asked for
 * are the kernel's own doing. Everything else, and all if this process is an ordinary user,
 * is done as this process: the guest has checked permissions.
 *
 * Unless the guest tells supplementary groups, what they permit is not known here: the guest's
 * check counts then (CAP_DAC_OVERRIDE is kept); with ACLs too, which name other groups.
 *
 * Ids and capabilities are a thread's own for the kernel, and only for the kernel: the C
 * library's functions change them in all threads, so they are called by number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dir_internal.h"
#include "fuse_wire.h"

/* The numbers for ids of 32 bits, where others are older. */
#ifdef SYS_setresuid32
#define SET_UID    SYS_setresuid32
#define SET_GID    SYS_setresgid32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_UID    SYS_setresuid
#define SET_GID    SYS_setresgid
#define SET_GROUPS SYS_setgroups
#endif

#define BIT(cap) (1u << (cap))

/* The capabilities that are about files; all below 32. */
#define FILE_CAPS                                                                              \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) | \
	 BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MKNOD) | BIT(CAP_SYS_RESOURCE) | \
	 BIT(CAP_SETFCAP))

static bool get_caps(struct dir_caps *caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		caps->effective[i] = data[i].effective;
		caps->permitted[i] = data[i].permitted;
		caps->inheritable[i] = data[i].inheritable;
	}
	return true;
}

static bool set_caps(const struct dir_caps *caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (unsigned i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){caps->effective[i], caps->permitted[i],
							  caps->inheritable[i]};
	return syscall(SYS_capset, &header, data) == 0;
}

/* Nothing that follows would be right: every call would be done as somebody else. */
static void must(bool done)
{
	if (!done)
		abort();
}

void dir_cred_init(struct dir *dir)
{
	struct dir_caps caps = {.effective = {0}};
	uint32_t ids = BIT(CAP_SETUID) | BIT(CAP_SETGID);

	dir->uid = geteuid();
	dir->gid = getegid();
	dir->has_groups = getgroups(0, NULL) > 0;
	if (!get_caps(&caps))
		return;
	dir->drops_fsetid = caps.effective[0] & BIT(CAP_FSETID);
	dir->privileged =
		(caps.effective[0] & ids) == ids && !(dir->flags & FS_DIR_OWN_CREDENTIALS);
}

static bool is_own(const struct dir *dir, const struct fs_call *call)
{
	if (call->uid != dir->uid || call->gid != dir->gid)
		return false;
	return call->uid == 0 || (call->group_count == 0 && !dir->has_groups);
}

bool dir_cred_has_group(const struct dir *dir, const struct fs_call *call, uint32_t gid)
{
	if (!dir->privileged)
		return dir->drops_fsetid || gid == dir->gid || group_member(gid);
	if (call->uid == 0 || call->gid == gid)
		return true;
	for (uint32_t i = 0; i < call->group_count; i++)
		if (call->groups[i] == gid)
			return true;
	return false;
}

static bool save_groups(struct dir_guard *guard)
{
	guard->group_count = getgroups(0, NULL);
	if (guard->group_count < 0)
		return false;
	guard->groups = malloc(((size_t)guard->group_count + 1) * sizeof(uint32_t));
	return guard->groups != NULL &&
	       getgroups(guard->group_count, guard->groups) == guard->group_count;
}

/* Also undoes the part of it that was done. */
static void leave_ids(const struct dir *dir, const struct dir_guard *guard)
{
	must(syscall(SET_UID, -1, dir->uid, -1) == 0);
	must(set_caps(&guard->old));
	must(syscall(SET_GID, -1, dir->gid, -1) == 0);
	must(syscall(SET_GROUPS, guard->group_count, guard->groups) == 0);
}

static bool become(const struct fs_call *call, bool lenient, const struct dir_guard *guard)
{
	struct dir_caps caps = guard->old;

	if (syscall(SET_GROUPS, call->group_count, call->groups) < 0 ||
	    syscall(SET_GID, -1, call->gid, -1) < 0 || syscall(SET_UID, -1, call->uid, -1) < 0)
		return false;
	if (call->uid != 0) {
		caps.effective[0] &= ~FILE_CAPS;
		if (lenient)
			caps.effective[0] |= guard->old.effective[0] &
					     (BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH));
	}
	return set_caps(&caps);
}

int dir_cred_enter(const struct dir *dir, const struct fs_call *call, bool lenient,
		   struct dir_guard *guard)
{
	int error;

	*guard = (struct dir_guard){.ids = false};
	if (!dir->privileged || is_own(dir, call))
		return 0;
	/* -1 would mean "as it is". */
	if (call->uid == UINT32_MAX || call->gid == UINT32_MAX)
		return -EINVAL;
	if (!get_caps(&guard->old) || !save_groups(guard)) {
		free(guard->groups);
		return -ENOMEM;
	}
	if (become(call, lenient, guard)) {
		guard->ids = true;
		return 0;
	}
	error = -errno;
	leave_ids(dir, guard);
	free(guard->groups);
	return error;
}

void dir_cred_kill_priv(const struct dir *dir, bool kill, struct dir_guard *guard)
{
	struct dir_caps caps;

	*guard = (struct dir_guard){.ids = false};
	if (!kill || !dir->drops_fsetid || !get_caps(&guard->old))
		return;
	caps = guard->old;
	caps.effective[0] &= ~BIT(CAP_FSETID);
	guard->caps = set_caps(&caps);
}

void dir_cred_leave(const struct dir *dir, struct dir_guard *guard)
{
	int error = errno;

	if (guard->ids) {
		leave_ids(dir, guard);
		free(guard->groups);
	}
	if (guard->caps)
		must(set_caps(&guard->old));
	errno = error;
}
