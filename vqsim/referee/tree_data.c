/* SPDX-License-Identifier: BSD-3-Clause */
/* READ, WRITE and what moves bytes about. */
#define _GNU_SOURCE /* FALLOC_FL_*, SEEK_DATA */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree_internal.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool reads(const struct model_handle *handle)
{
	return (handle->flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(const struct model_handle *handle)
{
	return (handle->flags & O_ACCMODE) != O_RDONLY;
}

static int need(const struct model_step *s, struct model_handle **handle)
{
	return model_need_file(s, s->args->node, s->args->handle, handle);
}

int model_predict_read(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	if (error)
		return error;
	/* With its own page cache the guest fills pages that it writes parts of. */
	if (!reads(handle))
		return s->tree->fs->flags & FUSE_WRITEBACK_CACHE ? MODEL_ANY
								 : model_denied(s, -EBADF);
	return 0;
}

/* Bytes of the file from offset on, but at most size. */
static uint64_t there(const struct model_node *node, uint64_t offset, uint64_t size)
{
	return offset < node->size ? smaller(size, node->size - offset) : 0;
}

static void check_read(struct model_step *s, const struct model_node *node)
{
	const uint8_t *data = s->result->data;
	uint64_t offset = s->args->offset, count = s->result->count, same;
	uint64_t want = there(node, offset, s->args->size);

	if (node->attr_known && count != want)
		model_wrong(s, VQSIM_RULE_TREE_DATA, "%" PRIu64 " bytes and not %" PRIu64, count,
			    want);
	same = model_difference(node, offset, data, smaller(count, want));
	if (same < smaller(count, want))
		model_wrong(s, VQSIM_RULE_TREE_DATA, "byte %" PRIu64 " is 0x%02x and not 0x%02x",
			    offset + same, data[same],
			    model_page(node, (offset + same) / MODEL_PAGE_SIZE)
				    ? model_page(node, (offset + same) /
							       MODEL_PAGE_SIZE)[(offset + same) %
										MODEL_PAGE_SIZE]
				    : 0);
}

void model_apply_read(struct model_step *s)
{
	struct model_handle *handle;

	if (need(s, &handle))
		return;
	if (!s->blind)
		check_read(s, handle->node);
	model_may(s, handle->node, MODEL_ATIME);
}

/* What the guest's page cache writes back has its place already. */
static bool appends(const struct model_step *s)
{
	return (s->args->flags & O_APPEND) && !(s->args->fuse_flags & FUSE_WRITE_CACHE);
}

int model_predict_write(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	if (error)
		return error;
	if (!writes(handle))
		return model_denied(s, -EBADF);
	if (!appends(s) || s->args->size == 0)
		return 0;
	if (!handle->node->attr_known)
		return MODEL_ANY;
	return handle->node->size < MODEL_OFFSET_MAX ? 0 : -EFBIG;
}

void model_apply_write(struct model_step *s)
{
	bool cache = s->args->fuse_flags & FUSE_WRITE_CACHE;
	uint64_t offset = s->args->offset, count = s->result->count;
	struct model_handle *handle;
	struct model_node *node;

	if (need(s, &handle))
		return;
	node = handle->node;
	if (count == 0 && s->args->size > 0)
		model_wrong(s, VQSIM_RULE_TREE_DATA, "nothing was written, and no error");
	if (count == 0)
		return;
	if (appends(s)) {
		offset = node->size;
		if (!node->attr_known)
			model_vague(node);
	}
	model_bytes_set(s, node, offset, s->data, count);
	if (offset + count > node->size)
		node->size = offset + count;
	model_written(s, node, !cache);
	if (s->args->fuse_flags & FUSE_WRITE_KILL_SUIDGID)
		node->attr_known = false;
}

/* --- space --- */

static bool known_mode(uint32_t mode)
{
	return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
	       mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
	       mode == FALLOC_FL_ZERO_RANGE || mode == (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

int model_predict_fallocate(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	if (error)
		return error;
	if (!known_mode(s->args->flags))
		return MODEL_ANY;
	return writes(handle) ? 0 : model_denied(s, -EBADF);
}

void model_apply_fallocate(struct model_step *s)
{
	uint32_t mode = s->args->flags;
	uint64_t end = s->args->offset + s->args->size;
	struct model_handle *handle;

	if (need(s, &handle))
		return;
	if (!known_mode(mode)) {
		model_vague(handle->node);
		return;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		model_bytes_zero(handle->node, s->args->offset, s->args->size);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > handle->node->size)
		handle->node->size = end;
	model_kill_priv(s, handle->node);
	model_may(s, handle->node, MODEL_MTIME);
	model_may(s, handle->node, MODEL_CTIME);
}

int model_predict_lseek(struct model_step *s)
{
	struct model_handle *handle;
	int error = need(s, &handle);

	if (error)
		return error;
	if (!handle->node->attr_known)
		return MODEL_ANY;
	if (s->args->offset >= handle->node->size)
		return -ENXIO;
	if (s->args->whence == SEEK_HOLE)
		return 0;
	/* Zeroes may be data, or a hole up to the end. */
	return model_zero(handle->node, s->args->offset, handle->node->size) ? MODEL_ANY : 0;
}

void model_apply_lseek(struct model_step *s)
{
	uint64_t at = s->result->count, from = s->args->offset;
	struct model_handle *handle;
	bool good;

	if (s->blind || need(s, &handle) || !handle->node->attr_known)
		return;
	good = at >= from && at <= handle->node->size;
	if (good && s->args->whence == SEEK_DATA)
		good = at < handle->node->size && model_zero(handle->node, from, at);
	if (good && s->args->whence == SEEK_HOLE && at < handle->node->size)
		good = model_zero(handle->node, at, at + 1);
	if (!good)
		model_wrong(s, VQSIM_RULE_TREE_DATA,
			    "offset %" PRIu64 ", which cannot be in a file of %" PRIu64 " bytes",
			    at, handle->node->size);
}

/* --- copies --- */

static int need_both(const struct model_step *s, struct model_handle **from,
		     struct model_handle **to)
{
	int error = model_need_handle(s, s->args->node, s->args->handle, from);

	return error ? error
		     : model_need_handle(s, s->args->target_node, s->args->target_handle, to);
}

static uint64_t to_copy(const struct model_step *s, const struct model_node *from)
{
	return there(from, s->args->offset, s->args->size);
}

int model_predict_copy_file_range(struct model_step *s)
{
	uint64_t from_at = s->args->offset, to_at = s->args->target_offset, size;
	struct model_handle *from, *to;
	int error = need_both(s, &from, &to);

	if (error)
		return error;
	if (from->dir || to->dir)
		return -EISDIR;
	if (!reads(from) || !writes(to) || (to->flags & O_APPEND))
		return model_denied(s, -EBADF);
	if (!from->node->attr_known)
		return MODEL_ANY;
	size = to_copy(s, from->node);
	if (from->node == to->node && to_at + size > from_at && to_at < from_at + size)
		return -EINVAL;
	return 0;
}

/* What lies in one page of the source. */
static void copy_piece(struct model_step *s, const struct model_node *from, uint64_t from_at,
		       struct model_node *to, uint64_t to_at, uint64_t size)
{
	const uint8_t *page = model_page(from, from_at / MODEL_PAGE_SIZE);

	if (page == model_unknown_page)
		model_bytes_vague(to, to_at, size);
	else if (page)
		model_bytes_set(s, to, to_at, page + from_at % MODEL_PAGE_SIZE, size);
	else
		model_bytes_zero(to, to_at, size);
}

/* Page by page, so that what is not known stays so; as far as bytes are known of any file. */
static void copy_bytes(struct model_step *s, const struct model_node *from, struct model_node *to,
		       uint64_t count)
{
	const uint64_t end = MODEL_PAGES_MAX * MODEL_PAGE_SIZE;
	uint64_t from_at = s->args->offset, to_at = s->args->target_offset;

	while (count > 0 && from_at < end && to_at < end) {
		uint64_t piece = smaller(MODEL_PAGE_SIZE - from_at % MODEL_PAGE_SIZE, count);

		copy_piece(s, from, from_at, to, to_at, piece);
		from_at += piece;
		to_at += piece;
		count -= piece;
	}
	model_bytes_vague(to, to_at, count);
}

void model_apply_copy_file_range(struct model_step *s)
{
	uint64_t count = s->result->count, want;
	struct model_handle *from, *to;

	if (need_both(s, &from, &to))
		return;
	want = to_copy(s, from->node);
	if (!s->blind && from->node->attr_known && (count > want || (count == 0 && want > 0)))
		model_wrong(s, VQSIM_RULE_TREE_DATA, "%" PRIu64 " bytes of %" PRIu64 " were copied",
			    count, want);
	if (count == 0 || count > want)
		return;
	if (s->args->target_offset + count > to->node->size)
		to->node->size = s->args->target_offset + count;
	copy_bytes(s, from->node, to->node, count);
	model_may(s, from->node, MODEL_ATIME);
	model_written(s, to->node, true);
}
