/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchrony under a seed: the same seed makes the same run, and every interleaving of a small
 * case is right.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/bench.h"
#include "vqsim/schedule.h"

#define FEATURES_FIXED                                                                  \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | \
	 VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH))

enum ring {
	SPLIT,
	SPLIT_IN_ORDER,
	PACKED,
	PACKED_IN_ORDER,
	RINGS,
};

static const uint64_t ring_features[RINGS] = {
	[SPLIT] = 0,
	[SPLIT_IN_ORDER] = VIRTIO_FEATURE(VIRTIO_F_IN_ORDER),
	[PACKED] = VIRTIO_FEATURE(VIRTIO_F_RING_PACKED),
	[PACKED_IN_ORDER] =
		VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_F_IN_ORDER),
};

static const char *const ring_names[RINGS] = {"split", "split, in order", "packed",
					      "packed, in order"};

/* What is played, and in how many ways. */
struct small {
	const char *words;
	uint16_t queues;
	unsigned requests;
	uint32_t resets;
	uint32_t interleavings;
};

struct fixture {
	struct small small;
	enum ring ring;
	char name[96];
	struct bench *bench;
	struct vqsim_faults *faults;
	struct vqsim_play play;
};

/* Both write and read, so that the model of the disk sees what overtakes what. */
static void fill_small(void *opaque, struct vqsim_blk_request *request, uint32_t number)
{
	(void)opaque;
	request->type = number % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	request->sector = 3;
	request->data_size = 512;
	memset(request->out_data, 0x40 + (int)number, 512);
}

/* A mix, of which every request is a function of its number. */
static void fill_mix(void *opaque, struct vqsim_blk_request *request, uint32_t number)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_IN,
					 VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};
	uint32_t random = number * UINT32_C(2654435761);

	(void)opaque;
	request->type = types[(random >> 8) % COUNT_OF(types)];
	request->sector = (random >> 12) % 24;
	request->data_size =
		request->type == VIRTIO_BLK_T_FLUSH ? 0 : 512 * (1 + (random >> 20) % 4);
	request->indirect = random >> 31;
	memset(request->out_data, (int)(random >> 16), request->data_size);
}

static void create(struct fixture *f, uint64_t features)
{
	f->faults = vqsim_faults_create(bench_store_create(BENCH_DISK_SECTORS));
	assert_non_null(f->faults);
	f->bench = bench_create(&(struct bench_options){
		.device = BENCH_BLK,
		.store = &f->faults->base,
		.blk = {.queue_count = f->small.queues},
		.down = true,
	});
	f->faults->taken = f->faults->submits = 0;
	f->faults->hold = true;
	f->faults->let_go = 0;
	f->play = (struct vqsim_play){
		.guest = &f->bench->guest,
		.config = {.features = features, .queue_count = f->small.queues, .queue_size = 16},
		.disk = &f->bench->disk,
		.faults = f->faults,
		.slots = f->small.requests,
		.total = f->small.requests,
		.data_room = 2048,
		.resets = f->small.resets,
		.fill = fill_small,
	};
}

static void destroy(struct fixture *f)
{
	bench_destroy(f->bench);
	f->bench = NULL;
}

/* Every interleaving */

static void check_run(struct fixture *f)
{
	bench_check(f->bench);
	assert_false(f->play.stuck);
	assert_int_equal(f->play.completed + f->play.lost, f->small.requests);
	assert_int_equal(f->faults->held, 0);
	if (f->small.resets == 0)
		assert_int_equal(f->play.lost, 0);
}

static void every_interleaving_is_right(void **state)
{
	struct fixture *f = *state;
	struct vqsim_schedule schedule;
	uint32_t runs = 0;

	create(f, FEATURES_FIXED | ring_features[f->ring]);
	vqsim_schedule_all(&schedule);
	do {
		vqsim_play_run(&f->play, &schedule);
		check_run(f);
		runs++;
	} while (vqsim_schedule_again(&schedule));
	destroy(f);
	print_message("# %s: %" PRIu32 " interleavings\n", f->name, runs);
	assert_int_equal(runs, f->small.interleavings);
}

/* The same seed */

static uint64_t hash_of(const char *text, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* A long run. Returns its log, to be freed. */
static char *record(enum ring ring, uint64_t seed, size_t *size)
{
	struct fixture f = {.small = {.queues = 4, .requests = 12, .resets = 3}};
	struct vqsim_schedule schedule;
	char *text = NULL;

	create(&f, FEATURES_FIXED | ring_features[ring]);
	f.play.total = 2000;
	f.play.idle_steps = true;
	f.play.fill = fill_mix;
	f.faults->busy_above = 6;
	f.play.log = open_memstream(&text, size);
	assert_non_null(f.play.log);
	vqsim_schedule_seed(&schedule, seed);
	vqsim_play_run(&f.play, &schedule);
	fclose(f.play.log);
	bench_check(f.bench);
	assert_false(f.play.stuck);
	assert_int_equal(f.play.completed + f.play.lost, 2000);
	assert_int_equal(f.play.resets_done, 3);
	destroy(&f);
	return text;
}

static bool has_ring(enum ring ring)
{
	for (unsigned bit = 0; bit < 64; bit++)
		if ((ring_features[ring] >> bit & 1) && !bench_offers(BENCH_BLK, bit))
			return false;
	return true;
}

static void one_seed_makes_one_log(void **state)
{
	(void)state;
	for (enum ring ring = 0; ring < RINGS; ring++) {
		size_t first_size, second_size;
		char *first, *second;

		if (!has_ring(ring))
			continue;
		for (uint64_t seed = 1; seed <= 6; seed++) {
			first = record(ring, seed, &first_size);
			second = record(ring, seed, &second_size);
			assert_int_equal(first_size, second_size);
			assert_memory_equal(first, second, first_size);
			free(first);
			free(second);
		}
	}
}

static void another_seed_makes_another_log(void **state)
{
	size_t sizes[2];
	char *first = record(SPLIT, 1, &sizes[0]), *second = record(SPLIT, 2, &sizes[1]);

	(void)state;
	assert_true(sizes[0] != sizes[1] || memcmp(first, second, sizes[0]) != 0);
	free(first);
	free(second);
}

/*
 * The same number in builds of every compiler. It changes with what the device and the driver do,
 * and then the new one is right if it is right for all of them.
 */
static void log_is_the_same_in_every_build(void **state)
{
	static const struct {
		enum ring ring;
		uint64_t hash;
	} rows[] = {
		{SPLIT, UINT64_C(0xf786953081470beb)},
		{PACKED, UINT64_C(0x147f292973b37e9f)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t hash;
		size_t size;
		char *text;

		if (!has_ring(rows[i].ring))
			continue;
		text = record(rows[i].ring, 42, &size);
		hash = hash_of(text, size);
		free(text);
		if (hash != rows[i].hash)
			fail_msg("%s: 0x%016" PRIx64, ring_names[rows[i].ring], hash);
	}
}

int main(void)
{
	static const struct small cases[] = {
		{"two queues, a request each", 2, 2, 0, 924},
		{"one queue, two requests", 1, 2, 0, 68},
		{"one queue, three requests", 1, 3, 0, 10346},
		{"two queues, a request each, and a reset", 2, 2, 1, 3430},
	};
	static struct fixture fixtures[RINGS * COUNT_OF(cases)];
	struct CMUnitTest tests[COUNT_OF(fixtures) + 3] = {
		cmocka_unit_test(one_seed_makes_one_log),
		cmocka_unit_test(another_seed_makes_another_log),
		cmocka_unit_test(log_is_the_same_in_every_build),
	};
	size_t count = 3;

	for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
		struct fixture *f = &fixtures[i];

		f->small = cases[i % COUNT_OF(cases)];
		f->ring = i / COUNT_OF(cases);
		if (!has_ring(f->ring))
			continue;
		snprintf(f->name, sizeof(f->name), "%s (%s)", f->small.words, ring_names[f->ring]);
		tests[count++] =
			(struct CMUnitTest){f->name, every_interleaving_is_right, NULL, NULL, f};
	}
	return bench_run("schedule", tests, count);
}
