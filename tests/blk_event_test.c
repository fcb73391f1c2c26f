/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk that is resized from outside: the device looks when its transport calls its event. */
#include <poll.h>
#include <signal.h>

#include "tests/support/bench.h"

static struct virtio_device *device; /* of the handler */

static bool has_event(const struct bench *bench)
{
	struct pollfd fd = {.fd = bench->device->ops->event_fd(bench->device), .events = POLLIN};

	assert_true(fd.fd >= 0);
	return poll(&fd, 1, 0) == 1;
}

static void handle(int number)
{
	(void)number;
	blk_look_again(device);
}

static void nothing_happens_before_the_event(void **state)
{
	struct bench *bench = bench_create(&(struct bench_options){.device = BENCH_BLK});
	uint64_t told = bench->guest.link.config_notifications;

	(void)state;
	assert_false(has_event(bench));
	assert_int_equal(bench->store->ops->resize(bench->store, 512), 0);
	blk_look_again(bench->device);
	blk_look_again(bench->device);
	assert_true(has_event(bench));
	assert_int_equal(bench->guest.link.config_notifications, told);

	bench->device->ops->event(bench->device);
	assert_false(has_event(bench));
	assert_int_equal(bench->guest.link.config_notifications, told + 1);
	vqsim_blk_reread(&bench->blk);
	assert_int_equal(bench->blk.capacity, 1);
	bench_destroy(bench);
}

static void an_event_without_a_change_tells_nothing(void **state)
{
	struct bench *bench = bench_create(&(struct bench_options){.device = BENCH_BLK});
	uint64_t told = bench->guest.link.config_notifications;

	(void)state;
	bench->device->ops->event(bench->device); /* nobody asked */
	blk_look_again(bench->device);
	bench->device->ops->event(bench->device);
	assert_int_equal(bench->guest.link.config_notifications, told);
	bench_destroy(bench);
}

static void a_signal_handler_may_ask(void **state)
{
	struct bench *bench = bench_create(&(struct bench_options){.device = BENCH_BLK});

	(void)state;
	device = bench->device;
	signal(SIGHUP, handle);
	raise(SIGHUP);
	signal(SIGHUP, SIG_DFL);
	assert_true(has_event(bench));
	bench_destroy(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_happens_before_the_event),
		cmocka_unit_test(an_event_without_a_change_tells_nothing),
		cmocka_unit_test(a_signal_handler_may_ask),
	};

	return cmocka_run_group_tests_name("blk_event", tests, NULL, NULL);
}
