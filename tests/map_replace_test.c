/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest_memory_replace and guest_memory_remove_range: the whole table, or all of a range, in one
 * step, beside devices that work.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/support/async.h"

#define PAGE 4096u

static uint8_t bytes[8 * PAGE];
static unsigned released[8]; /* by page of bytes */

static void note_release(const struct guest_region *region)
{
	released[(region->hva - bytes) / PAGE]++;
}

/* A region over page number page of bytes, and what follows. */
static struct guest_region region(uint64_t gpa, uint64_t size, unsigned page)
{
	return (struct guest_region){
		.gpa = gpa,
		.size = size,
		.hva = bytes + (size_t)page * PAGE,
		.fd = -1,
		.access = GUEST_READ_WRITE,
		.release = note_release,
	};
}

static int setup(void **state)
{
	static struct guest_memory memory;

	memset(released, 0, sizeof(released));
	*state = &memory;
	return guest_memory_init(&memory);
}

static int teardown(void **state)
{
	guest_memory_finish(*state);
	return 0;
}

static unsigned sum_released(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < COUNT_OF(released); i++)
		sum += released[i];
	return sum;
}

/* The addresses of the map, up to a 0. */
static void assert_map(const struct guest_memory *memory, const uint64_t *gpas)
{
	unsigned count = 0;

	for (; gpas[count] != 0; count++) {
		assert_true(count < memory->map->count);
		assert_int_equal(guest_map_region(memory->map, count)->gpa, gpas[count]);
	}
	assert_int_equal(memory->map->count, count);
}

/* The whole table */

static void replace_is_one_step_whatever_the_order(void **state)
{
	struct guest_memory *memory = *state;
	const struct guest_region before[] = {region(0x1000, PAGE, 0), region(0x3000, PAGE, 1)};
	const struct guest_region after[] = {region(0x9000, PAGE, 4), region(0x3000, PAGE, 2),
					     region(0x4000, PAGE, 3)};
	uint32_t generation;

	assert_int_equal(guest_memory_replace(memory, before, 2), 0);
	generation = guest_memory_generation(memory);
	assert_int_equal(guest_memory_replace(memory, after, 3), 0);
	assert_int_equal(guest_memory_generation(memory), generation + 1);
	assert_map(memory, (uint64_t[]){0x3000, 0x4000, 0x9000, 0});
	assert_ptr_equal(guest_map_find(memory->map, 0x3000, GUEST_READ)->hva, bytes + 2 * PAGE);
	assert_int_equal(released[0], 1);
	assert_int_equal(released[1], 1);
	assert_int_equal(sum_released(), 2);

	assert_int_equal(guest_memory_replace(memory, NULL, 0), 0);
	assert_map(memory, (uint64_t[]){0});
	assert_int_equal(sum_released(), 5);
}

/* Twice, and a request that is in flight keeps what it needs. */
static void clear_removes_every_region(void **state)
{
	struct guest_memory *memory = *state;
	const struct guest_region present = region(0x1000, PAGE, 0);
	struct guest_map *map;
	uint32_t generation;

	assert_int_equal(guest_memory_add(memory, &present), 0);
	generation = guest_memory_generation(memory);
	map = guest_memory_acquire(memory);
	guest_memory_clear(memory);
	assert_map(memory, (uint64_t[]){0});
	assert_int_not_equal(guest_memory_generation(memory), generation);
	assert_int_equal(released[0], 0);
	guest_map_release(map);
	assert_int_equal(released[0], 1);
	guest_memory_clear(memory);
	assert_int_equal(guest_memory_add(memory, &present), 0);
	assert_map(memory, (uint64_t[]){0x1000, 0});
	guest_memory_clear(memory);
	assert_int_equal(released[0], 2);
}

static void table_that_cannot_be_is_refused_and_nothing_changes(void **state)
{
	struct guest_memory *memory = *state;
	const struct guest_region present = region(0x1000, PAGE, 0);
	const struct guest_region good = region(0x8000, 2 * PAGE, 1);
	struct guest_region nowhere = region(0x20000, PAGE, 3);
	const struct {
		struct guest_region bad;
		int error;
	} rows[] = {
		{region(0x8000, 2 * PAGE, 3), -EEXIST},   {region(0x7001, PAGE, 3), -EEXIST},
		{region(0x9fff, 1, 3), -EEXIST},          {region(0x7000, 4 * PAGE, 3), -EEXIST},
		{region(0x8800, 16, 3), -EEXIST},         {region(0x20000, 0, 3), -EINVAL},
		{region(UINT64_MAX - 8, 16, 3), -EINVAL},
	};
	uint32_t generation;

	assert_int_equal(guest_memory_add(memory, &present), 0);
	generation = guest_memory_generation(memory);
	nowhere.hva = NULL;
	assert_int_equal(guest_memory_replace(memory, &nowhere, 1), -EINVAL);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct guest_region first[] = {rows[i].bad, good};
		const struct guest_region last[] = {good, rows[i].bad};

		assert_int_equal(guest_memory_replace(memory, first, 2), rows[i].error);
		assert_int_equal(guest_memory_replace(memory, last, 2), rows[i].error);
	}
	assert_int_equal(guest_memory_generation(memory), generation);
	assert_map(memory, (uint64_t[]){0x1000, 0});
	assert_int_equal(sum_released(), 0);
}

/* What is replaced may overlap what replaces it: only the new table is judged. */
static void new_table_may_overlap_the_old_one(void **state)
{
	struct guest_memory *memory = *state;
	const struct guest_region old = region(0x1000, 2 * PAGE, 0);
	const struct guest_region next = region(0x2000, 2 * PAGE, 2);

	assert_int_equal(guest_memory_add(memory, &old), 0);
	assert_int_equal(guest_memory_replace(memory, &next, 1), 0);
	assert_map(memory, (uint64_t[]){0x2000, 0});
	assert_int_equal(released[0], 1);
}

static void old_table_lives_as_long_as_somebody_has_it(void **state)
{
	struct guest_memory *memory = *state;
	const struct guest_region old = region(0x1000, PAGE, 0), next = region(0x1000, PAGE, 1);
	struct guest_map *held;

	assert_int_equal(guest_memory_add(memory, &old), 0);
	held = guest_memory_acquire(memory);
	assert_int_equal(guest_memory_replace(memory, &next, 1), 0);
	assert_int_equal(released[0], 0);
	assert_ptr_equal(guest_map_find(held, 0x1000, GUEST_READ)->hva, bytes);
	guest_map_release(held);
	assert_int_equal(released[0], 1);
	assert_int_equal(released[1], 0);
}

/* A range */

static void remove_range_takes_all_that_it_touches(void **state)
{
	static const struct {
		uint64_t gpa, size;
		uint64_t left[5];
	} rows[] = {
		{0x1000, PAGE, {0x2000, 0x4000, 0x8000}},
		{0x1000, 2 * PAGE, {0x4000, 0x8000}},
		{0x1fff, 2, {0x4000, 0x8000}},
		{0x2fff, 1, {0x1000, 0x4000, 0x8000}},
		{0x4800, 16, {0x1000, 0x2000, 0x8000}},
		{0x3000, PAGE, {0x1000, 0x2000, 0x4000, 0x8000}},
		{0x2800, 0x1801, {0x1000, 0x8000}},
		{0x6000, 2 * PAGE, {0x1000, 0x2000, 0x4000, 0x8000}},
		{0x5fff, 0x2002, {0x1000, 0x2000}},
		{0, UINT64_MAX, {0}},
		{0x8fff, UINT64_MAX - 0x8fff, {0x1000, 0x2000, 0x4000}},
		{0x1800, 0, {0x1000, 0x2000, 0x4000, 0x8000}},
		{0x9000, PAGE, {0x1000, 0x2000, 0x4000, 0x8000}},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct guest_memory *memory = *state;
		const struct guest_region map[] = {region(0x1000, PAGE, 0), region(0x2000, PAGE, 1),
						   region(0x4000, 2 * PAGE, 2),
						   region(0x8000, PAGE, 4)};
		uint32_t generation;

		assert_int_equal(guest_memory_replace(memory, map, COUNT_OF(map)), 0);
		generation = guest_memory_generation(memory);
		assert_int_equal(guest_memory_remove_range(memory, rows[i].gpa, rows[i].size), 0);
		assert_map(memory, rows[i].left);
		assert_int_equal(sum_released(), COUNT_OF(map) - memory->map->count);
		assert_true(guest_memory_generation(memory) - generation <= 1);
		teardown(state);
		setup(state);
	}
}

/* Beside a device */

/* The table that the bench has, as regions of the test's own. */
static unsigned copy_table(const struct bench *bench, struct guest_region *table)
{
	const struct guest_map *map = bench->memory.guest.map;

	for (unsigned i = 0; i < map->count; i++)
		table[i] = *guest_map_region(map, i);
	return map->count;
}

/* The rings and the buffers of requests in flight are in the old table. */
static void requests_in_flight_hold_the_old_table(void **state)
{
	struct guest_region table[BENCH_REGIONS];
	struct async *a = async_create(NULL);
	struct guest_memory *memory = &a->bench->memory.guest;
	const struct guest_region extra = region(UINT64_C(1) << 36, PAGE, 0);
	unsigned count = copy_table(a->bench, table);

	(void)state;
	memset(released, 0, sizeof(released));
	assert_int_equal(guest_memory_add(memory, &extra), 0);
	async_hold(a);
	async_reads(a, 4);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(guest_memory_replace(memory, table, count), 0);
	async_add(a, 4, VIRTIO_BLK_T_IN, 0, 512);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(a->faults->held, 5);
	async_let_go(a, 3);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(released[0], 0);
	async_let_go(a, 1);
	assert_int_equal(async_run(a), VIRTIO_WAITING);
	assert_int_equal(released[0], 1);
	async_let_go(a, VQSIM_FAULTS_ALL);
	assert_int_equal(async_run(a), VIRTIO_IDLE);
	assert_int_equal(async_reap(a, VIRTIO_BLK_S_OK), 5);
	async_destroy(a);
}

#define REPLACEMENTS 20000u

struct replacer {
	struct guest_memory *memory;
	struct guest_region table[BENCH_REGIONS];
	unsigned count;
	unsigned *given_back; /* for each region of each replacement; atomic */
	unsigned errors;
	bool done; /* atomic */
};

static void count_release(const struct guest_region *r)
{
	__atomic_fetch_add((unsigned *)r->opaque, 1, __ATOMIC_RELAXED);
}

static void *replace_again_and_again(void *opaque)
{
	struct replacer *r = opaque;

	for (unsigned i = 0; i < REPLACEMENTS; i++) {
		for (unsigned j = 0; j < r->count; j++) {
			r->table[j].release = count_release;
			r->table[j].opaque = &r->given_back[i * r->count + j];
		}
		r->errors += guest_memory_replace(r->memory, r->table, r->count) != 0;
	}
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Each region of the first tables was given back as often as expected. */
static void assert_given_back(const struct replacer *r, unsigned first, unsigned end,
			      unsigned expected)
{
	for (unsigned i = first * r->count; i < end * r->count; i++)
		if (r->given_back[i] != expected)
			fail_msg("region %u of table %u of %u was given back %u times",
				 i % r->count, i / r->count, REPLACEMENTS, r->given_back[i]);
}

/* An equal table is no change for a driver: not one request may go wrong. */
static void serve_beside_a_replacer(enum bench_device kind)
{
	struct bench *bench = bench_create(&(struct bench_options){.device = kind});
	struct replacer r = {.memory = &bench->memory.guest};
	bool finished = false;
	pthread_t thread;

	r.count = copy_table(bench, r.table);
	r.given_back = calloc((size_t)REPLACEMENTS * r.count, sizeof(*r.given_back));
	assert_non_null(r.given_back);
	assert_int_equal(pthread_create(&thread, NULL, replace_again_and_again, &r), 0);
	/* A failure ends the process below, so the thread may be left alone then. */
	while (!finished) {
		finished = __atomic_load_n(&r.done, __ATOMIC_ACQUIRE);
		bench_good_request(bench);
	}
	pthread_join(thread, NULL);
	assert_int_equal(r.errors, 0);
	/* The good request after the end has let go of all tables but the last. */
	assert_given_back(&r, 0, REPLACEMENTS - 1, 1);
	assert_given_back(&r, REPLACEMENTS - 1, REPLACEMENTS, 0);
	bench_destroy(bench);
	assert_given_back(&r, REPLACEMENTS - 1, REPLACEMENTS, 1);
	free(r.given_back);
}

static void null_serves_while_the_table_is_replaced(void **state)
{
	(void)state;
	serve_beside_a_replacer(BENCH_NULL);
}

static void blk_serves_while_the_table_is_replaced(void **state)
{
	(void)state;
	serve_beside_a_replacer(BENCH_BLK);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(replace_is_one_step_whatever_the_order),
		WITH(clear_removes_every_region),
		WITH(table_that_cannot_be_is_refused_and_nothing_changes),
		WITH(new_table_may_overlap_the_old_one),
		WITH(old_table_lives_as_long_as_somebody_has_it),
		WITH(remove_range_takes_all_that_it_touches),
		cmocka_unit_test(requests_in_flight_hold_the_old_table),
		cmocka_unit_test(null_serves_while_the_table_is_replaced),
		cmocka_unit_test(blk_serves_while_the_table_is_replaced),
	};

	return cmocka_run_group_tests_name("map replace", tests, NULL, NULL);
}
