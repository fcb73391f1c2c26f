/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues on threads of their own, a tree that ends calls on yet another one, INTERRUPTs,
 * and sessions that end in the middle of it. What is asserted: each message is answered once,
 * and the tree is started and reset with nobody in it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/support/fuse_bench.h"

#define MESSAGES 4000u
#define HELD     64u

/* A tree with one operation, STATFS, of which the call's node says how it goes. */
struct slow_tree {
	struct fs_tree base;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct fs_call *held[HELD];
	unsigned count;
	unsigned inside; /* threads in operations; atomic */
	bool stop;
	unsigned resets;
};

enum {
	AT_ONCE,
	LATER,
	LONG, /* until it is cancelled */
	KINDS,
};

static struct slow_tree *to_slow(struct fs_tree *tree)
{
	return (struct slow_tree *)tree;
}

static int slow_statfs(struct fs_tree *tree, struct fs_call *call)
{
	struct slow_tree *slow = to_slow(tree);
	uint64_t kind = call->node;

	__atomic_fetch_add(&slow->inside, 1, __ATOMIC_SEQ_CST);
	memset(&call->statvfs, 0, sizeof(call->statvfs));
	if (kind != AT_ONCE) {
		pthread_mutex_lock(&slow->lock);
		if (slow->count == HELD)
			abort();
		slow->held[slow->count++] = call;
		pthread_cond_signal(&slow->more);
		pthread_mutex_unlock(&slow->lock);
	}
	__atomic_fetch_sub(&slow->inside, 1, __ATOMIC_SEQ_CST);
	return kind == AT_ONCE ? 0 : FS_LATER;
}

/* Take call i away, or NULL. lock */
static struct fs_call *take(struct slow_tree *slow, unsigned i)
{
	struct fs_call *call = slow->held[i];

	slow->held[i] = slow->held[--slow->count];
	return call;
}

static void slow_cancel(struct fs_tree *tree, struct fs_call *call)
{
	struct slow_tree *slow = to_slow(tree);
	struct fs_call *found = NULL;

	pthread_mutex_lock(&slow->lock);
	for (unsigned i = 0; i < slow->count && !found; i++)
		if (slow->held[i] == call)
			found = take(slow, i);
	pthread_mutex_unlock(&slow->lock);
	if (found)
		found->done(found, -EINTR);
}

static struct fs_call *next_to_end(struct slow_tree *slow)
{
	for (unsigned i = 0; i < slow->count; i++)
		if (slow->held[i]->node == LATER)
			return take(slow, i);
	return NULL;
}

static void *end_calls(void *opaque)
{
	struct slow_tree *slow = opaque;

	pthread_mutex_lock(&slow->lock);
	while (!slow->stop) {
		struct fs_call *call = next_to_end(slow);

		if (!call) {
			pthread_cond_wait(&slow->more, &slow->lock);
			continue;
		}
		pthread_mutex_unlock(&slow->lock);
		call->done(call, 0);
		pthread_mutex_lock(&slow->lock);
	}
	pthread_mutex_unlock(&slow->lock);
	return NULL;
}

static void slow_limits(struct fs_tree *tree, struct fs_tree_limits *limits)
{
	(void)tree;
	memset(limits, 0, sizeof(*limits));
}

static void must_be_empty(struct slow_tree *slow)
{
	if (__atomic_load_n(&slow->inside, __ATOMIC_SEQ_CST) != 0)
		abort();
	pthread_mutex_lock(&slow->lock);
	if (slow->count != 0)
		abort();
	pthread_mutex_unlock(&slow->lock);
}

static void slow_start(struct fs_tree *tree, uint64_t flags)
{
	(void)flags;
	must_be_empty(to_slow(tree));
}

static void slow_reset(struct fs_tree *tree)
{
	must_be_empty(to_slow(tree));
	to_slow(tree)->resets++;
}

static void slow_forget(struct fs_tree *tree, uint64_t node, uint64_t count)
{
	(void)node;
	(void)count;
	__atomic_fetch_add(&to_slow(tree)->inside, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&to_slow(tree)->inside, 1, __ATOMIC_SEQ_CST);
}

static int slow_lookup(struct fs_tree *tree, struct fs_call *call)
{
	(void)tree;
	(void)call;
	return -ENOENT;
}

static const struct fs_tree_ops slow_ops = {
	.name = "slow",
	.limits = slow_limits,
	.start = slow_start,
	.reset = slow_reset,
	.forget = slow_forget,
	.lookup = slow_lookup,
	.getattr = slow_lookup,
	.statfs = slow_statfs,
	.cancel = slow_cancel,
};

/* A driver of one queue. */
struct driver {
	struct fs_session *session;
	struct fs_session_queue *queue;
	pthread_t thread;
	bool renews; /* it says INIT now and then */
	uint64_t base;
	unsigned answered;
	unsigned results[3]; /* good, EINTR, EIO */
};

struct exchange {
	struct fs_request request;
	struct driver *driver;
	bool busy;
	struct {
		struct fuse_in_header header;
		struct fuse_init_in init;
	} in;
	uint8_t out[128];
	struct iovec from, to;
};

static void answered(struct fs_request *request)
{
	struct exchange *exchange = (struct exchange *)request;
	struct driver *driver = exchange->driver;
	struct fuse_out_header header;

	memcpy(&header, exchange->out, sizeof(header));
	if (!exchange->busy || request->reply_size < sizeof(header) ||
	    header.unique != exchange->in.header.unique)
		abort();
	exchange->busy = false;
	driver->answered++;
	driver->results[header.error == 0 ? 0 : header.error == -EINTR ? 1 : 2]++;
}

static void submit(struct driver *driver, struct exchange *exchange, unsigned number)
{
	bool init = driver->renews && number % 50 == 0;
	size_t size = sizeof(exchange->in.header) + (init ? sizeof(exchange->in.init) : 0);

	exchange->driver = driver;
	exchange->busy = true;
	exchange->in.header = (struct fuse_in_header){
		.len = (uint32_t)size,
		.opcode = init ? FUSE_INIT : FUSE_STATFS,
		.unique = driver->base + number,
		.nodeid = number % KINDS,
	};
	exchange->in.init = (struct fuse_init_in){.major = 7, .minor = 45};
	exchange->from = (struct iovec){&exchange->in, size};
	exchange->to = (struct iovec){exchange->out, sizeof(exchange->out)};
	exchange->request = (struct fs_request){.in = {&exchange->from, 1, 0, size},
						.out = {&exchange->to, 1, 0, sizeof(exchange->out)},
						.done = answered};
	if (driver->session->ops->submit(driver->queue, &exchange->request) == FS_DONE)
		answered(&exchange->request);
}

static void wait_for_queue(struct driver *driver)
{
	struct pollfd fd = {.fd = driver->session->ops->poll_fd(driver->queue), .events = POLLIN};

	if (poll(&fd, 1, 20000) != 1)
		abort(); /* somebody forgot to wake the queue */
	driver->session->ops->poll(driver->queue);
}

static void *drive(void *opaque)
{
	struct driver *driver = opaque;
	struct exchange *exchanges = calloc(FUSE_BENCH_DEPTH, sizeof(*exchanges));

	for (unsigned number = 0; number < MESSAGES; number++) {
		struct exchange *exchange = &exchanges[number % FUSE_BENCH_DEPTH];

		while (exchange->busy) {
			/* What waits for ever stands in the way. */
			driver->session->ops->cancel(driver->queue);
			wait_for_queue(driver);
		}
		submit(driver, exchange, number);
	}
	while (driver->answered < MESSAGES) {
		driver->session->ops->cancel(driver->queue);
		wait_for_queue(driver);
	}
	free(exchanges);
	return NULL;
}

/* hiprio: INTERRUPTs for what may be there or not, and FORGETs. */
static void *annoy(void *opaque)
{
	struct driver *driver = opaque;

	for (unsigned i = 0; i < 4 * MESSAGES; i++) {
		struct {
			struct fuse_in_header header;
			uint64_t number;
		} in = {{.len = sizeof(in), .opcode = i % 2 ? FUSE_INTERRUPT : FUSE_FORGET},
			(UINT64_C(1) << 32) * (1 + i / 2 % 2) + i / 4};
		struct iovec from = {&in, sizeof(in)};
		struct fs_request request = {.in = {&from, 1, 0, sizeof(in)}, .done = answered};

		if (driver->session->ops->submit(driver->queue, &request) != FS_DONE)
			abort();
	}
	return NULL;
}

/* The first session, so that nobody is too early. */
static void begin(struct driver *driver)
{
	struct exchange exchange;

	submit(driver, &exchange, 0);
	assert_int_equal(driver->answered, 1);
	assert_int_equal(driver->results[0], 1);
	memset(driver->results, 0, sizeof(driver->results));
	driver->answered = 0;
}

static void threads_get_each_answer_once(void **state)
{
	struct slow_tree slow = {.base.ops = &slow_ops,
				 .lock = PTHREAD_MUTEX_INITIALIZER,
				 .more = PTHREAD_COND_INITIALIZER};
	struct driver drivers[3] = {{0}};
	struct fs_session *session;
	pthread_t ender;

	(void)state;
	assert_int_equal(fuse_session_create(&session, NULL, &slow.base), 0);
	assert_int_equal(pthread_create(&ender, NULL, end_calls, &slow), 0);
	for (unsigned i = 0; i < 3; i++) {
		drivers[i].session = session;
		drivers[i].base = i * (UINT64_C(1) << 32);
		drivers[i].renews = i == 1;
		drivers[i].queue = session->ops->queue_open(
			session, i == 0 ? FS_QUEUE_HIPRIO : FS_QUEUE_REQUEST, FUSE_BENCH_DEPTH);
		assert_non_null(drivers[i].queue);
	}
	begin(&drivers[1]);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&drivers[i].thread, NULL, i == 0 ? annoy : drive,
						&drivers[i]),
				 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(drivers[i].thread, NULL);
	pthread_mutex_lock(&slow.lock);
	slow.stop = true;
	pthread_cond_signal(&slow.more);
	pthread_mutex_unlock(&slow.lock);
	pthread_join(ender, NULL);
	/* The third may have been quick enough to find no session but once. */
	assert_int_equal(drivers[1].answered, MESSAGES);
	assert_int_equal(drivers[2].answered, MESSAGES);
	assert_true(drivers[1].results[0] > 0);
	assert_true(drivers[1].results[1] > 0);
	for (unsigned i = 0; i < 3; i++)
		session->ops->queue_close(drivers[i].queue);
	session->ops->destroy(session);
	/* Each INIT of a thread ended a session, and so did the end. */
	assert_int_equal(slow.resets, MESSAGES / 50 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_get_each_answer_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
