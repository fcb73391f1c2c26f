/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's view of guest memory: regions, holes, changes under way, dirty pages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/guest_memory.h"

static uint8_t bytes[4 * 4096];
static int released;

static void count_release(const struct guest_region *region)
{
	assert_non_null(region->hva);
	released++;
}

static struct guest_region region(uint64_t gpa, uint64_t size, unsigned offset)
{
	return (struct guest_region){
		.gpa = gpa,
		.size = size,
		.hva = bytes + offset,
		.fd = -1,
		.access = GUEST_READ_WRITE,
		.release = count_release,
	};
}

static int set_up(void **state)
{
	static struct guest_memory memory;

	released = 0;
	*state = &memory;
	return guest_memory_init(&memory);
}

static int tear_down(void **state)
{
	guest_memory_finish(*state);
	return 0;
}

static void add(struct guest_memory *memory, uint64_t gpa, uint64_t size, unsigned offset)
{
	struct guest_region r = region(gpa, size, offset);

	assert_int_equal(guest_memory_add(memory, &r), 0);
}

static void impossible_regions_are_refused(void **state)
{
	struct guest_memory *memory = *state;
	struct guest_region empty = region(0x1000, 0, 0);
	struct guest_region wraps = region(UINT64_MAX - 10, 100, 0);
	struct guest_region nowhere = region(0x1000, 4096, 0);
	struct guest_region forbidden = region(0x1000, 4096, 0);

	nowhere.hva = NULL;
	forbidden.access = 0;
	assert_int_equal(guest_memory_add(memory, &empty), -EINVAL);
	assert_int_equal(guest_memory_add(memory, &wraps), -EINVAL);
	assert_int_equal(guest_memory_add(memory, &nowhere), -EINVAL);
	assert_int_equal(guest_memory_add(memory, &forbidden), -EINVAL);
	assert_int_equal(memory->map->count, 0);
	assert_int_equal(released, 0);
}

static void overlap_on_either_side_is_refused(void **state)
{
	struct guest_memory *memory = *state;
	static const struct {
		uint64_t gpa, size;
		int result;
	} rows[] = {
		{0x1000, 0x1001, -EEXIST}, {0x2fff, 1, -EEXIST},  {0x2000, 0x1000, -EEXIST},
		{0x1000, 0x3000, -EEXIST}, {0x2400, 16, -EEXIST}, {0x1000, 0x1000, 0},
		{0x3000, 0x1000, 0},
	};

	add(memory, 0x2000, 0x1000, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct guest_region r = region(rows[i].gpa, rows[i].size, 4096);

		assert_int_equal(guest_memory_add(memory, &r), rows[i].result);
	}
	assert_int_equal(memory->map->count, 3);
}

static void find_knows_borders_holes_and_rights(void **state)
{
	struct guest_memory *memory = *state;
	struct guest_region read_only = region(0x8000, 0x1000, 8192);

	add(memory, 0x4000, 0x1000, 4096);
	add(memory, 0x1000, 0x1000, 0);
	read_only.access = GUEST_READ;
	assert_int_equal(guest_memory_add(memory, &read_only), 0);

	assert_null(guest_map_find(memory->map, 0xfff, GUEST_READ));
	assert_int_equal(guest_map_find(memory->map, 0x1000, GUEST_READ)->gpa, 0x1000);
	assert_int_equal(guest_map_find(memory->map, 0x1fff, GUEST_WRITE)->gpa, 0x1000);
	assert_null(guest_map_find(memory->map, 0x2000, GUEST_READ));
	assert_int_equal(guest_map_find(memory->map, 0x4fff, GUEST_READ)->gpa, 0x4000);
	assert_non_null(guest_map_find(memory->map, 0x8000, GUEST_READ));
	assert_null(guest_map_find(memory->map, 0x8000, GUEST_WRITE));
	assert_null(guest_map_find(memory->map, UINT64_MAX, GUEST_READ));
	assert_int_equal(guest_map_region(memory->map, 1)->gpa, 0x4000);
}

/* Neighbours in the guest are one piece only if they are neighbours here too. */
static void contiguous_needs_neighbours_on_both_sides(void **state)
{
	struct guest_memory *memory = *state;
	const struct guest_map *map;

	add(memory, 0x1000, 0x1000, 0);
	add(memory, 0x2000, 0x1000, 4096);
	add(memory, 0x3000, 0x1000, 3 * 4096);
	map = memory->map;
	assert_ptr_equal(guest_map_contiguous(map, 0x1ff0, 16, GUEST_READ), bytes + 0xff0);
	assert_ptr_equal(guest_map_contiguous(map, 0x1ff0, 32, GUEST_READ), bytes + 0xff0);
	assert_ptr_equal(guest_map_contiguous(map, 0x1000, 0x2000, GUEST_READ), bytes);
	assert_null(guest_map_contiguous(map, 0x1000, 0x2001, GUEST_READ));
	assert_null(guest_map_contiguous(map, 0x3fff, 2, GUEST_READ));
	assert_null(guest_map_contiguous(map, 0x3fff, UINT64_MAX, GUEST_READ));
	assert_non_null(guest_map_contiguous(map, 0x3fff, 1, GUEST_WRITE));
}

static void region_lives_as_long_as_a_map_that_has_it(void **state)
{
	struct guest_memory *memory = *state;
	uint32_t generation;
	struct guest_map *held;

	add(memory, 0x1000, 0x1000, 0);
	add(memory, 0x4000, 0x1000, 4096);
	held = guest_memory_acquire(memory);
	generation = guest_memory_generation(memory);

	assert_int_equal(guest_memory_remove(memory, 0x1000, 0x1000), 0);
	assert_true(generation != guest_memory_generation(memory));
	assert_null(guest_map_find(memory->map, 0x1000, GUEST_READ));
	assert_non_null(guest_map_find(held, 0x1000, GUEST_READ));
	assert_int_equal(released, 0);

	/* Two requests keep the map; the second one lets it go. */
	guest_map_ref(held, 1);
	guest_map_release(held);
	assert_int_equal(released, 0);
	guest_map_release(held);
	assert_int_equal(released, 1);
	guest_map_release(NULL);
}

static void only_an_exact_range_is_removed(void **state)
{
	struct guest_memory *memory = *state;

	assert_int_equal(guest_memory_remove(memory, 0x1000, 0x1000), -ENOENT);
	add(memory, 0x1000, 0x1000, 0);
	assert_int_equal(guest_memory_remove(memory, 0x1000, 0x800), -ENOENT);
	assert_int_equal(guest_memory_remove(memory, 0x1800, 0x800), -ENOENT);
	assert_int_equal(guest_memory_remove(memory, 0x1000, 0x1000), 0);
	assert_int_equal(released, 1);
}

static void finish_gives_every_region_back(void **state)
{
	struct guest_memory *memory = *state;

	add(memory, 0x1000, 0x1000, 0);
	add(memory, 0x4000, 0x1000, 4096);
	guest_memory_finish(memory);
	assert_int_equal(released, 2);
	guest_memory_finish(memory);
	assert_int_equal(released, 2);
}

static void dirty_log_has_a_bit_for_each_page_touched(void **state)
{
	struct guest_memory *memory = *state;
	uint8_t log[2] = {0, 0};

	guest_memory_mark_dirty(memory, 0x1000, 1);
	memory->dirty_log = log;
	memory->dirty_log_size = sizeof(log);

	guest_memory_mark_dirty(memory, 0x1fff, 1);
	assert_int_equal(log[0], 1 << 1);
	guest_memory_mark_dirty(memory, 0x3fff, 2);
	assert_int_equal(log[0], 1 << 1 | 1 << 3 | 1 << 4);
	guest_memory_mark_dirty(memory, 0x5000, 0);
	assert_int_equal(log[0], 1 << 1 | 1 << 3 | 1 << 4);
	/* Pages 15 and 16: the log ends with page 15. */
	guest_memory_mark_dirty(memory, 0xf800, 0x1000);
	assert_int_equal(log[1], 1 << 7);
	memory->dirty_log = NULL;
}

static void dirty_log_finds_the_page_of_a_host_address(void **state)
{
	struct guest_memory *memory = *state;
	uint8_t log[2] = {0, 0};

	add(memory, 0x2000, 0x1000, 4096);
	add(memory, 0x6000, 0x1000, 0);
	memory->dirty_log = log;
	memory->dirty_log_size = sizeof(log);
	guest_memory_mark_dirty_hva(memory, memory->map, bytes + 4096 + 8, 8);
	assert_int_equal(log[0], 1 << 2);
	guest_memory_mark_dirty_hva(memory, memory->map, bytes, 4096);
	assert_int_equal(log[0], 1 << 2 | 1 << 6);
	memory->dirty_log = NULL;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(impossible_regions_are_refused),
		TEST(overlap_on_either_side_is_refused),
		TEST(find_knows_borders_holes_and_rights),
		TEST(contiguous_needs_neighbours_on_both_sides),
		TEST(region_lives_as_long_as_a_map_that_has_it),
		TEST(only_an_exact_range_is_removed),
		TEST(finish_gives_every_region_back),
		TEST(dirty_log_has_a_bit_for_each_page_touched),
		TEST(dirty_log_finds_the_page_of_a_host_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
