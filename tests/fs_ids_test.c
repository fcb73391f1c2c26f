/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids of nodes and handles: each finds its item, none is given out twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "devices/fs/ids.h"

#define MANY 100000u

static char items[MANY];

static uint64_t add(struct fs_ids *ids, void *item)
{
	uint64_t id = 0;

	assert_int_equal(fs_ids_add(ids, item, &id), 0);
	assert_true(id != 0);
	return id;
}

static void first_id_is_the_root_s_and_never_comes_again(void **state)
{
	struct fs_ids ids;

	(void)state;
	fs_ids_init(&ids, 10);
	assert_int_equal(add(&ids, &items[0]), 1);
	fs_ids_remove(&ids, 1);
	for (unsigned i = 0; i < 10; i++)
		assert_true(add(&ids, &items[i]) != 1);
	fs_ids_finish(&ids);
}

static void an_id_finds_its_item_and_no_other_number_does(void **state)
{
	static const uint64_t never[] = {
		0, 4, 63, 64, 65, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 32 | 1, UINT64_MAX,
	};
	struct fs_ids ids;

	(void)state;
	fs_ids_init(&ids, 10);
	assert_null(fs_ids_get(&ids, 1));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(add(&ids, &items[i]), i + 1);
	for (unsigned i = 0; i < 3; i++)
		assert_ptr_equal(fs_ids_get(&ids, i + 1), &items[i]);
	for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_null(fs_ids_get(&ids, never[i]));
	fs_ids_finish(&ids);
}

static void an_id_that_was_taken_back_finds_nothing_for_ever(void **state)
{
	struct fs_ids ids;
	uint64_t old, id;

	(void)state;
	fs_ids_init(&ids, 1);
	old = add(&ids, &items[0]);
	for (unsigned i = 0; i < 1000; i++) {
		fs_ids_remove(&ids, old);
		assert_null(fs_ids_get(&ids, old));
		id = add(&ids, &items[1]);
		assert_null(fs_ids_get(&ids, old));
		assert_true(id > old);
		old = id;
	}
	fs_ids_finish(&ids);
}

static void a_slot_whose_generation_would_wrap_is_given_up(void **state)
{
	struct fs_ids ids;
	uint64_t id, last = UINT64_C(0xffffffff00000001);

	(void)state;
	fs_ids_init(&ids, 10);
	id = add(&ids, &items[0]);
	ids.slots[(uint32_t)id].generation = UINT32_MAX;
	assert_ptr_equal(fs_ids_get(&ids, last), &items[0]);
	fs_ids_remove(&ids, last);
	assert_null(fs_ids_get(&ids, last));
	assert_int_equal(add(&ids, &items[1]), 2);
	assert_int_equal(ids.count, 1);
	fs_ids_finish(&ids);
}

static void more_than_max_are_refused_and_change_nothing(void **state)
{
	struct fs_ids ids;
	uint64_t id = 77;

	(void)state;
	fs_ids_init(&ids, 2);
	add(&ids, &items[0]);
	add(&ids, &items[1]);
	assert_int_equal(fs_ids_add(&ids, &items[2], &id), -ENFILE);
	assert_int_equal(id, 77);
	fs_ids_remove(&ids, 2);
	add(&ids, &items[2]);
	fs_ids_finish(&ids);
}

static void next_visits_each_item_once_though_they_are_removed(void **state)
{
	struct fs_ids ids;
	uint64_t id = 0;
	unsigned count = 0;

	(void)state;
	fs_ids_init(&ids, MANY);
	assert_null(fs_ids_next(&ids, &id));
	for (unsigned i = 0; i < 200; i++)
		add(&ids, &items[i]);
	for (unsigned i = 0; i < 200; i += 2)
		fs_ids_remove(&ids, i + 1);
	while (fs_ids_next(&ids, &id) != NULL) {
		assert_ptr_equal(fs_ids_get(&ids, id), &items[2 * count + 1]);
		fs_ids_remove(&ids, id);
		count++;
	}
	assert_int_equal(count, 100);
	assert_int_equal(ids.count, 0);
	fs_ids_finish(&ids);
}

static void many_ids_come_and_go(void **state)
{
	static uint64_t at[MANY];
	struct fs_ids ids;

	(void)state;
	fs_ids_init(&ids, MANY);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MANY; i++)
			if (at[i] == 0)
				at[i] = add(&ids, &items[i]);
		for (unsigned i = 0; i < MANY; i++)
			assert_ptr_equal(fs_ids_get(&ids, at[i]), &items[i]);
		for (unsigned i = round; i < MANY; i += 3) {
			fs_ids_remove(&ids, at[i]);
			assert_null(fs_ids_get(&ids, at[i]));
			at[i] = 0;
		}
	}
	assert_int_equal(ids.used, MANY + 1);
	fs_ids_finish(&ids);
}

static void a_zeroed_table_can_be_finished(void **state)
{
	struct fs_ids ids = {.slots = NULL};

	(void)state;
	assert_null(fs_ids_get(&ids, 1));
	fs_ids_finish(&ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_id_is_the_root_s_and_never_comes_again),
		cmocka_unit_test(an_id_finds_its_item_and_no_other_number_does),
		cmocka_unit_test(an_id_that_was_taken_back_finds_nothing_for_ever),
		cmocka_unit_test(a_slot_whose_generation_would_wrap_is_given_up),
		cmocka_unit_test(more_than_max_are_refused_and_change_nothing),
		cmocka_unit_test(next_visits_each_item_once_though_they_are_removed),
		cmocka_unit_test(many_ids_come_and_go),
		cmocka_unit_test(a_zeroed_table_can_be_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
