/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse_bench.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define FILLING 0xa5

uint32_t fuse_bench_u32(const struct fuse_bench *bench, uint32_t value)
{
	return bench->big ? htobe32(value) : htole32(value);
}

uint64_t fuse_bench_u64(const struct fuse_bench *bench, uint64_t value)
{
	return bench->big ? htobe64(value) : htole64(value);
}

static uint16_t u16(const struct fuse_bench *bench, uint16_t value)
{
	return bench->big ? htobe16(value) : htole16(value);
}

static void open_queues(struct fuse_bench *bench)
{
	const struct fs_session_ops *ops = bench->session->ops;

	for (unsigned i = 0; i < FUSE_BENCH_QUEUES; i++) {
		bench->queues[i] = ops->queue_open(bench->session,
						   i == HIPRIO ? FS_QUEUE_HIPRIO : FS_QUEUE_REQUEST,
						   FUSE_BENCH_DEPTH);
		assert_non_null(bench->queues[i]);
	}
}

struct fuse_bench *fuse_bench_create(const struct fuse_options *options, struct fake_tree *tree)
{
	struct fuse_bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	bench->tree = tree ? tree : fake_tree_create();
	bench->unique = 0x0102030405060708;
	bench->big = __BYTE_ORDER == __BIG_ENDIAN;
	assert_int_equal(fuse_session_create(&bench->session, options, &bench->tree->base), 0);
	open_queues(bench);
	return bench;
}

void fuse_bench_destroy(struct fuse_bench *bench)
{
	const struct fs_session_ops *ops = bench->session->ops;

	for (unsigned i = 0; i < FUSE_BENCH_QUEUES; i++) {
		assert_int_equal(ops->poll(bench->queues[i]), 0);
		ops->queue_close(bench->queues[i]);
	}
	ops->destroy(bench->session);
	assert_int_equal(bench->tree->held_count, 0);
	assert_int_equal(bench->tree->starts, bench->tree->resets);
	bench->tree->ops.destroy(&bench->tree->base);
	free(bench);
}

/* size bytes as pieces, each in memory of its own. from NULL: filled. Returns the count. */
static size_t cut(struct iovec *pieces, const uint8_t *from, size_t size, size_t first,
		  size_t piece)
{
	size_t count = 0;

	for (size_t at = 0; at < size; count++) {
		size_t now = at == 0 && first > 0 ? first : piece > 0 ? piece : size;

		if (now > size - at)
			now = size - at;
		assert_true(count < FUSE_BENCH_PIECES);
		pieces[count] = (struct iovec){malloc(now), now};
		assert_non_null(pieces[count].iov_base);
		if (from)
			memcpy(pieces[count].iov_base, from + at, now);
		else
			memset(pieces[count].iov_base, FILLING, now);
		at += now;
	}
	return count;
}

static void sent_done(struct fs_request *request)
{
	((struct fuse_sent *)request)->done++;
}

static uint8_t *message(const struct fuse_bench *bench, const struct fuse_bytes *bytes,
			uint64_t unique, size_t *size)
{
	size_t len = sizeof(struct fuse_in_header) + bytes->size;
	struct fuse_in_header header = {
		.len = fuse_bench_u32(bench, bytes->len ? bytes->len : (uint32_t)len),
		.opcode = fuse_bench_u32(bench, bytes->opcode),
		.unique = fuse_bench_u64(bench, unique),
		.nodeid = fuse_bench_u64(bench, bytes->node),
		.uid = fuse_bench_u32(bench, 0xa1),
		.gid = fuse_bench_u32(bench, 0xa2),
		.pid = fuse_bench_u32(bench, 0xa3),
		.total_extlen = u16(bench, bytes->extlen),
	};
	uint8_t *all = calloc(1, len + bytes->more);

	assert_non_null(all);
	memcpy(all, &header, sizeof(header));
	if (bytes->size > 0)
		memcpy(all + sizeof(header), bytes->body, bytes->size);
	memset(all + len, FILLING, bytes->more);
	*size = len + bytes->more;
	return all;
}

struct fuse_sent *fuse_bench_send(struct fuse_bench *bench, unsigned queue,
				  const struct fuse_bytes *bytes)
{
	struct fuse_sent *sent = calloc(1, sizeof(*sent));
	size_t size;
	uint8_t *all;

	assert_non_null(sent);
	sent->unique = bytes->unique ? bytes->unique : bench->unique++;
	sent->room = bytes->no_room ? 0 : bytes->room ? bytes->room : 512;
	all = message(bench, bytes, sent->unique, &size);
	sent->in_count = cut(sent->in, all, size, bytes->in_first, bytes->in_piece);
	sent->out_count = cut(sent->out, NULL, sent->room, bytes->out_first, bytes->out_piece);
	free(all);
	sent->request = (struct fs_request){
		.in = iov_window(sent->in, sent->in_count, 0, size),
		.out = iov_window(sent->out, sent->out_count, 0, sent->room),
		.done = sent_done,
	};
	sent->submit = bench->session->ops->submit(bench->queues[queue], &sent->request);
	return sent;
}

static void check_header(struct fuse_bench *bench, const struct fuse_sent *sent)
{
	struct fuse_out_header header;

	bench->error = 0;
	if (bench->reply_size == 0)
		return;
	assert_true(bench->reply_size >= sizeof(header));
	memcpy(&header, bench->reply, sizeof(header));
	assert_int_equal(fuse_bench_u32(bench, header.len), bench->reply_size);
	assert_int_equal(fuse_bench_u64(bench, header.unique), sent->unique);
	bench->error = (int)fuse_bench_u32(bench, (uint32_t)header.error);
	assert_true(bench->error <= 0 && bench->error > -512);
	if (bench->error)
		assert_int_equal(bench->reply_size, sizeof(header));
}

void fuse_bench_take(struct fuse_bench *bench, struct fuse_sent *sent)
{
	struct iov_window all = iov_window(sent->out, sent->out_count, 0, sent->room);

	assert_int_equal(sent->done, sent->submit == FS_QUEUED);
	assert_true(sent->room <= sizeof(bench->reply));
	iov_window_read(&all, bench->reply, sent->room);
	bench->reply_size = sent->request.reply_size;
	assert_true(bench->reply_size <= sent->room);
	check_header(bench, sent);
	for (size_t i = bench->reply_size; i < sent->room; i++)
		assert_int_equal(bench->reply[i], FILLING);
	for (size_t i = 0; i < sent->in_count; i++)
		free(sent->in[i].iov_base);
	for (size_t i = 0; i < sent->out_count; i++)
		free(sent->out[i].iov_base);
	free(sent);
}

int fuse_bench_do(struct fuse_bench *bench, const struct fuse_bytes *bytes)
{
	bool hiprio = bytes->opcode == FUSE_FORGET || bytes->opcode == FUSE_BATCH_FORGET ||
		      bytes->opcode == FUSE_INTERRUPT;
	struct fuse_sent *sent = fuse_bench_send(bench, hiprio ? HIPRIO : REQUESTS, bytes);

	assert_int_equal(sent->submit, FS_DONE);
	fuse_bench_take(bench, sent);
	return bench->error;
}

void fuse_bench_init_as(struct fuse_bench *bench, uint32_t minor, uint64_t flags)
{
	struct fuse_init_in in = {
		.major = fuse_bench_u32(bench, 7),
		.minor = fuse_bench_u32(bench, minor),
		.flags = fuse_bench_u32(bench, (uint32_t)flags),
		.flags2 = fuse_bench_u32(bench, (uint32_t)(flags >> 32)),
	};

	assert_int_equal(fuse_bench_do(bench, &(struct fuse_bytes){.opcode = FUSE_INIT,
								   .body = &in,
								   .size = sizeof(in)}),
			 0);
	assert_int_equal(bench->reply_size, 80);
}

void fuse_bench_init(struct fuse_bench *bench)
{
	fuse_bench_init_as(bench, FUSE_KERNEL_MINOR_VERSION, UINT64_MAX);
}

unsigned fuse_bench_poll(struct fuse_bench *bench, unsigned queue)
{
	return bench->session->ops->poll(bench->queues[queue]);
}

bool fuse_bench_readable(struct fuse_bench *bench, unsigned queue)
{
	struct pollfd fd = {.fd = bench->session->ops->poll_fd(bench->queues[queue]),
			    .events = POLLIN};

	return fd.fd >= 0 && poll(&fd, 1, 0) == 1;
}

static const struct fuse_bytes statfs_bytes = {.opcode = FUSE_STATFS};

int fuse_bench_ask(struct fuse_bench *bench)
{
	return fuse_bench_do(bench, &statfs_bytes);
}

struct fuse_sent *fuse_bench_hold(struct fuse_bench *bench, unsigned queue,
				  const struct fuse_bytes *bytes)
{
	struct fuse_sent *sent;
	int result = bench->tree->result;

	bench->tree->result = FS_LATER;
	sent = fuse_bench_send(bench, queue, bytes ? bytes : &statfs_bytes);
	bench->tree->result = result;
	assert_int_equal(sent->submit, FS_QUEUED);
	assert_int_equal(sent->done, 0);
	assert_false(fuse_bench_readable(bench, queue));
	return sent;
}

void fuse_bench_take_error(struct fuse_bench *bench, struct fuse_sent *sent, int error)
{
	assert_int_equal(sent->done, 1);
	fuse_bench_take(bench, sent);
	assert_int_equal(bench->error, error);
}

struct fuse_sent *fuse_bench_send_init(struct fuse_bench *bench, unsigned queue)
{
	struct fuse_init_in in = {.major = fuse_bench_u32(bench, 7),
				  .minor = fuse_bench_u32(bench, 45)};

	return fuse_bench_send(
		bench, queue,
		&(struct fuse_bytes){.opcode = FUSE_INIT, .body = &in, .size = sizeof(in)});
}
