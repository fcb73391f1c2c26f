/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cutting a run of bytes into the elements of a chain: whatever the sizes say, the
 * elements cover the run from its first byte to its last, in order.
 */
#include "tests/support/aborts.h"
#include "vqsim/chain.h"

#define GPA  UINT64_C(0x7000)
#define ROOM 8u

struct cut {
	const char *name;
	uint32_t size;
	uint32_t sizes[ROOM];
	unsigned size_count;
	uint32_t lens[ROOM];
	unsigned len_count;
};

static const struct cut cuts[] = {
	{"no sizes: one element", 528, {0}, 0, {528}, 1},
	{"what the sizes leave over is one more", 528, {16}, 1, {16, 512}, 2},
	{"sizes that fit exactly leave nothing over", 528, {16, 512}, 2, {16, 512}, 2},
	{"byte by byte", 3, {1, 1, 1}, 3, {1, 1, 1}, 3},
	{"a size beyond the end takes what is left", 20, {16, 100}, 2, {16, 4}, 2},
	{"sizes behind the end are ignored", 20, {20, 7, 7}, 3, {20}, 1},
	{"0 makes an empty element, first", 20, {0, 16}, 2, {0, 16, 4}, 3},
	{"in the middle", 20, {16, 0}, 2, {16, 0, 4}, 3},
	{"and behind the end", 20, {20, 0}, 2, {20, 0}, 2},
	{"no bytes and no sizes: no element", 0, {0}, 0, {0}, 0},
	{"the largest run", UINT32_MAX, {1}, 1, {1, UINT32_MAX - 1}, 2},
};

static void check_cut(const struct cut *cut, bool write)
{
	struct vqsim_element out[ROOM];
	uint64_t gpa = GPA;
	unsigned count =
		vqsim_chain_cut(out, ROOM, GPA, cut->size, write, cut->sizes, cut->size_count);

	if (count != cut->len_count)
		fail_msg("%s: %u elements", cut->name, count);
	for (unsigned i = 0; i < count; i++) {
		if (out[i].len != cut->lens[i] || out[i].gpa != gpa || out[i].write != write)
			fail_msg("%s: element %u is wrong", cut->name, i);
		gpa += out[i].len;
	}
	assert_int_equal(gpa, GPA + cut->size);
}

static void elements_cover_the_run_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		check_cut(&cuts[i], false);
		check_cut(&cuts[i], true);
	}
}

static void more_elements_than_there_is_room_for_end_the_process(void **state)
{
	static const uint32_t sizes[] = {1, 1};
	struct vqsim_element out[3];

	(void)state;
	assert_int_equal(vqsim_chain_cut(out, 3, GPA, 3, false, sizes, 2), 3);
	assert_aborts(vqsim_chain_cut(out, 2, GPA, 3, false, sizes, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_cover_the_run_in_order),
		cmocka_unit_test(more_elements_than_there_is_room_for_end_the_process),
	};

	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
