/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of a message whose size the guest chooses, but for file data. All of it is
 * copied in one go when the first part is asked for, and cut up in the copy: nothing is
 * read twice.
 */
#include <errno.h>
#include <string.h>

#include "fuse_internal.h"

static void fetch(struct fuse_message *message)
{
	size_t size = iov_window_read(&message->in, message->text, FUSE_TEXT_MAX);

	iov_window_advance(&message->in, size);
	message->text_at = 0;
	message->text_end = size;
}

/* Returns the length, or a negative errno. */
static int take_text(struct fuse_message *message, size_t max, int too_long, const char **text)
{
	size_t left;
	char *start, *end;

	if (message->in.size > 0 && message->text_end == 0)
		fetch(message);
	start = message->text + message->text_at;
	left = message->text_end - message->text_at;
	end = memchr(start, '\0', left <= max ? left : max + 1);
	if (!end)
		return left > max ? too_long : -EINVAL;
	message->text_at += (size_t)(end - start) + 1;
	*text = start;
	return (int)(end - start);
}

bool fuse_anything_left(const struct fuse_message *message)
{
	return message->in.size > 0 || message->text_at < message->text_end;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

int fuse_take_name(struct fuse_message *message, bool dots, const char **name)
{
	int length = take_text(message, FS_NAME_MAX, -ENAMETOOLONG, name);

	if (length < 0)
		return length;
	if (length == 0 || memchr(*name, '/', (size_t)length) || (!dots && is_dots(*name)))
		return -EINVAL;
	return 0;
}

int fuse_take_text(struct fuse_message *message, size_t max, const char **text)
{
	int length = take_text(message, max, -ENAMETOOLONG, text);

	return length > 0 ? 0 : length < 0 ? length : -ENOENT;
}

/* ERANGE as setxattr(2) has it. */
int fuse_take_xattr_name(struct fuse_message *message, const char **name)
{
	int length = take_text(message, FS_NAME_MAX, -ERANGE, name);

	return length > 0 ? 0 : length < 0 ? length : -ERANGE;
}

/* Extensions */

static uint32_t read_u32(const struct fuse_message *message, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return message->swapped ? __builtin_bswap32(value) : value;
}

/* What follows the last thing of an extension fills it up to a multiple of 8 bytes. */
static int check_filling(size_t left)
{
	return left < 8 ? 0 : -EINVAL;
}

static int take_groups(struct fuse_message *message, const uint8_t *at, size_t size)
{
	struct fs_call *call = &message->call;
	uint32_t count;

	if (size < sizeof(struct fuse_supp_groups))
		return -EINVAL;
	count = read_u32(message, at);
	at += sizeof(struct fuse_supp_groups);
	size -= sizeof(struct fuse_supp_groups);
	if (count > FS_GROUPS_MAX || count * sizeof(uint32_t) > size)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		message->groups[i] = read_u32(message, at + i * sizeof(uint32_t));
	call->groups = message->groups;
	call->group_count = count;
	return check_filling(size - count * sizeof(uint32_t));
}

/* No guest sends more than one label; the tree could not give a file two at once. */
static int take_label(struct fuse_message *message, uint32_t count, const uint8_t *at, size_t size)
{
	struct fs_call *call = &message->call;
	const uint8_t *end;
	size_t name_size;
	uint32_t value_size;

	if (count == 0)
		return check_filling(size);
	if (count > 1)
		return -EOPNOTSUPP;
	if (size < sizeof(struct fuse_secctx))
		return -EINVAL;
	value_size = read_u32(message, at);
	at += sizeof(struct fuse_secctx);
	size -= sizeof(struct fuse_secctx);
	end = memchr(at, '\0', size);
	if (!end || end == at)
		return -EINVAL;
	name_size = (size_t)(end - at) + 1;
	if (name_size > FS_NAME_MAX + 1)
		return -ERANGE;
	if (value_size > size - name_size)
		return -EINVAL;
	call->label_name = (const char *)at;
	call->label = at + name_size;
	call->label_size = value_size;
	return check_filling(size - name_size - value_size);
}

static int take_extension(struct fuse_message *message, uint32_t type, const uint8_t *at,
			  size_t size)
{
	if (type <= FUSE_MAX_NR_SECCTX)
		return fuse_negotiated(message, FUSE_SECURITY_CTX)
			       ? take_label(message, type, at, size)
			       : 0;
	if (type == FUSE_EXT_GROUPS && fuse_negotiated(message, FUSE_CREATE_SUPP_GROUP))
		return take_groups(message, at, size);
	return 0; /* what was not agreed upon says nothing */
}

int fuse_take_extensions(struct fuse_message *message)
{
	const uint8_t *at = message->extensions;
	size_t left = message->ext.size;

	message->call.label_name = NULL;
	message->call.label_size = 0;
	if (left > FUSE_EXT_MAX)
		return -E2BIG;
	iov_window_read(&message->ext, message->extensions, left);
	while (left >= sizeof(struct fuse_ext_header)) {
		size_t size = read_u32(message, at);
		uint32_t type = read_u32(message, at + sizeof(uint32_t));
		int error;

		if (size < sizeof(struct fuse_ext_header) || size > left)
			return -EINVAL;
		error = take_extension(message, type, at + sizeof(struct fuse_ext_header),
				       size - sizeof(struct fuse_ext_header));
		if (error)
			return error;
		/* What is left stays a multiple of 8, and so is not smaller than this. */
		size = (size + 7) / 8 * 8;
		at += size;
		left -= size;
	}
	return 0;
}
