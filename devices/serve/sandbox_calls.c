/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which system calls a process may make that serves a device. What is in no list ends it. A few
 * that libraries try are answered with an error instead, and they do something else then.
 *
 * A name that this machine or this libseccomp does not know is skipped: nobody can call it by
 * that name either.
 */
#define _GNU_SOURCE
#include "sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* Of every device: its peer, files that are open, memory, threads, signals, time. */
static const char always[] =
	"accept4 recvmsg sendmsg recvfrom sendto shutdown getsockopt setsockopt poll ppoll "
	"ppoll_time64 epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 memfd_create close "
	"close_range fcntl fcntl64 dup dup3 "
	"read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek "
	"fsync fdatasync fallocate ftruncate ftruncate64 fstat fstat64 fstatfs fstatfs64 "
	"munmap mremap madvise brk "
	"futex futex_time64 set_robust_list rseq exit exit_group gettid getpid sched_yield "
	"sched_getaffinity membarrier restart_syscall "
	"rt_sigaction rt_sigprocmask rt_sigreturn sigreturn sigaltstack "
	"clock_gettime clock_gettime64 clock_getres clock_nanosleep clock_nanosleep_time64 "
	"timer_create timer_settime timer_settime64 timer_delete "
	"nanosleep gettimeofday time getrandom sysinfo uname getuid geteuid getgid getegid";

/* Of a tree: files by name, as somebody. */
static const char of_files[] =
	"openat openat2 open_by_handle_at name_to_handle_at readlinkat linkat symlinkat unlinkat "
	"renameat renameat2 mkdirat mknodat fchmod fchmodat fchmodat2 fchown fchownat utimensat "
	"utimensat_time64 faccessat faccessat2 statx newfstatat fstatat64 statfs statfs64 getdents "
	"getdents64 flock truncate truncate64 copy_file_range syncfs getxattr setxattr listxattr "
	"removexattr fgetxattr fsetxattr flistxattr fremovexattr capget capset getgroups setresuid "
	"setresuid32 setresgid setresgid32 setgroups setgroups32";

/* What the run-time of a sanitizer does while it watches and reports. */
static const char of_sanitizers[] = "pipe pipe2 open openat readlink readlinkat getppid";

/* A system call that is allowed with one value of an argument, after a mask. */
struct condition {
	const char *name;
	unsigned argument;
	uint64_t mask, value;
	int otherwise; /* the error with another value; 0: the end */
};

#define ALL_BITS UINT64_MAX

static const struct condition conditions[] = {
	/* Nothing that can be executed. */
	{"mmap", 2, PROT_EXEC, 0, 0},
	{"mmap2", 2, PROT_EXEC, 0, 0},
	{"mprotect", 2, PROT_EXEC, 0, 0},
	/* Threads, not processes. */
	{"clone", 0, CLONE_THREAD, CLONE_THREAD, 0},
	{"prctl", 0, ALL_BITS, PR_SET_NAME, EINVAL},
	{"prlimit64", 0, ALL_BITS, 0, EPERM},
	/* The size of a disk. The C library tries others on standard output. */
	{"ioctl", 1, ALL_BITS, BLKGETSIZE64, ENOTTY},
};

/* fstat in another form; with files the whole of it is allowed. */
static const struct condition without_files = {"newfstatat", 3, ALL_BITS, AT_EMPTY_PATH, ENOENT};

static int add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
	       const struct scmp_arg_cmp *arguments)
{
	int call = seccomp_syscall_resolve_name(name);

	if (call == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add_array(filter, action, call, count, arguments);
}

/* Names with a space between them. */
static int allow_names(scmp_filter_ctx filter, const char *names)
{
	char name[32];
	int error = 0;

	while (!error && *names != '\0') {
		size_t size = strcspn(names, " ");

		snprintf(name, sizeof(name), "%.*s", (int)size, names);
		error = add(filter, SCMP_ACT_ALLOW, name, 0, NULL);
		names += size;
		names += strspn(names, " ");
	}
	return error;
}

static int allow_if(scmp_filter_ctx filter, const struct condition *c)
{
	const struct scmp_arg_cmp allowed = {c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value};
	const struct scmp_arg_cmp other = {c->argument, SCMP_CMP_NE, c->value, 0};
	int error = add(filter, SCMP_ACT_ALLOW, c->name, 1, &allowed);

	if (error || c->otherwise == 0)
		return error;
	return add(filter, SCMP_ACT_ERRNO((unsigned)c->otherwise), c->name, 1, &other);
}

static int allow_conditions(scmp_filter_ctx filter, bool files)
{
	/* raise and abort name the process; it may signal nobody else. */
	const struct condition own = {"tgkill", 0, ALL_BITS, (uint64_t)getpid(), EPERM};
	int error = allow_if(filter, &own);

	for (size_t i = 0; !error && i < sizeof(conditions) / sizeof(conditions[0]); i++)
		error = allow_if(filter, &conditions[i]);
	return error || files ? error : allow_if(filter, &without_files);
}

/* What is answered with an error the C library only tries, and does without. */
static int fill(scmp_filter_ctx filter, bool files)
{
	int error = allow_names(filter, always);

	if (!error && files)
		error = allow_names(filter, of_files);
	if (!error && SANITIZED)
		error = allow_names(filter, of_sanitizers);
	/* It keeps its flags in memory, where no filter can look at them. */
	if (!error)
		error = add(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
	/* Of /proc/sys/vm, when a thread gives memory back. */
	if (!error && !files && !SANITIZED)
		error = add(filter, SCMP_ACT_ERRNO(ENOENT), "openat", 0, NULL);
	return error ? error : allow_conditions(filter, files);
}

/* TSYNC: threads that are there already, too. OPTIMIZE 2: a tree of numbers, not a list. */
int sandbox_bar_calls(bool files)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error;

	if (!filter)
		return -ENOMEM;
	error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!error)
		error = fill(filter, files);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
