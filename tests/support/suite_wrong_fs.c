/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File-system devices that are wrong in one way each: for cases_fs*.c.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/virtio_fs.h>

#include "suite_wrong.h"
#include "wrong_fs.h"
#include "wrong_rows.h"

#define OUT_HEADER sizeof(struct fuse_out_header)
#define TAG_SIZE   36u

/* Opcodes of a session of the other byte order begin here. */
#define FIRST_SWAPPED (1u << 24)

extern const struct vqsim_wrong suite_wrong_fs[];

/* Configuration */

static int read_config(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t size,
		       void (*bend)(uint8_t *config))
{
	struct virtio_device *inner = wrong_wrap_inner(dev);
	uint8_t config[sizeof(struct virtio_fs_config)];

	inner->ops->config_read(inner, 0, config, sizeof(config));
	bend(config);
	memcpy(buf, config + offset, size);
	return 0;
}

static void clear_count(uint8_t *config)
{
	memset(config + offsetof(struct virtio_fs_config, num_request_queues), 0, 4);
}

static void count_hiprio(uint8_t *config)
{
	config[offsetof(struct virtio_fs_config, num_request_queues)]++;
}

static void pad_with_spaces(uint8_t *config)
{
	for (unsigned i = TAG_SIZE; i-- > 0 && config[i] == '\0';)
		config[i] = ' ';
}

static void end_with_nul(uint8_t *config)
{
	config[TAG_SIZE - 1] = '\0';
}

static void only_ascii(uint8_t *config)
{
	for (unsigned i = 0; i < TAG_SIZE; i++)
		config[i] &= 0x7f;
}

#define CONFIG(name)                                                                    \
	static int config_##name(struct virtio_device *dev, uint32_t offset, void *buf, \
				 uint32_t size)                                         \
	{                                                                               \
		return read_config(dev, offset, buf, size, name);                       \
	}

CONFIG(clear_count)
CONFIG(count_hiprio)
CONFIG(pad_with_spaces)
CONFIG(end_with_nul)
CONFIG(only_ascii)

/* Queues and sessions */

static enum fs_submit init_on_the_second(struct wrong_fs_queue *queue, struct fs_request *request)
{
	if (wrong_fs_header(request).opcode == FUSE_INIT && queue->number == 1)
		return wrong_fs_reply(request, -ENOSYS);
	return wrong_fs_forward(queue, request);
}

/* What waits anywhere holds hiprio up. */
static enum fs_submit one_thread(struct wrong_fs_queue *queue, struct fs_request *request)
{
	if (queue->number == 0 && queue->fs->queued > 0)
		return FS_BUSY;
	return wrong_fs_forward(queue, request);
}

static enum fs_submit session_of_a_queue(struct wrong_fs_queue *queue, struct fs_request *request)
{
	return queue->number > 1 ? wrong_fs_reply(request, -EIO) : wrong_fs_forward(queue, request);
}

/* The root is there before INIT. */
static enum fs_submit no_init_needed(struct wrong_fs_queue *queue, struct fs_request *request)
{
	struct fuse_in_header header = wrong_fs_header(request);
	struct {
		struct fuse_out_header header;
		struct fuse_attr_out attr;
	} reply = {{sizeof(reply), 0, header.unique}, {.attr = {.ino = 1, .mode = S_IFDIR}}};

	queue->fs->count += header.opcode == FUSE_INIT;
	if (queue->fs->count > 0 || header.opcode != FUSE_GETATTR)
		return wrong_fs_forward(queue, request);
	request->reply_size = iov_window_write(&request->out, &reply, sizeof(reply));
	return FS_DONE;
}

/* A session of the other order is answered in our own. */
static enum fs_submit own_order(struct wrong_fs_queue *queue, struct fs_request *request)
{
	bool swapped = wrong_fs_header(request).opcode == FUSE_INIT_BSWAP_RESERVED;
	enum fs_submit result = wrong_fs_forward(queue, request);
	struct fuse_out_header header = wrong_fs_answer(request);

	if (result == FS_DONE && swapped) {
		header.len = __builtin_bswap32(header.len);
		wrong_fs_put(request, &header);
	}
	return result;
}

/* A session of the other order begins, and what comes in it is not understood. */
static enum fs_submit one_order_after_init(struct wrong_fs_queue *queue, struct fs_request *request)
{
	uint32_t opcode = wrong_fs_header(request).opcode;
	enum fs_submit result = wrong_fs_forward(queue, request);
	struct fuse_out_header header = wrong_fs_answer(request);

	if (opcode < FIRST_SWAPPED || opcode == FUSE_INIT_BSWAP_RESERVED || result != FS_DONE ||
	    header.len == 0)
		return result;
	header.len = __builtin_bswap32((uint32_t)OUT_HEADER);
	header.error = (int32_t)__builtin_bswap32((uint32_t)-ENOSYS);
	wrong_fs_put(request, &header);
	request->reply_size = OUT_HEADER;
	return result;
}

/* The first reply to INIT is given again, and nothing begins. */
static enum fs_submit one_init_for_all(struct wrong_fs_queue *queue, struct fs_request *request)
{
	struct wrong_fs *fs = queue->fs;
	struct fuse_in_header header = wrong_fs_header(request);
	struct fuse_out_header out;
	enum fs_submit result;

	if (header.opcode != FUSE_INIT)
		return wrong_fs_forward(queue, request);
	if (fs->copy_size > 0) {
		request->reply_size = iov_window_write(&request->out, fs->copy, fs->copy_size);
		out = wrong_fs_answer(request);
		out.unique = header.unique;
		wrong_fs_put(request, &out);
		return FS_DONE;
	}
	result = wrong_fs_forward(queue, request);
	fs->copy_size = iov_window_read(&request->out, fs->copy, request->reply_size);
	return result;
}

/* Flags that were not asked for. */
static enum fs_submit eager_flags(struct wrong_fs_queue *queue, struct fs_request *request)
{
	const size_t at = OUT_HEADER + offsetof(struct fuse_init_out, flags);
	enum fs_submit result = wrong_fs_forward(queue, request);
	const uint32_t flags = FUSE_WRITEBACK_CACHE;
	struct iov_window window;

	if (wrong_fs_header(request).opcode != FUSE_INIT ||
	    request->reply_size < at + sizeof(flags))
		return result;
	window = iov_window_part(&request->out, at, sizeof(flags));
	iov_window_write(&window, &flags, sizeof(flags));
	return result;
}

/* Messages */

static enum fs_submit no_data_after_mapping(struct wrong_fs_queue *queue,
					    struct fs_request *request)
{
	uint32_t opcode = wrong_fs_header(request).opcode;

	queue->fs->count += opcode == FUSE_SETUPMAPPING;
	if (opcode == FUSE_READ && queue->fs->count > 0)
		return wrong_fs_reply(request, -EIO);
	return wrong_fs_forward(queue, request);
}

static enum fs_submit lazy_fsync(struct wrong_fs_queue *queue, struct fs_request *request)
{
	if (wrong_fs_header(request).opcode == FUSE_FSYNC)
		return wrong_fs_reply(request, 0);
	return wrong_fs_forward(queue, request);
}

static enum fs_submit header_apart(struct wrong_fs_queue *queue, struct fs_request *request)
{
	if (request->in.iov[0].iov_len < sizeof(struct fuse_in_header))
		return wrong_fs_reply(request, -EINVAL);
	return wrong_fs_forward(queue, request);
}

static enum fs_submit reply_in_one_piece(struct wrong_fs_queue *queue, struct fs_request *request)
{
	enum fs_submit result = wrong_fs_forward(queue, request);
	size_t first = request->out.size > 0 ? request->out.iov[0].iov_len : 0;
	const uint8_t zero = 0;

	/* The first byte of the second piece comes out wrong. */
	if (result == FS_DONE && first > OUT_HEADER && first < request->reply_size) {
		struct iov_window rest = iov_window_part(&request->out, first, 1);

		iov_window_write(&rest, &zero, 1);
		request->reply_size = first;
	}
	return result;
}

/* Replies: each of these is done with what the inner session answered. */

#define AFTER_REPLY(name, ...)                                                               \
	static enum fs_submit name(struct wrong_fs_queue *queue, struct fs_request *request) \
	{                                                                                    \
		enum fs_submit result = wrong_fs_forward(queue, request);                    \
		struct fuse_out_header header = wrong_fs_answer(request);                    \
                                                                                             \
		if (result != FS_DONE || header.len == 0)                                    \
			return result;                                                       \
		__VA_ARGS__;                                                                 \
		wrong_fs_put(request, &header);                                              \
		return result;                                                               \
	}

AFTER_REPLY(len_of_the_payload, header.len -= (uint32_t)OUT_HEADER)
AFTER_REPLY(used_without_payload, request->reply_size = OUT_HEADER)
AFTER_REPLY(another_unique, header.unique++)
AFTER_REPLY(positive_error, header.error = -header.error)
AFTER_REPLY(huge_error, header.error = header.error ? -4095 : 0)
AFTER_REPLY(
	mode_of_nothing, if (header.len > 120) {
		struct iov_window window = iov_window_part(&request->out, 0, request->reply_size);
		const uint32_t mode = 0;

		iov_window_advance(&window,
				   OUT_HEADER + offsetof(struct fuse_entry_out, attr.mode));
		iov_window_write(&window, &mode, sizeof(mode));
	})

/* Lies that only the model of a tree knows of. */

static void spoil(const struct fs_request *request, size_t at, const void *with, size_t size)
{
	struct iov_window window = iov_window_part(&request->out, OUT_HEADER + at, size);

	if (request->reply_size >= OUT_HEADER + at + size)
		iov_window_write(&window, with, size);
}

static enum fs_submit links_of_seven(struct wrong_fs_queue *queue, struct fs_request *request)
{
	enum fs_submit result = wrong_fs_forward(queue, request);
	const uint32_t seven = 7;

	if (result == FS_DONE && wrong_fs_header(request).opcode == FUSE_LOOKUP)
		spoil(request, offsetof(struct fuse_entry_out, attr.nlink), &seven, sizeof(seven));
	return result;
}

/* In a session of the other byte order. */
static enum fs_submit reads_something_else(struct wrong_fs_queue *queue, struct fs_request *request)
{
	enum fs_submit result = wrong_fs_forward(queue, request);

	if (result == FS_DONE && wrong_fs_header(request).opcode == __builtin_bswap32(FUSE_READ))
		spoil(request, 0, "z", 1);
	return result;
}

/* As if nobody had looked. */
static enum fs_submit errors_are_good(struct wrong_fs_queue *queue, struct fs_request *request)
{
	enum fs_submit result = wrong_fs_forward(queue, request);
	struct fuse_out_header header = wrong_fs_answer(request);

	if (result == FS_DONE && header.error == -EINVAL) {
		header.error = 0;
		wrong_fs_put(request, &header);
	}
	return result;
}

/* One malformed message, and the session is gone. */
static enum fs_submit malformed_is_the_end(struct wrong_fs_queue *queue, struct fs_request *request)
{
	enum fs_submit result;

	if (queue->fs->count > 0)
		return wrong_fs_reply(request, -EIO);
	result = wrong_fs_forward(queue, request);
	queue->fs->count += result == FS_DONE && wrong_fs_answer(request).error == -EINVAL;
	return result;
}

static enum fs_submit forget_is_answered(struct wrong_fs_queue *queue, struct fs_request *request)
{
	uint32_t opcode = wrong_fs_header(request).opcode;

	wrong_fs_forward(queue, request);
	if (opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET)
		return wrong_fs_reply(request, 0);
	return FS_DONE;
}

#define FS_SESSION(function)                                  \
	.subject = "fs:ram", .wrap_session = wrong_fs_create, \
	.how = &(const struct wrong_fs_bend){.submit = function}, .wrong = #function

#define FS_CONFIG(function) \
	.subject = "fs:ram", BENT(.config_read = config_##function), .wrong = #function

const struct vqsim_wrong suite_wrong_fs[] = {
	{.test = "fs_num_request_queues", FS_CONFIG(clear_count)},
	{.test = "fs_num_request_queues", FS_CONFIG(count_hiprio)},
	{.test = "fs_tag", FS_CONFIG(pad_with_spaces)},
	{.test = "fs_tag", FS_CONFIG(end_with_nul)},
	{.test = "fs_tag", FS_CONFIG(only_ascii)},
	{.test = "fs_queue_order", FS_SESSION(init_on_the_second)},
	{.test = "fs_hiprio_moves", FS_SESSION(one_thread)},
	{.test = "fs_one_session", FS_SESSION(session_of_a_queue)},
	{.test = "fs_one_session", FS_SESSION(no_init_needed)},
	{.test = "fs_byte_order", FS_SESSION(own_order), .clause = "FS-DX-05"},
	{.test = "fs_byte_order", FS_SESSION(one_order_after_init)},
	{.test = "fs_one_session", FS_SESSION(links_of_seven), .clause = "FS-DX-04"},
	{.test = "fs_byte_order", FS_SESSION(reads_something_else), .clause = "FS-D-07"},
	{.test = "fs_second_init", FS_SESSION(one_init_for_all)},
	{.test = "fs_inits", FS_SESSION(eager_flags)},
	{.test = "fs_without_dax", FS_SESSION(no_data_after_mapping)},
	{.test = "fs_durable", FS_SESSION(lazy_fsync)},
	{.test = "fs_framing", FS_SESSION(header_apart)},
	{.test = "fs_framing", FS_SESSION(reply_in_one_piece), .clause = "FS-DX-05"},
	{.test = "fs_replies", FS_SESSION(len_of_the_payload)},
	{.test = "fs_replies", FS_SESSION(used_without_payload)},
	{.test = "fs_replies", FS_SESSION(another_unique)},
	{.test = "fs_replies", FS_SESSION(positive_error)},
	{.test = "fs_replies", FS_SESSION(huge_error)},
	{.test = "fs_replies", FS_SESSION(mode_of_nothing), .clause = "FS-DX-04"},
	{.test = "fs_no_reply", FS_SESSION(forget_is_answered)},
	{.test = "fs_malformed", FS_SESSION(errors_are_good)},
	{.test = "fs_malformed", FS_SESSION(malformed_is_the_end)},
	{.test = NULL},
};
