/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a frontend: regions that come, go and are exchanged under a ring that runs, the
 * dirty log, inflight areas; and files that shrink after they were mapped.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "support/vhost_stage.h"
#include "devices/inflight.h"

#define BIT(number) (UINT64_C(1) << (number))
#define PAGE        4096u

static int by_hand(void **state)
{
	static struct vhost_stage stage;

	vhost_stage_by_hand(&stage, NULL);
	peer_negotiate(&stage.peer, 0,
		       PEER_PROTOCOL(REPLY_ACK) | PEER_PROTOCOL(CONFIGURE_MEM_SLOTS) |
			       PEER_PROTOCOL(LOG_SHMFD) | PEER_PROTOCOL(INFLIGHT_SHMFD));
	*state = &stage;
	return 0;
}

static int finish(void **state)
{
	vhost_stage_finish(*state);
	return 0;
}

static unsigned memory_maps(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, name) != NULL;
	fclose(maps);
	return count;
}

static uint64_t add(struct vhost_peer *peer, struct vhost_user_region region, int fd)
{
	const struct vhost_user_single_region single = {.region = region};

	return peer_tell(peer, VHOST_USER_ADD_MEM_REG, &single, sizeof(single), fd);
}

static uint64_t remove_region(struct vhost_peer *peer, struct vhost_user_region region)
{
	const struct vhost_user_single_region single = {.region = region};

	return peer_tell(peer, VHOST_USER_REM_MEM_REG, &single, sizeof(single), -1);
}

static void test_memory_comes_and_goes_in_509_slots(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	unsigned before = memory_maps("/memfd:vhost-peer");

	/* Apart in both spaces, so that they stay mappings of their own. */
	for (unsigned i = 0; i < VHOST_USER_SLOTS_MAX; i++)
		assert_int_equal(
			add(peer,
			    (struct vhost_user_region){PEER_GUEST + 2 * i * PAGE, PAGE,
						       PEER_USER + 2 * i * PAGE, i % 2 * 2 * PAGE},
			    peer->memory_fd),
			0);
	assert_true(memory_maps("/memfd:vhost-peer") > before);
	assert_int_equal(add(peer, (struct vhost_user_region){0, PAGE, 0, 0}, peer->memory_fd), 1);
	for (unsigned i = 0; i < VHOST_USER_SLOTS_MAX; i++)
		assert_int_equal(
			remove_region(peer,
				      (struct vhost_user_region){PEER_GUEST + 2 * i * PAGE, PAGE,
								 PEER_USER + 2 * i * PAGE, 0}),
			0);
	assert_int_equal(memory_maps("/memfd:vhost-peer"), before);
}

/* CTRL-05: the first of three regions goes, and what is in the others is still found. */
static void test_the_others_stay_where_they_are(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	const struct vhost_user_region first = {0, PAGE, 0, 0};
	const struct vhost_user_region last = {2 * PEER_GUEST, PAGE, 2 * PEER_USER, 0};

	assert_int_equal(add(peer, first, peer->memory_fd), 0);
	assert_int_equal(add(peer, peer_region(), peer->memory_fd), 0);
	assert_int_equal(add(peer, last, peer->memory_fd), 0);
	peer_start_ring(peer, 0, 0);
	assert_int_equal(add(peer, first, peer->memory_fd), 1);
	assert_int_equal(remove_region(peer, first), 0);
	assert_int_equal(remove_region(peer, first), 1);
	peer_read_sector(peer, 0);
	assert_int_equal(remove_region(peer, last), 0);
	peer_read_sector(peer, 0);
}

static const struct overlap {
	uint64_t guest, user;
	bool refused;
} overlaps[] = {
	{PEER_GUEST, PEER_USER, true},
	{PEER_GUEST + PEER_SIZE - PAGE, PEER_USER + PEER_SIZE, true},
	{PEER_GUEST - PAGE, PEER_USER - 2 * PAGE, true},
	{PEER_GUEST + PEER_SIZE, PEER_USER + PEER_SIZE - PAGE, true},
	{PEER_GUEST - 2 * PAGE, PEER_USER - PAGE, true},
	{PEER_GUEST - 2 * PAGE, PEER_USER - 2 * PAGE, false},
	{PEER_GUEST + PEER_SIZE, PEER_USER + PEER_SIZE, false},
	{PEER_USER, PEER_GUEST, false},
};

static void test_regions_overlap_in_neither_space(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	assert_int_equal(peer_share_memory(peer), 0);
	for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
		struct vhost_user_region region = {overlaps[i].guest, 2 * PAGE, overlaps[i].user,
						   0};

		assert_int_equal(add(peer, region, peer->memory_fd), overlaps[i].refused);
		assert_int_equal(stage->session.region_count, overlaps[i].refused ? 1 : 2);
		assert_int_equal(remove_region(peer, region), overlaps[i].refused);
	}
}

/* Of a table it is all or nothing. */
static void test_a_table_with_an_overlap_changes_nothing(void **state)
{
	const struct vhost_user_memory table = {
		.count = 2,
		.regions = {{PEER_GUEST, 2 * PAGE, PEER_USER, 0},
			    {PEER_GUEST + PAGE, 2 * PAGE, 2 * PEER_USER, 0}},
	};
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	const int fds[] = {peer->memory_fd, peer->memory_fd};
	unsigned before = memory_maps("/memfd:vhost-peer");
	struct peer_reply reply;

	assert_int_equal(peer_share_memory(peer), 0);
	assert_true(peer_send(
		peer, &(struct peer_message){.request = VHOST_USER_SET_MEM_TABLE,
					     .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
					     .size = offsetof(struct vhost_user_memory, regions[2]),
					     .payload = &table,
					     .fds = fds,
					     .fd_count = 2}));
	assert_int_equal(peer_receive(peer, &reply), PEER_REPLY);
	assert_int_equal(reply.payload[0], 1);
	assert_int_equal(memory_maps("/memfd:vhost-peer"), before + 1);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
}

/* Offsets that are no multiple of a page happen: only the frontend has to know what is there. */
static void test_a_region_may_begin_anywhere_in_its_file(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	struct vhost_user_region region = peer_region();

	region.mmap_offset = 16;
	region.size -= 16;
	region.guest_address += 16;
	region.user_address += 16;
	assert_int_equal(add(peer, region, peer->memory_fd), 0);
	/* Ring 1, which is not in the bytes that are left out. */
	peer_start_ring(peer, 1, 0);
	peer_read_sector(peer, 1);
}

static void test_memory_is_exchanged_under_a_ring_that_runs(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	unsigned before = memory_maps("/memfd:vhost-peer");

	assert_int_equal(peer_share_memory(peer), 0);
	peer_start_ring(peer, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		peer_read_sector(peer, 0);
		assert_int_equal(peer_share_memory(peer), 0);
		/* The old mapping is gone already. */
		assert_int_equal(memory_maps("/memfd:vhost-peer"), before + 1);
	}
	peer_read_sector(peer, 0);
	assert_int_equal(stage->events.count[VHOST_USER_BROKEN], 0);
}

/*
 * Without a look at the queues, whose turn comes later: a frontend may reuse the memory as soon as
 * it has its acknowledgement.
 */
static void test_a_region_is_unmapped_when_its_removal_is_acknowledged(void **state)
{
	const struct vhost_user_region other = {2 * PEER_GUEST, PAGE, 2 * PEER_USER, 0};
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	struct vhost_user_message reply,
		message = {
			.header = {VHOST_USER_REM_MEM_REG,
				   VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
				   sizeof(struct vhost_user_single_region)},
			.payload.single = {.region = other},
		};

	assert_int_equal(peer_share_memory(peer), 0);
	assert_int_equal(add(peer, other, peer->memory_fd), 0);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
	assert_int_equal(memory_maps("/memfd:vhost-peer"), 3);
	assert_int_equal(vhost_user_session_take(&stage->session, &message, &reply),
			 VHOST_USER_REPLIED);
	assert_int_equal(reply.payload.u64, 0);
	assert_int_equal(memory_maps("/memfd:vhost-peer"), 2);
}

static void test_a_ring_whose_memory_is_taken_away_is_broken(void **state)
{
	const struct vhost_user_region other = {2 * PEER_GUEST, PAGE, 2 * PEER_USER, 0};
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	assert_int_equal(peer_share_memory(peer), 0);
	assert_int_equal(add(peer, other, peer->memory_fd), 0);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
	assert_int_equal(remove_region(peer, peer_region()), 0);
	peer_expose(peer, 0);
	vhost_stage_pump(stage);
	assert_false(peer_used(peer, 0));
	assert_true(virtio_transport_status(&stage->session.transport) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(memory_maps("/memfd:vhost-peer"), 2);
}

static void test_a_ring_waits_while_there_is_no_memory_at_all(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	assert_int_equal(peer_share_memory(peer), 0);
	peer_start_ring(peer, 0, 0);
	peer_read_sector(peer, 0);
	assert_int_equal(remove_region(peer, peer_region()), 0);
	assert_int_equal(memory_maps("/memfd:vhost-peer"), 1);
	peer_expose(peer, 0);
	vhost_stage_pump(stage);
	assert_false(peer_used(peer, 0));
	assert_int_equal(add(peer, peer_region(), peer->memory_fd), 0);
	vhost_stage_pump(stage);
	assert_true(peer_used(peer, 0));
}

static uint64_t set_log(struct vhost_peer *peer, int fd, uint64_t size)
{
	const struct vhost_user_log log = {size, 0};
	struct peer_reply reply;
	uint64_t value;

	assert_true(peer_send(peer, &(struct peer_message){.request = VHOST_USER_SET_LOG_BASE,
							   .size = sizeof(log),
							   .payload = &log,
							   .fds = &fd,
							   .fd_count = 1}));
	assert_int_equal(peer_receive(peer, &reply), PEER_REPLY);
	assert_int_equal(reply.header.size, sizeof(value));
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}

static void test_the_log_has_every_page_that_was_written(void **state)
{
	const uint64_t plain = BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	const uint64_t size = (PEER_GUEST + PEER_SIZE) / PAGE / 8;
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	int fd = memfd_create("vhost-log", MFD_CLOEXEC);
	uint8_t *log, *bits;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	log = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	bits = log + PEER_GUEST / PAGE / 8;
	assert_int_equal(peer_share_memory(peer), 0);
	peer_start_ring(peer, 0, 0);
	assert_int_equal(set_log(peer, fd, size), 0);
	peer_read_sector(peer, 0);
	assert_int_equal(bits[0], 0);
	/* While the ring runs. */
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_FEATURES, plain | BIT(VHOST_F_LOG_ALL)),
			 0);
	peer_read_sector(peer, 0);
	/* The used ring in page 2, the data in page 3; the status is in the same one. */
	assert_int_equal(bits[0], 0x0c);
	assert_int_equal(bits[1], 0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_FEATURES, plain), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	peer_read_sector(peer, 0);
	munmap(log, size);
	close(fd);
}

/* A log that is too small for the memory has what fits. */
static void test_a_small_log_is_not_overrun(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	int fd = memfd_create("vhost-log", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 1), 0);
	assert_int_equal(peer_share_memory(peer), 0);
	peer_start_ring(peer, 0, 0);
	assert_int_equal(set_log(peer, fd, 1), 0);
	assert_int_equal(peer_tell_u64(peer, VHOST_USER_SET_FEATURES,
				       BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_F_LOG_ALL) |
					       BIT(VHOST_USER_F_PROTOCOL_FEATURES)),
			 0);
	peer_read_sector(peer, 0);
	close(fd);
}

/* GET_INFLIGHT_FD. Peers differ in how long the message is. */
static struct vhost_user_inflight get_areas(struct vhost_peer *peer, uint32_t size, int *fd)
{
	struct vhost_user_inflight inflight = {.queue_count = 2, .queue_size = PEER_ENTRIES};
	struct peer_reply reply;

	assert_true(peer_send(peer, &(struct peer_message){.request = VHOST_USER_GET_INFLIGHT_FD,
							   .size = size,
							   .payload = &inflight}));
	assert_int_equal(peer_receive(peer, &reply), PEER_REPLY);
	assert_int_equal(reply.header.size, size);
	memcpy(&inflight, reply.payload, size);
	*fd = reply.fd;
	return inflight;
}

static void test_inflight_areas_are_made_noted_in_and_forgotten(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	struct vhost_user_inflight inflight;
	const struct inflight_split *area;
	struct stat info;
	int fd;

	inflight = get_areas(peer, sizeof(inflight), &fd);
	close(fd);
	inflight = get_areas(peer, VHOST_USER_INFLIGHT_SIZE, &fd);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &info), 0);
	assert_int_equal(inflight.mmap_size, 2 * inflight_area_size(false, PEER_ENTRIES));
	assert_int_equal(info.st_size, inflight.mmap_size);
	assert_int_equal(ftruncate(fd, 0), -1);
	area = mmap(NULL, inflight.mmap_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(area, MAP_FAILED);
	assert_int_equal(peer_tell(peer, VHOST_USER_SET_INFLIGHT_FD, &inflight,
				   VHOST_USER_INFLIGHT_SIZE, fd),
			 0);
	assert_int_equal(peer_share_memory(peer), 0);
	peer_start_ring(peer, 0, 0);
	/* The first progress with an area notifies in any case. */
	vhost_stage_pump(stage);
	peer_calls(peer, 0);
	peer_read_sector(peer, 0);
	assert_int_equal(area->version, INFLIGHT_VERSION);
	assert_int_equal(area->used_idx, 1);
	/* The frontend knows now where the ring stands. */
	assert_int_equal(peer_stop(peer, 0), 1);
	assert_int_equal(area->version, 0);
	munmap((void *)(uintptr_t)area, inflight.mmap_size);
	close(fd);
}

static void test_an_inflight_area_that_is_too_small_stops_the_ring(void **state)
{
	const struct vhost_user_inflight inflight = {
		.mmap_size = inflight_area_size(false, PEER_ENTRIES) - 8,
		.queue_count = 1,
		.queue_size = PEER_ENTRIES,
	};
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;

	assert_int_equal(peer_tell(peer, VHOST_USER_SET_INFLIGHT_FD, &inflight,
				   VHOST_USER_INFLIGHT_SIZE, peer->memory_fd),
			 0);
	assert_int_equal(peer_share_memory(peer), 0);
	/* Ring 1 has no area, so it can have no wrong one. */
	peer_start_ring(peer, 1, 0);
	peer_read_sector(peer, 1);
	peer_tell_state(peer, VHOST_USER_SET_VRING_NUM, 0, PEER_ENTRIES);
	peer_tell(peer, VHOST_USER_SET_VRING_ADDR,
		  &(struct vhost_user_vring_addr){0, 0, PEER_USER, PEER_USER + 0x2000,
						  PEER_USER + 0x1000, 0},
		  sizeof(struct vhost_user_vring_addr), -1);
	peer_tell_state(peer, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(peer_tell_fd(peer, VHOST_USER_SET_VRING_KICK, 0, peer->kick[0]), 1);
}

/* What of the file is left: the ring's parts and the buffers lie in pages of their own. */
static const off_t cuts[] = {0, 0x1000, 0x2000, 0x3000};

static void test_a_file_that_shrinks_ends_the_session_and_nothing_else(void **state)
{
	struct vhost_stage *stage = *state;
	struct vhost_peer *peer = &stage->peer;
	struct peer_reply reply;

	(void)stage;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		if (i > 0) {
			finish(state);
			by_hand(state);
		}
		assert_int_equal(peer_share_memory(peer), 0);
		peer_start_ring(peer, 0, 0);
		peer_read_sector(peer, 0);
		if (cuts[i] > 0x1000)
			peer_expose(peer, 0);
		assert_int_equal(ftruncate(peer->memory_fd, cuts[i]), 0);
		vhost_stage_pump(stage);
		/* Data that only the kernel touches fails its request; nothing else is lost with it. */
		if (cuts[i] == 0x3000 && !stage->session.memory_lost)
			continue;
		assert_true(stage->session.memory_lost);
		assert_true(stage->news > 0);
		peer_send(peer, &(struct peer_message){.request = VHOST_USER_GET_FEATURES});
		assert_int_equal(peer_receive(peer, &reply), PEER_CLOSED);
		assert_false(stage->session.memory_lost);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory_comes_and_goes_in_509_slots, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_the_others_stay_where_they_are, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_regions_overlap_in_neither_space, by_hand,
						finish),
		cmocka_unit_test_setup_teardown(test_a_table_with_an_overlap_changes_nothing,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_a_region_may_begin_anywhere_in_its_file,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_memory_is_exchanged_under_a_ring_that_runs,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(
			test_a_region_is_unmapped_when_its_removal_is_acknowledged, by_hand,
			finish),
		cmocka_unit_test_setup_teardown(test_a_ring_whose_memory_is_taken_away_is_broken,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_a_ring_waits_while_there_is_no_memory_at_all,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_the_log_has_every_page_that_was_written,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(test_a_small_log_is_not_overrun, by_hand, finish),
		cmocka_unit_test_setup_teardown(test_inflight_areas_are_made_noted_in_and_forgotten,
						by_hand, finish),
		cmocka_unit_test_setup_teardown(
			test_an_inflight_area_that_is_too_small_stops_the_ring, by_hand, finish),
		cmocka_unit_test_setup_teardown(
			test_a_file_that_shrinks_ends_the_session_and_nothing_else, by_hand,
			finish),
	};

	return cmocka_run_group_tests_name("vhost_user_memory", tests, NULL, NULL);
}
