/* SPDX-License-Identifier: BSD-3-Clause */
/* In the sandbox too, a call that a frontend makes wait can be ended (vhost_user_descriptor.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "devices/serve/vhost_user_internal.h"
#include "support/walled.h"

/* Returns its argument if it waited and was not interrupted. */
static void *wait_for_nothing(void *fd)
{
	eventfd_t count;

	vhost_user_interruptible();
	return eventfd_read(*(const int *)fd, &count) < 0 && errno == EINTR ? NULL : fd;
}

/* Itself by a timer, another thread by a signal. */
static int interrupts(const char *path)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct vhost_user_alarm alarm = {0};
	pthread_t thread;
	void *result;

	(void)path;
	if (vhost_user_alarm_init(&alarm) != 0)
		return 1;
	vhost_user_interruptible();
	vhost_user_alarm_set(&alarm, true);
	result = wait_for_nothing(&fd);
	vhost_user_alarm_finish(&alarm);
	if (result || pthread_create(&thread, NULL, wait_for_nothing, &fd) != 0)
		return 2;
	while (pthread_tryjoin_np(thread, &result) != 0) {
		vhost_user_interrupt(thread);
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
