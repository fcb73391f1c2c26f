/* SPDX-License-Identifier: BSD-3-Clause */
/* In the sandbox too, a call that a frontend makes wait can be ended (vhost_user_descriptor.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "devices/serve/vhost_user_internal.h"
#include "support/walled.h"

/* What is read from, and by whom. */
struct reader {
	struct vhost_user_waiter waiter;
	bool timer;
	int fd;
};

/* Returns NULL if it waited and was interrupted. */
static void *wait_for_nothing(void *opaque)
{
	static const struct vhost_user_session session;
	struct reader *reader = opaque;
	uint64_t count;
	int result;

	if (vhost_user_waiter_init(&reader->waiter, reader->timer) != 0)
		return reader;
	result = vhost_user_read(&session, reader->fd, &count, sizeof(count));
	vhost_user_waiter_finish(&reader->waiter);
	return result == -EINTR ? NULL : reader;
}

/* Itself by a timer, another thread by a signal. */
static int interrupts(const char *path)
{
	struct reader itself = {.fd = eventfd(0, EFD_CLOEXEC), .timer = true};
	struct reader other = {.fd = itself.fd};
	pthread_t thread;
	void *result;

	(void)path;
	if (wait_for_nothing(&itself))
		return 1;
	if (pthread_create(&thread, NULL, wait_for_nothing, &other) != 0)
		return 2;
	while (pthread_tryjoin_np(thread, &result) != 0) {
		vhost_user_interrupt(&other.waiter);
		poll(NULL, 0, 1);
	}
	return result ? 3 : 0;
}

/* What a frontend makes wait. */
static void a_call_that_waits_can_be_interrupted(void **state)
{
	struct walled disk = {.act = interrupts};
	struct walled tree = {.act = interrupts};
	char directory[64];

	(void)state;
	walled_make_directory(directory);
	tree.directory = directory;
	assert_int_equal(walled_run(&disk), 0);
	assert_int_equal(walled_run(&tree), 0);
	walled_remove_directory(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_waits_can_be_interrupted),
	};

	return cmocka_run_group_tests_name("sandbox_interrupt", tests, NULL, NULL);
}
