/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file store makes durable goes through the kernel: on a thread for which the kernel
 * refuses to sync (a seccomp filter holds for the thread that installs it, and for no other), every
 * request that promises durability must report it, and what failed once stays failed.
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/bench.h"

#define DISK_SIZE (256 * 1024u)
#define DSYNC     0x2u    /* RWF_DSYNC */
#define REFUSED   INT_MAX /* no errno and no status: the kernel takes no filter */

/* What the kernel does to the calls of a thread. */
struct kernel {
	int sync;  /* errno of fdatasync, fsync and sync_file_range; 0: they work */
	int dsync; /* errno of pwritev2 with RWF_DSYNC */
};

static int install(const struct kernel *kernel)
{
	const unsigned allow = SECCOMP_RET_ALLOW;
	const unsigned sync = kernel->sync ? SECCOMP_RET_ERRNO | (unsigned)kernel->sync : allow;
	const unsigned dsync = kernel->dsync ? SECCOMP_RET_ERRNO | (unsigned)kernel->dsync : allow;
	const unsigned flags_at =
		offsetof(struct seccomp_data, args[5]) + (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0);
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync_file_range, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags_at),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, DSYNC, 2, 0),
		BPF_STMT(BPF_RET | BPF_K, allow),
		BPF_STMT(BPF_RET | BPF_K, sync),
		BPF_STMT(BPF_RET | BPF_K, dsync),
	};
	struct sock_fprog program = {.len = COUNT_OF(filter), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return REFUSED;
	return 0;
}

/* Something to do under a kernel. */
struct job {
	const struct kernel *kernel;
	int (*run)(void *opaque);
	void *opaque;
	int result;
};

static void *job_thread(void *opaque)
{
	struct job *job = opaque;

	job->result = install(job->kernel);
	if (job->result == 0)
		job->result = job->run(job->opaque);
	return NULL;
}

/* What run returned; the test is skipped where filters are not to be had. */
static int run_under(const struct kernel *kernel, int (*run)(void *opaque), void *opaque)
{
	struct job job = {.kernel = kernel, .run = run, .opaque = opaque};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, job_thread, &job), 0);
	pthread_join(thread, NULL);
	if (job.result == REFUSED)
		skip();
	return job.result;
}

static struct blk_store *store_create(void)
{
	const char *folder = getenv("TMPDIR");
	struct blk_store *store;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/blk_sync_test.XXXXXX", folder ? folder : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	assert_int_equal(blk_store_file_create(&store, path, 0), 0);
	close(fd);
	unlink(path);
	return store;
}

/* The store alone */

struct operation {
	struct blk_store *store;
	enum blk_op op;
	unsigned flags;
};

static int carry_out(void *opaque)
{
	static uint8_t data[4096];
	const struct operation *o = opaque;
	struct blk_store_queue *queue = o->store->ops->queue_open(o->store, 1);
	struct iovec iov = {data, sizeof(data)};
	struct blk_io io = {.op = o->op, .flags = o->flags, .offset = 8192};

	if (!queue)
		return -ENOMEM;
	io.size = o->op == BLK_OP_FLUSH ? 0 : sizeof(data);
	if (o->op == BLK_OP_WRITE || o->op == BLK_OP_READ)
		io.data = (struct iov_window){&iov, 1, 0, sizeof(data)};
	/* A file store is done when submit returns. */
	if (o->store->ops->submit(queue, &io) != BLK_SUBMITTED_DONE)
		io.result = -ENOSYS;
	o->store->ops->queue_close(queue);
	return io.result;
}

static const struct kernel works = {0, 0};
static const struct kernel cannot_sync = {EIO, EIO};

static void what_promises_durability_reports_a_failed_sync(void **state)
{
	static const struct {
		struct kernel kernel;
		enum blk_op op;
		unsigned flags;
		int result;
	} rows[] = {
		{{EIO, 0}, BLK_OP_FLUSH, 0, -EIO},
		{{EIO, EIO}, BLK_OP_FLUSH, 0, -EIO},
		{{ENOSPC, 0}, BLK_OP_FLUSH, 0, -ENOSPC},
		{{EIO, EIO}, BLK_OP_WRITE, BLK_IO_FUA, -EIO},
		/* The file system knows no RWF_DSYNC: then the file is synced. */
		{{EIO, EOPNOTSUPP}, BLK_OP_WRITE, BLK_IO_FUA, -EIO},
		{{0, EOPNOTSUPP}, BLK_OP_WRITE, BLK_IO_FUA, 0},
		{{EIO, EIO}, BLK_OP_DISCARD, BLK_IO_FUA, -EIO},
		{{EIO, EIO}, BLK_OP_WRITE_ZEROES, BLK_IO_FUA, -EIO},
		{{EIO, EIO}, BLK_OP_WRITE_ZEROES, BLK_IO_FUA | BLK_IO_UNMAP, -EIO},
		/* What promises nothing asks for nothing: the filter is not too wide. */
		{{EIO, EIO}, BLK_OP_READ, 0, 0},
		{{EIO, EIO}, BLK_OP_WRITE, 0, 0},
		{{EIO, EIO}, BLK_OP_DISCARD, 0, 0},
		{{EIO, EIO}, BLK_OP_WRITE_ZEROES, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct operation o = {store_create(), rows[i].op, rows[i].flags};

		assert_int_equal(run_under(&works, carry_out, &o), 0);
		assert_int_equal(run_under(&rows[i].kernel, carry_out, &o), rows[i].result);
		o.store->ops->destroy(o.store);
	}
}

/*
 * The kernel tells a descriptor once that it could not write back, and what it could not write
 * back may be anybody's: a later FLUSH must not say that all is well, on whatever queue and thread.
 */
static void failed_sync_stays(void **state)
{
	static const struct {
		struct kernel kernel;
		enum blk_op op;
		unsigned flags;
	} rows[] = {
		{{EIO, EIO}, BLK_OP_FLUSH, 0},
		{{EIO, EOPNOTSUPP}, BLK_OP_WRITE, BLK_IO_FUA},
		{{EIO, EIO}, BLK_OP_DISCARD, BLK_IO_FUA},
		{{EIO, EIO}, BLK_OP_WRITE_ZEROES, BLK_IO_FUA},
		/* RWF_DSYNC syncs the file as fdatasync does, and takes the error as well. */
		{{0, EIO}, BLK_OP_WRITE, BLK_IO_FUA},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct operation fails = {store_create(), rows[i].op, rows[i].flags};
		struct operation flush = {fails.store, BLK_OP_FLUSH, 0};
		struct operation read = {fails.store, BLK_OP_READ, 0};

		assert_int_equal(carry_out(&flush), 0);
		assert_int_equal(run_under(&rows[i].kernel, carry_out, &fails), -EIO);
		if (carry_out(&flush) != -EIO || carry_out(&flush) != -EIO)
			fail_msg("row %zu: the error is forgotten", i);
		assert_int_equal(carry_out(&read), 0);
		fails.store->ops->destroy(fails.store);
	}
}

/* One store that failed says nothing about another. */
static void failed_sync_is_of_one_store(void **state)
{
	struct operation a = {store_create(), BLK_OP_FLUSH, 0};
	struct operation b = {store_create(), BLK_OP_FLUSH, 0};

	(void)state;
	assert_int_equal(run_under(&cannot_sync, carry_out, &a), -EIO);
	assert_int_equal(carry_out(&b), 0);
	a.store->ops->destroy(a.store);
	b.store->ops->destroy(b.store);
}

/* The whole device */

struct ask {
	struct bench *bench;
	struct vqsim_blk_request request;
	uint16_t queue;
};

/* Its status, or -1: it never came back. */
static int do_request(void *opaque)
{
	struct ask *ask = opaque;

	return vqsim_blk_do(&ask->bench->blk, ask->queue, &ask->request);
}

static struct ask ask_of(uint64_t without)
{
	struct ask ask = {.bench = bench_create(&(struct bench_options){.device = BENCH_BLK,
									.without = without,
									.blk = {.queue_count = 2},
									.store = store_create()})};

	assert_int_equal(vqsim_blk_request_init(&ask.bench->blk, &ask.request, 4096), 0);
	return ask;
}

static int ask_for(struct ask *ask, const struct kernel *kernel, uint16_t queue, uint32_t type)
{
	ask->queue = queue;
	ask->request.type = type;
	ask->request.sector = 8;
	ask->request.data_size = type == VIRTIO_BLK_T_FLUSH ? 0 : 4096;
	return run_under(kernel, do_request, ask);
}

static void finish(struct ask *ask)
{
	vqsim_blk_request_finish(&ask->request);
	bench_destroy(ask->bench);
}

static void flush_answers_ioerr_on_every_queue_from_then_on(void **state)
{
	struct ask ask = ask_of(0);

	(void)state;
	assert_int_equal(ask_for(&ask, &works, 0, VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_for(&ask, &works, 0, VIRTIO_BLK_T_FLUSH), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_for(&ask, &cannot_sync, 0, VIRTIO_BLK_T_FLUSH), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_for(&ask, &works, 0, VIRTIO_BLK_T_FLUSH), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_for(&ask, &works, 1, VIRTIO_BLK_T_FLUSH), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_for(&ask, &works, 1, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	finish(&ask);
}

/* Without FLUSH every write is durable when it is used (5.2.6.2). */
static void write_answers_ioerr_where_it_must_be_durable(void **state)
{
	struct ask ask = ask_of(VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));

	(void)state;
	assert_int_equal(ask_for(&ask, &works, 0, VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_for(&ask, &cannot_sync, 0, VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_for(&ask, &works, 1, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	finish(&ask);
}

/* With FLUSH, in writeback mode, no write waits for the medium. */
static void write_is_not_synced_before_the_flush(void **state)
{
	struct ask ask = ask_of(0);

	(void)state;
	assert_int_equal(ask_for(&ask, &cannot_sync, 0, VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_OK);
	assert_int_equal(vqsim_blk_set_writeback(&ask.bench->blk, false), 0);
	assert_int_equal(ask_for(&ask, &cannot_sync, 0, VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_IOERR);
	finish(&ask);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_promises_durability_reports_a_failed_sync),
		cmocka_unit_test(failed_sync_stays),
		cmocka_unit_test(failed_sync_is_of_one_store),
		cmocka_unit_test(flush_answers_ioerr_on_every_queue_from_then_on),
		cmocka_unit_test(write_answers_ioerr_where_it_must_be_durable),
		cmocka_unit_test(write_is_not_synced_before_the_flush),
	};

	return cmocka_run_group_tests_name("blk sync", tests, NULL, NULL);
}
