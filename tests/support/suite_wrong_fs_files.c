/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File-system devices that are wrong about nodes, handles and names: for cases_fs_files.c.
 */
#include <errno.h>
#include <stddef.h>

#include "suite_wrong.h"
#include "wrong_fs.h"

extern const struct vqsim_wrong suite_wrong_fs_files[];

/* An error of this kind is taken for success, where nothing is behind the header. */
static enum fs_submit swallow(struct wrong_fs_queue *queue, struct fs_request *request,
			      uint32_t opcode, int32_t error)
{
	enum fs_submit result = wrong_fs_forward(queue, request);
	struct fuse_out_header header = wrong_fs_answer(request);

	if (result == FS_DONE && wrong_fs_header(request).opcode == opcode &&
	    header.error == error) {
		header.error = 0;
		wrong_fs_put(request, &header);
	}
	return result;
}

static enum fs_submit any_handle_is_synced(struct wrong_fs_queue *queue, struct fs_request *request)
{
	return swallow(queue, request, FUSE_FSYNC, -EBADF);
}

static enum fs_submit any_name_is_removed(struct wrong_fs_queue *queue, struct fs_request *request)
{
	return swallow(queue, request, FUSE_UNLINK, -EINVAL);
}

/* The root goes like any other node. */
static enum fs_submit root_is_forgotten(struct wrong_fs_queue *queue, struct fs_request *request)
{
	struct fuse_in_header header = wrong_fs_header(request);

	queue->fs->count += header.opcode == FUSE_FORGET && header.nodeid == FUSE_ROOT_ID;
	if (queue->fs->count > 0 && header.opcode != FUSE_FORGET)
		return wrong_fs_reply(request, -EBADF);
	return wrong_fs_forward(queue, request);
}

/* What is padded to 8 bytes is told to be that long. */
static enum fs_submit padded_names(struct wrong_fs_queue *queue, struct fs_request *request)
{
	const size_t at = sizeof(struct fuse_out_header) + offsetof(struct fuse_dirent, namelen);
	enum fs_submit result = wrong_fs_forward(queue, request);
	struct iov_window window;
	uint32_t size;

	if (wrong_fs_header(request).opcode != FUSE_READDIR ||
	    request->reply_size < at + sizeof(size))
		return result;
	window = iov_window_part(&request->out, at, sizeof(size));
	iov_window_read(&window, &size, sizeof(size));
	size = (size + 7) / 8 * 8;
	iov_window_write(&window, &size, sizeof(size));
	return result;
}

/* GETATTR gives another inode number than LOOKUP. */
static enum fs_submit other_inodes(struct wrong_fs_queue *queue, struct fs_request *request)
{
	const size_t at = sizeof(struct fuse_out_header) + offsetof(struct fuse_attr_out, attr.ino);
	enum fs_submit result = wrong_fs_forward(queue, request);
	struct iov_window window;
	uint64_t ino;

	if (wrong_fs_header(request).opcode != FUSE_GETATTR ||
	    request->reply_size < at + sizeof(ino))
		return result;
	window = iov_window_part(&request->out, at, sizeof(ino));
	iov_window_read(&window, &ino, sizeof(ino));
	ino++;
	iov_window_write(&window, &ino, sizeof(ino));
	return result;
}

/* Whatever it is, it is open. */
static enum fs_submit everything_opens(struct wrong_fs_queue *queue, struct fs_request *request)
{
	struct {
		struct fuse_out_header header;
		struct fuse_open_out open;
	} reply = {{sizeof(reply), 0, wrong_fs_header(request).unique}, {.fh = 1}};
	enum fs_submit result = wrong_fs_forward(queue, request);

	if (wrong_fs_header(request).opcode != FUSE_OPEN || wrong_fs_answer(request).error == 0)
		return result;
	request->reply_size = iov_window_write(&request->out, &reply, sizeof(reply));
	return result;
}

static enum fs_submit no_reason_given(struct wrong_fs_queue *queue, struct fs_request *request)
{
	enum fs_submit result = wrong_fs_forward(queue, request);

	if (result == FS_DONE && wrong_fs_answer(request).error == -EEXIST)
		return wrong_fs_reply(request, -EIO);
	return result;
}

static enum fs_submit interrupt_is_ignored(struct wrong_fs_queue *queue, struct fs_request *request)
{
	if (wrong_fs_header(request).opcode != FUSE_INTERRUPT)
		return wrong_fs_forward(queue, request);
	request->reply_size = 0;
	return FS_DONE;
}

#define FS_SESSION(function)                                  \
	.subject = "fs:ram", .wrap_session = wrong_fs_create, \
	.how = &(const struct wrong_fs_bend){.submit = function}, .wrong = #function

const struct vqsim_wrong suite_wrong_fs_files[] = {
	{.test = "fs_unknown_handles", FS_SESSION(any_handle_is_synced)},
	{.test = "fs_forget_too_much", FS_SESSION(root_is_forgotten)},
	{.test = "fs_bad_names", FS_SESSION(any_name_is_removed)},
	{.test = "fs_dirents", FS_SESSION(padded_names)},
	{.test = "fs_dirents", FS_SESSION(other_inodes)},
	{.test = "fs_special_files", FS_SESSION(everything_opens)},
	{.test = "fs_create_exclusive", FS_SESSION(no_reason_given)},
	{.test = "fs_interrupts", FS_SESSION(interrupt_is_ignored)},
	{.test = NULL},
};
