/* SPDX-License-Identifier: BSD-3-Clause */
/* The space of files: what is allocated, what is a hole, and copies between files. */
#define _GNU_SOURCE /* SEEK_DATA, FALLOC_FL_ */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ram_internal.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How many pages from first to last are holes. */
static uint64_t count_holes(const struct ram_node *node, uint64_t first, uint64_t last)
{
	uint64_t holes = last - first + 1;

	for (uint64_t page = first; ram_pages_next(node, &page) && page <= last; page++)
		holes--;
	return holes;
}

/* Pages for all bytes of the range, or none. */
static int allocate(struct ram *ram, struct ram_node *node, uint64_t offset, uint64_t size)
{
	uint64_t first = offset / RAM_PAGE_SIZE, last = (offset + size - 1) / RAM_PAGE_SIZE;
	uint64_t room = (ram->options.size_max - ram->used_bytes) / RAM_PAGE_SIZE;
	uint8_t *bytes;
	int error = 0;

	if (count_holes(node, first, last) > room)
		return -ENOSPC;
	for (uint64_t page = first; page <= last && error == 0; page++)
		error = ram_page_make(ram, node, page, false, &bytes);
	return error;
}

static int check_fallocate(const struct fs_call *call)
{
	uint32_t mode = call->fallocate_mode;

	if (call->size == 0 || call->offset > RAM_SIZE_MAX || call->size > RAM_SIZE_MAX)
		return -EINVAL;
	if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != FALLOC_FL_ZERO_RANGE &&
	    mode != (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE) &&
	    mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	return 0;
}

/* Bytes in the middle of a file cannot be taken out or put in, as on tmpfs. */
int ram_fallocate(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *handle;
	struct ram_node *node;
	int error = ram_handle_of(ram, call, false, &handle);

	if (error == 0)
		error = check_fallocate(call);
	if (error == 0)
		error = ram_may_write(handle);
	if (error == 0 && call->size > RAM_SIZE_MAX - call->offset)
		error = -EFBIG;
	if (error != 0)
		return error;
	node = handle->node;
	if (!(call->fallocate_mode & FALLOC_FL_PUNCH_HOLE)) {
		error = allocate(ram, node, call->offset, call->size);
		if (error != 0)
			return error;
	}
	if (call->fallocate_mode & FALLOC_FL_PUNCH_HOLE)
		ram_punch(ram, node, call->offset, call->size);
	else if (call->fallocate_mode & FALLOC_FL_ZERO_RANGE)
		ram_zero(node, call->offset, call->size);
	if (!(call->fallocate_mode & FALLOC_FL_KEEP_SIZE) && call->offset + call->size > node->size)
		node->size = call->offset + call->size;
	ram_kill_priv(ram, call, node, false);
	ram_touch(ram, node, RAM_MTIME | RAM_CTIME);
	return 0;
}

/* Where data, or a hole, begins at or behind offset. */
int ram_lseek(struct ram *ram, struct fs_call *call)
{
	uint64_t page = call->offset / RAM_PAGE_SIZE, at = call->offset;
	struct ram_handle *handle;
	int error = ram_handle_of(ram, call, false, &handle);

	if (error != 0)
		return error;
	if (call->whence != SEEK_DATA && call->whence != SEEK_HOLE)
		return -EINVAL;
	if (call->offset >= handle->node->size)
		return -ENXIO;
	if (call->whence == SEEK_HOLE)
		while (page * RAM_PAGE_SIZE < handle->node->size &&
		       ram_page_get(handle->node, page) != NULL)
			page++;
	else if (!ram_pages_next(handle->node, &page))
		return -ENXIO;
	if (page * RAM_PAGE_SIZE > at)
		at = page * RAM_PAGE_SIZE;
	if (call->whence == SEEK_DATA && at >= handle->node->size)
		return -ENXIO;
	call->count = smaller(at, handle->node->size);
	return 0;
}

/* One piece, which crosses no page's border on either side. A hole stays one if it can. */
static int copy_piece(struct ram *ram, struct ram_node *from, uint64_t at, struct ram_node *to,
		      uint64_t to_at, size_t size)
{
	const uint8_t *source = ram_page_get(from, at / RAM_PAGE_SIZE);
	uint8_t *target = ram_page_get(to, to_at / RAM_PAGE_SIZE);
	int error;

	if (source == NULL && target == NULL)
		return 0;
	error = ram_page_make(ram, to, to_at / RAM_PAGE_SIZE, size == RAM_PAGE_SIZE, &target);
	if (error != 0)
		return error;
	if (source != NULL)
		memcpy(target + to_at % RAM_PAGE_SIZE, source + at % RAM_PAGE_SIZE, size);
	else
		memset(target + to_at % RAM_PAGE_SIZE, 0, size);
	return 0;
}

static uint64_t copy(struct ram *ram, const struct fs_call *call, struct ram_node *from,
		     struct ram_node *to, uint64_t size, int *error)
{
	uint64_t done = 0;

	while (done < size) {
		uint64_t at = call->offset + done, to_at = call->target_offset + done;
		uint64_t piece = RAM_PAGE_SIZE - at % RAM_PAGE_SIZE;

		piece = smaller(piece, RAM_PAGE_SIZE - to_at % RAM_PAGE_SIZE);
		piece = smaller(piece, size - done);
		*error = copy_piece(ram, from, at, to, to_at, (size_t)piece);
		if (*error != 0)
			break;
		done += piece;
	}
	return done;
}

/* Others wait as long as one copy takes, and holes cost none of the guest's room. */
#define COPY_MAX (UINT64_C(256) << 20)

/* How much there is to copy -> *size. */
static int check_copy(const struct fs_call *call, const struct ram_handle *from,
		      const struct ram_handle *to, uint64_t *size)
{
	uint64_t start = call->offset, target = call->target_offset;

	if (from->dir || to->dir)
		return -EISDIR;
	if ((from->flags & O_ACCMODE) == O_WRONLY || ram_may_write(to) != 0 || to->flags & O_APPEND)
		return -EBADF;
	if (start > RAM_SIZE_MAX || target > RAM_SIZE_MAX)
		return -EINVAL;
	if (call->size > RAM_SIZE_MAX - start || call->size > RAM_SIZE_MAX - target)
		return -EOVERFLOW;
	*size = start < from->node->size ? smaller(call->size, from->node->size - start) : 0;
	if (from->node == to->node && target + *size > start && target < start + *size)
		return -EINVAL;
	return 0;
}

int ram_copy_file_range(struct ram *ram, struct fs_call *call)
{
	struct ram_handle *from, *to;
	uint64_t size;
	int error = ram_any_handle(ram, call->handle, call->node, &from);

	call->count = 0;
	if (error == 0)
		error = ram_any_handle(ram, call->target_handle, call->target_node, &to);
	if (error == 0)
		error = check_copy(call, from, to, &size);
	if (error != 0 || size == 0)
		return error;
	call->count = copy(ram, call, from->node, to->node, smaller(size, COPY_MAX), &error);
	if (call->count == 0)
		return error;
	if (call->target_offset + call->count > to->node->size)
		to->node->size = call->target_offset + call->count;
	ram_kill_priv(ram, call, to->node, false);
	ram_touch(ram, to->node, RAM_MTIME | RAM_CTIME);
	ram_touch_read(ram, from->node);
	return 0;
}
