/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tests of the tree on a host directory once more, with their directories on an overlay: it
 * has no file handles, and a file that is written becomes another one below. As root; each runs
 * itself as an ordinary user too.
 */
#define _GNU_SOURCE /* unshare */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char top[PATH_MAX - 16];

static const char *below_top(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

/* The mount is seen by this process and its children only. */
static bool mount_overlay(void)
{
	char options[4 * PATH_MAX];

	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		 top, top, top);
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("overlay", below_top("all"), "overlay", 0, options) == 0;
}

static int set_up(void **state)
{
	static const char *const dirs[] = {"lower", "upper", "work", "all"};
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(top, sizeof(top), "%s/overlay.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(top) || chmod(top, 0755) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdir(below_top(dirs[i]), 0755) != 0)
			return -1;
	if (geteuid() != 0 || !mount_overlay())
		return 0;
	/* An ordinary user makes his directories there, too. */
	return chmod(below_top("all"), 01777);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	umount(below_top("all"));
	return nftw(top, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

/* The tests that were built beside this one. Returns what the program did. */
static int run(const char *name)
{
	char self[PATH_MAX], program[2 * PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int status;
	pid_t child;

	assert_true(size > 0);
	self[size] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(program, sizeof(program), "%s/%s", self, name);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* What it reports is no report of ours. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		setenv("TMPDIR", below_top("all"), 1);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void passes_on_an_overlay(void **state)
{
	struct stat outside, inside;

	if (stat(top, &outside) != 0 || stat(below_top("all"), &inside) != 0 ||
	    outside.st_dev == inside.st_dev)
		skip();
	assert_int_equal(run(*state), 0);
}

int main(void)
{
#define TEST(program)                                              \
	{                                                          \
		program, passes_on_an_overlay, NULL, NULL, program \
	}
	const struct CMUnitTest tests[] = {
		TEST("fs_dir_test"),           TEST("fs_dir_cred_test"),
		TEST("fs_dir_escape_test"),    TEST("fs_dir_fd_test"),
		TEST("fs_dir_identity_test"),  TEST("fs_dir_list_test"),
		TEST("fs_xattr_kinds_test"),   TEST("fs_forget_test"),
		TEST("fs_dir_exclusive_test"),
	};

	return cmocka_run_group_tests_name("fs_dir_overlay", tests, set_up, tear_down);
}
