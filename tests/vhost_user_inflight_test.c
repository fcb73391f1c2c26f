/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inflight areas of a session: that they reach the queues, and when they count. What stands in
 * them is tested in inflight_*_test.c, and the death of a server in serve_kill_test.c.
 */
#define _GNU_SOURCE /* F_GET_SEALS */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "devices/inflight.h"
#include "support/vhost_stage.h"

#define WANTED \
	(PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(INFLIGHT_SHMFD) | PEER_PROTOCOL(RESET_DEVICE))

struct areas {
	struct vhost_stage stage;
	struct vhost_user_inflight inflight;
	int fd;
	struct inflight_split *area; /* of ring 0 */
};

static int by_hand(void **state)
{
	static struct areas a;

	memset(&a, 0, sizeof(a));
	vhost_stage_by_hand(&a.stage, NULL);
	*state = &a;
	return 0;
}

static int finish(void **state)
{
	struct areas *a = *state;

	if (a->area)
		munmap(a->area, a->inflight.mmap_size);
	if (a->area)
		close(a->fd);
	vhost_stage_finish(&a->stage);
	return 0;
}

static struct inflight_split_entry *entry_of(struct areas *a, uint16_t head)
{
	return (struct inflight_split_entry *)(a->area + 1) + head;
}

/* A frontend that has areas for its rings, but has not given them back. */
static void get_areas(struct areas *a)
{
	struct vhost_peer *peer = &a->stage.peer;
	struct peer_reply reply;

	peer_negotiate(peer, 0, WANTED);
	assert_int_equal(peer_share_memory(peer), 0);
	a->inflight = (struct vhost_user_inflight){.queue_count = PEER_QUEUES,
						   .queue_size = PEER_ENTRIES};
	assert_true(peer_send(peer, &(struct peer_message){.request = VHOST_USER_GET_INFLIGHT_FD,
							   .size = VHOST_USER_INFLIGHT_SIZE,
							   .payload = &a->inflight}));
	assert_int_equal(peer_receive(peer, &reply), PEER_REPLY);
	assert_int_equal(reply.header.size, VHOST_USER_INFLIGHT_SIZE);
	assert_true(reply.fd >= 0);
	memcpy(&a->inflight, reply.payload, VHOST_USER_INFLIGHT_SIZE);
	a->fd = reply.fd;
	a->area = mmap(NULL, a->inflight.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	assert_ptr_not_equal(a->area, MAP_FAILED);
}

static void set_areas(struct areas *a)
{
	assert_int_equal(peer_tell(&a->stage.peer, VHOST_USER_SET_INFLIGHT_FD, &a->inflight,
				   VHOST_USER_INFLIGHT_SIZE, a->fd),
			 0);
}

/* As if an earlier backend had taken the request at head 0 and died. */
static void note_a_request(struct areas *a)
{
	a->area->version = 1;
	a->area->desc_num = PEER_ENTRIES;
	entry_of(a, 0)->inflight = 1;
}

static void test_new_areas_are_fresh_and_keep_their_size(void **state)
{
	struct areas *a = *state;

	get_areas(a);
	assert_int_equal(a->inflight.mmap_offset, 0);
	assert_int_equal(a->inflight.queue_count, PEER_QUEUES);
	assert_int_equal(a->inflight.queue_size, PEER_ENTRIES);
	assert_true(a->inflight.mmap_size >= PEER_QUEUES * inflight_area_size(false, PEER_ENTRIES));
	assert_int_equal(a->area->version, 0);
	assert_int_not_equal(fcntl(a->fd, F_GET_SEALS) & F_SEAL_SHRINK, 0);
}

static void test_a_ring_begins_its_area_and_settles_it_when_it_stops(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;

	get_areas(a);
	set_areas(a);
	peer_start_ring(peer, 0, 0);
	assert_int_equal(a->area->version, 1);
	assert_int_equal(a->area->desc_num, PEER_ENTRIES);
	for (unsigned i = 0; i < 3; i++)
		peer_read_sector(peer, 0);
	assert_int_equal(a->area->used_idx, 3);
	assert_int_equal(entry_of(a, 0)->inflight, 0);
	/* From here on the base counts: a driver may have begun anew meanwhile. */
	assert_int_equal(peer_stop(peer, 0), 3);
	assert_int_equal(a->area->version, 0);
	peer_start_ring(peer, 0, 3);
	peer_read_sector(peer, 0);
}

static void test_what_an_earlier_backend_took_is_used_once(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;

	get_areas(a);
	peer_expose(peer, 0);
	note_a_request(a);
	set_areas(a);
	/* A base that is wrong, as it may be of a frontend that has lost its backend. */
	peer_start_ring(peer, 0, 7);
	vhost_stage_pump(&a->stage);
	assert_true(peer_used(peer, 0));
	assert_int_equal(peer_calls(peer, 0), 1);
	assert_int_equal(entry_of(a, 0)->inflight, 0);
	peer_read_sector(peer, 0);
	assert_int_equal(peer_stop(peer, 0), 2);
}

/* LIFE-26: stopped before it was taken again, and not lost. */
static void test_a_stop_that_comes_first_leaves_the_area(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;
	const struct vhost_user_vring_state enable = {0, 1}, disable = {0, 0};

	get_areas(a);
	set_areas(a);
	peer_start_ring(peer, 0, 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	peer_expose(peer, 0);
	note_a_request(a);
	/* Two messages at once: the queue has not run when the second one is taken. */
	assert_true(peer_send(peer, &(struct peer_message){VHOST_USER_SET_VRING_ENABLE, 0,
							   sizeof(enable), &enable, 0, NULL}));
	peer_stop(peer, 0);
	assert_int_equal(a->area->version, 1);
	assert_int_equal(entry_of(a, 0)->inflight, 1);
	assert_false(peer_used(peer, 0));
	assert_int_equal(
		peer_tell(peer, VHOST_USER_SET_VRING_ENABLE, &disable, sizeof(disable), -1), 0);
	peer_start_ring(peer, 0, 0);
	vhost_stage_pump(&a->stage);
	assert_true(peer_used(peer, 0));
	/* A new queue notifies in any case. */
	assert_true(peer_calls(peer, 0) > 0);
	peer_read_sector(peer, 0);
}

/* LIFE-26: a guest that boots again wants nothing of what it asked for before. */
static void test_a_reset_forgets_the_areas(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;

	get_areas(a);
	peer_expose(peer, 0);
	note_a_request(a);
	set_areas(a);
	assert_int_equal(peer_tell(peer, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(a->area->version, 0);
}

/* All of them, not only that of ring 0. */
static void test_a_reset_forgets_the_area_of_every_ring(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;
	struct inflight_split *second;

	get_areas(a);
	set_areas(a);
	second = (struct inflight_split *)(void *)((uint8_t *)a->area +
						   inflight_area_size(false, PEER_ENTRIES));
	peer_start_ring(peer, 1, 0);
	peer_read_sector(peer, 1);
	assert_int_equal(second->version, 1);
	assert_int_equal(peer_tell(peer, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(second->version, 0);
}

/* A file with room for areas of packed rings, in which are those of split ones. */
static void make_room(struct areas *a)
{
	munmap(a->area, a->inflight.mmap_size);
	close(a->fd);
	a->inflight.mmap_size = PEER_QUEUES * inflight_area_size(true, PEER_ENTRIES);
	a->fd = memfd_create("areas", MFD_CLOEXEC);
	assert_int_equal(ftruncate(a->fd, (off_t)a->inflight.mmap_size), 0);
	a->area = mmap(NULL, a->inflight.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	assert_ptr_not_equal(a->area, MAP_FAILED);
}

/* Where they are is known from the driver before, whose features are forgotten. */
static void test_areas_are_where_they_were_after_a_reset(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;
	uint8_t *elsewhere, mark[sizeof(struct inflight_split)];

	get_areas(a);
	make_room(a);
	set_areas(a);
	elsewhere = (uint8_t *)a->area + inflight_area_size(true, PEER_ENTRIES);
	memset(mark, 0xff, sizeof(mark));
	memcpy(elsewhere, mark, sizeof(mark));
	assert_int_equal(peer_tell(peer, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(peer_tell(peer, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(peer_stop(peer, 1), 0);
	assert_memory_equal(elsewhere, mark, sizeof(mark));
}

/* The frontend is gone, and comes back to another backend with what this one left. */
static void test_a_frontend_that_hangs_up_leaves_the_areas(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;

	get_areas(a);
	set_areas(a);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
	peer_expose(peer, 0);
	peer_finish(peer);
	vhost_stage_pump(&a->stage);
	assert_int_equal(a->stage.socket, -1);
	assert_int_equal(a->area->version, 1);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Its memory was cut while it asked: it is hung up on, and the new file goes with that. */
static void test_areas_that_nobody_is_given_leave_no_descriptor(void **state)
{
	struct areas *a = *state;
	struct vhost_user_message reply,
		message = {
			.header = {VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_VERSION,
				   VHOST_USER_INFLIGHT_SIZE},
			.payload.inflight = {.queue_count = PEER_QUEUES,
					     .queue_size = PEER_ENTRIES},
		};
	unsigned before;

	peer_negotiate(&a->stage.peer, 0, WANTED);
	before = open_descriptors();
	a->stage.session.memory_lost = true;
	assert_int_equal(vhost_user_session_take(&a->stage.session, &message, &reply),
			 VHOST_USER_HANG_UP);
	assert_int_equal(open_descriptors(), before);
}

/* CTRL-04: areas, and descriptors with messages that want none, again and again. */
static void test_what_is_asked_for_often_leaves_no_descriptor(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;
	const struct vhost_user_vring_state size = {0, PEER_ENTRIES};
	struct peer_reply reply;
	unsigned before;

	get_areas(a);
	before = open_descriptors();
	for (unsigned i = 0; i < 1000; i++) {
		peer_send(peer, &(struct peer_message){.request = VHOST_USER_GET_INFLIGHT_FD,
						       .size = VHOST_USER_INFLIGHT_SIZE,
						       .payload = &a->inflight});
		assert_int_equal(peer_receive(peer, &reply), PEER_REPLY);
		close(reply.fd);
		peer_tell(peer, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), peer->memory_fd);
	}
	assert_int_equal(open_descriptors(), before);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
}

static void test_an_area_that_cannot_be_starts_no_ring(void **state)
{
	struct areas *a = *state;
	struct vhost_peer *peer = &a->stage.peer;

	get_areas(a);
	set_areas(a);
	peer_start_ring(peer, 0, 0);
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	a->area->version = 9;
	assert_int_not_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	a->area->version = 0;
	assert_int_equal(peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	peer_read_sector(peer, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(test_##f, by_hand, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_areas_are_fresh_and_keep_their_size),
		TEST(a_ring_begins_its_area_and_settles_it_when_it_stops),
		TEST(what_an_earlier_backend_took_is_used_once),
		TEST(a_stop_that_comes_first_leaves_the_area),
		TEST(a_reset_forgets_the_areas),
		TEST(a_reset_forgets_the_area_of_every_ring),
		TEST(areas_are_where_they_were_after_a_reset),
		TEST(a_frontend_that_hangs_up_leaves_the_areas),
		TEST(areas_that_nobody_is_given_leave_no_descriptor),
		TEST(what_is_asked_for_often_leaves_no_descriptor),
		TEST(an_area_that_cannot_be_starts_no_ring),
	};

	return cmocka_run_group_tests_name("vhost_user_inflight_test", tests, NULL, NULL);
}
