/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message of the kernel as a request of the guest's driver: what it asks for is read out
 * of it, as far as the reply depends on that, so that the reply is checked as if the driver had
 * made the message itself. All is in the byte order of this process.
 */
#include <string.h>

#include "fuse_bridge_internal.h"

/* The longest target that a kernel asks for. */
#define LINK_ROOM 4096u

/* What is not known here gets room for a page. */
#define UNKNOWN_ROOM 4096u

/* The first size bytes of the arguments; what a shorter message lacks is zero. */
static void peek(const struct vqsim_fuse_bridge_slot *slot, void *to, size_t size)
{
	size_t there = slot->header.len - FS_IN_HEADER;

	memset(to, 0, size);
	memcpy(to, slot->request.in + FS_IN_HEADER, there < size ? there : size);
}

#define PEEK(slot, structure) peek(slot, &(structure), sizeof(structure))

static void args_of_read(const struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *args)
{
	struct fuse_read_in in;

	PEEK(slot, in);
	args->handle = in.fh;
	args->size = in.size;
}

static void args_of_xattr(const struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *args)
{
	struct fuse_getxattr_in in;

	PEEK(slot, in);
	args->size = in.size;
}

static void args_of_copy(const struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *args)
{
	struct fuse_copy_file_range_in in;

	PEEK(slot, in);
	args->size = in.len;
}

static void args_of_release(const struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *args)
{
	struct fuse_release_in in;

	PEEK(slot, in);
	args->handle = in.fh;
}

static void args_of_forget(const struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *args)
{
	struct fuse_forget_in in;

	PEEK(slot, in);
	args->count = in.nlookup;
}

static void args_of_batch(const struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *args)
{
	struct fuse_batch_forget_in in;
	size_t room = slot->header.len - FS_IN_HEADER;

	PEEK(slot, in);
	args->forgets = (const void *)(slot->request.in + FS_IN_HEADER + sizeof(in));
	if (room >= sizeof(in) && in.count <= (room - sizeof(in)) / sizeof(*args->forgets))
		args->count = in.count;
}

/* Of what a message asks, that which says what its reply must be like. */
static void args_of(struct vqsim_fuse_bridge_slot *slot, struct vqsim_fs_args *args)
{
	*args = (struct vqsim_fs_args){.opcode = slot->header.opcode, .node = slot->header.nodeid};
	switch (args->opcode) {
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_WRITE: /* begins alike */
		args_of_read(slot, args);
		break;
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		args_of_xattr(slot, args);
		break;
	case FUSE_COPY_FILE_RANGE:
	case FUSE_COPY_FILE_RANGE_64:
		args_of_copy(slot, args);
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		args_of_release(slot, args);
		break;
	case FUSE_FORGET:
		args_of_forget(slot, args);
		break;
	case FUSE_BATCH_FORGET:
		args_of_batch(slot, args);
		break;
	case FUSE_INIT:
		PEEK(slot, slot->init);
		args->init = &slot->init;
		break;
	case FUSE_READLINK:
		args->size = LINK_ROOM;
		break;
	default:
		if (fs_reply_of(args->opcode) == FS_REPLY_UNKNOWN)
			args->size = UNKNOWN_ROOM;
		break;
	}
}

/* The writable part of the chain. */
static uint32_t reply_room(const struct vqsim_fs_request *request, const struct vqsim_fs_args *args)
{
	uint64_t size = (uint64_t)FS_OUT_HEADER + fs_reply_size(args);

	if (fs_reply_of(args->opcode) == FS_REPLY_NONE)
		return 0;
	return size < request->out_room ? (uint32_t)size : request->out_room;
}

/* As a driver would lay them out: header, arguments, and the data of a WRITE by itself. */
static void frame(struct vqsim_fs_request *request, uint32_t opcode)
{
	static const uint32_t cuts[] = {FS_IN_HEADER, sizeof(struct fuse_write_in)};

	if (opcode != FUSE_WRITE)
		return;
	request->readable_cuts = cuts;
	request->readable_cut_count = 2;
}

bool fuse_bridge_prepare(struct vqsim_fs *fs, struct vqsim_fuse_bridge_slot *slot, size_t size)
{
	struct vqsim_fs_request *request = &slot->request;
	struct vqsim_fs_args args;

	if (size < FS_IN_HEADER)
		return false;
	memcpy(&slot->header, request->in, sizeof(slot->header));
	if (slot->header.len != size)
		return false;
	args_of(slot, &args);
	vqsim_fs_make_raw(fs, request, NULL, (uint32_t)size, reply_room(request, &args));
	frame(request, args.opcode);
	/* Made by the kernel, but known as well as if it had been made here: it is checked so. */
	request->raw = false;
	request->args = args;
	request->unique = slot->header.unique;
	request->indirect = true;
	return true;
}
