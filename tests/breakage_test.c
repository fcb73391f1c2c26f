/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every breakage of vqsim/breakage.h, on null and blk devices, both directions, with and
 * without EVENT_IDX, on a fresh ring and on one that was used: the device gives one of the answers
 * that it may give, the referee has nothing to say, and a good request works before and after
 * a reset. What needs another layout to break it is in the tests of chains and tables.
 *
 * Bugs that rows stand for. Links: CHAIN-04, CHAIN-05, CHAIN-07, CHAIN-20, CHAIN-22, CHAIN-23,
 * CHAIN-25, CHAIN-26; directions: CHAIN-29; tables: CHAIN-10, CHAIN-14, CHAIN-16, CHAIN-19, LEN-01,
 * MEM-10; the available ring: RING-02; ids: RING-08, RING-10. Clauses of the driver that they
 * break: SPLIT-G-09, SPLIT-G-12.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/bench.h"
#include "vqsim/breakage.h"

#define SECTOR    8u
#define DATA_SIZE 512u

struct way {
	const char *words;
	enum bench_device device;
	bool out;
	bool event_idx;
	bool warm; /* the ring has served requests */
};

static const struct way ways[] = {
	{"null in", BENCH_NULL, false, false, false},
	{"null in, warm, EVENT_IDX", BENCH_NULL, false, true, true},
	{"null out, EVENT_IDX", BENCH_NULL, true, true, false},
	{"blk in, EVENT_IDX", BENCH_BLK, false, true, false},
	{"blk in, warm", BENCH_BLK, false, false, true},
	{"blk out", BENCH_BLK, true, false, false},
	{"blk out, warm, EVENT_IDX", BENCH_BLK, true, true, true},
};

struct fixture {
	const struct vqsim_breakage *breakage;
	const struct way *way;
	bool packed;
	char name[128];

	struct bench *bench;
	struct vqsim_element elements[3];
	struct vqsim_break_ground ground;
	bool compared; /* memory with what it was before the device saw the breakage */
};

static void place(struct fixture *f)
{
	struct vqsim_memory *memory = &f->bench->memory;
	struct virtio_blk_outhdr header = {
		.type = htole32(f->way->out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
		.sector = htole64(SECTOR),
	};

	f->elements[0] = (struct vqsim_element){vqsim_memory_alloc(memory, 16, 16), 16, false};
	f->elements[1] = (struct vqsim_element){vqsim_memory_alloc(memory, DATA_SIZE, 16),
						DATA_SIZE, !f->way->out};
	f->elements[2] = (struct vqsim_element){vqsim_memory_alloc(memory, 1, 1), 1, true};
	f->ground.table_gpa = vqsim_memory_alloc(memory, 16 * 3, 16);
	bench_write(f->bench, f->elements[0].gpa, &header, sizeof(header));
	bench_fill(f->bench, f->elements[1].gpa, 0xaa, DATA_SIZE);
}

/* What a broken write did to the disk is not known to the model. */
static void tell_model(struct fixture *f)
{
	uint8_t *data;

	if (!f->bench->store)
		return;
	data = malloc(BENCH_DISK_SECTORS * 512u);
	assert_non_null(data);
	bench_disk_read(f->bench, 0, data, BENCH_DISK_SECTORS * 512u);
	vqsim_disk_know(&f->bench->disk, 0, data, BENCH_DISK_SECTORS * 512u);
	free(data);
}

/* What driver and device may write; nothing else may change. */
static void watch(struct fixture *f)
{
	const struct virtio_queue_setup *setup = &f->bench->guest.queues[0].setup;

	bench_snapshot(f->bench);
	for (size_t i = 0; i < COUNT_OF(f->elements); i++)
		bench_allow(f->bench, f->elements[i].gpa, f->elements[i].len);
	bench_allow(f->bench, f->ground.table_gpa, 16 * COUNT_OF(f->elements));
	bench_allow(f->bench, setup->desc_gpa, 16u * setup->size);
	bench_allow(f->bench, setup->driver_gpa, 6 + 2u * setup->size);
	bench_allow_rings(f->bench);
	f->compared = false;
}

static void compare_once(struct fixture *f)
{
	if (!f->compared)
		bench_compare(f->bench);
	f->compared = true;
}

static bool good(void *opaque)
{
	struct fixture *f = opaque;

	compare_once(f);
	tell_model(f);
	bench_good_request(f->bench);
	return true;
}

static void up(void *opaque)
{
	struct fixture *f = opaque;

	compare_once(f);
	bench_start_driver(f->bench);
}

static void check(void **state)
{
	struct fixture *f = *state;
	struct vqsim_break_result result;

	if (f->way->warm)
		bench_good_request(f->bench);
	watch(f);
	result = vqsim_breakage_run(f->breakage, &f->ground);
	bench_check(f->bench);
	if (!(result.answer & f->breakage->answers))
		fail_msg("answer %d, allowed %u", result.answer, f->breakage->answers);
	assert_true(result.good_before);
	assert_true(result.good_after);
}

static int setup(void **state)
{
	struct fixture *f = *state;
	const struct bench_options options = {
		.device = f->way->device,
		.packed = f->packed,
		.down = true,
		.without = f->way->event_idx ? 0 : VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX),
	};

	f->bench = bench_create(&options);
	place(f);
	bench_up(f->bench);
	f->ground.guest = &f->bench->guest;
	f->ground.config = f->bench->config;
	/* A good request of the null device takes three descriptors, of blk two times three. */
	f->ground.first = !f->way->warm ? 0 : f->way->device == BENCH_NULL ? 3 : 6;
	f->ground.elements = f->elements;
	f->ground.count = 3;
	f->ground.hole_gpa = UINT64_C(1) << 32;
	f->ground.edge_gpa = bench_end(f->bench, BENCH_NEXT);
	f->ground.good = good;
	f->ground.up = up;
	f->ground.opaque = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bench_destroy(f->bench);
	return 0;
}

static bool is_possible(const struct vqsim_breakage *breakage, const struct way *way, bool packed)
{
	if (packed && !bench_offers(way->device, VIRTIO_F_RING_PACKED))
		return false;
	return breakage->formats & (packed ? VQSIM_PACKED : VQSIM_SPLIT);
}

int main(void)
{
	size_t most = 2 * COUNT_OF(ways) * vqsim_breakage_count, count = 0;
	struct fixture *fixtures = calloc(most, sizeof(*fixtures));
	struct CMUnitTest *tests = calloc(most, sizeof(*tests));
	int failed;

	if (!fixtures || !tests)
		abort();
	for (size_t i = 0; i < most; i++) {
		struct fixture *f = &fixtures[count];

		f->packed = i % 2;
		f->way = &ways[i / 2 % COUNT_OF(ways)];
		f->breakage = &vqsim_breakages[i / 2 / COUNT_OF(ways)];
		if (!is_possible(f->breakage, f->way, f->packed))
			continue;
		snprintf(f->name, sizeof(f->name), "%s (%s, %s)", f->breakage->name,
			 f->packed ? "packed" : "split", f->way->words);
		tests[count++] = (struct CMUnitTest){f->name, check, setup, teardown, f};
	}
	failed = bench_run("breakages", tests, count);
	free(fixtures);
	free(tests);
	return failed;
}
