/* SPDX-License-Identifier: BSD-3-Clause */
/* The model of a disk: what a read must return and what must survive a loss of power. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vqsim/referee/disk.h"

#define SECTORS 8u
#define SIZE    (SECTORS * VQSIM_DISK_SECTOR)

struct fixture {
	struct vqsim_referee referee;
	struct vqsim_disk disk;
	uint8_t image[SIZE];
};

static void forget(void *opaque, const struct vqsim_violation *violation)
{
	(void)opaque;
	(void)violation;
}

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(vqsim_referee_init(&f->referee, NULL), 0);
	f->referee.sink = forget;
	assert_int_equal(vqsim_disk_init(&f->disk, &f->referee, SIZE), 0);
	*state = f;
	return 0;
}

static int unmake(void **state)
{
	struct fixture *f = *state;

	vqsim_disk_finish(&f->disk);
	vqsim_referee_finish(&f->referee);
	free(f);
	return 0;
}

/* One request with its data: every byte of it is value. */
struct io {
	struct vqsim_disk_request request;
	uint8_t data[SIZE];
};

static void start(struct fixture *f, struct io *io, enum vqsim_disk_op op, uint64_t sector,
		  uint64_t count, uint8_t value)
{
	memset(io->data, value, sizeof(io->data));
	io->request = (struct vqsim_disk_request){
		.op = op, .sector = sector, .count = count, .data = io->data};
	vqsim_disk_start(&f->disk, &io->request);
}

static void done(struct fixture *f, struct io *io, bool ok)
{
	vqsim_disk_done(&f->disk, &io->request, ok, 0);
}

static void do_io(struct fixture *f, enum vqsim_disk_op op, uint64_t sector, uint64_t count,
		  uint8_t value)
{
	struct io io;

	start(f, &io, op, sector, count, value);
	done(f, &io, true);
}

static void do_write(struct fixture *f, uint64_t sector, uint64_t count, uint8_t value)
{
	do_io(f, VQSIM_DISK_WRITE, sector, count, value);
}

static void do_flush(struct fixture *f)
{
	do_io(f, VQSIM_DISK_FLUSH, 0, 0, 0);
}

/* Whether a read that returns value is taken for right. */
static bool accepts(struct fixture *f, uint64_t sector, uint64_t count, uint8_t value)
{
	uint64_t before = f->referee.counts[VQSIM_RULE_DATA];

	do_io(f, VQSIM_DISK_READ, sector, count, value);
	return f->referee.counts[VQSIM_RULE_DATA] == before;
}

/* How many sectors of a disk full of value are not as they must be after a loss of power. */
static uint64_t lost_if_all_is(struct fixture *f, uint8_t value)
{
	uint64_t before = f->referee.counts[VQSIM_RULE_DURABLE], lost;

	memset(f->image, value, SIZE);
	lost = vqsim_disk_check_durable(&f->disk, f->image);
	assert_int_equal(f->referee.counts[VQSIM_RULE_DURABLE], before + lost);
	return lost;
}

static void read_returns_what_was_written_last(void **state)
{
	struct fixture *f = *state;

	do_write(f, 2, 3, 'a');
	do_write(f, 3, 1, 'b');
	assert_true(accepts(f, 2, 1, 'a'));
	assert_true(accepts(f, 3, 1, 'b'));
	assert_true(accepts(f, 4, 1, 'a'));
	assert_false(accepts(f, 3, 1, 'a'));
	assert_false(accepts(f, 2, 3, 'a'));
}

static void wrong_read_names_sector_and_byte(void **state)
{
	struct fixture *f = *state;
	struct io io;

	do_write(f, 0, 4, 'a');
	start(f, &io, VQSIM_DISK_READ, 1, 2, 'a');
	io.data[VQSIM_DISK_SECTOR + 7] = 'x';
	vqsim_disk_done(&f->disk, &io.request, true, 3);
	assert_int_equal(f->referee.violations, 1);
	assert_int_equal(f->referee.first.rule, VQSIM_RULE_DATA);
	assert_int_equal(f->referee.first.queue, 3);
	assert_string_equal(f->referee.first.detail, "1 sectors differ, the first is 2: byte 7 is "
						     "0x78, written was 0x61");
}

static void unknown_content_is_settled_by_the_first_read(void **state)
{
	struct fixture *f = *state;

	assert_true(accepts(f, 5, 1, 'q'));
	assert_true(accepts(f, 5, 1, 'q'));
	assert_false(accepts(f, 5, 1, 'r'));
}

static void known_content_is_compared_and_durable(void **state)
{
	struct fixture *f = *state;
	uint8_t content[2 * VQSIM_DISK_SECTOR];

	memset(content, 'k', sizeof(content));
	vqsim_disk_know(&f->disk, 0, NULL, SIZE);
	vqsim_disk_know(&f->disk, VQSIM_DISK_SECTOR, content, sizeof(content));
	assert_true(accepts(f, 0, 1, 0));
	assert_true(accepts(f, 1, 2, 'k'));
	assert_true(accepts(f, 3, 5, 0));
	assert_false(accepts(f, 2, 1, 0));
	assert_int_equal(lost_if_all_is(f, 0), 2);
}

static void failed_read_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct io io;

	do_write(f, 0, 1, 'a');
	start(f, &io, VQSIM_DISK_READ, 0, 1, 'x');
	done(f, &io, false);
	assert_int_equal(f->referee.violations, 0);
}

static void read_during_a_write_may_return_either(void **state)
{
	struct fixture *f = *state;
	struct io write, read;

	do_write(f, 0, 4, 'a');
	start(f, &write, VQSIM_DISK_WRITE, 1, 1, 'b');
	assert_true(accepts(f, 1, 1, 'a'));
	assert_true(accepts(f, 1, 1, 'b'));
	start(f, &read, VQSIM_DISK_READ, 1, 1, 'a');
	done(f, &write, true);
	done(f, &read, true);
	assert_int_equal(f->referee.violations, 0);
	assert_false(accepts(f, 1, 1, 'a'));
	assert_true(accepts(f, 1, 1, 'b'));
}

static void read_during_a_write_is_compared_outside_of_it(void **state)
{
	struct fixture *f = *state;
	struct io write;

	do_write(f, 0, 4, 'a');
	start(f, &write, VQSIM_DISK_WRITE, 1, 1, 'b');
	assert_false(accepts(f, 1, 2, 'b'));
	done(f, &write, true);
}

static void overlapping_writes_leave_either(void **state)
{
	struct fixture *f = *state;
	struct io first, second;

	do_write(f, 0, 8, 'o');
	start(f, &first, VQSIM_DISK_WRITE, 0, 4, 'a');
	start(f, &second, VQSIM_DISK_WRITE, 2, 4, 'b');
	done(f, &second, true);
	done(f, &first, true);
	assert_true(accepts(f, 0, 2, 'a'));
	assert_true(accepts(f, 4, 2, 'b'));
	assert_true(accepts(f, 6, 2, 'o'));
	/* Where both wrote, what is read first holds. */
	assert_true(accepts(f, 2, 1, 'a'));
	assert_true(accepts(f, 3, 1, 'b'));
	assert_false(accepts(f, 2, 1, 'b'));
}

static void write_after_an_overlap_is_exact_again(void **state)
{
	struct fixture *f = *state;
	struct io first, second;

	start(f, &first, VQSIM_DISK_WRITE, 0, 1, 'a');
	start(f, &second, VQSIM_DISK_WRITE, 0, 1, 'b');
	done(f, &first, true);
	done(f, &second, true);
	do_write(f, 0, 1, 'c');
	assert_false(accepts(f, 0, 1, 'b'));
}

static void failed_write_leaves_anything(void **state)
{
	struct fixture *f = *state;
	struct io io;

	do_write(f, 0, 2, 'a');
	start(f, &io, VQSIM_DISK_WRITE, 0, 1, 'b');
	done(f, &io, false);
	assert_true(accepts(f, 0, 1, 'x'));
	assert_false(accepts(f, 1, 1, 'x'));
	do_flush(f);
	assert_int_equal(lost_if_all_is(f, 'a'), 0);
	assert_int_equal(lost_if_all_is(f, 'z'), 1);
}

static void discard_leaves_anything_and_zeroes_are_zero(void **state)
{
	struct fixture *f = *state;

	do_write(f, 0, 8, 'a');
	do_io(f, VQSIM_DISK_DISCARD, 0, 2, 0);
	do_io(f, VQSIM_DISK_WRITE_ZEROES, 2, 2, 0xff);
	assert_true(accepts(f, 0, 2, 'x'));
	assert_true(accepts(f, 2, 2, 0));
	assert_false(accepts(f, 3, 1, 'a'));
	assert_true(accepts(f, 4, 4, 'a'));
	do_flush(f);
	assert_int_equal(lost_if_all_is(f, 0), 4);
	assert_int_equal(lost_if_all_is(f, 'a'), 2);
}

static void write_is_durable_after_a_flush(void **state)
{
	struct fixture *f = *state;

	do_write(f, 0, 3, 'a');
	assert_int_equal(lost_if_all_is(f, 0), 0);
	do_flush(f);
	assert_int_equal(lost_if_all_is(f, 0), 3);
	assert_int_equal(lost_if_all_is(f, 'a'), 0);
}

static void failed_flush_makes_nothing_durable(void **state)
{
	struct fixture *f = *state;
	struct io flush;

	do_write(f, 0, 1, 'a');
	start(f, &flush, VQSIM_DISK_FLUSH, 0, 0, 0);
	done(f, &flush, false);
	assert_int_equal(lost_if_all_is(f, 0), 0);
	do_flush(f);
	assert_int_equal(lost_if_all_is(f, 0), 1);
}

/* BLK-D-21: only what was completed before the flush was sent. */
static void write_that_completes_during_a_flush_is_not_covered(void **state)
{
	struct fixture *f = *state;
	struct io flush, write;

	start(f, &write, VQSIM_DISK_WRITE, 0, 1, 'a');
	start(f, &flush, VQSIM_DISK_FLUSH, 0, 0, 0);
	done(f, &write, true);
	done(f, &flush, true);
	assert_int_equal(lost_if_all_is(f, 0), 0);
	do_flush(f);
	assert_int_equal(lost_if_all_is(f, 0), 1);
}

static void write_in_flight_may_replace_what_was_flushed(void **state)
{
	struct fixture *f = *state;
	struct io write;

	do_write(f, 0, 2, 'a');
	start(f, &write, VQSIM_DISK_WRITE, 0, 1, 'b');
	do_flush(f);
	assert_int_equal(lost_if_all_is(f, 'b'), 1);
	done(f, &write, true);
	assert_int_equal(lost_if_all_is(f, 'a'), 0);
	assert_int_equal(lost_if_all_is(f, 'b'), 1);
}

/* BLK-D-19, BLK-D-20. */
static void fua_write_is_durable_when_done(void **state)
{
	struct fixture *f = *state;
	struct io write;

	start(f, &write, VQSIM_DISK_WRITE, 4, 2, 'a');
	write.request.fua = true;
	assert_int_equal(lost_if_all_is(f, 0), 0);
	done(f, &write, true);
	assert_int_equal(lost_if_all_is(f, 0), 2);
	do_write(f, 4, 1, 'b');
	assert_int_equal(lost_if_all_is(f, 0), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
	const struct CMUnitTest tests[] = {
		TEST(read_returns_what_was_written_last),
		TEST(wrong_read_names_sector_and_byte),
		TEST(unknown_content_is_settled_by_the_first_read),
		TEST(known_content_is_compared_and_durable),
		TEST(failed_read_says_nothing),
		TEST(read_during_a_write_may_return_either),
		TEST(read_during_a_write_is_compared_outside_of_it),
		TEST(overlapping_writes_leave_either),
		TEST(write_after_an_overlap_is_exact_again),
		TEST(failed_write_leaves_anything),
		TEST(discard_leaves_anything_and_zeroes_are_zero),
		TEST(write_is_durable_after_a_flush),
		TEST(failed_flush_makes_nothing_durable),
		TEST(write_that_completes_during_a_flush_is_not_covered),
		TEST(write_in_flight_may_replace_what_was_flushed),
		TEST(fua_write_is_durable_when_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
