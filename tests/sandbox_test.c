/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process in the sandbox can no longer do. Each attempt is made by a process of its own;
 * the tree's work is in sandbox_tree_test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "tests/support/walled.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Each returns 0 if what it tried was refused with the right error. */

static int opens_a_file(const char *path)
{
	(void)path;
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == ENOENT ? 0 : 1;
}

static int makes_a_socket(const char *path)
{
	(void)path;
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int makes_a_pair_of_sockets(const char *path)
{
	int fds[2];

	(void)path;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static int connects(const char *path)
{
	(void)path;
	return connect(0, NULL, 0);
}

static int executes(const char *path)
{
	(void)path;
	return execl("/bin/true", "true", (char *)NULL);
}

static int forks(const char *path)
{
	(void)path;
	return (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static int signals_a_process(const char *path)
{
	(void)path;
	return kill(1, SIGTERM);
}

static int traces(const char *path)
{
	(void)path;
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0;
}

static int reads_others_memory(const char *path)
{
	(void)path;
	return (int)syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}

static int mounts(const char *path)
{
	(void)path;
	return (int)syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static int enters_a_namespace(const char *path)
{
	(void)path;
	return unshare(CLONE_NEWUSER);
}

static int loads_bpf(const char *path)
{
	(void)path;
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int makes_code(const char *path)
{
	(void)path;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static int makes_data_code(const char *path)
{
	static char page[4096] __attribute__((aligned(4096)));

	(void)path;
	return mprotect(page, sizeof(page), PROT_READ | PROT_EXEC);
}

static int signals_a_thread_of_another(const char *path)
{
	(void)path;
	return syscall(SYS_tgkill, 12345, 12345, SIGTERM) < 0 && errno == EPERM ? 0 : 1;
}

/* TIOCSTI would type into the terminal of whoever started it; this one would work on any descriptor. */
static int controls_a_descriptor(const char *path)
{
	int fd = memfd_create("control", MFD_CLOEXEC), on = 1;

	(void)path;
	return ioctl(fd, FIONBIO, &on) < 0 && errno == ENOTTY ? 0 : 1;
}

static int changes_itself(const char *path)
{
	(void)path;
	return prctl(PR_SET_DUMPABLE, 1) < 0 && errno == EINVAL ? 0 : 1;
}

static void *socket_thread(void *path)
{
	makes_a_socket(path);
	return NULL;
}

static int makes_a_socket_in_a_thread(const char *path)
{
	pthread_t thread;

	(void)path;
	if (pthread_create(&thread, NULL, socket_thread, NULL) != 0)
		return 2;
	pthread_join(thread, NULL);
	return 0;
}

static int does_its_work(const char *path)
{
	char *memory =
		mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("work", MFD_CLOEXEC), event = eventfd(0, EFD_NONBLOCK);
	struct stat st;

	(void)path;
	memory[0] = 'x';
	return fd >= 0 && event >= 0 && ftruncate(fd, 65536) == 0 &&
			       pwrite(fd, memory, 65536, 0) == 65536 && fdatasync(fd) == 0 &&
			       fstat(fd, &st) == 0 && st.st_size == 65536
		       ? 0
		       : 1;
}

static int sees_its_directory_alone(const char *path)
{
	struct stat st;

	if (stat("/etc", &st) == 0 || stat("/usr", &st) == 0 || stat("/proc/1", &st) == 0)
		return 1;
	if (open("/new", O_CREAT | O_WRONLY, 0600) >= 0 || errno != EROFS)
		return 2;
	if (open("/tree/../../../etc/passwd", O_RDONLY) >= 0 || errno != ENOENT)
		return 3;
	return openat(AT_FDCWD, path, O_PATH) < 0 ? 4 : 0;
}

struct attempt {
	const char *name;
	walled_act *act;
	int disk, tree; /* how it ends without a directory and with one */
};

#define ENDED        (WALLED_SIGNAL + SIGSYS)
#define ATTEMPT(act) #act, act

static const struct attempt attempts[] = {
	{ATTEMPT(makes_a_socket), ENDED, ENDED},
	{ATTEMPT(makes_a_pair_of_sockets), ENDED, ENDED},
	{ATTEMPT(connects), ENDED, ENDED},
	{ATTEMPT(executes), ENDED, ENDED},
	{ATTEMPT(forks), ENDED, ENDED},
	{ATTEMPT(signals_a_process), ENDED, ENDED},
	{ATTEMPT(traces), ENDED, ENDED},
	{ATTEMPT(reads_others_memory), ENDED, ENDED},
	{ATTEMPT(mounts), ENDED, ENDED},
	{ATTEMPT(enters_a_namespace), ENDED, ENDED},
	{ATTEMPT(loads_bpf), ENDED, ENDED},
	{ATTEMPT(makes_code), ENDED, ENDED},
	{ATTEMPT(makes_data_code), ENDED, ENDED},
	{ATTEMPT(makes_a_socket_in_a_thread), ENDED, ENDED},
	{ATTEMPT(signals_a_thread_of_another), 0, 0},
	{ATTEMPT(controls_a_descriptor), 0, 0},
	{ATTEMPT(changes_itself), 0, 0},
	{ATTEMPT(does_its_work), 0, 0},
};

static char directory[64];

static int set_up(void **state)
{
	(void)state;
	walled_make_directory(directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	walled_remove_directory(directory);
	return 0;
}

static void check_attempts(bool nobody)
{
	for (size_t i = 0; i < COUNT_OF(attempts); i++) {
		const struct attempt *a = &attempts[i];
		struct walled disk = {.act = a->act, .nobody = nobody};
		struct walled tree = {.act = a->act, .nobody = nobody, .directory = directory};

		if (walled_run(&disk) != a->disk || walled_run(&tree) != a->tree)
			fail_msg("%s is not refused as it should be", a->name);
	}
}

static void what_is_not_needed_is_refused(void **state)
{
	(void)state;
	check_attempts(false);
}

static void an_ordinary_user_is_refused_the_same(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	check_attempts(true);
}

static int opens_its_root(const char *path)
{
	(void)path;
	return open("/", O_PATH | O_CLOEXEC) < 0 && errno == ENOENT ? 0 : 1;
}

/* The canary of a disk: there is no way to name a file, and none to be named. */
static void a_disk_has_no_files(void **state)
{
	struct walled walled = {.act = opens_its_root};
	int end;

	(void)state;
	if (!walled_sanitized())
		assert_int_equal(walled_run(&walled), 0);
	walled.act = opens_a_file;
	end = walled_run(&walled);
	/* Then only the mounts hide files: what a sanitizer may do the calls let through. */
	if (walled_sanitized() && !(walled.parts & SANDBOX_MOUNTS))
		skip();
	assert_int_equal(end, 0);
}

/* The canary of a tree. */
static void a_tree_has_its_directory_alone(void **state)
{
	struct walled walled = {.act = opens_a_file, .directory = directory};
	int end = walled_run(&walled);

	(void)state;
	if (!(walled.parts & SANDBOX_MOUNTS))
		skip();
	assert_int_equal(end, 0);
	walled.act = sees_its_directory_alone;
	assert_int_equal(walled_run(&walled), 0);
}

static int writes(const char *path)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/new%d", path, (int)geteuid());
	return open(name, O_CREAT | O_WRONLY, 0600) >= 0 ? 0 : errno;
}

/* Landlock says EACCES. */
static int reaches_other_files(const char *path)
{
	struct stat st;

	(void)path;
	if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 1;
	if (open("/tmp/new", O_CREAT | O_WRONLY, 0600) >= 0 || errno != EACCES)
		return 2;
	if (open("/", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 3;
	return stat("/tmp/new", &st) == 0;
}

static void an_ordinary_user_of_a_tree_opens_nothing_else(void **state)
{
	struct walled walled = {
		.act = reaches_other_files, .directory = directory, .nobody = geteuid() == 0};
	int end = walled_run(&walled);

	(void)state;
	if (!(walled.parts & SANDBOX_FILES))
		skip();
	assert_int_equal(end, 0);
	walled.act = writes;
	assert_int_equal(walled_run(&walled), 0);
	walled.read_only = true;
	assert_int_equal(walled_run(&walled), EACCES);
}

static int sees_the_host(const char *path)
{
	char name[64];
	struct stat st;

	snprintf(name, sizeof(name), "%s/etc", path);
	return stat(name, &st) != 0;
}

/* All of the host, its mounts too. (In a build for coverage, the files of its counters are there.) */
static void the_root_can_be_the_directory(void **state)
{
	struct walled walled = {.act = sees_the_host, .directory = "/"};

	(void)state;
	assert_int_equal(walled_run(&walled), 0);
}

static void a_directory_that_is_read_only_is_mounted_so(void **state)
{
	struct walled walled = {.act = writes, .directory = directory, .read_only = true};
	int end = walled_run(&walled);

	(void)state;
	if (!(walled.parts & SANDBOX_MOUNTS))
		skip();
	assert_int_equal(end, EROFS);
	walled.read_only = false;
	assert_int_equal(walled_run(&walled), 0);
}

/* Capabilities */

static uint64_t capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	syscall(SYS_capget, &header, data);
	return data[0].effective | data[0].permitted | (uint64_t)data[1].effective << 32 |
	       (uint64_t)data[1].permitted << 32;
}

static int takes_them_back(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct all[2] = {{~0u, ~0u, 0}, {0, 0, 0}};

	return syscall(SYS_capset, &header, all) == 0;
}

#define BIT(cap) (UINT64_C(1) << (cap))

static int has_those_about_files(const char *path)
{
	const uint64_t allowed = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) |
				 BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_SETUID) |
				 BIT(CAP_SETGID) | BIT(CAP_MKNOD) | BIT(CAP_SETFCAP);

	(void)path;
	if (capabilities() & ~allowed)
		return 1;
	return takes_them_back();
}

static void capabilities_are_those_about_files(void **state)
{
	struct walled walled = {.act = has_those_about_files, .directory = directory};

	(void)state;
	assert_int_equal(walled_run(&walled), 0);
	assert_true(walled.parts & SANDBOX_CAPABILITIES);
}

/* Processes */

static int waits(const char *path)
{
	(void)path;
	return poll(NULL, 0, -1);
}

/* The pipe that both hold ends when both are gone. */
static void it_ends_with_its_parent(void **state)
{
	struct walled walled = {.act = waits};
	struct pollfd end = {.events = POLLIN};
	pid_t runner;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	runner = fork();
	if (runner == 0) {
		close(ends[0]);
		walled_be_parent(&walled);
	}
	close(ends[1]);
	usleep(100000);
	assert_int_equal(kill(runner, SIGKILL), 0);
	assert_int_equal(waitpid(runner, NULL, 0), runner);
	end.fd = ends[0];
	assert_int_equal(poll(&end, 1, 20000), 1);
	close(ends[0]);
}

/* Telling */

static void what_holds_is_told(void **state)
{
	struct sandbox sandbox = {.parts = SANDBOX_MOUNTS | SANDBOX_NETWORK | SANDBOX_CAPABILITIES |
					   SANDBOX_SYSTEM_CALLS};
	char text[200], cut[10];

	(void)state;
	sandbox_tell(&sandbox, text, sizeof(text));
	assert_string_equal(text, "mounts, network, capabilities, system calls; "
				  "not allowed here: processes, ipc");
	sandbox_tell(&sandbox, cut, sizeof(cut));
	assert_string_equal(cut, "mounts, n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_needed_is_refused),
		cmocka_unit_test(an_ordinary_user_is_refused_the_same),
		cmocka_unit_test(a_disk_has_no_files),
		cmocka_unit_test(a_tree_has_its_directory_alone),
		cmocka_unit_test(the_root_can_be_the_directory),
		cmocka_unit_test(a_directory_that_is_read_only_is_mounted_so),
		cmocka_unit_test(an_ordinary_user_of_a_tree_opens_nothing_else),
		cmocka_unit_test(capabilities_are_those_about_files),
		cmocka_unit_test(it_ends_with_its_parent),
		cmocka_unit_test(what_holds_is_told),
	};

	return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}
