/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Results into replies. Every byte of a reply is written here, or by the tree into the
 * window that it was given behind the header; there was room for it before the tree was
 * called.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse_internal.h"

#define HEADER_SIZE sizeof(struct fuse_out_header)
#define NSEC_PER_S  UINT64_C(1000000000)
#define ERRNO_END   512 /* larger ones are the kernel's own */

/* In one piece, or as Linux has it: the header in a piece of its own. Else as the cuts are. */
static void put(const struct iov_window *out, const struct fuse_reply *reply, size_t size)
{
	uint8_t *start = (uint8_t *)out->iov->iov_base + out->skip;
	size_t piece = out->iov->iov_len - out->skip;

	if (piece >= HEADER_SIZE + size) {
		memcpy(start, reply, HEADER_SIZE + size);
	} else if (piece == HEADER_SIZE && out->iov[1].iov_len >= size) {
		memcpy(start, reply, HEADER_SIZE);
		memcpy(out->iov[1].iov_base, &reply->entry, size);
	} else {
		iov_window_write(out, reply, HEADER_SIZE + size);
	}
}

static void write_reply(struct fuse_message *message, struct fuse_reply *reply, size_t size,
			size_t len, int error)
{
	struct fs_request *request = message->request;

	reply->header.len = (uint32_t)len;
	reply->header.error = error;
	reply->header.unique = message->unique;
	if (message->swapped)
		fuse_swap(&reply->header, HEADER_SIZE, FUSE_LAYOUT_OUT_HEADER);
	put(&request->out, reply, size);
	request->reply_size = len;
}

void fuse_send(struct fuse_message *message, struct fuse_reply *reply, size_t size,
	       const char *layout)
{
	if (message->swapped)
		fuse_swap(&reply->entry, size, layout);
	write_reply(message, reply, size, HEADER_SIZE + size, 0);
}

void fuse_send_data(struct fuse_message *message, struct fuse_reply *reply, size_t data_size)
{
	write_reply(message, reply, 0, HEADER_SIZE + data_size, 0);
}

/* Nothing, if there is no room for a header. */
void fuse_send_error(struct fuse_message *message, int error)
{
	struct fuse_reply reply;

	if (message->request->out.size < HEADER_SIZE)
		return;
	if (error >= 0 || error <= -ERRNO_END)
		error = -EIO;
	write_reply(message, &reply, 0, HEADER_SIZE, error);
}

/* Attributes */

/* Minor bits 0..7, major, more of minor: as the kernel packs them. */
static uint32_t device_number(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xfff00) << 12;
}

static void fill_attr(struct fuse_attr *out, const struct statx *attr)
{
	*out = (struct fuse_attr){
		.ino = attr->stx_ino,
		.size = attr->stx_size,
		.blocks = attr->stx_blocks,
		.atime = (uint64_t)attr->stx_atime.tv_sec,
		.mtime = (uint64_t)attr->stx_mtime.tv_sec,
		.ctime = (uint64_t)attr->stx_ctime.tv_sec,
		.atimensec = attr->stx_atime.tv_nsec,
		.mtimensec = attr->stx_mtime.tv_nsec,
		.ctimensec = attr->stx_ctime.tv_nsec,
		.mode = attr->stx_mode,
		.nlink = attr->stx_nlink,
		.uid = attr->stx_uid,
		.gid = attr->stx_gid,
		.rdev = device_number(attr->stx_rdev_major, attr->stx_rdev_minor),
		.blksize = attr->stx_blksize,
	};
}

void fuse_fill_entry(const struct fuse_message *message, struct fuse_entry_out *out,
		     const struct fs_entry *entry)
{
	out->nodeid = entry->node;
	out->generation = entry->generation;
	out->entry_valid = entry->entry_valid / NSEC_PER_S;
	out->attr_valid = entry->attr_valid / NSEC_PER_S;
	out->entry_valid_nsec = (uint32_t)(entry->entry_valid % NSEC_PER_S);
	out->attr_valid_nsec = (uint32_t)(entry->attr_valid % NSEC_PER_S);
	fill_attr(&out->attr, &entry->attr);
	if ((entry->attr.stx_attributes & STATX_ATTR_MOUNT_ROOT) && S_ISDIR(entry->attr.stx_mode) &&
	    fuse_negotiated(message, FUSE_SUBMOUNTS))
		out->attr.flags = FUSE_ATTR_SUBMOUNT;
}

void fuse_reply_empty(struct fuse_message *message, struct fuse_reply *reply)
{
	fuse_send_data(message, reply, 0);
}

void fuse_reply_entry(struct fuse_message *message, struct fuse_reply *reply)
{
	fuse_fill_entry(message, &reply->entry, &message->call.entry);
	fuse_send(message, reply, sizeof(reply->entry), FUSE_LAYOUT_ENTRY);
}

void fuse_reply_attr(struct fuse_message *message, struct fuse_reply *reply)
{
	const struct fs_entry *entry = &message->call.entry;

	reply->attr.attr_valid = entry->attr_valid / NSEC_PER_S;
	reply->attr.attr_valid_nsec = (uint32_t)(entry->attr_valid % NSEC_PER_S);
	reply->attr.dummy = 0;
	fill_attr(&reply->attr.attr, &entry->attr);
	fuse_send(message, reply, sizeof(reply->attr), "qdd" FUSE_LAYOUT_ATTR);
}

static struct fuse_sx_time sx_time(const struct statx_timestamp *time)
{
	return (struct fuse_sx_time){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

void fuse_reply_statx(struct fuse_message *message, struct fuse_reply *reply)
{
	const struct fs_entry *entry = &message->call.entry;
	const struct statx *attr = &entry->attr;

	reply->statx = (struct fuse_statx_out){
		.attr_valid = entry->attr_valid / NSEC_PER_S,
		.attr_valid_nsec = (uint32_t)(entry->attr_valid % NSEC_PER_S),
		.stat.mask = attr->stx_mask,
		.stat.blksize = attr->stx_blksize,
		.stat.attributes = attr->stx_attributes,
		.stat.nlink = attr->stx_nlink,
		.stat.uid = attr->stx_uid,
		.stat.gid = attr->stx_gid,
		.stat.mode = attr->stx_mode,
		.stat.ino = attr->stx_ino,
		.stat.size = attr->stx_size,
		.stat.blocks = attr->stx_blocks,
		.stat.attributes_mask = attr->stx_attributes_mask,
		.stat.atime = sx_time(&attr->stx_atime),
		.stat.btime = sx_time(&attr->stx_btime),
		.stat.ctime = sx_time(&attr->stx_ctime),
		.stat.mtime = sx_time(&attr->stx_mtime),
		.stat.rdev_major = attr->stx_rdev_major,
		.stat.rdev_minor = attr->stx_rdev_minor,
		.stat.dev_major = attr->stx_dev_major,
		.stat.dev_minor = attr->stx_dev_minor,
	};
	fuse_send(message, reply, sizeof(reply->statx),
		  "qddqq"
		  "ddqdddwwqqqq" /* to attributes_mask */
		  "qddqddqddqdd" /* times */
		  "ddddqqqqqqqqqqqqqq");
}

/* Handles */

static void fill_open(struct fuse_open_out *out, const struct fs_call *call)
{
	out->fh = call->new_handle;
	out->open_flags = call->handle_flags;
	out->backing_id = 0;
}

void fuse_reply_open(struct fuse_message *message, struct fuse_reply *reply)
{
	fill_open(&reply->open, &message->call);
	fuse_send(message, reply, sizeof(reply->open), FUSE_LAYOUT_OPEN_OUT);
}

void fuse_reply_create(struct fuse_message *message, struct fuse_reply *reply)
{
	fuse_fill_entry(message, &reply->create.entry, &message->call.entry);
	fill_open(&reply->create.open, &message->call);
	fuse_send(message, reply, sizeof(reply->create), FUSE_LAYOUT_ENTRY FUSE_LAYOUT_OPEN_OUT);
}

/* Data and counts: a tree that says it did more than it was asked to gets no reply through. */

void fuse_reply_data(struct fuse_message *message, struct fuse_reply *reply)
{
	if (message->call.count > message->call.size)
		fuse_send_error(message, -EIO);
	else
		fuse_send_data(message, reply, message->call.count);
}

/* Size 0 asks how large the value is. */
void fuse_reply_xattr(struct fuse_message *message, struct fuse_reply *reply)
{
	if (message->call.size > 0) {
		fuse_reply_data(message, reply);
	} else if (message->call.count > FS_XATTR_MAX) {
		fuse_send_error(message, -E2BIG);
	} else {
		reply->getxattr.size = (uint32_t)message->call.count;
		reply->getxattr.padding = 0;
		fuse_send(message, reply, sizeof(reply->getxattr), "dd");
	}
}

void fuse_reply_write(struct fuse_message *message, struct fuse_reply *reply)
{
	if (message->call.count > message->call.size) {
		fuse_send_error(message, -EIO);
		return;
	}
	reply->write.size = (uint32_t)message->call.count;
	reply->write.padding = 0;
	fuse_send(message, reply, sizeof(reply->write), "dd");
}

void fuse_reply_copy_64(struct fuse_message *message, struct fuse_reply *reply)
{
	if (message->call.count > message->call.size) {
		fuse_send_error(message, -EIO);
		return;
	}
	reply->copy.bytes_copied = message->call.count;
	fuse_send(message, reply, sizeof(reply->copy), "q");
}

void fuse_reply_lseek(struct fuse_message *message, struct fuse_reply *reply)
{
	reply->lseek.offset = message->call.count;
	fuse_send(message, reply, sizeof(reply->lseek), "q");
}

void fuse_reply_statfs(struct fuse_message *message, struct fuse_reply *reply)
{
	const struct statvfs *statvfs = &message->call.statvfs;

	reply->statfs.st = (struct fuse_kstatfs){
		.blocks = statvfs->f_blocks,
		.bfree = statvfs->f_bfree,
		.bavail = statvfs->f_bavail,
		.files = statvfs->f_files,
		.ffree = statvfs->f_ffree,
		.bsize = (uint32_t)statvfs->f_bsize,
		.namelen = (uint32_t)statvfs->f_namemax,
		.frsize = (uint32_t)statvfs->f_frsize,
	};
	fuse_send(message, reply, sizeof(reply->statfs), "qqqqqdddddddddd");
}

void fuse_reply_lock(struct fuse_message *message, struct fuse_reply *reply)
{
	const struct fs_lock *lock = &message->call.lock;

	reply->lk.lk = (struct fuse_file_lock){lock->start, lock->end, lock->type, lock->pid};
	fuse_send(message, reply, sizeof(reply->lk), "qqdd");
}
