/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of files. They go between pages and guest memory directly. What a page holds
 * behind the end of the file is zero, so that a file that grows needs nothing done.
 */
#define _GNU_SOURCE /* O_NOATIME and its kin in fcntl.h */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fuse_wire.h"
#include "ram_internal.h"

static const uint8_t zeros[RAM_PAGE_SIZE];

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Bytes from offset to the end of its page, but at most size. */
static size_t piece_of(uint64_t offset, uint64_t size)
{
	return (size_t)smaller(RAM_PAGE_SIZE - offset % RAM_PAGE_SIZE, size);
}

static void clear(struct ram_node *node, uint64_t offset, size_t size)
{
	uint8_t *bytes = ram_page_get(node, offset / RAM_PAGE_SIZE);

	if (bytes != NULL)
		memset(bytes + offset % RAM_PAGE_SIZE, 0, size);
}

void ram_punch(struct ram *ram, struct ram_node *node, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size;
	uint64_t first = (offset + RAM_PAGE_SIZE - 1) / RAM_PAGE_SIZE, last = end / RAM_PAGE_SIZE;

	if (first > last) {
		clear(node, offset, size);
		return;
	}
	clear(node, offset, first * RAM_PAGE_SIZE - offset);
	clear(node, last * RAM_PAGE_SIZE, end % RAM_PAGE_SIZE);
	if (first < last)
		ram_pages_drop(ram, node, first, last - 1);
}

void ram_zero(struct ram_node *node, uint64_t offset, uint64_t size)
{
	while (size > 0) {
		size_t piece = piece_of(offset, size);

		clear(node, offset, piece);
		offset += piece;
		size -= piece;
	}
}

void ram_set_size(struct ram *ram, struct ram_node *node, uint64_t size)
{
	uint64_t tail = size % RAM_PAGE_SIZE;

	if (tail != 0 && size < node->size)
		clear(node, size, RAM_PAGE_SIZE - tail);
	/* fallocate may have put pages behind the end. */
	ram_pages_drop(ram, node, size / RAM_PAGE_SIZE + (tail != 0), UINT64_MAX);
	node->size = size;
}

/* With the guest's page cache a page is filled before a part of it is written. */
static bool may_read(const struct ram *ram, const struct ram_handle *handle)
{
	return (handle->flags & O_ACCMODE) != O_WRONLY || ram->init_flags & FUSE_WRITEBACK_CACHE;
}

int ram_may_write(const struct ram_handle *handle)
{
	return (handle->flags & O_ACCMODE) != O_RDONLY ? 0 : -EBADF;
}

static void copy_out(const struct ram_node *node, uint64_t offset, struct iov_window *data)
{
	while (data->size > 0) {
		const uint8_t *bytes = ram_page_get(node, offset / RAM_PAGE_SIZE);
		size_t size = piece_of(offset, data->size);

		iov_window_write(data, bytes ? bytes + offset % RAM_PAGE_SIZE : zeros, size);
		iov_window_advance(data, size);
		offset += size;
	}
}

int ram_read(struct ram *ram, struct fs_call *call)
{
	struct iov_window data = call->data;
	struct ram_handle *handle;
	int error = ram_handle_of(ram, call, false, &handle);

	call->count = 0;
	if (error != 0)
		return error;
	if (!may_read(ram, handle))
		return -EBADF;
	if (call->offset > RAM_SIZE_MAX)
		return -EINVAL;
	if (call->offset < handle->node->size)
		call->count = smaller(data.size, handle->node->size - call->offset);
	data.size = call->count;
	copy_out(handle->node, call->offset, &data);
	if (!(handle->flags & O_NOATIME))
		ram_touch_read(ram, handle->node);
	return 0;
}

/* Returns how many bytes; *error: why not all. */
static uint64_t copy_in(struct ram *ram, struct ram_node *node, uint64_t offset,
			struct iov_window *data, int *error)
{
	uint64_t start = offset;

	while (data->size > 0) {
		size_t size = piece_of(offset, data->size);
		uint8_t *bytes;

		*error = ram_page_make(ram, node, offset / RAM_PAGE_SIZE, size == RAM_PAGE_SIZE,
				       &bytes);
		if (*error != 0)
			break;
		iov_window_read(data, bytes + offset % RAM_PAGE_SIZE, size);
		iov_window_advance(data, size);
		offset += size;
	}
	return offset - start;
}

int ram_write(struct ram *ram, struct fs_call *call)
{
	struct iov_window data = call->data;
	struct ram_handle *handle;
	uint64_t offset = call->offset;
	int error = ram_handle_of(ram, call, false, &handle);

	call->count = 0;
	if (error != 0)
		return error;
	if (ram_may_write(handle) != 0)
		return -EBADF;
	if (offset > RAM_SIZE_MAX)
		return -EINVAL;
	/* What comes from a page cache has its place already. */
	if (call->open_flags & O_APPEND && !(call->flags & FS_WRITE_CACHE))
		offset = handle->node->size;
	if (data.size == 0)
		return 0;
	data.size = (size_t)smaller(data.size, RAM_SIZE_MAX - offset);
	if (data.size == 0)
		return -EFBIG;
	call->count = copy_in(ram, handle->node, offset, &data, &error);
	if (call->count == 0)
		return error;
	if (offset + call->count > handle->node->size)
		handle->node->size = offset + call->count;
	ram_kill_priv(ram, call, handle->node, call->flags & FS_KILL_PRIV);
	ram_touch(ram, handle->node, RAM_MTIME | RAM_CTIME);
	return 0;
}
