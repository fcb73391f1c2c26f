/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows on iovecs: cut anywhere, they hold the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/iov.h"

static char text[] = "0123456789";

/* "0123456789" as pieces of the given sizes; zero sizes are pieces too. */
static size_t cut(struct iovec *iov, const size_t *sizes, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		iov[i] = (struct iovec){text + at, sizes[i]};
		at += sizes[i];
	}
	return at;
}

static const struct {
	size_t sizes[11];
	size_t count;
} cuts[] = {
	{{10}, 1},   {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 10}, {{3, 0, 0, 7}, 4}, {{0, 9, 1}, 3},
	{{5, 5}, 2},
};

static void window_holds_the_same_bytes_however_they_are_cut(void **state)
{
	struct iovec iov[11];
	char seen[11];

	(void)state;
	for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
		assert_int_equal(cut(iov, cuts[c].sizes, cuts[c].count), 10);
		for (size_t offset = 0; offset <= 10; offset++) {
			for (size_t size = 0; size <= 10 - offset; size++) {
				struct iov_window w = iov_window(iov, cuts[c].count, offset, size);

				assert_int_equal(w.size, size);
				assert_int_equal(iov_window_read(&w, seen, sizeof(seen)), size);
				assert_memory_equal(seen, &text[offset], size);
			}
		}
	}
}

static void part_of_a_window_counts_from_its_start(void **state)
{
	struct iovec iov[11];
	struct iov_window w, part;
	char seen[4];

	(void)state;
	cut(iov, cuts[2].sizes, cuts[2].count);
	w = iov_window(iov, cuts[2].count, 2, 7);
	part = iov_window_part(&w, 1, 4);
	assert_int_equal(iov_window_read(&part, seen, 4), 4);
	assert_memory_equal(seen, "3456", 4);
}

static void read_stops_at_the_end_of_buffer_or_window(void **state)
{
	struct iovec iov = {text, 10};
	struct iov_window w = iov_window(&iov, 1, 0, 4);
	char seen[8] = "........";

	(void)state;
	assert_int_equal(iov_window_read(&w, seen, 2), 2);
	assert_memory_equal(seen, "01......", 8);
	assert_int_equal(iov_window_read(&w, seen, 8), 4);
	assert_memory_equal(seen, "0123....", 8);
}

static void write_touches_the_window_alone(void **state)
{
	char bytes[] = "..........";
	struct iovec iov[] = {{bytes, 3}, {bytes + 3, 0}, {bytes + 3, 7}};
	struct iov_window w = iov_window(iov, 3, 2, 4);

	(void)state;
	assert_int_equal(iov_window_write(&w, "abcdefgh", 8), 4);
	assert_string_equal(bytes, "..abcd....");
}

static void export_gives_the_elements_and_says_when_they_do_not_fit(void **state)
{
	struct iovec iov[11], out[4];
	struct iov_window w;
	size_t size;

	(void)state;
	cut(iov, cuts[0].sizes, cuts[0].count);
	w = iov_window(iov, 1, 3, 5);
	assert_int_equal(iov_window_export(&w, out, 4, &size), 1);
	assert_ptr_equal(out[0].iov_base, text + 3);
	assert_int_equal(out[0].iov_len, 5);
	assert_int_equal(size, 5);

	cut(iov, cuts[1].sizes, cuts[1].count);
	w = iov_window(iov, 10, 0, 10);
	assert_int_equal(iov_window_export(&w, out, 4, &size), 4);
	assert_int_equal(size, 4);
	iov_window_advance(&w, size);
	assert_int_equal(iov_window_export(&w, out, 4, &size), 4);
	assert_ptr_equal(out[0].iov_base, text + 4);
}

static void advance_stops_at_the_end(void **state)
{
	struct iovec iov = {text, 10};
	struct iov_window w = iov_window(&iov, 1, 0, 10);
	char seen;

	(void)state;
	iov_window_advance(&w, 99);
	assert_int_equal(w.size, 0);
	assert_int_equal(iov_window_read(&w, &seen, 1), 0);
}

static void empty_window_needs_no_element(void **state)
{
	struct iov_window w = iov_window(NULL, 0, 0, 0);
	struct iovec out;
	size_t size = 99;

	(void)state;
	assert_int_equal(iov_window_export(&w, &out, 1, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(iov_window_write(&w, "x", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_holds_the_same_bytes_however_they_are_cut),
		cmocka_unit_test(part_of_a_window_counts_from_its_start),
		cmocka_unit_test(read_stops_at_the_end_of_buffer_or_window),
		cmocka_unit_test(write_touches_the_window_alone),
		cmocka_unit_test(export_gives_the_elements_and_says_when_they_do_not_fit),
		cmocka_unit_test(advance_stops_at_the_end),
		cmocka_unit_test(empty_window_needs_no_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
