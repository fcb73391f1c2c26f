/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "walled.h"

#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

bool walled_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
	return true;
#endif
#endif
	return false;
}

/* Who changes his ids is not let into his own files of /proc: that is not so for those who log in. */
static void be_nobody(void)
{
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0)
		_exit(WALLED_FAILED);
}

/* Of a build that counts coverage; of any other it is NULL. */
void __gcov_dump(void) __attribute__((weak));

/* What was counted is written at exit, which is not to happen here: so now. root: where "/" is. */
static void count(const char *root)
{
	if (!__gcov_dump)
		return;
	setenv("GCOV_PREFIX", root, 1);
	__gcov_dump();
}

static __attribute__((noreturn)) void leave(const struct walled *walled, const char *directory)
{
	int status = walled->act(directory);

	if (walled->directory && strcmp(walled->directory, "/") == 0 && !walled->nobody)
		count(directory);
	_exit(status);
}

/* In the sandbox: what sanitizers do at exit is not to happen there. */
static __attribute__((noreturn)) void be_walled(struct walled *walled, struct sandbox *sandbox,
						unsigned *parts)
{
	const char *directory;

	if (sandbox_isolate(sandbox, &directory) != 0)
		_exit(WALLED_FAILED);
	if (walled->before && walled->before(directory) != 0)
		_exit(WALLED_FAILED + 1);
	if (sandbox_seal(sandbox) != 0)
		_exit(WALLED_FAILED + 2);
	*parts = sandbox->parts;
	leave(walled, directory);
}

/* Between the test and the sandbox: what sandbox_fork does to its caller is not for the test. */
static __attribute__((noreturn)) void be_parent(struct walled *walled, int *status, unsigned *parts)
{
	struct sandbox sandbox = {.directory = walled->directory, .read_only = walled->read_only};
	const struct rlimit no_core = {0, 0};
	pid_t child;

	setrlimit(RLIMIT_CORE, &no_core);
	if (walled->nobody)
		be_nobody();
	child = sandbox_fork(&sandbox);
	if (child == 0)
		be_walled(walled, &sandbox, parts);
	if (child < 0 || waitpid(child, status, 0) != child)
		_exit(1);
	if (!walled->nobody)
		count("");
	_exit(0);
}

void walled_be_parent(struct walled *walled)
{
	unsigned parts;
	int status;

	be_parent(walled, &status, &parts);
}

int walled_run(struct walled *walled)
{
	struct {
		int status;
		unsigned parts;
	} *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);
	int status, end;
	pid_t parent;

	assert_ptr_not_equal(told, MAP_FAILED);
	parent = fork();
	assert_true(parent >= 0);
	if (parent == 0)
		be_parent(walled, &told->status, &told->parts);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	walled->parts = told->parts;
	end = WIFEXITED(told->status) ? WEXITSTATUS(told->status)
				      : WALLED_SIGNAL + WTERMSIG(told->status);
	munmap(told, sizeof(*told));
	return end;
}

void walled_make_directory(char *path)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, 64, "%.40s/walled-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
	assert_int_equal(chmod(path, 0777), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void walled_remove_directory(const char *path)
{
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
