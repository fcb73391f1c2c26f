/* SPDX-License-Identifier: BSD-3-Clause */
/* Directory entries, which go to the guest's memory one by one as the tree names them. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "fuse_internal.h"

struct packed_entry {
	struct fuse_direntplus head;
	char name[FS_NAME_MAX + 8]; /* filled up with zeroes */
};

static void fill_plus(const struct fuse_message *message, struct fuse_entry_out *out,
		      const struct fs_entry *entry)
{
	/* "." and "..": nothing was looked up, so nothing is told. */
	if (entry->node == 0)
		memset(out, 0, sizeof(*out));
	else
		fuse_fill_entry(message, out, entry);
	if (message->swapped)
		fuse_swap(out, sizeof(*out), FUSE_LAYOUT_ENTRY);
}

static void fill_dirent(const struct fuse_message *message, struct packed_entry *packed,
			const struct fs_dirent *dirent)
{
	packed->head.dirent = (struct fuse_dirent){
		.ino = dirent->ino,
		.off = dirent->next,
		.namelen = dirent->name_size,
		.type = dirent->type,
	};
	if (message->swapped)
		fuse_swap(&packed->head.dirent, sizeof(packed->head.dirent), FUSE_LAYOUT_DIRENT);
	memcpy(packed->name, dirent->name, dirent->name_size);
	memset(packed->name + dirent->name_size, 0, 8);
}

bool fuse_add_dirent(struct fs_call *call, const struct fs_dirent *dirent,
		     const struct fs_entry *entry)
{
	struct fuse_message *message = (struct fuse_message *)call;
	struct packed_entry packed;
	size_t start = entry ? 0 : offsetof(struct fuse_direntplus, dirent);
	size_t size = sizeof(packed.head) - start + (dirent->name_size + 7u) / 8 * 8;

	assert(dirent->name_size > 0 && dirent->name_size <= FS_NAME_MAX);
	if (size > call->data.size) {
		message->refused = true;
		return false;
	}
	if (entry)
		fill_plus(message, &packed.head.entry_out, entry);
	fill_dirent(message, &packed, dirent);
	iov_window_write(&call->data, (const uint8_t *)&packed + start, size);
	iov_window_advance(&call->data, size);
	return true;
}

/* An empty reply is the end of the directory: it must not stand for an entry without room. */
void fuse_reply_dirents(struct fuse_message *message, struct fuse_reply *reply)
{
	size_t size = message->dirents - message->call.data.size;

	if (size == 0 && message->refused)
		fuse_send_error(message, -EINVAL);
	else
		fuse_send_data(message, reply, size);
}
