/* SPDX-License-Identifier: BSD-3-Clause */
/* A shared file that shrinks: the access goes on with zeroes, its owner knows, others crash as ever. */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../devices/serve/shrink.h"

#define PAGE 4096u
#define SIZE (4 * PAGE)

struct shared {
	int fd;
	uint8_t *memory;
};

static struct shared share(void)
{
	struct shared s = {.fd = memfd_create("shrink", MFD_CLOEXEC)};

	assert_true(s.fd >= 0);
	assert_int_equal(ftruncate(s.fd, SIZE), 0);
	s.memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
	assert_ptr_not_equal(s.memory, MAP_FAILED);
	memset(s.memory, 'x', SIZE);
	return s;
}

static void unshare_again(struct shared *s)
{
	assert_int_equal(munmap(s->memory, SIZE), 0);
	close(s->fd);
}

/* The compiler must not know what is there. */
static uint8_t load(const uint8_t *memory)
{
	return *(const volatile uint8_t *)memory;
}

static void test_load_behind_the_end_finds_zeroes_and_sets_the_flag(void **state)
{
	struct shared s = share();
	bool lost = false;

	(void)state;
	assert_int_equal(shrink_guard_add(s.memory, SIZE, &lost), 0);
	assert_int_equal(load(s.memory + 3 * PAGE), 'x');
	assert_false(lost);

	assert_int_equal(ftruncate(s.fd, PAGE), 0);
	assert_int_equal(load(s.memory + 3 * PAGE), 0);
	assert_true(__atomic_load_n(&lost, __ATOMIC_ACQUIRE));
	shrink_guard_remove(s.memory);
	unshare_again(&s);
}

static void test_store_behind_the_end_goes_on(void **state)
{
	struct shared s = share();
	bool lost = false;

	(void)state;
	assert_int_equal(shrink_guard_add(s.memory, SIZE, &lost), 0);
	assert_int_equal(ftruncate(s.fd, 0), 0);
	*(volatile uint8_t *)(s.memory + SIZE - 1) = 7;
	assert_int_equal(load(s.memory + SIZE - 1), 7);
	assert_true(lost);
	shrink_guard_remove(s.memory);
	unshare_again(&s);
}

static void test_only_the_range_that_shrank_is_lost(void **state)
{
	struct shared a = share(), b = share();
	bool lost_a = false, lost_b = false;

	(void)state;
	assert_int_equal(shrink_guard_add(a.memory, SIZE, &lost_a), 0);
	assert_int_equal(shrink_guard_add(b.memory, SIZE, &lost_b), 0);
	assert_int_equal(ftruncate(b.fd, 0), 0);
	assert_int_equal(load(b.memory), 0);
	assert_int_equal(load(a.memory), 'x');
	assert_false(lost_a);
	assert_true(lost_b);
	shrink_guard_remove(b.memory);
	shrink_guard_remove(a.memory);
	unshare_again(&a);
	unshare_again(&b);
}

static void test_system_call_gets_efault_and_nothing_is_lost(void **state)
{
	struct shared s = share();
	struct iovec iov = {s.memory, SIZE};
	bool lost = false;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(shrink_guard_add(s.memory, SIZE, &lost), 0);
	assert_int_equal(ftruncate(s.fd, 0), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(writev(pipe_fds[1], &iov, 1), -1);
	assert_int_equal(errno, EFAULT);
	assert_false(lost);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	shrink_guard_remove(s.memory);
	unshare_again(&s);
}

static void test_handler_is_there_only_while_a_range_is(void **state)
{
	struct shared s = share();
	struct sigaction first, during, after;
	bool lost = false;

	(void)state;
	sigaction(SIGBUS, NULL, &first);
	assert_int_equal(shrink_guard_add(s.memory, SIZE, &lost), 0);
	sigaction(SIGBUS, NULL, &during);
	shrink_guard_remove(s.memory);
	sigaction(SIGBUS, NULL, &after);
	assert_true(first.sa_sigaction != during.sa_sigaction);
	assert_true(first.sa_sigaction == after.sa_sigaction);
	unshare_again(&s);
}

/* In a child, with the default action: how it ends. */
static int end_of_child(void (*act)(struct shared *watched, struct shared *other))
{
	struct shared watched = share(), other = share();
	static bool lost;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGBUS, SIG_DFL);
		if (shrink_guard_add(watched.memory, SIZE, &lost) != 0)
			_exit(1);
		act(&watched, &other);
		_exit(lost ? 3 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	unshare_again(&watched);
	unshare_again(&other);
	return status;
}

static void touch_other(struct shared *watched, struct shared *other)
{
	(void)watched;
	if (ftruncate(other->fd, 0) == 0)
		load(other->memory);
}

static void touch_removed(struct shared *watched, struct shared *other)
{
	(void)other;
	shrink_guard_remove(watched->memory);
	if (ftruncate(watched->fd, 0) == 0)
		load(watched->memory);
}

static void send_signal(struct shared *watched, struct shared *other)
{
	(void)watched;
	(void)other;
	raise(SIGBUS);
}

static void exit_5(int number)
{
	(void)number;
	_exit(5);
}

static void touch_other_with_handler(struct shared *watched, struct shared *other)
{
	static bool lost;

	shrink_guard_remove(watched->memory);
	signal(SIGBUS, exit_5);
	if (shrink_guard_add(watched->memory, SIZE, &lost) == 0)
		touch_other(watched, other);
}

static void test_other_errors_end_the_process_as_before(void **state)
{
	static void (*const acts[])(struct shared *, struct shared *) = {touch_other, touch_removed,
									 send_signal};

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int status = end_of_child(acts[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
	}
}

static void test_other_errors_reach_the_handler_that_was_there_before(void **state)
{
	int status = end_of_child(touch_other_with_handler);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
}

static void test_ranges_that_cannot_be_are_refused(void **state)
{
	struct shared s = share();
	bool lost = false;

	(void)state;
	assert_int_equal(shrink_guard_add(NULL, PAGE, &lost), -EINVAL);
	assert_int_equal(shrink_guard_add(s.memory, 0, &lost), -EINVAL);
	assert_int_equal(shrink_guard_add(s.memory + 1, PAGE, &lost), -EINVAL);
	assert_int_equal(shrink_guard_add(s.memory, PAGE + 1, &lost), -EINVAL);
	shrink_guard_remove(NULL);
	shrink_guard_remove(s.memory);
	unshare_again(&s);
}

/* The table takes as many as it says, and slots are used again. */
static void test_table_has_a_limit(void **state)
{
	const size_t size = (size_t)(SHRINK_RANGES_MAX + 1) * PAGE;
	uint8_t *all = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool lost = false;

	(void)state;
	assert_ptr_not_equal(all, MAP_FAILED);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < SHRINK_RANGES_MAX; i++)
			assert_int_equal(shrink_guard_add(all + i * PAGE, PAGE, &lost), 0);
		assert_int_equal(shrink_guard_add(all + size - PAGE, PAGE, &lost), -ENOSPC);
		for (size_t i = 0; i < SHRINK_RANGES_MAX; i++)
			shrink_guard_remove(all + i * PAGE);
	}
	assert_int_equal(munmap(all, size), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load_behind_the_end_finds_zeroes_and_sets_the_flag),
		cmocka_unit_test(test_store_behind_the_end_goes_on),
		cmocka_unit_test(test_only_the_range_that_shrank_is_lost),
		cmocka_unit_test(test_system_call_gets_efault_and_nothing_is_lost),
		cmocka_unit_test(test_handler_is_there_only_while_a_range_is),
		cmocka_unit_test(test_other_errors_end_the_process_as_before),
		cmocka_unit_test(test_other_errors_reach_the_handler_that_was_there_before),
		cmocka_unit_test(test_ranges_that_cannot_be_are_refused),
		cmocka_unit_test(test_table_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
