/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For whoever cannot have mounts of his own: Landlock, with which a process gives up all files but
 * those below a directory. It judges what is opened, made and removed, by where it is now; a file
 * that has left the directory is out of reach.
 */
#define _GNU_SOURCE /* O_PATH */
#include "sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of Linux 6.1. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGING                                                         \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |     \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

/* The least version that lets a file be renamed into another directory. */
#define VERSION_MIN 2

#define VERSION_TRUNCATE 3

static int make_rules(uint64_t handled)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs = handled};
	long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	return fd < 0 ? -errno : (int)fd;
}

static int allow_below(int rules, const char *directory, uint64_t access)
{
	struct landlock_path_beneath_attr attr = {.allowed_access = access};
	int error = 0;

	attr.parent_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (attr.parent_fd < 0)
		return -errno;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
		error = -errno;
	close(attr.parent_fd);
	return error;
}

int sandbox_keep_files(const char *directory, bool read_only)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t changing =
		CHANGING | (version >= VERSION_TRUNCATE ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
	int rules, error;

	if (version < VERSION_MIN)
		return -ENOSYS;
	rules = make_rules(LANDLOCK_ACCESS_FS_EXECUTE | READING | changing);
	if (rules < 0)
		return rules;
	error = allow_below(rules, directory, read_only ? READING : READING | changing);
	if (!error && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		error = -errno;
	close(rules);
	return error;
}
