/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A write that was acknowledged is in the file after SIGKILL: acknowledged by the
 * FLUSH behind it if FLUSH is negotiated, by itself otherwise (virtio 1.3, 5.2.6.2).
 *
 * A child drives the block device on a file in rounds: it writes a few seeded
 * blocks and flushes, then sends the number of the round through a pipe. The
 * parent kills it at a seeded moment and looks at the file. Every sector must be
 * as its last acknowledged round left it, or as the one round after the last
 * acknowledged one, which was under way.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/blk/blk.h"
#include "vqsim/guest_blk.h"

#define SECTOR        512u
#define BLOCK_SECTORS 8u
#define BLOCK_SIZE    (BLOCK_SECTORS * SECTOR)
#define BLOCK_COUNT   64u
#define DISK_SIZE     (BLOCK_COUNT * BLOCK_SIZE)
#define WRITES        5u /* in a round; they may hit the same block */
#define KILLS         12u

#define WRITE_BACK    VQSIM_FEATURES_SPLIT
#define WRITE_THROUGH 0

/* splitmix64: the same numbers in child and parent from the same state. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The block that a write of a round goes to. Round 0 is what the file began with. */
static uint32_t block_of(uint64_t seed, uint32_t round, unsigned number)
{
	uint64_t state = seed ^ ((uint64_t)round << 32) ^ number;

	return (uint32_t)(next(&state) % BLOCK_COUNT);
}

static bool round_writes(uint64_t seed, uint32_t round, uint32_t block)
{
	unsigned i;

	for (i = 0; i < WRITES; i++) {
		if (block_of(seed, round, i) == block)
			return true;
	}
	return false;
}

static void fill_sector(uint8_t *data, uint64_t seed, uint32_t round, uint32_t sector)
{
	uint64_t state = seed * 3 + ((uint64_t)round << 32) + sector;
	uint64_t word;
	size_t at;

	memset(data, 0, SECTOR);
	for (at = 0; round > 0 && at < SECTOR; at += sizeof(word)) {
		word = next(&state);
		memcpy(data + at, &word, sizeof(word));
	}
}

static void fill_block(uint8_t *data, uint64_t seed, uint32_t round, uint32_t block)
{
	uint32_t i;

	for (i = 0; i < BLOCK_SECTORS; i++)
		fill_sector(data + i * SECTOR, seed, round, block * BLOCK_SECTORS + i);
}

/* Below: the child. It ends by SIGKILL; an exit status says that it could not work. */

enum child_exit {
	CHILD_NO_DEVICE = 2,
	CHILD_NO_GUEST,
	CHILD_BAD_ANSWER,
	CHILD_NO_PIPE,
};

struct machine {
	struct blk_store *store;
	struct virtio_device *device;
	struct vqsim_memory memory;
	struct vqsim_guest guest;
	struct vqsim_blk blk;
	struct vqsim_blk_request writes[WRITES];
	struct vqsim_blk_request flush;
};

static void start_device(struct machine *m, const char *path)
{
	static const struct blk_options options = {.queue_size_max = 64};

	if (blk_store_file_create(&m->store, path, 0) != 0 ||
	    blk_create(&m->device, &options, m->store) != 0)
		_exit(CHILD_NO_DEVICE);
}

static void start_guest(struct machine *m, uint64_t features)
{
	static const struct vqsim_region region = {.gpa = 0x100000, .size = 1 << 20};
	const struct vqsim_guest_config config = {.features = features};
	unsigned i;

	if (vqsim_memory_init(&m->memory, &region, 1) != 0 ||
	    vqsim_guest_init(&m->guest, &m->memory, m->device, NULL) != 0 ||
	    vqsim_guest_bring_up(&m->guest, &config) != VQSIM_UP)
		_exit(CHILD_NO_GUEST);
	vqsim_blk_init(&m->blk, &m->guest, NULL);
	for (i = 0; i < WRITES; i++) {
		if (vqsim_blk_request_init(&m->blk, &m->writes[i], BLOCK_SIZE) != 0)
			_exit(CHILD_NO_GUEST);
		m->writes[i].type = VIRTIO_BLK_T_OUT;
		m->writes[i].data_size = BLOCK_SIZE;
	}
	if (vqsim_blk_request_init(&m->blk, &m->flush, 0) != 0)
		_exit(CHILD_NO_GUEST);
	m->flush.type = VIRTIO_BLK_T_FLUSH;
}

/* All of a round are in flight together; equal data makes their order irrelevant. */
static void write_round(struct machine *m, uint64_t seed, uint32_t round)
{
	uint32_t block;
	unsigned i;

	for (i = 0; i < WRITES; i++) {
		block = block_of(seed, round, i);
		m->writes[i].sector = (uint64_t)block * BLOCK_SECTORS;
		fill_block(m->writes[i].out_data, seed, round, block);
		if (vqsim_blk_submit(&m->blk, 0, &m->writes[i]) < 0)
			_exit(CHILD_BAD_ANSWER);
	}
	vqsim_guest_publish(&m->guest, 0);
	vqsim_guest_settle(&m->guest, 0);
	while (vqsim_blk_reap(&m->blk, 0) != NULL)
		;
	for (i = 0; i < WRITES; i++) {
		if (!m->writes[i].done || m->writes[i].status != VIRTIO_BLK_S_OK)
			_exit(CHILD_BAD_ANSWER);
	}
}

static void run_child(const char *path, uint64_t seed, uint64_t features, int pipe_fd)
{
	static struct machine m;
	uint32_t round;

	start_device(&m, path);
	start_guest(&m, features);
	for (round = 1;; round++) {
		write_round(&m, seed, round);
		if (features == WRITE_BACK && vqsim_blk_do(&m.blk, 0, &m.flush) != VIRTIO_BLK_S_OK)
			_exit(CHILD_BAD_ANSWER);
		if (write(pipe_fd, &round, sizeof(round)) != sizeof(round))
			_exit(CHILD_NO_PIPE);
	}
}

/* Below: the parent. */

static char path[] = "/tmp/vqsim-crash-XXXXXX";

static void make_disk(void)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	close(fd);
}

struct child {
	pid_t pid;
	int pipe_fd;
	uint32_t acknowledged; /* the last round that it told of */
};

static void start_child(struct child *child, uint64_t seed, uint64_t features)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	child->acknowledged = 0;
	child->pipe_fd = fds[0];
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		close(fds[0]);
		run_child(path, seed, features, fds[1]);
	}
	close(fds[1]);
}

/* Returns false at the end of the pipe. */
static bool read_round(struct child *child)
{
	uint32_t round;

	if (read(child->pipe_fd, &round, sizeof(round)) != sizeof(round))
		return false;
	assert_int_equal(round, child->acknowledged + 1);
	child->acknowledged = round;
	return true;
}

/* Some rounds later, and then somewhere inside a round. */
static void wait_for_the_moment(struct child *child, uint64_t *moment)
{
	uint32_t rounds = 1 + (uint32_t)(next(moment) % 40);
	const struct timespec inside = {.tv_nsec = (long)(next(moment) % 500000)};

	while (rounds > 0 && read_round(child))
		rounds--;
	nanosleep(&inside, NULL);
}

/* What it told between the last look and its end counts too. */
static void kill_child(struct child *child)
{
	int status;

	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	if (WIFEXITED(status))
		fail_msg("the child could not work: exit status %d", WEXITSTATUS(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	while (read_round(child))
		;
	close(child->pipe_fd);
}

/* The last round up to this one that wrote the block; 0: none did. */
static uint32_t last_write(uint64_t seed, uint32_t round, uint32_t block)
{
	while (round > 0 && !round_writes(seed, round, block))
		round--;
	return round;
}

static bool sector_is(const uint8_t *data, uint64_t seed, uint32_t round, uint32_t sector)
{
	uint8_t expected[SECTOR];

	fill_sector(expected, seed, round, sector);
	return memcmp(data, expected, SECTOR) == 0;
}

static void check_disk(uint64_t seed, uint32_t acknowledged)
{
	static uint8_t disk[DISK_SIZE];
	uint32_t sector, block, round;
	int fd = open(path, O_RDONLY);
	const uint8_t *data;

	assert_true(fd >= 0);
	assert_int_equal(read(fd, disk, sizeof(disk)), sizeof(disk));
	close(fd);
	for (sector = 0; sector < DISK_SIZE / SECTOR; sector++) {
		block = sector / BLOCK_SECTORS;
		round = last_write(seed, acknowledged, block);
		data = disk + sector * SECTOR;
		if (sector_is(data, seed, round, sector))
			continue;
		if (!round_writes(seed, acknowledged + 1, block) ||
		    !sector_is(data, seed, acknowledged + 1, sector))
			fail_msg("seed %u: round %u of sector %u is lost; %u were acknowledged",
				 (unsigned)seed, round, sector, acknowledged);
	}
}

static void check_kills(uint64_t features)
{
	uint64_t seed, moment = features;
	struct child child;

	for (seed = 1; seed <= KILLS; seed++) {
		make_disk();
		start_child(&child, seed, features);
		wait_for_the_moment(&child, &moment);
		kill_child(&child);
		assert_true(child.acknowledged > 0);
		check_disk(seed, child.acknowledged);
	}
}

static void flushed_writes_survive_sigkill(void **state)
{
	(void)state;
	check_kills(WRITE_BACK);
}

static void writes_without_a_cache_survive_sigkill(void **state)
{
	(void)state;
	check_kills(WRITE_THROUGH);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flushed_writes_survive_sigkill),
		cmocka_unit_test(writes_without_a_cache_survive_sigkill),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
