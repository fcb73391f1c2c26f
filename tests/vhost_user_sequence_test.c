/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that are each as they should be, in an order or with a surrounding that is not: out of
 * turn, rings that break, files that shrink, a frontend that does not read or goes in the middle.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "support/vhost_hostile.h"

#define PAGE 4096u

/* Sets the ring up, but for where its parts are. */
static void place_ring(struct vhost_peer *peer, uint64_t desc, uint64_t used, uint64_t avail)
{
	const struct vhost_user_vring_addr address = {
		.descriptor = desc, .used = used, .available = avail};

	peer->may_close = true;
	peer_tell_state(peer, VHOST_USER_SET_VRING_NUM, 0, PEER_ENTRIES);
	peer_tell(peer, VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1);
	peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	/* Here it would start. */
	peer_tell_fd(peer, VHOST_USER_SET_VRING_KICK, 0, peer->kick[0]);
}

static const struct place {
	const char *name;
	uint64_t desc, used, avail; /* from PEER_USER on */
} places[] = {
	{"descriptors before the memory", -UINT64_C(4096), 0x2000, 0x1000},
	{"descriptors behind the memory", PEER_SIZE, 0x2000, 0x1000},
	{"descriptors that reach over the end", PEER_SIZE - 128, 0x2000, 0x1000},
	{"descriptors not aligned", 8, 0x2000, 0x1000},
	{"descriptors at 0", -PEER_USER, 0x2000, 0x1000},
	{"used ring behind the memory", 0, PEER_SIZE, 0x1000},
	{"used ring that reaches over the end", 0, PEER_SIZE - 4, 0x1000},
	{"used ring not aligned", 0, 0x2002, 0x1000},
	{"used ring at 2^64 - 1", 0, -PEER_USER - 1, 0x1000},
	{"available ring behind the memory", 0, 0x2000, PEER_SIZE},
	{"available ring that reaches over the end", 0, 0x2000, PEER_SIZE - 2},
	{"available ring not aligned", 0, 0x2000, 0x1001},
	{"available ring at 2^64 - 4", 0, 0x2000, -PEER_USER - 4},
	{"guest addresses in place of the frontend's", PEER_GUEST - PEER_USER,
	 PEER_GUEST - PEER_USER + 0x2000, PEER_GUEST - PEER_USER + 0x1000},
	{"all in one place", 0, 0, 0},
	{"available and used ring in one place", 0, 0x1000, 0x1000},
};

static struct hostile hostile;

static void test_place(void **state)
{
	const struct place *place = *state;
	struct hostile *h = &hostile;

	hostile_negotiate(h, true);
	peer_share_memory(&h->peer);
	place_ring(&h->peer, PEER_USER + place->desc, PEER_USER + place->used,
		   PEER_USER + place->avail);
	peer_expose(&h->peer, 0);
	hostile_answers(h);
	hostile_leave(h);
}

/* What stands in the ring when it is kicked. */
static void bad_index(struct vhost_peer *peer)
{
	peer->memory[0x1003] = 0x80;
}

static void bad_head(struct vhost_peer *peer)
{
	peer->memory[0x1002] = 1;
	peer->memory[0x1005] = 1;
}

static void same_head_twice(struct vhost_peer *peer)
{
	peer_expose(peer, 0);
	peer->memory[0x1002] = 3;
}

static void chain_that_loops(struct vhost_peer *peer)
{
	struct vring_desc *desc = (void *)peer->memory;

	peer_expose(peer, 0);
	desc[1].flags = htole16(VRING_DESC_F_NEXT);
	desc[1].next = 0;
}

static void buffer_in_no_region(struct vhost_peer *peer)
{
	struct vring_desc *desc = (void *)peer->memory;

	peer_expose(peer, 0);
	desc[1].addr = htole64(PEER_GUEST + PEER_SIZE - 1);
}

static void buffer_that_wraps(struct vhost_peer *peer)
{
	struct vring_desc *desc = (void *)peer->memory;

	peer_expose(peer, 0);
	desc[1].addr = htole64(UINT64_MAX - 5);
}

static void frontend_address_in_the_ring(struct vhost_peer *peer)
{
	struct vring_desc *desc = (void *)peer->memory;

	peer_expose(peer, 0);
	desc[0].addr = htole64(PEER_USER);
}

static void random_bytes(struct vhost_peer *peer)
{
	uint32_t seed = 1;

	for (unsigned i = 0; i < 0x4000; i++) {
		seed = seed * 1664525 + 1013904223;
		peer->memory[i] = (uint8_t)(seed >> 24);
	}
}

static void memory_without_a_byte(struct vhost_peer *peer)
{
	assert_int_equal(ftruncate(peer->memory_fd, 0), 0);
}

static void memory_with_descriptors_alone(struct vhost_peer *peer)
{
	assert_int_equal(ftruncate(peer->memory_fd, PAGE), 0);
}

static void memory_without_used_ring(struct vhost_peer *peer)
{
	peer_expose(peer, 0);
	assert_int_equal(ftruncate(peer->memory_fd, 2 * PAGE), 0);
}

static void memory_without_buffers(struct vhost_peer *peer)
{
	peer_expose(peer, 0);
	assert_int_equal(ftruncate(peer->memory_fd, 3 * PAGE), 0);
}

static const struct content {
	const char *name;
	void (*write)(struct vhost_peer *peer);
} contents[] = {
	{"available index that jumps", bad_index},
	{"head out of range", bad_head},
	{"one head three times", same_head_twice},
	{"chain that loops", chain_that_loops},
	{"buffer that reaches over the end", buffer_in_no_region},
	{"buffer that wraps", buffer_that_wraps},
	{"address of the frontend in a descriptor", frontend_address_in_the_ring},
	{"random bytes", random_bytes},
	{"file cut to nothing", memory_without_a_byte},
	{"file cut behind the descriptors", memory_with_descriptors_alone},
	{"file cut behind the available ring", memory_without_used_ring},
	{"file cut before the buffers", memory_without_buffers},
};

static void kick(struct vhost_peer *peer)
{
	const uint64_t one = 1;

	assert_int_equal(write(peer->kick[0], &one, sizeof(one)), sizeof(one));
}

/* Before the ring starts, and while it runs. */
static void test_content(void **state)
{
	const struct content *content = *state;
	struct hostile *h = &hostile;

	for (int running = 0; running < 2; running++) {
		hostile_negotiate(h, true);
		peer_share_memory(&h->peer);
		if (running)
			peer_start_ring(&h->peer, 0, 0);
		content->write(&h->peer);
		if (!running)
			place_ring(&h->peer, PEER_USER, PEER_USER + 0x2000, PEER_USER + 0x1000);
		kick(&h->peer);
		hostile_answers(h);
		hostile_leave(h);
	}
}

/* Sequences. Each begins with a frontend that is connected and has negotiated nothing. */

static void everything_backwards(struct hostile *h)
{
	struct vhost_peer *peer = &h->peer;

	peer->may_close = true;
	for (uint32_t ring = 0; ring < PEER_QUEUES; ring++) {
		peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, ring, 1);
		peer_tell_fd(peer, VHOST_USER_SET_VRING_KICK, ring, peer->kick[ring]);
		peer_tell(peer, VHOST_USER_SET_VRING_ADDR,
			  &(struct vhost_user_vring_addr){ring, 0, PEER_USER, PEER_USER + 0x2000,
							  PEER_USER + 0x1000, 0},
			  sizeof(struct vhost_user_vring_addr), -1);
		peer_tell_state(peer, VHOST_USER_SET_VRING_BASE, ring, 0xffffffff);
		peer_tell_state(peer, VHOST_USER_SET_VRING_NUM, ring, PEER_ENTRIES);
		peer_tell_fd(peer, VHOST_USER_SET_VRING_CALL, ring, peer->call[ring]);
	}
	peer_share_memory(peer);
	peer_tell_u64(peer, VHOST_USER_SET_FEATURES, UINT64_C(1) << VIRTIO_F_VERSION_1);
}

static void the_same_ring_memory_for_all(struct hostile *h)
{
	peer_set_up(&h->peer);
	peer_tell_state(&h->peer, VHOST_USER_SET_VRING_NUM, 1, PEER_ENTRIES);
	peer_tell(&h->peer, VHOST_USER_SET_VRING_ADDR,
		  &(struct vhost_user_vring_addr){1, 0, PEER_USER, PEER_USER + 0x2000,
						  PEER_USER + 0x1000, 0},
		  sizeof(struct vhost_user_vring_addr), -1);
	peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_KICK, 1, h->peer.kick[0]);
	peer_tell_state(&h->peer, VHOST_USER_SET_VRING_ENABLE, 1, 1);
	for (unsigned i = 0; i < 50; i++)
		peer_expose(&h->peer, 0);
}

static void questions_whose_answers_nobody_reads(struct hostile *h)
{
	const struct peer_message question = {.request = VHOST_USER_GET_FEATURES};

	for (unsigned i = 0; i < 100000 && peer_send(&h->peer, &question); i++)
		;
}

/* One that would block, had it not been told otherwise. */
static void a_call_descriptor_that_is_full(struct hostile *h)
{
	const uint64_t most = UINT64_MAX - 1;
	int full = eventfd(0, EFD_CLOEXEC);

	peer_set_up(&h->peer);
	assert_int_equal(write(full, &most, sizeof(most)), sizeof(most));
	peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_CALL, 0, full);
	close(full);
	peer_expose(&h->peer, 0);
	while (!peer_used(&h->peer, 0))
		;
}

static void a_call_pipe_without_a_reader(struct hostile *h)
{
	int ends[2];

	peer_set_up(&h->peer);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_CALL, 0, ends[1]);
	close(ends[1]);
	peer_expose(&h->peer, 0);
	while (!peer_used(&h->peer, 0))
		;
}

static void a_kick_pipe_without_a_writer(struct hostile *h)
{
	int ends[2];

	peer_set_up(&h->peer);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_KICK, 0, ends[0]);
	close(ends[0]);
}

static void kicks_and_messages_at_once(struct hostile *h)
{
	peer_set_up(&h->peer);
	for (unsigned i = 0; i < 200; i++) {
		kick(&h->peer);
		peer_tell_state(&h->peer, VHOST_USER_SET_VRING_ENABLE, 0, i % 2);
		kick(&h->peer);
		if (i % 8 == 0)
			peer_share_memory(&h->peer);
	}
}

static void gone_with_requests_in_the_ring(struct hostile *h)
{
	peer_set_up(&h->peer);
	for (unsigned i = 0; i < 100; i++)
		peer_expose(&h->peer, 0);
	shutdown(h->peer.socket, SHUT_RDWR);
}

static void half_closed(struct hostile *h)
{
	peer_set_up(&h->peer);
	shutdown(h->peer.socket, SHUT_WR);
}

static void many_descriptors_of_one_ring(struct hostile *h)
{
	peer_set_up(&h->peer);
	for (unsigned i = 0; i < 300; i++) {
		peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_CALL, 0, h->peer.call[0]);
		peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_ERR, 0, h->peer.call[1]);
		peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_KICK, 0, h->peer.kick[0]);
	}
}

static void inflight_areas_of_random_bytes(struct hostile *h)
{
	const struct vhost_user_inflight areas = {
		.mmap_size = 0x8000, .mmap_offset = 0x40000, .queue_count = 2, .queue_size = 16};
	uint32_t seed = 7;

	hostile_leave(h);
	for (unsigned round = 0; round < 20; round++) {
		hostile_negotiate(h, true);
		peer_share_memory(&h->peer);
		for (unsigned i = 0; i < 0x8000; i++) {
			seed = seed * 1664525 + 1013904223;
			h->peer.memory[0x40000 + i] = (uint8_t)(seed >> 24);
		}
		/* A version that is known, so that the rest is looked at. */
		h->peer.memory[0x40000 + 8] = 1;
		h->peer.memory[0x40000 + 9] = 0;
		h->peer.memory[0x40000 + 10] = 16;
		h->peer.memory[0x40000 + 11] = 0;
		peer_tell(&h->peer, VHOST_USER_SET_INFLIGHT_FD, &areas, VHOST_USER_INFLIGHT_SIZE,
			  h->peer.memory_fd);
		place_ring(&h->peer, PEER_USER, PEER_USER + 0x2000, PEER_USER + 0x1000);
		peer_expose(&h->peer, 0);
		hostile_answers(h);
		hostile_leave(h);
	}
	hostile_connect(h);
}

/* The first is cut off its message by the kernel; the second frontend has to wait. */
static void no_descriptor_left_for_the_server(struct hostile *h)
{
	unsigned refused = vhost_stage_count(&h->stage, VHOST_USER_REFUSED);
	struct rlimit normal, full;
	struct vhost_peer second;

	peer_set_up(&h->peer);
	vhost_stage_connect(&h->stage, &second);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &normal), 0);
	full = normal;
	full.rlim_cur = (rlim_t)dup(0);
	close((int)full.rlim_cur);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
	h->peer.may_close = true;
	peer_tell_fd(&h->peer, VHOST_USER_SET_VRING_CALL, 0, h->peer.call[0]);
	/* Its socket's number was free for the second; now one of ours takes that. */
	vhost_stage_wait(&h->stage, VHOST_USER_DISCONNECTED, ++h->frontends);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &normal), 0);
	assert_true(vhost_stage_count(&h->stage, VHOST_USER_REFUSED) > refused);
	peer_finish(&h->peer);
	h->peer = second;
}

static const struct play {
	const char *name;
	void (*play)(struct hostile *h);
} plays[] = {
	{"everything backwards", everything_backwards},
	{"two rings in one place", the_same_ring_memory_for_all},
	{"questions whose answers nobody reads", questions_whose_answers_nobody_reads},
	{"a call descriptor that is full", a_call_descriptor_that_is_full},
	{"a call pipe without a reader", a_call_pipe_without_a_reader},
	{"a kick pipe without a writer", a_kick_pipe_without_a_writer},
	{"kicks and messages at once", kicks_and_messages_at_once},
	{"gone with requests in the ring", gone_with_requests_in_the_ring},
	{"half closed", half_closed},
	{"many descriptors of one ring", many_descriptors_of_one_ring},
	{"inflight areas of random bytes", inflight_areas_of_random_bytes},
	{"no descriptor left for the server", no_descriptor_left_for_the_server},
};

static void test_play(void **state)
{
	const struct play *play = *state;

	hostile_connect(&hostile);
	play->play(&hostile);
	hostile_answers(&hostile);
	hostile_leave(&hostile);
}

static int begin(void **state)
{
	(void)state;
	hostile_begin(&hostile);
	return 0;
}

static int end(void **state)
{
	(void)state;
	hostile_end(&hostile);
	return 0;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(places) + COUNT_OF(contents) + COUNT_OF(plays)];
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(places); i++)
		tests[count++] = (struct CMUnitTest){places[i].name, test_place, NULL, NULL,
						     (void *)(uintptr_t)&places[i]};
	for (size_t i = 0; i < COUNT_OF(contents); i++)
		tests[count++] = (struct CMUnitTest){contents[i].name, test_content, NULL, NULL,
						     (void *)(uintptr_t)&contents[i]};
	for (size_t i = 0; i < COUNT_OF(plays); i++)
		tests[count++] = (struct CMUnitTest){plays[i].name, test_play, NULL, NULL,
						     (void *)(uintptr_t)&plays[i]};
	return _cmocka_run_group_tests("vhost_user_sequence", tests, count, begin, end);
}
