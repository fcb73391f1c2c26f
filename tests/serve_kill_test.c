/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server of a disk is killed under load, at moments that nobody chose, and another one goes on
 * with the inflight areas of the guest: every request comes back exactly once, with the right
 * answer and its notification, and the disk holds what was written last. Once for `vqsim serve
 * blk`, and once for a server whose store completes in any order.
 *
 * The seeds fix what is asked of the disk and how much; when the signal comes is up to the machine.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/blk/blk.h"
#include "devices/serve/vhost_user.h"
#include "tests/support/command.h"
#include "tests/support/kept_guest.h"
#include "tests/support/shuffled_store.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define PACKED   VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENTS   VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER VIRTIO_FEATURE(VIRTIO_F_IN_ORDER)
#define TABLES   VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

/* 56 in all. */
#define KILLS 4u

/*
 * Requests between a start and the kill, at most, and nanoseconds from filling the rings for the
 * last time: about as long as a backend takes for what is in them.
 */
#define REQUESTS_MAX 600u
#define DELAY_MAX    150000u

static const struct row {
	const char *name;
	struct kept_options options;
} rows[] = {
	{"split", {0, 1, 1}},
	{"split_with_events_and_tables", {EVENTS | TABLES, 1, 2}},
	{"split_in_order", {IN_ORDER | EVENTS, 1, 3}},
	{"packed", {PACKED, 1, 4}},
	{"packed_with_events_and_tables", {PACKED | EVENTS | TABLES, 1, 5}},
	{"packed_in_order", {PACKED | IN_ORDER, 1, 6}},
	{"two_queues", {EVENTS, 2, 7}},
};

struct backend {
	int listener;
	pid_t pid; /* 0: none runs */
};

static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "disk.sock"};

static void listen_for_guests(struct backend *backend)
{
	unlink(address.sun_path);
	backend->pid = 0;
	backend->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(backend->listener >= 0);
	assert_int_equal(
		bind(backend->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(backend->listener, 4), 0);
}

/* Servers. These run in a process of their own. */

static void serve_by_command(int listener, const struct kept_options *options)
{
	char fd[16], queues[16];
	const char *argv[] = {command_binary(), "serve", "blk",      "--store", "file:image",
			      "--fd",           fd,      "--queues", queues,    NULL};

	snprintf(fd, sizeof(fd), "%d", listener);
	snprintf(queues, sizeof(queues), "%u", options->queues);
	if (freopen("serve.log", "w", stdout))
		execv(argv[0], (char **)(uintptr_t)argv);
}

static struct vhost_user_server *server;

static void stop_server(int number)
{
	(void)number;
	vhost_user_server_stop(server);
}

static void serve_in_any_order(int listener, const struct kept_options *options)
{
	const struct blk_options blk = {.queue_count = (uint16_t)options->queues};
	const struct vhost_user_options defaults = {0};
	struct sigaction stop = {.sa_handler = stop_server};
	struct virtio_device *device;
	struct blk_store *store;

	if (blk_store_file_create(&store, "image", 0) != 0)
		return;
	store = shuffled_store_create(store, (uint64_t)getpid());
	if (!store || blk_create(&device, &blk, store) != 0 ||
	    vhost_user_server_create(&server, device, listener, &defaults) != 0)
		return;
	sigaction(SIGTERM, &stop, NULL);
	if (vhost_user_server_run(server) != 0)
		return;
	vhost_user_server_destroy(server);
	device->ops->destroy(device);
	store->ops->destroy(store);
	_exit(0);
}

static const int caught[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};

static void start(struct backend *backend, const struct kept_options *options,
		  void (*serve)(int listener, const struct kept_options *options))
{
	backend->pid = fork();
	assert_true(backend->pid >= 0);
	if (backend->pid > 0)
		return;
	/* What cmocka catches ends a test, but this process is none. */
	for (size_t i = 0; i < COUNT_OF(caught); i++)
		signal(caught[i], SIG_DFL);
	serve(backend->listener, options);
	_exit(127);
}

static void end(struct backend *backend, int number)
{
	int status;

	assert_int_equal(kill(backend->pid, number), 0);
	assert_int_equal(waitpid(backend->pid, &status, 0), backend->pid);
	backend->pid = 0;
	if (number == SIGKILL)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Somebody listens all the time; the backend takes the connection when it is there. */
static void connect_guest(struct kept_guest *guest)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	kept_guest_connect(guest, fd);
}

static void work_for_a_while(struct kept_guest *guest)
{
	uint64_t target = guest->completed + vqsim_schedule_choose(&guest->schedule, REQUESTS_MAX);
	uint64_t until;

	while (guest->completed < target)
		kept_guest_step(guest, true, UINT64_MAX);
	kept_guest_step(guest, true, 0);
	until = kept_guest_now() + vqsim_schedule_choose(&guest->schedule, DELAY_MAX);
	while (kept_guest_now() < until)
		continue;
}

/* Failures of cmocka do not return: a test that fails leaves its backend to this. */
static struct backend backend;

static int kill_what_is_left(void **state)
{
	(void)state;
	if (backend.pid > 0) {
		kill(backend.pid, SIGKILL);
		waitpid(backend.pid, NULL, 0);
	}
	close(backend.listener);
	return 0;
}

static void kill_at_any_time(const struct row *row,
			     void (*serve)(int listener, const struct kept_options *options))
{
	static struct kept_guest guest;

	kept_guest_init(&guest, &row->options);
	listen_for_guests(&backend);
	for (unsigned i = 0; i < KILLS; i++) {
		start(&backend, &row->options, serve);
		connect_guest(&guest);
		work_for_a_while(&guest);
		end(&backend, SIGKILL);
		kept_guest_disconnect(&guest);
	}
	start(&backend, &row->options, serve);
	connect_guest(&guest);
	while (kept_guest_in_flight(&guest) > 0)
		kept_guest_step(&guest, false, UINT64_MAX);
	kept_guest_stop(&guest);
	end(&backend, SIGTERM);
	kept_guest_check(&guest, "image");
	kept_guest_finish(&guest);
}

static void command_may_be_killed_at_any_time(void **state)
{
	kill_at_any_time(*state, serve_by_command);
}

static void server_may_be_killed_at_any_time(void **state)
{
	kill_at_any_time(*state, serve_in_any_order);
}

int main(void)
{
	struct CMUnitTest tests[2 * COUNT_OF(rows)];
	static char names[COUNT_OF(rows)][64];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(names[i], sizeof(names[i]), "%s_in_any_order", rows[i].name);
		tests[2 * i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = command_may_be_killed_at_any_time,
			.teardown_func = kill_what_is_left,
			.initial_state = (void *)(uintptr_t)&rows[i],
		};
		tests[2 * i + 1] = tests[2 * i];
		tests[2 * i + 1].name = names[i];
		tests[2 * i + 1].test_func = server_may_be_killed_at_any_time;
	}
	return cmocka_run_group_tests_name("serve_kill_test", tests, command_setup,
					   command_teardown);
}
