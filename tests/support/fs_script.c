/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs_script.h"

/* What the device must keep for each request: zeroed once, ours since then. */
struct own {
	_Alignas(16) uint64_t used;
	struct fs_request *request;
};

static struct fs_script *script_of(const struct fs_script_queue *queue)
{
	return (struct fs_script *)queue->base.session;
}

static struct fs_session_queue *queue_open(struct fs_session *session, enum fs_queue_kind kind,
					   uint16_t depth)
{
	struct fs_script *script = (struct fs_script *)session;
	struct fs_script_queue *queue;

	if (script->refuse_queue)
		return NULL;
	if (script->open_count == 0)
		script->queue_count = 0;
	assert_true(script->queue_count < FS_SCRIPT_QUEUES_MAX);
	queue = &script->queues[script->queue_count++];
	*queue = (struct fs_script_queue){
		.base.session = session, .kind = kind, .depth = depth, .open = true};
	script->open_count++;
	return &queue->base;
}

static void queue_close(struct fs_session_queue *base)
{
	struct fs_script_queue *queue = (struct fs_script_queue *)base;

	assert_true(queue->open);
	assert_int_equal(queue->held_count, 0);
	queue->open = false;
	script_of(queue)->open_count--;
}

/* Byte by byte, from a framing into another. */
static void answer(const struct fs_script *script, struct fs_request *request)
{
	struct iov_window in = request->in, out = request->out;
	uint8_t byte;

	if (script->reply) {
		request->reply_size =
			iov_window_write(&request->out, script->reply, script->reply_size);
		return;
	}
	for (request->reply_size = 0; in.size > 0 && out.size > 0; request->reply_size++) {
		iov_window_read(&in, &byte, 1);
		byte = (uint8_t)~byte;
		iov_window_write(&out, &byte, 1);
		iov_window_advance(&in, 1);
		iov_window_advance(&out, 1);
	}
}

static void check_own(struct fs_request *request)
{
	struct own *own = request->session_private;

	assert_int_equal((uintptr_t)own % 16, 0);
	if (own->used)
		assert_ptr_equal(own->request, request);
	else
		assert_null(own->request);
	own->used++;
	own->request = request;
}

static enum fs_submit submit(struct fs_session_queue *base, struct fs_request *request)
{
	struct fs_script_queue *queue = (struct fs_script_queue *)base;
	struct fs_script *script = script_of(queue);

	assert_true(queue->open);
	if (script->limited && queue->kind == FS_QUEUE_REQUEST) {
		if (script->accept == 0) {
			script->busy++;
			return FS_BUSY;
		}
		script->accept--;
	}
	check_own(request);
	script->submits++;
	script->last_in = request->in.size;
	script->last_out = request->out.size;
	if (script->hold && queue->kind == FS_QUEUE_REQUEST) {
		assert_true(queue->held_count < queue->depth &&
			    queue->held_count < FS_SCRIPT_HELD_MAX);
		queue->held[queue->held_count++] = request;
		return FS_QUEUED;
	}
	answer(script, request);
	return FS_DONE;
}

static void finish(struct fs_script_queue *queue, unsigned at)
{
	struct fs_request *request = queue->held[at];

	memmove(&queue->held[at], &queue->held[at + 1],
		(queue->held_count - at - 1) * sizeof(queue->held[0]));
	queue->held_count--;
	answer(script_of(queue), request);
	request->done(request);
}

static unsigned poll(struct fs_session_queue *base)
{
	struct fs_script_queue *queue = (struct fs_script_queue *)base;
	unsigned count = 0;

	for (; queue->let_go > 0 && queue->held_count > 0; queue->let_go--, count++)
		finish(queue, queue->let_go_oldest ? 0 : queue->held_count - 1);
	return count;
}

static void cancel(struct fs_session_queue *base)
{
	struct fs_script_queue *queue = (struct fs_script_queue *)base;

	queue->cancels++;
	if (script_of(queue)->deaf)
		return;
	while (queue->held_count > 0) {
		finish(queue, 0);
		script_of(queue)->cancelled++;
	}
}

static void reset(struct fs_session *session)
{
	struct fs_script *script = (struct fs_script *)session;

	assert_int_equal(script->open_count, 0);
	script->resets++;
}

static void destroy(struct fs_session *session)
{
	assert_int_equal(((struct fs_script *)session)->open_count, 0);
	free(session);
}

static const struct fs_session_ops ops = {
	.name = "script",
	.request_size = sizeof(struct own),
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.poll = poll,
	.cancel = cancel,
	.reset = reset,
	.destroy = destroy,
};

struct fs_script *fs_script_create(void)
{
	struct fs_script *script = calloc(1, sizeof(*script));

	assert_non_null(script);
	script->base.ops = &ops;
	return script;
}

struct fs_script_queue *fs_script_queue_at(struct fs_script *script, bool hiprio, unsigned number)
{
	enum fs_queue_kind kind = hiprio ? FS_QUEUE_HIPRIO : FS_QUEUE_REQUEST;

	for (unsigned i = 0; i < script->queue_count; i++)
		if (script->queues[i].open && script->queues[i].kind == kind && number-- == 0)
			return &script->queues[i];
	fail_msg("no such queue is open");
	return NULL;
}
