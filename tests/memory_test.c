/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake guest's memory: two views of every region, guards that fault, canaries
 * that tell of a step outside, and an allocator that goes back in time.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tests/support/aborts.h"
#include "vqsim/memory.h"

/* low and high touch in guest addresses, far lies beyond a hole. */
static const struct vqsim_region regions[] = {
	{.gpa = 0x10000, .size = 0x4000},
	{.gpa = 0x14000, .size = 0x2000},
	{.gpa = 0x100000000, .size = 0x100000},
};

enum { LOW, HIGH, FAR, COUNT };

#define HOLE 0x20000u

static int set_up(void **state)
{
	static struct vqsim_memory memory;

	*state = &memory;
	return vqsim_memory_init(&memory, regions, COUNT);
}

static int tear_down(void **state)
{
	vqsim_memory_finish(*state);
	return 0;
}

/*
 * What may be done with a byte of this process: "rw", "--", or "" for one that is
 * not mapped. The kernel is asked, so that no handler of a sanitizer comes into it.
 */
static const char *rights(const uint8_t *at)
{
	static char found[3];
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], seen[8];
	uintptr_t from, to;

	assert_non_null(maps);
	found[0] = 0;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, seen) == 3 &&
		    (uintptr_t)at >= from && (uintptr_t)at < to)
			memcpy(found, seen, 2);
	}
	fclose(maps);
	return found;
}

static void accessible_inside_and_guarded_beside(uint8_t *view, uint64_t size)
{
	assert_string_equal(rights(view), "rw");
	assert_string_equal(rights(view + size - 1), "rw");
	assert_string_equal(rights(view - 1), "--");
	assert_string_equal(rights(view + size), "--");
}

static void every_view_of_every_region_has_a_guard_on_both_sides(void **state)
{
	const struct vqsim_memory *memory = *state;

	for (unsigned i = 0; i < COUNT; i++) {
		const struct vqsim_mapping *mapping = &memory->mappings[i];

		accessible_inside_and_guarded_beside(mapping->driver, mapping->range.size);
		accessible_inside_and_guarded_beside(mapping->device, mapping->range.size);
	}
}

static void both_views_show_the_same_bytes(void **state)
{
	const struct vqsim_memory *memory = *state;

	for (unsigned i = 0; i < COUNT; i++) {
		memory->mappings[i].driver[100] = (uint8_t)(0x40 + i);
		assert_ptr_not_equal(memory->mappings[i].driver, memory->mappings[i].device);
	}
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(memory->mappings[i].device[100], 0x40 + i);
}

static void the_device_is_given_the_device_view_and_the_file_behind_it(void **state)
{
	struct vqsim_memory *memory = *state;
	struct guest_map *map = guest_memory_acquire(&memory->guest);
	const struct guest_region *region = guest_map_region(map, HIGH);

	assert_int_equal(map->count, COUNT);
	assert_int_equal(region->gpa, 0x14000);
	assert_int_equal(region->size, 0x2000);
	assert_ptr_equal(region->hva, memory->mappings[HIGH].device);
	assert_int_equal(region->fd, memory->fd);
	assert_int_equal(region->fd_offset, 0x4000);
	guest_map_release(map);
}

static void an_address_is_found_only_where_all_of_its_bytes_are_in_one_region(void **state)
{
	const struct vqsim_memory *memory = *state;
	uint8_t *low = memory->mappings[LOW].driver;
	static const struct {
		uint64_t gpa, size;
	} outside[] = {
		{0xffff, 1},           /* before the first */
		{0x13fff, 2},          /* across regions that touch */
		{0x16000, 1},          /* behind */
		{HOLE, 1},             /* in a hole */
		{0x10000, 0x4001},     /* one byte too many */
		{0x10001, UINT64_MAX}, /* wraps */
		{UINT64_MAX, 2},       /* wraps past the end of all addresses */
	};

	assert_ptr_equal(vqsim_memory_find(memory, 0x10000, 0x4000), low);
	assert_ptr_equal(vqsim_memory_find(memory, 0x13fff, 1), low + 0x3fff);
	assert_ptr_equal(vqsim_memory_at(memory, 0x100000010, 16),
			 memory->mappings[FAR].driver + 16);
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_null(vqsim_memory_find(memory, outside[i].gpa, outside[i].size));
}

static void misuse_ends_the_process(void **state)
{
	struct vqsim_memory *memory = *state;

	assert_aborts(vqsim_memory_at(memory, HOLE, 1));
	assert_aborts(vqsim_memory_alloc(memory, 0x100000, 8));
	assert_aborts(vqsim_memory_alloc_in(memory, HIGH, 0x2000, 8));
	assert_aborts(vqsim_memory_alloc_in(memory, COUNT, 1, 8));
	assert_aborts(vqsim_memory_alloc(memory, 1, 3));
	assert_aborts(vqsim_memory_alloc(memory, 1, 8192));
	assert_aborts(vqsim_memory_hide(memory, COUNT));
}

static void pieces_are_aligned_zeroed_and_apart_by_two_canaries(void **state)
{
	struct vqsim_memory *memory = *state;
	uint64_t end = 0;

	for (uint64_t align = 1; align <= 4096; align *= 2) {
		uint64_t gpa = vqsim_memory_alloc_in(memory, FAR, 33, align);
		const uint8_t *piece = vqsim_memory_at(memory, gpa, 33);

		assert_int_equal(gpa % align, 0);
		assert_int_equal(gpa % 8, 0);
		assert_true(gpa >= end + (end ? 2 : 1) * VQSIM_CANARY_SIZE);
		for (unsigned i = 0; i < 33; i++)
			assert_int_equal(piece[i], 0);
		end = gpa + 33;
	}
	assert_null(vqsim_memory_check(memory, NULL));
}

static void a_piece_goes_to_the_first_region_that_has_room(void **state)
{
	struct vqsim_memory *memory = *state;

	assert_in_range(vqsim_memory_alloc(memory, 0x3000, 8), 0x10000, 0x13fff);
	assert_in_range(vqsim_memory_alloc(memory, 0x1800, 8), 0x14000, 0x15fff);
	assert_in_range(vqsim_memory_alloc(memory, 0x100, 8), 0x10000, 0x13fff);
	assert_in_range(vqsim_memory_alloc(memory, 0x1800, 8), 0x100000000, 0x1000fffff);
}

static void a_region_can_be_filled_up_to_its_last_canary(void **state)
{
	struct vqsim_memory *memory = *state;
	uint64_t all = 0x2000 - 2 * VQSIM_CANARY_SIZE;

	assert_int_equal(vqsim_memory_alloc_in(memory, HIGH, all, 8), 0x14010);
	assert_null(vqsim_memory_check(memory, NULL));
}

static void a_changed_byte_beside_a_piece_is_found_and_named(void **state)
{
	struct vqsim_memory *memory = *state;
	uint64_t first = vqsim_memory_alloc(memory, 5, 8);
	uint64_t second = vqsim_memory_alloc(memory, 100, 8);
	const uint64_t beside[] = {second - VQSIM_CANARY_SIZE, second - 1, second + 100,
				   second + 100 + VQSIM_CANARY_SIZE - 1};

	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		uint8_t *at = vqsim_memory_at(memory, beside[i], 1);
		uint8_t before = *at;
		uint64_t bad = 0;

		*at = 0;
		assert_true(vqsim_memory_canary_intact(memory, first, 5, NULL));
		assert_false(vqsim_memory_canary_intact(memory, second, 100, &bad));
		assert_int_equal(bad, beside[i]);
		assert_int_equal(vqsim_memory_check(memory, &bad)->gpa, second);
		*at = before;
		assert_null(vqsim_memory_check(memory, &bad));
	}
}

static void no_byte_of_a_canary_is_zero(void **state)
{
	struct vqsim_memory *memory = *state;

	/* Zero is what a device most often leaves behind. */
	for (unsigned piece = 0; piece < 4096; piece++) {
		uint64_t gpa = vqsim_memory_alloc_in(memory, FAR, 8, 8);
		const uint8_t *canary = vqsim_memory_at(memory, gpa - VQSIM_CANARY_SIZE, 1);

		for (unsigned i = 0; i < VQSIM_CANARY_SIZE; i++)
			assert_int_not_equal(canary[i], 0);
	}
}

static void bytes_inside_a_piece_are_free_to_change(void **state)
{
	struct vqsim_memory *memory = *state;
	uint64_t gpa = vqsim_memory_alloc(memory, 100, 8);

	memset(vqsim_memory_at(memory, gpa, 100), 0xff, 100);
	assert_null(vqsim_memory_check(memory, NULL));
}

static void a_rewind_gives_the_same_addresses_again_and_zeroed(void **state)
{
	struct vqsim_memory *memory = *state;
	struct vqsim_memory_mark mark;
	uint64_t kept, dropped;

	kept = vqsim_memory_alloc(memory, 64, 16);
	mark = vqsim_memory_mark(memory);
	dropped = vqsim_memory_alloc(memory, 64, 16);
	memset(vqsim_memory_at(memory, dropped - 16, 96), 0xee, 96);
	vqsim_memory_rewind(memory, &mark);

	assert_null(vqsim_memory_check(memory, NULL));
	assert_int_equal(vqsim_memory_alloc(memory, 64, 16), dropped);
	assert_int_equal(*(uint8_t *)vqsim_memory_at(memory, dropped, 1), 0);
	assert_null(vqsim_memory_check(memory, NULL));
	assert_true(vqsim_memory_canary_intact(memory, kept, 64, NULL));
}

static void a_reset_leaves_zeroes_no_pieces_and_everything_exposed(void **state)
{
	struct vqsim_memory *memory = *state;
	uint64_t first = vqsim_memory_alloc(memory, 8, 8);

	for (unsigned i = 0; i < COUNT; i++)
		memset(memory->mappings[i].device, 0x77, regions[i].size);
	assert_int_equal(vqsim_memory_hide(memory, LOW), 0);
	vqsim_memory_reset(memory);

	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(memory->mappings[i].exposed);
		for (uint64_t at = 0; at < regions[i].size; at++)
			assert_int_equal(memory->mappings[i].driver[at], 0);
	}
	assert_null(vqsim_memory_check(memory, NULL));
	assert_int_equal(vqsim_memory_alloc(memory, 8, 8), first);
}

static const struct guest_region *device_finds(struct vqsim_memory *memory, uint64_t gpa)
{
	struct guest_map *map = guest_memory_acquire(&memory->guest);
	const struct guest_region *region = guest_map_find(map, gpa, GUEST_READ_WRITE);

	guest_map_release(map);
	return region;
}

static void a_hidden_region_is_gone_for_the_device_but_not_for_the_driver(void **state)
{
	struct vqsim_memory *memory = *state;

	assert_int_equal(vqsim_memory_hide(memory, HIGH), 0);
	assert_false(memory->mappings[HIGH].exposed);
	assert_null(device_finds(memory, 0x14000));
	assert_non_null(device_finds(memory, 0x13fff));
	assert_non_null(vqsim_memory_find(memory, 0x14000, 0x2000));
	assert_int_equal(vqsim_memory_hide(memory, HIGH), -ENOENT);

	assert_int_equal(vqsim_memory_expose(memory, HIGH), 0);
	assert_true(memory->mappings[HIGH].exposed);
	assert_non_null(device_finds(memory, 0x14000));
	assert_int_equal(vqsim_memory_expose(memory, HIGH), -EEXIST);
}

/* A request in flight keeps what it was translated with; then nothing may be reached any more. */
static void a_region_that_nobody_holds_any_more_cannot_be_reached(void **state)
{
	struct vqsim_memory *memory = *state;
	const uint8_t *view = memory->mappings[HIGH].device;
	struct guest_map *map = guest_memory_acquire(&memory->guest);

	assert_int_equal(vqsim_memory_hide(memory, HIGH), 0);
	assert_false(vqsim_memory_released(memory, HIGH));
	assert_string_equal(rights(view), "rw");
	guest_map_release(map);
	assert_true(vqsim_memory_released(memory, HIGH));
	assert_string_equal(rights(view), "--");
	assert_string_equal(rights(memory->mappings[HIGH].driver), "rw");
	assert_int_equal(vqsim_memory_expose(memory, HIGH), 0);
	assert_string_equal(rights(view), "rw");
}

static void a_replaced_map_has_the_same_regions_and_gives_the_old_ones_back(void **state)
{
	struct vqsim_memory *memory = *state;
	struct guest_map *map = guest_memory_acquire(&memory->guest);

	assert_int_equal(vqsim_memory_hide(memory, HIGH), 0);
	assert_int_equal(vqsim_memory_replace(memory), 0);
	assert_non_null(device_finds(memory, 0x13fff));
	assert_null(device_finds(memory, 0x14000));
	assert_false(vqsim_memory_released(memory, LOW));
	guest_map_release(map);
	assert_true(vqsim_memory_released(memory, LOW));
	assert_true(vqsim_memory_released(memory, HIGH));
	assert_string_equal(rights(memory->mappings[LOW].device), "rw");
}

static void impossible_regions_are_misuse(void **state)
{
	static const struct vqsim_region odd = {.gpa = 0x10, .size = 4096};
	static const struct vqsim_region empty = {.gpa = 0x1000, .size = 0};
	static const struct vqsim_region overlap[] = {{0, 8192}, {4096, 4096}};
	static const struct vqsim_region wraps = {.gpa = UINT64_MAX - 4095, .size = 8192};
	static struct vqsim_memory memory;

	(void)state;
	assert_aborts(vqsim_memory_init(&memory, &odd, 1));
	assert_aborts(vqsim_memory_init(&memory, &empty, 1));
	assert_aborts(vqsim_memory_init(&memory, overlap, 2));
	assert_aborts(vqsim_memory_init(&memory, &wraps, 1));
	assert_aborts(vqsim_memory_init(&memory, regions, 0));
}

static void a_zeroed_memory_can_be_finished(void **state)
{
	struct vqsim_memory memory = {0};

	(void)state;
	vqsim_memory_finish(&memory);
	assert_int_equal(memory.count, 0);
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(every_view_of_every_region_has_a_guard_on_both_sides),
		in_memory(both_views_show_the_same_bytes),
		in_memory(the_device_is_given_the_device_view_and_the_file_behind_it),
		in_memory(an_address_is_found_only_where_all_of_its_bytes_are_in_one_region),
		in_memory(misuse_ends_the_process),
		in_memory(pieces_are_aligned_zeroed_and_apart_by_two_canaries),
		in_memory(a_piece_goes_to_the_first_region_that_has_room),
		in_memory(a_region_can_be_filled_up_to_its_last_canary),
		in_memory(a_changed_byte_beside_a_piece_is_found_and_named),
		in_memory(no_byte_of_a_canary_is_zero),
		in_memory(bytes_inside_a_piece_are_free_to_change),
		in_memory(a_rewind_gives_the_same_addresses_again_and_zeroed),
		in_memory(a_reset_leaves_zeroes_no_pieces_and_everything_exposed),
		in_memory(a_hidden_region_is_gone_for_the_device_but_not_for_the_driver),
		in_memory(a_region_that_nobody_holds_any_more_cannot_be_reached),
		in_memory(a_replaced_map_has_the_same_regions_and_gives_the_old_ones_back),
		cmocka_unit_test(impossible_regions_are_misuse),
		cmocka_unit_test(a_zeroed_memory_can_be_finished),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
