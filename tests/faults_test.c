/* SPDX-License-Identifier: BSD-3-Clause */
/* The wrapper store itself: what it delays, fails, tears, refuses and loses. */
#include <errno.h>

#include "tests/support/bench.h"
#include "vqsim/faults.h"

#define SECTORS 16u

struct fixture {
	struct vqsim_faults *faults;
	struct blk_store_queue *queues[2];
	unsigned done;
	uint8_t order[8]; /* of done, by the first byte of the data */
};

static struct fixture *current;

static void note_done(struct blk_io *io)
{
	const uint8_t *data = io->data.iov->iov_base;

	current->order[current->done++] = data[0];
}

static struct blk_io io_at(enum blk_op op, uint64_t sector, struct iovec *iov)
{
	return (struct blk_io){
		.op = op,
		.offset = sector * 512,
		.size = iov->iov_len,
		.data = {iov, 1, 0, iov->iov_len},
		.done = note_done,
	};
}

static enum blk_submit submit(struct fixture *f, unsigned queue, struct blk_io *io)
{
	return f->faults->base.ops->submit(f->queues[queue], io);
}

static unsigned poll(struct fixture *f, unsigned queue)
{
	return f->faults->base.ops->poll(f->queues[queue]);
}

/* A number of operations, each of one sector that is filled with its number. */
struct batch {
	uint8_t data[8][512];
	struct iovec iov[8];
	struct blk_io io[8];
};

static void write_some(struct fixture *f, struct batch *batch, unsigned count, unsigned queues)
{
	for (unsigned i = 0; i < count; i++) {
		memset(batch->data[i], (int)(1 + i), 512);
		batch->iov[i] = (struct iovec){batch->data[i], 512};
		batch->io[i] = io_at(BLK_OP_WRITE, i, &batch->iov[i]);
		assert_int_equal(submit(f, i % queues, &batch->io[i]), BLK_QUEUED);
	}
}

static void operations_are_released_one_by_one(void **state)
{
	static const uint8_t order[] = {4, 2, 1, 3};
	struct fixture *f = *state;
	struct batch batch;

	f->faults->hold = true;
	f->faults->let_go = 0;
	write_some(f, &batch, 4, 2);
	assert_int_equal(poll(f, 0) + poll(f, 1), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(vqsim_faults_release(f->faults, order[i]));
		assert_false(vqsim_faults_release(f->faults, order[i]));
		/* The even numbers are in queue 1. */
		assert_int_equal(poll(f, order[i] % 2), 0);
		assert_int_equal(poll(f, order[i] % 2 == 0), 1);
	}
	assert_memory_equal(f->order, order, sizeof(order));
	assert_int_equal(f->faults->held, 0);
}

static void held_operations_are_counted_in_order(void **state)
{
	struct fixture *f = *state;
	struct batch batch;

	f->faults->hold = true;
	f->faults->let_go = 0;
	assert_int_equal(vqsim_faults_held(f->faults, 0), 0);
	write_some(f, &batch, 5, 2);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(vqsim_faults_held(f->faults, i), 1 + i);
	assert_int_equal(vqsim_faults_held(f->faults, 5), 0);
	assert_true(vqsim_faults_release(f->faults, 2));
	assert_int_equal(vqsim_faults_held(f->faults, 1), 3);
	assert_false(vqsim_faults_release(f->faults, 9));
	f->faults->let_go = VQSIM_FAULTS_ALL;
	assert_int_equal(poll(f, 0) + poll(f, 1), 5);
}

/* A write that is torn leaves its first bytes; a read that is short brings its first bytes. */
static void a_failure_may_have_moved_a_part(void **state)
{
	struct fixture *f = *state;
	uint8_t data[1024], got[1024];
	struct iovec iov = {data, sizeof(data)}, back = {got, sizeof(got)};
	struct blk_io write = io_at(BLK_OP_WRITE, 2, &iov), read = io_at(BLK_OP_READ, 2, &back);

	memset(data, 0x77, sizeof(data));
	f->faults->fail_at = 1;
	f->faults->part = 700;
	f->faults->error = -ENOSPC;
	assert_int_equal(submit(f, 0, &write), BLK_SUBMITTED_DONE);
	assert_int_equal(write.result, -ENOSPC);
	assert_int_equal(submit(f, 0, &read), BLK_SUBMITTED_DONE);
	assert_int_equal(read.result, 0);
	assert_memory_equal(got, data, 700);
	assert_int_equal(got[700], bench_disk_byte(2 * 512 + 700));

	memset(got, 0, sizeof(got));
	f->faults->fail_at = 3;
	assert_int_equal(submit(f, 0, &read), BLK_SUBMITTED_DONE);
	assert_int_equal(read.result, -ENOSPC);
	assert_memory_equal(got, data, 700);
	assert_int_equal(got[700], 0);
}

static void a_power_cut_takes_what_was_not_flushed(void **state)
{
	struct fixture *f = *state;
	uint8_t data[512], got[512];
	struct iovec iov = {data, sizeof(data)};
	struct blk_io write = io_at(BLK_OP_WRITE, 3, &iov);
	struct blk_io flush = {.op = BLK_OP_FLUSH, .done = note_done};

	memset(data, 0x11, sizeof(data));
	submit(f, 0, &write);
	submit(f, 0, &flush);
	memset(data, 0x22, sizeof(data));
	submit(f, 0, &write);
	for (unsigned i = 0; i < 2; i++)
		f->faults->base.ops->queue_close(f->queues[i]);
	assert_int_equal(vqsim_faults_power_cut(f->faults), 0);
	for (unsigned i = 0; i < 2; i++)
		f->queues[i] = f->faults->base.ops->queue_open(&f->faults->base, 8);
	assert_int_equal(bench_store_do(&f->faults->base, BLK_OP_READ, 3 * 512, got, 512), 0);
	assert_int_equal(got[0], 0x11);
	assert_int_equal(got[511], 0x11);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->faults = vqsim_faults_create(bench_store_create(SECTORS));
	assert_non_null(f->faults);
	for (unsigned i = 0; i < 2; i++)
		f->queues[i] = f->faults->base.ops->queue_open(&f->faults->base, 8);
	current = f;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++)
		f->faults->base.ops->queue_close(f->queues[i]);
	f->faults->base.ops->destroy(&f->faults->base);
	test_free(f);
	return 0;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(operations_are_released_one_by_one),
		WITH(held_operations_are_counted_in_order),
		WITH(a_failure_may_have_moved_a_part),
		WITH(a_power_cut_takes_what_was_not_flushed),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
