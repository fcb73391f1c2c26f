/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is on loan can be touched and nothing else, as AddressSanitizer sees it: against a
 * model that counts the loans of each byte. In other builds there is nothing to see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/loans_internal.h"
#include "vqsim/memory.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(HAS_ASAN)
#define HAS_ASAN 1
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define __asan_address_is_poisoned(at) ((void)(at), 0)
#endif

#define GPA     0x10000u
#define SIZE    (4u * 4096u)
#define GRANULE 8u
#define LISTS   24u
#define STEPS   4000u

static const struct vqsim_loan_purpose purpose = {3, 7, "buffer"};

struct fixture {
	struct vqsim_memory memory;
	struct vqsim_loans *loans;
	uint16_t model[2 * SIZE]; /* loans of each byte, of both regions */
	uint32_t random;
};

static void no_stray(void *opaque, const struct vqsim_stray *stray)
{
	(void)opaque;
	(void)stray;
}

static int set_up(void **state)
{
	static const struct vqsim_region regions[] = {{GPA, SIZE}, {GPA + SIZE, SIZE}};
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	if (vqsim_memory_init(&f.memory, regions, 2))
		return -1;
	f.loans = vqsim_loans_create(&f.memory, no_stray, NULL);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vqsim_loans_destroy(f->loans);
	vqsim_memory_finish(&f->memory);
	return 0;
}

static const uint8_t *device_at(const struct fixture *f, uint64_t offset)
{
	return f->memory.mappings[offset / SIZE].device + offset % SIZE;
}

static bool closed(const struct fixture *f, uint64_t offset)
{
	return __asan_address_is_poisoned(device_at(f, offset));
}

/* A byte on loan is open; one in a granule without any, closed. */
static void compare(const struct fixture *f)
{
	for (uint64_t i = 0; i < 2 * SIZE; i += GRANULE) {
		unsigned lent = 0;

		for (uint64_t j = i; j < i + GRANULE; j++) {
			lent += f->model[j];
			if (f->model[j] && closed(f, j))
				fail_msg("byte 0x%x is on loan and closed", (unsigned)j);
		}
		if (lent == 0 && !closed(f, i))
			fail_msg("byte 0x%x is not on loan and open", (unsigned)i);
	}
}

static uint32_t below(struct fixture *f, uint32_t limit)
{
	f->random = f->random * 1664525 + 1013904223;
	return (f->random >> 8) % limit;
}

static void count(struct fixture *f, uint64_t from, uint64_t size, int by)
{
	for (uint64_t i = from; i < from + size && i < 2 * SIZE; i++)
		f->model[i] = (uint16_t)(f->model[i] + by);
}

static void needs_asan(const struct fixture *f)
{
	if (!f->loans)
		skip();
}

static void bytes_on_loan_and_no_others_are_open(void **state)
{
	static const uint32_t sizes[] = {1, 8, 16, 100, 512, 4096, 2 * 4096, 5 * 4096};
	uint64_t from[LISTS] = {0}, size[LISTS] = {0};
	uint32_t list[LISTS] = {0};
	struct fixture *f = *state;

	needs_asan(f);
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t i = below(f, LISTS);

		if (size[i]) {
			vqsim_loans_end(f->loans, list[i], VQSIM_LOAN_USED);
			count(f, from[i], size[i], -1);
			size[i] = 0;
		} else {
			size[i] = 1 + below(f, sizes[below(f, 8)]);
			from[i] = below(f, 2 * SIZE) & (below(f, 2) ? ~0u : ~4095u);
			list[i] = vqsim_loans_lend(f->loans, 0, GPA + from[i], size[i], &purpose);
			count(f, from[i], size[i], 1);
		}
		if (step % 8 == 0)
			compare(f);
	}
	vqsim_loans_end_all(f->loans, VQSIM_LOAN_RESET);
	memset(f->model, 0, sizeof(f->model));
	compare(f);
}

static void the_end_of_a_loan_is_exact_to_the_byte(void **state)
{
	struct fixture *f = *state;

	needs_asan(f);
	for (unsigned size = 1; size <= 24; size++) {
		uint32_t list = vqsim_loans_lend(f->loans, 0, GPA + 64, size, &purpose);

		assert_true(closed(f, 63));
		assert_false(closed(f, 64 + size - 1));
		assert_true(closed(f, 64 + size));
		vqsim_loans_end(f->loans, list, VQSIM_LOAN_USED);
	}
}

static void loans_that_wrap_or_lie_outside_do_no_harm(void **state)
{
	static const uint64_t ranges[][2] = {
		{0, 1}, {0, GPA}, {GPA + 2 * SIZE, 1}, {UINT64_MAX, UINT64_MAX}, {GPA, 0},
	};
	struct fixture *f = *state;

	needs_asan(f);
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		vqsim_loans_lend(f->loans, 0, ranges[i][0], ranges[i][1], &purpose);
		compare(f);
	}
	vqsim_loans_lend(f->loans, 0, GPA + SIZE, UINT64_MAX, &purpose);
	count(f, SIZE, SIZE, 1);
	compare(f);
	vqsim_loans_lend_all(f->loans, 0);
	count(f, 0, 2 * SIZE, 1);
	compare(f);
}

static void the_loans_of_one_queue_end(void **state)
{
	const struct vqsim_loan_purpose other = {4, -1, "ring"};
	struct fixture *f = *state;

	needs_asan(f);
	vqsim_loans_lend(f->loans, 0, GPA, 5000, &purpose);
	vqsim_loans_lend(f->loans, 0, GPA + 4000, 5000, &other);
	vqsim_loans_end_queue(f->loans, purpose.queue, VQSIM_LOAN_QUEUE_RESET);
	count(f, 4000, 5000, 1);
	compare(f);
	vqsim_loans_end_queue(f->loans, purpose.queue, VQSIM_LOAN_QUEUE_RESET);
	compare(f);
}

static void memory_that_nobody_watches_is_open(void **state)
{
	struct fixture *f = *state;

	vqsim_loans_destroy(f->loans);
	f->loans = NULL;
	for (uint64_t i = 0; i < 2 * SIZE; i += GRANULE)
		assert_false(closed(f, i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_on_loan_and_no_others_are_open),
		TEST(the_end_of_a_loan_is_exact_to_the_byte),
		TEST(loans_that_wrap_or_lie_outside_do_no_harm),
		TEST(the_loans_of_one_queue_end),
		TEST(memory_that_nobody_watches_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
